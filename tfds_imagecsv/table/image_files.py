"""Further images of each row: what names their files, and which files these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays
from tfds_imagecsv.options import FilenameTemplate
from tfds_imagecsv.problems import Kind, shown
from tfds_imagecsv.table import filenames
from tfds_imagecsv.table.resolve import Finder


class ImageColumn(NamedTuple):
    """What names the files of a further image.

    Attributes:
      text: the name of the column, or the template.
      fields: the fields of `columns.Columns.position_of` that make the file name.
      template: how they make it; None for one column.
    """

    text: str
    fields: Sequence[str]
    template: FilenameTemplate | None

    @property
    def where(self) -> str:
        """Where the names are, as messages say it."""
        return f"in {self.text!r}"

    def names(self, by_field: Mapping[str, pa.Array]) -> pa.Array:
        """Returns the file names that cells make, `arrays.TEXT`."""
        of_names = [by_field[field] for field in self.fields]
        if self.template is None:
            return of_names[0]
        return filenames.of_template(self.template, of_names)


class Files(NamedTuple):
    """The files of a further image.

    Attributes:
      where: where their names are, as messages say it: `in 'right_file'`.
      keys: the file of each row, as `label_table.LabelTable` has `key`.
      problems: what is wrong with names, by the row's position.
      notes: how some names were read, in sentences.
    """

    where: str
    keys: pa.Array
    problems: Mapping[int, tuple[Kind, str]]
    notes: Sequence[str]


def resolve(where: str, names: pa.Array, finder: Finder) -> Files:
    """Returns the files that names mean, which are found as the rows' own images are.

    Args:
      where: see `Files`.
      names: the file names, `arrays.TEXT`.
      finder: finds the files.
    """
    resolved = finder.resolve(names)
    keys = resolved.keys
    if finder.inside:
        keys = arrays.between(f"{finder.inside}/", keys, "")
    found = dict.fromkeys(
        np.flatnonzero(~arrays.is_filled(names)).tolist(),
        (Kind.NO_FILENAME, f"none {where}"),
    )
    for at in arrays.having(names, "\n", "\r").tolist():
        found[at] = Kind.LINE_BREAK, f"{shown(names[at].as_py())} {where}"
    for at, (kind, detail) in resolved.problems.items():
        found.setdefault(at, (kind, f"{detail} {where}"))
    for at in filenames.odd_paths(keys):
        found.setdefault(at, (Kind.OUTSIDE, f"{shown(names[at].as_py())} {where}"))
    notes = [f"{where}, {way.note(len(names))}" for way in resolved.ways]
    return Files(where, keys, found, notes)


def of_own_names(keys: pa.Array, finder: Finder) -> Files:
    """Returns the files of masks that are named as the rows' own images are.

    That their extension is another is usual, and needs no note.
    """
    return resolve("in mask_dir", keys, finder)._replace(notes=())


def joined(parts: Sequence[Files]) -> Files:
    """Returns the files of several tables, one behind the other."""
    problems: dict[int, tuple[Kind, str]] = {}
    done = 0
    for part in parts:
        problems |= {done + at: problem for at, problem in part.problems.items()}
        done += len(part.keys)
    keys = arrays.joined([part.keys for part in parts])
    return Files(parts[0].where, keys, problems, ())
