"""Larger pictures of images, in colour, for those that may be near duplicates.

A fingerprint has a quarter of their pixels, in gray. They are too many to keep, so the
files of likely near duplicates are read again.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from tfds_imagecsv import arrays
from tfds_imagecsv.images import differences
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.small_pictures import SIDE, SmallPictures

#: The column of pictures that `measure` makes.
COLUMN = "picture"

#: Red, green and blue in luma (ITU-R 601-2).
LUMA = np.array([0.299, 0.587, 0.114])

_VALUES = 3 * SIDE * SIDE

# Pixels are alike if they differ less from each other, in levels.
_ALIKE = 6


class Pictures(NamedTuple):
    """Pictures in RGB.

    Attributes:
      pixels: uint8, shape [pictures, SIDE, SIDE, 3].
      sizes: the height and width of each before it was stretched to that, in pixels;
        0 for those that couldn't be read again.
    """

    pixels: npt.NDArray[np.uint8]
    sizes: arrays.Ints

    def taken(self, which: arrays.Ints) -> Pictures:
        """Returns some of the pictures."""
        return Pictures(self.pixels[which], self.sizes[which])


def measure(pictures: SmallPictures) -> Mapping[str, npt.NDArray[np.uint8]]:
    """Returns the column of pictures, see `small_pictures.Measure`."""
    stretched = [
        one.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        for one in pictures.images
    ]
    flat = np.array([np.asarray(one).ravel() for one in stretched], np.uint8)
    flat = flat.reshape(-1, _VALUES)
    return {COLUMN: np.concatenate([flat, pictures.sizes.astype(np.uint8)], axis=1)}


def of_rows(rows: pa.RecordBatch, keys: pa.Array) -> Pictures:
    """Returns the pictures of some images.

    Args:
      rows: images with the columns `key` and `COLUMN`.
      keys: those of the images that are wanted, whether or not they are among the rows.
    """
    import pyarrow.compute as pc

    column = arrays.binary_of(rows[COLUMN])
    at = arrays.as_numpy(pc.fill_null(pc.index_in(keys, value_set=rows["key"]), -1))
    found = np.zeros((len(keys), _VALUES + 2), np.uint8)
    found[at >= 0] = column[at[at >= 0]]
    pixels = found[:, :-2].reshape(-1, SIDE, SIDE, 3)
    return Pictures(pixels, found[:, -2:].astype(np.int64))


def as_coarse(pictures: Pictures, others: arrays.Ints) -> Floats:
    """Returns pixels of pictures, blurred as if they had no more pixels than others."""
    pixels = pictures.pixels.astype(float)
    for axis, sides in enumerate(np.minimum(pictures.sizes, others).T):
        is_finer = pictures.sizes[:, axis] > sides
        for side in np.unique(sides[is_finer]).tolist():
            some = is_finer & (sides == side)
            moved = np.moveaxis(pixels[some], axis + 1, -1) @ _blur(side).T
            pixels[some] = np.moveaxis(moved, -1, axis + 1)
    return pixels


@functools.cache
def _blur(side: int) -> Floats:
    """Returns the matrix that shrinks a side of a picture and stretches it again."""
    edges = np.arange(side + 1) * SIDE / side
    at = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    shrunk = np.maximum(overlap, 0) * side / SIDE
    places = np.clip((at + 0.5) * side / SIDE - 0.5, 0, side - 1)
    stretch = np.maximum(1 - np.abs(places[:, None] - np.arange(side)), 0)
    return np.asarray(stretch @ shrunk)


def colorfulness(pictures: Pictures) -> Floats:
    """Returns how much colours of pictures differ from gray, on average."""
    smooth = differences.smoothed(pictures.pixels)
    differ = np.abs(smooth - (smooth @ LUMA)[..., None]).max(-1)
    return np.asarray(differ.mean((1, 2)))


def plainness(pictures: Pictures) -> Floats:
    """Returns the share of the pixels at the edges that are alike."""
    smooth = differences.smoothed(pictures.pixels)
    sides = (smooth[:, 0], smooth[:, -1], smooth[:, :, 0], smooth[:, :, -1])
    edges = np.concatenate(sides, axis=1)
    differ = np.abs(edges - np.median(edges, axis=1, keepdims=True)).max(-1)
    return np.asarray((differ < _ALIKE).mean(1))
