"""How errors look where the `tfds` command runs."""

from __future__ import annotations

import sys
from types import TracebackType

from tfds_imagecsv import exceptions

# The package of the `tfds` command, private to TFDS: it is there only where the
# command runs. Were it renamed, users would see stack traces again.
_TFDS_COMMAND = "tensorflow_datasets.scripts.cli"


def show_errors_without_traceback() -> None:
    """Lets the `tfds` command print the message of an `ImageCsvError`, and no more.

    A stack trace says nothing about a mistake in a CSV, and hides the message that
    does. In other programs, and for other errors, nothing changes.
    """
    if _TFDS_COMMAND not in sys.modules:
        return
    show_with_traceback = sys.excepthook

    def show(
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, exceptions.ImageCsvError):
            print(f"Error: {error}", file=sys.stderr)
        else:
            show_with_traceback(kind, error, traceback)

    sys.excepthook = show
