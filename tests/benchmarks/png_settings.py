"""Measures zlib's strategies and levels for PNGs: bytes against time.

Run as `python tests/benchmarks/png_settings.py`. Pillow encodes photographs, which have
noise, and drawings, which have areas of one colour, with each setting, one after the
other in each round; both columns are relative to Pillow's default.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import data
import measuring
from PIL import Image, ImageDraw

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "level 1": {"compress_level": 1},
    "level 3": {"compress_level": 3},
    "filtered": {"compress_type": zlib.Z_FILTERED},
    "filtered, level 1": {"compress_type": zlib.Z_FILTERED, "compress_level": 1},
    "Huffman only": {"compress_type": zlib.Z_HUFFMAN_ONLY},
    "runs": {"compress_type": zlib.Z_RLE},
    "optimize": {"optimize": True},
}


def drawing(number: int) -> Image.Image:
    """Returns a drawing of ellipses of one colour each."""
    image = Image.new("RGB", (500, 375), "white")
    draw = ImageDraw.Draw(image)
    for at in range(40):
        x, y = (at * 97 + number * 31) % 460, (at * 53 + number * 17) % 340
        color = ((at * 71) % 256, (at * 37) % 256, (at * 13 + number * 29) % 256)
        draw.ellipse((x, y, x + 20 + at, y + 15 + at), fill=color, outline="black")
    return image


def encoded(images: Sequence[Image.Image], settings: dict[str, Any]) -> int:
    """Encodes images, and returns their bytes."""
    size = 0
    for image in images:
        file = io.BytesIO()
        image.save(file, "PNG", **settings)
        size += file.tell()
    return size


def main() -> None:
    """Prints a table for each kind of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=measuring.ROUNDS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data.make_photographs(Path(folder), args.images)
        paths = sorted(Path(folder).rglob("*.jpg"))[: args.images]
        photographs = [Image.open(path).convert("RGB") for path in paths]
    drawings = [drawing(number) for number in range(args.images)]
    for kind, images in (("photographs", photographs), ("drawings", drawings)):
        sizes: dict[str, int] = {}
        seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
        for _ in range(args.rounds):
            for name, settings in SETTINGS.items():

                def encode(name: str = name, settings: Any = settings) -> None:
                    sizes[name] = encoded(images, settings)  # noqa: B023 - called here

                seconds[name].append(measuring.timed(encode))
        usual = statistics.median(seconds["default"])
        print(f"\n| {len(images)} {kind} | time | bytes |\n|---|---:|---:|")
        for name in SETTINGS:
            time = statistics.median(seconds[name]) / usual
            print(f"| {name} | {time:.2f} | {sizes[name] / sizes['default']:.3f} |")


if __name__ == "__main__":
    main()
