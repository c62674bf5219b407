"""What is kept of an image's pixels to find near duplicates: its fingerprint.

A fingerprint is a gray picture of 32 x 32 pixels, and 8 x 8 coarse colours. It has
hashes of 64 bits: one of the whole picture, and one of each of some windows of it: what
is left of a picture that somebody crops.

The hash is the DCT hash of pHash (Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions", 2010): each bit says whether a low frequency is
strong. Two details differ. It takes the 64 lowest frequencies in the order of a JPEG's
zigzag, in the place of a block of 8 x 8: cropping changes these less. And a bit is set
for what is above a value a little above 0, in the place of the median: half of the
frequencies of a symmetric picture are 0, and noise would decide about their bits.

All of it is made of whole numbers, so that every machine gets the same hashes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from tfds_imagecsv import arrays
from tfds_imagecsv.images import small_pictures

if TYPE_CHECKING:
    from tfds_imagecsv.images.small_pictures import SmallPictures

#: The pixels of a side of the gray picture, and of the coarse colours.
SIDE = 32
COLOR_SIDE = 8

_GRAY = SIDE * SIDE
_COLORS = COLOR_SIDE * COLOR_SIDE

#: The bytes of a fingerprint: luma row by row, then Cb, then Cr (ITU-R 601-2).
SIZE = _GRAY + 2 * _COLORS

#: The column of fingerprints that `measure` makes.
COLUMN = "fingerprint"

Fingerprints = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

#: The bits of a hash.
BITS = 64

# The frequencies of a side, of which the hash has the 64 lowest but the mean.
_FREQUENCIES = 11

# By what cosines are multiplied to be whole numbers. Sums of their products with pixels
# stay below 2^53: float64 has them exactly, in any order of addition.
_SCALE = 1 << 12

# A frequency's bit is set above this share of the mean strength. Less, and symmetric
# pictures get bits of noise; more, and all pictures get more alike.
_DEAD_ZONE = 1 / 12

# Small pictures with a shorter side than this show lines, and no picture.
_LEAST_SIDE = 10

# Rows whose hashes are computed at once.
_ROWS = 1 << 9

# Pictures that are multiplied at once: of more, BLAS would start threads, which wait
# for each other where others work, too.
_MULTIPLIED = 8


class Window(NamedTuple):
    """A part of a picture, in shares of its height and width.

    Attributes:
      size: its height and its width.
      top: what is above it.
      left: what is left of it.
    """

    size: float
    top: float
    left: float


def _windows() -> tuple[Window, ...]:
    """Returns the windows, that of the whole picture first.

    A bit of a hash flips for each percent by which a crop differs from the closest
    window, more or less. So what is left of a crop of up to 5 % at each edge is within
    10 bits, and of one of 8 % if it is cropped evenly.
    """
    windows = [Window(1, 0, 0)]
    for cut, places in ((0.04, (0, 1)), (0.1, (0, 0.5, 1))):
        windows += [
            Window(1 - cut, top * cut, left * cut) for top in places for left in places
        ]
    windows += [Window(1 - cut, cut / 2, cut / 2) for cut in (0.04, 0.16)]
    return tuple(windows)


WINDOWS = _windows()


def measure(pictures: SmallPictures) -> Mapping[str, Fingerprints]:
    """Returns the column of fingerprints, see `small_pictures.Measure`.

    Pictures that are hardly more than a line get the fingerprint of an empty one.
    """
    if not len(pictures):
        return {COLUMN: np.empty((0, SIZE), np.uint8)}
    small = [
        one.resize((SIDE, SIDE), Image.Resampling.BILINEAR) for one in pictures.images
    ]
    column = small_pictures.column_of(small).convert("YCbCr")
    for at, one in enumerate(small):
        if one.mode == "L":
            # Its levels as they are: those of RGB may be rounded.
            column.paste(one, (0, at * SIDE))
    coarse = column.reduce(SIDE // COLOR_SIDE)
    luma = small_pictures.pixels_of(column, len(small))[..., 0]
    colors = np.moveaxis(small_pictures.pixels_of(coarse, len(small))[..., 1:], 3, 1)
    found = np.concatenate(
        [luma.reshape(-1, _GRAY), colors.reshape(-1, 2 * _COLORS)], axis=1
    )
    is_plain = [min(one.size) < _LEAST_SIDE for one in pictures.images]
    found[is_plain] = 128
    return {COLUMN: found}


def of_column(column: pa.Array) -> Fingerprints:
    """Returns the fingerprints in a column, uint8, shape [pictures, SIZE]."""
    return arrays.binary_of(column)


def gray(fingerprints: Fingerprints) -> npt.NDArray[np.uint8]:
    """Returns the gray pictures, uint8, shape [pictures, SIDE, SIDE]."""
    return fingerprints[:, :_GRAY].reshape(-1, SIDE, SIDE)


def hashes(fingerprints: Fingerprints, which: npt.NDArray[np.int64]) -> Hashes:
    """Returns the hashes of pictures.

    Args:
      fingerprints: those of pictures.
      which: the positions of those whose hashes are wanted.

    Returns:
      The hash of each window, uint64, shape [windows, pictures]. The lowest frequency
      is in the highest bit.
    """
    found = np.empty((len(WINDOWS), len(which)), np.uint64)
    for start in range(0, len(which), _ROWS):
        some = fingerprints[which[start : start + _ROWS]]
        pixels = gray(some).astype(np.float64)
        by_columns: dict[tuple[float, float], npt.NDArray[np.float64]] = {}
        for number, (size, top, left) in enumerate(WINDOWS):
            if (size, left) not in by_columns:
                by_columns[size, left] = _transformed(pixels, size, left)
            strengths = _transformed(by_columns[size, left], size, top)
            found[number, start : start + _ROWS] = _bits(strengths)
    return found


@functools.cache
def _transform(size: float, start: float) -> npt.NDArray[np.float64]:
    """Returns the matrix that makes frequencies of a side of a picture.

    It stretches the part of the side from `start` to the side's whole length, by taking
    means, and transforms that by a discrete cosine transform of type 2.

    Returns:
      Whole numbers, shape [frequencies, SIDE].
    """
    edges = (start + size * np.arange(SIDE + 1) / SIDE) * SIDE
    at = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    means = np.maximum(overlap, 0) / (edges[1:] - edges[:-1])[:, None]
    angles = np.outer(np.arange(_FREQUENCIES), 2 * at + 1) * (np.pi / (2 * SIDE))
    # Rounded before and after, so that the last bit of a cosine doesn't matter.
    found: npt.NDArray[np.float64] = np.round(np.cos(angles), 9) @ np.round(means, 9)
    return np.round(found * _SCALE)


def _transformed(
    pixels: npt.NDArray[np.float64], size: float, start: float
) -> npt.NDArray[np.float64]:
    """Returns the frequencies of pictures along one side, and turns the sides.

    Args:
      pixels: shape [pictures, a, b].
      size: as for `_transform`.
      start: likewise.

    Returns:
      Shape [pictures, frequencies, a].
    """
    pictures, others, _ = pixels.shape
    together = math.gcd(pictures, _MULTIPLIED)
    stacked = pixels.reshape(-1, together * others, SIDE)
    found = (stacked @ _transform(size, start).T).reshape(pictures, others, -1)
    return np.ascontiguousarray(found.transpose(0, 2, 1))


@functools.cache
def _zigzag() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the 64 lowest frequencies but the mean: their positions, and weights.

    The weight is the frequency: the strengths of a photograph's fall with it.
    """
    down, right = np.divmod(np.arange(_FREQUENCIES**2), _FREQUENCIES)
    lowest = np.lexsort((down, down + right))[1 : BITS + 1]
    return lowest, (down + right)[lowest]


def _bits(strengths: npt.NDArray[np.float64]) -> Hashes:
    """Returns the hashes of pictures by their frequencies.

    Args:
      strengths: shape [pictures, frequencies, frequencies].
    """
    lowest, weights = _zigzag()
    weighted = strengths.reshape(len(strengths), -1).take(lowest, axis=1)
    weighted *= weights
    mean = np.abs(weighted).sum(1, keepdims=True)
    is_strong = weighted > mean * (_DEAD_ZONE / BITS)
    packed = np.ascontiguousarray(np.packbits(is_strong, axis=1))
    return packed.view(">u8").ravel().astype(np.uint64)
