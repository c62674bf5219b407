"""Paths that begin with `s3://`, which TensorFlow has no file system for.

`etils.epath`, through which TFDS and this package reach files, takes TensorFlow's file
systems for remote paths wherever TensorFlow is installed. TensorFlow has had none for
S3 since 2.6, and 2.18 or later can't load that of tensorflow-io. This module gives
etils that of `s3fs`, if it is installed; the rest stays as it is.

This is the only module that uses private names of etils. Its public way, a path class
registered for `s3://`, isn't enough: copying a local path makes the target a path of
the same class, which doesn't know S3.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

from etils import epath
from etils.epath import backend as etils_backend
from etils.epath import gpath

SCHEME = "s3://"

# TFDS doesn't take a directory without this file for a dataset.
_LAST = "dataset_info.json"


def is_s3(path: str | os.PathLike[str]) -> bool:
    """Returns whether a path is in a bucket of S3."""
    return os.fspath(path).startswith(SCHEME)


def use_s3fs() -> None:
    """Lets all paths of this process that begin with `s3://` go through `s3fs`.

    Does nothing if it isn't installed, or when called again.
    """
    if _BACKEND not in gpath._GCS_BACKENDS and is_installed():
        gpath._GPath._backend = property(_backend_of)
        # With these, files are copied to and from local paths.
        gpath._GCS_BACKENDS = gpath._GCS_BACKENDS | {_BACKEND}


def is_installed() -> bool:
    """Returns whether `s3fs` is installed."""
    return importlib.util.find_spec("s3fs") is not None


def bucket(path: epath.Path) -> epath.Path:
    """Returns the bucket that a path is in."""
    name = os.fspath(path).removeprefix(SCHEME).partition("/")[0]
    return epath.Path(f"{SCHEME}{name}")


def read(
    path: epath.PathLike, *, start: int | None = None, end: int | None = None
) -> bytes:
    """Returns the content of a file, with one request where `read_bytes` makes two.

    Args:
      path: the file.
      start: the first byte of a part.
      end: the byte after its last one.
    """
    fs = _file_system(os.getpid())
    content: bytes = fs.cat_file(os.fspath(path), start=start, end=end)
    return content


def is_failure(error: Exception) -> bool:
    """Returns whether an error comes from a file system, and not from a bug."""
    libraries = ("aiobotocore", "botocore", "tensorflow")
    of_library = type(error).__module__.partition(".")[0] in libraries
    return of_library or isinstance(error, ImportError | OSError)


def reason(error: Exception) -> str:
    """Returns why something remote can't be reached, and what helps.

    Args:
      error: what a file system, `s3fs` or TensorFlow has raised.
    """
    words = (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
    words = words.partition("\n")[0] or type(error).__name__
    if "scheme 's3' not implemented" in words:
        words = "the package s3fs is missing"
        hint = "Install it: pip install 'tfds-imagecsv[s3]'"
    else:
        hint = "Check the name, the credentials and the connection"
    return f"it can't be reached: {words}. {hint}."


_of_etils = gpath._GPath._backend


def _backend_of(path: Any) -> Any:
    return _BACKEND if path._uri_scheme == "s3" else _of_etils.fget(path)


class _Backend(etils_backend._FileSystemSpecBackend):
    """What etils needs of a file system, for S3 and for local files.

    S3 has no directories: there is one as long as a file is in it. Listings aren't
    cached, since other processes change them.
    """

    def fs(self, path: str | os.PathLike[str]) -> Any:
        return _file_system(os.getpid()) if is_s3(path) else super().fs(path)

    def walk(
        self,
        top: str | os.PathLike[str],
        *,
        top_down: bool = True,
        on_error: Any = None,
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        # etils 1.15 passes on an argument that fsspec doesn't know.
        for folder, folders, names in self.fs(top).walk(top, topdown=top_down):
            # Some tools mark a folder with an empty file of its name.
            # The caller may take folders away.
            yield f"{SCHEME}{folder}", folders, [one for one in names if one]

    def mkdir(self, path: Any, *, exist_ok: bool = False, mode: Any = None) -> None:
        # s3fs would create a missing bucket.
        if not self.exists(bucket(path)):
            raise FileNotFoundError(f"there is no bucket {bucket(path)}")
        if not exist_ok and self.exists(path):
            raise FileExistsError(f"{path} is there already")

    makedirs = mkdir

    def rename(self, path: Any, dst: Any) -> None:
        if self.exists(dst):
            raise FileExistsError(f"{path} can't be renamed: {dst} is there already")
        self.replace(path, dst)

    def replace(self, path: Any, dst: Any) -> None:
        """Copies files within S3, which can't rename, and deletes the originals.

        Other processes see the steps between. The file by which TFDS knows a complete
        dataset therefore comes last, if all others are there: another process may take
        the first copies for what a killed build left, and delete them.
        """
        source, target = os.fspath(path), os.fspath(dst)
        if not is_s3(source) or not is_s3(target):
            raise OSError(f"{source} can't be renamed to {target}: only one is in S3")
        fs = self.fs(source)
        files = [SCHEME + name for name in fs.find(source)]
        last = [name for name in files if name.endswith(f"/{_LAST}")]
        if not files:
            raise FileNotFoundError(source)
        copied: list[str] = []
        for names in ([name for name in files if name not in last], last):
            there = {SCHEME + name for name in fs.find(target)} if copied else set()
            if not there.issuperset(copied):
                raise FileNotFoundError(
                    f"another process has deleted files of {target}"
                )
            if names:
                copied = [target + name[len(source) :] for name in names]
                fs.copy(names, copied)
        fs.rm(files)


_BACKEND = _Backend()


@functools.cache
def _file_system(_process: int) -> Any:
    """Returns the file system of a process, for all of its threads."""
    import fsspec

    return fsspec.filesystem("s3", use_listings_cache=False)
