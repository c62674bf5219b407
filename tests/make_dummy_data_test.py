"""Tests that `dummy_data/` is what `scripts/make_dummy_data.py` makes."""

import collections
import csv
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

_SCRIPT = pathlib.Path(__file__).parent / "scripts" / "make_dummy_data.py"
_COMMITTED = pathlib.Path(__file__).parents[1] / "dummy_data"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory that a run of the script has written."""
    output_dir = tmp_path_factory.mktemp("dummy_data")
    subprocess.run([sys.executable, _SCRIPT, output_dir], check=True)
    return output_dir


def _image_names(directory: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (directory / "train").iterdir())


def test_same_labels(made: pathlib.Path) -> None:
    """The script writes the committed CSV."""
    committed = (_COMMITTED / "trainLabels.csv").read_text()
    assert (made / "trainLabels.csv").read_text() == committed


def test_same_images(made: pathlib.Path) -> None:
    """The script writes the committed images: the pixels, since zlibs differ."""
    assert _image_names(made) == _image_names(_COMMITTED)
    for name in _image_names(made):
        with (
            Image.open(made / "train" / name) as image,
            Image.open(_COMMITTED / "train" / name) as committed,
        ):
            assert image.mode == committed.mode == "RGB"
            assert image.size == committed.size == (32, 32)
            np.testing.assert_array_equal(
                np.asarray(image), np.asarray(committed), err_msg=name
            )


def test_every_row_has_its_image() -> None:
    """The CSV has ten classes of twelve rows, and a row for each image."""
    with (_COMMITTED / "trainLabels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(f"{row['id']}.png" for row in rows) == _image_names(_COMMITTED)
    class_sizes = collections.Counter(row["label"] for row in rows)
    assert len(class_sizes) == 10
    assert set(class_sizes.values()) == {12}


def test_images_are_unique() -> None:
    """No two committed images have the same bytes."""
    contents = [path.read_bytes() for path in (_COMMITTED / "train").iterdir()]
    assert len(contents) >= 100
    assert len(set(contents)) == len(contents)
