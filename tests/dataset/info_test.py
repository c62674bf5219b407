"""What `info` says about a dataset: before and after its build, with and without us."""

import importlib.metadata
import json
import pathlib
import subprocess
import sys

import pandas as pd
import pytest
import tensorflow_datasets as tfds
from etils import epath

import tfds_imagecsv
from tfds_imagecsv import tfds_private
from tfds_imagecsv.dataset import info as info_lib

VERSION = importlib.metadata.version("tfds-imagecsv")
BUILT = (
    f"Splits: train (16), validation (2), test (2).\nBuilt by tfds_imagecsv {VERSION}."
)
UPDATE = tfds.download.DownloadConfig(
    download_mode=tfds.download.GenerateMode.UPDATE_DATASET_INFO
)
OVERWRITE = tfds.download.DownloadConfig(
    download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
)

# A process that doesn't import this package.
ALONE = """\
import json, sys
import tensorflow_datasets as tfds
info = tfds.builder("image_csv/pets", data_dir=sys.argv[1]).info
assert not [name for name in sys.modules if name.startswith("tfds_imagecsv")]
print(json.dumps([TEXTS, repr(info)]))
"""
TEXTS = ("description", "homepage", "citation", "redistribution_info.license")
ALONE = ALONE.replace("TEXTS", ", ".join(f"info.{name}" for name in TEXTS))

SAID = {
    "description": "The pets of *our* street.",
    "homepage": "https://example.org/pets",
    "citation": "@misc{pets}",
    "license": "CC-BY-4.0",
}


def texts_of(info):
    """Returns the description, homepage, citation and licence."""
    license_ = info.redistribution_info.license
    return [info.description, info.homepage, info.citation, license_]


@pytest.fixture
def alone(data_dir):
    """Returns a function that loads the dataset without this package.

    It returns the description, homepage, citation, licence, and all as text.
    """

    def alone():
        process = subprocess.run(
            [sys.executable, "-c", ALONE, str(data_dir)],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
        )
        return json.loads(process.stdout)

    return alone


def test_nothing_is_said(make_dataset, make_builder, alone):
    """The description counts the dataset's contents; nothing else is made up."""
    builder = make_builder(make_dataset())
    before = "Images of images, with labels from labels.csv. Not built yet."
    assert texts_of(builder.info) == [before, "", "", ""]
    builder.download_and_prepare()
    after = f"20 images of 2 classes, from labels.csv.\n{BUILT}"
    assert texts_of(builder.info) == [after, "", "", ""]
    assert texts_of(make_builder(builder.builder_config).info) == [after, "", "", ""]
    *texts, shown = alone()
    assert [text.strip() for text in texts] == [after, "", "", ""]
    for word in ("CIFAR", "catalog", "tensorflow.org", "@software"):
        assert word not in shown
        assert word not in repr(builder.info)
    assert not (builder.data_path / "LICENSE").exists()


def test_all_is_said(make_dataset, make_builder, alone):
    """The texts are the user's, everywhere."""
    builder = make_builder(make_dataset(**SAID))
    assert texts_of(builder.info) == list(SAID.values())
    builder.download_and_prepare()
    assert texts_of(builder.info) == list(SAID.values())
    assert texts_of(make_builder(builder.builder_config).info) == list(SAID.values())
    assert alone()[:-1] == list(SAID.values())
    assert builder.info.config_description == SAID["description"]
    assert (builder.data_path / "LICENSE").read_text() == "CC-BY-4.0"


def test_texts_that_change(make_dataset, make_builder, alone):
    """The records stay valid; TFDS's mode writes the new texts."""
    make_builder(make_dataset(**SAID)).download_and_prepare()
    builder = make_builder(make_dataset(license="MIT", description="Ours."))
    assert builder.info.description == "Ours."
    builder.download_and_prepare()
    assert len(builder.as_dataset(split="train")) == 16
    assert builder.info.has_new_texts()
    assert alone()[:-1] == list(SAID.values())
    builder.download_and_prepare(download_config=UPDATE)
    assert [text.strip() for text in alone()[:-1]] == ["Ours.", "", "", "MIT"]
    assert not make_builder(builder.builder_config).info.has_new_texts()


@pytest.mark.parametrize("config", [UPDATE, OVERWRITE], ids=["update", "overwrite"])
def test_texts_that_go(make_dataset, make_builder, alone, config):
    """TFDS alone would keep texts that the config no longer has."""
    make_builder(make_dataset(**SAID)).download_and_prepare()
    builder = make_builder(make_dataset())
    builder.download_and_prepare(download_config=config)
    after = f"20 images of 2 classes, from labels.csv.\n{BUILT}"
    assert [text.strip() for text in alone()[:-1]] == [after, "", "", ""]
    assert texts_of(builder.info) == [after, "", "", ""]
    assert not builder.info.config_description
    assert not (builder.data_path / "LICENSE").exists()


def test_two_builds_say_the_same(make_dataset, make_builder, tmp_path):
    """There is no time of day in the files of `info`."""
    contents = []
    for folder in ("one", "two"):
        builder = make_builder(make_dataset(**SAID), data_dir=tmp_path / folder)
        builder.download_and_prepare()
        contents.append((builder.data_path / "dataset_info.json").read_bytes())
    assert contents[0] == contents[1]


def columns_of_numbers(write_csv, path, count):
    """Writes a table with columns of 0 and 1, named `0`, `1`, ..."""
    rows = [
        (f"{at:02}.png", *(str(int(at % count == one)) for one in range(count)))
        for at in range(20)
    ]
    write_csv(path, rows, header=("filename", *map(str, range(count))))


@pytest.mark.parametrize(
    ("fields", "before", "words"),
    [
        (
            {"label_type": "multilabel", "label_column": ["0", "1", "2"]},
            "with labels from labels.csv",
            "with any of 3 classes, from labels.csv",
        ),
        (
            {"label_type": "regression", "label_column": ["0", "1"]},
            "with labels from labels.csv",
            "with 2 numbers each, from labels.csv",
        ),
        (
            {"label_type": "regression", "label_column": "0"},
            "with labels from labels.csv",
            "with a number each, from labels.csv",
        ),
        ({"label_type": "none"}, "without labels", "without labels, from labels.csv"),
        (
            {"label_csv": None, "label_level": -1},
            "whose folders are the labels",
            "of 1 class, from the folders of images",
        ),
    ],
    ids=["multilabel", "numbers", "number", "none", "folders"],
)
def test_kinds_of_labels(
    make_dataset, make_builder, write_csv, write_png, tmp_path, fields, before, words
):
    """Each has its own words."""
    if "label_csv" in fields:
        for at in range(20):
            write_png(tmp_path / "images" / "cat" / f"{at:02}.png")
        config = make_dataset([], **fields)
    else:
        config = make_dataset(**fields)
        columns_of_numbers(write_csv, tmp_path / "labels.csv", 3)
    builder = make_builder(config)
    assert builder.info.description == f"Images of images, {before}. Not built yet."
    builder.download_and_prepare()
    assert builder.info.description.startswith(f"20 images {words}.\nSplits: train (")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("/data/pets/labels.csv", "labels.csv"),
        ("labels.csv", "labels.csv"),
        ("s3://bucket/pets/", "pets"),
        ("https://example.org/a/pets.zip?token=secret#x", "pets.zip"),
        ("https://example.org/", "example.org"),
        ({"train": "a/one.csv", "test": "b/two.csv"}, "one.csv and two.csv"),
        ({"train": "a/x.csv", "test": "b/x.csv"}, "x.csv"),
        ("a/\u202egnp\x1b.csv", r"\u202egnp\x1b.csv"),
    ],
    ids=str,
)
def test_names_of_sources(value, name):
    """They are the same on each machine, and control no terminal."""
    config = tfds_imagecsv.ImageCsvConfig(name="a", image_dir="i", label_csv=value)
    texts = info_lib.texts_of(config)
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir="none")
    assert texts.description == ""
    assert f" from {name}. Not" in builder.info.description


def test_a_table_in_memory(make_dataset, make_builder, tmp_path):
    """Its kind is its name."""
    table = pd.read_csv(pathlib.Path(make_dataset().label_csv))
    builder = make_builder(make_dataset(label_csv=table))
    assert "labels from a DataFrame of pandas." in builder.info.description
    builder.download_and_prepare()
    assert "2 classes, from a DataFrame of pandas.\n" in builder.info.description


def test_texts_are_told_from_indentation(make_dataset, make_builder):
    """As in TFDS, the indentation of Python or TOML isn't part of a text."""
    text = """
        One.

          Two.
        """
    info = make_builder(make_dataset(description=text, license=text)).info
    assert info.description == "One.\n\n  Two."
    assert info.redistribution_info.license == "One.\n\n  Two."


def test_the_built_in_dataset(data_dir):
    """It has the texts of the package, whose source is another."""
    info = tfds.builder("image_csv/cifar10", data_dir=data_dir).info
    assert "CIFAR-10" in info.description
    assert info.homepage == "https://www.kaggle.com/c/cifar-10"
    assert "Krizhevsky" in info.citation
    assert "tfds" not in info.citation


def test_a_folder_and_a_config():
    """The folder's description goes first, the config's citation does."""
    folder = tfds.core.dataset_metadata.DatasetMetadata("A README.", "@a{}", [])
    values = {"name": "a", "image_dir": "i"}
    config = tfds_imagecsv.ImageCsvConfig(**values)
    texts = info_lib.texts_of(config, folder=folder)
    assert (texts.description, texts.citation) == ("A README.", "@a{}")
    config = tfds_imagecsv.ImageCsvConfig(**values, description="x", citation="@b{}")
    texts = info_lib.texts_of(config, folder=folder)
    assert (texts.description, texts.citation) == ("A README.", "@b{}")


def test_tfds_still_names_a_page_that_is_not_there(make_dataset, make_builder):
    """Otherwise, the blank instead of an empty homepage can go."""
    builder = make_builder(make_dataset())
    builder.download_and_prepare()
    path = epath.Path(builder.data_path)
    proto = tfds_private.read_info(path)
    assert list(proto.location.urls) == [" "]
    proto.location.urls[:] = [""]
    tfds.core.dataset_info.write_dataset_info_proto(proto, path)
    info = tfds.builder_from_directory(path).info
    assert info.homepage == "https://www.tensorflow.org/datasets/catalog/image_csv"
