"""The inspected input of a dataset: rows, images and problems."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from etils import epath

from tfds_imagecsv import arrays, image_formats, tfds_private
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.engines import local
from tfds_imagecsv.engines.engine import Engine
from tfds_imagecsv.images import (
    box_frames,
    copies,
    fingerprint,
    further_images,
    image_table,
    larger_pictures,
    listing,
    mask_table,
    near_duplicates,
    quality,
)
from tfds_imagecsv.images.small_pictures import Measure
from tfds_imagecsv.options import MASK
from tfds_imagecsv.problems import Kind, Problem
from tfds_imagecsv.sources.locate import Sources
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import image_columns, manifest
from tfds_imagecsv.table.label_table import LabelTable

# A table of this many bytes names thousands of images, which keep all workers busy.
_MANY = 1 << 17

# Of a build with more rows, they are kept in a file of the build's directory: a hundred
# bytes each.
_MOST_IN_MEMORY = 1 << 24

# Near duplicates of more images are looked for only if the user asks: a fingerprint
# takes a thousand bytes.
_MOST_COMPARED = 1_000_000

# Of how many missing images the closest file is named: as many as a report shows.
_MOST_CLOSEST = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """The inspected input, whether or not it makes a dataset.

    Attributes:
      sources: its files.
      table: what the table says.
      rows: a row for each usable image, sorted by key, with the columns of the label
        table, of `image_table.ImageTable` with `quality.measure`, and `pinned`
        (`arrays.CODES`: the split in an earlier manifest, or empty). If near duplicates
        were looked for, there is `near_duplicates.COLUMN`, too.
      copies: the rows of identical images, see `copies.identical_images`.
      problems: the problems of rows and images, in any order.
      unlisted: the images of the directory that no row names, sorted.
      earlier: the images of an earlier manifest, see `manifest.read_manifest`.
      unusable: the files of images without a row here that could be read, by key.
      further: the files of further images that are no row's own, see
        `image_table.files_of`.
      masks: the files of masks, likewise.
      mask_dtype: see `mask_table.WithMasks`; empty without masks.
      masks_are_upright: see `mask_table.WithMasks`; None without masks.
    """

    sources: Sources
    table: LabelTable
    rows: pa.RecordBatch
    copies: pa.RecordBatch
    problems: tuple[Problem, ...]
    unlisted: tuple[str, ...]
    earlier: pa.RecordBatch
    unusable: Mapping[str, files.File]
    further: pa.RecordBatch
    masks: pa.RecordBatch
    mask_dtype: str
    masks_are_upright: bool | None

    @property
    def about(self) -> dict[str, Any]:
        """What a report of problems says beside them, see `problems.report`."""
        return {
            "label_csv": self.sources.table_name,
            "image_dir": str(self.table.image_dir),
            "places": self.table.places,
            "looked_for": self.table.looked_for,
            "suggestion": self.table.suggestion,
        }


def start_workers_early(sources: Sources, engine: Engine) -> None:
    """Starts workers before a large table is read, or a directory listed."""
    files_of = [
        one.table for one in sources.tables if isinstance(one.table, epath.Path)
    ]
    sizes = [path.stat().length for path in files_of if path.is_file()]
    if len(files_of) < max(1, len(sources.tables)) or sum(sizes) >= _MANY:
        engine.expect_work()
        engine.preload(image_table.__name__)


def inspect(
    config: ImageCsvConfig,
    sources: Sources,
    table: LabelTable,
    *,
    engine: Engine,
    converted_dir: epath.Path | None = None,
) -> Inspection:
    """Inspects the images that a table names, and converts those that have to be.

    Args:
      config: what the user asks for.
      sources: the files of the input.
      table: the label table among them.
      engine: where images are inspected.
      converted_dir: as for `image_table.inspect_images`.

    Raises:
      SourceError: if the directory or the earlier manifest can't be used.
      WorkerError: if a process that inspected images died.
    """
    earlier = manifest.no_rows()
    if sources.pinned_splits is not None:
        earlier = manifest.read_manifest(sources.pinned_splits)
    unlisted: tuple[str, ...] = ()

    def list_directory() -> None:
        nonlocal unlisted
        of_problems = [one.key for one in table.problems]
        keys = further_images.all_keys(table.rows, _mask_keys(table))
        unlisted = listing.unlisted_images(table.files, keys, of_problems)

    found = _read_images(config, table, engine, converted_dir, list_directory)
    table = _with_frame(table, found.masks_are_upright)
    rows = _with_near_duplicates(config, table, found.rows, engine)
    of_images = found.problems
    pinned = arrays.by_key(rows["key"], earlier, "split")
    rows = arrays.with_columns(rows, {"pinned": pinned})
    if config.label_type == "boxes":
        of_boxes = box_frames.framed(config, table, rows)
        rows, of_images = of_boxes.rows, (*of_images, *of_boxes.problems)
        table = box_frames.with_understood(table, of_boxes)
    if len(rows) >= _MOST_IN_MEMORY and converted_dir is not None:
        table, rows = _on_disk(table, rows, converted_dir)
    found = found._replace(rows=rows)  # those that were inspected are needed no more
    arrays.free_unused()
    identical = copies.identical_images(rows)
    conflicts = copies.conflicting_labels(identical, table.places)
    fields = found._asdict()
    fields["problems"] = (*table.problems, *of_images, *conflicts)
    return Inspection(
        sources=sources,
        table=table,
        copies=identical,
        unlisted=unlisted,
        earlier=earlier,
        **fields,
    )


class _Found(NamedTuple):
    """What the images of rows are: their own, further ones, and masks.

    Attributes:
      rows: the rows whose images can all be used.
      problems: those of the other rows' images.
      unusable: see `Inspection`, as the others.
    """

    rows: pa.RecordBatch
    problems: tuple[Problem, ...]
    unusable: Mapping[str, files.File]
    further: pa.RecordBatch
    masks: pa.RecordBatch
    mask_dtype: str = ""
    masks_are_upright: bool | None = None

    def without(
        self, step: further_images.WithFurther | mask_table.WithMasks, **fields: Any
    ) -> _Found:
        """Returns what is left by a step that has looked at further images of rows."""
        return self._replace(
            rows=step.rows,
            problems=(*self.problems, *step.problems),
            unusable={**self.unusable, **step.unusable},
            **fields,
        )


def _read_images(
    config: ImageCsvConfig,
    table: LabelTable,
    engine: Engine,
    converted_dir: epath.Path | None,
    meanwhile: Callable[[], object],
) -> _Found:
    """Inspects the images of all columns; the arguments are as for `inspect`."""

    def inspect_images(
        rows: pa.RecordBatch, folder: str = "", **kwargs: Any
    ) -> image_table.ImageTable:
        with tfds_private.progress_bar(len(rows), "Inspecting images") as bar:
            return image_table.inspect_images(
                table.image_dir,
                rows,
                config.image_options,
                engine=engine,
                converted_dir=converted_dir and converted_dir / folder,
                progress=bar.update,
                **kwargs,
            )

    inspected = inspect_images(
        table.rows,
        measures=[quality.measure, *_measures(config, len(table.rows))],
        meanwhile=meanwhile,
    )
    no_files = image_table.files_of(arrays.texts([]), inspected.rows[:0], {})
    found = _Found(
        rows=inspected.rows,
        problems=tuple(_with_closest(inspected.problems, table)),
        unusable=inspected.unusable,
        further=no_files,
        masks=no_files,
    )
    if config.image_columns:
        further = further_images.with_further(
            table.rows,
            inspected,
            table.named_in,
            lambda files: inspect_images(files, "further"),
            lambda problems: _with_closest(problems, table),
        )
        found = found.without(further, further=further.files)
    if config.has_masks:
        masked = _with_masks(config, table, found.rows, engine, converted_dir)
        found = found.without(
            masked,
            masks=masked.files,
            mask_dtype=masked.dtype,
            masks_are_upright=masked.are_upright,
        )
    return found


def _with_near_duplicates(
    config: ImageCsvConfig, table: LabelTable, rows: pa.RecordBatch, engine: Engine
) -> pa.RecordBatch:
    """Returns inspected rows with the sets of near duplicates, if they are wanted.

    The images of likely pairs are read again. They are few: no cluster is asked.
    """
    with contextlib.ExitStack() as stack:
        here = engine
        if not engine.is_local:
            here = stack.enter_context(local.LocalEngine())

        def look_again(at: arrays.Ints) -> larger_pictures.Pictures:
            some = rows.select(["row", "key", "label"]).take(arrays.as_column(at))
            with tfds_private.progress_bar(len(some), "Comparing images") as bar:
                again = image_table.inspect_images(
                    table.image_dir,
                    some,
                    config.image_options,
                    engine=here,
                    measures=[larger_pictures.measure],
                    progress=bar.update,
                )
            return larger_pictures.of_rows(again.rows, some["key"])

        return near_duplicates.with_sets(rows, look_again)


def _with_masks(
    config: ImageCsvConfig,
    table: LabelTable,
    rows: pa.RecordBatch,
    engine: Engine,
    converted_dir: epath.Path | None,
) -> mask_table.WithMasks:
    """Returns inspected rows with their masks."""
    listed = table.mask_files or table.files
    with tfds_private.progress_bar(len(rows), "Reading masks") as bar:
        return mask_table.with_masks(
            table.mask_dir or table.image_dir,
            rows,
            mask_table.Wanted(
                options=config.image_options,
                are_upright=config.masks_are_upright,
                colors=table.color_values,
                classes=len(table.mask_classes) or None,
            ),
            named_in=table.named_in[MASK],
            closest=listed.closest,
            engine=engine,
            converted_dir=converted_dir,
            progress=bar.update,
        )


def _with_frame(table: LabelTable, are_upright: bool | None) -> LabelTable:
    """Returns a table that has understood which frame masks are in."""
    if are_upright is None:
        return table
    understood = {"mask frame": "upright" if are_upright else "file"}
    return dataclasses.replace(table, understood={**table.understood, **understood})


def _mask_keys(table: LabelTable) -> pa.Array:
    """Returns the keys of masks that are in the directory of the images."""
    if not image_columns.has_mask(table.rows.schema.names):
        return arrays.texts([])
    keys = table.rows[image_columns.column(MASK, "key")]
    if table.mask_dir is None:
        return keys
    inside = os.path.relpath(table.mask_dir, table.image_dir).replace(os.sep, "/")
    if files.is_remote(table.mask_dir) or inside.startswith(".."):
        return arrays.texts([])
    return keys if inside == "." else arrays.between(f"{inside}/", keys, "")


def _measures(config: ImageCsvConfig, images: int) -> list[Measure]:
    """Returns what near duplicates are found by, if they are looked for."""
    wanted = config.near_duplicates
    if wanted is None:
        is_wanted = config.verify == "decode" and images <= _MOST_COMPARED
    else:
        is_wanted = wanted != "off"
    return [fingerprint.measure] if is_wanted else []


def _on_disk(
    table: LabelTable, rows: pa.RecordBatch, folder: epath.Path
) -> tuple[LabelTable, pa.RecordBatch]:
    """Returns a label table and inspected rows that are in files of a local folder."""
    if files.is_remote(folder):
        return table, rows
    names = table.rows.schema.names
    rows = arrays.on_disk(rows, os.fspath(folder / "rows.arrow"))
    of_table = rows.select(names)
    if len(rows) < len(table.rows):
        of_table = arrays.on_disk(table.rows, os.fspath(folder / "table.arrow"))
    return dataclasses.replace(table, rows=of_table), rows


def _with_closest(found: Sequence[Problem], table: LabelTable) -> list[Problem]:
    """Returns problems; those of missing images that are shown name the closest file.

    If no image is there, it is named only if nothing but folder and extension differ.
    """
    missing = [one for one in found if one.kind is Kind.MISSING]
    if not missing:
        return list(found)
    shown = sorted(missing, key=lambda one: one.row)[:_MOST_CLOSEST]
    detail_of = {
        one: f"{one.detail}; the closest is {close!r}"
        for one in shown
        if (close := table.files.closest(one.key)) is not None
        and (not table.looked_for or _stem(close) == _stem(one.key))
    }
    return [
        dataclasses.replace(one, detail=detail_of.get(one, one.detail)) for one in found
    ]


def _stem(key: str) -> str:
    """Returns the name of a file without its folder and extension."""
    name = key.rpartition("/")[2]
    return name[: len(name) - len(image_formats.extension_of(name))]
