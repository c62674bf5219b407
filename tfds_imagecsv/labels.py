"""The label CSV: which image has which label."""

from __future__ import annotations

import csv
import dataclasses
import io
import posixpath
from collections.abc import Iterator, Sequence

import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.problems import Kind, Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The usable rows of a label CSV, and what is wrong with the others.

    Attributes:
      rows: a row for each usable row of the CSV, sorted by key, with the columns
        `row` (int64: its number in the CSV; the header is row 1), `key` (str: the
        image's path relative to the image directory, with `/` between folders,
        unique) and `label` (str: the class name as written, without the white
        space around it).
      class_names: the names of the classes in the order of their ids.
      problems: what is wrong with the rows that aren't in `rows`.
    """

    rows: pd.DataFrame
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_labels(
    path: epath.Path,
    *,
    filename_column: str | None = None,
    label_column: str | None = None,
    filename_suffix: str = "",
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
      filename_suffix: what to append to each file name, such as `".png"`.
      classes: the class names in the order of their ids; default the names found,
        sorted by code point.

    Returns:
      The table of the rows that can be used, and the problems of the others.

    Raises:
      SourceError: if no row can be read: there is no such file, it isn't text, it
        has no rows, or not the columns asked for.
    """
    records = _records(path)
    header = next((cells for _, cells in records if _is_filled(cells)), [])
    header = [name.strip() for name in header]
    filename_at, label_at = _columns(path, header, filename_column, label_column)

    first_row_of: dict[str, int] = {}
    rows: list[tuple[int, str, str]] = []
    problems: list[Problem] = []
    known = None if classes is None else frozenset(classes)
    for row, cells in records:
        if not _is_filled(cells):
            continue
        if len(cells) != len(header):
            detail = f"{len(cells)} cells under {len(header)} headers: {cells[:4]}"
            problems.append(Problem(Kind.RAGGED, row, detail))
            continue
        filename, label = cells[filename_at].strip(), cells[label_at].strip()
        problem = _cell_problem(row, filename, label, known)
        if problem is not None:
            problems.append(problem)
            continue
        key = posixpath.normpath(filename + filename_suffix)
        if key.startswith(("/", "../")) or key in (".", ".."):
            problems.append(Problem(Kind.OUTSIDE, row, repr(filename)))
        elif first_row_of.setdefault(key, row) != row:
            detail = f"{key!r} is in row {first_row_of[key]} already"
            problems.append(Problem(Kind.REPEATED, row, detail))
        else:
            rows.append((row, key, label))

    if not rows and not problems:
        raise exceptions.SourceError(
            f"label_csv {path}: there are no rows below the header {header}. Give each"
            " image a row with its file name and its label."
        )
    rows.sort(key=lambda row_key_label: row_key_label[1])
    names = sorted({label for _, _, label in rows}) if classes is None else classes
    return LabelTable(
        rows=pd.DataFrame(rows, columns=["row", "key", "label"]),
        class_names=tuple(names),
        problems=tuple(problems),
    )


def _is_filled(cells: list[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _cell_problem(
    row: int, filename: str, label: str, known: frozenset[str] | None
) -> Problem | None:
    """Returns what is wrong with a row's two cells by themselves, if anything is."""
    if not filename:
        return Problem(Kind.NO_FILENAME, row, f"the label is {label!r}")
    if not label:
        return Problem(Kind.NO_LABEL, row, repr(filename))
    for cell in (filename, label):
        # TFDS keeps the class names in a file with one name a line.
        if "\n" in cell or "\r" in cell:
            shown = cell if len(cell) <= 60 else cell[:57] + "..."
            return Problem(Kind.LINE_BREAK, row, repr(shown))
    if known is not None and label not in known:
        return Problem(Kind.UNKNOWN_CLASS, row, f"{label!r} for {filename!r}")
    return None


def _columns(
    path: epath.Path,
    header: list[str],
    filename_column: str | None,
    label_column: str | None,
) -> tuple[int, int]:
    """Returns the positions of the file name's and the label's column.

    Raises:
      SourceError: if there aren't two such columns.
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
    positions = []
    for field, name, default in (
        ("filename_column", filename_column, 0),
        ("label_column", label_column, 1),
    ):
        if name is None:
            positions.append(default)
            continue
        found = [at for at, column in enumerate(header) if column == name.strip()]
        if len(found) != 1:
            many = "no column has" if not found else f"{len(found)} columns have"
            raise exceptions.SourceError(
                f"{field}: {many} the name {name!r} in {path}. Its columns are: "
                + ", ".join(map(repr, header))
            )
        positions += found
    if positions[0] == positions[1]:
        raise exceptions.SourceError(
            f"filename_column and label_column are both {header[positions[0]]!r} in"
            f" {path}. Name the two columns (filename_column defaults to the first,"
            " label_column to the second) among: " + ", ".join(map(repr, header))
        )
    return positions[0], positions[1]


def _records(path: epath.Path) -> Iterator[tuple[int, list[str]]]:
    """Yields each row's number, from 1, and its cells.

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
    try:
        records = _parse(text, strict=True)
    except csv.Error as error:
        # Strict parsing refuses white space after a quoted cell, which is
        # harmless, and a stray quote, which can swallow the rows below it. They
        # are told apart by the line breaks that come into a cell.
        try:
            records = _parse(text, strict=False)
        except csv.Error:
            records = []
        if not records or any("\n" in cell for cells in records for cell in cells):
            raise exceptions.SourceError(
                f"label_csv {path}: {error}. Close each quoted cell before the next"
                " comma, and write a quote within it twice."
            ) from None
    yield from enumerate(records, start=1)


def _parse(text: str, *, strict: bool) -> list[list[str]]:
    reader = csv.reader(
        io.StringIO(text, newline=""), skipinitialspace=True, strict=strict
    )
    try:
        return list(reader)
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from None
