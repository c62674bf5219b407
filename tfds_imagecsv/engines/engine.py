"""Engines: they apply a function to chunks of rows, in many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from tfds_imagecsv.engines import shared_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_Result = TypeVar("_Result")


def nothing() -> None:
    """Does nothing."""


class Chunk(NamedTuple):
    """Rows of a table that are processed together.

    Attributes:
      about: what all rows share; it is small.
      columns: the rows, as lists of equal length by column; between processes a
        `shared_rows.RowSlice`.
    """

    about: Any
    columns: Mapping[str, list[Any]]

    def lists(self) -> Mapping[str, list[Any]]:
        """Returns the values of all columns."""
        if isinstance(self.columns, shared_rows.RowSlice):
            return self.columns.lists()
        return self.columns

    @property
    def rows(self) -> int:
        """How many rows it has."""
        if isinstance(self.columns, shared_rows.RowSlice):
            return self.columns.count
        return len(next(iter(self.columns.values())))


class Engine(Protocol):
    """Applies a function to chunks.

    `meanwhile` is called once, in this process, if possible while others work.

    Attributes:
      workers: the most processes that work; 0 if unknown.
      is_local: whether all of them are on this machine.
    """

    workers: int
    is_local: bool

    def map(
        self,
        function: Callable[[Chunk], _Result],
        items: Sequence[Chunk],
        meanwhile: Callable[[], object] = nothing,
    ) -> Iterator[_Result]:
        """Yields a function's results, in the order of the chunks."""

    def share(
        self,
        rows: pa.RecordBatch,
        order: npt.NDArray[np.int64] | None = None,
        prepare: shared_rows.Prepare | None = None,
    ) -> shared_rows.SharedRows:
        """Returns rows of which slices can be given to `map`, in a `with` block.

        Arguments are those of `shared_rows.SharedRows`.
        """

    def expect_work(self) -> None:
        """Announces much work."""

    def preload(self, module: str) -> None:
        """Lets idle workers import a module that they will need."""
