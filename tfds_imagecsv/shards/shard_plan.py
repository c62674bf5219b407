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
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tfds_imagecsv.shards import examples, records

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    _Ints = npt.NDArray[np.int64]


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
        split, with the columns of the rows that the plan was made of, and
        `record_size` (int64: bytes of the record).
      shards: the files, in the order of the rows.
    """

    rows: pd.DataFrame
    shards: tuple[Shard, ...]


def plan_shards(
    rows: pd.DataFrame,
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
    import numpy as np

    names = list(splits)
    keys = rows["key"].to_numpy()
    of_split = [np.flatnonzero(rows["split"] == name) for name in names]
    if shuffle:
        of_split = [
            at[_hashed_order(name, keys[at].tolist())]
            for name, at in zip(names, of_split, strict=True)
        ]
    ordered = rows.take(np.concatenate(of_split)).reset_index(drop=True)
    sizes = _record_sizes(ordered)
    for at in np.flatnonzero(sizes > records.MAX_SIZE):
        examples.check_size(ordered["row"][at], ordered["key"][at], sizes[at])
    ordered["record_size"] = sizes
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
    return ShardPlan(rows=ordered, shards=tuple(shards))


def _hashed_order(split: str, keys: Sequence[str]) -> _Ints:
    """Returns the positions of keys in the order in which TFDS writes them.

    TFDS sorts by MD5, as a number of 128 bits, salted with the name of the split
    (`tensorflow_datasets/core/hashing.py`, which is slower).
    """
    import numpy as np

    salted = hashlib.md5(split.encode())
    digests = []
    for key in keys:
        of_key = salted.copy()
        of_key.update(key.replace("\\", "/").encode())
        digests.append(of_key.digest())
    numbers = np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2)
    return np.lexsort((numbers[:, 1], numbers[:, 0]))


def _record_sizes(rows: pd.DataFrame) -> _Ints:
    """Returns the bytes of records."""
    import numpy as np

    def text_sizes(texts: list[str]) -> _Ints:
        return np.fromiter(map(len, map(str.encode, texts)), np.int64, len(texts))

    def number_sizes(name: str) -> _Ints:
        return records.varint_sizes(rows[name].to_numpy())

    return records.serialized_sizes(
        {
            "image": rows["stored_size"].to_numpy(),
            "image/filename": text_sizes(rows["key"].tolist()),
            "image/format": text_sizes(rows["stored_format"].tolist()),
            "image/height": number_sizes("stored_height"),
            "image/width": number_sizes("stored_width"),
            **{
                name: records.value_sizes(rows[column].tolist())
                for name, column in examples.feature_columns(map(str, rows)).items()
            },
        }
    )
