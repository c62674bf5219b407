"""What the bytes of an image file are: format, size, depth, orientation, soundness."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import PIL
from PIL import ExifTags, Image, ImageFile

from tfds_imagecsv.images import facts, jpeg, png
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.problems import Kind, UnusableImageError

# Pillow's raster formats, by its names. Those that it has others draw (EPS by
# Ghostscript, WMF) are left out: they run programs, or have no size of their own.
# TGA comes last, since it has no signature.
FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI"),
    *("ICO", "DDS", "PSD", "SGI", "PCX", "TGA"),
)

# Modes whose pixels have no range of their own, or that Pillow can't convert.
_UNCLEAR_MODES = frozenset({"F", "I", "LAB"})

# Where an orientation can be in a PNG; Pillow would decode it all to search for one.
_PNG_ORIENTATION = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")


def unreadable(error: Exception) -> UnusableImageError:
    """Returns the error of a picture that can't be read, with the reason.

    Args:
      error: what Pillow or another library raised, perhaps without words.
    """
    reason = str(error) or type(error).__name__
    return UnusableImageError(Kind.UNREADABLE, f": {reason}")


@contextlib.contextmanager
def opened(content: bytes, *, max_pixels: int) -> Iterator[Any]:
    """Opens a picture with Pillow, whatever others have set there.

    TFDS lets Pillow accept cut-off images once it has shown one.

    Args:
      content: the file's bytes.
      max_pixels: how many pixels a picture within it may have, such as the PNG in an
        ICO, whose size only shows when it is decoded; its own are not checked.

    Yields:
      The `PIL.Image.Image`, of which only the header has been read.
    """
    limit, lenient = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is odd in metadata, which aren't used.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                Image.MAX_IMAGE_PIXELS = max_pixels
                yield image
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, lenient


def format_of(name: str) -> str:
    """Returns the format of a first picture by Pillow's name of the file's format."""
    return "JPEG" if name == "MPO" else name


def read_facts(content: bytes, *, max_pixels: int, decode: bool) -> Facts:
    """Returns what a picture is.

    Args:
      content: the file's bytes.
      max_pixels: how many pixels it may have.
      decode: whether to decode all of it; else only its header is read.

    Raises:
      UnusableImageError: if it is no picture, is damaged or too large, or has pixels
        that stand for no colours.
    """
    try:
        plain = _plain_facts(content)
        if plain and (plain.format == "PNG" or not decode):
            _check_size(plain.height, plain.width, max_pixels)
            if decode:
                png.check(content)
            return plain
        with opened(content, max_pixels=max_pixels) as image:
            _check_size(image.height, image.width, max_pixels)
            facts = _facts(image, content)
            if decode:
                _decode(image, facts.format, content)
    except PIL.UnidentifiedImageError:
        raise UnusableImageError(Kind.UNREADABLE, " isn't an image") from None
    except UnusableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableImageError(Kind.TOO_LARGE, f": {error}") from error
    except Exception as error:
        # Damaged files make Pillow's plugins raise nearly anything.
        raise unreadable(error) from error
    if facts.mode in _UNCLEAR_MODES and not facts.is_gray_16_bit:
        raise UnusableImageError(
            Kind.FORMAT, f" is {facts.format} of mode {facts.mode}"
        )
    return facts


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        raise UnusableImageError(
            Kind.TOO_LARGE, f" has {height:,} x {width:,} = {height * width:,} pixels"
        )


def _facts(image: Any, content: bytes) -> Facts:
    image_format = format_of(image.format)
    mode = image.mode
    orientation = _orientation(image, image_format, content)
    height, width = image.height, image.width
    if image_format == "TIFF" and orientation >= 5:
        # Pillow gives the size that it has when it is upright.
        height, width = width, height
    return Facts(
        format=image_format,
        mode=mode,
        channels=len(image.getbands()),
        has_alpha=image.has_transparency_data,
        depth=_depth(image, content),
        height=height,
        width=width,
        orientation=orientation,
        frames=getattr(image, "n_frames", 1),
        is_plain=image_format != "BMP" or _is_plain_bmp(content),
    )


def _depth(image: Any, content: bytes) -> int:
    if image.format == "PNG":
        return content[24]  # the IHDR chunk, which comes first
    if image.format == "TIFF":
        bits: tuple[int, ...] = image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))
        return max(bits)
    if image.mode == "1":
        return 1
    is_deep = image.mode in facts.GRAY_16_BIT_MODES or image.mode == "I"
    return 16 if is_deep or _is_cut_by_pillow(image, content) else 8


def _is_cut_by_pillow(image: Any, content: bytes) -> bool:
    """Returns whether channels have more than 8 bits, which Pillow makes 8 of.

    Its mode doesn't tell it; PNG and TIFF apart, these are the formats that have them.
    """
    if image.format == "PPM":
        codec, _, _, arguments = image.tile[0]
        is_cut = codec != "raw" and int(arguments[1]) > 255  # the level of white
    elif image.format == "SGI":
        is_cut = content[3] == 2  # bytes a channel
    elif image.format == "JPEG2000":
        # The first marker, SIZ: the number of components, and 3 bytes of each, of which
        # the first has the bits, less one, and above them whether there is a sign.
        at = content.index(b"\xff\x4f\xff\x51") + 40
        (components,) = struct.unpack_from(">H", content, at)
        bits = content[at + 2 : at + 2 + 3 * components : 3]
        is_cut = any(one & 127 >= 8 for one in bits)
    elif image.format == "AVIF":
        # The AV1 configuration: its third byte has the bit `high_bitdepth`.
        at = content.find(b"av1C")
        is_cut = at >= 0 and content[at + 6] & 0x40 != 0
    else:
        is_cut = False
    return is_cut


def _orientation(image: Any, image_format: str, content: bytes) -> int:
    if image_format == "PNG":
        has_metadata = any(name in content for name in _PNG_ORIENTATION)
    else:
        has_metadata = not {"exif", "xmp"}.isdisjoint(image.info)
    if not has_metadata and image_format != "TIFF":
        return 1
    try:
        tags = image.tag_v2 if image_format == "TIFF" else image.getexif()
        orientation = tags.get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Damaged metadata are no reason to refuse a picture: viewers show it.
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def _is_plain_bmp(content: bytes) -> bool:
    """Returns whether a BMP is uncompressed, of 24 bits a pixel and of exact length."""
    offset, header_size, width, height, planes, bits, compression = struct.unpack_from(
        "<IIiiHHI", content, 10
    )
    row_size = (width * bits // 8 + 3) // 4 * 4
    return (header_size, planes, bits, compression) == (40, 1, 24, 0) and (
        offset + row_size * abs(height) == len(content)
    )


def _decode(image: Any, image_format: str, content: bytes) -> None:
    """Decodes all of a picture's data.

    Raises:
      Exception: if it is damaged.
    """
    if image_format == "JPEG":
        # All of the entropy-coded data are read at any scale, and they are where
        # damage shows; the least scale saves the arithmetic that can't fail.
        image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
    if image_format != "PNG" or png.check(content):
        image.load()
    # Pillow is content when it has got its pixels; TensorFlow reads to the end.
    if image_format == "JPEG" and not jpeg.has_end(content):
        raise ValueError("the data are damaged, or end too early")


def _plain_facts(content: bytes) -> Facts | None:
    """Returns what a picture of a usual kind is, without Pillow.

    Most pictures are of these kinds, and Pillow takes twenty times as long to say
    the same of a small one. Others, those with metadata that may matter, and what
    looks damaged, are left to it.
    """
    if content.startswith(png.START):
        return png.facts_of_usual(content)
    if content.startswith(b"\xff\xd8"):
        return jpeg.facts_of_usual(content)
    return None
