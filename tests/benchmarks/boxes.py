"""Measures what boxes add to a build.

    python tests/benchmarks/boxes.py [--images=12000] [--boxes=100000] [--rounds=3]

The same photographs (JPEGs of 384 x 480) are built with a table of boxes, a row for
each, and with a table of one class per image. Both take turns in one process. Neither
looks for near duplicates, since parts of two photographs are near duplicates, nor
writes a report, whose time is fixed. The benchmark compares the processor time of all
processes and the time on the clock: the medians of the rounds, after an unmeasured one.

To see that it works: `python tests/benchmarks/boxes.py --quick`.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import data
import numpy as np
import tensorflow_datasets as tfds

import tfds_imagecsv

# The table of boxes, beside that of labels.
_BOXES = "boxes.csv"

# The most that a build with boxes may take, relative to one without.
LIMIT = 1.2


class Taken(NamedTuple):
    """The seconds of a build: of all processors, and on the clock."""

    processors: float
    clock: float


def main() -> None:
    """Prints what builds with and without boxes take, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of few images")
    args = parser.parse_args()
    images, boxes, rounds = args.images, args.boxes, args.rounds
    if args.quick:
        images, boxes, rounds = 120, 1000, 1
    tfds.disable_progress_bar()
    warnings.simplefilter("ignore", tfds_imagecsv.ImageCsvWarning)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        data.make_dataset(folder, data.make_photographs, images)
        write_boxes(folder, boxes)
        taken: dict[bool, list[Taken]] = {False: [], True: []}
        for done in range(1 + rounds):
            for has_boxes, found in taken.items():
                found.append(build(folder, has_boxes))
                if not done:
                    found.clear()
    print(f"{images:,} photographs, {boxes:,} boxes, medians of {rounds} rounds")
    print(f"{'seconds':<12} {'without':>8} {'with':>8} {'ratio':>6}")
    for name in Taken._fields:
        without, with_boxes = (
            statistics.median(getattr(one, name) for one in taken[has_boxes])
            for has_boxes in (False, True)
        )
        ratio = with_boxes / without
        print(f"{name:<12} {without:>8.2f} {with_boxes:>8.2f} {ratio:>6.2f}")
    print(f"limit: {LIMIT} times the build without boxes")


def write_boxes(folder: Path, count: int) -> None:
    """Writes a table of boxes anywhere in the images of a directory."""
    rng = np.random.default_rng(0)
    names = sorted(path.name for path in (folder / data.IMAGES).iterdir())
    height, width = 384, 480
    of = np.sort(rng.integers(len(names), size=count))
    left, upper = (
        rng.integers(width - 10, size=count),
        rng.integers(height - 10, size=count),
    )
    right, lower = (
        rng.integers(left + 5, width + 1),
        rng.integers(upper + 5, height + 1),
    )
    labels = rng.integers(len(data.CLASSES), size=count)
    with (folder / _BOXES).open("w", newline="") as file:
        writer = csv.writer(file)
        header = (
            "filename",
            "width",
            "height",
            "class",
            "xmin",
            "ymin",
            "xmax",
            "ymax",
        )
        writer.writerow(header)
        for at, label, *edges in np.stack([of, labels, left, upper, right, lower]).T:
            row = (names[at], width, height, data.CLASSES[label], *map(int, edges))
            writer.writerow(row)
        for at in sorted({*range(len(names))} - set(of.tolist())):
            writer.writerow((names[at], width, height, *[""] * 5))


def build(folder: Path, has_boxes: bool) -> Taken:
    """Builds the dataset of a folder, with boxes or with classes."""
    config = tfds_imagecsv.ImageCsvConfig(
        name="photographs",
        image_dir=folder / data.IMAGES,
        label_csv=folder / (_BOXES if has_boxes else data.LABELS),
        label_type="boxes" if has_boxes else "class",
        near_duplicates="off",
        report=False,
    )
    with tempfile.TemporaryDirectory() as data_dir:
        builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
        before, start = _processors(), time.perf_counter()
        builder.download_and_prepare()
        return Taken(_processors() - before, time.perf_counter() - start)


def _processors() -> float:
    """Returns the processor seconds of this process, and of ended ones."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
