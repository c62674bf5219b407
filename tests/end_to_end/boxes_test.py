"""Datasets with boxes, as their users build and load them."""

import csv
import json
import logging
import pathlib

import mlcroissant
import numpy as np
import pandas as pd
import pytest
import samples
import tensorflow_datasets as tfds
import walk
import yaml
from PIL import Image

import tfds_imagecsv
from tfds_imagecsv import cli
from tfds_imagecsv.problems import Kind

# A red and a blue rectangle on an upright photograph, as left, upper, right and lower
# edge in pixels; all its turns and mirror images differ.
WIDTH, HEIGHT = 64, 40
BOXES = {"red": (4, 6, 30, 14), "blue": (40, 20, 50, 38)}
COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def photograph():
    """Returns an upright image of both rectangles."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for name, box in BOXES.items():
        image.paste(Image.new("RGB", (WIDTH, HEIGHT), COLORS[name]).crop(box), box)
    return image


def edges_of(image, color):
    """Returns the left, upper, right and lower edge of a colored area."""
    is_color = np.abs(np.asarray(image).astype(int) - COLORS[color]).sum(axis=2) < 200
    rows, columns = np.flatnonzero(is_color.any(1)), np.flatnonzero(is_color.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def in_file(orientation, color):
    """Returns the place of a rectangle in the file of an orientation."""
    image = photograph()
    if orientation in samples.TO_FILE:
        image = image.transpose(samples.TO_FILE[orientation])
    return edges_of(image, color)


@pytest.fixture
def write_photographs(tmp_path):
    """Returns a function that writes an image for each orientation, all different."""

    def write():
        (tmp_path / "images").mkdir()
        for orientation in range(1, 9):
            image = photograph()
            image.putpixel((63, 0), (0, 255, orientation))
            if orientation in samples.TO_FILE:
                image = image.transpose(samples.TO_FILE[orientation])
            path = tmp_path / "images" / f"{orientation}.png"
            image.save(path, exif=samples.exif(orientation))

    return write


@pytest.fixture
def make(tmp_path, write_csv):
    """Returns a function that writes a table, and returns a config with boxes."""

    def make(rows, header, **fields):
        write_csv(tmp_path / "labels.csv", rows, header=header)
        values = {"val_size": 0, "test_size": 0, "label_type": "boxes", **fields}
        return tfds_imagecsv.ImageCsvConfig(
            name="rectangles",
            image_dir=tmp_path / "images",
            label_csv=tmp_path / "labels.csv",
            **values,
        )

    return make


def found_boxes(builder, example):
    """Returns the edges of boxes in pixels of the stored image, by class."""
    names = builder.info.features["objects"].feature["label"].names
    height, width = example["image"].shape[:2]
    return {
        names[label]: tuple(box[[1, 0, 3, 2]] * [width, height, width, height])
        for box, label in zip(
            example["objects"]["bbox"], example["objects"]["label"], strict=True
        )
    }


def rows_of(box_of):
    """Returns a row for each rectangle of each image."""
    return [
        (f"{orientation}.png", color, *box_of(orientation, color))
        for orientation in range(1, 9)
        for color in BOXES
    ]


HEADER = ("filename", "class", "xmin", "ymin", "xmax", "ymax")


@pytest.mark.parametrize("apply_exif", [True, False])
def test_sizes_in_the_table_tell_the_frame(
    write_photographs, make, data_dir, apply_exif
):
    """Sizes of the file mean its frame; boxes are turned with their images."""
    write_photographs()
    header = ("filename", "width", "height", *HEADER[1:])
    for upright, box_of in (
        (True, lambda _, color: BOXES[color]),
        (False, in_file),
    ):
        rows = []
        for name, *others in rows_of(box_of):
            is_turned = not upright and int(name[0]) >= 5
            size = (HEIGHT, WIDTH) if is_turned else (WIDTH, HEIGHT)
            rows.append((name, *size, *others))
        config = make(rows, header, apply_exif=apply_exif)
        builder = walk.built(config, data_dir / str(upright))
        understood = builder.info.metadata["understood"]
        assert understood["box frame"] == ("upright" if upright else "file")
        assert understood["image sizes"] == "width, height"
        notes = "".join(builder.info.metadata["notes"])
        assert ("boxes are turned with their images" in notes) != upright
        for example in walk.examples_of(builder).values():
            for color, box in found_boxes(builder, example).items():
                pixels = edges_of(example["image"], color)
                np.testing.assert_allclose(box, pixels, atol=0.01)


def test_sizes_that_tell_both_frames(write_photographs, make, data_dir):
    """It isn't guessed: the message has an image of each, and the field."""
    write_photographs()
    rows = [
        ("6.png", HEIGHT, WIDTH, "red", *BOXES["red"]),
        ("8.png", WIDTH, HEIGHT, "red", *BOXES["red"]),
    ]
    config = make(rows, ("filename", "width", "height", *HEADER[1:]))
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value) == (
        "label_csv: of images that EXIF turns, the table has the size before turning"
        " for 1, such as '6.png', and after it for 1, such as '8.png'. Set"
        " boxes_are_upright to true if the boxes are in the frame of the image as it is"
        " shown, else to false."
    )
    assert not data_dir.exists()


# Tables of people

CENTERS = {
    name: (
        (box[0] + box[2]) / 2,
        (box[1] + box[3]) / 2,
        box[2] - box[0],
        box[3] - box[1],
    )
    for name, box in BOXES.items()
}
SIDES = {
    name: (box[0], box[1], box[2] - box[0], box[3] - box[1])
    for name, box in BOXES.items()
}


def relative(box):
    """Returns a box as fractions of the image."""
    return tuple(np.divide(box, [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist())


def in_one_cell(form):
    """Returns rows with the four numbers in one cell."""
    return [
        (f"{number}.png", color, form.format(*SIDES[color]))
        for number in range(1, 9)
        for color in BOXES
    ]


DIALECTS = {
    "the object-detection tutorials": (
        ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"),
        [
            (f"{number}.png", WIDTH, HEIGHT, color, *BOXES[color])
            for number in range(1, 9)
            for color in BOXES
        ],
        {},
        ("xyxy", "pixels"),
    ),
    "Open Images": (
        (
            "ImageID",
            "Source",
            "LabelName",
            "Confidence",
            "XMin",
            "XMax",
            "YMin",
            "YMax",
        ),
        [
            (number, "xclick", color, 1, box[0], box[2], box[1], box[3])
            for number in range(1, 9)
            for color in BOXES
            for box in [relative(BOXES[color])]
        ],
        {},
        ("xyxy", "relative"),
    ),
    "Vertex AI": (
        None,
        [
            (
                *("training", f"gs://bucket/{number}.png", color),
                *(*box[:2], "", "", *box[2:], "", ""),
            )
            for number in range(1, 9)
            for color in BOXES
            for box in [relative(BOXES[color])]
        ],
        {"filename_column": "2", "label_column": "3", "split_column": "1"}
        | {"box_columns": ["4", "5", "8", "9"]},
        ("xyxy", "relative"),
    ),
    "YOLO": (
        ("image", "label", "x_center", "y_center", "width", "height"),
        [
            (f"{number}.png", color, *relative(CENTERS[color]))
            for number in range(1, 9)
            for color in BOXES
        ],
        {},
        ("cxcywh", "relative"),
    ),
    "a corner by evidence": (
        ("image", "label", "x", "y", "w", "h"),
        rows_of(lambda _, color: SIDES[color]),
        {},
        ("xywh", "pixels"),
    ),
    "COCO's cell": (
        ("image", "category", "bbox"),
        in_one_cell("[{}, {}, {}, {}]"),
        {},
        ("xywh", "pixels"),
    ),
    "a cell of NumPy": (
        ("image", "bbox", "category"),
        [(name, box, color) for name, color, box in in_one_cell("[{}. {}. {}. {}.]")],
        {},
        ("xywh", "pixels"),
    ),
    "no header": (
        None,
        rows_of(lambda _, color: BOXES[color]),
        {"box_columns": ["3", "4", "5", "6"], "label_column": "2"},
        ("xyxy", "pixels"),
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect(write_photographs, make, data_dir, name):
    """Columns, format and units are found and reported."""
    write_photographs()
    header, rows, fields, understood = DIALECTS[name]
    if header is None:
        header, *rows = rows
    builder = walk.built(make(rows, header, **fields), data_dir)
    found = builder.info.metadata["understood"]
    assert (found["box format"], found["box units"]) == understood
    assert found["box frame"] == "upright"
    examples = walk.examples_of(builder)
    assert len(examples) == 8
    for example in examples.values():
        boxes = found_boxes(builder, example)
        assert boxes.keys() == set(BOXES)
        for color, box in boxes.items():
            np.testing.assert_allclose(box, BOXES[color], atol=0.01)


@pytest.mark.parametrize("table_format", ["jsonl", "parquet"])
def test_lists_in_cells(write_photographs, make, data_dir, tmp_path, table_format):
    """JSON Lines and Parquet have them; an empty list is no box."""
    write_photographs()
    rows = [
        {"file": f"{number}.png", "class": color, "bbox": list(map(float, box))}
        for number in range(1, 8)
        for color, box in SIDES.items()
    ]
    frame = pd.DataFrame([*rows, {"file": "8.png", "class": None, "bbox": []}])
    path = tmp_path / f"labels.{table_format}"
    if table_format == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    config = make([], HEADER)
    config.label_csv = str(path)
    examples = walk.examples_of(walk.built(config, data_dir))
    assert examples["8.png"]["objects"]["bbox"].shape == (0, 4)
    assert examples["7.png"]["objects"]["bbox"].shape == (2, 4)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            ("file", "class", "bbox"),
            [("1.png", "red", "1 2 13 14")],
            (
                "label_csv: the format of the boxes isn't clear: 'xyxy' and 'xywh' fit."
                " Boxes without an area or outside of their image, by format:"
                " 'xyxy': 0 of 1, 'xywh': 0 of 1, 'cxcywh': 1 of 1. Set box_format."
            ),
        ),
        (
            ("file", "class", "bbox"),
            [("1.png", "red", "900 2 13 14")],
            (
                "label_csv: the format of the boxes isn't clear: none fits."
                " Boxes without an area or outside of their image, by format:"
                " 'xyxy': 1 of 1, 'xywh': 1 of 1, 'cxcywh': 1 of 1. Set box_format."
            ),
        ),
        (
            HEADER,
            [("1.png", "red", 0.5, 0.5, 1, 1), ("2.png", "red", 1, 2, 3, 4)],
            (
                "label_csv: of 2 boxes, 1 have no number above 1, such as"
                " [0.5, 0.5, 1.0, 1.0], and the others do, such as"
                " [1.0, 2.0, 3.0, 4.0]. Set box_units to 'relative' or 'pixels', and"
                " correct the others."
            ),
        ),
        (
            ("file", "xmin", "ymin", "xmax", "ymax"),
            [("1.png", 1, 2, 3, 4)],
            (
                "labels.csv: there is no column left for the classes of the boxes. Set"
                " label_column, or add a column; if all objects are of one class, it"
                " has its name in each row. Its columns are: 'file', 'xmin', 'ymin',"
                " 'xmax', 'ymax'"
            ),
        ),
        (
            ("file", "class", "a", "b"),
            [("1.png", "red", 1, 2)],
            (
                "labels.csv: no columns are named as those of boxes usually are. Set"
                " box_columns to four, or to one whose cells have four numbers. Its"
                " columns are: 'file', 'class', 'a', 'b'"
            ),
        ),
    ],
)
def test_what_is_not_guessed(write_photographs, make, data_dir, header, rows, message):
    """The message says what it tried, and which field to set."""
    write_photographs()
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        walk.built(make(rows, header), data_dir)
    assert str(caught.value).endswith(message)
    assert not data_dir.exists()


# What is wrong

BAD = [
    ("1.png", "p", 64, 40, "red", *BOXES["red"]),
    ("1.png", "p", 64, 40, "red", *BOXES["red"]),  # row 3
    ("1.png", "p", 64, 40, "", *BOXES["blue"]),
    ("1.png", "p", 64, 40, "blue", "", "", "", ""),
    ("1.png", "p", 64, 40, "", "", "", "", ""),
    ("1.png", "p", 64, 40, "blue", 40, 20, "", 38),
    ("1.png", "p", 64, 40, "blue", 40, 20, "nan", 38),  # row 8
    ("2.png", "p", 64, 40, "red", 10, 6, 10, 14),
    ("2.png", "p", 64, 40, "red", 30, 6, 4, 14),
    ("2.png", "p", 64, 40, "red", 60, 6, 70, 14),
    ("2.png", "p", 64, 40, "blue", *BOXES["blue"]),
    ("2.png", "p", 64, 40, "blue", -0.5, 20, 64.9, 38),  # row 13
    ("3.png", "p", 80, 40, "red", *BOXES["red"]),
    ("4.png", "p", 64, 40, "red", *BOXES["red"]),
    ("4.png", "q", 64, 40, "blue", *BOXES["blue"]),
    ("5.png", "p", 64, 40, "red", 4, 6, 300, 14),
    ("6.png", "p", 64, 40, "", "", "", "", ""),  # row 18
    ("7.png", "p", 64, 40, "red", *BOXES["red"]),
    ("nothing.png", "p", 64, 40, "red", *BOXES["red"]),
]
BAD_HEADER = ("filename", "group", "width", "height", *HEADER[1:])
BAD_REPORT = """\
Empty label (1):
  row 4: a box for '1.png'
  -> Fill in the label, or remove the row.

Class without a box (1):
  row 5: 'blue' for '1.png'
  -> Fill in the box; of an image without objects, leave the class empty, too.

Box that isn't four numbers (2):
  row 7: '40', '20', '', '38' for '1.png'
  row 8: '40', '20', 'nan', '38' for '1.png'
  -> Write four finite numbers, in four cells or in one such as '[1, 2, 3, 4]'.

Box given twice (1):
  row 3: the same as row 2 for '1.png'
  -> Keep one row for each box.

Row without a box, of an image with boxes (1):
  row 6: no box, and one in row 2, for '1.png'
  -> Fill in the box, or remove the row.

Rows of one image that contradict each other (2):
  row 15: the group isn't that of row 16 for '4.png'
  row 16: the group isn't that of row 15 for '4.png'
  -> Give all rows of an image the same group, split, size and further images.

Image not found (1):
  row 20: 'nothing.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.

Size in the table that isn't the image's (1):
  row 14: '3.png' is 64 x 40, not 80 x 40
  -> Correct it: boxes that were drawn on another size don't fit.

Box without an area (2):
  row 9: [10.0, 6.0, 10.0, 14.0] of '2.png', 64 x 40
  row 10: [30.0, 6.0, 4.0, 14.0] of '2.png', 64 x 40
  -> Correct or remove it, or set box_format.

Box that leaves its image (2):
  row 11: [60.0, 6.0, 70.0, 14.0] reaches 6 pixels past the right edge of \
'2.png', 64 x 40
  row 17: [4.0, 6.0, 300.0, 14.0] reaches 236 pixels past the right edge of \
'5.png', 64 x 40
  -> Correct or remove it, or set box_format, box_units or boxes_are_upright."""


def test_all_that_is_wrong_is_said_at_once(write_photographs, make, data_dir):
    """The message has the rows; nothing is written."""
    write_photographs()
    config = make(BAD, BAD_HEADER, group_column="group")
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value).partition(":\n\n")[2] == BAD_REPORT
    assert not data_dir.exists()


IN_ONE = ("file", "class", "bbox")
XYXY, XYWH, CXCYWH = ({"box_format": one} for one in ("xyxy", "xywh", "cxcywh"))
OUTSIDE = "{} reaches {} pixels past the {} edge of '1.png', 64 x 40"
BAD_BOXES = [
    (IN_ONE, ["[1, 2, 3]"], XYXY, Kind.BOX_NUMBERS, "'[1, 2, 3]' for '1.png'"),
    (IN_ONE, ["1 2 3 4 5"], XYXY, Kind.BOX_NUMBERS, "'1 2 3 4 5' for '1.png'"),
    (IN_ONE, ["1 2 inf 4"], XYXY, Kind.BOX_NUMBERS, "'1 2 inf 4' for '1.png'"),
    (HEADER, [1, 2, 3, "x"], {}, Kind.BOX_NUMBERS, "'1', '2', '3', 'x' for '1.png'"),
    (
        *(IN_ONE, ["[9, 6, -4, 8]"], XYWH, Kind.BOX_AREA),
        "[9.0, 6.0, -4.0, 8.0] of '1.png', 64 x 40",
    ),
    (
        *(IN_ONE, ["[9, 6, 8, 0]"], CXCYWH, Kind.BOX_AREA),
        "[9.0, 6.0, 8.0, 0.0] of '1.png', 64 x 40",
    ),
    (
        *(HEADER, [4, 6, 30, 14], {"box_units": "relative"}, Kind.BOX_OUTSIDE),
        OUTSIDE.format([4.0, 6.0, 30.0, 14.0], "1,856", "right"),
    ),
    (
        *(HEADER, [0.5, -0.25, 1, 0.5], {}, Kind.BOX_OUTSIDE),
        OUTSIDE.format([0.5, -0.25, 1.0, 0.5], 10, "upper"),
    ),
    (
        *(HEADER, [-3.5, 6, 30, 14], {}, Kind.BOX_OUTSIDE),
        OUTSIDE.format([-3.5, 6.0, 30.0, 14.0], 3.5, "left"),
    ),
    (
        *(HEADER, [4, 6, 30, 41.5], {}, Kind.BOX_OUTSIDE),
        OUTSIDE.format([4.0, 6.0, 30.0, 41.5], 1.5, "lower"),
    ),
    (
        *((*HEADER, "width", "height"), [4, 6, 30, 14, 64, "?"], {}, Kind.IMAGE_SIZE),
        "'?' is no number of pixels for '1.png'",
    ),
]


@pytest.mark.parametrize(("header", "cells", "fields", "kind", "detail"), BAD_BOXES)
def test_a_bad_box(
    make, write_photographs, data_dir, header, cells, fields, kind, detail
):
    """It is reported; if skipped, it is listed, and its image is left out."""
    write_photographs()
    rows = [("1.png", "red", *cells)]
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(make(rows, header, **fields), data_dir)
    assert str(caught.value).partition(":\n\n")[2] == (
        f"{kind.heading} (1):\n  row 2: {detail}\n  -> {kind.remedy}"
    )
    assert not data_dir.exists()
    rows.append(("3.png", *[""] * (len(header) - 1)))
    config = make(rows, header, on_error="skip", max_rejected=1, **fields)
    builder = walk.built(config, data_dir)
    assert walk.examples_of(builder).keys() == {"3.png"}
    assert rejected_rows(builder) == {
        2: {
            "key": "1.png",
            "label": "red",
            "reason": f"{kind.heading}: {detail}",
        }
    }


@pytest.mark.parametrize(
    ("good", "bad", "detail"),
    [
        ((64, 40), (80, 40), "'6.png' is 64 x 40, not 80 x 40"),
        ((40, 64), (40, 80), "'6.png' is 40 x 64, not 40 x 80"),
    ],
)
def test_the_size_of_a_turned_image_is_said_as_the_table_has_it(
    make, write_photographs, good, bad, detail
):
    """That is upright or as in the file: who corrects it doesn't mix the two."""
    write_photographs()
    rows = [("5.png", "red", 4, 6, 30, 14, *good), ("6.png", "red", 4, 6, 30, 14, *bad)]
    found = walk.inspect(make(rows, (*HEADER, "width", "height")))
    assert [one.detail for one in found.problems] == [detail]


def test_bad_boxes_are_left_out_and_listed(write_photographs, make, data_dir):
    """Their images stay, unless all their boxes are bad."""
    write_photographs()
    config = make(
        BAD, BAD_HEADER, group_column="group", on_error="skip", max_rejected=1
    )
    builder = walk.built(config, data_dir)
    examples = walk.examples_of(builder)
    assert {
        name: len(example["objects"]["label"]) for name, example in examples.items()
    } == {"1.png": 1, "2.png": 2, "6.png": 0, "7.png": 1}
    edges = sorted(examples["2.png"]["objects"]["bbox"].tolist())
    np.testing.assert_allclose(edges[0], [0.5, 0, 0.95, 1])  # clipped
    notes = "".join(builder.info.metadata["notes"])
    assert "1 box leaves its image by a pixel at most (clipped)" in notes
    counts = builder.info.metadata["class_counts"]["train"]
    assert counts == {"blue": 1, "red": 2}  # 2.png has no red box left
    assert builder.info.metadata["box_counts"]["train"] == {"blue": 2, "red": 2}
    rejected = sorted(rejected_rows(builder))
    assert rejected == [3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 20]


def rejected_rows(builder):
    """Returns the lines of `rejected_rows.csv`, by row."""
    with (builder.data_path / "rejected_rows.csv").open(encoding="utf-8") as file:
        return {int(row.pop("row")): row for row in csv.DictReader(file)}


UNUSABLE = [
    ("1.png", 64, 40, "red", *BOXES["red"]),
    ("2.png", 80, 40, "red", *BOXES["red"]),  # of another size
    ("2.png", 80, 40, "blue", *BOXES["blue"]),
    ("nothing.png", "", "", "red", *BOXES["red"]),  # row 5
    ("nothing.png", "", "", "blue", *BOXES["blue"]),
    ("nothing.png", "", "", "blue", 1, 2, 3, ""),
    ("no.png", "", "", "", "", "", "", ""),  # row 8
    ("3.png", 64, 40, "red", *BOXES["red"]),
    ("copy.png", 64, 40, "red", *BOXES["red"]),
    ("copy.png", 64, 40, "blue", *BOXES["blue"]),
    ("4.png", 64, 40, "red", *BOXES["red"]),  # row 12
    ("4.png", 64, 40, "blue", *BOXES["blue"]),
    ("same.png", 64, 40, "blue", *BOXES["blue"]),
    ("same.png", 64, 40, "red", *BOXES["red"]),
]


def test_each_row_of_an_image_that_is_left_out_is_listed(
    write_photographs, make, data_dir, tmp_path
):
    """Law 6: all its boxes are listed, for any problem of the image; they count."""
    write_photographs()
    images = tmp_path / "images"
    (images / "copy.png").write_bytes((images / "3.png").read_bytes())
    (images / "same.png").write_bytes((images / "4.png").read_bytes())
    header = ("filename", "width", "height", *HEADER[1:])
    fields = {"on_error": "skip", "duplicates": "drop"}
    config = make(UNUSABLE, header, max_rejected=0.6, **fields)
    with pytest.raises(
        tfds_imagecsv.InvalidRowsError,
        match=r"9 of 14 rows would have to be left out, which is more than"
        r" max_rejected=0\.6\. Of these, 5 have a problem below, and 4 are of images"
        " that can't be used",
    ):
        walk.built(config, data_dir)
    builder = walk.built(make(UNUSABLE, header, max_rejected=0.7, **fields), data_dir)
    assert walk.examples_of(builder).keys() == {"1.png", "4.png"}
    found = rejected_rows(builder)
    assert {at: (row["key"], row["label"]) for at, row in found.items()} == {
        3: ("2.png", "red"),
        4: ("2.png", "blue"),
        5: ("nothing.png", "red"),
        6: ("nothing.png", "blue"),
        7: ("nothing.png", "blue"),
        8: ("no.png", "|"),  # an image without objects
        9: ("3.png", "red"),
        10: ("copy.png", "red"),
        11: ("copy.png", "blue"),
        14: ("same.png", "blue"),
        15: ("same.png", "red"),
    }
    reasons = [found[at]["reason"].partition(":")[0] for at in sorted(found)]
    assert reasons == [
        *["Size in the table that isn't the image's"] * 2,
        *["Image not found"] * 2,
        "Box that isn't four numbers",
        "Image not found",
        *["Identical images with different labels"] * 3,
        *["identical to 4.png in row 12"] * 2,
    ]
    assert builder.info.metadata["rejected_rows"] == 11


def test_rare_classes_of_boxes(write_photographs, make, data_dir):
    """An image with one is left out with all its boxes."""
    write_photographs()
    rows = [
        ("1.png", "red", *BOXES["red"]),
        ("2.png", "blue", *BOXES["blue"]),
        ("2.png", "red", *BOXES["red"]),
        ("3.png", "red", *BOXES["red"]),
    ]
    config = make(rows, HEADER, min_class_size=2, rare_classes="drop")
    builder = walk.built(config, data_dir)
    assert walk.examples_of(builder).keys() == {"1.png", "3.png"}
    assert builder.info.features["objects"].feature["label"].names == ["red"]
    labels = {at: row["label"] for at, row in rejected_rows(builder).items()}
    assert labels == {3: "blue", 4: "red"}


def test_quality_issues_of_images_with_boxes(
    write_photographs, make, data_dir, tmp_path
):
    """An image with one is left out with all its boxes, and counts once."""
    write_photographs()
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / "dark.png")
    rows = [("1.png", "red", *BOXES["red"])]
    rows += [("dark.png", color, *box) for color, box in BOXES.items()]
    config = make(rows, HEADER, drop_issues=["dark"])
    builder = walk.built(config, data_dir)
    assert walk.examples_of(builder).keys() == {"1.png"}
    labels = {at: row["label"] for at, row in rejected_rows(builder).items()}
    assert labels == {3: "red", 4: "blue"}
    assert (
        "1 image is left out for quality issues, see rejected_rows.csv: dark (1)"
        in (builder.info.metadata["notes"])
    )


# Splits, counts and files


@pytest.fixture
def many(tmp_path, write_png, make):
    """Returns a config of 60 images with 0 to 3 boxes of 2 classes."""
    rows = []
    for at in range(60):
        write_png(tmp_path / "images" / f"{at:02}.png", width=20, height=10)
        for number in range(at % 3):
            rows.append((f"{at:02}.png", "cat", number, 1, number + 5, 6))
        if at % 4 == 0:
            rows.append((f"{at:02}.png", "dog", 1, 1, 9, 9))
        elif at % 3 == 0:
            rows.append((f"{at:02}.png", *[""] * 5))
    return make(rows, HEADER, val_size=0.2, test_size=0.2)


def test_splits_keep_the_combinations_of_classes(many, data_dir):
    """They divide images; both images and boxes are counted."""
    builder = walk.built(many, data_dir)
    sizes = {name: one.num_examples for name, one in builder.info.splits.items()}
    assert sizes == {"train": 36, "validation": 12, "test": 12}
    metadata = builder.info.metadata
    assert metadata["class_counts"] == {
        "train": {"cat": 24, "dog": 9},
        "validation": {"cat": 8, "dog": 3},
        "test": {"cat": 8, "dog": 3},
    }
    boxes = metadata["box_counts"]
    assert sum(counts["cat"] for counts in boxes.values()) == 20 + 2 * 20
    assert sum(counts["dog"] for counts in boxes.values()) == 15
    found = {"cat": 0, "dog": 0}
    names = builder.info.features["objects"].feature["label"].names
    for example in tfds.as_numpy(builder.as_dataset(split="train")):
        for label in example["objects"]["label"]:
            found[names[label]] += 1
    assert found == boxes["train"]
    with (builder.data_path / "split_manifest.csv").open() as file:
        labels = {row["key"]: row["label"] for row in csv.DictReader(file)}
    assert labels["00.png"] == "dog"
    assert labels["03.png"] == "|"
    assert labels["04.png"] == "cat|dog"


def test_as_supervised_gives_images_and_objects(many, data_dir):
    """They can be read in padded batches, like TFDS's own datasets of boxes."""
    builder = walk.built(many, data_dir)
    dataset = builder.as_dataset(split="train", as_supervised=True)
    image, objects = next(iter(dataset.padded_batch(36)))
    assert image.shape == (36, 10, 20, 3)
    assert objects["bbox"].shape == (36, 3, 4)
    assert objects["label"].shape == (36, 3)


def test_check_shows_boxes(many, capsys):
    """Images and boxes of each class."""
    assert (
        cli.main(["check", many.image_dir, many.label_csv, "--label-type=boxes"]) == 0
    )
    shown = capsys.readouterr().out
    assert "60 images with boxes in" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["cat", "32", "4", "4", "40", "60"] in lines
    assert ["dog", "12", "1", "2", "15", "15"] in lines or (
        ["dog", "12", "2", "1", "15", "15"] in lines
    )
    assert ["total", "48", "6", "6", "60", "75"] in lines


def test_a_dataset_of_boxes_gets_stale(many, data_dir):
    """Another number makes it stale, another order of the rows doesn't."""
    builder = walk.built(many, data_dir)
    path = pathlib.Path(builder.builder_config.label_csv)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    tfds_imagecsv.ImageCsv(config=many, data_dir=data_dir).raise_if_stale()
    at = next(at for at, line in enumerate(lines) if ",cat," in line)
    lines[at] = lines[at].removesuffix("6") + "7"
    path.write_text("\n".join(lines))
    with pytest.raises(tfds_imagecsv.StaleDatasetError, match="of the rows, 1 has"):
        tfds_imagecsv.ImageCsv(config=many, data_dir=data_dir).raise_if_stale()


def test_saying_what_was_found_changes_nothing(write_photographs, make, data_dir):
    """It doesn't make a dataset stale; other values do."""
    write_photographs()
    rows = rows_of(lambda _, color: BOXES[color])
    walk.built(make(rows, HEADER), data_dir)

    def load(**fields):
        config = make(rows, HEADER, **fields)
        tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir).raise_if_stale()

    found = {"box_format": "xyxy", "box_units": "pixels", "boxes_are_upright": True}
    load(**found)
    for name, value in found.items():
        load(**{name: value})
    others = {"box_format": "xywh", "box_units": "relative", "boxes_are_upright": False}
    for name, value in others.items():
        with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
            load(**{**found, name: value})
        assert str(caught.value).splitlines()[1:-1] == [
            f"  {name}: was None, is {value!r}"
        ]


NAMES = ("a|b", "a", "b", "|", '"', '"a', 'c "d"')


def test_classes_with_a_delimiter_in_their_names(write_photographs, make, data_dir):
    """They don't pass for several; the manifest's labels tell them apart."""
    write_photographs()
    classes_of = {
        "1.png": ["a|b"],
        "2.png": ["a", "b"],
        "3.png": ["|"],
        "4.png": ['"', '"a'],
        "5.png": ['c "d"', "b"],
        "6.png": [],
    }
    rows = []
    for name, classes in classes_of.items():
        rows += [(name, one, at, 0, at + 9, 9) for at, one in enumerate(classes)]
        if not classes:
            rows.append((name, *[""] * 5))
    builder = walk.built(make(rows, HEADER), data_dir)
    counts = {name: sum(name in of for of in classes_of.values()) for name in NAMES}
    assert builder.info.metadata["class_counts"]["train"] == counts
    assert builder.info.metadata["box_counts"]["train"] == counts
    with (builder.data_path / "split_manifest.csv").open() as file:
        labels = {row["key"]: row["label"] for row in csv.DictReader(file)}
    for name, label in labels.items():
        [classes] = csv.reader([label], delimiter="|")
        assert list(filter(None, classes)) == sorted(classes_of[name])
    assert labels["1.png"] == '"a|b"'
    assert labels["5.png"] == 'b|c "d"'


def test_images_without_objects_alone(write_photographs, make, data_dir):
    """A class may come later; nothing can be concluded about boxes."""
    write_photographs()
    config = make([("1.png", *[""] * 5), ("2.png", *[""] * 5)], HEADER, classes=["red"])
    builder = walk.built(config, data_dir)
    assert "box format" not in builder.info.metadata["understood"]
    examples = walk.examples_of(builder)
    assert [one["objects"]["label"].shape for one in examples.values()] == [(0,)] * 2
    assert builder.info.metadata["box_counts"] == {"train": {"red": 0}}


def test_tables_by_split_and_unlabelled_images(
    write_photographs, make, data_dir, tmp_path, write_csv
):
    """Unlabelled images have no boxes, but aren't images without objects."""
    write_photographs()
    config = make(rows_of(lambda _, color: BOXES[color])[:8], HEADER)
    write_csv(tmp_path / "more.csv", [("7.png",), ("8.png",)], header=("filename",))
    rows = [("5.png", "blue", *BOXES["blue"]), ("6.png", *[""] * 5)]
    write_csv(tmp_path / "test.csv", rows, header=HEADER)
    config.label_csv = {
        "train": str(tmp_path / "labels.csv"),
        "test": str(tmp_path / "test.csv"),
        "unlabeled": str(tmp_path / "more.csv"),
    }
    builder = walk.built(config, data_dir)
    sizes = {name: one.num_examples for name, one in builder.info.splits.items()}
    assert sizes == {"train": 4, "test": 2, "unlabeled": 2}
    assert builder.info.metadata["box_counts"] == {
        "train": {"blue": 4, "red": 4},
        "test": {"blue": 1, "red": 0},
        "unlabeled": {"blue": 0, "red": 0},
    }
    with (builder.data_path / "split_manifest.csv").open() as file:
        labels = {row["key"]: row["label"] for row in csv.DictReader(file)}
    assert (labels["6.png"], labels["7.png"]) == ("|", "")


def test_classes_of_boxes(write_photographs, make, data_dir):
    """Unknown classes are a problem of their box."""
    write_photographs()
    rows = rows_of(lambda _, color: BOXES[color])[:2]
    config = make(rows, HEADER, classes=["red", "green"])
    with pytest.raises(tfds_imagecsv.InvalidRowsError, match="row 3: 'blue' for"):
        walk.built(config, data_dir)
    config = make(rows, HEADER, classes=["red", "green"], on_error="skip")
    config.max_rejected = 0.5
    (example,) = walk.examples_of(walk.built(config, data_dir)).values()
    assert example["objects"]["label"].tolist() == [0]


def test_copies_with_other_boxes_are_a_conflict(
    write_photographs, make, data_dir, tmp_path
):
    """Like identical images with other labels."""
    write_photographs()
    copy = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "copy.png").write_bytes(copy)
    rows = [
        ("1.png", "red", *BOXES["red"]),
        ("1.png", "blue", *BOXES["blue"]),
        ("copy.png", "red", *BOXES["red"]),
    ]
    with pytest.raises(tfds_imagecsv.InvalidRowsError, match=r"'copy\.png' is 'red'"):
        walk.built(make(rows, HEADER), data_dir)
    rows.append(("copy.png", "blue", *BOXES["blue"]))
    builder = walk.built(make(rows, HEADER), data_dir)
    assert builder.info.metadata["duplicate_sets"] == 1


def test_boxes_that_are_not_asked_for(write_photographs, make, capsys):
    """A note says how to use them; files named twice are an error."""
    write_photographs()
    config = make(rows_of(lambda _, color: BOXES[color]), HEADER)
    assert cli.main(["check", config.image_dir, config.label_csv]) == 1
    shown = capsys.readouterr().out
    assert (
        "Note: 'xmin', 'ymin', 'xmax', 'ymax' look like boxes, and aren't used: set"
        " label_type='boxes' if each row is an object\n"
    ) in shown
    assert "File named twice (8)" in shown


def test_what_is_said_of_boxes(write_photographs, make, data_dir):
    """The description, the report and the card tell of them; the card has them."""
    write_photographs()
    builder = walk.built(make(rows_of(lambda _, color: BOXES[color]), HEADER), data_dir)
    assert builder.info.description.startswith("8 images with boxes of 2 classes, from")
    page = (builder.data_path / "report.html").read_text(encoding="utf-8")
    assert "with boxes of 2 classes" in page
    assert cli.main(["card", "image_csv/rectangles", f"--data_dir={data_dir}"]) == 0
    lines = (builder.data_path / "images" / "train" / "metadata.jsonl").read_text()
    rows = {
        row["file_name"]: row["objects"]
        for row in map(json.loads, lines.split("\n")[:-1])
    }
    assert len(rows) == 8
    examples = walk.examples_of(builder)
    names = builder.info.features["objects"].feature["label"].names
    for key, objects in rows.items():
        found = examples[key]["objects"]
        assert objects["label"] == [names[at] for at in found["label"]]
        assert np.array_equal(np.array(objects["bbox"], np.float32), found["bbox"])
    card = (builder.data_path / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["task_categories"] == ["object-detection"]
    assert [one["name"] for one in front["dataset_info"]["features"]] == [
        "image",
        "objects",
    ]
    logging.disable(logging.WARNING)
    try:
        read = list(
            mlcroissant.Dataset(builder.data_path / "croissant.json").records(
                "examples"
            )
        )
    finally:
        logging.disable(logging.NOTSET)
    assert {one["examples/label"] for one in read} == {b"blue|red"}
