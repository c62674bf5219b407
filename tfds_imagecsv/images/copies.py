"""Identical images, and contradictions between their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from tfds_imagecsv import arrays
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import image_columns

# Rows that are looked at at once.
_ROWS = 1 << 18


def identical_images(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the rows of images that have copies, one set of copies after another.

    Rows with further images are copies if all of their images are; their `digest` is
    that of all. The row that is kept when copies are dropped comes first in its set: a
    pinned row before others, then one with a label, then one with a given split, then
    the first by key.

    Args:
      rows: sorted by key.
    """
    of_images = digests_of(rows)
    if len(of_images) > 1:
        rows = arrays.with_columns(rows, {"digest": _of_all(of_images)})
    at, numbers = with_copies(rows["digest"])
    copies = rows.take(arrays.as_column(at))
    by_digest = numbers[:, 1], numbers[:, 0]
    order = np.lexsort((np.arange(len(at)), *lacks_of(copies), *by_digest))
    return copies.take(arrays.as_column(order))


def digests_of(rows: pa.RecordBatch) -> list[pa.Array]:
    """Returns the digests of the rows' own images, and of each further one."""
    return [one["digest"] for one in image_columns.all_images(rows)]


def _of_all(of_images: Sequence[pa.Array]) -> pa.Array:
    """Returns a digest for each row, equal if those of all its images are."""
    both = np.stack([arrays.digests_of(one) for one in of_images], axis=1)
    of_rows = both.reshape(len(both), 2 * len(of_images))
    found = [files.digest_of(row.tobytes()) for row in of_rows]
    return arrays.as_digests(np.frombuffer(b"".join(found), np.uint8).reshape(-1, 16))


def shared_images(rows: pa.RecordBatch) -> list[list[str]]:
    """Returns the keys of rows that have an image in common, sorted, for each image.

    It may be another column's. Rows that are copies of each other aren't counted again.
    """
    of_images = digests_of(rows)
    if len(of_images) == 1 or not len(rows):
        return []
    at, numbers = with_copies(pa.concat_arrays(of_images))
    copy_of = np.arange(len(rows))
    copies_at, of_copies = with_copies(_of_all(of_images))
    _, first, which = np.unique(
        of_copies, axis=0, return_index=True, return_inverse=True
    )
    copy_of[copies_at] = copies_at[first][which.ravel()]
    _, image = np.unique(numbers, axis=0, return_inverse=True)
    pairs = np.unique(np.stack([image.ravel(), copy_of[at % len(rows)]]), axis=1)
    starts = np.flatnonzero(np.diff(pairs[0], prepend=-1))
    sets = [one for one in np.split(pairs[1], starts[1:]) if len(one) > 1]
    return sorted(rows["key"].take(arrays.as_column(one)).to_pylist() for one in sets)


def lacks_of(rows: pa.RecordBatch) -> list[arrays.Bits]:
    """Returns which rows lack what the row that is kept should have.

    They are for `numpy.lexsort`: the most important is the last one.
    """
    return [~arrays.is_filled(rows[name]) for name in ("given", "label", "pinned")]


def with_copies(
    digests: pa.Array,
) -> tuple[arrays.Ints, np.ndarray[tuple[int, ...], np.dtype[np.uint64]]]:
    """Returns the positions of digests that occur again, and those as numbers.

    See `arrays.digests_of`.
    """
    # Few have equal halves, and halves take less to compare.
    halves = arrays.halves_of(digests)
    in_order = np.sort(halves)
    again = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    del in_order
    if not len(again):
        return np.zeros(0, np.int64), arrays.digests_of(digests[:0])
    of_blocks = []
    for start in range(0, len(halves), _ROWS):
        block = halves[start : start + _ROWS]
        near = np.minimum(np.searchsorted(again, block), len(again) - 1)
        of_blocks.append(np.flatnonzero(again[near] == block) + start)
    at = np.concatenate(of_blocks)
    numbers = arrays.digests_of(digests.take(arrays.as_column(at)))
    _, which, counts = np.unique(
        numbers, axis=0, return_inverse=True, return_counts=True
    )
    are_equal = counts[which.ravel()] > 1
    return at[are_equal], numbers[are_equal]


def first_of_sets(copies: pa.RecordBatch) -> arrays.Ints:
    """Returns the position of the first copy of each set."""
    digests = copies["digest"]
    return np.flatnonzero(~arrays.is_same_as_before(digests))


def keys_of_sets(
    copies: pa.RecordBatch, most: int | None = None
) -> Iterator[list[str]]:
    """Yields the keys of each set of copies; of very many, the first by key.

    Args:
      copies: see `identical_images`.
      most: how many sets; default: all, in their order.
    """
    starts = first_of_sets(copies)
    ends = np.append(starts[1:], len(copies))
    which = np.arange(len(starts))
    if most is not None:
        order = arrays.order_of(copies["key"].take(arrays.as_column(starts)))
        which = (which if order is None else order)[:most]
    for at in which.tolist():
        yield copies["key"][starts[at] : ends[at]].to_pylist()


def with_first(copies: pa.RecordBatch) -> Iterator[tuple[tuple[int, str, str], ...]]:
    """Yields each copy but the first of its set, with the first.

    Both are given by row number, key and label.
    """
    first_of: dict[bytes, tuple[int, str, str]] = {}
    columns = ("digest", "row", "key", "label")
    for digest, row, key, label in arrays.named(copies, columns):
        first = first_of.setdefault(digest, (row, key, label))
        if first[0] != row:
            yield (row, key, label), first


def conflicting_labels(copies: pa.RecordBatch, places: Places) -> Iterator[Problem]:
    """Yields a problem for each copy whose label differs from the first one's."""
    labeled = arrays.taken(copies, arrays.is_filled(copies["label"]))
    labels, starts = arrays.codes_of(labeled["label"]), first_of_sets(labeled)
    sizes = np.diff(np.append(starts, len(labeled)))
    differs = labels != np.repeat(labels[starts], sizes)
    # Sets whose labels are the same need no closer look.
    has_others = np.zeros(len(starts), bool)
    has_others[np.repeat(np.arange(len(starts)), sizes)[differs]] = True
    labeled = arrays.taken(labeled, np.repeat(has_others, sizes))
    for (row, key, label), (first_row, first_key, first_label) in with_first(labeled):
        if label != first_label:
            detail = (
                f"{key!r} is {label!r}, and the same as"
                f" {first_key!r}{places.inside(first_row)}, which is {first_label!r}"
            )
            yield Problem(Kind.CONFLICT, row, detail)
