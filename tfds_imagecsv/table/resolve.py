"""Which file of the directory a name means.

It is the name itself; then looser and looser readings are tried, each only where those
before find nothing, and each is counted.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from etils import epath

from tfds_imagecsv import image_formats
from tfds_imagecsv.problems import Kind, shown
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.table import filenames

# A path of Windows with its drive.
_DRIVE = re.compile(r"[A-Za-z]:/")

# What a reading finds: a file, several, or none.
_Fit = str | tuple[str, ...] | None


class Way(NamedTuple):
    """How some names were read.

    Attributes:
      words: what they are unlike, in words that fit behind "3 file names ".
      names: how many they are.
      name: one of them.
      key: its file.
    """

    words: str
    names: int
    name: str
    key: str

    def note(self, total: int) -> str:
        """Returns a sentence about them."""
        return (
            f"{self.names:,} of {total:,} file names {self.words}, such as"
            f" {shown(self.name)}, which is taken for {shown(self.key)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """The files of some names.

    Attributes:
      keys: the file of each name, or what it would be if it were there.
      problems: names that mean several files, by position.
      loose: the positions of names that another reading than the first finds.
      absent: the positions of names that no reading finds.
      ways: the readings that were used, but the first.
    """

    keys: list[str]
    problems: Mapping[int, tuple[Kind, str]]
    loose: Collection[int]
    absent: Sequence[int]
    ways: Sequence[Way]


class Finder:
    """Finds the files of a directory that names mean.

    Args:
      directory: the directory.
      listing: its files.
      inside: where it is in the image directory; empty if it is that.
      suffix: what is appended to each name.
      match: `"exact"` takes names as they are, `"loose"` as this module says.
    """

    def __init__(
        self,
        directory: epath.Path,
        listing: Listing,
        *,
        inside: str = "",
        suffix: str = "",
        match: str = "loose",
    ) -> None:
        self.directory = directory
        self.inside = inside
        self.listing = listing
        self._suffix = suffix
        self._is_loose = match == "loose"
        self._prefixes = _prefixes_of(directory)
        self._endings = _endings_of(self._prefixes)

    def names_file(self, cell: str) -> bool:
        """Returns whether a cell is the name of a file as it stands."""
        return bool(cell) and self._key(cell) in self.listing.as_set

    def key_if_exact(self, name: str) -> str:
        """Returns the key of a name as it stands."""
        return self._key(name)

    def resolve(self, names: Sequence[str]) -> Resolved:
        """Returns the file of each name; of empty ones, nothing."""
        keys = filenames.keys_of(names, self._suffix)
        there = self.listing.as_set
        if there.issuperset(keys):
            return Resolved(keys=keys, problems={}, loose=(), absent=(), ways=())
        left = [at for at, key in enumerate(keys) if key not in there and names[at]]
        left = [at for at in left if not self._is_there_unlisted(keys[at])]
        problems: dict[int, tuple[Kind, str]] = {}
        ways: list[Way] = []
        loose: set[int] = set()
        for words, read in self._readings() if self._is_loose else ():
            found = {at: read(names[at]) for at in left} if left else {}
            taken = [at for at in left if isinstance(found[at], str)]
            for at in left:
                fit = found[at]
                if isinstance(fit, str):
                    keys[at] = fit
                elif fit is not None:
                    several = " and ".join(map(shown, sorted(fit)[:3]))
                    detail = f"{shown(names[at])} fits {several}"
                    if len(fit) > 3:
                        detail += f" and {len(fit) - 3:,} more"
                    problems[at] = Kind.AMBIGUOUS, detail
            left = [at for at in left if found[at] is None]
            loose.update(taken)
            if taken:
                at = taken[0]
                ways.append(Way(words, len(taken), names[at], keys[at]))
        return Resolved(
            keys=keys, problems=problems, loose=loose, absent=left, ways=ways
        )

    def _is_there_unlisted(self, key: str) -> bool:
        """Returns whether a file is hidden, or behind a link, and so isn't listed."""
        links = self.listing.links
        if not (key.startswith(".") or "/." in key or links):
            return False
        if filenames.odd_paths([key]):
            return False
        is_near = "/." in f"/{key}" or any(key.startswith(f"{one}/") for one in links)
        return is_near and bool((self.directory / key).exists())

    def _key(self, name: str) -> str:
        return filenames.keys_of([name], self._suffix)[0]

    def _readings(self) -> Sequence[tuple[str, Callable[[str], _Fit]]]:
        """Returns the loose readings in their order, and what they say of names."""
        readings: list[tuple[str, Callable[[str], _Fit]]] = [
            ("have '\\' between folders", lambda name: self._exact(_slashed(name))),
            ("are absolute paths", lambda name: self._exact(self._inner(name))),
            (
                "begin with the directory's own name",
                lambda name: self._first(self._unrepeated(name), self._exact),
            ),
            (
                "differ in letter case or Unicode form from their files",
                lambda name: self._first(self._forms(name), self._folded),
            ),
            (
                "have no extension, or another than their files",
                lambda name: self._first(self._forms(name), self._stem),
            ),
            ("lack the folder of their files", self._without_folder),
            ("are paths of another place", self._elsewhere),
        ]
        if self._suffix:
            has = f"have the suffix {self._suffix!r} already"
            readings.insert(0, (has, lambda name: self._as_listed(name)))
        return readings

    def _as_listed(self, name: str) -> _Fit:
        return name if name in self.listing.as_set else None

    def _exact(self, name: str) -> _Fit:
        return self._as_listed(self._key(name))

    def _inner(self, name: str) -> str:
        """Returns a path relative to the directory, if it is below it."""
        path = _slashed(name)
        for prefix in self._prefixes:
            if path.startswith(prefix):
                return path[len(prefix) :]
        return path

    def _unrepeated(self, name: str) -> list[str]:
        """Returns a name without the folders that the directory's path ends with."""
        path = _slashed(name)
        return [path[len(one) :] for one in self._endings if path.startswith(one)]

    def _forms(self, name: str) -> list[str]:
        """Returns a name as it stands, and as the readings above take it."""
        return list(
            dict.fromkeys([_slashed(name), self._inner(name), *self._unrepeated(name)])
        )

    def _first(self, forms: Sequence[str], find: Callable[[str], _Fit]) -> _Fit:
        for form in forms:
            fit = find(form)
            if fit is not None:
                return fit
        return None

    def _folded(self, name: str) -> _Fit:
        return self._by_folded.get(_fold(self._key(name)))

    def _stem(self, name: str) -> _Fit:
        return _of_stem(self._by_stem, self._key(name)) or (
            _of_stem(self._by_stem, name) if self._suffix else None
        )

    def _without_folder(self, name: str) -> _Fit:
        form = _slashed(name)
        if "/" in form:
            return None
        key = self._key(form)
        fits = (self._by_name.get(key), self._by_folded_name.get(_fold(key)))
        # In another folder and with another extension, it would be another image.
        return fits[0] or fits[1] or self._by_stem_of_name.get(_fold(key))

    def _elsewhere(self, name: str) -> _Fit:
        """Finds the file by which an absolute path ends, the longest end first."""
        path = _slashed(name)
        if not (path.startswith("/") or _DRIVE.match(path) or "://" in path):
            return None
        parts = path.split("/")
        for at in range(1, len(parts)):
            form = "/".join(parts[at:])
            fit = (self._exact(form) or self._folded(form)) if form else None
            if fit is not None:
                return fit
        return self._without_folder(parts[-1])

    @functools.cached_property
    def _by_folded(self) -> Mapping[str, _Fit]:
        return _by(self.listing.keys, _fold)

    @functools.cached_property
    def _by_stem(self) -> Mapping[str, _Fit]:
        return _by(self._images, lambda key: _fold(_without_extension(key)))

    @functools.cached_property
    def _by_name(self) -> Mapping[str, _Fit]:
        return _by(self.listing.keys, _name)

    @functools.cached_property
    def _by_folded_name(self) -> Mapping[str, _Fit]:
        return _by(self.listing.keys, lambda key: _fold(_name(key)))

    @functools.cached_property
    def _by_stem_of_name(self) -> Mapping[str, _Fit]:
        return _by(self._images, lambda key: _fold(_without_extension(_name(key))))

    @functools.cached_property
    def _images(self) -> list[str]:
        """The files that may be images: a text beside an image isn't meant."""
        known = image_formats.by_extension()
        return [
            key
            for key in self.listing.keys
            if not (extension := image_formats.extension_of(key)) or extension in known
        ]


def _by(keys: Sequence[str], of: Callable[[str], str]) -> dict[str, _Fit]:
    """Returns the file, or all files, of which a function returns the same."""
    found: dict[str, _Fit] = dict(zip(map(of, keys), keys, strict=True))
    if len(found) < len(keys):
        several: dict[str, list[str]] = {}
        for key in keys:
            several.setdefault(of(key), []).append(key)
        found |= {one: tuple(of) for one, of in several.items() if len(of) > 1}
    return found


def _of_stem(by_stem: Mapping[str, _Fit], name: str) -> _Fit:
    """Finds a file by its name without an extension, or with another image's."""
    found = by_stem.get(_fold(name))
    if found is None and image_formats.is_image(name):
        found = by_stem.get(_fold(_without_extension(name)))
    return found


def _slashed(name: str) -> str:
    return name.replace("\\", "/")


def _fold(name: str) -> str:
    """Returns what is equal for names that differ in letter case or Unicode form."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", name).casefold()


def _name(key: str) -> str:
    return key[key.rfind("/") + 1 :]


def _without_extension(key: str) -> str:
    extension = image_formats.extension_of(key)
    return key[: -len(extension)] if extension else key


def _prefixes_of(directory: epath.Path) -> list[str]:
    """Returns what absolute paths within the directory begin with."""
    path = os.fspath(directory)
    paths = [path] if "://" in path else [path, os.path.realpath(path)]
    return list(dict.fromkeys(f"{_slashed(one).rstrip('/')}/" for one in paths))


def _endings_of(prefixes: Sequence[str]) -> list[str]:
    """Returns the last folders of the paths, the fewest first."""
    found: dict[str, None] = {}
    for prefix in prefixes:
        parts = [part for part in prefix.split("/") if part]
        for at in range(len(parts) - 1, -1, -1):
            found["/".join(parts[at:]) + "/"] = None
    return sorted(found, key=len)
