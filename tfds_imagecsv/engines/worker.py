"""A worker process: it answers questions, each of them a function and its argument."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import traceback
from typing import IO, Any, NamedTuple

from tfds_imagecsv import exceptions

# Bytes of the length of a message between processes.
_LENGTH = 8


class Answer(NamedTuple):
    """What became of a piece of work: a result, or an error."""

    result: Any
    error: Exception | None


def work() -> None:
    """Answers the questions on the standard input, until it ends.

    That is all that a worker process does.
    """
    # What a library prints must not get between the answers.
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    answer = Answer(None, None)  # ready
    # Whoever asked may have died since.
    with contextlib.suppress(BrokenPipeError):
        while True:
            write_message(answers, _pickled(answer))
            try:
                question = read_message(questions)
            except EOFError:
                return
            answer = _answer_to(question)


def _answer_to(question: bytes) -> Answer:
    try:
        function, item = pickle.loads(question)
        return Answer(function(item), None)
    except exceptions.ImageCsvError as error:
        return Answer(None, error)
    except Exception as error:
        # The stack trace isn't pickled.
        error.add_note("".join(traceback.format_exception(error)))
        return Answer(None, error)


def _pickled(answer: Answer) -> bytes:
    try:
        pickled = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        if answer.error is not None:
            # Some errors keep other arguments than they are made of.
            pickle.loads(pickled)
    except Exception as error:
        words = f"{type(error).__name__}: {error}: {answer!r:.1000}"
        return pickle.dumps(Answer(None, RuntimeError(words)))
    return pickled


def write_message(file: IO[bytes], content: bytes) -> None:
    """Writes how many bytes follow, and the bytes.

    So a message that can't be unpickled leaves the next one intact.
    """
    file.write(len(content).to_bytes(_LENGTH, "little"))
    file.write(content)
    file.flush()


def read_message(file: IO[bytes]) -> bytes:
    """Returns what `write_message` wrote.

    Raises:
      EOFError: if it isn't all there.
    """
    head = file.read(_LENGTH)
    length = int.from_bytes(head, "little")
    content = file.read(length)
    if len(head) < _LENGTH or len(content) < length:
        raise EOFError
    return content
