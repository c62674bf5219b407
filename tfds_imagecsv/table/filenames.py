"""Which image a row names: file names, as they are or made of columns, and keys."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

# What the lines of paths have if one isn't in its shortest form.
_LONG = ("//", "/./", "/../", "\n./", "\n../", "/.\n", "/..\n", "/\n", "\n\n")

# What those lines have as well, and few others: there are less of them to look for.
_MAYBE_LONG = ("/.", "./", "//", "/\n", "\n\n")

# What the lines of keys have if one isn't within the directory, or is it.
_OUTSIDE = ("\n/", "\n../", "\n..\n", "\n.\n", "/../")


def keys_of(names: Sequence[str], suffix: str) -> list[str]:
    """Returns the keys of file names: paths in their shortest form."""
    keys = [name + suffix for name in names] if suffix else list(names)
    # One look at all takes a tenth of the time.
    if _has(keys, _MAYBE_LONG) and _has(keys, _LONG):
        for at, key in enumerate(keys):
            keys[at] = posixpath.normpath(key)
    return keys


def odd_paths(paths: Sequence[str]) -> list[int]:
    """Returns the positions of keys that aren't within the directory.

    They are absolute, or climb out of it, or are it; mostly there is none.
    """
    if not _has(paths, _OUTSIDE):
        return []
    return [at for at, path in enumerate(paths) if _has([path], _OUTSIDE)]


def _has(paths: Sequence[str], parts: Sequence[str]) -> bool:
    """Returns whether the lines of paths have one of some parts."""
    lines = "\n{}\n".format("\n".join(paths))
    return any(part in lines for part in parts)
