"""The images of a directory without a row, and statistics of images."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays, image_formats
from tfds_imagecsv.images import kinds
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.table import image_columns


def unlisted_images(
    listing: Listing, keys: pa.Array, others: Iterable[str] = ()
) -> tuple[str, ...]:
    """Returns the images of a directory that aren't among the keys, sorted.

    Images are known by their extension.

    Args:
      listing: the files of the directory.
      keys: relative to it, with `/` between folders, sorted.
      others: further keys.
    """
    is_known = arrays.is_in_sorted(listing.keys, keys)
    unknown = listing.keys.filter(arrays.as_column(~is_known)).to_pylist()
    # Only unknown keys need a look at their extension.
    left = {*unknown, *listing.odd}.difference(others)
    return tuple(sorted(filter(image_formats.is_image, left)))


def count_conversions(rows: pa.RecordBatch) -> dict[str, int]:
    """Returns the number of converted images of a table by reason."""
    found: collections.Counter[str] = collections.Counter()
    for reasons, count in kinds.counts(rows, "conversion").items():
        for reason in reasons.split(", ") if reasons else ():
            found[reason] += count
    return dict(sorted(found.items()))


def count_other_profiles(rows: pa.RecordBatch) -> int:
    """Returns the number of images with a colour profile that isn't sRGB's."""
    return kinds.counts(rows, "has_other_profile").get(True, 0)


def count_other_extensions(rows: pa.RecordBatch) -> int:
    """Returns the number of images whose extension is that of another format."""
    return sum(map(_other_extensions, image_columns.all_images(rows)))


def _other_extensions(rows: pa.RecordBatch) -> int:
    by_extension = image_formats.by_extension()
    found = 0
    formats = np.array(rows["kind"].dictionary.field("format").to_pylist(), object)
    for image_format in np.unique(formats).tolist():
        # Most extensions fit, which takes little time to see.
        is_other = arrays.mapped(rows["kind"], formats == image_format)
        for extension, usual in by_extension.items():
            if usual == image_format and is_other.any():
                ends = pc.ends_with(rows["key"], pattern=extension)
                is_other &= ~arrays.as_numpy(ends)
        for key in (
            rows["key"].take(arrays.as_column(np.flatnonzero(is_other))).to_pylist()
        ):
            extension = image_formats.extension_of(key)
            found += by_extension.get(extension, image_format) != image_format
    return found
