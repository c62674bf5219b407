"""The rows of one table: read, its columns recognised, its file names resolved."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays, exceptions, split_names
from tfds_imagecsv.options import MASK, TableOptions
from tfds_imagecsv.problems import Kind, Problem
from tfds_imagecsv.sources.locate import TableSource
from tfds_imagecsv.table import (
    columns,
    filenames,
    folders,
    image_files,
    resolve,
    split_values,
    tables,
)

# How many rows of a table are taken at once.
_BATCH = 4096

_FIRST = operator.itemgetter(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableRows:
    """What one table says, before its labels are parsed.

    Attributes:
      name: what messages call it.
      numbers: the numbers of its whole rows.
      names: their file names, `arrays.TEXT`.
      keys: their files, likewise.
      label_headers: the names of the columns with labels; empty if it has none.
      labels: their cells, by column, `arrays.CODES`.
      groups: the groups, likewise; empty texts for none.
      given: the splits, likewise.
      extra: the cells of the extra columns, `arrays.TEXT`, by name with
        `extra_columns.PREFIX`.
      images: the files of further images, and of masks, by the names of their features.
      boxes: the cells of the columns with boxes, `arrays.CODES`: four, one, or none.
      box_formats: what their numbers may be, of `options.BOX_FORMATS`.
      sizes: the cells of the images' width and height, likewise; or none.
      by_position: what is wrong with rows, by their position.
      loose: the positions of rows whose name was read loosely.
      order: the positions of the rows, sorted by key; None if they are.
      ragged: rows that have more or fewer cells than the header.
      understood, notes, looked_for: see `label_table.LabelTable`.
    """

    name: str
    numbers: arrays.Ints
    names: pa.Array
    keys: pa.Array
    label_headers: Sequence[str]
    labels: Sequence[pa.DictionaryArray]
    groups: pa.DictionaryArray
    given: pa.DictionaryArray
    extra: Mapping[str, pa.Array]
    images: Mapping[str, image_files.Files] = dataclasses.field(default_factory=dict)
    boxes: Sequence[pa.DictionaryArray] = ()
    box_formats: Sequence[str] = ()
    sizes: Sequence[pa.DictionaryArray] = ()
    by_position: Mapping[int, tuple[Kind, str]]
    loose: arrays.Ints
    order: arrays.Ints | None = None
    ragged: Sequence[Problem] = ()
    understood: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    looked_for: str = ""

    @classmethod
    def of_folders(
        cls, said: folders.FolderRows, mask_finder: resolve.Finder | None
    ) -> TableRows:
        """Returns what folders say.

        Args:
          said: that.
          mask_finder: finds the masks of images by their names; None without masks.
        """
        keys, images = said.keys, {}
        if mask_finder is not None:
            images[MASK] = image_files.of_own_names(keys, mask_finder)
        return cls(
            name="",
            numbers=np.arange(1, len(keys) + 1),
            names=keys,
            keys=keys,
            label_headers=[] if said.labels is None else ["folder"],
            labels=[] if said.labels is None else [said.labels],
            groups=arrays.constant("", len(keys)),
            given=said.given,
            extra={},
            images=images,
            by_position={},
            loose=np.zeros(0, np.int64),
            understood=said.understood,
            notes=said.notes,
        )


def read_rows(
    source: TableSource,
    options: TableOptions,
    finder: resolve.Finder,
    mask_finder: resolve.Finder,
    *,
    is_among_several: bool,
) -> TableRows:
    """Reads a table.

    Args:
      source: where it is.
      options: what the user says of it.
      finder: finds its images.
      mask_finder: finds their masks; the same without a directory of masks.
      is_among_several: whether there are others, so that notes name it.

    Raises:
      SourceError: if it can't be read, or lacks columns that are asked for.
    """
    place = tables.place_of(source.field, source.table)
    table, sample, notes = _opened(source, options, finder)
    if source.split == split_names.UNLABELED and not (
        _has_labels(table.header, options)
    ):
        options = dataclasses.replace(options, label_type="none", label_column=None)
    found = columns.recognise(place, table, sample, options, finder)
    _check_header(place, table, found, finder)
    cells = _read_cells(table, found, finder)
    _check_has_rows(place, table, cells)
    if cells.cut:
        notes.append(f"{cells.cut:,} rows end with empty cells that have no header")
    names = _names_of(cells, found)
    resolved = finder.resolve(names)
    notes += [*found.notes, *(way.note(len(names)) for way in resolved.ways)]
    nothing = arrays.constant("", len(names))
    given = nothing
    if source.split:
        given = arrays.constant(split_names.split_name(source.split), len(names))
    elif "split_column" in cells.by_field:
        values = _given_splits(place, cells, found, options)
        given = values.splits
        notes += values.notes
    images = _images_of(cells, found, resolved.keys, finder, mask_finder)
    notes += [note for one in images.values() for note in one.notes]
    keys, name = resolved.keys, source.name
    if finder.inside:
        keys = arrays.between(f"{finder.inside}/", keys, "")
    return TableRows(
        name=name,
        numbers=cells.numbers,
        names=names,
        keys=keys,
        label_headers=found.headers_of(found.label_fields),
        labels=[cells.by_field[field] for field in found.label_fields],
        groups=cells.by_field.get("group_column", nothing),
        given=given,
        extra={one: cells.by_field[one] for one in found.extra_fields},
        images=images,
        boxes=[cells.by_field[one] for one in found.box_fields],
        box_formats=found.box_formats,
        sizes=[cells.by_field[one] for one in found.size_fields],
        by_position=resolved.problems,
        loose=resolved.loose,
        order=resolved.order,
        ragged=cells.problems,
        understood={**table.understood, **found.understood},
        notes=[f"{name}: {note}" for note in notes] if is_among_several else notes,
        looked_for=found.looked_for if len(resolved.absent) == len(names) else "",
    )


def _names_of(cells: _Cells, of: columns.Columns) -> pa.Array:
    """Returns the file names that some cells make."""
    of_names = [cells.by_field[one] for one in of.filename_fields]
    if of.template is None:
        return of_names[0]
    return filenames.of_template(of.template, of_names)


def _opened(
    source: TableSource, options: TableOptions, finder: resolve.Finder
) -> tuple[tables.Table, list[list[str]], list[str]]:
    """Returns a table with its header, some of its rows, and notes on both."""
    table = tables.read_table(
        source.table, source.field, options, names_file=finder.names_file
    )
    notes = list(table.notes)
    sample = columns.sample_of(table)
    if not columns.has_header(table, sample, options, finder):
        assert table.first_row is not None
        table = tables.without_header(table, table.first_row)
        sample = columns.sample_of(table)
        notes.append(
            "it has no header, since its first row names an image: the columns are"
            f" called {columns.names_of(table.header)}"
        )
    return table, sample, notes


def _check_header(
    place: str, table: tables.Table, of: columns.Columns, finder: resolve.Finder
) -> None:
    """Raises a `SourceError` if columns are named as if a row were the header."""
    name = of.to_filename(of.headers_of(of.filename_fields))
    if table.first_row is not None and name and finder.names_file(name):
        raise exceptions.SourceError(
            f"{place}: its first row must be a header, such as 'filename,label', but it"
            f" is the row of the image {finder.key_if_exact(name)!r}. Add a header, or"
            " set header=False, and call the columns 1, 2, ..."
        )


def _check_has_rows(place: str, table: tables.Table, cells: _Cells) -> None:
    """Raises a `SourceError` if a table has no rows, not even ragged ones."""
    if not len(cells.numbers) and not cells.problems:
        raise exceptions.SourceError(
            f"{place}: there are no rows below the header"
            f" {columns.names_of(table.header)}. Give each image a row with its file"
            " name and its label."
        )


def _given_splits(
    place: str, cells: _Cells, of: columns.Columns, options: TableOptions
) -> split_values.Splits:
    """Returns the splits that the cells of a column give."""
    (header,) = of.headers_of(["split_column"])
    return split_values.parse(
        cells.by_field["split_column"], header, options.split_names, place=place
    )


def _images_of(
    cells: _Cells,
    of: columns.Columns,
    keys: pa.Array,
    finder: resolve.Finder,
    mask_finder: resolve.Finder,
) -> dict[str, image_files.Files]:
    """Returns the further images of rows, and their masks, by feature.

    Args:
      cells: the cells of the rows.
      of: which of them name images.
      keys: the keys of the rows' own images; without a column of masks, a directory
        has the masks by the same names.
      finder: finds images.
      mask_finder: finds masks; the same without a directory of masks.
    """
    images = {
        feature: image_files.resolve(one.where, one.names(cells.by_field), finder)
        for feature, one in of.images.items()
    }
    if of.mask is not None:
        names = of.mask.names(cells.by_field)
        images[MASK] = image_files.resolve(of.mask.where, names, mask_finder)
    elif mask_finder is not finder:
        images[MASK] = image_files.of_own_names(keys, mask_finder)
    return images


def _has_labels(header: Sequence[str], options: TableOptions) -> bool:
    """Returns whether the columns of labels that are asked for are there."""
    names = options.label_column
    if names is None:
        return False
    return {names} <= {*header} if isinstance(names, str) else {*names} <= {*header}


class _Cells(NamedTuple):
    """The cells of the rows that are whole.

    Attributes:
      numbers: the rows' numbers.
      by_field: the cells of each column of `Columns.position_of`, stripped: those of
        `Columns.text_fields` `arrays.TEXT`, the others `arrays.CODES`.
      problems: the rows that have more or fewer cells than the header.
      cut: how many rows had further cells, all empty.
    """

    numbers: arrays.Ints
    by_field: dict[str, pa.Array]
    problems: list[Problem]
    cut: int


def _read_cells(
    table: tables.Table, of: columns.Columns, finder: resolve.Finder
) -> _Cells:
    """Reads the rows that aren't blank."""
    if table.column is not None and len(of.header) == len(table.header):
        found = {
            field: _stripped(field, table.column(at), of)
            for field, at in of.position_of.items()
        }
        names = found[of.filename_fields[0]]
        if arrays.is_filled(names).all():  # then no row is blank
            numbers = np.arange(table.first, table.first + len(names))
            return _Cells(numbers, found, [], 0)
    numbers_of: list[int] = []
    by_field: dict[str, list[str]] = {field: [] for field in of.position_of}
    problems: list[Problem] = []
    records, number, cut = table.records(), table.first - 1, 0
    # Column by column, which is faster than row by row.
    while batch := list(itertools.islice(records, _BATCH)):
        of_batch: Sequence[int] = range(number + 1, number + 1 + len(batch))
        number += len(batch)
        if set(map(len, batch)) != {len(of.header)} or not all(map(_FIRST, batch)):
            whole = _whole_rows(of_batch, batch, of, finder, problems)
            of_batch, batch = [one[0] for one in whole], [one[1] for one in whole]
            cut += sum(one[2] for one in whole)
        numbers_of.extend(of_batch)
        by_column = list(zip(*batch, strict=True))
        for field, position in of.position_of.items():
            if batch:
                by_field[field] += map(str.strip, by_column[position])
    columns_of = {
        field: _stripped(field, arrays.texts(cells), of)
        for field, cells in by_field.items()
    }
    return _Cells(np.array(numbers_of, np.int64), columns_of, problems, cut)


def _stripped(
    field: str, column: pa.Array | pa.ChunkedArray, of: columns.Columns
) -> pa.Array:
    """Returns the cells of a column, as `_Cells` has them."""
    if field in of.text_fields:
        return arrays.stripped(arrays.texts(column))
    found = arrays.encoded(column)
    return arrays.recoded(found, arrays.stripped(found.dictionary))


def _whole_rows(
    numbers: Sequence[int],
    batch: list[list[str]],
    of: columns.Columns,
    finder: resolve.Finder,
    problems: list[Problem],
) -> list[tuple[int, list[str], bool]]:
    """Returns the rows that are neither blank nor ragged, and their numbers.

    Empty cells at the end count only if a header has a name for them; rows without
    such cells are whole as well. Ragged rows are added to the problems, with the key
    that their cells give them.

    Returns:
      The number and the cells of each row, and whether it had further empty cells.
    """
    whole, width = [], len(of.header)
    least = max((at + 1 for at, name in enumerate(of.header) if name), default=0)
    for number, cells in zip(numbers, batch, strict=True):
        if not tables.is_filled(cells):
            continue
        if len(cells) == width:
            whole.append((number, cells, False))
        elif len(cells) > width and not tables.is_filled(cells[width:]):
            whole.append((number, cells[:width], True))
        elif least <= len(cells) < width:
            whole.append((number, cells + [""] * (width - len(cells)), False))
        else:
            noun = "cell" if len(cells) == 1 else "cells"
            first = [cell[:60] for cell in cells[:4]]
            detail = f"{len(cells)} {noun} under {width} headers: {first}"
            key = _key_of(cells, of, finder)
            problems.append(Problem(Kind.RAGGED, number, detail, key=key))
    return whole


def _key_of(cells: Sequence[str], of: columns.Columns, finder: resolve.Finder) -> str:
    """Returns the key of a row's image; empty if the row lacks the cells for it."""
    positions = [of.position_of[field] for field in of.filename_fields]
    if max(positions) >= len(cells):
        return ""
    name = of.to_filename([cells[at].strip() for at in positions])
    key: str = finder.resolve([name]).keys[0].as_py() if name else ""
    return key
