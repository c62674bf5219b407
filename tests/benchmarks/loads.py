"""Measures the time in which a load checks whether the dataset is still fresh.

Run as `python tests/benchmarks/loads.py`. A dataset of thumbnails is built once. All
figures are medians of five rounds; each round measures every line once, in a new
process, after imports. Files are in the page cache, and nothing has changed.

* "by its config" is `tfds.load("image_csv", builder_kwargs={"config": ...})`, and the
  comparison is its part in `raise_if_stale`.
* "by its name" is `tfds.load("image_csv/measured")` in a process that doesn't know this
  package: it compares nothing.
* If other programs use the cores as well, "computed" (CPU time) tells more.
* "all times changed" is the comparison if the time of each image has changed, but not
  its content, as in a copy: all are read once, and the new times are noted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import data
import measuring

_NAME = "measured"
_WAYS = ("name", "config", "times")


def load(way: str, source: str, data_dir: str) -> None:
    """Loads the dataset; prints the seconds of all, of the comparison, and its CPU."""
    import tensorflow  # noqa: F401 - so that no load imports it
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    spent = computed = 0.0
    if way == "name":
        seconds = measuring.timed(
            lambda: tfds.load(f"image_csv/{_NAME}", split="train", data_dir=data_dir)
        )
        print(json.dumps([seconds, spent, computed]))
        return
    import tfds_imagecsv

    if way == "times":
        for path in (Path(source) / data.IMAGES).iterdir():
            os.utime(path)
    config = tfds_imagecsv.ImageCsvConfig(
        name=_NAME,
        image_dir=Path(source) / data.IMAGES,
        label_csv=Path(source) / data.LABELS,
    )
    compare = tfds_imagecsv.ImageCsv.raise_if_stale

    def timed_compare(builder: tfds_imagecsv.ImageCsv) -> None:
        nonlocal spent, computed
        start = time.process_time()
        spent += measuring.timed(lambda: compare(builder))
        computed += time.process_time() - start

    tfds_imagecsv.ImageCsv.raise_if_stale = timed_compare
    seconds = measuring.timed(
        lambda: tfds.load(
            "image_csv",
            split="train",
            data_dir=data_dir,
            builder_kwargs={"config": config},
        )
    )
    print(json.dumps([seconds, spent, computed]))


def build(source: Path, data_dir: Path) -> None:
    """Builds the dataset, in a process of its own."""
    command = [Path(sys.executable).with_name("tfds-imagecsv"), "build"]
    command += [source / data.IMAGES, source / data.LABELS]
    command += [f"--name={_NAME}", f"--data_dir={data_dir}"]
    subprocess.run(command, check=True, capture_output=True)


def measure(source: Path, data_dir: Path, rounds: int) -> dict[str, tuple[float, ...]]:
    """Returns the medians of what `load` prints, for each way."""
    found: dict[str, list[list[float]]] = {way: [] for way in _WAYS}
    for _ in range(rounds):
        for way in _WAYS:
            done = subprocess.run(
                [sys.executable, __file__, "--load", way, source, data_dir],
                check=True,
                capture_output=True,
            )
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        way: tuple(map(statistics.median, zip(*seconds, strict=True)))
        for way, seconds in found.items()
    }


def main() -> None:
    """Makes and builds the dataset, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=50_000, help="how many")
    parser.add_argument("--quick", action="store_true", help="only one round")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as name:
        source, data_dir = Path(name) / "source", Path(name) / "data"
        data.make_dataset(source, data.make_thumbnails, args.images)
        build(source, data_dir)
        os.sync()  # so that nothing old is written while the clock runs
        rounds = 1 if args.quick else measuring.ROUNDS
        seconds = measure(source, data_dir, rounds)
    print(
        f"| {args.images:,} thumbnails, nothing changed | load | of it, compared |"
        " of that, computed |"
    )
    print("|---|---:|---:|---:|")
    for way, shown in zip(
        _WAYS, ("by its name", "by its config", "all times changed"), strict=True
    ):
        whole, compared, computed = seconds[way]
        part = f"{compared:.3f} s ({compared / whole:.0%})" if compared else ""
        cpu = f"{computed:.3f} s" if compared else ""
        print(f"| {shown} | {whole:.3f} s | {part} | {cpu} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        load(*sys.argv[2:])
    else:
        main()
