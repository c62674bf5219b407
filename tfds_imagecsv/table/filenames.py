"""Which image a row names: file names, as they are or made of columns, and keys."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

# What a path between two slashes has if it isn't in its shortest form, or leaves the
# directory it is relative to.
_ODD = ("//", "/./", "/../")


def keys_of(names: Sequence[str], suffix: str) -> list[str]:
    """Returns the keys of file names, which are paths in their shortest form."""
    keys = [name + suffix for name in names] if suffix else list(names)
    for at in odd_paths(keys):
        keys[at] = posixpath.normpath(keys[at])
    return keys


def odd_paths(paths: Sequence[str]) -> list[int]:
    """Returns the positions of the paths that are odd; mostly there is none."""

    def is_any_odd(some: Sequence[str]) -> bool:
        text = "/{}/".format("/\n/".join(some))
        return any(part in text for part in _ODD)

    # One look at all takes a tenth of the time.
    if not is_any_odd(paths):
        return []
    return [at for at, path in enumerate(paths) if is_any_odd([path])]
