"""Columns of rows in Arrow: texts, codes of few texts, and digests.

Rows travel from room to room as `pyarrow.RecordBatch`, with each column in one piece:
20 to 100 bytes a row, instead of a thousand for Python objects. A column of texts is
`TEXT`. If its texts occur again and again, such as labels, it is `CODES`: a number for
each row, and each text once.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bits = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]

TEXT = pa.large_string()
CODES = pa.dictionary(pa.int32(), TEXT)

#: Digests of 128 bits.
DIGEST = pa.binary(16)

# The bytes of a column to search at once, and the rows to compare at once.
_BLOCK = 1 << 20
_ROWS = 1 << 16


def texts(values: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns a column of texts, in one piece.

    Raises:
      UnicodeEncodeError: if one isn't Unicode; file names may not be.
    """
    if isinstance(values, pa.ChunkedArray):
        values = whole(values)
    if isinstance(values, pa.DictionaryArray):
        values = decoded(values)
    if isinstance(values, pa.Array):
        return values if values.type == TEXT else values.cast(TEXT)
    return _of_texts(list(map(str.encode, values)))


def _of_texts(values: Sequence[bytes]) -> pa.Array:
    """Returns a column of texts, given as UTF-8.

    `pyarrow.array` imports pandas when it sees a list, in a tenth of a small build's
    time.
    """
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(TEXT, len(values), buffers)


def split(text: str) -> pa.Array:
    """Returns the parts of a text that are separated by NULs, as `TEXT`.

    Raises:
      UnicodeEncodeError: as for `texts`.
    """
    data = np.frombuffer(text.encode() + b"\0", np.uint8)
    is_end = data == 0
    ends = np.flatnonzero(is_end)
    offsets = np.zeros(len(ends) + 1, np.int64)
    # The NULs before a part don't count.
    offsets[1:] = ends - np.arange(len(ends))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data[~is_end])]
    return pa.Array.from_buffers(TEXT, len(ends), buffers)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Returns a column in one piece; without a copy if it is in one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def joined(columns: Sequence[pa.Array]) -> pa.Array:
    """Returns columns of one type, one after the other."""
    if len(columns) == 1:
        return columns[0]
    if all(isinstance(one, pa.DictionaryArray) for one in columns):
        return whole(pa.chunked_array(columns).unify_dictionaries())
    return pa.concat_arrays(columns)


def encoded(values: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Returns a column as `CODES`; its texts are in the order of their first rows."""
    if isinstance(values, pa.DictionaryArray):
        return values
    if not isinstance(values, pa.ChunkedArray):
        values = texts(values)
    found = values.dictionary_encode()
    if not isinstance(found, pa.ChunkedArray):
        return coded(found.indices, found.dictionary)
    if not found.num_chunks:
        return coded(np.zeros(0, np.int32), [])
    # All pieces have the dictionary of all.
    indices = pa.concat_arrays([piece.indices for piece in found.chunks])
    return coded(indices, found.chunk(0).dictionary)


def coded(codes: pa.Array | npt.NDArray[Any], names: Any) -> pa.DictionaryArray:
    """Returns a column of `CODES`.

    Args:
      codes: the position of each row's text, or -1 for none.
      names: the texts.
    """
    return pa.DictionaryArray.from_arrays(
        as_column(codes).cast(pa.int32()), texts(names)
    )


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """Returns a column of one text."""
    return coded(np.zeros(rows, np.int32), [text])


def decoded(column: pa.DictionaryArray) -> pa.Array:
    """Returns the texts of a column of codes."""
    return column.dictionary.take(column.indices)


def codes_of(column: pa.DictionaryArray) -> Codes:
    """Returns the codes of a column, without a copy."""
    codes: Codes = as_numpy(column.indices)
    return codes


def names_of(column: pa.DictionaryArray) -> list[str]:
    """Returns the texts that a column of codes may have, by code."""
    names: list[str] = column.dictionary.to_pylist()
    return names


def counts_of(column: pa.DictionaryArray) -> dict[str, int]:
    """Returns the texts that occur in a column of codes, and in how many rows."""
    counts = np.bincount(codes_of(column), minlength=len(column.dictionary))
    return {
        name: count
        for name, count in zip(names_of(column), counts.tolist(), strict=True)
        if count
    }


def recoded(
    column: pa.DictionaryArray, names: Sequence[str] | pa.Array
) -> pa.DictionaryArray:
    """Returns a column with another text for each code; equal ones become one."""
    return merged(codes_of(column), names)


def merged(
    codes: npt.NDArray[Any], names: Sequence[str] | pa.Array
) -> pa.DictionaryArray:
    """Returns a column of codes, given a text for each code; equal ones become one."""
    different = encoded(names)
    new = codes_of(different)
    return coded(new[codes] if len(codes) else new[:0], different.dictionary)


def mapped(column: pa.DictionaryArray, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a value for each row, given one for each code."""
    if not len(values):
        return np.empty(0, values.dtype)
    found: npt.NDArray[Any] = values[codes_of(column)]
    return found


def is_text(column: pa.DictionaryArray, *wanted: str) -> Bits:
    """Returns which rows have one of some texts."""
    is_one = pc.is_in(column.dictionary, value_set=texts(wanted))
    return mapped(column, as_numpy(is_one))


def by_key(keys: pa.Array, rows: pa.RecordBatch, column: str) -> pa.DictionaryArray:
    """Returns what other rows say about each key, `CODES`; empty for missing keys.

    Args:
      keys: the keys, `TEXT`.
      rows: the other rows, each with a different `key` (`TEXT`).
      column: the name of one of their columns, `CODES`.
    """
    if not len(rows):
        return constant("", len(keys))
    found = rows[column]
    at = pc.index_in(keys, value_set=rows["key"])
    codes = found.indices.take(at).fill_null(len(found.dictionary))
    return merged(as_numpy(codes), [*names_of(found), ""])


def is_filled(column: pa.Array) -> Bits:
    """Returns which rows have a text that isn't empty."""
    found: Bits = lengths_of(column) > 0
    return found


def lengths_of(column: pa.Array) -> Ints:
    """Returns the bytes of each text of a column in UTF-8."""
    if isinstance(column, pa.DictionaryArray):
        found: Ints = mapped(column, lengths_of(column.dictionary))
        return found
    return np.diff(_offsets_of(column))


def _offsets_of(column: pa.Array) -> Ints:
    """Returns where each text starts in a column's bytes, and where the last ends."""
    if not len(column):
        return np.zeros(1, np.int64)
    offsets = np.frombuffer(column.buffers()[1], np.int64)
    return offsets[column.offset : column.offset + len(column) + 1]


def bytes_of(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Returns the bytes of a column's texts, one after the other."""
    offsets = _offsets_of(column)
    buffer = column.buffers()[2] if len(column) else None
    if buffer is None or not buffer.size:
        return np.zeros(0, np.uint8)
    return np.frombuffer(buffer, np.uint8)[offsets[0] : offsets[-1]]


def ends_of(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Returns the first and the last byte of each text; 0 for empty ones."""
    data, offsets = bytes_of(column), _offsets_of(column)
    first = np.zeros(len(column), np.uint8)
    last = np.zeros(len(column), np.uint8)
    for at in range(0, len(column), _ROWS):
        ends = offsets[at : at + _ROWS + 1] - offsets[0]
        filled = np.flatnonzero(ends[1:] > ends[:-1])
        first[at + filled] = data[ends[:-1][filled]]
        last[at + filled] = data[ends[1:][filled] - 1]
    return first, last


def is_ascii(column: pa.Array) -> bool:
    """Returns whether all texts are ASCII."""
    return bool(bytes_of(column).max(initial=0) < 128)


def last_bytes(column: pa.Array, size: int) -> npt.NDArray[np.bytes_]:
    """Returns the last bytes of each text; shorter texts have none.

    Args:
      column: the texts.
      size: the number of bytes.
    """
    data, offsets = bytes_of(column), _offsets_of(column)
    ends = offsets[1:] - offsets[0]
    is_short = lengths_of(column) < size
    found = np.zeros((len(column), size), np.uint8)
    for at in range(size if len(data) >= size else 0):
        found[:, at] = data[ends - size + at]
    found[is_short] = 0
    return found.view(f"S{size}")[:, 0]


def last_of(column: pa.Array, letter: str) -> Ints:
    """Returns the last place of a letter in each text, in bytes, or -1.

    Args:
      column: the texts.
      letter: an ASCII character.
    """
    places, counts = _places_of(column, letter)
    return _position_in(column, places, np.cumsum(counts) - 1, counts > 0)


def nth_of(column: pa.Array, letter: str, number: int) -> Ints:
    """Returns the n-th place of a letter in each text, in bytes, or -1.

    Args:
      column: the texts.
      letter: an ASCII character.
      number: n, from 1 on.
    """
    places, counts = _places_of(column, letter)
    at = np.cumsum(counts) - counts + number - 1
    return _position_in(column, places, at, counts >= number)


def _places_of(column: pa.Array, letter: str) -> tuple[Ints, Ints]:
    """Returns a letter's places in a column's bytes, and its count in each text."""
    places: Ints = np.flatnonzero(bytes_of(column) == ord(letter))
    return places, as_numpy(pc.count_substring(column, letter)).astype(np.int64)


def _position_in(column: pa.Array, places: Ints, at: Ints, are_there: Bits) -> Ints:
    """Returns places in a column's bytes as positions within the texts; -1 for none."""
    begins = _offsets_of(column)[:-1] - _offsets_of(column)[0]
    found = np.full(len(column), -1, np.int64)
    found[are_there] = places[at[are_there]] - begins[are_there]
    return found


def sliced(
    column: pa.Array, starts: Ints | None = None, stops: Ints | None = None
) -> pa.Array:
    """Returns a part of each text.

    Args:
      column: the texts.
      starts: where each part starts, in bytes; default: the start of the text.
      stops: where it ends; default: the end of the text.
    """
    offsets = _offsets_of(column)
    if not len(bytes_of(column)):
        return column
    # An array of texts and gaps, in turn; takes the texts from it.
    bounds = np.empty((len(column), 2), np.int64)
    bounds[:, 0] = offsets[:-1] + (0 if starts is None else starts)
    bounds[:, 1] = offsets[1:] if stops is None else offsets[:-1] + stops
    buffers = [None, pa.py_buffer(bounds), column.buffers()[2]]
    pieces = pa.Array.from_buffers(TEXT, 2 * len(column) - 1, buffers)
    return pieces.take(as_column(np.arange(0, len(pieces), 2)))


def as_bytes(column: pa.Array) -> list[bytes]:
    """Returns texts as UTF-8, as Python objects: for few rows at once."""
    values: list[bytes] = column.cast(pa.large_binary()).to_pylist()
    return values


def filtered(column: pa.Array, which: Bits) -> pa.Array:
    """Returns some values of a column, without a copy if they are all."""
    return column if which.all() else column.filter(as_column(which))


def may_have(column: pa.Array, *parts: str) -> bool:
    """Returns whether texts may have one of some parts; true if in doubt.

    This is quick. A part may join the end of a text and the start of the next.
    """
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary
    wanted = [part.encode() for part in parts]
    longest = max(map(len, wanted))
    data = bytes_of(column)
    for at in range(0, len(data), _BLOCK):
        block = data[at : at + _BLOCK + longest - 1].tobytes()
        if any(part in block for part in wanted):
            return True
    return False


def having(column: pa.Array, *parts: str) -> Ints:
    """Returns the positions of the texts that have one of some parts."""
    if not may_have(column, *parts):
        return np.zeros(0, np.int64)
    if isinstance(column, pa.DictionaryArray):
        with_part = np.zeros(len(column.dictionary), bool)
        with_part[having(column.dictionary, *parts)] = True
        return np.flatnonzero(mapped(column, with_part))
    found = np.zeros(len(column), bool)
    for part in parts:
        found |= as_numpy(pc.match_substring(column, part))
    return np.flatnonzero(found)


def replaced(column: pa.Array, at: Ints, values: Sequence[str]) -> pa.Array:
    """Returns a column with other texts at some positions."""
    if not len(at):
        return column
    mask = np.zeros(len(column), bool)
    mask[at] = True
    order = np.argsort(at, kind="stable")
    ordered = [values[one] for one in order.tolist()]
    return pc.replace_with_mask(column, as_column(mask), texts(ordered))


def stripped(column: pa.Array) -> pa.Array:
    """Returns texts without the white space around them, like `str.strip`."""
    first, last = ends_of(column)
    # The white space of ASCII has codes up to that of the blank; other characters begin
    # and end with bytes above ASCII.
    odd = (first <= 32) | (first > 127) | (last <= 32) | (last > 127)
    at = np.flatnonzero(odd & (lengths_of(column) > 0))
    before = column.take(as_column(at)).to_pylist()
    after = list(map(str.strip, before))
    return column if before == after else replaced(column, at, after)


def order_of(column: pa.Array) -> Ints | None:
    """Returns the positions of texts, sorted by code point; None if they are sorted.

    The bytes of UTF-8 have the order of code points.
    """
    if len(column) < 2 or not pc.any(pc.greater(column[:-1], column[1:])).as_py():
        return None
    order: Ints = as_numpy(pc.sort_indices(column)).view(np.int64)
    return order


def is_same_as_before(column: pa.Array) -> Bits:
    """Returns which values of a column equal the one before."""
    found = np.zeros(len(column), bool)
    if len(column) > 1:
        same = pc.equal(column[1:], column[:-1])
        found[1:] = as_numpy(same)
    return found


def lines(*cells: pa.Array) -> pa.Array:
    """Returns lines, each with the texts of a row and commas between them."""
    return ended(beside(cells, ","), "\n")


def beside(cells: Sequence[pa.Array | pa.Scalar], separator: str) -> pa.Array:
    """Joins the texts of each row, with a separator between them."""
    return pc.binary_join_element_wise(*cells, _text(separator))


def ended(column: pa.Array, end: str) -> pa.Array:
    """Returns texts with another text after each."""
    return between("", column, end)


def between(begin: str, column: pa.Array, end: str) -> pa.Array:
    """Returns texts with one text before each, and one after."""
    return pc.binary_join_element_wise(_text(begin), column, _text(end), _text(""))


def _text(value: str) -> pa.Scalar:
    return texts([value])[0]


def ties_of(values: npt.NDArray[Any]) -> Bits:
    """Returns which of some sorted values equal the one before or after."""
    found = np.zeros(len(values), bool)
    found[1:] = values[1:] == values[:-1]
    found[:-1] |= found[1:]
    return found


def is_in_sorted(column: pa.Array, others: pa.Array) -> Bits:
    """Returns which texts are among others; both are sorted.

    It compares block by block, so that little is in memory.
    """
    found = np.zeros(len(column), bool)
    start = 0
    for at in range(0, len(column) if len(others) else 0, _ROWS):
        block = column[at : at + _ROWS]
        stop = position_of(others, block[len(block) - 1].as_py(), start) + 1
        near = others[start:stop]
        if block.equals(near):
            found[at : at + _ROWS] = True
        elif len(near):
            is_in = pc.is_in(block, value_set=near)
            found[at : at + _ROWS] = as_numpy(is_in)
        start = max(start, stop - 1)
    return found


def may_share(one: pa.Array, other: pa.Array) -> bool:
    """Returns whether a path may be in both columns; true if in doubt.

    This is quick: none is, if the numbers of slashes, or the last two bytes, differ.
    """
    if not (len(one) and len(other)):
        return False
    depths = [pc.count_substring(column, "/").unique() for column in (one, other)]
    if not pc.any(pc.is_in(*depths)).as_py():
        return False
    ends = [_are_last_two(column) for column in (one, other)]
    return bool((ends[0] & ends[1]).any())


def _are_last_two(column: pa.Array) -> Bits:
    """Returns which numbers are the last two bytes of a text; 0 for a shorter text."""
    found = np.zeros(1 << 16, bool)
    found[last_bytes(column, 2).view(np.uint16)] = True
    return found


def position_of(column: pa.Array, text: str, start: int = 0) -> int:
    """Returns how many texts of a sorted column come before another one.

    Args:
      column: the texts.
      text: the other one.
      start: a position known to be no higher.
    """
    wanted = text.encode("utf-8", "surrogateescape")

    def text_at(position: int) -> bytes:
        return column[position].as_buffer().to_pybytes()  # type: ignore[no-any-return]

    positions = range(len(column))
    return bisect.bisect_left(positions, wanted, lo=start, key=text_at)


def free_unused() -> None:
    """Gives back memory that Arrow keeps for later, after a step that needed much."""
    pa.default_memory_pool().release_unused()


def as_digests(digests: npt.NDArray[np.uint8]) -> pa.Array:
    """Returns a column of digests, given their bytes, uint8, shape [rows, 16]."""
    return as_column(digests)


def as_column(values: npt.NDArray[Any] | pa.Array) -> pa.Array:
    """Returns a column of numbers, of `pa.bool_`, or of `pa.binary` of a fixed size.

    `pyarrow.array` imports pandas, in a tenth of a small build's time.

    Args:
      values: numbers or bool, shape [rows], or uint8, shape [rows, bytes]; or a column,
        which it returns.
    """
    if isinstance(values, pa.Array):
        return values
    rows, dtype = len(values), pa.from_numpy_dtype(values.dtype)
    if values.ndim > 1:
        dtype = pa.binary(values.shape[1])
    elif values.dtype == bool:
        values = np.packbits(values, bitorder="little")
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(dtype, rows, [None, buffer])


def as_numpy(column: pa.Array) -> npt.NDArray[Any]:
    """Returns numbers or bool as an array; numbers without a copy, and read-only.

    `pyarrow.Array.to_numpy` imports pandas, see `as_column`.

    Args:
      column: without nulls.
    """
    if column.type != pa.bool_():
        return np.from_dlpack(column)
    stop = column.offset + len(column)
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    bits = np.unpackbits(data, count=stop, bitorder="little")
    return bits[column.offset :].view(bool)


def binary_of(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Returns the bytes of a column of `pyarrow.binary(width)`, shape [rows, width]."""
    width = column.type.byte_width
    values = np.frombuffer(column.buffers()[1], np.uint8)
    start = column.offset * width
    return values[start : start + len(column) * width].reshape(-1, width)


def digests_of(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Returns digests as two whole numbers each, shape [rows, 2], in the same order."""
    if not len(column):
        return np.zeros((0, 2), np.uint64)
    numbers = np.frombuffer(column.buffers()[1], ">u8").reshape(-1, 2)
    return numbers[column.offset : column.offset + len(column)].astype(np.uint64)


def halves_of(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Returns half of each digest as a number, without a copy."""
    if not len(column):
        return np.zeros(0, np.uint64)
    numbers = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)
    return numbers[column.offset : column.offset + len(column), 0]


def as_hex(digests: pa.Array) -> pa.Array:
    """Returns digests as texts of 32 hexadecimal digits."""
    rows = len(digests)
    if not rows:
        return texts([])
    data = np.frombuffer(digests.buffers()[1], np.uint8)
    data = data[16 * digests.offset : 16 * (digests.offset + rows)]
    found = _hex_of_two_bytes()[data.view(np.uint16)]
    return of_width(found.view(np.uint8).reshape(rows, -1))


def of_width(data: npt.NDArray[np.uint8]) -> pa.Array:
    """Returns texts of one length, given their bytes, shape [rows, bytes]."""
    rows, width = data.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(TEXT, rows, buffers)


@functools.cache
def _hex_of_two_bytes() -> npt.NDArray[np.uint32]:
    """Returns the four digits of each pair of bytes, by its number."""
    data = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    of_halves = np.stack([data >> 4, data & 15], axis=-1).reshape(-1, 4)
    found: npt.NDArray[np.uint32] = digits[of_halves].view(np.uint32)[:, 0]
    return found


def named(rows: pa.RecordBatch, names: Iterable[str]) -> Iterable[tuple[Any, ...]]:
    """Yields some columns row by row, as Python objects: for few rows."""
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def with_columns(rows: pa.RecordBatch, columns: dict[str, Any]) -> pa.RecordBatch:
    """Returns rows with further or replaced columns."""
    arrays = {name: rows[name] for name in rows.schema.names}
    for name, values in columns.items():
        arrays[name] = as_column(values)
    return pa.record_batch(list(arrays.values()), names=list(arrays))


def on_disk(rows: pa.RecordBatch, path: str) -> pa.RecordBatch:
    """Returns rows in a file; the system keeps in memory what fits.

    Args:
      rows: the rows.
      path: the file, which may be removed once nobody opens it any more.
    """
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_batch(rows)
    return pa.ipc.open_file(pa.memory_map(path)).get_batch(0)


def lists(values: Any, counts: Ints) -> pa.Array:
    """Returns a column of lists.

    Args:
      values: those of all lists, one after the other.
      counts: the number of values of each list.
    """
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(as_column(offsets), as_column(values))


def ordered(column: pa.Array, order: pa.Array) -> pa.Array:
    """Returns the values at some positions; if all are equal, without looking."""
    if column.type == CODES and len(column.dictionary) == 1:
        return constant(names_of(column)[0], len(order))
    return column.take(order)


def taken(rows: pa.RecordBatch, which: npt.NDArray[Any]) -> pa.RecordBatch:
    """Returns some rows, by their positions or by a mask."""
    if which.dtype == bool:
        return rows if which.all() else rows.filter(as_column(which))
    return rows.take(as_column(which))
