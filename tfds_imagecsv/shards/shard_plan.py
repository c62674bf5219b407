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

# Keys that are Python's objects at once.
_HASHED_AT_ONCE = 1 << 16


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
      split: the split that it is of.
      number: its number within the split, from 0.
      of: how many shards the split has.
      start: its first row in the plan.
      stop: the row behind its last one.
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
      rows: a row for each record, in the order in which they are written, split by
        split, with the columns that `examples.examples` takes, and `record_size`
        (int64: bytes of the record).
      shards: the files, in the order of the rows.
    """

    rows: pa.RecordBatch
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
        of_split = [
            at[_hashed_order(name, rows["key"].take(pa.array(at)))]
            for name, at in zip(names, of_split, strict=True)
        ]
    ordered = as_examples(rows, np.concatenate(of_split))
    sizes = _record_sizes(ordered)
    for at in np.flatnonzero(sizes > records.MAX_SIZE).tolist():
        row, key = ordered["row"][at].as_py(), ordered["key"][at].as_py()
        examples.check_size(row, key, int(sizes[at]))
    ordered = arrays.with_columns(ordered, {"record_size": sizes})
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
    return ShardPlan(rows=ordered, shards=tuple(shards))


def as_examples(rows: pa.RecordBatch, at: arrays.Ints) -> pa.RecordBatch:
    """Returns some rows with the columns that `examples.examples` takes.

    Args:
      rows: those of the dataset, with the columns of features.
      at: the positions of the rows, in their new order.
    """
    positions = pa.array(at)
    of_kinds = {"stored_format", "stored_height", "stored_width"}
    names = [
        *(name for name in examples.COLUMNS if name not in of_kinds),
        *(name for name in examples.OF_CONVERTED if name in rows.schema.names),
        *examples.feature_columns(rows.schema.names).values(),
    ]
    columns = {name: rows[name].take(positions) for name in names}
    kind = pa.record_batch({"kind": rows["kind"].take(positions)})
    columns["stored_format"] = kinds.column(kind, "stored_format")
    for name in ("stored_height", "stored_width"):
        columns[name] = kinds.column(kind, name).cast(pa.int32())
    return pa.record_batch(list(columns.values()), names=list(columns))


def _hashed_order(split: str, keys: pa.Array) -> arrays.Ints:
    """Returns the positions of keys in the order in which TFDS writes them.

    TFDS sorts by MD5, as a number of 128 bits, salted with the name of the split
    (`tensorflow_datasets/core/hashing.py`, which is slower).
    """
    if arrays.may_have(keys, "\\"):
        keys = pc.replace_substring(keys, "\\", "/")
    salted = hashlib.md5(split.encode())
    numbers = np.empty((len(keys), 2), ">u8")
    for start in range(0, len(keys), _HASHED_AT_ONCE):
        digests = []
        for key in arrays.as_bytes(keys[start : start + _HASHED_AT_ONCE]):
            of_key = salted.copy()
            of_key.update(key)
            digests.append(of_key.digest())
        found = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2)
        numbers[start : start + len(found)] = found
    # Hardly any two are equal by half, which takes less to sort.
    half = numbers[:, 0].astype(np.uint64)
    order = np.argsort(half)
    half = half[order]
    if (half[1:] == half[:-1]).any():
        order = np.lexsort((numbers[:, 1], numbers[:, 0]))
    return order


def _record_sizes(rows: pa.RecordBatch) -> arrays.Ints:
    """Returns the bytes of records."""
    of_image = "stored_size" if "stored_size" in rows.schema.names else "size"
    return records.serialized_sizes(
        {
            "image": rows[of_image].to_numpy(),
            **{
                name: _value_sizes(rows[column])
                for name, column in (
                    ("image/filename", "key"),
                    ("image/format", "stored_format"),
                    ("image/height", "stored_height"),
                    ("image/width", "stored_width"),
                    *examples.feature_columns(rows.schema.names).items(),
                )
            },
        }
    )


def _value_sizes(column: pa.Array) -> arrays.Ints:
    """Returns what `records.value_sizes` does, of a column."""
    if isinstance(column, pa.DictionaryArray):
        found: arrays.Ints = arrays.mapped(
            column, records.value_sizes(column.dictionary.to_pylist())
        )
        return found
    if column.type == arrays.TEXT:
        return arrays.lengths_of(column)
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        numbers = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return records.varint_sizes(numbers)
    # All others have one size.
    return np.repeat(records.value_sizes(column[:1].to_pylist()), len(column))
