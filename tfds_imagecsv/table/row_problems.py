"""What is wrong with the rows of a table whose cells have been read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays, split_names
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.table import filenames

# What one rule finds: the positions of bad rows, and what to say of each.
_Finding = tuple[Kind, Sequence[int], Callable[[int], str]]


def problems_of_rows(
    rows: Mapping[str, Any],
    label_type: str,
    of_names: Mapping[int, tuple[Kind, str]],
    *of_cells: Mapping[int, tuple[Kind, str]],
    is_loose: arrays.Bits,
    order: arrays.Ints | None,
    places: Places,
) -> dict[int, Problem]:
    """Returns the first problem of each row that has one, by the row's position.

    Args:
      rows: the columns `row` (int64), `filename`, `key` (`arrays.TEXT`), `label`,
        `group` and `given` (`arrays.CODES`), as in `label_table.LabelTable`.
      label_type: one of `options.LABEL_TYPES`.
      of_names: what resolving the names has found, by position.
      of_cells: what parsing the labels and the extra columns has found, by position.
      is_loose: whether the name of each row was read loosely.
      order: the positions of the rows, sorted by key; None if they are.
      places: what messages call the rows.
    """
    found: dict[int, Problem] = {}
    for kind, bad, detail in (
        *_bad_cells(rows, [_not_one_class(of_cells)]),
        *_empty_cells(rows, label_type, places),
        *_line_breaks(rows),
        *_bad_names(of_names),
        *_bad_cells(rows, of_cells),
        *_bad_splits(rows),
        *_bad_keys(rows, is_loose, order, places, are_repeated=label_type == "boxes"),
    ):
        for at in bad:
            if at not in found:
                found[at] = Problem(
                    kind,
                    int(rows["row"][at]),
                    detail(at),
                    key=_cell(rows, "key", at) if _cell(rows, "filename", at) else "",
                    label=_cell(rows, "label", at),
                    group=_cell(rows, "group", at),
                    given=_cell(rows, "given", at),
                )
    return found


def _cell(rows: Mapping[str, Any], name: str, at: int) -> str:
    text: str = rows[name][at].as_py()
    return text


def shortened(text: str) -> str:
    """Returns a cell's text, or its beginning if it is long."""
    return text if len(text) <= 60 else text[:57] + "..."


def _empty_cells(
    rows: Mapping[str, Any], label_type: str, places: Places
) -> Iterator[_Finding]:
    yield (
        Kind.NO_FILENAME,
        _positions(~arrays.is_filled(rows["filename"])),
        lambda at: f"the label is {_cell(rows, 'label', at)!r}",
    )
    if label_type not in ("none", "boxes"):
        is_labelled = arrays.is_text(rows["given"], split_names.UNLABELED)
        is_labelled |= arrays.is_filled(rows["label"])
        unlabelled = _positions(~is_labelled)
        kind = Kind.NO_LABEL if places.are_rows else Kind.NO_FOLDER
        yield kind, unlabelled, lambda at: repr(_cell(rows, "filename", at))


def _line_breaks(rows: Mapping[str, Any]) -> Iterator[_Finding]:
    """TFDS keeps the class names in a file with one name a line."""
    for name in ("filename", "label", "group", "given"):
        details = {
            at: repr(shortened(_cell(rows, name, at)))
            for at in arrays.having(rows[name], "\n", "\r").tolist()
        }
        yield Kind.LINE_BREAK, list(details), details.__getitem__


def _bad_cells(
    rows: Mapping[str, Any],
    of_cells: Sequence[Mapping[int, tuple[Kind, str]]],
) -> Iterator[_Finding]:
    for found in of_cells:
        for at, (kind, detail) in found.items():
            details = {at: f"{detail} for {_cell(rows, 'filename', at)!r}"}
            yield kind, [at], details.__getitem__


def _not_one_class(
    of_cells: Sequence[Mapping[int, tuple[Kind, str]]],
) -> dict[int, tuple[Kind, str]]:
    """Returns the rows without a label because they have cells for none or several."""
    return {
        at: problem
        for found in of_cells
        for at, problem in found.items()
        if problem[0] in (Kind.NOT_ONE_CLASS, Kind.NO_INDICATOR)
    }


def _bad_names(of_names: Mapping[int, tuple[Kind, str]]) -> Iterator[_Finding]:
    for at, (kind, detail) in of_names.items():
        details = {at: detail}
        yield kind, [at], details.__getitem__


def _bad_splits(rows: Mapping[str, Any]) -> Iterator[_Finding]:
    given = rows["given"]
    odd = [
        name
        for name in arrays.names_of(given)
        if name and not split_names.is_split_name(name)
    ]
    yield (
        Kind.SPLIT_NAME,
        _positions(arrays.is_text(given, *odd)),
        lambda at: f"{_cell(rows, 'given', at)!r} for {_cell(rows, 'filename', at)!r}",
    )


def _bad_keys(
    rows: Mapping[str, Any],
    is_loose: arrays.Bits,
    order: arrays.Ints | None,
    places: Places,
    *,
    are_repeated: bool,
) -> Iterator[_Finding]:
    keys = rows["key"]
    # Keys are in their shortest form, so only these are odd.
    odd = filenames.odd_paths(keys)
    yield Kind.OUTSIDE, odd, lambda at: repr(_cell(rows, "filename", at))
    if are_repeated:
        return
    first_of = _repeated(keys, order)

    def detail(at: int) -> str:
        first = first_of[at]
        place = places.of(int(rows["row"][first]))
        key = _cell(rows, "key", at)
        if not (is_loose[at] or is_loose[first]):
            return f"{key!r} is in {place} already"
        return (
            f"{_cell(rows, 'filename', at)!r} is the file {key!r}, which"
            f" {_cell(rows, 'filename', first)!r} in {place} is already"
        )

    yield Kind.REPEATED, sorted(first_of), detail


def _repeated(keys: pa.Array, order: arrays.Ints | None) -> dict[int, int]:
    """Returns the positions of keys that were there before, with the first position."""
    in_order = keys if order is None else keys.take(arrays.as_column(order))
    again = np.flatnonzero(arrays.is_same_as_before(in_order))
    if not len(again):
        return {}
    first_of: dict[int, int] = {}
    start = last = -1
    at_of = range(len(keys)) if order is None else order
    for at in again.tolist():  # sorting is stable: the first comes first
        if at != last + 1:
            start = at - 1
        first_of[int(at_of[at])] = int(at_of[start])
        last = at
    return first_of


def _positions(which: arrays.Bits) -> list[int]:
    positions: list[int] = np.flatnonzero(which).tolist()
    return positions
