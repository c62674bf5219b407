"""Which files the paths, URLs and archives of a config stand for."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from tfds_imagecsv import exceptions, options
from tfds_imagecsv.config import ImageCsvConfig, is_url
from tfds_imagecsv.sources import archives
from tfds_imagecsv.sources.downloads import Downloads
from tfds_imagecsv.storage import files, s3

# Of a directory with more names, no more are compared with a missing one.
_MOST_NAMES = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSource:
    """Where a label table is.

    Attributes:
      field: the field of the config that names it; of several, with the split.
      table: the file; or a table in memory, see `options.is_frame`.
      split: the split that all its rows are given to; empty for none.
    """

    field: str
    table: Any
    split: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return name_of(self.table)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """The files that a dataset is made of.

    Attributes:
      image_dir: the directory of the images; of several, the one that has them all.
      tables: the label tables; none if folders are the labels.
      folders: the folder within the directory for each split, if there are several.
      class_csv: the table of the classes, if the config has one.
      mask_dir: the directory of the masks, if the config has one.
      mask_color_csv: the table of their colours, likewise.
      pinned_splits: the manifest of an earlier build, if the config has one.
      archive: the file that `image_dir` was extracted from; None if it wasn't.
    """

    image_dir: epath.Path
    tables: tuple[TableSource, ...] = ()
    folders: Mapping[str, str] = dataclasses.field(default_factory=dict)
    class_csv: epath.Path | None = None
    mask_dir: epath.Path | None = None
    mask_color_csv: epath.Path | None = None
    pinned_splits: epath.Path | None = None
    archive: files.File | None = None

    @property
    def table_name(self) -> str:
        """What messages call the tables; empty if there is none."""
        return " and ".join(one.name for one in self.tables)

    @property
    def without_images(self) -> dict[str, Any]:
        """The tables and other files, by the field of the config that names them."""
        found = {one.field: one.table for one in self.tables}
        for field in ("class_csv", "mask_color_csv", "pinned_splits"):
            found[field] = getattr(self, field)
        return {field: source for field, source in found.items() if source is not None}


def name_of(table: object) -> str:
    """Returns the path of a table's file, or what a table in memory is."""
    if isinstance(table, epath.Path):
        return str(table)
    return options.name_of_frame(table)


def sources_of(
    config: ImageCsvConfig,
    found: Mapping[str, epath.Path],
    archive: files.File | None = None,
) -> Sources:
    """Returns the sources of a config.

    Args:
      config: what the user says.
      found: its paths by field, as `ImageCsvConfig.paths` has them.
      archive: as `Sources` has it.

    Raises:
      SourceError: if directories have no parent in common.
    """
    there = {**found, **config.frames}
    splits = config.label_csv if isinstance(config.label_csv, Mapping) else {}
    of_tables = {f"label_csv[{split}]": split for split in splits} or {"label_csv": ""}
    tables = tuple(
        TableSource(field=field, table=there[field], split=split)
        for field, split in of_tables.items()
        if field in there
    )
    folders: dict[str, str] = {}
    if isinstance(config.image_dir, Mapping):
        dirs = {split: found[f"image_dir[{split}]"] for split in config.image_dir}
        image_dir, folders = _common(dirs)
    else:
        image_dir = found["image_dir"]
    return Sources(
        image_dir=image_dir,
        tables=tables,
        folders=folders,
        class_csv=found.get("class_csv"),
        mask_dir=found.get("mask_dir"),
        mask_color_csv=found.get("mask_color_csv"),
        pinned_splits=found.get("pinned_splits"),
        archive=archive,
    )


def _common(dirs: Mapping[str, epath.Path]) -> tuple[epath.Path, dict[str, str]]:
    """Returns the directory that all are in, and where in it each one is.

    Raises:
      SourceError: if they are on different disks or in different buckets.
    """
    parts = [os.fspath(path).replace(os.sep, "/").split("/") for path in dirs.values()]
    same = 0
    while all(len(one) > same for one in parts) and (
        len({one[same] for one in parts}) == 1
    ):
        same += 1
    root = "/".join(parts[0][:same])
    # Of `s3://bucket/...` the third part is the bucket.
    least = 3 if files.is_remote(min(dirs.values())) else 1
    if same < least:
        shown = " and ".join(repr(os.fspath(path)) for path in dirs.values())
        raise exceptions.SourceError(
            f"image_dir: {shown} are in no directory in common. Give directories of"
            " one disk or bucket."
        )
    inside = {
        split: "/".join(one[same:]) for split, one in zip(dirs, parts, strict=True)
    }
    return epath.Path(root or "/"), inside


def path_of(field: str, value: str) -> epath.Path:
    """Returns the path that a field of a config stands for.

    Args:
      field: the name of the field.
      value: its value; no URL of a download.

    Raises:
      SourceError: if its scheme is unknown.
    """
    try:
        return epath.Path(value).expanduser()
    except KeyError:
        scheme = value.partition("://")[0]
        raise exceptions.SourceError(
            f"{field} {value}: paths that begin with '{scheme}://' are unknown. Give a"
            " local path, or one that begins with http://, https://, gs:// or s3://."
        ) from None


def locate(
    config: ImageCsvConfig,
    *,
    manual_dir: Callable[[], epath.Path],
    downloads: Downloads,
) -> Sources:
    """Returns the files that a config names.

    It downloads URLs and extracts archives once all local files are known to exist.

    Args:
      config: what the user says.
      manual_dir: returns the directory of relative paths; raises a `SourceError` if
        there is none.
      downloads: where downloads and extracted archives are kept.

    Raises:
      SourceError: if files are missing; it names all of them.
      StorageError: if the files of an archive find no room.
    """
    values = config.paths
    found: dict[str, epath.Path] = {}
    missing = []
    for field, value in values.items():
        if not is_url(value):
            try:
                found[field] = _existing(field, value, manual_dir)
            except exceptions.SourceError as error:
                missing.append(str(error))
    if missing:
        raise exceptions.SourceError("\n".join(missing))
    for field, value in values.items():
        if is_url(value):
            checksum = (config.checksums or {}).get(value)
            where = f"{field} {value}"
            found[field] = downloads.file_of(value, checksum, where=where)
    if "mask_dir" in found and not found["mask_dir"].is_dir():
        raise exceptions.SourceError(
            f"mask_dir {found['mask_dir']}: it isn't a directory. Extract it; masks in"
            " the archive of the images need no mask_dir."
        )
    archive = None
    for field in [one for one in found if one.startswith("image_dir")]:
        path = found[field]
        if path.is_dir():
            continue
        if field != "image_dir":
            raise exceptions.SourceError(
                f"{field} {path}: it isn't a directory, and archives can't be among"
                " several. Extract it."
            )
        value = values[field] if is_url(values[field]) else path
        size, modified = files.status_of(path)
        found[field], digest = downloads.directory_of(path, where=f"{field} {value}")
        archive = files.File(size, bytes.fromhex(digest), modified)
    return sources_of(config, found, archive)


def _existing(
    field: str, value: str, manual_dir: Callable[[], epath.Path]
) -> epath.Path:
    """Returns the path of a field; raises a `SourceError` if nothing is there."""
    path = path_of(field, value)
    if not path.is_absolute():
        try:
            path = manual_dir() / path
        except exceptions.SourceError as error:
            raise exceptions.SourceError(f"{field} {path}: {error}") from error
    try:
        if path.exists():
            return path
        instead = archives_instead(path) if field.startswith("image_dir") else []
        if len(instead) == 1:
            return instead[0]
        has_bucket = not s3.is_s3(path) or s3.bucket(path).exists()
    except Exception as error:
        raise exceptions.SourceError(f"{field} {path}: {s3.reason(error)}") from error
    if instead:
        names = " and ".join(one.name for one in instead)
        raise exceptions.SourceError(
            f"{field} {path}: no such directory, and more than one archive of its name:"
            f" {names}. Give the name of one of them."
        )
    if not has_bucket:
        raise exceptions.SourceError(
            f"{field} {path}: there is no bucket {s3.bucket(path)}."
        )
    closest = _closest(field, path)
    hint = f" Did you mean {closest}?" if closest else ""
    raise exceptions.SourceError(f"{field} {path}: no such file or directory.{hint}")


def _closest(field: str, path: epath.Path) -> epath.Path | None:
    """Returns a path that differs from a missing one in one name; None if none does.

    It is what the field needs: a directory or an archive of images, or a file. Buckets
    aren't looked into.
    """
    if files.is_remote(path):
        return None
    wrong = path
    while wrong != wrong.parent and not wrong.parent.exists():
        wrong = wrong.parent
    try:
        with os.scandir(wrong.parent) as there:
            names = sorted(one.name for one in itertools.islice(there, _MOST_NAMES))
    except OSError:
        return None
    rest = path.relative_to(wrong)
    for name in difflib.get_close_matches(wrong.name, names, n=3):
        close = wrong.parent / name / rest
        is_archive = close.name.lower().endswith(archives.SUFFIXES)
        are_images = close.is_dir() or (is_archive and close.is_file())
        if are_images if field.startswith("image_dir") else close.is_file():
            return close
    return None


def archives_instead(path: epath.Path) -> list[epath.Path]:
    """Returns the archives that have the name of a missing directory."""
    named = (path.parent / f"{path.name}{suffix}" for suffix in archives.SUFFIXES)
    return [archive for archive in named if path.name and archive.exists()]
