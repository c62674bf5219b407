"""Unfinished builds: one runs at a time, and removes what stopped ones have left.

The lock is our own, since `filelock` leaves its file, and the directories that it made,
beside the dataset. Ours removes both. So after waiting, it checks that the file still
has its name: a file that another process has removed locks nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import uuid
from collections.abc import Iterator

from absl import logging
from etils import epath

from tfds_imagecsv.storage import files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# The errors of file systems without locks, such as Lustre without `flock`.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

# The most attempts to make a directory that other builds remove.
_TRIES = 1000


@contextlib.contextmanager
def only_build(data_path: epath.Path) -> Iterator[None]:
    """Lets one build of a dataset run at a time, and removes what stopped ones left.

    A build waits for another one of the same dataset. The system releases the lock of
    a process that dies. Whoever holds the lock may therefore delete what earlier
    builds left.

    File systems without locks (remote, some cluster ones, Windows): does nothing. TFDS
    still gives each build a directory of its own.

    Args:
      data_path: where the dataset will be, the directory of its version.
    """
    if not _can_be_locked(data_path):
        yield
        return
    made: list[epath.Path] = []
    try:
        with _locked(_lock_path(data_path), made=made) as is_locked:
            if is_locked:
                _remove_unfinished(data_path)
            yield
    finally:
        _remove_empty_folders(made)


def remove_if_unused(data_path: epath.Path) -> None:
    """Removes what stopped builds left beside a prepared dataset.

    Does nothing during a build, or if files can't be removed.

    Args:
      data_path: where the dataset is, the directory of its version.
    """
    if not unfinished(data_path) or not _can_be_locked(data_path):
        return
    with (
        contextlib.suppress(OSError),
        _locked(_lock_path(data_path), made=[], wait=False) as is_locked,
    ):
        if is_locked:
            _remove_unfinished(data_path)


@contextlib.contextmanager
def kept_unless_replaced(data_path: epath.Path) -> Iterator[None]:
    """Sets a dataset aside, and brings it back if no other replaces it.

    TFDS would delete it, file by file, before writing the new one.

    Args:
      data_path: where the dataset is, if it is there.
    """
    if files.is_remote(data_path) or not data_path.exists():
        yield
        return
    aside = new_unfinished(data_path)
    data_path.rename(aside)
    try:
        yield
    finally:
        if data_path.exists():
            aside.rmtree()
        else:
            aside.rename(data_path)


def new_unfinished(data_path: epath.Path) -> epath.Path:
    """Returns a path that the next build may remove.

    Args:
      data_path: where the dataset will be.
    """
    return data_path.parent / f"incomplete.{uuid.uuid4().hex[:6]}_{data_path.name}"


def local_path(data_path: epath.Path) -> epath.Path:
    """Returns the path for which a build keeps unfinished files on this machine.

    It is the dataset's own; for a remote dataset, one in the temporary directory.

    Args:
      data_path: where the dataset will be, as an absolute path.
    """
    if not files.is_remote(data_path):
        return data_path
    # Each user has a directory: others couldn't write to it.
    user = os.getuid() if hasattr(os, "getuid") else ""
    digest = files.digest_of(f"{user}{data_path}".encode()).hex()
    parent = epath.Path(tempfile.gettempdir()) / f"tfds_imagecsv.{digest}"
    return parent / data_path.name


@contextlib.contextmanager
def working_folder(data_path: epath.Path) -> Iterator[epath.Path]:
    """Yields a directory for what only the build needs, which is not made yet.

    Args:
      data_path: where the dataset will be, or what `local_path` returns.
    """
    folder = new_unfinished(data_path)
    try:
        yield folder
    finally:
        # A worker that Beam has given up on may still write here. That must not fail a
        # finished build; the next one removes what is left.
        with contextlib.suppress(OSError):
            folder.rmtree(missing_ok=True)


def unfinished(data_path: epath.Path) -> list[epath.Path]:
    """Returns the directories of unfinished builds of a dataset.

    TFDS names them `incomplete.XXXXXX_<version>`, and renames them at the end.

    Args:
      data_path: where the dataset will be.
    """
    parent = data_path.parent
    return (
        list(parent.glob(f"incomplete.*_{data_path.name}")) if parent.exists() else []
    )


def _remove_unfinished(data_path: epath.Path) -> None:
    for path in sorted(unfinished(data_path)):
        logging.info("Removing what a stopped build left: %s", path)
        path.rmtree(missing_ok=True)


def _can_be_locked(data_path: epath.Path) -> bool:
    return fcntl is not None and not files.is_remote(data_path)


def _lock_path(data_path: epath.Path) -> epath.Path:
    return data_path.parent / f".{data_path.name}.lock"


@contextlib.contextmanager
def _locked(
    path: epath.Path, *, made: list[epath.Path], wait: bool = True
) -> Iterator[bool]:
    """Locks a file that exists only for that, and removes it afterwards.

    Yields whether it is locked; see `_take_lock`.
    """
    file = _take_lock(path, made=made, wait=wait)
    try:
        yield file is not None
    finally:
        if file is not None:
            # Still locked: a process that waits for it will see that it is gone.
            path.unlink(missing_ok=True)
            os.close(file)


def _take_lock(path: epath.Path, *, made: list[epath.Path], wait: bool) -> int | None:
    """Locks a file.

    Args:
      path: the file.
      made: the list to which directories made for it are added.
      wait: whether to wait while another process holds the lock.

    Returns:
      Its descriptor; None if the file system has no locks, or another process holds
      the lock and `wait` is false.
    """
    tries = 0
    while True:
        try:
            made += _make_folders(path.parent)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except (FileExistsError, FileNotFoundError):
            tries += 1
            if tries == _TRIES:
                raise
            continue  # another build has removed a directory that it had made
        try:
            if not _lock(file, path, wait=wait):
                os.close(file)
                return None
            # Its last holder has removed it; another file may have its name now.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(path)):  # noqa: PTH116
                    return file
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, path: epath.Path, *, wait: bool) -> bool:
    """Locks an open file; returns whether it is locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait:
            logging.warning("Waiting for another build of %s", path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        return wait
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        path.unlink(missing_ok=True)
        return False
    return True


def _make_folders(path: epath.Path) -> list[epath.Path]:
    """Makes a directory and its parents; returns those that were missing."""
    made = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        made.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    return made


def _remove_empty_folders(folders: list[epath.Path]) -> None:
    for folder in folders:
        try:
            os.rmdir(folder)  # noqa: PTH106 - refuses if something is in it
        except OSError:
            return
