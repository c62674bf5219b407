"""How the benchmarks measure time and memory. It needs Linux."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

CORES = len(os.sched_getaffinity(0))
ROUNDS = 5

# Seconds between two looks at the memory of processes.
INTERVAL = 0.02

# Linux's flag of a process that runs the program of its parent (PF_FORKNOEXEC).
_FORKED_ONLY = 0x40


def timed(task: Callable[[], object]) -> float:
    """Does a task, and returns its seconds."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def peak_megabytes() -> float:
    """Returns the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def in_new_process(script: str, *arguments: str) -> list[float]:
    """Runs a script with arguments, and returns the numbers that it prints."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return [float(number) for number in done.stdout.split()]


def medians(
    tasks: Mapping[str, Callable[[], object]], rounds: int = ROUNDS
) -> dict[str, float]:
    """Returns the median of the seconds that each task takes.

    Args:
      tasks: the tasks of a round, one after the other.
      rounds: how many there are, after a first one that doesn't count; 0 to see that
        it works: the first one then counts.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for done in range(1 + rounds):
        for name, task in tasks.items():
            taken = timed(task)
            if done or not rounds:
                seconds[name].append(taken)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def megabytes(pid: int) -> float:
    """Returns the memory of a process and its descendants (PSS).

    Shared memory counts once: each process has its part of it. A new process that
    doesn't run its own program yet has its parent's memory (vfork(2)), and doesn't
    count.
    """
    folder = Path(f"/proc/{pid}")
    try:
        # The name of the program, in parentheses, may have spaces; the state and five
        # numbers follow.
        flags = int((folder / "stat").read_text().rpartition(")")[2].split()[6])
        if flags & _FORKED_ONLY:
            return 0
        text = (folder / "smaps_rollup").read_text()
        children = [
            int(child)
            for path in folder.glob("task/*/children")
            for child in path.read_text().split()
        ]
    except OSError:  # it has ended
        return 0
    own = next((line for line in text.splitlines() if line.startswith("Pss:")), None)
    if own is None:  # it is ending
        return 0
    return int(own.split()[1]) / 1024 + sum(map(megabytes, children))
