"""The images of a directory without a row, and statistics of images."""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from PIL import Image

from tfds_imagecsv.images import formats, signatures
from tfds_imagecsv.storage import files

if TYPE_CHECKING:
    import pandas as pd
    from etils import epath


def unlisted_images(image_dir: epath.Path, keys: Collection[str]) -> tuple[str, ...]:
    """Returns the images of a directory that aren't among the keys, sorted.

    Images are known by their extension. Files and folders whose names begin with
    `.` are hidden and don't count.

    Args:
      image_dir: the directory.
      keys: relative to it, with `/` between folders.
    """
    known = frozenset(keys)
    extensions = _formats_by_extension()
    # Only unknown keys need a look at their extension.
    return tuple(
        sorted(
            key
            for key in _visible_keys(image_dir)
            if key not in known and _extension(key) in extensions
        )
    )


def _visible_keys(image_dir: epath.Path) -> Iterator[str]:
    # Without a path object for each file, local directories are listed faster.
    walk = image_dir.walk() if files.is_remote(image_dir) else os.walk(image_dir)
    for folder, folders, names in walk:
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.fspath(folder).removeprefix(os.fspath(image_dir))
        prefix = f"{inside}/".replace(os.sep, "/").lstrip("/")
        for name in names:
            if not name.startswith("."):
                yield prefix + name


def _extension(key: str) -> str:
    """Returns the extension in lower case, in a third of `os.path.splitext`'s time."""
    start = key.rfind("/") + 1
    dot = key.rfind(".")
    # Leading dots don't begin an extension.
    return key[dot:].lower() if key[start:dot].strip(".") and dot > start else ""


@functools.cache
def _formats_by_extension() -> dict[str, str]:
    """Returns Pillow's names of the formats that can be read, by extension."""
    Image.init()
    readable = frozenset(formats.FORMATS)
    found = {
        extension: formats.format_of(name)
        for extension, name in Image.registered_extensions().items()
        if formats.format_of(name) in readable
    }
    extras = signatures.EXTRA_EXTENSIONS.items()
    return found | {extension: extra.pillow_name for extension, extra in extras}


def count_conversions(rows: pd.DataFrame) -> dict[str, int]:
    """Returns the number of converted images of a table by reason."""
    found: collections.Counter[str] = collections.Counter()
    for reasons, count in rows["conversion"].value_counts().items():
        for reason in str(reasons).split(", ") if reasons else ():
            found[reason] += count
    return dict(sorted(found.items()))


def count_other_profiles(rows: pd.DataFrame) -> int:
    """Returns the number of images with a colour profile that isn't sRGB's."""
    return int(rows["has_other_profile"].sum())


def count_other_extensions(rows: pd.DataFrame) -> int:
    """Returns the number of images whose extension is that of another format."""
    formats = _formats_by_extension()
    usual = {
        image_format: tuple(name for name in formats if formats[name] == image_format)
        for image_format in set(formats.values())
    }
    # Most extensions fit, which is quickly seen.
    others = [
        (key, image_format)
        for key, image_format in zip(
            rows["key"].tolist(), rows["format"].tolist(), strict=True
        )
        if not key.endswith(usual.get(image_format, ()))
    ]
    return sum(
        formats.get(_extension(key), image_format) != image_format
        for key, image_format in others
    )
