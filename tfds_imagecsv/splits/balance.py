"""Which split each whole group goes to, so that classes stay balanced."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epy

# Many datasets have neither groups nor copies.
with epy.lazy_imports():
    from scipy import sparse

_Ints = npt.NDArray[np.int64]

# All numbers are whole, and so the same on every machine. Deviations are in 256ths of a
# row, weights of classes are 2**20 / size or 2**32 / size**2. The product of a weight
# and a squared deviation, summed over a group, stays below 2**63 for more than ten
# million rows.
_ROW = 2**8

# The most groups whose exchange is tried, which looks at all pairs. More groups balance
# well by single moves.
_MOST_EXCHANGED = 1000

# The most groups whose moves are rated again at once.
_MOST_RATED_AT_ONCE = 256


def even_out(
    counts: sparse.csr_array,
    *,
    wanted: Sequence[Sequence[Fraction]],
    single: Sequence[int],
    start: _Ints,
    filled: Collection[int] = (),
) -> tuple[_Ints, bool]:
    """Moves few groups from where chance puts them, so that single rows can even out.

    **Rule.** A cell (the rows of a class in a split) should have no more rows than
    wanted, and no fewer than the single rows, which are assigned later, can make up
    for. Groups are moved and exchanged as long as that lessens the sum of the squared
    excesses of cells and splits' totals, divided by the sizes of the classes. With
    many single rows, no group has to move.

    Args:
      counts: how many rows of each class each group has, int64, shape [groups,
        classes].
      wanted: how many rows of each class (outer) each split (inner) should get, 0 or
        more; they sum to the rows of the class, with the single ones.
      single: how many further single rows each class has.
      start: the split in which chance puts each group, int64, shape [groups].
      filled: the splits that already have rows. Other wanted splits get a group, unless
        single rows are left for them.

    Returns:
      The split of each group, int64, shape [groups], and whether all cells and
      totals are within 1 row of what they should be.
    """
    task = _Task(counts, wanted, single)
    splits = task.improve(start, task.by_size)
    splits = task.without_empty_splits(splits, filled, spared=sum(single))
    return splits, max(task.measures(splits)[:2]) < _ROW


def balance(
    counts: sparse.csr_array,
    *,
    wanted: Sequence[Sequence[Fraction]],
    start: _Ints,
    filled: Collection[int] = (),
) -> _Ints:
    """Assigns lumpy groups to splits, as near to the wanted counts as they allow.

    **Rule.** The reference is scikit-learn's `StratifiedGroupKFold` with unequal
    shares: groups with the most uneven classes come first, and each goes where the
    class proportions get the smallest standard deviation. The reference and the
    assignment by chance are improved as in `even_out`, with two weightings of the
    classes; a wanted split without a group gets the one that costs the least. The
    result is the best of them, and no worse than the reference, in three measures: the
    largest deviation of a cell, the largest of a total, and the mean standard
    deviation of the class proportions.

    **Bound.** None: finding the best assignment is NP-hard. The plan reports what is
    reached.

    Args:
      counts: how many rows of each class each group has, int64, shape [groups,
        classes]; a group may have one row.
      wanted: how many rows of each class (outer) each split (inner) should get, 0 or
        more; they sum to the rows of the class.
      start: the split in which chance puts each group, int64, shape [groups].
      filled: the splits that already have rows.

    Returns:
      The split of each group, int64, shape [groups].
    """
    task = _Task(counts, wanted, single=[0] * counts.shape[1])
    reference = task.reference()
    best = task.without_empty_splits(reference, filled)
    bound = task.measures(best)
    lowest = float(len(bound))
    for improved in (
        task.improve(start, task.by_size),
        task.improve(reference, task.by_size),
        task.improve(reference, task.by_squared_size),
    ):
        candidate = task.without_empty_splits(improved, filled)
        relative = [
            measure / most if most else (math.inf if measure else 0.0)
            for measure, most in zip(task.measures(candidate), bound, strict=True)
        ]
        if max(relative) <= 1 and math.fsum(relative) < lowest:
            best, lowest = candidate, math.fsum(relative)
    return best


@dataclasses.dataclass(frozen=True, eq=False)
class _Weighting:
    """The factors of the squared excesses.

    Attributes:
      weights: the weight of each class, and of the totals, int64, shape [classes + 1].
      rows: the rows of each class in each group, and their sum in the last column,
        multiplied by the weights, int64, shape [groups, classes + 1].
      own: what moving each group costs by its own size, int64, shape [groups].
    """

    weights: _Ints
    rows: sparse.csr_array
    own: _Ints


class _Task:
    """Groups to assign, and the worth of assignments."""

    def __init__(
        self,
        counts: sparse.csr_array,
        wanted: Sequence[Sequence[Fraction]],
        single: Sequence[int],
    ) -> None:
        self._counts = counts
        self._groups, self._classes = counts.shape
        class_sizes = np.asarray(counts.sum(axis=0)).ravel()
        # The last row is for the totals, as a class of all rows.
        totals = [sum(column, Fraction(0)) for column in zip(*wanted, strict=True)]
        self._splits = len(totals)
        wanted = [*wanted, totals]
        self._wanted = np.array(
            [[int(rows * _ROW) for rows in row] for row in wanted], np.int64
        )
        self._shares = [
            [float(rows / (sum(row) or 1)) for rows in row] for row in wanted
        ]
        self._has_single = any(single)
        self._single = np.array([[*single, sum(single)]], np.int64).T * _ROW
        group_sizes = np.asarray(counts.sum(axis=1)).reshape(-1, 1)
        self._table = sparse.csr_array(
            sparse.hstack([counts, sparse.csr_array(group_sizes)], format="csr")
        )
        sizes = np.maximum(np.append(class_sizes, class_sizes.sum()), 1)
        self._sizes = sizes
        self.by_size = self._weighting(2**20 // sizes + 1)
        self.by_squared_size = self._weighting(2**32 // sizes**2 + 1)

    def _weighting(self, weights: _Ints) -> _Weighting:
        rows = self._table.multiply(weights[None, :]).tocsr() * _ROW
        own = np.asarray(self._table.multiply(rows).sum(axis=1)).ravel() * _ROW
        return _Weighting(weights, rows, own)

    def deviations(self, splits: _Ints) -> _Ints:
        """Returns rows beyond what is wanted, in 256ths, [classes + 1, splits]."""
        chosen = sparse.csr_array(
            (np.ones(self._groups, np.int64), (np.arange(self._groups), splits)),
            shape=(self._groups, self._splits),
        )
        found: _Ints = (self._table.T @ chosen).toarray() * _ROW - self._wanted
        return found

    def excesses(self, deviations: _Ints, rows: Any = slice(None)) -> _Ints:
        """Returns how far deviations are above 0, or too low for the single rows.

        Args:
          deviations: those of some classes, in 256ths.
          rows: the classes. Default: all, and the totals.
        """
        if not self._has_single:
            return deviations
        lack = np.minimum(deviations + self._single[rows], 0)
        found: _Ints = np.maximum(deviations, 0) + lack
        return found

    def measures(self, splits: _Ints) -> tuple[float, float, float]:
        """Returns how unbalanced an assignment is.

        Returns:
          The largest excess of a cell and of a total, in 256ths of a row, and the
          sum of the standard deviations of the classes' proportions.
        """
        deviations = self.deviations(splits)
        largest = np.abs(self.excesses(deviations)).max(axis=1)
        shares = np.array(self._shares[:-1])
        rows = deviations[:-1] + self._wanted[:-1]
        spread = math.fsum(
            math.sqrt(math.fsum(value * value for value in row))
            for row in (rows / self._sizes[:-1, None] / _ROW - shares).tolist()
        )
        return float(largest[:-1].max(initial=0)), float(largest[-1]), spread

    def improve(self, start: _Ints, weighting: _Weighting) -> _Ints:
        """Moves and exchanges groups while that lessens the squared excesses."""
        splits = start.copy()
        deviations = self.deviations(splits)
        self._move_all(splits, deviations, weighting)
        if self._groups <= _MOST_EXCHANGED and not self._has_single:
            while self._exchange(splits, deviations, weighting):
                self._move_all(splits, deviations, weighting)
        return splits

    def _move_all(
        self, splits: _Ints, deviations: _Ints, weighting: _Weighting
    ) -> None:
        """Moves single groups, in place, until no move is worth it.

        All moves are rated at once, which is fast. Then they are made one by one, the
        best first; each is rated again, since earlier moves may have changed its worth.
        The fewer of them are still worth it, the more are rated again at once.
        """
        moved = True
        while moved:
            moved = False
            best = self._costs(splits, deviations, weighting).min(axis=1)
            worthwhile = np.flatnonzero(best < 0)
            groups = worthwhile[np.argsort(best[worthwhile], kind="stable")]
            done, at_once = 0, 1
            while done < len(groups):
                some = groups[done : done + at_once]
                costs = self._costs_of(some, splits, deviations, weighting)
                found = np.flatnonzero(costs.min(axis=1) < 0)
                if not len(found):
                    done += len(some)
                    at_once = min(2 * at_once, _MOST_RATED_AT_ONCE)
                    continue
                # Of the others, this move changes the worth.
                first = int(found[0])
                self._move(some[first], int(costs[first].argmin()), splits, deviations)
                moved = True
                done += first + 1
                at_once = max(1, at_once // 4)

    def _costs(self, splits: _Ints, deviations: _Ints, weighting: _Weighting) -> _Ints:
        """Returns what moving groups adds to the weighted squared excesses.

        Args:
          splits: where the groups are.
          deviations: those of all cells.
          weighting: the weights.

        Returns:
          The cost for each group and the split that it would go to; 0 where it is.
        """
        here = np.arange(self._groups), splits
        if self._has_single:
            table = self._table
            group_of_cell = np.repeat(np.arange(self._groups), np.diff(table.indptr))
            of_cells = self._costs_of_cells(
                table.indices, table.data, splits[group_of_cell], deviations, weighting
            )
            costs = np.zeros((self._groups, self._splits), np.int64)
            np.add.at(costs, group_of_cell, of_cells)
        else:
            slope = weighting.rows @ deviations
            costs = 2 * (slope - slope[here][:, None] + weighting.own[:, None])
        costs[here] = 0
        return costs

    def _costs_of(
        self, groups: _Ints, splits: _Ints, deviations: _Ints, weighting: _Weighting
    ) -> _Ints:
        """Returns the rows of `_costs` for some groups, with much less work."""
        table, here = self._table, splits[groups]
        begins, ends = table.indptr[groups], table.indptr[groups + 1]
        if len(groups) == 1:
            firsts, cells = np.zeros(1, np.int64), np.arange(begins[0], ends[0])
        else:
            counts = ends - begins
            firsts = np.cumsum(counts) - counts
            cells = np.repeat(begins - firsts, counts) + np.arange(counts.sum())
        classes = table.indices[cells]
        if self._has_single:
            of_cells = self._costs_of_cells(
                classes,
                table.data[cells],
                np.repeat(here, ends - begins),
                deviations,
                weighting,
            )
            costs: _Ints = np.add.reduceat(of_cells, firsts)
        else:
            of_cells = weighting.rows.data[cells][:, None] * deviations[classes]
            slope = np.add.reduceat(of_cells, firsts)
            at = np.arange(len(groups)), here
            costs = 2 * (slope - slope[at][:, None] + weighting.own[groups][:, None])
        costs[np.arange(len(groups)), here] = 0
        return costs

    def _costs_of_cells(
        self,
        classes: _Ints,
        rows: _Ints,
        here: _Ints,
        deviations: _Ints,
        weighting: _Weighting,
    ) -> _Ints:
        """Returns what moving the rows of cells adds, shape [cells, splits]."""
        before = deviations[classes]
        rows = rows[:, None] * _ROW
        excess = self.excesses(before, classes)
        joined = self.excesses(before + rows, classes)
        left = self.excesses(before - rows, classes)
        # Squares after the move, less those before it.
        joined = (joined - excess) * (joined + excess)
        left = ((left - excess) * (left + excess))[np.arange(len(classes)), here]
        costs: _Ints = (joined + left[:, None]) * weighting.weights[classes, None]
        return costs

    def _move(self, group: int, to: int, splits: _Ints, deviations: _Ints) -> None:
        table = self._table
        cells = slice(table.indptr[group], table.indptr[group + 1])
        rows = table.data[cells] * _ROW
        deviations[table.indices[cells], splits[group]] -= rows
        deviations[table.indices[cells], to] += rows
        splits[group] = to

    def _exchange(
        self, splits: _Ints, deviations: _Ints, weighting: _Weighting
    ) -> bool:
        """Makes the exchange of two groups, in place, that is worth the most.

        Returns:
          Whether an exchange was worth it.
        """
        costs = self._costs(splits, deviations, weighting)
        shared = (weighting.rows @ self._table.T).toarray() * _ROW
        best, pair = 0, None
        for a in range(self._splits):
            for b in range(a + 1, self._splits):
                in_a, in_b = np.flatnonzero(splits == a), np.flatnonzero(splits == b)
                if not (len(in_a) and len(in_b)):
                    continue
                # The exchange doesn't move what the groups share.
                both = (
                    costs[in_a, b][:, None]
                    + costs[in_b, a][None, :]
                    - 4 * shared[np.ix_(in_a, in_b)]
                )
                at = int(both.argmin())
                if both.flat[at] < best:
                    best = int(both.flat[at])
                    pair = int(in_a[at // len(in_b)]), int(in_b[at % len(in_b)])
        if pair is None:
            return False
        one, other = pair
        to, back = int(splits[other]), int(splits[one])
        self._move(one, to, splits, deviations)
        self._move(other, back, splits, deviations)
        return True

    def without_empty_splits(
        self, splits: _Ints, filled: Collection[int], spared: int = 0
    ) -> _Ints:
        """Moves a group to each wanted split without one, if there are enough.

        Args:
          splits: where the groups are.
          filled: the splits that have rows already.
          spared: how many splits may stay empty.
        """
        splits = splits.copy()
        deviations = self.deviations(splits)
        has_rows = {*splits.tolist(), *filled}
        empty = [to for to in np.flatnonzero(self._wanted[-1]) if to not in has_rows]
        for to in empty[: max(0, len(empty) - spared)]:
            groups_of = np.bincount(splits, minlength=self._splits)
            movable = np.flatnonzero(groups_of[splits] > 1)
            if len(movable):
                costs = self._costs(splits, deviations, self.by_size)[:, to]
                group = int(movable[costs[movable].argmin()])
                self._move(group, int(to), splits, deviations)
        return splits

    def reference(self) -> _Ints:
        """Returns the assignment of `StratifiedGroupKFold`, for any shares."""
        class_sizes, shares = self._sizes.tolist(), self._shares
        classes = [_PlacedClass(row) for row in shares[:-1]]
        totals = [0] * self._splits
        spread = 0.0
        splits = np.zeros(self._groups, np.int64)
        for group, cells in self._most_uneven_first():
            added = [(classes[c], rows / class_sizes[c]) for c, rows in cells]
            rest = spread - math.fsum(placed.spread for placed, _ in added)
            best = math.inf, math.inf, 0
            for s, share in enumerate(shares[-1]):
                new_spread = rest + math.fsum(
                    placed.spread_with(s, proportion) for placed, proportion in added
                )
                fullness = totals[s] / share if share else math.inf
                # The emptiest of equally good splits.
                if new_spread < best[0] or (
                    math.isclose(new_spread, best[0], rel_tol=1e-5, abs_tol=1e-8)
                    and fullness < best[1]
                ):
                    best = new_spread, fullness, s
            spread, _, s = best
            splits[group] = s
            totals[s] += sum(rows for _, rows in cells)
            for placed, proportion in added:
                placed.add(s, proportion)
        return splits

    def _most_uneven_first(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Returns each group, and the classes and numbers of its rows.

        The groups are in the order of the standard deviation over the classes.
        """
        counts = self._counts
        indptr = counts.indptr.tolist()
        pairs = list(zip(counts.indices.tolist(), counts.data.tolist(), strict=True))
        groups = [
            (group, pairs[start:stop])
            for group, (start, stop) in enumerate(itertools.pairwise(indptr))
        ]

        def evenness(group: tuple[int, list[tuple[int, int]]]) -> int:
            rows = [rows for _, rows in group[1]]
            # The variance, negated, times the squared number of classes.
            total: int = sum(rows) ** 2 - self._classes * sum(n * n for n in rows)
            return total

        return sorted(groups, key=evenness)


class _PlacedClass:
    """How evenly the rows of a class that are placed so far are spread.

    The spread is the root of the summed squared deviations of the splits' proportions
    from their shares of the placed rows.
    """

    def __init__(self, shares: list[float]) -> None:
        self._shares = shares
        self._squared_shares = math.fsum(share * share for share in shares)
        self._proportions = [0.0] * len(shares)
        self._placed = 0.0
        # The sums of the squared proportions, and of their products with the shares.
        self._squares = 0.0
        self._products = 0.0
        self.spread = 0.0

    def spread_with(self, s: int, more: float) -> float:
        """Returns the spread if `more` of the class were in split `s`."""
        squares = self._squares + more * (2 * self._proportions[s] + more)
        products = self._products + self._shares[s] * more
        placed = self._placed + more
        square = squares + placed * (placed * self._squared_shares - 2 * products)
        return math.sqrt(max(0.0, square))

    def add(self, s: int, more: float) -> None:
        """Puts `more` of the class into split `s`."""
        self.spread = self.spread_with(s, more)
        self._squares += more * (2 * self._proportions[s] + more)
        self._products += self._shares[s] * more
        self._placed += more
        self._proportions[s] += more
