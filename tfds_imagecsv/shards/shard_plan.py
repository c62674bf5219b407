"""Which record is in which shard, and in what order.

Hashes of the keys give the order of the records, and their sizes give the number of
shards. Both are known before an image is read for writing: each piece of a shard can be
written by itself, anywhere.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.shards import examples, records

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    _Ints = npt.NDArray[np.int64]


# Converted images whose sizes stand for those of all.
_SAMPLE = 256

# Bytes of a converted image besides its pixels, with room to spare.
_HEADERS = 1 << 16


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
        `record_size` (int64: bytes of the record; -1 where its image is converted).
      shards: the files, in the order of the rows.
    """

    rows: pd.DataFrame
    shards: tuple[Shard, ...]


def plan_shards(
    rows: pd.DataFrame,
    splits: Iterable[str],
    *,
    options: ImageOptions,
    rule: ShardRule,
    shuffle: bool = True,
    measure: Callable[[pd.DataFrame], _Ints],
) -> ShardPlan:
    """Plans the order of the records, and the shards.

    Args:
      rows: the examples, with the columns of `dataset_plan.DatasetPlan`, and those of
        features (see `FEATURE_PREFIX`).
      splits: the names of the splits, in the order in which they are written.
      options: what the images are to be.
      rule: how many shards there are, and where they end.
      shuffle: whether the records of a split are in the order of hashes, not in that
        of the keys.
      measure: returns how many bytes are stored for images that are converted, int64.
        It converts them, so it is called for a sample, and only if the number of shards
        may depend on them.

    Returns:
      The plan. Where a sample told the number of shards, it may be wrong: see
      `corrected`.

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
    stops = list(itertools.accumulate(map(len, of_split)))
    bounds = list(zip([0, *stops], stops, strict=False))

    def numbers_of_shards(sizes: _Ints) -> list[int]:
        return [
            rule.number(int(sizes[start:stop].sum()), stop - start)
            for start, stop in bounds
        ]

    sizes, numbers = _sizes_and_numbers(ordered, numbers_of_shards, options, measure)
    for at in np.flatnonzero(sizes > records.MAX_SIZE):
        examples.check_size(ordered["row"][at], ordered["key"][at], sizes[at])
    ordered["record_size"] = sizes
    return ShardPlan(
        rows=ordered,
        shards=_shards(dict(zip(names, bounds, strict=True)), numbers, rule),
    )


def corrected(
    plan: ShardPlan, sizes: Sequence[int], rule: ShardRule
) -> ShardPlan | None:
    """Returns a plan with other shards, if the number was estimated, and is wrong.

    Args:
      plan: the plan, whose shards were written.
      sizes: the bytes of the records of each shard.
      rule: how many shards there are, and where they end.

    Returns:
      The right plan, or None if it was right.
    """
    bounds: dict[str, tuple[int, int]] = {}
    totals: collections.Counter[str] = collections.Counter()
    for shard, size in zip(plan.shards, sizes, strict=True):
        start, _ = bounds.get(shard.split, (shard.start, 0))
        bounds[shard.split] = start, shard.stop
        totals[shard.split] += size
    numbers = [
        rule.number(totals[split], stop - start)
        for split, (start, stop) in bounds.items()
    ]
    shards = _shards(bounds, numbers, rule)
    return None if shards == plan.shards else dataclasses.replace(plan, shards=shards)


def _shards(
    bounds: Mapping[str, tuple[int, int]], numbers: Sequence[int], rule: ShardRule
) -> tuple[Shard, ...]:
    """Returns the shards of splits, whose first and last rows are given."""
    shards = []
    for (split, (start, stop)), number in zip(bounds.items(), numbers, strict=True):
        ends = [start + end for end in rule.ends(stop - start, number)]
        shards += [
            Shard(split, at, number, *ends_of_shard)
            for at, ends_of_shard in enumerate(itertools.pairwise([start, *ends]))
        ]
    return tuple(shards)


def _sizes_and_numbers(
    rows: pd.DataFrame,
    numbers_of_shards: Callable[[_Ints], list[int]],
    options: ImageOptions,
    measure: Callable[[pd.DataFrame], _Ints],
) -> tuple[_Ints, list[int]]:
    """Returns the sizes of records, -1 for unknown ones, and the numbers of shards.

    Only a conversion tells how many bytes an image takes then. But a number of shards
    holds for a wide range of sizes, and a sample mostly tells which; where it doesn't,
    `corrected` costs no more than to have converted all images before.
    """
    import numpy as np

    stored, formats = rows["size"].to_numpy().copy(), rows["format"].to_numpy().copy()
    converted = np.flatnonzero(rows["conversion"] != "")
    if not len(converted):
        sizes = _record_sizes(rows, stored, formats)
        return sizes, numbers_of_shards(sizes)

    def numbers_if(of_converted: _Ints | float, image_format: str) -> list[int]:
        stored[converted], formats[converted] = of_converted, image_format
        return numbers_of_shards(_record_sizes(rows, stored, formats))

    numbers = numbers_if(0, "PNG")
    most = _most_stored(rows.iloc[converted], options)
    if numbers != numbers_if(most, "JPEG"):
        sample = converted[:: max(1, len(converted) // _SAMPLE)]
        numbers = numbers_if(measure(rows.iloc[sample]).mean(), "PNG")
    sizes = _record_sizes(rows, stored, formats)
    sizes[converted] = -1
    return sizes, numbers


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


def _record_sizes(
    rows: pd.DataFrame, stored: _Ints, formats: npt.NDArray[np.object_]
) -> _Ints:
    """Returns the bytes of records whose images have these sizes and formats."""
    import numpy as np

    def text_sizes(texts: list[str]) -> _Ints:
        return np.fromiter(map(len, map(str.encode, texts)), np.int64, len(texts))

    def number_sizes(name: str) -> _Ints:
        return records.varint_sizes(rows[name].to_numpy())

    return records.serialized_sizes(
        {
            "image": stored,
            "image/filename": text_sizes(rows["key"].tolist()),
            "image/format": text_sizes(formats.tolist()),
            "image/height": number_sizes("stored_height"),
            "image/width": number_sizes("stored_width"),
            **{
                name: records.value_sizes(rows[column].tolist())
                for name, column in examples.feature_columns(map(str, rows)).items()
            },
        }
    )


def _most_stored(rows: pd.DataFrame, options: ImageOptions) -> _Ints:
    """Returns how many bytes converted images can take at most.

    A PNG has little more than the pixels' bytes. Of a JPEG, the code of the worst of
    coefficients takes 27 bits, where a pixel has 8.
    """
    pixels = (rows["stored_height"] * rows["stored_width"]).to_numpy()
    return pixels * (4 * pixel_size(options)) + _HEADERS


def pixel_size(options: ImageOptions) -> int:
    """Returns the bytes of an uncompressed pixel."""
    return options.channels * (2 if options.dtype == "uint16" else 1)
