"""How heavy work is done: here at first, then on all cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tfds_imagecsv import exceptions

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds, about what it costs to start workers: work that is done by then doesn't
# need them.
_PATIENCE = 1.0


def run(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    workers: int | None = None,
    patience: float = _PATIENCE,
) -> Iterator[_Result]:
    """Yields a function's results, in the order of the items.

    The first ones are worked out in this process. If that takes long, processes are
    started for the rest. They import no more than the function's module, and not the
    caller's program, which therefore needs no `if __name__ == "__main__"`.

    Args:
      function: a function of a module, which depends on its argument alone.
      items: its arguments. They are pickled, as the results are.
      workers: how many processes to use at the most; default: as many as there are
        cores for this one.
      patience: for how many seconds to go on without processes.

    Raises:
      WorkerError: if a process died.
    """
    import joblib

    workers = joblib.cpu_count() if workers is None else workers
    started = time.monotonic()
    done = 0
    while done < len(items):
        is_worthwhile = len(items) - done > 1 and workers > 1
        if is_worthwhile and time.monotonic() - started >= patience:
            break
        yield function(items[done])
        done += 1
    if done < len(items):
        yield from _run_in_processes(function, items[done:], workers)


def _run_in_processes(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int
) -> Iterator[_Result]:
    import joblib
    from joblib.externals import loky

    parallel = joblib.Parallel(
        n_jobs=min(workers, len(items)),
        backend="loky",
        return_as="generator",
        batch_size=1,
        # Enough that no process waits, few enough that memory stays small.
        pre_dispatch="3*n_jobs",
    )
    try:
        yield from parallel(joblib.delayed(function)(item) for item in items)
    except loky.process_executor.TerminatedWorkerError as error:
        raise exceptions.WorkerError(
            "A worker process was killed, most likely because memory ran out. Use fewer"
            f" workers ({workers} here), or a lower max_pixels."
        ) from error
    finally:
        # They would wait for more work for minutes, with their memory.
        loky.get_reusable_executor().shutdown(wait=True)
