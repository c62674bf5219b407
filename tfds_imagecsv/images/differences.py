"""How pictures that are laid on each other differ, beside what copying changes.

A copy differs where the other has edges, since it is shifted by a part of a pixel, or
less sharp; and everywhere by some noise.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# What a copy may have: a shift in pixels, a share of the second derivative (it gets
# blurred or sharpened), and noise in levels of 255. All are measured on made copies.
_SHIFT, _BLUR, _NOISE = 0.3, 0.3, 4

# The pixels of a side of a detail.
_DETAIL = 4


def smoothed(pixels: npt.NDArray[Any]) -> Floats:
    """Returns pictures without their finest details, which resizing changes.

    Args:
      pixels: shape [pictures, height, width] or [pictures, height, width, channels].

    Returns:
      The same shape.
    """
    smooth = np.asarray(pixels, float)
    for axis in (1, 2):
        before, after = _neighbours(smooth, axis)
        smooth = (before + 2 * smooth + after) / 4
    return smooth


def slopes(pictures: Floats) -> Floats:
    """Returns how gray changes by two pixels down, and to the right.

    Args:
      pictures: shape [pictures, height, width].

    Returns:
      Shape [2, pictures, height, width].
    """
    found = []
    for axis in (1, 2):
        before, after = _neighbours(pictures, axis)
        found.append(after - before)
    return np.stack(found)


def allowed(pictures: Floats) -> Floats:
    """Returns what copies may differ by in each detail, as squares.

    Args:
      pictures: gray and smoothed, shape [pictures, height, width].

    Returns:
      Shape [pictures, places, places].
    """
    steepness = (slopes(pictures) ** 2).sum(0) / 4
    bend = -4 * pictures
    for axis in (1, 2):
        before, after = _neighbours(pictures, axis)
        bend += before + after
    return details(_SHIFT**2 * steepness + _BLUR**2 * bend**2 + _NOISE**2)


def worst_details(differences: Floats, allowed: Floats) -> Floats:
    """Returns the largest difference of a detail, in shares of what a copy may have.

    Args:
      differences: of pixels, 0 where there is nothing to compare; shape [pictures,
        height, width].
      allowed: see the function `allowed`.

    Returns:
      Of squares, shape [pictures].
    """
    return np.asarray((details(differences**2) / allowed).max(axis=(1, 2)))


def window_sums(values: Floats, size: int) -> Floats:
    """Returns the sums of pixels in all square windows.

    Args:
      values: shape [pictures, height, width] or [pictures, height, width, channels].
      size: the pixels of a window's side.

    Returns:
      Shape [pictures, height - size + 1, width - size + 1], and the channels.
    """
    for axis in (1, 2):
        places = values.shape[axis] - size + 1
        parts = (values.take(range(at, at + places), axis) for at in range(size))
        values = functools.reduce(np.add, parts)
    return values


def details(values: Floats) -> Floats:
    """Returns the sums of pixels in all places of a detail."""
    return window_sums(values, _DETAIL)


def _neighbours(pictures: Floats, axis: int) -> tuple[Floats, Floats]:
    """Returns the pixels before and after each along an axis; edges are repeated."""
    at = np.arange(pictures.shape[axis])
    before = pictures.take(np.maximum(at - 1, 0), axis=axis)
    return before, pictures.take(np.minimum(at + 1, len(at) - 1), axis=axis)
