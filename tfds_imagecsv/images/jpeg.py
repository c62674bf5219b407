"""JPEGs: what usual ones say of themselves, and whether one ends where it should."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Sequence

from tfds_imagecsv.images import facts
from tfds_imagecsv.images.facts import Facts

# A marker that ends entropy-coded data: no stuffed zero, fill byte or restart.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")

# The segments of usual JPEGs: tables, restart intervals, comments and JFIF. Any other
# segment may change how the image is shown.
_PLAIN_SEGMENTS = frozenset({0xDB, 0xC4, 0xDD, 0xFE, 0xE0})

# Baseline, extended sequential and progressive.
_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})

_START_OF_SCAN = 0xDA

# All kinds of frames; the markers between them are those of tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

#: The frames of lossless JPEGs, and of another format that begins like a JPEG.
LOSSLESS, JPEG_LS = 0xC3, 0xF7

# Coded by Huffman, and arithmetically.
_PROGRESSIVE = frozenset({0xC2, 0xCA})


def facts_of_usual(content: bytes) -> Facts | None:
    """Returns the facts of a JPEG of a usual kind; None for any other."""
    frame = 0
    at = 2
    try:
        # Single bytes take a third of the time of slices.
        while content[at] == 0xFF:
            marker = content[at + 1]
            if marker == _START_OF_SCAN and frame:
                length = (content[frame + 2] << 8) + content[frame + 3]
                return _facts_of_frame(content[frame + 4 : frame + 2 + length])
            if marker in _PLAIN_FRAMES and not frame:
                frame = at
            elif marker not in _PLAIN_SEGMENTS:
                return None
            at += 2 + (content[at + 2] << 8) + content[at + 3]
    except IndexError:  # it ends before the scan
        pass
    return None


@functools.lru_cache(maxsize=1024)
def _facts_of_frame(header: bytes) -> Facts | None:
    try:
        precision, height, width, components = struct.unpack_from(">BHHB", header)
        mode = {1: "L", 3: "RGB"}[components]
        # Each component has its number, its sampling factors and its table's number.
        factors = [header[at] for at in range(7, 7 + 3 * components, 3)]
    except (IndexError, KeyError, struct.error):
        return None
    sampling = [(one >> 4, one & 15) for one in factors]
    if precision != 8 or not height or not width or not all(map(all, sampling)):
        return None
    return facts.plain_facts("JPEG", mode, height, width, mcu=mcu(sampling))


def mcu(sampling: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Returns the height and width of a JPEG's minimum coded units, in pixels.

    Args:
      sampling: the sampling factors of its components, horizontal and vertical.
    """
    if len(sampling) == 1:
        return 8, 8
    horizontal, vertical = zip(*sampling, strict=True)
    return 8 * max(1, *vertical), 8 * max(1, *horizontal)


def frame(content: bytes) -> tuple[int, int] | None:
    """Returns the marker of a JPEG's frame and the bits of a channel, or None."""
    at = 2
    while match := _MARKER.search(content, at):
        marker, at = match[1][0], match.end()
        if marker == _START_OF_SCAN:
            break
        if (marker in _FRAMES or marker == JPEG_LS) and at + 2 < len(content):
            return marker, content[at + 2]
        at += int.from_bytes(content[at : at + 2], "big")
    return None


def is_progressive(content: bytes) -> bool:
    """Returns whether a JPEG is progressive."""
    found = frame(content)
    return found is not None and found[0] in _PROGRESSIVE


def has_end(content: bytes) -> bool:
    """Returns whether the only scan of a JPEG ends where it should.

    libjpeg reads a JPEG with several scans to its end before it gives a pixel, so
    nothing is left to check. With one scan it stops after the last row, or early at
    a byte in the data that looks like a marker.
    """
    components = 0
    at = 2
    while match := _MARKER.search(content, at):
        marker, at = match[1][0], match.end()
        if marker == 0xD9:  # end of image, before there was one
            return False
        if marker == 0x01:  # the one other marker without a length
            continue
        if marker in _FRAMES and at + 8 <= len(content):
            components = content[at + 7]
            if marker in _PROGRESSIVE:
                return True
        elif marker == 0xDA:  # start of scan
            if at + 3 > len(content) or content[at + 2] < components:
                return True
            return _ends_after_scan(content, at)
        at += int.from_bytes(content[at : at + 2], "big")
    return False


def _ends_after_scan(content: bytes, at: int) -> bool:
    """Returns whether only comments stand between a scan and the end."""
    while match := _MARKER.search(content, at):
        marker, at = match[1][0], match.end()
        if marker == 0xD9:
            return True
        # Application data, comments, and the number of lines.
        if not (0xE0 <= marker <= 0xEF or marker in (0x01, 0xDC, 0xFE)):
            return False
        if marker != 0x01:
            at += int.from_bytes(content[at : at + 2], "big")
    return False
