"""Small pictures of a few images, for a page."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from tfds_imagecsv.images import convert, formats, masks
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import UnusableImageError
from tfds_imagecsv.reports import drawings
from tfds_imagecsv.storage import files

# The longer side: twice the pixels on a page, for screens of high resolution.
_SIDE = 160

# The most to read and decode, for any images: seconds, not minutes.
_MOST_BYTES = 500_000_000
_MOST_PIXELS = 1_000_000_000

# The most bytes of pictures in a page, as base64.
_MOST_ENCODED = 2_300_000

# WebP takes half the bytes of JPEG.
_ENCODING = {"format": "WEBP", "quality": 75, "method": 4}


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A small picture.

    Attributes:
      source: a `data:` URL.
      height: of the image that it shows, in pixels.
      width: likewise.
      has_alpha: whether it may have transparent pixels.
    """

    source: str
    height: int
    width: int
    has_alpha: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Masks:
    """The masks of images that are shown.

    Attributes:
      folder: the directory that their keys are relative to.
      key_of: their keys, by those of their images.
      are_upright: as for `masks.converted`.
      colors: likewise.
    """

    folder: str | os.PathLike[str]
    key_of: Mapping[str, str]
    are_upright: bool | None = None
    colors: masks.Colors | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thumbnails:
    """The pictures of a report.

    Attributes:
      of: those of images as they are, by key. Unreadable images have none, and so have
        those for which there was no room.
      before: those of images as they are in their files, for some that are converted.
      after: those of the same images after their conversion.
      masked: those of images under their masks, by the images' keys.
    """

    of: Mapping[str, Thumbnail]
    before: Mapping[str, Thumbnail]
    after: Mapping[str, Thumbnail]
    masked: Mapping[str, Thumbnail]


def make_thumbnails(
    image_dir: str | os.PathLike[str],
    uses: Mapping[str, int],
    converted: Iterable[str],
    options: ImageOptions,
    of_masks: Masks | None = None,
) -> Thumbnails:
    """Reads images again, and makes small pictures of them.

    It stops when it has read or made enough: a page stays small, and a build quick. The
    most important images come first.

    Args:
      image_dir: the directory that the keys are relative to.
      uses: how often to show which images as they are, by key.
      converted: the keys of images to show before and after their conversion.
      options: how the dataset's images are converted.
      of_masks: the masks of images that are also shown under them; default: none.
    """
    left = _Budget()
    as_shown = dataclasses.replace(options, image_shape=None, verify="header")
    plain = _small(as_shown)
    raw = _small(dataclasses.replace(as_shown, apply_exif=False))

    found: dict[str, Thumbnail] = {}
    before: dict[str, Thumbnail] = {}
    after: dict[str, Thumbnail] = {}
    masked: dict[str, Thumbnail] = {}
    key_of = of_masks.key_of if of_masks else {}
    waiting: dict[str, _Small] = {}

    def one(key: str, content: bytes) -> None:
        small = _made_small(content, plain, left)
        found[key] = _encoded(small, left)
        # The page has a copy for each use.
        left.encoded -= (uses[key] - 1) * len(found[key].source)
        if key in key_of:
            waiting[key] = small

    def mask(key: str, content: bytes) -> None:
        assert of_masks is not None
        masked[key] = _encoded(_under_mask(waiting[key], content, of_masks), left)

    def pair(key: str, content: bytes) -> None:
        facts = formats.read_facts(content, max_pixels=options.max_pixels, decode=False)
        was = _encoded(_made_small(content, raw, left, has_alpha=facts.has_alpha), left)
        becomes = convert.convert(content, facts, as_shown)
        # Stored images are shown as they are.
        after[key] = _encoded(_made_small(becomes, raw, left), left)
        before[key] = was

    reader = files.FileReader(image_dir)
    _read(reader, {key: key for key in converted}, pair, left)
    mask_reader = files.FileReader(of_masks.folder if of_masks else image_dir)
    for some in _batches(uses):
        _read(reader, {key: key for key in some}, one, left)
        _read(mask_reader, {key: key_of[key] for key in waiting}, mask, left)
        waiting.clear()
    return Thumbnails(of=found, before=before, after=after, masked=masked)


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
    keys: Mapping[str, str],
    make: Callable[[str, bytes], None],
    left: _Budget,
) -> None:
    """Calls a function for each image, while there is room.

    Args:
      reader: reads the files.
      keys: the keys of the files, by those of the images.
      make: called with an image's key and the content of the file.
      left: the room.
    """
    for some in _batches(keys):
        of_files = [keys[key] for key in some]
        for key, read in zip(some, reader.readers(of_files), strict=True):
            if left.is_used:
                return
            try:
                content = read()
                left.bytes -= len(content)
                make(key, content)
            except UnusableImageError:
                continue  # the page says "no picture"


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    """Yields keys in batches to read ahead."""
    left = list(keys)
    for start in range(0, len(left), files.READ_AHEAD):
        yield left[start : start + files.READ_AHEAD]


def _small(options: ImageOptions) -> ImageOptions:
    """Returns how to make an image small, with the look that readers see."""
    return dataclasses.replace(
        options,
        channels=3,
        dtype="uint8",
        resize=None,
        max_side=_SIDE,
        encoding="png",
        quality=None,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Small:
    """An image made small.

    Attributes:
      picture: Pillow's image.
      facts: those of the image's file.
      options: how it was made.
    """

    picture: Any
    facts: Facts
    options: ImageOptions


def _made_small(
    content: bytes,
    options: ImageOptions,
    left: _Budget,
    *,
    has_alpha: bool = False,
) -> _Small:
    """Returns an image's file made small.

    Raises:
      UnusableImageError: if it can't be decoded.
    """
    if has_alpha:
        options = dataclasses.replace(options, channels=4)
    facts = formats.read_facts(content, max_pixels=options.max_pixels, decode=False)
    left.pixels -= facts.height * facts.width
    small = convert.convert(content, facts, options)
    with Image.open(io.BytesIO(small)) as picture:
        picture.load()
        return _Small(picture=picture, facts=facts, options=options)


def _under_mask(small: _Small, content: bytes, of_masks: Masks) -> _Small:
    """Returns a small image under the colours of its mask.

    Args:
      small: the image.
      content: the mask's file.
      of_masks: how masks are read.

    Raises:
      UnusableImageError: if the mask can't be used.
    """
    mask = masks.converted(
        content,
        small.facts,
        small.options,
        dtype="uint16",
        are_upright=of_masks.are_upright,
        colors=of_masks.colors,
    )
    with Image.open(io.BytesIO(mask.content)) as values:
        picture = drawings.overlaid(small.picture, np.asarray(values))
    return dataclasses.replace(small, picture=picture)


def _encoded(small: _Small, left: _Budget) -> Thumbnail:
    """Returns a small image as a thumbnail."""
    file = io.BytesIO()
    small.picture.save(file, **_ENCODING)
    facts, options = small.facts, small.options
    is_turned = options.apply_exif and facts.orientation >= 5
    sides = (facts.width, facts.height) if is_turned else (facts.height, facts.width)
    source = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
    left.encoded -= len(source)
    return Thumbnail(source, *sides, options.channels == 4)
