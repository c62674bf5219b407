"""`tfds.load` and `tfds.data_source` read what a build has written."""

import collections
import pickle

import numpy as np
import pytest
import tensorflow_datasets as tfds

SPLITS = ["train", "validation", "test"]


def by_filename(examples):
    """Returns the examples by file name; each may occur only once."""
    found = {example["image/filename"].decode(): example for example in examples}
    assert len(found) == len(examples)
    return found


@pytest.fixture(params=["load", "data_source"])
def read(request, digits):
    """Returns a function that reads a split, as a list of examples."""

    def read(split, name="pets"):
        if request.param == "load":
            return list(tfds.as_numpy(digits.dataset(split, name)))
        return list(digits.source(split, name))

    return read


def test_pixels_and_labels_are_those_of_the_files(digits, read):
    """Each image of the CSV is in one split, with its label and its pixels."""
    splits = {split: read(split) for split in SPLITS}
    found = by_filename([one for examples in splits.values() for one in examples])
    assert found.keys() == digits.labels.keys()
    names = digits.source("train").dataset_info.features["label"].names
    for filename, example in found.items():
        assert names[example["label"]] == digits.labels[filename]
        pixels = digits.pixels(filename)
        assert example["image"].dtype == np.uint8
        np.testing.assert_array_equal(example["image"], pixels, err_msg=filename)
        assert (example["image/height"], example["image/width"]) == pixels.shape[:2]


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["train[:25%]", "train[25%:]"], "train"),
        (["train[:7]", "train[7:100]", "train[100:]"], "train"),
        (["validation[:50%]+test", "validation[50%:]"], "validation+test"),
        ([*tfds.even_splits("train", n=3)], "train"),
    ],
)
def test_parts_of_splits_make_up_the_whole(read, parts, whole):
    """No image is in two parts, and none is missing."""
    found = [one["image/filename"] for part in parts for one in read(part)]
    assert len(set(found)) == len(found)
    assert sorted(found) == sorted(one["image/filename"] for one in read(whole))


def test_the_parts_have_the_sizes_that_they_say(read):
    """A percentage is that of the number of records."""
    assert len(read("train")) == 288
    assert len(read("train[:25%]")) == 72
    assert len(read("train[:7]")) == 7


def test_a_part_of_a_split_is_a_random_one(read):
    """A quarter has about a quarter of each class, even if the CSV is sorted."""
    counts = collections.Counter(one["label"] for one in read("train[:25%]"))
    assert len(counts) == 10
    assert max(counts.values()) <= 15


def test_each_fold_is_held_out_once(digits, read):
    """The other folds are the rest, without the test split."""
    folds = [f"fold{at}" for at in range(5)]
    test = by_filename(read("test", "pets_folds")).keys()
    held_out = []
    for fold in folds:
        others = "+".join(other for other in folds if other != fold)
        validation = by_filename(read(fold, "pets_folds")).keys()
        train = by_filename(read(others, "pets_folds")).keys()
        assert not validation & train
        assert validation | train == digits.labels.keys() - test
        held_out += validation
    assert sorted(held_out) == sorted(digits.labels.keys() - test)


def test_shuffled_epochs_have_each_image_once(digits):
    """With `tf.data`, each epoch has another order."""
    dataset = digits.dataset("train", shuffle_files=True).shuffle(100)
    epochs = [
        [one["image/filename"] for one in tfds.as_numpy(dataset)] for _ in range(2)
    ]
    assert epochs[0] != epochs[1]
    for names in epochs:
        assert sorted(names) == sorted(
            one["image/filename"] for one in digits.source("train")
        )


def test_a_data_source_can_be_sent_to_another_process(digits):
    """It reads the same there, even after reading here; its images aren't sent."""
    source = digits.source("train")
    first = source[0]
    sent = pickle.dumps(source)
    assert first["image"].tobytes() not in sent
    received = pickle.loads(sent)
    assert len(received) == len(source)
    np.testing.assert_array_equal(received[0]["image"], first["image"])


def test_a_data_source_does_not_need_tensorflow(digits, run_example):
    """In a new process it isn't imported."""
    lines = run_example(
        """
import sys
import tensorflow_datasets as tfds

source = tfds.data_source("image_csv/pets_arrays", split="train")
print(source[0]["image"].shape, "tensorflow" in sys.modules)
""",
        digits.data_dir,
    )
    assert lines == [f"{digits.source('train')[0]['image'].shape} False"]
