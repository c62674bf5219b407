"""Boxes and masks, drawn on the pictures of a report in the colours of classes."""

from __future__ import annotations

import collections
import colorsys
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from tfds_imagecsv.images import box_frames
from tfds_imagecsv.table import boxes

# The longer side of a drawing, in its own units: more than a picture's pixels.
_SIDE = 1000

# The most boxes drawn on a picture: a page has hundreds of pictures.
_MOST_BOXES = 50

# A part of the colour circle. Its multiples stay apart, however many there are.
_GOLDEN = 0.618034
_LIGHTNESS = (0.5, 0.38, 0.66)


@dataclasses.dataclass(frozen=True)
class Shape:
    """The boxes of a class.

    Attributes:
      color: as `#rrggbb`.
      path: the boxes as a path of SVG.
    """

    color: str
    path: str


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What is drawn on a picture.

    Attributes:
      words: what it shows, for those who can't see it, such as `2 cat, 1 dog`.
      height: of the drawing in its own units, with the picture's proportions.
      width: likewise.
      shapes: what is drawn, later ones above earlier ones.
    """

    words: str
    height: int
    width: int
    shapes: tuple[Shape, ...]


def colors_of(names: Sequence[str]) -> dict[str, str]:
    """Returns a colour for each class, as `#rrggbb`; the first differ most."""
    return {name: color_of(at) for at, name in enumerate(names)}


def color_of(at: int) -> str:
    """Returns the colour of a class or a value, by its number from 0, as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*_levels_of(at))


def _levels_of(at: int) -> tuple[int, ...]:
    lightness = _LIGHTNESS[at // 8 % len(_LIGHTNESS)]
    levels = colorsys.hls_to_rgb(at * _GOLDEN % 1, lightness, 0.9)
    return tuple(round(level * 255) for level in levels)


def overlaid(picture: Any, values: npt.NDArray[Any]) -> Any:
    """Returns a picture under the half-transparent colours of its mask.

    The value 0 has no colour: it is usually the background.

    Args:
      picture: an image of Pillow's mode RGB.
      values: those of the mask's pixels, see `color_of`; height x width of the picture.
    """
    pixels = np.asarray(picture)
    there, of_pixels = np.unique(values, return_inverse=True)
    colors = np.array([_levels_of(value) for value in there.tolist()], np.uint16)
    mixed = (pixels + colors[of_pixels.reshape(values.shape)]) // 2
    is_seen = (values > 0)[..., None]
    return Image.fromarray(np.where(is_seen, mixed, pixels).astype(np.uint8))


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The boxes of an image.

    Attributes:
      classes: the class of each.
      edges: upper, left, lower and right edge of each, as fractions of the image.
    """

    classes: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]

    def drawn(
        self,
        colors: Mapping[str, str],
        height: int,
        width: int,
        *,
        as_shown: Callable[[str], str],
    ) -> Drawing:
        """Returns them as a drawing.

        Args:
          colors: the colour of each class.
          height: of the image below them, in pixels.
          width: likewise.
          as_shown: returns a text as a page shows it.
        """
        scale = _SIDE / max(height, width)
        height, width = (max(1, round(side * scale)) for side in (height, width))
        sides = np.array([height, width, height, width])
        paths: dict[str, str] = {}
        shown = list(zip(self.classes, self.edges, strict=True))[:_MOST_BOXES]
        for name, edges in shown:
            upper, left, lower, right = np.rint(np.array(edges) * sides).astype(int)
            box = f"M{left} {upper}H{right}V{lower}H{left}z"
            paths[name] = paths.get(name, "") + box
        counts = collections.Counter(self.classes)
        words = [
            f"{count:,} {as_shown(name)}" for name, count in sorted(counts.items())
        ]
        return Drawing(
            as_shown(", ".join(words) or "no objects"),
            height,
            width,
            tuple(Shape(colors[name], path) for name, path in paths.items()),
        )


def boxes_of(rows: pa.RecordBatch) -> dict[str, Boxes]:
    """Returns the boxes of images, by key; none for a dataset without boxes.

    Args:
      rows: few rows of a dataset.
    """
    if box_frames.COLUMN not in rows.schema.names:
        return {}
    columns = (rows[name] for name in ("key", boxes.CLASSES, box_frames.COLUMN))
    found = {}
    for key, classes, numbers in zip(
        *(one.to_pylist() for one in columns), strict=True
    ):
        edges = [tuple(numbers[at : at + 4]) for at in range(0, len(numbers), 4)]
        found[key] = Boxes(tuple(classes), tuple(edges))
    return found
