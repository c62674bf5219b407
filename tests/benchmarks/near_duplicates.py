"""Measures how well and how fast near duplicates are found.

Run as `python tests/benchmarks/near_duplicates.py photographs=FOLDER drawings=FOLDER`,
with any names, and folders of different pictures. Without folders, it makes pictures
of random shapes, which show whether it works, but not how well.

* For each kind of pictures, and each alteration: it inspects, like a build, the
  pictures and an altered copy of each, stored as JPEG. Recall is the share of the
  copies that are in the set of their original; precision is the share of true pairs
  among all pairs of pictures in one set. `edges` cuts its share of the sides at each
  edge; `place` cuts it from each side, at a random place. A picture is left out if it
  differs from another one by less than JPEG of quality 30 changes one of the two (as
  icons of one theme do): nobody who finds such copies can tell these apart.
* The cost: processor seconds of a build of JPEGs of 500 x 375, in one process and with
  `verify="decode"`, that looks for near duplicates, and of one that doesn't. They are
  pictures of random waves, as strong as in photographs: parts of a few photographs
  would be near duplicates.
* A search of a million hashes of random bits, in a new process: seconds and peak
  memory. 1 in 10 has a copy among them with 5 other bits.

To see that it works: `python tests/benchmarks/near_duplicates.py --quick`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import data
import measuring
import numpy as np
import pyarrow as pa
from etils import epath
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

import tfds_imagecsv
from tfds_imagecsv import arrays
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import (
    fingerprint,
    hash_search,
    image_table,
    larger_pictures,
    near_duplicates,
)

# The number of pictures to make, and their size.
_MADE, _SIDES = 60, (320, 240)

# The pixels of a side on which originals are compared.
_COMPARED = 64

_Alter = Callable[[Image.Image, random.Random], Image.Image]


def _scaled(factor: float) -> _Alter:
    def alter(image: Image.Image, _: random.Random) -> Image.Image:
        size = [max(1, round(side * factor)) for side in image.size]
        return image.resize(size, Image.Resampling.LANCZOS)

    return alter


def _enhanced(kind: type, factor: float) -> _Alter:
    return lambda image, _: kind(image).enhance(factor)


def _cropped_edges(share: float) -> _Alter:
    def alter(image: Image.Image, _: random.Random) -> Image.Image:
        width, height = image.size
        left, top = round(width * share), round(height * share)
        return image.crop((left, top, width - left, height - top))

    return alter


def _cropped_place(share: float) -> _Alter:
    def alter(image: Image.Image, rng: random.Random) -> Image.Image:
        width, height = image.size
        less = round(width * share), round(height * share)
        left, top = rng.randint(0, less[0]), rng.randint(0, less[1])
        size = width - less[0], height - less[1]
        return image.crop((left, top, left + size[0], top + size[1]))

    return alter


def _turned(image: Image.Image, rng: random.Random) -> Image.Image:
    angle = rng.choice((-2, 2))
    return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor="white")


def _watermarked(image: Image.Image, _: random.Random) -> Image.Image:
    mark = Image.new("RGBA", image.size)
    width, height = image.size
    font = ImageFont.load_default(size=max(8, width // 8))
    ImageDraw.Draw(mark).text(
        (width / 2, height / 2),
        "SAMPLE",
        font=font,
        anchor="mm",
        fill=(255, 255, 255, 128),
        stroke_width=max(1, width // 200),
        stroke_fill=(0, 0, 0, 90),
    )
    return Image.alpha_composite(image.convert("RGBA"), mark).convert("RGB")


# The alterations of pictures, and the quality of the JPEG.
ALTERED: Mapping[str, tuple[_Alter, int]] = {
    **{f"quality {one}": (lambda image, _: image, one) for one in (30, 60, 95)},
    **{f"scale {one}": (_scaled(one), 90) for one in (0.3, 0.5, 2)},
    "brightness -20 %": (_enhanced(ImageEnhance.Brightness, 0.8), 90),
    "brightness +20 %": (_enhanced(ImageEnhance.Brightness, 1.2), 90),
    "contrast -20 %": (_enhanced(ImageEnhance.Contrast, 0.8), 90),
    "contrast +20 %": (_enhanced(ImageEnhance.Contrast, 1.2), 90),
    **{f"crop {one} % edges": (_cropped_edges(one / 100), 90) for one in (2, 4, 5, 8)},
    **{f"crop {one} % place": (_cropped_place(one / 100), 90) for one in (2, 5, 8)},
    "2 degrees": (_turned, 90),
    "watermark": (_watermarked, 90),
    "gray": (lambda image, _: image.convert("L"), 90),
}


def _opened(path: Path) -> Image.Image:
    """Returns a picture in RGB, on white."""
    with Image.open(path) as image:
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")


def _different(paths: Sequence[Path]) -> list[Path]:
    """Returns the pictures that differ more than a copy may, see above."""
    pixels = np.empty((len(paths), 3 * _COMPARED**2), np.float32)
    noises = np.empty(len(paths))
    kept: list[Path] = []
    for path in paths:
        image, file = _opened(path), io.BytesIO()
        image.save(file, "JPEG", quality=30)
        with Image.open(file) as copy:
            one, other = _pixels(image), _pixels(copy)
        noise = np.square(one - other).mean()
        differ = np.square(pixels[: len(kept)] - one).mean(axis=1)
        if (differ > np.maximum(noises[: len(kept)], noise)).all():
            pixels[len(kept)], noises[len(kept)] = one, noise
            kept.append(path)
    return kept


def _pixels(image: Image.Image) -> np.ndarray:
    small = image.resize((_COMPARED, _COMPARED), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel()


def make_pictures(folder: Path, count: int) -> None:
    """Writes pictures of random shapes."""
    rng = random.Random(0)
    for at in range(count):
        image = Image.new("RGB", _SIDES, _color(rng))
        draw = ImageDraw.Draw(image)
        for _ in range(12):
            across = sorted(rng.sample(range(_SIDES[0]), 2))
            down = sorted(rng.sample(range(_SIDES[1]), 2))
            shape = rng.choice((draw.ellipse, draw.rectangle))
            shape((across[0], down[0], across[1], down[1]), fill=_color(rng))
        image.filter(ImageFilter.GaussianBlur(1)).save(folder / f"{at:04}.png")


def _color(rng: random.Random) -> tuple[int, ...]:
    return tuple(rng.randrange(256) for _ in range(3))


def inspected(folder: Path, names: Sequence[str]) -> pa.RecordBatch:
    """Returns the fingerprints and the pictures of images, as in an inspection."""
    rows = pa.RecordBatch.from_pydict(
        {
            "row": np.arange(len(names)),
            "key": arrays.texts(names),
            "label": arrays.constant("", len(names)),
        }
    )
    measures = [fingerprint.measure, larger_pictures.measure]
    with local.LocalEngine() as engine:
        table = image_table.inspect_images(
            epath.Path(folder), rows, engine=engine, measures=measures
        )
    return table.rows


def measure_quality(kind: str, source: Path, target: Path) -> None:
    """Prints recall and precision for pictures of a kind."""
    paths = _different(sorted(path for path in source.iterdir() if path.is_file()))
    rng = random.Random(0)
    names = [f"{at:06}{path.suffix}" for at, path in enumerate(paths)]
    altered: dict[str, list[str]] = {name: [] for name in ALTERED}
    for at, path in enumerate(paths):
        (target / names[at]).write_bytes(path.read_bytes())
        image = _opened(path)
        for number, (name, (alter, quality)) in enumerate(ALTERED.items()):
            copy = f"{at:06}-{number}.jpg"
            alter(image, rng).save(target / copy, "JPEG", quality=quality)
            altered[name].append(copy)
    keys = [*names, *(copy for copies in altered.values() for copy in copies)]
    rows = inspected(target, keys)
    prints = fingerprint.of_column(rows[fingerprint.COLUMN])
    pictures = larger_pictures.of_rows(rows, rows["key"])
    count = len(paths)
    print(f"| {count:,} {kind} | recall | precision |")
    print("|---|---:|---:|")
    true_of_all = pairs_of_all = 0
    for number, name in enumerate(ALTERED):
        both = np.arange(count) + np.array([[0], [1 + number]]) * count
        shown = pictures.taken(both.ravel())
        sets = near_duplicates.find(prints[both.ravel()], shown.taken)
        is_found = (sets[:count] == sets[count:]) & (sets[:count] >= 0)
        true, pairs = int(is_found.sum()), _pairs(sets)
        true_of_all, pairs_of_all = true_of_all + true, pairs_of_all + pairs
        print(f"| {name} | {true / count:.3f} | {true / max(pairs, 1):.3f} |")
    print(f"| all | {true_of_all / count / len(ALTERED):.3f} |", end="")
    print(f" {true_of_all / max(pairs_of_all, 1):.3f} |\n")


def _pairs(sets: arrays.Codes) -> int:
    """Returns how many pairs of pictures are in one set."""
    sizes = np.bincount(sets[sets >= 0])
    return int((sizes * (sizes - 1) // 2).sum())


def make_waves(folder: Path, count: int) -> None:
    """Writes JPEGs of 500 x 375 pixels, with waves as strong as in photographs."""
    rng = np.random.default_rng(0)
    down, right = np.fft.fftfreq(375), np.fft.rfftfreq(500)
    falling = 1 / np.maximum(np.hypot(down[:, None], right), 1 / 500)
    for at in range(count):
        waves = rng.normal(size=(3, *falling.shape, 2)) @ (1, 1j)
        waves[1:] = 0.7 * waves[0] + 0.3 * waves[1:]
        pixels = np.fft.irfft2(waves * falling, (375, 500))
        pixels = 128 + 50 * pixels / pixels.std()
        planes = np.moveaxis(np.clip(pixels, 0, 255).astype(np.uint8), 0, 2)
        Image.fromarray(planes).save(folder / f"{at:06}.jpg", quality=90)


def measure_cost(folder: Path, *, rounds: int) -> None:
    """Prints the cost of near duplicates in a build of photographs."""
    import tensorflow_datasets as tfds
    from absl import logging

    tfds.disable_progress_bar()
    logging.set_verbosity("error")

    def seconds(near_duplicates: str) -> float:
        config = tfds_imagecsv.ImageCsvConfig(
            name=f"near_{near_duplicates}",
            image_dir=folder / data.IMAGES,
            label_csv=folder / data.LABELS,
            near_duplicates=near_duplicates,
            workers=1,
        )
        with (
            tempfile.TemporaryDirectory() as data_dir,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
            start = time.process_time()
            builder.download_and_prepare()
            return time.process_time() - start

    taken: dict[str, list[float]] = {"report": [], "off": []}
    for done in range(1 + rounds):
        for name, those in taken.items():
            found = seconds(name)
            if done or not rounds:
                those.append(found)
    medians = {name: statistics.median(those) for name, those in taken.items()}
    count = len(list((folder / data.IMAGES).iterdir()))
    print(f"{count:,} JPEGs of 500 x 375, a build with near duplicates / without:")
    print(f"{medians['report'] / medians['off']:.3f}\n")


def measure_search(count: int) -> None:
    """Prints the time and the memory of a search of hashes."""
    seconds, megabytes, pairs = measuring.in_new_process(__file__, f"--search={count}")
    print(f"{count:,} hashes of {len(fingerprint.WINDOWS)} windows: {seconds:.1f} s,")
    print(f"{megabytes:.0f} MB at most, {pairs:,.0f} pairs\n")


def _search(count: int) -> None:
    """Searches hashes of random bits; prints seconds, megabytes and pairs."""
    rng = np.random.default_rng(0)
    windows = len(fingerprint.WINDOWS)
    hashes = rng.integers(1 << 64, size=(windows, count), dtype=np.uint64)
    copies = rng.permutation(count)[: count // 10 * 2].reshape(2, -1)
    hashes[:, copies[0]] = hashes[:, copies[1]]
    for bit in (3, 17, 29, 40, 61):
        hashes[:, copies[0]] ^= np.uint64(1 << bit)
    start = time.perf_counter()
    found = hash_search.likely_pairs(hashes)
    print(time.perf_counter() - start, measuring.peak_megabytes(), len(found.whole))


def main() -> None:
    """Prints all figures."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", help="as KIND=FOLDER")
    parser.add_argument("--quick", action="store_true", help="a little of all")
    parser.add_argument("--search", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.search:
        _search(args.search)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = dict(one.split("=", 1) for one in args.folders)
        if not kinds:
            kinds["made pictures"] = str(folder / "made")
            (folder / "made").mkdir()
            make_pictures(folder / "made", 20 if args.quick else _MADE)
        for number, (kind, source) in enumerate(kinds.items()):
            target = folder / str(number)
            target.mkdir()
            measure_quality(kind, Path(source), target)
        photographs = folder / "photographs"
        data.make_dataset(photographs, make_waves, 400 if args.quick else 4000)
        measure_cost(photographs, rounds=0 if args.quick else measuring.ROUNDS)
        measure_search(50_000 if args.quick else 1_000_000)


if __name__ == "__main__":
    main()
