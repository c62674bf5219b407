"""What the bytes of an image file are: format, size, depth, orientation, soundness."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import PIL
from PIL import ExifTags, Image, ImageFile

from tfds_imagecsv.problems import Kind

# Pillow's raster formats, by its names. Those that it has others draw (EPS by
# Ghostscript, WMF) are left out: they run programs, or have no size of their own.
# TGA comes last, since it has no signature.
FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI"),
    *("ICO", "DDS", "PSD", "SGI", "PCX", "TGA"),
)

# Modes whose pixels have no range of their own, or that Pillow can't convert.
_UNCLEAR_MODES = frozenset({"F", "I", "LAB"})

_GRAY_16_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})

# Where an orientation can be in a PNG; Pillow would decode it all to search for one.
_PNG_ORIENTATION = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")

# A marker of a JPEG, behind entropy-coded data: neither a stuffed zero, nor a fill
# byte, nor a restart.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")

# The chunks of a PNG that decoders know; they refuse others with a capital.
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT"})

# Bytes of a PNG's rows that are held at once when they are counted.
_INFLATED = 1 << 20


class Facts(NamedTuple):
    """What a picture is, by its file.

    Attributes:
      format: Pillow's name of the format, by content, such as `"PNG"`; a JPEG with
        more pictures behind it (Pillow's `"MPO"`) is a `"JPEG"`.
      mode: Pillow's mode, such as `"RGB"`.
      channels: how many channels the mode has; 1 for a palette.
      has_alpha: whether it has transparency, as a channel or as a colour.
      depth: bits a channel (a palette's index).
      height: pixels, before the orientation is applied.
      width: pixels, before the orientation is applied.
      orientation: 1 to 8, as in EXIF; 1 is upright.
      frames: how many pictures the file has.
      is_plain: whether a BMP is of the one kind that every decoder knows; True for
        other formats.
      size: bytes.
    """

    format: str
    mode: str
    channels: int
    has_alpha: bool
    depth: int
    height: int
    width: int
    orientation: int
    frames: int
    is_plain: bool
    size: int

    @property
    def is_gray(self) -> bool:
        """Whether it has no colours."""
        return self.mode in {"1", "L", "LA", "La", "I"} or self.is_gray_16_bit

    @property
    def is_gray_16_bit(self) -> bool:
        """Whether Pillow keeps the 16 bits of its one channel."""
        return self.mode in _GRAY_16_BIT_MODES or (
            self.mode == "I" and self.format == "PPM"
        )


class UnusableImageError(Exception):
    """A picture can't be used.

    Attributes:
      kind: what is wrong.
      detail: the value that is wrong, in words that fit behind "'a.png'".
    """

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


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


def look_at(content: bytes, *, max_pixels: int, decode: bool) -> Facts:
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
        has_alpha=image.has_transparency_data and mode not in _GRAY_16_BIT_MODES,
        depth=_depth(image, content),
        height=height,
        width=width,
        orientation=orientation,
        frames=getattr(image, "n_frames", 1),
        is_plain=image_format != "BMP" or _is_plain_bmp(content),
        size=len(content),
    )


def _depth(image: Any, content: bytes) -> int:
    if image.format == "PNG":
        return content[24]  # the IHDR chunk, which comes first
    if image.format == "TIFF":
        bits: tuple[int, ...] = image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))
        return max(bits)
    if image.mode == "1":
        return 1
    return 16 if image.mode in _GRAY_16_BIT_MODES or image.mode == "I" else 8


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
    image.load()
    # Pillow is content when it has got its pixels; TensorFlow reads to the end.
    if image_format == "JPEG" and not _jpeg_has_end(content):
        raise ValueError("the data are damaged, or end too early")
    if image_format == "PNG" and not _png_is_sound(content):
        raise ValueError("a checksum is wrong, or the end is missing")


def _png_is_sound(content: bytes) -> bool:
    """Returns whether a PNG's chunks have their checksums, and all rows."""
    view = memoryview(content)
    compression, filtering, interlacing = content[26:29]
    if compression or filtering or interlacing > 1:
        return False
    missing = _png_data_size(content)
    inflater = zlib.decompressobj()
    at = 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        checksum = int.from_bytes(view[end : end + 4], "big")
        if end + 4 > len(content) or zlib.crc32(view[at + 4 : end]) != checksum:
            return False
        if content.startswith(b"IEND", at + 4):
            return missing <= 0 and inflater.eof
        name = content[at + 4 : at + 8]
        if name[0] < ord("a") and name not in _PNG_CRITICAL:
            return False
        if name == b"IDAT":
            data: bytes | memoryview = view[at + 8 : end]
            # A little at a time, since little may become much.
            while len(data) and not inflater.eof:
                missing -= len(inflater.decompress(data, _INFLATED))
                data = inflater.unconsumed_tail
        at = end + 4
    return False


def _png_data_size(content: bytes) -> int:
    """Returns how many bytes the rows of a PNG have, with one a row for its filter."""
    width, height, depth, color = struct.unpack_from(">IIBB", content, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    # Where the pixels of a pass begin, and how far they are apart (x, then y).
    passes = [(0, 1, 0, 1)]
    if content[28]:
        passes = [
            *((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4)),
            *((0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)),
        ]
    size = 0
    for left, dx, top, dy in passes:
        columns = max(0, (width - left + dx - 1) // dx)
        rows = max(0, (height - top + dy - 1) // dy)
        size += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return size


def _jpeg_has_end(content: bytes) -> bool:
    """Returns whether the only scan of a JPEG is followed by what may follow it.

    libjpeg reads a JPEG with several scans to its end before it gives a pixel, so
    nothing is left to check there. Otherwise it stops behind the last row; a byte that
    looks like a marker in the data makes it do so early.
    """
    components = 0
    at = 2
    while match := _JPEG_MARKER.search(content, at):
        marker, at = match[1][0], match.end()
        if marker == 0xD9:  # end of image, before there was one
            return False
        if marker == 0x01:  # the one other marker without a length
            continue
        is_frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if is_frame and at + 8 <= len(content):
            components = content[at + 7]
            if marker in (0xC2, 0xCA):  # progressive
                return True
        elif marker == 0xDA:  # start of scan
            if at + 3 > len(content) or content[at + 2] < components:
                return True
            return _jpeg_ends_at_once(content, at)
        at += int.from_bytes(content[at : at + 2], "big")
    return False


def _jpeg_ends_at_once(content: bytes, at: int) -> bool:
    """Returns whether a scan is followed by the end, or comments before it."""
    while match := _JPEG_MARKER.search(content, at):
        marker, at = match[1][0], match.end()
        if marker == 0xD9:
            return True
        # Applications' data, comments, and the number of lines.
        if not (0xE0 <= marker <= 0xEF or marker in (0x01, 0xDC, 0xFE)):
            return False
        if marker != 0x01:
            at += int.from_bytes(content[at : at + 2], "big")
    return False
