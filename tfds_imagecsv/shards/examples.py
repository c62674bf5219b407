"""Rows as examples: the image and its features, and the record of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tfds_imagecsv import exceptions
from tfds_imagecsv.engines.engine import Chunk
from tfds_imagecsv.images import convert
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, UnusableImageError
from tfds_imagecsv.shards import records
from tfds_imagecsv.storage import files

#: The columns that hold the values of features, besides those of the image, begin with
#: it; what they hold is what `records.serialize` takes, or str.
FEATURE_PREFIX = "feature/"


class Place(NamedTuple):
    """Where records go, and what their images are to be.

    Attributes:
      image_dir: the directory that the keys are relative to.
      options: what the images are to be.
      path: the file.
      offset: where in the file the first record goes, in bytes.
      file_format: TFDS's name of the file's format.
    """

    image_dir: str
    options: ImageOptions
    path: str
    offset: int
    file_format: str


def feature_columns(columns: Iterable[str]) -> dict[str, str]:
    """Returns those of some columns that hold features, by the features' names."""
    return {
        column.removeprefix(FEATURE_PREFIX): column
        for column in columns
        if column.startswith(FEATURE_PREFIX)
    }


def serialized(chunk: Chunk) -> Iterator[bytes]:
    """Yields the records of some rows, in order.

    Args:
      chunk: as for `examples`.

    Raises:
      InvalidRowsError: as `examples`, and if an image got too large for a record.
    """
    rows, keys = chunk.columns["row"], chunk.columns["key"]
    for row, key, example in zip(rows, keys, examples(chunk), strict=True):
        record = records.serialize(example)
        check_size(row, key, len(record))
        yield record


def check_size(row: int, key: str, size: int) -> None:
    """Checks that a record isn't too large."""
    if size > records.MAX_SIZE:
        detail = f" takes {size:,} bytes, and a record has {records.MAX_SIZE:,} at most"
        raise _refusal(Kind.UNREADABLE, row, key, detail)


def _refusal(
    kind: Kind, row: int, key: str, detail: str
) -> exceptions.InvalidRowsError:
    return exceptions.InvalidRowsError(
        f"{kind.heading}: row {row}: {key!r}{detail}. {kind.remedy}"
    )


def examples(chunk: Chunk) -> Iterator[dict[str, Any]]:
    """Yields the features of some rows, in order: what `records.serialize` takes.

    Args:
      chunk: where the images are and what they are to be, and the rows.

    Raises:
      InvalidRowsError: if an image isn't any more what was inspected, or if only its
        header was and it is damaged.
    """
    image_dir, options = chunk.about[:2]
    columns = chunk.columns
    known = {
        "image/filename": columns["key"],
        "image/format": columns["format"],
        "image/height": columns["stored_height"],
        "image/width": columns["stored_width"],
        **{name: columns[at] for name, at in feature_columns(columns).items()},
    }
    features = [
        [value.encode() if isinstance(value, str) else value for value in values]
        for values in known.values()
    ]
    readers = files.FileReader(image_dir).readers(
        columns["key"], columns["digest"], columns["size"]
    )
    conversion = columns["conversion"]
    for at, (read, *values) in enumerate(zip(readers, *features, strict=True)):
        example = dict(zip(known, values, strict=True))
        try:
            content = read()
            if conversion[at]:
                facts = Facts(*(columns[name][at] for name in Facts._fields))
                content = convert.convert(content, facts, options)
                stored_format = convert.stored_format(content)
                example["image/format"] = stored_format.encode()
        except UnusableImageError as error:
            row, key = columns["row"][at], columns["key"][at]
            raise _refusal(error.kind, row, key, error.detail) from error
        example["image"] = content
        yield example
