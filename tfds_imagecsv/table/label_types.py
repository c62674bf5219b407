"""Labels of each type: what the cells of a row say.

Each label has a text, which is the same for equal labels: a class name, the sorted
names of several classes, or numbers. The manifest has this text, and identical images
must agree on it.
"""

from __future__ import annotations

import collections
import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays, options
from tfds_imagecsv.problems import Kind
from tfds_imagecsv.table import extra_columns

#: What joins the names of several classes, if the table doesn't; and, alone, the label
#: of an image without any.
INDICATOR_DELIMITER = "|"

# The most names for which a closest one is looked for.
_MOST_COMPARED = 100


class Parsed(NamedTuple):
    """The labels of some rows.

    Attributes:
      texts: the label of each row in one form, `arrays.CODES`; empty where the cells
        are.
      values: the names of each row's classes, sorted, or its numbers (NaN where a cell
        is empty), as codes of lists; None if the texts are the labels.
      problems: by the position of a row what is wrong with its cells, and with which,
        in words that fit before " for 'image.png'".
    """

    texts: pa.DictionaryArray
    values: pa.DictionaryArray | None
    problems: Mapping[int, tuple[Kind, str]]


def parse(
    label_type: str,
    columns: Sequence[pa.DictionaryArray],
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
      columns: the cells of each column of labels, without white space around them,
        `arrays.CODES`.
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
        unknown = _unknown(set(arrays.counts_of(texts)) - {""}, known)
        problems = _by_position(texts, unknown, Kind.UNKNOWN_CLASS)
    return Parsed(texts, None, problems)


def _by_position(
    cells: pa.DictionaryArray, details: Mapping[str, str], kind: Kind
) -> dict[int, tuple[Kind, str]]:
    """Returns what is wrong with each row, given what is wrong with each cell."""
    names = arrays.names_of(cells)
    positions = np.flatnonzero(arrays.is_text(cells, *details))
    codes = arrays.codes_of(cells)[positions]
    return {
        at: (kind, details[names[code]])
        for at, code in zip(positions.tolist(), codes.tolist(), strict=True)
    }


def _with_values(
    texts: pa.DictionaryArray, value_of: Mapping[str, tuple[Any, ...]], dtype: Any
) -> pa.DictionaryArray:
    """Returns a column of lists, given the list of each text."""
    lists = [list(value_of[text]) for text in arrays.names_of(texts)]
    return pa.DictionaryArray.from_arrays(
        texts.indices, pa.array(lists, pa.list_(dtype))
    )


def _unknown(names: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Returns what to say of each unknown name, with the known one that is closest.

    Of very many unknown names, only the first ones get a closest one.
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
    cells: pa.DictionaryArray, delimiter: str, known: Sequence[str] | None
) -> Parsed:
    # Rows share few combinations; each is split once.
    names_of: dict[str, tuple[str, ...]] = {}
    unknown: dict[str, str] = {}
    known_names = frozenset(known or ())
    texts = []
    for cell in arrays.names_of(cells):
        found = {part.strip() for part in cell.split(delimiter)} - {""}
        names = tuple(sorted(found))
        # A cell that is only a delimiter says that there is no label.
        texts.append(delimiter.join(names) or (delimiter if cell else ""))
        names_of[texts[-1]] = names
        if known is not None and not found <= known_names:
            first = next(name for name in names if name not in known_names)
            unknown[cell] = _unknown([first], known)[first]
    labels = arrays.recoded(cells, texts)
    return Parsed(
        labels,
        _with_values(labels, names_of, pa.string()),
        _by_position(cells, unknown, Kind.UNKNOWN_CLASS),
    )


def _parse_indicators(
    columns: Sequence[pa.DictionaryArray],
    names: Sequence[str],
    true_values: Collection[str],
    false_values: Collection[str],
) -> Parsed:
    as_bit = _reader_of_bits(true_values, false_values)
    count = len(columns[0])
    # Eight classes in a byte.
    packed = np.zeros((count, (len(names) + 7) // 8), np.uint8)
    is_blank = np.full(count, as_bit("") is None)
    problems: dict[int, tuple[Kind, str]] = {}
    for at, (cells, name) in enumerate(zip(columns, names, strict=True)):
        # Columns have few different cells; each is read once.
        bits = [as_bit(cell) for cell in arrays.names_of(cells)]
        is_set = np.array([bool(bit) for bit in bits], np.uint8)
        packed[:, at // 8] |= arrays.mapped(cells, is_set) << (7 - at % 8)
        is_blank &= ~arrays.is_filled(cells)
        details = {
            cell: f"{cell!r} in {name!r}"
            for cell, bit in zip(arrays.names_of(cells), bits, strict=True)
            if bit is None
        }
        for row, problem in _by_position(cells, details, Kind.NO_INDICATOR).items():
            problems.setdefault(row, problem)
    for row in np.flatnonzero(is_blank).tolist():
        del problems[row]  # the row has no label
    # Rows share few combinations; each is named once.
    combinations = pa.Array.from_buffers(
        pa.binary(packed.shape[1]), count, [None, pa.py_buffer(packed)]
    ).dictionary_encode()
    names_of: dict[str, tuple[str, ...]] = {"": ()}
    texts = []
    for one in combinations.dictionary.to_pylist():
        set_bits = np.flatnonzero(np.unpackbits(np.frombuffer(one, np.uint8))).tolist()
        found = tuple(sorted(names[at] for at in set_bits))
        joined = INDICATOR_DELIMITER.join(map(in_label, found))
        texts.append(joined or INDICATOR_DELIMITER)
        names_of[texts[-1]] = found
    codes = arrays.as_numpy(combinations.indices).copy()
    codes[is_blank] = len(texts)
    labels = arrays.merged(codes, [*texts, ""])
    return Parsed(labels, _with_values(labels, names_of, pa.string()), problems)


def in_label(name: str) -> str:
    """Returns a class name as labels of several have it.

    As in a CSV whose delimiter is `|`, it is in quotes if it holds one or begins with a
    quote: else different classes would have one label.
    """
    if INDICATOR_DELIMITER not in name and not name.startswith('"'):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


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
    details: dict[str, str] = {}
    for text, names in zip(
        arrays.names_of(indicated.texts),
        indicated.values.dictionary.to_pylist(),
        strict=True,
    ):
        texts.append(names[0] if len(names) == 1 else "")
        if text and len(names) != 1:
            found = " and ".join(map(repr, names)) or "none of the columns"
            details[text] = f"1 in {found}"
    problems = _by_position(indicated.texts, details, Kind.NOT_ONE_CLASS)
    return Parsed(
        arrays.recoded(indicated.texts, texts),
        None,
        {**problems, **indicated.problems},
    )


def _parse_numbers(
    columns: Sequence[pa.DictionaryArray], names: Sequence[str]
) -> Parsed:
    problems: dict[int, tuple[Kind, str]] = {}
    is_labeled = np.zeros(len(columns[0]), bool)
    for cells in columns:
        is_labeled |= arrays.is_filled(cells)
    for cells, name in zip(columns, names, strict=True):
        details = {
            cell: f"{cell!r} in {name!r}"
            for cell in arrays.names_of(cells)
            if not math.isfinite(_as_number(cell))
        }
        for at, problem in _by_position(cells, details, Kind.NO_NUMBER).items():
            if is_labeled[at]:
                problems.setdefault(at, problem)
    # Each different combination is read once.
    codes = arrays.codes_of(columns[0]).astype(np.int64)
    for cells in columns[1:]:
        _, codes = np.unique(codes, return_inverse=True)
        codes = codes * len(cells.dictionary) + arrays.codes_of(cells)
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    cells_of = [cells.take(arrays.as_column(first)).to_pylist() for cells in columns]
    texts = []
    numbers_of: dict[str, tuple[float, ...]] = {}
    for of_row in zip(*cells_of, strict=True):
        numbers = tuple(map(_as_number, of_row))
        texts.append(", ".join(map(repr, numbers)) if any(of_row) else "")
        numbers_of[texts[-1]] = numbers
    labels = arrays.merged(codes, texts)
    return Parsed(labels, _with_values(labels, numbers_of, pa.float64()), problems)


def _as_number(cell: str) -> float:
    """Returns a cell's number as float32 has it, or NaN."""
    number = extra_columns.as_float(cell)
    with np.errstate(over="ignore"):
        kept = np.float32(math.nan if number is None else number)
    return float(str(kept)) + 0.0  # -0.0 is 0.0


def class_names(
    label_type: str, rows: pa.RecordBatch, columns: Sequence[str] | None
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
    return tuple(sorted(class_sizes(label_type, rows)))


def class_sizes(label_type: str, rows: pa.RecordBatch) -> collections.Counter[str]:
    """Returns how many rows each class has; rows may have several."""
    sizes: collections.Counter[str] = collections.Counter()
    if label_type == "class":
        sizes.update(arrays.counts_of(rows["label"]))
        del sizes[""]
    elif label_type in options.WITH_CLASSES:
        for names, count in _combinations(rows):
            for name in names if count else ():
                sizes[name] += count
    return sizes


def _combinations(rows: pa.RecordBatch) -> Iterable[tuple[list[str], int]]:
    """Yields the combinations of classes, and how many rows have each."""
    target = rows["target"]
    counts = np.bincount(arrays.codes_of(target), minlength=len(target.dictionary))
    return zip(target.dictionary.to_pylist(), counts.tolist(), strict=True)


def of_classes(
    label_type: str, rows: pa.RecordBatch, names: Iterable[str]
) -> Mapping[int, str]:
    """Returns by the position of a row the first of some classes that it has."""
    wanted = frozenset(names)
    if not wanted or label_type not in options.WITH_CLASSES:
        return {}
    column = rows["label"] if label_type == "class" else rows["target"]
    of_code = column.dictionary.to_pylist()
    if label_type == "class":
        of_code = [[name] for name in of_code]
    first = [next((one for one in of if one in wanted), None) for of in of_code]
    has_one = arrays.mapped(column, np.array([one is not None for one in first], bool))
    positions = np.flatnonzero(has_one)
    found = {}
    for at, code in zip(
        positions.tolist(), arrays.codes_of(column)[positions].tolist(), strict=True
    ):
        name = first[code]
        assert name is not None
        found[at] = name
    return found
