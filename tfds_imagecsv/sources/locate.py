"""What the paths, URLs and archives of a config stand for."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any

from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, is_url
from tfds_imagecsv.sources import archives, downloads
from tfds_imagecsv.storage import files, s3


def path_of(field: str, value: str) -> epath.Path:
    """Returns the path that a field of a config has.

    Args:
      field: the name of the field.
      value: its value, which isn't a URL that has to be downloaded.

    Raises:
      SourceError: if it begins like a URL that nobody can read.
    """
    try:
        return epath.Path(value).expanduser()
    except KeyError:
        scheme = value.partition("://")[0]
        raise exceptions.SourceError(
            f"{field} {value}: nothing is known that begins with '{scheme}://'. Give a"
            " local path, or one that begins with http://, https://, gs:// or s3://."
        ) from None


def locate(
    config: ImageCsvConfig,
    *,
    manual_dir: Callable[[], epath.Path],
    downloads: downloads.Downloads,
) -> dict[str, Any]:
    """Returns the paths that those fields of a config stand for that have one.

    URLs are downloaded, and an archive of images is extracted, once everything that is
    on a file system is known to be there.

    Args:
      config: what the user says.
      manual_dir: returns the directory that relative paths are looked up in; raises a
        `SourceError` if there is none.
      downloads: where downloads and extracted archives are kept.

    Returns:
      The path of each field, and `archive`: the `files.File` that the images were
      extracted from, or None.

    Raises:
      SourceError: if something isn't there; all that isn't is named.
      StorageError: if there is no room for what is in an archive.
    """
    found: dict[str, Any] = {}
    missing = []
    for field in PATH_FIELDS:
        value = getattr(config, field)
        if value is None or is_url(value):
            continue
        try:
            found[field] = _existing(field, value, manual_dir)
        except exceptions.SourceError as error:
            missing.append(str(error))
    if missing:
        raise exceptions.SourceError("\n".join(missing))
    for field in PATH_FIELDS:
        value = getattr(config, field)
        if value is not None and is_url(value):
            checksum = (config.checksums or {}).get(value)
            where = f"{field} {value}"
            found[field] = downloads.file_of(value, checksum, where=where)
    image_dir = found["image_dir"]
    archive = None
    if not image_dir.is_dir():
        value = config.image_dir if is_url(config.image_dir) else image_dir
        where = f"image_dir {value}"
        size, modified = files.status_of(image_dir)
        found["image_dir"], digest = downloads.directory_of(image_dir, where=where)
        archive = files.File(size, digest, modified)
    return {**found, "archive": archive}


def _existing(
    field: str, value: str, manual_dir: Callable[[], epath.Path]
) -> epath.Path:
    """Returns the path of a field, which is there.

    Raises:
      SourceError: if it isn't.
    """
    path = path_of(field, value)
    if not path.is_absolute():
        try:
            path = manual_dir() / path
        except exceptions.SourceError as error:
            raise exceptions.SourceError(f"{field} {path}: {error}") from error
    try:
        if path.exists():
            return path
        instead = archives_instead(path) if field == "image_dir" else []
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
    raise exceptions.SourceError(f"{field} {path}: no such file or directory.")


def archives_instead(path: epath.Path) -> list[epath.Path]:
    """Returns the archives beside which a directory is missing."""
    named = (path.parent / f"{path.name}{suffix}" for suffix in archives.SUFFIXES)
    return [archive for archive in named if path.name and archive.exists()]


def top_of_archive(extracted: epath.Path, keys: Collection[str]) -> epath.Path:
    """Returns the directory in an archive that the keys are relative to.

    That is its top, if an image or a folder that they name is there; else, if there is
    nothing but one folder at the top, as in many archives, it is looked for in that
    one, and so on.

    Args:
      extracted: the directory with the archive's files.
      keys: those of the images.
    """
    named = {key.partition("/")[0] for key in keys}
    folder = extracted
    while True:
        there = {path.name for path in folder.iterdir()}
        if not named.isdisjoint(there):
            return folder
        if len(there) != 1 or not (folder / min(there)).is_dir():
            return extracted
        folder /= min(there)


def check_repeated_folders(
    image_dir: epath.Path, keys: Collection[str], *, label_csv: epath.Path
) -> None:
    """Raises a `SourceError` if all keys begin with the name of their directory.

    It isn't guessed what was meant, since the right one is easily said.

    Args:
      image_dir: the directory.
      keys: those of the images, which are relative to it.
      label_csv: the CSV.
    """
    if not keys:
        return
    some = min(keys)
    for parent in image_dir.parents:
        prefix = os.fspath(image_dir).removeprefix(os.fspath(parent)).strip("/\\") + "/"
        prefix = prefix.replace(os.sep, "/")
        if not some.startswith(prefix):
            continue
        first = prefix.partition("/")[0]
        if (
            all(key.startswith(prefix) for key in keys)
            and not (image_dir / first).exists()
        ):
            raise exceptions.SourceError(
                f"label_csv {label_csv}: its file names begin with {prefix!r}, which is"
                f" where image_dir {image_dir} ends already, such as {some!r}. Give"
                f" {os.fspath(parent)!r} as image_dir."
            )
