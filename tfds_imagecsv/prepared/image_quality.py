"""The scores of images by quality issue, in a file beside the records."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from etils import epath

from tfds_imagecsv import arrays
from tfds_imagecsv.images import kinds, quality
from tfds_imagecsv.table import manifest

FILENAME = "image_quality.csv"

#: The columns of the file.
COLUMNS = ("key", "issues", "height", "width", "brightness", *quality.THRESHOLDS)

# Scores have four decimals.
_PARTS = 10_000

# Between the names of issues in a cell.
_SEPARATOR = "|"

# Rows that are written at once.
_BATCH = 1 << 16


def write(path: epath.Path, rows: pa.RecordBatch) -> None:
    """Writes the scores of images, if these were measured.

    It is a CSV in UTF-8 with a header and a row for each example, sorted by key: the
    same images give the same bytes. `issues` has the names of an image's issues with
    `|` between them; `height` and `width` are those of the file in pixels; `brightness`
    and the scores have four decimals.

    Args:
      path: the file.
      rows: the examples, with `key` and the columns of `image_table.ImageTable`.
    """
    if not quality.is_measured(rows):
        return
    order = arrays.order_of(rows["key"])
    if order is not None:
        rows = rows.take(pa.array(order))
    scores = quality.scores(rows)
    numbers = [quality.brightness(rows), *(scores[one] for one in quality.THRESHOLDS)]
    columns = [
        rows["key"],
        _names_of(quality.issues(scores)),
        *(arrays.encoded(kinds.column(rows, one)) for one in ("height", "width")),
        *map(_decimals, numbers),
    ]
    with path.open("wb") as file:
        file.write(",".join(COLUMNS).encode() + b"\n")
        for start in range(0, len(rows), _BATCH):
            key, *coded = (one[start : start + _BATCH] for one in columns)
            cells = manifest.quoted(key), *map(arrays.decoded, coded)
            file.write(arrays.bytes_of(arrays.lines(*cells)).tobytes())


def _names_of(issues: Mapping[str, arrays.Bits]) -> pa.DictionaryArray:
    """Returns the names of the issues that each image has, in one text."""
    has_each = itertools.product((False, True), repeat=len(issues))
    texts = [_SEPARATOR.join(itertools.compress(issues, one)) for one in has_each]
    weights = 1 << np.arange(len(issues))[::-1]
    codes = sum(
        weight * has_it for weight, has_it in zip(weights, issues.values(), strict=True)
    )
    return arrays.coded(np.asarray(codes, np.int32), texts)


def _decimals(values: npt.NDArray[Any]) -> pa.DictionaryArray:
    """Returns numbers from 0 to 1 as texts."""
    codes = np.rint(values.astype(np.float64) * _PARTS).astype(np.int32)
    return arrays.coded(codes, [f"{at / _PARTS:.4f}" for at in range(_PARTS + 1)])
