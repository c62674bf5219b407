"""The shards of a dataset: which row is in which, in what order, and their files.

The order of the records is that of hashes of their keys, and the number of shards
follows from the records' sizes. Both are known before an image is read for writing, so
that each shard, and each piece of one, can be written by itself, anywhere: its images
are read in order, and its bytes are written once, where they belong.
"""

from __future__ import annotations

import bisect
import collections
import contextlib
import dataclasses
import hashlib
import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from tfds_imagecsv import conversions, exceptions, images, records
from tfds_imagecsv.conversions import ImageOptions
from tfds_imagecsv.engines import Chunk, Engine
from tfds_imagecsv.pictures import Facts, UnusableImageError
from tfds_imagecsv.problems import Kind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from etils import epath

    _Ints = npt.NDArray[np.int64]

_Item = TypeVar("_Item")

# Bytes of a shard that are worked on at once, and images if they are converted, which
# takes much longer: small enough that the last pieces keep all workers busy.
_PIECE = 4 << 20
_CONVERTED = 32

# Files that are written side by side for each process.
_FILES_PER_WORKER = 2

# Converted images whose sizes stand for those of all.
_SAMPLE = 256

# Bytes that are written at once: few enough to stay in a processor's cache.
_BUFFER = 1 << 18

# Bytes of a converted image besides its pixels, with room to spare.
_HEADERS = 1 << 16

# The columns that a row needs in order to be written.
_NEEDED = (
    *("row", "key", "size", "digest", "format"),
    *("stored_height", "stored_width", "conversion"),
)

#: The columns that hold the values of features, besides those of the image, begin with
#: it; what they hold is what `records.serialize` takes, or str.
FEATURE_PREFIX = "feature/"


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
      rows: the examples, with the columns of `plan.DatasetPlan`, and those of features
        (see `FEATURE_PREFIX`).
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
        _check_size(ordered["row"][at], ordered["key"][at], sizes[at])
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

    That is the order of their MD5, as a number of 128 bits, salted with the name of the
    split (`tensorflow_datasets/core/hashing.py`, which is slower).
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
                for name, column in _feature_columns(map(str, rows)).items()
            },
        }
    )


def _most_stored(rows: pd.DataFrame, options: ImageOptions) -> _Ints:
    """Returns how many bytes converted images can take at the most.

    A PNG has little more than the pixels' bytes. Of a JPEG, the code of the worst of
    coefficients takes 27 bits, where a pixel has 8.
    """
    pixels = (rows["stored_height"] * rows["stored_width"]).to_numpy()
    return pixels * (4 * _pixel_size(options)) + _HEADERS


def _pixel_size(options: ImageOptions) -> int:
    """Returns how many bytes a pixel takes that isn't compressed."""
    return options.channels * (2 if options.dtype == "uint16" else 1)


class _Place(NamedTuple):
    """Where records go, and what their images are to be.

    Attributes:
      image_dir: the directory that the keys are relative to.
      options: what the images are to be.
      path: the file.
      offset: where in the file the first record goes, in bytes.
      file_format: TFDS's name of the file's format.
    """

    image_dir: str
    options: ImageOptions
    path: str
    offset: int
    file_format: str


def write_shards(
    plan: ShardPlan,
    paths: Sequence[epath.Path],
    *,
    image_dir: epath.Path,
    options: ImageOptions,
    file_format: str,
    engine: Engine,
    progress: Callable[[int, int], object] = lambda _images, _size: None,
    meanwhile: Callable[[], object] = lambda: None,
) -> list[int]:
    """Writes the files of a dataset.

    Args:
      plan: what they have.
      paths: the file of each shard.
      image_dir: the directory that the keys are relative to.
      options: what the images are to be.
      file_format: TFDS's name of the files' format, such as `"tfrecord"`.
      engine: where it is done.
      progress: is called with the number of images, and of bytes of their records, that
        were written since the last call.
      meanwhile: see `engines.Engine`.

    Returns:
      The bytes of the records of each shard.

    Raises:
      InvalidRowsError: if an image has changed since it was inspected, is damaged and
        was not decoded then, or is too large for a record when it is converted.
      OSError: if the files can't be written, such as where the disk is full.
    """
    place = _Place(os.fspath(image_dir), options, "", 0, file_format)
    jobs = [
        _Job(shard, place._replace(path=os.fspath(path)))
        for shard, path in zip(plan.shards, paths, strict=True)
    ]
    columns = _needed_columns(plan.rows)
    is_whole = not engine.is_local or (
        file_format != "tfrecord" and len(jobs) >= 2 * engine.workers
    )
    if is_whole:
        return _write_whole(jobs, columns, engine, progress, meanwhile)
    is_placed = (
        file_format == "tfrecord"
        and not any(images.is_remote(job.place.path) for job in jobs)
        and bool((plan.rows["record_size"] >= 0).all())
    )
    sizes = plan.rows["record_size"].tolist()
    if is_placed:
        return _write_placed(jobs, columns, sizes, engine, progress, meanwhile)
    return _write_in_order(jobs, columns, sizes, engine, progress, meanwhile)


class _Job(NamedTuple):
    """A shard, and where it goes."""

    shard: Shard
    place: _Place


def _needed_columns(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """Returns those columns of a plan's rows that are needed to write them."""
    names = [*_NEEDED, *_feature_columns(map(str, rows)).values()]
    if (rows["conversion"] != "").any():
        names += [name for name in Facts._fields if name not in names]
    return {name: rows[name].tolist() for name in names}


def _feature_columns(columns: Iterable[str]) -> dict[str, str]:
    """Returns those of some columns that hold features, by the features' names."""
    return {
        column.removeprefix(FEATURE_PREFIX): column
        for column in columns
        if column.startswith(FEATURE_PREFIX)
    }


def _rows_of(
    columns: Mapping[str, list[Any]], start: int, stop: int
) -> dict[str, list[Any]]:
    return {name: values[start:stop] for name, values in columns.items()}


def _write_whole(
    jobs: Sequence[_Job],
    columns: Mapping[str, list[Any]],
    engine: Engine,
    progress: Callable[[int, int], object],
    meanwhile: Callable[[], object],
) -> list[int]:
    """Writes each shard as a whole, wherever the engine likes."""
    chunks = [
        Chunk(place, _rows_of(columns, shard.start, shard.stop))
        for shard, place in jobs
    ]
    sizes = []
    for (shard, _), size in zip(
        jobs, engine.map(write_shard, chunks, meanwhile), strict=True
    ):
        sizes.append(size)
        progress(shard.stop - shard.start, size)
    return sizes


def write_shard(chunk: Chunk) -> int:
    """Writes a shard: its images are read in order, and none is kept.

    The file has a temporary name until it is complete, so that it doesn't matter if
    this is done twice at once, as some engines do.

    Args:
      chunk: where it goes, and its rows.

    Returns:
      The bytes of its records.
    """
    place: _Place = chunk.about
    with _renamed_when_complete(place.path) as path:
        return _write_file(path, place.file_format, serialized(chunk))


@contextlib.contextmanager
def _renamed_when_complete(path: str) -> Iterator[str]:
    """Yields a temporary name for a file."""
    from etils import epath

    if images.is_remote(path):
        from tfds_imagecsv import s3

        s3.use_s3fs()  # in the workers too
    temporary = epath.Path(_temporary(path))
    try:
        yield os.fspath(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: str) -> str:
    """Returns a name for a file, by which TFDS knows that it is unfinished."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"incomplete.{uuid.uuid4().hex}.{name}")  # noqa: PTH118


def _write_file(path: str, file_format: str, found: Iterable[bytes]) -> int:
    """Writes records to a file; returns their bytes."""
    from etils import epath

    if file_format == "tfrecord":
        with epath.Path(path).open("wb") as file:
            return _write_frames(file, found)

    from tfds_imagecsv import tfds_private

    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for record in found:
            size += len(record)
            yield record

    if not images.is_remote(path):
        tfds_private.write_records(path, file_format, counted())
        return size
    # The other formats' writers know local files only.
    with tempfile.TemporaryDirectory() as folder:
        local = epath.Path(folder) / "shard"
        tfds_private.write_records(os.fspath(local), file_format, counted())
        local.copy(path, overwrite=True)
    return size


def _write_frames(file: IO[bytes], found: Iterable[bytes]) -> int:
    """Writes records to an open TFRecord file; returns their bytes."""
    size = 0
    waiting: list[bytes] = []
    waiting_size = 0
    for record in found:
        size += len(record)
        waiting += records.frame(record)
        waiting_size += len(record)
        if waiting_size >= _BUFFER:
            file.write(b"".join(waiting))
            waiting, waiting_size = [], 0
    file.write(b"".join(waiting))
    return size


def _pieces(
    job: _Job, columns: Mapping[str, list[Any]], sizes: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yields the first row of each piece of a shard, and the one behind its last."""
    start, stop = job.shard.start, job.shard.stop
    of_pixel = _pixel_size(job.place.options)
    # A picture that doesn't compress takes as much as its pixels.
    expected = [
        size if size >= 0 else height * width * of_pixel
        for size, height, width in zip(
            sizes[start:stop],
            columns["stored_height"][start:stop],
            columns["stored_width"][start:stop],
            strict=True,
        )
    ]
    is_converted = map(bool, columns["conversion"][start:stop])
    written = list(itertools.accumulate(expected, initial=0))
    converted = list(itertools.accumulate(is_converted, initial=0))
    first, last = 0, stop - start
    while first < last:
        # Behind the image that fills the piece.
        end = min(
            bisect.bisect_left(written, written[first] + _PIECE, first),
            bisect.bisect_left(converted, converted[first] + _CONVERTED, first),
            last,
        )
        yield start + first, start + end
        first = end


def _write_placed(
    jobs: Sequence[_Job],
    columns: Mapping[str, list[Any]],
    sizes: Sequence[int],
    engine: Engine,
    progress: Callable[[int, int], object],
    meanwhile: Callable[[], object],
) -> list[int]:
    """Writes TFRecord files in pieces, each of which has its place from the start.

    A file is made in its full size, with a temporary name, and the pieces are written
    into it in any order by any process.
    """
    with contextlib.ExitStack() as stack:
        pieces: list[list[tuple[Chunk, int]]] = []
        for job in jobs:
            path = stack.enter_context(_renamed_when_complete(job.place.path))
            of_job = []
            offset = 0
            for start, stop in _pieces(job, columns, sizes):
                place = job.place._replace(path=path, offset=offset)
                size = sum(sizes[start:stop])
                of_job.append((Chunk(place, _rows_of(columns, start, stop)), size))
                offset += size + records.FRAME_SIZE * (stop - start)
            pieces.append(of_job)
            with open(path, "wb") as file:  # noqa: PTH123 - local, so half the time
                file.truncate(offset)
        in_turn = list(_in_turn(pieces, _FILES_PER_WORKER * engine.workers))
        chunks = [chunk for chunk, _ in in_turn]
        written = engine.map(_write_piece, chunks, meanwhile)
        for (chunk, planned), size in zip(in_turn, written, strict=True):
            if size != planned:  # it is in the place of its neighbours
                raise RuntimeError(f"a piece has {size} bytes, and not {planned}")
            progress(len(chunk.columns["key"]), size)
    return [sum(sizes[shard.start : shard.stop]) for shard, _ in jobs]


def _in_turn(pieces: Sequence[Sequence[_Item]], files: int) -> Iterator[_Item]:
    """Yields a piece of each of some files, then the next of each, then other files.

    Linux lets one process at a time write to a file, so that two that write side by
    side to one take twice as long as to two files.

    Args:
      pieces: those of each file.
      files: how many files are written side by side.
    """
    for at in range(0, len(pieces), files):
        for one_of_each in itertools.zip_longest(*pieces[at : at + files]):
            yield from (piece for piece in one_of_each if piece is not None)


def _write_piece(chunk: Chunk) -> int:
    """Writes records into a file that is there; returns the bytes of the records."""
    place: _Place = chunk.about
    # It isn't made here: a process that outlives its build must not bring it back.
    with open(place.path, "r+b") as file:  # noqa: PTH123 - as above
        file.seek(place.offset)
        return _write_frames(file, serialized(chunk))


def _write_in_order(
    jobs: Sequence[_Job],
    columns: Mapping[str, list[Any]],
    sizes: Sequence[int],
    engine: Engine,
    progress: Callable[[int, int], object],
    meanwhile: Callable[[], object],
) -> list[int]:
    """Writes files from front to back here; others read, convert and serialize."""
    pieces = [list(_pieces(job, columns, sizes)) for job in jobs]
    chunks = [
        Chunk(job.place, _rows_of(columns, start, stop))
        for job, of_job in zip(jobs, pieces, strict=True)
        for start, stop in of_job
    ]
    results = engine.map(_serialized_piece, chunks, meanwhile)
    written = []
    for job, of_job in zip(jobs, pieces, strict=True):

        def in_order(count: int = len(of_job)) -> Iterator[bytes]:
            for found in itertools.islice(results, count):
                progress(len(found), sum(map(len, found)))
                yield from found

        with _renamed_when_complete(job.place.path) as path:
            written.append(_write_file(path, job.place.file_format, in_order()))
    return written


def _serialized_piece(chunk: Chunk) -> list[bytes]:
    return list(serialized(chunk))


def serialized(chunk: Chunk) -> Iterator[bytes]:
    """Yields the records of some rows, in order.

    Args:
      chunk: as for `examples`.

    Raises:
      InvalidRowsError: as `examples`, and if an image got too large for a record.
    """
    rows, keys = chunk.columns["row"], chunk.columns["key"]
    for row, key, example in zip(rows, keys, examples(chunk), strict=True):
        record = records.serialize(example)
        _check_size(row, key, len(record))
        yield record


def _check_size(row: int, key: str, size: int) -> None:
    """Checks that a record isn't too large."""
    if size > records.MAX_SIZE:
        detail = f" takes {size:,} bytes, and a record has {records.MAX_SIZE:,} at most"
        raise _refusal(Kind.UNREADABLE, row, key, detail)


def _refusal(
    kind: Kind, row: int, key: str, detail: str
) -> exceptions.InvalidRowsError:
    return exceptions.InvalidRowsError(
        f"{kind.heading}: row {row}: {key!r}{detail}. {kind.remedy}"
    )


def examples(chunk: Chunk) -> Iterator[dict[str, Any]]:
    """Yields the features of some rows, in order: what `records.serialize` takes.

    Args:
      chunk: where the images are and what they are to be, and the rows.

    Raises:
      InvalidRowsError: if an image isn't any more what was inspected, or if only its
        header was and it is damaged.
    """
    image_dir, options = chunk.about[:2]
    columns = chunk.columns
    known = {
        "image/filename": columns["key"],
        "image/format": columns["format"],
        "image/height": columns["stored_height"],
        "image/width": columns["stored_width"],
        **{name: columns[at] for name, at in _feature_columns(columns).items()},
    }
    features = [
        [value.encode() if isinstance(value, str) else value for value in values]
        for values in known.values()
    ]
    readers = images.Finder(image_dir).readers(
        columns["key"], columns["digest"], columns["size"]
    )
    conversion = columns["conversion"]
    for at, (read, *values) in enumerate(zip(readers, *features, strict=True)):
        example = dict(zip(known, values, strict=True))
        try:
            content = read()
            if conversion[at]:
                facts = Facts(*(columns[name][at] for name in Facts._fields))
                content = conversions.convert(content, facts, options)
                stored_format = conversions.stored_format(content)
                example["image/format"] = stored_format.encode()
        except UnusableImageError as error:
            row, key = columns["row"][at], columns["key"][at]
            raise _refusal(error.kind, row, key, error.detail) from error
        example["image"] = content
        yield example


def measure_stored(
    rows: pd.DataFrame,
    *,
    image_dir: epath.Path,
    options: ImageOptions,
    engine: Engine,
    progress: Callable[[int], object] = lambda _: None,
) -> _Ints:
    """Converts images to see how many bytes they take.

    Args:
      rows: a plan's rows, whose images are all converted.
      image_dir: the directory that the keys are relative to.
      options: what the images are to be.
      engine: where it is done.
      progress: is called with the number of images that were done since the last
        call.

    Returns:
      The bytes of each, int64, shape [rows].

    Raises:
      InvalidRowsError: as `examples`.
    """
    import numpy as np

    columns = _needed_columns(rows)
    place = _Place(os.fspath(image_dir), options, "", 0, "")
    chunks = [
        Chunk(place, _rows_of(columns, at, at + _CONVERTED))
        for at in range(0, len(rows), _CONVERTED)
    ]
    found: list[int] = []
    for results in engine.map(_stored_sizes, chunks):
        found += results
        progress(len(results))
    return np.array(found, np.int64)


def _stored_sizes(chunk: Chunk) -> list[int]:
    return [len(example["image"]) for example in examples(chunk)]
