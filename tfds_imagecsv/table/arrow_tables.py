"""Tables that Arrow reads: Parquet files, and tables in memory."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import cells

# Rows that are Python objects at the same time.
_BATCH = 4096


class ArrowRows(NamedTuple):
    """The rows of a table.

    Attributes:
      header: the names of the columns.
      records: returns the cells of each row.
      column: returns the cells of a column, by its position.
    """

    header: list[str]
    records: Callable[[], Iterator[list[str]]]
    column: Callable[[int], pa.Array]


def read_parquet(content: bytes, place: str, list_delimiter: str | None) -> ArrowRows:
    """Reads a Parquet file.

    Args:
      content: the file's bytes.
      place: what it is, for messages.
      list_delimiter: what joins the items of a cell that holds a list; None if there
        must be none.

    Returns:
      The rows; the first is row 1.

    Raises:
      SourceError: if it can't be read, or a column can't be text.
    """
    try:
        table = parquet.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rpartition("'<Buffer>': ")[2]
        raise exceptions.SourceError(
            f"{place}: it can't be read as Parquet: {reason}"
        ) from error
    return _rows(table, place, list_delimiter)


def read_frame(frame: Any, place: str, list_delimiter: str | None) -> ArrowRows:
    """Reads a table in memory; arguments and result are those of `read_parquet`.

    An index of pandas is the first column, unless it only numbers the rows. NaN and
    None are empty cells.
    """
    return _rows(as_arrow(frame, place), place, list_delimiter)


def as_arrow(frame: Any, place: str) -> pa.Table:
    """Returns a table in memory as Arrow has it.

    Args:
      frame: see `options.is_frame`.
      place: what it is, for messages.

    Raises:
      SourceError: if Arrow can't hold it.
    """
    if not hasattr(frame, "iloc"):
        return pa.table(frame)
    import pandas as pd

    names = list(map(str, frame.columns))
    if not isinstance(frame.index, pd.RangeIndex):
        names = ["" if name is None else str(name) for name in frame.index.names]
        names += map(str, frame.columns)
        levels = [frame.index.get_level_values(at) for at in range(frame.index.nlevels)]
        columns = [pd.Series(level) for level in levels]
    else:
        columns = []
    columns += [frame.iloc[:, at] for at in range(frame.shape[1])]
    return pa.table([_of_pandas(one) for one in columns], names=names)


def digest_of(frame: Any) -> str:
    """Returns the digest of a table in memory, equal for equal content and types."""
    table = as_arrow(frame, "label_csv").combine_chunks()
    # Polars and pandas add notes of their own there.
    table = table.replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return files.digest_of(sink.getvalue()).hex()


def _of_pandas(column: Any) -> pa.Array:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        # Of several types: a column of objects may have them.
        texts = [
            None if is_na else str(one)
            for one, is_na in zip(column, column.isna(), strict=True)
        ]
        return pa.array(texts, pa.string())


def _rows(table: pa.Table, place: str, list_delimiter: str | None) -> ArrowRows:
    columns = [
        _texts_of(name, column, place, list_delimiter)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    header = [name.strip() for name in table.column_names]

    def records() -> Iterator[list[str]]:
        for at in range(0, table.num_rows, _BATCH):
            of_batch = [column[at : at + _BATCH].to_pylist() for column in columns]
            yield from map(list, zip(*of_batch, strict=True))

    return ArrowRows(header, records, columns.__getitem__)


def _texts_of(
    name: str, column: pa.ChunkedArray, place: str, list_delimiter: str | None
) -> pa.Array:
    """Returns the cells of a column, `arrays.TEXT`.

    Raises:
      SourceError: if they can't be texts.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = [None if one is None else len(one) for one in column.to_pylist()]
        inner = pa.chunked_array(
            [chunk.flatten() for chunk in column.chunks], column.type.value_type
        )
        items = iter(_texts_of(name, inner, place, None).to_pylist())
        return arrays.texts(
            [
                ""
                if length is None
                else cells.joined(
                    list(itertools.islice(items, length)),
                    f"{place}: row {number}: {name!r}",
                    list_delimiter,
                )
                for number, length in enumerate(lengths, 1)
            ]
        )
    try:
        # Of some types, Arrow has no texts of the large kind.
        found = arrays.whole(column.cast(pa.string()).cast(arrays.TEXT))
        found.validate(full=True)
        return found.fill_null("")
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise exceptions.SourceError(
            f"{place}: the column {name!r} has the type {column.type}, which can't be"
            " text. Cells must be texts, numbers, booleans, dates, or lists of them."
        ) from error
