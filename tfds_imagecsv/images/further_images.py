"""The further images of rows, inspected and converted as the rows' own are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays
from tfds_imagecsv.images import image_table, kinds
from tfds_imagecsv.images.image_table import ImageTable
from tfds_imagecsv.problems import Problem
from tfds_imagecsv.storage.files import File
from tfds_imagecsv.table import image_columns


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithFurther:
    """The rows of an image table with their further images.

    Attributes:
      rows: the rows whose further images can all be used, with further columns
        for each, see `image_columns`: those of `ImageTable.rows` but `modified`.
      problems: what is wrong with further images, once for each row that names one.
      unusable: the files of the rows' own images that aren't in `rows`, by key.
      files: the files of further images that are no row's own, see
        `image_table.files_of`.
    """

    rows: pa.RecordBatch
    problems: tuple[Problem, ...]
    unusable: Mapping[str, File]
    files: pa.RecordBatch


def with_further(
    table: pa.RecordBatch,
    inspected: ImageTable,
    named_in: Mapping[str, str],
    inspect: Callable[[pa.RecordBatch], ImageTable],
    closest: Callable[[Sequence[Problem]], Sequence[Problem]],
) -> WithFurther:
    """Inspects the further images of rows, each file once.

    Args:
      table: the rows of the label table.
      inspected: what their own images are.
      named_in: see `label_table.LabelTable`.
      inspect: inspects the images of rows with `row`, `key` and `label`.
      closest: adds the closest files to problems.
    """
    keys = all_keys(table)
    keys = keys.filter(pc.invert(pc.is_in(keys, value_set=table["key"])))
    found = inspect(
        pa.record_batch(
            {
                "row": arrays.as_column(np.zeros(len(keys), np.int64)),
                "key": keys,
                "label": arrays.constant("", len(keys)),
            }
        )
    )
    files = _joined([inspected.rows, found.rows])
    refused = {one.key: one for one in inspected.problems}
    refused |= {one.key: one for one in closest(found.problems)}
    rows = inspected.rows
    is_good = np.ones(len(rows), bool)
    positions = {}
    for name in image_columns.names_of(table.schema.names):
        cells = rows[image_columns.column(name, "key")]
        positions[name] = pc.index_in(cells, value_set=files["key"])
        is_good &= arrays.as_numpy(positions[name].is_valid())
    bad = rows.filter(arrays.as_column(~is_good))
    rows = arrays.taken(rows, is_good)
    columns = {}
    for name, at in positions.items():
        of_rows = files.take(arrays.filtered(at, is_good))
        for about in files.schema.names:
            columns[image_columns.column(name, about)] = of_rows[about]
    return WithFurther(
        rows=arrays.with_columns(rows, columns),
        problems=tuple(_problems(table, named_in, refused)),
        unusable=image_table.own_files(bad),
        files=image_table.files_of(keys, found.rows, found.unusable),
    )


def all_keys(table: pa.RecordBatch, others: pa.Array | None = None) -> pa.Array:
    """Returns the keys of all images of rows, and perhaps others, each once, sorted."""
    images = [one["key"] for one in image_columns.all_images(table)]
    if others is not None and len(others):
        images.append(others)
    if len(images) == 1:
        return images[0]
    keys = pa.concat_arrays(images).unique()
    return keys.take(pc.sort_indices(keys))


def _joined(tables: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns the images of tables, one behind the other, with what rows have of one.

    Where only some tables have converted images, the others get the columns as well.
    """
    columns = {
        "key": pa.concat_arrays([one["key"] for one in tables]),
        "kind": kinds.joined([one["kind"] for one in tables]),
        **{
            name: pa.concat_arrays([one[name] for one in tables])
            for name in ("size", "digest")
        },
    }
    if any(image_table.CONVERTED[0] in one.schema.names for one in tables):
        stored = [_stored(one) for one in tables]
        for name, parts in zip(
            image_table.CONVERTED, zip(*stored, strict=True), strict=True
        ):
            columns[name] = arrays.joined(parts)
    return pa.record_batch(list(columns.values()), names=list(columns))


def _stored(table: pa.RecordBatch) -> list[pa.Array]:
    """Returns where the bytes of images are that are stored."""
    if image_table.CONVERTED[0] in table.schema.names:
        return [table[name] for name in image_table.CONVERTED]
    zeros = arrays.as_column(np.zeros(len(table), np.int64))
    return [arrays.constant("", len(table)), zeros, table["size"]]


def _problems(
    table: pa.RecordBatch, named_in: Mapping[str, str], refused: Mapping[str, Problem]
) -> Iterator[Problem]:
    """Yields a problem for each row and further image that can't be used."""
    if not refused:
        return
    unusable = arrays.texts(sorted(refused))
    for name in image_columns.names_of(table.schema.names):
        of_image = image_columns.column(name, "key")
        bad = table.filter(pc.is_in(table[of_image], value_set=unusable))
        about = ("row", "key", "label", "group", "given", of_image)
        for row, key, label, group, given, file in arrays.named(bad, about):
            yield Problem(
                refused[file].kind,
                row,
                f"{named_in[name]}, {refused[file].detail}",
                key=key,
                label=label,
                group=group,
                given=given,
            )
