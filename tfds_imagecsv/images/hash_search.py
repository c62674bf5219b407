"""Pairs of pictures whose hashes are alike, found by an index and not pair by pair.

The index is the one of multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in
Hamming Space with Multi-Index Hashing", 2012): hashes that differ in few bits differ in
fewer of some band of bits. So the hashes are sorted by each band, and only those are
compared that are equal there, or differ in one bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfds_imagecsv import arrays
from tfds_imagecsv.images.fingerprint import Hashes

# The bands of a hash: the lowest bit of each. Together they leave out one bit.
_BANDS = (43, 22, 1)
_BAND_BITS = 21
_BAND = np.uint64((1 << _BAND_BITS) - 1)

# Of more hashes, a table with the place of each key saves a binary search.
_LEAST_FOR_TABLE = 1 << 17

# Pairs of hashes that are compared at once.
_AT_ONCE = 1 << 20


class Pairs(NamedTuple):
    """Pairs of pictures.

    Attributes:
      whole: the first picture of each, int64, shape [pairs].
      container: the second, of which a window looks like the first, int64.
      window: the number of that window, int64.
    """

    whole: arrays.Ints
    container: arrays.Ints
    window: arrays.Ints

    def taken(self, which: npt.NDArray[np.bool_] | arrays.Ints | slice) -> Pairs:
        """Returns some of the pairs."""
        return Pairs(*(column[which] for column in self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a search looks for, and what it takes at most.

    Attributes:
      max_bits: the most bits by which the hashes of a pair differ.
      compared: how many hashes are compared at most. If there were more, the pictures
        are so alike that a window or a bit says nothing; then only equal bands count,
        then only whole pictures, then nothing.
      each: how many pairs are returned at most for each picture, beside `least`. If
        there are more, their hashes must differ in fewer bits.
      least: how many pairs are returned in any case, if there are as many.
    """

    max_bits: int = 10
    compared: int = 5_000_000_000
    each: int = 2
    least: int = 50_000


def likely_pairs(hashes: Hashes, limits: Limits | None = None) -> Pairs:
    """Returns all pairs of pictures whose hashes are alike.

    The hash of one's whole picture and that of the other's window differ in no more
    bits than `max_bits`, and in some band of 21 bits in one bit at most. That is so for
    all that differ in five bits at most.

    Args:
      hashes: uint64, shape [windows, pictures]; see `fingerprint.hashes`.
      limits: default: `Limits()`.

    Returns:
      The pairs, each with the window that differs least, the first of these. They are
      sorted by picture, and those of one picture by the bits that differ.
    """
    limits = limits or Limits()
    windows, pictures = hashes.shape
    for searched, flips in ((windows, 1), (windows, 0), (1, 0)):
        if _comparisons(hashes[:searched], flips) <= limits.compared:
            break
    else:
        searched = 0
    found = _Found(limits, pictures)
    if searched:
        for part in _alike(hashes[:searched], flips, found):
            found.add(part)
    return found.pairs()


class _Alike(NamedTuple):
    """Hashes that are alike: the two pictures, the window, and the bits that differ."""

    whole: arrays.Ints
    container: arrays.Ints
    window: arrays.Ints
    bits: arrays.Ints


class _Found:
    """What a search has found.

    Args:
      limits: what it takes at most.
      pictures: how many there are.

    Attributes:
      max_bits: the most bits by which hashes may differ; -1 if even too many are equal.
    """

    def __init__(self, limits: Limits, pictures: int) -> None:
        self.max_bits = limits.max_bits
        self._most = limits.least + limits.each * pictures
        self._parts: list[_Alike] = []
        self._count = 0

    def add(self, part: _Alike) -> None:
        """Adds what was found."""
        self._parts.append(part)
        self._count += len(part.bits)
        # Most pairs are found with several windows.
        if self._count > 4 * self._most + _AT_ONCE:
            self._keep_best()

    def pairs(self) -> Pairs:
        """Returns the pairs."""
        self._keep_best()
        ((whole, container, window, bits),) = self._parts
        order = np.lexsort((container, bits, whole))
        return Pairs(whole[order], container[order], window[order])

    def _keep_best(self) -> None:
        """Keeps the best window of each pair, and no more pairs than there may be.

        The bits are lowered only if all that is found at last has too many pairs, too.
        So the result doesn't depend on when this is called.
        """
        whole, container, window, bits = (
            np.concatenate([np.zeros(0, np.int64), *(part[at] for part in self._parts)])
            for at in range(4)
        )
        order = np.lexsort((window, bits, container, whole))
        is_best = np.ones(len(order), bool)
        for_whole, for_container = whole[order], container[order]
        is_best[1:] = for_whole[1:] != for_whole[:-1]
        is_best[1:] |= for_container[1:] != for_container[:-1]
        order = order[is_best]
        if len(order) > self._most:
            within = np.bincount(bits[order]).cumsum()
            self.max_bits = int(np.searchsorted(within, self._most, "right")) - 1
            order = order[bits[order] <= self.max_bits]
        kept = _Alike(whole[order], container[order], window[order], bits[order])
        self._parts, self._count = [kept], len(order)


def _keys(hashes: Hashes, band: int) -> arrays.Ints:
    """Returns the bits of a band."""
    return (hashes.ravel() >> np.uint64(band) & _BAND).astype(np.int64)


def _masks(flips: int) -> arrays.Ints:
    """Returns what bits of a band may differ: none, or one of them."""
    return np.array(
        [0, *(1 << at for at in range(_BAND_BITS))][: 1 + flips * _BAND_BITS]
    )


class _Index:
    """Hashes, sorted by the bits of a band.

    Args:
      hashes: shape [windows, pictures].
      band: the lowest bit of the band.
    """

    def __init__(self, hashes: Hashes, band: int) -> None:
        keys = _keys(hashes, band)
        self.order = np.argsort(keys, kind="stable")
        self.hashes = hashes.ravel()[self.order]
        self._keys: arrays.Ints | None = None
        self._starts = np.zeros(1, np.int64)
        if len(keys) > _LEAST_FOR_TABLE:
            counts = np.bincount(keys, minlength=_BAND.item() + 1)
            self._starts = np.append(self._starts, np.cumsum(counts))
        else:
            self._keys = keys[self.order]

    def ranges(self, keys: arrays.Ints) -> tuple[arrays.Ints, arrays.Ints]:
        """Returns where the hashes with some keys start, and how many they are."""
        if self._keys is None:
            starts, ends = self._starts[keys], self._starts[keys + 1]
        else:
            starts = np.searchsorted(self._keys, keys)
            ends = np.searchsorted(self._keys, keys, "right")
        return starts, ends - starts


def _comparisons(hashes: Hashes, flips: int) -> int:
    """Returns how many hashes a search compares."""
    total = 0
    for band in _BANDS:
        index = _Index(hashes, band)
        keys = np.sort(_keys(hashes[0], band))
        total += sum(int(index.ranges(keys ^ one)[1].sum()) for one in _masks(flips))
    return total


def _alike(hashes: Hashes, flips: int, found: _Found) -> Iterator[_Alike]:
    """Yields the hashes that are alike, once for each band by which they are.

    Args:
      hashes: shape [windows, pictures].
      flips: how many bits of a band may differ.
      found: says in how many bits they may differ.
    """
    pictures = hashes.shape[1]
    for band in _BANDS:
        index = _Index(hashes, band)
        # Neighbours look into the same places.
        keys = _keys(hashes[0], band)
        wholes = np.argsort(keys, kind="stable")
        keys, whole_hashes = keys[wholes], hashes[0, wholes]
        for mask in _masks(flips):
            starts, counts = index.ranges(keys ^ mask)
            for part in _parts_of(counts):
                of_whole = np.repeat(np.arange(part.start, part.stop), counts[part])
                before = np.cumsum(counts[part]) - counts[part]
                at = np.repeat(starts[part] - before, counts[part])
                at += np.arange(len(at))
                bits = count_bits(index.hashes[at] ^ whole_hashes[of_whole])
                is_near = np.flatnonzero(bits <= found.max_bits)
                window, container = np.divmod(index.order[at[is_near]], pictures)
                whole = wholes[of_whole[is_near]]
                is_other = whole != container
                yield _Alike(
                    whole[is_other],
                    container[is_other],
                    window[is_other],
                    bits[is_near[is_other]].astype(np.int64),
                )


def _parts_of(counts: arrays.Ints) -> Iterator[slice]:
    """Yields slices of counts that add up to `_AT_ONCE` at most, or are single."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + _AT_ONCE, "right"))
        stop = max(stop, start + 1)
        if ends[stop - 1] > before:
            yield slice(start, stop)
        start = stop


def count_by_table(numbers: Hashes) -> npt.NDArray[np.uint8]:
    """Returns how many bits of numbers are set, as NumPy 2 does it."""
    table = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8))
    table = table.reshape(-1, 16).sum(1, dtype=np.uint8)
    counts = table[numbers.view(np.uint16)].reshape(-1, 4)
    return np.asarray(counts.sum(1, dtype=np.uint8))


#: Returns how many bits of numbers are set.
count_bits = getattr(np, "bitwise_count", count_by_table)
