"""How pictures that are laid on each other differ, beside what copying changes.

Pictures are gray, and smoothed. A copy differs where the other has edges, since it was
shifted by a part of a pixel, or got less sharp; and everywhere by some noise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfds_imagecsv.images.fingerprint import SIDE

Floats = npt.NDArray[np.float64]

# What a copy may have: a shift in pixels, a share of the second derivative (it gets
# blurred or sharpened), and noise in levels of 255. All are measured on made copies.
_SHIFT, _BLUR, _NOISE = 0.15, 0.3, 4

# The pixels of a side of a detail.
_DETAIL = 4


def smoothed(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Returns pictures without their finest details, which resizing changes.

    Args:
      pixels: shape [pictures, SIDE, SIDE].

    Returns:
      The same shape.
    """
    smooth = pixels.astype(float)
    for axis in (1, 2):
        before, after = _neighbours(smooth, axis)
        smooth = (before + 2 * smooth + after) / 4
    return smooth


def slopes(pictures: Floats) -> Floats:
    """Returns how gray changes by two pixels down, and to the right.

    Args:
      pictures: shape [pictures, SIDE, SIDE].

    Returns:
      Shape [2, pictures, SIDE, SIDE].
    """
    found = []
    for axis in (1, 2):
        before, after = _neighbours(pictures, axis)
        found.append(after - before)
    return np.stack(found)


def worst_details(differences: Floats, pictures: Floats) -> Floats:
    """Returns the largest difference of a detail, in shares of what a copy may have.

    Args:
      differences: of pixels, 0 where there is nothing to compare; shape [pictures,
        SIDE * SIDE].
      pictures: likewise.

    Returns:
      Of squares, shape [pictures].
    """
    shaped = pictures.reshape(-1, SIDE, SIDE)
    steepness = (slopes(shaped) ** 2).sum(0) / 4
    bend = -4 * shaped
    for axis in (1, 2):
        before, after = _neighbours(shaped, axis)
        bend += before + after
    allowed = _SHIFT**2 * steepness + _BLUR**2 * bend**2 + _NOISE**2
    ratios = _details(differences.reshape(shaped.shape) ** 2) / _details(allowed)
    return np.asarray(ratios.max(axis=(1, 2)))


def _details(values: Floats) -> Floats:
    """Returns the sums of pixels in all places of a detail."""
    for axis in (1, 2):
        places = values.shape[axis] - _DETAIL + 1
        parts = [
            values.take(range(at, at + places), axis=axis) for at in range(_DETAIL)
        ]
        values = np.sum(parts, axis=0)
    return values


def _neighbours(pictures: Floats, axis: int) -> tuple[Floats, Floats]:
    """Returns the pixels before and after each along an axis; edges are repeated."""
    at = np.arange(SIDE)
    before = pictures.take(np.maximum(at - 1, 0), axis=axis)
    return before, pictures.take(np.minimum(at + 1, SIDE - 1), axis=axis)
