"""Tests that the digits example trains a model that works."""

import pathlib
import subprocess
import sys

import tensorflow_datasets as tfds


def test_digits(tmp_path: pathlib.Path) -> None:
    """The example reaches 95 % on test, and leaves a dataset of all the digits."""
    command = [sys.executable, "-m", "tfds_imagecsv.examples.digits"]
    command += ["--work_dir", str(tmp_path)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)

    name, accuracy = run.stdout.splitlines()[-1].split(": ")
    assert name == "test accuracy"
    assert float(accuracy) >= 0.95

    splits, info = tfds.load(
        "image_csv/digits", data_dir=tmp_path / "tensorflow_datasets", with_info=True
    )
    assert sorted(splits) == ["test", "train", "validation"]
    assert sum(len(list(split)) for split in splits.values()) == 1797
    assert info.splits.total_num_examples == 1797
