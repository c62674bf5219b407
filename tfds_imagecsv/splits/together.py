"""Which rows must stay together: those of one group, and those of one image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

_Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Units:
    """Rows divided into units, each of which goes to one split.

    Attributes:
      unit_of: the unit of each row, from 0, int64, shape [rows].
      sizes: the number of rows of each unit, int64, shape [units].
    """

    unit_of: _Ints
    sizes: _Ints

    def least(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Returns the least of the values of each unit's rows, shape [units]."""
        least = np.full(len(self.sizes), np.iinfo(values.dtype).max, values.dtype)
        np.minimum.at(least, self.unit_of, values)
        return least


def find_units(
    groups: Sequence[str] | None, digests: Sequence[str] | None, *, rows: int
) -> Units:
    """Finds the rows that must stay together.

    Two rows are in one unit if they have the same group or digest, or if a chain of
    such rows links them: an image in two groups joins both.

    Args:
      groups: the group of each row, empty for none. Default: no groups.
      digests: the digest of each row's image. Default: all images differ.
      rows: the number of rows.

    Returns:
      The units.
    """
    # A graph in which each row is linked to its group and to its image.
    links = [np.empty((0, 2), dtype=np.int64)]
    nodes = rows
    at = np.arange(rows)
    for values in (groups, digests):
        if values is None:
            continue
        codes, names = pd.factorize(np.asarray(values, dtype=object))
        named = np.asarray(names, dtype=object) != ""
        of_named = named[codes] if len(codes) else np.empty(0, dtype=bool)
        links.append(np.stack([at[of_named], nodes + codes[of_named]], axis=1))
        nodes += len(names)
    pairs = np.concatenate(links)
    graph = sparse.coo_array(
        (np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])),
        shape=(nodes, nodes),
    )
    _, component = csgraph.connected_components(graph, directed=False)
    _, unit_of = np.unique(component[:rows], return_inverse=True)
    return Units(unit_of=unit_of.astype(np.int64), sizes=np.bincount(unit_of))
