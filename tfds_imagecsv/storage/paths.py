"""Paths that mean the same in every process."""

from __future__ import annotations

import pathlib

from etils import epath


def here() -> epath.Path:
    """Returns the current folder."""
    return epath.Path(pathlib.Path.cwd())


def absolute(path: epath.PathLike) -> epath.Path:
    """Returns a path that a process in another folder can use.

    Remote and absolute paths stay as they are; `~` is the user's home.
    """
    return here() / epath.Path(path).expanduser()
