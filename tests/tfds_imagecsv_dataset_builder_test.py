"""The dataset builder, as users call it from Python."""

import csv
import gc
import importlib.metadata
import itertools
import os
import pathlib
import pickle
import random
import shutil
import socket
import subprocess
import sys
import warnings

import numpy as np
import PIL
import processes
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import hashing

import tfds_imagecsv
from tfds_imagecsv.dataset import metadata
from tfds_imagecsv.storage import files

DUMMY_DATA = pathlib.Path(__file__).parents[1] / "dummy_data"
OVERWRITE = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
INSTRUCTIONS = tfds_imagecsv.ImageCsv.MANUAL_DOWNLOAD_INSTRUCTIONS


class Cifar10Test(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own tests of a builder."""

    DATASET_CLASS = tfds_imagecsv.ImageCsv
    EXAMPLE_DIR = str(DUMMY_DATA)
    SPLITS = {"train": 72, "validation": 36, "test": 12}  # noqa: RUF012 - as TFDS has it


def download_config(**kwargs):
    """Returns TFDS's options of a build."""
    return tfds.download.DownloadConfig(**kwargs)


def records_of(builder, split):
    """Returns the examples of a split in their order, with images as bytes."""
    decoders = {"image": tfds.decode.SkipDecoding()}
    return list(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders)))


def all_records_of(builder):
    """Returns the examples of all splits by split, in their order."""
    return {split: records_of(builder, split) for split in builder.info.splits}


def filenames_of(builder):
    """Returns the file names of all splits by split, in their order."""
    return {
        split: [record["image/filename"].decode() for record in records]
        for split, records in all_records_of(builder).items()
    }


def prepared(builder, **kwargs):
    """Builds a dataset, and returns its builder."""
    builder.download_and_prepare(download_config=download_config(**kwargs))
    return builder


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    """The built-in dataset, made of `dummy_data`."""
    builder = tfds.builder("image_csv/cifar10", data_dir=tmp_path_factory.mktemp("c"))
    return prepared(builder, manual_dir=DUMMY_DATA)


# What a dataset is


def test_features(cifar10):
    """The features are standard ones, so that a dataset loads without the plugin."""
    features = cifar10.info.features
    assert {name: type(feature) for name, feature in features.items()} == {
        "image": tfds.features.Image,
        "label": tfds.features.ClassLabel,
        "image/filename": tfds.features.Text,
        "image/format": tfds.features.Text,
        "image/height": tfds.features.Scalar,
        "image/width": tfds.features.Scalar,
    }
    assert features["image"].shape == (None, None, 3)
    assert features["image"].np_dtype == np.uint8
    assert features["label"].np_dtype == np.int64
    assert features["image/height"].np_dtype == np.int64
    assert features["image/width"].np_dtype == np.int64
    assert cifar10.info.supervised_keys == ("image", "label")
    assert cifar10.info.full_name == "image_csv/cifar10/1.0.0"


def test_cifar10(cifar10):
    """The built-in dataset has 60 %, 30 % and 10 % of the images of each class."""
    labels = cifar10.info.features["label"]
    assert labels.names == [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    examples = {split: info.num_examples for split, info in cifar10.info.splits.items()}
    assert examples == {"train": 72, "validation": 36, "test": 12}
    lines = (DUMMY_DATA / "trainLabels.csv").read_text().splitlines()[1:]
    label_of = dict(line.split(",") for line in lines)
    for split, records in all_records_of(cifar10).items():
        counts = dict.fromkeys(labels.names, 0)
        for record in records:
            filename = record["image/filename"].decode()
            label = labels.int2str(record["label"])
            assert record["image"] == (DUMMY_DATA / "train" / filename).read_bytes()
            assert label == label_of.pop(filename.removesuffix(".png"))
            counts[label] += 1
        assert cifar10.info.metadata["class_counts"][split] == counts
        for count in counts.values():
            assert abs(count - 12 * examples[split] / 120) < 1
    assert label_of == {}


def test_description_citation_and_tags_come_from_the_package(cifar10):
    """`info` says what the package's own files say."""
    package = pathlib.Path(tfds_imagecsv.__file__).parent
    info = cifar10.info
    assert info.description == (package / "README.md").read_text().strip()
    assert info.citation == (package / "CITATIONS.bib").read_text().strip()
    assert "ml.task.image-classification" in cifar10.get_metadata().tags


def test_as_supervised(cifar10):
    """`as_supervised=True` gives images and labels."""
    dataset = tfds.load(
        "image_csv/cifar10",
        split="validation",
        data_dir=cifar10.data_dir_root,
        as_supervised=True,
    )
    for image, label in tfds.as_numpy(dataset):
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert label.dtype == np.int64


def test_images_are_stored_byte_for_byte(tmp_path, make_dataset, make_builder):
    """PNG, JPEG and BMP files, with their names, formats and sizes."""
    config = make_dataset([(f"a/{at}", "x") for at in range(6)], val_size=0)
    facts = {}
    for at, image_format in enumerate(["PNG", "JPEG", "BMP"] * 2):
        path = tmp_path / "images" / "a" / str(at)
        Image.new("RGB", (at + 1, 9), (at * 40, 0, 0)).save(path, image_format)
        facts[f"a/{at}"] = (path.read_bytes(), image_format, 9, at + 1)
    builder = prepared(make_builder(config))
    found = {
        record["image/filename"].decode(): (
            record["image"],
            record["image/format"].decode(),
            record["image/height"],
            record["image/width"],
        )
        for record in itertools.chain(*all_records_of(builder).values())
    }
    assert found == facts


def test_images_are_decoded_to_their_sizes(make_dataset, make_builder):
    """They have the sizes in their records."""
    builder = prepared(make_builder(make_dataset()))
    for record in tfds.as_numpy(builder.as_dataset(split="train")):
        assert record["image"].shape == (4, 5, 3)
        assert (record["image/height"], record["image/width"]) == (4, 5)


# Classes


def test_class_ids_follow_classes(make_dataset, make_builder):
    """The ids are those of the config; a class without images has one too."""
    config = make_dataset(classes=["emu", "dog", "cat"])
    with pytest.warns(tfds_imagecsv.ImageCsvWarning):
        builder = prepared(make_builder(config))
    assert builder.info.features["label"].names == ["emu", "dog", "cat"]
    for records in all_records_of(builder).values():
        for record in records:
            at = int(record["image/filename"].decode().removesuffix(".png"))
            assert record["label"] == (2, 1)[at % 2]
    assert builder.info.metadata["class_counts"]["train"] == {
        "emu": 0,
        "dog": 8,
        "cat": 8,
    }


def test_class_names_that_are_numbers(make_dataset, make_builder):
    """TFDS takes numbers for ids, and -1 for no label; here they are names."""
    names = ["2", "-1", "001", "0", "1", "NA", "true"]
    rows = [(f"{at:02}.png", names[at % 7]) for at in range(70)]
    builder = prepared(make_builder(make_dataset(rows)))
    labels = builder.info.features["label"]
    assert labels.names == sorted(names)
    for records in all_records_of(builder).values():
        for record in records:
            at = int(record["image/filename"].decode().removesuffix(".png"))
            assert labels.int2str(record["label"]) == names[at % 7]


def test_strange_class_names_are_restored(make_dataset, make_builder):
    """TFDS keeps class names in a file; what is accepted comes back from it."""
    names = ["a b", "a,b", 'a"b', "ä日", "a\u2028b", "a\x0bb", "a\x85b", "#", "''"]
    rows = [(f"{at:02}.png", names[at % len(names)]) for at in range(90)]
    config = make_dataset(rows)
    prepared(make_builder(config))
    assert make_builder(config).info.features["label"].names == sorted(names)


def test_small_classes_are_named_in_a_warning(make_dataset, make_builder):
    """Law 1: a class goes to train first, then to test, then to validation."""
    rows = [(f"{at:03}.png", "large") for at in range(80)]
    rows += [("x.png", "one"), ("y.png", "two"), ("z.png", "two")]
    with pytest.warns(tfds_imagecsv.ImageCsvWarning) as caught:
        prepared(make_builder(make_dataset(rows)))
    assert [str(w.message) for w in caught] == [
        (
            "2 of 3 classes are too small to be in every split: one (train 1,"
            " validation 0, test 0), two (train 1, validation 0, test 1)"
        )
    ]


def test_ten_small_classes_are_named(make_dataset, make_builder):
    """The warning counts others; the metadata have all of them."""
    classes = ["cat", "dog", *(f"class{c:02}" for c in range(30))]
    config = make_dataset(classes=classes, val_size=0)
    builder = make_builder(config)
    with pytest.warns(tfds_imagecsv.ImageCsvWarning) as caught:
        prepared(builder)
    assert [str(w.message) for w in caught] == [
        "30 of 32 classes are too small to be in every split: "
        + ", ".join(f"class{c:02} (train 0, test 0)" for c in range(10))
        + ", and 20 more"
    ]
    assert list(builder.info.metadata["class_counts"]["train"]) == classes


def test_classes_that_are_large_enough_are_not_mentioned(make_dataset, make_builder):
    """Without a reason there is no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", tfds_imagecsv.ImageCsvWarning)
        prepared(make_builder(make_dataset()))


# Splits


def sizes_of(builder):
    """Returns the numbers of examples by split."""
    return {split: info.num_examples for split, info in builder.info.splits.items()}


@pytest.mark.parametrize(
    ("sizes", "examples"),
    [
        ({}, {"train": 16, "validation": 2, "test": 2}),
        ({"val_size": 0}, {"train": 18, "test": 2}),
        ({"test_size": 0}, {"train": 18, "validation": 2}),
        ({"val_size": 0, "test_size": 0.0}, {"train": 20}),
        (
            {"val_size": 5, "test_size": 3},
            {"train": 12, "validation": 5, "test": 3},
        ),
        (
            {"val_size": 0.5, "test_size": 4},
            {"train": 6, "validation": 10, "test": 4},
        ),
        ({"val_size": 0.75, "test_size": 5}, {"validation": 15, "test": 5}),
        ({"val_size": 1.0, "test_size": 0}, {"validation": 20}),
    ],
    ids=str,
)
def test_sizes(make_dataset, make_builder, sizes, examples):
    """A float is a fraction, an int a count, and a split of size 0 doesn't exist."""
    builder = prepared(make_builder(make_dataset(**sizes)))
    assert sizes_of(builder) == examples
    counts = builder.info.metadata["class_counts"]
    assert {split: sum(by_class.values()) for split, by_class in counts.items()} == (
        examples
    )
    found = list(itertools.chain(*filenames_of(builder).values()))
    assert sorted(found) == [f"{at:02}.png" for at in range(20)]


def test_the_seed_chooses_the_splits(make_dataset, make_builder, tmp_path):
    """Two seeds give two sets of splits."""
    one, other = (
        filenames_of(
            prepared(make_builder(make_dataset(seed=seed), data_dir=tmp_path / "d" / n))
        )
        for seed, n in ((0, "0"), (1, "1"))
    )
    assert one != other


def test_max_examples_per_split(make_dataset, make_builder):
    """TFDS's option takes the first of each split by key; the metadata agree."""
    config = make_dataset(val_size=0.5, test_size=1)
    builder = make_builder(config, data_dir=config.image_dir + "_all")
    all_names = filenames_of(prepared(builder))
    builder = prepared(make_builder(config), max_examples_per_split=3)
    assert sizes_of(builder) == {"train": 3, "validation": 3, "test": 1}
    assert {split: sorted(names) for split, names in filenames_of(builder).items()} == {
        split: sorted(names)[:3] for split, names in all_names.items()
    }
    assert builder.info.features["label"].names == ["cat", "dog"]
    for split, records in all_records_of(builder).items():
        ids = [record["label"] for record in records]
        assert builder.info.metadata["class_counts"][split] == {
            "cat": ids.count(0),
            "dog": ids.count(1),
        }


# The same input gives the same output


def test_two_builds_give_the_same_records(make_dataset, make_builder, tmp_path):
    """Law 3: the same records in the same order."""
    config = make_dataset()
    one, other = (
        all_records_of(prepared(make_builder(config, data_dir=tmp_path / name)))
        for name in ("one", "other")
    )
    assert one == other
    assert list(one) == ["train", "validation", "test"]


def test_a_shuffled_csv_gives_the_same_records(make_dataset, make_builder, tmp_path):
    """Law 3: the order of the rows doesn't matter."""
    rows = [(f"{at:02}.png", "abc"[at % 3]) for at in range(60)]
    one = all_records_of(prepared(make_builder(make_dataset(rows))))
    random.Random(0).shuffle(rows)
    config = make_dataset(rows)
    other = prepared(make_builder(config, data_dir=tmp_path / "other"))
    assert one == all_records_of(other)


def test_records_are_in_the_order_of_the_hashes_of_their_keys(cifar10):
    """Law 3: the keys are the file names, and TFDS's order depends on them alone."""
    for split, names in filenames_of(cifar10).items():
        assert names == sorted(names, key=hashing.Hasher(split).hash_key)


def test_images_of_one_name_in_several_folders(make_dataset, make_builder):
    """Law 3: folders belong to the keys, and to what a record says of its image."""
    rows = [(f"{folder}/{at}.png", "cat") for folder in "abcd" for at in range(5)]
    builder = prepared(make_builder(make_dataset(rows)))
    names = filenames_of(builder)
    assert sorted(itertools.chain(*names.values())) == sorted(name for name, _ in rows)
    for split in names:
        hashed = sorted(names[split], key=hashing.Hasher(split).hash_key)
        assert names[split] == hashed


# What remains


def test_metadata_are_restored(make_dataset, make_builder):
    """A builder that finds the dataset knows as much as the one that made it."""
    config = make_dataset(val_size=0.25, test_size=3, seed=7)
    made = prepared(make_builder(config)).info
    found = make_builder(config).info
    assert found.metadata == made.metadata
    counts = found.metadata.pop("class_counts")
    assert found.metadata.pop("config") == metadata.config_fields(config)
    assert found.metadata == {
        "tfds_imagecsv_version": importlib.metadata.version("tfds-imagecsv"),
        "val_size": 0.25,
        "test_size": 3,
        "folds": 0,
        "seed": 7,
        "label_type": "class",
        "box_counts": {},
        "mask_classes": [],
        "mask_counts": {},
        "extra_columns": {},
        "about_classes": {},
        "largest_class_deviation": 0.5,
        "largest_split_deviation": 0.0,
        "groups": 0,
        "duplicate_sets": 0,
        "duplicate_images": 0,
        "rejected_rows": 0,
        "images_without_row": 0,
        "conversions": {},
        "converted_by": {},
        "wrong_extensions": 0,
        "understood": {"delimiter": ",", "file names": "filename", "labels": "label"},
        "notes": [],
    }
    assert list(counts) == ["train", "validation", "test"]
    assert sum(counts["validation"].values()) == 5
    assert found.features["label"].names == ["cat", "dog"]
    assert found.splits["test"].num_examples == 3


@pytest.mark.parametrize(
    "size", [np.int64(5), np.float32(0.25), np.float64(0.25)], ids=repr
)
def test_metadata_of_sizes_from_numpy(make_dataset, make_builder, size):
    """Sizes that come from a computation are stored like any others."""
    config = make_dataset(val_size=size)
    prepared(make_builder(config))
    assert make_builder(config).info.metadata["val_size"] == size


def test_a_dataset_stands_alone(make_dataset, make_builder, data_dir):
    """Law 8: it loads when the images and the CSV are gone."""
    config = make_dataset()
    expected = all_records_of(prepared(make_builder(config)))
    shutil.rmtree(config.image_dir)
    pathlib.Path(config.label_csv).unlink()
    again = make_builder(config)
    again.download_and_prepare()
    assert all_records_of(again) == expected
    splits, info = tfds.load("image_csv/pets", data_dir=data_dir, with_info=True)
    assert {name: len(split) for name, split in splits.items()} == sizes_of(again)
    assert info.features["label"].names == ["cat", "dog"]


def test_a_prepared_dataset_is_reused(make_dataset, make_builder, data_dir, list_tree):
    """TFDS's default: an existing dataset isn't built again."""
    config = make_dataset()
    prepared(make_builder(config))
    before = list_tree(data_dir)
    prepared(make_builder(config))
    assert list_tree(data_dir) == before


def test_update_dataset_info_needs_no_input(make_dataset, make_builder):
    """TFDS's mode that writes the description again keeps everything else."""
    config = make_dataset()
    made = prepared(make_builder(config)).info
    shutil.rmtree(config.image_dir)
    mode = tfds.download.GenerateMode.UPDATE_DATASET_INFO
    prepared(make_builder(config), download_mode=mode)
    found = make_builder(config)
    assert found.info.metadata == made.metadata
    assert found.info.features["label"].names == ["cat", "dog"]
    assert len(records_of(found, "train")) == 16


def test_update_dataset_info_without_a_dataset(make_dataset, make_builder, data_dir):
    """TFDS says what is wrong, and nothing is built."""
    mode = tfds.download.GenerateMode.UPDATE_DATASET_INFO
    config = make_dataset(image_dir="none")
    with pytest.raises(AssertionError, match="must already exist"):
        prepared(make_builder(config), download_mode=mode)
    assert not data_dir.exists()


def test_overwriting_takes_the_new_input(make_dataset, make_builder):
    """A dataset is replaced by that of the new CSV."""
    prepared(make_builder(make_dataset()))
    config = make_dataset([(f"{at}.png", "emu") for at in range(40)])
    builder = prepared(make_builder(config), download_mode=OVERWRITE)
    assert sizes_of(builder) == {"train": 32, "validation": 4, "test": 4}
    assert builder.info.features["label"].names == ["emu"]


def test_a_builder_can_build_twice(make_dataset, make_builder):
    """Nothing of the first build is left in the builder."""
    builder = prepared(make_builder(make_dataset()))
    make_dataset([(f"{at}.png", "emu") for at in range(40)])
    prepared(builder, download_mode=OVERWRITE)
    assert sizes_of(builder) == {"train": 32, "validation": 4, "test": 4}
    assert builder.info.features["label"].names == ["emu"]


def test_a_builder_can_try_again(make_dataset, make_builder):
    """Law 9: nothing of a build that failed is left in the builder."""
    builder = make_builder(make_dataset())
    with pytest.raises(tfds_imagecsv.ConfigError) as raised:
        prepared(builder, num_shards=1000)
    assert str(raised.value) == (
        "num_shards must not be larger than the number of examples of a split, 16, got"
        " 1000"
    )
    make_dataset([(f"{at}.png", "emu") for at in range(40)])
    prepared(builder)
    assert sizes_of(builder) == {"train": 32, "validation": 4, "test": 4}
    assert builder.info.features["label"].names == ["emu"]


def test_bad_shards_are_refused_before_the_images_are_read(
    make_dataset, make_builder, tmp_path
):
    """And before an existing dataset is touched."""
    config = make_dataset()
    builder = prepared(make_builder(config))
    before = all_records_of(builder)
    (tmp_path / "images" / "00.png").unlink()
    with pytest.raises(tfds_imagecsv.ConfigError) as raised:
        prepared(builder, num_shards=-1, download_mode=OVERWRITE)
    assert str(raised.value) == "num_shards must be at least 0, got -1"
    assert all_records_of(builder) == before


def test_builds_leave_the_garbage_collector_as_it_was(make_dataset, make_builder):
    """It doesn't look at older objects within a build."""
    frozen = []
    builder = make_builder(make_dataset())
    describe = builder._describe

    def noting(plan):
        frozen.append(gc.get_freeze_count())
        describe(plan)

    builder._describe = noting
    prepared(builder)
    assert frozen[0] > 10_000
    assert gc.get_freeze_count() == 0


def test_a_build_uses_no_network(make_dataset, make_builder, monkeypatch):
    """Building and loading work on a machine without a connection."""
    attempts = []

    def refuse(*args, **kwargs):
        attempts.append(args)
        raise OSError("no network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    builder = prepared(make_builder(make_dataset()))
    assert len(records_of(builder, "train")) == 16
    assert attempts == []


@pytest.mark.parametrize("name", ["cifar10", "pets"])
def test_a_builder_can_be_pickled(make_dataset, make_builder, name):
    """`tfds build --num_processes` and Beam send builders to other processes."""
    builder = make_builder("cifar10" if name == "cifar10" else make_dataset())
    again = pickle.loads(pickle.dumps(builder))
    assert again.info.full_name == f"image_csv/{name}/1.0.0"
    assert vars(again.builder_config) == vars(builder.builder_config)


# Where the images and the CSV are


def test_columns_by_name(tmp_path, make_dataset, make_builder, write_csv):
    """The CSV may have more columns, in any order, and ids for file names."""
    config = make_dataset(
        filename_column="id", label_column="species", filename_suffix=".png"
    )
    rows = [(at % 3, f"{at:02}", "emu") for at in range(20)]
    write_csv(tmp_path / "labels.csv", rows, header=("age", "id", "species"))
    builder = prepared(make_builder(config))
    assert builder.info.features["label"].names == ["emu"]
    assert sizes_of(builder)["train"] == 16


def test_relative_paths_are_in_the_manual_directory(
    tmp_path, make_dataset, make_builder
):
    """`DownloadConfig(manual_dir=...)` says where it is."""
    make_dataset()
    config = make_dataset(image_dir="./images", label_csv="../pets/labels.csv")
    (tmp_path / "pets").mkdir()
    shutil.move(tmp_path / "images", tmp_path / "pets" / "images")
    shutil.move(tmp_path / "labels.csv", tmp_path / "pets" / "labels.csv")
    builder = prepared(make_builder(config), manual_dir=tmp_path / "pets")
    assert sizes_of(builder)["train"] == 16


@pytest.mark.parametrize("download_dir", [None, "elsewhere"])
def test_the_default_manual_directory_is_that_of_tfds(
    tmp_path, make_dataset, make_builder, data_dir, download_dir
):
    """It is `manual` in the download directory, as in TFDS."""
    make_dataset()
    downloads = tmp_path / download_dir if download_dir else data_dir / "downloads"
    manual_dir = downloads / "manual"
    manual_dir.mkdir(parents=True)
    shutil.move(tmp_path / "images", manual_dir / "images")
    config = make_dataset([], image_dir="images")
    lines = "".join(f"{at:02}.png,x\n" for at in range(20))
    (tmp_path / "labels.csv").write_text("f,l\n" + lines)
    builder = make_builder(config)
    builder.download_and_prepare(download_dir=download_dir and downloads)
    assert sizes_of(builder)["train"] == 16


def test_paths_in_the_home_directory(tmp_path, make_dataset, make_builder, monkeypatch):
    """`~` is the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    make_dataset()
    config = make_dataset(image_dir="~/images", label_csv="~/labels.csv")
    assert sizes_of(prepared(make_builder(config)))["train"] == 16


def test_directories_in_the_home(tmp_path, make_dataset, make_builder, monkeypatch):
    """A shell doesn't expand `--data_dir=~/data`, and neither does TFDS."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    config = make_dataset(image_dir="images", label_csv="labels.csv")
    builder = prepared(make_builder(config, data_dir="~/data"), manual_dir="~")
    assert sizes_of(builder)["train"] == 16
    builder.raise_if_stale(manual_dir="~")
    assert (tmp_path / "data" / "image_csv" / "pets" / "1.0.0").is_dir()
    assert list((tmp_path / "elsewhere").iterdir()) == []


# Bad input


def csv_of(*lines):
    """Returns a function that spoils a dataset with a CSV of other lines."""
    return lambda root: (root / "labels.csv").write_text("\n".join(lines))


def empty_image(root):
    """Spoils a dataset by an image without contents."""
    (root / "images" / "07.png").write_bytes(b"")


def float_image(root):
    """Spoils a dataset by an image whose pixels have no range."""
    Image.new("F", (5, 4)).save(root / "images" / "07.png", "TIFF")


def without(*names):
    """Returns a function that spoils a dataset by taking away files or directories."""

    def spoil(root):
        for at, name in enumerate(names):
            (root / name).rename(root / f"moved{at}")

    return spoil


def file_for_directory(root):
    """Spoils a dataset by a file in place of the images."""
    without("images")(root)
    (root / "images").touch()


def link_out(root):
    """Spoils a dataset by a link out of its images."""
    without("images/07.png")(root)
    (root / "images" / "07.png").symlink_to(root / "moved0")


def nothing(root):
    """Spoils nothing: it is the config that is wrong."""


REPORT = "in {root}/labels.csv with the images in {root}/images:"

SEVERAL = f"""\
5 problems {REPORT}

Empty label (1):
  row 3: '01.png'
  -> Fill in the label, or remove the row.

File name that leaves the image directory (1):
  row 4: '../02.png'
  -> Give file names relative to image_dir, without '..' or links out of it.

File named twice (1):
  row 6: '00.png' is in row 2 already
  -> Keep one row for each image.

Image not found (2):
  row 5: '3.png'
  row 7: 'sub/04.png'; the closest is '04.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows."""

MANY = f"""\
17 problems {REPORT}

Image not found (17):
  row 5: '03.png'
  row 6: '04.png'
  row 7: '05.png'
  row 8: '06.png'
  row 9: '07.png'
  row 10: '08.png'
  row 11: '09.png'
  row 12: '10.png'
  row 13: '11.png'
  row 14: '12.png'
  ... and 7 more
  -> Check image_dir, filename_column and filename_suffix, or remove the rows."""

UNREADABLE = f"""\
1 problem {REPORT}

Image that can't be read (1):
  row 9: '07.png' isn't an image
  -> Replace or remove the image."""

FLOAT = f"""\
1 problem {REPORT}

Image whose pixels can't be read as colours (1):
  row 9: '07.png' is TIFF of mode F
  -> Convert the image to a PNG of 8 or 16 bits a channel."""

LINK_OUT = f"""\
1 problem {REPORT}

File name that leaves the image directory (1):
  row 9: '07.png' is a link out of it
  -> Give file names relative to image_dir, without '..' or links out of it."""

UNKNOWN_CLASS = f"""\
1 problem {REPORT}

Label that isn't in classes (1):
  row 3: 'emu' for '01.png'
  -> Correct the label, or add it to the config's classes."""

NO_CSV = "label_csv {root}/labels.csv: no such file or directory."
NO_IMAGES = "image_dir {root}/images: no such file or directory."
NO_DIRECTORY = (
    "image_dir {root}/images: neither a directory nor an archive that can be read"
    " (.zip, .7z, .tar, .tar.gz, .tgz, .tar.bz2, .tbz2, .tar.xz, .txz). Extract it,"
    " and give the directory."
)
EMPTY = (
    "label_csv {root}/labels.csv: the file is empty. Its first row must be a header,"
    " such as 'filename,label', and each row below it an image."
)
NO_COLUMN = (
    "label_column: no column has the name 'species' in label_csv {root}/labels.csv. Its"
    " columns are: 'filename', 'label'"
)
TOO_MUCH = (
    "val_size=15 and test_size=6: that is 21 images, and there are 20 to divide. Make"
    " them smaller; '20%' stands for a fraction."
)
TOO_FEW = (
    "2 images are too few for the splits train, validation, test: validation would be"
    " empty. Groups, copies and pinned images can't be divided. Ask for fewer splits,"
    " or add images."
)


@pytest.mark.parametrize(
    ("spoil", "fields", "error", "message"),
    [
        pytest.param(spoil, fields, error, message, id=name)
        for name, spoil, fields, error, message in [
            ("CSV", without("labels.csv"), {}, "SourceError", NO_CSV),
            ("images", without("images"), {}, "SourceError", NO_IMAGES),
            (
                "both",
                without("images", "labels.csv"),
                {},
                "SourceError",
                f"{NO_IMAGES}\n{NO_CSV}",
            ),
            ("file", file_for_directory, {}, "SourceError", NO_DIRECTORY),
            ("empty", csv_of(""), {}, "SourceError", EMPTY),
            (
                "column",
                nothing,
                {"label_column": "species"},
                "SourceError",
                NO_COLUMN,
            ),
            (
                "several",
                csv_of(
                    *("f,l", "00.png,x", "01.png,", "../02.png,x", "3.png,x"),
                    *("./00.png,x", "sub/04.png,x"),
                ),
                {},
                "InvalidRowsError",
                SEVERAL,
            ),
            (
                "many",
                without(*(f"images/{at:02}.png" for at in range(3, 20))),
                {},
                "InvalidRowsError",
                MANY,
            ),
            ("unreadable", empty_image, {}, "InvalidRowsError", UNREADABLE),
            ("float", float_image, {}, "InvalidRowsError", FLOAT),
            ("link", link_out, {}, "InvalidRowsError", LINK_OUT),
            (
                "class",
                csv_of("f,l", "00.png,cat", "01.png,emu"),
                {"classes": ["cat", "dog"]},
                "InvalidRowsError",
                UNKNOWN_CLASS,
            ),
            (
                "too much",
                nothing,
                {"val_size": 15, "test_size": 6},
                "SplitError",
                TOO_MUCH,
            ),
            (
                "too few",
                csv_of("f,l", "00.png,cat", "01.png,emu"),
                {},
                "SplitError",
                TOO_FEW,
            ),
        ]
    ],
)
def test_bad_input_changes_nothing(
    tmp_path,
    make_dataset,
    make_builder,
    data_dir,
    list_tree,
    spoil,
    fields,
    error,
    message,
):
    """No data directory is made, and a dataset that is to be replaced survives."""
    prepared(make_builder(make_dataset()))
    config = make_dataset(**fields)
    spoil(tmp_path)
    message = message.replace("{root}", str(tmp_path))
    before = list_tree(data_dir)

    with pytest.raises(getattr(tfds_imagecsv, error)) as caught:
        prepared(make_builder(config), download_mode=OVERWRITE)
    assert str(caught.value) == message
    assert list_tree(data_dir) == before

    with pytest.raises(getattr(tfds_imagecsv, error)) as caught:
        prepared(make_builder(config, data_dir=tmp_path / "none"))
    assert str(caught.value) == message
    assert not (tmp_path / "none").exists()


def test_a_file_name_that_no_system_has(make_dataset, make_builder, tmp_path):
    """A zero byte is a mistake in the CSV, not a bug of the package."""
    config = make_dataset()
    (tmp_path / "labels.csv").write_bytes(b"f,l\na\0b/00.png,cat\n")
    with pytest.raises(tfds_imagecsv.ImageCsvError):
        prepared(make_builder(config))


@pytest.mark.parametrize("files", [[], ["other.txt"]], ids=["empty", "other"])
def test_missing_data_of_cifar10(tmp_path, make_builder, data_dir, files):
    """The message ends with the instructions."""
    manual_dir = tmp_path / "manual"
    manual_dir.mkdir()
    for name in files:
        (manual_dir / name).touch()
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        prepared(make_builder("cifar10"), manual_dir=manual_dir)
    if files:
        missing = (
            f"image_dir {manual_dir}/train: no such file or directory.\n"
            f"label_csv {manual_dir}/trainLabels.csv: no such file or directory."
        )
    else:
        reason = f"Manual directory {manual_dir} does not exist or is empty."
        missing = f"image_dir train: {reason}\nlabel_csv trainLabels.csv: {reason}"
    assert str(caught.value) == f"{missing}\n\n{INSTRUCTIONS}"
    assert not data_dir.exists()


def test_the_instructions():
    """They say where the data are, how they must lie, and what else can be built."""
    assert (
        INSTRUCTIONS
        == """\
A relative image_dir or label_csv is looked up in the manual directory
(`tfds build --manual_dir=DIR`, or `DownloadConfig(manual_dir=DIR)`).

image_csv/cifar10 is Kaggle's CIFAR-10. Get `train.7z` and `trainLabels.csv` from
https://www.kaggle.com/c/cifar-10/data, and put them into the manual directory as
they are, so that it has:

    train.7z           50,000 images: train/1.png ... train/50000.png
    trainLabels.csv    id,label

The folder `train`, extracted from it, does as well.

To build a dataset of your own images, give its config:
    tfds build image_csv --imports=tfds_imagecsv \\
        --config='{"name": "pets", "image_dir": "DIR", "label_csv": "FILE"}'
"""
    )


def test_one_path_in_the_manual_directory_and_one_elsewhere(
    tmp_path, make_dataset, make_builder
):
    """The instructions are for the relative path; the other isn't doubted."""
    config = make_dataset(image_dir="photos")
    (tmp_path / "manual").mkdir()
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        prepared(make_builder(config), manual_dir=tmp_path / "manual")
    assert str(caught.value) == (
        f"image_dir photos: Manual directory {tmp_path}/manual does not exist or is"
        f" empty.\n\n{INSTRUCTIONS}"
    )


NO_CONFIG = (
    "image_csv needs a config: the name of a dataset (image_csv/cifar10) or, for your"
    " own images, config=tfds_imagecsv.ImageCsvConfig(name=..., image_dir=...,"
    " label_csv=...)."
)
BUILT_IN = "name: image_csv/cifar10 is a built-in dataset. Choose another name."


@pytest.mark.parametrize(
    "make",
    [tfds_imagecsv.ImageCsv, lambda **kwargs: tfds.builder("image_csv", **kwargs)],
)
def test_no_config(data_dir, make):
    """TFDS would take the first built-in one."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        prepared(make(data_dir=data_dir), manual_dir=DUMMY_DATA)
    assert str(caught.value) == NO_CONFIG
    assert not data_dir.exists()


def test_the_name_of_a_built_in_dataset(make_dataset, make_builder, data_dir):
    """TFDS would mistake one for the other."""
    config = make_dataset(name="cifar10")
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
    assert str(caught.value) == BUILT_IN
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        make_builder(config)
    assert str(caught.value).endswith(BUILT_IN)
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (tfds.core.BuilderConfig(name="pets"), "BuilderConfig"),
        ({"name": "pets"}, "dict"),
    ],
    ids=["BuilderConfig", "dict"],
)
def test_a_config_of_another_class(data_dir, config, kind):
    """The message has the class, and the needed one."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
    assert str(caught.value) == (
        f"config must be a name or an ImageCsvConfig, got {kind}"
    )


# Groups, copies, given and pinned splits, folds


def spoiled_by_copies(config, copies):
    """Makes images of a dataset the same as others, and returns the config."""
    for copy, original in copies.items():
        directory = pathlib.Path(config.image_dir)
        shutil.copyfile(directory / original, directory / copy)
    return config


def with_columns(config, write_csv, names, rows):
    """Writes a dataset's CSV anew with more columns, and returns the config."""
    write_csv(pathlib.Path(config.label_csv), rows, header=("f", "l", *names))
    return config


def splits_of(builder):
    """Returns the split of each file name, as read back from the records."""
    return {
        name: split for split, names in filenames_of(builder).items() for name in names
    }


def manifest_of(builder):
    """Returns the lines of the split manifest beside the records, as dicts."""
    path = builder.data_path / "split_manifest.csv"
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - newline
        return list(csv.DictReader(file))


def test_the_manifest_says_what_the_records_are(make_dataset, make_builder):
    """It has each record's split and label, and the digest of its image."""
    builder = prepared(make_builder(make_dataset()))
    lines = manifest_of(builder)
    assert [line["key"] for line in lines] == [f"{at:02}.png" for at in range(20)]
    assert {line["key"]: line["split"] for line in lines} == splits_of(builder)
    by_key = {line["key"]: line for line in lines}
    labels = builder.info.features["label"]
    for records in all_records_of(builder).values():
        for record in records:
            line = by_key[record["image/filename"].decode()]
            assert line["label"] == labels.int2str(record["label"])
            assert line["group"] == ""
            assert line["digest"] == files.digest_of(record["image"]).hex()
    assert not (builder.data_path / "rejected_rows.csv").exists()


def test_the_manifest_of_the_first_examples(make_dataset, make_builder):
    """It has no more rows than there are records."""
    builder = prepared(make_builder(make_dataset()), max_examples_per_split=1)
    lines = manifest_of(builder)
    assert {line["key"]: line["split"] for line in lines} == splits_of(builder)
    assert len(lines) == 3


def test_dropped_rows_are_listed_beside_the_records(make_dataset, make_builder):
    """Law 6: with the row, the reason and the label; the records lack them."""
    rows = [(f"{at:02}.png", "cat") for at in range(20)]
    rows += [("é, 1.png", "fox"), ("copy.png", "cat")]
    config = make_dataset(
        rows, duplicates="drop", min_class_size=2, rare_classes="drop"
    )
    builder = make_builder(spoiled_by_copies(config, {"copy.png": "07.png"}))
    with pytest.warns(tfds_imagecsv.ImageCsvWarning):
        prepared(builder)
    assert (builder.data_path / "rejected_rows.csv").read_bytes().decode() == (
        "row,key,label,reason\n"
        "23,copy.png,cat,identical to 07.png in row 9\n"
        '22,"é, 1.png",fox,class with fewer images than min_class_size: 1\n'
    )
    assert sorted(splits_of(builder)) == [f"{at:02}.png" for at in range(20)]
    assert len(manifest_of(builder)) == 20
    assert builder.info.features["label"].names == ["cat"]
    metadata = builder.info.metadata
    assert metadata["rejected_rows"] == 2
    assert (metadata["duplicate_sets"], metadata["duplicate_images"]) == (1, 2)


def test_policies_that_drop_nothing_list_nothing(make_dataset, make_builder):
    """There is no list of dropped rows without one."""
    config = make_dataset(duplicates="drop", min_class_size=2, rare_classes="drop")
    builder = prepared(make_builder(config))
    assert not (builder.data_path / "rejected_rows.csv").exists()


def test_a_build_that_is_pinned_by_an_earlier_one(
    make_dataset, make_builder, data_dir, tmp_path
):
    """Law 4: rows are added, the seed is another, and no old record moves."""
    first = prepared(make_builder(make_dataset(val_size=0.2, test_size=0.2)))
    before = splits_of(first)
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(40)]
    config = make_dataset(
        rows,
        val_size=0.2,
        test_size=0.2,
        seed=5,
        pinned_splits=first.data_path / "split_manifest.csv",
    )
    second = prepared(make_builder(config, data_dir=tmp_path / "second"))
    after = splits_of(second)
    assert {name: after[name] for name in before} == before
    assert sizes_of(second) == {"train": 24, "validation": 8, "test": 8}
    assert second.info.metadata["largest_class_deviation"] == 0
    # And one that is pinned by that, in its own place.
    config = make_dataset(
        rows, seed=6, pinned_splits=second.data_path / "split_manifest.csv"
    )
    third = make_builder(config, data_dir=tmp_path / "second")
    assert splits_of(prepared(third, download_mode=OVERWRITE)) == after


def test_a_relative_manifest_is_in_the_manual_directory(
    make_dataset, make_builder, tmp_path
):
    """Like the CSV and the images."""
    (tmp_path / "pinned.csv").write_text(
        "key,split,label,group,digest\n00.png,holdout,cat,,\n"
    )
    builder = make_builder(make_dataset(pinned_splits="pinned.csv"))
    with pytest.warns(tfds_imagecsv.ImageCsvWarning):
        prepared(builder, manual_dir=tmp_path)
    assert splits_of(builder)["00.png"] == "holdout"


NO_MANIFEST = (
    "pinned_splits {}: this isn't a split manifest: it has no column key, split, group,"
    " digest. Give the split_manifest.csv of an earlier build."
)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "pinned_splits {}: no such file or directory."),
        (
            "filename,label\n00.png,cat\n",
            NO_MANIFEST,
        ),
    ],
    ids=["missing", "another file"],
)
def test_a_bad_manifest_changes_nothing(
    tmp_path, make_dataset, make_builder, data_dir, list_tree, manifest, message
):
    """A dataset that is to be replaced survives, and no directory is made."""
    prepared(make_builder(make_dataset()))
    path = tmp_path / "pinned.csv"
    if manifest is not None:
        path.write_text(manifest)
    config = make_dataset(pinned_splits=path)
    before = list_tree(data_dir)
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        prepared(make_builder(config), download_mode=OVERWRITE)
    assert str(caught.value) == message.format(path)
    assert list_tree(data_dir) == before
    with pytest.raises(tfds_imagecsv.SourceError):
        prepared(make_builder(config, data_dir=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_folds(make_dataset, make_builder):
    """They are read with TFDS's split arithmetic, for cross-validation."""
    builder = prepared(make_builder(make_dataset(folds=3, test_size=2)))
    assert sizes_of(builder) == {"fold0": 6, "fold1": 6, "fold2": 6, "test": 2}
    names = filenames_of(builder)
    both = [
        record["image/filename"].decode()
        for record in records_of(builder, "fold0+fold1")
    ]
    assert both == names["fold0"] + names["fold1"]
    assert len(records_of(builder, "fold0[:50%]+fold2")) == 9
    assert sorted(itertools.chain(*names.values())) == [
        f"{at:02}.png" for at in range(20)
    ]
    assert list(builder.info.metadata["class_counts"]) == list(names)
    assert builder.info.metadata["folds"] == 3


def test_unlabeled_images(make_dataset, make_builder, write_csv):
    """They have the label -1, and are in no class; other names are splits, too."""
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2], "") for at in range(20)]
    config = make_dataset(
        [row[:2] for row in rows] + [("u.png", ""), ("v.png", ""), ("w.png", "")],
        split_column="s",
    )
    rows += [("u.png", "", "unlabeled"), ("v.png", "", "unlabeled")]
    rows += [("w.png", "dog", "Holdout")]
    builder = prepared(make_builder(with_columns(config, write_csv, ["s"], rows)))
    assert sizes_of(builder) == {
        "train": 16,
        "validation": 2,
        "test": 2,
        "unlabeled": 2,
        "Holdout": 1,
    }
    assert [record["label"] for record in records_of(builder, "unlabeled")] == [-1, -1]
    assert [record["label"] for record in records_of(builder, "Holdout")] == [1]
    assert builder.info.features["label"].names == ["cat", "dog"]
    images = list(builder.as_dataset(split="unlabeled", as_supervised=True))
    assert [tuple(image.shape) for image, _ in images] == [(4, 5, 3)] * 2
    assert builder.info.metadata["class_counts"]["unlabeled"] == {"cat": 0, "dog": 0}
    by_key = {line["key"]: line for line in manifest_of(builder)}
    assert (by_key["u.png"]["label"], by_key["u.png"]["split"]) == ("", "unlabeled")


def test_groups_and_copies_in_the_metadata(make_dataset, make_builder, write_csv):
    """Law 2 in the records; the metadata have their numbers."""
    rows = [(f"{at:02}.png", "cat", f"g{at // 4}") for at in range(16)]
    config = make_dataset(
        [row[:2] for row in rows], group_column="g", val_size=0.25, test_size=0.25
    )
    spoiled_by_copies(config, {"05.png": "01.png", "06.png": "01.png"})
    builder = make_builder(with_columns(config, write_csv, ["g"], rows))
    with pytest.warns(tfds_imagecsv.ImageCsvWarning, match="they stay together"):
        prepared(builder)
    split_of = splits_of(builder)
    for unit in (range(8), range(8, 12), range(12, 16)):
        assert len({split_of[f"{at:02}.png"] for at in unit}) == 1
    assert sizes_of(builder) == {"train": 8, "validation": 4, "test": 4}
    found = make_builder(config).info.metadata
    assert found["groups"] == 4
    assert (found["duplicate_sets"], found["duplicate_images"]) == (1, 3)
    assert found["largest_class_deviation"] == found["largest_split_deviation"] == 0
    assert [line["group"] for line in manifest_of(builder)] == [row[2] for row in rows]


def test_the_deviation_in_the_metadata(make_dataset, make_builder, write_csv):
    """Groups that can't be divided evenly show in it, in rows."""
    rows = [(f"{at:02}.png", "cat", "ab"[at >= 7]) for at in range(20)]
    config = make_dataset(
        [row[:2] for row in rows], group_column="g", val_size=0.5, test_size=0
    )
    builder = make_builder(with_columns(config, write_csv, ["g"], rows))
    metadata = prepared(builder).info.metadata
    assert metadata["largest_class_deviation"] == 3
    assert metadata["largest_split_deviation"] == 3


def test_metadata_of_folds_from_numpy(make_dataset, make_builder):
    """A number of folds that comes from a computation is stored like any other."""
    config = make_dataset(folds=np.int64(2), min_class_size=np.int64(2))
    prepared(make_builder(config))
    assert make_builder(config).info.metadata["folds"] == 2


def test_a_dataset_without_any_label(make_dataset, make_builder, write_csv, tmp_path):
    """All images may be in the split `unlabeled`."""
    config = make_dataset(split_column="split")
    rows = [(f"{at:02}.png", "", "unlabeled") for at in range(5)]
    write_csv(tmp_path / "labels.csv", rows, header=("filename", "label", "split"))
    builder = prepared(make_builder(config))
    examples = tfds.as_numpy(builder.as_dataset(split="unlabeled"))
    assert [example["label"] for example in examples] == [-1] * 5


def test_six_kinds_of_problems_at_once(
    make_dataset, make_builder, data_dir, list_tree, write_csv, tmp_path
):
    """One message has all of them, and no data directory is made."""
    config = make_dataset()
    folder = tmp_path / "images"
    (folder / "00.png").unlink()
    content = (folder / "01.png").read_bytes()
    (folder / "01.png").write_bytes(content[:-20])
    (folder / "02.png").write_bytes(b"")
    (folder / "03.png").write_bytes(b"<html>404</html>")
    names = [f"{at:02}.png" for at in range(20)]
    rows = [(name, "cat") for name in (*names, "../x.png", "05.png")]
    write_csv(tmp_path / "labels.csv", rows)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as raised:
        make_builder(config).download_and_prepare()
    message = str(raised.value)
    assert message.startswith("6 problems in ")
    for line in (
        "row 2: '00.png'",
        "row 3: '01.png': ",
        "row 4: '02.png' isn't an image",
        "row 5: '03.png' isn't an image",
        "row 22: '../x.png'",
        "row 23: '05.png' is in row 7 already",
    ):
        assert f"\n  {line}" in message
    assert list_tree(data_dir) is None


def test_what_has_converted_images(make_dataset, make_builder):
    """The libraries' versions explain why two builds may differ in a pixel."""
    builder = make_builder(make_dataset(resize=(5, 4)))
    prepared(builder)
    versions = builder.info.metadata["converted_by"]
    assert versions["pillow"] == PIL.__version__
    assert versions["cykooz-resizer"] == importlib.metadata.version("cykooz-resizer")
    assert versions["pillow: libjpeg_turbo"]


@pytest.mark.slow
def test_libraries_that_were_imported_before(make_dataset, tmp_path):
    """Whoever has imported TensorFlow first builds the same files."""
    make_dataset()
    first = f"import tensorflow\nDATA_DIR = 'first'\n{BUILD_RESIZED}"
    subprocess.run(
        [sys.executable, "-c", first], cwd=tmp_path, check=True, capture_output=True
    )
    # Here, Pillow was imported before.
    later = f"DATA_DIR = 'later'\n{BUILD_RESIZED}"
    ran = processes.run_code(later, cwd=tmp_path, env=dict(os.environ))
    assert not ran.returncode, ran.stderr
    one, other = (
        {
            path.name: path.read_bytes()
            for path in (tmp_path / data_dir).rglob("*")
            if path.is_file()
        }
        for data_dir in ("first", "later")
    )
    assert len(one) > 10
    assert one == other


BUILD_RESIZED = """
import os
import tfds_imagecsv
config = tfds_imagecsv.ImageCsvConfig(
    name="pets",
    image_dir=os.path.abspath("images"),
    label_csv=os.path.abspath("labels.csv"),
    resize=(3, 4),
)
builder = tfds_imagecsv.ImageCsv(config=config, data_dir=DATA_DIR)
builder.download_and_prepare()
"""


BUILD = """
import sys
import tensorflow_datasets as tfds
import tfds_imagecsv
config = tfds_imagecsv.ImageCsvConfig(
    name="pets", image_dir=sys.argv[1], label_csv=sys.argv[2]
)
builder = tfds.builder("image_csv", config=config, data_dir=sys.argv[3])
builder.download_and_prepare()
print(sorted({"pandas", "scipy"} & set(sys.modules)))
"""


def test_a_build_imports_no_library_that_it_does_not_need(make_dataset, data_dir):
    """Pandas takes a tenth of a small build's time: it is for tables in memory."""
    config = make_dataset()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, config.image_dir, config.label_csv, data_dir],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
