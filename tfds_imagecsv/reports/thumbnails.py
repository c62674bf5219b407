"""Small pictures of a few images, as they are put into a page."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Mapping

from PIL import Image

from tfds_imagecsv.images import convert, formats
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import UnusableImageError
from tfds_imagecsv.storage import files

# The longer side: twice the pixels that a page gives it, for screens that have them.
_SIDE = 160

# What is read and decoded at most, whatever the images are: seconds, not minutes.
_MOST_BYTES = 500_000_000
_MOST_PIXELS = 1_000_000_000

# What a page may hold of pictures, as base64.
_MOST_ENCODED = 2_500_000

# It takes half of the bytes of a JPEG.
_ENCODING = {"format": "WEBP", "quality": 75, "method": 4}


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A small picture.

    Attributes:
      source: a `data:` URL.
      height: of the image that it is of, in pixels.
      width: likewise.
      has_alpha: whether one sees through some of its pixels.
    """

    source: str
    height: int
    width: int
    has_alpha: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thumbnails:
    """The pictures of a report.

    Attributes:
      of: those of images as they are, by key. Images that can't be read have none, and
        neither have those for which there was no room.
      before: those of images as they are in their files, for some that are converted.
      after: those of the same images after their conversion.
    """

    of: Mapping[str, Thumbnail]
    before: Mapping[str, Thumbnail]
    after: Mapping[str, Thumbnail]


def make_thumbnails(
    image_dir: str | os.PathLike[str],
    uses: Mapping[str, int],
    converted: Iterable[str],
    options: ImageOptions,
) -> Thumbnails:
    """Reads images again, and makes small pictures of them.

    It stops when it has read or made enough, so that a page stays small and a build
    quick. The order of the images says what matters more.

    Args:
      image_dir: the directory that the keys are relative to.
      uses: how often to show which images as they are, by key.
      converted: the keys of images to show before and after their conversion.
      options: how the dataset's images are converted.
    """
    left = _Budget()
    as_shown = dataclasses.replace(options, image_shape=None, verify="header")
    plain = _small(as_shown)
    raw = _small(dataclasses.replace(as_shown, apply_exif=False))

    found: dict[str, Thumbnail] = {}
    before: dict[str, Thumbnail] = {}
    after: dict[str, Thumbnail] = {}

    def one(key: str, content: bytes) -> None:
        found[key] = _encoded(content, plain, left)
        # The page has a copy for each use.
        left.encoded -= (uses[key] - 1) * len(found[key].source)

    def pair(key: str, content: bytes) -> None:
        facts = formats.read_facts(content, max_pixels=options.max_pixels, decode=False)
        was = _encoded(content, raw, left, has_alpha=facts.has_alpha)
        becomes = convert.convert(content, facts, as_shown)
        # What is stored is shown as it is.
        after[key] = _encoded(becomes, raw, left)
        before[key] = was

    reader = files.FileReader(image_dir)
    _read(reader, list(converted), pair, left)
    _read(reader, list(uses), one, left)
    return Thumbnails(of=found, before=before, after=after)


class _Budget:
    """What may still be read, decoded and put into the page."""

    def __init__(self) -> None:
        self.bytes = _MOST_BYTES
        self.pixels = _MOST_PIXELS
        self.encoded = _MOST_ENCODED

    @property
    def is_used(self) -> bool:
        return min(self.bytes, self.pixels, self.encoded) <= 0


def _read(
    reader: files.FileReader,
    keys: list[str],
    make: Callable[[str, bytes], None],
    left: _Budget,
) -> None:
    """Calls a function with the content of each image, while there is room."""
    for start in range(0, len(keys), files.READ_AHEAD):
        some = keys[start : start + files.READ_AHEAD]
        for key, read in zip(some, reader.readers(some), strict=True):
            if left.is_used:
                return
            try:
                content = read()
                left.bytes -= len(content)
                make(key, content)
            except UnusableImageError:
                continue  # the page says that there is no picture


def _small(options: ImageOptions) -> ImageOptions:
    """Returns how an image is made small, seen as the dataset's readers see it."""
    return dataclasses.replace(
        options,
        channels=3,
        dtype="uint8",
        resize=None,
        max_side=_SIDE,
        encoding="png",
        quality=None,
    )


def _encoded(
    content: bytes, options: ImageOptions, left: _Budget, *, has_alpha: bool = False
) -> Thumbnail:
    """Returns the thumbnail of an image's file.

    Raises:
      UnusableImageError: if it can't be decoded.
    """
    if has_alpha:
        options = dataclasses.replace(options, channels=4)
    facts = formats.read_facts(content, max_pixels=options.max_pixels, decode=False)
    left.pixels -= facts.height * facts.width
    small = convert.convert(content, facts, options)
    file = io.BytesIO()
    with Image.open(io.BytesIO(small)) as picture:
        picture.save(file, **_ENCODING)
    is_turned = options.apply_exif and facts.orientation >= 5
    sides = (facts.width, facts.height) if is_turned else (facts.height, facts.width)
    source = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
    left.encoded -= len(source)
    return Thumbnail(source, *sides, has_alpha)
