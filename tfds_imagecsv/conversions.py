"""How pictures are stored: as they are, or converted to what decoders agree on."""

from __future__ import annotations

import dataclasses
import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageStat

from tfds_imagecsv import pictures
from tfds_imagecsv.pictures import Facts
from tfds_imagecsv.problems import Kind

# What `tf.image.decode_image` decodes to height x width x channels. It gives GIF and
# WebP a dimension for frames, and can't decode others.
_DECODABLE = frozenset({"BMP", "JPEG", "PNG"})

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
    if facts.depth == 16 and not facts.is_gray_16_bit:
        if options.dtype == "uint16" and facts.format != "PNG":
            raise pictures.UnusableImageError(
                Kind.FORMAT,
                f" is {facts.format} of {facts.channels} channels with 16 bits, of"
                " which 8 can be read",
            )
        if facts.has_alpha and facts.mode == "RGB":
            raise pictures.UnusableImageError(
                Kind.FORMAT, " has 16 bits a channel, and one transparent colour"
            )
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
        return _encoded_16_bit(_resized_16_bit(content, facts, options, size))
    with pictures.opened(content, max_pixels=options.max_pixels) as image:
        _draft(image, facts, options, size)
        image.load()
        picture = _oriented(image, facts, options)
        picture = _with_channels(picture, facts, options)
        if picture.size != size:
            picture = picture.resize(
                size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP
            )
    if options.dtype == "uint16":
        return _encoded_16_bit(_planes(np.asarray(picture)).astype(np.uint16) * 257)
    picture.info = {}  # nothing but the picture, such as a profile of other colours
    if options.encoding == "png" or options.channels == 4:
        return _png(picture)
    if options.encoding == "jpeg" or (facts.format == "JPEG" and options.quality):
        return _jpeg(picture, options.quality or _QUALITY)
    if facts.format == "JPEG" and size[0] * size[1] >= _MIN_JPEG_PIXELS:
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


def _draft(
    image: Any, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> None:
    """Lets libjpeg reduce a JPEG while it decodes it, if it is made much smaller."""
    if options.apply_exif and facts.orientation >= 5:
        size = size[::-1]
    width, height = (int(side * _REDUCING_GAP) for side in size)
    if facts.format == "JPEG" and width < facts.width and height < facts.height:
        image.draft(None, (width, height))


def _oriented(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns a picture upright, or as it is in the file."""
    orientation = facts.orientation
    if facts.format == "TIFF":
        # Pillow has made it upright.
        if options.apply_exif or orientation == 1:
            return picture
        orientation = _INVERSE.get(orientation, orientation)
    elif not options.apply_exif or orientation == 1:
        return picture
    return picture.transpose(_UPRIGHT[orientation])


def _with_channels(picture: Any, facts: Facts, options: ImageOptions) -> Any:
    """Returns a picture as gray, RGB or RGBA of 8 bits a channel."""
    if facts.is_gray_16_bit:
        # The upper 8 bits, as TensorFlow reads it; Pillow would cut at 255.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[options.channels]
    if facts.has_alpha and mode != "RGBA":
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", picture.size, _color(options))
        picture.paste(rgba, mask=rgba)
    if picture.mode not in ("L", "RGB", "RGBA") and mode == "L":
        picture = picture.convert("RGB")
    return picture if picture.mode == mode else picture.convert(mode)


def _color(options: ImageOptions) -> tuple[int, ...]:
    color: tuple[int, ...] = ImageColor.getrgb(options.background)
    return color


def _planes(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels with a dimension for channels, if they have none."""
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _resized_16_bit(
    content: bytes, facts: Facts, options: ImageOptions, size: tuple[int, int]
) -> np.ndarray:
    """Returns the pixels of a picture of 16 bits a channel, as they are to be."""
    pixels = _pixels_16_bit(content, facts, options)
    bands = [
        _oriented(Image.fromarray(band.astype(np.float32)), facts, options)
        for band in np.moveaxis(pixels, 2, 0)
    ]
    # Colours of transparent pixels must not show in others.
    colors = [np.asarray(band, np.float64) for band in bands]
    alpha = colors.pop() / 65535 if len(colors) in (2, 4) else None
    if alpha is not None and options.channels != 4:
        # Gray is seen before a colour.
        colors = colors * 3 if len(colors) == 1 else colors
        background = [level * 257 for level in _color(options)]
        colors = [
            color * alpha + level * (1 - alpha)
            for color, level in zip(colors, background, strict=True)
        ]
        alpha = None
    if len(colors) == 3 and options.channels == 1:
        # ITU-R 601-2, as Pillow's conversion to gray.
        red, green, blue = colors
        colors = [0.299 * red + 0.587 * green + 0.114 * blue]
    elif len(colors) == 1 and options.channels != 1:
        colors = colors * 3
    if bands[0].size != size:
        colors, alpha = _resized_bands(colors, alpha, size)
    if options.channels == 4:
        alpha = np.ones_like(colors[0]) if alpha is None else alpha
        colors = [*colors, alpha * 65535]
    return np.rint(np.stack(colors, axis=2)).clip(0, 65535).astype(np.uint16)


def _resized_bands(
    colors: list[np.ndarray], alpha: np.ndarray | None, size: tuple[int, int]
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Returns bands of another size; colours of transparent pixels count for less."""

    def resized(band: np.ndarray) -> np.ndarray:
        return np.asarray(
            Image.fromarray(band.astype(np.float32)).resize(
                size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP
            ),
            np.float64,
        )

    if alpha is None:
        return [resized(color) for color in colors], None
    new_alpha = resized(alpha).clip(0, 1)
    divisor = np.where(new_alpha > 0, new_alpha, 1)
    return [resized(color * alpha) / divisor for color in colors], new_alpha


def _pixels_16_bit(content: bytes, facts: Facts, options: ImageOptions) -> np.ndarray:
    """Returns the pixels (uint16, height x width x 1 to 4) as they are in the file."""
    if facts.format == "PNG":
        import tensorflow as tf

        pixels: np.ndarray = tf.io.decode_png(content, dtype=tf.uint16).numpy()
        return pixels
    with pictures.opened(content, max_pixels=options.max_pixels) as image:
        image.load()
        return _planes(np.asarray(image).astype(np.uint16))


def _encoded_16_bit(pixels: np.ndarray) -> bytes:
    """Returns pixels (uint16, height x width x channels) as a PNG."""
    import tensorflow as tf

    content: bytes = tf.io.encode_png(pixels).numpy()
    return content
