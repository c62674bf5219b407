"""The images of a directory without a row, and statistics of images."""

from __future__ import annotations

import collections
from collections.abc import Collection
from typing import TYPE_CHECKING

from tfds_imagecsv import image_formats
from tfds_imagecsv.sources.listing import Listing

if TYPE_CHECKING:
    import pandas as pd


def unlisted_images(listing: Listing, keys: Collection[str]) -> tuple[str, ...]:
    """Returns the images of a directory that aren't among the keys, sorted.

    Images are known by their extension.

    Args:
      listing: the files of the directory.
      keys: relative to it, with `/` between folders.
    """
    # Only unknown keys need a look at their extension.
    return tuple(
        sorted(filter(image_formats.is_image, listing.as_set.difference(keys)))
    )


def count_conversions(rows: pd.DataFrame) -> dict[str, int]:
    """Returns the number of converted images of a table by reason."""
    found: collections.Counter[str] = collections.Counter()
    for reasons, count in rows["conversion"].value_counts().items():
        for reason in str(reasons).split(", ") if reasons else ():
            found[reason] += count
    return dict(sorted(found.items()))


def count_other_profiles(rows: pd.DataFrame) -> int:
    """Returns the number of images with a colour profile that isn't sRGB's."""
    return int(rows["has_other_profile"].sum())


def count_other_extensions(rows: pd.DataFrame) -> int:
    """Returns the number of images whose extension is that of another format."""
    formats = image_formats.by_extension()
    usual = {
        image_format: tuple(name for name in formats if formats[name] == image_format)
        for image_format in set(formats.values())
    }
    # Most extensions fit, which is quickly seen.
    others = [
        (key, image_format)
        for key, image_format in zip(
            rows["key"].tolist(), rows["format"].tolist(), strict=True
        )
        if not key.endswith(usual.get(image_format, ()))
    ]
    return sum(
        formats.get(image_formats.extension_of(key), image_format) != image_format
        for key, image_format in others
    )
