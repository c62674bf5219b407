"""Files with tables: a header, and rows of cells, which are texts."""

from __future__ import annotations

import collections
import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from etils import epath

from tfds_imagecsv import exceptions

if TYPE_CHECKING:
    import _csv

    import pyarrow as pa

# What a file is by its name; all others are CSVs.
_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_TABS = (".tsv", ".tab")


class Table(NamedTuple):
    """A header, and the rows below it.

    Attributes:
      header: the names of the columns, without white space around them.
      first: the number of the first row; each row counts, also a blank one. A CSV's
        rows are numbered as spreadsheets do it, where the header is row 1, those of
        JSON Lines are lines, and those of Parquet begin with 1.
      records: the cells of each row. Those of a CSV may have more or less cells than
        the header, and white space around them.
    """

    header: list[str]
    first: int
    records: Iterator[list[str]]


def read_table(
    path: epath.Path, field: str, *, list_delimiter: str | None = None
) -> Table:
    """Reads a table; its format is told by the end of its file's name.

    `.tsv` and `.tab` have tabs between their cells, `.jsonl` and `.ndjson` a JSON
    object a line, `.parquet` and `.pq` are Parquet, and all others have commas between
    their cells. Text is UTF-8, with or without a byte-order mark; cells are quoted as
    RFC 4180 has it. Cells that aren't texts become what JSON has for them, numbers
    with the digits that are written; null and a key that isn't there become empty.

    Args:
      path: the file.
      field: the field of the config that names it, for messages.
      list_delimiter: what joins the items of a cell that holds a list, as JSON and
        Parquet may have it. Default: there must be none.

    Returns:
      The table. Of a CSV without any text, the header is empty.

    Raises:
      SourceError: if the file can't be read, or a cell can't be a text.
    """
    suffix = path.suffix.lower()
    place = f"{field} {path}"
    content = _content(path, place)
    if suffix in _PARQUET:
        return _read_parquet(content, place, list_delimiter)
    # Spreadsheets have a way to save a CSV so, and know no other format here.
    remedy = "as UTF-8" if suffix in (*_JSON_LINES, *_TABS) else "as 'CSV UTF-8'"
    text = _decoded(content, place, remedy)
    if suffix in _JSON_LINES:
        return _read_json_lines(text, place, list_delimiter)
    records = _records(text, place, "\t" if suffix in _TABS else ",")
    number = 0
    header: list[str] = []
    while not is_filled(header) and (cells := next(records, None)) is not None:
        number += 1
        header = cells
    return Table([name.strip() for name in header], number + 1, records)


def delimiter_of(path: epath.Path) -> str:
    """Returns in words what is between the cells of a file."""
    return "tab" if path.suffix.lower() in _TABS else "comma"


def is_filled(cells: Sequence[str]) -> bool:
    """Returns whether a cell has a text other than white space."""
    return any(cell.strip() for cell in cells)


def _content(path: epath.Path, place: str) -> bytes:
    try:
        content: bytes = path.read_bytes()
    except FileNotFoundError:
        raise exceptions.SourceError(f"{place}: no such file.") from None
    except OSError as error:
        raise exceptions.SourceError(
            f"{place}: it can't be read: {error.strerror or error}"
        ) from error
    return content


def _decoded(content: bytes, place: str, remedy: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise exceptions.SourceError(
            f"{place}: line {line} isn't UTF-8 (byte"
            f" {error.object[error.start]:#04x}). Save the file {remedy}."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise exceptions.SourceError(
            f"{place}: line {line} has a zero byte, so it isn't UTF-8 text."
            f" Save the file {remedy}."
        )
    return text


def _records(text: str, place: str, delimiter: str) -> Iterator[list[str]]:
    """Returns an iterator over the cells of each row, with the header.

    Raises:
      SourceError: if the text isn't a CSV.
    """

    def parse(strict: bool) -> _csv.Reader:
        return csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            skipinitialspace=True,
            strict=strict,
        )

    strict = True
    try:
        # Not kept: a million lists are slow to make.
        collections.deque(parse(True), maxlen=0)
    except csv.Error as error:
        # Strict parsing refuses white space after a quoted cell, which is
        # harmless, and a stray quote, which can swallow the rows below it. They
        # are told apart by the line breaks that come into a cell.
        strict = False
        if _has_line_breaks(parse(False)):
            word = "tab" if delimiter == "\t" else "comma"
            raise exceptions.SourceError(
                f"{place}: line {_line_of_error(parse(True))}: {error}. Close each"
                f" quoted cell before the next {word}, and write a quote within it"
                " twice."
            ) from None
    return parse(strict)


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


def _read_json_lines(text: str, place: str, list_delimiter: str | None) -> Table:
    # The texts of numbers are labels and names: 1.10 isn't 1.1.
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
    rows: list[Mapping[str, Any]] = []
    header: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        row: Any = {}
        if line.strip():
            try:
                row = decoder.decode(line)
            except json.JSONDecodeError as error:
                raise exceptions.SourceError(
                    f"{place}: line {number}: it isn't JSON: {error.msg} at column"
                    f" {error.colno}. Write a JSON object on each line, such as"
                    ' {"filename": "1.png", "label": "cat"}.'
                ) from None
            if not isinstance(row, dict):
                raise exceptions.SourceError(
                    f"{place}: line {number}: it isn't a JSON object, but"
                    f" {line.strip()[:60]}. Write a JSON object on each line, such as"
                    ' {"filename": "1.png", "label": "cat"}.'
                )
        rows.append(row)
        header |= {name: name.strip() for name in row}

    def records() -> Iterator[list[str]]:
        for number, row in enumerate(rows, 1):
            if not row:
                yield []
                continue
            yield [
                _as_text(row.get(name), f"{place}: line {number}: {name!r}", join)
                for name in header
            ]

    def join(where: str, items: Sequence[Any]) -> str:
        return _joined([_as_text(item, where) for item in items], where, list_delimiter)

    return Table(list(header.values()), 1, records())


def _as_text(
    value: Any, where: str, join: Callable[[str, Sequence[Any]], str] | None = None
) -> str:
    """Returns the text of a cell.

    Raises:
      SourceError: if it is an object, or a list and these can't be joined.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and join is not None:
        return join(where, value)
    kind = "an object" if isinstance(value, dict) else "a list within a list"
    raise exceptions.SourceError(
        f"{where} is {kind}. Cells must be texts, numbers, true, false, null, or lists"
        " of them."
    )


def _joined(items: Sequence[str], where: str, list_delimiter: str | None) -> str:
    """Returns the items of a list as the text of a cell.

    Raises:
      SourceError: if there is no delimiter, or an item holds it.
    """
    if not items and list_delimiter is not None:
        return list_delimiter  # which says that there is nothing
    if list_delimiter is None:
        raise exceptions.SourceError(
            f"{where} is a list. For labels, set label_type to 'multilabel', and"
            " label_delimiter to what no label holds, such as '|'."
        )
    for item in items:
        if list_delimiter in item:
            raise exceptions.SourceError(
                f"{where} has an item that holds the label_delimiter"
                f" {list_delimiter!r}: {item!r}. Set label_delimiter to what no label"
                " holds."
            )
    return list_delimiter.join(items)


def _read_parquet(content: bytes, place: str, list_delimiter: str | None) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rpartition("'<Buffer>': ")[2]
        raise exceptions.SourceError(
            f"{place}: it can't be read as Parquet: {reason}"
        ) from error
    columns = [
        _texts_of(name, column, place, list_delimiter)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    records = map(list, zip(*columns, strict=True))
    return Table([name.strip() for name in table.column_names], 1, records)


def _texts_of(
    name: str, column: pa.ChunkedArray, place: str, list_delimiter: str | None
) -> Sequence[str]:
    """Returns the cells of a column of a Parquet file.

    Raises:
      SourceError: if they can't be texts.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = [None if one is None else len(one) for one in column.to_pylist()]
        inner = pa.chunked_array(
            [chunk.flatten() for chunk in column.chunks], column.type.value_type
        )
        items = iter(_texts_of(name, inner, place, None))
        return [
            ""
            if length is None
            else _joined(
                list(itertools.islice(items, length)),
                f"{place}: row {number}: {name!r}",
                list_delimiter,
            )
            for number, length in enumerate(lengths, 1)
        ]
    try:
        texts = column.cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise exceptions.SourceError(
            f"{place}: the column {name!r} has the type {column.type}, which can't be"
            " text. Cells must be texts, numbers, booleans, dates, or lists of them."
        ) from error
    return ["" if text is None else text for text in texts]
