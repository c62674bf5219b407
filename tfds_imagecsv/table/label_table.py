"""The label table: which image has which label."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
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
    row_problems,
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
        around it, or the text of `label_types.Parsed`; empty for none), `group` (str:
        empty for none) and `given` (str: the split that the CSV gives it, empty for
        none). Labels that aren't classes are also in `target` (see
        `label_types.Parsed`). Each extra column is in one whose name begins with
        `extra_columns.PREFIX`.
      filename_header: the name of the column with the file names, or what the template
        makes of the names of its columns.
      class_names: the names of the classes in the order of their ids.
      class_columns: the names of the columns of 0 and 1, each a class; None if the
        names of classes are in cells.
      extra_columns: the types of the extra columns, by name.
      problems: what is wrong with the rows that aren't in `rows`.
      about_classes: further columns of the class CSV, by class name and by header.
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
      filename_template: how columns make file names, see `options.parse_template`,
        in place of `filename_column`; default none.
      classes: the class names in the order of their ids; default the names found,
        sorted by code point, or those of the columns of 0 and 1.

    Returns:
      The table of the rows that can be used, and the problems of the others.

    Raises:
      SourceError: if no row can be read: there is no such file, it isn't text, it
        has no rows, or not the columns asked for.
    """
    table = tables.read_table(path, "label_csv", list_delimiter=label_delimiter)
    found = _find_columns(
        path,
        table.header,
        filename_column=filename_column,
        filename_template=filename_template,
        filename_suffix=filename_suffix,
        label_type=label_type,
        label_column=label_column,
        group_column=group_column,
        split_column=split_column,
        extra=extra,
    )
    is_indicated = label_type == "multilabel" and label_delimiter is None
    if is_indicated:
        _check_indicators(classes, found.label_headers)
    cells = _read_cells(table, found)
    if not cells.numbers and not cells.problems:
        raise exceptions.SourceError(
            f"label_csv {path}: there are no rows below the header {table.header}. Give"
            " each image a row with its file name and its label."
        )
    labels = label_types.Parsed([""] * len(cells.numbers), None, {})
    if found.label_headers:
        labels = label_types.parse(
            label_type,
            [cells.by_field[field] for field in found.label_fields],
            found.label_headers,
            delimiter=label_delimiter,
            known=None if classes is None or is_indicated else frozenset(classes),
        )
    of_extra = _parse_extra(
        {name: cells.by_field[name] for name in found.extra_fields}, extra or {}
    )
    rows = _as_rows(cells, found, labels.texts)
    bad = row_problems.problems_of_rows(
        rows, label_type, labels.problems, of_extra.problems
    )
    usable = _usable_rows(rows, bad, labels.values, of_extra.columns)
    class_columns = tuple(found.label_headers) if is_indicated else None
    names = classes or label_types.class_names(label_type, usable, class_columns)
    problems = [*cells.problems, *bad.values()]
    return LabelTable(
        rows=usable,
        filename_header=found.filename_header,
        class_names=tuple(names),
        class_columns=class_columns,
        extra_columns=of_extra.dtypes,
        problems=tuple(sorted(problems, key=lambda problem: problem.row)),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Columns:
    """Which column is what.

    Attributes:
      header: the names of all columns.
      position_of: the positions of the columns that are used, by the field that names
        them; of extra columns, by their names with `extra_columns.PREFIX`.
      filename_fields: the fields of `position_of` that make the file name.
      to_filename: returns the file name that their cells make.
      filename_suffix: what is appended to it.
      label_fields: the fields of the columns with the labels.
      extra_fields: the fields of the extra columns.
    """

    header: list[str]
    position_of: Mapping[str, int]
    filename_fields: Sequence[str]
    to_filename: Callable[[Sequence[str]], str]
    filename_suffix: str
    label_fields: Sequence[str]
    extra_fields: Sequence[str]

    @property
    def label_headers(self) -> list[str]:
        """The names of the columns with the labels."""
        return [self.header[self.position_of[field]] for field in self.label_fields]

    @property
    def filename_header(self) -> str:
        """The name of the column with the file names, or what the template makes."""
        positions = [self.position_of[field] for field in self.filename_fields]
        return self.to_filename([self.header[at] for at in positions])

    def key_of(self, cells: Sequence[str]) -> str:
        """Returns the key of a row's image; empty if the row lacks the cells for it."""
        positions = [self.position_of[field] for field in self.filename_fields]
        if max(positions) >= len(cells):
            return ""
        name = self.to_filename([cells[at].strip() for at in positions])
        return filenames.keys_of([name], self.filename_suffix)[0] if name else ""


def _find_columns(
    path: epath.Path,
    header: list[str],
    *,
    filename_column: str | None,
    filename_template: str | None,
    filename_suffix: str,
    label_type: str,
    label_column: str | Sequence[str] | None,
    group_column: str | None,
    split_column: str | None,
    extra: Mapping[str, str] | str | None,
) -> _Columns:
    template = None if filename_template is None else parse_template(filename_template)
    position_of = columns.find_columns(
        path,
        header,
        **({"filename_column": filename_column} if template is None else {}),
        **columns.label_fields(label_type, label_column),
        group_column=group_column,
        split_column=split_column,
    )
    filename_fields = ["filename_column"]
    if template is not None:
        of_template = dict(filenames.positions(template, path, header))
        filename_fields = list(of_template)
        position_of |= of_template
    of_extra = columns.find_extra_columns(
        path, header, extra, set(position_of.values())
    )
    return _Columns(
        header=header,
        position_of=position_of | of_extra,
        filename_fields=filename_fields,
        to_filename=_FIRST if template is None else template.fill,
        filename_suffix=filename_suffix,
        label_fields=[field for field in position_of if field.startswith("label_col")],
        extra_fields=list(of_extra),
    )


def _check_indicators(classes: Sequence[str] | None, headers: list[str]) -> None:
    """Refuses classes that aren't the columns of 0 and 1."""
    if classes is not None and set(classes) != set(headers):
        raise exceptions.SourceError(
            f"classes and label_column must have the same names, got {list(classes)}"
            f" and {headers}"
        )


class _Cells(NamedTuple):
    """The cells of the rows that are whole.

    Attributes:
      numbers: the rows' numbers.
      by_field: the cells of each column of `_Columns.position_of`, stripped.
      problems: the rows that have more or fewer cells than the header.
    """

    numbers: list[int]
    by_field: dict[str, list[str]]
    problems: list[Problem]


def _read_cells(table: tables.Table, of: _Columns) -> _Cells:
    """Reads the rows, but those that are blank."""
    found = _Cells([], {field: [] for field in of.position_of}, [])
    records, number = table.records, table.first - 1
    # Column by column, which is faster than row by row.
    while batch := list(itertools.islice(records, _BATCH)):
        numbers: Sequence[int] = range(number + 1, number + 1 + len(batch))
        number += len(batch)
        if set(map(len, batch)) != {len(of.header)} or not all(map(_FIRST, batch)):
            numbers, batch = _whole_rows(numbers, batch, of, found.problems)
        found.numbers.extend(numbers)
        by_column = list(zip(*batch, strict=True))
        for field, position in of.position_of.items():
            if batch:
                found.by_field[field] += map(str.strip, by_column[position])
    return found


def _whole_rows(
    numbers: Sequence[int],
    batch: list[list[str]],
    of: _Columns,
    problems: list[Problem],
) -> tuple[list[int], list[list[str]]]:
    """Returns the rows that are neither blank nor ragged, and their numbers.

    Ragged ones are added to the problems, with the key that their cells give them.
    """
    whole, width = [], len(of.header)
    for number, cells in zip(numbers, batch, strict=True):
        if not tables.is_filled(cells):
            continue
        if len(cells) == width:
            whole.append((number, cells))
        else:
            noun = "cell" if len(cells) == 1 else "cells"
            detail = f"{len(cells)} {noun} under {width} headers: {cells[:4]}"
            problems.append(Problem(Kind.RAGGED, number, detail, key=of.key_of(cells)))
    return [number for number, _ in whole], [cells for _, cells in whole]


def _as_rows(
    cells: _Cells, of: _Columns, labels: Sequence[str]
) -> dict[str, Sequence[Any]]:
    """Returns what each row says: the columns of `LabelTable.rows`, and `filename`."""
    by_row = zip(*(cells.by_field[field] for field in of.filename_fields), strict=True)
    names = list(map(of.to_filename, by_row))
    nothing = [""] * len(names)
    given = cells.by_field.get("split_column")
    return {
        "row": cells.numbers,
        "filename": names,
        "key": filenames.keys_of(names, of.filename_suffix),
        "label": labels,
        "group": cells.by_field.get("group_column", nothing),
        "given": nothing if given is None else list(map(split_names.split_name, given)),
    }


def _usable_rows(
    rows: Mapping[str, Sequence[Any]],
    bad: Mapping[int, Problem],
    targets: Sequence[Any] | None,
    of_extra: Mapping[str, Sequence[Any]],
) -> pd.DataFrame:
    """Returns `LabelTable.rows`: those without problems, sorted by key."""
    count = len(rows["row"])
    usable = [at for at in range(count) if at not in bad]
    usable.sort(key=rows["key"].__getitem__)
    by_key = np.array(usable, np.int64)
    kept = {**{name: rows[name] for name in _ROWS}, **of_extra}
    if targets is not None:
        kept["target"] = targets
    # Objects, since most of what follows goes through them one by one.
    return pd.DataFrame(
        {
            name: pd.Series(np.fromiter(values, object, count)[by_key], dtype=object)
            for name, values in kept.items()
        }
    ).astype({"row": np.int64})


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
