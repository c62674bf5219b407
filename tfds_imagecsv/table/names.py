"""Columns of file names, which are changed and looked up all at once."""

from __future__ import annotations

import concurrent.futures
import functools
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays, image_formats

Bits = np.ndarray[Any, np.dtype[np.bool_]]
Positions = np.ndarray[Any, np.dtype[np.int64]]

# A path of Windows with its drive.
_DRIVE = "^[A-Za-z]:/"

#: What `Index.find` returns for a name that isn't there.
NONE = -1


class Names:
    """Some names; none has a NUL, as no file's name has.

    Args:
      column: the names, `arrays.TEXT`.
    """

    def __init__(self, column: pa.Array) -> None:
        self.column = column
        #: Changes that others have made, by what they call them.
        self.changes: dict[str, Names] = {}

    def __len__(self) -> int:
        return len(self.column)

    @functools.cached_property
    def order(self) -> Positions | None:
        """The positions of the names, sorted; None if they are."""
        return arrays.order_of(self.column)

    @functools.cached_property
    def sorted(self) -> pa.Array:
        """The names in the order of their bytes."""
        if self.order is None:
            return self.column
        return self.column.take(arrays.as_column(self.order))

    @functools.cached_property
    def slashed(self) -> Names:
        """With slashes in the place of backslashes."""
        if not arrays.may_have(self.column, "\\"):
            return self
        return Names(pc.replace_substring(self.column, "\\", "/"))

    @functools.cached_property
    def folded(self) -> Names:
        """Equal for names that differ only in letter case or Unicode form."""
        if arrays.is_ascii(self.column):
            lower = pc.ascii_lower(self.column)
            return self if lower.equals(self.column) else Names(lower)
        names = self.column.to_pylist()
        folded = [unicodedata.normalize("NFC", one).lower() for one in names]
        return self if folded == names else Names(arrays.texts(folded))

    @functools.cached_property
    def without_extensions(self) -> Names:
        """Without the extensions of images that are in lower case."""
        sizes = self._extension_sizes
        if not sizes.any():
            return self
        return Names(
            arrays.sliced(self.column, stops=arrays.lengths_of(self.column) - sizes)
        )

    @functools.cached_property
    def bare(self) -> Names:
        """Without folders."""
        starts = arrays.last_of(self.column, "/") + 1
        return self.without_start(starts) if starts.any() else self

    @functools.cached_property
    def have_image_extensions(self) -> Bits:
        """Which have the extension of an image, in lower case, after a name."""
        stems = arrays.lengths_of(self.column) - self._extension_sizes
        has_name = stems > arrays.last_of(self.column, "/") + 1
        found: Bits = has_name & (self._extension_sizes > 0)
        return found

    @functools.cached_property
    def have_other_extensions(self) -> Bits:
        """Which have an extension that isn't that of an image in lower case."""
        point = arrays.last_of(self.column, ".")
        has = point > arrays.last_of(self.column, "/")
        found: Bits = has & (self._extension_sizes == 0)
        return found

    @functools.cached_property
    def _extension_sizes(self) -> Positions:
        """How many bytes of each name are the extension of an image, with its point."""
        sizes = np.zeros(len(self), np.int64)
        for extensions in _extensions_by_size():
            size = len(extensions[0])
            ends = arrays.last_bytes(self.column, size)
            known = [one.encode() for one in extensions]
            sizes[np.isin(ends, np.array(known, ends.dtype))] = size
        return sizes

    @functools.cached_property
    def absolute(self) -> Names:
        """The absolute paths, of any system, and URLs; the others are empty."""
        are_absolute = self.begin_with("/")
        are_absolute[arrays.having(self.column, "://")] = True
        if arrays.may_have(self.column, ":/"):
            drives = pc.match_substring_regex(self.column, _DRIVE)
            are_absolute |= arrays.as_numpy(drives)
        return self.only(are_absolute)

    @functools.cached_property
    def depths(self) -> frozenset[int]:
        """The numbers of slashes that names have."""
        found = pc.count_substring(self.column, "/").unique().to_pylist()
        return frozenset(found or [0])

    def may_have(self, other: Names) -> bool:
        """Returns whether a name may be one of some others, after a quick look.

        See `arrays.may_share`.
        """
        return arrays.may_share(self.column, other.column)

    def without_start(self, sizes: Positions) -> Names:
        """Returns the names without some bytes of each at its start."""
        return Names(arrays.sliced(self.column, sizes))

    def without_first(self, parts: int) -> Names:
        """Returns the names without their first parts; empty where they have no more.

        Args:
          parts: how many.
        """
        starts = arrays.nth_of(self.column, "/", parts) + 1
        stops = np.where(starts > 0, arrays.lengths_of(self.column), 0)
        return Names(arrays.sliced(self.column, starts, stops))

    def only(self, which: Bits) -> Names:
        """Returns some of the names; the others become empty."""
        if which.all():
            return self
        stops = np.where(which, arrays.lengths_of(self.column), 0)
        return Names(arrays.sliced(self.column, stops=stops))

    def begin_with(self, prefix: str) -> Bits:
        """Returns which names begin with a text."""
        found: Bits = arrays.as_numpy(pc.starts_with(self.column, prefix))
        return found


@functools.cache
def _extensions_by_size() -> list[list[str]]:
    """Returns the extensions of images, those of equal length together."""
    known = sorted(image_formats.by_extension(), key=lambda one: (len(one), one))
    sizes = {len(one) for one in known}
    return [[one for one in known if len(one) == size] for size in sorted(sizes)]


class Index:
    """Finds the positions of names in a column.

    Args:
      names: the column.
      are_different: whether each name is there once.
    """

    def __init__(self, names: Names, *, are_different: bool = False) -> None:
        count = len(names)
        # The names, if they are all different.
        self._names: Names | None = names
        self._values = names.column
        self._codes: Positions = np.arange(count)
        if not are_different and arrays.is_same_as_before(names.sorted).any():
            self._names = None
            encoded = names.column.dictionary_encode()
            self._values = encoded.dictionary
            self._codes = arrays.as_numpy(encoded.indices).astype(np.int64)
        self._first = np.empty(len(self._values), np.int64)
        self._first[self._codes[::-1]] = np.arange(count - 1, -1, -1)
        if len(self._values) < count:
            is_several = np.bincount(self._codes) > 1
            self._first[is_several] = NONE - 1 - np.flatnonzero(is_several)

    def find(self, names: Names) -> Positions:
        """Returns the position of each name.

        It is `NONE` for a name that isn't there, and lower for one that is there more
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
            and len(names) == len(own)
            and len(arrays.bytes_of(names.column)) == len(arrays.bytes_of(own.column))
            # Most tables name each file once, and sorting shows that sooner.
            and _sorted_at_once(names, own)
            and names.sorted.equals(own.sorted)
        ):
            codes = np.empty(len(names), np.int64)
            at = slice(None) if names.order is None else names.order
            codes[at] = np.arange(len(own)) if own.order is None else own.order
            return codes
        if len(names) >= len(self._values) // 8:
            indices = pc.index_in(names.column, value_set=self._values).fill_null(NONE)
            codes = arrays.as_numpy(indices).astype(np.int64)
            return codes
        # A table of few names fits into the cache.
        encoded = names.column.dictionary_encode()
        indices = pc.index_in(self._values, value_set=encoded.dictionary)
        which: Positions = arrays.as_numpy(indices.fill_null(NONE)).astype(np.int64)
        at = np.flatnonzero(which != NONE)
        codes = np.full(len(encoded.dictionary), NONE)
        codes[which[at]] = at
        of_names: Positions = codes[arrays.as_numpy(encoded.indices)]
        return of_names

    def all_of(self, found: int) -> list[int]:
        """Returns all positions of a name, given what `find` has returned for it."""
        positions: list[int] = np.flatnonzero(self._codes == NONE - 1 - found).tolist()
        return positions


def _sorted_at_once(*some: Names) -> bool:
    """Sorts several columns, each on a core of its own; Arrow doesn't hold the GIL."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return all(pool.map(lambda names: bool(names.sorted), some))
