"""The image files: which are there, and what they are."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import errno
import functools
import itertools
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

import xxhash
from PIL import Image

from tfds_imagecsv import conversions, pictures
from tfds_imagecsv.conversions import ImageOptions, Stored
from tfds_imagecsv.engines import Chunk, Engine
from tfds_imagecsv.pictures import Facts, UnusableImageError
from tfds_imagecsv.problems import Kind, Problem

if TYPE_CHECKING:
    import pandas as pd
    from etils import epath

# A worker gets the names of this many images at once, by how they are verified: enough
# that handing them over costs little, few enough that the last ones keep all workers
# busy.
_CHUNKS = {"decode": 128, "header": 1024}

# Bytes of a large file that are read at once.
_BLOCK = 1 << 20

# Remote images that are read at once.
_READ_AHEAD = 16

# The types of the columns that tell what images are; texts are objects, since most of
# what follows goes through them one by one.
_TYPES = {
    name: {int: "int64", bool: "bool", str: "object"}[kind]
    for described in (Facts, Stored)
    for name, kind in get_type_hints(described).items()
}

# The columns that an image's row gets.
COLUMNS = (*_TYPES, "size", "digest", "modified")

# A link is refused, so that it can be followed with care. Opening a pipe doesn't wait
# for a writer. Where there are no such flags, each path is looked at before.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", getattr(os, "O_BINARY", 0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What the images of a label table are.

    Attributes:
      rows: the rows of the label table whose images can be used, in the same order
        and with the same columns, and besides those of `pictures.Facts` and of
        `conversions.Stored`, and `size` (int64: bytes of the file), `digest` (str:
        see `digest_of`) and `modified` (int64: see `File`).
      problems: what is wrong with the images of the other rows.
      unusable: the files of the other rows that could be read, by key.
    """

    rows: pd.DataFrame
    problems: tuple[Problem, ...]
    unusable: Mapping[str, File]


def inspect_images(
    image_dir: epath.Path,
    rows: pd.DataFrame,
    options: ImageOptions | None = None,
    *,
    engine: Engine,
    progress: Callable[[int], object] = lambda _: None,
    meanwhile: Callable[[], object] = lambda: None,
) -> ImageTable:
    """Reads each image file once, and looks at what it is.

    Args:
      image_dir: the directory that the keys are relative to.
      rows: a table with the columns `row`, `key` and `label`, as in
        `labels.LabelTable`.
      options: what the images are to be; default: `ImageOptions()`.
      engine: where it is done.
      progress: is called with the number of images that were done since the last
        call.
      meanwhile: see `engines.Engine`.

    Returns:
      The table of the rows whose images can be used, and the problems of the
      others.
    """
    import numpy as np

    options = options or ImageOptions()
    about = os.fspath(image_dir), options
    keys = rows["key"].tolist()
    # Remote images are only read ahead within a chunk.
    least = 2 * _READ_AHEAD if is_remote(image_dir) else 1
    size = max(least, min(_CHUNKS[options.verify], len(keys) // 32))
    chunks = [
        Chunk(about, {"key": keys[at : at + size]}) for at in range(0, len(keys), size)
    ]
    good = _Found()
    refused: dict[int, _Refused] = {}
    done = 0
    for chunk, (found, of_chunk) in zip(
        chunks, engine.map(_inspect_chunk, chunks, meanwhile), strict=True
    ):
        good.extend(found)
        refused |= {done + at: one for at, one in of_chunk.items()}
        done += len(chunk.columns["key"])
        progress(len(chunk.columns["key"]))
    is_good = np.ones(len(keys), dtype=bool)
    is_good[list(refused)] = False
    usable = rows if not refused else rows[is_good].reset_index(drop=True)
    columns = ("row", "key", "label")
    of_refused = rows[~is_good]
    return ImageTable(
        rows=usable.assign(**_columns(good)),
        problems=tuple(
            Problem(one.kind, row, f"{key!r}{one.detail}", key=key, label=label)
            for one, row, key, label in zip(
                refused.values(), *(of_refused[name] for name in columns), strict=True
            )
        ),
        unusable={
            key: one.file
            for one, key in zip(refused.values(), of_refused["key"], strict=True)
            if one.file is not None
        },
    )


def _columns(found: _Found) -> dict[str, pd.Series[Any]]:
    """Returns the columns `COLUMNS` of some images."""
    import numpy as np
    import pandas as pd

    kind_of = np.array(found.kind_of, np.int64)
    columns = {}
    for at, (name, dtype) in enumerate(_TYPES.items()):
        of_kind = [[*facts, *stored][at] for facts, stored in found.kinds]
        columns[name] = pd.Series(np.array(of_kind, dtype)[kind_of], dtype=dtype)
    return {
        **columns,
        "size": pd.Series(found.sizes, dtype="int64"),
        "digest": pd.Series(found.digests, dtype=object),
        "modified": pd.Series(found.modified, dtype="int64"),
    }


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Returns whether a path isn't one of this machine's file systems."""
    return "://" in os.fspath(path)


def count_conversions(rows: pd.DataFrame) -> dict[str, int]:
    """Returns for how many images of a table each reason to convert them holds."""
    found: collections.Counter[str] = collections.Counter()
    for reasons, count in rows["conversion"].value_counts().items():
        for reason in str(reasons).split(", ") if reasons else ():
            found[reason] += count
    return dict(sorted(found.items()))


def count_other_extensions(rows: pd.DataFrame) -> int:
    """Returns how many images of a table are named as if they had another format."""
    formats = _formats_by_extension()
    usual = {
        image_format: tuple(name for name in formats if formats[name] == image_format)
        for image_format in set(formats.values())
    }
    # Most have an extension of their format, which is quickly seen.
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


def unlisted_images(image_dir: epath.Path, keys: Collection[str]) -> tuple[str, ...]:
    """Returns the images of a directory that aren't among the keys, sorted.

    Files whose name has the extension of an image count, those hidden by a `.` at
    the beginning of their or their folder's name don't.

    Args:
      image_dir: the directory.
      keys: relative to it, with `/` between folders.
    """
    known = frozenset(keys)
    extensions = _formats_by_extension()
    # The extensions of the few that aren't known are looked at, for speed.
    return tuple(
        sorted(
            key
            for key in _visible_keys(image_dir)
            if key not in known and _extension(key) in extensions
        )
    )


def _visible_keys(image_dir: epath.Path) -> Iterator[str]:
    # Local directories are listed faster without a path object for each file.
    walk = image_dir.walk() if is_remote(image_dir) else os.walk(image_dir)
    for folder, folders, names in walk:
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.fspath(folder).removeprefix(os.fspath(image_dir))
        prefix = f"{inside}/".replace(os.sep, "/").lstrip("/")
        for name in names:
            if not name.startswith("."):
                yield prefix + name


def _extension(key: str) -> str:
    """Returns what `os.path.splitext` does in lower case, in a third of its time."""
    start = key.rfind("/") + 1
    dot = key.rfind(".")
    # Dots at the beginning of a name don't count.
    return key[dot:].lower() if key[start:dot].strip(".") and dot > start else ""


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


class File(NamedTuple):
    """A file as it was read.

    Attributes:
      size: its bytes.
      digest: see `digest_of`.
      modified: when it was modified, in nanoseconds since 1970; -1 if nobody knows, as
        of remote ones.
    """

    size: int
    digest: str
    modified: int


@dataclasses.dataclass
class _Found:
    """What some images are, a list for each column, since they are pickled.

    Attributes:
      kinds: what there is among them, and the number of each. Most are alike.
      kind_of: the number of each image's.
      sizes: see `File`, likewise the other two.
    """

    kinds: dict[tuple[Facts, Stored], int] = dataclasses.field(default_factory=dict)
    kind_of: list[int] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    digests: list[str] = dataclasses.field(default_factory=list)
    modified: list[int] = dataclasses.field(default_factory=list)

    def extend(self, other: _Found) -> None:
        """Adds images behind those that are there."""
        numbers = [self.kinds.setdefault(kind, len(self.kinds)) for kind in other.kinds]
        self.kind_of += map(numbers.__getitem__, other.kind_of)
        self.sizes += other.sizes
        self.digests += other.digests
        self.modified += other.modified


class _Refused(NamedTuple):
    """Why an image can't be used, and its file, if that could be read."""

    kind: Kind
    detail: str
    file: File | None


def _inspect_chunk(chunk: Chunk) -> tuple[_Found, dict[int, _Refused]]:
    """Returns what images are, and what is wrong with others, by their position."""
    image_dir, options = chunk.about
    finder = Finder(image_dir)
    decode = options.verify == "decode"
    number_of: dict[Facts, int] = {}
    found = _Found()
    refused = {}
    for at, read in enumerate(finder.readers(chunk.columns["key"])):
        content = None
        try:
            content = read()
            facts = pictures.look_at(
                content, max_pixels=options.max_pixels, decode=decode
            )
            if facts not in number_of:
                conversions.check(facts, options)
                described = facts, conversions.stored_as(facts, options)
                found.kinds[described] = number_of[facts] = len(number_of)
        except UnusableImageError as error:
            file = None
            if content is not None:
                file = File(len(content), digest_of(content), finder.modified)
            refused[at] = _Refused(error.kind, error.detail, file)
        else:
            found.kind_of.append(number_of[facts])
            found.sizes.append(len(content))
            found.digests.append(digest_of(content))
            found.modified.append(finder.modified)
    return found, refused


def blocks_of(path: epath.Path) -> Iterator[bytes]:
    """Yields the content of a file that may be too large for the memory, in blocks."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def status_of(path: epath.Path) -> tuple[int, int]:
    """Returns size and time of a file, as `File` has them."""
    if is_remote(path):
        return path.stat().length, -1
    status = os.stat(path)  # noqa: PTH116 - epath has no nanoseconds
    return status.st_size, status.st_mtime_ns


def digest_of(content: bytes) -> str:
    """Returns the digest by which identical files are known, in 32 hexadecimal digits.

    It is XXH3 of 128 bits (`xxhsum -H128`), fifteen times as fast as SHA-256, which
    would take as long as reading. That two of a billion different files have the same
    one has a probability below 1e-20, unless somebody makes them so on purpose: they
    would then be in one split, and no worse.

    Args:
      content: the file's bytes.
    """
    return xxhash.xxh3_128_hexdigest(content)


class Finder:
    """Finds the images of a directory, and those links that lead out of it.

    Attributes:
      modified: when the last image that was read was modified; see `File`.
    """

    def __init__(self, image_dir: str | os.PathLike[str]) -> None:
        self.modified = -1
        self._image_dir = os.fspath(image_dir)
        # Only local file systems have links.
        self._is_local = not is_remote(image_dir)
        if not self._is_local:
            from tfds_imagecsv import s3

            s3.use_s3fs()  # in the workers too
        self._root = os.path.realpath(self._image_dir) if self._is_local else ""
        # Most images share few folders; each is resolved once.
        self._real_folder = functools.lru_cache(maxsize=4096)(self._resolved_folder)

    def read(
        self, key: str, digest: str | None = None, size: int | None = None
    ) -> bytes:
        """Returns the content of an image.

        Args:
          key: the image's.
          digest: its `digest_of`, if it was read before.
          size: its bytes, if they are known; `modified` then isn't.

        Raises:
          UnusableImageError: if it can't be read, or has changed.
        """
        try:
            content = self._read_local(key, size) if self._is_local else self._read(key)
        except UnusableImageError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise UnusableImageError(Kind.MISSING, "") from None
        except Exception as error:
            reason = getattr(error, "strerror", None) or error
            raise UnusableImageError(Kind.UNREADABLE, f": {reason}") from error
        if digest is not None and digest_of(content) != digest:
            raise UnusableImageError(Kind.UNREADABLE, " has changed during the build")
        return content

    def readers(
        self,
        keys: Sequence[str],
        digests: Iterable[str | None] = itertools.repeat(None),
        sizes: Iterable[int | None] = itertools.repeat(None),
    ) -> Iterator[Callable[[], bytes]]:
        """Yields what returns the contents of images, in order, as `read` does.

        Remote ones are read ahead, a few at once, since each takes its time to come.

        Args:
          keys: those of the images.
          digests: as for `read`.
          sizes: likewise.
        """
        read = itertools.repeat(self.read)
        reads = map(functools.partial, read, keys, digests, sizes)
        if self._is_local:
            yield from reads
            return
        waiting: collections.deque[concurrent.futures.Future[bytes]]
        waiting = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(_READ_AHEAD) as pool:
            for one in reads:
                waiting.append(pool.submit(one))
                if len(waiting) == _READ_AHEAD:
                    yield waiting.popleft().result
            while waiting:
                yield waiting.popleft().result

    def _read(self, key: str) -> bytes:
        from etils import epath

        from tfds_imagecsv import s3

        path = epath.Path(self._image_dir) / key
        content: bytes = s3.read(path) if s3.is_s3(path) else path.read_bytes()
        return content

    def _read_local(self, key: str, size: int | None) -> bytes:
        folder, _, name = key.rpartition("/")
        path = f"{self._real_folder(folder)}/{name}"
        if not _NO_LINK and os.path.islink(path):  # noqa: PTH114 - as below
            path = self._resolved(path)
        try:
            file = os.open(path, _FLAGS)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            file = os.open(self._resolved(path), _FLAGS)
        try:
            # To ask takes a fifth of the time. Where the size is known, whatever has
            # taken the place of the file since has another digest.
            if size is None:
                size = self._checked_size(file)
            content = os.read(file, size + 1)
            while len(content) < size and (more := os.read(file, 1 << 30)):
                content += more
        finally:
            os.close(file)
        return content

    def _checked_size(self, file: int) -> int:
        """Returns the size of an open file, and notes when it was modified.

        Raises:
          UnusableImageError: if it isn't a regular file.
        """
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise UnusableImageError(Kind.UNREADABLE, " is a device or a pipe")
        self.modified = status.st_mtime_ns
        return status.st_size

    def _resolved_folder(self, folder: str) -> str:
        return self._resolved(os.path.join(self._root, folder))  # noqa: PTH118 - as below

    def _resolved(self, path: str) -> str:
        """Returns a path without links.

        Raises:
          UnusableImageError: if one leads out of the directory.
        """
        # With `os.path`, which takes half of the time of `pathlib`.
        real = os.path.realpath(path)
        if os.path.commonpath([self._root, real]) != self._root:
            raise UnusableImageError(Kind.OUTSIDE, " is a link out of it")
        return real
