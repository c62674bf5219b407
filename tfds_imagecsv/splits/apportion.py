"""How many rows of each class go to each split: whole numbers near exact shares."""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction


def apportion(
    class_sizes: Sequence[int],
    shares: Sequence[Fraction],
    *,
    fixed: Sequence[Sequence[int]] | None = None,
    drawn: Sequence[Sequence[int]] | None = None,
    priorities: Sequence[int] | None = None,
    spread: bool = True,
) -> list[list[int]]:
    """Rounds the exact share of each class in each split to a whole number.

    **Rule.** A cell's exact share is `class_sizes[c] * shares[s]`, and a split's is
    the sum of its column. Each cell is rounded up or down, and so is each split's
    total, at once, while each class keeps all its rows. This is *controlled
    rounding*; a solution always exists (Bacharach, "Matrix Rounding Problems",
    Management Science 12, 1966), because the exact shares are a flow through a
    network of classes and splits with whole bounds, and such a network has a whole
    flow too. Of all solutions, the rule takes the one that

    1. leaves no split empty, if there are enough rows;
    2. gives the most classes a row in splits where their share is less than one,
       splits of a smaller priority first;
    3. rounds up where `drawn` exceeds the share the most.

    Successive shortest paths find it, in whole numbers throughout, which are the
    same on every machine.

    **Bound.** Each cell and each split's total differs from its exact share by less
    than 1. Where `fixed` rows make that impossible, the sum of the squared excesses
    is the least possible.

    **Example.** Two classes of 5 and 3 rows, and shares of 1/2, 1/4 and 1/4:

        exact   2.5  1.25  1.25  of 5    whole   2  2  1
                1.5  0.75  0.75  of 3            2  0  1
        totals  4    2     2                     4  2  2

    >>> from fractions import Fraction
    >>> apportion([5, 3], [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)])
    [[2, 2, 1], [2, 0, 1]]

    Args:
      class_sizes: the number of rows of each class, including fixed ones.
      shares: the share of each split; they sum to 1. A share may be 0 where rows
        are fixed.
      fixed: the number of rows that stay, for each class and split. Default: none.
      drawn: the number of rows that chance alone would give, for each class and split.
        To follow it where the bounds leave a choice keeps most rows in place when
        rows are added. Default: none.
      priorities: the rank of each split in the second rule. Default: all equal.
      spread: whether the second rule holds. Default: true.

    Returns:
      The number of rows for each class (outer list) and split (inner lists), including
      fixed ones.
    """
    denominator = math.lcm(*(share.denominator for share in shares))
    table = _Table(
        sizes=class_sizes,
        parts=[int(share * denominator) for share in shares],
        denominator=denominator,
        fixed=fixed or [[0] * len(shares) for _ in class_sizes],
        drawn=drawn or [[0] * len(shares) for _ in class_sizes],
        priorities=priorities or [0] * len(shares),
        spread=spread,
    )
    counts = [table.best_row(c) for c in range(len(class_sizes))]
    _balance(counts, table)
    return counts


class _Table:
    """The cost of one more row of a class or in a split.

    Each rule has an order of magnitude of its own, larger than the sum of all costs
    of later rules: a rule always outweighs those after it.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[int],
        parts: Sequence[int],
        denominator: int,
        fixed: Sequence[Sequence[int]],
        drawn: Sequence[Sequence[int]],
        priorities: Sequence[int],
        spread: bool,
    ) -> None:
        total = sum(sizes)
        self._floor = [[size * part // denominator for part in parts] for size in sizes]
        self._ceil = [
            [-(-size * part // denominator) for part in parts] for size in sizes
        ]
        self._total_floor = [total * part // denominator for part in parts]
        self._total_ceil = [-(-total * part // denominator) for part in parts]
        self._sizes = sizes
        self.fixed = fixed

        order = 2 * denominator * (total + 1) * (len(sizes) + 1)
        presence = {}
        for priority in sorted(set(priorities), reverse=True):
            presence[priority] = order if spread else 0
            order *= 2 * len(parts) * (len(sizes) + 1)
        # TFDS can't write a split without a row.
        self._no_empty_split = order
        self._bound = 2 * order * (len(parts) + 1)
        self._round_up = [
            [
                size * part
                - denominator * lot
                - (presence[priority] if floor == 0 else 0)
                for part, lot, priority, floor in zip(
                    parts, lots, priorities, floors, strict=True
                )
            ]
            for size, lots, floors in zip(sizes, drawn, self._floor, strict=True)
        ]

    def cell_cost(self, c: int, s: int, count: int) -> int:
        """Returns the cost of one more row of class `c` in split `s` than `count`."""
        floor, ceil = self._floor[c][s], self._ceil[c][s]
        if floor <= count < ceil:
            return self._round_up[c][s]
        return self._bound * _outside(count, floor, ceil)

    def total_cost(self, s: int, count: int) -> int:
        """Returns the cost of one more row of any class in split `s` than `count`."""
        floor, ceil = self._total_floor[s], self._total_ceil[s]
        if floor <= count < ceil:
            return -self._no_empty_split if count == 0 else 0
        return self._bound * _outside(count, floor, ceil)

    def best_row(self, c: int) -> list[int]:
        """Returns the cheapest counts of class `c`, regardless of other classes."""
        counts = list(map(max, self._floor[c], self.fixed[c]))
        splits = range(len(counts))
        for _ in range(sum(counts) - self._sizes[c]):
            s = max(
                (s for s in splits if counts[s] > self.fixed[c][s]),
                key=lambda s: self.cell_cost(c, s, counts[s] - 1),
            )
            counts[s] -= 1
        for _ in range(self._sizes[c] - sum(counts)):
            counts[min(splits, key=lambda s: self.cell_cost(c, s, counts[s]))] += 1
        return counts


def _outside(count: int, floor: int, ceil: int) -> int:
    """Returns how far outside its bounds a count would be with one more.

    Below the bounds it is negative: one more is a gain. It grows with the count, so
    that the cell farthest outside is brought back first.
    """
    return count - floor if count < floor else count - ceil + 1


@dataclasses.dataclass(frozen=True, order=True)
class _Move:
    """One row of a class from one split to another.

    Attributes:
      cost: what the move costs in the cells of its class.
      c: the class.
      version: how often the class had changed when the cost was worked out.
    """

    cost: int
    c: int
    version: int


def _balance(counts: list[list[int]], table: _Table) -> None:
    """Moves rows between splits, in place, until no chain of moves is worth it.

    At first each class has its cheapest counts, and the splits' totals may be out of
    bounds. If each step takes the cheapest chain, no cycle of moves is ever worth it
    (Ahuja, Magnanti and Orlin, "Network Flows", 1993, section 9.7). So it is enough to
    look for chains between two splits.
    """
    moves = _Moves(counts, table)
    totals = [sum(column) for column in zip(*counts, strict=True)]
    while True:
        cheapest = moves.cheapest()
        best_cost, best_chain = 0, None
        for start in range(len(totals)):
            saved = table.total_cost(start, totals[start] - 1)
            for end, cost, chain in _chains(cheapest, start):
                cost += table.total_cost(end, totals[end]) - saved
                if cost < best_cost:
                    best_cost, best_chain = cost, chain
        if best_chain is None:
            return
        moves.make([(cheapest[a, b].c, a, b) for a, b in best_chain])
        totals[best_chain[0][0]] -= 1
        totals[best_chain[-1][1]] += 1


def _chains(
    cheapest: dict[tuple[int, int], _Move], start: int
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yields each other split, and the cost and the steps of its cheapest chain.

    They are the shortest paths of Bellman and Ford, since costs may be negative. Of
    equally cheap chains, the one with the fewest steps is taken.
    """
    found: dict[int, tuple[int, list[tuple[int, int]]]] = {start: (0, [])}
    while True:
        longer = dict(found)
        for (a, b), move in cheapest.items():
            if a in found:
                cost, chain = found[a]
                if b not in longer or cost + move.cost < longer[b][0]:
                    longer[b] = (cost + move.cost, [*chain, (a, b)])
        if longer == found:
            break
        found = longer
    del found[start]
    for end, (cost, chain) in found.items():
        yield end, cost, chain


class _Moves:
    """The cheapest move from each split to each other one, kept up to date."""

    def __init__(self, counts: list[list[int]], table: _Table) -> None:
        self._counts = counts
        self._table = table
        self._versions = [0] * len(counts)
        self._heaps: dict[tuple[int, int], list[_Move]] = {}
        for c in range(len(counts)):
            for pair, move in self._of_class(c):
                self._heaps.setdefault(pair, []).append(move)
        for heap in self._heaps.values():
            heapq.heapify(heap)

    def cheapest(self) -> dict[tuple[int, int], _Move]:
        """Returns the cheapest move between each two splits that have one."""
        for heap in self._heaps.values():
            while heap and heap[0].version != self._versions[heap[0].c]:
                heapq.heappop(heap)
        return {pair: heap[0] for pair, heap in self._heaps.items() if heap}

    def make(self, steps: list[tuple[int, int, int]]) -> None:
        """Makes moves, given as class, split that it leaves and split that it joins."""
        for c, a, b in steps:
            self._counts[c][a] -= 1
            self._counts[c][b] += 1
            self._versions[c] += 1
        for c in {c for c, _, _ in steps}:
            for pair, move in self._of_class(c):
                heapq.heappush(self._heaps.setdefault(pair, []), move)

    def _of_class(self, c: int) -> Iterator[tuple[tuple[int, int], _Move]]:
        counts, cost = self._counts[c], self._table.cell_cost
        for a, count in enumerate(counts):
            if count == self._table.fixed[c][a]:
                continue
            saved = cost(c, a, count - 1)
            for b in range(len(counts)):
                if b != a:
                    move_cost = cost(c, b, counts[b]) - saved
                    yield (a, b), _Move(move_cost, c, self._versions[c])
