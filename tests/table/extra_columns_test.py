"""Columns of other types than labels: what cells hold, and which type fits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays
from tfds_imagecsv.table import extra_columns


@pytest.mark.parametrize(
    ("dtype", "cells", "values"),
    [
        ("string", ["a", "", "001", "NA"], ["a", "", "001", "NA"]),
        ("int64", ["0", "-7", "+3", "4.0", "5."], [0, -7, 3, 4, 5]),
        ("int64", [str(2**63 - 1), str(-(2**63))], [2**63 - 1, -(2**63)]),
        ("int32", [str(2**31 - 1), str(-(2**31))], [2**31 - 1, -(2**31)]),
        ("bool", ["true", "FALSE", "1", "0", "1.0"], [True, False, True, False, True]),
        ("float64", ["0.1", "1e300", "-inf", "5"], [0.1, 1e300, -math.inf, 5.0]),
        ("float32", ["0.1", "-5"], [float(np.float32(0.1)), -5.0]),
    ],
)
def test_cells_that_a_type_holds(dtype, cells, values):
    """They are Arrow's."""
    found = extra_columns.parse(arrays.texts(cells), dtype)
    assert found.values.to_pylist() == values
    assert list(map(type, found.values.to_pylist())) == list(map(type, values))
    assert not found.wrong


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_empty_cell_is_not_a_number(dtype):
    """The rule for empty cells: NaN, in columns of floats."""
    found = extra_columns.parse(arrays.texts(["", "nan", "1"]), dtype)
    assert list(map(math.isnan, found.values.to_pylist())) == [True, True, False]
    assert not found.wrong


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        ("int64", ["", "a", "1.5", str(2**63), "1_000", "٣", "1e3", "nan"]),
        ("int32", ["", str(2**31), str(-(2**31) - 1)]),
        ("bool", ["", "2", "yes", "truth"]),
        ("float32", ["a", "1e39", "1_0", "0x1"]),
        ("float64", ["a", "1,5", "1_0"]),
    ],
)
def test_cells_that_a_type_does_not_hold(dtype, cells):
    """Each is reported, and no other."""
    mixed = [cell for wrong in cells for cell in ("1", wrong)]
    found = extra_columns.parse(arrays.texts(mixed), dtype)
    assert list(found.wrong) == list(range(1, len(mixed), 2))


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2"], "int64"),
        (["0", "10"], "int64"),
        (["1", ""], "float64"),
        ([str(2**53 + 1), ""], "string"),
        ([str(2**63), "1"], "string"),
        (["1.5", "2"], "float64"),
        (["1.5", ""], "float64"),
        (["1e5"], "float64"),
        (["007", "8"], "string"),
        (["00.5"], "string"),
        (["true", "False"], "bool"),
        (["true", ""], "string"),
        (["a", "1"], "string"),
        ([""], "string"),
        ([], "string"),
    ],
)
def test_the_type_that_fits(cells, dtype):
    """Names that look like numbers stay what they are."""
    assert extra_columns.inferred(cells) == dtype


@given(st.lists(st.one_of(st.text(), st.integers().map(str), st.floats().map(str))))
def test_cells_are_held_by_the_type_that_fits(cells):
    """For any cells."""
    cells = [cell.strip() for cell in cells]
    found = extra_columns.parse(arrays.texts(cells), extra_columns.inferred(cells))
    assert not found.wrong
