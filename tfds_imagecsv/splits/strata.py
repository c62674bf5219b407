"""The strata, whose proportions are the same in all splits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays

# Numbers are stratified over at most this many quantiles, each with at least as many
# rows.
_MOST_QUANTILES = 10

_ROWS_PER_QUANTILE = 20


class Strata(NamedTuple):
    """The strata of rows.

    Attributes:
      of_row: the name of each row's stratum, `arrays.CODES`; empty for a row without a
        label.
      names: the names of the strata.
      coarse: the name of a coarser stratum of each row, likewise, see
        `assign.plan_splits`; None if there are none.
    """

    of_row: pa.DictionaryArray
    names: tuple[str, ...]
    coarse: pa.DictionaryArray | None = None


def find_strata(
    label_type: str, rows: pa.RecordBatch, names: tuple[str, ...]
) -> Strata:
    """Returns the strata of rows: classes, combinations of classes, or quantiles.

    Args:
      label_type: one of `options.LABEL_TYPES`.
      rows: the rows to divide, a label table.
      names: the names of the classes.
    """
    if label_type == "class":
        return Strata(rows["label"], names)
    if label_type in ("multilabel", "boxes"):
        return _combinations(rows["label"], rows["target"])
    if label_type == "regression":
        return _quantiles(rows["label"], rows["target"])
    return Strata(arrays.constant("", len(rows)), ("",))


def _combinations(labels: pa.DictionaryArray, values: pa.DictionaryArray) -> Strata:
    """Returns the combinations of classes that rows have.

    A combination of one row can't be divided. With many of them, chance would divide
    the classes. So such a row counts for the rarest of its classes, which has the
    fewest rows to make up for it.
    """
    # Labels and values share their codes.
    sizes = np.bincount(arrays.codes_of(labels), minlength=len(labels.dictionary))
    classes_of = values.dictionary.to_pylist()
    of_class: dict[str, int] = {}
    for names, size in zip(classes_of, sizes.tolist(), strict=True):
        for name in names:
            of_class[name] = of_class.get(name, 0) + size
    coarse = [
        min(names, key=lambda name: (of_class[name], name))
        if names and size == 1
        else f"= {label}"
        for label, names, size in zip(
            arrays.names_of(labels), classes_of, sizes.tolist(), strict=True
        )
    ]
    strata = tuple(sorted(set(arrays.counts_of(labels)) - {""}))
    return Strata(labels, strata, arrays.recoded(labels, coarse))


def _quantiles(labels: pa.DictionaryArray, values: pa.DictionaryArray) -> Strata:
    """Returns the quantiles of rows, over all columns at once.

    Equal numbers share a quantile, so that the order of the rows doesn't matter.
    """
    is_labeled = arrays.is_filled(labels)
    if not is_labeled.any():
        return Strata(labels, ())
    lists = values.dictionary
    of_code = arrays.as_numpy(lists.flatten()).reshape(len(lists), -1)
    table = of_code[arrays.codes_of(values)[is_labeled]]
    rows, columns = table.shape
    number = int((rows / _ROWS_PER_QUANTILE) ** (1 / columns) + 1e-9)
    number = max(1, min(_MOST_QUANTILES, number))
    shown, codes = [], []
    for column in table.T:
        cuts = np.quantile(column, np.arange(1, number) / number, method="inverted_cdf")
        bins = np.searchsorted(np.unique(cuts), column, "left")
        shown.append(
            {
                at: f"{column[bins == at].min()!s} to {column[bins == at].max()!s}"
                for at in np.unique(bins).tolist()
            }
        )
        codes.append(bins)
    cells, of_row = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    names = [
        ", ".join(bounds[at] for bounds, at in zip(shown, cell, strict=True))
        for cell in cells.tolist()
    ]
    # In the order of their least numbers.
    place = np.empty(rows, np.int64)
    place[np.lexsort(table.T[::-1])] = np.arange(rows)
    least = np.full(len(cells), rows)
    np.minimum.at(least, of_row.ravel(), place)
    codes_of_rows = np.full(len(labels), len(names), np.int32)
    codes_of_rows[is_labeled] = of_row.ravel()
    return Strata(
        arrays.merged(codes_of_rows, [*names, ""]),
        tuple(dict.fromkeys(names[at] for at in np.argsort(least).tolist())),
    )
