"""Which files the paths, URLs and archives of a config stand for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection

from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, is_url
from tfds_imagecsv.sources import archives
from tfds_imagecsv.sources.downloads import Downloads
from tfds_imagecsv.storage import files, s3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """The files that a dataset is made of.

    Attributes:
      image_dir: the directory of the images.
      label_csv: the table.
      class_csv: the table of the classes, if the config has one.
      pinned_splits: the manifest of an earlier build, if the config has one.
      archive: the file that `image_dir` was extracted from; None if it wasn't.
    """

    image_dir: epath.Path
    label_csv: epath.Path
    class_csv: epath.Path | None = None
    pinned_splits: epath.Path | None = None
    archive: files.File | None = None

    @property
    def paths(self) -> dict[str, epath.Path]:
        """The paths by the field of the config that names them."""
        found = {field: getattr(self, field) for field in PATH_FIELDS}
        return {field: path for field, path in found.items() if path is not None}


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
            f"{field} {value}: nothing is known that begins with '{scheme}://'. Give a"
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
    values = {
        field: value
        for field in PATH_FIELDS
        if (value := getattr(config, field)) is not None
    }
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
    image_dir = found["image_dir"]
    archive = None
    if not image_dir.is_dir():
        value = config.image_dir if is_url(config.image_dir) else image_dir
        size, modified = files.status_of(image_dir)
        found["image_dir"], digest = downloads.directory_of(
            image_dir, where=f"image_dir {value}"
        )
        archive = files.File(size, digest, modified)
    return Sources(**found, archive=archive)


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
    """Returns the archives that bear the name of a missing directory."""
    named = (path.parent / f"{path.name}{suffix}" for suffix in archives.SUFFIXES)
    return [archive for archive in named if path.name and archive.exists()]


def top_of_archive(extracted: epath.Path, keys: Collection[str]) -> epath.Path:
    """Returns the directory of an archive that keys are relative to.

    That is the top, if a key's first folder or name is there. Many archives have a
    single folder at the top: it is then looked for in that folder, and so on.

    Args:
      extracted: the directory of the archive's files.
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
    """Raises a `SourceError` if all keys repeat the name of their directory.

    Args:
      image_dir: the directory.
      keys: those of the images.
      label_csv: the table that has them.
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
