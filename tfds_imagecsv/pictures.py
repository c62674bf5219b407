"""What the bytes of an image file are: format, size, depth, orientation, soundness."""

from __future__ import annotations

import collections
import contextlib
import functools
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
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})

# Bytes of a PNG's rows that are held at once when they are counted.
_INFLATED = 1 << 20

# The last of the five filters that a row of a PNG may have.
_LAST_FILTER = 4

# What usual pictures consist of; anything else may change how they are shown. Of a
# PNG: its chunks but header, data and end, with their sizes, and the modes by the type
# of its colours. Of a JPEG: tables, restart intervals, comments and JFIF; the frames of
# baseline and progressive ones.
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
_PNG_PLAIN = {b"pHYs": 9, b"tIME": 7, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32}
_PNG_PLAIN_MODES = {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}
_JPEG_PLAIN_SEGMENTS = frozenset({0xDB, 0xC4, 0xDD, 0xFE, 0xE0})
_JPEG_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_SCAN = 0xDA


class Facts(NamedTuple):
    """What a picture is, by its file.

    Attributes:
      format: Pillow's name of the format, by content, such as `"PNG"`; a JPEG with
        more pictures behind it (Pillow's `"MPO"`) is a `"JPEG"`.
      mode: Pillow's mode, such as `"RGB"`.
      channels: how many channels the mode has; 1 for a palette.
      has_alpha: whether it has transparency, as a channel or as a colour.
      depth: bits a channel (a palette's index); 16 for 9 to 15 that Pillow scales.
      height: pixels, before the orientation is applied.
      width: pixels, before the orientation is applied.
      orientation: 1 to 8, as in EXIF; 1 is upright.
      frames: how many pictures the file has.
      is_plain: whether a BMP is of the one kind that every decoder knows; True for
        other formats.
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
        plain = _plain_facts(content)
        if plain and (plain.format == "PNG" or not decode):
            _check_size(plain.height, plain.width, max_pixels)
            if decode:
                _check_png(content)
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
    is_deep = image.mode in _GRAY_16_BIT_MODES or image.mode == "I"
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
    if image_format != "PNG" or _check_png(content):
        image.load()
    # Pillow is content when it has got its pixels; TensorFlow reads to the end.
    if image_format == "JPEG" and not _jpeg_has_end(content):
        raise ValueError("the data are damaged, or end too early")


def _check_png(content: bytes) -> bool:
    """Checks that a PNG can be decoded to its end.

    A PNG is decoded by inflating its data, and by undoing the filter that each row
    names, which can't fail. So its pixels needn't be made to know that they can be.

    Returns:
      Whether there are chunks behind its data, which Pillow may fail on.

    Raises:
      Exception: if it is damaged.
    """
    if not content.startswith(_PNG_START):
        raise ValueError("its header isn't its first chunk")
    compression, filtering, interlacing = content[26:29]
    if compression or filtering or interlacing > 1:
        raise ValueError("its kind of compression isn't known")
    rows = _PngRows(content)
    before = b""
    has_others = is_behind = False
    for name, data in _png_chunks(content):
        if name == b"IDAT":
            if is_behind:
                raise ValueError("its data aren't in one piece")
            rows.add(data)
        elif name[0] < ord("a") and name not in _PNG_CRITICAL:
            raise ValueError(f"it has the chunk {_shown(name)}, which nobody knows")
        elif not name.isalpha():
            raise ValueError(f"it has the chunk {_shown(name)}, which is no name")
        elif name == b"IHDR" and before:
            raise ValueError("it has a second header")
        elif name == b"acTL" and not any(data[:4]):
            raise ValueError("it is an animation of no pictures")
        is_behind |= before == b"IDAT" != name
        has_others |= is_behind and name != b"IEND"
        before = name
    rows.check_complete()
    return has_others


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yields the names and the data of a PNG's chunks, to the last.

    Raises:
      ValueError: if a checksum is wrong, or the end is missing.
    """
    view = memoryview(content)
    at = 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        if end + 4 > len(content):
            break
        name = content[at + 4 : at + 8]
        checksum = int.from_bytes(view[end : end + 4], "big")
        if zlib.crc32(view[at + 4 : end]) != checksum:
            raise ValueError(f"the checksum of its chunk {_shown(name)} is wrong")
        yield name, view[at + 8 : end]
        if name == b"IEND":
            return
        at = end + 4
    raise ValueError("its end is missing")


def _shown(name: bytes) -> str:
    """Returns the name of a chunk for a message."""
    return repr(name.decode("latin-1"))


class _PngRows:
    """The rows of a PNG, of which only the filters are looked at."""

    def __init__(self, content: bytes) -> None:
        self._passes = collections.deque(_png_passes(content))
        #: Bytes of the pass that is being read which haven't come yet, and those up to
        #: the next row.
        self._missing, self._skipped = 0, 0
        self._stride = 1
        self._next_pass()
        self._inflater = zlib.decompressobj()

    def _next_pass(self) -> None:
        if self._passes:
            rows, self._stride = self._passes.popleft()
            self._missing, self._skipped = rows * self._stride, 0

    def add(self, data: bytes | memoryview) -> None:
        """Takes compressed data.

        Raises:
          Exception: if they can't be inflated, or a row has an unknown filter.
        """
        inflater = self._inflater
        # A little at a time, since little may become much.
        while len(data) and not inflater.eof:
            self._take(inflater.decompress(data, _INFLATED))
            data = inflater.unconsumed_tail

    def _take(self, rows: bytes) -> None:
        at = 0
        while self._missing and at < len(rows):
            part = rows[at : at + self._missing]
            filters = part[self._skipped :: self._stride]
            if filters and max(filters) > _LAST_FILTER:
                raise ValueError(f"a row has the filter {max(filters)}")
            self._skipped = (self._skipped - len(part)) % self._stride
            self._missing -= len(part)
            at += len(part)
            if not self._missing:
                self._next_pass()

    def check_complete(self) -> None:
        """Raises a `ValueError` unless all rows have come, and the end of the data."""
        if self._missing or not self._inflater.eof:
            raise ValueError("its data end too early")


def _png_passes(content: bytes) -> list[tuple[int, int]]:
    """Returns rows, and bytes a row with the one for its filter, of a PNG's passes."""
    width, height, depth, color = struct.unpack_from(">IIBB", content, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    if not content[28]:
        return [(height, 1 + (width * bits + 7) // 8)]
    # Where the pixels of a pass begin, and how far they are apart (x, then y).
    passes = [
        *((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4)),
        *((0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)),
    ]
    found = []
    for left, dx, top, dy in passes:
        columns = max(0, (width - left + dx - 1) // dx)
        rows = max(0, (height - top + dy - 1) // dy)
        if columns and rows:
            found.append((rows, 1 + (columns * bits + 7) // 8))
    return found


def _plain_facts(content: bytes) -> Facts | None:
    """Returns what a picture of a usual kind is, without Pillow.

    Most pictures are of these kinds, and Pillow takes twenty times as long to say
    the same of a small one. Others, those with metadata that may matter, and what
    looks damaged, are left to it.
    """
    if content.startswith(_PNG_START):
        return _plain_png_facts(content)
    if content.startswith(b"\xff\xd8"):
        return _plain_jpeg_facts(content)
    return None


def _plain_png_facts(content: bytes) -> Facts | None:
    at = len(_PNG_START) + 17  # behind the header, and its checksum
    while (name := content[at + 4 : at + 8]) != b"IEND":
        size = int.from_bytes(content[at : at + 4], "big")
        if name != b"IDAT" and _PNG_PLAIN.get(name) != size:
            return None
        at += 12 + size
    return _facts_of_png_header(content[16:26])


@functools.lru_cache(maxsize=1024)
def _facts_of_png_header(header: bytes) -> Facts | None:
    width, height, depth, color = struct.unpack(">IIBB", header)
    mode = _PNG_PLAIN_MODES.get(color)
    if depth != 8 or not mode or not 0 < width < 2**31 or not 0 < height < 2**31:
        return None
    return _facts_of_plain("PNG", mode, height, width)


def _plain_jpeg_facts(content: bytes) -> Facts | None:
    frame = 0
    at = 2
    try:
        # Byte by byte, which takes a third of the time of slices.
        while content[at] == 0xFF:
            marker = content[at + 1]
            if marker == _JPEG_SCAN and frame:
                return _facts_of_jpeg_frame(content[frame + 4 : frame + 10])
            if marker in _JPEG_PLAIN_FRAMES and not frame:
                frame = at
            elif marker not in _JPEG_PLAIN_SEGMENTS:
                return None
            at += 2 + (content[at + 2] << 8) + content[at + 3]
    except IndexError:  # it ends before the scan
        pass
    return None


@functools.lru_cache(maxsize=1024)
def _facts_of_jpeg_frame(header: bytes) -> Facts | None:
    precision, height, width, components = struct.unpack(">BHHB", header)
    mode = {1: "L", 3: "RGB"}.get(components)
    if precision != 8 or not mode or not height or not width:
        return None
    return _facts_of_plain("JPEG", mode, height, width)


@functools.lru_cache(maxsize=1024)
def _facts_of_plain(image_format: str, mode: str, height: int, width: int) -> Facts:
    return Facts(
        format=image_format,
        mode=mode,
        channels=len(mode),
        has_alpha=mode.endswith("A"),
        depth=8,
        height=height,
        width=width,
        orientation=1,
        frames=1,
        is_plain=True,
    )


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
