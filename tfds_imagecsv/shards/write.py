"""The files of a dataset: each piece of a shard is written once, where it belongs."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.shards import examples, records, shard_plan
from tfds_imagecsv.storage import files

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

# Bytes that are written at once: few enough to stay in a processor's cache.
_BUFFER = 1 << 18

# The columns that a row needs in order to be written.
_NEEDED = (
    *("row", "key", "size", "digest", "format"),
    *("stored_height", "stored_width", "conversion"),
)


def write_shards(
    plan: shard_plan.ShardPlan,
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
      meanwhile: see `engine.Engine`.

    Returns:
      The bytes of the records of each shard.

    Raises:
      InvalidRowsError: if an image has changed since it was inspected, is damaged and
        was not decoded then, or is too large for a record when it is converted.
      OSError: if the files can't be written, such as where the disk is full.
    """
    place = examples.Place(os.fspath(image_dir), options, "", 0, file_format)
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
        and not any(files.is_remote(job.place.path) for job in jobs)
        and bool((plan.rows["record_size"] >= 0).all())
    )
    sizes = plan.rows["record_size"].tolist()
    if is_placed:
        return _write_placed(jobs, columns, sizes, engine, progress, meanwhile)
    return _write_in_order(jobs, columns, sizes, engine, progress, meanwhile)


class _Job(NamedTuple):
    """A shard, and where it goes."""

    shard: shard_plan.Shard
    place: examples.Place


def _needed_columns(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """Returns those columns of a plan's rows that are needed to write them."""
    names = [*_NEEDED, *examples.feature_columns(map(str, rows)).values()]
    if (rows["conversion"] != "").any():
        names += [name for name in Facts._fields if name not in names]
    return {name: rows[name].tolist() for name in names}


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
    place: examples.Place = chunk.about
    with _renamed_when_complete(place.path) as path:
        return _write_file(path, place.file_format, examples.serialized(chunk))


@contextlib.contextmanager
def _renamed_when_complete(path: str) -> Iterator[str]:
    """Yields a temporary name for a file."""
    from etils import epath

    if files.is_remote(path):
        from tfds_imagecsv.storage import s3

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

    if not files.is_remote(path):
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
    of_pixel = shard_plan.pixel_size(job.place.options)
    # An image that doesn't compress takes as much as its pixels.
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
    place: examples.Place = chunk.about
    # It isn't made here: a process that outlives its build must not bring it back.
    with open(place.path, "r+b") as file:  # noqa: PTH123 - as above
        file.seek(place.offset)
        return _write_frames(file, examples.serialized(chunk))


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
    return list(examples.serialized(chunk))


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
    place = examples.Place(os.fspath(image_dir), options, "", 0, "")
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
    return [len(example["image"]) for example in examples.examples(chunk)]
