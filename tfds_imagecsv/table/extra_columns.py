"""Columns of the table that become features besides image and label."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays

#: The columns of a label table that hold extra columns begin with it.
PREFIX = "extra/"

# A whole number, also with a point, as programs write it that only have floats.
_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?")

# Also as programs write them that only have floats.
_BOOLEANS = {
    "false": False,
    "0": False,
    "0.0": False,
    "true": True,
    "1": True,
    "1.0": True,
}

# Up to this, all whole numbers are exact as float64.
_MOST_EXACT = 2**53


class Parsed(NamedTuple):
    """The values of a column.

    Attributes:
      values: a column of the type; null for each cell that it can't hold. Floats
        are float64.
      wrong: the positions of those cells.
    """

    values: pa.Array
    wrong: Sequence[int]


def parse(cells: pa.Array, dtype: str) -> Parsed:
    """Reads the cells of a column.

    An empty cell is NaN in a column of floats, an empty text in one of strings, and
    wrong in others, which have no value for it.

    Args:
      cells: the texts, without white space around them, `arrays.TEXT`.
      dtype: one of `options.COLUMN_DTYPES`.
    """
    if dtype == "string":
        return Parsed(cells, ())
    of_text: Callable[[str], Any] = {
        "bool": as_bool,
        "int32": lambda cell: _whole(cell, 2**31),
        "int64": lambda cell: _whole(cell, 2**63),
        "float32": _float32,
        "float64": as_float,
    }[dtype]
    # Each different cell is read once.
    different = arrays.encoded(cells)
    of_different = pa.array(
        list(map(of_text, arrays.names_of(different))),
        {"bool": pa.bool_(), "int32": pa.int32(), "int64": pa.int64()}.get(
            dtype, pa.float64()
        ),
        from_pandas=False,
    )
    values = of_different.take(different.indices)
    is_wrong = arrays.as_numpy(values.is_null())
    return Parsed(values, np.flatnonzero(is_wrong).tolist())


def inferred(cells: Iterable[str]) -> str:
    """Returns the type that all cells of a column fit.

    Whole numbers are `int64`, or `float64` if some cells are empty; other numbers are
    `float64`; `true` and `false` are `bool` if no cell is empty; all others, and
    numbers with leading zeros, which are names, are `string`.
    """
    different = set(cells)
    filled = different - {""}
    if not filled:
        return "string"
    if {cell.lower() for cell in filled} <= {"true", "false"}:
        return "bool" if filled == different else "string"
    if any(re.match(r"[+-]?0\d", cell) for cell in filled):
        return "string"
    whole = [_whole(cell, 2**63) for cell in filled if re.fullmatch(r"-?\d+", cell)]
    if len(whole) == len(filled) and None not in whole:
        if filled == different:
            return "int64"
        most = max(abs(number) for number in whole if number is not None)
        return "float64" if most <= _MOST_EXACT else "string"
    if len(whole) == len(filled) or any(as_float(cell) is None for cell in filled):
        return "string"
    return "float64"


def _whole(cell: str, limit: int) -> int | None:
    match = _WHOLE.fullmatch(cell)
    if match is None or not cell.isascii():
        return None
    number = int(match[1])
    return number if -limit <= number < limit else None


def as_bool(cell: str) -> bool | None:
    """Returns what a cell says, or None if that is neither yes nor no."""
    return _BOOLEANS.get(cell.lower())


def as_float(cell: str) -> float | None:
    """Returns the number of a cell, NaN if it is empty, or None if it has none."""
    if not cell:
        return math.nan
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _float32(cell: str) -> float | None:
    number = as_float(cell)
    if number is None or not math.isfinite(number):
        return number
    with np.errstate(over="ignore"):
        kept = float(np.float32(number))
    return kept if math.isfinite(kept) else None


def shown(dtypes: Mapping[str, str]) -> str:
    """Returns the types of columns in words."""
    return ", ".join(f"{name} ({dtype})" for name, dtype in dtypes.items())
