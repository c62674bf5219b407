"""Which rows must stay together: of one group, of one image, or of near duplicates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from etils import epy

from tfds_imagecsv import arrays
from tfds_imagecsv.images import copies

# Many datasets have neither groups nor copies.
with epy.lazy_imports():
    from scipy import sparse
    from scipy.sparse import csgraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Units:
    """Rows divided into units, each of which goes to one split.

    Attributes:
      unit_of: the unit of each row, from 0, int32, shape [rows].
      sizes: the number of rows of each unit, int32, shape [units].
    """

    unit_of: arrays.Codes
    sizes: arrays.Codes

    @classmethod
    def single(cls, rows: int) -> Units:
        """Returns units of one row each."""
        return cls(
            unit_of=np.arange(rows, dtype=np.int32), sizes=np.ones(rows, np.int32)
        )

    def least(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Returns the least of the values of each unit's rows, shape [units]."""
        least = np.full(len(self.sizes), np.iinfo(values.dtype).max, values.dtype)
        np.minimum.at(least, self.unit_of, values)
        return least


def find_units(
    groups: pa.DictionaryArray | None,
    digests: Sequence[pa.Array],
    *,
    rows: int,
    near: arrays.Codes | None = None,
) -> Units:
    """Finds the rows that must stay together.

    Two rows are in one unit if they have the same group, the same digest of any of
    their images, or the same set of near duplicates, or if a chain of such rows links
    them: an image in two groups joins both.

    Args:
      groups: the group of each row, `arrays.CODES`, empty for none. Default: no groups.
      digests: those of each row's image, `arrays.DIGEST`, and of each further image;
        none if all images differ.
      rows: the number of rows.
      near: the set of near duplicates of each row, int32; -1 for none. Default: no
        sets.

    Returns:
      The units.
    """
    # At first, one for each group, and one for each row without a group.
    if groups is None:
        unit_of, units = np.arange(rows, dtype=np.int32), rows
    else:
        in_group = arrays.is_filled(groups)
        names = len(groups.dictionary)
        unit_of = arrays.codes_of(groups).copy()
        unit_of[~in_group] = np.arange(names, names + rows - int(in_group.sum()))
        unit_of, units = _numbered(unit_of)
    if digests and rows:
        at, numbers = copies.with_copies(arrays.joined(digests))
        if len(at):
            at %= rows
            unit_of, units = _numbered(_joined(unit_of[at], numbers, units)[unit_of])
    if near is not None:
        at = np.flatnonzero(near >= 0)
        if len(at):
            numbers = near[at, None].astype(np.uint64)
            unit_of, units = _numbered(_joined(unit_of[at], numbers, units)[unit_of])
    sizes = np.bincount(unit_of, minlength=units).astype(np.int32)
    return Units(unit_of=unit_of, sizes=sizes)


def _joined(
    of_copies: arrays.Codes, digests: npt.NDArray[np.uint64], units: int
) -> arrays.Codes:
    """Returns for each unit the one that it becomes: one for all that copies link.

    Args:
      of_copies: the unit of each copy.
      digests: its digest, or the number of its set, shape [copies, numbers].
      units: how many units there are.
    """
    linked, place = np.unique(of_copies, return_inverse=True)
    _, image_of = np.unique(digests, axis=0, return_inverse=True)
    nodes = len(linked) + int(image_of.max()) + 1
    # Each image is linked to the units of its copies.
    edges = place, len(linked) + image_of.ravel()
    graph = sparse.coo_array(
        (np.ones(len(place), np.int8), edges), shape=(nodes, nodes)
    )
    _, component = csgraph.connected_components(graph, directed=False)
    component = component[: len(linked)]
    _, first = np.unique(component, return_index=True)
    least = np.zeros(nodes, np.int32)
    least[component[first]] = linked[first]
    becomes = np.arange(units, dtype=np.int32)
    becomes[linked] = least[component]
    return becomes


def _numbered(numbers: arrays.Codes) -> tuple[arrays.Codes, int]:
    """Numbers anew from 0, without gaps; returns the numbers and how many differ."""
    is_used = np.zeros(int(numbers.max(initial=-1)) + 1, bool)
    is_used[numbers] = True
    new = np.cumsum(is_used, dtype=np.int32) - 1
    return new[numbers].astype(np.int32), int(is_used.sum())
