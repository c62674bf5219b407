"""The images of the benchmarks: parts of scikit-learn's two photographs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

CLASSES = tuple(f"class{at}" for at in range(10))

# Where a dataset has its images and its CSV.
IMAGES, LABELS = "images", "labels.csv"


def make_photographs(folder: Path, count: int) -> None:
    """Writes JPEGs of 384 x 480 pixels, about 40 KB."""
    _make_parts(folder, count, (384, 480), "JPEG", ".jpg")


def make_thumbnails(folder: Path, count: int) -> None:
    """Writes PNGs of 32 x 32 pixels, about 2 KB."""
    _make_parts(folder, count, (32, 32), "PNG", ".png")


def make_small_photographs(folder: Path, count: int) -> None:
    """Writes JPEGs of 375 x 500 pixels, as in collections from the web."""
    _make_parts(folder, count, (375, 500), "JPEG", ".jpg", quality=90)


def make_turned(folder: Path, count: int) -> None:
    """Writes JPEGs of 1200 x 1600 pixels with the EXIF orientation 6."""
    _make_parts(
        folder, count, (1200, 1600), "JPEG", ".jpg", scale=3, quality=85, exif=_turned()
    )


def make_large_turned(folder: Path, count: int) -> None:
    """Writes JPEGs of 12 megapixels with the EXIF orientation 6, like phones."""
    size = (3024, 4032)
    _make_parts(
        folder, count, size, "JPEG", ".jpg", scale=7.5, quality=90, exif=_turned()
    )


def make_transparent(folder: Path, count: int) -> None:
    """Writes RGBA PNGs of 300 x 300 pixels, transparent at one side."""
    _make_parts(folder, count, (300, 300), "PNG", ".png", is_transparent=True)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _make_parts(
    folder: Path,
    count: int,
    size: tuple[int, int],
    image_format: str,
    extension: str,
    *,
    scale: float = 1,
    is_transparent: bool = False,
    **arguments: Any,
) -> None:
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    if scale != 1:
        photographs = [
            np.asarray(
                ImageOps.scale(Image.fromarray(one), scale, Image.Resampling.BICUBIC)
            )
            for one in photographs
        ]
    rng = np.random.default_rng(0)
    for at in range(count):
        photograph = photographs[at % len(photographs)]
        top, left = rng.integers(np.subtract(photograph.shape[:2], size) + 1)
        part = photograph[top : top + size[0], left : left + size[1]].copy()
        # All differ, even parts of the same place.
        part[0, :4] = rng.integers(256, size=(4, 3))
        image = Image.fromarray(part)
        if is_transparent:
            image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
        file = io.BytesIO()
        image.save(file, image_format, **{"quality": 82, **arguments})
        (folder / f"{at:06}{extension}").write_bytes(file.getvalue())


def make_dataset(folder: Path, make: Callable[[Path, int], None], count: int) -> None:
    """Writes images, and the CSV of their labels.

    Args:
      folder: a directory that doesn't exist yet.
      make: writes images into a directory.
      count: how many.
    """
    (folder / IMAGES).mkdir(parents=True)
    make(folder / IMAGES, count)
    names = sorted(path.name for path in (folder / IMAGES).iterdir())
    with (folder / LABELS).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "label"])
        for at, name in enumerate(names):
            writer.writerow([name, CLASSES[at % len(CLASSES)]])
