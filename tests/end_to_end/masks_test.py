"""Datasets with segmentation masks, as their users build and load them."""

import csv
import fractions
import json
import math
import os
import pathlib
import random
import shutil

import numpy as np
import processes
import pytest
import samples
import tensorflow_datasets as tfds
import walk
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

import tfds_imagecsv

# Upright; all its turns and mirror images differ.
HEIGHT, WIDTH = 9, 14
CLASSES = ("ground", "cat", "dog", "emu")

# The turns that undo turns.
INVERSE = {6: 8, 8: 6}

READ = """
import hashlib, sys
sys.modules["tfds_imagecsv"] = None
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory(sys.argv[1])
print(*builder.info.features["segmentation_mask"].names)
for split in builder.as_dataset().values():
    for example in tfds.as_numpy(split):
        mask = example["segmentation_mask"]
        digest = hashlib.sha256(mask.tobytes()).hexdigest()
        print(example["image/filename"].decode(), mask.shape, mask.dtype, digest)
"""


def values_of(number, dtype=np.uint8):
    """Returns the values of an upright mask."""
    return samples.noise(HEIGHT, WIDTH, seed=number, dtype=dtype) % len(CLASSES)


def in_file(pixels, orientation):
    """Returns upright pixels as in a file of an orientation."""
    return samples.TURNS[INVERSE.get(orientation, orientation)](pixels)


def as_png(values, image_format="PNG", **kwargs):
    """Returns values as a file's bytes."""
    image = Image.fromarray(np.ascontiguousarray(values))
    return samples.encoded(image, image_format, **kwargs)


@pytest.fixture
def write(tmp_path, write_csv):
    """Returns a function that writes images, masks and a table; returns a config.

    There is an image of each orientation: `images/6.jpg` and its mask `masks/6.png`.
    """

    def write(*, upright=True, masks=None, rows=None, header=None, **fields):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "masks").mkdir(exist_ok=True)
        for number in range(1, 9):
            pixels = in_file(samples.noise(HEIGHT, WIDTH, 3, seed=number), number)
            image = Image.fromarray(np.ascontiguousarray(pixels))
            exif = samples.exif(number)
            path = tmp_path / "images" / f"{number}.jpg"
            path.write_bytes(samples.encoded(image, "JPEG", exif=exif))
            values = values_of(number)
            mask = as_png(values if upright else in_file(values, number))
            (tmp_path / "masks" / f"{number}.png").write_bytes(mask)
        for name, content in (masks or {}).items():
            (tmp_path / "masks" / name).write_bytes(content)
        values = {"val_size": 0, "test_size": 0, "label_type": "none", **fields}
        if rows is not None:
            write_csv(tmp_path / "labels.csv", rows, header=header)
            values["label_csv"] = tmp_path / "labels.csv"
        return tfds_imagecsv.ImageCsvConfig(
            name="masks",
            image_dir=tmp_path / "images",
            **{"mask_dir": tmp_path / "masks", **values},
        )

    return write


def masks_of(builder):
    """Returns the values of masks by the number of the image."""
    return {
        int(name.partition(".")[0]): example["segmentation_mask"][..., 0]
        for name, example in walk.examples_of(builder).items()
    }


# Where the values are


def nearest(values, height, width):
    """Returns values of another size: each is the value below its pixel's centre."""

    def below(at, before, after):
        return math.floor((at + fractions.Fraction(1, 2)) * before / after)

    rows = [below(at, values.shape[0], height) for at in range(height)]
    columns = [below(at, values.shape[1], width) for at in range(width)]
    return np.array([[values[y, x] for x in columns] for y in rows])


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"apply_exif": False},
        {"resize": [5, 11]},
        {"resize": [20, 30], "apply_exif": False},
        {"max_side": 6},
        {"channels": 1},
        {"channels": 4, "encoding": "png"},
        {"dtype": "uint16", "verify": "header"},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_masks_are_where_the_pixels_are(write, data_dir, upright, fields):
    """Exactly, in all EXIF orientations, and in any frame of the masks."""
    builder = walk.built(write(upright=upright, **fields), data_dir)
    understood = builder.info.metadata["understood"]
    assert understood["mask frame"] == ("upright" if upright else "file")
    found = walk.examples_of(builder)
    assert len(found) == 8
    for number in range(1, 9):
        example = found[f"{number}.jpg"]
        expected = values_of(number)
        if not fields.get("apply_exif", True):
            expected = in_file(expected, number)
        expected = nearest(expected, *example["image"].shape[:2])
        np.testing.assert_array_equal(example["segmentation_mask"][..., 0], expected)
        assert example["segmentation_mask"].dtype == np.uint8


def test_the_frame_can_be_given(write, data_dir):
    """If sizes don't tell it; otherwise, a mask of the other frame is wrong."""
    config = write(masks_are_upright=False)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir)
    assert "Mask of another size than its image (4):" in str(caught.value)
    config = write(upright=False, masks_are_upright=False)
    builder = walk.built(config, data_dir)
    for number, values in masks_of(builder).items():
        np.testing.assert_array_equal(values, values_of(number))


def test_sizes_that_tell_both_frames(write, data_dir):
    """It isn't guessed: the message has an image of each, and the field."""
    other = {"6.png": as_png(in_file(values_of(6), 6))}
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        walk.built(write(masks=other), data_dir)
    assert str(caught.value) == (
        "masks: of images that EXIF turns, 1 masks have the size before turning, such"
        " as '6.png', and 3 the one after it, such as '5.png'; 3 could have either,"
        " such as '2.png'. Set masks_are_upright to true if masks are in the frame of"
        " the image as it is shown, else to false."
    )
    assert not data_dir.exists()


def test_masks_of_16_bits_make_all_have_them(write, data_dir):
    """Their values stay as they are; those of 8 bits aren't scaled."""
    deep = samples.noise(HEIGHT, WIDTH, dtype=np.uint16)
    builder = walk.built(write(masks={"2.png": as_png(deep)}), data_dir)
    assert builder.info.features["segmentation_mask"].dtype == np.uint16
    found = masks_of(builder)
    np.testing.assert_array_equal(found.pop(2), deep)
    for number, values in found.items():
        assert values.dtype == np.uint16
        np.testing.assert_array_equal(values, values_of(number))
    again = tfds_imagecsv.ImageCsv(config=builder.builder_config, data_dir=data_dir)
    assert again.info.features["segmentation_mask"].dtype == np.uint16


def test_palettes_and_other_formats(write, data_dir):
    """An index is a value, whatever its colour; a mask's name is found loosely."""
    image = Image.frombytes("P", (WIDTH, HEIGHT), values_of(1).tobytes())
    image.putpalette(samples.noise(256, 3, seed=9).tobytes())
    masks = {
        "1.png": samples.encoded(image),
        "2.tif": as_png(values_of(2), "TIFF"),
        "3.bmp": as_png(values_of(3), "BMP"),
    }
    config = write(masks=masks)
    for number in (2, 3):
        (pathlib.Path(config.mask_dir) / f"{number}.png").unlink()
    for number, values in masks_of(walk.built(config, data_dir)).items():
        np.testing.assert_array_equal(values, values_of(number))


# Classes


def test_classes_name_the_values(write, data_dir):
    """The feature has them, in any process; pixels are counted."""
    config = write(classes=CLASSES, test_size=0.25)
    builder = walk.built(config, data_dir)
    done = processes.run_code(READ, builder.data_path, cwd=data_dir, env=os.environ)
    assert done.returncode == 0, done.stderr
    names, *lines = done.stdout.splitlines()
    assert names.split() == [*CLASSES]
    assert {line.rpartition(" ")[0] for line in lines} == {
        f"{number}.jpg ({HEIGHT}, {WIDTH}, 1) uint8" for number in range(1, 9)
    }
    metadata = builder.info.metadata
    assert metadata["mask_classes"] == [*CLASSES]
    with (builder.data_path / "split_manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["segmentation_mask/key"] == "1.png"
    expected = {}
    for row in rows:
        counts = expected.setdefault(row["split"], dict.fromkeys(CLASSES, 0))
        for value in values_of(int(row["key"][0])).ravel():
            counts[CLASSES[value]] += 1
    assert metadata["mask_counts"] == expected
    assert set(expected) == {"train", "test"}
    assert builder.info.description.startswith(
        "8 images without labels, with masks of 4 classes, from the folders of images."
    )
    assert builder.info.supervised_keys == ("image", "segmentation_mask")
    page = (builder.data_path / "report.html").read_text(encoding="utf-8")
    assert "8 images without labels, with masks, in 2 splits" in page
    assert "<h3>Pixels of masks by class</h3>" in page
    assert (
        f'<tr><th scope="row">emu</th><td class="n">{expected["train"]["emu"]}' in page
    )


def test_values_without_classes(write, data_dir):
    """They are counted by value, unless there are very many."""
    builder = walk.built(write(), data_dir)
    assert type(builder.info.features["segmentation_mask"]) is tfds.features.Image
    counts = builder.info.metadata["mask_counts"]["train"]
    assert list(counts) == ["0", "1", "2", "3"]
    assert sum(counts.values()) == 8 * HEIGHT * WIDTH
    many = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    masks = {f"{at}.png": as_png(many + at * 100) for at in (1, 2, 3, 4)}
    builder = walk.built(write(masks=masks), data_dir / "many")
    assert builder.info.metadata["mask_counts"] == {}


COLORS = {"#000000": "ground", "#ff0000": "cat", "#00ff00": "dog", "blue": "emu"}
LEVELS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)


@pytest.mark.parametrize("by", ["mapping", "csv", "classes"])
def test_colors_stand_for_classes(write, data_dir, tmp_path, write_csv, by):
    """Ids follow the order of the colours, or of the classes."""
    masks = {
        f"{number}.png": as_png(LEVELS[values_of(number)]) for number in range(1, 9)
    }
    fields = {"mask_colors": COLORS}
    if by == "csv":
        path = tmp_path / "colors.csv"
        rows = [(*level, name) for level, name in zip(LEVELS, CLASSES, strict=True)]
        write_csv(path, rows, header=("r", "g", "b", "class"))
        fields = {"mask_color_csv": path}
    elif by == "classes":
        fields["classes"] = CLASSES[::-1]
    builder = walk.built(write(masks=masks, **fields), data_dir)
    names = builder.info.features["segmentation_mask"].names
    assert names == [*(CLASSES[::-1] if by == "classes" else CLASSES)]
    ids = np.array([names.index(name) for name in CLASSES])
    for number, values in masks_of(builder).items():
        np.testing.assert_array_equal(values, ids[values_of(number)])


def test_a_color_of_another_class(write, data_dir):
    """If classes are given, each colour must have one of them."""
    config = write(mask_colors=COLORS, classes=CLASSES[:3])
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value) == (
        "mask_colors: 'emu' aren't among the classes: 'ground', 'cat', 'dog'. Correct"
        " the names, or add them to classes."
    )


# Beside labels


@pytest.mark.parametrize(
    ("fields", "cells"),
    [
        ({"label_type": "class"}, ["cat", "dog"]),
        ({"label_type": "multilabel", "label_delimiter": "|"}, ["cat|dog", "dog"]),
        ({"label_type": "regression"}, ["0.5", "2"]),
        ({"label_type": "none", "classes": CLASSES}, None),
    ],
    ids=lambda value: value["label_type"] if isinstance(value, dict) else "",
)
def test_labels_of_any_kind(write, data_dir, fields, cells):
    """Masks change nothing about them."""
    rows = [
        (f"{at}.jpg", f"{at}.png", *([] if cells is None else [cells[at % 2]]))
        for at in range(1, 9)
    ]
    header = ("file", "mask_file", "label")[: len(rows[0])]
    config = write(
        rows=rows, header=header, mask_column="mask_file", test_size=0.25, **fields
    )
    builder = walk.built(config, data_dir)
    assert builder.info.metadata["understood"]["masks"] == "mask_file"
    for number, values in masks_of(builder).items():
        np.testing.assert_array_equal(values, values_of(number))
    sizes = {name: one.num_examples for name, one in builder.info.splits.items()}
    assert sizes == {"train": 6, "test": 2}
    has_labels = cells is not None
    keys = ("image", "label" if has_labels else "segmentation_mask")
    assert builder.info.supervised_keys == keys


def test_boxes_and_masks(write, data_dir):
    """All rows of an image have the same mask."""
    header = ("file", "mask_file", "class", "xmin", "ymin", "xmax", "ymax")
    rows = [
        ("1.jpg", "1.png", "cat", 0, 0, 3, 3),
        ("1.jpg", "1.png", "dog", 1, 1, 5, 5),
        ("6.jpg", "6.png", "dog", 1, 1, 5, 5),
    ]
    fields = {"label_type": "boxes", "mask_column": "mask_file", "header": header}
    builder = walk.built(write(rows=rows, **fields), data_dir)
    for number, values in masks_of(builder).items():
        np.testing.assert_array_equal(values, values_of(number))
    rows[1] = ("1.jpg", "2.png", *rows[1][2:])
    with pytest.raises(
        tfds_imagecsv.InvalidRowsError, match="'segmentation_mask' isn't"
    ):
        walk.built(write(rows=rows, **fields), data_dir / "two")


def test_masks_among_the_images(write, data_dir, tmp_path):
    """They aren't images without a row, wherever their directory is."""
    for name in ("images", "masks"):
        (tmp_path / "all" / name).mkdir(parents=True)
    write()
    shutil.copytree(tmp_path / "images", tmp_path / "all", dirs_exist_ok=True)
    shutil.copytree(tmp_path / "masks", tmp_path / "all" / "masks", dirs_exist_ok=True)
    rows = [(f"{at}.jpg", f"{at}") for at in range(1, 9)]
    header = ("file", "id")
    for at, fields in enumerate(
        [
            {"mask_column": "masks/{id}.png", "mask_dir": None},
            {"mask_column": "id", "mask_dir": tmp_path / "all" / "masks"},
            {"mask_dir": tmp_path / "all" / "masks"},
        ]
    ):
        config = write(rows=rows, header=header, **fields)
        config.image_dir = str(tmp_path / "all")
        builder = walk.built(config, data_dir / str(at))
        for number, values in masks_of(builder).items():
            np.testing.assert_array_equal(values, values_of(number))
        assert builder.info.metadata["images_without_row"] == 0


def test_equal_masks_do_not_belong_together(write, data_dir):
    """Many are empty; images with the same mask are different examples."""
    empty = as_png(np.zeros((HEIGHT, WIDTH), np.uint8))
    masks = {f"{number}.png": empty for number in range(1, 9)}
    builder = walk.built(write(masks=masks, test_size=0.5), data_dir)
    assert {one.num_examples for one in builder.info.splits.values()} == {4}
    assert builder.info.metadata["duplicate_sets"] == 0
    assert not any("same" in note for note in builder.info.metadata["notes"])


# The same every time


@pytest.mark.usefixtures("many_processes")
def test_the_bytes_do_not_depend_on_workers_order_or_engine(
    write, tmp_path, data_dir, write_csv
):
    """Even if masks are read again, for the frame and the bits of others."""
    deep = {"8.png": as_png(in_file(values_of(8, np.uint16), 8))}
    rows = [(f"{at}.jpg", f"{at}.png") for at in range(1, 9)]
    fields = {"rows": rows, "header": ("file", "mask_file"), "test_size": 0.25}
    fields |= {"upright": False, "masks": deep, "mask_column": "mask_file"}
    in_memory = PipelineOptions(["--direct_running_mode=in_memory"])
    found = {}
    for name, workers, kwargs in (
        ("one", 1, {}),
        ("two", 2, {}),
        ("order", 1, {}),
        ("beam", 1, {"beam_runner": "DirectRunner", "beam_options": in_memory}),
    ):
        config = write(workers=workers, **fields)
        if name == "order":
            random.Random(0).shuffle(rows)
            write_csv(tmp_path / "labels.csv", rows, header=fields["header"])
        found[name] = walk.files_of_build(
            config, data_dir / name, num_shards=2, **kwargs
        )
        assert sum("tfrecord" in one for one in found[name]) == 4
    for name, files in found.items():
        assert files == found["one"], name
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir / "beam")
    for number, values in masks_of(builder).items():
        dtype = np.uint16 if number == 8 else np.uint8
        np.testing.assert_array_equal(values, values_of(number, dtype))


# What is wrong


def test_all_that_is_wrong_is_said_at_once(write, data_dir, tmp_path):
    """The message has the row, the place of the mask's name, and the mask."""
    masks = {
        "1.jpg": as_png(values_of(1), "JPEG"),
        "2.png": as_png(np.zeros((4, 4), np.uint8)),
        "3.png": as_png(values_of(3) + 3),
        "4.png": as_png(LEVELS[values_of(4)]),
        "7.png": as_png(values_of(7))[:60],
    }
    names = [*(f"{at}.png" for at in range(1, 6)), "", "7.png", "8.png"]
    names[0] = "1.jpg"
    names[4] = "gone.png"
    rows = [(f"{at}.jpg", name) for at, name in enumerate(names, 1)]
    config = write(
        masks=masks,
        rows=rows,
        header=("file", "mask_file"),
        mask_column="mask_file",
        classes=CLASSES,
    )
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value).replace(str(tmp_path), "ROOT") == (
        "7 problems in ROOT/labels.csv with the images in ROOT/images:\n"
        "\n"
        "Empty file name (1):\n"
        "  row 7: none in 'mask_file' for '6.jpg'\n"
        "  -> Fill in the file name, or remove the row.\n"
        "\n"
        "Image that can't be read (1):\n"
        "  row 8: in 'mask_file', '7.png': its end is missing\n"
        "  -> Replace or remove the image.\n"
        "\n"
        "Mask not found (1):\n"
        "  row 6: in 'mask_file', 'gone.png'\n"
        "  -> Check mask_dir and mask_column, or remove the rows.\n"
        "\n"
        "Mask whose values aren't certain (2):\n"
        "  row 2: in 'mask_file', '1.jpg' is JPEG with loss: its compression has"
        " changed values\n"
        "  row 5: in 'mask_file', '4.png' has 3 channels: without mask_colors, a mask"
        " has one\n"
        "  -> Save it as a PNG of one channel of 8 or 16 bits, or set mask_colors.\n"
        "\n"
        "Mask of another size than its image (1):\n"
        "  row 3: in 'mask_file', '2.png' has 4 x 4 pixels, not 9 x 14\n"
        "  -> Save it in the size that its image has, in its file or as shown"
        " upright.\n"
        "\n"
        "Mask with a value that no class has (1):\n"
        f"  row 4: in 'mask_file', '3.png' has the values 4, 5, 6 in"
        f" {int((values_of(3) > 0).sum())} of its pixels; those of the classes are 0 to"
        " 3\n"
        "  -> Correct the mask, or add the class to classes."
    )
    assert not data_dir.exists()
    config.on_error, config.max_rejected = "skip", 0.9
    builder = walk.built(config, data_dir)
    assert masks_of(builder).keys() == {8}
    with (builder.data_path / "rejected_rows.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 7
    # Files of rejected rows count, too.
    (tmp_path / "masks" / "2.png").write_bytes(as_png(values_of(2)))
    with pytest.raises(tfds_imagecsv.StaleDatasetError, match=r"'2\.png' has changed"):
        tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir).raise_if_stale()


def test_an_unknown_color(write, data_dir):
    """The message says where it is; the other masks' colours are known."""
    levels = LEVELS[values_of(1)]
    levels[2, 5] = (1, 2, 3)
    masks = {
        f"{number}.png": as_png(LEVELS[values_of(number)]) for number in range(2, 9)
    }
    config = write(masks={**masks, "1.png": as_png(levels)}, mask_colors=COLORS)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value).partition(":\n\n")[2] == (
        "Mask with a colour that has no class (1):\n"
        "  in mask_dir, '1.png' has 1 pixel of #010203, the first at x=5, y=2\n"
        "  -> Correct the mask, or add the colour to mask_colors."
    )


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"mask_dir": None, "mask_colors": {"red": "cat"}},
            (
                "mask_colors can't be given with neither mask_column nor mask_dir, got"
                " {'red': 'cat'}"
            ),
        ),
        (
            {"mask_colors": ["red"]},
            (
                "mask_colors must be names of classes by colours, such as {'#ff0000':"
                " 'car'}, got ['red']"
            ),
        ),
        (
            {"mask_colors": {"red": "cat"}, "mask_color_csv": "a.csv"},
            (
                "mask_colors and mask_color_csv can't both be given, got {'red': 'cat'}"
                " and 'a.csv'"
            ),
        ),
        (
            {"masks_are_upright": "yes"},
            "masks_are_upright must be one of None, True, False, got 'yes'",
        ),
        (
            {"mask_column": "mask"},
            (
                "mask_column can't be given with no label_csv, where folders are the"
                " labels, got 'mask'"
            ),
        ),
        (
            {"label_csv": "a.csv", "extra_columns": {"segmentation_mask": "string"}},
            (
                "extra_columns must be types by the names of columns. Types are bool,"
                " int32, int64, float32, float64, string. Got: 'segmentation_mask' is a"
                " feature of each dataset: rename the column"
            ),
        ),
        (
            {"label_type": "none", "min_class_size": 3},
            (
                "min_class_size can't be given with label_type='none', which has no"
                " classes, got 3"
            ),
        ),
    ],
    ids=["masks", "list", "both", "frame", "folders", "extra", "rare"],
)
def test_a_config_that_is_refused(fields, error):
    """It is refused before anything is read."""
    values = {"name": "masks", "image_dir": "images", "mask_dir": "masks", **fields}
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.ImageCsvConfig(**values)
    assert str(caught.value) == error


def test_a_mask_dir_that_is_no_directory(write, data_dir, tmp_path):
    """Archives are for the images."""
    (tmp_path / "masks.zip").write_bytes(b"PK")
    config = write()
    config.mask_dir = str(tmp_path / "masks.zip")
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value) == (
        f"mask_dir {tmp_path}/masks.zip: it isn't a directory. Extract it; masks in the"
        " archive of the images need no mask_dir."
    )


# What is beside the records


def test_a_dataset_gets_stale(write, data_dir, tmp_path, write_csv):
    """Another mask, other colours, or adding masks makes it stale."""
    rows = [(f"{at}.jpg",) for at in range(1, 9)]
    config = write(rows=rows, header=("file",))
    walk.built(config, data_dir)

    def changes(**fields):
        for name, value in fields.items():
            setattr(config, name, value)
        try:
            tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir).raise_if_stale()
        except tfds_imagecsv.StaleDatasetError as error:
            return str(error)
        return ""

    assert changes() == ""
    path = tmp_path / "masks" / "6.png"
    content = path.read_bytes()
    path.write_bytes(content)  # a new time
    assert changes() == ""
    path.write_bytes(as_png(values_of(5)))
    assert (
        f"mask_dir {tmp_path}/masks: of the masks, 1 has changed:\n    '6.png' has"
        " changed"
    ) in changes()
    path.unlink()
    assert "1 is missing:\n    '6.png' is missing" in changes()
    path.write_bytes(content)
    assert changes() == ""
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "masks", moved)
    assert changes(mask_dir=str(moved)) == ""
    assert "mask_dir: was 'a directory', is None" in changes(mask_dir=None)
    assert "masks_are_upright: was None, is True" in changes(
        mask_dir=str(moved), masks_are_upright=True
    )


def test_what_check_shows(write, run, tmp_path):
    """It shows pixels by class and split, also as JSON."""
    write()
    args = ("check", tmp_path / "images", f"--mask-dir={tmp_path / 'masks'}")
    args += ("--label-type=none", "--test-size=0.25", "--val-size=0")
    args += ("--classes", *CLASSES)
    code, shown, _ = run(*args)
    assert code == 0
    counts = np.bincount(np.concatenate([values_of(at) for at in range(1, 9)]).ravel())
    lines = [line.split() for line in shown.splitlines()]
    assert ["Masks", "(4)", "train", "test", "pixels"] in lines
    for name, count in zip(CLASSES, counts, strict=True):
        (line,) = (line for line in lines if line[:1] == [name])
        assert line[-1] == str(count)
        assert int(line[1]) + int(line[2]) == count
    found = json.loads(run(*args, "--json")[1])["mask_counts"]
    assert sum(sum(one.values()) for one in found.values()) == counts.sum()


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("ground", "<b>", "dog", "emu"), ", of the classes ground, \\<b\\>, dog, emu"),
        (None, ""),
    ],
)
def test_the_card_names_the_masks(write, data_dir, run, classes, words):
    """They are what the dataset is for, and not among its files of images."""
    builder = walk.built(write(classes=classes), data_dir)
    assert run("card", "image_csv/masks", f"--data_dir={data_dir}")[0] == 0
    card = (builder.data_path / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["task_categories"] == ["image-segmentation"]
    assert f"- The records have segmentation masks{words}.\n" in card
