"""The records of a dataset: examples as bytes, and how long these are.

An example is a `tf.train.Example`, as TFDS writes it: a map from the names of features
to lists of values. TFDS serializes the map in any order, so that two builds differ in
their bytes. `SerializeToString(deterministic=True)` sorts the names, but each of
protobuf's implementations in its own way (upb puts `image` after `image/height`). This
module sorts them by code point and writes the bytes itself: the format is small and
fixed, and the length of each part is known in advance. That takes a fifth of the time,
needs no TensorFlow, and gives the sizes without the images.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import google_crc32c

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Ints = npt.NDArray[np.int64]


class Floats(tuple[float, ...]):
    """Any number of floats; the type tells an empty one from integers."""

    __slots__ = ()


class Texts(tuple[bytes, ...]):
    """Any number of bytes."""

    __slots__ = ()


#: The value of a feature in an example.
Value = bytes | int | float | Sequence[int] | Sequence[float] | Floats | Texts

#: The bytes that a TFRecord file adds to each record: 8 for its length, and 4 for the
#: checksum of each of them (`tensorflow/core/lib/io/record_writer.h`).
FRAME_SIZE = 16

#: The most bytes of a record: the length of a protocol buffer has 31 bits, and a
#: process dies if TensorFlow reads a longer one.
MAX_SIZE = (1 << 31) - 1

# The tags of a protocol buffer's fields: (number of the field << 3) | 2, where 2 stands
# for a length and as many bytes. The numbers are those of TensorFlow's
# `example.proto` and `feature.proto`: all are 1 but these. Numbers are packed: one
# after the other, in one field.
_FIELD_1 = _BYTES_LIST = b"\x0a"
_VALUE_OF_MAP = b"\x12"
_FLOAT_LIST = b"\x12"
_INT64_LIST = b"\x1a"

# From each of these on, a number takes one byte more, since a byte holds 7 of its bits.
# The largest numbers have 63 bits, and take 9 bytes.
_VARINT_LIMITS = [1 << bits for bits in range(7, 63, 7)]

# The most lengths whose bytes are kept: images of some kilobytes have few different
# ones.
_LENGTHS = 1 << 14


def serialize(features: Mapping[str, Value]) -> bytes:
    """Returns a serialized `tf.train.Example`.

    Args:
      features: the values by name: bytes, a signed integer of 64 bits, a float, which
        is kept in 32 bits, or a list of either kind of number. An empty list has
        integers, unless it is `Floats` or `Texts`.
    """
    # Joined once, since an image takes longer to copy than all else.
    parts: list[bytes] = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes):
            parts += (_start_of_bytes_entry(name, len(value)), value)
        elif isinstance(value, int):
            parts.append(_int_entry(name, value))
        elif isinstance(value, Texts):
            of_list = b"".join(_field(_FIELD_1, one) for one in value)
            parts.append(_entry(name, _BYTES_LIST, of_list))
        else:
            parts.append(_numbers_entry(name, value))
    return b"".join((_FIELD_1, _varint(sum(map(len, parts))), *parts))


def serialized_sizes(
    features: Mapping[str, _Ints | int], texts: Mapping[str, _Ints] | None = None
) -> _Ints:
    """Returns how many bytes `serialize` makes of examples.

    Args:
      features: what `value_sizes` returns for their values, or one size for all, by
        name; int64 of the shape [examples].
      texts: what `sizes_of_texts` returns for values that are `Texts`, by name.

    Returns:
      The sizes, int64, shape [examples].
    """
    size: _Ints | int = 0
    lists = {name: _list_sizes(value) for name, value in features.items()}
    for name, of_list in {**lists, **(texts or {})}.items():
        # A list of values, a feature, an entry of the map, one inside the other.
        key = len(_key(name))
        size = size + _field_sizes(key + _field_sizes(_field_sizes(of_list)))
    return _field_sizes(size)


def sizes_of_texts(lengths: _Ints, counts: _Ints) -> _Ints:
    """Returns how many bytes the lists of `Texts` take.

    Args:
      lengths: the bytes of all texts, one example after the other, int64.
      counts: how many texts each example has, int64.
    """
    return sums(_field_sizes(lengths), counts)


def sums(values: _Ints, counts: _Ints) -> _Ints:
    """Returns the sum of each list, given the values of all, one list after the other.

    Args:
      values: those of all lists, int64.
      counts: how many each list has, int64.
    """
    import numpy as np

    ends = np.cumsum(counts)
    totals = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    found: _Ints = totals[ends] - totals[ends - counts]
    return found


def value_sizes(values: Sequence[Value | str]) -> _Ints:
    """Returns how many bytes the values of a feature take within its list.

    Args:
      values: as for `serialize`, or texts, which are encoded as UTF-8; all are of one
        kind.

    Returns:
      The sizes, int64, shape [examples]; -1 for an empty list.
    """
    import numpy as np

    count = len(values)
    if set(map(type, values)) <= {int, bool}:
        return varint_sizes(np.fromiter(values, np.int64, count))

    def size(value: Value | str) -> int:
        if isinstance(value, str):
            return len(value.encode())
        if isinstance(value, bytes):
            return len(value)
        assert not isinstance(value, Texts)
        return len(_packed(value)[1]) or -1

    return np.fromiter(map(size, values), np.int64, count)


def varint_sizes(values: _Ints) -> _Ints:
    """Returns how many bytes whole numbers take, int64, of the same shape.

    Args:
      values: whole numbers, int64; negative ones take 10 bytes.
    """
    import numpy as np

    values = np.asarray(values)
    sizes = np.ones(values.shape, np.int64)
    if not values.size:
        return sizes
    # One comparison for each byte that any of them takes.
    most = values.max()
    for limit in itertools.takewhile(lambda limit: limit <= most, _VARINT_LIMITS):
        sizes += values >= limit
    if values.min() < 0:
        sizes[values < 0] = 10
    return sizes


def frame(record: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Returns what a TFRecord file has for a record, in parts, so that it isn't copied.

    Args:
      record: its bytes.
    """
    return *_start_of_frame(len(record)), record, _masked_checksum(record)


@functools.lru_cache(maxsize=_LENGTHS)
def _start_of_frame(size: int) -> tuple[bytes, bytes]:
    length = struct.pack("<Q", size)
    return length, _masked_checksum(length)


def _masked_checksum(data: bytes) -> bytes:
    # Masked, since checksums of data that contain checksums are weak.
    checksum = google_crc32c.value(data)
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


@functools.lru_cache(maxsize=_LENGTHS)
def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


@functools.lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    """Returns the key of an entry of the map."""
    return _field(_FIELD_1, name.encode())


def _field(tag: bytes, data: bytes) -> bytes:
    return b"".join((tag, _varint(len(data)), data))


def _field_sizes(sizes: _Ints | int) -> _Ints:
    """Returns the sizes of fields whose data have these sizes."""
    import numpy as np

    data = np.asarray(sizes, np.int64)
    return 1 + varint_sizes(data) + data


@functools.lru_cache(maxsize=_LENGTHS)
def _start_of_bytes_entry(name: str, size: int) -> bytes:
    """Returns what comes before the value of an entry, which is bytes of this size."""
    key = _key(name)
    of_list = _FIELD_1 + _varint(size)
    size += len(of_list)
    of_feature = _FIELD_1 + _varint(size)
    size += len(of_feature)
    of_value = _VALUE_OF_MAP + _varint(size)
    size += len(of_value) + len(key)
    return b"".join((_FIELD_1, _varint(size), key, of_value, of_feature, of_list))


def _list_sizes(sizes: _Ints | int) -> _Ints:
    """Returns the sizes of lists whose values have these sizes; -1 stands for none."""
    import numpy as np

    return np.where(np.asarray(sizes) < 0, 0, _field_sizes(np.maximum(sizes, 0)))


def _numbers_entry(name: str, value: float | Sequence[int] | Sequence[float]) -> bytes:
    tag, packed = _packed(value)
    return _entry(name, tag, _field(_FIELD_1, packed) if packed else b"")


def _entry(name: str, tag: bytes, of_list: bytes) -> bytes:
    """Returns an entry of the map, given its list."""
    entry = _key(name) + _field(_VALUE_OF_MAP, _field(tag, of_list))
    return _field(_FIELD_1, entry)


def _packed(value: float | Sequence[int] | Sequence[float]) -> tuple[bytes, bytes]:
    """Returns the tag of a list of numbers, and their bytes, one after the other."""
    numbers = (value,) if isinstance(value, int | float) else value
    if isinstance(value, Floats) or any(isinstance(one, float) for one in numbers):
        return _FLOAT_LIST, struct.pack(f"<{len(numbers)}f", *numbers)
    return _INT64_LIST, b"".join(_varint(int(number) % 2**64) for number in numbers)


@functools.lru_cache(maxsize=4096)
def _int_entry(name: str, value: int) -> bytes:
    packed = _field(_FIELD_1, _varint(value % 2**64))
    entry = _key(name) + _field(_VALUE_OF_MAP, _field(_INT64_LIST, packed))
    return _field(_FIELD_1, entry)
