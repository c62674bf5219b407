"""Real images for the README's ways to read them."""

import csv
import dataclasses
import os
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import processes
import pytest
import samples
import tensorflow_datasets as tfds
from PIL import Image
from sklearn import datasets

import tfds_imagecsv


@dataclasses.dataclass(frozen=True)
class Digits:
    """Scanned digits of different sizes, as files and as datasets.

    Attributes:
      image_dir: the directory of the PNG files, in gray and RGB.
      label_csv: the CSV.
      labels: the label in the CSV, by file name.
      data_dir: the data directory, with `image_csv/pets` and `image_csv/pets_folds` as
        TFRecords, and `image_csv/pets_arrays` and `image_csv/pets_folds_arrays` with
        the same as ArrayRecords.
    """

    image_dir: pathlib.Path
    label_csv: pathlib.Path
    labels: dict[str, str]
    data_dir: pathlib.Path

    def pixels(self, filename):
        """Returns Pillow's pixels: uint8, height x width x 3."""
        with Image.open(self.image_dir / filename) as image:
            return np.asarray(image.convert("RGB"))

    def source(self, split, name="pets"):
        """Returns a split as a data source."""
        return tfds.data_source(
            f"image_csv/{name}_arrays", split=split, data_dir=self.data_dir
        )

    def dataset(self, split, name="pets", **kwargs):
        """Returns a split as a `tf.data.Dataset`."""
        return tfds.load(
            f"image_csv/{name}", split=split, data_dir=self.data_dir, **kwargs
        )


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """Writes 360 images, and builds the datasets, in several shards."""
    root = tmp_path_factory.mktemp("digits")
    (root / "images").mkdir()
    scans = datasets.load_digits()
    labels = {}
    # One class after the other, in the CSV and by file name.
    order = np.argsort(scans.target[:360], kind="stable")
    for at, scan in enumerate(order):
        grey = (scans.images[scan] * 255 / 16).round().astype("uint8")
        image = Image.fromarray(grey).resize((32 + at % 5, 32 + at % 7))
        if at % 2:
            red, blue = (
                image.point(lambda level: 255 - level),
                Image.new("L", image.size),
            )
            image = Image.merge("RGB", (red, image, blue))
        labels[f"{at:03}.png"] = f"digit {scans.target[scan]}"
        image.save(root / "images" / f"{at:03}.png")
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("filename", "label"), *labels.items()])

    digits = Digits(root / "images", root / "labels.csv", labels, root / "data")
    for name, folds in [("pets", 0), ("pets_folds", 5)]:
        for suffix, file_format in [("", "tfrecord"), ("_arrays", "array_record")]:
            config = tfds_imagecsv.ImageCsvConfig(
                name=name + suffix,
                image_dir=digits.image_dir,
                label_csv=digits.label_csv,
                folds=folds,
            )
            tfds.builder(
                "image_csv",
                config=config,
                data_dir=digits.data_dir,
                file_format=file_format,
            ).download_and_prepare(
                download_config=tfds.download.DownloadConfig(num_shards=3)
            )
    return digits


@dataclasses.dataclass(frozen=True)
class Objects:
    """Images of squares of two colours, as datasets of boxes and of texts.

    Attributes:
      boxes: by file name, each box: its class, and left, upper, right and lower edge in
        pixels; some images have none, and no two boxes have a center in one cell.
      captions: by file name, a text about the image.
      data_dir: the data directory, with `image_csv/pet_boxes`, `boxes_in_cells`,
        `fractions` and `like_coco`, which come from different tables of boxes, and
        `pet_captions`, as TFRecords; and `pet_boxes_arrays` and `pet_captions_arrays`
        as ArrayRecords.
    """

    boxes: dict[str, list[tuple[str, int, int, int, int]]]
    captions: dict[str, str]
    data_dir: pathlib.Path


COLORS = {"cat": (220, 60, 40), "dog": (50, 80, 230)}


def write_squares(folder):
    """Writes images; returns by file name the size, and the boxes as `Objects` has."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    found = {}
    for at in range(48):
        width, height = 40 + at % 9, 44 + at % 7
        pixels = rng.integers(0, 90, (height, width, 3), np.uint8)
        boxes = []
        for half in range(0 if at % 8 == 0 else 1 + at % 2):
            side = int(rng.integers(10, 16))
            left = half * width // 2 + int(rng.integers(3))
            upper = int(rng.integers(0, height - side))
            name = ("cat", "dog")[rng.integers(2)]
            pixels[upper : upper + side, left : left + side] = COLORS[name]
            boxes.append((name, left, upper, left + side, upper + side))
        Image.fromarray(pixels).save(folder / f"{at:02}.png")
        found[f"{at:02}.png"] = (width, height), boxes
    return found


def tables_of_squares(squares):
    """Returns a header and rows for each dialect, by the name of its dataset."""
    tables = {
        "pet_boxes": [
            ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
        ],
        "boxes_in_cells": [("image", "category", "bbox")],
        "fractions": [("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")],
        "like_coco": [("file_name", "category", "bbox", "area", "iscrowd")],
        "pet_captions": [("filename", "caption")],
    }
    for name, ((width, height), boxes) in squares.items():
        for label, left, upper, right, lower in boxes:
            sides = [left, upper, right - left, lower - upper]
            across, down = (
                (left / width, right / width),
                (upper / height, lower / height),
            )
            edges = (left, upper, right, lower)
            tables["pet_boxes"].append((name, width, height, label, *edges))
            tables["boxes_in_cells"].append((name, label, sides))
            tables["fractions"].append((name[:-4], label, *across, *down))
            tables["like_coco"].append((name, label, sides, sides[2] * sides[3], 0))
        if not boxes:
            tables["pet_boxes"].append((name, width, height, *[""] * 5))
            tables["like_coco"].append((name, "", [], "", ""))
        places = (
            "top" if upper < height / 3 else "bottom" for _, _, upper, *_ in boxes
        )
        texts = [
            f"a {label} at the {at}"
            for (label, *_), at in zip(boxes, places, strict=True)
        ]
        tables["pet_captions"].append((name, " and ".join(texts) or "no animal"))
    return tables


@pytest.fixture(scope="session")
def objects(tmp_path_factory):
    """Writes the images and the tables, and builds the datasets."""
    root = tmp_path_factory.mktemp("objects")
    squares = write_squares(root / "images")
    tables = tables_of_squares(squares)
    for name in ("pet_boxes", "pet_captions"):
        tables[f"{name}_arrays"] = tables[name]
    for name, rows in tables.items():
        with (root / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        fields = {"label_type": "boxes"}
        if name == "like_coco":
            fields["extra_columns"] = {"iscrowd": "bool"}
        elif name.startswith("pet_captions"):
            fields = {"label_type": "none", "extra_columns": {"caption": "string"}}
        config = tfds_imagecsv.ImageCsvConfig(
            name=name,
            image_dir=root / "images",
            label_csv=root / f"{name}.csv",
            report=False,
            **fields,
        )
        file_format = "array_record" if name.endswith("arrays") else "tfrecord"
        tfds_imagecsv.ImageCsv(
            config=config, data_dir=root / "data", file_format=file_format
        ).download_and_prepare()
    return Objects(
        {name: boxes for name, (_, boxes) in squares.items()},
        dict(tables["pet_captions"][1:]),
        root / "data",
    )


@pytest.fixture(scope="session")
def masked(tmp_path_factory):
    """Returns a data directory with datasets of masks with three classes.

    These are `image_csv/street`, of a table, and `image_csv/cells`, of a directory of
    images and one of masks, as TFRecords; and `image_csv/cells_arrays` as ArrayRecords.
    """
    root = tmp_path_factory.mktemp("masked")
    names = {
        "street": [(f"{at:02}.png", f"{at:02}_mask.png") for at in range(40)],
        "cells": [(f"{at:02}.png", f"{at:02}.png") for at in range(40)],
    }
    for name, rows in names.items():
        samples.write_masked(root / name, rows)
    with (root / "masks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "mask_file"), *names["street"]])
    table = {"label_csv": root / "masks.csv", "mask_column": "mask_file"}
    for name, fields in {"street": table, "cells": {}, "cells_arrays": {}}.items():
        folder = root / name.removesuffix("_arrays")
        config = tfds_imagecsv.ImageCsvConfig(
            name=name,
            image_dir=folder / "images",
            mask_dir=folder / "masks",
            label_type="none",
            classes=["background", "cell", "nucleus"],
            near_duplicates="off",  # they are all alike
            report=False,
            **fields,
        )
        file_format = "array_record" if name.endswith("arrays") else "tfrecord"
        tfds_imagecsv.ImageCsv(
            config=config, data_dir=root / "data", file_format=file_format
        ).download_and_prepare()
    return root / "data"


@pytest.fixture
def run_example(tmp_path):
    """Returns a function that runs a block of the README, and checks its result."""

    def run_example(code, data_dir, checks="", epochs=None, with_tensorflow=False):
        """Runs it in a new process.

        Args:
          code: the block.
          data_dir: where its datasets are.
          checks: Python code that continues the block.
          epochs: the part of the block that says 2 epochs, and one that says more.
          with_tensorflow: whether the process finds TensorFlow imported.

        Returns:
          The printed lines.
        """
        if epochs is not None:
            assert code.count(epochs[0]) == 1
            code = code.replace(*epochs)
        # Workers import the block, but don't run it or its checks.
        checks = textwrap.indent(textwrap.dedent(checks) or "pass", "    ")
        script = tmp_path / "example.py"
        script.write_text(f'{code}\n\nif __name__ == "__main__":\n{checks}')
        env = os.environ | {"TFDS_DATA_DIR": str(data_dir), "MPLBACKEND": "agg"}
        if with_tensorflow:
            done = processes.run(script, cwd=tmp_path, env=env)
        else:
            done = subprocess.run(
                [sys.executable, script],
                check=False,
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env=env,
                timeout=300,  # for workers that wait for each other
            )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        return done.stdout.splitlines()

    return run_example
