"""Whether pictures show through what differs, as below a watermark.

Where an icon has another mark than the next, it shows that mark and nothing else, and
rarely across its middle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfds_imagecsv.images import differences
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.laid import MOST_DETAIL, Laid
from tfds_imagecsv.images.larger_pictures import LUMA
from tfds_imagecsv.images.small_pictures import SIDE

# The pixels of a side of the windows in which pictures are compared.
_WINDOW = 8

# A picture shows something in a window if its values vary by more (standard deviation,
# in levels).
_LEAST_SHOWN = 8

# What shines through correlates by more; what doesn't, by less.
_SAME, _OTHER = 0.7, 0.4

# The windows that differ: the most of them, and which share of them must show the same,
# and which may show something else.
_MOST, _LEAST_SAME, _MOST_OTHER = 400, 0.2, 0.1

# What differs lies across the middle: how long it must be, and how far aside it may be,
# in sides.
_LEAST_LENGTH, _MOST_ASIDE = 0.3, 0.1

# What shines through is weaker than it was: the median must be below.
_WEAKER = 0.8


def shine_through(laid: Laid, lit: Floats, differ: Floats) -> npt.NDArray[np.bool_]:
    """Returns which pictures shine through what differs in them.

    Args:
      laid: the pairs.
      lit: their parts in the light that fits best, shape [pairs, pixels, 3].
      differ: how the pictures differ from that, likewise.

    Returns:
      Shape [pairs].
    """
    shape = len(lit), SIDE, SIDE
    left, one, other = (
        (values * laid.is_inside @ LUMA).reshape(shape)
        for values in (differ, lit, laid.picture)
    )
    details = differences.details(differences.smoothed(left) ** 2) / laid.allowed
    trim = (_WINDOW - (SIDE - details.shape[1] + 1)) // 2
    is_odd = details[:, trim:-trim, trim:-trim] > MOST_DETAIL
    means = [_mean(values) for values in (one, other)]
    variances = [
        np.maximum(_mean(values**2) - mean**2, 1)
        for values, mean in zip((one, other), means, strict=True)
    ]
    common = _mean(one * other) - np.multiply(*means)
    correlation = common / np.sqrt(np.multiply(*variances))
    show_something = np.minimum(*variances) > _LEAST_SHOWN**2
    is_same = is_odd & show_something & (correlation > _SAME)
    is_other = is_odd & show_something & (correlation < _OTHER)
    odd, same, others = (found.sum((1, 2)) for found in (is_odd, is_same, is_other))
    # Too strong where nothing is the same.
    strength = np.where(is_same, common / np.maximum(*variances), np.nan)
    strength[same == 0] = 1
    is_weaker = np.nanmedian(strength, axis=(1, 2)) <= _WEAKER
    is_marked = (same >= _LEAST_SAME * odd) & (others <= _MOST_OTHER * odd)
    return np.asarray(is_marked & is_weaker & (odd <= _MOST) & _are_central(is_odd))


def _are_central(is_odd: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Returns whether what differs lies across the middle of pictures."""
    lengths, are_central = [], np.ones(len(is_odd), bool)
    for axis in (1, 2):
        found: npt.NDArray[np.bool_] = np.any(is_odd, axis=axis)
        count = found.shape[1]
        first, behind = found.argmax(1), count - found[:, ::-1].argmax(1)
        lengths.append((behind - first) / count)
        are_central &= np.abs((first + behind) / 2 / count - 0.5) < _MOST_ASIDE
    is_long = np.maximum(*lengths) >= _LEAST_LENGTH
    return np.asarray(is_long & are_central & is_odd.any((1, 2)))


def _mean(values: Floats) -> Floats:
    """Returns the means in all windows."""
    return differences.window_sums(values, _WINDOW) / _WINDOW**2
