"""Which row goes into which split."""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import itertools
import numbers
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tfds_imagecsv import apportionment, config, exceptions

# A split in which a class is too small to have its share of a whole row gets one
# in this order.
_PRIORITY = {"train": 0, "test": 1, "validation": 2}

# The splits lie on a line from 0 to `_LINE` in this order, and each row at the
# point that is its hash. Test and validation are at the ends, so that a row that
# crosses a cut goes to train or comes from it, and moves no other.
_LINE_ORDER = {"test": 0, "train": 1, "validation": 2}
_LINE = 2**64


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """Which row goes into which split.

    Attributes:
      splits: the name of each row's split, in the order of the rows, str.
      class_counts: the number of rows for each split (those of train, validation
        and test that have a size, in this order) and class (in the order of the
        class names).
    """

    splits: npt.NDArray[np.object_]
    class_counts: Mapping[str, Mapping[str, int]]


def plan_splits(
    keys: Sequence[str],
    labels: Sequence[str],
    *,
    class_names: Sequence[str],
    val_size: float,
    test_size: float,
    seed: int = 0,
) -> SplitPlan:
    """Divides rows into stratified train, validation and test splits.

    How many rows of a class go to a split is said by `apportionment.apportion`; who
    they are, by a hash of their keys and the seed: those of the smallest hashes go
    to test, those of the largest to validation. So the plan depends on the rows
    alone, not on their order, and rows that are added move only the few that are
    next to a cut.

    Args:
      keys: the unique keys of the rows.
      labels: the class name of each row.
      class_names: the names of all classes.
      val_size: the size of the validation split: a fraction, or an int as a count.
      test_size: the size of the test split, likewise.
      seed: an int from 0 to 2**64 - 1 that chooses among equally good plans.

    Returns:
      The plan.

    Raises:
      SplitError: if the sizes ask for more rows than there are, or there are fewer
        rows than splits.
    """
    shares = _shares(len(keys), val_size=val_size, test_size=test_size)
    on_line = sorted(shares, key=_LINE_ORDER.__getitem__)
    points = [_point(key, seed) for key in keys]
    rows_of: dict[str, list[int]] = {name: [] for name in class_names}
    for at, label in enumerate(labels):
        rows_of[label].append(at)

    cuts = [
        int(cut * _LINE)
        for cut in itertools.accumulate(shares[name] for name in on_line)
    ]
    drawn = [[0] * len(on_line) for _ in class_names]
    for c, rows in enumerate(rows_of.values()):
        for at in rows:
            drawn[c][bisect.bisect_right(cuts, points[at])] += 1
    counts = apportionment.apportion(
        [len(rows) for rows in rows_of.values()],
        [shares[name] for name in on_line],
        drawn=drawn,
        priorities=[_PRIORITY[name] for name in on_line],
    )
    columns = dict(zip(on_line, zip(*counts, strict=True), strict=True))
    class_counts = {
        name: dict(zip(class_names, columns[name], strict=True)) for name in shares
    }
    _check_filled(class_counts)

    splits = np.empty(len(keys), dtype=object)
    for rows, row_counts in zip(rows_of.values(), counts, strict=True):
        in_order = iter(sorted(rows, key=lambda at: (points[at], keys[at])))
        for name, count in zip(on_line, row_counts, strict=True):
            splits[list(itertools.islice(in_order, count))] = name
    return SplitPlan(splits=splits, class_counts=class_counts)


def _shares(total: int, *, val_size: float, test_size: float) -> Mapping[str, Fraction]:
    """Returns the exact share of each split that has one; train has the rest.

    Raises:
      SplitError: if the sizes ask for more rows than there are.
    """
    validation, test = (
        Fraction(int(size), total)
        if isinstance(size, numbers.Integral)
        else config.exact_fraction(size)
        for size in (val_size, test_size)
    )
    if validation + test > 1:
        raise exceptions.SplitError(
            f"val_size={val_size} and test_size={test_size} ask for"
            f" {float((validation + test) * total):g} images, and there are {total}."
            " Make them smaller."
        )
    shares = {
        "train": 1 - validation - test,
        "validation": validation,
        "test": test,
    }
    return {name: share for name, share in shares.items() if share > 0}


def _check_filled(class_counts: Mapping[str, Mapping[str, int]]) -> None:
    """Raises a `SplitError` if a split has no row: TFDS can't write such a split."""
    totals = {name: sum(counts.values()) for name, counts in class_counts.items()}
    empty = [name for name, total in totals.items() if total == 0]
    if empty:
        raise exceptions.SplitError(
            f"{sum(totals.values())} images are too few for the splits"
            f" {', '.join(totals)}: {', '.join(empty)} would be empty. Make val_size or"
            " test_size 0, or add images."
        )


def _point(key: str, seed: int) -> int:
    """Returns the point of a key on the line: a whole number from 0 to 2**64 - 1.

    BLAKE2b is fast, in Python's standard library, and the same everywhere. Another
    hash here, or another encoding of the key or the seed, would move nearly all
    rows of all datasets to other splits.
    """
    salt = seed.to_bytes(8, "little")
    digest = hashlib.blake2b(key.encode(), digest_size=8, salt=salt).digest()
    return int.from_bytes(digest, "big")
