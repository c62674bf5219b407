"""What is there: the rows of a CSV, their images, and what is wrong with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pandas as pd
from etils import epath

from tfds_imagecsv import (
    classes,
    exceptions,
    images,
    labels,
    manifest,
    sources,
    tfds_private,
)
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.engines import Engine
from tfds_imagecsv.problems import Kind, Problem

# Bytes of a CSV that names so many images that all workers will be needed: thousands.
_MANY = 1 << 17


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What a CSV and its images are, whether or not they make a dataset.

    Attributes:
      label_csv: the CSV.
      image_dir: the directory that the keys are relative to.
      archive: the file that it was extracted from; None if it wasn't.
      table: what the CSV says.
      total_rows: how many rows the CSV has, blank ones and the header apart.
      rows: a row for each image that can be used, sorted by key, with the columns
        of the label table and of `images.COLUMNS`, and `pinned` (str: the split in
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
    archive: images.File | None
    table: labels.LabelTable
    total_rows: int
    rows: pd.DataFrame
    class_names: tuple[str, ...]
    about_classes: Mapping[str, Mapping[str, str]]
    copies: pd.DataFrame
    problems: tuple[Problem, ...]
    unlisted: tuple[str, ...]
    earlier: Mapping[str, tuple[str, str]]
    unusable: Mapping[str, images.File]


def make_survey(
    config: ImageCsvConfig,
    *,
    label_csv: epath.Path,
    image_dir: epath.Path,
    class_csv: epath.Path | None = None,
    pinned_splits: epath.Path | None = None,
    archive: images.File | None = None,
    engine: Engine,
) -> Survey:
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
        engine.preload(images.__name__)
    table, class_list = read_table(config, label_csv, class_csv)
    named = frozenset([*table.rows["key"], *(one.key for one in table.problems)])
    if archive is not None:
        image_dir = sources.top_of_archive(image_dir, named)
    _check_header(table, label_csv, image_dir, config.filename_suffix)
    sources.check_repeated_folders(image_dir, named - {""}, label_csv=label_csv)
    earlier = manifest.read_manifest(pinned_splits) if pinned_splits else {}
    unlisted: tuple[str, ...] = ()

    def list_directory() -> None:
        nonlocal unlisted
        unlisted = images.unlisted_images(image_dir, named)

    with tfds_private.progress_bar(len(table.rows), "Inspecting images") as bar:
        inspected = images.inspect_images(
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
    copies = identical_images(rows)
    found = (*table.problems, *inspected.problems)
    return Survey(
        label_csv=label_csv,
        image_dir=image_dir,
        archive=archive,
        table=table,
        total_rows=len(table.rows) + len(table.problems),
        rows=rows,
        class_names=table.class_names,
        about_classes=class_list.about,
        copies=copies,
        problems=(*found, *_conflicting_labels(copies)),
        unlisted=unlisted,
        earlier=earlier,
        unusable=inspected.unusable,
    )


def read_table(
    config: ImageCsvConfig, label_csv: epath.Path, class_csv: epath.Path | None
) -> tuple[labels.LabelTable, classes.ClassList]:
    """Reads the CSV as a config says, and the classes that it gives.

    Args:
      config: what the user says about columns, file names and classes.
      label_csv: where the config's `label_csv` is.
      class_csv: where the config's `class_csv` is, if it has one.

    Raises:
      SourceError: if a CSV can't be used.
    """
    class_list = classes.ClassList(names=tuple(config.classes or ()), about={})
    if class_csv is not None:
        class_list = classes.read_classes(class_csv)
    table = labels.read_labels(
        label_csv,
        filename_column=config.filename_column,
        label_column=config.label_column,
        label_type=config.label_type,
        label_delimiter=config.label_delimiter,
        group_column=config.group_column,
        split_column=config.split_column,
        extra=config.extra_columns,
        filename_suffix=config.filename_suffix,
        filename_template=config.filename_template,
        classes=class_list.names or None,
    )
    return table, class_list


def _check_header(
    table: labels.LabelTable, label_csv: epath.Path, image_dir: epath.Path, suffix: str
) -> None:
    """Raises a `SourceError` if the header is the row of an image."""
    name = table.filename_header + suffix
    if table.filename_header and (image_dir / name).is_file():
        raise exceptions.SourceError(
            f"label_csv {label_csv}: its first row must be a header, such as"
            f" 'filename,label', but it is the row of the image {name!r}. Add a header."
        )


def identical_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of images that have copies, one set of copies after another.

    In each set, the row that stays if copies are dropped comes first: one that is
    pinned rather than one that isn't, then one that has a label, then one whose
    split is given, then the first by key.
    """
    copies = rows[rows.duplicated("digest", keep=False)]
    lacks = {
        f"lacks_{column}": copies[column] == ""
        for column in ("pinned", "label", "given")
    }
    order = ["digest", *lacks, "key"]
    return copies.assign(**lacks).sort_values(order, ignore_index=True)


def with_first(copies: pd.DataFrame) -> Iterator[tuple[tuple[int, str, str], ...]]:
    """Yields each copy but the first of its set, and the first.

    Both are given as number of the row, key and label.
    """
    first_of: dict[str, tuple[int, str, str]] = {}
    columns = ("digest", "row", "key", "label")
    for digest, *copy in zip(*(copies[name] for name in columns), strict=True):
        row, key, label = copy
        first = first_of.setdefault(digest, (row, key, label))
        if first[0] != row:
            yield (row, key, label), first


def _conflicting_labels(copies: pd.DataFrame) -> Iterator[Problem]:
    labeled = copies[copies["label"] != ""]
    for (row, key, label), (first_row, first_key, first_label) in with_first(labeled):
        if label != first_label:
            detail = (
                f"{key!r} is {label!r}, and the same as {first_key!r} in row"
                f" {first_row}, which is {first_label!r}"
            )
            yield Problem(Kind.CONFLICT, row, detail)
