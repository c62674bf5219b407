"""Small pictures of images, from which an inspection measures what they show.

Each is made of the pixels that an inspection decodes anyway. JPEGs are the cheapest:
libjpeg reduces them while it decodes.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """The small pictures of some images, one after the other.

    Args:
      images: see below.
      samples: see below.
      sides: see below.

    Attributes:
      images: reduced images (Pillow's), of mode `"L"` if their files have no colours,
        else `"RGB"`; upright, with their transparency on the background. No side has
        more than `SIDE` pixels.
      samples: likewise, but of single pixels in the place of means: of all that
        `formats.read_facts` shows, which for a JPEG are means of blocks.
      sides: the longer side of each image in its file, in pixels.
    """

    def __init__(
        self,
        images: Iterable[Any] = (),
        samples: Iterable[Any] = (),
        sides: Iterable[int] = (),
    ) -> None:
        self.images = list(images)
        self.samples = list(samples)
        self.sides = list(sides)

    def __len__(self) -> int:
        return len(self.images)

    def add(self, image: Any, sample: Any, side: int) -> None:
        """Adds an image; the arguments are as in the lists."""
        self.images.append(image)
        self.samples.append(sample)
        self.sides.append(side)

    def keep(self, count: int) -> None:
        """Drops all but the first pictures."""
        del self.images[count:], self.samples[count:], self.sides[count:]

    @functools.cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The heights and widths of `images`, shape [pictures, 2]."""
        return sizes_of(self.images)

    @functools.cached_property
    def gray(self) -> npt.NDArray[np.uint8]:
        """The pixels of `images` in gray (ITU-R 601-2).

        An array of the shape [pictures, height, width], as high and wide as the largest
        of them, and black beside smaller ones.
        """
        return pixels_of(self._column.convert("L"), len(self))

    @functools.cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The same in RGB, shape [pictures, height, width, 3]."""
        return pixels_of(self._column, len(self))

    @functools.cached_property
    def sampled_pixels(self) -> npt.NDArray[np.uint8]:
        """The pixels of `samples`, likewise."""
        if all(map(operator.is_, self.images, self.samples)):
            return self.pixels
        return pixels_of(column_of(self.samples), len(self))

    @functools.cached_property
    def _column(self) -> Any:
        return column_of(self.images)


def column_of(images: Sequence[Any]) -> Any:
    """Returns one image (RGB) with others below each other.

    Pixels of one image are had in a tenth of the time of those of a hundred.
    """
    height, width = sizes_of(images).max(axis=0, initial=1).tolist()
    column = Image.new("RGB", (width, height * len(images)))
    for at, one in enumerate(images):
        column.paste(one, (0, at * height))
    return column


def pixels_of(column: Any, count: int) -> npt.NDArray[np.uint8]:
    """Returns the pixels of images that are below each other, given their number."""
    import numpy as np

    height = column.height // max(count, 1)
    bands = () if column.mode == "L" else (3,)
    pixels = np.frombuffer(column.tobytes(), np.uint8)
    return pixels.reshape(count, height, column.width, *bands)


def sizes_of(images: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Returns the heights and widths of images in pixels, shape [images, 2]."""
    import numpy as np

    sizes = [one.size for one in images]
    return np.array(sizes, np.int64).reshape(-1, 2)[:, ::-1]


def factor_for(width: int, height: int) -> int:
    """Returns by what an image can be reduced, so that enough is left to see.

    Returns:
      8, 4, 2 or 1.
    """
    longer = max(width, height)
    return next((one for one in _FACTORS if longer >= one * _LEAST), 1)


def sampled(picture: Any, side: int = SIDE) -> Any:
    """Returns a picture of single pixels, whose sides have no more than some number.

    Args:
      picture: an image of Pillow.
      side: the most pixels.
    """
    longer = max(picture.size)
    if longer <= side:
        return picture
    size = [max(1, one * side // longer) for one in picture.size]
    return picture.resize(size, Image.Resampling.NEAREST)


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
