"""The inspected input of a dataset: rows, images and problems."""

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
from tfds_imagecsv.sources import locate
from tfds_imagecsv.sources.locate import Sources
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import manifest
from tfds_imagecsv.table.label_table import LabelTable

# A table of this many bytes names thousands of images, which keep all workers busy.
_MANY = 1 << 17


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """The inspected input, whether or not it makes a dataset.

    Attributes:
      sources: its files; `image_dir` is the directory that keys are relative to.
      table: what the table says.
      rows: a row for each usable image, sorted by key, with the columns of the label
        table and of `image_table.COLUMNS`, and `pinned` (str: the split in an earlier
        manifest, or empty).
      copies: the rows of identical images, see `copies.identical_images`.
      problems: the problems of rows and images, in any order.
      unlisted: the images of the directory that no row names, sorted.
      earlier: the split and label of each image in an earlier manifest, by key.
      unusable: the files of unusable images that could be read, by key.
    """

    sources: Sources
    table: LabelTable
    rows: pd.DataFrame
    copies: pd.DataFrame
    problems: tuple[Problem, ...]
    unlisted: tuple[str, ...]
    earlier: Mapping[str, tuple[str, str]]
    unusable: Mapping[str, files.File]


def start_workers_early(sources: Sources, engine: Engine) -> None:
    """Starts workers before a large table is read."""
    label_csv = sources.label_csv
    if label_csv.is_file() and label_csv.stat().length >= _MANY:
        engine.expect_work()
        engine.preload(image_table.__name__)


def inspect(
    config: ImageCsvConfig,
    sources: Sources,
    table: LabelTable,
    *,
    engine: Engine,
    converted_dir: epath.Path | None = None,
) -> Inspection:
    """Inspects the images that a table names, and converts those that have to be.

    Args:
      config: what the user asks for.
      sources: the files of the input.
      table: the label table among them.
      engine: where images are inspected.
      converted_dir: as for `image_table.inspect_images`.

    Raises:
      SourceError: if the directory or the earlier manifest can't be used.
      WorkerError: if a process that inspected images died.
    """
    named = frozenset([*table.rows["key"], *(one.key for one in table.problems)])
    if sources.archive is not None:
        top = locate.top_of_archive(sources.image_dir, named)
        sources = dataclasses.replace(sources, image_dir=top)
    label_csv, image_dir = sources.label_csv, sources.image_dir
    _check_header(table, label_csv, image_dir, config.filename_suffix)
    locate.check_repeated_folders(image_dir, named - {""}, label_csv=label_csv)
    earlier: Mapping[str, tuple[str, str]] = {}
    if sources.pinned_splits is not None:
        earlier = manifest.read_manifest(sources.pinned_splits)
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
            converted_dir=converted_dir,
            progress=bar.update,
            meanwhile=list_directory,
        )
    rows = inspected.rows
    pinned: str | list[str] = ""
    if earlier:
        pinned = [earlier.get(key, ("", ""))[0] for key in rows["key"]]
    rows["pinned"] = pd.Series(pinned, index=rows.index, dtype=object)
    identical = copies.identical_images(rows)
    conflicts = copies.conflicting_labels(identical)
    return Inspection(
        sources=sources,
        table=table,
        rows=rows,
        copies=identical,
        problems=(*table.problems, *inspected.problems, *conflicts),
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
