"""Labels of each type: what the cells of a row say.

Whatever a row's label is, it has a text by which two are the same or not: a class name,
the sorted names of several classes, or numbers. The text is what the manifest has, and
what identical images must agree on.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfds_imagecsv import options
from tfds_imagecsv.problems import Kind
from tfds_imagecsv.table import extra_columns

if TYPE_CHECKING:
    import pandas as pd


#: What joins the names of several classes that columns of 0 and 1 give.
INDICATOR_DELIMITER = "|"


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
    known: frozenset[str] | None = None,
) -> Parsed:
    """Reads the labels of rows.

    Args:
      label_type: one of `options.LABEL_TYPES`.
      columns: the cells of each column of labels, without white space around them.
      names: the names of these columns.
      delimiter: what is between the class names of a cell; None if each column is a
        class, and has 0 and 1.
      known: the names that classes may have; default: any.
    """
    if label_type == "multilabel":
        if delimiter is None:
            return _parse_indicators(columns, names)
        return _parse_delimited(columns[0], delimiter, known)
    if label_type == "regression":
        return _parse_numbers(columns, names)
    (texts,) = columns
    problems = {}
    if known is not None:
        problems = {
            at: (Kind.UNKNOWN_CLASS, repr(text))
            for at, text in enumerate(texts)
            if text and text not in known
        }
    return Parsed(texts, None, problems)


def _parse_delimited(
    cells: Sequence[str], delimiter: str, known: frozenset[str] | None
) -> Parsed:
    # Rows share few combinations; each is taken apart once.
    parsed: dict[str, tuple[str, tuple[str, ...]]] = {}
    unknown: dict[str, str] = {}
    for cell in dict.fromkeys(cells):
        found = {part.strip() for part in cell.split(delimiter)} - {""}
        names = tuple(sorted(found))
        # A cell that is only a delimiter says that there is no label.
        parsed[cell] = (delimiter.join(names) or (delimiter if cell else "")), names
        if known is not None and not found <= known:
            unknown[cell] = repr(next(name for name in names if name not in known))
    return Parsed(
        [parsed[cell][0] for cell in cells],
        [parsed[cell][1] for cell in cells],
        {
            at: (Kind.UNKNOWN_CLASS, unknown[cell])
            for at, cell in enumerate(cells)
            if cell in unknown
        },
    )


def _parse_indicators(columns: Sequence[Sequence[str]], names: Sequence[str]) -> Parsed:
    texts: list[str] = []
    values: list[tuple[str, ...]] = []
    problems: dict[int, tuple[Kind, str]] = {}
    for at, cells in enumerate(zip(*columns, strict=True)):
        found: tuple[str, ...] = ()
        text = ""
        if any(cells):
            bits = list(map(extra_columns.as_bool, cells))
            if None in bits:
                wrong = bits.index(None)
                detail = f"{cells[wrong]!r} in {names[wrong]!r}"
                problems[at] = Kind.NO_INDICATOR, detail
            chosen = (name for name, bit in zip(names, bits, strict=True) if bit)
            found = tuple(sorted(chosen))
            text = INDICATOR_DELIMITER.join(found) or INDICATOR_DELIMITER
        texts.append(text)
        values.append(found)
    return Parsed(texts, values, problems)


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
