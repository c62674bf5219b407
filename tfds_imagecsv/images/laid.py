"""Pictures that are laid on parts of others, and how much they differ.

One picture is laid on the other as exactly as it goes, and blurred if it has more
pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfds_imagecsv import arrays
from tfds_imagecsv.images import alignment, differences, larger_pictures
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.larger_pictures import LUMA, Pictures
from tfds_imagecsv.images.small_pictures import SIDE

# The steps by which a part is laid on a picture anew.
_STEPS = 2

#: The most that is left in a detail, see `differences.worst_details`. It is measured on
#: made copies, as the others are, see docs/near_duplicates.md.
MOST_DETAIL = 6

# The most that is left of colour in a window of so many pixels a side, in levels.
_MOST_COLOR, _WINDOW = 30, 8

# Pictures with fewer pixels may differ by more: up to so many times.
_FINE, _MOST_COARSE = 56, 1.6


class Laid(NamedTuple):
    """Pictures, and parts of others that are laid on them.

    Attributes:
      picture: RGB, shape [pairs, pixels, 3]; gray of all pairs of which one is gray.
      part: likewise.
      is_inside: which pixels the parts have, shape [pairs, pixels, 1].
      allowed: what a copy may differ by, see `differences.allowed`.
      coarseness: how many times as much a pair may differ, as it has few pixels.
    """

    picture: Floats
    part: Floats
    is_inside: npt.NDArray[np.bool_]
    allowed: Floats
    coarseness: Floats

    @classmethod
    def of(
        cls,
        wholes: Pictures,
        containers: Pictures,
        parts: Floats,
        is_gray: npt.NDArray[np.bool_],
    ) -> Laid:
        """Returns pictures and parts, which are changed so that they fit best.

        Args:
          wholes: the first picture of each pair.
          containers: the second.
          parts: the parts of these to begin with, see `alignment.Fit`.
          is_gray: which pairs are compared in gray, as one of them is gray.
        """
        picture = larger_pictures.as_coarse(wholes, containers.sizes)
        container = larger_pictures.as_coarse(containers, wholes.sizes)
        gray, of_container = (
            differences.smoothed(one @ LUMA) for one in (picture, container)
        )
        fit, _ = alignment.Fit.of(gray, of_container, parts).after(_STEPS)
        sampler, is_inside = fit.sampler()
        part = np.stack([sampler(container[..., at]) for at in range(3)], axis=-1)
        picture = picture.reshape(part.shape)
        for one in (picture, part):
            one[is_gray] = (one[is_gray] @ LUMA)[..., None]
        pixels = np.minimum(wholes.sizes, containers.sizes).min(1)
        return cls(
            picture=picture,
            part=part,
            is_inside=is_inside.astype(bool)[..., None],
            allowed=differences.allowed(gray),
            coarseness=np.clip(_FINE / pixels, 1, _MOST_COARSE),
        )

    def taken(self, which: arrays.Ints) -> Laid:
        """Returns some of the pairs."""
        return Laid(
            self.picture[which],
            self.part[which],
            self.is_inside[which],
            self.allowed[which],
            self.coarseness[which],
        )


class Left(NamedTuple):
    """What isn't explained.

    Attributes:
      worst: the largest difference, in shares of what may be left.
      color: the largest difference in colour, in levels.
    """

    worst: Floats
    color: Floats


def left_of(laid: Laid, differ: Floats) -> Left:
    """Returns what is left of differences of all values."""
    left = differences.smoothed(differ.reshape(-1, SIDE, SIDE, 3))
    luma = left @ LUMA
    details = differences.worst_details(luma, laid.allowed)
    tints = differences.window_sums(left - luma[..., None], _WINDOW) / _WINDOW**2
    color = np.sqrt((tints**2).sum(-1)).max((1, 2))
    worst = np.maximum(details / MOST_DETAIL, color / _MOST_COLOR)
    return Left(worst / laid.coarseness, color)
