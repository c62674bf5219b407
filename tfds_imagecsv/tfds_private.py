"""All that touches what is private to TFDS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import tensorflow_datasets as tfds

from tfds_imagecsv import exceptions

# The package of the `tfds` command, private to TFDS: it is there only where the
# command runs. Were it renamed, users would see stack traces again.
_TFDS_COMMAND = "tensorflow_datasets.scripts.cli"


def set_class_names(label: tfds.features.ClassLabel, names: Sequence[str]) -> None:
    """Sets the names of the classes, also where others were set before.

    TFDS refuses to set other names, and restores those of the dataset that is there
    even if it is about to be overwritten.

    Args:
      label: the feature.
      names: the names in the order of the ids.
    """
    for attribute in ("_int2str", "_str2int", "_num_classes"):
        if not hasattr(label, attribute):
            raise AttributeError(
                f"ClassLabel has no {attribute} any more in tensorflow-datasets"
                f" {tfds.__version__}: tfds_imagecsv has to be adapted."
            )
        setattr(label, attribute, None)
    label.names = list(names)


def progress_bar(total: int, description: str) -> Any:
    """Returns a `tqdm` bar, or what stands for one after `disable_progress_bar`.

    Args:
      total: how many images there are.
      description: what is done with them.
    """
    return tfds.core.utils.tqdm(
        total=total, desc=description, unit=" images", leave=False
    )


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
