"""The image files: which are there, and what they are."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from etils import epath
from PIL import Image

from tfds_imagecsv import conversions, engines, exceptions, pictures
from tfds_imagecsv.conversions import ImageOptions, Stored
from tfds_imagecsv.pictures import Facts, UnusableImageError
from tfds_imagecsv.problems import Kind, Problem

if TYPE_CHECKING:
    import pandas as pd

# A worker gets the names of this many images at once: enough that handing them over
# costs little, few enough that the last ones keep all workers busy.
_CHUNK = 128

# The columns that an image's row gets.
COLUMNS = (*Facts._fields, *Stored._fields, "digest")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What the images of a label table are.

    Attributes:
      rows: the rows of the label table whose images can be used, in the same order
        and with the same columns, and besides those of `pictures.Facts` and of
        `conversions.Stored`, and `digest` (str: the SHA-256 of the file, in
        hexadecimal digits).
      problems: what is wrong with the images of the other rows.
    """

    rows: pd.DataFrame
    problems: tuple[Problem, ...]


def inspect_images(
    image_dir: epath.Path,
    rows: pd.DataFrame,
    options: ImageOptions | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> ImageTable:
    """Reads each image file once, and looks at what it is.

    Args:
      image_dir: the directory that the keys are relative to.
      rows: a table with the columns `row`, `key` and `label`, as in
        `labels.LabelTable`.
      options: what the images are to be; default: `ImageOptions()`.
      workers: how many processes to use at the most; default: one for each core.
      progress: is called with the number of images that were done since the last
        call.

    Returns:
      The table of the rows whose images can be used, and the problems of the
      others.
    """
    import numpy as np
    import pandas as pd

    options = options or ImageOptions()
    keys = list(rows["key"])
    chunk = max(1, min(_CHUNK, len(keys) // 64))
    chunks = [
        _Chunk(image_dir, tuple(keys[at : at + chunk]), options)
        for at in range(0, len(keys), chunk)
    ]
    found: list[_Found | _Refused] = []
    for results in engines.run(_inspect_chunk, chunks, workers=workers):
        found += results
        progress(len(results))
    is_good = np.array([isinstance(one, _Found) for one in found], dtype=bool)
    good = [
        (*one.facts, *one.stored, one.digest)
        for one in found
        if isinstance(one, _Found)
    ]
    usable = rows[is_good].reset_index(drop=True)
    columns = ("row", "key", "label")
    return ImageTable(
        rows=usable.join(pd.DataFrame(good, columns=list(COLUMNS))),
        problems=tuple(
            Problem(one.kind, row, f"{key!r}{one.detail}", key=key, label=label)
            for one, row, key, label in zip(
                found, *(rows[name] for name in columns), strict=True
            )
            if isinstance(one, _Refused)
        ),
    )


def read_stored(finder: Finder, row: Any, options: ImageOptions) -> bytes:
    """Returns the bytes that are stored for an image: its file's, or converted ones.

    Args:
      finder: of the directory that the keys are relative to.
      row: the image's row in the image table, with the columns as attributes, as
        `DataFrame.itertuples` gives it.
      options: those that the image was inspected with.

    Raises:
      InvalidRowsError: if the file isn't any more what was inspected, or if only its
        header was and it is damaged.
    """
    try:
        content = finder.read(row.key, digest=row.digest)
        if not row.conversion:
            return content
        facts = Facts(*(getattr(row, name) for name in Facts._fields))
        return conversions.convert(content, facts, options)
    except UnusableImageError as error:
        raise exceptions.InvalidRowsError(
            f"{error.kind.heading}: row {row.row}: {row.key!r}{error.detail}."
            f" {error.kind.remedy}"
        ) from error


def count_conversions(rows: pd.DataFrame) -> dict[str, int]:
    """Returns for how many images of a table each reason to convert them holds."""
    found: collections.Counter[str] = collections.Counter()
    for reasons, count in rows["conversion"].value_counts().items():
        for reason in str(reasons).split(", ") if reasons else ():
            found[reason] += count
    return dict(sorted(found.items()))


def count_other_extensions(rows: pd.DataFrame) -> int:
    """Returns how many images of a table are named as if they had another format."""
    return sum(map(has_other_extension, rows[["key", "format"]].itertuples()))


def has_other_extension(row: Any) -> bool:
    """Returns whether an image's name ends as if it had another format.

    Args:
      row: a row with the columns `key` and `format` as attributes.
    """
    named = _formats_by_extension().get(_extension(row.key))
    return named not in (None, row.format)


def unlisted_images(image_dir: epath.Path, keys: Collection[str]) -> tuple[str, ...]:
    """Returns the images of a directory that aren't among the keys, sorted.

    Files whose name has the extension of an image count, those hidden by a `.` at
    the beginning of their or their folder's name don't.

    Args:
      image_dir: the directory.
      keys: relative to it, with `/` between folders.
    """
    known = frozenset(keys)
    return tuple(sorted(key for key in _image_keys(image_dir) if key not in known))


def _image_keys(image_dir: epath.Path) -> Iterator[str]:
    extensions = _formats_by_extension()
    # Local directories are listed faster without a path object for each file.
    is_local = "://" not in os.fspath(image_dir)
    walk = os.walk(image_dir) if is_local else image_dir.walk()
    for folder, folders, names in walk:
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.fspath(folder).removeprefix(os.fspath(image_dir))
        prefix = f"{inside}/".replace(os.sep, "/").lstrip("/")
        for name in names:
            if not name.startswith(".") and _extension(name) in extensions:
                yield prefix + name


def _extension(key: str) -> str:
    return os.path.splitext(key)[1].lower()  # noqa: PTH122 - it's no path


@functools.cache
def _formats_by_extension() -> dict[str, str]:
    """Returns Pillow's names of the formats that can be read, by extension."""
    Image.init()
    readable = frozenset(pictures.FORMATS)
    return {
        extension: pictures.format_of(name)
        for extension, name in Image.registered_extensions().items()
        if pictures.format_of(name) in readable
    }


class _Chunk(NamedTuple):
    """Images for a worker."""

    image_dir: epath.Path
    keys: tuple[str, ...]
    options: ImageOptions


class _Found(NamedTuple):
    """What an image is."""

    facts: Facts
    stored: Stored
    digest: str


class _Refused(NamedTuple):
    """Why an image can't be used."""

    kind: Kind
    detail: str


def _inspect_chunk(chunk: _Chunk) -> list[_Found | _Refused]:
    finder = Finder(chunk.image_dir)
    return [_inspect(finder, key, chunk.options) for key in chunk.keys]


def _inspect(finder: Finder, key: str, options: ImageOptions) -> _Found | _Refused:
    """Returns what an image is, or what is wrong with it."""
    try:
        content = finder.read(key)
        facts = pictures.look_at(
            content,
            max_pixels=options.max_pixels,
            decode=options.verify == "decode",
        )
        conversions.check(facts, options)
    except UnusableImageError as error:
        return _Refused(error.kind, error.detail)
    return _Found(facts, conversions.stored_as(facts, options), _digest(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Finder:
    """Finds the images of a directory, and those links that lead out of it."""

    def __init__(self, image_dir: epath.Path) -> None:
        self._image_dir = image_dir
        # Only local file systems have links.
        self._is_local = "://" not in os.fspath(image_dir)
        self._root = os.path.realpath(image_dir) if self._is_local else ""
        # Most images share few folders; each is resolved once.
        self._real_folder = functools.lru_cache(maxsize=4096)(os.path.realpath)

    def read(self, key: str, *, digest: str | None = None) -> bytes:
        """Returns the content of an image.

        Args:
          key: the image's.
          digest: its SHA-256, if it was read before.

        Raises:
          UnusableImageError: if it can't be read, or has changed.
        """
        try:
            path = self._find(key)
            content: bytes = path.read_bytes()
        except UnusableImageError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise UnusableImageError(Kind.MISSING, "") from None
        except Exception as error:
            reason = getattr(error, "strerror", None) or error
            raise UnusableImageError(Kind.UNREADABLE, f": {reason}") from error
        if digest is not None and _digest(content) != digest:
            raise UnusableImageError(Kind.UNREADABLE, " has changed during the build")
        return content

    def _find(self, key: str) -> epath.Path:
        """Returns the path of an image.

        Raises:
          UnusableImageError: if a link leads out of the directory with it, or if it
            is no file.
        """
        path = self._image_dir / key
        if self._is_local:
            folder, name = os.path.split(path)
            real = os.path.join(self._real_folder(folder), name)  # noqa: PTH118
            if os.path.islink(real):  # noqa: PTH114 - half of pathlib's time
                real = os.path.realpath(real)
            if os.path.commonpath([self._root, real]) != self._root:
                raise UnusableImageError(Kind.OUTSIDE, " is a link out of it")
        if self._is_special(path):
            raise UnusableImageError(Kind.UNREADABLE, " is a device or a pipe")
        return path

    def _is_special(self, path: epath.Path) -> bool:
        """Returns whether reading a path may never end, as that of a pipe."""
        if not self._is_local:
            return False
        mode = os.stat(path).st_mode  # noqa: PTH116 - half of pathlib's time
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
