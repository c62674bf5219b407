"""Near duplicates: images that are copies of others, encoded, resized or cropped anew.

They are found in three steps. `hash_search` finds likely pairs by hashes: that of one's
whole picture is like that of a window of the other's. `alignment` lays their small gray
pictures on each other, and keeps the pairs that correlate. `closer_look` compares their
larger pictures in colour, for which their files are read again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from etils import epy

from tfds_imagecsv import arrays
from tfds_imagecsv.images import (
    alignment,
    closer_look,
    copies,
    fingerprint,
    hash_search,
)
from tfds_imagecsv.images.fingerprint import Fingerprints
from tfds_imagecsv.images.hash_search import Pairs
from tfds_imagecsv.images.larger_pictures import Pictures

#: The column of the sets of near duplicates, int32; -1 for images in none.
COLUMN = "near"

# Many datasets have no near duplicates.
with epy.lazy_imports():
    from scipy import sparse
    from scipy.sparse import csgraph

# Pictures show too little to be told apart if their gray, but for a slope or an arch,
# differs less than this from its mean (standard deviation, of 255).
_LEAST_CONTRAST = 2

# Pictures whose contrast is measured at once.
_ROWS = 1 << 12

# Pairs whose larger pictures are in memory at once: 100 MB.
_PAIRS = 1 << 12

#: Returns the larger pictures of those at some positions, which are sorted.
LookAgain = Callable[[arrays.Ints], Pictures]


def with_sets(rows: pa.RecordBatch, look_again: LookAgain) -> pa.RecordBatch:
    """Returns rows with `COLUMN` in the place of fingerprints, if there are any."""
    if fingerprint.COLUMN not in rows.schema.names:
        return rows
    found = find(fingerprint.of_column(rows[fingerprint.COLUMN]), look_again)
    others = [name for name in rows.schema.names if name != fingerprint.COLUMN]
    return arrays.with_columns(rows.select(others), {COLUMN: arrays.as_column(found)})


def are_known(rows: pa.RecordBatch) -> bool:
    """Returns whether near duplicates were looked for among rows."""
    return COLUMN in rows.schema.names


class Sets(NamedTuple):
    """Sets of near duplicates.

    Attributes:
      rows: their rows, one set after another. The sets whose labels differ come first,
        then the others; each kind is sorted by name. The row that is kept when near
        duplicates are dropped comes first in its set, as among identical images.
      starts: where each set starts in `rows`, int64, shape [sets].
      conflicts: how many sets have labels that differ.
    """

    rows: pa.RecordBatch
    starts: arrays.Ints
    conflicts: int

    @property
    def _bounds(self) -> list[tuple[int, int]]:
        """Where each set starts in `rows`, and where it ends."""
        return list(itertools.pairwise([*self.starts.tolist(), len(self.rows)]))

    def of_set(self, at: int) -> pa.RecordBatch:
        """Returns the rows of a set."""
        start, *ends = self.starts[at : at + 2].tolist()
        return self.rows.slice(start, (ends or [len(self.rows)])[0] - start)

    def across(self, splits: pa.DictionaryArray) -> arrays.Bits:
        """Returns which sets lie in several splits, shape [sets].

        Args:
          splits: the splits of `rows`, `arrays.CODES`; empty for rows that are in none.
        """
        sizes = np.diff(np.append(self.starts, len(self.rows)))
        number = np.repeat(np.arange(len(self.starts)), sizes)
        is_in = arrays.is_filled(splits)
        return _vary(number[is_in], arrays.codes_of(splits)[is_in], len(self.starts))

    def keys(self, most: int | None = None) -> Iterator[list[str]]:
        """Yields the names of each set; of no more than `most` sets, if that is given.

        The names of a set are sorted.
        """
        for start, end in self._bounds[:most]:
            yield sorted(self.rows["key"][start:end].to_pylist())

    def labeled_keys(self, most: int) -> Iterator[list[str]]:
        """Yields the names of the first sets, with labels: `x.png ('cat')`."""
        for at in range(min(most, len(self.starts))):
            named = sorted(arrays.named(self.of_set(at), ("key", "label")))
            yield [f"{key} ({label!r})" for key, label in named]

    def with_kept(self) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
        """Yields each image but the first of its set, and that: row and key."""
        named = list(arrays.named(self.rows, ("row", "key")))
        for start, end in self._bounds:
            for other in named[start + 1 : end]:
                yield other, named[start]


def sets_of(rows: pa.RecordBatch) -> Sets:
    """Returns the sets of near duplicates; sets of identical images aren't among them.

    Args:
      rows: those of an inspection, or some of them, sorted by key.
    """
    at = arrays.as_numpy(rows[COLUMN]) if are_known(rows) else np.full(len(rows), -1)
    rows = arrays.taken(rows, at >= 0)
    names, number = np.unique(at[at >= 0], return_inverse=True)
    _, image = np.unique(arrays.digests_of(rows["digest"]), axis=0, return_inverse=True)
    is_wanted = _vary(number, image.ravel(), len(names))
    is_labeled = arrays.is_filled(rows["label"])
    labels = arrays.codes_of(rows["label"])
    is_conflict = is_wanted & _vary(number[is_labeled], labels[is_labeled], len(names))
    # A set's number is the position of its first image by name.
    order = np.lexsort(
        (np.arange(len(rows)), *copies.lacks_of(rows), number, ~is_conflict[number])
    )
    order = order[is_wanted[number[order]]]
    number = number[order]
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1])[: len(number)])
    return Sets(rows.take(arrays.as_column(order)), starts, int(is_conflict.sum()))


def _vary(
    numbers: arrays.Ints, values: npt.NDArray[np.integer[Any]], sets: int
) -> arrays.Bits:
    """Returns which sets have more than one value, shape [sets]."""
    least, most = np.full(sets, np.iinfo(np.int64).max), np.full(sets, -1)
    np.minimum.at(least, numbers, values)
    np.maximum.at(most, numbers, values)
    return np.asarray(least < most)


def find(fingerprints: Fingerprints, look_again: LookAgain) -> arrays.Codes:
    """Returns the sets of near duplicates.

    A set has all pictures that a chain of pairs links, whatever their order is.
    Pictures that show next to nothing are in no set.

    Args:
      fingerprints: those of the pictures, uint8, shape [pictures, fingerprint.SIZE].
      look_again: returns larger pictures.

    Returns:
      The set of each picture, int32, shape [pictures]: the position of its first
      picture; -1 for pictures that are like no other.
    """
    first_of = _first_equal(fingerprints)
    is_seen = (first_of == np.arange(len(first_of))) & _show_something(fingerprints)
    seen = np.flatnonzero(is_seen)
    likely = hash_search.likely_pairs(fingerprint.hashes(fingerprints, seen))
    pairs = likely._replace(whole=seen[likely.whole], container=seen[likely.container])
    # Those that are equal to another, which has been seen.
    again = np.flatnonzero(is_seen[first_of] & ~is_seen)
    links = [(again, first_of[again])]
    found = _sets(links, len(fingerprints))
    while len(pairs.whole):
        # The likeliest pair of each picture: most others are linked by these.
        _, firsts = np.unique(pairs.whole, return_index=True)
        some = pairs.taken(firsts)
        near = some.taken(_are_near(fingerprints, some, look_again))
        links.append((near.whole, near.container))
        found = _sets(links, len(fingerprints))
        of_whole, of_container = found[pairs.whole], found[pairs.container]
        is_open = (of_whole < 0) | (of_whole != of_container)
        is_open[firsts] = False
        pairs = pairs.taken(is_open)
    return found


def _are_near(
    fingerprints: Fingerprints, pairs: Pairs, look_again: LookAgain
) -> npt.NDArray[np.bool_]:
    """Returns whether the pictures of each pair show the same, shape [pairs]."""
    are_near = np.zeros(len(pairs.whole), bool)
    aligned = alignment.align(fingerprints, pairs)
    for start in range(0, len(aligned.at), _PAIRS):
        some = aligned.taken(slice(start, start + _PAIRS))
        both = np.stack([one[some.at] for one in (pairs.whole, pairs.container)])
        positions, (wholes, containers) = np.unique(both, return_inverse=True)
        pictures = look_again(positions)
        are_near[some.at] = closer_look.are_copies(
            pictures.taken(wholes), pictures.taken(containers), some
        )
    return are_near


def _first_equal(fingerprints: Fingerprints) -> arrays.Ints:
    """Returns the position of the first picture with the same fingerprint."""
    digests = np.fromiter(
        (xxhash.xxh3_64_intdigest(one) for one in fingerprints),
        np.uint64,
        len(fingerprints),
    )
    _, firsts, which = np.unique(digests, return_index=True, return_inverse=True)
    return firsts[which]


def _show_something(fingerprints: Fingerprints) -> npt.NDArray[np.bool_]:
    """Returns which pictures have some contrast, beside a slope or an arch."""
    side = np.linspace(-1, 1, fingerprint.SIDE)
    down, right = (one.ravel() for one in np.meshgrid(side, side, indexing="ij"))
    shapes = [np.ones_like(down), down, right, down**2, down * right, right**2]
    basis, _ = np.linalg.qr(np.stack(shapes, axis=1))
    found = np.zeros(len(fingerprints), bool)
    for start in range(0, len(fingerprints), _ROWS):
        some = fingerprint.gray(fingerprints[start : start + _ROWS])
        pixels = some.reshape(len(some), -1).astype(float)
        left = (pixels**2).sum(1) - ((pixels @ basis) ** 2).sum(1)
        found[start : start + _ROWS] = left >= _LEAST_CONTRAST**2 * basis.shape[0]
    return found


def _sets(
    links: Sequence[tuple[arrays.Ints, arrays.Ints]], pictures: int
) -> arrays.Codes:
    """Returns the sets of pictures that pairs link, see `find`."""
    found = np.full(pictures, -1, np.int32)
    starts, ends = (np.concatenate(column) for column in zip(*links, strict=True))
    linked, place = np.unique(np.concatenate([starts, ends]), return_inverse=True)
    if len(linked):
        edges = place[: len(starts)], place[len(starts) :]
        graph = sparse.coo_array(
            (np.ones(len(starts), np.int8), edges), shape=(len(linked), len(linked))
        )
        _, component = csgraph.connected_components(graph, directed=False)
        _, first = np.unique(component, return_index=True)
        found[linked] = linked[first][component]
    return found
