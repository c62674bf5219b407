"""A folder of images and a CSV of labels, as a TensorFlow Datasets dataset.

Importing this package registers the dataset builder `image_csv`:

    import tensorflow_datasets as tfds
    import tfds_imagecsv

    config = tfds_imagecsv.ImageCsvConfig(
        name="pets", image_dir="/data/pets/images", label_csv="/data/pets/labels.csv"
    )
    builder = tfds.builder("image_csv", config=config)
    builder.download_and_prepare()
    train = builder.as_dataset(split="train", as_supervised=True)
"""

from tfds_imagecsv.checked import check, report
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.dataset import registration
from tfds_imagecsv.dataset.registration import register, register_toml
from tfds_imagecsv.exceptions import (
    ConfigError,
    ImageCsvError,
    ImageCsvWarning,
    InvalidRowsError,
    SourceError,
    SplitError,
    StaleDatasetError,
    StorageError,
    WorkerError,
)
from tfds_imagecsv.tfds_imagecsv_dataset_builder import ImageCsv

__all__ = [
    "ConfigError",
    "ImageCsv",
    "ImageCsvConfig",
    "ImageCsvError",
    "ImageCsvWarning",
    "InvalidRowsError",
    "SourceError",
    "SplitError",
    "StaleDatasetError",
    "StorageError",
    "WorkerError",
    "check",
    "register",
    "register_toml",
    "report",
]

# Last, since it imports modules that import this package and need all of it.
registration.register_installed()
