"""A builder for the benchmark's data, written as TFDS's guide shows.

It is what somebody without this project has: the CSV read with Python, splits by
scikit-learn, and the rest by TFDS (https://www.tensorflow.org/datasets/add_dataset).
Importing this module registers it as `stock_images`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from data import CLASSES, IMAGES, LABELS
from etils import epath
from sklearn.model_selection import train_test_split


class Builder(tfds.core.GeneratorBasedBuilder):
    """DatasetBuilder for a folder of images and a CSV of labels."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 - TFDS's own form
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Put `images` and `labels.csv` into the directory."

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the dataset metadata."""
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                    "image/filename": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        """Returns SplitGenerators."""
        path = dl_manager.manual_dir
        with (path / LABELS).open() as file:
            rows = list(csv.DictReader(file))
        train, held_out = train_test_split(
            rows,
            test_size=0.2,
            stratify=[row["label"] for row in rows],
            random_state=0,
        )
        validation, test = train_test_split(
            held_out,
            test_size=0.5,
            stratify=[row["label"] for row in held_out],
            random_state=0,
        )
        return {
            "train": self._generate_examples(path / IMAGES, train),
            "validation": self._generate_examples(path / IMAGES, validation),
            "test": self._generate_examples(path / IMAGES, test),
        }

    def _generate_examples(
        self, images: epath.Path, rows: list[dict[str, str]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields examples."""
        for row in rows:
            path = images / row["filename"]
            yield (
                path.name,
                {
                    "image": path,
                    "label": row["label"],
                    "image/filename": row["filename"],
                },
            )
