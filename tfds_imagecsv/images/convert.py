"""The pixels of an image, converted and encoded."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageChops, ImageStat

from tfds_imagecsv.images import convert_16_bit, formats, geometry, stored_form
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import MAX_SIDES, ImageOptions

# TensorFlow decodes JPEGs with libjpeg's fast transform, which errs the more the
# finer they are quantized: beyond this, pixels get worse again.
_QUALITY = 95

# Levels of 255 that pixels may be off by in the mean, as Pillow decodes them. As
# TensorFlow does, which errs by one more, they are then within 2.
_MAX_LOSS = 0.75

# Pixels below which a JPEG saves nothing that would be worth a loss.
_MIN_JPEG_PIXELS = 64 * 64


def convert(content: bytes, facts: Facts, options: ImageOptions) -> bytes:
    """Returns an image's file as `stored_as` says that it is stored.

    Args:
      content: the file's bytes.
      facts: what they are.
      options: what the image is to be.

    Raises:
      UnusableImageError: if the image is damaged, which its header doesn't tell.
    """
    try:
        return _converted(content, facts, options)
    except Exception as error:
        raise formats.unreadable(error) from error


def _converted(content: bytes, facts: Facts, options: ImageOptions) -> bytes:
    stored = stored_form.stored_as(facts, options)
    size = stored.stored_width, stored.stored_height
    # Pillow has no colours of 16 bits.
    if options.dtype == "uint16" and facts.depth == 16:
        return convert_16_bit.encoded(
            convert_16_bit.converted(content, facts, options, size)
        )
    # Each step frees the image of the one before.
    picture = _decoded(content, facts, options, size)
    picture = _with_channels(picture, facts, options)
    if picture.size != size:
        picture = picture.resize(
            size, Image.Resampling.LANCZOS, reducing_gap=geometry.REDUCING_GAP
        )
    if options.dtype == "uint16":
        return convert_16_bit.encoded(convert_16_bit.scaled(picture, options.channels))
    picture.info = {}  # nothing but the image, such as a profile of other colours
    if options.encoding == "png" or options.channels == 4:
        return _png(picture)
    is_jpeg = facts.format == "JPEG" and max(size) <= MAX_SIDES["JPEG"]
    if options.encoding == "jpeg" or (is_jpeg and options.quality):
        return _jpeg(picture, options.quality or _QUALITY)
    if is_jpeg and size[0] * size[1] >= _MIN_JPEG_PIXELS:
        encoded = _jpeg(picture, _QUALITY)
        if _mean_difference(encoded, picture, options) <= _MAX_LOSS:
            return encoded
    return _png(picture)


def stored_format(content: bytes) -> str:
    """Returns the format of bytes that are stored: `"BMP"`, `"JPEG"` or `"PNG"`."""
    return {b"BM": "BMP", b"\xff\xd8": "JPEG", b"\x89P": "PNG"}[content[:2]]


def _png(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _jpeg(picture: Any, quality: int) -> bytes:
    file = io.BytesIO()
    # As many samples of colour as of brightness.
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def _mean_difference(encoded: bytes, picture: Any, options: ImageOptions) -> float:
    """Returns by how many levels of 255 the pixels differ, in the worst channel."""
    with formats.opened(encoded, max_pixels=options.max_pixels) as image:
        difference = ImageChops.difference(image, picture)
    mean: list[float] = ImageStat.Stat(difference).mean
    return max(mean)


def _decoded(
    content: bytes, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> Any:
    """Returns an image upright; a JPEG that gets much smaller is reduced already."""
    with formats.opened(content, max_pixels=options.max_pixels) as image:
        _draft(image, facts, options, size)
        image.load()
        return _oriented(image, facts, options)


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
    # What is between would take as much memory as the image, or more.
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
