"""The files of a dataset: each piece of a shard is written once, where it belongs."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from tfds_imagecsv import arrays
from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.engines.shared_rows import SharedRows
from tfds_imagecsv.shards import examples, records, shard_plan
from tfds_imagecsv.storage import files

if TYPE_CHECKING:
    from etils import epath


_Item = TypeVar("_Item")

# Bytes of a shard that are worked on at once: few enough that the last pieces keep all
# workers busy.
_PIECE = 4 << 20

# Files that are written side by side for each process.
_FILES_PER_WORKER = 2

# Bytes that are written at once: few enough to stay in a processor's cache.
_BUFFER = 1 << 18


def write_shards(
    plan: shard_plan.ShardPlan,
    paths: Sequence[epath.Path],
    *,
    image_dir: epath.Path,
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
      file_format: TFDS's name of the files' format, such as `"tfrecord"`.
      engine: where it is done.
      progress: is called with the number of images, and of bytes of their records, that
        were written since the last call.
      meanwhile: see `engine.Engine`.

    Returns:
      The bytes of the records of each shard.

    Raises:
      InvalidRowsError: if an image has changed since it was inspected.
      OSError: if the files can't be written, such as where the disk is full.
    """
    place = examples.Place(os.fspath(image_dir), "", 0, file_format)
    jobs = [
        _Job(shard, place._replace(path=os.fspath(path)))
        for shard, path in zip(plan.shards, paths, strict=True)
    ]
    is_placed = (
        file_format == "tfrecord"
        and engine.is_local
        and not any(files.is_remote(job.place.path) for job in jobs)
    )
    with engine.share(plan.rows, plan.order, shard_plan.as_examples) as rows:
        if is_placed:
            sizes = plan.record_sizes
            return _write_placed(jobs, rows, sizes, engine, progress, meanwhile)
        return _write_whole(jobs, rows, engine, progress, meanwhile)


class _Job(NamedTuple):
    """A shard, and where it goes."""

    shard: shard_plan.Shard
    place: examples.Place


def _write_whole(
    jobs: Sequence[_Job],
    rows: SharedRows,
    engine: Engine,
    progress: Callable[[int, int], object],
    meanwhile: Callable[[], object],
) -> list[int]:
    """Writes each shard as a whole, wherever the engine likes."""
    chunks = [
        Chunk(place, rows.slice(shard.start, shard.stop)) for shard, place in jobs
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
    with files.renamed_when_complete(place.path) as path:
        return _write_file(path, place.file_format, examples.serialized(chunk))


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
    shard: shard_plan.Shard, sizes: arrays.Ints
) -> Iterator[tuple[int, int, int]]:
    """Yields the first row of each piece of a shard, the one after it, and its bytes.

    The bytes are those of the records.
    """
    written = np.cumsum(sizes[shard.start : shard.stop])
    first, done = 0, 0
    while first < len(written):
        # After the image that fills the piece.
        end = int(np.searchsorted(written, done + _PIECE)) + 1
        end = min(end, len(written))
        size = int(written[end - 1]) - done
        yield shard.start + first, shard.start + end, size
        first, done = end, done + size


def _write_placed(
    jobs: Sequence[_Job],
    rows: SharedRows,
    sizes: arrays.Ints,
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
            path = stack.enter_context(files.renamed_when_complete(job.place.path))
            of_job = []
            offset = 0
            for start, stop, size in _pieces(job.shard, sizes):
                place = job.place._replace(path=path, offset=offset)
                of_job.append((Chunk(place, rows.slice(start, stop)), size))
                offset += size + records.FRAME_SIZE * (stop - start)
            pieces.append(of_job)
            with open(path, "wb") as file:  # noqa: PTH123 - local, so half the time
                file.truncate(offset)
        in_turn = list(_in_turn(pieces, _FILES_PER_WORKER * engine.workers))
        chunks = [chunk for chunk, _ in in_turn]
        written = engine.map(_write_piece, chunks, meanwhile)
        for (chunk, planned), size in zip(in_turn, written, strict=True):
            if size != planned:  # it has overwritten another one, or left a gap
                raise RuntimeError(f"a piece has {size} bytes, and not {planned}")
            progress(chunk.rows, size)
    return [int(sizes[shard.start : shard.stop].sum()) for shard, _ in jobs]


def _in_turn(pieces: Sequence[Sequence[_Item]], files: int) -> Iterator[_Item]:
    """Yields a piece of each of some files, then the next of each, then other files.

    Linux lets one process at a time write to a file: two processes take twice as long
    for one file as for two.

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
