"""Boxes of objects: many rows of a table become one row for each image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays, split_names
from tfds_imagecsv.problems import Kind, Places, shown
from tfds_imagecsv.table import extra_columns, image_columns, label_types

Floats = npt.NDArray[np.float64]

#: The columns of a label table with boxes, besides those of `label_table.LabelTable`.
NUMBERS = "boxes"
CLASSES = "box_classes"
NUMBERS_OF_ROWS = "box_rows"
WIDTH, HEIGHT = SIZE = ("table_width", "table_height")

#: The label of an image without objects.
NONE = label_types.INDICATOR_DELIMITER

# What is between the numbers of a cell, and around them.
_BETWEEN = re.compile(r"[\s,;]+")
_AROUND = "[](){} \t"

_Problems = dict[int, tuple[Kind, str]]


class Parsed(NamedTuple):
    """The boxes of the rows of a table.

    Attributes:
      numbers: the four numbers of each row, float64, shape [rows, 4]; NaN for none.
      is_box: whether each row has a box.
      sizes: the width and height of each row's image, as the table says, int64, shape
        [rows, 2]; -1 where it doesn't.
      problems: what is wrong, as in `label_types.Parsed`.
    """

    numbers: Floats
    is_box: arrays.Bits
    sizes: arrays.Ints
    problems: Mapping[int, tuple[Kind, str]]


def parse(
    cells: Sequence[pa.DictionaryArray],
    sizes: Sequence[pa.DictionaryArray],
    rows: Mapping[str, Any],
    extra: Sequence[pa.Array],
    places: Places,
) -> Parsed:
    """Reads the boxes of rows.

    Args:
      cells: the cells of the columns with boxes, four or one; none if the table has no
        boxes.
      sizes: those of the images' width and height; or none.
      rows: the columns `row`, `key`, `label`, `group` and `given`, as in
        `label_table.LabelTable`.
      extra: the cells of the extra columns.
      places: what messages call the rows.
    """
    count = len(rows["row"])
    problems: _Problems = {}
    is_box = np.zeros(count, bool)
    if len(cells) == 1:
        numbers = _of_one_cell(cells[0])
        # An empty list is no box.
        has_more = [bool(one.strip(_AROUND)) for one in arrays.names_of(cells[0])]
        is_box = arrays.mapped(cells[0], np.array(has_more, bool))
    elif cells:
        numbers = _of_cells(cells)
        is_box = np.any([arrays.is_filled(one) for one in cells], axis=0)
    else:
        numbers = np.full((count, 4), np.nan)
    for at in np.flatnonzero(is_box & ~np.isfinite(numbers).all(axis=1)).tolist():
        said = ", ".join(shown(one[at].as_py()) for one in cells)
        problems[at] = (Kind.BOX_NUMBERS, said)
    of_images, found = _sizes(sizes, count)
    for at, problem in (
        *found.items(),
        *_about_classes(is_box, rows),
        *_that_differ(rows, of_images, places),
        *_repeated(numbers, is_box, rows, extra, places),
    ):
        problems.setdefault(at, problem)
    return Parsed(numbers, is_box, of_images, problems)


def _of_cells(cells: Sequence[pa.DictionaryArray]) -> Floats:
    columns = []
    for one in cells:
        # Each different cell is read once.
        values = [extra_columns.as_float(cell) for cell in arrays.names_of(one)]
        of_cells = np.array([np.nan if v is None else v for v in values], np.float64)
        columns.append(arrays.mapped(one, of_cells))
    return np.stack(columns, axis=1)


def _of_one_cell(cells: pa.DictionaryArray) -> Floats:
    found = np.full((len(cells.dictionary), 4), np.nan)
    for at, cell in enumerate(arrays.names_of(cells)):
        parts = _BETWEEN.split(cell.strip(_AROUND))
        values = [extra_columns.as_float(part) for part in parts]
        if len(values) == 4 and None not in values:
            found[at] = values
    numbers: Floats = arrays.mapped(cells, found)
    return numbers.reshape(-1, 4)


def _sizes(
    cells: Sequence[pa.DictionaryArray], count: int
) -> tuple[arrays.Ints, _Problems]:
    """Returns the sizes of images that the table gives, and what is wrong with them."""
    found = np.full((count, 2), -1, np.int64)
    problems: _Problems = {}
    for axis, column in enumerate(cells):
        values, wrong = extra_columns.parse(arrays.decoded(column), "float64")
        numbers = arrays.as_numpy(values.fill_null(np.nan))
        is_size = np.isfinite(numbers) & (numbers >= 1) & (numbers < 2**31)
        found[is_size, axis] = np.round(numbers[is_size])
        for at in {*wrong, *np.flatnonzero(arrays.is_filled(column) & ~is_size)}:
            cell = shown(column[int(at)].as_py())
            problems[int(at)] = (Kind.IMAGE_SIZE, f"{cell} is no number of pixels")
    found[(found < 0).any(axis=1)] = -1
    return found, problems


def _about_classes(
    is_box: arrays.Bits, rows: Mapping[str, Any]
) -> Iterator[tuple[int, tuple[Kind, str]]]:
    """Yields rows with a box and no class, or with a class and no box."""
    has_class = arrays.is_filled(rows["label"])
    for at in np.flatnonzero(is_box & ~has_class).tolist():
        yield at, (Kind.NO_LABEL, "a box")
    for at in np.flatnonzero(~is_box & has_class).tolist():
        yield at, (Kind.NO_BOX, shown(rows["label"][at].as_py()))


def _that_differ(
    rows: Mapping[str, Any], sizes: arrays.Ints, places: Places
) -> Iterator[tuple[int, tuple[Kind, str]]]:
    """Yields all rows of images whose rows don't agree on what is of the image."""
    _, first, image_of = np.unique(
        arrays.codes_of(arrays.encoded(rows["key"])),
        return_index=True,
        return_inverse=True,
    )
    columns: list[tuple[str, npt.NDArray[Any]]] = [
        ("group", arrays.codes_of(rows["group"]))
    ]
    columns += [("split", arrays.codes_of(rows["given"]))]
    columns += [("width", sizes[:, 0]), ("height", sizes[:, 1])]
    columns += [
        (f"file of {name!r}", arrays.codes_of(arrays.encoded(rows[key])))
        for name, key in _keys_of_images(rows)
    ]
    for name, values in columns:
        is_other = values != values[first][image_of]
        if not is_other.any():
            continue
        last_other = {int(image_of[at]): at for at in np.flatnonzero(is_other).tolist()}
        other_images = list(last_other)
        for at in np.flatnonzero(np.isin(image_of, other_images)).tolist():
            image = int(image_of[at])
            other = last_other[image] if not is_other[at] else int(first[image])
            place = places.of(int(rows["row"][other]))
            detail = f"the {name} isn't that of {place}"
            yield at, (Kind.ROWS_DIFFER, detail)


def _repeated(
    numbers: Floats,
    is_box: arrays.Bits,
    rows: Mapping[str, Any],
    extra: Sequence[pa.Array],
    places: Places,
) -> Iterator[tuple[int, tuple[Kind, str]]]:
    """Yields rows that repeat another, and those without a box beside others."""
    keys = arrays.codes_of(arrays.encoded(rows["key"]))
    columns = [keys, arrays.codes_of(arrays.encoded(rows["label"]))]
    columns += [arrays.codes_of(arrays.encoded(one)) for one in extra]
    with_box = np.zeros(int(keys.max(initial=-1)) + 1, np.int64)
    positions = np.flatnonzero(is_box)[::-1]
    with_box[keys[positions]] = positions + 1
    for at in np.flatnonzero(~is_box & (with_box[keys] > 0)).tolist():
        place = places.of(int(rows["row"][with_box[keys[at]] - 1]))
        yield at, (Kind.EMPTY_BOX, f"no box, and one in {place},")
    # An image without objects has no box, whatever its other cells say.
    table = np.stack(columns, axis=1).astype(np.float64)
    table[~is_box, 1:] = -1
    table = np.concatenate([table, np.where(is_box[:, None], numbers, -1.0)], axis=1)
    order = np.lexsort(table.T[::-1])
    in_order = table[order]
    again = np.flatnonzero((in_order[1:] == in_order[:-1]).all(axis=1)) + 1
    first_of: dict[int, int] = {}
    for at in again.tolist():  # sorting is stable: the first comes first
        one, before = int(order[at]), int(order[at - 1])
        first_of[one] = first_of.get(before, before)
        place = places.of(int(rows["row"][first_of[one]]))
        yield one, (Kind.BOX_REPEATED, f"the same as {place}")


def images_of(
    rows: Mapping[str, Any],
    boxes: Parsed,
    extra: Mapping[str, pa.Array],
    is_good: arrays.Bits,
) -> pa.RecordBatch:
    """Returns a row for each image, sorted by key.

    The boxes of an image are in the order of their numbers, then of their classes and
    extra columns: not in that of the table.

    Args:
      rows: as for `parse`.
      boxes: what that returns.
      extra: the values of the extra columns, by name.
      is_good: which rows can be used.

    Returns:
      The columns `row` (int64: the first one of the image), `key`, `label` (the names
      of the image's classes; `NONE` without objects), `target`, `group` and `given`, as
      in `label_table.LabelTable`; `boxes` (a list of the numbers, four a box),
      `box_classes` (a list of texts), `box_rows` (a list of row numbers), and each
      extra column as a list, one value a box; `table_width` and `table_height` (int64;
      -1 where the table doesn't say).
    """
    good = np.flatnonzero(is_good)
    by_rank = [_ranks(rows["key"].take(arrays.as_column(good)))]
    by_rank += list(boxes.numbers[good].T)
    by_rank += [
        _ranks(one.take(arrays.as_column(good)))
        for one in (rows["label"], *extra.values())
    ]
    order = good[np.lexsort(by_rank[::-1])]
    keys = rows["key"].take(arrays.as_column(order))
    starts = np.flatnonzero(~arrays.is_same_as_before(keys))
    is_box = boxes.is_box[order]
    counts = np.add.reduceat(is_box, starts, dtype=np.int64) if len(starts) else starts
    of_boxes = order[is_box]
    first = arrays.as_column(order[starts])
    numbers = rows["row"][order]
    columns = {
        "row": np.minimum.reduceat(numbers, starts) if len(starts) else starts,
        "key": keys.take(arrays.as_column(starts)),
        "group": rows["group"].take(first),
        "given": rows["given"].take(first),
        **{key: rows[key].take(first) for _, key in _keys_of_images(rows)},
        NUMBERS: arrays.lists(boxes.numbers[of_boxes].ravel(), 4 * counts),
        CLASSES: arrays.lists(
            arrays.texts(rows["label"]).take(arrays.as_column(of_boxes)), counts
        ),
        NUMBERS_OF_ROWS: arrays.lists(rows["row"][of_boxes], counts),
        WIDTH: boxes.sizes[order[starts], 0],
        HEIGHT: boxes.sizes[order[starts], 1],
        **{
            name: arrays.lists(values.take(arrays.as_column(of_boxes)), counts)
            for name, values in extra.items()
        },
    }
    found = pa.record_batch([*map(arrays.as_column, columns.values())], list(columns))
    return with_labels(found)


def _keys_of_images(rows: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the names of further images, and the columns of their files."""
    names = image_columns.names_of(rows, with_mask=True)
    return [(name, image_columns.column(name, "key")) for name in names]


def _ranks(column: pa.Array) -> arrays.Ints:
    """Returns numbers in the order of a column's values."""
    found: arrays.Ints = arrays.as_numpy(pc.rank(_plain(column), tiebreaker="dense"))
    return found


def _plain(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.DictionaryArray):
        return arrays.decoded(column)
    return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column


def counts_of(column: pa.Array) -> arrays.Ints:
    """Returns how many values each list has."""
    found: arrays.Ints = arrays.as_numpy(column.value_lengths()).astype(np.int64)
    return found


def with_labels(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Returns rows with `label` and `target`: the different classes of their boxes."""
    classes = arrays.encoded(rows[CLASSES].flatten())
    names = arrays.names_of(classes)
    place_of = np.empty(len(names), np.int64)
    order = sorted(range(len(names)), key=names.__getitem__)
    place_of[order] = np.arange(len(names))
    image_of = np.repeat(np.arange(len(rows)), counts_of(rows[CLASSES]))
    pairs = np.unique(image_of * max(len(names), 1) + arrays.mapped(classes, place_of))
    images, places = np.divmod(pairs, max(len(names), 1))
    counts = np.bincount(images, minlength=len(rows))

    def of_images(of_name: Callable[[str], str]) -> pa.Array:
        texts = arrays.texts([of_name(names[at]) for at in order])
        return arrays.lists(texts.take(arrays.as_column(places)), counts)

    in_labels = of_images(label_types.in_label)
    joined = pc.binary_join(in_labels, arrays.texts([NONE])[0]).cast(arrays.TEXT)
    has_none = ~arrays.is_filled(joined)
    is_unlabeled = arrays.is_text(rows["given"], split_names.UNLABELED)
    joined = pc.if_else(arrays.as_column(has_none & ~is_unlabeled), NONE, joined)
    labels = arrays.encoded(joined.cast(arrays.TEXT))
    _, first = np.unique(arrays.codes_of(labels), return_index=True)
    values = of_images(str).take(arrays.as_column(first)).cast(pa.list_(pa.string()))
    return arrays.with_columns(
        rows,
        {
            "label": labels,
            "target": pa.DictionaryArray.from_arrays(labels.indices, values),
        },
    )


def sizes_of_classes(rows: pa.RecordBatch) -> dict[str, int]:
    """Returns how many boxes each class has."""
    if CLASSES not in rows.schema.names:
        return {}
    return arrays.counts_of(arrays.encoded(rows[CLASSES].flatten()))
