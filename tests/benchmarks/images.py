"""Compares the inspection of images with bare decoding and bare reading.

Run as `python tests/benchmarks/images.py`; it needs Linux, and opencv-python-headless
besides the project. All figures of a table are medians of five rounds of one run, in
each of which every line is measured once, one after the other. Files are in the page
cache.

* Inspection is timed from its call to its result, with the start of its workers.
* Bare decoding reads each file, and decodes all of it to pixels that are dropped, on
  all cores: with Pillow, OpenCV and TensorFlow, in processes and in threads that were
  started, and had worked, before the clock. The fastest of them counts.
* Bare reading reads all bytes of each file, in threads or processes on all cores
  (the faster one counts), and in one process.
* Peak memory is that of all processes together (PSS: what they share counts once),
  without what the first one had before the inspection. The rows are so many that
  workers are started; they name the same files again and again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from etils import epath
from PIL import Image

from tfds_imagecsv import engines, images
from tfds_imagecsv.conversions import ImageOptions

_CORES = len(os.sched_getaffinity(0))
_ROUNDS = 5

# Files that a worker of a bare task gets at once.
_CHUNK = 64

# How many rows the memory is measured with.
_FEW, _MANY = 4_000, 16_000

# Seconds between two looks at the memory of the processes.
_INTERVAL = 0.02


def make_photographs(folder: Path, count: int) -> None:
    """Writes JPEGs of 384 x 480 pixels, about 40 KB: parts of two photographs."""
    _make_parts(folder, count, (384, 480), "JPEG", ".jpg")


def make_thumbnails(folder: Path, count: int) -> None:
    """Writes PNGs of 32 x 32 pixels, about 2 KB: parts of two photographs."""
    _make_parts(folder, count, (32, 32), "PNG", ".png")


def _make_parts(
    folder: Path, count: int, size: tuple[int, int], image_format: str, extension: str
) -> None:
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    rng = np.random.default_rng(0)
    for at in range(count):
        photograph = photographs[at % len(photographs)]
        top, left = rng.integers(np.subtract(photograph.shape[:2], size) + 1)
        part = photograph[top : top + size[0], left : left + size[1]].copy()
        # All differ, also if they are of the same place.
        part[0, :4] = rng.integers(256, size=(4, 3))
        file = io.BytesIO()
        Image.fromarray(part).save(file, image_format, quality=82)
        (folder / f"{at:06}{extension}").write_bytes(file.getvalue())


def read(paths: Sequence[str]) -> None:
    """Reads files."""
    for path in paths:
        Path(path).read_bytes()


def decode_with_pillow(paths: Sequence[str]) -> None:
    """Decodes files with Pillow."""
    for path in paths:
        with Image.open(path) as image:
            image.load()


def decode_with_opencv(paths: Sequence[str]) -> None:
    """Decodes files with OpenCV, which has no need of its own threads then."""
    import cv2

    cv2.setNumThreads(1)
    for path in paths:
        if cv2.imread(path) is None:
            raise ValueError(path)


def decode_with_tensorflow(paths: Sequence[str]) -> None:
    """Decodes files with TensorFlow."""
    import tensorflow as tf

    for path in paths:
        _tensorflow_decoder(path)(tf.io.read_file(path))


def tf_data(paths: Sequence[str]) -> Callable[[], object]:
    """Returns what decodes files with tf.data."""
    import tensorflow as tf

    decode = _tensorflow_decoder(paths[0])
    # The last pixel: nothing can be left out to get it.
    dataset = (
        tf.data.Dataset.from_tensor_slices(list(paths))
        .map(
            lambda path: decode(tf.io.read_file(path))[-1, -1, -1],
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,
        )
        .batch(_CHUNK)
    )
    return lambda: [None for _ in dataset]


def _tensorflow_decoder(path: str) -> Callable[..., object]:
    import tensorflow as tf

    return tf.io.decode_jpeg if path.endswith(".jpg") else tf.io.decode_png


def in_pool(
    pool: concurrent.futures.Executor,
    function: Callable[[Sequence[str]], None],
    paths: Sequence[str],
) -> Callable[[], object]:
    """Returns what applies a function to parts of the paths, in a pool."""
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    return lambda: list(pool.map(function, chunks))


def make_rows(folder: Path, count: int | None = None) -> pd.DataFrame:
    """Returns a table of the images of a folder, which may name each several times.

    Args:
      folder: where the images are.
      count: how many rows; default: one for each image.
    """
    names = sorted(path.name for path in folder.iterdir())
    keys = list(itertools.islice(itertools.cycle(names), count or len(names)))
    return pd.DataFrame({"row": range(2, len(keys) + 2), "key": keys, "label": "a"})


def inspect(folder: Path, rows: pd.DataFrame, verify: str) -> None:
    """Inspects images, as a build does; `verify` is `"decode"` or `"header"`."""
    options = ImageOptions(verify=verify)
    with engines.LocalEngine() as engine:
        table = images.inspect_images(epath.Path(folder), rows, options, engine=engine)
    if len(table.rows) != len(rows):
        raise ValueError(table.problems)


def measure_times(folder: Path, what: str) -> None:
    """Prints the table of times and ratios of the images of a folder."""
    paths = [os.fspath(path) for path in sorted(folder.iterdir())]
    kilobytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e3
    rows = make_rows(folder)
    spawn = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ThreadPoolExecutor(_CORES) as threads,
        concurrent.futures.ProcessPoolExecutor(_CORES, spawn) as processes,
    ):
        decoding = {
            "Pillow, processes": in_pool(processes, decode_with_pillow, paths),
            "OpenCV, processes": in_pool(processes, decode_with_opencv, paths),
            "OpenCV, threads": in_pool(threads, decode_with_opencv, paths),
            "TensorFlow, threads": in_pool(threads, decode_with_tensorflow, paths),
            "TensorFlow, tf.data": tf_data(paths),
        }
        reading = {
            "reading, processes": in_pool(processes, read, paths),
            "reading, threads": in_pool(threads, read, paths),
        }
        tasks: dict[str, Callable[[], object]] = {
            "inspection, decode": lambda: inspect(folder, rows, "decode"),
            "inspection, header": lambda: inspect(folder, rows, "header"),
            **decoding,
            **reading,
            "reading, one process": lambda: read(paths),
        }
        seconds = _medians(tasks)
    print(
        f"| {len(paths):,} {what} of {kilobytes / len(paths):.1f} KB, {_CORES} cores |"
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
    alone = seconds["inspection, header"] / seconds["reading, one process"]
    print(f"inspection, header / reading, one process: {alone:.2f}")
    print()


def _medians(tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Returns the median of the seconds that each task takes."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for done in range(1 + _ROUNDS):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if done:  # the first round starts the pools
                seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(taken)) for name, taken in seconds.items()}


def measure_memory(folder: Path, what: str) -> None:
    """Prints the table of memory of inspecting the images of a folder."""
    print(f"| {what} inspected | peak memory |")
    print("|---:|---:|")
    for count in (_FEW, _MANY):
        print(f"| {count:,} | {_peak_megabytes(folder, count):.0f} MB |")
    print()


def _peak_megabytes(folder: Path, count: int) -> float:
    """Returns by how much the memory of a new process and its children grows."""
    with subprocess.Popen(
        [sys.executable, __file__, "--inspect", os.fspath(folder), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        before = peak = _megabytes(process.pid)
        process.stdin.close()
        while process.poll() is None:
            peak = max(peak, _megabytes(process.pid))
            time.sleep(_INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return peak - before


def _megabytes(pid: int) -> float:
    """Returns the memory of a process and its descendants, as Linux counts it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = [
            int(child)
            for path in Path(f"/proc/{pid}/task").glob("*/children")
            for child in path.read_text().split()
        ]
    except OSError:  # it has ended
        return 0
    own = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(own.split()[1]) / 1024 + sum(map(_megabytes, children))


def main() -> None:
    """Makes the images, and prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=4000, help="how many of a kind")
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        make_photographs(Path(folder), count)
        measure_times(Path(folder), "photographs (JPEG)")
        measure_memory(Path(folder), "photographs")
    with tempfile.TemporaryDirectory() as folder:
        make_thumbnails(Path(folder), count)
        measure_times(Path(folder), "thumbnails (PNG)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inspect"]:
        rows_to_inspect = make_rows(Path(sys.argv[2]), int(sys.argv[3]))
        print("ready", flush=True)
        sys.stdin.read()
        inspect(Path(sys.argv[2]), rows_to_inspect, "decode")
    else:
        main()
