"""The digits example trains a model that works."""

import os
import pathlib
import subprocess

import processes
import readme
import tensorflow_datasets as tfds


def test_digits(tmp_path: pathlib.Path) -> None:
    """The page's command reaches 95 % on test, and can keep a dataset of all digits."""
    command = readme.find_code("tfds_imagecsv.examples.digits", language="sh")
    run = subprocess.run(
        ["bash", "-ec", f"{command.strip()} --work_dir={tmp_path}"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PATH": processes.path()},
    )

    name, accuracy = run.stdout.splitlines()[-1].split(": ")
    assert name == "test accuracy"
    assert float(accuracy) >= 0.95

    splits, info = tfds.load(
        "image_csv/digits", data_dir=tmp_path / "tensorflow_datasets", with_info=True
    )
    assert sorted(splits) == ["test", "train", "validation"]
    assert sum(len(list(split)) for split in splits.values()) == 1797
    assert info.splits.total_num_examples == 1797
