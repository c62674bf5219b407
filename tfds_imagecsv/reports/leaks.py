"""Leaks: those that a plan prevents, and near duplicates that it leaves in two splits.

An image would have leaked if drawing each image alone had put it into another split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import xxhash

from tfds_imagecsv import arrays
from tfds_imagecsv.images import copies, near_duplicates
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.splits.dataset_plan import DatasetPlan

# The keys of identical images, the split that each would have gone to alone, and
# whether these splits differ.
Copies = tuple[list[str], list[str], bool]


def sets_of_copies(inspection: Inspection, plan: DatasetPlan | None) -> list[Copies]:
    """Returns the sets of identical images; those that would leak come first."""
    is_drawn = plan and not arrays.is_filled(plan.rows["given"]).any()
    sizes = plan.split_sizes if plan and is_drawn else {}
    found = []
    for keys in copies.keys_of_sets(inspection.copies):
        splits = [_alone(key, sizes) for key in keys]
        found.append((keys, splits, len(set(splits)) > 1))
    return sorted(found, key=lambda one: (not one[2], one[0]))


def _alone(key: str, sizes: Mapping[str, int]) -> str:
    """Returns the split that an image would go to if it were drawn alone.

    The draw is of the usual kind: random, with the splits' sizes as probabilities. A
    hash of the key takes the place of the random number.
    """
    total = sum(sizes.values())
    if not total:
        return ""
    at = xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogateescape"))
    point = (at * total) >> 64
    for name, size in sizes.items():
        point -= size
        if point < 0:
            return name
    raise AssertionError(key)


def groups_that_leak(plan: DatasetPlan) -> int:
    """Returns how many groups drawing each image alone would put into several splits.

    The digests of the images take the place of random numbers.
    """
    column = plan.rows["group"]
    codes = arrays.codes_of(column)
    has_group = arrays.is_filled(column)
    sizes = np.array(list(plan.split_sizes.values()), np.float64)
    cuts = np.cumsum(sizes) / max(1, sizes.sum())
    chance = arrays.halves_of(plan.rows["digest"]).astype(np.float64) / 2.0**64
    drawn = np.searchsorted(cuts[:-1], chance, side="right")
    least = np.full(len(column.dictionary), len(sizes))
    most = np.full(len(column.dictionary), -1)
    np.minimum.at(least, codes[has_group], drawn[has_group])
    np.maximum.at(most, codes[has_group], drawn[has_group])
    return int(np.count_nonzero(least < most))


@dataclasses.dataclass(frozen=True)
class NearSet:
    """A set of near duplicates.

    Attributes:
      keys: the keys of its images, sorted.
      labels: the different labels, if they differ, sorted.
      splits: the splits, if it lies in several, sorted.
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearSets:
    """The sets of near duplicates of an input.

    Attributes:
      first: some of them: first those with different labels, then those that lie in
        several splits, then the others, each sorted by name.
      count: how many there are.
      conflicts: how many have different labels.
      across: how many lie in several splits.
    """

    first: tuple[NearSet, ...]
    count: int
    conflicts: int
    across: int


def near_sets(
    inspection: Inspection, plan: DatasetPlan | None, *, most: int
) -> NearSets:
    """Returns the sets of near duplicates.

    Args:
      inspection: the input.
      plan: the plan of its dataset, if there is one.
      most: the most sets to return.
    """
    near = near_duplicates.sets_of(inspection.rows)
    rows, count = near.rows, len(near.starts)
    splits = arrays.constant("", len(rows))
    if plan and count:
        # Some may be left out of the dataset.
        splits = arrays.by_key(rows["key"], plan.rows, "split")
    near = near._replace(rows=arrays.with_columns(rows, {"split": splits}))
    across = near.across(splits)
    is_conflict = np.arange(count) < near.conflicts
    order = np.lexsort((np.arange(count), ~across, ~is_conflict))
    return NearSets(
        first=tuple(
            _near_set(near.of_set(at), is_conflict[at], across[at])
            for at in order[:most].tolist()
        ),
        count=count,
        conflicts=near.conflicts,
        across=int(across.sum()),
    )


def _near_set(rows: pa.RecordBatch, is_conflict: bool, is_across: bool) -> NearSet:
    return NearSet(
        keys=tuple(sorted(rows["key"].to_pylist())),
        labels=_different(rows["label"]) if is_conflict else (),
        splits=_different(rows["split"]) if is_across else (),
    )


def _different(column: pa.DictionaryArray) -> tuple[str, ...]:
    """Returns the different texts of a column that aren't empty, sorted."""
    return tuple(sorted(set(column.to_pylist()) - {""}))
