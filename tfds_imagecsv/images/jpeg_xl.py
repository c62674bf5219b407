"""The size of a JPEG XL by its header: its library would decode the whole image.

ISO/IEC 18181-1, annex D.2 (size header), and 18181-2 (container).
"""

from __future__ import annotations

from collections.abc import Callable

_CODESTREAM = b"\xff\x0a"

# Widths by heights, as fractions.
_RATIOS = {
    1: (1, 1),
    2: (12, 10),
    3: (4, 3),
    4: (3, 2),
    5: (16, 9),
    6: (5, 4),
    7: (2, 1),
}

# Bits of a side, by two bits that tell how large it is.
_BITS = (9, 13, 18, 30)

# Bytes from which the size is read.
_HEAD = 12


def size_of(content: bytes) -> tuple[int, int]:
    """Returns the height and width in pixels, in any order if it is turned.

    Raises:
      ValueError: if there is no header.
    """
    start = _start_of_codestream(content)
    head = content[start : start + 2 + _HEAD]
    if not head.startswith(_CODESTREAM) or len(head) < 2 + _HEAD:
        raise ValueError("it has no header")
    take = _bits(head[2:])
    if take(1):  # small: multiples of 8
        height = 8 * (take(5) + 1)
        ratio = take(3)
        width = 8 * (take(5) + 1) if not ratio else 0
    else:
        height = take(_BITS[take(2)]) + 1
        ratio = take(3)
        width = take(_BITS[take(2)]) + 1 if not ratio else 0
    if ratio:
        numerator, denominator = _RATIOS[ratio]
        width = height * numerator // denominator
    return height, width


def _bits(data: bytes) -> Callable[[int], int]:
    """Returns a function that takes the next bits, the lowest first."""
    left = int.from_bytes(data, "little")

    def take(count: int) -> int:
        nonlocal left
        found = left & ((1 << count) - 1)
        left >>= count
        return found

    return take


def _start_of_codestream(content: bytes) -> int:
    """Returns where the codestream begins: at the front, or in a box."""
    at = 0
    while content[at : at + 2] != _CODESTREAM and at + 8 <= len(content):
        size, name = (
            int.from_bytes(content[at : at + 4], "big"),
            content[at + 4 : at + 8],
        )
        head = 8
        if size == 1:  # a large box
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if name == b"jxlc":
            return at + head
        if name == b"jxlp":
            return at + head + 4
        if size < head:
            break
        at += size
    return at
