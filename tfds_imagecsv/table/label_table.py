"""The label table: which image has which label.

Read, recognise, resolve, parse, check: each step takes and gives columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import arrays, exceptions, garbage_collection
from tfds_imagecsv import options as options_lib
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.sources.listing import Listing, list_files
from tfds_imagecsv.sources.locate import Sources, TableSource
from tfds_imagecsv.table import (
    archive_top,
    boxes,
    classes,
    columns,
    extra_columns,
    folders,
    image_columns,
    image_files,
    label_types,
    mask_colors,
    resolve,
    row_problems,
    suggestions,
    table_rows,
)
from tfds_imagecsv.table.table_rows import TableRows

# The columns of a label table.
_ROWS = ["row", "key", "label", "group", "given"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The usable rows of a label table, and what is wrong with the others.

    Attributes:
      rows: a row for each usable row of the table, sorted by key, with the columns
        `row` (int64: its number, see `places`), `key` (`arrays.TEXT`: the image's path
        relative to the image directory, with `/` between folders, unique), and, as
        `arrays.CODES`, `label` (the class name as written, without the white space
        around it, or the text of `label_types.Parsed`; empty for none), `group` (empty
        for none) and `given` (the split that the table gives it, empty for none).
        Labels that aren't classes are also in `target` (see `label_types.Parsed`). Each
        extra column is in one whose name begins with `extra_columns.PREFIX`. The files
        of further images are in columns such as `images/right/key`. With boxes, a row
        is an image, and has the columns of `boxes.images_of`.
      image_dir: the directory that the keys are relative to.
      files: the files of that directory.
      class_names: the names of the classes in the order of their ids.
      class_columns: the names of the columns of 0 and 1, each a class; None if the
        names of classes are in cells.
      extra_columns: the types of the extra columns, by name.
      problems: what is wrong with the rows that aren't in `rows`.
      places: what messages call the rows.
      understood: what was concluded, by what it is about.
      notes: the same in sentences, where there was a choice.
      looked_for: what to say if no image was found.
      suggestion: fields that would suit the labels better, in a sentence.
      box_formats: what the numbers of boxes may be, of `options.BOX_FORMATS`, in the
        order of likelihood.
      about_classes: further columns of the class CSV, by class name and by header.
      named_in: where the names of further images are, as messages say it, by feature.
      mask_dir: the directory that the keys of masks are relative to; None for
        `image_dir`.
      mask_files: the files of that directory.
      mask_classes: the names of the masks' values, from 0; empty if they have none.
      color_values: the values of the masks' colours; None if pixels are values.
    """

    rows: pa.RecordBatch
    image_dir: epath.Path
    files: Listing
    class_names: tuple[str, ...]
    class_columns: tuple[str, ...] | None
    extra_columns: Mapping[str, str]
    problems: tuple[Problem, ...]
    places: Places
    understood: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    looked_for: str = ""
    suggestion: str = ""
    box_formats: tuple[str, ...] = ()
    about_classes: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict
    )
    named_in: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mask_dir: epath.Path | None = None
    mask_files: Listing | None = None
    mask_classes: tuple[str, ...] = ()
    color_values: Mapping[mask_colors.Color, int] | None = None

    @property
    def total_rows(self) -> int:
        """How many rows the table has, without blank ones and the header."""
        rows = len(self.rows)
        if boxes.NUMBERS_OF_ROWS in self.rows.schema.names:
            in_row = boxes.counts_of(self.rows[boxes.NUMBERS_OF_ROWS])
            rows = int(np.maximum(in_row, 1).sum())
        return rows + len(self.problems)


def read_label_table(
    config: ImageCsvConfig,
    sources: Sources,
    *,
    known: Iterable[str] = (),
    known_masks: Iterable[str] = (),
) -> LabelTable:
    """Reads the table as a config says, and the classes that it gives.

    Args:
      config: what the user says about columns, file names and classes.
      sources: the tables, and the directories of the images.
      known: keys that stand for files, also if these are gone.
      known_masks: likewise, of masks.

    Raises:
      SourceError: if a table can't be used.
    """
    class_list = classes.ClassList(names=tuple(config.classes or ()), about={})
    if sources.class_csv is not None:
        class_list = classes.read_classes(sources.class_csv)
    of_labels = config.label_type in options_lib.WITH_CLASSES
    table = read_labels(
        sources,
        config.table_options,
        classes=(class_list.names or None) if of_labels else None,
        known=frozenset(known),
        known_masks=frozenset(known_masks),
    )
    if config.has_masks:
        names = () if of_labels else class_list.names
        table = _with_mask_classes(table, config, sources, names)
    return dataclasses.replace(table, about_classes=class_list.about)


def _with_mask_classes(
    table: LabelTable, config: ImageCsvConfig, sources: Sources, names: tuple[str, ...]
) -> LabelTable:
    """Returns a table that says what the values of masks are.

    Args:
      table: the table.
      config: with the colours of masks, if they have any.
      sources: with the table of these.
      names: the classes of the values, if the user has named them.

    Raises:
      ConfigError: if a colour is wrong.
      SourceError: if a row of the table of colours is, or a colour stands for no class.
    """
    field = mask_colors.FIELDS[sources.mask_color_csv is not None]
    if sources.mask_color_csv is not None:
        colors = mask_colors.read(sources.mask_color_csv)
    elif config.mask_colors is not None:
        colors = mask_colors.parse(config.mask_colors)
    else:
        return dataclasses.replace(table, mask_classes=names)
    of_masks = names or tuple(dict.fromkeys(colors.values()))
    unknown = sorted({*colors.values()} - {*of_masks})
    if unknown:
        raise exceptions.SourceError(
            f"{field}: {columns.names_of(unknown)} aren't among the classes:"
            f" {columns.names_of(of_masks)}. Correct the names, or add them to classes."
        )
    values = {color: of_masks.index(name) for color, name in colors.items()}
    return dataclasses.replace(table, mask_classes=of_masks, color_values=values)


@garbage_collection.paused()
def read_labels(
    sources: Sources,
    options: TableOptions | None = None,
    *,
    classes: Sequence[str] | None = None,
    known: frozenset[str] = frozenset(),
    known_masks: frozenset[str] = frozenset(),
) -> LabelTable:
    """Reads label tables in any format that `tables.read_table` reads, or folders.

    Blank rows, and white space around cells, don't count. Labels are names, unless
    `label_type` says otherwise, never numbers, booleans or missing values: `001`,
    `true` and `NA` stay as they are written. In a split named `unlabeled`, a label may
    be empty.

    Args:
      sources: where tables and images are.
      options: what the user says of them; default: nothing.
      classes: the class names in the order of their ids; default: the names found,
        sorted by code point, or those of the columns of 0 and 1.
      known: as for `read_label_table`.
      known_masks: likewise.

    Returns:
      The table of the rows that can be used, and the problems of the others.

    Raises:
      SourceError: if no row can be read: there is no such file, it isn't text, it
        has no rows, or not the columns asked for.
    """
    options = options or TableOptions()
    image_dir, files = sources.image_dir, list_files(sources.image_dir)
    if sources.mask_dir is None:
        known |= known_masks
    files = _with_known(files, known)
    if sources.archive is not None:
        image_dir, files = archive_top.below_top(sources, files, options)
    mask_finder = None
    if sources.mask_dir is not None:
        mask_finder = resolve.Finder(
            sources.mask_dir,
            _with_known(list_files(sources.mask_dir), known_masks),
            suffix=options.filename_suffix if options.mask_column else "",
            match=options.match,
        )
    table = _joined(
        _read_all(sources, image_dir, files, options, mask_finder),
        options,
        classes,
        image_dir=image_dir,
        files=files,
    )
    arrays.free_unused()
    if mask_finder is None:
        return table
    understood = table.understood
    if options.mask_column is None:
        understood = {**understood, "masks": "named as the images are"}
    return dataclasses.replace(
        table,
        mask_dir=sources.mask_dir,
        mask_files=mask_finder.listing,
        understood=understood,
    )


def _read_all(
    sources: Sources,
    image_dir: epath.Path,
    files: Listing,
    options: TableOptions,
    mask_finder: resolve.Finder | None,
) -> list[TableRows]:
    """Returns what each table says, or what the folders do."""
    if not sources.tables:
        said = folders.rows_of(image_dir, files, options, sources.folders)
        return [TableRows.of_folders(said, mask_finder)]
    found = []
    for one in sources.tables:
        finder = _finder(one, sources, image_dir, files, options)
        found.append(
            table_rows.read_rows(
                one,
                options,
                finder,
                mask_finder or finder,
                is_among_several=len(sources.tables) > 1,
            )
        )
    return found


def _finder(
    source: TableSource,
    sources: Sources,
    image_dir: epath.Path,
    files: Listing,
    options: TableOptions,
) -> resolve.Finder:
    """Returns what finds the images of a table."""
    inside = sources.folders.get(source.split, "")
    return resolve.Finder(
        image_dir / inside if inside else image_dir,
        files.below(inside) if inside else files,
        inside=inside,
        suffix="" if options.filename_template else options.filename_suffix,
        match=options.match,
    )


def _with_known(files: Listing, known: frozenset[str]) -> Listing:
    """Returns a listing with further files, which may be there already."""
    if not known:
        return files
    keys = arrays.texts(sorted(known))
    more = keys.filter(pc.invert(pc.is_in(keys, value_set=files.keys)))
    if not len(more):
        return files
    both = pa.concat_arrays([files.keys, more])
    return dataclasses.replace(files, keys=both.take(pc.sort_indices(both)))


def _joined(
    parts: Sequence[TableRows],
    options: TableOptions,
    classes: Sequence[str] | None,
    *,
    image_dir: epath.Path,
    files: Listing,
) -> LabelTable:
    """Returns what the tables say together: parsed, and checked across rows."""
    starts = _starts(parts)
    places = _places(parts, starts)
    headers = next((one.label_headers for one in parts if one.label_headers), [])
    _check_same_columns(parts, headers, options)
    if options.is_indicated:
        _check_indicators(classes, list(headers))
    images = {
        name: image_files.joined([part.images[name] for part in parts])
        for name in parts[0].images
    }
    rows = _as_rows(parts, starts, images)
    parsed = _parse(parts, rows, headers, options, classes, places)
    suggestion = _suggestion(parts, options) or ""
    several = len(parts) > 1
    order = arrays.order_of(rows["key"]) if several else parts[0].order
    bad = row_problems.problems_of_rows(
        rows,
        options.label_type,
        _by_position(parts),
        *parsed.problems,
        *(one.problems for one in images.values()),
        is_loose=_loose(parts),
        order=order,
        places=places,
    )
    usable = _usable(rows, parsed, order, bad)
    class_columns = tuple(headers) if options.is_indicated else None
    names = classes or label_types.class_names(
        options.label_type, usable, class_columns
    )
    return LabelTable(
        rows=usable,
        image_dir=image_dir,
        files=files,
        class_names=tuple(names),
        class_columns=class_columns,
        extra_columns=parsed.of_extra.dtypes,
        problems=tuple(
            sorted([*_ragged(parts, starts), *bad.values()], key=lambda one: one.row)
        ),
        places=places,
        understood=parts[0].understood,
        notes=(
            *(note for part in parts for note in part.notes),
            *([suggestion] if suggestion else []),
        ),
        suggestion=suggestion,
        box_formats=tuple(parts[0].box_formats),
        named_in={name: one.where for name, one in images.items()},
        looked_for=next((one.looked_for for one in parts if one.looked_for), ""),
    )


def _places(parts: Sequence[TableRows], starts: Sequence[int]) -> Places:
    """Returns what the rows of several tables are called."""
    first_of = [(start, one.name) for start, one in zip(starts, parts, strict=True)]
    return Places(
        first_of=tuple(first_of) if len(parts) > 1 else (),
        are_rows=bool(parts[0].name),
    )


def _starts(parts: Sequence[TableRows]) -> list[int]:
    """Returns what is added to the row numbers of each table."""
    starts = [0]
    for part in parts[:-1]:
        ragged = (one.row for one in part.ragged)
        last = part.numbers[-1:].tolist()
        starts.append(starts[-1] + max((*last, *ragged), default=0))
    return starts


def _ragged(parts: Sequence[TableRows], starts: Sequence[int]) -> Iterator[Problem]:
    """Yields the ragged rows of all tables, with their numbers among all."""
    for start, part in zip(starts, parts, strict=True):
        for one in part.ragged:
            yield dataclasses.replace(one, row=one.row + start)


def _check_same_columns(
    parts: Sequence[TableRows], headers: Sequence[str], options: TableOptions
) -> None:
    """Raises a `SourceError` if tables don't have the same columns."""
    first = parts[0]
    for part in parts:
        if part.label_headers and len(part.label_headers) != len(headers):
            raise exceptions.SourceError(
                f"label_csv: {part.name} has {len(part.label_headers)} columns of"
                f" labels, and {first.name} has {len(headers)}. Give all tables the"
                " same columns."
            )
        if part.extra.keys() != first.extra.keys():
            differ = sorted(part.extra.keys() ^ first.extra.keys())
            names = [one.removeprefix(extra_columns.PREFIX) for one in differ]
            raise exceptions.SourceError(
                f"label_csv: {part.name} and {first.name} don't have the same extra"
                f" columns: only one of them has {columns.names_of(names)}. Name those"
                " that both have as extra_columns."
            )


def _check_indicators(classes: Sequence[str] | None, headers: list[str]) -> None:
    """Refuses classes that aren't the columns of 0 and 1."""
    if classes is not None and set(classes) != set(headers):
        raise exceptions.SourceError(
            f"classes and label_column must have the same names, got {list(classes)}"
            f" and {headers}"
        )


def _as_rows(
    parts: Sequence[TableRows],
    starts: Sequence[int],
    images: Mapping[str, image_files.Files],
) -> dict[str, Any]:
    """Returns what each row says: the columns of `LabelTable.rows`, and `filename`."""
    numbers = [part.numbers + start for start, part in zip(starts, parts, strict=True)]

    def column(of: Callable[[TableRows], pa.Array]) -> pa.Array:
        return arrays.joined(list(map(of, parts)))

    return {
        "row": np.concatenate(numbers),
        "filename": column(lambda part: part.names),
        "key": column(lambda part: part.keys),
        "group": column(lambda part: part.groups),
        "given": column(lambda part: part.given),
        **{image_columns.column(name, "key"): one.keys for name, one in images.items()},
    }


class _Extra(NamedTuple):
    """The extra columns: see `LabelTable`; and what is wrong, by position."""

    columns: dict[str, pa.Array]
    dtypes: dict[str, str]
    problems: dict[int, tuple[Kind, str]]


class _Parsed(NamedTuple):
    """What the cells of all rows say; without boxes, these are None."""

    of_labels: label_types.Parsed
    of_boxes: boxes.Parsed | None
    of_extra: _Extra

    @property
    def problems(self) -> Sequence[Mapping[int, tuple[Kind, str]]]:
        """What is wrong with the cells, by position."""
        of_boxes = {} if self.of_boxes is None else self.of_boxes.problems
        return self.of_labels.problems, of_boxes, self.of_extra.problems


def _parse(
    parts: Sequence[TableRows],
    rows: dict[str, Any],
    headers: Sequence[str],
    options: TableOptions,
    classes: Sequence[str] | None,
    places: Places,
) -> _Parsed:
    """Parses the cells of all rows, and adds the labels to the rows."""
    labels = _parse_labels(parts, headers, options, classes)
    rows["label"] = labels.texts
    of_boxes = _parse_boxes(parts, rows, options, places)
    of_extra = _parse_extra(
        _joined_extra(parts),
        options.extra_columns or {},
        None if of_boxes is None else of_boxes.is_box,
    )
    return _Parsed(labels, of_boxes, of_extra)


def _parse_labels(
    parts: Sequence[TableRows],
    headers: Sequence[str],
    options: TableOptions,
    classes: Sequence[str] | None,
) -> label_types.Parsed:
    """Returns the labels of all rows; those of a table without any are empty."""
    if not headers:
        rows = sum(len(part.names) for part in parts)
        return label_types.Parsed(arrays.constant("", rows), None, {})
    cells = [
        arrays.joined(
            [
                part.labels[at] if part.labels else arrays.constant("", len(part.names))
                for part in parts
            ]
        )
        for at in range(len(headers))
    ]
    known = None if classes is None or options.is_indicated else tuple(classes)
    return label_types.parse(
        options.label_type,
        cells,
        headers,
        delimiter=options.label_delimiter,
        known=known,
        true_values=options.true_values,
        false_values=options.false_values,
    )


def _parse_boxes(
    parts: Sequence[TableRows],
    rows: Mapping[str, Any],
    options: TableOptions,
    places: Places,
) -> boxes.Parsed | None:
    """Returns the boxes of all rows; None if there are none."""
    if options.label_type != "boxes":
        return None

    def joined(of: Callable[[TableRows], Sequence[pa.DictionaryArray]]) -> Any:
        several = max((of(part) for part in parts), key=len)
        return [
            arrays.joined(
                [
                    of(part)[at] if of(part) else arrays.constant("", len(part.names))
                    for part in parts
                ]
            )
            for at in range(len(several))
        ]

    return boxes.parse(
        joined(lambda part: part.boxes),
        joined(lambda part: part.sizes),
        rows,
        list(_joined_extra(parts).values()),
        places,
    )


def _suggestion(parts: Sequence[TableRows], options: TableOptions) -> str | None:
    """Returns what the config could say of the labels, if they are in one column."""
    columns_of = [part.labels for part in parts if part.labels]
    if options.label_type == "boxes" or any(len(labels) != 1 for labels in columns_of):
        return None
    if not columns_of:
        return None
    cells = arrays.joined([labels[0] for labels in columns_of])
    return suggestions.about_labels(
        cells.dictionary[: suggestions.MOST].to_pylist(),
        options,
        rows=len(cells),
        different=len(cells.dictionary),
    )


def _joined_extra(parts: Sequence[TableRows]) -> dict[str, pa.Array]:
    return {
        name: arrays.joined([part.extra[name] for part in parts])
        for name in parts[0].extra
    }


def _by_position(parts: Sequence[TableRows]) -> dict[int, tuple[Kind, str]]:
    """Returns what is wrong with the names of rows, by position among all rows."""
    found: dict[int, tuple[Kind, str]] = {}
    done = 0
    for part in parts:
        found |= {done + at: problem for at, problem in part.by_position.items()}
        done += len(part.names)
    return found


def _loose(parts: Sequence[TableRows]) -> arrays.Bits:
    """Returns which of all rows have a name that was read loosely."""
    columns_of_parts = []
    for part in parts:
        is_loose = np.zeros(len(part.names), bool)
        is_loose[part.loose] = True
        columns_of_parts.append(is_loose)
    return np.concatenate(columns_of_parts)


def _usable(
    rows: Mapping[str, Any],
    parsed: _Parsed,
    order: arrays.Ints | None,
    bad: Mapping[int, Problem],
) -> pa.RecordBatch:
    """Returns `LabelTable.rows`: of rows, or of images with boxes."""
    if parsed.of_boxes is None:
        return _usable_rows(
            rows, order, bad, parsed.of_labels.values, parsed.of_extra.columns
        )
    is_good = np.ones(len(rows["row"]), bool)
    is_good[list(bad)] = False
    return boxes.images_of(rows, parsed.of_boxes, parsed.of_extra.columns, is_good)


def _usable_rows(
    rows: Mapping[str, Any],
    order: arrays.Ints | None,
    bad: Mapping[int, Problem],
    targets: pa.DictionaryArray | None,
    of_extra: Mapping[str, pa.Array],
) -> pa.RecordBatch:
    """Returns `LabelTable.rows`: those without problems, sorted by key."""
    of_images = [name for name in rows if name.startswith(image_columns.PREFIX)]
    kept = {name: rows[name] for name in (*_ROWS, *of_images)}
    kept["row"] = arrays.as_column(rows["row"])
    if targets is not None:
        kept["target"] = targets
    kept |= of_extra
    if bad:
        order = np.arange(len(rows["row"])) if order is None else order
        order = order[~np.isin(order, list(bad))]
    if order is not None:
        # One column after another, so that the old ones aren't all kept.
        at = arrays.as_column(order)
        for name in list(kept):
            kept[name] = arrays.ordered(kept[name], at)
    return pa.record_batch(list(kept.values()), names=list(kept))


def _parse_extra(
    cells_of: Mapping[str, pa.Array],
    extra: Mapping[str, str] | str,
    is_used: arrays.Bits | None,
) -> _Extra:
    """Reads the extra columns, of some rows or of all."""
    found = _Extra({}, {}, {})
    for prefixed, cells in cells_of.items():
        name = prefixed.removeprefix(extra_columns.PREFIX)
        dtype = extra[name] if not isinstance(extra, str) else ""
        used = cells if is_used is None else arrays.filtered(cells, is_used)
        dtype = dtype or extra_columns.inferred(used.unique().to_pylist())
        found.dtypes[name] = dtype
        found.columns[prefixed], wrong = extra_columns.parse(cells, dtype)
        for at in wrong:
            if is_used is not None and not is_used[at]:
                continue
            cell = row_problems.shortened(cells[at].as_py())
            detail = f"{cell!r} in {name!r}, which is {dtype},"
            found.problems.setdefault(at, (Kind.EXTRA_CELL, detail))
    return found
