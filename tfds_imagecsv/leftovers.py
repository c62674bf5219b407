"""What stopped builds leave behind, and that no two build one dataset at once."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator

from absl import logging
from etils import epath

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def only_build(data_path: epath.Path) -> Iterator[None]:
    """Lets one build of a dataset go on at a time, and removes what others left.

    A build that finds another one of the same dataset at work waits for it. A process
    that dies loses its lock, however it dies; so what unfinished builds have left when
    the lock is had, nobody needs.

    Where there are no locks (remote file systems, Windows), nothing is done: TFDS still
    gives each build a directory of its own.

    Args:
      data_path: where the dataset will be, the directory of its version.
    """
    if fcntl is None or "://" in os.fspath(data_path):
        yield
        return
    made = _make_folders(data_path.parent)
    lock = data_path.parent / f".{data_path.name}.lock"
    file = _locked(lock)
    try:
        for path in sorted(unfinished(data_path)):
            logging.info("Removing what a stopped build left: %s", path)
            path.rmtree(missing_ok=True)
        yield
    finally:
        # While it is locked: who waits for it will see that it is gone.
        lock.unlink(missing_ok=True)
        os.close(file)
        _remove_empty_folders(made)


@contextlib.contextmanager
def kept_unless_replaced(data_path: epath.Path) -> Iterator[None]:
    """Sets a dataset aside, and brings it back if no other takes its place.

    TFDS would delete it file by file before the new one is written.

    Args:
      data_path: where the dataset is, if it is there.
    """
    if "://" in os.fspath(data_path) or not data_path.exists():
        yield
        return
    # A name that tells the next build that it may be removed, should this one die.
    aside = data_path.parent / f"incomplete.{uuid.uuid4().hex[:6]}_{data_path.name}"
    data_path.rename(aside)
    try:
        yield
    finally:
        if data_path.exists():
            aside.rmtree()
        else:
            aside.rename(data_path)


def unfinished(data_path: epath.Path) -> list[epath.Path]:
    """Returns the directories of builds of a dataset that haven't come to their end.

    TFDS names them `incomplete.XXXXXX_<version>`, and renames them at last.

    Args:
      data_path: where the dataset will be.
    """
    parent = data_path.parent
    return (
        list(parent.glob(f"incomplete.*_{data_path.name}")) if parent.exists() else []
    )


def _locked(path: epath.Path) -> int:
    """Returns the descriptor of a file that no other process has locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning("Waiting for another build of %s", path.parent)
                fcntl.flock(file, fcntl.LOCK_EX)
            # The one that had it has removed it: another file may have its name now.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(path)):  # noqa: PTH116
                    return file
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _make_folders(path: epath.Path) -> list[epath.Path]:
    """Makes a directory and those above it; returns those that weren't there."""
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
