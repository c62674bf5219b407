"""The splits that the cells of a column give."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from tfds_imagecsv import arrays, exceptions, problems, split_names
from tfds_imagecsv.problems import shown
from tfds_imagecsv.table import extra_columns

# The most values that a message shows.
_MOST_SHOWN = 10


class Splits(NamedTuple):
    """The split of each row, empty for none, and what was concluded.

    The splits are `arrays.CODES`.
    """

    splits: pa.DictionaryArray
    notes: Sequence[str]


def parse(
    cells: pa.DictionaryArray, column: str, names: Mapping[str, str], *, place: str
) -> Splits:
    """Reads the cells of a column with splits.

    Args:
      cells: the texts, without white space around them, `arrays.CODES`.
      column: the name of the column. One such as `is_valid` says yes or no.
      names: the names of the splits by what cells say, where they say something else.
        Cells may write numbers, and yes and no, differently: `0.0` for `0`.
      place: the table, for messages.

    Raises:
      SourceError: if `names` has a text that no cell has.
    """
    values = set(arrays.counts_of(cells)) - {""}
    flag = split_names.of_flag(column)
    notes: list[str] = []
    if names:
        by_value = {_canonical(cell): name for cell, name in names.items()}
        _check_used(values, column, names, place)
        split_of = {
            cell: by_value.get(_canonical(cell), split_names.split_name(cell))
            for cell in values
        }
        others = sorted(cell for cell in values if _canonical(cell) not in by_value)
        unusual = [cell for cell in others if not split_names.is_usual(cell)]
        if unusual:
            notes.append(
                f"split_names doesn't have {_named(unusual)} of the column {column!r},"
                " which stay as they are"
            )
    elif flag and all(extra_columns.as_bool(cell) is not None for cell in values):
        split_of = {cell: flag[not extra_columns.as_bool(cell)] for cell in values}
        notes.append(
            f"the column {column!r} says yes and no: yes is {flag[0]!r}, no {flag[1]!r}"
        )
    else:
        split_of = {cell: split_names.split_name(cell) for cell in values}
    split_of[""] = names.get("", "")
    names_of = [split_of.get(cell, "") for cell in arrays.names_of(cells)]
    return Splits(arrays.recoded(cells, names_of), notes)


def _check_used(
    values: set[str], column: str, names: Mapping[str, str], place: str
) -> None:
    there = {_canonical(cell) for cell in values} | {""}
    unused = [cell for cell in names if _canonical(cell) not in there]
    if unused:
        close = difflib.get_close_matches(unused[0], sorted(values), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise exceptions.SourceError(
            f"{place}: split_names: no cell of the column {column!r} is"
            f" {' or '.join(map(shown, unused))}.{hint} Its cells are:"
            f" {_named(sorted(values))}"
        )


def _canonical(cell: str) -> str:
    """Returns a text that is the same for all ways to write a number, or yes or no."""
    lower = cell.lower()
    if lower in ("true", "false"):
        return lower
    number = extra_columns.as_float(cell) if cell else None
    return cell if number is None else repr(number + 0.0)


def _named(values: Sequence[str]) -> str:
    return problems.named(values, _MOST_SHOWN) or "none"
