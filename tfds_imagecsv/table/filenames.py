"""Which image a row names: file names, as they are or made of columns, and keys."""

from __future__ import annotations

import posixpath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays

_DOT, _SLASH = b"./"

# A path within a folder that isn't in its shortest form.
_LONG = r"//|(^|/)\.\.?(/|$)|/$"

# A key that isn't within the directory, or is it.
_OUTSIDE = r"^/|(^|/)\.\.(/|$)|^\.$"


def keys_of(names: pa.Array, suffix: str) -> pa.Array:
    """Returns the keys of file names: paths in their shortest form."""
    keys = names
    if suffix:
        keys = arrays.ended(names, suffix)
    at = _matching(keys, _LONG)
    paths = keys.take(pa.array(at)).to_pylist()
    return arrays.replaced(keys, at, [posixpath.normpath(one) for one in paths if one])


def odd_paths(paths: pa.Array) -> list[int]:
    """Returns the positions of keys that aren't within the directory.

    They are absolute, or climb out of it, or are it; mostly there is none.
    """
    found: list[int] = _matching(paths, _OUTSIDE).tolist()
    return found


def _matching(paths: pa.Array, pattern: str) -> arrays.Ints:
    """Returns the positions of paths that match; few need a closer look."""
    first, last = arrays.ends_of(paths)
    odd = (first == _DOT) | (first == _SLASH) | (last == _DOT) | (last == _SLASH)
    if arrays.may_have(paths, "//", "/./", "/../"):
        odd[arrays.having(paths, "//", "/./", "/../")] = True
    at = np.flatnonzero(odd)
    if not len(at):
        return at
    matches = pc.match_substring_regex(paths.take(pa.array(at)), pattern)
    found: arrays.Ints = at[matches.to_numpy(zero_copy_only=False)]
    return found
