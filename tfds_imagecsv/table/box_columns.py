"""Which columns of a table have boxes, by their names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tfds_imagecsv.options import BOX_FORMATS

# What comes before the name of a number, as in `bbox_x`.
_PREFIXES = ("boundingbox", "bndbox", "bbox", "box")

# The names of four columns, and what these may have. The first that are there count.
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
    ("xtl", "ytl", "xbr", "ybr"),
)
_SIDES = (("width", "height"), ("w", "h"))
_UPPER_LEFT = (("xmin", "ymin"), ("left", "top"), ("x1", "y1"))
_CENTERS = (("xcenter", "ycenter"), ("centerx", "centery"), ("cx", "cy"), ("xc", "yc"))

# Those of one column with four numbers, in no known format.
_IN_ONE = ("bbox", "box", "boundingbox", "bndbox")

# Those of the images' width and height.
_SIZES = (
    ("width", "height"),
    ("imagewidth", "imageheight"),
    ("imgwidth", "imgheight"),
    ("imagew", "imageh"),
    ("imgw", "imgh"),
)

# Those of the classes of boxes.
_CLASSES = (
    *("class", "classname", "label", "labelname", "category", "categoryname"),
    *("classid", "labelid", "categoryid"),
)


class BoxColumns(NamedTuple):
    """The columns of boxes.

    Attributes:
      positions: those of four columns, in the order of the formats, or of one.
      formats: what the numbers may be, of `options.BOX_FORMATS`.
    """

    positions: tuple[int, ...]
    formats: tuple[str, ...]


def found(header: Sequence[str]) -> BoxColumns | None:
    """Returns the columns of boxes by their names; None if there are none.

    Args:
      header: the names of all columns.
    """
    names = list(map(_without_prefix, header))
    for four, formats in _usual():
        if all(names.count(name) == 1 for name in four):
            return BoxColumns(tuple(map(names.index, four)), formats)
    plain = list(map(_plain, header))
    for name in _IN_ONE:
        if plain.count(name) == 1:
            return BoxColumns((plain.index(name),), BOX_FORMATS)
    return None


def formats_of(header: Sequence[str], positions: Sequence[int]) -> BoxColumns:
    """Returns columns that a user names, with what their names say.

    Args:
      header: the names of all columns.
      positions: those of four columns, in any order if their names are usual ones, or
        of one.
    """
    names = {_without_prefix(header[at]): at for at in positions}
    for four, formats in _usual():
        if names.keys() == set(four) and len(positions) == 4:
            return BoxColumns(tuple(names[name] for name in four), formats)
    return BoxColumns(tuple(positions), BOX_FORMATS)


def sizes(header: Sequence[str], taken: Collection[int]) -> tuple[int, ...]:
    """Returns the columns of the images' width and height; none if there are none.

    Args:
      header: the names of all columns.
      taken: the positions of columns that are something else.
    """
    names = ["" if at in taken else _plain(name) for at, name in enumerate(header)]
    for both in _SIZES:
        if all(names.count(name) == 1 for name in both):
            return tuple(map(names.index, both))
    return ()


def classes(header: Sequence[str], taken: Collection[int]) -> int | None:
    """Returns the column of the boxes' classes by its name; None if there is none.

    Args:
      header: the names of all columns.
      taken: the positions of columns that are something else.
    """
    names = ["" if at in taken else _plain(name) for at, name in enumerate(header)]
    return next((names.index(name) for name in _CLASSES if name in names), None)


def _usual() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yields the usual names of four columns, and their formats."""
    for four in _CORNERS:
        yield four, ("xyxy",)
    for sides in _SIDES:
        for center in _CENTERS:
            yield (*center, *sides), ("cxcywh",)
        for corner in _UPPER_LEFT:
            yield (*corner, *sides), ("xywh",)
        # Of a corner, mostly; YOLO's are of the center.
        yield ("x", "y", *sides), ("xywh", "cxcywh")


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _without_prefix(name: str) -> str:
    plain = _plain(name)
    for prefix in _PREFIXES:
        if plain.startswith(prefix) and plain != prefix:
            return plain.removeprefix(prefix)
    return plain
