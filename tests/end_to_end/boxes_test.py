"""Datasets with boxes, as their users build and load them."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageDraw

import tfds_imagecsv

# A red and a blue rectangle on an upright photograph, as left, upper, right and lower
# edge in pixels; no turn or mirror image of it is like itself.
WIDTH, HEIGHT = 64, 40
BOXES = {"red": (4, 6, 30, 14), "blue": (40, 20, 50, 38)}
COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}

# What makes an upright image what a camera stores, by EXIF orientation.
TO_FILE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def drawn(box, color):
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    left, upper, right, lower = box
    ImageDraw.Draw(image).rectangle((left, upper, right - 1, lower - 1), color)
    return image


def photograph():
    """Returns an upright image of both rectangles."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for name, box in BOXES.items():
        image.paste(Image.new("RGB", (WIDTH, HEIGHT), COLORS[name]).crop(box), box)
    return image


def edges_of(image, color):
    """Returns the left, upper, right and lower edge of what has a color."""
    is_color = np.abs(np.asarray(image).astype(int) - COLORS[color]).sum(axis=2) < 200
    rows, columns = np.flatnonzero(is_color.any(1)), np.flatnonzero(is_color.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def in_file(orientation, color):
    """Returns where a rectangle is in the file of an orientation."""
    image = photograph()
    if orientation in TO_FILE:
        image = image.transpose(TO_FILE[orientation])
    return edges_of(image, color)


@pytest.fixture
def write_photographs(tmp_path):
    """Returns a function that writes an image for each orientation, all different."""

    def write(image_format="PNG"):
        (tmp_path / "images").mkdir()
        for orientation in range(1, 9):
            image = photograph()
            image.putpixel((63, 0), (0, 255, orientation))
            if orientation in TO_FILE:
                image = image.transpose(TO_FILE[orientation])
            exif = Image.Exif()
            exif[0x0112] = orientation
            path = tmp_path / "images" / f"{orientation}.{image_format.lower()}"
            image.save(path, image_format, exif=exif)

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


def built(config, data_dir, **kwargs):
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir, **kwargs)
    builder.download_and_prepare()
    return builder


def examples_of(builder):
    """Returns all examples, by file name, as TFDS alone loads them."""
    prepared = tfds.builder_from_directory(builder.data_path)
    return {
        example["image/filename"].decode(): example
        for split in prepared.as_dataset().values()
        for example in tfds.as_numpy(split)
    }


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


def rows_of(box_of, image_format="png"):
    return [
        (f"{orientation}.{image_format}", color, *box_of(orientation, color))
        for orientation in range(1, 9)
        for color in BOXES
    ]


HEADER = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
RESIZED = {"resize", "max_side"}
CONVERSIONS = [
    {},
    {"apply_exif": False},
    {"resize": [90, 30]},
    {"max_side": 33},
    {"channels": 4, "encoding": "png"},
]


@pytest.mark.parametrize("fields", CONVERSIONS)
@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF"])
def test_boxes_are_where_the_pixels_are(
    write_photographs, make, data_dir, fields, upright, image_format
):
    """In all EXIF orientations, whichever frame the table's boxes are in."""
    write_photographs(image_format)
    box_of = (lambda _, color: BOXES[color]) if upright else in_file
    config = make(
        rows_of(box_of, image_format.lower()),
        HEADER,
        boxes_are_upright=upright,
        **fields,
    )
    builder = built(config, data_dir)
    examples = examples_of(builder)
    assert len(examples) == 8
    for name, example in examples.items():
        boxes = found_boxes(builder, example)
        assert boxes.keys() == set(BOXES)
        for color, box in boxes.items():
            pixels = edges_of(example["image"][..., :3], color)
            is_exact = image_format != "JPEG" and not fields.keys() & RESIZED
            slack = 0.01 if is_exact else 1.01
            np.testing.assert_allclose(box, pixels, atol=slack, err_msg=name)
