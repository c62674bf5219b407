"""Which rows must stay together."""

import numpy as np
import pytest
import walk
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays
from tfds_imagecsv.splits import together

names = st.sampled_from(["", "a", "b", "c", "d", "e"])
#: The group and the digest of each row.
drawn_rows = st.lists(st.tuples(names, names), max_size=25)


def find(rows):
    """Finds the units of rows, each a group and a digest."""
    groups, digests = [row[0] for row in rows], [row[1] for row in rows]
    return together.find_units(
        arrays.encoded(groups), [walk.digests(digests)], rows=len(rows)
    )


def sets_of(found):
    """Returns units as a set of sets of positions."""
    members = {}
    for at, unit in enumerate(found.unit_of.tolist()):
        members.setdefault(unit, set()).add(at)
    return set(map(frozenset, members.values()))


def components(rows):
    """Returns the connected components, by merging sets two by two."""
    found = [{at} for at in range(len(rows))]
    for one, first in enumerate(rows):
        for other, second in enumerate(rows[:one]):
            if any(a == b != "" for a, b in zip(first, second, strict=True)):
                (with_one,) = (members for members in found if one in members)
                (with_other,) = (members for members in found if other in members)
                if with_one is not with_other:
                    found.remove(with_other)
                    with_one |= with_other
    return set(map(frozenset, found))


@given(drawn_rows)
def test_units_are_the_connected_components(rows):
    """Rows are in one unit if and only if a chain of groups and images links them."""
    found = find(rows)
    assert sets_of(found) == components(rows)
    assert found.unit_of.dtype == np.int32
    assert found.sizes.dtype == np.int32


@given(drawn_rows)
def test_units_are_numbered_from_0_and_their_sizes_add_up(rows):
    """Each unit has a number, a size and at least one row."""
    found = find(rows)
    assert sorted(set(found.unit_of.tolist())) == list(range(len(found.sizes)))
    assert found.sizes.tolist() == [
        found.unit_of.tolist().count(unit) for unit in range(len(found.sizes))
    ]


@given(drawn_rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, rng):
    """Shuffled rows are in the same units."""
    order = rng.sample(range(len(rows)), len(rows))
    shuffled = find([rows[at] for at in order])
    assert {
        frozenset(order[at] for at in members) for members in sets_of(shuffled)
    } == sets_of(find(rows))


def test_a_chain_of_groups_and_images_is_one_unit():
    """An image in two groups makes one unit of both."""
    rows = [("g", "1"), ("h", "2"), ("g", "3"), ("h", "3"), ("i", "4")]
    assert sets_of(find(rows)) == {frozenset({0, 1, 2, 3}), frozenset({4})}


def test_a_group_and_a_digest_of_one_name_are_different():
    """The name of a group says nothing about an image."""
    assert len(find([("a", "b"), ("b", "a")]).sizes) == 2


def test_empty_names_link_nothing():
    """A row without a group stands alone, and so does one without a digest."""
    assert find([("", ""), ("", ""), ("", "")]).sizes.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("groups", "digests", "sizes"),
    [
        (None, None, [1, 1, 1]),
        (["a", "", "a"], None, [1, 2]),
        (None, ["", "x", "x"], [1, 2]),
    ],
    ids=["neither", "groups", "digests"],
)
def test_groups_and_digests_may_be_left_out(groups, digests, sizes):
    """They link no rows."""
    found = together.find_units(
        groups and arrays.encoded(groups),
        [walk.digests(digests)] if digests else [],
        rows=3,
    )
    assert sorted(found.sizes.tolist()) == sizes


@given(st.lists(st.tuples(names, names, names), max_size=25))
def test_digests_of_several_columns(rows):
    """Rows with an image in common are together, whichever column it is in."""
    columns = [walk.digests([row[at] for row in rows]) for at in range(3)]
    found = together.find_units(None, columns, rows=len(rows))
    sets = [{at} for at in range(len(rows))]
    for at, row in enumerate(rows):
        linked = [
            one
            for one in sets
            if at in one or any({*row} & {*rows[other]} - {""} for other in one)
        ]
        sets = [one for one in sets if one not in linked] + [set().union(*linked)]
    assert sets_of(found) == set(map(frozenset, sets))


def test_no_rows():
    """There are no units."""
    found = find([])
    assert len(found.unit_of) == len(found.sizes) == 0


@given(st.data(), drawn_rows)
def test_least(data, rows):
    """Each unit has the least value of its rows, even the largest possible value."""
    values = data.draw(
        st.lists(
            st.integers(0, 9) | st.integers(2**64 - 9, 2**64 - 1),
            min_size=len(rows),
            max_size=len(rows),
        )
    )
    found = find(rows)
    least = found.least(np.array(values, np.uint64))
    assert least.dtype == np.uint64
    assert least.tolist() == [
        min(
            value for value, of in zip(values, found.unit_of, strict=True) if of == unit
        )
        for unit in range(len(found.sizes))
    ]
