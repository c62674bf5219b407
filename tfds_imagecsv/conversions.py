"""How pictures are stored: as they are, or converted to what decoders agree on."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, ImageChops, ImageColor, ImageStat

from tfds_imagecsv import pictures
from tfds_imagecsv.pictures import Facts
from tfds_imagecsv.problems import Kind

# Imported where it is needed: workers import this module, and most never do.
if TYPE_CHECKING:
    import numpy as np

# What `tf.image.decode_image` decodes to height x width x channels. It gives GIF and
# WebP a dimension for frames, and can't decode others.
_DECODABLE = frozenset({"BMP", "JPEG", "PNG"})

# The most pixels that a side may have for libpng and libjpeg, by which TensorFlow and
# OpenCV decode; a BMP may have any (libpng's `PNG_USER_WIDTH_MAX`, and libjpeg's
# `JPEG_MAX_DIMENSION`).
MAX_SIDES = {"PNG": 1_000_000, "JPEG": 65_500}

_PALETTE_MODES = frozenset({"P", "PA"})
_USUAL_MODES = frozenset({"1", "L", "LA", "RGB", "RGBA"})

# What makes a picture of each EXIF orientation upright; each is its own inverse but
# for the two rotations by 90 degrees.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_INVERSE = {6: 8, 8: 6}

# Pillow's documentation of `Image.resize`: from 3.0 on, reducing before resampling
# can't be told from resampling alone.
_REDUCING_GAP = 3.0

# TensorFlow decodes JPEGs with libjpeg's fast transform, which errs the more the
# finer they are quantized: beyond this, pixels get worse again.
_QUALITY = 95

# Levels of 255 that pixels may be off by in the mean, as Pillow decodes them. As
# TensorFlow does, which errs by one more, they are then within 2.
_MAX_LOSS = 0.75

# Pixels below which a JPEG saves nothing that would be worth a loss.
_MIN_JPEG_PIXELS = 64 * 64

# Pixels that are worked on at once: enough that the calls cost little, few enough that
# they fit into a processor's cache.
_PART = 1 << 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """What the pictures of a dataset are to be; see the fields of `ImageCsvConfig`.

    Attributes:
      channels: 1 (gray), 3 (RGB) or 4 (RGBA).
      dtype: `"uint8"` or `"uint16"`.
      background: what is seen through transparent pixels where there is no alpha: a
        name or a number of a colour, as Pillow knows them.
      apply_exif: whether pictures are turned upright.
      resize: height and width in pixels, or None.
      max_side: the longer side in pixels at the most, or None.
      image_shape: height, width and channels that all have, or None.
      encoding: `"jpeg"`, `"png"`, or None for either.
      quality: of a JPEG that is made, 1 to 100; None for 95, and only where that
        keeps the pixels.
      max_pixels: how many pixels a picture may have.
      verify: `"decode"` or `"header"`.
    """

    channels: int = 3
    dtype: str = "uint8"
    background: str = "white"
    apply_exif: bool = True
    resize: tuple[int, int] | None = None
    max_side: int | None = None
    image_shape: tuple[int, int, int] | None = None
    encoding: str | None = None
    quality: int | None = None
    max_pixels: int = 89_478_485
    verify: str = "decode"

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        """Height, width and channels of all pictures; None where they may differ."""
        height, width = (self.image_shape or self.resize or (None, None))[:2]
        return height, width, self.channels


class Stored(NamedTuple):
    """How a picture is stored; the fields are columns of the image table.

    Attributes:
      stored_height: pixels.
      stored_width: pixels.
      conversion: why it is converted, the reasons with commas between them; empty if
        it is stored byte for byte.
    """

    stored_height: int
    stored_width: int
    conversion: str


def stored_as(facts: Facts, options: ImageOptions) -> Stored:
    """Returns how a picture is stored, without a look at its pixels.

    It is stored byte for byte if `tfds.load` and `tfds.data_source` both read it
    rightly as it is.

    Args:
      facts: what the picture is.
      options: what it is to be.
    """
    upright = facts.height, facts.width
    if options.apply_exif and facts.orientation >= 5:
        upright = facts.width, facts.height
    height, width = _size(*upright, options)
    reasons = [*_reasons(facts, options)]
    if (height, width) != upright:
        reasons.append("resized")
    if facts.format in _DECODABLE and options.encoding not in (
        None,
        facts.format.lower(),
    ):
        reasons.append("encoding")
    return Stored(height, width, ", ".join(reasons))


def check(facts: Facts, options: ImageOptions) -> None:
    """Checks that a picture can be what it is to be.

    Args:
      facts: what the picture is.
      options: what it is to be.

    Raises:
      UnusableImageError: if it can't.
    """
    is_cut = facts.depth == 16 and not facts.is_gray_16_bit and facts.format != "PNG"
    if is_cut and options.dtype == "uint16":
        raise pictures.UnusableImageError(
            Kind.FORMAT,
            f" is {facts.format} of {facts.channels} channels with more than 8 bits, of"
            " which 8 can be read",
        )
    if facts.is_gray_16_bit and facts.depth != 16:
        raise pictures.UnusableImageError(
            Kind.FORMAT,
            f" is {facts.format} of {facts.depth} bits a channel, which would be read"
            " as 16",
        )
    if facts.depth == 16 and facts.has_alpha and facts.channels in (1, 3):
        raise pictures.UnusableImageError(
            Kind.FORMAT, " has 16 bits a channel, and one transparent colour"
        )
    _check_sides(facts, options)
    if options.image_shape:
        stored = stored_as(facts, options)
        shape = (stored.stored_height, stored.stored_width, options.channels)
        if shape != options.image_shape:
            raise pictures.UnusableImageError(
                Kind.SHAPE,
                " is {} x {} x {}, not {} x {} x {}".format(
                    *shape, *options.image_shape
                ),
            )


def _check_sides(facts: Facts, options: ImageOptions) -> None:
    """Raises an `UnusableImageError` if a picture's sides are too long for decoders."""
    height, width, conversion = stored_as(facts, options)
    image_format = facts.format
    if conversion:
        image_format = "JPEG" if options.encoding == "jpeg" else "PNG"
    sides = [("would be", image_format, height, width)]
    if facts.format == "PNG" and facts.depth == 16 and options.dtype == "uint16":
        # TensorFlow reads it, not Pillow.
        sides.append(("is", "PNG", facts.height, facts.width))
    for verb, name, height, width in sides:
        limit = MAX_SIDES.get(name)
        if limit is not None and max(height, width) > limit:
            raise pictures.UnusableImageError(
                Kind.TOO_LONG,
                f" {verb} a {name} of {height:,} x {width:,} pixels, of which a side"
                f" can have {limit:,}",
            )


def _size(height: int, width: int, options: ImageOptions) -> tuple[int, int]:
    """Returns the height and the width that an upright picture gets."""
    if options.resize:
        return options.resize
    longer = max(height, width)
    if options.max_side is None or longer <= options.max_side:
        return height, width
    # Rounded half up, in integers, so that it is the same everywhere.
    doubled = 2 * options.max_side
    return (
        max(1, (height * doubled + longer) // (2 * longer)),
        max(1, (width * doubled + longer) // (2 * longer)),
    )


def _reasons(facts: Facts, options: ImageOptions) -> list[str]:
    """Returns why a picture can't be stored as it is, its size and encoding apart."""
    reasons = []
    bits = 16 if options.dtype == "uint16" else 8
    if facts.format not in _DECODABLE:
        reasons.append(f"format {facts.format}")
    elif not facts.is_plain or (facts.format == "BMP" and options.channels != 3):
        reasons.append("format BMP")
    if facts.frames > 1 and facts.format != "JPEG":
        reasons.append("several frames")
    if facts.mode in _PALETTE_MODES:
        reasons.append("palette")
    elif facts.depth != bits:
        reasons.append(f"depth {facts.depth}")
    if facts.mode not in _USUAL_MODES | _PALETTE_MODES and not facts.is_gray_16_bit:
        reasons.append(f"mode {facts.mode}")
    if options.channels != 4 and facts.has_alpha:
        reasons.append("alpha")
    if options.channels == 4 and facts.mode != "RGBA":
        reasons.append("no alpha channel")
    if options.channels == 1 and not facts.is_gray:
        reasons.append("color")
    if options.apply_exif and facts.orientation != 1:
        reasons.append("orientation")
    return reasons


def convert(content: bytes, facts: Facts, options: ImageOptions) -> bytes:
    """Returns a picture's file as `stored_as` says that it is stored.

    Args:
      content: the file's bytes.
      facts: what they are.
      options: what the picture is to be.

    Raises:
      UnusableImageError: if the picture is damaged, which its header doesn't tell.
    """
    try:
        return _converted(content, facts, options)
    except Exception as error:
        raise pictures.unreadable(error) from error


def _converted(content: bytes, facts: Facts, options: ImageOptions) -> bytes:
    stored = stored_as(facts, options)
    size = stored.stored_width, stored.stored_height
    # Pillow has no colours of 16 bits.
    if options.dtype == "uint16" and facts.depth == 16:
        return _encoded_16_bit(_converted_16_bit(content, facts, options, size))
    # Each step frees the picture of the one before.
    picture = _decoded(content, facts, options, size)
    picture = _with_channels(picture, facts, options)
    if picture.size != size:
        picture = picture.resize(
            size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP
        )
    if options.dtype == "uint16":
        return _encoded_16_bit(_scaled(picture, options.channels))
    picture.info = {}  # nothing but the picture, such as a profile of other colours
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
    with pictures.opened(encoded, max_pixels=options.max_pixels) as image:
        difference = ImageChops.difference(image, picture)
    mean: list[float] = ImageStat.Stat(difference).mean
    return max(mean)


def _decoded(
    content: bytes, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> Any:
    """Returns a picture upright; a JPEG that gets much smaller is reduced already."""
    with pictures.opened(content, max_pixels=options.max_pixels) as image:
        _draft(image, facts, options, size)
        image.load()
        return _oriented(image, facts, options)


def _draft(
    image: Any, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> None:
    """Lets libjpeg reduce a JPEG while it decodes it, if it is made much smaller."""
    if options.apply_exif and facts.orientation >= 5:
        size = size[::-1]
    width, height = (int(side * _REDUCING_GAP) for side in size)
    if facts.format == "JPEG" and width < facts.width and height < facts.height:
        image.draft(None, (width, height))


def _turn(facts: Facts, options: ImageOptions) -> int:
    """Returns the orientation that is to be made upright in what a decoder gives."""
    if facts.format == "TIFF":
        # Pillow has made it upright.
        if options.apply_exif:
            return 1
        return _INVERSE.get(facts.orientation, facts.orientation)
    return facts.orientation if options.apply_exif else 1


def _oriented(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns a picture upright, or as it is in the file."""
    turn = _turn(facts, options)
    return picture if turn == 1 else picture.transpose(_UPRIGHT[turn])


def _with_channels(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns a picture as gray, RGB or RGBA of 8 bits a channel."""
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
    # What is between would take as much memory as the picture, or more.
    for box in _boxes(*picture.size):
        part = picture.crop(box)
        part = _on_background(part, options) if is_seen_through else part.convert("RGB")
        converted.paste(part.convert(mode), box)
    return converted


def _on_background(picture: Any, options: ImageOptions) -> Any:
    """Returns a picture with transparency as RGB without."""
    rgba = picture.convert("RGBA")
    seen = Image.new("RGB", picture.size, _color(options))
    seen.paste(rgba, mask=rgba)
    return seen


def _color(options: ImageOptions) -> tuple[int, ...]:
    color: tuple[int, ...] = ImageColor.getrgb(options.background)
    return color


def _boxes(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields the parts of a picture that are worked on at once.

    Each is given as Pillow does, by its left, upper, right and lower edge in pixels;
    most are strips of whole rows.
    """
    columns = min(width, _PART)
    rows = max(1, _PART // columns)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)


def _within(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Returns a part of pixels (height x width x ...), as a view."""
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]


def _scaled(picture: Any, channels: int) -> np.ndarray:
    """Returns a picture's pixels (uint16, height x width x channels), 255 as 65535."""
    import numpy as np

    scaled = np.empty((picture.height, picture.width, channels), np.uint16)
    for box in _boxes(*picture.size):
        part = _within(scaled, box)
        part[...] = np.asarray(picture.crop(box)).reshape(part.shape)
        part *= 257
    return scaled


def _converted_16_bit(
    content: bytes, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> np.ndarray:
    """Returns the pixels of a picture of 16 bits a channel, as they are to be.

    Args:
      content: the file's bytes.
      facts: what they are.
      options: what the picture is to be.
      size: width and height that it gets.

    Returns:
      An array (uint16) of height x width x channels.
    """
    import numpy as np

    pixels = _turned(_pixels_16_bit(content, facts, options), _turn(facts, options))
    if pixels.shape[1::-1] != size:
        return _resized_16_bit(pixels, options, size)
    converted = np.empty((*pixels.shape[:2], options.channels), np.uint16)
    for box in _boxes(*size):
        part, target = _within(pixels, box), _within(converted, box)
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
        for box in _boxes(*size):
            levels = np.asarray(band.crop(box), np.float64)
            target = _within(resized, box)
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
    """Returns a band of another size, as a picture of Pillow's mode F (float32).

    Args:
      pixels: height x width x channels.
      band_of: returns the band (height x width) of a part of the pixels.
      size: width and height that it gets.
    """
    import numpy as np

    band = Image.new("F", pixels.shape[1::-1])
    for box in _boxes(*band.size):
        part = band_of(_within(pixels, box)).astype(np.float32)
        band.paste(Image.fromarray(part), box)
    return band.resize(size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)


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
    """Returns a colour for resizing: those of transparent pixels must not show."""
    color = _color_16_bit(pixels, at, options)
    if options.channels == 4 and _has_alpha(pixels):
        color *= _alpha_16_bit(pixels)
    return color


def _color_16_bit(pixels: np.ndarray, at: int, options: ImageOptions) -> np.ndarray:
    """Returns a colour of pixels, on the background unless alpha is kept.

    Args:
      pixels: height x width x 1 to 4 (uint16).
      at: the colour's number, as `_colors` gives it.
      options: what the picture is to be.

    Returns:
      An array (float64, 0 to 65535) of height x width.
    """
    import numpy as np

    def seen(at: int) -> np.ndarray:
        band = pixels[..., at if pixels.shape[2] > 2 else 0]
        levels: np.ndarray = band.astype(np.float64)
        if options.channels != 4 and _has_alpha(pixels):
            alpha = _alpha_16_bit(pixels)
            levels = levels * alpha + _color(options)[at] * 257 * (1 - alpha)
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


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns pixels of an orientation (1 to 8) upright, as a view."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


def _pixels_16_bit(content: bytes, facts: Facts, options: ImageOptions) -> np.ndarray:
    """Returns the pixels (uint16, height x width x 1 to 4) as they are in the file."""
    import numpy as np

    if facts.format == "PNG":
        import tensorflow as tf

        # Its method `numpy` would copy them.
        return np.asarray(memoryview(tf.io.decode_png(content, dtype=tf.uint16)))
    with pictures.opened(content, max_pixels=options.max_pixels) as image:
        image.load()
        pixels = np.empty((image.height, image.width, 1), np.uint16)
        for box in _boxes(*image.size):
            _within(pixels, box)[..., 0] = np.asarray(image.crop(box))
        return pixels


def _encoded_16_bit(pixels: np.ndarray) -> bytes:
    """Returns pixels (uint16, height x width x channels) as a PNG."""
    import tensorflow as tf

    content: bytes = tf.io.encode_png(pixels).numpy()
    return content
