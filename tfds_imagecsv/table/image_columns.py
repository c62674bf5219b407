"""Further images of each row: the columns of rows that are about them.

They begin with `PREFIX` and the name of the feature; behind that, they are called as
those of the row's own image are: `images/right/key`.

Workers and each load import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tfds_imagecsv.options import MASK

if TYPE_CHECKING:
    import pyarrow as pa

#: The columns of rows that are about further images begin with it.
PREFIX = "images/"

_KEY = "/key"


def column(name: str, what: str) -> str:
    """Returns the name of a column of rows.

    Args:
      name: the further image's.
      what: what the column is called for the row's own image.
    """
    return f"{PREFIX}{name}/{what}"


def names_of(columns: Iterable[str], *, with_mask: bool = False) -> list[str]:
    """Returns the names of the further images that some columns are about.

    Args:
      columns: the names of columns.
      with_mask: whether a segmentation mask, which has such columns, counts as one.
    """
    names = [
        one.removeprefix(PREFIX).removesuffix(_KEY)
        for one in columns
        if one.startswith(PREFIX) and one.endswith(_KEY)
    ]
    return [one for one in names if with_mask or one != MASK]


def about(columns: Iterable[str], name: str) -> dict[str, str]:
    """Returns those of some columns that are about a further image.

    They are by what they are called for the row's own image.
    """
    prefix = column(name, "")
    return {one.removeprefix(prefix): one for one in columns if one.startswith(prefix)}


def of_image(rows: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Returns the columns about a further image, called as those of the rows' own."""
    columns = about(rows.schema.names, name)
    return rows.select(list(columns.values())).rename_columns(list(columns))


def has_mask(columns: Iterable[str]) -> bool:
    """Returns whether some columns are about segmentation masks."""
    return column(MASK, "key") in columns


def all_images(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yields the rows with their own images, and then those of each further image."""
    yield rows
    for name in names_of(rows.schema.names):
        yield of_image(rows, name)
