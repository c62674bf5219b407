"""PNGs: what usual ones say of themselves, and whether all of one can be decoded."""

from __future__ import annotations

import collections
import functools
import struct
import zlib
from collections.abc import Iterator

from tfds_imagecsv.images import facts
from tfds_imagecsv.images.facts import Facts

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
START = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"

_PNG_PLAIN = {b"pHYs": 9, b"tIME": 7, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32}

_PNG_PLAIN_MODES = {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}


def check(content: bytes) -> bool:
    """Checks that a PNG can be decoded to its end.

    A PNG is decoded by inflating its data, and by undoing the filter that each row
    names, which can't fail. So its pixels needn't be made to know that they can be.

    Returns:
      Whether there are chunks behind its data, which Pillow may fail on.

    Raises:
      Exception: if it is damaged.
    """
    if not content.startswith(START):
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


def facts_of_usual(content: bytes) -> Facts | None:
    """Returns the facts of a PNG of a usual kind; None for any other."""
    at = len(START) + 17  # behind the header, and its checksum
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
    return facts.plain_facts("PNG", mode, height, width)
