"""The label table: which image has which label.

Read, recognise, resolve, parse, check: each step takes and gives columns.
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import exceptions, garbage_collection, split_names
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.sources.listing import Listing, list_files
from tfds_imagecsv.sources.locate import Sources, TableSource, top_of_archive
from tfds_imagecsv.table import (
    classes,
    columns,
    extra_columns,
    folders,
    label_types,
    resolve,
    row_problems,
    split_values,
    tables,
)

# The columns of a label table.
_ROWS = ["row", "key", "label", "group", "given"]

# How many rows of a table are taken at once.
_BATCH = 4096

_FIRST = operator.itemgetter(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The usable rows of a label table, and what is wrong with the others.

    Attributes:
      rows: a row for each usable row of the table, sorted by key, with the columns
        `row` (int64: its number, see `places`), `key` (str: the image's path relative
        to the image directory, with `/` between folders, unique), `label` (str: the
        class name as written, without the white space around it, or the text of
        `label_types.Parsed`; empty for none), `group` (str: empty for none) and
        `given` (str: the split that the table gives it, empty for none). Labels that
        aren't classes are also in `target` (see `label_types.Parsed`). Each extra
        column is in one whose name begins with `extra_columns.PREFIX`.
      image_dir: the directory that the keys are relative to.
      files: the files of that directory.
      class_names: the names of the classes in the order of their ids.
      class_columns: the names of the columns of 0 and 1, each a class; None if the
        names of classes are in cells.
      extra_columns: the types of the extra columns, by name.
      problems: what is wrong with the rows that aren't in `rows`.
      places: what messages call the rows.
      understood: what was concluded, by what it is about.
      notes: the same in sentences, where there was a choice.
      looked_for: what to say if no image was found.
      about_classes: further columns of the class CSV, by class name and by header.
    """

    rows: pd.DataFrame
    image_dir: epath.Path
    files: Listing
    class_names: tuple[str, ...]
    class_columns: tuple[str, ...] | None
    extra_columns: Mapping[str, str]
    problems: tuple[Problem, ...]
    places: Places
    understood: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    looked_for: str = ""
    about_classes: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def total_rows(self) -> int:
        """How many rows the table has, without blank ones and the header."""
        return len(self.rows) + len(self.problems)


def read_label_table(
    config: ImageCsvConfig, sources: Sources, *, known: Iterable[str] = ()
) -> LabelTable:
    """Reads the table as a config says, and the classes that it gives.

    Args:
      config: what the user says about columns, file names and classes.
      sources: the tables, and the directories of the images.
      known: keys that stand for files, also if these are gone.

    Raises:
      SourceError: if a table can't be used.
    """
    class_list = classes.ClassList(names=tuple(config.classes or ()), about={})
    if sources.class_csv is not None:
        class_list = classes.read_classes(sources.class_csv)
    table = read_labels(
        sources,
        config.table_options,
        classes=class_list.names or None,
        known=frozenset(known),
    )
    return dataclasses.replace(table, about_classes=class_list.about)


@garbage_collection.paused()
def read_labels(
    sources: Sources,
    options: TableOptions | None = None,
    *,
    classes: Sequence[str] | None = None,
    known: frozenset[str] = frozenset(),
) -> LabelTable:
    """Reads label tables in any format that `tables.read_table` reads, or folders.

    White space around cells is dropped, blank rows are passed over. Labels are names,
    unless `label_type` says otherwise, never numbers, booleans or missing values:
    `001`, `true` and `NA` stay as they are written. In a split named `unlabeled`, a
    label may be empty.

    Args:
      sources: where tables and images are.
      options: what the user says of them; default: nothing.
      classes: the class names in the order of their ids; default the names found,
        sorted by code point, or those of the columns of 0 and 1.
      known: as for `read_label_table`.

    Returns:
      The table of the rows that can be used, and the problems of the others.

    Raises:
      SourceError: if no row can be read: there is no such file, it isn't text, it
        has no rows, or not the columns asked for.
    """
    options = options or TableOptions()
    image_dir, files = sources.image_dir, list_files(sources.image_dir)
    if known - files.as_set:
        files = dataclasses.replace(files, keys=[*(files.as_set | known)])
    if sources.archive is not None:
        image_dir, files = _below_top(sources, files, options)
    if not sources.tables:
        said = folders.rows_of(image_dir, files, options, sources.folders)
        parts = [_Part.of_folders(said)]
    else:
        parts = []
        for one in sources.tables:
            finder = _finder(one, sources, image_dir, files, options)
            parts.append(_read_part(one, options, finder, len(sources.tables) > 1))
    return _joined(parts, options, classes, image_dir=image_dir, files=files)


def _below_top(
    sources: Sources, files: Listing, options: TableOptions
) -> tuple[epath.Path, Listing]:
    """Returns the directory of an archive that names are relative to, and its files."""
    if not sources.tables:
        top = folders.top_of(files)
    else:
        (source,) = sources.tables
        table = tables.read_table(source.table, source.field, options)
        top = _top_by_names(table, files, options)
    if not top:
        return sources.image_dir, files
    return sources.image_dir / top, files.below(top)


def _top_by_names(table: tables.Table, files: Listing, options: TableOptions) -> str:
    """Returns the folder within an archive that the names of a table are below."""
    at = 0
    if options.filename_column in table.header:
        at = table.header.index(options.filename_column)
    cells: list[str] = []
    if options.filename_template is None:
        rows = [row for row in table.records() if at < len(row)]
        cells = [row[at].strip() + options.filename_suffix for row in rows]
        cells += [row[at].strip() for row in rows]
        cells += [row[at].strip() for row in [table.header]]
    top = top_of_archive(files, cells)
    if top is None:
        # Of another column, or made of several.
        rows = columns.sample_of(table)
        found = columns.recognise("", table, rows, _only_names(options))
        to_name, fields = found.to_filename, found.filename_fields
        at_fields = [found.position_of[one] for one in fields]
        whole = [row for row in rows if max(at_fields) < len(row)]
        cells = [to_name([row[at] for at in at_fields]) for row in whole]
        cells += [cell for row in rows for cell in row]
        top = top_of_archive(files, cells)
    return top or ""


def _only_names(options: TableOptions) -> TableOptions:
    """Returns what options say of the file names alone."""
    return TableOptions(
        label_type="none",
        filename_column=options.filename_column,
        filename_template=options.filename_template,
    )


def _finder(
    source: TableSource,
    sources: Sources,
    image_dir: epath.Path,
    files: Listing,
    options: TableOptions,
) -> resolve.Finder:
    """Returns what finds the images of a table."""
    inside = sources.folders.get(source.split, "")
    return resolve.Finder(
        image_dir / inside if inside else image_dir,
        files.below(inside) if inside else files,
        inside=inside,
        suffix="" if options.filename_template else options.filename_suffix,
        match=options.match,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Part:
    """What one table says, before labels are parsed.

    Attributes:
      name: what messages call it.
      numbers: the numbers of its whole rows.
      names: their file names.
      keys: their files.
      label_headers: the names of the columns with labels; empty if it has none.
      labels: their cells, by column.
      groups: the groups; empty texts for none.
      given: the splits.
      extra: the cells of the extra columns, by name with `extra_columns.PREFIX`.
      by_position: what is wrong with rows, by their position.
      loose: the positions of rows whose name was read loosely.
      ragged: rows that have more or fewer cells than the header.
      understood, notes, looked_for: see `LabelTable`.
      delimiter: that of the table, in words.
    """

    name: str
    numbers: Sequence[int]
    names: Sequence[str]
    keys: Sequence[str]
    label_headers: Sequence[str]
    labels: Sequence[Sequence[str]]
    groups: Sequence[str]
    given: Sequence[str]
    extra: Mapping[str, Sequence[str]]
    by_position: Mapping[int, tuple[Kind, str]]
    loose: Sequence[int] | np.ndarray[Any, Any] = ()
    ragged: Sequence[Problem] = ()
    understood: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    looked_for: str = ""

    @classmethod
    def of_folders(cls, said: folders.FolderRows) -> _Part:
        """Returns what folders say."""
        keys = said.keys
        return cls(
            name="",
            numbers=range(1, len(keys) + 1),
            names=keys,
            keys=keys,
            label_headers=[] if said.labels is None else ["folder"],
            labels=[] if said.labels is None else [said.labels],
            groups=[""] * len(keys),
            given=said.given,
            extra={},
            by_position={},
            understood=said.understood,
            notes=said.notes,
        )


def _read_part(
    source: TableSource, options: TableOptions, finder: resolve.Finder, is_one: bool
) -> _Part:
    """Reads a table.

    Args:
      source: where it is.
      options: what the user says of it.
      finder: finds its images.
      is_one: whether it is one of several.
    """
    place = tables.place_of(source.field, source.table)
    table = tables.read_table(
        source.table, source.field, options, names_file=finder.names_file
    )
    notes = list(table.notes)
    sample = columns.sample_of(table)
    if not columns.has_header(table, sample, options, finder):
        assert table.first_row is not None
        table = tables.without_header(table, table.first_row)
        sample = columns.sample_of(table)
        notes.append(
            "it has no header, since its first row names an image: the columns are"
            f" called {columns.names_of(table.header)}"
        )
    if source.split == split_names.UNLABELED and not (
        _has_labels(table.header, options)
    ):
        options = dataclasses.replace(options, label_type="none", label_column=None)
    found = columns.recognise(place, table, sample, options, finder)
    _check_header(place, table, found, finder)
    cells = _read_cells(table, found, finder)
    if not cells.numbers and not cells.problems:
        raise exceptions.SourceError(
            f"{place}: there are no rows below the header"
            f" {columns.names_of(table.header)}. Give each image a row with its file"
            " name and its label."
        )
    if cells.cut:
        notes.append(f"{cells.cut:,} rows end with empty cells that have no header")
    of_names = [cells.by_field[one] for one in found.filename_fields]
    names = of_names[0]
    if found.template is not None:
        names = list(map(found.to_filename, zip(*of_names, strict=True)))
    resolved = finder.resolve(names)
    notes += [*found.notes, *(way.note(len(names)) for way in resolved.ways)]
    nothing = [""] * len(names)
    given: Sequence[str] = nothing
    if source.split:
        given = [split_names.split_name(source.split)] * len(names)
    elif "split_column" in cells.by_field:
        header = found.header[found.position_of["split_column"]]
        values = split_values.parse(
            cells.by_field["split_column"], header, options.split_names, place=place
        )
        given, said = values.splits, values.notes
        notes += said
    prefix = f"{finder.inside}/" if finder.inside else ""
    name = source.name
    return _Part(
        name=name,
        numbers=cells.numbers,
        names=names,
        keys=[prefix + key for key in resolved.keys] if prefix else resolved.keys,
        label_headers=found.headers_of(found.label_fields),
        labels=[cells.by_field[field] for field in found.label_fields],
        groups=cells.by_field.get("group_column", nothing),
        given=given,
        extra={one: cells.by_field[one] for one in found.extra_fields},
        by_position=resolved.problems,
        loose=resolved.loose,
        ragged=cells.problems,
        understood={**table.understood, **found.understood},
        notes=[f"{name}: {note}" for note in notes] if is_one else notes,
        looked_for=found.looked_for if len(resolved.absent) == len(names) else "",
    )


def _check_header(
    place: str, table: tables.Table, of: columns.Columns, finder: resolve.Finder
) -> None:
    """Raises a `SourceError` if columns are named as if a row were the header."""
    name = of.to_filename(of.headers_of(of.filename_fields))
    if table.first_row is not None and name and finder.names_file(name):
        raise exceptions.SourceError(
            f"{place}: its first row must be a header, such as 'filename,label', but it"
            f" is the row of the image {finder.key_if_exact(name)!r}. Add a header, or"
            " set header=False, and call the columns 1, 2, ..."
        )


def _has_labels(header: Sequence[str], options: TableOptions) -> bool:
    """Returns whether the columns of labels that are asked for are there."""
    names = options.label_column
    if names is None:
        return False
    return {names} <= {*header} if isinstance(names, str) else {*names} <= {*header}


class _Cells(NamedTuple):
    """The cells of the rows that are whole.

    Attributes:
      numbers: the rows' numbers.
      by_field: the cells of each column of `Columns.position_of`, stripped.
      problems: the rows that have more or fewer cells than the header.
      cut: how many rows had further cells, all empty.
    """

    numbers: Sequence[int]
    by_field: dict[str, list[str]]
    problems: list[Problem]
    cut: int


def _read_cells(
    table: tables.Table, of: columns.Columns, finder: resolve.Finder
) -> _Cells:
    """Reads the rows, but those that are blank."""
    if table.column is not None and len(of.header) == len(table.header):
        found = {
            field: list(map(str.strip, table.column(at)))
            for field, at in of.position_of.items()
        }
        names = found[of.filename_fields[0]]
        if all(names):  # then no row is blank
            return _Cells(range(table.first, table.first + len(names)), found, [], 0)
    numbers_of_all: list[int] = []
    by_field: dict[str, list[str]] = {field: [] for field in of.position_of}
    problems: list[Problem] = []
    records, number, cut = table.records(), table.first - 1, 0
    # Column by column, which is faster than row by row.
    while batch := list(itertools.islice(records, _BATCH)):
        numbers: Sequence[int] = range(number + 1, number + 1 + len(batch))
        number += len(batch)
        if set(map(len, batch)) != {len(of.header)} or not all(map(_FIRST, batch)):
            whole = _whole_rows(numbers, batch, of, finder, problems)
            numbers, batch = [one[0] for one in whole], [one[1] for one in whole]
            cut += sum(one[2] for one in whole)
        numbers_of_all.extend(numbers)
        by_column = list(zip(*batch, strict=True))
        for field, position in of.position_of.items():
            if batch:
                by_field[field] += map(str.strip, by_column[position])
    return _Cells(numbers_of_all, by_field, problems, cut)


def _whole_rows(
    numbers: Sequence[int],
    batch: list[list[str]],
    of: columns.Columns,
    finder: resolve.Finder,
    problems: list[Problem],
) -> list[tuple[int, list[str], bool]]:
    """Returns the rows that are neither blank nor ragged, and their numbers.

    Empty cells at the end count only if a header has a name for them; rows without
    such cells are whole as well. Ragged rows are added to the problems, with the key
    that their cells give them.

    Returns:
      The number and the cells of each row, and whether it had further empty cells.
    """
    whole, width = [], len(of.header)
    least = max((at + 1 for at, name in enumerate(of.header) if name), default=0)
    for number, cells in zip(numbers, batch, strict=True):
        if not tables.is_filled(cells):
            continue
        if len(cells) == width:
            whole.append((number, cells, False))
        elif len(cells) > width and not tables.is_filled(cells[width:]):
            whole.append((number, cells[:width], True))
        elif least <= len(cells) < width:
            whole.append((number, cells + [""] * (width - len(cells)), False))
        else:
            noun = "cell" if len(cells) == 1 else "cells"
            first = [cell[:60] for cell in cells[:4]]
            detail = f"{len(cells)} {noun} under {width} headers: {first}"
            key = _key_of(cells, of, finder)
            problems.append(Problem(Kind.RAGGED, number, detail, key=key))
    return whole


def _key_of(cells: Sequence[str], of: columns.Columns, finder: resolve.Finder) -> str:
    """Returns the key of a row's image; empty if the row lacks the cells for it."""
    positions = [of.position_of[field] for field in of.filename_fields]
    if max(positions) >= len(cells):
        return ""
    name = of.to_filename([cells[at].strip() for at in positions])
    return finder.resolve([name]).keys[0] if name else ""


def _joined(
    parts: Sequence[_Part],
    options: TableOptions,
    classes: Sequence[str] | None,
    *,
    image_dir: epath.Path,
    files: Listing,
) -> LabelTable:
    """Returns what the tables say together: parsed, and checked across rows."""
    starts = _starts(parts)
    places = Places(
        first_of=tuple(
            (start, part.name) for start, part in zip(starts, parts, strict=True)
        )
        if len(parts) > 1
        else (),
        are_rows=bool(parts[0].name),
    )
    headers = next((one.label_headers for one in parts if one.label_headers), [])
    _check_same_columns(parts, headers, options)
    is_indicated = options.is_indicated
    if is_indicated:
        _check_indicators(classes, list(headers))
    rows = _as_rows(parts, starts)
    labels = label_types.Parsed([""] * len(rows["row"]), None, {})
    if headers:
        labels = label_types.parse(
            options.label_type,
            _labels_of(parts, len(headers)),
            headers,
            delimiter=options.label_delimiter,
            known=None if classes is None or is_indicated else tuple(classes),
            true_values=options.true_values,
            false_values=options.false_values,
        )
    rows["label"] = labels.texts
    of_extra = _parse_extra(_joined_extra(parts), options.extra_columns or {})
    bad = row_problems.problems_of_rows(
        rows,
        options.label_type,
        _by_position(parts),
        labels.problems,
        of_extra.problems,
        is_loose=_loose(parts),
        places=places,
    )
    usable = _usable_rows(rows, bad, labels.values, of_extra.columns)
    class_columns = tuple(headers) if is_indicated else None
    names = classes or label_types.class_names(
        options.label_type, usable, class_columns
    )
    ragged = [
        dataclasses.replace(one, row=one.row + start)
        for start, part in zip(starts, parts, strict=True)
        for one in part.ragged
    ]
    return LabelTable(
        rows=usable,
        image_dir=image_dir,
        files=files,
        class_names=tuple(names),
        class_columns=class_columns,
        extra_columns=of_extra.dtypes,
        problems=tuple(sorted([*ragged, *bad.values()], key=lambda one: one.row)),
        places=places,
        understood=parts[0].understood,
        notes=tuple(note for part in parts for note in part.notes),
        looked_for=next((one.looked_for for one in parts if one.looked_for), ""),
    )


def _starts(parts: Sequence[_Part]) -> list[int]:
    """Returns what is added to the row numbers of each table."""
    starts = [0]
    for part in parts[:-1]:
        ragged = (one.row for one in part.ragged)
        starts.append(starts[-1] + max((*part.numbers[-1:], *ragged), default=0))
    return starts


def _check_same_columns(
    parts: Sequence[_Part], headers: Sequence[str], options: TableOptions
) -> None:
    """Raises a `SourceError` if tables don't have the same columns."""
    first = parts[0]
    for part in parts:
        if part.label_headers and len(part.label_headers) != len(headers):
            raise exceptions.SourceError(
                f"label_csv: {part.name} has {len(part.label_headers)} columns of"
                f" labels, and {first.name} has {len(headers)}. Give all tables the"
                " same columns."
            )
        if part.extra.keys() != first.extra.keys():
            differ = sorted(part.extra.keys() ^ first.extra.keys())
            names = [one.removeprefix(extra_columns.PREFIX) for one in differ]
            raise exceptions.SourceError(
                f"label_csv: {part.name} and {first.name} don't have the same extra"
                f" columns: only one of them has {columns.names_of(names)}. Name those"
                " that both have as extra_columns."
            )


def _check_indicators(classes: Sequence[str] | None, headers: list[str]) -> None:
    """Refuses classes that aren't the columns of 0 and 1."""
    if classes is not None and set(classes) != set(headers):
        raise exceptions.SourceError(
            f"classes and label_column must have the same names, got {list(classes)}"
            f" and {headers}"
        )


def _as_rows(parts: Sequence[_Part], starts: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Returns what each row says: the columns of `LabelTable.rows`, and `filename`."""
    if len(parts) == 1:
        numbers: Sequence[int] = parts[0].numbers
    else:
        numbers = [
            number + start
            for start, part in zip(starts, parts, strict=True)
            for number in part.numbers
        ]
    return {
        "row": numbers,
        "filename": _chained(part.names for part in parts),
        "key": _chained(part.keys for part in parts),
        "label": (),
        "group": _chained(part.groups for part in parts),
        "given": _chained(part.given for part in parts),
    }


def _chained(columns_of_parts: Iterable[Sequence[str]]) -> Sequence[str]:
    several = list(columns_of_parts)
    return several[0] if len(several) == 1 else [*itertools.chain(*several)]


def _labels_of(parts: Sequence[_Part], count: int) -> list[Sequence[str]]:
    """Returns the cells of each column with labels; empty in a table without one."""
    return [
        _chained(
            part.labels[at] if part.labels else [""] * len(part.names) for part in parts
        )
        for at in range(count)
    ]


def _joined_extra(parts: Sequence[_Part]) -> dict[str, Sequence[str]]:
    return {
        name: _chained(part.extra[name] for part in parts) for name in parts[0].extra
    }


def _by_position(parts: Sequence[_Part]) -> dict[int, tuple[Kind, str]]:
    """Returns what is wrong with the names of rows, by position among all rows."""
    found: dict[int, tuple[Kind, str]] = {}
    done = 0
    for part in parts:
        found |= {done + at: problem for at, problem in part.by_position.items()}
        done += len(part.names)
    return found


def _loose(parts: Sequence[_Part]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Returns which of all rows have a name that was read loosely."""
    columns_of_parts = []
    for part in parts:
        is_loose = np.zeros(len(part.names), bool)
        is_loose[np.asarray(part.loose, np.int64)] = True
        columns_of_parts.append(is_loose)
    return np.concatenate(columns_of_parts)


def _usable_rows(
    rows: Mapping[str, Sequence[Any]],
    bad: Mapping[int, Problem],
    targets: Sequence[Any] | None,
    of_extra: Mapping[str, Sequence[Any]],
) -> pd.DataFrame:
    """Returns `LabelTable.rows`: those without problems, sorted by key."""
    by_key = _order(rows["key"])
    if bad:
        by_key = by_key[~np.isin(by_key, list(bad))]
    kept = {**{name: rows[name] for name in _ROWS[1:]}, **of_extra}
    if targets is not None:
        kept["target"] = targets
    numbers = np.asarray(rows["row"], np.int64)[by_key]
    # Objects, since most of what follows goes through them one by one.
    return pd.DataFrame(
        {
            "row": pd.Series(numbers),
            **{name: _taken(values, by_key) for name, values in kept.items()},
        }
    )


def _taken(values: Sequence[Any], at: np.ndarray[Any, Any]) -> pd.Series[Any]:
    """Returns the values at some positions, as objects."""
    if isinstance(values[0] if len(values) else None, str) and not any(values):
        return pd.Series(np.full(len(at), "", object), dtype=object)
    column = np.fromiter(values, object, len(values))
    return pd.Series(column[at], dtype=object)


def _order(keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Returns the positions of keys, sorted by code point."""
    try:
        texts = pa.array(keys, pa.large_string())
    except UnicodeEncodeError:  # a name that isn't UTF-8
        return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    # UTF-8 has the order of code points.
    found: np.ndarray[Any, Any] = pc.sort_indices(texts).to_numpy()
    return found.astype(np.int64)


class _Extra(NamedTuple):
    """The extra columns: see `LabelTable`; and what is wrong, by position."""

    columns: dict[str, Sequence[Any]]
    dtypes: dict[str, str]
    problems: dict[int, tuple[Kind, str]]


def _parse_extra(
    cells_of: Mapping[str, Sequence[str]], extra: Mapping[str, str] | str
) -> _Extra:
    found = _Extra({}, {}, {})
    for prefixed, cells in cells_of.items():
        name = prefixed.removeprefix(extra_columns.PREFIX)
        dtype = extra_columns.inferred(cells) if isinstance(extra, str) else extra[name]
        found.dtypes[name] = dtype
        found.columns[prefixed], wrong = extra_columns.parse(cells, dtype)
        for at in wrong:
            detail = (
                f"{row_problems.shortened(cells[at])!r} in {name!r}, which is {dtype},"
            )
            found.problems.setdefault(at, (Kind.EXTRA_CELL, detail))
    return found
