"""What applies a function to many chunks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

_Result = TypeVar("_Result")


def nothing() -> None:
    """Does nothing."""


class Chunk(NamedTuple):
    """Some rows of a table, to be worked on together.

    Attributes:
      about: what holds for all of them; it is small.
      columns: the rows, a list for each column; all have the same length.
    """

    about: Any
    columns: Mapping[str, list[Any]]


class Engine(Protocol):
    """What applies a function to many chunks.

    The caller may have something else to do `meanwhile`: it is called once, in this
    process, if possible while others work.

    Attributes:
      workers: how many processes work at the most; 0 if nobody knows.
      is_local: whether all work is done on this machine.
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

    def expect_work(self) -> None:
        """Gets ready for much work."""

    def preload(self, module: str) -> None:
        """Lets workers that wait for work import what they will need for it."""
