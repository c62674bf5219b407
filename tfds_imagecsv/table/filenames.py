"""Which image a row names: file names, as they are or made of columns, and keys."""

from __future__ import annotations

import posixpath
import string
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays
from tfds_imagecsv.options import FilenameTemplate

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
    paths = keys.take(arrays.as_column(at)).to_pylist()
    return arrays.replaced(keys, at, [posixpath.normpath(one) for one in paths if one])


def of_template(template: FilenameTemplate, columns: Sequence[pa.Array]) -> pa.Array:
    """Returns the file names that a template makes of columns, as its `fill` does.

    Args:
      template: the template.
      columns: the cells of its columns, `arrays.TEXT`.
    """
    parts: list[pa.Array | pa.Scalar] = []
    for literal, at, _, _ in string.Formatter().parse(template.pattern):
        parts.append(arrays.texts([literal])[0])
        if at is not None:
            parts.append(columns[int(at)])
    names = arrays.beside(parts, "")
    is_whole = np.logical_and.reduce([arrays.is_filled(one) for one in columns])
    return arrays.sliced(names, stops=np.where(is_whole, arrays.lengths_of(names), 0))


def odd_paths(paths: pa.Array) -> list[int]:
    """Returns the positions of keys that aren't within the directory.

    They are absolute, climb out of it, or are the directory itself. Most tables have
    none.
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
    matches = pc.match_substring_regex(paths.take(arrays.as_column(at)), pattern)
    found: arrays.Ints = at[arrays.as_numpy(matches)]
    return found
