"""Compares builds with those of a builder as in TFDS's guide, and with bare tasks.

Run as `python tests/benchmarks/builds.py`; it needs Linux, opencv-python-headless
besides the project, and 2 GB in the directory for temporary files. All figures of a
table are medians of five rounds of one run; each round measures every line once, one
after the other. Files are in the page cache.

* The builds are ours with `verify="decode"` and `verify="header"`, and that of
  `stock_images`. Each runs in a new process, which has imported TensorFlow, TFDS and
  this project, and has built a tiny dataset, before the clock starts. The clock
  measures `download_and_prepare()` into a new directory, which is removed afterwards.
  There is no progress bar.
* Peak memory is the growth of the memory of the process and its descendants (PSS:
  shared memory counts once). It is measured in a build of its own, since that takes
  time.
* Bytes written are what Linux counts as `wchar` of the process, and of the workers
  that it has waited for (proc_pid_io(5)): all bytes given to `write` and its like, for
  a file of the dataset, a temporary file or a pipe between processes. So they are an
  upper bound of the bytes in files. They lack bytes written through mapped memory, but
  no build writes so.
* Bare reading reads all bytes of each file, bare copying also writes them to a file of
  each worker: no build can do less. One process does them, and all cores do, in
  threads or processes that start before the clock (the faster one counts). Bare
  decoding is that of `images.py`.
* A table of its own shows how memory grows with the number of images. It starts all
  workers for any number of images, so that they take as much memory each time.
* Start-up is that of new processes.

To see that it works: `python tests/benchmarks/builds.py --images=500 --quick`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import json
import multiprocessing
import os
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import bare
import data
import measuring
from measuring import CORES

_OURS = ("decode", "header")
_STOCK = "stock"

# The data directory of the measured build.
_MEASURED = "measured"

# Images with which a process warms up.
_TINY = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Build:
    """The cost of a build.

    Attributes:
      seconds: its time.
      written: the bytes that it wrote.
      stored: the bytes of the dataset's files.
      libraries: the memory of the process before, in MB.
      grown: the growth of that memory, in MB; 0 if unmeasured.
    """

    seconds: float
    written: int
    stored: int
    libraries: float
    grown: float


class Builder:
    """A new process that is ready to build a dataset, once.

    Args:
      kind: `"decode"`, `"header"` or `"stock"`; or fields of our config as JSON.
      source: a directory of `data.make_dataset`.
      tiny: a tiny one, to warm up with.
      at_once: whether to start all workers even for little work.
    """

    def __init__(
        self, kind: str, source: Path, tiny: Path, *, at_once: bool = False
    ) -> None:
        self._data_dir = tempfile.TemporaryDirectory()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        arguments = [kind, source, tiny, self._data_dir.name, "now" * at_once]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--build", *map(os.fspath, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> Builder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        self._data_dir.cleanup()

    def wait_until_ready(self) -> None:
        """Waits until it has warmed up; call it once."""
        self._read()

    def build(self, *, watched: bool) -> Build:
        """Builds the dataset.

        Args:
          watched: whether to measure the memory.
        """
        pid, answers = self._process.pid, self._process.stdout
        before = peak = measuring.megabytes(pid)
        self._process.stdin.write(b"build\n")
        self._process.stdin.flush()
        while watched and not select.select([answers], [], [], measuring.INTERVAL)[0]:
            peak = max(peak, measuring.megabytes(pid))
        answer = json.loads(self._read())
        stored = _size(Path(self._data_dir.name) / _MEASURED)
        # At once, so that the disk is quiet while others are measured.
        self._data_dir.cleanup()
        return Build(**answer, stored=stored, grown=peak - before)

    def _read(self) -> bytes:
        line: bytes = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(self._errors.read().decode())
        return line


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def build_when_told(
    kind: str, source: str, tiny: str, data_dir: str, at_once: str
) -> None:
    """Does what a `Builder` is for, in its process."""
    import tensorflow  # noqa: F401 - so that no build imports it
    import tensorflow_datasets as tfds

    from tfds_imagecsv.engines import local

    tfds.disable_progress_bar()
    if at_once:
        local.LocalEngine = functools.partial(local.LocalEngine, patience=0)
    # TFDS prints its progress.
    with contextlib.redirect_stdout(io.StringIO()):
        _builder(kind, f"{data_dir}/warm-up").download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=tiny)
        )
        builder = _builder(kind, f"{data_dir}/{_MEASURED}")
        prepare = functools.partial(
            builder.download_and_prepare,
            download_config=tfds.download.DownloadConfig(manual_dir=source),
        )
    print("ready", flush=True)
    sys.stdin.readline()
    libraries = _resident_megabytes()
    before = _written()
    with contextlib.redirect_stdout(io.StringIO()):
        seconds = measuring.timed(prepare)
    answer = {
        "seconds": seconds,
        "written": _written() - before,
        "libraries": libraries,
    }
    print(json.dumps(answer), flush=True)
    # Its end would raise the others' part of shared memory.
    sys.stdin.read()


def _builder(kind: str, data_dir: str) -> Any:
    import tfds_imagecsv

    if kind == _STOCK:
        from stock_images import stock_images_dataset_builder

        return stock_images_dataset_builder.Builder(data_dir=data_dir)
    fields = json.loads(kind) if kind.startswith("{") else {"verify": kind}
    config = tfds_imagecsv.ImageCsvConfig(
        name="measured", image_dir=data.IMAGES, label_csv=data.LABELS, **fields
    )
    return tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)


def _resident_megabytes() -> float:
    """Returns the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _written() -> int:
    """Returns how many bytes this process and its past children have written."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def measure_builds(folder: Path, what: str, *, tiny: Path, quick: bool) -> None:
    """Prints the table of builds and bare tasks, and ratios.

    Args:
      folder: a directory of `data.make_dataset`.
      what: the name of its images.
      tiny: a tiny dataset.
      quick: whether one round is enough.
    """
    images = sorted((folder / data.IMAGES).iterdir())
    paths = list(map(os.fspath, images))
    kilobytes = sum(path.stat().st_size for path in images) / 1e3
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as target,
        concurrent.futures.ThreadPoolExecutor(CORES) as threads,
        concurrent.futures.ProcessPoolExecutor(CORES, spawn) as processes,
    ):
        reading = bare.ways_to_read(paths, threads, processes)
        copying = bare.ways_to_copy(paths, threads, processes, folder=target)
        decoding = bare.ways_to_decode(paths, threads, processes)
        bare_tasks: dict[str, bare.Task] = {
            "reading, one process": lambda: bare.read(paths),
            **reading,
            "copying, one process": lambda: bare.copy(paths, folder=target),
            **copying,
            **decoding,
        }

        def time_bare(task: bare.Task) -> float:
            seconds = measuring.timed(task)
            for path in Path(target).iterdir():
                path.unlink()
            return seconds

        for task in bare_tasks.values():  # which starts the pools
            time_bare(task)
        os.sync()  # so that nothing old is written while the clock runs
        builds_of: dict[str, list[Build]] = {}
        seconds_of: dict[str, list[float]] = {}
        for _ in range(1 if quick else measuring.ROUNDS):
            for kind, build in _build_all(folder, tiny, quick=quick).items():
                builds_of.setdefault(kind, []).append(build)
            for name, task in bare_tasks.items():
                seconds_of.setdefault(name, []).append(time_bare(task))
    builds = {kind: _median(found) for kind, found in builds_of.items()}
    seconds = {name: statistics.median(taken) for name, taken in seconds_of.items()}
    names = {kind: f'ours, verify="{kind}"' for kind in _OURS}
    names[_STOCK] = "stock TFDS builder"
    print(
        f"| {len(paths):,} {what} of {kilobytes / len(paths):.1f} KB, {CORES} cores |"
        " seconds | images/s | peak memory | written | result |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for kind, build in builds.items():
        print(
            f"| {names[kind]} | {build.seconds:.3f} | {len(paths) / build.seconds:,.0f}"
            f" | {build.grown:.0f} MB | {build.written / 1e6:.1f} MB"
            f" | {build.stored / 1e6:.1f} MB |"
        )
    for name, taken in seconds.items():
        print(f"| bare {name} | {taken:.3f} | {len(paths) / taken:,.0f} | | | |")
    print()
    _print_ratios(builds, seconds, decoding=list(decoding), copying=list(copying))
    print()


def _build_all(folder: Path, tiny: Path, *, quick: bool) -> dict[str, Build]:
    """Builds with each builder: for the time, and again for the memory.

    If it must be quick, one build measures both.
    """
    kinds = (*_OURS, _STOCK)
    with contextlib.ExitStack() as stack:
        # All start together, since that takes long.
        builders = [
            {kind: stack.enter_context(Builder(kind, folder, tiny)) for kind in kinds}
            for _ in range(1 if quick else 2)
        ]
        for some in builders:
            for builder in some.values():
                builder.wait_until_ready()
        built = {}
        for kind in kinds:
            built[kind] = builders[0][kind].build(watched=quick)
            if not quick:
                grown = builders[1][kind].build(watched=True).grown
                built[kind] = dataclasses.replace(built[kind], grown=grown)
        return built


def _median(builds: Sequence[Build]) -> Build:
    names = [field.name for field in dataclasses.fields(Build)]
    return Build(
        **{
            name: statistics.median(getattr(build, name) for build in builds)
            for name in names
        }
    )


def _print_ratios(
    builds: Mapping[str, Build],
    seconds: Mapping[str, float],
    *,
    decoding: Sequence[str],
    copying: Sequence[str],
) -> None:
    stock = builds[_STOCK]
    for kind in _OURS:
        build = builds[kind]
        print(
            f"{kind}: {stock.seconds / build.seconds:.1f} times as fast as stock,"
            f" {build.grown / max(stock.grown, 1):.2f} of its peak memory"
        )
    decode = min(decoding, key=seconds.__getitem__)
    copy = min(copying, key=seconds.__getitem__)
    least = seconds[decode] + seconds[copy]
    print(
        f"decode / (bare decoding, {decode} + bare {copy}):"
        f" {builds['decode'].seconds / least:.2f}"
    )
    written = ", ".join(
        f"{kind} {build.written / build.stored:.2f}" for kind, build in builds.items()
    )
    print(f"bytes written / bytes of the result: {written}")


def measure_growth(folder: Path, counts: Sequence[int], *, tiny: Path) -> None:
    """Prints the table of memory for different numbers of images.

    Args:
      folder: where datasets are made.
      counts: the numbers, from small to large.
      tiny: a tiny dataset.
    """
    sources = [folder / f"{count}" for count in counts]
    for source, count in zip(sources, counts, strict=True):
        data.make_dataset(source, data.make_thumbnails, count)
    with contextlib.ExitStack() as stack:
        builders = [
            stack.enter_context(Builder(_OURS[0], source, tiny, at_once=True))
            for source in sources
        ]
        for builder in builders:
            builder.wait_until_ready()
        builds = [builder.build(watched=True) for builder in builders]
    print(
        "| thumbnails | libraries, before the build | peak of the build, above that |"
    )
    print("|---:|---:|---:|")
    for count, build in zip(counts, builds, strict=True):
        print(f"| {count:,} | {build.libraries:.0f} MB | {build.grown:.0f} MB |")
    each = (builds[-1].grown - builds[0].grown) * 2**20 / (counts[-1] - counts[0])
    print(f"\nbytes of memory for each further image: {each:,.0f}\n")


def measure_start(rounds: int) -> None:
    """Prints the table of start-up times."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        **{
            f"import {name}": [sys.executable, "-c", f"import {name}"]
            for name in ("tensorflow_datasets", "tfds_imagecsv")
        },
        "tfds-imagecsv --help": [
            Path(sys.executable).with_name("tfds-imagecsv"),
            "--help",
        ],
    }
    tasks = {
        name: functools.partial(
            subprocess.run, command, check=True, stdout=subprocess.DEVNULL
        )
        for name, command in commands.items()
    }
    print("| start | seconds |")
    print("|---|---:|")
    # The first round compiles imported modules.
    for name, taken in measuring.medians(tasks, rounds).items():
        print(f"| {name} | {taken:.3f} |")


def main() -> None:
    """Makes the images, and prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--images",
        type=int,
        help="how many of a kind; default: 50,000 PNGs and 12,000 JPEGs",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of thumbnails, with a look at memory while the clock runs",
    )
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    thumbnails, photographs = args.images or 50_000, args.images or 12_000
    with tempfile.TemporaryDirectory() as name:
        folder, tiny = Path(name), Path(name) / "tiny"
        data.make_dataset(tiny, data.make_thumbnails, _TINY)
        kinds = (
            (data.make_thumbnails, thumbnails, "thumbnails (PNG)"),
            (data.make_photographs, photographs, "photographs (JPEG)"),
        )
        for make, count, what in kinds[:1] if args.quick else kinds:
            source = folder / what
            data.make_dataset(source, make, count)
            measure_builds(source, what, tiny=tiny, quick=args.quick)
        measure_growth(folder, (thumbnails // 50, 2 * thumbnails), tiny=tiny)
    measure_start(0 if args.quick else measuring.ROUNDS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--build"]:
        build_when_told(*sys.argv[2:])
    else:
        main()
