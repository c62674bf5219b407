"""Colours of masks and their classes, from a config or a table."""

import pandas as pd
import pytest
from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.table import mask_colors

COLORS = {(255, 0, 0): "car", (0, 128, 0): "tree", (1, 2, 3): "tree"}

MUST_HAVE = (
    "it must have a column 'class', and 'color' or 'r', 'g' and 'b'; its columns are:"
)


@pytest.fixture
def read(tmp_path):
    """Returns a function that reads a table of some text."""

    def read(text, name="colors.csv"):
        (tmp_path / name).write_text(text)
        return mask_colors.read(epath.Path(tmp_path / name))

    return read


def error_of(function, *args):
    """Returns an error's type and lines, without the directory."""
    with pytest.raises(exceptions.ImageCsvError) as caught:
        function(*args)
    message = str(caught.value)
    start, end = message.find("/"), message.rfind("/")
    lines = (message[: max(start, 0)] + message[end + 1 :]).split("\n")
    return type(caught.value), *lines


def test_colours_of_a_config():
    """By number or name; several may have one class."""
    given = {"#f00": "car", "green": "tree", "#010203": "tree"}
    assert mask_colors.parse(given) == COLORS


@pytest.mark.parametrize(
    "text",
    [
        "color,class\n#ff0000,car\ngreen,tree\n#010203,tree\n",
        "name,r,g,b\ncar,255,0,0\n\ntree,0,128,0\ntree,1,2,3\n",
        "Blue; Green;Red ;Label\n0;0;255;car\n0;128;0;tree\n3;2;1;tree\n",
    ],
)
def test_colours_of_a_table(read, text):
    """In one column or in three; blank rows don't matter."""
    assert read(text) == COLORS


def test_colours_of_other_tables(read):
    """All formats of tables work."""
    lines = '{"colour": "red", "class_name": "car"}\n'
    assert read(lines, "colors.jsonl") == {(255, 0, 0): "car"}
    frame = pd.DataFrame({"r": [255], "g": [0], "b": [0], "class": ["car"]})
    assert mask_colors.read(frame) == {(255, 0, 0): "car"}


def test_problems_of_a_config():
    """They come all at once."""
    given = {"#ff": "car", "#f00": "car", "red": "bus", "#0000ff80": "sky", "#111": ""}
    assert error_of(mask_colors.parse, given) == (
        exceptions.ConfigError,
        "mask_colors:",
        "  item 1: '#ff' isn't a colour, such as '#ff0000'",
        "  item 3: #ff0000 is there already, in item 2",
        "  item 4: '#0000ff80' isn't a colour, such as '#ff0000'",
        "  item 5: the class is empty",
    )


def test_problems_of_a_table(read):
    """They have their rows, as numbered by a spreadsheet."""
    text = "name,r,g,b\ncar,255,0,0\ncar,256,0,0\n\nbus,255,0,0\ntree,1\n,9,9,9\n"
    assert error_of(read, text) == (
        exceptions.SourceError,
        "mask_color_csv colors.csv:",
        "  row 3: 'rgb(256, 0, 0)' isn't a colour, such as '#ff0000'",
        "  row 5: #ff0000 is there already, in row 2",
        "  row 6: 'rgb(1, , )' isn't a colour, such as '#ff0000'",
        "  row 7: the class is empty",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "colors,class\n#f00,car\n",
            f"{MUST_HAVE} 'colors', 'class'",
        ),
        (
            "r,g,b\n1,2,3\n",
            f"{MUST_HAVE} 'r', 'g', 'b'",
        ),
        ("color,class\n", "it has no row with a colour."),
    ],
)
def test_tables_without_colours(read, text, problem):
    """The message says what is missing."""
    found = error_of(read, text)
    assert found == (exceptions.SourceError, f"mask_color_csv colors.csv: {problem}")
