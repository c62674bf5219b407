"""Which row goes into which split: the laws, and the messages."""

import collections
import dataclasses
import random
from fractions import Fraction

import numpy as np
import pytest
import walk
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold
from strategies import bound_rows, class_sizes, rows_of, seeds, sizes

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.splits import assign

# Rounding errors of floats in the tests, not of the plan.
SLACK = 1e-6


def plan(rows, *, bound=True, given=None, pinned=None, **options):
    """Plans the splits of rows; the class names are those that occur."""
    planned = assign.plan_splits(
        rows.keys,
        rows.labels,
        class_names=sorted(set(rows.labels) - {""}),
        options=assign.SplitOptions(**options),
        units=walk.units_of(rows.groups, rows.digests) if bound else None,
        groups=rows.groups,
        given=given,
        pinned=pinned,
    )
    splits = np.array(planned.splits.to_pylist(), object)
    return dataclasses.replace(planned, splits=splits)


def exact_shares(val_size, test_size):
    """Returns the share of each split."""
    return {
        "train": 1 - val_size - test_size,
        "validation": val_size,
        "test": test_size,
    }


def assert_exact(rows, planned, shares):
    """Asserts law 1: cells and totals within 1 row of their exact shares."""
    found = collections.Counter(zip(planned.splits, rows.labels, strict=True))
    class_sizes = collections.Counter(rows.labels)
    for split, share in shares.items():
        total = sum(planned.class_counts.get(split, {}).values())
        assert abs(total - share * len(rows)) < 1 + SLACK
        for label, size in class_sizes.items():
            count = found[split, label]
            assert abs(count - share * size) < 1 + SLACK
            assert planned.class_counts.get(split, {}).get(label, 0) == count
    assert found.total() == len(rows)
    assert set(planned.splits) <= set(shares)


@given(class_sizes, sizes(), seeds)
def test_the_splits_are_complete_and_exact(class_sizes, sizes, seed):
    """Law 1: each row is in one split; cells and totals are within 1 of their share."""
    rows = rows_of(class_sizes)
    val_size, test_size = sizes
    try:
        planned = plan(rows, val_size=val_size, test_size=test_size, seed=seed)
    except exceptions.SplitError as error:
        if "would be empty" not in str(error) or len(rows) > 200:
            raise
        return
    assert_exact(rows, planned, exact_shares(val_size, test_size))
    assert planned.largest_class_deviation < 1
    assert planned.largest_split_deviation < 1


@given(class_sizes.filter(lambda sizes: sum(sizes) >= 30), st.integers(2, 8), seeds)
def test_folds_are_exact(class_sizes, folds, seed):
    """Law 1 holds for folds, with a test split beside them."""
    rows = rows_of(class_sizes)
    planned = plan(rows, folds=folds, test_size=0.2, seed=seed)
    shares = {f"fold{at}": 0.8 / folds for at in range(folds)} | {"test": 0.2}
    assert_exact(rows, planned, shares)
    assert list(planned.class_counts) == list(shares)


@given(bound_rows(), sizes(), seeds)
def test_nothing_leaks(rows, sizes, seed):
    """Law 2: no group, no image and no chain of them is in two splits."""
    val_size, test_size = sizes
    try:
        planned = plan(rows, val_size=val_size, test_size=test_size, seed=seed)
    except exceptions.SplitError as error:
        assert "would be empty" in str(error)  # noqa: PT017 - not always raised
        return
    assert len(planned.splits) == len(rows)
    for values in (rows.groups, rows.digests):
        splits_of = collections.defaultdict(set)
        for value, split in zip(values, planned.splits, strict=True):
            splits_of[value].add(split)
        splits_of.pop("", None)
        assert all(len(found) == 1 for found in splits_of.values())


@given(st.one_of(bound_rows(), class_sizes.map(rows_of)), st.integers(0, 2**32))
def test_the_splits_do_not_depend_on_the_order_of_the_rows(rows, shuffle_seed):
    """Law 3: a shuffled CSV gives the same splits."""
    order = random.Random(shuffle_seed).sample(range(len(rows)), len(rows))
    shuffled = rows.taken(order)
    try:
        one = plan(rows)
    except exceptions.SplitError:
        return
    other = plan(shuffled)
    assert dict(zip(rows.keys, one.splits, strict=True)) == dict(
        zip(shuffled.keys, other.splits, strict=True)
    )
    assert one.class_counts == other.class_counts


def test_the_splits_are_the_same_everywhere_and_forever():
    """Law 3: any other result would reshuffle everybody's data."""
    rows = rows_of([4, 4])
    planned = plan(rows, val_size=0.25, test_size=0.25, seed=7)
    assert " ".join(planned.splits) == GOLDEN
    rows.groups[:] = ["a", "a", "b", "c"] * 2
    planned = plan(rows, val_size=0.25, test_size=0.25, seed=7)
    assert " ".join(planned.splits) == GOLDEN_WITH_GROUPS


GOLDEN = "test train train validation validation train test train"
GOLDEN_WITH_GROUPS = "train train validation test train train validation test"


def unequal_rows(count, *, groups_of=0):
    """Returns rows of 200 very unequal classes, in groups of one size."""
    rng = random.Random(0)
    classes = [f"class{c}" for c in range(200)]
    weights = [1 / (c + 1) for c in range(200)]
    labels = classes + rng.choices(classes, weights, k=count - len(classes))
    rows = rows_of([count])
    rows.labels[:] = labels
    if groups_of:
        names = [f"group{at // groups_of}" for at in range(count)]
        rng.shuffle(names)
        rows.groups[:] = names
    return rows


@pytest.mark.parametrize(("percent", "most"), [(1, 0.005), (10, 0.02)])
def test_added_rows_move_few_others(percent, most):
    """Law 4: at most 2 % of the old rows move when 10 % are added."""
    old = 12_000
    rows = unequal_rows(old * 11 // 10)
    before = plan(rows.taken(range(old))).splits
    after = plan(rows.taken(range(old + old * percent // 100))).splits[:old]
    assert (before != after).mean() <= most


@given(st.lists(st.integers(20, 400), min_size=1, max_size=8), seeds, st.data())
def test_one_more_row_moves_at_most_a_few(class_sizes, seed, data):
    """Law 4: a row displaces one at each cut of its class, and so on in a chain."""
    rows = rows_of(class_sizes)
    at = data.draw(st.integers(0, len(rows) - 1))
    fewer = rows.taken([other for other in range(len(rows)) if other != at])
    before = plan(fewer, seed=seed).splits
    after = np.delete(plan(rows, seed=seed).splits, at)
    # The class of the row, and the classes that make up for the totals.
    assert (before != after).sum() <= 2 * len(class_sizes) + 2


@given(bound_rows(), st.lists(st.sampled_from(["", "train", "validation", "test"])))
def test_pinned_rows_are_still(rows, drawn):
    """Law 4: pinned rows and their groups stay; the others are still divided."""
    unit_of = walk.units_of(rows.groups, rows.digests).unit_of
    split_of = dict(enumerate(drawn))
    pinned = [
        split_of.get(unit, "") if at % 3 else "" for at, unit in enumerate(unit_of)
    ]
    try:
        planned = plan(rows, pinned=pinned)
    except exceptions.SplitError as error:
        assert "would be empty" in str(error)  # noqa: PT017 - not always raised
        return
    for split, before in zip(planned.splits, pinned, strict=True):
        assert before in ("", split)


@given(class_sizes.filter(lambda sizes: sum(sizes) >= 30), seeds)
def test_a_plan_pinned_by_itself_is_the_same(class_sizes, seed):
    """Law 4: rows added to a pinned plan make it exact again."""
    rows = rows_of(class_sizes)
    half = rows.taken(range(0, len(rows), 2))
    try:
        before = dict(zip(half.keys, plan(half, seed=seed).splits, strict=True))
    except exceptions.SplitError:
        return
    pinned = [before.get(key, "") for key in rows.keys]
    planned = plan(rows, pinned=pinned, seed=seed + 1 if seed == 0 else seed - 1)
    assert_exact(rows, planned, exact_shares(0.1, 0.1))


def test_pinned_rows_count_in_the_shares():
    """New rows go where pinned ones are missing."""
    rows = rows_of([100])
    pinned = ["train"] * 80 + [""] * 20
    planned = plan(rows, pinned=pinned)
    assert {
        name: counts["class0"] for name, counts in planned.class_counts.items()
    } == {
        "train": 80,
        "validation": 10,
        "test": 10,
    }


def test_a_pinned_split_without_a_size_stays():
    """A split that the config no longer asks for keeps its old rows, and gets none."""
    rows = rows_of([20])
    pinned = ["validation"] * 3 + [""] * 17
    planned = plan(rows, pinned=pinned, val_size=0, test_size=0.5)
    counts = {name: count["class0"] for name, count in planned.class_counts.items()}
    assert counts["validation"] == 3
    # Both lack as many of their 10 as possible.
    assert {counts["train"], counts["test"]} == {8, 9}


def test_given_rows_are_passed_through_and_not_counted():
    """The sizes divide the rows with an empty cell."""
    rows = rows_of([100])
    given = ["test"] * 30 + ["extra"] * 10 + [""] * 60
    planned = plan(rows, given=given)
    assert list(planned.splits[:40]) == given[:40]
    assert {
        name: counts["class0"] for name, counts in planned.class_counts.items()
    } == {
        "train": 48,
        "validation": 6,
        "test": 36,
        "extra": 10,
    }


def test_rows_follow_the_given_split_of_their_group():
    """Law 2 goes before the sizes."""
    rows = rows_of([40])
    rows.groups[:10] = ["g"] * 10
    planned = plan(rows, given=["test", *[""] * 39])
    assert list(planned.splits[:10]) == ["test"] * 10
    assert planned.class_counts["test"]["class0"] == 13


def test_all_rows_may_be_given():
    """There is nothing to divide, and no split with a size."""
    rows = rows_of([4])
    planned = plan(rows, given=["train", "train", "train", "holdout"])
    assert planned.class_counts == {"train": {"class0": 3}, "holdout": {"class0": 1}}
    assert planned.largest_class_deviation == 0


def test_rows_without_a_label_are_in_no_class():
    """A row of a given split may lack a label."""
    rows = rows_of([9])
    rows.labels[0] = ""
    planned = plan(rows, given=["unlabeled", *[""] * 8], val_size=0.25, test_size=0.25)
    assert planned.splits[0] == "unlabeled"
    assert planned.class_counts["unlabeled"] == {"class0": 0}
    assert planned.class_counts["train"] == {"class0": 4}


@pytest.mark.parametrize("kind", ["given", "pinned"])
def test_a_group_can_not_be_in_two_splits(kind):
    """The message has the key and both splits."""
    rows = rows_of([3])
    rows.groups[:] = ["g", "g", ""]
    with pytest.raises(exceptions.SplitError) as caught:
        plan(rows, **{kind: ["train", "test", ""]})
    assert str(caught.value) == (
        "'000001.png' is to be in test, and another row of its group, or another copy"
        " of its image, in train."
    )


def test_single_rows_make_up_for_lumpy_groups():
    """Law 1 holds with groups if there are enough single rows."""
    rows = rows_of([300, 200])
    rows.groups[:40] = ["a"] * 40
    rows.groups[300:350] = ["b"] * 25 + ["c"] * 25
    planned = plan(rows)
    assert_exact(rows, planned, exact_shares(0.1, 0.1))


def test_many_small_groups_are_nearly_exact():
    """Groups of four in 200 unequal classes, without single rows."""
    planned = plan(unequal_rows(12_000, groups_of=4))
    assert planned.largest_class_deviation < 2
    assert planned.largest_split_deviation <= 4


def measures(rows, fold_of, folds):
    """Returns the largest deviations, and the mean standard deviation."""
    names = sorted(set(rows.labels))
    table = np.zeros((len(names), folds))
    for label, fold in zip(rows.labels, fold_of, strict=True):
        table[names.index(label), fold] += 1
    sizes = table.sum(axis=1, keepdims=True)
    return (
        np.abs(table - sizes / folds).max(),
        np.abs(table.sum(axis=0) - len(rows) / folds).max(),
        (table / sizes).std(axis=1).mean(),
    )


def grouped_rows(kind, seed):
    """Returns rows in lumpy groups, of several kinds."""
    rng = np.random.default_rng(seed)
    group_count, classes = {
        "few": (15, 3),
        "many": (300, 12),
        "pure": (200, 10),
        "unequal": (150, 20),
    }[kind]
    group_sizes = rng.geometric(0.1, group_count)
    if kind == "unequal":
        group_sizes = np.minimum(rng.zipf(1.7, group_count), 300)
    weights = rng.dirichlet(np.ones(classes))
    rows = rows_of([int(group_sizes.sum())])
    rows.groups[:] = [f"g{g:03}" for g, n in enumerate(group_sizes) for _ in range(n)]
    labels = rng.choice(classes, len(rows), p=weights)
    if kind == "pure":
        labels = np.repeat(rng.choice(classes, group_count, p=weights), group_sizes)
    rows.labels[:] = [f"class{label:02}" for label in labels]
    return rows


@pytest.mark.parametrize("kind", ["few", "many", "pure", "unequal"])
def test_folds_of_groups_are_as_balanced_as_those_of_scikit_learn(kind):
    """The mean over ten sets of rows is no worse than `StratifiedGroupKFold`'s."""
    folds = 5
    ours, theirs = [], []
    for seed in range(10):
        rows = grouped_rows(kind, seed)
        planned = plan(rows, folds=folds, test_size=0)
        ours.append(measures(rows, [int(name[-1]) for name in planned.splits], folds))
        reference = np.zeros(len(rows), int)
        divider = StratifiedGroupKFold(folds)
        for fold, (_, held_out) in enumerate(
            divider.split(rows.keys, rows.labels, rows.groups)
        ):
            reference[held_out] = fold
        theirs.append(measures(rows, reference, folds))
    for one, other in zip(np.mean(ours, 0), np.mean(theirs, 0), strict=True):
        assert one <= other
    # In no set is it much worse.
    assert (np.array(ours)[:, [0, 2]] <= 1.1 * np.array(theirs)[:, [0, 2]]).all()


@pytest.mark.parametrize(("percent", "most"), [(1, 0.005), (10, 0.02)])
def test_added_rows_move_few_others_beside_groups_and_copies(percent, most):
    """Law 4 with some groups and copies: the single rows make up for them."""
    old = 12_000
    rows = unequal_rows(old * 11 // 10)
    for at in range(0, len(rows), 50):
        rows.groups[at : at + 5] = [f"group{at}"] * 5
        rows.digests[at + 7] = rows.digests[at + 6]
    before = plan(rows.taken(range(old))).splits
    after = plan(rows.taken(range(old + old * percent // 100)))
    assert (before != after.splits[:old]).mean() <= most
    assert after.largest_class_deviation < 1
    assert after.largest_split_deviation < 1


def test_the_seed_chooses_another_plan():
    """Two seeds agree on no more rows than by chance."""
    rows = rows_of([1000])
    one, other = (plan(rows, val_size=0.5, test_size=0, seed=s).splits for s in (0, 1))
    assert 400 < (one == other).sum() < 600


def test_counts_are_met_exactly():
    """A size that is an int is a number of images."""
    planned = plan(rows_of([50, 30, 20]), val_size=17, test_size=3)
    totals = {
        split: sum(counts.values()) for split, counts in planned.class_counts.items()
    }
    assert totals == {"train": 80, "validation": 17, "test": 3}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"val_size": 0, "test_size": 0}, ["train"]),
        ({"val_size": 0.5, "test_size": 0}, ["train", "validation"]),
        ({"val_size": 0, "test_size": 0.5}, ["train", "test"]),
        ({"val_size": 0.5, "test_size": 0.5}, ["validation", "test"]),
        ({}, ["train", "validation", "test"]),
        ({"folds": 2, "test_size": 0}, ["fold0", "fold1"]),
        ({"folds": 11}, [*(f"fold{at}" for at in range(11)), "test"]),
    ],
)
def test_a_split_without_size_does_not_exist(options, names):
    """The splits are in the order train or folds, validation, test."""
    planned = plan(rows_of([60, 40]), **options)
    assert list(planned.class_counts) == names
    assert set(planned.splits) == set(names)


def test_a_class_without_rows_is_counted():
    """The counts have 0 for a class of the config that the CSV lacks."""
    planned = assign.plan_splits(
        ["a", "b"],
        ["x", "x"],
        class_names=["y", "x"],
        options=assign.SplitOptions(val_size=0.5, test_size=0),
    )
    assert planned.class_counts == {
        "train": {"y": 0, "x": 1},
        "validation": {"y": 0, "x": 1},
    }


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"val_size": 0.5, "test_size": 51}, "val_size=0.5 and test_size=51"),
        ({"val_size": 0.5, "test_size": 101, "folds": 2}, "test_size=101"),
    ],
)
def test_sizes_that_ask_for_more_images_than_there_are(options, sizes):
    """The message has the sizes and the number of images."""
    with pytest.raises(exceptions.SplitError) as caught:
        plan(rows_of([100]), **options)
    assert str(caught.value) == (
        f"{sizes}: that is 101 images, and there are 100 to divide. Make them smaller;"
        " '20%' stands for a fraction."
    )


def test_fewer_images_than_splits():
    """TFDS can't write an empty split."""
    with pytest.raises(exceptions.SplitError) as caught:
        plan(rows_of([1, 1]))
    assert str(caught.value) == (
        "2 images are too few for the splits train, validation, test: validation would"
        " be empty. Groups, copies and pinned images can't be divided. Ask for fewer"
        " splits, or add images."
    )


def test_groups_go_where_an_overfull_pinned_split_leaves_a_lack():
    """Wanted counts are scaled to the available rows: no split wants too much."""
    rows = rows_of([60])
    rows.groups[30:] = [f"group{at // 3}" for at in range(30)]
    pinned = ["validation"] * 20 + [""] * 40
    planned = plan(rows, pinned=pinned, val_size=0.1, test_size=0.4)
    counts = {name: count["class0"] for name, count in planned.class_counts.items()}
    # Of the 40 others, train wants 30 and test 24: both lack as much.
    assert counts["validation"] == 20
    assert abs(counts["train"] - 23) <= 1
    assert counts["train"] + counts["test"] == 40


def test_rows_may_all_be_without_a_label():
    """There is no class to count."""
    rows = rows_of([3])
    rows.labels[:] = [""] * 3
    planned = plan(rows, given=["unlabeled"] * 3)
    assert planned.class_counts == {"unlabeled": {}}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 40) | st.integers(2**64 - 40, 2**64 - 1),
            st.text(max_size=3),
        ),
        unique_by=lambda row: row[2],
        max_size=30,
    )
)
def test_rows_are_ordered_by_class_point_and_key(rows):
    """Even if their points differ only in the last bits, or not at all."""
    classes, points, keys = zip(*rows, strict=True) if rows else ((), (), ())
    task = assign._Task(
        classes=np.array(classes, np.int32),
        class_count=5,
        shares=[Fraction(1)],
        priorities=[0],
        points=np.array(points, np.uint64),
    )
    order = task._in_order(np.arange(len(rows)), arrays.texts(keys))
    assert [rows[at] for at in order.tolist()] == sorted(rows)
