"""The files of `tfds-imagecsv card`: the card, Croissant's description, the images."""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from etils import epath

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.prepared.prepared_dataset import PreparedDataset
from tfds_imagecsv.reports import card, croissant
from tfds_imagecsv.storage import files, s3, unfinished

#: The folder beside the records that gets the images.
IMAGE_FOLDER = "images"

# The names and labels of a split's images, where the Hub's viewer looks for them.
_METADATA_FILENAME = "metadata.jsonl"

_WITH_IMAGES = (
    f"`{IMAGE_FOLDER}` has the images as the records have them, and `croissant.json`"
    " describes them for [Croissant](https://docs.mlcommons.org/croissant/)."
)
_WITHOUT_IMAGES = (
    "`croissant.json` describes names, splits and labels for"
    " [Croissant](https://docs.mlcommons.org/croissant/), but not the images: {}."
)


def write_card(dataset: PreparedDataset, *, with_images: bool) -> list[epath.Path]:
    """Writes the files of the card beside the records, and replaces older ones.

    All are complete before the first gets its name.

    Args:
      dataset: the dataset.
      with_images: whether to write the images as files, too.

    Returns:
      The paths of the files, and of the folder of images.

    Raises:
      StorageError: if the directory of the dataset can't be written.
    """
    image_folder = IMAGE_FOLDER if with_images else None
    note = _WITH_IMAGES
    if not with_images:
        note = _WITHOUT_IMAGES.format("they are in the records only")
    elif not croissant.has_images(dataset):
        note = _WITHOUT_IMAGES.format("too many of their names have no extension")
    text = card.card_of(dataset, image_folder=image_folder, note=note)
    with (
        _can_be_written(dataset.path),
        unfinished.working_folder(dataset.path) as folder,
    ):
        folder.mkdir(parents=True)
        if image_folder:
            _write_images(folder / image_folder, dataset)
        (folder / card.FILENAME).write_text(text, encoding="utf-8")
        croissant.write_croissant(folder, dataset, image_folder=image_folder)
        written = []
        for path in sorted(folder.iterdir()):
            written.append(dataset.path / path.name)
            _replace(path, written[-1])
    return written


def _replace(path: epath.Path, old: epath.Path) -> None:
    """Replaces an old file, or the old folder of images, by renaming the new one."""
    if old.name == IMAGE_FOLDER and old.is_dir():
        old.rmtree()
    path.replace(old)


@contextlib.contextmanager
def _can_be_written(path: epath.Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and not (
            s3.is_s3(path) and s3.is_failure(error)
        ):
            raise
        words = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise exceptions.StorageError(
            f"{path}: the card can't be written there: {words}."
        ) from error


def _write_images(folder: epath.Path, dataset: PreparedDataset) -> None:
    """Writes the images of each split, with their names and labels."""
    total = sum(dataset.split_sizes.values())
    with (
        contextlib.ExitStack() as stack,
        tfds_private.progress_bar(total, "Writing images") as bar,
    ):
        writes = _writes(folder, dataset, stack)
        for write in files.called_ahead(writes) if files.is_remote(folder) else writes:
            write()
            bar.update(1)


def _writes(
    folder: epath.Path, dataset: PreparedDataset, stack: contextlib.ExitStack
) -> Iterator[Callable[[], int]]:
    """Yields functions that each write an image; itself writes names and labels.

    Args:
      folder: where the images go.
      dataset: the dataset.
      stack: closes the files of names and labels.
    """
    made: set[pathlib.PurePosixPath] = set()
    of_splits: dict[str, IO[str]] = {}
    for record in dataset.records():
        place = pathlib.PurePosixPath(record.split, _safe(record.key))
        path = folder / place
        if place.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        yield functools.partial(path.write_bytes, record.image)
        if record.split not in of_splits:
            file = (folder / record.split / _METADATA_FILENAME).open("w")
            of_splits[record.split] = stack.enter_context(file)
        of_splits[record.split].write(_line(dataset, record.key, record.label))


def _safe(key: str) -> pathlib.PurePosixPath:
    """Returns the path of a key; refuses one that leaves the folder."""
    path = pathlib.PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in key:
        raise exceptions.SourceError(
            f"The record of {key!r} has a file name that leaves its folder."
        )
    return path


def _line(dataset: PreparedDataset, key: str, label: Any) -> str:
    """Returns the name and the label of an image as JSON, with names of classes."""
    row: dict[str, Any] = {"file_name": key}
    names = dataset.class_names
    if isinstance(label, dict):
        of_boxes = [names[at] for at in label["label"]]
        row["objects"] = {"bbox": label["bbox"], "label": of_boxes}
        return json.dumps(row) + "\n"
    if label is not None:
        row["label"] = label
    if names and isinstance(label, list):
        row["label"] = [names[at] for at in label]
    elif names:
        row["label"] = None if label == -1 else names[label]
    return json.dumps(row) + "\n"
