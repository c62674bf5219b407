"""Small pictures of images, from which an inspection measures what they show.

Each is made of the pixels that an inspection decodes anyway. JPEGs are the cheapest:
libjpeg reduces them while it decodes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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


class Group(NamedTuple):
    """Small pictures of one shape.

    Attributes:
      positions: where they are in `SmallPictures`, int64, shape [pictures].
      pixels: uint8, shape [pictures, height, width, 3] in RGB, or [pictures, height,
        width] in gray.
    """

    positions: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.uint8]


#: Measures pictures. It returns columns by name, each with a row for each picture: of
#: any number type, shape [pictures], or uint8, shape [pictures, bytes]. It must take no
#: pictures, too, and return the same columns, empty.
Measure = Callable[["SmallPictures"], Mapping[str, "npt.NDArray[Any]"]]


class SmallPictures:
    """The small pictures of some images, one behind the other.

    Attributes:
      images: of Pillow's mode `"L"` if they are stored as gray, else `"RGB"`; upright,
        with their transparency on the background; no side has more than `SIDE` pixels.
    """

    def __init__(self) -> None:
        self.images: list[Any] = []

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def groups(self) -> list[Group]:
        """The pixels: a group for each shape, gray pictures apart."""
        return list(_grouped(self.images))

    @functools.cached_property
    def gray_groups(self) -> list[Group]:
        """The pixels of all pictures in gray (ITU-R 601-2): a group for each shape."""
        return list(_grouped([one.convert("L") for one in self.images]))


def _grouped(images: list[Any]) -> Iterator[Group]:
    import numpy as np

    by_shape: dict[tuple[str, tuple[int, int]], list[int]] = {}
    for at, one in enumerate(images):
        by_shape.setdefault((one.mode, one.size), []).append(at)
    for (mode, (width, height)), positions in by_shape.items():
        channels = (3,) if mode == "RGB" else ()
        pixels = b"".join([images[at].tobytes() for at in positions])
        yield Group(
            np.array(positions, np.int64),
            np.frombuffer(pixels, np.uint8).reshape(-1, height, width, *channels),
        )


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
