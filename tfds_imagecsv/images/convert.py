"""The pixels of an image, converted and encoded."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Callable
from typing import Any

from PIL import Image

from tfds_imagecsv.images import (
    color_profile,
    convert_16_bit,
    formats,
    geometry,
    png,
    resize,
    small_pictures,
    stored_form,
    turn_jpeg,
)
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.images.small_pictures import SmallPictures
from tfds_imagecsv.options import ImageOptions

# TensorFlow decodes JPEGs with libjpeg's fast transform. Its errors grow the finer they
# are quantized: beyond this quality, pixels get worse again.
_QUALITY = 95

# The quality of JPEGs that keep their size: decoded by Pillow, they lose less than a
# level on average. Colours count, so they aren't subsampled.
_KEPT_QUALITY = 97

# The chroma subsamplings that Pillow can write, by the height and width of the blocks.
_SUBSAMPLINGS = {(8, 8): "4:4:4", (8, 16): "4:2:2", (16, 16): "4:2:0"}

# Pillow's modes whose pixels it can average, if none of their colours is transparent.
_WITH_MEANS = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})

_See = Callable[[Any, Facts], object]


def convert(
    content: bytes,
    facts: Facts,
    options: ImageOptions,
    *,
    check_end: bool = False,
    see: _See | None = None,
) -> bytes:
    """Returns an image's file as `stored_as` says that it is stored.

    Args:
      content: the file's bytes.
      facts: what they are.
      options: what the image is to be.
      check_end: whether to check, too, what comes after the pixels.
      see: as for `formats.read_facts`; JPEGs may be reduced less.

    Raises:
      UnusableImageError: if the image is damaged, which its header doesn't tell.
    """
    try:
        if check_end:
            formats.check_end(content, facts.format)
        return _converted(content, facts, options, see)
    except Exception as error:
        raise formats.unreadable(error) from error


def _converted(
    content: bytes, facts: Facts, options: ImageOptions, see: _See | None
) -> bytes:
    stored = stored_form.stored_as(facts, options)
    size = stored.stored_width, stored.stored_height
    # Pillow has no colours of 16 bits.
    if options.dtype == "uint16" and facts.depth == 16:
        _show(content, facts, options, see)
        return convert_16_bit.encoded(
            convert_16_bit.converted(content, facts, options, size)
        )
    is_jpeg = stored.stored_format == "JPEG"
    if is_jpeg and stored.conversion == stored_form.ORIENTATION:
        turned = turn_jpeg.turned(content, facts)
        if turned is not None:
            _show(content, facts, options, see)
            return turned
    # Each step frees the image of the one before.
    picture, tables = _decoded(content, facts, options, size, see)
    picture = _with_channels(picture, facts, options)
    is_resized = picture.size != size
    if is_resized:
        picture = resize.resized(picture, size)
    if options.dtype == "uint16":
        return convert_16_bit.encoded(convert_16_bit.scaled(picture, options.channels))
    picture.info = {}  # nothing but the image, such as a profile of other colours
    if not is_jpeg:
        return png.encoded(picture)
    if is_resized or options.quality is not None:
        tables = _tables_of(options.quality or _QUALITY)
    is_kept = facts.format == "JPEG" and not is_resized
    return _jpeg(picture, tables, "4:4:4" if is_kept else _subsampling(facts))


def _jpeg(picture: Any, tables: list[list[int]], subsampling: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", qtables=tables, subsampling=subsampling)
    return file.getvalue()


def _subsampling(facts: Facts) -> str:
    """Returns the chroma subsampling of a JPEG: no more than its source's."""
    if not facts.is_lossy:
        return "4:4:4"
    return _SUBSAMPLINGS.get((facts.mcu_height, facts.mcu_width), "4:2:0")


@functools.cache
def _tables_of(quality: int) -> list[list[int]]:
    """Returns the quantization tables of a quality, for brightness and for colour."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return [list(image.quantization[at]) for at in (0, 1)]


def _finer_tables(image: Any, facts: Facts, options: ImageOptions) -> list[list[int]]:
    """Returns the tables of a JPEG, made as fine as the usual quality's at least."""
    if facts.format != "JPEG":
        return _tables_of(_QUALITY)
    own = [image.quantization[number] for *_, number in image.layer[:2]]
    if geometry.turn(facts, options) >= 5:
        own = [[one[at % 8 * 8 + at // 8] for at in range(64)] for one in own]
    return [
        list(map(min, usual, own[min(at, len(own) - 1)]))
        for at, usual in enumerate(_tables_of(_KEPT_QUALITY))
    ]


def _show(
    content: bytes, facts: Facts, options: ImageOptions, see: _See | None
) -> None:
    """Decodes an image for those who want to see it; Pillow doesn't convert it."""
    if see is not None:
        with formats.opened(content, max_pixels=options.max_pixels) as image:
            factor = small_pictures.factor_for(*image.size)
            image.draft(None, [max(1, side // factor) for side in image.size])
            image.load()
            see(image, facts)


def add_small(
    pictures: SmallPictures, picture: Any, facts: Facts, options: ImageOptions
) -> None:
    """Adds an image to small pictures.

    Args:
      pictures: what it is added to.
      picture: the decoded image, which may be reduced already.
      facts: those of its file.
      options: what becomes of transparency and orientation.
    """
    longer = max(facts.height, facts.width)
    if (
        longer <= small_pictures.SIDE
        and picture.mode == facts.mode
        and picture.mode in ("L", "RGB")
        and not facts.has_alpha
        and facts.orientation == 1
    ):
        # Nothing would change it, and datasets of thumbnails have millions.
        pictures.add(picture, picture, longer)
        return
    factor = small_pictures.factor_for(*picture.size)
    if facts.format == "JPEG" and max(picture.size) == longer and factor > 1:
        picture = picture.reduce(factor)
    sample = small_pictures.sampled(picture)
    is_keyed = facts.has_alpha and picture.mode in ("L", "RGB")
    if is_keyed or picture.mode not in _WITH_MEANS:
        picture = _without_alpha(picture, facts, options)
    picture = small_pictures.reduced(picture)
    pictures.add(
        _oriented(_without_alpha(picture, facts, options), facts, options),
        _without_alpha(sample, facts, options),
        longer,
    )


def _without_alpha(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns an image as gray if its file has no colours, else as RGB."""
    mode = "L" if facts.is_gray else "RGB"
    if picture.mode == mode and not facts.has_alpha:
        return picture
    options = dataclasses.replace(options, channels=len(mode))
    return _with_channels(picture, facts, options)


def _decoded(
    content: bytes,
    facts: Facts,
    options: ImageOptions,
    size: tuple[int, int],
    see: _See | None,
) -> tuple[Any, list[list[int]]]:
    """Returns an image upright, and the quantization tables if it keeps its size.

    A JPEG that gets much smaller is reduced already.
    """
    with formats.opened(content, max_pixels=options.max_pixels) as image:
        tables = _finer_tables(image, facts, options)
        _draft(image, facts, options, size)
        image.load()
        if see is not None:
            see(image, facts)
        picture = image
        if options.icc == "srgb" and facts.has_other_profile:
            picture = color_profile.to_srgb(image, image.info["icc_profile"])
        return _oriented(picture, facts, options), tables


def _draft(
    image: Any, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> None:
    """Lets libjpeg reduce a JPEG while it decodes it, if it is made much smaller."""
    if options.apply_exif and facts.orientation >= 5:
        size = size[::-1]
    width, height = (int(side * geometry.REDUCING_GAP) for side in size)
    if facts.format == "JPEG" and width < facts.width and height < facts.height:
        image.draft(None, (width, height))


def _oriented(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns an image upright, or as it is in the file."""
    turn = geometry.turn(facts, options)
    return picture if turn == 1 else picture.transpose(geometry.UPRIGHT[turn])


def _with_channels(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns an image as gray, RGB or RGBA of 8 bits a channel."""
    if facts.is_gray_16_bit:
        import numpy as np

        # The upper 8 bits, as TensorFlow reads it; Pillow would cut at 255.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[options.channels]
    is_seen_through = facts.has_alpha and mode != "RGBA"
    by_rgb = mode == "L" and picture.mode not in ("L", "RGB", "RGBA")
    if not is_seen_through and not by_rgb:
        return picture if picture.mode == mode else picture.convert(mode)
    converted = Image.new(mode, picture.size)
    # An image between the two would take as much memory as this one, or more.
    for box in geometry.boxes(*picture.size):
        part = picture.crop(box)
        part = _on_background(part, options) if is_seen_through else part.convert("RGB")
        converted.paste(part.convert(mode), box)
    return converted


def _on_background(picture: Any, options: ImageOptions) -> Any:
    """Returns an image with transparency as RGB without."""
    rgba = picture.convert("RGBA")
    seen = Image.new("RGB", picture.size, geometry.background_color(options))
    seen.paste(rgba, mask=rgba)
    return seen
