"""The files of a directory, listed once."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import os
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import arrays
from tfds_imagecsv.storage import files

# The most names that are compared with one that isn't there.
_MOST_COMPARED = 2000

# Entries of a folder that are Python objects at the same time.
_ENTRIES = 1 << 14

# Letters of names that are kept until Arrow has them.
_BATCH = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Listing:
    """The files and folders of a directory.

    Names that begin with `.` are hidden, and so is what is in such folders.

    Attributes:
      keys: the files, relative to the directory, with `/` between folders, sorted.
      odd: those whose names aren't Unicode, as on Linux; no row can name them.
      folders: the folders, in any order.
      links: the links to folders, which aren't followed.
    """

    keys: pa.Array
    odd: Sequence[str] = ()
    folders: Sequence[str] = ()
    links: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        keys: Iterable[str],
        folders: Sequence[str] = (),
        links: Sequence[str] = (),
    ) -> Listing:
        """Returns a listing of some files, in any order."""
        found = _Found()
        found.add(list(keys))
        return found.listing(folders, links)

    def has(self, key: str) -> bool:
        """Returns whether a file is there."""
        at = arrays.position_of(self.keys, key)
        return at < len(self.keys) and self.keys[at].as_py() == key

    def tops(self) -> set[str]:
        """Returns the first parts of the files' paths."""
        found = pc.replace_substring_regex(self.keys, "(?s)/.*", "").unique()
        return {*found.to_pylist(), *(one.partition("/")[0] for one in self.odd)}

    def _within(self, folder: str) -> pa.Array:
        """Returns the files in a folder, by their whole paths."""
        start = arrays.position_of(self.keys, folder + "/")
        end = arrays.position_of(self.keys, folder + "0")  # "0" comes after "/"
        return self.keys[start:end]

    def below(self, folder: str) -> Listing:
        """Returns what is below a folder, relative to it."""
        prefix = folder + "/"

        def of(names: Sequence[str]) -> list[str]:
            return [one[len(prefix) :] for one in names if one.startswith(prefix)]

        return Listing(
            keys=pc.utf8_slice_codeunits(self._within(folder), len(prefix)),
            odd=of(self.odd),
            folders=of(self.folders),
            links=of(self.links),
        )

    def closest(self, key: str) -> str | None:
        """Returns the file whose name is closest to one that isn't there, or None.

        Compares the files of its folder, or all if there is no such folder; of many,
        only those next to it in the order of names.
        """
        folder, _, name = key.rpartition("/")
        candidates = self._within(folder) if folder else self.keys
        if not len(candidates):
            candidates = self.keys
        at = arrays.position_of(candidates, key)
        first = max(0, at - _MOST_COMPARED // 2)
        near = candidates[first : first + _MOST_COMPARED].to_pylist()
        # A shared extension doesn't make names similar.
        by_stem = {_stem(one.rpartition("/")[2]): one for one in reversed(near)}
        found = difflib.get_close_matches(_stem(name), by_stem, n=1, cutoff=0.7)
        return by_stem[found[0]] if found else None


class _Found:
    """Files that are found one after another, collected in Arrow's form."""

    def __init__(self) -> None:
        self._parts: list[pa.Array] = []
        # Texts of names separated by NULs, and the number of their letters.
        self._waiting: list[str] = []
        self._letters = 0
        self._odd: list[str] = []

    def add(self, names: Sequence[str], prefix: str = "") -> None:
        """Adds some files.

        Args:
          names: their names.
          prefix: what comes before each.
        """
        if not names:
            return
        self._waiting.append(prefix + f"\0{prefix}".join(names))
        self._letters += len(self._waiting[-1])
        if self._letters >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        text = "\0".join(self._waiting)
        try:
            self._parts.append(arrays.split(text))
        except UnicodeEncodeError:
            keys = text.split("\0")
            self._odd += [one for one in keys if not _is_unicode(one)]
            self._parts.append(arrays.texts([one for one in keys if _is_unicode(one)]))
        self._waiting, self._letters = [], 0

    def listing(
        self, folders: Sequence[str] = (), links: Sequence[str] = ()
    ) -> Listing:
        """Returns all of them."""
        self._flush()
        keys = arrays.joined(self._parts or [arrays.texts([])])
        self._parts = []
        order = arrays.order_of(keys)
        return Listing(
            keys=keys if order is None else keys.take(arrays.as_column(order)),
            odd=tuple(self._odd),
            folders=folders,
            links=links,
        )


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def list_files(directory: epath.Path) -> Listing:
    """Lists a directory with all folders in it.

    Args:
      directory: the directory, local or remote; if it is missing, it has no files.
    """
    if files.is_remote(directory):
        return _walk_remote(directory)
    return _walk_local(os.fspath(directory))


def _walk_local(directory: str) -> Listing:
    """Lists a local directory, without a path object for each file."""
    found, folders, links = _Found(), [], []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            entries = os.scandir(f"{directory}/{prefix}")
        except OSError:
            continue  # what can't be listed has no files; rows that name them say so
        with entries:
            while there := list(itertools.islice(entries, _ENTRIES)):
                names = [one.name for one in there]
                if "/." in "/" + "/".join(names):
                    there = [one for one in there if not one.name.startswith(".")]
                    names = [one.name for one in there]
                # Most are files, and asked once.
                others = [
                    one for one in there if not one.is_file(follow_symlinks=False)
                ]
                if not others:
                    found.add(names, prefix)
                    continue
                for one in there:
                    if one.is_dir(follow_symlinks=False):
                        folders.append(prefix + one.name)
                        waiting.append(f"{prefix}{one.name}/")
                    elif one.is_symlink() and one.is_dir():
                        links.append(prefix + one.name)
                    else:
                        found.add([one.name], prefix)
    return found.listing(folders, links)


def _walk_remote(directory: epath.Path) -> Listing:
    found, inner = _Found(), []
    for folder, folders, names in directory.walk():
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.fspath(folder).removeprefix(os.fspath(directory))
        prefix = f"{inside}/".replace(os.sep, "/").lstrip("/")
        inner += [prefix + name for name in folders]
        found.add([name for name in names if not name.startswith(".")], prefix)
    return found.listing(inner)
