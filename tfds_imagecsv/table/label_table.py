"""The label table: which image has which label.

Read, recognise, resolve, parse, check: each step takes and gives columns.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import exceptions, garbage_collection
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.sources.listing import Listing, list_files
from tfds_imagecsv.sources.locate import Sources, TableSource
from tfds_imagecsv.table import (
    archive_top,
    classes,
    columns,
    extra_columns,
    folders,
    label_types,
    resolve,
    row_problems,
    table_rows,
)
from tfds_imagecsv.table.table_rows import TableRows

# The columns of a label table.
_ROWS = ["row", "key", "label", "group", "given"]


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
        image_dir, files = archive_top.below_top(sources, files, options)
    if not sources.tables:
        said = folders.rows_of(image_dir, files, options, sources.folders)
        parts = [TableRows.of_folders(said)]
    else:
        parts = []
        for one in sources.tables:
            finder = _finder(one, sources, image_dir, files, options)
            rows = table_rows.read_rows(
                one, options, finder, is_among_several=len(sources.tables) > 1
            )
            parts.append(rows)
    return _joined(parts, options, classes, image_dir=image_dir, files=files)


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


def _joined(
    parts: Sequence[TableRows],
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


def _starts(parts: Sequence[TableRows]) -> list[int]:
    """Returns what is added to the row numbers of each table."""
    starts = [0]
    for part in parts[:-1]:
        ragged = (one.row for one in part.ragged)
        starts.append(starts[-1] + max((*part.numbers[-1:], *ragged), default=0))
    return starts


def _check_same_columns(
    parts: Sequence[TableRows], headers: Sequence[str], options: TableOptions
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


def _as_rows(
    parts: Sequence[TableRows], starts: Sequence[int]
) -> dict[str, Sequence[Any]]:
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


def _labels_of(parts: Sequence[TableRows], count: int) -> list[Sequence[str]]:
    """Returns the cells of each column with labels; empty in a table without one."""
    return [
        _chained(
            part.labels[at] if part.labels else [""] * len(part.names) for part in parts
        )
        for at in range(count)
    ]


def _joined_extra(parts: Sequence[TableRows]) -> dict[str, Sequence[str]]:
    return {
        name: _chained(part.extra[name] for part in parts) for name in parts[0].extra
    }


def _by_position(parts: Sequence[TableRows]) -> dict[int, tuple[Kind, str]]:
    """Returns what is wrong with the names of rows, by position among all rows."""
    found: dict[int, tuple[Kind, str]] = {}
    done = 0
    for part in parts:
        found |= {done + at: problem for at, problem in part.by_position.items()}
        done += len(part.names)
    return found


def _loose(
    parts: Sequence[TableRows],
) -> np.ndarray[Any, np.dtype[np.bool_]]:
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
