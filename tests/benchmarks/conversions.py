"""Compares builds that convert images with hand-written loops.

Run as `python tests/benchmarks/conversions.py`; it needs what `builds.py` needs, and
3 GB in the directory for temporary files. All figures of a table are medians of five
rounds of one run; each round measures every line once, one after the other. Files are
in the page cache.

* Ours are builds as in `builds.py`, with default settings except for the named field:
  they verify, shard, shuffle and split images.
* The pools are a process for each core, started before the clock, that decodes,
  resizes and encodes, and writes the results one after the other: with Pillow
  (reduced while decoding if possible, Lanczos) and with OpenCV (area), both to JPEG of
  quality 95 with a quarter of the colours, or to PNG.
* The limit is such a pool of the parts of ours: Pillow's decoder and encoder, and
  `cykooz-resizer`.
* `One converted` is a build of unchanged files with one turned image, compared with a
  build without that one.
* Reading is an epoch of `tf.data` in batches of 224 x 224 pixels.

To see that it works: `python tests/benchmarks/conversions.py --images=8 --quick`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import functools
import io
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bare
import builds
import data
import measuring
from measuring import CORES
from PIL import Image, ImageOps

_QUALITY = 95


class Case(NamedTuple):
    """A case to measure.

    Attributes:
      name: what users would call it.
      make: makes the images.
      count: how many.
      fields: those of our config.
      rivals: how pools convert a picture: fields of `convert_with_pillow`.
    """

    name: str
    make: Callable[[Path, int], None]
    count: int
    fields: dict[str, Any]
    rivals: dict[str, Any]


CASES = (
    Case(
        "JPEGs of 500 x 375, max_side=256",
        data.make_small_photographs,
        12_000,
        {"max_side": 256},
        {"longer": 256},
    ),
    Case(
        "JPEGs of 500 x 375, resize=(224, 224)",
        data.make_small_photographs,
        12_000,
        {"resize": [224, 224]},
        {"size": (224, 224)},
    ),
    Case("JPEGs of 1600 x 1200, turned", data.make_turned, 1500, {}, {}),
    Case("JPEGs of 12 megapixels, turned", data.make_large_turned, 200, {}, {}),
    Case(
        "JPEGs of 12 megapixels, turned, max_side=512",
        data.make_large_turned,
        200,
        {"max_side": 512},
        {"longer": 512},
    ),
    Case(
        "RGBA PNGs of 300 x 300, on a background",
        data.make_transparent,
        3000,
        {},
        {"image_format": "PNG"},
    ),
)


def target_size(
    size: tuple[int, int], longer: int | None, fixed: tuple[int, int] | None
) -> tuple[int, int]:
    """Returns the new width and height of a picture."""
    if fixed is not None:
        return fixed
    if longer is None or max(size) <= longer:
        return size
    width, height = (max(1, round(side * longer / max(size))) for side in size)
    return width, height


def _append(folder: str, contents: Sequence[bytes]) -> None:
    target = Path(folder) / f"{os.getpid()}-{threading.get_ident()}"
    with target.open("ab", buffering=0) as file:
        file.write(b"".join(contents))


def convert_with_pillow(
    paths: Sequence[str],
    *,
    folder: str,
    longer: int | None = None,
    size: tuple[int, int] | None = None,
    image_format: str = "JPEG",
    is_fast: bool = False,
) -> None:
    """Converts files with Pillow; `is_fast` resizes with `cykooz-resizer`."""
    from tfds_imagecsv.images import resize

    contents = []
    for path in paths:
        with Image.open(path) as image:
            new = target_size(image.size, longer, size)
            if image.format == "JPEG" and new != image.size:
                gap = 3 if is_fast else 2
                image.draft("RGB", tuple(gap * side for side in new))
            picture = ImageOps.exif_transpose(image)
        if picture.mode == "RGBA":
            seen = Image.new("RGB", picture.size, "white")
            seen.paste(picture, mask=picture)
            picture = seen
        if longer or size:
            new = new[::-1] if longer and picture.height > picture.width else new
            picture = (
                resize.resized(picture, new)
                if is_fast
                else picture.resize(new, Image.Resampling.LANCZOS)
            )
        file = io.BytesIO()
        arguments = (
            {"quality": _QUALITY, "subsampling": 2} if image_format == "JPEG" else {}
        )
        picture.info = {}
        picture.save(file, image_format, **arguments)
        contents.append(file.getvalue())
    _append(folder, contents)


def convert_with_opencv(
    paths: Sequence[str],
    *,
    folder: str,
    longer: int | None = None,
    size: tuple[int, int] | None = None,
    image_format: str = "JPEG",
) -> None:
    """Converts files with OpenCV, which turns them upright as it reads them."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    contents = []
    for path in paths:
        if image_format == "PNG":
            rgba = cv2.imread(path, cv2.IMREAD_UNCHANGED).astype(np.uint16)
            alpha = rgba[..., 3:]
            picture = (rgba[..., :3] * alpha + 255 * (255 - alpha)) // 255
            picture = picture.astype(np.uint8)
        else:
            picture = cv2.imread(path)
        new = target_size(picture.shape[1::-1], longer, size)
        if new != picture.shape[1::-1]:
            picture = cv2.resize(picture, new, interpolation=cv2.INTER_AREA)
        arguments = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        _, found = cv2.imencode(
            f".{image_format.lower()}",
            picture,
            arguments if image_format == "JPEG" else [],
        )
        contents.append(found.tobytes())
    _append(folder, contents)


def _size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).iterdir())


def measure(case: Case, source: Path, tiny: Path, *, rounds: int) -> None:
    """Prints the table of a case, and ratios."""
    paths = sorted(map(os.fspath, (source / data.IMAGES).iterdir()))
    stored = sum(os.stat(path).st_size for path in paths)  # noqa: PTH116 - many
    spawn = multiprocessing.get_context("spawn")
    seconds: dict[str, list[float]] = {}
    sizes: dict[str, int] = {"the files": stored}
    kind = json.dumps(case.fields)
    with (
        tempfile.TemporaryDirectory() as target,
        concurrent.futures.ProcessPoolExecutor(CORES, spawn) as processes,
    ):

        def pool(function: Callable[..., None], **fields: Any) -> bare.Task:
            there = functools.partial(function, folder=target, **case.rivals, **fields)
            return bare.in_pool(processes, there, paths)

        rivals: Mapping[str, bare.Task] = {
            "pool of Pillow": pool(convert_with_pillow),
            "pool of OpenCV": pool(convert_with_opencv),
            "limit: Pillow and cykooz-resizer": pool(convert_with_pillow, is_fast=True),
            "bare decoding with Pillow": bare.in_pool(
                processes, bare.decode_with_pillow, paths
            ),
        }
        memory = 0.0
        for done in range(1 + rounds):
            with builds.Builder(kind, source, tiny) as builder:
                builder.wait_until_ready()
                build = builder.build(watched=not done)
            if not done:
                memory = build.grown
            if done or not rounds:
                seconds.setdefault("ours", []).append(build.seconds)
            sizes["ours"] = build.stored
            for name, task in rivals.items():
                taken = measuring.timed(task)
                if done or not rounds:
                    seconds.setdefault(name, []).append(taken)
                if size := _size(target):
                    sizes[name] = size
                for path in Path(target).iterdir():
                    path.unlink()
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    print(f"| {len(paths):,} {case.name}, {CORES} cores | seconds | KB each |")
    print("|---|---:|---:|")
    for name in ("the files", *medians):
        taken = f"{medians[name]:.2f}" if name in medians else ""
        size = f"{sizes[name] / len(paths) / 1e3:.1f}" if name in sizes else ""
        print(f"| {name} | {taken} | {size} |")
    print()
    ratios = {
        name: medians["ours"] / taken
        for name, taken in medians.items()
        if name != "ours"
    }
    shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    print(f"ours / others: {shown}")
    print(f"peak memory of ours, above that of the libraries: {memory:.0f} MB\n")


def measure_one_converted(folder: Path, count: int, tiny: Path, *, rounds: int) -> None:
    """Prints the time of builds that convert one image, and none."""
    sources = {"none converted": folder / "none", "one converted": folder / "one"}
    for source in sources.values():
        data.make_dataset(source, data.make_small_photographs, count)
    turned = sorted((sources["one converted"] / data.IMAGES).iterdir())[count // 2]
    with Image.open(turned) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(turned, quality="keep", exif=exif)
    seconds: dict[str, list[float]] = {name: [] for name in sources}
    for done in range(1 + rounds):
        for name, source in sources.items():
            with builds.Builder("{}", source, tiny) as builder:
                builder.wait_until_ready()
                taken = builder.build(watched=False).seconds
            if done or not rounds:
                seconds[name].append(taken)
    medians = [statistics.median(taken) for taken in seconds.values()]
    print(f"{count:,} JPEGs, one converted / none: {medians[1] / medians[0]:.3f}\n")


def measure_reading(
    source: Path, fields: Sequence[dict[str, Any]], *, rounds: int
) -> None:
    """Prints the time of an epoch for builds of the same images."""
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from absl import logging

    import tfds_imagecsv

    tfds.disable_progress_bar()
    logging.set_verbosity("error")
    print("| an epoch of tf.data | seconds |")
    print("|---|---:|")
    with tempfile.TemporaryDirectory() as data_dir:
        epochs = {}
        for at, some in enumerate(fields):
            config = tfds_imagecsv.ImageCsvConfig(
                name=f"read{at}",
                image_dir=source / data.IMAGES,
                label_csv=source / data.LABELS,
                **some,
            )
            builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
            with contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare()
            dataset = (
                builder.as_dataset(split="train")
                .map(
                    lambda example: tf.image.resize(example["image"], (224, 224)),
                    num_parallel_calls=tf.data.AUTOTUNE,
                )
                .batch(64)
            )
            name = ", ".join(f"{key}={value}" for key, value in some.items())
            epochs[name or "as they are"] = lambda it=dataset: [None for _ in it]
        for name, taken in measuring.medians(epochs, min(rounds, 3)).items():
            print(f"| {name} | {taken:.2f} |")
    print()


def main() -> None:
    """Makes the images, and prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, help="how many of each kind at most")
    parser.add_argument("--quick", action="store_true", help="only the first round")
    parser.add_argument("--only", default="", help="cases whose names have this text")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rounds = 0 if args.quick else measuring.ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folder, tiny = Path(name), Path(name) / "tiny"
        data.make_dataset(tiny, data.make_small_photographs, 20)
        sources: dict[Callable[[Path, int], None], Path] = {}
        for case in CASES:
            if args.only not in case.name:
                continue
            count = min(case.count, args.images or case.count)
            if case.make not in sources:
                sources[case.make] = folder / case.make.__name__
                data.make_dataset(sources[case.make], case.make, count)
            measure(case, sources[case.make], tiny, rounds=rounds)
        if args.only in "one converted":
            count = min(12_000, args.images or 12_000)
            measure_one_converted(folder, count, tiny, rounds=rounds)
        if small := sources.get(data.make_small_photographs):
            fields = [{}, {"max_side": 256}, {"resize": (224, 224)}]
            measure_reading(small, fields, rounds=rounds)


if __name__ == "__main__":
    main()
