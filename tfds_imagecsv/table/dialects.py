"""What separates the cells of a text: its header and its lines tell.

The reader is `csv.reader`, as RFC 4180 has it; blanks are split as `str.split` does.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from tfds_imagecsv import arrays, exceptions

if TYPE_CHECKING:
    import _csv

#: A function that reads the rows, and how many rows have how many cells.
CsvRows = tuple[Callable[[], Iterator[list[str]]], collections.Counter[int]]

#: Runs of blanks and tabs.
BLANKS = " "

_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", BLANKS: "blanks"}

#: Those that are found by evidence.
CANDIDATES = (",", ";", "\t", "|")

#: The characters of a long text in which its first row is looked for.
BEGINNING = 1 << 14

#: How many characters a text must have at least for Arrow to be the faster one.
LEAST_PLAIN = 1 << 16

# How many columns it may have, and how many rows are looked at together.
_MOST_PLAIN = 1000
_BATCH = 4096

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
      usual: the one of files with this name; it is taken if nothing else decides.
      names_file: whether a cell names a file.

    Raises:
      SourceError: if two are equally good.
    """
    widths = {one: len(first_row(text, one)) for one in CANDIDATES}
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


def first_row(text: str, delimiter: str) -> list[str]:
    """Returns the first filled row; of a long text, its beginning mostly has it."""
    beginning = text[:BEGINNING].strip()
    if "\n" in beginning and '"' not in beginning:
        text = beginning
    try:
        rows = _parse(text, delimiter, strict=False)
        return next((row for row in rows if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []


def fits(text: str, delimiter: str) -> bool:
    """Returns whether the header and all rows have as many cells, two or more."""
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


def rows_of(text: str, delimiter: str, place: str) -> CsvRows:
    """Returns the rows of a text.

    Args:
      text: the table.
      delimiter: what is between its cells.
      place: what it is, for messages.

    Raises:
      SourceError: if the text can't be split into cells.
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


@dataclasses.dataclass(frozen=True)
class PlainRows:
    """The rows of a text without quotes, all with the same number of cells.

    Arrow splits it into cells, on all cores. Most tables are such texts.

    Attributes:
      table: all rows, also the first, as columns of texts.
    """

    table: pa.Table

    @classmethod
    def of(cls, text: str, delimiter: str) -> PlainRows | None:
        """Returns the rows of a text; None if it isn't such a text.

        Args:
          text: the table.
          delimiter: what is between its cells.
        """
        width = len(first_row(text, delimiter))
        # Of fewer characters, `csv` is faster.
        if len(text) < LEAST_PLAIN:
            return None
        try:
            content = text.encode()
        except UnicodeEncodeError:
            return None
        return cls.of_file(io.BytesIO(content), delimiter, width)

    @classmethod
    def of_file(cls, file: IO[bytes], delimiter: str, width: int) -> PlainRows | None:
        """Returns the rows of a file, which is never in memory as a whole.

        Args:
          file: the file, open at its beginning.
          delimiter: what is between its cells.
          width: how many cells its first row has.
        """
        if delimiter == BLANKS or not 0 < width <= _MOST_PLAIN:
            return None
        names = [str(at) for at in range(width)]
        checked = _Checked(file)
        try:
            table = pa_csv.read_csv(
                pa.PythonFile(checked, "r"),
                read_options=pa_csv.ReadOptions(column_names=names),
                parse_options=pa_csv.ParseOptions(
                    delimiter=delimiter, quote_char=False, ignore_empty_lines=False
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, arrays.TEXT),
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowException, _NotPlainError):
            return None  # a row has more or fewer cells, or it isn't UTF-8
        if not checked.is_plain():
            return None
        longest = max(
            pc.max(pc.binary_length(column)).as_py() for column in table.columns
        )
        # `csv` refuses longer cells.
        return cls(table) if longest <= csv.field_size_limit() else None

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.table.num_columns)

    @property
    def count(self) -> int:
        """The number of rows, with the first."""
        return int(self.table.num_rows)

    def records(self) -> Iterator[list[str]]:
        """Yields the cells of each row, from the first on."""
        for batch in self.table.to_batches(max_chunksize=_BATCH):
            yield from map(list, zip(*batch.to_pydict().values(), strict=True))

    def column(self, at: int) -> pa.ChunkedArray:
        """Returns the cells of a column, without that of the first row."""
        return self.table.column(at).slice(1)


class _NotPlainError(Exception):
    """A file has something that Arrow doesn't read as `csv` does."""


class _Checked(io.RawIOBase):
    """A file for Arrow to read; fails at a byte that Arrow doesn't read as `csv` does.

    Args:
      file: the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._returns = 0
        self._line_ends = 0
        self._last = b""

    def readable(self) -> bool:
        """Returns that it is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Returns the next bytes."""
        block = self._file.read(size)
        if b'"' in block or b"\0" in block:
            raise _NotPlainError
        self._returns += block.count(b"\r")
        self._line_ends += block.count(b"\r\n")
        self._line_ends += self._last == b"\r" and block[:1] == b"\n"
        self._last = block[-1:] or self._last
        return block

    def is_plain(self) -> bool:
        """Returns whether no line that was read ends with a carriage return alone."""
        return self._returns == self._line_ends


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
