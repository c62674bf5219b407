"""Laws 1 to 4 for tables of boxes, where several rows are one image."""

import collections
import csv
import random

import numpy as np
import pytest
import walk
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_imagecsv import arrays
from tfds_imagecsv.splits import assign
from tfds_imagecsv.splits import strata as strata_lib

HEADER = ("filename", "class", "xmin", "ymin", "xmax", "ymax", "group")
SHARES = {"train": 0.7, "validation": 0.2, "test": 0.1}

# The classes of an image's boxes, some of them twice.
of_an_image = st.lists(st.sampled_from(["a", "b", "c", "a|b"]), max_size=3)


def rows_of(images, groups=None):
    """Returns the rows of a table, given the classes of each image's boxes."""
    rows = []
    for at, classes in enumerate(images):
        group = groups[at] if groups else ""
        boxes = [(name, n, 0, n + 5, 9) for n, name in enumerate(classes)] or [[""] * 5]
        rows += [(f"{at:03}.png", *box, group) for box in boxes]
    return rows


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Returns a function that reads a table, and plans its splits.

    It returns the split and the label by key.
    """
    path = tmp_path_factory.mktemp("boxes") / "labels.csv"

    def plan(rows, digests=None):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *rows])
        table = walk.read_labels(path, label_type="boxes", group_column="group")
        assert not table.problems
        read = table.rows
        keys = read["key"].to_pylist()
        strata = strata_lib.find_strata("boxes", read, table.class_names)
        of_images = [(digests or {}).get(key, "") for key in keys]
        splits = assign.plan_splits(
            read["key"],
            strata.of_row,
            class_names=strata.names,
            coarse=strata.coarse,
            options=assign.SplitOptions(val_size=0.2, test_size=0.1),
            units=walk.units_of(read["group"].to_pylist(), of_images),
            groups=read["group"],
        ).splits
        labels = arrays.decoded(read["label"]).to_pylist()
        return dict(
            zip(keys, zip(splits.to_pylist(), labels, strict=True), strict=True)
        )

    return plan


@settings(max_examples=50)
@given(images=st.lists(of_an_image, min_size=10, max_size=120))
def test_combinations_of_classes_are_stratified(planned, images):
    """Law 1: those of images with any number of boxes; and the totals."""
    found = planned(rows_of(images))
    combinations = [frozenset(classes) for classes in images]
    sizes = collections.Counter(combinations)
    splits = [split for split, _ in found.values()]
    counts = collections.Counter(zip(splits, combinations, strict=True))
    for split, share in SHARES.items():
        assert abs(splits.count(split) - share * len(images)) < 1
        for combination, size in sizes.items():
            assert abs(counts[split, combination] - share * size) < 1
    # Different combinations have different labels.
    labels = {label for _, label in found.values()}
    assert len(labels) == len(sizes)


@settings(max_examples=50)
@given(
    images=st.lists(of_an_image, min_size=20, max_size=80),
    seed=st.integers(0, 2**32),
)
def test_nothing_leaks(planned, images, seed):
    """Law 2: no group, no copy and no chain of them is in two splits."""
    rng = random.Random(seed)
    groups = [rng.choice(["", "", f"g{rng.randrange(8)}"]) for _ in images]
    keys = [f"{at:03}.png" for at in range(len(images))]
    copies = [rng.choice(["", "", f"copy {rng.randrange(6)}"]) for _ in images]
    # Copies have the same boxes.
    first = {}
    images = [
        first.setdefault(copy, classes) if copy else classes
        for copy, classes in zip(copies, images, strict=True)
    ]
    found = planned(rows_of(images, groups), dict(zip(keys, copies, strict=True)))
    assert list(found) == keys
    for values in (groups, copies):
        splits_of = collections.defaultdict(set)
        for key, value in zip(keys, values, strict=True):
            splits_of[value].add(found[key][0])
        splits_of.pop("", None)
        assert all(len(splits) == 1 for splits in splits_of.values())


@settings(max_examples=50)
@given(images=st.lists(of_an_image, min_size=10, max_size=80), seed=st.integers(0, 99))
def test_the_order_of_the_rows_changes_nothing(planned, images, seed):
    """Law 3: even if other rows are between the boxes of an image."""
    rows = rows_of(images)
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert planned(shuffled) == planned(rows)


def test_added_boxes_move_no_image(planned):
    """Law 4: another box of a class that an image has is no new combination."""
    rng = np.random.default_rng(0)
    images = [list(rng.choice(["a", "b", "c"], rng.integers(3))) for _ in range(300)]
    more = [classes + classes[:1] for classes in images]
    assert planned(rows_of(more)) == planned(rows_of(images))
