"""Kinds of images: what is known of them, in a column of codes.

Most images of a dataset are alike. The column `kind` has a code for each image, and
each combination of facts once: 4 bytes an image instead of a hundred.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfds_imagecsv import arrays
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.images.stored_form import Stored
from tfds_imagecsv.table import image_columns

#: What is known of each kind.
FACTS = (*Facts._fields, *Stored._fields)

_TYPE = pa.struct(
    [
        (name, {int: pa.int64(), bool: pa.bool_(), str: arrays.TEXT}[kind])
        for described in (Facts, Stored)
        for name, kind in get_type_hints(described).items()
    ]
)


def as_column(
    kinds: Sequence[tuple[Facts, Stored]], codes: npt.NDArray[np.int32]
) -> pa.DictionaryArray:
    """Returns the column `kind`.

    Args:
      kinds: the kinds.
      codes: the position of each image's kind.
    """
    columns = list(zip(*((*facts, *stored) for facts, stored in kinds), strict=True))
    fields = [
        _as_field(columns[at] if columns else (), field.type)
        for at, field in enumerate(_TYPE)
    ]
    of_kinds = pa.StructArray.from_arrays(fields, fields=list(_TYPE))
    indices = arrays.as_column(np.asarray(codes, np.int32))
    return pa.DictionaryArray.from_arrays(indices, of_kinds)


def joined(columns: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Returns columns of kinds, one behind the other; kinds may be there twice."""
    starts = np.cumsum([0, *(len(one.dictionary) for one in columns)])
    codes = [
        arrays.codes_of(one) + np.int32(start)
        for one, start in zip(columns, starts, strict=False)
    ]
    return pa.DictionaryArray.from_arrays(
        arrays.as_column(np.concatenate(codes)),
        pa.concat_arrays([one.dictionary for one in columns]),
    )


def _as_field(values: Sequence[Any], dtype: pa.DataType) -> pa.Array:
    if dtype == arrays.TEXT:
        return arrays.texts(values)
    is_bool = dtype == pa.bool_()
    return arrays.as_column(np.array(values, bool if is_bool else np.int64))


def column(rows: pa.RecordBatch, fact: str) -> pa.Array:
    """Returns a fact of each image: int64, bool or `arrays.TEXT`.

    Args:
      rows: with the column `kind`.
      fact: one of `FACTS`.
    """
    kinds = rows["kind"]
    return kinds.dictionary.field(fact).take(kinds.indices)


def of_each(
    rows: pa.RecordBatch, fact: str, function: Callable[[pa.Array], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Returns what a function makes of a fact of each image; it gets each kind once.

    Args:
      rows: with the column `kind`.
      fact: one of `FACTS`.
      function: takes a column, and returns an array.
    """
    of_kind = rows["kind"].dictionary.field(fact)
    return arrays.mapped(rows["kind"], function(of_kind))


def counts(rows: pa.RecordBatch, fact: str) -> dict[Any, int]:
    """Returns how many images have which value of a fact, sorted by value.

    Further images of the rows count as well.
    """
    found: collections.Counter[Any] = collections.Counter()
    for one in image_columns.all_images(rows):
        kinds = one["kind"]
        images = np.bincount(arrays.codes_of(kinds), minlength=len(kinds.dictionary))
        for value, count in zip(
            kinds.dictionary.field(fact).to_pylist(), images.tolist(), strict=True
        ):
            found[value] += count
    return {value: found[value] for value in sorted(found) if found[value]}
