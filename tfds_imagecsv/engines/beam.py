"""Apache Beam, on this machine or on many."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import itertools
import math
import os
import pickle
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tfds_imagecsv import exceptions
from tfds_imagecsv.engines import engine, shared_rows, worker
from tfds_imagecsv.engines.engine import Chunk

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from etils import epath

_Result = TypeVar("_Result")


# The most files of a map in each direction. A billion rows make millions of chunks,
# which are then bundled.
_MOST_FILES = 10_000

# How many of them are read or written at once, since remote files are slow.
_FILES_AT_ONCE = 16


class BeamEngine:
    """Apache Beam, on this machine or on many.

    Each map is a pipeline `Create | Reshuffle | Map` over numbers of files. Workers
    read the chunks from files and write the results to files, in a directory that all
    processes see: no row and no image goes through Beam. Workers import the function
    from its module.

    Args:
      folder: a new directory, as an absolute path, since workers may run in other
        directories; the `with` block removes it.
      runner: Beam's runner, its name, or None for what the options say.
      options: Beam's `PipelineOptions`, or None.
    """

    workers = 0
    is_local = False

    def __init__(self, folder: epath.Path, *, runner: Any, options: Any) -> None:
        self._folder = folder
        self._runner = runner
        self._options = options
        self._maps = 0

    def __enter__(self) -> BeamEngine:
        return self

    def __exit__(self, *_: object) -> None:
        # A worker that Beam has given up may still write here. That must not fail a
        # finished build; the next build removes what is left.
        with contextlib.suppress(OSError):
            self._folder.rmtree(missing_ok=True)

    def share(
        self,
        rows: pa.RecordBatch,
        order: npt.NDArray[np.int64] | None = None,
        prepare: shared_rows.Prepare | None = None,
    ) -> shared_rows.SharedRows:
        """Returns rows; `map` writes slices of them for workers."""
        return shared_rows.SharedRows(rows, order, prepare)

    def expect_work(self) -> None:
        """Does nothing: runners have their workers."""

    def preload(self, module: str) -> None:
        """Does nothing either."""

    def map(
        self,
        function: Callable[[Chunk], _Result],
        items: Sequence[Chunk],
        meanwhile: Callable[[], object] = engine.nothing,
    ) -> Iterator[_Result]:
        """Yields a function's results, in the order of the chunks.

        Args:
          function: a function of a module, which depends on its argument alone.
          items: its arguments: slices of the rows that `share` returns, one after the
            other.
          meanwhile: see `Engine`.

        Raises:
          ImageCsvError: if a chunk has one; the first of them.
          WorkerError: if a result is missing.
        """
        meanwhile()
        if not items:
            return  # buckets have no empty folders, which would be removed below
        folder = self._folder / f"{self._maps}"
        self._maps += 1
        folder.mkdir(parents=True)
        size = max(1, math.ceil(len(items) / _MOST_FILES))
        bundles = [items[at : at + size] for at in range(0, len(items), size)]
        numbers = range(len(bundles))
        _store_chunks(folder, bundles)
        self._run(
            functools.partial(
                _answer_stored, function=function, folder=os.fspath(folder)
            ),
            numbers,
        )
        with concurrent.futures.ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            load = functools.partial(_load_answers, folder)
            for answer in itertools.chain.from_iterable(pool.map(load, numbers)):
                if answer.error is not None:
                    raise answer.error
                yield answer.result
        folder.rmtree()

    def _run(self, function: Callable[[int], None], numbers: Sequence[int]) -> None:
        """Calls a function for each number, wherever Beam likes, and waits."""
        import apache_beam as beam

        with beam.Pipeline(runner=self._runner, options=self._options) as pipeline:
            _ = (
                pipeline
                | beam.Create(numbers)
                # Otherwise a runner may fuse all into one sequential step.
                | beam.Reshuffle()
                | "Work" >> beam.Map(function)
            )


def _chunks_path(folder: epath.Path) -> epath.Path:
    return folder / "chunks.arrow"


def _answers_path(folder: epath.Path, number: int) -> epath.Path:
    return folder / f"answers-{number:05}.pickle"


def _store_chunks(folder: epath.Path, bundles: Sequence[Sequence[Chunk]]) -> None:
    """Writes a file with a batch of rows for each bundle; each can be read alone.

    Parquet files, one for each bundle, took a hundred times as long to write.
    """
    import pyarrow as pa

    if not bundles:
        return
    with _chunks_path(folder).open("wb") as file:
        writer: Any = None
        for bundle in bundles:
            batch = _batch_of(bundle)
            if writer is None:
                writer = pa.ipc.new_file(file, batch.schema)
            parts = [(one.about, one.rows) for one in bundle]
            writer.write_batch(batch, custom_metadata={"parts": pickle.dumps(parts)})
        writer.close()


def _batch_of(bundle: Sequence[Chunk]) -> pa.RecordBatch:
    """Returns the rows of some chunks that follow each other."""
    first, last = bundle[0].columns, bundle[-1].columns
    assert isinstance(first, shared_rows.RowSlice)
    assert isinstance(last, shared_rows.RowSlice)
    return first.up_to(last)


def _load_chunks(folder: epath.Path, number: int) -> Iterator[Chunk]:
    import pyarrow as pa

    try:
        file = _chunks_path(folder).open("rb")
    except FileNotFoundError as error:
        raise _unshared(folder, "a worker doesn't find its work") from error
    with file:
        reader = pa.ipc.open_file(file)
        batch, metadata = reader.get_batch_with_custom_metadata(number)
        start = 0
        for about, rows in pickle.loads(metadata[b"parts"]):
            yield Chunk(about, batch.slice(start, rows).to_pydict())
            start += rows


def _load_answers(folder: epath.Path, number: int) -> list[worker.Answer]:
    try:
        content = _answers_path(folder, number).read_bytes()
    except FileNotFoundError as error:
        raise _unshared(folder, "it ended without all results") from error
    answers: list[worker.Answer] = pickle.loads(content)
    return answers


def _unshared(folder: epath.Path, what: str) -> exceptions.WorkerError:
    return exceptions.WorkerError(
        f"Apache Beam: {what} in {folder}. The data directory must be one that this"
        " process and all workers see, by the same path."
    )


def _answer_stored(
    number: int, *, function: Callable[[Chunk], Any], folder: str
) -> None:
    """Reads chunks, applies the function, writes the results: a worker's task.

    A user's error is a result, too. Other errors are left to Beam, which may retry. A
    file has a temporary name until it is complete, since some runners do a task twice
    at once.
    """
    from etils import epath

    path = epath.Path(folder)
    answers = []
    for chunk in _load_chunks(path, number):
        try:
            answers.append(worker.Answer(function(chunk), None))
        except exceptions.ImageCsvError as error:
            answers.append(worker.Answer(None, error))
    final = _answers_path(path, number)
    temporary = path / f"{uuid.uuid4().hex}.{final.name}"
    temporary.write_bytes(pickle.dumps(answers, pickle.HIGHEST_PROTOCOL))
    temporary.replace(final)
