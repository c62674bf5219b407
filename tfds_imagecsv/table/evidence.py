"""What the cells of a table show: which column has the file names."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from tfds_imagecsv import exceptions
from tfds_imagecsv.problems import shown
from tfds_imagecsv.storage import files
from tfds_imagecsv.table.resolve import Finder

#: How many columns, from the first on, are looked at.
SAMPLE_COLUMNS = 100

# The share of the sampled rows whose cells must name files, each a different one.
_SHARE = 0.5

# Directories beside the image directory in which names are looked up.
_MOST_BESIDE = 100

# The columns that a message shows.
_MOST_SHOWN = 20


class Evidence:
    """How many cells of each column name files.

    Args:
      header: the names of the columns.
      sample: some rows.
      finder: finds files; None if there is none.
      are_repeated: whether a file may be named in many rows.
    """

    def __init__(
        self,
        header: Sequence[str],
        sample: Sequence[Sequence[str]],
        finder: Finder | None,
        *,
        are_repeated: bool = False,
    ) -> None:
        self._header = header
        self._finder = finder
        self._rows = len(sample)
        self._are_repeated = are_repeated
        self._cells = {
            at: [row[at] for row in sample if at < len(row) and row[at]]
            for at in range(min(len(header), SAMPLE_COLUMNS))
        }

    def filenames(
        self, taken: Collection[int], place: str, notes: list[str]
    ) -> tuple[int, str]:
        """Returns the position of the column with the file names.

        Args:
          taken: the positions of columns that are something else.
          place: the table, for messages.
          notes: where to say what was concluded.

        Returns:
          The position; and if no column names files, a text with what was looked for.

        Raises:
          SourceError: if two columns are equally good.
        """
        usual = next((at for at in self._cells if at not in taken), 0)
        if self._finder is None or not self._rows or not len(self._finder.listing.keys):
            return usual, ""
        columns = [at for at in self._cells if at not in taken]
        exact = {at: self._exact(at) for at in columns}
        good = [at for at in columns if self._is_enough(at, exact[at])]
        if good:
            others = [at for at in good[1:] if exact[at] != exact[good[0]]]
            if others:
                notes.append(
                    f"the column {self._header[good[0]]!r} has the file names;"
                    f" {self._named(others)} name{'s' * (len(others) == 1)} files, too"
                )
            elif good[0] != usual:
                notes.append(f"the column {self._header[good[0]]!r} has the file names")
            return good[0], ""
        # Classes and groups are the same in many rows; file names aren't.
        loose = {
            at: self._loose(at)
            for at in columns
            if not self._is_index(at) and self._is_enough(at, set(self._cells[at]))
        }
        good = [at for at in loose if self._is_enough(at, loose[at])]
        if self._are_repeated:
            # A column of 0 and 1 may name two of a thousand files.
            most_files = max((len(loose[at]) for at in good), default=0)
            good = [at for at in good if len(loose[at]) >= _SHARE * most_files]
        if len({frozenset(loose[at]) for at in good}) > 1:
            flags = " or ".join(f"filename_column={self._header[at]!r}" for at in good)
            raise exceptions.SourceError(
                f"{place}: {self._named(good)} may both name files, and not the same"
                f" ones. Add {flags}."
            )
        if not good:
            most = max(loose, key=lambda at: len(loose[at]), default=usual)
            good = [most] if loose.get(most) else []
        if not good:
            # The first column that could have names, whose files aren't there.
            likely = (at for at in columns if self._is_enough(at, set(self._cells[at])))
            return next(likely, usual), self._looked_for()
        if good[0] != usual:
            notes.append(f"the column {self._header[good[0]]!r} has the file names")
        return good[0], ""

    def against(self, at: int, place: str) -> str:
        """Checks that the cells of the column that the user gives name files.

        Returns:
          If they don't, a text with what was looked for; empty if they do.

        Raises:
          SourceError: if those of another column do.
        """
        if self._finder is None or not self._rows or not len(self._finder.listing.keys):
            return ""
        if at not in self._cells or self._exact(at) or self._loose(at):
            return ""
        for other in self._cells:
            if self._is_enough(other, self._exact(other)):
                raise exceptions.SourceError(
                    f"{place}: filename_column: no cell of {self._header[at]!r} names a"
                    f" file in {self._finder.directory}, and those of"
                    f" {self._header[other]!r} do. Set"
                    f" filename_column={self._header[other]!r}."
                )
        return self._looked_for(at)

    def have_same_files(self, at: int, other: int) -> bool:
        """Returns whether the cells of two columns name the same files."""
        if not {at, other} <= self._cells.keys() or self._finder is None:
            return False
        if not all(self._is_enough(one, set(self._cells[one])) for one in (at, other)):
            return False
        files_of, of_other = self._loose(at), self._loose(other)
        return self._is_enough(at, files_of) and files_of == of_other

    def _is_enough(self, at: int, named: Collection[str]) -> bool:
        """Returns whether a column names so many files that it must mean them."""
        cells = len(set(self._cells[at])) if self._are_repeated else self._rows
        return len(named) >= _SHARE * max(cells, 1)

    def _exact(self, at: int) -> set[str]:
        """Returns the files that a column's cells name as they stand."""
        finder = self._finder
        assert finder is not None
        keys = set(finder.keys_if_exact(self._cells[at]))
        return {key for key in keys if finder.listing.has(key)}

    def _loose(self, at: int) -> set[str]:
        """Returns the files that a column's cells name by any reading."""
        assert self._finder is not None
        found = self._finder.resolve(self._cells[at])
        without = {*found.absent.tolist(), *found.problems}
        keys = enumerate(found.keys.to_pylist())
        fits = {key for row, key in keys if row not in without}
        # A name that fits several files names one of them.
        return fits | {self._cells[at][row] for row in found.problems}

    def _is_index(self, at: int) -> bool:
        """Returns whether a column only numbers the rows, as pandas writes it."""
        return not self._header[at] and all(map(str.isdecimal, self._cells[at]))

    def _named(self, columns: Sequence[int]) -> str:
        return " and ".join(f"the column {self._header[at]!r}" for at in columns)

    def _looked_for(self, only: int | None = None) -> str:
        """Returns a text with the files that the first cells were looked for as."""
        finder = self._finder
        assert finder is not None
        columns = list(self._cells) if only is None else [only]
        lines = [
            f"\n     {self._header[at]!r}: {shown(cells[0])} as"
            f" {finder.directory}/{shown(finder.key_if_exact(cells[0]))[1:-1]}"
            for at in columns[:_MOST_SHOWN]
            if (cells := self._cells[at])
        ]
        what = "no column names" if only is None else "the column doesn't name"
        return (
            f"{what} files of image_dir. What was looked for:{''.join(lines)}"
            f"{self._other_directory(columns)}"
        )

    def _other_directory(self, columns: Sequence[int]) -> str:
        """Returns a line with another directory, in which a column's names are files.

        It is the parent of the image directory, or one beside it.
        """
        assert self._finder is not None
        if files.is_remote(self._finder.directory):
            return ""  # each look would be a request
        parent = os.path.dirname(os.path.abspath(self._finder.directory))  # noqa: PTH100, PTH120
        samples = [
            self._finder.keys_if_exact(cells)
            for at in columns
            if (cells := self._cells[at][:_MOST_SHOWN])
        ]
        for directory in (parent, *_folders_of(parent)):
            if any(_are_files(directory, keys) for keys in samples):
                return f"\n     They are in {directory!r}: set image_dir to that."
        return ""


def _folders_of(directory: str) -> list[str]:
    """Returns the first folders in a directory; none if it can't be listed."""
    try:
        with os.scandir(directory) as entries:
            found = sorted(one.path for one in entries if one.is_dir())
    except OSError:
        return []
    return found[:_MOST_BESIDE]


def _are_files(directory: str, keys: Sequence[str]) -> bool:
    return all(key and os.path.isfile(f"{directory}/{key}") for key in keys)  # noqa: PTH113
