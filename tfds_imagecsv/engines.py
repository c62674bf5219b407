"""Where heavy work is done: in this process and in others beside it."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import importlib
import io
import itertools
import math
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from tfds_imagecsv import exceptions

if TYPE_CHECKING:
    from etils import epath

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds of work that must be left for processes to be worth their start, which takes
# a tenth of a second.
_PATIENCE = 0.15

# Seconds of work after which the rest can be estimated.
_TRIAL = 0.02

# Items that are handed out or waiting to be taken over by the caller, for each
# process: enough that none waits, few enough that memory stays small.
_WINDOW = 4

# Bytes of the length of a message between processes.
_LENGTH = 8

# Files that a map over Beam has at the most, in each direction: a billion rows make
# millions of chunks, which are then bundled.
_MOST_FILES = 10_000

# Of these, how many are written or read at once: remote ones take their time.
_FILES_AT_ONCE = 16

# What a worker process runs. It imports our modules, but not the package itself,
# which imports TFDS and registers with it: 0.5 s and 50 MB that workers don't need.
# The process that asks is interrupted as well, and ends this one. It waits for that,
# so the end is at once: Python's own frees all objects first, one by one.
_PROGRAM = """\
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
import pickle, sys, types
sys.path[:], package_path = pickle.load(sys.stdin.buffer)
package = types.ModuleType("tfds_imagecsv")
package.__path__ = package_path
sys.modules["tfds_imagecsv"] = package
from tfds_imagecsv import engines
engines.work()
sys.stdout.flush()
os._exit(0)
"""


def _nothing() -> None:
    """Does nothing."""


def _import(module: str) -> None:
    importlib.import_module(module)


class Engine(Protocol):
    """What applies a function to many chunks.

    The caller may have something else to do `meanwhile`: it is called once, in this
    process, if possible while others work.

    Attributes:
      workers: how many processes work at the most; 0 if nobody knows.
      is_local: whether all work is done on this machine.
    """

    workers: int
    is_local: bool

    def map(
        self,
        function: Callable[[Chunk], _Result],
        items: Sequence[Chunk],
        meanwhile: Callable[[], object] = _nothing,
    ) -> Iterator[_Result]:
        """Yields a function's results, in the order of the chunks."""

    def expect_work(self) -> None:
        """Gets ready for much work."""

    def preload(self, module: str) -> None:
        """Lets workers that wait for work import what they will need for it."""


class LocalEngine:
    """This process, and others on the same machine once there is enough work.

    The caller's process works as well, so that nothing waits for the others to start.
    They import no more than the modules of the functions that they call, and not the
    caller's program, which therefore needs no `if __name__ == "__main__"`. They end
    with the `with` block, or when this process dies.

    Args:
      workers: how many processes work at the most, with this one; default: as many as
        there are cores for it.
      patience: how many seconds of work must be left for others to be started.
    """

    is_local = True

    def __init__(
        self, workers: int | None = None, *, patience: float = _PATIENCE
    ) -> None:
        self.workers = cores() if workers is None else workers
        self._patience = patience
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._helpers: list[_Helper] = []
        self._of_thread = threading.local()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is None:
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        for helper in self._helpers:
            helper.stop(at_once=error is not None)
        self._pool.shutdown()
        for helper in self._helpers:
            helper.wait()
        self._pool, self._helpers = None, []

    def map(
        self,
        function: Callable[[_Item], _Result],
        items: Sequence[_Item],
        meanwhile: Callable[[], object] = _nothing,
    ) -> Iterator[_Result]:
        """Yields a function's results, in the order of the items.

        Args:
          function: a function of a module, which depends on its argument alone.
          items: its arguments. They are pickled, as the results are.
          meanwhile: see `Engine`.

        Raises:
          WorkerError: if a process died.
          Exception: what the function raised; for the first such item.
        """
        started = time.monotonic()
        done = 0
        while done < len(items) and not self._is_worthwhile(done, len(items), started):
            result = function(items[done])
            done += 1
            if done == len(items):  # before the last result: nobody may ask for more
                meanwhile()
            yield result
        if done < len(items):
            yield from self._map_together(function, items[done:], meanwhile)
        elif not items:
            meanwhile()

    def expect_work(self) -> None:
        """Starts the other processes, which then needn't be waited for."""
        if self.workers > 1:
            self._started_pool()

    def preload(self, module: str) -> None:
        """Lets the other processes, if there are any, import a module by its name."""
        if self._pool is not None:
            for _ in self._helpers:
                # If one has died, whoever asks it next gets to know.
                self._pool.submit(self._ask, _import, module)

    def _is_worthwhile(self, done: int, total: int, started: float) -> bool:
        """Returns whether other processes would finish the rest much sooner."""
        if self.workers == 1 or total - done == 1:
            return False
        if self._pool is not None or not self._patience:
            return True
        elapsed = time.monotonic() - started
        left = elapsed / max(done, 1) * (total - done)
        return elapsed >= _TRIAL and left >= self._patience

    def _map_together(
        self,
        function: Callable[[_Item], _Result],
        items: Sequence[_Item],
        meanwhile: Callable[[], object],
    ) -> Iterator[_Result]:
        pool = self._started_pool()
        # A future, and the item, which this process takes over if no other has.
        waiting: collections.deque[tuple[concurrent.futures.Future[_Result], _Item]] = (
            collections.deque()
        )
        try:
            handed_out = 0
            while handed_out < len(items) or waiting:
                while handed_out < len(items) and len(waiting) < _WINDOW * self.workers:
                    item = items[handed_out]
                    waiting.append((pool.submit(self._ask, function, item), item))
                    handed_out += 1
                meanwhile()
                meanwhile = _nothing
                if waiting[0][0].done() or not _take_over(function, waiting):
                    first, _ = waiting.popleft()
                    yield first.result()
        finally:
            for future, _ in waiting:
                future.cancel()

    def _started_pool(self) -> concurrent.futures.ThreadPoolExecutor:
        """Returns the pool, which has a thread for each other process."""
        if self._pool is None:
            self._helpers = [_Helper() for _ in range(self.workers - 1)]
            unused = iter(self._helpers)

            def wait_for_helper() -> None:
                self._of_thread.helper = next(unused)
                with contextlib.suppress(EOFError, OSError):  # which `ask` reports
                    self._of_thread.helper.wait_until_ready()

            self._pool = concurrent.futures.ThreadPoolExecutor(
                self.workers - 1, initializer=wait_for_helper
            )
        return self._pool

    def _ask(self, function: Callable[[_Item], _Result], item: _Item) -> _Result:
        try:
            answer = self._of_thread.helper.ask(function, item)
        except (EOFError, OSError) as error:
            raise exceptions.WorkerError(
                "A worker process was killed, most likely because memory ran out. Use"
                f" fewer workers ({self.workers} here), or a lower max_pixels."
            ) from error
        if answer.error is not None:
            raise answer.error
        result: _Result = answer.result
        return result


def _take_over(
    function: Callable[[_Item], _Result],
    waiting: collections.deque[tuple[concurrent.futures.Future[_Result], _Item]],
) -> bool:
    """Does the first work here that no other process has begun, if there is any.

    An error waits for its turn, so that it doesn't depend on who was quicker.
    """
    for at, (future, item) in enumerate(waiting):
        if future.cancel():
            mine: concurrent.futures.Future[_Result] = concurrent.futures.Future()
            try:
                mine.set_result(function(item))
            except Exception as error:
                mine.set_exception(error)
            waiting[at] = mine, item
            return True
    return False


class Chunk(NamedTuple):
    """Some rows of a table, to be worked on together.

    Attributes:
      about: what holds for all of them; it is small.
      columns: the rows, a list for each column; all have the same length.
    """

    about: Any
    columns: Mapping[str, list[Any]]


class _Answer(NamedTuple):
    """What became of a piece of work: a result, or an error."""

    result: Any
    error: Exception | None


class _Helper:
    """Another process that works."""

    def __init__(self) -> None:
        import tfds_imagecsv

        self._process = subprocess.Popen(
            # Without the current folder, where a module may be named as one of ours.
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        pickle.dump((sys.path, list(tfds_imagecsv.__path__)), self._questions)
        self._questions.flush()

    def wait_until_ready(self) -> None:
        """Waits until it has started; raises an `EOFError` if it can't."""
        _read_message(self._answers)

    def ask(self, function: Callable[[Any], Any], item: Any) -> _Answer:
        """Lets it call a function, and waits for the answer.

        Raises:
          EOFError or OSError: if it has died.
          Exception: if the function or the item can't be pickled.
        """
        question = pickle.dumps((function, item), pickle.HIGHEST_PROTOCOL)
        _write_message(self._questions, question)
        answer: _Answer = pickle.loads(_read_message(self._answers))
        return answer

    def stop(self, *, at_once: bool) -> None:
        """Lets it end: after what it does now, or at once."""
        if at_once:
            self._process.kill()
        with contextlib.suppress(OSError):
            self._questions.close()

    def wait(self) -> None:
        """Waits until it has ended; nobody may ask any more."""
        self._answers.close()
        self._process.wait()


def _write_message(file: IO[bytes], content: bytes) -> None:
    """Writes bytes behind their number.

    What can't be pickled, or made of a pickle, then doesn't touch the next message.
    """
    file.write(len(content).to_bytes(_LENGTH, "little"))
    file.write(content)
    file.flush()


def _read_message(file: IO[bytes]) -> bytes:
    """Returns what `_write_message` wrote.

    Raises:
      EOFError: if it isn't all there.
    """
    head = file.read(_LENGTH)
    length = int.from_bytes(head, "little")
    content = file.read(length)
    if len(head) < _LENGTH or len(content) < length:
        raise EOFError
    return content


class BeamEngine:
    """Apache Beam, on this machine or on many.

    Each map is a pipeline `Create | Reshuffle | Map` over numbers of files. The chunks
    are read from files, and their results written to files, in a directory that this
    process and the workers see: no row and no image goes through the engine. Workers
    import the function from its module.

    Args:
      folder: a directory that isn't there yet, as an absolute path, since workers may
        run in other directories; it is removed with the `with` block.
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
        # A worker that an engine has given up, and that writes here even so, must not
        # make a build fail that is done; the next one removes what it leaves.
        with contextlib.suppress(OSError):
            self._folder.rmtree(missing_ok=True)

    def expect_work(self) -> None:
        """Does nothing: runners have their workers."""

    def preload(self, module: str) -> None:
        """Does nothing either."""

    def map(
        self,
        function: Callable[[Chunk], _Result],
        items: Sequence[Chunk],
        meanwhile: Callable[[], object] = _nothing,
    ) -> Iterator[_Result]:
        """Yields a function's results, in the order of the chunks.

        Args:
          function: a function of a module, which depends on its argument alone.
          items: its arguments, all with the same columns.
          meanwhile: see `Engine`.

        Raises:
          ImageCsvError: if a chunk has one; the first of them.
          WorkerError: if a result is missing.
        """
        meanwhile()
        folder = self._folder / f"{self._maps}"
        self._maps += 1
        folder.mkdir(parents=True)
        size = max(1, math.ceil(len(items) / _MOST_FILES))
        bundles = [items[at : at + size] for at in range(0, len(items), size)]
        numbers = range(len(bundles))
        with concurrent.futures.ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            store = functools.partial(_store_chunks, folder)
            collections.deque(pool.map(store, numbers, bundles), maxlen=0)
            self._run(
                functools.partial(
                    _answer_stored, function=function, folder=os.fspath(folder)
                ),
                numbers,
            )
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
                # Else an engine may do all in one go, one after the other.
                | beam.Reshuffle()
                | "Work" >> beam.Map(function)
            )


def _chunks_path(folder: epath.Path, number: int) -> epath.Path:
    return folder / f"chunks-{number:05}.parquet"


def _answers_path(folder: epath.Path, number: int) -> epath.Path:
    return folder / f"answers-{number:05}.pickle"


def _store_chunks(folder: epath.Path, number: int, chunks: Sequence[Chunk]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        name: list(itertools.chain.from_iterable(one.columns[name] for one in chunks))
        for name in chunks[0].columns
    }
    parts = [(one.about, len(next(iter(one.columns.values())))) for one in chunks]
    table = pa.table(columns).replace_schema_metadata({"parts": pickle.dumps(parts)})
    file = io.BytesIO()
    parquet.write_table(table, file)
    _chunks_path(folder, number).write_bytes(file.getvalue())


def _load_chunks(folder: epath.Path, number: int) -> Iterator[Chunk]:
    from pyarrow import parquet

    try:
        file = io.BytesIO(_chunks_path(folder, number).read_bytes())
    except FileNotFoundError as error:
        raise _unshared(folder, "a worker doesn't find its work") from error
    table = parquet.read_table(file)
    start = 0
    for about, rows in pickle.loads(table.schema.metadata[b"parts"]):
        yield Chunk(about, table.slice(start, rows).to_pydict())
        start += rows


def _load_answers(folder: epath.Path, number: int) -> list[_Answer]:
    try:
        content = _answers_path(folder, number).read_bytes()
    except FileNotFoundError as error:
        raise _unshared(folder, "it ended without all results") from error
    answers: list[_Answer] = pickle.loads(content)
    return answers


def _unshared(folder: epath.Path, what: str) -> exceptions.WorkerError:
    return exceptions.WorkerError(
        f"Apache Beam: {what} in {folder}. The data directory must be one that this"
        " process and all workers see, by the same path."
    )


def _answer_stored(
    number: int, *, function: Callable[[Chunk], Any], folder: str
) -> None:
    """Works on chunks that are stored, and stores the results: what a worker does.

    What a user has done wrong is a result too; other errors are the engine's, which may
    try again. A file has a temporary name until it is complete, since some engines do
    one thing twice at once.
    """
    from etils import epath

    path = epath.Path(folder)
    answers = []
    for chunk in _load_chunks(path, number):
        try:
            answers.append(_Answer(function(chunk), None))
        except exceptions.ImageCsvError as error:
            answers.append(_Answer(None, error))
    final = _answers_path(path, number)
    temporary = path / f"{uuid.uuid4().hex}.{final.name}"
    temporary.write_bytes(pickle.dumps(answers, pickle.HIGHEST_PROTOCOL))
    temporary.replace(final)


def work() -> None:
    """Answers the questions on the standard input, until it ends.

    That is all that a worker process does.
    """
    # What a library prints must not get between the answers.
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    answer = _Answer(None, None)  # ready
    # Whoever asked may have died since.
    with contextlib.suppress(BrokenPipeError):
        while True:
            _write_message(answers, _pickled(answer))
            try:
                question = _read_message(questions)
            except EOFError:
                return
            answer = _answer_to(question)


def _answer_to(question: bytes) -> _Answer:
    try:
        function, item = pickle.loads(question)
        return _Answer(function(item), None)
    except exceptions.ImageCsvError as error:
        return _Answer(None, error)
    except Exception as error:
        # The stack trace isn't pickled.
        error.add_note("".join(traceback.format_exception(error)))
        return _Answer(None, error)


def _pickled(answer: _Answer) -> bytes:
    try:
        pickled = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        if answer.error is not None:
            # Some errors are made of other arguments than they keep.
            pickle.loads(pickled)
    except Exception as error:
        words = f"{type(error).__name__}: {error}: {answer!r:.1000}"
        return pickle.dumps(_Answer(None, RuntimeError(words)))
    return pickled


def cores() -> int:
    """Returns how many cores this process may use.

    Those that a container or a job scheduler allows count, not all that there are.
    """
    import joblib

    count: int = joblib.cpu_count()
    return count
