"""Identical images, and those of them whose labels contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tfds_imagecsv.problems import Kind, Problem


def identical_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of images that have copies, one set of copies after another.

    In each set, the row that stays if copies are dropped comes first: one that is
    pinned rather than one that isn't, then one that has a label, then one whose
    split is given, then the first by key.
    """
    copies = rows[rows.duplicated("digest", keep=False)]
    lacks = {
        f"lacks_{column}": copies[column] == ""
        for column in ("pinned", "label", "given")
    }
    order = ["digest", *lacks, "key"]
    return copies.assign(**lacks).sort_values(order, ignore_index=True)


def with_first(copies: pd.DataFrame) -> Iterator[tuple[tuple[int, str, str], ...]]:
    """Yields each copy but the first of its set, and the first.

    Both are given as number of the row, key and label.
    """
    first_of: dict[str, tuple[int, str, str]] = {}
    columns = ("digest", "row", "key", "label")
    for digest, *copy in zip(*(copies[name] for name in columns), strict=True):
        row, key, label = copy
        first = first_of.setdefault(digest, (row, key, label))
        if first[0] != row:
            yield (row, key, label), first


def conflicting_labels(copies: pd.DataFrame) -> Iterator[Problem]:
    """Yields the problems of copies whose labels differ from that of the first."""
    labeled = copies[copies["label"] != ""]
    for (row, key, label), (first_row, first_key, first_label) in with_first(labeled):
        if label != first_label:
            detail = (
                f"{key!r} is {label!r}, and the same as {first_key!r} in row"
                f" {first_row}, which is {first_label!r}"
            )
            yield Problem(Kind.CONFLICT, row, detail)
