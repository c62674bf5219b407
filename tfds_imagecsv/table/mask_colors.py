"""The colours of masks: which class each stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import ImageColor

from tfds_imagecsv import exceptions, problems
from tfds_imagecsv.table import tables
from tfds_imagecsv.table.tables import Table

Color = tuple[int, int, int]

#: The fields of the config: colours, or the table of them.
FIELDS = ("mask_colors", "mask_color_csv")

# The names of columns, in small letters.
_COLOR = ("color", "colour", "hex")
_CHANNELS = (("r", "g", "b"), ("red", "green", "blue"))
_CLASS = ("class", "class_name", "classname", "name", "label", "category")


def parse(given: Mapping[str, str]) -> dict[Color, str]:
    """Returns the classes of colours: red, green and blue, 0 to 255.

    Args:
      given: the classes by the colours as texts that Pillow knows, such as `"#ff0000"`
        or `"red"`.

    Raises:
      ConfigError: if a text is no colour, a class is empty, or two texts are the same
        colour; all such problems at once.
    """
    items = enumerate(given.items(), 1)
    found, wrong = _of((f"item {at}", text, name) for at, (text, name) in items)
    if wrong:
        raise exceptions.ConfigError("\n  ".join([f"{FIELDS[0]}:", *wrong]))
    return found


def read(source: Any) -> dict[Color, str]:
    """Returns the classes of colours of a table.

    It has a column for the class, called `class`, `name`, `label` or alike, and either
    one for the colour, `color`, whose cells are as in `parse`, or three, `r`, `g` and
    `b`, with integers from 0 to 255.

    Args:
      source: the table, as for `tables.read_table`.

    Raises:
      SourceError: if it can't be read, has no such columns, or rows of it are wrong as
        in `parse`; all these rows at once.
    """
    table = tables.read_table(source, FIELDS[1])
    place = tables.place_of(FIELDS[1], source)
    found, wrong = _of(_rows(table, *_columns(table.header, place)))
    if wrong:
        raise exceptions.SourceError("\n  ".join([f"{place}:", *wrong]))
    if not found:
        raise exceptions.SourceError(f"{place}: it has no row with a colour.")
    return found


def _columns(header: Sequence[str], place: str) -> tuple[tuple[int, ...], int]:
    """Returns the positions of the columns of colours, one or three, and of classes.

    Raises:
      SourceError: if there aren't any.
    """
    names = [name.lower() for name in header]
    colors = next(
        (
            tuple(map(names.index, columns))
            for columns in (*((one,) for one in _COLOR), *_CHANNELS)
            if all(name in names for name in columns)
        ),
        None,
    )
    of_class = next((names.index(name) for name in _CLASS if name in names), None)
    if colors is None or of_class is None:
        raise exceptions.SourceError(
            f"{place}: it must have a column 'class', and 'color' or 'r', 'g' and 'b';"
            f" its columns are: {problems.named(header, 20)}"
        )
    return colors, of_class


def _rows(
    table: Table, colors: Sequence[int], of_class: int
) -> Iterator[tuple[str, str, str]]:
    """Yields the place, the colour and the class of each filled row."""
    for row, cells in enumerate(table.records(), table.first):
        if not tables.is_filled(cells):
            continue
        # A row may have less cells than the header.
        cells = [*map(str.strip, cells), *[""] * len(table.header)]
        text = ", ".join(cells[at] for at in colors)
        if len(colors) == 3:
            text = f"rgb({text})"
        yield f"row {row}", text, cells[of_class]


def _of(
    given: Iterator[tuple[str, str, str]],
) -> tuple[dict[Color, str], list[str]]:
    """Returns the classes of colours, and what is wrong.

    Args:
      given: the place, the colour and the class of each.
    """
    found: dict[Color, str] = {}
    place_of: dict[Color, str] = {}
    wrong = []
    for place, text, name in given:
        color = _color(text)
        if color is None:
            wrong.append(
                f"{place}: {problems.shown(text)} isn't a colour, such as '#ff0000'"
            )
        elif color in found:
            shown = "#{:02x}{:02x}{:02x}".format(*color)
            wrong.append(f"{place}: {shown} is there already, in {place_of[color]}")
        elif not name:
            wrong.append(f"{place}: the class is empty")
        else:
            found[color], place_of[color] = name, place
    return found, wrong


def _color(text: str) -> Color | None:
    """Returns the colour of a text; None if it has none, or one with transparency."""
    try:
        red, green, blue = ImageColor.getrgb(text)
    except (AttributeError, TypeError, ValueError):
        return None
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        return None
    return red, green, blue
