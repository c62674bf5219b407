"""The scores of images in a file beside the records."""

import csv

import numpy as np
import pytest
from PIL import Image

from tfds_imagecsv.images import quality


def read(builder):
    """Returns the rows of the file of a prepared dataset, by key."""
    text = (builder.data_path / "image_quality.csv").read_text()
    return {row.pop("key"): row for row in csv.DictReader(text.splitlines())}


def test_each_example_has_its_scores(make_dataset, make_builder, tmp_path):
    """Sorted by key, for any keys; the issues are those below the thresholds."""
    rows = [(f"{at:02}.png", "cat") for at in range(20)]
    rows += [('a "b", c.png', "cat"), ("black.png", "dog"), ("white.png", "dog")]
    config = make_dataset(rows)
    Image.new("RGB", (5, 4)).save(tmp_path / "images" / "black.png")
    Image.new("L", (5, 1), "white").save(tmp_path / "images" / "white.png")
    builder = make_builder(config)
    builder.download_and_prepare()
    found = read(builder)
    assert list(found) == sorted(name for name, _ in rows)
    for row in found.values():
        scores = {name: float(row[name]) for name in quality.THRESHOLDS}
        low = {name for name in scores if scores[name] < quality.THRESHOLDS[name]}
        assert low == set(filter(None, row["issues"].split("|")))
    black, white = found["black.png"], found["white.png"]
    assert black["issues"] == "dark|low_information|blurry"
    assert (black["brightness"], black["dark"], black["light"]) == (
        *("0.0000", "0.0000", "1.0000"),
    )
    assert white["issues"] == (
        "light|low_information|blurry|grayscale|odd_aspect_ratio|odd_size"
    )
    assert white["brightness"] == "1.0000"
    assert (white["height"], white["width"]) == ("1", "5")
    assert white["odd_aspect_ratio"] == "0.2000"


@pytest.mark.usefixtures("many_processes")
def test_the_bytes_are_the_same_in_every_run(make_dataset, make_builder, tmp_path):
    """For any number of workers, and any order of the table."""
    make_dataset()
    contents = []
    for workers in (1, 2):
        config = make_dataset(workers=workers)
        builder = make_builder(config, data_dir=tmp_path / f"data{workers}")
        builder.download_and_prepare()
        contents.append((builder.data_path / "image_quality.csv").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].count(b"\n") == 21


def test_headers_alone_have_no_scores(make_dataset, make_builder):
    """The dataset has no such file."""
    builder = make_builder(make_dataset(verify="header"))
    builder.download_and_prepare()
    assert not (builder.data_path / "image_quality.csv").exists()


@pytest.mark.parametrize("max_side", [3, 64])
def test_converted_images_have_scores(make_dataset, make_builder, tmp_path, max_side):
    """They are those of the file, from the pixels decoded for the conversion."""
    config = make_dataset(max_side=max_side)
    pixels = np.arange(70 * 50 * 3).reshape(70, 50, 3) % 251
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / "00.png")
    builder = make_builder(config, data_dir=tmp_path / "small")
    builder.download_and_prepare()
    found = read(builder)["00.png"]
    assert found["issues"] == "odd_size"
    assert found["odd_aspect_ratio"] == f"{50 / 70:.4f}"
