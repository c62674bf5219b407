"""Which record is in which shard, and in what order.

Hashes of the keys give the order of the records, and their sizes give the number of
shards. Both are known before a record is written: each piece of a shard can be written
by itself, anywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays
from tfds_imagecsv.images import kinds
from tfds_imagecsv.shards import examples, records
from tfds_imagecsv.table import image_columns

# Keys that are Python objects at the same time, and records whose sizes are worked out
# at once.
_HASHED_AT_ONCE = 1 << 16
_SIZED_AT_ONCE = 1 << 18


class ShardRule(Protocol):
    """TFDS's rules for shards; see `tfds_private`."""

    def number(self, total_size: int, examples: int) -> int:
        """Returns how many shards a split has.

        Args:
          total_size: the bytes of all of its records.
          examples: how many records it has.
        """

    def ends(self, examples: int, shards: int) -> Sequence[int]:
        """Returns the end of each shard, in records from the beginning of the split.

        Args:
          examples: how many records the split has.
          shards: how many shards it has.
        """


class Shard(NamedTuple):
    """A file of records.

    Attributes:
      split: the split that it belongs to.
      number: its number within the split, from 0.
      of: how many shards the split has.
      start: its first row in the plan.
      stop: the row after its last one.
    """

    split: str
    number: int
    of: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """What the files of a dataset will have.

    Attributes:
      rows: a row for each record, with the columns that `as_examples` takes.
      order: the positions of the rows in the order in which they are written, split by
        split, int64.
      record_sizes: the bytes of the records, in that order, int64.
      shards: the files, in the order of the rows.
    """

    rows: pa.RecordBatch
    order: arrays.Ints
    record_sizes: arrays.Ints
    shards: tuple[Shard, ...]


def plan_shards(
    rows: pa.RecordBatch,
    splits: Iterable[str],
    *,
    rule: ShardRule,
    shuffle: bool = True,
) -> ShardPlan:
    """Plans the order of the records, and the shards.

    Args:
      rows: the examples, with the columns of `dataset_plan.DatasetPlan`, and those of
        features (see `FEATURE_PREFIX`).
      splits: the names of the splits, in the order in which they are written.
      rule: how many shards there are, and where they end.
      shuffle: whether the records of a split are in the order of hashes, not in that
        of the keys.

    Raises:
      ConfigError: if a split has fewer examples than `num_shards`.
      InvalidRowsError: if an image is too large for a record.
    """
    names = list(splits)
    of_split = [np.flatnonzero(arrays.is_text(rows["split"], name)) for name in names]
    if shuffle:
        for name, positions in zip(names, of_split, strict=True):
            positions[:] = positions[_hashed_order(name, rows["key"], positions)]
    order = np.concatenate(of_split)
    rows = rows.select(_columns_of(rows))
    sizes = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), _SIZED_AT_ONCE):
        stop = start + _SIZED_AT_ONCE
        sizes[start:stop] = _record_sizes(rows[start:stop])
    sizes = sizes[order]
    for at in np.flatnonzero(sizes > records.MAX_SIZE).tolist():
        row, key = (rows[name][int(order[at])].as_py() for name in ("row", "key"))
        examples.check_size(row, key, int(sizes[at]))
    shards = []
    start = 0
    for name, count in zip(names, map(len, of_split), strict=True):
        number = rule.number(int(sizes[start : start + count].sum()), count)
        ends = [start + end for end in rule.ends(count, number)]
        shards += [
            Shard(name, at, number, *ends_of_shard)
            for at, ends_of_shard in enumerate(itertools.pairwise([start, *ends]))
        ]
        start += count
    arrays.free_unused()
    return ShardPlan(rows=rows, order=order, record_sizes=sizes, shards=tuple(shards))


def _columns_of(rows: pa.RecordBatch) -> list[str]:
    """Returns the names of the columns that `as_examples` takes."""
    there = rows.schema.names
    wanted = (*examples.OF_IMAGE, *examples.OF_CONVERTED)
    of_images = [
        column
        for name in image_columns.names_of(there, with_mask=True)
        for about, column in image_columns.about(there, name).items()
        if about in wanted
    ]
    return [
        *("row", "kind", *(name for name in wanted if name in there)),
        *examples.feature_columns(there).values(),
        *of_images,
    ]


def as_examples(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Returns rows with the columns that `examples.examples` takes.

    Args:
      rows: with the columns `row`, `key`, `kind`, `size`, `digest`, those of features
        and of further images, and perhaps `examples.OF_CONVERTED`.
    """
    columns = {name: rows[name] for name in _columns_of(rows) if name != "kind"}
    for name in ("stored_format", "stored_height", "stored_width"):
        columns[name] = kinds.column(rows, name)
    return pa.record_batch(list(columns.values()), names=list(columns))


def _hashed_order(split: str, keys: pa.Array, at: arrays.Ints) -> arrays.Ints:
    """Returns the positions within `at` in the order in which TFDS writes the keys.

    TFDS sorts by MD5, as a number of 128 bits, salted with the name of the split
    (`tensorflow_datasets/core/hashing.py`, which is slower).
    """
    # Hardly any two have the same first half, and halves take less to sort.
    halves = np.empty(len(at), np.uint64)
    for start in range(0, len(at), _HASHED_AT_ONCE):
        digests = _salted_digests(split, keys, at[start : start + _HASHED_AT_ONCE])
        found = np.frombuffer(b"".join(digests), ">u8")[::2]
        halves[start : start + len(found)] = found
    order = np.argsort(halves)
    is_tie = arrays.ties_of(halves[order])
    if is_tie.any():
        tied = order[is_tie]
        digests = _salted_digests(split, keys, at[tied])
        order[is_tie] = tied[sorted(range(len(tied)), key=digests.__getitem__)]
    return order


def _salted_digests(split: str, keys: pa.Array, at: arrays.Ints) -> list[bytes]:
    """Returns the digests of the keys at some positions."""
    some = keys.take(arrays.as_column(at))
    if arrays.may_have(some, "\\"):
        some = pc.replace_substring(some, "\\", "/")
    salted = hashlib.md5(split.encode())
    digests = []
    for key in arrays.as_bytes(some):
        of_key = salted.copy()
        of_key.update(key)
        digests.append(of_key.digest())
    return digests


def _record_sizes(rows: pa.RecordBatch) -> arrays.Ints:
    """Returns the bytes of records."""
    images = {
        name: image_columns.of_image(rows, name)
        for name in image_columns.names_of(rows.schema.names, with_mask=True)
    }
    features = examples.feature_columns(rows.schema.names)
    texts = {
        name: rows[column]
        for name, column in features.items()
        if column.startswith(examples.TEXTS_PREFIX)
    }
    return records.serialized_sizes(
        {
            **{
                name: _stored_sizes(one)
                for name, one in {"image": rows, **images}.items()
            },
            **{
                name: _value_sizes(rows[column])
                for name, column in (("image/filename", "key"), *features.items())
                if name not in texts
            },
            **{
                f"image/{fact}": kinds.of_each(rows, f"stored_{fact}", _value_sizes)
                for fact in ("format", "height", "width")
            },
        },
        {
            name: records.sizes_of_texts(
                _lengths_of(column.flatten()), _counts_of(column)
            )
            for name, column in texts.items()
        },
    )


def _stored_sizes(rows: pa.RecordBatch) -> arrays.Ints:
    """Returns the bytes that are stored of images."""
    name = "stored_size" if "stored_size" in rows.schema.names else "size"
    sizes: arrays.Ints = arrays.as_numpy(rows[name])
    return sizes


def _lengths_of(column: pa.Array) -> arrays.Ints:
    """Returns the bytes of each text."""
    if column.type == arrays.TEXT:
        return arrays.lengths_of(column)
    lengths: arrays.Ints = arrays.as_numpy(pc.binary_length(column)).astype(np.int64)
    return lengths


def _counts_of(column: pa.Array) -> arrays.Ints:
    """Returns how many values each list has."""
    counts: arrays.Ints = arrays.as_numpy(column.value_lengths()).astype(np.int64)
    return counts


def _value_sizes(column: pa.Array) -> arrays.Ints:
    """Returns what `records.value_sizes` does, of a column."""
    if isinstance(column, pa.DictionaryArray):
        found: arrays.Ints = arrays.mapped(
            column, records.value_sizes(column.dictionary.to_pylist())
        )
        return found
    if column.type == arrays.TEXT:
        return arrays.lengths_of(column)
    if pa.types.is_list(column.type):
        counts = _counts_of(column)
        sizes = 4 * counts
        if not pa.types.is_floating(column.type.value_type):
            sizes = records.sums(_value_sizes(column.flatten()), counts)
        return np.where(counts, sizes, -1)
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        numbers = arrays.as_numpy(column.cast(pa.int64()))
        return records.varint_sizes(numbers)
    # All others have one size.
    return np.repeat(records.value_sizes(column[:1].to_pylist()), len(column))
