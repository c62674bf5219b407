"""Times reading tables and resolving names, compared with pandas and a walk.

Run as `python tests/benchmarks/tables.py`. A table of 1,000,000 rows names files in
1,000 folders: as they are, without folders, without extensions, as absolute paths. A
new process reads and resolves each, and then once more with all checks, sorted. Both
are compared with `pandas.read_csv` of the same file and a walk with `os.scandir`,
interleaved. It prints ratios of medians, and the peak memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import measuring
import pandas as pd
from etils import epath

from tfds_imagecsv import garbage_collection
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources import listing, locate
from tfds_imagecsv.table import label_table, resolve, table_rows

ROUNDS = 3


def write(folder: Path, rows: int) -> dict[str, Path]:
    """Writes empty files, and tables that name them; returns the tables by name."""
    keys = []
    for at in range(rows):
        key = f"{at % 1000:03}/image_{at:07}.jpg"
        if at < 1000:
            (folder / "images" / key).parent.mkdir(parents=True)
        os.close(os.open(folder / "images" / key, os.O_CREAT | os.O_WRONLY))
        keys.append(key)
    names = {
        "as they are": keys,
        "without folders": [key[4:] for key in keys],
        "without extensions": [key[:-4] for key in keys],
        "absolute paths": [f"{folder}/images/{key}" for key in keys],
    }
    tables = {}
    for kind, found in names.items():
        tables[kind] = folder / f"{kind}.csv"
        labels = [f"class {at % 100}" for at in range(rows)]
        pd.DataFrame({"filename": found, "label": labels}).to_csv(
            tables[kind], index=False
        )
    return tables


def read(path: str, image_dir: str) -> None:
    """Reads a table and resolves its names; then makes a label table of it.

    Prints the seconds of the first step, those of both, and the memory.
    """
    source = locate.TableSource(field="label_csv", table=epath.Path(path))
    directory = epath.Path(image_dir)
    start = time.perf_counter()
    with garbage_collection.paused():  # as `read_labels` does
        finder = resolve.Finder(directory, listing.list_files(directory))
        rows = table_rows.read_rows(
            source, TableOptions(), finder, finder, is_among_several=False
        )
    resolved = time.perf_counter() - start
    assert {*rows.keys.to_pylist()} <= {*finder.listing.keys.to_pylist()}
    del finder, rows
    start = time.perf_counter()
    table = label_table.read_labels(
        locate.Sources(image_dir=directory, tables=(source,))
    )
    print(resolved, time.perf_counter() - start, measuring.peak_megabytes())
    assert not table.problems


def bare(path: str, image_dir: str) -> None:
    """Reads the table with pandas, and walks the directory."""
    start = time.perf_counter()
    pd.read_csv(path)
    waiting = [image_dir]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            waiting.extend(entry.path for entry in entries if entry.is_dir())
    print(time.perf_counter() - start, measuring.peak_megabytes())


def main() -> None:
    """Prints a table of all kinds of names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="only one round")
    parser.add_argument("--read", nargs=2)
    parser.add_argument("--bare", nargs=2)
    args = parser.parse_args()
    if args.read:
        read(*args.read)
        return
    if args.bare:
        bare(*args.bare)
        return
    with tempfile.TemporaryDirectory() as folder:
        tables = write(Path(folder), args.rows)
        images = f"{folder}/images"
        print(f"{args.rows:,} rows, relative to pandas' reading and a walk\n")
        print("| names | read and resolved | and checked | MB | pandas' MB |")
        print("|---|---:|---:|---:|---:|")
        for kind, path in tables.items():
            found: dict[str, list[list[float]]] = {"--read": [], "--bare": []}
            for _ in range(1 if args.quick else ROUNDS):
                for flag, done in found.items():
                    done.append(
                        measuring.in_new_process(__file__, flag, str(path), images)
                    )
            ours, theirs = (
                [statistics.median(column) for column in zip(*done, strict=True)]
                for done in found.values()
            )
            cells = [
                *(f"{seconds / theirs[0]:.2f}" for seconds in ours[:2]),
                *(f"{one:,.0f}" for one in (ours[2], theirs[1])),
            ]
            print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
