"""Compares the inspection of images with bare decoding and bare reading.

Run as `python tests/benchmarks/images.py`; it needs Linux, and opencv-python-headless
besides the project. All figures of a table are medians of five rounds of one run; each
round measures every line once, one after the other. Files are in the page cache.

* Inspection is timed from its call to its result, with the start of its workers.
* It measures the quality of the images, as in a build.
* Bare decoding reads each file, and decodes all of it to pixels that are dropped, on
  all cores: with Pillow, OpenCV and TensorFlow, in processes and in threads that have
  started and worked before the clock. The fastest of them counts.
* Bare reading reads all bytes of each file, in threads or processes on all cores
  (the faster one counts), and in one process.
* Peak memory is that of all processes together (PSS: shared memory counts once),
  without that of the first one before the inspection. There are enough rows to start
  workers; they name the same files again and again.

To see that it works: `python tests/benchmarks/images.py --images=500 --quick`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import bare
import data
import measuring
import numpy as np
import pyarrow as pa
from etils import epath
from measuring import CORES

from tfds_imagecsv import arrays
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import image_table, quality
from tfds_imagecsv.images.small_pictures import Measure
from tfds_imagecsv.options import ImageOptions

# The rows for measuring the memory.
_FEW, _MANY = 4_000, 16_000


def make_rows(folder: Path, count: int | None = None) -> pa.RecordBatch:
    """Returns a table of the images of a folder, which may name each several times.

    Args:
      folder: where the images are.
      count: how many rows; default: one for each image.
    """
    names = sorted(path.name for path in folder.iterdir())
    keys = list(itertools.islice(itertools.cycle(names), count or len(names)))
    return pa.record_batch(
        {
            "row": np.arange(2, len(keys) + 2),
            "key": arrays.texts(keys),
            "label": arrays.constant("a", len(keys)),
        }
    )


def inspect(
    folder: Path, rows: pa.RecordBatch, verify: str, measures: Sequence[Measure] = ()
) -> None:
    """Inspects images; `verify` is `"decode"` or `"header"`.

    A build measures the quality, too.
    """
    options = ImageOptions(verify=verify)
    with local.LocalEngine() as engine:
        table = image_table.inspect_images(
            epath.Path(folder), rows, options, engine=engine, measures=measures
        )
    if len(table.rows) != len(rows):
        raise ValueError(table.problems)


def measure_times(folder: Path, what: str, *, rounds: int) -> None:
    """Prints the table of times and ratios of the images of a folder."""
    paths = [os.fspath(path) for path in sorted(folder.iterdir())]
    kilobytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e3
    rows = make_rows(folder)
    spawn = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ThreadPoolExecutor(CORES) as threads,
        concurrent.futures.ProcessPoolExecutor(CORES, spawn) as processes,
    ):
        decoding = bare.ways_to_decode(paths, threads, processes)
        reading = bare.ways_to_read(paths, threads, processes)
        tasks: dict[str, bare.Task] = {
            "inspection, decode": lambda: inspect(folder, rows, "decode"),
            "inspection, measured": lambda: inspect(
                folder, rows, "decode", [quality.measure]
            ),
            "inspection, header": lambda: inspect(folder, rows, "header"),
            **decoding,
            **reading,
            "reading, one process": lambda: bare.read(paths),
        }
        seconds = measuring.medians(tasks, rounds)  # the first one starts the pools
    print(
        f"| {len(paths):,} {what} of {kilobytes / len(paths):.1f} KB, {CORES} cores |"
        " seconds | images/s |"
    )
    print("|---|---:|---:|")
    for name, taken in seconds.items():
        print(f"| {name} | {taken:.3f} | {len(paths) / taken:,.0f} |")
    print()
    fastest = {
        "decode": min(decoding, key=seconds.__getitem__),
        "header": min(reading, key=seconds.__getitem__),
    }
    for verify, other in fastest.items():
        ratio = seconds[f"inspection, {verify}"] / seconds[other]
        print(f"inspection, {verify} / {other}: {ratio:.2f}")
    ratio = seconds["inspection, measured"] / seconds["inspection, decode"]
    print(f"inspection, measured / inspection, decode: {ratio:.2f}")
    alone = seconds["inspection, header"] / seconds["reading, one process"]
    print(f"inspection, header / reading, one process: {alone:.2f}")
    print()


def measure_memory(folder: Path, what: str, counts: Sequence[int]) -> None:
    """Prints the table of memory of inspecting the images of a folder."""
    print(f"| {what} inspected | peak memory |")
    print("|---:|---:|")
    for count in counts:
        print(f"| {count:,} | {_peak_megabytes(folder, count):.0f} MB |")
    print()


def _peak_megabytes(folder: Path, count: int) -> float:
    """Returns the growth of the memory of a new process and its children."""
    with subprocess.Popen(
        [sys.executable, __file__, "--inspect", os.fspath(folder), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        before = peak = measuring.megabytes(process.pid)
        process.stdin.close()
        while process.poll() is None:
            peak = max(peak, measuring.megabytes(process.pid))
            time.sleep(measuring.INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return peak - before


def main() -> None:
    """Makes the images, and prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=4000, help="how many of a kind")
    parser.add_argument(
        "--quick", action="store_true", help="only the first round, and few rows"
    )
    args = parser.parse_args()
    rounds = 0 if args.quick else measuring.ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        data.make_photographs(Path(folder), args.images)
        measure_times(Path(folder), "photographs (JPEG)", rounds=rounds)
        counts = (args.images, 2 * args.images) if args.quick else (_FEW, _MANY)
        measure_memory(Path(folder), "photographs", counts)
    with tempfile.TemporaryDirectory() as folder:
        data.make_thumbnails(Path(folder), args.images)
        measure_times(Path(folder), "thumbnails (PNG)", rounds=rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inspect"]:
        rows_to_inspect = make_rows(Path(sys.argv[2]), int(sys.argv[3]))
        print("ready", flush=True)
        sys.stdin.read()
        inspect(Path(sys.argv[2]), rows_to_inspect, "decode", [quality.measure])
    else:
        main()
