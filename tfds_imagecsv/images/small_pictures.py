"""Small pictures of images, from which an inspection measures what they show.

Each is made of the pixels that an inspection decodes anyway. JPEGs are the cheapest:
libjpeg reduces them while it decodes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image

# NumPy is imported where it is needed: who converts images imports this module.
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: The most pixels of a side. It is what cleanvision looks at for blur.
SIDE = 64

# A reduced JPEG whose longer side has at least this many pixels is good enough.
_LEAST = 48

# libjpeg reduces by these factors. The largest takes the mean of each block of 8 x 8
# pixels.
_FACTORS = (8, 4, 2)


#: Measures pictures. It returns columns by name, each with a row for each picture: of
#: any number type, shape [pictures], or uint8, shape [pictures, bytes]. It must take no
#: pictures, too, and return the same columns, empty.
Measure = Callable[["SmallPictures"], Mapping[str, "npt.NDArray[Any]"]]


class SmallPictures:
    """The small pictures of some images, one behind the other.

    Args:
      images: Pillow's images.

    Attributes:
      images: the same, of Pillow's mode `"L"` if they are stored as gray, else `"RGB"`; upright,
        with their transparency on the background; no side has more than `SIDE` pixels.
    """

    def __init__(self, images: Iterable[Any] = ()) -> None:
        self.images = list(images)

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The heights and widths in pixels, shape [pictures, 2]."""
        import numpy as np

        sizes = [one.size for one in self.images]
        return np.array(sizes, np.int64).reshape(-1, 2)[:, ::-1]

    @functools.cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The pixels in RGB, shape [pictures, height, width, 3].

        The array is as high and wide as the largest of them, and black beside them.
        """
        return self._stacked("RGB").reshape(len(self), *self._canvas, 3)

    def sampled(self) -> SmallPictures:
        """Returns every fourth pixel of large pictures, all of those up to half a side."""
        return SmallPictures(
            one
            if max(one.size) <= SIDE // 2
            else one.resize(
                [max(1, side // 2) for side in one.size], Image.Resampling.NEAREST
            )
            for one in self.images
        )

    @functools.cached_property
    def gray(self) -> npt.NDArray[np.uint8]:
        """The same in gray (ITU-R 601-2), shape [pictures, height, width]."""
        return self._stacked("L").reshape(len(self), *self._canvas)

    @property
    def _canvas(self) -> tuple[int, int]:
        height, width = self.sizes.max(axis=0, initial=1).tolist()
        return height, width

    def _stacked(self, mode: str) -> npt.NDArray[np.uint8]:
        import numpy as np

        height, width = self._canvas
        stacked = []
        for one in self.images:
            picture = one if one.mode == mode else one.convert(mode)
            if picture.size != (width, height):
                picture = picture.crop((0, 0, width, height))
            stacked.append(picture.tobytes())
        return np.frombuffer(b"".join(stacked), np.uint8)


def factor_for(width: int, height: int) -> int:
    """Returns by what an image can be reduced, so that enough is left to see.

    Returns:
      8, 4, 2 or 1.
    """
    longer = max(width, height)
    return next((one for one in _FACTORS if longer >= one * _LEAST), 1)


def reduced(picture: Any) -> Any:
    """Returns a picture whose sides have no more than `SIDE` pixels.

    A JPEG that was reduced while it was decoded gives nearly the same one as all of it:
    both take means of blocks.

    Args:
      picture: of Pillow's mode L, RGB or RGBA.
    """
    while (factor := factor_for(*picture.size)) > 1:
        picture = picture.reduce(factor)
    longer = max(picture.size)
    if longer <= SIDE:
        return picture
    # Rounded down, as cleanvision does it.
    size = [max(1, side * SIDE // longer) for side in picture.size]
    return picture.resize(size, Image.Resampling.BICUBIC)
