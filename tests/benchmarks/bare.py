"""Bare tasks for comparison: files are only read, copied and decoded."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from PIL import Image

# The files that a worker gets at once.
_CHUNK = 64

Task = Callable[[], object]


def read(paths: Sequence[str]) -> None:
    """Reads files."""
    for path in paths:
        Path(path).read_bytes()


def copy(paths: Sequence[str], *, folder: str) -> None:
    """Copies files to the end of a file in a folder, one for each thread."""
    target = Path(folder) / f"{os.getpid()}-{threading.get_ident()}"
    for at in range(0, len(paths), _CHUNK):
        contents = [Path(path).read_bytes() for path in paths[at : at + _CHUNK]]
        with target.open("ab", buffering=0) as file:
            file.write(b"".join(contents))


def decode_with_pillow(paths: Sequence[str]) -> None:
    """Decodes files with Pillow."""
    for path in paths:
        with Image.open(path) as image:
            image.load()


def decode_with_opencv(paths: Sequence[str]) -> None:
    """Decodes files with OpenCV, which then needs no threads of its own."""
    import cv2

    cv2.setNumThreads(1)
    for path in paths:
        if cv2.imread(path) is None:
            raise ValueError(path)


def decode_with_tensorflow(paths: Sequence[str]) -> None:
    """Decodes files with TensorFlow."""
    import tensorflow as tf

    for path in paths:
        _tensorflow_decoder(path)(tf.io.read_file(path))


def tf_data(paths: Sequence[str]) -> Task:
    """Returns a function that decodes files with tf.data."""
    import tensorflow as tf

    decode = _tensorflow_decoder(paths[0])
    # The last pixel: nothing can be skipped to get it.
    dataset = (
        tf.data.Dataset.from_tensor_slices(list(paths))
        .map(
            lambda path: decode(tf.io.read_file(path))[-1, -1, -1],
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,
        )
        .batch(_CHUNK)
    )
    return lambda: [None for _ in dataset]


def _tensorflow_decoder(path: str) -> Callable[..., object]:
    import tensorflow as tf

    return tf.io.decode_jpeg if path.endswith(".jpg") else tf.io.decode_png


def in_pool(
    pool: Executor, function: Callable[[Sequence[str]], None], paths: Sequence[str]
) -> Task:
    """Returns a function that applies another one to parts of the paths, in a pool."""
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    return lambda: list(pool.map(function, chunks))


def ways_to_decode(
    paths: Sequence[str], threads: Executor, processes: Executor
) -> dict[str, Task]:
    """Returns the ways to decode files on all cores; the fastest counts."""
    return {
        "Pillow, processes": in_pool(processes, decode_with_pillow, paths),
        "OpenCV, processes": in_pool(processes, decode_with_opencv, paths),
        "OpenCV, threads": in_pool(threads, decode_with_opencv, paths),
        "TensorFlow, threads": in_pool(threads, decode_with_tensorflow, paths),
        "TensorFlow, tf.data": tf_data(paths),
    }


def ways_to_read(
    paths: Sequence[str], threads: Executor, processes: Executor
) -> dict[str, Task]:
    """Returns the ways to read files on all cores; the faster one counts."""
    return {
        "reading, processes": in_pool(processes, read, paths),
        "reading, threads": in_pool(threads, read, paths),
    }


def ways_to_copy(
    paths: Sequence[str], threads: Executor, processes: Executor, *, folder: str
) -> dict[str, Task]:
    """Returns the ways to copy files on all cores; the faster one counts."""
    copy_there = functools.partial(copy, folder=folder)
    return {
        "copying, processes": in_pool(processes, copy_there, paths),
        "copying, threads": in_pool(threads, copy_there, paths),
    }
