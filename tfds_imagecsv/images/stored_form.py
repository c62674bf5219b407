"""How an image is stored: as it is, or converted to what decoders agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import MAX_SIDES, ImageOptions
from tfds_imagecsv.problems import Kind, UnusableImageError

# What `tf.image.decode_image` decodes to height x width x channels. It gives GIF and
# WebP a dimension for frames, and can't decode others.
_DECODABLE = frozenset({"BMP", "JPEG", "PNG"})

_PALETTE_MODES = frozenset({"P", "PA"})

#: The reason of images that only have to be turned upright.
ORIENTATION = "orientation"

# Pixels below which an image that keeps its size is stored without loss.
_MIN_JPEG_PIXELS = 64 * 64

_USUAL_MODES = frozenset({"1", "L", "LA", "RGB", "RGBA"})


class Stored(NamedTuple):
    """How an image is stored; the fields are columns of the image table.

    Attributes:
      stored_height: pixels.
      stored_width: pixels.
      stored_format: `"BMP"`, `"JPEG"` or `"PNG"`.
      conversion: the reasons to convert it, separated by commas; empty if it is
        stored byte for byte.
    """

    stored_height: int
    stored_width: int
    stored_format: str
    conversion: str


def stored_as(facts: Facts, options: ImageOptions) -> Stored:
    """Returns how an image is stored, which doesn't depend on its pixels.

    It is stored byte for byte if `tfds.load` and `tfds.data_source` both read it
    correctly.

    Args:
      facts: what the file holds.
      options: what the dataset asks for.
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
    image_format = facts.format
    if reasons:
        image_format = _converted_format(facts, options, height, width, reasons)
    return Stored(height, width, image_format, ", ".join(reasons))


def _converted_format(
    facts: Facts,
    options: ImageOptions,
    height: int,
    width: int,
    reasons: Sequence[str],
) -> str:
    """Returns the format in which an image of a size is stored after conversion."""
    if options.channels == 4 or options.dtype == "uint16":
        return "PNG"
    if options.encoding is not None:
        return options.encoding.upper()
    if "resized" in reasons:
        is_jpeg = facts.is_lossy
    elif reasons == [ORIENTATION] and can_be_turned(facts):
        is_jpeg = True
    else:
        # A JPEG loses a little, and a small one doesn't save enough to be worth it.
        is_large = height * width >= _MIN_JPEG_PIXELS
        is_photo = facts.format in ("JPEG", "HEIF")
        is_jpeg = is_photo and (is_large or options.quality is not None)
    return "JPEG" if is_jpeg and max(height, width) <= MAX_SIDES["JPEG"] else "PNG"


def can_be_turned(facts: Facts) -> bool:
    """Returns whether a JPEG's blocks can be turned upright, without decoding them.

    A block that isn't whole can only be at the right or lower edge: what is turned
    away from there must be whole.
    """
    if facts.format != "JPEG":
        return False
    right_is_whole = facts.width % facts.mcu_width == 0
    lower_is_whole = facts.height % facts.mcu_height == 0
    return (right_is_whole or facts.orientation in (1, 4, 5, 6)) and (
        lower_is_whole or facts.orientation in (1, 2, 5, 8)
    )


def check(facts: Facts, options: ImageOptions) -> None:
    """Checks that an image can be stored as the dataset asks.

    Args:
      facts: what the file holds.
      options: what the dataset asks for.

    Raises:
      UnusableImageError: if it can't.
    """
    is_cut = facts.depth == 16 and not facts.is_gray_16_bit and facts.format != "PNG"
    if is_cut and options.dtype == "uint16":
        raise UnusableImageError(
            Kind.FORMAT,
            f" is {facts.format} of {facts.channels} channels with more than 8 bits, of"
            " which 8 can be read",
        )
    if facts.is_gray_16_bit and facts.depth != 16:
        raise UnusableImageError(
            Kind.FORMAT,
            f" is {facts.format} of {facts.depth} bits a channel, which would be read"
            " as 16",
        )
    if facts.depth == 16 and facts.has_alpha and facts.channels in (1, 3):
        raise UnusableImageError(
            Kind.FORMAT, " has 16 bits a channel, and one transparent colour"
        )
    _check_sides(facts, options)
    if options.image_shape:
        stored = stored_as(facts, options)
        shape = (stored.stored_height, stored.stored_width, options.channels)
        if shape != options.image_shape:
            raise UnusableImageError(
                Kind.SHAPE,
                " is {} x {} x {}, not {} x {} x {}".format(
                    *shape, *options.image_shape
                ),
            )


def _check_sides(facts: Facts, options: ImageOptions) -> None:
    """Raises an `UnusableImageError` if an image's sides are too long for decoders."""
    height, width, image_format, _ = stored_as(facts, options)
    sides = [("would be", image_format, height, width)]
    if facts.format == "PNG" and facts.depth == 16 and options.dtype == "uint16":
        # TensorFlow reads it, not Pillow.
        sides.append(("is", "PNG", facts.height, facts.width))
    for verb, name, height, width in sides:
        limit = MAX_SIDES.get(name)
        if limit is not None and max(height, width) > limit:
            raise UnusableImageError(
                Kind.TOO_LONG,
                f" {verb} a {name} of {height:,} x {width:,} pixels, of which a side"
                f" can have {limit:,}",
            )


def _size(height: int, width: int, options: ImageOptions) -> tuple[int, int]:
    """Returns the stored height and width of an upright image."""
    if options.resize:
        return options.resize
    longer = max(height, width)
    if options.max_side is None or longer <= options.max_side:
        return height, width
    # Rounded half up, in integers, which are the same everywhere.
    doubled = 2 * options.max_side
    return (
        max(1, (height * doubled + longer) // (2 * longer)),
        max(1, (width * doubled + longer) // (2 * longer)),
    )


def _reasons(facts: Facts, options: ImageOptions) -> list[str]:
    """Returns the reasons to convert an image, besides its size and encoding."""
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
    if options.icc == "srgb" and facts.has_other_profile:
        reasons.append("color profile")
    if options.apply_exif and facts.orientation != 1:
        reasons.append(ORIENTATION)
    return reasons
