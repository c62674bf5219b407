"""Columns of Arrow: each function does the same as Python's own objects."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_imagecsv import arrays

# White space and letters of all kinds, and what ends lines and cells.
texts = st.text(
    st.one_of(
        st.sampled_from(' \t\x1c\x85\u3000ab/.,"\n\0é日😀'),
        st.characters(codec="utf-8"),
    ),
    max_size=6,
)
columns = st.lists(texts, max_size=12)


@given(columns, st.integers(0, 3))
def test_texts_come_back_as_they_were(values, start):
    """Even those of a part of a column."""
    column = arrays.texts(values)
    assert column.type == arrays.TEXT
    column.validate(full=True)
    assert column.to_pylist() == values
    assert arrays.texts(column[start:]).to_pylist() == values[start:]


@given(columns, st.integers(0, 3))
def test_what_is_known_of_each_text(values, start):
    """Even in a part of a column."""
    column, values = arrays.texts(values)[start:], values[start:]
    encoded = [value.encode() for value in values]
    assert arrays.lengths_of(column).tolist() == list(map(len, encoded))
    assert arrays.is_filled(column).tolist() == list(map(bool, values))
    assert arrays.bytes_of(column).tobytes() == b"".join(encoded)
    assert arrays.as_bytes(column) == encoded
    first, last = arrays.ends_of(column)
    assert first.tolist() == [one[0] if one else 0 for one in encoded]
    assert last.tolist() == [one[-1] if one else 0 for one in encoded]
    assert arrays.stripped(column).to_pylist() == list(map(str.strip, values))
    same = [before == value for before, value in itertools.pairwise(values)]
    assert arrays.is_same_as_before(column).tolist() == [False, *same][: len(values)]


@given(columns, st.lists(texts.filter(bool), min_size=1, max_size=3))
def test_parts_of_texts(values, parts):
    """The quick look misses none; the closer look finds exactly these."""
    column = arrays.texts(values)
    having = [
        at for at, text in enumerate(values) if any(part in text for part in parts)
    ]
    assert arrays.having(column, *parts).tolist() == having
    assert arrays.having(arrays.encoded(column), *parts).tolist() == having
    assert arrays.may_have(column, *parts) or not having


def test_a_part_across_two_blocks(monkeypatch):
    """Long columns are searched block by block."""
    monkeypatch.setattr(arrays, "_BLOCK", 4)
    assert arrays.may_have(arrays.texts(["abcdef"]), "de")
    assert not arrays.may_have(arrays.texts(["abcdef"]), "fe")


@given(columns)
def test_codes_stand_for_texts(values):
    """In the order of their first rows."""
    column = arrays.encoded(values)
    assert column.type == arrays.CODES
    assert column.to_pylist() == arrays.decoded(column).to_pylist() == values
    assert arrays.names_of(column) == list(dict.fromkeys(values))
    pieces = pa.chunked_array([arrays.texts(values[:3]), arrays.texts(values[3:])])
    assert arrays.encoded(pieces).to_pylist() == values
    assert arrays.counts_of(column) == {one: values.count(one) for one in values}
    assert arrays.is_filled(column).tolist() == list(map(bool, values))
    wanted = values[:2]
    assert arrays.is_text(column, *wanted).tolist() == [one in wanted for one in values]
    folded = arrays.recoded(column, [one.lower() for one in arrays.names_of(column)])
    assert folded.to_pylist() == [one.lower() for one in values]
    assert len(set(arrays.names_of(folded))) == len(arrays.names_of(folded))


@given(columns, columns)
def test_columns_of_codes_are_joined(one, other):
    """Each has its own codes."""
    joined = arrays.joined([arrays.encoded(one), arrays.encoded(other)])
    assert joined.to_pylist() == one + other
    assert len(set(arrays.names_of(joined))) == len(arrays.names_of(joined))


@given(columns, st.data())
def test_replaced_texts(values, data):
    """At any positions, in any order."""
    if not values:
        return
    at = data.draw(st.lists(st.integers(0, len(values) - 1), unique=True))
    new = [f"new {position}" for position in at]
    found = arrays.replaced(arrays.texts(values), np.array(at, np.int64), new)
    expected = list(values)
    for position, text in zip(at, new, strict=True):
        expected[position] = text
    assert found.to_pylist() == expected


@given(columns)
def test_the_order_is_that_of_code_points(values):
    """It is Python's order of texts; None means that they are sorted."""
    column = arrays.texts(values)
    order = arrays.order_of(column)
    found = column if order is None else column.take(pa.array(order))
    assert found.to_pylist() == sorted(values)
    assert (order is None) == (values == sorted(values))


@settings(max_examples=200)
@given(st.sets(texts, max_size=30), st.sets(texts, max_size=30), st.integers(1, 5))
def test_texts_among_others(some, others, rows):
    """Block by block, for any sizes."""
    some, others = sorted(some | set(sorted(others)[::2])), sorted(others)
    before, arrays._ROWS = arrays._ROWS, rows
    try:
        found = arrays.is_in_sorted(arrays.texts(some), arrays.texts(others))
    finally:
        arrays._ROWS = before
    assert found.tolist() == [one in others for one in some]
    for text in [*some, *others]:
        position = arrays.position_of(arrays.texts(others), text)
        assert position == sum(other < text for other in others)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=9), st.integers(0, 3))
def test_digests(values, start):
    """They are written in hexadecimal digits, and compared as numbers."""
    data = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)
    column = arrays.as_digests(data)[start:]
    values = values[start:]
    assert column.to_pylist() == values
    assert arrays.as_hex(column).to_pylist() == [one.hex() for one in values]
    numbers = arrays.digests_of(column)
    found = [(int(high) << 64) + int(low) for high, low in numbers.tolist()]
    assert found == [int.from_bytes(one, "big") for one in values]
    halves = arrays.halves_of(column).tolist()
    for a, b in itertools.combinations(range(len(values)), 2):
        assert (halves[a] == halves[b]) == (values[a][:8] == values[b][:8])


def test_lines():
    """They have commas between the cells, and an end."""
    found = arrays.lines(arrays.texts(["a", ""]), arrays.texts(["b", "c"]))
    assert found.to_pylist() == ["a,b\n", ",c\n"]
    assert arrays.between("<", arrays.texts(["a", ""]), ">").to_pylist() == [
        "<a>",
        "<>",
    ]


def test_rows_in_a_file(tmp_path):
    """They are the same rows."""
    rows = pa.record_batch({"a": arrays.encoded(["x", "y", "x"]), "b": np.arange(3)})
    found = arrays.on_disk(rows, str(tmp_path / "rows.arrow"))
    assert found.equals(rows)


@pytest.mark.parametrize("values", [["a", "a", "a"], ["a", "b", "a"]])
def test_a_column_of_one_text_needs_no_look(values):
    """It looks at a column of several."""
    found = arrays.ordered(arrays.encoded(values), pa.array([2, 1]))
    assert found.to_pylist() == values[:0:-1]


@pytest.mark.parametrize("space", [" ", "\t", "\x1c", "\x85", "\u3000", " \n "])
def test_white_space_on_one_side(space):
    """All of Python's white space."""
    column = arrays.texts([f"{space}a", f"b{space}", f"c{space}d", space])
    assert arrays.stripped(column).to_pylist() == ["a", "b", f"c{space}d", ""]


PATHS = st.lists(st.text("a/é", max_size=5), max_size=6)


@given(PATHS, st.integers(1, 3), st.integers(0, 2))
def test_letters_are_found_and_parts_cut_out(paths, number, first):
    """By their bytes, even in a column that is a piece of another."""
    column = arrays.texts(["/", *paths])[1:]
    in_bytes = [one.encode() for one in paths]
    last = arrays.last_of(column, "/")
    assert last.tolist() == [one.rfind(b"/") for one in in_bytes]
    nth = arrays.nth_of(column, "/", number)
    rests = [one.split("/", number)[number:] for one in paths]
    found = arrays.sliced(column, nth + 1).to_pylist()
    assert found == [
        rest[0] if rest else path for rest, path in zip(rests, paths, strict=True)
    ]
    stops = np.maximum(last, 0)
    before = [one.rpartition("/")[0] for one in paths]
    assert arrays.sliced(column, stops=stops).to_pylist() == before
    ends = [one[-2:] if len(one) >= 2 else b"" for one in in_bytes]
    assert arrays.last_bytes(column, 2).tolist() == ends
    assert arrays.is_ascii(column) == all(map(str.isascii, paths))


@given(PATHS)
def test_a_joined_text_is_split(paths):
    """As Python splits it."""
    assert arrays.split("\0".join(paths)).to_pylist() == "\0".join(paths).split("\0")


@given(PATHS, PATHS)
def test_columns_that_share_a_path_may(some, others):
    """The quick look never says no instead of yes."""
    may = arrays.may_share(arrays.texts(some), arrays.texts(others))
    assert may or not {*some} & {*others}


def test_columns_that_differ_in_their_ends_share_none():
    """Extensions tell, and so do folders."""
    column = arrays.texts(["a/1.jpg", "a/2.jpg"])
    assert not arrays.may_share(column, arrays.texts(["a/1.png", "a/2"]))
    assert not arrays.may_share(column, arrays.texts(["1.jpg"]))
    assert arrays.may_share(column, arrays.texts(["b/3.jpg"]))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float32"])
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 20])
def test_numbers_and_back(dtype, rows):
    """Even of a part of a column, which may start within a byte of bits."""
    values = np.random.default_rng(rows).integers(0, 2, rows).astype(dtype)
    column = arrays.as_column(values)
    assert column.to_pylist() == values.tolist()
    some = column.filter(arrays.as_column(values > 0))
    for part in (column, column[1:], column[3:5], some):
        found = arrays.as_numpy(part)
        assert found.dtype == dtype
        assert found.tolist() == part.to_pylist()
