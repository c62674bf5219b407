"""The label CSV: which image has which label."""

from __future__ import annotations

import collections
import csv
import dataclasses
import functools
import io
import itertools
import operator
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions, filenames, gc_pause
from tfds_imagecsv.problems import Kind, Problem

if TYPE_CHECKING:
    import _csv

#: The split whose rows may be without a label.
UNLABELED = "unlabeled"

# The columns of a label table.
_ROWS = ["row", "key", "label", "group", "given"]

# How many rows of a CSV are taken at once.
_BATCH = 4096

_DEFAULT_POSITIONS = {"filename_column": 0, "label_column": 1}

_SYNONYMS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}

# What TFDS can write into a file's name and read in `split="NAME[:10%]"` (its
# `core/naming.py` and `core/splits.py`); `all` it reserves.
_SPLIT = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_\-]{1,100}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The usable rows of a label CSV, and what is wrong with the others.

    Attributes:
      rows: a row for each usable row of the CSV, sorted by key, with the columns
        `row` (int64: its number in the CSV; the header is row 1), `key` (str: the
        image's path relative to the image directory, with `/` between folders,
        unique), `label` (str: the class name as written, without the white space
        around it; empty for none), `group` (str: empty for none) and `given` (str:
        the split that the CSV gives it, empty for none).
      filename_header: the name of the column with the file names, or what the template
        makes of the names of its columns.
      class_names: the names of the classes in the order of their ids.
      problems: what is wrong with the rows that aren't in `rows`.
    """

    rows: pd.DataFrame
    filename_header: str
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]


@gc_pause.paused_gc()
def read_labels(
    path: epath.Path,
    *,
    filename_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    filename_suffix: str = "",
    filename_template: str | None = None,
    classes: Sequence[str] | None = None,
) -> LabelTable:
    """Reads a label CSV.

    The CSV has a header, commas between its cells and UTF-8 text, with or without
    a byte-order mark; cells are quoted as RFC 4180 has it. White space around
    cells is dropped, blank rows are passed over. Labels are names, never numbers,
    booleans or missing values: `001`, `true` and `NA` stay as they are written.

    Args:
      path: the CSV.
      filename_column: the name of the column with the images' file names; default
        the first column.
      label_column: the name of the column with the labels; default the second
        column.
      group_column: the name of the column with the groups; default none.
      split_column: the name of the column with the splits; default none. `val`,
        `valid` and `dev` stand for `validation`, `training` for `train`, `testing`
        for `test`, in upper or lower case; other names stay as they are. In a split
        named `unlabeled`, a label may be empty.
      filename_suffix: what to append to each file name, such as `".png"`.
      filename_template: how file names are made of columns, see `filenames.parse`, in
        the place of `filename_column`; default none.
      classes: the class names in the order of their ids; default the names found,
        sorted by code point.

    Returns:
      The table of the rows that can be used, and the problems of the others.

    Raises:
      SourceError: if no row can be read: there is no such file, it isn't text, it
        has no rows, or not the columns asked for.
    """
    records = _records(path)
    number = 0
    header: list[str] = []
    while not _is_filled(header) and (cells := next(records, None)) is not None:
        number += 1
        header = cells
    header = [name.strip() for name in header]
    template = None if filename_template is None else filenames.parse(filename_template)
    columns = _columns(
        path,
        header,
        **({"filename_column": filename_column} if template is None else {}),
        label_column=label_column,
        group_column=group_column,
        split_column=split_column,
    )
    if template is None:
        of_filename = {"filename_column": columns["filename_column"]}
    else:
        of_filename = dict(template.positions(path, header))
        columns |= of_filename
    to_filename = template.fill if template else operator.itemgetter(0)
    positions = list(of_filename.values())
    key_of = functools.partial(
        _key, positions=positions, to_filename=to_filename, suffix=filename_suffix
    )
    problems: list[Problem] = []
    numbers: list[int] = []
    cells_of: dict[str, list[str]] = {field: [] for field in columns}
    # Column by column, which is faster than row by row.
    while batch := list(itertools.islice(records, _BATCH)):
        batch_numbers: Sequence[int] = range(number + 1, number + 1 + len(batch))
        number += len(batch)
        if not all(len(cells) == len(header) and cells[0] for cells in batch):
            batch_numbers, batch = _whole_rows(
                batch_numbers, batch, len(header), key_of, problems
            )
        numbers += batch_numbers
        by_column = list(zip(*batch, strict=True))
        for field, position in columns.items():
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
    rows: dict[str, list[Any]] = {
        "row": numbers,
        "filename": names_of_files,
        "key": [_normalized(name + filename_suffix) for name in names_of_files],
        "label": cells_of["label_column"],
        "group": cells_of.get("group_column", nothing),
        "given": nothing,
    }
    if "split_column" in cells_of:
        split_names = cells_of["split_column"]
        rows["given"] = [split_name(name) for name in split_names]
    found = _problems_of_rows(rows, None if classes is None else frozenset(classes))
    problems += found.values()
    usable = [at for at in range(len(numbers)) if at not in found]
    usable.sort(key=rows["key"].__getitem__)
    by_key = np.array(usable, np.int64)
    # Objects, since most of what follows goes through them one by one.
    table = {
        name: pd.Series("", index=range(len(by_key)), dtype=object)
        if rows[name] is nothing
        else pd.Series(np.array(rows[name], dtype=object)[by_key], dtype=object)
        for name in _ROWS
    }
    names = sorted(set(table["label"]) - {""}) if classes is None else classes
    return LabelTable(
        rows=pd.DataFrame(table).astype({"row": np.int64}),
        filename_header=to_filename([header[at] for at in positions]),
        class_names=tuple(names),
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
        if not _is_filled(cells):
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
    return _normalized(name + suffix) if name else ""


def _is_filled(cells: list[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _problems_of_rows(
    rows: Mapping[str, list[Any]], known: frozenset[str] | None
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
        [at for at, name in enumerate(rows["filename"]) if not name],
        lambda label, **_: f"the label is {label!r}",
    )
    check(
        Kind.NO_LABEL,
        [
            at
            for at, label in enumerate(rows["label"])
            if not label and rows["given"][at] != UNLABELED
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
    if known is not None:
        check(
            Kind.UNKNOWN_CLASS,
            [
                at
                for at, label in enumerate(rows["label"])
                if label and label not in known
            ],
            lambda label, filename, **_: f"{label!r} for {filename!r}",
        )
    check(
        Kind.SPLIT_NAME,
        [
            at
            for at, name in enumerate(rows["given"])
            if name and not is_split_name(name)
        ],
        lambda given, filename, **_: f"{given!r} for {filename!r}",
    )
    check(
        Kind.OUTSIDE,
        [at for at, key in enumerate(rows["key"]) if key[0] in "/." and _leaves(key)],
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


def _normalized(name: str) -> str:
    """Returns a path in its shortest form; most names have no folder and are in it."""
    return posixpath.normpath(name) if "/" in name or name in ("", ".") else name


def _leaves(key: str) -> bool:
    """Returns whether a normalized path leaves the directory it is relative to."""
    return key.startswith(("/", "../")) or key in (".", "..")


def split_name(name: str) -> str:
    """Returns the usual name of a split for its synonyms, and others as they are."""
    return _SYNONYMS.get(name.lower(), name)


def is_split_name(name: str) -> bool:
    """Returns whether TFDS can read a split of this name."""
    return bool(_SPLIT.fullmatch(name)) and name.lower() != "all"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _columns(
    path: epath.Path,
    header: list[str],
    **names: str | None,
) -> dict[str, int]:
    """Returns the position of each column that is used, from 0, by the config's field.

    Args:
      path: the CSV.
      header: the names of its columns.
      **names: the name of the column for each field of the config; None for the
        default.

    Raises:
      SourceError: if there aren't such columns.
    """
    if not any(header):
        raise exceptions.SourceError(
            f"label_csv {path}: the file is empty. Its first row must be a header, such"
            " as 'filename,label', and each row below it an image."
        )
    if len(header) < 2:
        raise exceptions.SourceError(
            f"label_csv {path}: there is only one column, {header[0]!r}. Two are"
            " needed, for file names and labels, with a comma between them."
        )
    shown = ", ".join(map(repr, header))
    positions: dict[str, int] = {}
    for field, name in names.items():
        if name is None:
            if field in _DEFAULT_POSITIONS:
                positions[field] = _DEFAULT_POSITIONS[field]
            continue
        found = [at for at, column in enumerate(header) if column == name.strip()]
        if len(found) != 1:
            many = "no column has" if not found else f"{len(found)} columns have"
            raise exceptions.SourceError(
                f"{field}: {many} the name {name!r} in {path}. Its columns are: {shown}"
            )
        positions[field] = found[0]
    for (field, at), (other, at_other) in itertools.combinations(positions.items(), 2):
        if at == at_other:
            raise exceptions.SourceError(
                f"{field} and {other} are both {header[at]!r} in {path}. Name two"
                " columns (filename_column defaults to the first, label_column to the"
                f" second) among: {shown}"
            )
    return positions


def _records(path: epath.Path) -> Iterator[list[str]]:
    """Returns an iterator over the cells of each row, with the header.

    Raises:
      SourceError: if the file can't be read as text or as CSV.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise exceptions.SourceError(f"label_csv {path}: no such file.") from None
    except OSError as error:
        raise exceptions.SourceError(
            f"label_csv {path}: it can't be read: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise exceptions.SourceError(
            f"label_csv {path}: line {line} isn't UTF-8 (byte"
            f" {error.object[error.start]:#04x}). Save the file as 'CSV UTF-8'."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise exceptions.SourceError(
            f"label_csv {path}: line {line} has a zero byte, so it isn't UTF-8 text."
            " Save the file as 'CSV UTF-8'."
        )
    strict = True
    try:
        # Not kept: a million lists are slow to make.
        collections.deque(_parse(text, True), maxlen=0)
    except csv.Error as error:
        # Strict parsing refuses white space after a quoted cell, which is
        # harmless, and a stray quote, which can swallow the rows below it. They
        # are told apart by the line breaks that come into a cell.
        strict = False
        if _has_line_breaks(text):
            raise exceptions.SourceError(
                f"label_csv {path}: line {_line_of_error(text)}: {error}. Close each"
                " quoted cell before the next comma, and write a quote within it twice."
            ) from None
    return _parse(text, strict)


def _has_line_breaks(text: str) -> bool:
    """Returns whether a cell has a line break, or would be too large."""
    try:
        return any(
            "\n" in cell or "\r" in cell
            for cells in _parse(text, False)
            for cell in cells
        )
    except csv.Error:
        return True


def _line_of_error(text: str) -> int:
    """Returns the line, from 1, at which the first row begins that can't be parsed."""
    reader = _parse(text, True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error:
        pass
    return line


def _parse(text: str, strict: bool) -> _csv.Reader:
    return csv.reader(
        io.StringIO(text, newline=""), skipinitialspace=True, strict=strict
    )
