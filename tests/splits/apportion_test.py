"""How many rows of each class go to each split."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv.splits import apportion

TRAIN_TEST_VALIDATION = [Fraction(8, 10), Fraction(1, 10), Fraction(1, 10)]


@st.composite
def shares_strategy(draw, max_splits=6):
    """Draws shares above 0 that sum to 1."""
    weights = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=max_splits))
    return [Fraction(weight, sum(weights)) for weight in weights]


@st.composite
def tables(draw):
    """Draws the arguments of `apportion`."""
    shares = draw(shares_strategy())
    sizes = draw(st.lists(st.integers(0, 10_000), max_size=30))
    sizes += draw(st.lists(st.integers(0, 12), max_size=30))
    drawn = [[draw(st.integers(0, max(2 * size, 3))) for _ in shares] for size in sizes]
    priorities = draw(
        st.lists(st.integers(0, 3), min_size=len(shares), max_size=len(shares))
    )
    return sizes, shares, drawn, priorities


@given(tables())
def test_cells_and_totals_are_within_one_of_their_exact_shares(table):
    """Law 1: less than 1 for each class and split, and for each split."""
    sizes, shares, drawn, priorities = table
    counts = apportion.apportion(sizes, shares, drawn=drawn, priorities=priorities)
    assert [sum(row) for row in counts] == sizes
    for size, row in zip(sizes, counts, strict=True):
        for share, count in zip(shares, row, strict=True):
            assert count >= 0
            assert abs(count - size * share) < 1
    for s, share in enumerate(shares):
        assert abs(sum(row[s] for row in counts) - sum(sizes) * share) < 1


@given(shares_strategy(), st.lists(st.integers(0, 20), min_size=1))
def test_no_split_is_empty_if_there_are_rows_enough(shares, sizes):
    """TFDS can't write an empty split, so this is the last resort."""
    counts = apportion.apportion(sizes, shares)
    filled = sum(sum(row[s] for row in counts) > 0 for s in range(len(shares)))
    # Each split has an exact share above 0, and so a right to one row.
    possible = _most_splits_that_can_be_filled(sizes, shares)
    assert filled == possible


@given(st.data())
def test_fixed_rows_stay_and_the_others_come_as_near_as_they_can(data):
    """Bounds are met if possible; a small table is compared with all others."""
    shares = data.draw(shares_strategy(max_splits=3))
    fixed = [
        [data.draw(st.integers(0, 3)) for _ in shares]
        for _ in range(data.draw(st.integers(0, 3)))
    ]
    free = [data.draw(st.integers(0, 4)) for _ in fixed]
    sizes = [sum(row) + n for row, n in zip(fixed, free, strict=True)]
    counts = apportion.apportion(sizes, shares, fixed=fixed)
    for size, row, kept in zip(sizes, counts, fixed, strict=True):
        assert sum(row) == size
        assert all(map(int.__ge__, row, kept))
    best = min(_excess(table, sizes, shares) for table in _all_tables(sizes, fixed))
    assert _excess(counts, sizes, shares) == best


def _renormalized(shares):
    return [share / sum(shares) for share in shares]


def _all_tables(sizes, fixed):
    """Yields each way to put the free rows into splits."""
    rows = [
        [
            list(map(int.__add__, kept, more))
            for more in itertools.product(range(size - sum(kept) + 1), repeat=len(kept))
            if sum(more) == size - sum(kept)
        ]
        for size, kept in zip(sizes, fixed, strict=True)
    ]
    return itertools.product(*rows)


def _excess(counts, sizes, shares):
    """Sums the excess of each count over its bounds, as 1 + 2 + ... + excess."""
    total = 0
    table = [*counts, [sum(column) for column in zip(*counts, strict=True)]]
    if not counts:
        table = [[0] * len(shares)]
    for size, row in zip([*sizes, sum(sizes)], table, strict=True):
        for share, count in zip(shares, row, strict=True):
            exact = size * share
            beyond = max(0, math.floor(exact) - count, count - math.ceil(exact))
            total += beyond * (beyond + 1) // 2
    return total


def _most_splits_that_can_be_filled(sizes, shares):
    """Finds it by trying: gives the rows that bounds leave free to empty splits."""
    total = sum(sizes)
    must = sum(total * share // 1 > 0 for share in shares)
    spare = total - sum(total * share // 1 for share in shares)
    return must + min(spare, len(shares) - must)


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        (1, [1, 0, 0]),
        (2, [1, 1, 0]),
        (3, [2, 1, 0]),
        (5, [4, 1, 0]),
        (6, [4, 1, 1]),
        (10, [8, 1, 1]),
    ],
)
def test_a_small_class_goes_to_train_first_then_test_then_validation(size, counts):
    """Law 1: among many large classes, the bounds let a small one choose."""
    table = apportion.apportion(
        [1234, 4321, 777, size], TRAIN_TEST_VALIDATION, priorities=[0, 1, 2]
    )
    assert table[-1] == counts


def test_the_bounds_outweigh_the_wishes_of_small_classes():
    """A thousand classes of one can't all be in train."""
    table = apportion.apportion([1] * 1000, TRAIN_TEST_VALIDATION, priorities=[0, 1, 2])
    assert [sum(column) for column in zip(*table, strict=True)] == [800, 100, 100]


def test_rounding_follows_what_chance_drew():
    """If the bounds leave a choice, the class that drew more rows gets more."""
    half = [Fraction(1, 2), Fraction(1, 2)]
    drawn = [[7, 6], [6, 7]]
    assert apportion.apportion([13, 13], half, drawn=drawn) == drawn


def test_a_chain_of_moves_is_found_where_no_single_move_helps():
    """Bringing one split's total down may take rows of several classes."""
    shares = [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)]
    sizes = [1, 1, 3, 3, 1, 2]
    table = apportion.apportion(sizes, shares, priorities=[0, 1, 2])
    totals = [sum(column) for column in zip(*table, strict=True)]
    assert all(
        abs(total - sum(sizes) * share) < 1
        for total, share in zip(totals, shares, strict=True)
    )
