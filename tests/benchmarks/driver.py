"""Measures what the process needs that plans a build for Apache Beam's workers.

Run as `python tests/benchmarks/driver.py`. It is all that a build does besides reading
images and writing records: reading the CSV, handing out and taking back the work by
file, planning splits and shards, writing the manifest. The workers are played by
functions that answer at once, outside of the time. A figure is the slope between two
tables, so that what each process needs at least doesn't count.
"""

from __future__ import annotations

import argparse
import functools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

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
from tfds_imagecsv.shards import shard_plan, write
from tfds_imagecsv.sources.locate import Sources, TableSource
from tfds_imagecsv.splits import dataset_plan, select
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import label_table, manifest

CLASSES = 1000
STEPS = ("inspect", "splits", "manifest", "shards", "work")


def inspect(chunk: Chunk) -> tuple[image_table._Found, dict[int, image_table._Refused]]:
    """Finds a photograph for each key."""
    kinds = [
        (
            plain_facts("JPEG", "RGB", height, 500),
            Stored(height, 500, "JPEG", ""),
        )
        for height in range(400, 409)
    ]
    keys = chunk.columns["key"]
    found = image_table._Found(
        kinds={kind: at for at, kind in enumerate(kinds)},
        kind_of=[at % len(kinds) for at in range(len(keys))],
        sizes=[100_000 + at for at in range(len(keys))],
        digests=[files.digest_of(key.encode()) for key in keys],
        modified=[10**18 + at for at in range(len(keys))],
    )
    return found, {}


def write_nothing(chunk: Chunk) -> int:
    """Writes nothing."""
    return len(chunk.columns["key"])


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


def peak() -> int:
    """Returns the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(label_csv: str, folder: str) -> Iterator[float]:
    """Yields the seconds of each step, and at last the peak of the memory."""
    image_dir = epath.Path(folder) / "images"
    image_dir.mkdir()
    config = tfds_imagecsv.ImageCsvConfig(
        name="driver", image_dir=str(image_dir), label_csv=label_csv
    )
    with Engine(epath.Path(folder) / "work", runner=None, options=None) as engine:
        start = time.process_time()

        def step() -> float:
            nonlocal start
            now = time.process_time()
            seconds = now - start - engine.seconds
            start, engine.seconds = now, 0.0
            return seconds

        sources = Sources(
            tables=(TableSource(field="label_csv", table=epath.Path(label_csv)),),
            image_dir=image_dir,
        )
        table = label_table.read_label_table(config, sources)
        found = inspection.inspect(config, sources, table, engine=engine)
        yield step()
        selection = select.select_rows(config, found)
        plan = dataset_plan.make_plan(config, found, selection)
        del found, table, selection
        yield step()
        manifest.write_manifest(epath.Path(folder) / manifest.FILENAME, plan.rows)
        yield step()
        planned = shard_plan.plan_shards(
            features_lib.with_values(plan),
            plan.class_counts,
            rule=tfds_private.ShardRule(
                num_shards=None, min_shard_size=64 << 20, max_shard_size=1 << 30
            ),
        )
        yield step()
        write.write_shards(
            planned,
            [image_dir / str(at) for at in range(len(planned.shards))],
            image_dir=image_dir,
            file_format="tfrecord",
            engine=engine,
        )
        yield step()
    yield peak()


def in_new_process(rows: int) -> list[float]:
    """Returns what `measure` yields for a table of so many rows."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, CLASSES + 1)
    classes = rng.choice(CLASSES, rows, p=weights / weights.sum())
    with tempfile.TemporaryDirectory() as folder:
        label_csv = str(Path(folder) / "labels.csv")
        pd.DataFrame(
            {
                "filename": [
                    f"{at % 1000:03}/{at:010}.jpg" for at in rng.permutation(rows)
                ],
                "label": [f"class{c:04}" for c in classes],
            }
        ).to_csv(label_csv, index=False)
        done = subprocess.run(
            [sys.executable, __file__, "--measure", label_csv, folder],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    """Prints the seconds and the memory of a million rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--measure", nargs=2)
    args = parser.parse_args()
    if args.measure:
        print(*measure(*args.measure))
        return
    small, large = in_new_process(args.rows // 4), in_new_process(args.rows)
    slopes = (np.array(large) - small) / (args.rows - args.rows // 4)
    print(f"Each million rows, by tables of {args.rows // 4:,} and {args.rows:,}:")
    for name, slope in zip(STEPS, slopes, strict=False):
        print(f"  {name}: {slope * 1e6:.1f} s")
    print(f"  all: {slopes[:-1].sum() * 1e6:.1f} s, {slopes[-1] / 1e3:.2f} GB")


if __name__ == "__main__":
    main()
