"""Parts of images, their orientation and their background, for all depths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import Image, ImageColor

from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions

if TYPE_CHECKING:
    import numpy as np


# What makes an image of each EXIF orientation upright. Each is its own inverse, except
# the two rotations by 90 degrees.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_INVERSE = {6: 8, 8: 6}

# From this gap on, reducing before resampling can't be told from resampling alone
# (Pillow's documentation of `Image.resize`).
REDUCING_GAP = 3.0

# Pixels of a part: enough to make calls cheap, few enough for a processor's cache.
_PART = 1 << 16


def turn(facts: Facts, options: ImageOptions) -> int:
    """Returns the orientation that decoded pixels are to be turned from."""
    if facts.format == "TIFF":
        # Pillow has made it upright.
        if options.apply_exif:
            return 1
        return inverse(facts.orientation)
    return facts.orientation if options.apply_exif else 1


def inverse(orientation: int) -> int:
    """Returns the orientation (1 to 8) whose turn undoes another's."""
    return _INVERSE.get(orientation, orientation)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns pixels of an orientation (1 to 8) upright, as a view."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


def background_color(options: ImageOptions) -> tuple[int, ...]:
    """Returns the background as red, green and blue, 0 to 255."""
    color: tuple[int, ...] = ImageColor.getrgb(options.background)
    return color


def boxes(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields the parts of an image, mostly strips of whole rows.

    Each is given as in Pillow, by its left, upper, right and lower edge in pixels.
    """
    columns = min(width, _PART)
    rows = max(1, _PART // columns)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)


def within(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Returns a part of pixels (height x width x ...), as a view."""
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]
