"""Labels of each type: what the cells of a row say.

Whatever a row's label is, it has a text by which two are the same or not: a class name,
the sorted names of several classes, or numbers. The text is what the manifest has, and
what identical images must agree on.
"""

from __future__ import annotations

import collections
import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfds_imagecsv import options
from tfds_imagecsv.problems import Kind
from tfds_imagecsv.table import extra_columns

if TYPE_CHECKING:
    import pandas as pd


#: What joins the names of several classes that columns of 0 and 1 give.
INDICATOR_DELIMITER = "|"

# The most names for which a closest one is looked for.
_MOST_COMPARED = 100


class Parsed(NamedTuple):
    """The labels of some rows.

    Attributes:
      texts: the label of each row in one form; empty where the cells are.
      values: for each row the names of its classes, sorted, or its numbers (NaN where
        a cell is empty); None if the texts are the labels.
      problems: by the position of a row what is wrong with its cells, and with which,
        in words that fit before " for 'image.png'".
    """

    texts: Sequence[str]
    values: Sequence[tuple[Any, ...]] | None
    problems: Mapping[int, tuple[Kind, str]]


def parse(
    label_type: str,
    columns: Sequence[Sequence[str]],
    names: Sequence[str],
    *,
    delimiter: str | None = None,
    known: Sequence[str] | None = None,
    true_values: Collection[str] = (),
    false_values: Collection[str] = (),
) -> Parsed:
    """Reads the labels of rows.

    Args:
      label_type: one of `options.LABEL_TYPES`.
      columns: the cells of each column of labels, without white space around them.
      names: the names of these columns.
      delimiter: what is between the class names of a cell; None if each column is a
        class, and has 0 and 1.
      known: the names that classes may have; default: any.
      true_values: what is 1 in columns of 0 and 1, besides what always is.
      false_values: what is 0; an empty text for empty cells.
    """
    if label_type == "regression":
        return _parse_numbers(columns, names)
    if label_type == "multilabel" and delimiter is not None:
        return _parse_delimited(columns[0], delimiter, known)
    if label_type == "multilabel" or len(columns) > 1:
        indicated = _parse_indicators(columns, names, true_values, false_values)
        return indicated if label_type == "multilabel" else _of_one_class(indicated)
    (texts,) = columns
    problems = {}
    if known is not None:
        unknown = _unknown(set(texts) - {""}, known)
        problems = {
            at: (Kind.UNKNOWN_CLASS, unknown[text])
            for at, text in enumerate(texts)
            if text in unknown
        }
    return Parsed(texts, None, problems)


def _unknown(names: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Returns what to say of each name that isn't known, with the closest one that is.

    Of very many, the first ones.
    """
    unknown = sorted(set(names).difference(known))
    close = {
        name: difflib.get_close_matches(name, known, n=1)
        for name in unknown[:_MOST_COMPARED]
    }
    return {
        name: repr(name)
        + (f" (did you mean {close[name][0]!r}?)" if close.get(name) else "")
        for name in unknown
    }


def _parse_delimited(
    cells: Sequence[str], delimiter: str, known: Sequence[str] | None
) -> Parsed:
    # Rows share few combinations; each is taken apart once.
    parsed: dict[str, tuple[str, tuple[str, ...]]] = {}
    unknown: dict[str, str] = {}
    known_names = frozenset(known or ())
    for cell in dict.fromkeys(cells):
        found = {part.strip() for part in cell.split(delimiter)} - {""}
        names = tuple(sorted(found))
        # A cell that is only a delimiter says that there is no label.
        parsed[cell] = (delimiter.join(names) or (delimiter if cell else "")), names
        if known is not None and not found <= known_names:
            first = next(name for name in names if name not in known_names)
            unknown[cell] = _unknown([first], known)[first]
    return Parsed(
        [parsed[cell][0] for cell in cells],
        [parsed[cell][1] for cell in cells],
        {
            at: (Kind.UNKNOWN_CLASS, unknown[cell])
            for at, cell in enumerate(cells)
            if cell in unknown
        },
    )


def _parse_indicators(
    columns: Sequence[Sequence[str]],
    names: Sequence[str],
    true_values: Collection[str],
    false_values: Collection[str],
) -> Parsed:
    as_bit = _reader_of_bits(true_values, false_values)
    count = len(columns[0])
    bits = np.zeros((count, len(names)), bool)
    is_blank = np.ones(count, bool)
    problems: dict[int, tuple[Kind, str]] = {}
    empty = as_bit("") is None
    for column, (cells, name) in enumerate(zip(columns, names, strict=True)):
        # Columns have few different cells; each is read once.
        bit_of = {cell: as_bit(cell) for cell in set(cells)}
        bits[:, column] = [bool(bit_of[cell]) for cell in cells]
        is_blank &= np.fromiter((empty and not cell for cell in cells), bool, count)
        if None in bit_of.values():
            for at, cell in enumerate(cells):
                if bit_of[cell] is None:
                    problems.setdefault(
                        at, (Kind.NO_INDICATOR, f"{cell!r} in {name!r}")
                    )
    for at in np.flatnonzero(is_blank).tolist():
        del problems[at]  # the row has no label
    # Rows share few combinations; each is named once.
    combinations, of_row = np.unique(bits, axis=0, return_inverse=True)
    found = [
        tuple(sorted(names[at] for at in np.flatnonzero(one).tolist()))
        for one in combinations
    ]
    texts = [INDICATOR_DELIMITER.join(one) or INDICATOR_DELIMITER for one in found]
    rows = of_row.ravel().tolist()
    return Parsed(
        ["" if blank else texts[at] for at, blank in zip(rows, is_blank, strict=True)],
        [found[at] for at in rows],
        problems,
    )


def _reader_of_bits(
    true_values: Collection[str], false_values: Collection[str]
) -> Callable[[str], bool | None]:
    """Returns a function that says whether a cell is 1, 0, or neither.

    Numbers are compared as numbers: `-1` stands for `-1.0` as well.
    """
    given = {**dict.fromkeys(true_values, True), **dict.fromkeys(false_values, False)}
    numbers = {
        number: bit
        for text, bit in given.items()
        if text and (number := extra_columns.as_float(text)) is not None
    }

    def as_bit(cell: str) -> bool | None:
        if cell in given:
            return given[cell]
        number = extra_columns.as_float(cell) if cell else None
        if number is not None and number in numbers:
            return numbers[number]
        return extra_columns.as_bool(cell)

    return as_bit


def _of_one_class(indicated: Parsed) -> Parsed:
    """Returns labels of one class, from those of any number."""
    assert indicated.values is not None
    texts: list[str] = []
    problems = dict(indicated.problems)
    for at, (text, names) in enumerate(
        zip(indicated.texts, indicated.values, strict=True)
    ):
        texts.append(names[0] if len(names) == 1 else "")
        if text and len(names) != 1 and at not in problems:
            found = " and ".join(map(repr, names)) or "none of the columns"
            problems[at] = Kind.NOT_ONE_CLASS, f"1 in {found}"
    return Parsed(texts, None, problems)


def _parse_numbers(columns: Sequence[Sequence[str]], names: Sequence[str]) -> Parsed:
    texts: list[str] = []
    values: list[tuple[float, ...]] = []
    problems: dict[int, tuple[Kind, str]] = {}
    for at, cells in enumerate(zip(*columns, strict=True)):
        numbers = tuple(map(_as_number, cells))
        if any(cells):
            for name, cell, number in zip(names, cells, numbers, strict=True):
                if not math.isfinite(number) and at not in problems:
                    problems[at] = Kind.NO_NUMBER, f"{cell!r} in {name!r}"
        texts.append(", ".join(map(repr, numbers)) if any(cells) else "")
        values.append(numbers)
    return Parsed(texts, values, problems)


def _as_number(cell: str) -> float:
    """Returns a cell's number as float32 has it, or NaN."""
    number = extra_columns.as_float(cell)
    with np.errstate(over="ignore"):
        kept = np.float32(math.nan if number is None else number)
    return float(str(kept)) + 0.0  # -0.0 is 0.0


def class_names(
    label_type: str, rows: pd.DataFrame, columns: Sequence[str] | None
) -> tuple[str, ...]:
    """Returns the names of the classes of rows, in the order of their ids.

    Args:
      label_type: one of `options.LABEL_TYPES`.
      rows: a label table.
      columns: the names of the columns of 0 and 1, which are those of the classes in
        their order; None if there are none.
    """
    if label_type not in options.WITH_CLASSES:
        return ()
    if columns is not None:
        return tuple(columns)
    return tuple(sorted(set(_names(label_type, rows)) - {""}))


def class_sizes(label_type: str, rows: pd.DataFrame) -> collections.Counter[str]:
    """Returns how many rows each class has; rows may have several."""
    sizes = collections.Counter(_names(label_type, rows))
    del sizes[""]
    return sizes


def _names(label_type: str, rows: pd.DataFrame) -> Iterable[str]:
    """Returns the class of each row, empty if it has none, or all classes of all."""
    if label_type == "class":
        return rows["label"].tolist()
    if label_type == "multilabel":
        return (name for names in rows["target"] for name in names)
    return ()


def of_classes(
    label_type: str, rows: pd.DataFrame, names: Iterable[str]
) -> Mapping[int, str]:
    """Returns by the position of a row the first of some classes that it has."""
    wanted = frozenset(names)
    if not wanted or label_type not in options.WITH_CLASSES:
        return {}
    if label_type == "class":
        return {at: label for at, label in enumerate(rows["label"]) if label in wanted}
    found = {}
    for at, of_row in enumerate(rows["target"]):
        first = next((name for name in of_row if name in wanted), None)
        if first is not None:
            found[at] = first
    return found
