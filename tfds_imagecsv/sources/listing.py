"""The files of a directory, listed once."""

from __future__ import annotations

import bisect
import dataclasses
import difflib
import functools
import os

from etils import epath

from tfds_imagecsv.storage import files

# The most names that are compared with one that isn't there.
_MOST_COMPARED = 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """The files and folders of a directory, in any order.

    Names that begin with `.` are hidden, and so is what is in such folders.

    Attributes:
      keys: the files, relative to the directory, with `/` between folders.
      folders: the folders, likewise.
      links: the links to folders, which aren't followed, likewise.
    """

    keys: list[str]
    folders: list[str] = dataclasses.field(default_factory=list)
    links: list[str] = dataclasses.field(default_factory=list)

    @functools.cached_property
    def as_set(self) -> frozenset[str]:
        """The files."""
        return frozenset(self.keys)

    @functools.cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.keys)

    def below(self, folder: str) -> Listing:
        """Returns what is below a folder, relative to it."""
        prefix = folder + "/"

        def of(names: list[str]) -> list[str]:
            return [one[len(prefix) :] for one in names if one.startswith(prefix)]

        return Listing(
            keys=of(self.keys), folders=of(self.folders), links=of(self.links)
        )

    def closest(self, key: str) -> str | None:
        """Returns the file whose name is closest to one that isn't there, or None.

        Files of its folder are compared, or if there is no such folder, all; of many,
        those next to it in the order of names.
        """
        folder, _, name = key.rpartition("/")
        prefix = folder + "/" if folder else ""
        start = bisect.bisect_left(self._sorted, prefix)
        end = bisect.bisect_left(self._sorted, folder + "0") if folder else None
        candidates = self._sorted[start:end] or self._sorted  # "0" comes after "/"
        at = bisect.bisect_left(candidates, key)
        near = candidates[max(0, at - _MOST_COMPARED // 2) :][:_MOST_COMPARED]
        # An extension that is the same makes no names alike.
        by_stem = {_stem(one.rpartition("/")[2]): one for one in reversed(near)}
        found = difflib.get_close_matches(_stem(name), by_stem, n=1, cutoff=0.7)
        return by_stem[found[0]] if found else None


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def list_files(directory: epath.Path) -> Listing:
    """Lists a directory with all folders in it.

    Args:
      directory: the directory, local or remote; if it is missing, it has no files.
    """
    found = Listing(keys=[])
    if files.is_remote(directory):
        _walk_remote(directory, found)
    else:
        _walk_local(os.fspath(directory), found)
    return found


def _walk_local(directory: str, found: Listing) -> None:
    """Adds what is in a local directory, without a path object for each file."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            entries = os.scandir(f"{directory}/{prefix}")
        except OSError:
            continue  # what can't be listed has no files; rows that name them say so
        with entries:
            there = list(entries)
        names = [one.name for one in there]
        if "/." in "/" + "/".join(names):
            there = [one for one in there if not one.name.startswith(".")]
            names = [one.name for one in there]
        # Most are files, and asked once.
        others = [one for one in there if not one.is_file(follow_symlinks=False)]
        if not others:
            found.keys.extend([prefix + name for name in names])
            continue
        for one in there:
            if one.is_dir(follow_symlinks=False):
                found.folders.append(prefix + one.name)
                waiting.append(f"{prefix}{one.name}/")
            elif one.is_symlink() and one.is_dir():
                found.links.append(prefix + one.name)
            else:
                found.keys.append(prefix + one.name)


def _walk_remote(directory: epath.Path, found: Listing) -> None:
    for folder, folders, names in directory.walk():
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.fspath(folder).removeprefix(os.fspath(directory))
        prefix = f"{inside}/".replace(os.sep, "/").lstrip("/")
        found.folders.extend(prefix + name for name in folders)
        found.keys.extend(prefix + name for name in names if not name.startswith("."))
