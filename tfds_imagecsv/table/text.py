"""The content of a table's file: decompressed, and decoded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pathlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from etils import epath

from tfds_imagecsv import exceptions

# The encodings by the byte-order mark that a text begins with. That of UTF-32 begins
# with that of UTF-16.
_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

#: The ends of the names of compressed files.
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar")

# A folder that macOS puts into archives.
_MACOS = "__MACOSX"


def read(path: epath.Path, place: str) -> bytes:
    """Returns the content of a file.

    Args:
      path: the file.
      place: what it is, for messages.

    Raises:
      SourceError: if it can't be read.
    """
    try:
        content: bytes = path.read_bytes()
    except FileNotFoundError:
        raise exceptions.SourceError(f"{place}: no such file.") from None
    except OSError as error:
        raise exceptions.SourceError(
            f"{place}: it can't be read: {error.strerror or error}"
        ) from error
    return content


def decompress(content: bytes, name: str, place: str) -> tuple[bytes, str]:
    """Returns a file's content, decompressed as its name says, and the inner name.

    The endings are those of pandas: `.gz`, `.bz2`, `.xz`, `.zst`, `.zip` and `.tar`.
    An archive must have one file.

    Args:
      content: the file's bytes.
      name: its name.
      place: what it is, for messages.

    Raises:
      SourceError: if it can't be decompressed, or an archive hasn't exactly one file.
    """
    try:
        while (suffix := pathlib.PurePosixPath(name.lower()).suffix) in _DECOMPRESS:
            content, inner = _DECOMPRESS[suffix](content, place)
            name = inner or name[: -len(suffix)]
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, exceptions.ImageCsvError):
            raise
        raise exceptions.SourceError(
            f"{place}: it can't be decompressed: {error}. Give the table as it was"
            " before it was compressed."
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, RuntimeError) as error:
        raise exceptions.SourceError(
            f"{place}: it can't be read as an archive: {error}. Give the table that is"
            " in it."
        ) from error
    return content, name


def _zstandard(content: bytes) -> bytes:
    import pyarrow as pa

    with pa.input_stream(io.BytesIO(content), compression="zstd") as stream:
        whole: bytes = stream.read()
    return whole


def _single(
    decompress: Callable[[bytes], bytes],
) -> Callable[[bytes, str], tuple[bytes, str]]:
    return lambda content, place: (decompress(content), "")


def _from_zip(content: bytes, place: str) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir()]
        name = _only(names, place)
        return archive.read(name), name


def _from_tar(content: bytes, place: str) -> tuple[bytes, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        found = {one.name: one for one in archive.getmembers() if one.isfile()}
        name = _only(list(found), place)
        file = archive.extractfile(found[name])
        assert file is not None
        return file.read(), name


def _only(names: list[str], place: str) -> str:
    """Returns the name of the one file of an archive."""
    names = [name for name in names if not name.startswith(_MACOS)]
    if len(names) != 1:
        shown = ", ".join(map(repr, sorted(names)[:10])) or "none"
        raise exceptions.SourceError(
            f"{place}: an archive of a table must have one file, and this has"
            f" {len(names):,}: {shown}. Give the table as a file of its own."
        )
    return names[0]


_DECOMPRESS = {
    ".gz": _single(gzip.decompress),
    ".bz2": _single(bz2.decompress),
    ".xz": _single(lzma.decompress),
    ".zst": _single(_zstandard),
    ".zip": _from_zip,
    ".tar": _from_tar,
}


def decode(content: bytes, place: str, *, encoding: str | None, remedy: str) -> str:
    """Returns the text of a file.

    Args:
      content: the file's bytes.
      place: what it is, for messages.
      encoding: a codec of Python's; default: UTF-8 with or without a byte-order mark,
        and UTF-16 with one.
      remedy: how to save the file, in words that fit after "Save the file ".

    Raises:
      SourceError: if it isn't such a text.
    """
    codec = encoding or next(_marked(content), "utf-8-sig")
    name = {"utf-8-sig": "UTF-8"}.get(codec, codec.upper().replace("_", "-"))
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        raise exceptions.SourceError(
            f"{place}: {_about_bad_byte(error, name, remedy, given=bool(encoding))}"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise exceptions.SourceError(
            f"{place}: line {line} has a zero byte, so it isn't {name} text."
            f" Save the file {remedy}."
        )
    return text


def _marked(content: bytes) -> Iterator[str]:
    """Yields the encodings of which the content has the byte-order mark."""
    for mark, codec in _MARKS.items():
        if content.startswith(mark):
            yield codec


def _about_bad_byte(
    error: UnicodeDecodeError, name: str, remedy: str, *, given: bool
) -> str:
    """Returns which line can't be decoded, and what to do."""
    content, at = error.object, error.start
    line = content.count(b"\n", 0, at) + 1
    found = f"line {line} isn't {name} (byte {content[at]:#04x})."
    if given:
        return f"{found} Give the text_encoding that the file has."
    if name != "UTF-8":
        return f"{found} Save the file {remedy}."
    begin = max(content.rfind(b"\n", 0, at) + 1, at - 60)
    end = content.find(b"\n", at)
    part = content[begin : min(at + 60, len(content) if end < 0 else end)]
    shown = part.decode("cp1252", errors="replace").strip()
    return (
        f"{found} As cp1252, which Windows writes in Western Europe, it is {shown!r}:"
        ' if that is right, add text_encoding="cp1252"; else give the encoding it has,'
        f" or save the file {remedy}."
    )
