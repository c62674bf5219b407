"""The scores of images by quality issue, in a file beside the records."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from etils import epath

from tfds_imagecsv import arrays
from tfds_imagecsv.images import quality
from tfds_imagecsv.table import manifest

FILENAME = "image_quality.csv"

#: The columns of the file.
COLUMNS = ("key", "issues", "height", "width", "brightness", *quality.THRESHOLDS)

# Between the names of issues in a cell.
_SEPARATOR = "|"

# The rows to write at once.
_BATCH = 1 << 16


def write(path: epath.Path, rows: pa.RecordBatch) -> None:
    """Writes the scores of images, if these were measured.

    The file is a CSV in UTF-8 with a header and a row for each example, sorted by key:
    the same images give the same bytes. `issues` has the names of an image's issues
    with `|` between them; `height` and `width` are those of the file in pixels;
    `brightness` and the scores have four decimals.

    Args:
      path: the file.
      rows: the examples, with `key` and the columns of `image_table.ImageTable`.
    """
    if not quality.is_measured(rows):
        return
    order = arrays.order_of(rows["key"])
    if order is not None:
        rows = rows.take(arrays.as_column(order))
    of_kinds = quality.scores_of_kinds(rows)
    sizes, scores = _sizes(rows["kind"].dictionary), _decimals(*of_kinds.values())
    with path.open("wb") as file:
        file.write(",".join(COLUMNS).encode() + b"\n")
        for start in range(0, len(rows), _BATCH):
            batch = rows.slice(start, _BATCH)
            kind = batch["kind"].indices
            cells = (
                manifest.quoted(batch["key"]),
                _issues(batch, of_kinds),
                sizes.take(kind),
                _decimals(*(quality.measured(batch, one) for one in quality.MEASURED)),
                scores.take(kind),
            )
            file.write(arrays.bytes_of(arrays.lines(*cells)).tobytes())


def _sizes(kinds: pa.Array) -> pa.Array:
    """Returns the heights and the widths of kinds of images, with a comma between."""
    sides = (kinds.field(side).cast(arrays.TEXT) for side in ("height", "width"))
    return arrays.beside([*sides], ",")


def _issues(rows: pa.RecordBatch, of_kinds: Mapping[str, quality.Parts]) -> pa.Array:
    """Returns the names of the issues that each image has, in one text."""
    scores = quality.scores(rows, of_kinds)
    codes = np.zeros(len(rows), np.int32)
    for has_it in quality.issues(scores).values():
        codes = 2 * codes + has_it
    return arrays.decoded(arrays.coded(codes, _names_of_issues()))


@functools.cache
def _names_of_issues() -> list[str]:
    """Returns the names of each set of issues, by its binary number."""
    has_each = itertools.product((False, True), repeat=len(quality.THRESHOLDS))
    names = (itertools.compress(quality.THRESHOLDS, one) for one in has_each)
    return list(map(_SEPARATOR.join, names))


def _decimals(*columns: quality.Parts) -> pa.Array:
    """Returns the numbers of each row, with four decimals and commas between them."""
    numbers = _number_and_comma()[np.stack(columns, axis=1)]
    return arrays.of_width(numbers.reshape(len(numbers), -1)[:, :-1])


@functools.cache
def _number_and_comma() -> npt.NDArray[np.uint8]:
    """Returns each number of parts as a text with a comma; shape [numbers, 7]."""
    texts = [f"{part / quality.PARTS:.4f}," for part in range(quality.PARTS + 1)]
    return np.frombuffer("".join(texts).encode(), np.uint8).reshape(len(texts), -1)
