"""The strata, whose proportions are the same in all splits."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


# Numbers are stratified over at most this many quantiles, each with at least as many
# rows.
_MOST_QUANTILES = 10

_ROWS_PER_QUANTILE = 20


class Strata(NamedTuple):
    """The strata of rows.

    Attributes:
      of_row: the name of each row's stratum; empty for a row without a label.
      names: the names of the strata.
      coarse: the name of a coarser stratum of each row, see `assign.plan_splits`; None
        if there are none.
    """

    of_row: Sequence[str]
    names: tuple[str, ...]
    coarse: Sequence[str] | None = None


def find_strata(label_type: str, rows: pd.DataFrame, names: tuple[str, ...]) -> Strata:
    """Returns the strata of rows: classes, combinations of classes, or quantiles.

    Args:
      label_type: one of `options.LABEL_TYPES`.
      rows: the rows to divide, a label table.
      names: the names of the classes.
    """
    if label_type == "class":
        return Strata(list(rows["label"]), names)
    if label_type == "multilabel":
        return _combinations(list(rows["label"]), list(rows["target"]))
    if label_type == "regression":
        return _quantiles(list(rows["label"]), list(rows["target"]))
    return Strata([""] * len(rows), ("",))


def _combinations(labels: Sequence[str], values: Sequence[tuple[str, ...]]) -> Strata:
    """Returns the combinations of classes that rows have.

    A combination of one row can't be divided. With many of them, chance would divide
    the classes. So such a row counts for the rarest of its classes, which has the
    fewest rows to make up for it.
    """
    sizes = collections.Counter(labels)
    of_class = collections.Counter(name for names in values for name in names)
    coarse = [
        min(names, key=lambda name: (of_class[name], name))
        if names and sizes[label] == 1
        else f"= {label}"
        for label, names in zip(labels, values, strict=True)
    ]
    return Strata(labels, tuple(sorted(set(labels) - {""})), coarse)


def _quantiles(labels: Sequence[str], values: Sequence[tuple[float, ...]]) -> Strata:
    """Returns the quantiles of rows, over all columns at once.

    Equal numbers share a quantile, so that the order of the rows doesn't matter.
    """
    is_labeled = np.array([label != "" for label in labels], dtype=bool)
    if not is_labeled.any():
        return Strata(list(labels), ())
    table = np.array(list(values), np.float64)[is_labeled]
    rows, columns = table.shape
    number = int((rows / _ROWS_PER_QUANTILE) ** (1 / columns) + 1e-9)
    number = max(1, min(_MOST_QUANTILES, number))
    shown = []
    for column in table.T:
        cuts = np.quantile(column, np.arange(1, number) / number, method="inverted_cdf")
        bins = np.searchsorted(np.unique(cuts), column, "left")
        bounds = {
            at: f"{column[bins == at].min()!s} to {column[bins == at].max()!s}"
            for at in np.unique(bins).tolist()
        }
        shown.append([bounds[at] for at in bins.tolist()])
    in_order = np.lexsort(table.T[::-1])
    names = [", ".join(parts) for parts in zip(*shown, strict=True)]
    of_row = np.full(len(labels), "", dtype=object)
    of_row[is_labeled] = names
    return Strata(
        of_row.tolist(), tuple(dict.fromkeys(names[at] for at in in_order.tolist()))
    )
