"""The formats of image files: what a header says, and whether the rest decodes."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import PIL
from PIL import ExifTags, Image, ImageFile

from tfds_imagecsv.image_formats import FORMATS, format_of
from tfds_imagecsv.images import (
    color_profile,
    facts,
    jpeg,
    jpeg_xl,
    png,
    signatures,
    small_pictures,
)
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.problems import Kind, UnusableImageError

# Modes whose pixels have no defined range, or that Pillow can't convert.
_UNCLEAR_MODES = frozenset({"F", "I", "LAB"})

# Tags of TIFF: what only raw files have, and the bit of images that are previews.
_DNG_VERSION, _IS_REDUCED = 50706, 1

# What announces an orientation in a PNG. Pillow would decode all of it to find out.
_PNG_ORIENTATION = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")

# The pixels of a PNG whose inflated data are kept, with up to 4 bytes a pixel.
_MOST_KEPT = 1 << 22


def unreadable(error: Exception) -> UnusableImageError:
    """Returns the error for an image that can't be read, with the reason.

    Args:
      error: what Pillow or another library raised; its message may be empty.
    """
    reason = str(error) or type(error).__name__
    return UnusableImageError(Kind.UNREADABLE, f": {reason}")


@contextlib.contextmanager
def opened(content: bytes, *, max_pixels: int) -> Iterator[Any]:
    """Opens an image with Pillow, whatever its global settings are.

    TFDS makes Pillow accept truncated images once it has shown one.

    Args:
      content: the file's bytes.
      max_pixels: the most pixels of an image within the file, such as the PNG in an
        ICO, whose size is unknown before decoding. The file's own size isn't checked.

    Yields:
      The `PIL.Image.Image`, before its pixels are decoded.
    """
    limit, lenient = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
    try:
        with warnings.catch_warnings():
            # Pillow warns about odd metadata, which we don't use.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_names(content)) as image:
                Image.MAX_IMAGE_PIXELS = max_pixels
                yield image
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, lenient


def _names(content: bytes) -> tuple[str, ...]:
    """Returns Pillow's names of the formats that a file may have."""
    extra = signatures.extra_of(content)
    if extra is not None and extra.load():
        return (extra.pillow_name,)
    return FORMATS


def read_facts(
    content: bytes,
    *,
    max_pixels: int,
    decode: bool,
    is_decoded_later: Callable[[Facts], object] = lambda _: False,
    see: Callable[[Any, Facts], object] | None = None,
) -> Facts:
    """Returns the facts of an image file.

    Args:
      content: the file's bytes.
      max_pixels: the most pixels that it may have.
      decode: whether to decode all of it, or to read only its header.
      is_decoded_later: says by its facts whether an image is decoded later, so that
        `decode` doesn't apply to it.
      see: called with the decoded image (Pillow's) as it is in the file, and its facts.
        JPEGs are reduced by `small_pictures.factor_for`.

    Raises:
      UnusableImageError: if it is no image, is damaged or too large, or its pixels
        aren't colours.
    """
    try:
        plain = _plain_facts(content)
        if plain:
            _check_size(plain.height, plain.width, max_pixels)
            if not decode or is_decoded_later(plain):
                return plain
            if plain.format == "PNG" and _check_plain_png(content, plain, see):
                return plain
        if signatures.extra_of(content) is signatures.JXL and signatures.JXL.load():
            _check_size(*jpeg_xl.size_of(content), max_pixels)
        with opened(content, max_pixels=max_pixels) as image:
            _check_size(image.height, image.width, max_pixels)
            facts = plain or _facts(image, content)
            _check_mode(facts)
            if decode and not is_decoded_later(facts):
                _decode(image, facts.format, content, is_seen=see is not None)
                if see is not None:
                    see(image, facts)
    except PIL.UnidentifiedImageError:
        raise _unidentified(content) from None
    except UnusableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableImageError(Kind.TOO_LARGE, f": {error}") from error
    except Exception as error:
        # Pillow's plugins raise nearly anything for damaged files.
        raise unreadable(error) from error
    return facts


def _check_plain_png(
    content: bytes, facts: Facts, see: Callable[[Any, Facts], object] | None
) -> bool:
    """Checks a usual PNG, and shows it.

    Returns:
      Whether that is done. Pillow has to decode a large one, whose inflated data take
      too much memory.

    Raises:
      Exception: if it is damaged.
    """
    if see is None:
        png.check(content)
    elif facts.height * facts.width <= _MOST_KEPT:
        kept: list[bytes] = []
        png.check(content, kept)
        see(png.picture_of(content, facts, kept), facts)
    else:
        return False
    return True


def _unidentified(content: bytes) -> UnusableImageError:
    """Returns the error for a file that Pillow doesn't know."""
    extra = signatures.extra_of(content)
    if extra is not None:
        if extra.is_installed:
            return UnusableImageError(Kind.UNREADABLE, f": damaged {extra.name}")
        return UnusableImageError(
            Kind.UNSUPPORTED,
            f" is {extra.name}: install what reads it by"
            f" pip install 'tfds-imagecsv[{extra.extra}]'",
        )
    if name := signatures.name_of(content):
        return UnusableImageError(Kind.UNSUPPORTED, f" is {name}")
    return UnusableImageError(Kind.UNREADABLE, " isn't an image")


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        raise UnusableImageError(
            Kind.TOO_LARGE, f" has {height:,} x {width:,} = {height * width:,} pixels"
        )


def _check_mode(facts: Facts) -> None:
    if facts.mode in _UNCLEAR_MODES and not facts.is_gray_16_bit:
        raise UnusableImageError(
            Kind.FORMAT, f" is {facts.format} of mode {facts.mode}"
        )


def _facts(image: Any, content: bytes) -> Facts:
    image_format = format_of(image.format)
    mode = image.mode
    orientation = _orientation(image, image_format, content)
    height, width = image.height, image.width
    if image_format == "TIFF" and orientation >= 5:
        # Pillow gives the upright size.
        height, width = width, height
    _check_kind(image, image_format, content)
    mcu_height, mcu_width = 0, 0
    if image_format == "JPEG":
        factors = [factors for _, *factors, _ in image.layer]
        mcu_height, mcu_width = jpeg.mcu(factors)
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
        is_lossy=_is_lossy(image, image_format, content),
        has_other_profile=not color_profile.is_srgb(
            image.info.get("icc_profile") or b""
        ),
        mcu_height=mcu_height,
        mcu_width=mcu_width,
    )


def _check_kind(image: Any, image_format: str, content: bytes) -> None:
    """Raises an `UnusableImageError` for what Pillow or TensorFlow reads wrongly."""
    if image_format == "JPEG" and (name := signatures.name_of(content)):
        raise UnusableImageError(Kind.UNSUPPORTED, f" is {name}")
    if image_format == "BMP" and content[30:34] == b"\x02\0\0\0":
        raise UnusableImageError(
            Kind.UNSUPPORTED,
            " is a BMP with run lengths of 4 bits, which Pillow decodes wrongly",
        )
    if image_format == "TIFF" and (
        signatures.is_raw(content)
        or _DNG_VERSION in image.tag_v2
        or image.tag_v2.get(ExifTags.Base.NewSubfileType, 0) & _IS_REDUCED
    ):
        raise UnusableImageError(
            Kind.UNSUPPORTED,
            " is a raw file of a camera, or a TIFF whose first image is a preview",
        )


def _is_lossy(image: Any, image_format: str, content: bytes) -> bool:
    if image_format == "WEBP":
        return _is_lossy_webp(content)
    if image_format == "JPEG2000":
        # The marker COD ends with the kind of wavelet; 1 is the one without loss.
        return content[content.index(b"\xff\x52") + 13] == 0
    if image_format == "TIFF":
        return "jpeg" in image.info.get("compression", "")
    # AVIF, HEIF and JPEG XL files don't readily tell, and most are lossy.
    return image_format in ("JPEG", "AVIF", "HEIF", "JXL")


def _is_lossy_webp(content: bytes) -> bool:
    """Returns whether the first picture of a WebP is lossy."""
    at = 12
    while (name := content[at : at + 4]) not in (b"VP8 ", b"VP8L", b""):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        # A frame has chunks of its own, after 16 bytes.
        at += 8 + (16 if name == b"ANMF" else size + size % 2)
    return name == b"VP8 "


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
    """Returns whether Pillow cuts channels of more than 8 bits to 8.

    The mode doesn't tell. These are the formats concerned, besides PNG and TIFF.
    """
    if image.format == "PPM":
        codec, _, _, arguments = image.tile[0]
        is_cut = codec != "raw" and int(arguments[1]) > 255  # the level of white
    elif image.format == "SGI":
        is_cut = content[3] == 2  # bytes a channel
    elif image.format == "JPEG2000":
        # The marker SIZ has 3 bytes for each component. The low bits of the first are
        # the component's bits minus one, its top bit is the sign.
        at = content.index(b"\xff\x4f\xff\x51") + 40
        (components,) = struct.unpack_from(">H", content, at)
        bits = content[at + 2 : at + 2 + 3 * components : 3]
        is_cut = any(one & 127 >= 8 for one in bits)
    elif image.format == "AVIF":
        # The third byte of the AV1 configuration has the bit `high_bitdepth`.
        at = content.find(b"av1C")
        is_cut = at >= 0 and content[at + 6] & 0x40 != 0
    else:
        is_cut = image.info.get("bit_depth", 8) > 8  # HEIF
    return is_cut


def _orientation(image: Any, image_format: str, content: bytes) -> int:
    if image_format == "HEIF" or (image_format == "JXL" and not image.jpeg):
        # Turned by their own transformations, and not by EXIF.
        return 1
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
        # Viewers show images with damaged metadata, so we accept them.
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def _is_plain_bmp(content: bytes) -> bool:
    """Returns whether a BMP is uncompressed, with 24 bits a pixel and exact length."""
    offset, header_size, width, height, planes, bits, compression = struct.unpack_from(
        "<IIiiHHI", content, 10
    )
    row_size = (width * bits // 8 + 3) // 4 * 4
    return (header_size, planes, bits, compression) == (40, 1, 24, 0) and (
        offset + row_size * abs(height) == len(content)
    )


def _decode(image: Any, image_format: str, content: bytes, *, is_seen: bool) -> None:
    """Decodes all of an image's data.

    Args:
      image: the image as Pillow opened it.
      image_format: its format.
      content: the file's bytes.
      is_seen: whether somebody needs its pixels.

    Raises:
      Exception: if it is damaged.
    """
    if image_format == "JPEG":
        # Damage shows in the entropy-coded data, which libjpeg reads at any scale. The
        # smallest scale saves the arithmetic, which can't fail.
        factor = small_pictures.factor_for(*image.size) if is_seen else 8
        image.draft(None, [max(1, side // factor) for side in image.size])
    if check_end(content, image_format) or is_seen:
        image.load()


def check_end(content: bytes, image_format: str) -> bool:
    """Checks what Pillow doesn't: it stops at the last pixel, TensorFlow at the end.

    Returns:
      Whether Pillow still has to decode the pixels: of a PNG, all is checked here.

    Raises:
      Exception: if the file is damaged.
    """
    if image_format == "PNG":
        return png.check(content)
    if image_format == "JPEG" and not jpeg.has_end(content):
        raise ValueError("the data are damaged, or end too early")
    return True


def _plain_facts(content: bytes) -> Facts | None:
    """Returns the facts of a usual PNG or JPEG without Pillow; None for any other.

    Pillow takes twenty times as long for a small image. It gets the other formats,
    files with metadata that may matter, and files that look damaged.
    """
    if content.startswith(png.START):
        return png.facts_of_usual(content)
    if content.startswith(b"\xff\xd8"):
        return jpeg.facts_of_usual(content)
    return None
