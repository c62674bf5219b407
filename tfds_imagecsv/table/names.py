"""Columns of file names: what is done to all names at once, and looked up at once."""

from __future__ import annotations

import concurrent.futures
import functools
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import image_formats

Bits = np.ndarray[Any, np.dtype[np.bool_]]
Positions = np.ndarray[Any, np.dtype[np.int64]]

#: What `Index.find` returns for a name that isn't there.
NONE = -1


class Names:
    """Some names; none has a NUL, as no file's name has.

    A change is made in the text of all names, in a tenth of the time.

    Args:
      cells: the names.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        self.cells = cells
        #: Changes that others have made, by what they call them.
        self.changes: dict[str, Names] = {}

    @functools.cached_property
    def text(self) -> str:
        """All names, with a NUL between each two."""
        return "\0".join(self.cells)

    @functools.cached_property
    def array(self) -> pa.Array:
        """The names as Arrow has them; as bytes, if one isn't Unicode."""
        try:
            return pa.array(self.cells, pa.large_string()).cast(pa.large_binary())
        except UnicodeEncodeError:
            encoded = [one.encode("utf-8", "surrogateescape") for one in self.cells]
            return pa.array(encoded, pa.large_binary())

    @functools.cached_property
    def sorted(self) -> tuple[pa.Array, Positions]:
        """The names in the order of their bytes, and their positions."""
        order = pc.sort_indices(self.array)
        return self.array.take(order), order.to_numpy().astype(np.int64)

    @functools.cached_property
    def slashed(self) -> Names:
        """With slashes in the place of backslashes."""
        return self.changed(lambda text: text.replace("\\", "/"))

    @functools.cached_property
    def folded(self) -> Names:
        """What is equal for names that differ in letter case or Unicode form."""

        def fold(text: str) -> str:
            text = text if text.isascii() else unicodedata.normalize("NFC", text)
            return text.lower()

        return self.changed(fold)

    @functools.cached_property
    def without_extensions(self) -> Names:
        """Without the extensions of images, in small letters."""
        known = image_formats.by_extension().keys()

        def cut(text: str) -> str:
            text += "\0"
            for end in sorted(self.endings & known):
                text = text.replace(f"{end}\0", "\0")
            return text[:-1]

        return self.changed(cut)

    @functools.cached_property
    def bare(self) -> Names:
        """Without folders."""
        if "/" not in self.text:
            return self
        if len(self.depths) == 1:
            # All have as many parts, of which it is the last.
            (depth,) = self.depths
            return Names(self.text.replace("/", "\0").split("\0")[depth :: depth + 1])
        return Names([one[one.rfind("/") + 1 :] for one in self.cells])

    @functools.cached_property
    def endings(self) -> frozenset[str]:
        """What is behind the last points, with these; or last letters without one."""
        if "." not in self.text:
            return frozenset([one[-1:] for one in self.cells])
        return frozenset([one[one.rfind(".") :] for one in self.cells])

    @functools.cached_property
    def depths(self) -> frozenset[int]:
        """The numbers of slashes."""
        if "/" not in self.text:
            return frozenset({0})
        return frozenset(pc.count_substring(self.array, "/").unique().to_pylist())

    def changed(self, change: Callable[[str], str]) -> Names:
        """Returns the names as a function changes a text of them."""
        text = change(self.text)
        return self if text == self.text else Names(text.split("\0"))

    def may_have(self, other: Names) -> bool:
        """Returns whether a name may be one of some others, as far as is quickly seen.

        It isn't, if none has as many slashes, or none has the same ending.
        """
        if self.depths.isdisjoint(other.depths):
            return False
        return not self.endings.isdisjoint(other.endings)

    def has_prefix(self, prefix: str) -> bool:
        """Returns whether a name begins with a text."""
        return self.text.startswith(prefix) or f"\0{prefix}" in self.text


class Index:
    """Finds the positions of names in a column.

    Args:
      names: the column.
      are_different: whether each name is there once.
    """

    def __init__(self, names: Names, *, are_different: bool = False) -> None:
        count = len(names.cells)
        # The names, if they are all different.
        self._names: Names | None = names
        self._values = names.array
        self._codes: Positions = np.arange(count)
        if not are_different and _has_equal(names.sorted[0]):
            self._names = None
            encoded = names.array.dictionary_encode()
            self._values = encoded.dictionary
            self._codes = encoded.indices.to_numpy().astype(np.int64)
        self._first = np.empty(len(self._values), np.int64)
        self._first[self._codes[::-1]] = np.arange(count - 1, -1, -1)
        if len(self._values) < count:
            is_several = np.bincount(self._codes) > 1
            self._first[is_several] = NONE - 1 - np.flatnonzero(is_several)

    def find(self, names: Names) -> Positions:
        """Returns the position of each name.

        It is `NONE` for a name that isn't there, and less for one that is there more
        than once: see `all_of`.
        """
        found = self._codes_of(names)
        is_there = found >= 0
        found[is_there] = self._first[found[is_there]]
        return found

    def _codes_of(self, names: Names) -> Positions:
        """Returns for each name its position among the different values, or `NONE`."""
        codes: Positions
        own = self._names
        if (
            own is not None
            and len(names.cells) == len(own.cells)
            and len(names.text) == len(own.text)
            # Mostly a table names each file once, which sorting shows sooner.
            and _sorted_at_once(names, own)
            and names.sorted[0].equals(own.sorted[0])
        ):
            codes = np.empty(len(names.cells), np.int64)
            codes[names.sorted[1]] = own.sorted[1]
            return codes
        if len(names.cells) >= len(self._values) // 8:
            indices = pc.index_in(names.array, value_set=self._values).fill_null(NONE)
            codes = indices.to_numpy().astype(np.int64)
            return codes
        # A table of few names fits into the cache.
        encoded = names.array.dictionary_encode()
        indices = pc.index_in(self._values, value_set=encoded.dictionary)
        which: Positions = indices.fill_null(NONE).to_numpy().astype(np.int64)
        at = np.flatnonzero(which != NONE)
        codes = np.full(len(encoded.dictionary), NONE)
        codes[which[at]] = at
        of_names: Positions = codes[encoded.indices.to_numpy()]
        return of_names

    def all_of(self, found: int) -> list[int]:
        """Returns all positions of a name, given what `find` has returned for it."""
        positions: list[int] = np.flatnonzero(self._codes == NONE - 1 - found).tolist()
        return positions


def _sorted_at_once(*some: Names) -> bool:
    """Sorts several columns, each on a core of its own; Arrow doesn't hold the GIL."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return all(pool.map(lambda names: bool(names.sorted), some))


def _has_equal(values: pa.Array) -> bool:
    """Returns whether two of some sorted values are equal."""
    return len(values) > 1 and bool(pc.any(pc.equal(values[1:], values[:-1])).as_py())
