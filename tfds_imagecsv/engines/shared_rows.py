"""Rows that several processes work on: each takes its slice of them from a file."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class RowSlice(Mapping[str, list[Any]]):
    """Some of many rows: the values of each column, as Python's objects.

    Another process that gets one reads it from a file, which is mapped into its memory.

    Args:
      rows: all rows.
      start: the first one.
      stop: the one behind the last.
    """

    def __init__(self, rows: SharedRows, start: int, stop: int) -> None:
        self._rows = rows
        self._start = start
        self._stop = stop

    def up_to(self, last: RowSlice) -> pa.RecordBatch:
        """Returns the rows from these to those of another slice, as Arrow has them."""
        return self._rows.batch.slice(self._start, last._stop - self._start)

    @property
    def count(self) -> int:
        """How many rows they are."""
        return self._stop - self._start

    def __getitem__(self, name: str) -> list[Any]:
        """Returns the values of a column."""
        column = self._rows.batch.column(name)
        values: list[Any] = column.slice(self._start, self.count).to_pylist()
        return values

    def __iter__(self) -> Iterator[str]:
        """Yields the names of the columns."""
        return iter(self._rows.batch.schema.names)

    def __len__(self) -> int:
        """Returns the number of columns."""
        return int(self._rows.batch.num_columns)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles where the rows are, not the rows."""
        return _mapped_slice, (self._rows.path(), self._start, self._stop)


class SharedRows:
    """Rows, and a file of them, which is written when another process needs it.

    Args:
      batch: the rows.
      folder: where the file goes; None for a directory of its own.
    """

    def __init__(self, batch: pa.RecordBatch, folder: str | None = None) -> None:
        self.batch = batch
        self._folder = folder
        self._path = ""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> SharedRows:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the file."""
        self._stack.close()
        self._path = ""

    def slice(self, start: int, stop: int) -> RowSlice:
        """Returns some of the rows."""
        return RowSlice(self, start, stop)

    def path(self) -> str:
        """Returns the path of the file."""
        if not self._path:
            import pyarrow as pa

            if self._folder is not None:
                pathlib.Path(self._folder).mkdir(parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(dir=self._folder, prefix="rows.")
            path = pathlib.Path(self._stack.enter_context(folder)) / "rows.arrow"
            with (
                pa.OSFile(str(path), "wb") as file,
                pa.ipc.new_file(file, self.batch.schema) as writer,
            ):
                writer.write_batch(self.batch)
            self._path = str(path)
        return self._path


@functools.lru_cache(maxsize=1)
def _mapped(path: str) -> SharedRows:
    """Returns the rows of a file; of the last one, without a second look at it."""
    import pyarrow as pa

    batch = pa.ipc.open_file(pa.memory_map(path)).get_batch(0)
    return SharedRows(batch)


def _mapped_slice(path: str, start: int, stop: int) -> RowSlice:
    return _mapped(path).slice(start, stop)
