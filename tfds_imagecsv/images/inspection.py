"""The rows of a table, their images, and what is wrong with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.engines.engine import Engine
from tfds_imagecsv.images import copies, image_table, listing
from tfds_imagecsv.problems import Problem
from tfds_imagecsv.sources import locate as locate_lib
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import label_table, manifest
from tfds_imagecsv.table.label_table import LabelTable

# Bytes of a CSV that names so many images that all workers will be needed: thousands.
_MANY = 1 << 17


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a CSV and its images are, whether or not they make a dataset.

    Attributes:
      label_csv: the CSV.
      image_dir: the directory that the keys are relative to.
      archive: the file that it was extracted from; None if it wasn't.
      table: what the CSV says.
      total_rows: how many rows the CSV has, blank ones and the header apart.
      rows: a row for each image that can be used, sorted by key, with the columns
        of the label table and of `image_table.COLUMNS`, and `pinned` (str: the split in
        an earlier manifest, or empty).
      class_names: the names of the classes in the order of their ids.
      about_classes: what a class CSV says besides, see `classes.ClassList`.
      copies: the rows of identical images, see `identical_images`.
      problems: what is wrong with rows and images, in any order.
      unlisted: the images of the directory that no row names, sorted.
      earlier: split and label of each image in an earlier manifest, by key.
      unusable: the files of images that can't be used, by key, if they can be read.
    """

    label_csv: epath.Path
    image_dir: epath.Path
    archive: files.File | None
    table: LabelTable
    total_rows: int
    rows: pd.DataFrame
    class_names: tuple[str, ...]
    about_classes: Mapping[str, Mapping[str, str]]
    copies: pd.DataFrame
    problems: tuple[Problem, ...]
    unlisted: tuple[str, ...]
    earlier: Mapping[str, tuple[str, str]]
    unusable: Mapping[str, files.File]


def inspect(
    config: ImageCsvConfig,
    *,
    label_csv: epath.Path,
    image_dir: epath.Path,
    class_csv: epath.Path | None = None,
    pinned_splits: epath.Path | None = None,
    archive: files.File | None = None,
    engine: Engine,
) -> Inspection:
    """Reads the CSV, and inspects the images.

    Args:
      config: what the user asks for.
      label_csv: where the config's `label_csv` is.
      image_dir: where the config's `image_dir` is.
      class_csv: where the config's `class_csv` is, if it has one.
      pinned_splits: where the config's `pinned_splits` is, if it has one.
      archive: what `image_dir` was extracted from, whose files may all be in one
        folder; None if it wasn't.
      engine: where images are inspected.

    Returns:
      What there is.

    Raises:
      SourceError: if the CSV, the directory or the manifest can't be used.
      WorkerError: if a process that inspected images died.
    """
    if label_csv.is_file() and label_csv.stat().length >= _MANY:
        engine.expect_work()
        engine.preload(image_table.__name__)
    table, class_list = label_table.read_label_table(config, label_csv, class_csv)
    named = frozenset([*table.rows["key"], *(one.key for one in table.problems)])
    if archive is not None:
        image_dir = locate_lib.top_of_archive(image_dir, named)
    _check_header(table, label_csv, image_dir, config.filename_suffix)
    locate_lib.check_repeated_folders(image_dir, named - {""}, label_csv=label_csv)
    earlier = manifest.read_manifest(pinned_splits) if pinned_splits else {}
    unlisted: tuple[str, ...] = ()

    def list_directory() -> None:
        nonlocal unlisted
        unlisted = listing.unlisted_images(image_dir, named)

    with tfds_private.progress_bar(len(table.rows), "Inspecting images") as bar:
        inspected = image_table.inspect_images(
            image_dir,
            table.rows,
            config.image_options,
            engine=engine,
            progress=bar.update,
            meanwhile=list_directory,
        )
    rows = inspected.rows
    pinned: str | list[str] = ""
    if earlier:
        pinned = [earlier.get(key, ("", ""))[0] for key in rows["key"]]
    rows["pinned"] = pd.Series(pinned, index=rows.index, dtype=object)
    identical = copies.identical_images(rows)
    found = (*table.problems, *inspected.problems)
    return Inspection(
        label_csv=label_csv,
        image_dir=image_dir,
        archive=archive,
        table=table,
        total_rows=len(table.rows) + len(table.problems),
        rows=rows,
        class_names=table.class_names,
        about_classes=class_list.about,
        copies=identical,
        problems=(*found, *copies.conflicting_labels(identical)),
        unlisted=unlisted,
        earlier=earlier,
        unusable=inspected.unusable,
    )


def _check_header(
    table: LabelTable, label_csv: epath.Path, image_dir: epath.Path, suffix: str
) -> None:
    """Raises a `SourceError` if the header is the row of an image."""
    name = table.filename_header + suffix
    if table.filename_header and (image_dir / name).is_file():
        raise exceptions.SourceError(
            f"label_csv {label_csv}: its first row must be a header, such as"
            f" 'filename,label', but it is the row of the image {name!r}. Add a header."
        )
