"""PNGs: what usual ones say of themselves, whether they decode, and encoding them."""

from __future__ import annotations

import collections
import functools
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from tfds_imagecsv.images import facts
from tfds_imagecsv.images.facts import Facts

# The signature, and the start of the header, which comes first.
START = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"

# The critical chunks that decoders know; they reject others with a capital.
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})

# The sizes of the other chunks that usual PNGs have. Any other chunk may change how
# the image is shown.
_PLAIN_CHUNKS = {b"pHYs": 9, b"tIME": 7, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32}

# Pillow's modes by colour type.
_PLAIN_MODES = {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}

# Bytes of rows that are inflated at once.
_INFLATED = 1 << 20

# The last of the five filters that a row may have.
_LAST_FILTER = 4


def check(content: bytes, kept: list[bytes] | None = None) -> bool:
    """Checks that a PNG can be decoded to its end.

    A decoder inflates the data and undoes each row's filter, which can't fail. So it
    is enough to inflate the data and to look at the filters.

    Args:
      content: the file's bytes.
      kept: gets the inflated data, for `picture_of`.

    Returns:
      Whether chunks follow the data, which Pillow may fail on.

    Raises:
      Exception: if it is damaged.
    """
    if not content.startswith(START):
        raise ValueError("its header isn't its first chunk")
    compression, filtering, interlacing = content[26:29]
    if compression or filtering or interlacing > 1:
        raise ValueError("its kind of compression isn't known")
    rows = _Rows(content, kept)
    before = b""
    has_others = is_behind = False
    for name, data in _chunks(content):
        if name == b"IDAT":
            if is_behind:
                raise ValueError("its data aren't in one piece")
            rows.add(data)
        elif name[0] < ord("a") and name not in _CRITICAL:
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


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
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


class _Rows:
    """Counts the rows of a PNG, and checks their filters."""

    def __init__(self, content: bytes, kept: list[bytes] | None) -> None:
        self._kept = kept
        self._passes = collections.deque(_passes_of(content))
        #: The missing bytes of the current pass, and those up to the next row.
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
        # In small steps, since a few bytes may inflate to many.
        while len(data) and not inflater.eof:
            self._take(inflater.decompress(data, _INFLATED))
            data = inflater.unconsumed_tail

    def _take(self, rows: bytes) -> None:
        if self._kept is not None:
            self._kept.append(rows)
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
        """Raises a `ValueError` if rows or the end of the data are missing."""
        if self._missing or not self._inflater.eof:
            raise ValueError("its data end too early")


def picture_of(content: bytes, facts: Facts, kept: Sequence[bytes]) -> Any:
    """Returns the picture of a usual PNG, as an image of Pillow.

    Args:
      content: the file's bytes.
      facts: what they are.
      kept: its inflated data, see `check`. Pillow's decoder wants them compressed: as
        they are, in a tenth of the time of inflating them once more.
    """
    size, is_interlaced = (facts.width, facts.height), content[28]
    data = zlib.compress(b"".join(kept), level=0)
    return Image.frombytes(facts.mode, size, data, "zip", facts.mode, is_interlaced)


def encoded(picture: Any) -> bytes:
    """Returns an image of Pillow as a PNG.

    Looking for runs only takes a quarter of the time for a photograph, which gets no
    larger; drawings get larger by a fifth. It also doesn't depend on the machine.
    """
    file = io.BytesIO()
    picture.save(file, "PNG", compress_type=zlib.Z_RLE)
    return file.getvalue()


def _passes_of(content: bytes) -> list[tuple[int, int]]:
    """Returns the rows of each pass, and the bytes of a row with its filter."""
    width, height, depth, color = struct.unpack_from(">IIBB", content, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    if not content[28]:
        return [(height, 1 + (width * bits + 7) // 8)]
    # The first pixel of each pass and the distance to the next (x, then y).
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
    at = len(START) + 17  # after the header and its checksum
    while (name := content[at + 4 : at + 8]) != b"IEND":
        size = int.from_bytes(content[at : at + 4], "big")
        if name != b"IDAT" and _PLAIN_CHUNKS.get(name) != size:
            return None
        at += 12 + size
    return _facts_of_header(content[16:26])


@functools.lru_cache(maxsize=1024)
def _facts_of_header(header: bytes) -> Facts | None:
    width, height, depth, color = struct.unpack(">IIBB", header)
    mode = _PLAIN_MODES.get(color)
    if depth != 8 or not mode or not 0 < width < 2**31 or not 0 < height < 2**31:
        return None
    return facts.plain_facts("PNG", mode, height, width)
