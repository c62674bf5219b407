"""A prepared dataset, known only by its records and the files beside them."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.dataset import metadata
from tfds_imagecsv.storage import failures, s3
from tfds_imagecsv.storage.paths import absolute
from tfds_imagecsv.table import manifest

with epy.lazy_imports():
    import pyarrow as pa

    from tfds_imagecsv.dataset import features as features_lib
    from tfds_imagecsv.prepared import side_files


# The suffixes of the files that TFDS keeps beside the records.
_METADATA_SUFFIXES = (".json", ".txt")


@dataclasses.dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
      split: the split's name.
      key: the image's file name, relative to the directory of the images.
      image: the stored bytes of the image file.
      label: a class id, or -1 for none; a list of class ids; a number, or a list of
        numbers; a dictionary of lists with the `bbox` and the `label` of each box (see
        `tfds.features.BBoxFeature`); None without labels.
    """

    split: str
    key: str
    image: bytes
    label: Any


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A dataset of this package's builder.

    Attributes:
      builder: TFDS's builder of the dataset; it knows no config.
    """

    builder: tfds.core.DatasetBuilder

    @property
    def path(self) -> epath.Path:
        """The directory of the records."""
        return epath.Path(self.builder.data_path)

    @property
    def info(self) -> tfds.core.DatasetInfo:
        """TFDS's info."""
        return self.builder.info

    @functools.cached_property
    def metadata(self) -> Mapping[str, Any]:
        """What `metadata.metadata_of` returned to the build."""
        return dict(self.info.metadata)

    @property
    def name(self) -> str:
        """The name by which TFDS loads it, without its version."""
        config = self.info.config_name
        return f"{self.info.name}/{config}" if config else str(self.info.name)

    @property
    def label_type(self) -> str:
        """One of `options.LABEL_TYPES`."""
        return str(self.metadata["label_type"])

    @property
    def label_shape(self) -> tuple[int | None, ...]:
        """The shape of a label: `()` for a class or one number."""
        return tuple(self.info.features["label"].shape)

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their ids; none without classes."""
        label = features_lib.class_label(self.info.features)
        return tuple(label.names) if label is not None else ()

    @property
    def split_sizes(self) -> dict[str, int]:
        """The number of examples of each split."""
        return {name: one.num_examples for name, one in self.info.splits.items()}

    @functools.cached_property
    def manifest(self) -> bytes:
        """The content of the split manifest."""
        return bytes((self.path / manifest.FILENAME).read_bytes())

    def manifest_rows(self) -> pa.Table:
        """Returns the rows of the split manifest, with all cells as texts."""
        return side_files.read(self.path / manifest.FILENAME, manifest.COLUMNS)

    def records(self) -> Iterator[Record]:
        """Yields the records of all splits, with undecoded images, shard by shard."""
        for split in self.info.splits:
            for builder, part in self._readable(split):
                for example in tfds_private.undecoded(builder, part):
                    yield Record(
                        split=split,
                        key=example["image/filename"].decode(),
                        image=example["image"],
                        label=_plain(example.get("label", example.get("objects"))),
                    )

    def _readable(self, split: str) -> Iterator[tuple[tfds.core.DatasetBuilder, str]]:
        """Yields builders that can read the records of a split, and the part to read.

        TensorFlow can't read from S3, so each shard is copied to this machine while it
        is read.
        """
        if not s3.is_s3(self.path):
            yield self.builder, split
            return
        with tempfile.TemporaryDirectory() as name:
            folder = epath.Path(name)
            for path in self.path.iterdir():
                if path.suffix in _METADATA_SUFFIXES:
                    path.copy(folder / path.name)
            builder = tfds.builder_from_directory(folder)
            for number, shard in enumerate(self.info.splits[split].filepaths):
                copied = folder / shard.name
                shard.copy(copied)
                yield builder, f"{split}[{number}shard:{number + 1}shard]"
                copied.unlink()


def _plain(value: Any) -> Any:
    """Returns a NumPy array as Python numbers, also in a dictionary."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def find_folder(
    name: str, data_dir: epath.PathLike | None = None
) -> tuple[epath.Path, tfds.core.DatasetBuilder | None]:
    """Returns where a prepared dataset is, and its builder if TFDS has one.

    Args:
      name: its name, such as `image_csv/pets`, with or without a version (`:1.0.0`);
        else a directory: that of its records, or the one above it. Without a version,
        it means the latest one.
      data_dir: the data directory in which to look up names; default: TFDS's own.

    Raises:
      SourceError: if there is no such dataset.
      StorageError: if a bucket is out of reach.
    """
    if s3.is_s3(name):
        data_dir = None
    elif data_dir is not None:
        data_dir = absolute(data_dir)
    where = data_dir or tfds.core.constants.DATA_DIR
    with failures.reachable(name if s3.is_s3(name) else where):
        return _found(name, data_dir, where)


def _found(
    name: str, data_dir: epath.Path | None, where: epath.PathLike
) -> tuple[epath.Path, tfds.core.DatasetBuilder | None]:
    """Returns what `find_folder` does; that explains errors of buckets."""
    if not s3.is_s3(name) and (
        builder := tfds_private.builder_of_files(name, data_dir)
    ):
        return epath.Path(builder.data_path), builder
    folder = absolute(name)
    if name and _is_dir(folder):
        versions = [
            one.name
            for one in folder.iterdir()
            if tfds.core.Version.is_valid(one.name) and one.is_dir()
        ]
        if versions:
            folder = folder / max(versions, key=tfds.core.Version)
        return folder, tfds_private.builder_of_directory(folder)
    raise exceptions.SourceError(
        f"There is no prepared dataset {name} in {where}, and no such directory. Give"
        " the name as TFDS knows it, such as image_csv/pets, and data_dir if it isn't"
        " the default; or the directory of the dataset."
    )


def _is_dir(path: epath.Path) -> bool:
    """Returns whether there is a directory; the text may be no path at all."""
    try:
        return bool(path.is_dir())
    except (OSError, ValueError):
        if s3.is_s3(path):
            raise
        return False


def open_dataset(name: str, data_dir: epath.PathLike | None = None) -> PreparedDataset:
    """Opens a prepared dataset; its config and its sources aren't needed.

    Args:
      name: as for `find_folder`.
      data_dir: likewise.

    Raises:
      SourceError: if there is no such dataset, if it isn't one of this package, or if
        a version without split manifests built it.
    """
    folder, builder = find_folder(name, data_dir)
    if builder is None:
        raise exceptions.SourceError(
            f"{folder}: this isn't a prepared dataset: it has no dataset_info.json that"
            " TFDS can read."
        )
    dataset = PreparedDataset(builder)
    lacks = None
    if not (dataset.path / manifest.FILENAME).exists():
        lacks = manifest.FILENAME
    elif metadata.VERSION_KEY not in _metadata_of(builder):
        lacks = "what tfds_imagecsv writes into metadata.json"
    elif not {"image", "image/filename"} <= set(builder.info.features):
        lacks = "image or image/filename among its features"
    if lacks:
        raise exceptions.SourceError(
            f"{dataset.path} has no {lacks}: it isn't a dataset of tfds_imagecsv, or it"
            " was built by a version that didn't write that yet. Build it anew."
        )
    return dataset


def _metadata_of(builder: tfds.core.DatasetBuilder) -> Mapping[str, Any]:
    try:
        return dict(builder.info.metadata or {})
    except (OSError, json.JSONDecodeError):
        return {}
