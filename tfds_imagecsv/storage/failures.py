"""A data directory that is full, closed or out of reach, as a `StorageError`."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.storage import s3

# What the system says when a file can't grow.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def reachable(data_dir: epath.PathLike) -> Iterator[None]:
    """Raises a `StorageError` if a bucket is out of reach."""
    try:
        yield
    except Exception as error:
        if not s3.is_s3(data_dir) or not s3.is_failure(error):
            raise
        raise exceptions.StorageError(
            f"data_dir {os.fspath(data_dir)}: {s3.reason(error)}"
        ) from error


@contextlib.contextmanager
def can_be_written(data_dir: epath.PathLike) -> Iterator[None]:
    """Raises a `StorageError` if the system doesn't let this user write there."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        words = error.strerror or error
        raise exceptions.StorageError(
            f"data_dir {os.fspath(data_dir)} can't be written: {words}. Choose another"
            " data_dir."
        ) from error


@contextlib.contextmanager
def enough_room(data_dir: epath.PathLike) -> Iterator[None]:
    """Raises a `StorageError` for what libraries raise when the disk is full."""
    with _as_storage_error(
        f"data_dir {os.fspath(data_dir)}: {{}} while the dataset was written. Nothing"
        " of it was kept. Make room, or choose another data_dir."
    ):
        yield


@contextlib.contextmanager
def enough_room_for_conversions(converted_dir: epath.PathLike) -> Iterator[None]:
    """Raises a `StorageError` if the disk gets full while images are converted."""
    with _as_storage_error(
        f"{os.fspath(converted_dir)}: {{}} while images were converted. They take up"
        " room twice during a build: here, and in the dataset. Make room, or choose"
        " another data_dir, or another TMPDIR if data_dir is remote."
    ):
        yield


@contextlib.contextmanager
def _as_storage_error(message: str) -> Iterator[None]:
    """Raises a `StorageError` with a message, in which `{}` is the reason."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # TFDS, ArrayRecord and Apache Beam give no error number.
        words = str(error)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            words = os.strerror(error.errno)
        known = ["Not enough disk space", *map(os.strerror, _NO_ROOM)]
        reason = next((one for one in known if one in words), None)
        if reason is None:
            raise
        raise exceptions.StorageError(message.format(reason)) from error


def check_bucket(data_dir: epath.Path) -> None:
    """Checks that the bucket of a data directory exists: nobody creates it."""
    if s3.is_s3(data_dir) and not s3.bucket(data_dir).exists():
        raise exceptions.StorageError(
            f"data_dir {data_dir}: there is no bucket {s3.bucket(data_dir)}. Make it"
            " first."
        )
