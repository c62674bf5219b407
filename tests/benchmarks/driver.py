"""Measures what one process needs to plan a build, and which step needs it.

Run as `python tests/benchmarks/driver.py`, or with `--rows=10000000` for one table of
that size. It measures all that a build does besides reading images and writing records:
reading the CSV, handing out and taking back the work by file, planning splits and
shards, writing the files beside the records. Functions that answer at once, unmeasured,
stand for the workers of Apache Beam. The tables have 10,000 very unequal classes; half
of the rows are in groups of ten, each of one class, and every fiftieth image is a copy.
A figure is the slope from a small table, so that the fixed needs of a process don't
count. pandas reads and sorts the same tables.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import measuring
import numpy as np
import pandas as pd
from etils import epath

import tfds_imagecsv
from tfds_imagecsv import tfds_private
from tfds_imagecsv.dataset import features as features_lib
from tfds_imagecsv.engines import beam
from tfds_imagecsv.engines.engine import Chunk
from tfds_imagecsv.images import image_table, inspection
from tfds_imagecsv.images.facts import plain_facts
from tfds_imagecsv.images.stored_form import Stored
from tfds_imagecsv.prepared import side_files
from tfds_imagecsv.shards import shard_plan, write
from tfds_imagecsv.sources.locate import Sources, TableSource
from tfds_imagecsv.splits import dataset_plan, select
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import label_table

CLASSES = 10_000
STEPS = ("table", "inspect", "splits", "beside", "shards", "work")

# The smallest table, which shows the fixed needs.
SMALL = 100_000


def inspect(chunk: Chunk) -> image_table._Found:
    """Finds a photograph for each key; every fiftieth is a copy of the one before."""
    kinds = [
        (
            plain_facts("JPEG", "RGB", height, 500),
            Stored(height, 500, "JPEG", ""),
        )
        for height in range(400, 409)
    ]
    numbers = [int(key[4:14]) for key in chunk.columns["key"]]
    of_image = [number - (number % 50 == 49) for number in numbers]
    digests = [files.digest_of(b"%d" % number) for number in of_image]
    return image_table._Found(
        kinds=kinds,
        kind_of=np.arange(len(numbers), dtype=np.int32) % len(kinds),
        sizes=100_000 + np.arange(len(numbers)),
        digests=b"".join(digests),
        modified=10**18 + np.arange(len(numbers)),
        converted={},
        measured={},
        refused={},
    )


def write_nothing(chunk: Chunk) -> int:
    """Writes nothing."""
    return chunk.rows


class Engine(beam.BeamEngine):
    """Works here, on the files that Beam's workers would read and write."""

    seconds = 0.0

    def _run(self, function: functools.partial[None], numbers: range) -> None:
        start = time.process_time()
        if function.keywords["function"] is image_table._inspect_chunk:
            function.keywords["function"] = inspect
        else:
            function.keywords["function"] = write_nothing
        for number in numbers:
            function(number)
        self.seconds += time.process_time() - start


def measure(label_csv: str, folder: str) -> Iterator[float]:
    """Yields the seconds of each step, and the most megabytes until then."""
    image_dir = epath.Path(folder) / "images"
    image_dir.mkdir()
    config = tfds_imagecsv.ImageCsvConfig(
        name="driver",
        image_dir=str(image_dir),
        label_csv=label_csv,
        group_column="patient",
        # The default for more than a million images.
        near_duplicates="off",
    )
    with Engine(epath.Path(folder) / "work", runner=None, options=None) as engine:
        start = time.process_time()

        def step() -> Iterator[float]:
            nonlocal start
            now = time.process_time()
            yield now - start - engine.seconds
            yield measuring.peak_megabytes()
            start, engine.seconds = time.process_time(), 0.0

        sources = Sources(
            tables=(TableSource(field="label_csv", table=epath.Path(label_csv)),),
            image_dir=image_dir,
        )
        table = label_table.read_label_table(config, sources)
        yield from step()
        found = inspection.inspect(config, sources, table, engine=engine)
        del table
        yield from step()
        selection = select.select_rows(config, found)
        plan = dataset_plan.make_plan(config, found, selection)
        del selection
        yield from step()
        side_files.write(epath.Path(folder), plan, found, {})
        del found
        yield from step()
        planned = shard_plan.plan_shards(
            features_lib.with_values(plan),
            plan.class_counts,
            rule=tfds_private.ShardRule(
                num_shards=None, min_shard_size=64 << 20, max_shard_size=1 << 30
            ),
        )
        del plan
        yield from step()
        write.write_shards(
            planned,
            [image_dir / str(at) for at in range(len(planned.shards))],
            image_dir=image_dir,
            file_format="tfrecord",
            engine=engine,
        )
        yield from step()


def read_and_sort(label_csv: str) -> Iterator[float]:
    """Yields the seconds that pandas takes, and the megabytes."""
    start = time.process_time()
    table = pd.read_csv(label_csv)
    table.sort_values("filename", ignore_index=True)
    yield time.process_time() - start
    yield measuring.peak_megabytes()


def write_table(path: Path, rows: int) -> None:
    """Writes a table, in pieces."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, CLASSES + 1)
    order = rng.permutation(rows)
    class_of_ten = rng.choice(CLASSES, rows // 10 + 1, p=weights / weights.sum())
    for start in range(0, rows, 500_000):
        numbers = order[start : start + 500_000]
        of_ten = numbers // 10
        drawn = class_of_ten[of_ten]
        groups = np.where(of_ten % 2, of_ten.astype(str), "")
        pd.DataFrame(
            {
                "filename": [f"{at % 1000:03}/{at:010}.jpg" for at in numbers.tolist()],
                "label": [f"class{c:05}" for c in drawn.tolist()],
                "patient": groups,
            }
        ).to_csv(path, index=False, header=not start, mode="a" if start else "w")


def in_new_process(label_csv: Path, what: str) -> np.ndarray:
    """Returns what a function yields for a table: pairs of seconds and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, f"--{what}", str(label_csv), folder],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return np.array([float(number) for number in done.stdout.split()]).reshape(-1, 2)


def figures(rows: int) -> dict[str, np.ndarray]:
    """Returns seconds and megabytes of each step, and of pandas, for a table."""
    with tempfile.TemporaryDirectory() as folder:
        label_csv = Path(folder) / "labels.csv"
        write_table(label_csv, rows)
        return {what: in_new_process(label_csv, what) for what in ("measure", "pandas")}


def main() -> None:
    """Prints the time and the memory of a row, for tables of several sizes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--measure", nargs=2)
    parser.add_argument("--pandas", nargs=2)
    args = parser.parse_args()
    if args.measure:
        print(*measure(*args.measure))
        return
    if args.pandas:
        print(*read_and_sort(args.pandas[0]))
        return
    sizes = args.rows or [1_000_000, 5_000_000, 20_000_000]
    small_rows = min(SMALL, min(sizes) // 4)
    small = figures(small_rows)
    names = " | ".join(f"{name}, µs" for name in STEPS)
    print(f"| rows | {names} | all, µs | all, bytes | pandas, µs | times pandas |")
    print(f"|---:|{'---:|' * (len(STEPS) + 4)}")
    for rows in sizes:
        found = figures(rows)
        more = rows - small_rows
        steps = (found["measure"] - small["measure"])[:, 0] / more * 1e6
        memory = (found["measure"] - small["measure"])[:, 1].max() / more * 1e6
        (pandas, _) = (found["pandas"] - small["pandas"])[0] / more * 1e6
        cells = [f"{one:.2f}" for one in (*steps, steps.sum())]
        cells += [f"{memory:.0f}", f"{pandas:.2f}", f"{steps.sum() / pandas:.1f}"]
        print(f"| {rows:,} | {' | '.join(cells)} |", flush=True)
        memories = ", ".join(
            f"{name} {one:.0f}"
            for name, one in zip(
                STEPS,
                (found["measure"] - small["measure"])[:, 1] / more * 1e6,
                strict=True,
            )
        )
        print(f"Bytes per row, at most, until the end of each step: {memories}")


if __name__ == "__main__":
    main()
