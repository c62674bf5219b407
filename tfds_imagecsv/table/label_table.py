"""The label table: which image has which label."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions, garbage_collection
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.options import parse_template
from tfds_imagecsv.problems import Kind, Problem
from tfds_imagecsv.table import (
    classes,
    columns,
    extra_columns,
    filenames,
    label_types,
    split_names,
    tables,
)

# The columns of a label table.
_ROWS = ["row", "key", "label", "group", "given"]

# How many rows of a CSV are taken at once.
_BATCH = 4096

_FIRST = operator.itemgetter(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The usable rows of a label CSV, and what is wrong with the others.

    Attributes:
      rows: a row for each usable row of the CSV, sorted by key, with the columns
        `row` (int64: its number in the CSV; the header is row 1), `key` (str: the
        image's path relative to the image directory, with `/` between folders,
        unique), `label` (str: the class name as written, without the white space
        around it, or what `label_types.Parsed` has as its text; empty for none), `group`
        (str: empty for none) and `given` (str: the split that the CSV gives it, empty
        for none). Labels of other types than classes are in `target` besides (see
        `label_types.Parsed`), and each extra column is in one whose name begins with
        `extra_columns.PREFIX`.
      filename_header: the name of the column with the file names, or what the template
        makes of the names of its columns.
      class_names: the names of the classes in the order of their ids.
      class_columns: the names of the columns of 0 and 1, each a class; None if the
        names of classes are in cells.
      extra_columns: the types of the extra columns, by name.
      problems: what is wrong with the rows that aren't in `rows`.
    """

    rows: pd.DataFrame
    filename_header: str
    class_names: tuple[str, ...]
    class_columns: tuple[str, ...] | None
    extra_columns: Mapping[str, str]
    problems: tuple[Problem, ...]
    about_classes: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def total_rows(self) -> int:
        """How many rows the table has, without blank ones and the header."""
        return len(self.rows) + len(self.problems)


def read_label_table(
    config: ImageCsvConfig, label_csv: epath.Path, class_csv: epath.Path | None
) -> LabelTable:
    """Reads the CSV as a config says, and the classes that it gives.

    Args:
      config: what the user says about columns, file names and classes.
      label_csv: where the config's `label_csv` is.
      class_csv: where the config's `class_csv` is, if it has one.

    Raises:
      SourceError: if a CSV can't be used.
    """
    class_list = classes.ClassList(names=tuple(config.classes or ()), about={})
    if class_csv is not None:
        class_list = classes.read_classes(class_csv)
    table = read_labels(
        label_csv,
        filename_column=config.filename_column,
        label_column=config.label_column,
        label_type=config.label_type,
        label_delimiter=config.label_delimiter,
        group_column=config.group_column,
        split_column=config.split_column,
        extra=config.extra_columns,
        filename_suffix=config.filename_suffix,
        filename_template=config.filename_template,
        classes=class_list.names or None,
    )
    return dataclasses.replace(table, about_classes=class_list.about)


@garbage_collection.paused()
def read_labels(
    path: epath.Path,
    *,
    filename_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    label_type: str = "class",
    label_delimiter: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    extra: Mapping[str, str] | str | None = None,
    filename_suffix: str = "",
    filename_template: str | None = None,
    classes: Sequence[str] | None = None,
) -> LabelTable:
    """Reads a label CSV, or another table that `tables.read_table` reads.

    White space around cells is dropped, blank rows are passed over. Labels are names,
    unless `label_type` says otherwise, never numbers, booleans or missing values:
    `001`, `true` and `NA` stay as they are written.

    Args:
      path: the CSV.
      filename_column: the name of the column with the images' file names; default
        the first column.
      label_column: the name of the column with the labels, or the names of several;
        default the second column.
      label_type: one of `options.LABEL_TYPES`.
      label_delimiter: what is between the labels of a cell; default: the columns have
        0 and 1 if the type is "multilabel".
      group_column: the name of the column with the groups; default none.
      split_column: the name of the column with the splits; default none. `val`,
        `valid` and `dev` stand for `validation`, `training` for `train`, `testing`
        for `test`, in upper or lower case; other names stay as they are. In a split
        named `unlabeled`, a label may be empty.
      extra: the types of further columns, by name; `options.ALL_COLUMNS` for all that
        nothing else names, with the types that fit; default none.
      filename_suffix: what to append to each file name, such as `".png"`.
      filename_template: how file names are made of columns, see `options.parse_template`, in
        the place of `filename_column`; default none.
      classes: the class names in the order of their ids; default the names found,
        sorted by code point, or those of the columns of 0 and 1.

    Returns:
      The table of the rows that can be used, and the problems of the others.

    Raises:
      SourceError: if no row can be read: there is no such file, it isn't text, it
        has no rows, or not the columns asked for.
    """
    table = tables.read_table(path, "label_csv", list_delimiter=label_delimiter)
    header, records, number = table.header, table.records, table.first - 1
    template = None if filename_template is None else parse_template(filename_template)
    position_of = columns.find_columns(
        path,
        header,
        **({"filename_column": filename_column} if template is None else {}),
        **columns.label_fields(label_type, label_column),
        group_column=group_column,
        split_column=split_column,
    )
    label_fields = [field for field in position_of if field.startswith("label_column")]
    label_headers = [header[position_of[field]] for field in label_fields]
    is_indicated = label_type == "multilabel" and label_delimiter is None
    if is_indicated and classes is not None and set(classes) != set(label_headers):
        raise exceptions.SourceError(
            f"classes and label_column must have the same names, got {list(classes)}"
            f" and {label_headers}"
        )
    if template is None:
        of_filename = {"filename_column": position_of["filename_column"]}
    else:
        of_filename = dict(filenames.positions(template, path, header))
        position_of |= of_filename
    to_filename = template.fill if template else _FIRST
    positions = list(of_filename.values())
    extra_positions = columns.find_extra_columns(
        path, header, extra, set(position_of.values())
    )
    position_of |= extra_positions
    key_of = functools.partial(
        _key, positions=positions, to_filename=to_filename, suffix=filename_suffix
    )
    problems: list[Problem] = []
    numbers: list[int] = []
    cells_of: dict[str, list[str]] = {field: [] for field in position_of}
    # Column by column, which is faster than row by row.
    while batch := list(itertools.islice(records, _BATCH)):
        batch_numbers: Sequence[int] = range(number + 1, number + 1 + len(batch))
        number += len(batch)
        if set(map(len, batch)) != {len(header)} or not all(map(_FIRST, batch)):
            batch_numbers, batch = _whole_rows(
                batch_numbers, batch, len(header), key_of, problems
            )
        numbers += batch_numbers
        by_column = list(zip(*batch, strict=True))
        for field, position in position_of.items():
            if batch:
                cells_of[field] += map(str.strip, by_column[position])
    if not numbers and not problems:
        raise exceptions.SourceError(
            f"label_csv {path}: there are no rows below the header {header}. Give each"
            " image a row with its file name and its label."
        )

    by_row = zip(*(cells_of[field] for field in of_filename), strict=True)
    names_of_files = list(map(to_filename, by_row))
    nothing = [""] * len(numbers)
    parsed = label_types.Parsed(nothing, None, {})
    if label_fields:
        parsed = label_types.parse(
            label_type,
            [cells_of[field] for field in label_fields],
            label_headers,
            delimiter=label_delimiter,
            known=None if classes is None or is_indicated else frozenset(classes),
        )
    rows: dict[str, Sequence[Any]] = {
        "row": numbers,
        "filename": names_of_files,
        "key": filenames.keys_of(names_of_files, filename_suffix),
        "label": parsed.texts,
        "group": cells_of.get("group_column", nothing),
        "given": nothing,
    }
    if "split_column" in cells_of:
        rows["given"] = list(map(split_names.split_name, cells_of["split_column"]))
    of_extra = _parse_extra(
        {name: cells_of[name] for name in extra_positions}, extra or {}
    )
    found = _problems_of_rows(rows, label_type, parsed.problems, of_extra.problems)
    problems += found.values()
    usable = [at for at in range(len(numbers)) if at not in found]
    usable.sort(key=rows["key"].__getitem__)
    by_key = np.array(usable, np.int64)
    # Objects, since most of what follows goes through them one by one.
    kept = {name: rows[name] for name in _ROWS} | of_extra.columns
    if parsed.values is not None:
        kept["target"] = parsed.values
    usable_rows = pd.DataFrame(
        {
            name: pd.Series("", index=range(len(by_key)), dtype=object)
            if values is nothing
            else pd.Series(
                np.fromiter(values, object, len(numbers))[by_key], dtype=object
            )
            for name, values in kept.items()
        }
    ).astype({"row": np.int64})
    class_columns = tuple(label_headers) if is_indicated else None
    names = classes or label_types.class_names(label_type, usable_rows, class_columns)
    return LabelTable(
        rows=usable_rows,
        filename_header=to_filename([header[at] for at in positions]),
        class_names=tuple(names),
        class_columns=class_columns,
        extra_columns=of_extra.dtypes,
        problems=tuple(sorted(problems, key=lambda problem: problem.row)),
    )


def _whole_rows(
    numbers: Sequence[int],
    batch: list[list[str]],
    width: int,
    key_of: Callable[[list[str]], str],
    problems: list[Problem],
) -> tuple[list[int], list[list[str]]]:
    """Returns the rows that are neither blank nor ragged, and their numbers.

    Ragged ones are added to the problems, with the key that their cells give them.
    """
    whole = []
    for number, cells in zip(numbers, batch, strict=True):
        if not tables.is_filled(cells):
            continue
        if len(cells) == width:
            whole.append((number, cells))
        else:
            noun = "cell" if len(cells) == 1 else "cells"
            detail = f"{len(cells)} {noun} under {width} headers: {cells[:4]}"
            problems.append(Problem(Kind.RAGGED, number, detail, key=key_of(cells)))
    return [number for number, _ in whole], [cells for _, cells in whole]


def _key(
    cells: list[str],
    *,
    positions: Sequence[int],
    to_filename: Callable[[Sequence[str]], str],
    suffix: str,
) -> str:
    """Returns the key of a row's image; empty if the row hasn't the cells for it."""
    is_there = max(positions) < len(cells)
    name = to_filename([cells[at].strip() for at in positions]) if is_there else ""
    return filenames.keys_of([name], suffix)[0] if name else ""


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
            detail = f"{_shortened(cells[at])!r} in {name!r}, which is {dtype},"
            found.problems.setdefault(at, (Kind.EXTRA_CELL, detail))
    return found


def _problems_of_rows(
    rows: Mapping[str, Sequence[Any]],
    label_type: str,
    of_labels: Mapping[int, tuple[Kind, str]],
    of_extra: Mapping[int, tuple[Kind, str]],
) -> dict[int, Problem]:
    """Returns the first problem of each row that has one, by the row's position."""
    found: dict[int, Problem] = {}

    def check(kind: Kind, bad: Iterable[int], detail: Callable[..., str]) -> None:
        for at in bad:
            if at not in found:
                values = {name: column[at] for name, column in rows.items()}
                row = values.pop("row")
                found[at] = Problem(
                    kind,
                    row,
                    detail(**values),
                    key=values["key"] if values["filename"] else "",
                    label=values["label"],
                    group=values["group"],
                    given=values["given"],
                )

    # Each check is a loop of its own: with millions of rows, calls count.
    check(
        Kind.NO_FILENAME,
        _empty(rows["filename"]),
        lambda label, **_: f"the label is {label!r}",
    )
    check(
        Kind.NO_LABEL,
        [
            at
            for at in _empty(rows["label"])
            if label_type != "none" and rows["given"][at] != split_names.UNLABELED
        ],
        lambda filename, **_: repr(filename),
    )
    for column in ("filename", "label", "group", "given"):
        check(
            Kind.LINE_BREAK,
            # TFDS keeps the class names in a file with one name a line.
            _with_line_break(rows[column]),
            lambda column=column, **values: repr(_shortened(values[column])),
        )
    for of_cells in (of_labels, of_extra):
        for at, (kind, detail) in of_cells.items():
            check(
                kind,
                [at],
                lambda filename, detail=detail, **_: f"{detail} for {filename!r}",
            )
    check(
        Kind.SPLIT_NAME,
        [
            at
            for at, name in enumerate(rows["given"] if any(rows["given"]) else ())
            if name and not split_names.is_split_name(name)
        ],
        lambda given, filename, **_: f"{given!r} for {filename!r}",
    )
    check(
        Kind.OUTSIDE,
        # In their shortest form, none but these are odd.
        filenames.odd_paths(rows["key"]),
        lambda filename, **_: repr(filename),
    )
    first_of: dict[str, int] = {}
    are_unique = len(set(rows["key"])) == len(rows["key"])
    check(
        Kind.REPEATED,
        [
            at
            for at, key in enumerate([] if are_unique else rows["key"])
            if first_of.setdefault(key, at) != at and at not in found
        ],
        lambda key, **_: f"{key!r} is in row {rows['row'][first_of[key]]} already",
    )
    return found


def _with_line_break(column: Sequence[str]) -> list[int]:
    """Returns the positions of the cells that have a line break."""
    whole = "".join(column)  # quickly searched, and there is mostly none
    if "\n" not in whole and "\r" not in whole:
        return []
    return [at for at, text in enumerate(column) if "\n" in text or "\r" in text]


def _empty(column: Sequence[str]) -> list[int]:
    """Returns the positions of the cells that are empty; mostly there is none."""
    if all(column):
        return []
    return [at for at, text in enumerate(column) if not text]


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
