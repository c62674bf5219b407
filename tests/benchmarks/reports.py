"""Measures the time that a report adds to a build.

    python tests/benchmarks/reports.py [--images=2000] [--rounds=3]

A report looks at a few images and at counts, so it takes a fixed time: its share falls
with the number of images. Builds with and without a report take turns.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import data
import measuring
import tensorflow_datasets as tfds

import tfds_imagecsv


def main() -> None:
    """Prints the seconds of builds with and without a report, by kind of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    tfds.disable_progress_bar()
    warnings.simplefilter("ignore", tfds_imagecsv.ImageCsvWarning)
    kinds = {
        "PNGs of 32 x 32": (data.make_thumbnails, args.images),
        "photographs of 384 x 480": (data.make_photographs, args.images),
        "turned photographs of 12 MP": (
            data.make_large_turned,
            max(args.images // 40, 20),
        ),
    }
    print(f"{'images':<28} {'number':>7} {'without':>8} {'with':>8} {'more':>6}")
    for name, (make, count) in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            data.make_dataset(Path(folder), make, count)
            seconds = measuring.medians(
                {
                    str(has): lambda has=has, folder=folder: build(folder, has)
                    for has in (False, True)
                },
                args.rounds,
            )
        without, with_report = seconds["False"], seconds["True"]
        more = with_report / without - 1
        print(
            f"{name:<28} {count:>7,} {without:>7.2f}s {with_report:>7.2f}s {more:>6.0%}"
        )


def build(folder: str, has_report: bool) -> None:
    """Builds the dataset of a folder, with or without a report."""
    config = tfds_imagecsv.ImageCsvConfig(
        name="photos",
        image_dir=Path(folder) / data.IMAGES,
        label_csv=Path(folder) / data.LABELS,
        report=has_report,
    )
    with tempfile.TemporaryDirectory() as data_dir:
        builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
        builder.download_and_prepare()


if __name__ == "__main__":
    main()
