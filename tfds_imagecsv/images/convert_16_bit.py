"""The pixels of an image of 16 bits a channel, converted and encoded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from PIL import Image

# Imported where it is needed: workers import this module, and most never do.
from tfds_imagecsv.images import formats, geometry
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions

if TYPE_CHECKING:
    import numpy as np


def scaled(picture: Any, channels: int) -> np.ndarray:
    """Returns an image's pixels (uint16, height x width x channels), 255 as 65535."""
    import numpy as np

    found = np.empty((picture.height, picture.width, channels), np.uint16)
    for box in geometry.boxes(*picture.size):
        part = geometry.within(found, box)
        part[...] = np.asarray(picture.crop(box)).reshape(part.shape)
        part *= 257
    return found


def converted(
    content: bytes, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> np.ndarray:
    """Returns the pixels of an image of 16 bits a channel, as they are to be.

    Args:
      content: the file's bytes.
      facts: what they are.
      options: what the image is to be.
      size: width and height that it gets.

    Returns:
      An array (uint16) of height x width x channels.
    """
    import numpy as np

    pixels = geometry.turned(
        _pixels_16_bit(content, facts, options), geometry.turn(facts, options)
    )
    if pixels.shape[1::-1] != size:
        return _resized_16_bit(pixels, options, size)
    converted = np.empty((*pixels.shape[:2], options.channels), np.uint16)
    for box in geometry.boxes(*size):
        part, target = geometry.within(pixels, box), geometry.within(converted, box)
        for at, channels in _colors(pixels, options):
            levels = _color_16_bit(part, at, options)
            target[..., channels] = _rounded(levels)[..., None]
        if options.channels == 4:
            target[..., 3] = part[..., -1] if _has_alpha(pixels) else 65535
    return converted


def _resized_16_bit(
    pixels: np.ndarray, options: ImageOptions, size: tuple[int, int]
) -> np.ndarray:
    """Returns upright pixels (uint16, height x width x 1 to 4) of another size.

    Band after band, which takes less memory than all at once.
    """
    import numpy as np

    resized = np.empty((*size[::-1], options.channels), np.uint16)
    alpha = None
    if options.channels == 4:
        resized[..., 3] = 65535
        if _has_alpha(pixels):
            alpha = _resized_band(pixels, _alpha_16_bit, size)
    for at, channels in _colors(pixels, options):
        color = functools.partial(_weighted_color, at=at, options=options)
        band = _resized_band(pixels, color, size)
        for box in geometry.boxes(*size):
            levels = np.asarray(band.crop(box), np.float64)
            target = geometry.within(resized, box)
            if alpha is not None:
                seen = np.asarray(alpha.crop(box), np.float64).clip(0, 1)
                target[..., 3] = _rounded(seen * 65535)
                levels = levels / np.where(seen > 0, seen, 1)
            target[..., channels] = _rounded(levels)[..., None]
    return resized


def _resized_band(
    pixels: np.ndarray,
    band_of: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int],
) -> Any:
    """Returns a band of another size, as an image of Pillow's mode F (float32).

    Args:
      pixels: height x width x channels.
      band_of: returns the band (height x width) of a part of the pixels.
      size: width and height that it gets.
    """
    import numpy as np

    band = Image.new("F", pixels.shape[1::-1])
    for box in geometry.boxes(*band.size):
        part = band_of(geometry.within(pixels, box)).astype(np.float32)
        band.paste(Image.fromarray(part), box)
    return band.resize(
        size, Image.Resampling.LANCZOS, reducing_gap=geometry.REDUCING_GAP
    )


def _has_alpha(pixels: np.ndarray) -> bool:
    return pixels.shape[2] in (2, 4)


def _alpha_16_bit(pixels: np.ndarray) -> np.ndarray:
    """Returns how opaque pixels are (float64, 0 to 1)."""
    import numpy as np

    alpha: np.ndarray = pixels[..., -1].astype(np.float64) / 65535
    return alpha


def _colors(pixels: np.ndarray, options: ImageOptions) -> Iterator[tuple[int, slice]]:
    """Yields the number of each colour, from 0, and the channels that it goes to."""
    if options.channels == 1 or pixels.shape[2] == 1:
        yield 0, slice(min(options.channels, 3))
    else:
        for at in range(3):
            yield at, slice(at, at + 1)


def _weighted_color(pixels: np.ndarray, at: int, options: ImageOptions) -> np.ndarray:
    """Returns a colour for resizing, in which transparent pixels don't show."""
    color = _color_16_bit(pixels, at, options)
    if options.channels == 4 and _has_alpha(pixels):
        color *= _alpha_16_bit(pixels)
    return color


def _color_16_bit(pixels: np.ndarray, at: int, options: ImageOptions) -> np.ndarray:
    """Returns a colour of pixels, on the background unless alpha is kept.

    Args:
      pixels: height x width x 1 to 4 (uint16).
      at: the colour's number, as `_colors` gives it.
      options: what the image is to be.

    Returns:
      An array (float64, 0 to 65535) of height x width.
    """
    import numpy as np

    def seen(at: int) -> np.ndarray:
        band = pixels[..., at if pixels.shape[2] > 2 else 0]
        levels: np.ndarray = band.astype(np.float64)
        if options.channels != 4 and _has_alpha(pixels):
            alpha = _alpha_16_bit(pixels)
            levels = levels * alpha + geometry.background_color(options)[at] * 257 * (
                1 - alpha
            )
        return levels

    if options.channels == 1 and pixels.shape[2] > 1:
        # ITU-R 601-2, as Pillow's conversion to gray.
        return 0.299 * seen(0) + 0.587 * seen(1) + 0.114 * seen(2)
    return seen(at)


def _rounded(levels: np.ndarray) -> np.ndarray:
    """Returns levels as integers (uint16)."""
    import numpy as np

    rounded: np.ndarray = np.rint(levels).clip(0, 65535).astype(np.uint16)
    return rounded


def _pixels_16_bit(content: bytes, facts: Facts, options: ImageOptions) -> np.ndarray:
    """Returns the pixels (uint16, height x width x 1 to 4) as they are in the file."""
    import numpy as np

    if facts.format == "PNG":
        import tensorflow as tf

        # Its method `numpy` would copy them.
        return np.asarray(memoryview(tf.io.decode_png(content, dtype=tf.uint16)))
    with formats.opened(content, max_pixels=options.max_pixels) as image:
        image.load()
        pixels = np.empty((image.height, image.width, 1), np.uint16)
        for box in geometry.boxes(*image.size):
            geometry.within(pixels, box)[..., 0] = np.asarray(image.crop(box))
        return pixels


def encoded(pixels: np.ndarray) -> bytes:
    """Returns pixels (uint16, height x width x channels) as a PNG."""
    import tensorflow as tf

    content: bytes = tf.io.encode_png(pixels).numpy()
    return content
