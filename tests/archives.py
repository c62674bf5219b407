"""Archives for several tests."""

import contextlib
import io
import pathlib
import tarfile
import zipfile

import py7zr

# tarfile's name of the compression, by the archive's ending.
_COMPRESSIONS = {
    ".tar": "",
    ".tar.gz": "gz",
    ".tgz": "gz",
    ".tar.bz2": "bz2",
    ".tbz2": "bz2",
    ".tar.xz": "xz",
    ".txz": "xz",
}


def pack(path, files, **kwargs):
    """Makes an archive.

    Args:
      path: the archive; its ending tells its kind.
      files: the files' contents by their names.
      **kwargs: for `py7zr.SevenZipFile`.
    """
    with contextlib.ExitStack() as stack:
        if path.name.endswith(".zip"):
            archive = stack.enter_context(zipfile.ZipFile(path, "w"))
            for name, content in files.items():
                archive.writestr(name, content)
        elif path.name.endswith(".7z"):
            archive = stack.enter_context(py7zr.SevenZipFile(path, "w", **kwargs))
            for name, content in files.items():
                archive.writestr(content, name)
        else:
            suffix = max((s for s in _COMPRESSIONS if path.name.endswith(s)), key=len)
            mode = f"w:{_COMPRESSIONS[suffix]}"
            archive = stack.enter_context(tarfile.open(path, mode))
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def files_below(directory, *, inside=""):
    """Returns the contents of a directory's files, by their names in an archive."""
    directory = pathlib.Path(directory)
    return {
        inside + path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
