"""Other values of the config that a table's labels support."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence

from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.problems import shown
from tfds_imagecsv.table import extra_columns

#: How many different labels are looked at.
MOST = 10_000

# What people write between the labels of an image.
_DELIMITERS = ("|", ";", ",")

# The share of the parts of labels that must occur in other labels, too.
_SHARE = 0.9

# Labels are measurements if there are more different ones than this share of the rows.
_MOST_ARE_DIFFERENT = 0.5


def about_labels(
    labels: Collection[str],
    options: TableOptions,
    *,
    rows: int,
    different: int | None = None,
) -> str | None:
    """Returns a sentence with the fields that suit the labels better, or None.

    Args:
      labels: different cells of the one column of labels; `MOST` of many are enough.
      options: what the user says of it.
      rows: the number of rows.
      different: how many different cells there are. Default: as many as `labels`.
    """
    different = len(labels) if different is None else different
    filled = [one for one in labels if one]
    if not filled:
        return None
    delimiter = _delimiter(filled)
    of_type, given = options.label_type, options.label_delimiter
    if delimiter and of_type != "none" and given != delimiter:
        example = next(one for one in sorted(filled) if delimiter in one)
        if of_type != "multilabel":
            fields = f"label_type='multilabel' and label_delimiter={delimiter!r}"
        elif given is None or not any(given in one for one in filled):
            fields = f"label_delimiter={delimiter!r}"
        else:
            return None
        return (
            f"labels such as {shown(example)} look like several with {delimiter!r}"
            f" between them; if they are, set {fields}"
        )
    if of_type == "regression" and not any(map(_is_number, filled)):
        return (
            f"no label is a number: the first is {shown(min(filled))}; set"
            " label_type='class'"
        )
    if of_type == "class" and _are_measurements(filled, different, rows):
        return (
            f"labels such as {shown(min(filled))} are numbers, mostly different ones;"
            " if they measure something, set label_type='regression'"
        )
    return None


def _delimiter(labels: Sequence[str]) -> str | None:
    """Returns what is between the labels of an image, if the labels show it.

    They do if most parts occur in several labels, and parts are fewer than labels.
    """
    for one in _DELIMITERS:
        if sum(one in label for label in labels) < 2:
            continue
        found = [{part.strip() for part in label.split(one)} for label in labels]
        counts = collections.Counter(part for parts in found for part in parts)
        if "" in counts or len(counts) >= len(labels):
            continue
        of_several = {part for parts in found if len(parts) > 1 for part in parts}
        again = sum(counts[part] > 1 for part in of_several)
        if of_several and again >= _SHARE * len(of_several):
            return one
    return None


def _are_measurements(labels: Sequence[str], different: int, rows: int) -> bool:
    return (
        different > max(1, _MOST_ARE_DIFFERENT * rows)
        and all(map(_is_number, labels))
        # Whole numbers may as well be names.
        and any("." in one for one in labels)
    )


def _is_number(text: str) -> bool:
    return extra_columns.as_float(text) is not None
