"""Near duplicates: images that are copies of others, encoded, resized or cropped anew.

They are found in two steps. `hash_search` finds likely pairs by hashes: that of one's
whole picture is like that of a window of the other's. `alignment` lays their pictures
on each other, and keeps the pairs that correlate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xxhash
from etils import epy

from tfds_imagecsv import arrays
from tfds_imagecsv.images import alignment, fingerprint, hash_search
from tfds_imagecsv.images.fingerprint import Fingerprints

# Many datasets have no near duplicates.
with epy.lazy_imports():
    from scipy import sparse
    from scipy.sparse import csgraph

# Pictures show too little to be told apart if their gray, but for a slope or an arch,
# differs less than this from its mean (standard deviation, of 255).
_LEAST_CONTRAST = 3

# Pictures whose contrast is measured at once.
_ROWS = 1 << 12


def find(fingerprints: Fingerprints) -> arrays.Codes:
    """Returns the sets of near duplicates.

    A set has all pictures that a chain of pairs links, whatever their order is.
    Pictures that show next to nothing are in no set.

    Args:
      fingerprints: those of the pictures, uint8, shape [pictures, fingerprint.SIZE].

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
        near = some.taken(alignment.are_near(fingerprints, some))
        links.append((near.whole, near.container))
        found = _sets(links, len(fingerprints))
        of_whole, of_container = found[pairs.whole], found[pairs.container]
        is_open = (of_whole < 0) | (of_whole != of_container)
        is_open[firsts] = False
        pairs = pairs.taken(is_open)
    return found


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
