"""What is wrong with the rows of a table whose cells have been read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfds_imagecsv import split_names
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.table import filenames

# What one rule finds: the positions of bad rows, and what to say of each.
_Finding = tuple[Kind, Sequence[int], Callable[[int], str]]


def problems_of_rows(
    rows: Mapping[str, Sequence[Any]],
    label_type: str,
    of_names: Mapping[int, tuple[Kind, str]],
    *of_cells: Mapping[int, tuple[Kind, str]],
    is_loose: Any,
    places: Places,
) -> dict[int, Problem]:
    """Returns the first problem of each row that has one, by the row's position.

    Args:
      rows: the columns `row` (int), `filename`, `key`, `label`, `group` and `given`
        (str), as in `label_table.LabelTable`.
      label_type: one of `options.LABEL_TYPES`.
      of_names: what resolving the names has found, by position.
      of_cells: what parsing the labels and the extra columns has found, by position.
      is_loose: whether the name of each row was read loosely.
      places: what messages call the rows.
    """
    found: dict[int, Problem] = {}
    # Each rule is a loop of its own: with millions of rows, calls count.
    for kind, bad, detail in (
        *_bad_cells(rows, [_not_one_class(of_cells)]),
        *_empty_cells(rows, label_type),
        *_line_breaks(rows),
        *_bad_names(of_names),
        *_bad_cells(rows, of_cells),
        *_bad_splits(rows),
        *_bad_keys(rows, is_loose, places),
    ):
        for at in bad:
            if at not in found:
                found[at] = Problem(
                    kind,
                    rows["row"][at],
                    detail(at),
                    key=rows["key"][at] if rows["filename"][at] else "",
                    label=rows["label"][at],
                    group=rows["group"][at],
                    given=rows["given"][at],
                )
    return found


def shortened(text: str) -> str:
    """Returns a cell's text, or its beginning if it is long."""
    return text if len(text) <= 60 else text[:57] + "..."


def _empty_cells(
    rows: Mapping[str, Sequence[str]], label_type: str
) -> Iterator[_Finding]:
    names, labels, given = rows["filename"], rows["label"], rows["given"]
    yield Kind.NO_FILENAME, _empty(names), lambda at: f"the label is {labels[at]!r}"
    unlabelled = [
        at
        for at in _empty(labels)
        if label_type != "none" and given[at] != split_names.UNLABELED
    ]
    yield Kind.NO_LABEL, unlabelled, lambda at: repr(names[at])


def _line_breaks(rows: Mapping[str, Sequence[str]]) -> Iterator[_Finding]:
    """TFDS keeps the class names in a file with one name a line."""
    for name in ("filename", "label", "group", "given"):
        column = rows[name]
        details = {at: repr(shortened(column[at])) for at in _with_line_break(column)}
        yield Kind.LINE_BREAK, list(details), details.__getitem__


def _bad_cells(
    rows: Mapping[str, Sequence[str]],
    of_cells: Sequence[Mapping[int, tuple[Kind, str]]],
) -> Iterator[_Finding]:
    for found in of_cells:
        for at, (kind, detail) in found.items():
            details = {at: f"{detail} for {rows['filename'][at]!r}"}
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


def _bad_splits(rows: Mapping[str, Sequence[str]]) -> Iterator[_Finding]:
    given = rows["given"]
    bad = [
        at
        for at, name in enumerate(given if any(given) else ())
        if name and not split_names.is_split_name(name)
    ]
    yield (
        Kind.SPLIT_NAME,
        bad,
        lambda at: f"{given[at]!r} for {rows['filename'][at]!r}",
    )


def _bad_keys(
    rows: Mapping[str, Sequence[Any]], is_loose: Any, places: Places
) -> Iterator[_Finding]:
    keys = rows["key"]
    # In their shortest form, none but these are odd.
    yield Kind.OUTSIDE, filenames.odd_paths(keys), lambda at: repr(rows["filename"][at])
    first_of: dict[str, int] = {}
    are_unique = len(set(keys)) == len(keys)
    repeated = [
        at
        for at, key in enumerate(() if are_unique else keys)
        if first_of.setdefault(key, at) != at
    ]

    def detail(at: int) -> str:
        first = first_of[keys[at]]
        place = places.of(rows["row"][first])
        name, of_first = rows["filename"][at], rows["filename"][first]
        if not (is_loose[at] or is_loose[first]):
            return f"{keys[at]!r} is in {place} already"
        return (
            f"{name!r} is the file {keys[at]!r}, which {of_first!r} in {place} is"
            " already"
        )

    yield Kind.REPEATED, repeated, detail


def _with_line_break(column: Sequence[str]) -> list[int]:
    """Returns the positions of the cells that have a line break."""
    whole = "".join(column)  # quickly searched, and most tables have none
    if "\n" not in whole and "\r" not in whole:
        return []
    return [at for at, text in enumerate(column) if "\n" in text or "\r" in text]


def _empty(column: Sequence[str]) -> list[int]:
    """Returns the positions of the cells that are empty; most tables have none."""
    if all(column):
        return []
    return [at for at, text in enumerate(column) if not text]
