"""Rows as examples: the image and its features, and the record of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tfds_imagecsv import exceptions
from tfds_imagecsv.engines.engine import Chunk
from tfds_imagecsv.problems import Kind, UnusableImageError
from tfds_imagecsv.shards import records
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import image_columns

#: The columns that a row needs in order to be written, besides those of features, of
#: converted images and of further images.
COLUMNS = (
    *("row", "key", "size", "digest"),
    *("stored_format", "stored_height", "stored_width"),
)

#: What is needed of a further image; see `image_columns`.
OF_IMAGE = ("key", "size", "digest")

#: The columns that say where converted images are; see `image_table.ImageTable`.
OF_CONVERTED = ("stored_file", "stored_offset", "stored_size")

#: The columns that hold the values of features, besides those of the image, begin with
#: it; what they hold is what `records.serialize` takes, or str.
FEATURE_PREFIX = "feature/"

#: The same for lists of floats and of texts, since an empty list doesn't show its kind.
FLOATS_PREFIX, TEXTS_PREFIX = "floats/", "texts/"

_PREFIXES = (FEATURE_PREFIX, FLOATS_PREFIX, TEXTS_PREFIX)


class Place(NamedTuple):
    """Where records go.

    Attributes:
      image_dir: the directory that the keys are relative to.
      path: the file.
      offset: where in the file the first record goes, in bytes.
      file_format: TFDS's name of the file's format.
    """

    image_dir: str
    path: str
    offset: int
    file_format: str


def feature_columns(columns: Iterable[str]) -> dict[str, str]:
    """Returns those of some columns that hold features, by the features' names."""
    return {
        column.removeprefix(prefix): column
        for column in columns
        for prefix in _PREFIXES
        if column.startswith(prefix)
    }


def serialized(chunk: Chunk) -> Iterator[bytes]:
    """Yields the records of some rows, in order.

    Args:
      chunk: as for `examples`.

    Raises:
      InvalidRowsError: as `examples`.
    """
    return map(records.serialize, examples(chunk))


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
      chunk: about `Place`, or another tuple that begins with the image directory; the
        columns are `COLUMNS`, those of features, and if images were converted,
        `OF_CONVERTED`; of further images, `OF_IMAGE` and `OF_CONVERTED`, see
        `image_columns`.

    Raises:
      InvalidRowsError: if an image has changed since it was inspected.
    """
    columns = chunk.lists()
    known = {
        "image/filename": columns["key"],
        "image/format": columns["stored_format"],
        "image/height": columns["stored_height"],
        "image/width": columns["stored_width"],
        **{
            name: _of_kind(at, columns[at])
            for name, at in feature_columns(columns).items()
        },
    }
    features = [
        [value.encode() if isinstance(value, str) else value for value in values]
        for values in known.values()
    ]
    columns_of = {"image": columns}
    for name in image_columns.names_of(columns, with_mask=True):
        of_image = image_columns.about(columns, name)
        columns_of[name] = {about: columns[one] for about, one in of_image.items()}
    readers = [_readers(chunk.about[0], one) for one in columns_of.values()]
    images = zip(*readers, strict=True)
    for at, (reads, *values) in enumerate(zip(images, *features, strict=True)):
        example = dict(zip(known, values, strict=True))
        for name, read in zip(columns_of, reads, strict=True):
            try:
                example[name] = read()
            except UnusableImageError as error:
                row, key = columns["row"][at], columns_of[name]["key"][at]
                raise _refusal(error.kind, row, key, error.detail) from error
        yield example


def _of_kind(column: str, values: list[Any]) -> list[Any]:
    """Returns the values of a column, lists as the kind that its name says."""
    if column.startswith(FLOATS_PREFIX):
        return list(map(records.Floats, values))
    if column.startswith(TEXTS_PREFIX):
        return [
            records.Texts(
                one.encode() if isinstance(one, str) else one for one in texts
            )
            for texts in values
        ]
    return values


def _readers(
    image_dir: str, columns: Mapping[str, list[Any]]
) -> Iterator[Callable[[], bytes]]:
    """Yields functions that return the bytes that are stored for images."""
    reader = files.FileReader(image_dir)
    of_images = [columns[name] for name in ("key", "digest", "size")]
    if OF_CONVERTED[0] not in columns:
        return reader.readers(*of_images)
    converted = [columns[name] for name in OF_CONVERTED]
    reads = (
        functools.partial(files.read_part, file, *place)
        if file
        else functools.partial(reader.read, *of_image)
        for of_image, (file, *place) in zip(
            zip(*of_images, strict=True), zip(*converted, strict=True), strict=True
        )
    )
    if any(map(files.is_remote, (image_dir, *converted[0]))):
        return files.called_ahead(reads)
    return reads
