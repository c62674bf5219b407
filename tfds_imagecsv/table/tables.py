"""Tables: a header, and rows of cells, which are texts, whatever the format."""

from __future__ import annotations

import collections
import dataclasses
import io
import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources import locate
from tfds_imagecsv.table import arrow_tables, dialects, json_lines, sheets, text

# What a file is by its name; all others are CSVs.
_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_TABS = (".tsv", ".tab")

# The most lines above a header that are looked at.
_MOST_SKIPPED = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A header, and the rows below it.

    Attributes:
      header: the names of the columns, without white space around them.
      first: the number of the first row; each row counts, also a blank one. A CSV's
        rows are numbered as spreadsheets do it, where the header is row 1, those of
        JSON Lines are lines, and those of Parquet begin with 1.
      records: returns the cells of each row, from the first on, at each call. Those of
        a CSV may have more or fewer cells than the header, and white space around them.
      column: returns the cells of a column, all at once, by its position; None where
        rows may have more or fewer cells than the header.
      first_row: the row that the header was taken from; None if the format has names
        for its columns, or the config says that there is, or isn't, a header.
      understood: what was concluded about the table, by what it is about.
      notes: the same in sentences, where it is unexpected.
    """

    header: list[str]
    first: int
    records: Callable[[], Iterator[list[str]]]
    column: Callable[[int], pa.Array | pa.ChunkedArray] | None = None
    first_row: Sequence[str] | None = None
    understood: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_table(
    source: Any,
    field: str,
    options: TableOptions | None = None,
    *,
    names_file: Callable[[str], bool] | None = None,
) -> Table:
    """Reads a table in the format that the end of its file's name tells.

    `.tsv` and `.tab` have tabs between their cells, `.jsonl` and `.ndjson` a JSON
    object a line, `.parquet` and `.pq` are Parquet, `.xlsx`, `.xls` and `.ods` are
    spreadsheets, and all others are CSVs, see `dialects`. Files may be compressed, see
    `text.decompress`. Text is UTF-8, or UTF-16 with a byte-order mark; cells are quoted
    as in RFC 4180. Cells that aren't texts become JSON's text of them, numbers with
    their digits as written; null and a missing key become empty.

    Args:
      source: the file, as an `epath.Path`; or a table in memory, see
        `options.is_frame`.
      field: the field of the config that names it, for messages.
      options: what the user says of it; lists in cells are joined by
        `list_delimiter`. Default: nothing.
      names_file: whether a cell names a file, where that decides.

    Returns:
      The table. Of a CSV without any text, the header is empty.

    Raises:
      SourceError: if the file can't be read, or a cell can't be a text.
    """
    options = options or TableOptions()
    place = place_of(field, source)
    if not isinstance(source, epath.Path):
        _refuse(options, ("text_encoding", "sheet", *_OF_ROWS), place, "a DataFrame")
        read = arrow_tables.read_frame(source, place, options.list_delimiter)
        return _of_arrow(read)
    plain = _read_plain(source, options)
    if plain is not None:
        return plain
    content, name = text.decompress(text.read(source, place), source.name, place)
    suffix = pathlib.PurePosixPath(name.lower()).suffix
    if suffix in _PARQUET:
        _refuse(options, ("text_encoding", "sheet", *_OF_ROWS), place, "Parquet")
        return _of_arrow(
            arrow_tables.read_parquet(content, place, options.list_delimiter)
        )
    if suffix in _SHEETS:
        _refuse(options, ("text_encoding", "delimiter"), place, "a spreadsheet")
        rows = sheets.read(content, place, options.sheet)[options.skip_lines :]
        return _with_header(lambda: iter(rows), options, skipped=options.skip_lines)
    _refuse(options, ("sheet",), place, "no spreadsheet")
    # What spreadsheet programs call it when they save a CSV.
    remedy = "as UTF-8" if suffix in (*_JSON_LINES, *_TABS) else "as 'CSV UTF-8'"
    lines = text.decode(content, place, encoding=options.text_encoding, remedy=remedy)
    if suffix in _JSON_LINES:
        _refuse(options, _OF_ROWS, place, "JSON Lines")
        header, records = json_lines.read(lines, place, options.list_delimiter)
        return Table(header=header, first=1, records=records)
    usual = "\t" if suffix in _TABS else ","
    return _read_csv(lines, place, options, usual=usual, names_file=names_file)


# The options of formats whose rows have no names for their cells.
_OF_ROWS = ("delimiter", "header", "skip_lines")


def place_of(field: str, source: object) -> str:
    """Returns what a source is, for messages."""
    return f"{field} {locate.name_of(source)}"


def _refuse(
    options: TableOptions, fields: Sequence[str], place: str, kind: str
) -> None:
    """Raises a `SourceError` for fields that a format has no use for."""
    nothing = TableOptions()
    given = [one for one in fields if getattr(options, one) != getattr(nothing, one)]
    if given:
        raise exceptions.SourceError(
            f"{place}: it is {kind}, for which {' and '.join(given)} can't be given."
        )


def _of_arrow(rows: arrow_tables.ArrowRows) -> Table:
    return Table(header=rows.header, first=1, records=rows.records, column=rows.column)


def _read_plain(path: epath.Path, options: TableOptions) -> Table | None:
    """Returns the table of a large plain CSV, which is read piece by piece.

    A plain one is in UTF-8 and without quotes, and its header alone shows the
    delimiter. Returns None for all others.
    """
    suffix = pathlib.PurePosixPath(path.name.lower()).suffix
    if (
        suffix in (*_JSON_LINES, *_PARQUET, *_SHEETS, *text.COMPRESSED)
        or options.text_encoding is not None
        or options.skip_lines
        or options.sheet is not None
    ):
        return None
    try:
        with path.open("rb") as file:
            content = file.read(dialects.LEAST_PLAIN)
            beginning = content[: dialects.BEGINNING].rpartition(b"\n")[0]
            if len(content) < dialects.LEAST_PLAIN or b'"' in beginning:
                return None
            lines = beginning.decode("utf-8-sig")
            widths = {
                one: len(dialects.first_row(lines, one)) for one in dialects.CANDIDATES
            }
            found = [one for one in widths if widths[one] > 1]
            delimiter = options.delimiter or (found[0] if len(found) == 1 else "")
            if not lines.strip() or not delimiter:
                return None
            width = len(dialects.first_row(lines, delimiter))
            file.seek(0)
            plain = dialects.PlainRows.of_file(file, delimiter, width)
    except (OSError, UnicodeDecodeError):
        return None  # the other way of reading it says what is wrong
    if plain is None or plain.width < 2:
        return None
    usual = "\t" if suffix in _TABS else ","
    return _understood(*_of_csv(plain, None, options), delimiter, options, usual=usual)


def _read_csv(
    lines: str,
    place: str,
    options: TableOptions,
    *,
    usual: str,
    names_file: Callable[[str], bool] | None,
) -> Table:
    below = _after_lines(lines, options.skip_lines)
    delimiter = options.delimiter or dialects.find_delimiter(
        below, place, usual=usual, names_file=names_file
    )
    plain = dialects.PlainRows.of(below, delimiter)
    rows = None if plain else dialects.rows_of(below, delimiter, place)
    table, widths = _of_csv(plain, rows, options)
    if len(table.header) == 1:
        _suggest_dialect(table, lines, place, options, names_file)
    return _understood(table, widths, delimiter, options, usual=usual)


def _of_csv(
    plain: dialects.PlainRows | None,
    rows: dialects.CsvRows | None,
    options: TableOptions,
) -> tuple[Table, collections.Counter[int]]:
    """Returns the table of a CSV's rows, and how many have how many cells.

    The rows are given in one way or the other.
    """
    if plain is not None:
        records, widths = plain.records, collections.Counter({plain.width: plain.count})
    else:
        assert rows is not None
        records, widths = rows
    table = _with_header(records, options, skipped=options.skip_lines)
    if (
        plain is not None
        and options.header is not False
        and table.first == options.skip_lines + 2
    ):
        table = dataclasses.replace(table, column=plain.column)
    return table, widths


def _understood(
    table: Table,
    widths: collections.Counter[int],
    delimiter: str,
    options: TableOptions,
    *,
    usual: str,
) -> Table:
    """Returns the table of a CSV with what was concluded."""
    notes = list(table.notes)
    if delimiter != usual and not options.delimiter:
        notes.append(f"its cells are separated by {dialects.name_of(delimiter)}")
    if options.header is not False and _lacks_name(table, widths):
        table = dataclasses.replace(table, header=["", *table.header])
        notes.append(
            "its header has one cell fewer than the rows: the first column has no name"
        )
    return dataclasses.replace(
        table, understood={"delimiter": delimiter}, notes=tuple(notes)
    )


def _after_lines(lines: str, count: int) -> str:
    """Returns a text without its first lines."""
    if not count:
        return lines
    return "".join(itertools.islice(io.StringIO(lines, newline=""), count, None))


def _with_header(
    records: Callable[[], Iterator[list[str]]],
    options: TableOptions,
    *,
    skipped: int = 0,
) -> Table:
    """Returns the table of some rows, whose first filled one is the header.

    Args:
      records: returns the rows.
      options: whether there is a header.
      skipped: how many lines were skipped.
    """
    filled = enumerate(records())
    at, row = next(((at, row) for at, row in filled if is_filled(row)), (0, []))
    table = Table(
        header=[name.strip() for name in row],
        first=skipped + at + 2,
        records=lambda: itertools.islice(records(), at + 1, None),
        first_row=row if options.header is None else None,
    )
    return without_header(table, row) if options.header is False else table


def without_header(table: Table, row: Sequence[str]) -> Table:
    """Returns a table whose header is a row; its columns are called 1, 2, ...

    Args:
      table: the table as if there were a header.
      row: the cells that the header was taken from.
    """
    return dataclasses.replace(
        table,
        header=[str(at) for at in range(1, len(row) + 1)],
        first=table.first - 1,
        records=lambda: itertools.chain([list(row)], table.records()),
        first_row=None,
        column=None,
    )


def _lacks_name(table: Table, widths: collections.Counter[int]) -> bool:
    """Returns whether all rows have one cell more than the header, filled in some.

    A table of one row has too little evidence.
    """
    width = len(table.header)
    below = +(widths - collections.Counter([width]))
    wider = below.pop(width + 1, 0)
    if wider < 2 or set(below) - {0, 1}:
        return False
    return any(row[-1].strip() for row in table.records() if len(row) == width + 1)


def _suggest_dialect(
    table: Table,
    lines: str,
    place: str,
    options: TableOptions,
    names_file: Callable[[str], bool] | None,
) -> None:
    """Raises a `SourceError` if another way to split the text into cells fits better.

    A header of one cell may be a count or a comment above the header, or have blanks
    between its cells. Blanks and skipped lines are proposed, not assumed: the texts of
    many tables have them.
    """
    first = next((row for row in table.records() if is_filled(row)), [])
    if names_file is not None and any(names_file(cell.strip()) for cell in first):
        return  # the rows begin right below
    for skip_lines in range(options.skip_lines, options.skip_lines + _MOST_SKIPPED):
        below = _after_lines(lines, skip_lines)
        for delimiter in (*dialects.CANDIDATES, dialects.BLANKS):
            same = (skip_lines, delimiter) == (options.skip_lines, options.delimiter)
            if same or not dialects.fits(below, delimiter):
                continue
            flags = []
            if skip_lines != options.skip_lines:
                flags.append(f"skip_lines={skip_lines}")
            if delimiter == dialects.BLANKS or options.delimiter:
                flags.append(f"delimiter={delimiter!r}")
            if not flags:
                return  # what is found by itself
            shown = ", ".join(map(repr, table.header[:4]))
            raise exceptions.SourceError(
                f"{place}: its first row, {shown}, isn't a header of columns with"
                f" {dialects.name_of(options.delimiter or ',')} between them. With"
                f" {' and '.join(flags)}, all its rows have the same number of cells:"
                f" add {'it' if len(flags) == 1 else 'them'} if that is right."
            )


def is_filled(cells: Sequence[str]) -> bool:
    """Returns whether a cell has a text other than white space."""
    return any(cell.strip() for cell in cells)
