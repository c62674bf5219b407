"""This process, and others on the same machine.

The pool is our own. `loky` took 2.1 times as long to inspect 20,000 thumbnails, and 1.5
times for 3,000 photographs (two cores, interleaved): the caller's process doesn't work
with its workers.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import importlib
import pathlib
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from tfds_imagecsv import exceptions
from tfds_imagecsv.engines import engine, shared_rows, worker

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_Item = TypeVar("_Item")

_Result = TypeVar("_Result")

# Seconds of remaining work that are worth the start of processes, which takes a tenth
# of a second.
_PATIENCE = 0.15

# Seconds of work after which the rest is estimated.
_TRIAL = 0.02

# Items of each process that are handed out, or wait for the caller: enough to keep it
# busy, few enough to save memory.
_WINDOW = 4

_PACKAGE = str(pathlib.Path(__file__).parents[1])

# What a worker process runs. It imports our modules, but not the package itself,
# which imports TFDS and registers with it: 0.5 s and 50 MB that workers don't need.
# Ctrl-C interrupts the process that asks as well, which then ends this one and waits
# for it. So this one ends at once: Python would free all objects first, one by one.
_PROGRAM = """\
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
import pickle, sys, types
sys.path[:], package_path = pickle.load(sys.stdin.buffer)
package = types.ModuleType("tfds_imagecsv")
package.__path__ = package_path
sys.modules["tfds_imagecsv"] = package
from tfds_imagecsv.engines import worker
worker.work()
sys.stdout.flush()
os._exit(0)
"""


class LocalEngine:
    """This process, and others on the same machine once there is enough work.

    The caller's process works as well, so that nothing waits for the others to start.
    Those import only the modules of the functions that they call, not the caller's
    program, which needs no `if __name__ == "__main__"`. They end with the `with` block,
    or when this process dies.

    Args:
      workers: the most processes, including this one; default: the number of cores
        that it may use.
      patience: the seconds of remaining work from which others are started.
      folder: where files go that processes share; default: the system's place for
        temporary files.
    """

    is_local = True

    def __init__(
        self,
        workers: int | None = None,
        *,
        patience: float = _PATIENCE,
        folder: str | None = None,
    ) -> None:
        self._folder = folder
        self.workers = cores() if workers is None else workers
        self._patience = patience
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._helpers: list[_WorkerProcess] = []
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
        meanwhile: Callable[[], object] = engine.nothing,
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
            if done == len(items):  # the caller may not ask again after the last result
                meanwhile()
            yield result
        if done < len(items):
            yield from self._map_together(function, items[done:], meanwhile)
        elif not items:
            meanwhile()

    def share(
        self,
        rows: pa.RecordBatch,
        order: npt.NDArray[np.int64] | None = None,
        prepare: shared_rows.Prepare | None = None,
    ) -> shared_rows.SharedRows:
        """Returns rows; other processes take slices of them from a file."""
        return shared_rows.SharedRows(rows, order, prepare, folder=self._folder)

    def expect_work(self) -> None:
        """Starts the other processes early."""
        if self.workers > 1:
            self._started_pool()

    def preload(self, module: str) -> None:
        """Lets the other processes, if any, import a module by its name."""
        if self._pool is not None:
            for _ in self._helpers:
                # If one has died, the next call reports it.
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
                meanwhile = engine.nothing
                if waiting[0][0].done() or not _take_over(function, waiting):
                    first, _ = waiting.popleft()
                    yield first.result()
        finally:
            for future, _ in waiting:
                future.cancel()

    def _started_pool(self) -> concurrent.futures.ThreadPoolExecutor:
        """Returns the pool, which has a thread for each other process."""
        if self._pool is None:
            self._helpers = [_WorkerProcess() for _ in range(self.workers - 1)]
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
        # Rows are written to a file when they are pickled: an error there, as that a
        # disk is full, says nothing of the other process.
        question = pickle.dumps((function, item), pickle.HIGHEST_PROTOCOL)
        try:
            answer = self._of_thread.helper.ask(question)
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
    """Does the first piece of work that no other process has begun, if there is one.

    An error waits for its turn: which one is first doesn't depend on who was quicker.
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


class _WorkerProcess:
    """Another process that works."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Without the current folder: a module in it may have the name of ours.
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        pickle.dump((sys.path, [_PACKAGE]), self._questions)
        self._questions.flush()

    def wait_until_ready(self) -> None:
        """Waits until it has started; raises an `EOFError` if it can't."""
        worker.read_message(self._answers)

    def ask(self, question: bytes) -> worker.Answer:
        """Lets it call a function, and waits for the answer.

        Args:
          question: the function and its argument, pickled.

        Raises:
          EOFError or OSError: if it has died.
        """
        worker.write_message(self._questions, question)
        answer: worker.Answer = pickle.loads(worker.read_message(self._answers))
        return answer

    def stop(self, *, at_once: bool) -> None:
        """Ends it: after what it does now, or at once."""
        if at_once:
            self._process.kill()
        with contextlib.suppress(OSError):
            self._questions.close()

    def wait(self) -> None:
        """Waits until it has ended; nobody may ask any more."""
        self._answers.close()
        self._process.wait()


def _import(module: str) -> None:
    importlib.import_module(module)


def cores() -> int:
    """Returns how many cores this process may use.

    Counts those that a container or a job scheduler allows, not all of the machine.
    """
    import joblib

    count: int = joblib.cpu_count()
    return count
