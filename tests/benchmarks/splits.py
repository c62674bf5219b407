"""Compares the splits of tfds_imagecsv with those of two other recipes.

Run as `python tests/benchmarks/splits.py`. All figures of a table come from one run on
the same rows:

* 12,000 rows in 200 very unequal classes, 2 % of them copies of others: how far the
  counts are off, how many copies leak, and how many rows change their split when rows
  are added or the CSV is shuffled;
* up to 20,000,000 rows in 1,000 classes, in groups: the time to read and to plan a
  row, relative to the time in which pandas reads and sorts the same CSV; and the
  memory.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import measuring
import numpy as np
import pandas as pd
import pyarrow as pa
from etils import epath
from sklearn.model_selection import train_test_split

from tfds_imagecsv import arrays
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources import locate
from tfds_imagecsv.splits import assign, together
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import label_table

VAL_SIZE, TEST_SIZE = 0.1, 0.1
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}

# Tables of up to this many rows are read more than once.
_MOST_REPEATED = 1_000_000

# Keys and labels in, the split of each key out.
Recipe = Callable[[Sequence[str], Sequence[str], Sequence[str]], dict[str, str]]


def tfds_imagecsv(
    keys: Sequence[str],
    labels_of_rows: Sequence[str],
    digests: Sequence[str],
    pinned: Sequence[str] | None = None,
) -> dict[str, str]:
    """Plans with this project."""
    of_images = pa.array(
        [files.digest_of(digest.encode()) for digest in digests], arrays.DIGEST
    )
    planned = assign.plan_splits(
        keys,
        labels_of_rows,
        class_names=sorted(set(labels_of_rows)),
        options=assign.SplitOptions(val_size=VAL_SIZE, test_size=TEST_SIZE),
        units=together.find_units(None, [of_images], rows=len(keys)),
        pinned=pinned,
    )
    return dict(zip(keys, planned.splits.to_pylist(), strict=True))


def scikit_learn(
    keys: Sequence[str], labels_of_rows: Sequence[str], digests: Sequence[str]
) -> dict[str, str]:
    """Plans with `train_test_split(stratify=...)`, called twice."""
    del digests  # it knows none
    train, held_out, _, held_out_labels = train_test_split(
        keys,
        labels_of_rows,
        test_size=VAL_SIZE + TEST_SIZE,
        stratify=labels_of_rows,
        random_state=0,
    )
    validation, test = train_test_split(
        held_out,
        test_size=TEST_SIZE / (VAL_SIZE + TEST_SIZE),
        stratify=held_out_labels,
        random_state=0,
    )
    return {
        key: split
        for split, found in (
            ("train", train),
            ("validation", validation),
            ("test", test),
        )
        for key in found
    }


def image2tfrecords(
    keys: Sequence[str], labels_of_rows: Sequence[str], digests: Sequence[str]
) -> dict[str, str]:
    """Plans with the ancestor's rule.

    For each class, validation and test get their shares rounded down, train the rest,
    and a lone train row goes to test.
    """
    del digests  # it knows none
    rng = random.Random(0)
    rows_of = collections.defaultdict(list)
    for key, label in zip(keys, labels_of_rows, strict=True):
        rows_of[label].append(key)
    planned = {}
    for found in rows_of.values():
        rng.shuffle(found)
        validation = int(len(found) * VAL_SIZE)
        test = int(len(found) * TEST_SIZE)
        if len(found) - validation - test == 1:
            test += 1
        names = ["validation"] * validation + ["test"] * test
        names += ["train"] * (len(found) - len(names))
        planned.update(zip(found, names, strict=True))
    return planned


def make_rows(count: int) -> tuple[list[str], list[str], list[str]]:
    """Returns the keys, labels and digests of rows in 200 very unequal classes.

    Each class has 8 rows or more, since scikit-learn refuses smaller ones.
    """
    rng = random.Random(0)
    classes = [f"class{c}" for c in range(200)]
    weights = [1 / (c + 1) for c in range(200)]
    found = classes * 8
    found += rng.choices(classes, weights, k=count - len(found))
    keys = [f"{at:06}.jpg" for at in range(count)]
    digests = [f"digest of {key}" for key in keys]
    last = {}
    for at, label in enumerate(found):
        if at % 50 == 49 and label in last:
            digests[at] = digests[last[label]]
        last[label] = at
    return keys, found, digests


def largest_deviations(
    planned: dict[str, str], keys: Sequence[str], labels_of_rows: Sequence[str]
) -> tuple[float, float]:
    """Returns by how many rows a cell, and a total, is off at most."""
    found = collections.Counter(
        (label, planned[key]) for key, label in zip(keys, labels_of_rows, strict=True)
    )
    sizes = collections.Counter(labels_of_rows)
    totals = collections.Counter(planned.values())
    return (
        max(
            abs(found[label, split] - size * share)
            for label, size in sizes.items()
            for split, share in SHARES.items()
        ),
        max(abs(totals[split] - len(keys) * share) for split, share in SHARES.items()),
    )


def leaked(planned: dict[str, str], keys: Sequence[str], digests: Sequence[str]) -> int:
    """Returns how many images are in several splits."""
    splits_of = collections.defaultdict(set)
    for key, digest in zip(keys, digests, strict=True):
        splits_of[digest].add(planned[key])
    return sum(len(found) > 1 for found in splits_of.values())


def moved(before: dict[str, str], after: dict[str, str]) -> str:
    """Returns the share of the rows of `before` that `after` has elsewhere."""
    return (
        f"{sum(after[key] != split for key, split in before.items()) / len(before):.2%}"
    )


def compare_recipes(old: int = 12_000) -> None:
    """Prints the table of the recipes."""
    keys, found, digests = make_rows(old * 11 // 10)
    order = random.Random(1).sample(range(old), old)
    recipes: dict[str, Recipe] = {
        "tfds_imagecsv": tfds_imagecsv,
        "scikit-learn, two steps": scikit_learn,
        "image2tfrecords": image2tfrecords,
    }
    columns = [
        "largest cell deviation",
        "largest total deviation",
        "leaked duplicates",
        "moved, CSV shuffled",
        "moved, 1 % added",
        "moved, 10 % added",
    ]
    print(f"| {old:,} rows, 200 classes | {' | '.join(columns)} |")
    print(f"|---|{'---:|' * len(columns)}")

    def row(name: str, recipe: Recipe, *after: dict[str, str]) -> None:
        before = recipe(keys[:old], found[:old], digests[:old])
        cell, total = largest_deviations(before, keys[:old], found[:old])
        shuffled = recipe(*([c[at] for at in order] for c in (keys, found, digests)))
        grown = after or [
            recipe(keys[:new], found[:new], digests[:new])
            for new in (old * 101 // 100, old * 11 // 10)
        ]
        cells = [
            f"{cell:.2f}",
            f"{total:.2f}",
            str(leaked(before, keys[:old], digests[:old])),
            *(moved(before, other) for other in (shuffled, *grown)),
        ]
        print(f"| {name} | {' | '.join(cells)} |")

    for name, recipe in recipes.items():
        row(name, recipe)
    before = tfds_imagecsv(keys[:old], found[:old], digests[:old])
    row(
        "tfds_imagecsv, pinned",
        tfds_imagecsv,
        *(
            tfds_imagecsv(
                keys[:new],
                found[:new],
                digests[:new],
                [before.get(key, "") for key in keys[:new]],
            )
            for new in (old * 101 // 100, old * 11 // 10)
        ),
    )


def plan_csv(path: str, group_column: str | None) -> None:
    """Reads and plans a CSV, and prints the seconds for each, and the memory."""
    start = time.perf_counter()
    sources = locate.Sources(
        image_dir=epath.Path(path).parent / "nowhere",
        tables=(locate.TableSource(field="label_csv", table=epath.Path(path)),),
    )
    table = label_table.read_labels(sources, TableOptions(group_column=group_column))
    read = time.perf_counter()
    groups = table.rows["group"]
    assign.plan_splits(
        table.rows["key"],
        table.rows["label"],
        class_names=table.class_names,
        options=assign.SplitOptions(),
        units=together.find_units(groups, [], rows=len(groups)),
        groups=groups,
    )
    planned = time.perf_counter()
    print(read - start, planned - read, measuring.peak_megabytes())


def read_and_sort(path: str) -> None:
    """Reads and sorts a CSV with pandas, and prints the seconds, and the memory."""
    start = time.perf_counter()
    pd.read_csv(path).sort_values("filename")
    print(time.perf_counter() - start, measuring.peak_megabytes())


def measure_large_tables(most: int) -> None:
    """Prints the time and the memory of a row; the median of three for small tables.

    The memory is the peak of the process, including Python and its libraries.

    Args:
      most: the most rows of a table.
    """
    names = "rows in 1,000 classes", "groups of", "read, µs", "plan, µs", "pandas, µs"
    print(f"| {' | '.join(names)} | ratio | bytes |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for rows, group_size in (
        (100_000, 4),
        (300_000, 4),
        (1_000_000, 4),
        (1_000_000, 10),
        (1_000_000, 1),
        (5_000_000, 4),
        (20_000_000, 4),
    ):
        if rows > most:
            continue
        rng = np.random.default_rng(0)
        weights = 1 / np.arange(1, 1001)
        classes = rng.choice(1000, rows, p=weights / weights.sum())
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "labels.csv")
            pd.DataFrame(
                {
                    "filename": [f"{at:07}.jpg" for at in rng.permutation(rows)],
                    "label": [f"class{c:04}" for c in classes],
                    "patient": [f"p{g}" for g in rng.permutation(rows) // group_size],
                }
            ).to_csv(path, index=False)
            ours, pandas = [], []
            for _ in range(3 if rows <= _MOST_REPEATED else 1):
                ours.append(measuring.in_new_process(__file__, "plan", path))
                pandas.append(measuring.in_new_process(__file__, "pandas", path))
        read, plan, megabytes = np.median(ours, axis=0)
        base = np.median(pandas, axis=0)[0]
        times = " | ".join(f"{one / rows * 1e6:.2f}" for one in (read, plan, base))
        print(
            f"| {rows:,} | {group_size} | {times} | {(read + plan) / base:.1f} |"
            f" {megabytes * 1e6 / rows:.0f} |"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["plan"]:
        plan_csv(sys.argv[2], group_column="patient")
    elif sys.argv[1:2] == ["pandas"]:
        read_and_sort(sys.argv[2])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument(
            "--rows", type=int, default=20_000_000, help="of the largest table"
        )
        most = parser.parse_args().rows
        compare_recipes()
        print()
        measure_large_tables(most)
