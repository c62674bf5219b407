"""Archives of images, and their files.

TFDS's `iter_archive` reads zip and tar files, `py7zr` reads 7z files. Our code writes
what they read, so that a full disk doesn't look like a damaged archive.
"""

from __future__ import annotations

import contextlib
import posixpath
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeAlias

import tensorflow_datasets as tfds
import xxhash
from etils import epath

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.storage import files
from tfds_imagecsv.storage import unfinished as unfinished_lib

#: The suffixes of archives, tried where a directory is missing.
SUFFIXES = (
    *(".zip", ".7z", ".tar", ".tar.gz", ".tgz"),
    *(".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
)

# The first bytes of files, by the kind of archive. A compressed file may be a tar.
_MAGIC = {
    "ZIP": (b"PK\x03\x04", b"PK\x05\x06"),
    "7Z": (b"7z\xbc\xaf\x27\x1c",),
    "TAR": (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"),
}
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257

# Bytes read at once.
_BLOCK = 1 << 20

# Characters of an archive's name in its directory's name; file systems allow 255.
_NAME = 120


def kind_of(path: epath.Path) -> str | None:
    """Returns what kind of archive a file is, "ZIP", "TAR" or "7Z"; None for none.

    The content decides. Only the name tells tar files older than the standard of 1988.

    Args:
      path: the file.
    """
    with path.open("rb") as file:
        head = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    for kind, beginnings in _MAGIC.items():
        if head.startswith(beginnings):
            return kind
    is_tar = head.endswith(_TAR_MAGIC) or path.name.lower().endswith(".tar")
    return "TAR" if is_tar and head else None


def extracted(
    archive: epath.Path, extract_dir: epath.Path, *, kind: str, where: str, anew: bool
) -> tuple[epath.Path, str]:
    """Returns the directory with the files of an archive, extracted if need be.

    Its name contains the archive's name and digest, so a changed archive gets a new
    directory. A directory gets its name when it is complete. As TFDS does, this leaves
    out links, and files whose names are hidden, end in `~` or leave the directory.

    Args:
      archive: the file.
      extract_dir: where the directory will be.
      kind: see `kind_of`.
      where: the field of the config and its value, for messages.
      anew: whether to extract it again.

    Returns:
      The directory, and the digest of the archive's content, see `files.digest_of`.

    Raises:
      SourceError: if the archive can't be read, or has no files.
      StorageError: if there is no room for the files.
    """
    with _as_local(archive, where, extract_dir) as (local, digest):
        final = extract_dir / f"{kind}.{archive.name[:_NAME]}.{digest}"
        if final.exists() and not anew:
            return final, digest
        with _room_explained(where, extract_dir), unfinished_lib.only_build(final):
            # Another process may have extracted it meanwhile.
            if not final.exists() or anew:
                _extract(local, final, kind=kind, where=where)
    return final, digest


def _extract(local: epath.Path, final: epath.Path, *, kind: str, where: str) -> None:
    unfinished = unfinished_lib.new_unfinished(final)
    unfinished.mkdir(parents=True)
    try:
        files = 0
        with tfds_private.progress_bar(None, "Extracting", unit=" files") as bar:

            def create(name: str) -> _Target:
                nonlocal files
                files += 1
                bar.update(1)
                return _create(unfinished, name)

            with _damage_explained(where), local.open("rb") as file:
                _READERS[kind](file, create)
        if not files:
            raise exceptions.SourceError(f"{where}: the archive has no files.")
        if final.exists():
            final.rmtree()
        unfinished.rename(final)
    finally:
        if unfinished.exists():
            unfinished.rmtree()


class _NotWrittenError(Exception):
    """A file couldn't be written; the archive isn't at fault."""


class _Target:
    """A file to write; a failure is a `_NotWrittenError`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, content: bytes) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            raise _NotWrittenError from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise _NotWrittenError from error

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _create(folder: epath.Path, name: str) -> _Target:
    path = folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _Target(open(path, "wb"))  # noqa: PTH123 - local, closed later
    except OSError as error:
        raise _NotWrittenError from error


# Opens a file for writing, given its name within the archive.
_Create: TypeAlias = Callable[[str], _Target]


def _read_with_tfds(
    method: tfds.download.ExtractMethod,
) -> Callable[[Any, _Create], None]:
    def read(file: Any, create: _Create) -> None:
        for name, member in tfds.download.iter_archive(file, method):
            with create(name) as target:
                shutil.copyfileobj(member, target, _BLOCK)

    return read


def _read_7z(file: Any, create: _Create) -> None:
    # Rarely needed, and slow to import.
    import py7zr
    from py7zr import io as py7zr_io

    class Target(py7zr_io.Py7zIO):
        """A file that py7zr writes, or discards."""

        def __init__(self, name: str) -> None:
            kept = _kept(name)
            self._file = create(kept) if kept else None
            self._size = 0

        def write(self, content: Any) -> int:
            self._size += len(content)
            if self._file is not None:
                self._file.write(content)
            return len(content)

        def close(self) -> None:
            if self._file is not None:
                self._file.close()

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            pass

        def size(self) -> int:
            return self._size

    class Targets(py7zr_io.WriterFactory):
        def create(self, filename: str) -> Target:
            return Target(filename)

    with py7zr.SevenZipFile(file) as archive:
        archive.extractall(factory=Targets())


_READERS: dict[str, Callable[[Any, _Create], None]] = {
    "ZIP": _read_with_tfds(tfds.download.ExtractMethod.ZIP),
    "TAR": _read_with_tfds(tfds.download.ExtractMethod.TAR),
    "7Z": _read_7z,
}


def _kept(name: str) -> str | None:
    """Returns the path of a file of an archive; None if TFDS wouldn't extract it."""
    path = posixpath.normpath(name)
    if path.startswith((".", "/")) or path.endswith("~"):
        return None
    return None if posixpath.basename(path).startswith(".") else path


@contextlib.contextmanager
def _as_local(
    archive: epath.Path, where: str, extract_dir: epath.Path
) -> Iterator[tuple[epath.Path, str]]:
    """Yields a local path of an archive, and the digest of its content."""
    digest = xxhash.xxh3_128()
    with contextlib.ExitStack() as stack:
        copy = None
        if files.is_remote(archive):
            with _room_explained(where, extract_dir):
                extract_dir.mkdir(parents=True, exist_ok=True)
                name = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="incomplete.", dir=extract_dir)
                )
            copy = stack.enter_context(
                contextlib.closing(_create(epath.Path(name), "a"))
            )
        with _room_explained(where, extract_dir), _damage_explained(where):
            for block in files.blocks_of(archive):
                digest.update(block)
                if copy is not None:
                    copy.write(block)
            if copy is not None:
                copy.close()
        yield epath.Path(name) / "a" if copy else archive, digest.hexdigest()


@contextlib.contextmanager
def _damage_explained(where: str) -> Iterator[None]:
    """Turns the libraries' errors for damaged archives into a `SourceError`."""
    try:
        yield
    except (_NotWrittenError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        if type(error).__name__ == "PasswordRequired" or "encrypted" in reason:
            reason = "it is encrypted"
        raise exceptions.SourceError(
            f"{where}: the archive can't be read: {reason}. Get it again, or extract it"
            " yourself and give the directory."
        ) from error


@contextlib.contextmanager
def _room_explained(where: str, extract_dir: epath.Path) -> Iterator[None]:
    """Turns errors of writing files into a `StorageError`."""
    try:
        yield
    except (OSError, _NotWrittenError) as error:
        cause = error.__cause__ if isinstance(error, _NotWrittenError) else error
        reason = getattr(cause, "strerror", None) or cause
        raise exceptions.StorageError(
            f"{where}: it can't be extracted to {extract_dir}: {reason}. Make room, or"
            " choose another download_dir."
        ) from error
