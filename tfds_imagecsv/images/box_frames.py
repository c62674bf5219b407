"""Where boxes are in their images, as these are stored.

A table has four numbers a box, in a format, in units, and in a frame: that of the file,
or of the image as it is shown upright. TFDS has fractions of the height and the width
of the stored image, which stay the same when it is resized.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.images import kinds
from tfds_imagecsv.options import BOX_FORMATS, BOX_UNITS
from tfds_imagecsv.problems import Kind, Problem
from tfds_imagecsv.table import boxes
from tfds_imagecsv.table.boxes import Floats
from tfds_imagecsv.table.label_table import LabelTable

#: The column of boxes as they are stored: a list of float32, four a box: upper, left,
#: lower and right edge, as fractions of the stored image (TFDS's `BBoxFeature`).
COLUMN = "bbox"

# A box may leave its image by so many pixels, as tools round them or count from 1; it
# is clipped.
_TOLERANCE = 1.0

# A reading of the numbers is possible if at most this share of the boxes contradicts.
_MOST_WRONG = 0.01

# The words of messages for the edges, in the order of `_overhang`.
_EDGES = ("left", "upper", "right", "lower")

# What `understood` says, by what it is about.
_FORMAT, _UNITS, _FRAME = "box format", "box units", "box frame"
_UPRIGHT = "upright"

# Orientations that swap height and width.
_FIRST_SWAPPED = 5


class Framed(NamedTuple):
    """Images with boxes.

    Attributes:
      rows: the rows, without boxes that can't be used, and images with no other ones;
        with `COLUMN`.
      problems: what is wrong with the others.
      understood: what was concluded, by what it is about.
      notes: the same in sentences.
    """

    rows: pa.RecordBatch
    problems: tuple[Problem, ...]
    understood: dict[str, str]
    notes: tuple[str, ...]


class _Reading(NamedTuple):
    """Boxes by a format and units.

    Attributes:
      corners: left, upper, right and lower edge as fractions of the image in the
        boxes' frame, float64, shape [boxes, 4].
      has_area: whether each box has one.
      overhang: by how many pixels each edge is outside of the image, likewise; 0 or
        less where it isn't.
    """

    corners: Floats
    has_area: arrays.Bits
    overhang: Floats

    @property
    def is_wrong(self) -> arrays.Bits:
        """Which boxes can't be used."""
        found: arrays.Bits = ~self.has_area | (self.overhang > _TOLERANCE).any(axis=1)
        return found


def framed(config: ImageCsvConfig, table: LabelTable, rows: pa.RecordBatch) -> Framed:
    """Finds out what boxes mean, and where they are in the stored images.

    Args:
      config: with the fields about boxes, and `apply_exif`.
      table: the label table of the rows, see `boxes.images_of`.
      rows: inspected rows, with the columns of `image_table.ImageTable`.

    Raises:
      SourceError: if boxes can be read in several ways that are equally good.
    """
    image_of = np.repeat(np.arange(len(rows)), boxes.counts_of(rows[boxes.CLASSES]))
    numbers = arrays.as_numpy(rows[boxes.NUMBERS].flatten()).reshape(-1, 4)
    orientations = arrays.as_numpy(kinds.column(rows, "orientation"))
    sizes = np.stack(
        [arrays.as_numpy(kinds.column(rows, name)) for name in ("width", "height")],
        axis=1,
    ).astype(np.float64)
    is_swapped = orientations >= _FIRST_SWAPPED
    upright = np.where(is_swapped[:, None], sizes[:, ::-1], sizes)
    bad_sizes, is_upright = _frame(config, rows, sizes, upright)
    frames = upright if is_upright else sizes
    of_boxes = frames[image_of]
    units = _units(config, numbers)
    box_format, reading = _format(config, table, numbers, of_boxes, units)
    clipped = ((reading.overhang > 0).any(axis=1) & ~reading.is_wrong).sum()
    corners = _turned(
        np.clip(reading.corners, 0, 1),
        orientations[image_of],
        is_upright=is_upright,
        to_upright=config.apply_exif,
    )
    is_bad = reading.is_wrong | np.isin(image_of, list(bad_sizes))
    problems = [
        *_of_sizes(rows, frames, bad_sizes),
        *_of_boxes(rows, reading, numbers, of_boxes, image_of, bad_sizes),
    ]
    rows = arrays.with_columns(
        rows,
        {
            COLUMN: arrays.lists(
                corners[:, [1, 0, 3, 2]].astype(np.float32).ravel(),
                4 * boxes.counts_of(rows[boxes.CLASSES]),
            )
        },
    )
    understood = {}
    notes = []
    if len(numbers):
        understood = {
            _FORMAT: box_format,
            _UNITS: units,
            _FRAME: _UPRIGHT if is_upright else "file",
        }
    if clipped:
        noun = "box leaves its image" if clipped == 1 else "boxes leave their images"
        notes.append(f"{clipped:,} {noun} by a pixel at most (clipped)")
    if not is_upright and config.boxes_are_upright is None:
        notes.append(
            "the table has the sizes of images before EXIF turns them, so boxes are"
            " turned with their images; boxes_are_upright chooses"
        )
    return Framed(
        _without(rows, image_of, is_bad, bad_sizes),
        tuple(problems),
        understood,
        tuple(notes),
    )


def _frame(
    config: ImageCsvConfig, rows: pa.RecordBatch, sizes: Floats, upright: Floats
) -> tuple[dict[int, str], bool]:
    """Returns the images with another size in the table, and the frame of the boxes.

    Returns:
      By position what the table says and the image has; and whether boxes are in the
      frame of images that are shown upright.

    Raises:
      SourceError: if the sizes in the table contradict each other.
    """
    said = np.stack([arrays.as_numpy(rows[name]) for name in boxes.SIZE], axis=1)
    is_said = said[:, 0] >= 0
    are_files = is_said & (said == sizes).all(axis=1)
    are_upright = is_said & (said == upright).all(axis=1)
    bad = {
        at: f"{said[at, 0]} x {said[at, 1]}"
        for at in np.flatnonzero(is_said & ~are_files & ~are_upright).tolist()
    }
    only_files = np.flatnonzero(are_files & ~are_upright)
    only_upright = np.flatnonzero(are_upright & ~are_files)
    if config.boxes_are_upright is not None:
        return bad, config.boxes_are_upright
    if len(only_files) and len(only_upright):
        one, other = (rows["key"][int(at[0])] for at in (only_files, only_upright))
        raise exceptions.SourceError(
            f"label_csv: of images that EXIF turns, the table has the size before"
            f" turning for {len(only_files):,}, such as {one.as_py()!r}, and after it"
            f" for {len(only_upright):,}, such as {other.as_py()!r}. Set"
            " boxes_are_upright to true if the boxes are in the frame of the image as"
            " it is shown, else to false."
        )
    return bad, not len(only_files)


def _units(config: ImageCsvConfig, numbers: Floats) -> str:
    """Returns the units of boxes.

    Raises:
      SourceError: if some boxes have pixels, and others fractions.
    """
    if config.box_units is not None:
        return config.box_units
    # In pixels, such a box would be no larger than one.
    is_small = (np.abs(numbers) <= 1 + _MOST_WRONG).all(axis=1)
    small = int(is_small.sum())
    if 0 < small < len(numbers):
        largest = numbers[np.argmax(np.abs(numbers).max(axis=1))].tolist()
        example = numbers[int(np.argmax(is_small))].tolist()
        raise exceptions.SourceError(
            f"label_csv: of {len(numbers):,} boxes, {small:,} have no number above 1,"
            f" such as {example}, and the others do, such as {largest}. Set box_units"
            " to 'relative' or 'pixels', and correct the others."
        )
    return BOX_UNITS[1] if small else BOX_UNITS[0]


def _format(
    config: ImageCsvConfig,
    table: LabelTable,
    numbers: Floats,
    sizes: Floats,
    units: str,
) -> tuple[str, _Reading]:
    """Returns the format of boxes, and the boxes read by it.

    Raises:
      SourceError: if several formats are possible, or none.
    """
    formats: Sequence[str] = table.box_formats or BOX_FORMATS
    if config.box_format is not None:
        formats = (config.box_format,)
    readings = {one: _read(one, numbers, sizes, units) for one in formats}
    wrong = {one: int(found.is_wrong.sum()) for one, found in readings.items()}
    good = [one for one in formats if wrong[one] <= _MOST_WRONG * len(numbers)]
    if len(formats) == 1 or not len(numbers):
        good = [formats[0]]
    if len(good) != 1:
        counts = ", ".join(
            f"{one!r}: {wrong[one]:,} of {len(numbers):,}" for one in formats
        )
        several = f"{' and '.join(map(repr, good))} fit" if good else "none fits"
        raise exceptions.SourceError(
            f"label_csv: the format of the boxes isn't clear: {several}. Boxes without"
            f" an area or outside of their image, by format: {counts}. Set box_format."
        )
    return good[0], readings[good[0]]


def _read(box_format: str, numbers: Floats, sizes: Floats, units: str) -> _Reading:
    first, second = numbers[:, :2], numbers[:, 2:]
    if box_format == "xywh":
        first, second = first, first + second
    elif box_format == "cxcywh":
        first, second = first - second / 2, first + second / 2
    corners = np.concatenate([first, second], axis=1)
    both = np.concatenate([sizes, sizes], axis=1)
    if units == "pixels":
        corners = corners / both
    overhang = np.concatenate([-corners[:, :2], corners[:, 2:] - 1], axis=1) * both
    inside = np.clip(corners, 0, 1).astype(np.float32)
    has_area = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    # Far outside, what is wrong is that.
    has_area |= (overhang > _TOLERANCE).any(axis=1) & (second > first).all(axis=1)
    return _Reading(corners, has_area, overhang)


def _turned(
    corners: Floats, orientations: arrays.Ints, *, is_upright: bool, to_upright: bool
) -> Floats:
    """Returns boxes in the other frame, if they are in another one than wanted."""
    if is_upright == to_upright:
        return corners
    found = corners.copy()
    for orientation in np.unique(orientations).tolist():
        at = orientations == orientation
        if not to_upright:
            # Each turn is its own inverse, but for those by 90 degrees.
            orientation = {6: 8, 8: 6}.get(orientation, orientation)
        left, upper, right, lower = corners[at].T
        turned = {
            2: (1 - right, upper, 1 - left, lower),
            3: (1 - right, 1 - lower, 1 - left, 1 - upper),
            4: (left, 1 - lower, right, 1 - upper),
            5: (upper, left, lower, right),
            6: (1 - lower, left, 1 - upper, right),
            7: (1 - lower, 1 - right, 1 - upper, 1 - left),
            8: (upper, 1 - right, lower, 1 - left),
        }.get(orientation, (left, upper, right, lower))
        found[at] = np.stack(turned, axis=1)
    return found


def _of_sizes(
    rows: pa.RecordBatch, frames: Floats, bad: dict[int, str]
) -> Iterator[Problem]:
    """Yields a problem for each image of another size than the table says.

    Args:
      rows: the images.
      frames: width and height of each, in the frame of its boxes.
      bad: what the table says instead, by position.
    """
    for at, said in bad.items():
        key, row, label = (rows[name][at].as_py() for name in ("key", "row", "label"))
        width, height = frames[at].astype(int).tolist()
        detail = f"{key!r} is {width} x {height}, not {said}"
        yield Problem(Kind.IMAGE_SIZE, row, detail, key=key, label=label)


def _of_boxes(
    rows: pa.RecordBatch,
    reading: _Reading,
    numbers: Floats,
    sizes: Floats,
    image_of: arrays.Ints,
    bad_sizes: dict[int, str],
) -> Iterator[Problem]:
    """Yields a problem for each box that can't be used."""
    row_of = rows[boxes.NUMBERS_OF_ROWS].flatten()
    classes = rows[boxes.CLASSES].flatten()
    for at in np.flatnonzero(reading.is_wrong).tolist():
        image = int(image_of[at])
        if image in bad_sizes:
            continue
        key = rows["key"][image].as_py()
        box = [float(f"{one:.6g}") for one in numbers[at].tolist()]
        width, height = sizes[at].astype(int).tolist()
        if reading.has_area[at]:
            edge = int(np.argmax(reading.overhang[at]))
            kind = Kind.BOX_OUTSIDE
            detail = (
                f"{box} reaches {reading.overhang[at, edge]:,.4g} pixels past the"
                f" {_EDGES[edge]} edge of {key!r}, {width} x {height}"
            )
        else:
            kind, detail = Kind.BOX_AREA, f"{box} of {key!r}, {width} x {height}"
        yield Problem(
            kind, row_of[at].as_py(), detail, key=key, label=classes[at].as_py()
        )


def _without(
    rows: pa.RecordBatch,
    image_of: arrays.Ints,
    is_bad: arrays.Bits,
    bad_sizes: dict[int, str],
) -> pa.RecordBatch:
    """Returns rows without bad boxes, and without images that have no other ones."""
    if not is_bad.any() and not bad_sizes:
        return rows
    before = boxes.counts_of(rows[boxes.CLASSES])
    after = np.bincount(image_of[~is_bad], minlength=len(rows))
    columns = {}
    for name in rows.schema.names:
        column = rows[name]
        if not pa.types.is_list(column.type):
            continue
        size = 4 if name in (boxes.NUMBERS, COLUMN) else 1
        is_kept = np.repeat(~is_bad, size)
        kept = column.flatten().filter(arrays.as_column(is_kept))
        columns[name] = arrays.lists(kept, size * after)
    # The first of the rows that are left, so that no problem is of the image's row.
    row = arrays.as_numpy(rows["row"]).copy()
    numbers = arrays.as_numpy(columns[boxes.NUMBERS_OF_ROWS].flatten())
    first = np.full(len(rows), np.iinfo(np.int64).max)
    np.minimum.at(first, np.repeat(np.arange(len(rows)), after), numbers)
    row[after > 0] = first[after > 0]
    rows = arrays.with_columns(rows, {**columns, "row": row})
    is_kept = (after > 0) | (before == 0)
    is_kept[list(bad_sizes)] = False
    return boxes.with_labels(arrays.taken(rows, is_kept))


def fields_of(understood: Mapping[str, str]) -> dict[str, Any]:
    """Returns the fields of a config that say what was found out about boxes.

    Args:
      understood: what was concluded, see `Framed`; empty if nothing was.
    """
    if _FRAME not in understood:
        return {}
    return {
        "box_format": understood[_FORMAT],
        "box_units": understood[_UNITS],
        "boxes_are_upright": understood[_FRAME] == _UPRIGHT,
    }


def with_understood(table: LabelTable, found: Framed) -> LabelTable:
    """Returns a table with what was found out about its boxes."""
    return dataclasses.replace(
        table,
        understood={**table.understood, **found.understood},
        notes=(*table.notes, *found.notes),
    )
