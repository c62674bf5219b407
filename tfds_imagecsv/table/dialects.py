"""How the cells of a text are told from each other: by its header, and all its lines.

The reader is `csv.reader`, as RFC 4180 has it; blanks are split as `str.split` does.
"""

from __future__ import annotations

import collections
import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tfds_imagecsv import exceptions

if TYPE_CHECKING:
    import _csv

#: Runs of blanks and tabs.
BLANKS = " "

_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", BLANKS: "blanks"}

#: Those that are found by evidence.
CANDIDATES = (",", ";", "\t", "|")

# The rows in which a cell that names a file decides between two delimiters.
_SAMPLE = 100


def name_of(delimiter: str) -> str:
    """Returns a delimiter in words."""
    return _NAMES.get(delimiter, repr(delimiter))


def find_delimiter(
    text: str,
    place: str,
    *,
    usual: str,
    names_file: Callable[[str], bool] | None = None,
) -> str:
    """Returns what is between the cells.

    Commas, semicolons, tabs and pipes are tried. The header decides, if it has one of
    them; if it has several, the one by which all rows have as many cells as the header,
    and then the one by which a cell names a file.

    Args:
      text: the table.
      place: what it is, for messages.
      usual: that of files with this name, which is taken if nothing else decides.
      names_file: whether a cell names a file.

    Raises:
      SourceError: if two are equally good.
    """
    widths = {one: len(_first_row(text, one)) for one in CANDIDATES}
    found = [one for one in CANDIDATES if widths[one] > 1]
    if len(found) > 1:
        found = _confirmed(text, found, usual)
    if len(found) > 1 and names_file is not None:
        found = [one for one in found if _names_files(text, one, names_file)] or found
    if not found or usual in found:
        return usual
    if len(found) > 1:
        one, other = found[:2]
        flags = " or ".join(f"delimiter={delimiter!r}" for delimiter in (one, other))
        raise exceptions.SourceError(
            f"{place}: its cells may be separated by {_NAMES[one]}"
            f" ({widths[one]} columns) as well as by {_NAMES[other]} ({widths[other]}"
            f" columns). Add {flags}."
        )
    return found[0]


def _confirmed(text: str, found: Sequence[str], usual: str) -> list[str]:
    """Returns the delimiters by which most rows have the header's number of cells."""
    shares = {}
    for one in found:
        try:
            rows = (row for row in _parse(text, one, strict=False) if any(row))
            header = next(rows)
            counts = collections.Counter(map(len, rows))
        except (csv.Error, StopIteration):
            continue
        total = counts.total()
        shares[one] = counts[len(header)] / total if total else 1.0
    best = max(shares.values(), default=0.0)
    if best < 1 and usual in found:
        return [usual]  # the rows that it doesn't fit are problems
    return [one for one in shares if shares[one] == best] or list(found)


def _names_files(text: str, delimiter: str, names_file: Callable[[str], bool]) -> bool:
    """Returns whether a cell of the first rows names a file."""
    rows = itertools.islice(_parse(text, delimiter, strict=False), _SAMPLE)
    try:
        return any(names_file(cell.strip()) for row in rows for cell in row)
    except csv.Error:
        return False


def _first_row(text: str, delimiter: str) -> list[str]:
    try:
        rows = _parse(text, delimiter, strict=False)
        return next((row for row in rows if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []


def fits(text: str, delimiter: str) -> bool:
    """Returns whether there are a header and rows of several cells, all as many."""
    try:
        rows = (
            _split(text)
            if delimiter == BLANKS
            else _parse(text, delimiter, strict=True)
        )
        filled = (row for row in rows if any(cell.strip() for cell in row))
        header = next(filled, [])
        widths = set(map(len, filled))
    except csv.Error:
        return False
    # A column may lack its name.
    return len(header) > 1 and widths in ({len(header)}, {len(header) + 1})


def rows_of(
    text: str, delimiter: str, place: str
) -> tuple[Callable[[], Iterator[list[str]]], collections.Counter[int]]:
    """Returns a function that reads the rows, and how many rows have how many cells.

    Args:
      text: the table.
      delimiter: what is between its cells.
      place: what it is, for messages.

    Raises:
      SourceError: if the text can't be taken apart.
    """
    if delimiter == BLANKS:
        return lambda: _split(text), collections.Counter(map(len, _split(text)))
    strict = True
    try:
        widths = collections.Counter(map(len, _parse(text, delimiter, strict=True)))
    except csv.Error as error:
        # Strict parsing refuses white space after a quoted cell, which is
        # harmless, and a stray quote, which can swallow the rows below it. They
        # are told apart by the line breaks that come into a cell.
        strict = False
        if _has_line_breaks(_parse(text, delimiter, strict=False)):
            line = _line_of_error(_parse(text, delimiter, strict=True))
            raise exceptions.SourceError(
                f"{place}: line {line}: {error}. Close each quoted cell before the next"
                f" {name_of(delimiter)}, and write a quote within it twice."
            ) from None
        widths = collections.Counter(map(len, _parse(text, delimiter, strict=False)))
    return lambda: _parse(text, delimiter, strict=strict), widths


def _parse(text: str, delimiter: str, *, strict: bool) -> _csv.Reader:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=strict,
    )


def _split(text: str) -> Iterator[list[str]]:
    """Yields the cells between runs of blanks; those with blanks are in quotes."""
    for line in io.StringIO(text):
        if '"' in line:
            rows = csv.reader([" ".join(line.splitlines())], delimiter=" ")
            yield [cell for row in rows for cell in row if cell]
        else:
            yield line.split()


def _has_line_breaks(reader: _csv.Reader) -> bool:
    """Returns whether a cell has a line break, or would be too large."""
    try:
        return any("\n" in cell or "\r" in cell for cells in reader for cell in cells)
    except csv.Error:
        return True


def _line_of_error(reader: _csv.Reader) -> int:
    """Returns the line, from 1, at which the first row begins that can't be parsed."""
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error:
        pass
    return line
