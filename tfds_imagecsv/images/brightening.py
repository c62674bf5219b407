"""Whether a picture is another one, brightened so far that light colours are cut.

Brightening multiplies red, green and blue. What becomes more than white is cut, so that
light colours change less than dark ones, and saturated ones (a yellow) hardly change.
Gray alone, which small pictures have, then says only between what limits a pixel must
be: as it was, and brightened. So it is between them where the colours say that it, or
one beside it, is cut; elsewhere it must be brightened.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfds_imagecsv.images import differences, fingerprint
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.fingerprint import SIDE, Fingerprints

# By what pictures are brightened: those between are close enough to one of these.
_GAINS = (1.05, 1.1, 1.15, 1.2, 1.25, 1.3)

# Dark pixels must get lighter by this at least, on average. Less may be a detail.
_LEAST_GAIN = 0.08

# The largest difference of a detail, see `differences.worst_details`.
_MOST_DIFFERENT = 4

# Colours from here on are cut, as far as the coarse colours tell.
_CUT = 250

# What red, green and blue add to luma, by Cb and Cr (ITU-R 601-2).
_ADDED = ((0, 1.402), (-0.344136, -0.714136), (1.772, 0))


def are_brightened(some: Fingerprints, others: Fingerprints) -> npt.NDArray[np.bool_]:
    """Returns whether one of the pictures of each pair is the other, brightened.

    Args:
      some: fingerprints.
      others: likewise, each to be compared with the one at its place.

    Returns:
      Shape [pairs].
    """
    found = np.zeros(len(some), bool)
    for darker, lighter in ((some, others), (others, some)):
        gray = [
            differences.smoothed(fingerprint.gray(one)).reshape(-1, SIDE * SIDE)
            for one in (darker, lighter)
        ]
        which = np.flatnonzero(_gains(*gray) >= _LEAST_GAIN)
        if len(which):
            before, after = (one[which] for one in gray)
            differ = _least_differences(before, _tints(darker[which]), after)
            worst = differences.worst_details(differ, after)
            found[which] = worst <= _MOST_DIFFERENT
    return found


def _gains(before: Floats, after: Floats) -> Floats:
    """Returns by which share pictures get lighter; dark pixels count more."""
    weights = 255 - before
    gained: Floats = (weights * (after - before)).sum(1)
    return np.asarray(gained / ((weights * before).sum(1) + 1))


def _tints(fingerprints: Fingerprints) -> Floats:
    """Returns what the strongest of red, green and blue has beside luma.

    Returns:
      Shape [pictures, SIDE * SIDE].
    """
    blue, red = fingerprint.finer_colors(fingerprints)
    return np.asarray(np.max([b * blue + r * red for b, r in _ADDED], axis=0))


def _least_differences(before: Floats, tints: Floats, after: Floats) -> Floats:
    """Returns how pictures differ from others, brightened by what fits best.

    Args:
      before: gray of the darker ones, shape [pairs, SIDE * SIDE].
      tints: what their strongest colour has beside it.
      after: gray of the lighter ones.

    Returns:
      Shape [pairs, SIDE * SIDE].
    """
    differ = []
    for gain in _GAINS:
        most = np.minimum(before * gain, 255)
        is_cut = _widened((before + tints) * gain > _CUT)
        differ.append(after - np.clip(after, np.where(is_cut, before, most), most))
    best = np.argmin([(one**2).sum(1) for one in differ], axis=0)
    return np.asarray(np.stack(differ, axis=1)[np.arange(len(before)), best])


def _widened(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Returns which pixels are set, or touch one that is."""
    padded = np.pad(bits.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    found = rows[:, :, :-2] | rows[:, :, 1:-1] | rows[:, :, 2:]
    return np.asarray(found.reshape(bits.shape))
