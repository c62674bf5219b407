"""Identical images, and contradictions between their labels."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tfds_imagecsv.problems import Kind, Places, Problem


def identical_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of images that have copies, one set of copies after another.

    The row that is kept when copies are dropped comes first in its set: a pinned row
    before others, then one with a label, then one with a given split, then the first
    by key.
    """
    copies = rows[rows.duplicated("digest", keep=False)]
    lacks = {
        f"lacks_{column}": copies[column] == ""
        for column in ("pinned", "label", "given")
    }
    order = ["digest", *lacks, "key"]
    return copies.assign(**lacks).sort_values(order, ignore_index=True)


def with_first(copies: pd.DataFrame) -> Iterator[tuple[tuple[int, str, str], ...]]:
    """Yields each copy but the first of its set, with the first.

    Both are given by row number, key and label.
    """
    first_of: dict[str, tuple[int, str, str]] = {}
    columns = ("digest", "row", "key", "label")
    for digest, *copy in zip(*(copies[name] for name in columns), strict=True):
        row, key, label = copy
        first = first_of.setdefault(digest, (row, key, label))
        if first[0] != row:
            yield (row, key, label), first


def conflicting_labels(copies: pd.DataFrame, places: Places) -> Iterator[Problem]:
    """Yields a problem for each copy whose label differs from the first one's."""
    labeled = copies[copies["label"] != ""]
    for (row, key, label), (first_row, first_key, first_label) in with_first(labeled):
        if label != first_label:
            detail = (
                f"{key!r} is {label!r}, and the same as"
                f" {first_key!r}{places.inside(first_row)}, which is {first_label!r}"
            )
            yield Problem(Kind.CONFLICT, row, detail)
