"""What a user says about a dataset: where it is, and how to split it."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import fractions
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from tfds_imagecsv import exceptions

# What TFDS can parse in `tfds.load("image_csv/NAME")` (its `core/naming.py`), and
# that neither hides its folder nor looks like the folder of a version.
_NAME = re.compile(r"(?!\d+\.\d+\.\d+$)[A-Za-z0-9_\-+][A-Za-z0-9_\-+.]{0,99}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")

_COLUMNS = ("filename_column", "label_column", "group_column", "split_column")


@dataclasses.dataclass(kw_only=True, eq=False)
class ImageCsvConfig(tfds.core.BuilderConfig):
    """A dataset made of a directory of images and a CSV of labels.

    All arguments are keywords. Values are checked here, files when the dataset is
    built. Lists and strings, as JSON has them, stand for tuples and paths.

    Attributes:
      name: The dataset's name: `image_csv/<name>`. Letters, digits, `_`, `-`, `+`
        and `.`, not beginning with `.`.
      image_dir: The directory with the images: an absolute path, a path that
        begins with `~`, a remote path such as `gs://...`, or a path relative to
        TFDS's manual directory.
      label_csv: The CSV with a header and a row for each image; paths as for
        `image_dir`.
      filename_column: The name of the column with the images' file names, relative
        to `image_dir`. Default: the first column.
      label_column: The name of the column with the labels. Default: the second
        column.
      group_column: The name of the column with the groups. Images of one group (a
        patient, a scene, a video) go to one split; an empty cell means a group of its
        own. Default: no groups.
      split_column: The name of the column with splits that are given. `val`, `valid`,
        `dev`, `training` and `testing` are understood, other names stay as they are;
        rows with an empty cell are divided by the sizes below. Default: no split is
        given.
      filename_suffix: What to append to each file name, such as `".png"` where the
        CSV has ids. Default: nothing.
      classes: The class names in the order of their ids. Default: the names found
        in the CSV, sorted by code point.
      val_size: The size of the `validation` split: a float from 0 to 1 is a
        fraction of each class, an int a count of images; 0: no such split.
        Default: 0.1.
      test_size: The size of the `test` split, like `val_size`. Default: 0.1.
      folds: 2 or more splits `fold0`, `fold1`, ... of equal size in the place of
        train and validation, for cross-validation; 0: none. `val_size` is not used
        then. Default: 0.
      seed: An int from 0 to 2**64 - 1 that chooses among equally good splits.
        Default: 0.
      duplicates: What to do with images of identical bytes: `"together"` keeps them
        in one split, `"drop"` keeps one of each, `"error"` stops. Default:
        `"together"`.
      pinned_splits: The `split_manifest.csv` of an earlier build: its images stay in
        their splits. Paths as for `image_dir`. Default: none.
      min_class_size: A class with fewer images is rare. Default: 1.
      rare_classes: What to do with rare classes: `"keep"`, `"drop"` or `"error"`.
        Default: `"keep"`.

    Raises:
      ConfigError: if a field is unknown, missing, or has a value that it can't
        have.
    """

    # Declared again for the order: TFDS declares `name` as a positional argument.
    name: str
    image_dir: str | os.PathLike[str]
    label_csv: str | os.PathLike[str]
    filename_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    filename_suffix: str = ""
    classes: Sequence[str] | None = None
    val_size: float = 0.1
    test_size: float = 0.1
    folds: int = 0
    seed: int = 0
    duplicates: str = "together"
    pinned_splits: str | os.PathLike[str] | None = None
    min_class_size: int = 1
    rare_classes: str = "keep"

    def __new__(cls, **values: Any) -> ImageCsvConfig:
        """Refuses fields that don't exist, and misses those that must be there."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise exceptions.ConfigError(
                    f"{name}: there is no such field.{hint} The fields are: "
                    + ", ".join(names)
                )
        required = ("name", "image_dir", "label_csv")
        missing = [name for name in required if name not in values]
        if missing:
            raise exceptions.ConfigError(f"{', '.join(missing)}: must be given")
        instance: ImageCsvConfig = super().__new__(cls)
        return instance

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets instances be copied and pickled, though they can't be made empty."""
        return _restore, (type(self), vars(self))

    def __post_init__(self) -> None:
        """Checks the values, and makes tuples of lists and strings of paths."""
        _check_name(self.name)
        if self.version is not None and not _VERSION.fullmatch(str(self.version)):
            raise exceptions.ConfigError(
                f"version must look like '1.0.0', got {self.version!r}"
            )
        self.image_dir = _path("image_dir", self.image_dir)
        self.label_csv = _path("label_csv", self.label_csv)
        if self.pinned_splits is not None:
            self.pinned_splits = _path("pinned_splits", self.pinned_splits)
        for field in _COLUMNS:
            _check_text(field, getattr(self, field), optional=True)
        _check_text("filename_suffix", self.filename_suffix, empty=True)
        if self.classes is not None:
            self.classes = _class_names(self.classes)
        self.val_size = _size("val_size", self.val_size)
        self.test_size = _size("test_size", self.test_size)
        held_out = [
            exact_fraction(size)
            for size in (0 if self.folds else self.val_size, self.test_size)
            if not isinstance(size, numbers.Integral)
        ]
        if sum(held_out) > 1:
            raise exceptions.ConfigError(
                "val_size and test_size must not sum to more than 1, got"
                f" {self.val_size} and {self.test_size}"
            )
        if not _is_int(self.folds) or self.folds < 0 or self.folds == 1:
            raise exceptions.ConfigError(
                f"folds must be 0 or an int of 2 or more, got {self.folds!r}"
            )
        if not _is_int(self.seed) or not 0 <= self.seed < 2**64:
            raise exceptions.ConfigError(
                f"seed must be an int from 0 to 2**64 - 1, got {self.seed!r}"
            )
        self.folds, self.seed = int(self.folds), int(self.seed)
        if not _is_int(self.min_class_size) or self.min_class_size < 1:
            raise exceptions.ConfigError(
                f"min_class_size must be an int of 1 or more, got"
                f" {self.min_class_size!r}"
            )
        self.min_class_size = int(self.min_class_size)
        _check_choice("duplicates", self.duplicates, ("together", "drop", "error"))
        _check_choice("rare_classes", self.rare_classes, ("keep", "drop", "error"))


def _restore(cls: type[ImageCsvConfig], values: Mapping[str, Any]) -> ImageCsvConfig:
    config = object.__new__(cls)
    config.__dict__.update(values)
    return config


def exact_fraction(size: float) -> fractions.Fraction:
    """Returns the fraction that was meant by a float.

    The float nearest to 0.1 is a little more than 0.1, and 1 - 0.7 a little more
    than 0.3; with them, a tenth of 30 images would be a little more than 3. The
    simplest fraction within the float's own precision is the one that was meant.

    >>> exact_fraction(1 - 0.7)
    Fraction(3, 10)

    Args:
      size: a number from 0 to 1.

    Returns:
      The nearest fraction whose denominator is 10**9 or less.
    """
    return fractions.Fraction(size).limit_denominator(10**9)


def _is_int(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise exceptions.ConfigError(
            "name must be made of up to 100 letters, digits, '_', '-', '+' and '.', not"
            f" begin with '.', and not look like a version, got {name!r}"
        )


def _path(field: str, value: object) -> str:
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str) and path.strip():
            return path
    raise exceptions.ConfigError(f"{field} must be a path, got {value!r}")


def _check_text(
    field: str, value: object, *, optional: bool = False, empty: bool = False
) -> None:
    if optional and value is None:
        return
    if not isinstance(value, str) or not (empty or value.strip()):
        kind = "a string" if empty else "a string that isn't empty"
        raise exceptions.ConfigError(f"{field} must be {kind}, got {value!r}")


def _check_choice(field: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        shown = ", ".join(map(repr, choices))
        raise exceptions.ConfigError(f"{field} must be one of {shown}, got {value!r}")


def _class_names(classes: object) -> tuple[str, ...]:
    if not isinstance(classes, Sequence) or isinstance(classes, str) or not classes:
        raise exceptions.ConfigError(
            f"classes must be a list of class names in the order of their ids, got"
            f" {classes!r}"
        )
    for name in classes:
        # Labels are read without the white space around them, and TFDS stores one
        # name a line.
        if not isinstance(name, str) or not name or name != name.strip():
            raise exceptions.ConfigError(
                "classes must be strings that neither are empty nor have white space"
                f" around them, got {name!r}"
            )
        if "\n" in name or "\r" in name:
            raise exceptions.ConfigError(
                f"classes must not have line breaks in them, got {name!r}"
            )
    counts = collections.Counter(classes)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise exceptions.ConfigError(
            "classes must differ from each other, got these more than once: "
            + ", ".join(map(repr, repeated))
        )
    return tuple(classes)


def _size(field: str, size: Any) -> float:
    """Returns a size as Python's own int or float."""
    valid = isinstance(size, numbers.Real) and not isinstance(size, bool)
    # NaN isn't within any bounds.
    if not valid or not size >= 0 or not (_is_int(size) or size <= 1):
        raise exceptions.ConfigError(
            f"{field} must be a float from 0 to 1 (a fraction) or an int of 0 or more"
            f" (a count of images), got {size!r}"
        )
    if _is_int(size):
        return int(size)
    # The digits that a NumPy float of 16 or 32 bits shows are those that were meant.
    return float(size if isinstance(size, numbers.Rational) else str(size))
