"""The problems of a table's rows, collected and reported at once."""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Iterable, Sequence
from typing import Any

from tfds_imagecsv import exceptions

# Enough to see a pattern, few enough for one screen.
_SHOWN_PER_KIND = 10

# The most characters of a cell that messages show.
_SHOWN_LENGTH = 60


class Kind(enum.Enum):
    """A kind of problem: its heading in the report, and the remedy.

    Reports show the kinds in this order.
    """

    RAGGED = (
        "Wrong number of cells",
        "Give each row as many cells as the header has; quote cells with commas.",
    )
    NO_FILENAME = (
        "Empty file name",
        "Fill in the file name, or remove the row.",
    )
    NO_LABEL = (
        "Empty label",
        "Fill in the label, or remove the row.",
    )
    NO_FOLDER = (
        "Image that isn't in the folder of a label",
        "Move it into the folder of its label, or set label_level or label_type.",
    )
    LINE_BREAK = (
        "Line break in a cell",
        "Keep file names and labels on one line; look for a quote that isn't closed.",
    )
    UNKNOWN_CLASS = (
        "Label that isn't in classes",
        "Correct the label, or add it to the config's classes.",
    )
    NO_INDICATOR = (
        "Label that is neither 0 nor 1",
        "Write 1 or 0, or add what is written to true_values or false_values.",
    )
    NOT_ONE_CLASS = (
        "Row that isn't of just one class",
        "Write 1 in one of the columns, or set label_type to 'multilabel'.",
    )
    NO_NUMBER = (
        "Label that isn't a number",
        "Write a finite number, with a point before its decimals, that float32 has.",
    )
    NO_BOX = (
        "Class without a box",
        "Fill in the box; of an image without objects, leave the class empty, too.",
    )
    BOX_NUMBERS = (
        "Box that isn't four numbers",
        "Write four finite numbers, in four cells or in one such as '[1, 2, 3, 4]'.",
    )
    BOX_REPEATED = (
        "Box given twice",
        "Keep one row for each box.",
    )
    EMPTY_BOX = (
        "Row without a box, of an image with boxes",
        "Fill in the box, or remove the row.",
    )
    ROWS_DIFFER = (
        "Rows of one image that contradict each other",
        "Give all rows of an image the same group, split, size and further images.",
    )
    EXTRA_CELL = (
        "Cell that its column's type can't hold",
        "Correct the cell or the type; only strings and floats may be empty.",
    )
    SPLIT_NAME = (
        "Split name that TFDS can't read",
        "Name splits with letters, digits, '_' and '-', and not 'all'.",
    )
    AMBIGUOUS = (
        "File name that fits several files",
        "Write it with its folder and extension; match='exact' reads none loosely.",
    )
    OUTSIDE = (
        "File name that leaves the image directory",
        "Give file names relative to image_dir, without '..' or links out of it.",
    )
    REPEATED = (
        "File named twice",
        "Keep one row for each image.",
    )
    MISSING = (
        "Image not found",
        "Check image_dir, filename_column and filename_suffix, or remove the rows.",
    )
    UNREADABLE = (
        "Image that can't be read",
        "Replace or remove the image.",
    )
    UNSUPPORTED = (
        "File of a kind that isn't read",
        "Convert it to JPEG or PNG, do what its line says, or remove the row.",
    )
    TOO_LARGE = (
        "Image with more pixels than max_pixels",
        "Reduce or remove the image, or raise max_pixels.",
    )
    TOO_LONG = (
        "Image with a side that is too long for its format",
        "Reduce or remove the image, or set max_side.",
    )
    FORMAT = (
        "Image whose pixels can't be read as colours",
        "Convert the image to a PNG of 8 or 16 bits a channel.",
    )
    SHAPE = (
        "Image of another shape than image_shape",
        "Correct or remove the image, or set resize instead of image_shape.",
    )
    IMAGE_SIZE = (
        "Size in the table that isn't the image's",
        "Correct it: boxes that were drawn on another size don't fit.",
    )
    NO_MASK = (
        "Mask not found",
        "Check mask_dir and mask_column, or remove the rows.",
    )
    MASK_FORMAT = (
        "Mask whose values aren't certain",
        "Save it as a PNG of one channel of 8 or 16 bits, or set mask_colors.",
    )
    MASK_SIZE = (
        "Mask of another size than its image",
        "Save it in the size that its image has, in its file or as shown upright.",
    )
    MASK_COLOR = (
        "Mask with a colour that has no class",
        "Correct the mask, or add the colour to mask_colors.",
    )
    MASK_VALUE = (
        "Mask with a value that no class has",
        "Correct the mask, or add the class to classes.",
    )
    BOX_AREA = (
        "Box without an area",
        "Correct or remove it, or set box_format.",
    )
    BOX_OUTSIDE = (
        "Box that leaves its image",
        "Correct or remove it, or set box_format, box_units or boxes_are_upright.",
    )

    DUPLICATE = (
        "Identical images",
        "Remove the copies, or set duplicates to 'together' or 'drop'.",
    )
    CONFLICT = (
        "Identical images with different labels",
        "Keep the copy whose label is right.",
    )
    LEAK = (
        "Rows that belong together, in different splits",
        "Give one split to all of them, in the CSV or in the pinned manifest.",
    )
    PINNED = (
        "Pinned row that the CSV gives to another split",
        "Correct its split in the CSV, or remove it from the manifest.",
    )
    RARE_CLASS = (
        "Class with fewer images than min_class_size",
        "Add images, remove the class, or set rare_classes to 'keep' or 'drop'.",
    )

    def __init__(self, heading: str, remedy: str) -> None:
        """Unpacks a kind's value."""
        self.heading = heading
        self.remedy = remedy


# What a label may have; another config may suit it.
_OF_LABELS = (Kind.UNKNOWN_CLASS, Kind.NO_NUMBER, Kind.RARE_CLASS)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem of a row.

    Attributes:
      kind: what is wrong.
      row: the row's number in the CSV, as a spreadsheet shows it: the header is
        row 1, and blank rows count.
      detail: the wrong value, in words that fit after "row 12: ".
      key: the image's key, if the row has one.
      label: the row's label, if it has one.
      group: the row's group, if it has one.
      given: the split that the row gives, if any.
    """

    kind: Kind
    row: int
    detail: str
    key: str = dataclasses.field(default="", compare=False)
    label: str = dataclasses.field(default="", compare=False)
    group: str = dataclasses.field(default="", compare=False)
    given: str = dataclasses.field(default="", compare=False)


def escaped(text: str) -> str:
    """Returns a text with escapes for characters that don't print.

    Some of them would control a terminal, or reverse the direction of writing.
    """
    return text if text.isprintable() else repr(text)[1:-1]


def shown(text: str) -> str:
    """Returns a text for a message: in quotes, escaped, and not too long."""
    return repr(
        text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."
    )


def named(names: Sequence[str], most: int) -> str:
    """Returns names for a message; of many, the first, and how many more."""
    more = len(names) - most
    return ", ".join(map(shown, names[:most])) + (f" and {more:,} more" * (more > 0))


@dataclasses.dataclass(frozen=True)
class Places:
    """What messages call the rows of a table.

    Attributes:
      first_of: if there are several tables, the number below those of each table's
        rows, and its name.
      are_rows: whether there is a table; else messages only name images.
    """

    first_of: tuple[tuple[int, str], ...] = ()
    are_rows: bool = True

    def of(self, row: int) -> str:
        """Returns the place of a row, such as `row 12`, or `row 12 of test.csv`.

        Empty without a table.
        """
        if not self.are_rows:
            return ""
        for first, name in reversed(self.first_of):
            if row > first:
                return f"row {row - first} of {name}"
        return f"row {row}"

    def inside(self, row: int) -> str:
        """Returns the place of a row, in words that follow an image's name."""
        place = self.of(row)
        return f" in {place}" if place else ""


class UnusableImageError(Exception):
    """An image can't be used.

    Attributes:
      kind: what is wrong.
      detail: the wrong value, in words that fit after "'a.png'".
    """

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles it; with tblib, which Dask uses, errors keep their causes."""
        return type(self), (self.kind, self.detail)


def report(
    problems: Iterable[Problem],
    *,
    label_csv: str,
    image_dir: str,
    places: Places = Places(),
    looked_for: str = "",
    suggestion: str = "",
) -> str:
    """Describes problems: grouped by kind, sorted by row, counted, with remedies.

    Args:
      problems: the problems, in any order.
      label_csv: the table of the rows; empty if there is none.
      image_dir: the directory of the images.
      places: the names of rows.
      looked_for: the words about missing images.
      suggestion: the words about unusable labels.

    Returns:
      Lines of text: the first ten problems of each kind, and all counts.
    """
    by_kind = collections.defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem)
    total = sum(map(len, by_kind.values()))
    noun = "problem" if total == 1 else "problems"
    table = f"in {label_csv} with the images " if label_csv else ""
    lines = [f"{total:,} {noun} {table}in {image_dir}:"]
    for kind in Kind:
        found = sorted(by_kind[kind], key=lambda p: (p.row, p.detail))
        if not found:
            continue
        lines += ["", f"{kind.heading} ({len(found):,}):"]
        for one in found[:_SHOWN_PER_KIND]:
            place = places.of(one.row)
            lines.append(f"  {place}: {one.detail}" if place else f"  {one.detail}")
        if len(found) > _SHOWN_PER_KIND:
            lines.append(f"  ... and {len(found) - _SHOWN_PER_KIND:,} more")
        lines.append(f"  -> {kind.remedy}")
        if kind is Kind.MISSING and looked_for:
            lines.append(f"  -> {looked_for[0].upper()}{looked_for[1:]}")
        if kind in _OF_LABELS and suggestion:
            lines.append(f"  -> {suggestion[0].upper()}{suggestion[1:]}.")
    return "\n".join(lines)


def raise_if_any(problems: Iterable[Problem], **about: Any) -> None:
    """Raises all problems as one error.

    Args:
      problems: the problems, in any order.
      **about: see `report`.

    Raises:
      InvalidRowsError: if there is a problem.
    """
    problems = list(problems)
    if problems:
        raise exceptions.InvalidRowsError(report(problems, **about))
