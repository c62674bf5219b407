"""Builds datasets in processes of their own, and may kill them at given moments.

Each line of the standard input is a list of jobs, as JSON. They run at once, each in a
fork of this process, which saves the imports. When all processes have ended, including
those that the builds have started, it prints a line with a list of outcomes. A job has

* `fields`: those of the config, `data_dir`, `file_format`, `overwrite`, `beam_runner`;
* `helpers`: whether other processes take part;
* `kill_at`: a number, to be killed before that file operation below `root`, or
  "replaced", to be killed when a new dataset has taken its place;
* `file_limit`: the most bytes of a file;
* `wait`: whether to wait, before the dataset takes its place, until the next job
  waits for that. The next job starts at that moment.

An outcome has `killed`, and if it is false `error`, `splits` (the examples of each),
`operations` (their number), `first_change` (the number of the first that changes
something) and `states`: what a reader saw before each operation: None, or the
names and sizes of the dataset's files.
"""

import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import sys

import joblib  # noqa: F401 - imported here, so that each fork has it
import pandas as pd  # noqa: F401 - as above
import psutil  # noqa: F401 - as above
import tensorflow_datasets as tfds
from PIL import Image

import tfds_imagecsv
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import image_table, inspection  # noqa: F401 - as above
from tfds_imagecsv.shards import write  # noqa: F401 - as above
from tfds_imagecsv.splits import dataset_plan  # noqa: F401 - as above

# If processes don't end within so many seconds, the test fails.
LIMIT = 120

# From `linux/prctl.h`: processes whose parent has died become children of this one.
PR_SET_CHILD_SUBREAPER = 36

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")


class Watcher:
    """Sees all file operations of this process before they happen."""

    def __init__(self, job, data_path, reached, other_waits):
        self.operations = 0
        self.first_change = 0
        self.states = []
        self._job = job
        self._data_path = data_path
        self._reached = reached
        self._other_waits = other_waits
        self._is_replaced = False

    def __call__(self, event, args):
        """Python calls it: an audit hook."""
        path = str(args[0]) if args else ""
        # When a tree is removed, names are relative to its directory.
        is_below = path.startswith(self._job["root"]) or event in CHANGES[1:3]
        if not is_below or event not in ("open", *CHANGES):
            return
        if event in CHANGES:
            self._see()
        self.operations += 1
        if event in CHANGES and not self.first_change:
            self.first_change = self.operations
        kill_at = self._job.get("kill_at")
        is_last = kill_at == "replaced" and self._is_replaced
        if kill_at == self.operations or is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "os.rename" and str(args[1]) == self._data_path:
            self._is_replaced = True
            if self._job.get("wait"):
                os.close(self._reached)
                os.read(self._other_waits, 1)  # also ends if the other one does

    def _see(self):
        found = None
        with (
            contextlib.suppress(FileNotFoundError),
            os.scandir(self._data_path) as files,
        ):
            found = {file.name: file.stat().st_size for file in files}
        if found not in self.states:
            self.states.append(found)


def build(job, outcome, reached, other_waits, waits):
    """Does a job, and writes its outcome to a pipe."""
    if job.get("helpers"):  # even for small images
        local_engine = local.LocalEngine
        local.LocalEngine = lambda _, folder: local_engine(2, patience=0, folder=folder)
    builder = tfds.builder(
        "image_csv",
        config=tfds_imagecsv.ImageCsvConfig(**job["fields"]),
        data_dir=job["data_dir"],
        file_format=job.get("file_format", "tfrecord"),
    )
    watcher = Watcher(job, str(builder.data_path), reached, other_waits)

    def see_waiting(record):
        if record.getMessage().startswith("Waiting for another build"):
            os.write(waits, b"1")
        return True

    logging.getLogger("absl").addFilter(see_waiting)
    if job.get("file_limit"):
        limit = job["file_limit"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    mode = tfds.download.GenerateMode.REUSE_DATASET_IF_EXISTS
    if job.get("overwrite"):
        mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    error = None
    sys.addaudithook(watcher)
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                download_mode=mode, num_shards=3, beam_runner=job.get("beam_runner")
            )
        )
    except Exception as reason:
        error = f"{type(reason).__name__}: {reason}"
    with os.fdopen(outcome, "w") as file:
        json.dump(
            {
                "error": error,
                "operations": watcher.operations,
                "first_change": watcher.first_change,
                "states": watcher.states,
                "splits": {
                    name: split.num_examples
                    for name, split in builder.info.splits.items()
                },
            },
            file,
        )


def start(job, other_waits, waits):
    """Starts a job; returns its process, and pipes for its outcome and its waiting."""
    outcome, to_outcome = os.pipe()
    when_reached, reached = os.pipe()
    process = os.fork()
    if not process:
        try:
            build(job, to_outcome, reached, other_waits, waits)
        finally:
            os._exit(0)
    os.close(to_outcome)
    os.close(reached)
    return process, outcome, when_reached


def work(jobs):
    """Does jobs at once; returns their outcomes."""
    signal.alarm(LIMIT)
    other_waits, waits = os.pipe()
    started = []
    for job in jobs:
        started.append(start(job, other_waits, waits))
        if job.get("wait"):
            os.read(started[-1][2], 1)
    os.close(waits)
    os.close(other_waits)
    outcomes = []
    for process, outcome, when_reached in started:
        os.close(when_reached)
        with os.fdopen(outcome) as file:
            text = file.read()
        os.waitpid(process, 0)
        outcomes.append({"killed": not text, **json.loads(text or "{}")})
    # Processes that builds have started end, too.
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    signal.alarm(0)
    return outcomes


def main():
    """Works until the standard input ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Image.init()
    # Output of libraries must not get between the outcomes.
    outcomes = os.fdopen(os.dup(1), "w")
    gc.freeze()  # else forks would copy what their garbage collectors look at
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(work(json.loads(line))), file=outcomes, flush=True)


main()
