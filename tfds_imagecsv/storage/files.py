"""Files, local and remote: how they are read and identified."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import errno
import functools
import itertools
import os
import pathlib
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

import xxhash

from tfds_imagecsv.problems import Kind, UnusableImageError

if TYPE_CHECKING:
    from etils import epath


# Bytes of a large file that are read at once.
_BLOCK = 1 << 20

# Remote images that are read or written at once.
READ_AHEAD = 16

_T = TypeVar("_T")

# Opening a link fails, so that it can be followed with care; opening a pipe doesn't
# wait for a writer. Systems without these flags need a look at each path.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_FLAGS = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", getattr(os, "O_BINARY", 0))


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Returns whether a path isn't on this machine's file systems."""
    return "://" in os.fspath(path)


class File(NamedTuple):
    """A file as it was read.

    Attributes:
      size: its bytes.
      digest: see `digest_of`.
      modified: when it was modified, in nanoseconds since 1970; -1 if unknown, as for
        remote files.
    """

    size: int
    digest: bytes
    modified: int


def blocks_of(path: epath.Path) -> Iterator[bytes]:
    """Yields the content of a large file in blocks."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def status_of(path: epath.Path) -> tuple[int, int]:
    """Returns size and time of a file, as `File` has them."""
    if is_remote(path):
        return path.stat().length, -1
    status = os.stat(path)  # noqa: PTH116 - epath has no nanoseconds
    return status.st_size, status.st_mtime_ns


def digest_of(content: bytes) -> bytes:
    """Returns the digest of a file, equal for identical files: 16 bytes.

    People see them as 32 hexadecimal digits. It is XXH3 of 128 bits (`xxhsum -H128`),
    fifteen times as fast as SHA-256, which takes as long as reading. Two of a billion
    different files have the same digest with a probability below 1e-20. Files made to
    collide end up in one split, no worse.

    Args:
      content: the file's bytes.
    """
    digest: bytes = xxhash.xxh3_128_digest(content)
    return digest


def digest_of_file(path: epath.Path) -> bytes:
    """Returns the digest of a file that needn't fit into memory."""
    digest = xxhash.xxh3_128()
    for block in blocks_of(path):
        digest.update(block)
    found: bytes = digest.digest()
    return found


def called_ahead(calls: Iterable[Callable[[], _T]]) -> Iterator[Callable[[], _T]]:
    """Calls several functions ahead of time; yields functions that return the results.

    For remote files, which are slow to answer, be they read or written.
    """
    waiting: collections.deque[concurrent.futures.Future[_T]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(READ_AHEAD) as pool:
        for one in calls:
            waiting.append(pool.submit(one))
            if len(waiting) == READ_AHEAD:
                yield waiting.popleft().result
        while waiting:
            yield waiting.popleft().result


def read_part(path: str, offset: int, size: int) -> bytes:
    """Returns a part of a file.

    Args:
      path: the file.
      offset: where the part begins, in bytes.
      size: its bytes.
    """
    if is_remote(path):
        from tfds_imagecsv.storage import s3

        if s3.is_s3(path):
            return s3.read(path, start=offset, end=offset + size)
    with _path(path).open("rb") as file:
        file.seek(offset)
        content: bytes = file.read(size)
    return content


@contextlib.contextmanager
def new_file(path: str) -> Iterator[IO[bytes]]:
    """Opens a file to write it, under a temporary name until it is complete."""
    with renamed_when_complete(path) as temporary, _path(temporary).open("wb") as file:
        yield file


@contextlib.contextmanager
def renamed_when_complete(path: str) -> Iterator[str]:
    """Yields a temporary name for a file, by which TFDS knows that it is unfinished."""
    folder, name = os.path.split(path)
    temporary = _path(folder) / f"incomplete.{uuid.uuid4().hex}.{name}"
    try:
        yield os.fspath(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _path(path: str) -> Any:
    """Returns a path; that of a local file needs no library."""
    if not is_remote(path):
        return pathlib.Path(path)
    from etils import epath

    from tfds_imagecsv.storage import s3

    s3.use_s3fs()  # in the workers too
    return epath.Path(path)


class FileReader:
    """Reads the images below a directory; refuses links that leave it.

    Attributes:
      modified: that of the last image read; see `File`.
    """

    def __init__(self, image_dir: str | os.PathLike[str]) -> None:
        self.modified = -1
        self._image_dir = os.fspath(image_dir)
        # Only local file systems have links.
        self._is_local = not is_remote(image_dir)
        self._root = os.path.realpath(self._image_dir) if self._is_local else ""
        # Most images share few folders; each is resolved once.
        self._real_folder = functools.lru_cache(maxsize=4096)(self._resolved_folder)

    def read(
        self, key: str, digest: bytes | None = None, size: int | None = None
    ) -> bytes:
        """Returns the content of an image.

        Args:
          key: the image's.
          digest: its digest, if it was read before.
          size: its bytes, if known; `modified` is then not set.

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
        digests: Iterable[bytes | None] = itertools.repeat(None),
        sizes: Iterable[int | None] = itertools.repeat(None),
    ) -> Iterator[Callable[[], bytes]]:
        """Yields functions that return the images' contents, in order, as `read` does.

        Remote images are read ahead.

        Args:
          keys: those of the images.
          digests: as for `read`.
          sizes: likewise.
        """
        read = itertools.repeat(self.read)
        reads = map(functools.partial, read, keys, digests, sizes)
        return reads if self._is_local else called_ahead(reads)

    def _read(self, key: str) -> bytes:
        from tfds_imagecsv.storage import s3

        path = _path(self._image_dir) / key
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
            # `fstat` takes a fifth of the time. If the size is known, the digest will
            # tell a replaced file.
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
        # `os.path` takes half of the time of `pathlib`.
        real = os.path.realpath(path)
        if os.path.commonpath([self._root, real]) != self._root:
            raise UnusableImageError(Kind.OUTSIDE, " is a link out of it")
        return real
