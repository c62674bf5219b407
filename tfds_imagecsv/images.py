"""The image files: which are there, and what they are."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
import stat
from typing import NamedTuple

import numpy as np
import pandas as pd
import PIL
from etils import epath
from PIL import Image

from tfds_imagecsv.problems import Kind, Problem

# The formats that `tf.image.decode_image` decodes to height x width x channels.
# It gives GIF a dimension for frames, and can't decode others.
_DECODABLE = frozenset({"BMP", "JPEG", "PNG"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What the images of a label table are.

    Attributes:
      rows: the rows of the label table whose images can be used, in the same order
        and with the same columns, and besides `format` (str: Pillow's name, such
        as `"PNG"`), `height` and `width` (int64: pixels) and `digest` (str: the
        SHA-256 of the file, in hexadecimal digits).
      problems: what is wrong with the images of the other rows.
    """

    rows: pd.DataFrame
    problems: tuple[Problem, ...]


def inspect_images(image_dir: epath.Path, rows: pd.DataFrame) -> ImageTable:
    """Reads each image file, and looks at its header.

    Args:
      image_dir: the directory that the keys are relative to.
      rows: a table with the columns `row` and `key`, as in `labels.LabelTable`.

    Returns:
      The table of the rows whose images can be used, and the problems of the
      others.
    """
    finder = _Finder(image_dir)
    facts: list[_Facts | None] = []
    problems: list[Problem] = []
    for row, key in zip(rows["row"], rows["key"], strict=True):
        found = _inspect(finder, row, key)
        facts.append(None if isinstance(found, Problem) else found)
        if isinstance(found, Problem):
            problems.append(found)
    good = [fact for fact in facts if fact is not None]
    is_good = np.array([fact is not None for fact in facts], dtype=bool)
    usable = rows[is_good].reset_index(drop=True)
    return ImageTable(
        rows=usable.join(pd.DataFrame(good, columns=list(_Facts._fields))),
        problems=tuple(problems),
    )


class _Facts(NamedTuple):
    """What an image is; the fields are columns of the image table."""

    format: str
    height: int
    width: int
    digest: str


def _inspect(finder: _Finder, row: int, key: str) -> _Facts | Problem:
    """Returns what an image is, or what is wrong with it."""
    try:
        path = finder.find(key)
        if path is None:
            return Problem(Kind.OUTSIDE, row, f"{key!r} is a link out of it")
        if finder.is_special(path):
            return Problem(Kind.UNREADABLE, row, f"{key!r} is a device or a pipe")
        with path.open("rb") as file:
            content = file.read()
        with Image.open(io.BytesIO(content)) as image:
            image_format, mode, (width, height) = image.format, image.mode, image.size
    except (FileNotFoundError, NotADirectoryError):
        return Problem(Kind.MISSING, row, repr(key))
    except PIL.UnidentifiedImageError:
        return Problem(Kind.UNREADABLE, row, f"{key!r} isn't an image")
    except Exception as error:
        reason = getattr(error, "strerror", None) or error
        return Problem(Kind.UNREADABLE, row, f"{key!r}: {reason}")
    if image_format == "MPO":
        # A JPEG with more images behind it, as phones make them.
        image_format = "JPEG"
    if image_format not in _DECODABLE:
        return Problem(Kind.FORMAT, row, f"{key!r} is {image_format}")
    if image_format == "BMP" and mode != "RGB":
        # TensorFlow has no palettes, and doesn't drop a channel.
        return Problem(Kind.FORMAT, row, f"{key!r} is BMP of mode {mode}")
    digest = hashlib.sha256(content).hexdigest()
    return _Facts(image_format, height, width, digest)


class _Finder:
    """Finds the images of a directory, and those links that lead out of it."""

    def __init__(self, image_dir: epath.Path) -> None:
        self._image_dir = image_dir
        # Only local file systems have links.
        self._is_local = "://" not in os.fspath(image_dir)
        self._root = os.path.realpath(image_dir) if self._is_local else ""
        # Most images share few folders; each is resolved once.
        self._real_folder = functools.lru_cache(maxsize=4096)(os.path.realpath)

    def find(self, key: str) -> epath.Path | None:
        """Returns the path of an image, or None if a link leads out with it."""
        path = self._image_dir / key
        if self._is_local:
            folder, name = os.path.split(path)
            real = os.path.join(self._real_folder(folder), name)  # noqa: PTH118
            if os.path.islink(real):  # noqa: PTH114 - half of pathlib's time
                real = os.path.realpath(real)
            if os.path.commonpath([self._root, real]) != self._root:
                return None
        return path

    def is_special(self, path: epath.Path) -> bool:
        """Returns whether reading a path may never end, as that of a pipe."""
        if not self._is_local:
            return False
        mode = os.stat(path).st_mode  # noqa: PTH116 - half of pathlib's time
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
