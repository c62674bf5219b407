"""Whether one picture is a copy of another: a closer look at pairs that are alike.

It takes larger pictures in colour, so letters on icons and their colours count. What
place, light and the number of pixels don't explain must be little, in each detail and
in colour.

Photographs may differ in more than details: they hardly agree in all else, unless one
is a copy that was marked. Drawings do, on a plain ground: they are often of one style.
So they must show through what they are marked with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfds_imagecsv.images import laid as laid_lib
from tfds_imagecsv.images import larger_pictures, light, marks
from tfds_imagecsv.images.alignment import Aligned
from tfds_imagecsv.images.laid import Laid
from tfds_imagecsv.images.larger_pictures import Pictures

# Pairs that are looked at at once: some memory.
_AT_ONCE = 32

# Pictures whose colours differ less from gray, on average, are gray. A gray copy of
# another must be as bright, and differ less: else icons that only differ in colour, of
# which one is gray, would be copies of it.
_GRAY, _COLORED = 3, 6
_LESS = 0.45

# A ground is plain if this share of the pixels at the edges is alike.
_PLAIN = 0.5

# The most of colour that is left of a marked copy.
_COLOR_OF_MARK = 60


def are_copies(
    wholes: Pictures, containers: Pictures, aligned: Aligned
) -> npt.NDArray[np.bool_]:
    """Returns whether a picture of each pair is a copy of a part of the other.

    Args:
      wholes: the first picture of each pair.
      containers: the second ones.
      aligned: what fingerprints say of these pairs; `at` doesn't matter.

    Returns:
      Shape [pairs].
    """
    found = np.zeros(len(aligned.parts), bool)
    are_there = (wholes.sizes.min(1) > 0) & (containers.sizes.min(1) > 0)
    which = np.flatnonzero(are_there)
    for start in range(0, len(which), _AT_ONCE):
        some = which[start : start + _AT_ONCE]
        found[some] = _are_copies(
            wholes.taken(some),
            containers.taken(some),
            aligned.taken(some),
        )
    return found


def _are_copies(
    wholes: Pictures, containers: Pictures, aligned: Aligned
) -> npt.NDArray[np.bool_]:
    colors = [larger_pictures.colorfulness(one) for one in (wholes, containers)]
    is_gray = np.minimum(*colors) < _GRAY
    laid = Laid.of(wholes, containers, aligned.parts, is_gray)
    best = light.best_light(laid)
    differ = light.differences_in(laid, best)
    left = laid_lib.left_of(laid, differ)
    is_gray_copy = is_gray & (np.maximum(*colors) >= _COLORED)
    most = np.where(is_gray_copy, np.where(light.is_same(best), _LESS, 0), 1)
    are_copies = left.worst <= most
    is_plain = np.maximum(*map(larger_pictures.plainness, (wholes, containers)))
    may_be_marked = aligned.agree_nearly & (left.color <= _COLOR_OF_MARK)
    are_copies |= may_be_marked & (is_plain < _PLAIN)
    are_open = may_be_marked & ~are_copies & ~is_gray_copy
    are_copies[are_open] = marks.shine_through(
        laid.taken(np.flatnonzero(are_open)),
        best.lit(laid.part)[are_open],
        differ[are_open],
    )
    return are_copies | light.are_brightened(laid, left, ~are_copies & ~is_gray_copy)
