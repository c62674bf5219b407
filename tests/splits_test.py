"""Which row goes into which split."""

import collections
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import exceptions, splits


def rows_of(sizes):
    """Returns the keys and the labels of classes of given sizes."""
    labels = [f"class{c}" for c, size in enumerate(sizes) for _ in range(size)]
    return [f"{at:05}.png" for at in range(len(labels))], labels


def plan(keys, labels, *, val_size=0.1, test_size=0.1, **kwargs):
    """Plans the splits of rows whose class names are those that occur."""
    return splits.plan_splits(
        keys,
        labels,
        class_names=sorted(set(labels)),
        val_size=val_size,
        test_size=test_size,
        **kwargs,
    )


sizes_strategy = st.lists(st.integers(1, 300), min_size=1, max_size=15).filter(
    lambda sizes: sum(sizes) >= 3
)
fractions_strategy = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(
    lambda sizes: sum(sizes) <= 1
)


@given(sizes_strategy, fractions_strategy, st.integers(0, 2**64 - 1))
def test_the_splits_are_complete_and_exact(sizes, fractions, seed):
    """Law 1: each row is in one split; cells and totals are within 1 of their share."""
    keys, labels = rows_of(sizes)
    val_size, test_size = fractions
    try:
        planned = plan(keys, labels, val_size=val_size, test_size=test_size, seed=seed)
    except exceptions.SplitError as error:
        assert "would be empty" in str(error)
        return
    shares = {
        "train": 1 - val_size - test_size,
        "validation": val_size,
        "test": test_size,
    }
    # Rounding errors of floats, which are no errors of the plan.
    slack = 1e-6
    found = collections.Counter(zip(planned.splits, labels, strict=True))
    assert found.total() == len(keys)
    for split, share in shares.items():
        total = sum(planned.splits == split)
        assert abs(total - share * len(keys)) < 1 + slack
        for label in set(labels):
            count = found[split, label]
            assert abs(count - share * labels.count(label)) < 1 + slack
            assert planned.class_counts.get(split, {}).get(label, 0) == count


@given(sizes_strategy, st.randoms(use_true_random=False))
def test_the_splits_do_not_depend_on_the_order_of_the_rows(sizes, rng):
    """Law 3: a shuffled CSV gives the same splits."""
    keys, labels = rows_of(sizes)
    one = dict(zip(keys, plan(keys, labels).splits, strict=True))
    order = rng.sample(range(len(keys)), len(keys))
    keys, labels = [keys[at] for at in order], [labels[at] for at in order]
    assert one == dict(zip(keys, plan(keys, labels).splits, strict=True))


def test_the_splits_are_the_same_everywhere_and_forever():
    """Law 3: these were written down once; another result would reshuffle all data."""
    keys, labels = rows_of([4, 4])
    planned = plan(keys, labels, val_size=0.25, test_size=0.25, seed=7)
    assert list(planned.splits) == [
        "train",
        "test",
        "validation",
        "train",
        "train",
        "train",
        "validation",
        "test",
    ]


@pytest.mark.parametrize(("percent", "moved"), [(1, 0.01), (10, 0.02)])
def test_added_rows_move_few_others(percent, moved):
    """Law 4: at most 2 % of the old rows move when 10 % are added."""
    rng = random.Random(0)
    classes = [f"class{c}" for c in range(200)]
    weights = [1 / (c + 1) for c in range(200)]
    old = 12_000
    labels = classes + rng.choices(classes, weights, k=old * 11 // 10 - len(classes))
    keys = [f"{at:05}.png" for at in range(len(labels))]
    before = plan(keys[:old], labels[:old]).splits
    new = old + old * percent // 100
    after = plan(keys[:new], labels[:new]).splits[:old]
    assert (before != after).mean() <= moved


def test_the_seed_chooses_another_plan():
    """Two seeds agree on no more rows than chance."""
    keys, labels = rows_of([1000])
    one, other = (
        plan(keys, labels, val_size=0.5, test_size=0, seed=seed).splits
        for seed in (0, 1)
    )
    assert 400 < (one == other).sum() < 600


def test_counts_are_met_exactly():
    """A size that is an int is a number of images."""
    keys, labels = rows_of([50, 30, 20])
    planned = plan(keys, labels, val_size=17, test_size=3)
    totals = {
        split: sum(counts.values()) for split, counts in planned.class_counts.items()
    }
    assert totals == {"train": 80, "validation": 17, "test": 3}


@pytest.mark.parametrize(
    ("val_size", "test_size", "names"),
    [
        (0, 0, ["train"]),
        (0.5, 0, ["train", "validation"]),
        (0, 0.5, ["train", "test"]),
        (0.5, 0.5, ["validation", "test"]),
        (0.1, 0.1, ["train", "validation", "test"]),
    ],
)
def test_a_split_without_size_does_not_exist(val_size, test_size, names):
    """The splits are in the order train, validation, test."""
    planned = plan(*rows_of([60, 40]), val_size=val_size, test_size=test_size)
    assert list(planned.class_counts) == names
    assert set(planned.splits) == set(names)


def test_a_class_without_rows_is_counted():
    """A class of the config that the CSV hasn't is in the counts, with 0."""
    planned = splits.plan_splits(
        ["a", "b"], ["x", "x"], class_names=["y", "x"], val_size=0.5, test_size=0
    )
    assert planned.class_counts == {
        "train": {"y": 0, "x": 1},
        "validation": {"y": 0, "x": 1},
    }


def test_sizes_that_ask_for_more_images_than_there_are():
    """The message has the sizes and the number of images."""
    with pytest.raises(exceptions.SplitError) as caught:
        plan(*rows_of([100]), val_size=0.5, test_size=51)
    assert str(caught.value) == (
        "val_size=0.5 and test_size=51 ask for 101 images, and there are 100. Make them"
        " smaller."
    )


def test_fewer_images_than_splits():
    """TFDS can't write an empty split."""
    with pytest.raises(exceptions.SplitError) as caught:
        plan(["a", "b"], ["x", "y"])
    assert str(caught.value) == (
        "2 images are too few for the splits train, validation, test: validation would"
        " be empty. Make val_size or test_size 0, or add images."
    )
