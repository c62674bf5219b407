"""Which file of the directory a name means.

It is the name itself; then looser and looser readings are tried, each only where those
before find nothing, and each is counted.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import arrays
from tfds_imagecsv.problems import Kind, shown
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.table import filenames
from tfds_imagecsv.table.names import NONE, Bits, Index, Names, Positions

_NOTHING = np.zeros(0, np.int64)

# Up to this share of the files, names are looked up one by one.
_FEW = 1 / 64

# A reading of names: columns of what they may mean, each with what finds it. A column
# is made only if those before haven't found all.
_Reading = Callable[[Names], Iterator[tuple[Names, Index]]]


class Way(NamedTuple):
    """How some names were read.

    Attributes:
      words: how they differ from their files, in words that fit after "3 file names ".
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
      keys: the file of each name, or what it would be if it were there, `arrays.TEXT`.
      problems: names that mean several files, by position.
      loose: the positions of names that another reading than the first finds.
      absent: the positions of names that no reading finds.
      ways: the readings that were used, except the first.
      order: the positions of the keys, sorted; None if they are.
    """

    keys: pa.Array
    problems: Mapping[int, tuple[Kind, str]]
    loose: Positions
    absent: Positions
    ways: Sequence[Way]
    order: Positions | None


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
        # Two readings, one after the other, ask for the same.
        self._last_forms: tuple[Names | None, list[Names]] = None, []

    def names_file(self, cell: str) -> bool:
        """Returns whether a cell is the name of a file as it stands."""
        return bool(cell) and self.listing.has(self.key_if_exact(cell))

    def key_if_exact(self, name: str) -> str:
        """Returns the key of a name as it stands."""
        return self.keys_if_exact([name])[0]

    def keys_if_exact(self, names: Sequence[str]) -> list[str]:
        """Returns the keys of names as they stand."""
        keys = filenames.keys_of(arrays.texts(names), self._suffix)
        found: list[str] = keys.to_pylist()
        return found

    def resolve(self, names: Sequence[str] | pa.Array) -> Resolved:
        """Returns the file of each name; of empty ones, nothing."""
        names = arrays.texts(names)
        found = filenames.keys_of(names, self._suffix)
        order = None
        is_there = np.zeros(len(found), bool)
        if arrays.may_share(found, self.listing.keys):
            order = arrays.order_of(found)
            is_there = self._are_listed(found, order)
            if is_there.all():
                return _as_they_stand(found, _NOTHING, order)
        is_sought = ~is_there & arrays.is_filled(names) & ~self._are_unlisted(found)
        if not len(self.listing.keys) or not self._is_loose:
            order = arrays.order_of(found)
            return _as_they_stand(found, np.flatnonzero(is_sought), order)
        return self._resolve_loosely(names, found, np.flatnonzero(is_sought))

    def _are_listed(self, keys: pa.Array, order: Positions | None) -> Bits:
        """Returns which keys are files."""
        files = self.listing.keys
        if len(keys) <= _FEW * len(files):
            return np.array([self.listing.has(key) for key in keys.to_pylist()], bool)
        if order is None:
            return arrays.is_in_sorted(keys, files)
        found = np.empty(len(keys), bool)
        found[order] = arrays.is_in_sorted(keys.take(arrays.as_column(order)), files)
        return found

    def _resolve_loosely(
        self, names: pa.Array, keys: pa.Array, left: Positions
    ) -> Resolved:
        """Returns what `resolve` does, of names that aren't all files as they stand.

        Args:
          names: the names.
          keys: the keys that they have as they stand.
          left: the positions of those that aren't files.
        """
        files = self.listing.keys
        # The file that each name means, if that isn't the one of its key.
        file_of, loose = np.full(len(names), NONE), [_NOTHING]
        problems: dict[int, tuple[Kind, str]] = {}
        ways: list[Way] = []
        for words, reading in self._readings():
            if not len(left):
                break
            if len(left) == len(names):
                some = Names(names)
                some.changes[self._suffix] = Names(keys)
            else:
                some = Names(names.take(arrays.as_column(left)))
            found = np.full(len(left), NONE)
            for column, index in reading(some):
                # Empty are names that a reading isn't for, and files without pixels.
                is_open = (found == NONE) & arrays.is_filled(column.column)
                fits = np.where(is_open, index.find(column), NONE)
                for at in np.flatnonzero(fits < NONE).tolist():
                    several = files.take(pa.array(index.all_of(fits[at]))).to_pylist()
                    detail = _about_several(some.column[at].as_py(), several)
                    problems[int(left[at])] = Kind.AMBIGUOUS, detail
                found = np.where(fits == NONE, found, fits)
                if NONE not in found:
                    break
            taken = found > NONE
            if taken.any():
                file_of[left[taken]] = found[taken]
                loose.append(left[taken])
                at = left[taken][0]
                name, key = names[at].as_py(), files[file_of[at]].as_py()
                ways.append(Way(words, int(taken.sum()), name, key))
            left = left[found == NONE]
        if NONE in file_of:
            at_of = np.where(
                file_of == NONE, len(files) + np.arange(len(names)), file_of
            )
            resolved = pa.concat_arrays([files, keys]).take(arrays.as_column(at_of))
            order = arrays.order_of(resolved)
        else:
            # The files are sorted: numbers tell the order, in less time.
            resolved = files.take(arrays.as_column(file_of))
            order = np.argsort(file_of, kind="stable")
        return Resolved(
            keys=resolved,
            problems=problems,
            loose=np.concatenate(loose),
            absent=left,
            ways=ways,
            order=order,
        )

    def _are_unlisted(self, keys: pa.Array) -> Bits:
        """Returns which keys are of files that are hidden, or behind links.

        They aren't listed, but a row may name them.
        """
        are = np.zeros(len(keys), bool)
        may_be = arrays.ends_of(keys)[0] == ord(".")
        may_be[arrays.having(keys, "/.")] = True
        for link in self.listing.links:
            starts = pc.starts_with(keys, f"{link}/")
            may_be |= arrays.as_numpy(starts)
        for at in np.flatnonzero(may_be).tolist():
            key = keys[at : at + 1]
            if not filenames.odd_paths(key):
                are[at] = (self.directory / key[0].as_py()).exists()
        return are

    def _readings(self) -> Iterator[tuple[str, _Reading]]:
        """Yields the loose readings in their order, and what they say of names."""
        if self._suffix:
            has = f"have the suffix {self._suffix!r} already"
            yield has, lambda names: iter([(names, self._exact)])
        yield "have '\\' between folders", self._with_slashes
        yield "are absolute paths", self._absolute
        yield "begin with the directory's own name", self._with_own_name
        case = "differ in letter case or Unicode form from their files"
        yield case, self._in_another_case
        extension = "have no extension, or another than their files"
        yield extension, self._with_another_extension
        yield "lack the folder of their files", self._without_folder
        yield "are paths of another place", self._of_another_place

    def _with_slashes(self, names: Names) -> Iterator[tuple[Names, Index]]:
        if names.slashed is not names:
            yield self._keys(names.slashed), self._exact

    def _absolute(self, names: Names) -> Iterator[tuple[Names, Index]]:
        inner = self._inner(names)
        if inner is not names.slashed:
            yield self._keys(inner), self._exact

    def _with_own_name(self, names: Names) -> Iterator[tuple[Names, Index]]:
        for form in self._unrepeated(names):
            yield self._keys(form), self._exact

    def _in_another_case(self, names: Names) -> Iterator[tuple[Names, Index]]:
        for form in self._forms(names):
            # The readings before have looked up names that are in lower case.
            is_other = form.folded is not form or self._folded is not self._exact
            if is_other and form.folded.may_have(self._files.folded):
                yield form.folded, self._folded

    def _with_another_extension(self, names: Names) -> Iterator[tuple[Names, Index]]:
        forms = [*self._forms(names)]
        if self._suffix and not names.depths.isdisjoint(self._files.depths):
            forms.append(names)
        for form in forms:
            yield form.folded, self._stems
            yield form.folded.without_extensions, self._stems

    def _without_folder(self, names: Names) -> Iterator[tuple[Names, Index]]:
        slashed = names.slashed
        bare = self._keys(slashed.only(arrays.last_of(slashed.column, "/") < 0))
        yield bare, self._bare
        yield bare.folded, self._folded_bare
        # In another folder and with another extension, it would be another image.
        yield bare.folded, self._stems_of_bare

    def _of_another_place(self, names: Names) -> Iterator[tuple[Names, Index]]:
        """Yields the ends of absolute paths, the longest first."""
        paths = names.slashed.absolute
        for folders in range(1, max(paths.depths) + 1):
            form = self._keys(paths.without_first(folders))
            if not form.depths.isdisjoint(self._files.depths):
                yield form, self._exact
                yield form.folded, self._folded
        if arrays.is_filled(paths.bare.column).any():
            yield from self._without_folder(paths.bare)
        # After the directory's own name, the path is known to be one in it.
        own = f"/{self._endings[0]}" if self._endings else "/"
        at = arrays.having(paths.column, own)
        ends = paths.column.take(arrays.as_column(at)).to_pylist()
        ends = [one.rpartition(own)[2] for one in ends]
        form = self._keys(Names(arrays.replaced(paths.column, at, ends)))
        if len(at) and not form.depths.isdisjoint(self._files.depths):
            yield form.folded, self._stems
            yield form.folded.without_extensions, self._stems

    def _keys(self, names: Names) -> Names:
        known = names.changes.get(self._suffix)
        if known is None:
            keys = filenames.keys_of(names.column, self._suffix)
            known = names if keys.equals(names.column) else Names(keys)
            names.changes[self._suffix] = known
        return known

    def _inner(self, names: Names) -> Names:
        """Returns paths relative to the directory, if they are below it."""
        paths = names.slashed
        for prefix in self._prefixes:
            do_begin = paths.begin_with(prefix)
            if do_begin.any():
                paths = paths.without_start(len(prefix.encode()) * do_begin)
        return paths

    def _unrepeated(self, names: Names) -> Iterator[Names]:
        """Yields names without the folders that the directory's path ends with.

        Names that don't begin with these are empty then.
        """
        paths = names.slashed
        for ending in self._endings:
            do_begin = paths.begin_with(ending)
            if do_begin.any():
                size = len(ending.encode())
                yield paths.only(do_begin).without_start(size * do_begin)

    def _forms(self, names: Names) -> Iterator[Names]:
        """Yields the keys of names with slashes, and as further readings take them."""
        if self._last_forms[0] is not names:
            self._last_forms = names, list(self._forms_of(names))
        yield from self._last_forms[1]

    def _forms_of(self, names: Names) -> Iterator[Names]:
        inner = self._inner(names)
        forms = [names.slashed, *([inner] if inner is not names.slashed else [])]
        for form in map(self._keys, (*forms, *self._unrepeated(names))):
            # No name is that of a file if no file is in as many folders.
            if not form.depths.isdisjoint(self._files.depths):
                yield form

    @functools.cached_property
    def _files(self) -> Names:
        return Names(self.listing.keys)

    @functools.cached_property
    def _images(self) -> Names:
        """The files that may be images, not texts beside them; others are empty."""
        return self._files.only(~self._files.folded.have_other_extensions)

    @functools.cached_property
    def _exact(self) -> Index:
        return Index(self._files, are_different=True)

    @functools.cached_property
    def _folded(self) -> Index:
        return (
            self._exact
            if self._files.folded is self._files
            else (Index(self._files.folded))
        )

    @functools.cached_property
    def _stems(self) -> Index:
        return Index(self._images.folded.without_extensions)

    @functools.cached_property
    def _bare(self) -> Index:
        return Index(self._files.bare)

    @functools.cached_property
    def _folded_bare(self) -> Index:
        bare = self._files.bare
        return self._bare if bare.folded is bare else Index(bare.folded)

    @functools.cached_property
    def _stems_of_bare(self) -> Index:
        return Index(self._images.bare.folded.without_extensions)


def _as_they_stand(
    keys: pa.Array, absent: Positions, order: Positions | None
) -> Resolved:
    return Resolved(
        keys=keys, problems={}, loose=_NOTHING, absent=absent, ways=(), order=order
    )


def _about_several(name: str, fits: Sequence[str]) -> str:
    several = " and ".join(map(shown, sorted(fits)[:3]))
    more = f" and {len(fits) - 3:,} more" if len(fits) > 3 else ""
    return f"{shown(name)} fits {several}{more}"


def _prefixes_of(directory: epath.Path) -> list[str]:
    """Returns what absolute paths within the directory begin with."""
    path = os.fspath(directory)
    paths = [path] if "://" in path else [path, os.path.realpath(path)]
    return list(
        dict.fromkeys(one.replace("\\", "/").rstrip("/") + "/" for one in paths)
    )


def _endings_of(prefixes: Sequence[str]) -> list[str]:
    """Returns the last folders of the paths, the fewest first."""
    found: dict[str, None] = {}
    for prefix in prefixes:
        parts = [part for part in prefix.split("/") if part]
        for at in range(len(parts) - 1, -1, -1):
            found["/".join(parts[at:]) + "/"] = None
    return sorted(found, key=len)
