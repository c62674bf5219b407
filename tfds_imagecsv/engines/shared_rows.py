"""Rows that several processes work on: each takes its slice of them from a file."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


# Rows that are written at once.
_BATCH = 1 << 16

Prepare = Callable[["pa.RecordBatch"], "pa.RecordBatch"]


class RowSlice(Mapping[str, list[Any]]):
    """Some of many rows: the values of each column, as Python objects.

    Another process that gets a slice reads it from a file mapped into its memory.

    Args:
      rows: all rows.
      start: the first one.
      stop: the one after the last.
    """

    def __init__(self, rows: SharedRows, start: int, stop: int) -> None:
        self._rows = rows
        self._start = start
        self._stop = stop

    @property
    def count(self) -> int:
        """How many rows they are."""
        return self._stop - self._start

    def up_to(self, last: RowSlice) -> pa.RecordBatch:
        """Returns the rows from these to those of another slice, as Arrow has them."""
        return self._rows.batch(self._start, last._stop)

    def lists(self) -> dict[str, list[Any]]:
        """Returns the values of all columns, anew at each call.

        They aren't kept: many slices live as long as their rows.
        """
        rows = self._rows.batch(self._start, self._stop)
        found: dict[str, list[Any]] = rows.to_pydict()
        return found

    def __getitem__(self, name: str) -> list[Any]:
        """Returns the values of a column, anew at each call."""
        column = self._rows.batch(self._start, self._stop).column(name)
        values: list[Any] = column.to_pylist()
        return values

    def __iter__(self) -> Iterator[str]:
        """Yields the names of the columns."""
        return iter(self._rows.batch(self._start, self._start).schema.names)

    def __len__(self) -> int:
        """Returns the number of columns."""
        return len(list(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles where the rows are, not the rows."""
        rows = self._rows
        return _mapped_slice, (rows.path(), rows.prepare, self._start, self._stop)


class SharedRows:
    """Rows, and a file of them, which is written when another process needs it.

    Args:
      rows: the rows.
      order: the positions of the rows, in the order to share them; default: theirs.
      prepare: a function of a module that turns rows into those that workers get;
        default: they get the rows.
      folder: where the file goes; None for a directory of its own.
    """

    def __init__(
        self,
        rows: pa.RecordBatch,
        order: npt.NDArray[np.int64] | None = None,
        prepare: Prepare | None = None,
        *,
        folder: str | None = None,
    ) -> None:
        self.prepare = prepare
        self._rows = rows
        self._order = order
        self._folder = folder
        self._path = ""
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self._rows)

    def __enter__(self) -> SharedRows:
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the file."""
        self._stack.close()
        self._path = ""

    def slice(self, start: int, stop: int) -> RowSlice:
        """Returns some of the rows."""
        return RowSlice(self, start, stop)

    def batch(self, start: int, stop: int) -> pa.RecordBatch:
        """Returns some of the rows as Arrow has them, prepared."""
        rows = self._in_order(start, stop)
        return rows if self.prepare is None else self.prepare(rows)

    def _in_order(self, start: int, stop: int) -> pa.RecordBatch:
        from tfds_imagecsv import arrays

        if self._order is None:
            return self._rows.slice(start, stop - start)
        return self._rows.take(arrays.as_column(self._order[start:stop]))

    def path(self) -> str:
        """Returns the path of the file, which has the rows in order, not prepared."""
        with self._lock:  # threads ask for it at once, one for each other process
            if not self._path:
                self._path = self._written()
        return self._path

    def _written(self) -> str:
        """Writes the file, and returns its path."""
        import pyarrow as pa

        if self._folder is not None:
            pathlib.Path(self._folder).mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(
            dir=self._folder,
            prefix="rows.",
            # Windows keeps a file that another process has mapped.
            ignore_cleanup_errors=True,
        )
        path = str(pathlib.Path(self._stack.enter_context(folder)) / "rows.arrow")
        with (
            pa.OSFile(path, "wb") as file,
            pa.ipc.new_file(file, self._rows.schema) as writer,
        ):
            for start in range(0, len(self._rows), _BATCH):
                stop = min(start + _BATCH, len(self._rows))
                writer.write_batch(self._in_order(start, stop))
        return path


class _MappedRows(SharedRows):
    """The rows of a file that another process has written.

    Args:
      path: the file.
      prepare: see `SharedRows`.
    """

    def __init__(self, path: str, prepare: Prepare | None) -> None:
        import pyarrow as pa

        self._batches = pa.ipc.open_file(pa.memory_map(path))
        super().__init__(self._batches.get_batch(0), prepare=prepare)

    def _in_order(self, start: int, stop: int) -> pa.RecordBatch:
        import pyarrow as pa

        if start == stop:
            return self._rows[:0]
        parts = []
        for number in range(start // _BATCH, (stop - 1) // _BATCH + 1):
            first = number * _BATCH
            batch = self._batches.get_batch(number)
            begin, end = max(start - first, 0), min(stop - first, len(batch))
            parts.append(batch.slice(begin, end - begin))
        if len(parts) == 1:
            return parts[0]
        table = pa.Table.from_batches(parts).combine_chunks()
        return table.to_batches()[0]


@functools.lru_cache(maxsize=1)
def _mapped(path: str, prepare: Prepare | None) -> SharedRows:
    """Returns the rows of a file, and remembers those of the last one."""
    return _MappedRows(path, prepare)


def _mapped_slice(
    path: str, prepare: Prepare | None, start: int, stop: int
) -> RowSlice:
    return _mapped(path, prepare).slice(start, stop)
