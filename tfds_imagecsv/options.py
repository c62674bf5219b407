"""The options that the rooms take from the config, and the values of its fields.

Workers import this module, so it imports neither TFDS nor TensorFlow.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Mapping, Sequence

from tfds_imagecsv import exceptions

#: What a label may be.
LABEL_TYPES = ("class", "multilabel", "boxes", "regression", "none")

#: What to do with near duplicates.
NEAR_DUPLICATES = ("report", "together", "drop", "off")

#: The quality issues of images; `quality.THRESHOLDS` has their definitions.
QUALITY_ISSUES = (
    *("dark", "light", "low_information", "blurry", "grayscale"),
    *("odd_aspect_ratio", "odd_size"),
)

#: The label types with classes.
WITH_CLASSES = ("class", "multilabel", "boxes")

#: What the four numbers of a box may be: two corners, or the upper left corner or the
#: center, with width and height.
BOX_FORMATS = ("xyxy", "xywh", "cxcywh")

#: The units of boxes: pixels, or fractions of the image's width and height.
BOX_UNITS = ("pixels", "relative")

#: The types that an extra column may have.
COLUMN_DTYPES = ("bool", "int32", "int64", "float32", "float64", "string")

#: The features of each dataset; no extra column can have their names.
OWN_FEATURES = (
    *("image", "label", "image/filename", "image/format", "image/height"),
    "image/width",
)

#: The feature of boxes, as TFDS's own datasets name it.
OBJECTS = "objects"

#: The feature of segmentation masks, as TFDS's own datasets name it.
MASK = "segmentation_mask"

#: The features that each box has.
OWN_BOX_FEATURES = ("bbox", "label")

#: Stands for all columns that no other field names.
ALL_COLUMNS = "all"

# The longest side in pixels that libpng (`PNG_USER_WIDTH_MAX`) and libjpeg
# (`JPEG_MAX_DIMENSION`) read; TensorFlow and OpenCV decode with them.
MAX_SIDES = {"PNG": 1_000_000, "JPEG": 65_500}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How images are checked and stored; see the fields of `ImageCsvConfig`.

    Attributes:
      channels: 1 (gray), 3 (RGB) or 4 (RGBA).
      dtype: `"uint8"` or `"uint16"`.
      background: the colour behind transparent pixels unless alpha is kept: a name
        or number that Pillow knows.
      apply_exif: whether images are turned upright.
      resize: height and width in pixels, or None.
      max_side: the most pixels of the longer side, or None.
      image_shape: the height, width and channels of all images, or None.
      encoding: `"jpeg"`, `"png"`, or None for either.
      quality: of encoded JPEGs, 1 to 100; None for 95, and finer if they keep their
        size.
      icc: `"ignore"` or `"srgb"`: what to do with colour profiles.
      max_pixels: the most pixels of an image.
      verify: `"decode"` or `"header"`.
    """

    channels: int = 3
    dtype: str = "uint8"
    background: str = "white"
    apply_exif: bool = True
    resize: tuple[int, int] | None = None
    max_side: int | None = None
    image_shape: tuple[int, int, int] | None = None
    encoding: str | None = None
    quality: int | None = None
    icc: str = "ignore"
    max_pixels: int = 89_478_485
    verify: str = "decode"

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        """Height, width and channels of all images; None if they may differ."""
        height, width = (self.image_shape or self.resize or (None, None))[:2]
        return height, width, self.channels


def is_frame(value: object) -> bool:
    """Returns whether a value is a table, as of pandas, Polars or PyArrow.

    They have Arrow's PyCapsule interface; a single column has it as well.
    """
    return hasattr(value, "columns") and (is_of_arrow(value) or hasattr(value, "iloc"))


def is_of_arrow(value: object) -> bool:
    """Returns whether Arrow can read a value: a table, or a column."""
    return hasattr(value, "__arrow_c_stream__")


def name_of_frame(value: object) -> str:
    """Returns what to call a table in memory, such as `a DataFrame of pandas`."""
    kind = type(value)
    return f"a {kind.__name__} of {kind.__module__.partition('.')[0]}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How tables are read; see the fields of `ImageCsvConfig` of the same names.

    Attributes:
      label_column: the name of a column, the names of several, or None.
      split_names: the names of splits by cell.
      others: those of the config.
    """

    filename_column: str | None = None
    label_column: str | Sequence[str] | None = None
    label_type: str = "class"
    label_delimiter: str | None = None
    label_level: int | None = None
    box_columns: str | Sequence[str] | None = None
    box_format: str | None = None
    true_values: Sequence[str] = ()
    false_values: Sequence[str] = ()
    group_column: str | None = None
    split_column: str | None = None
    split_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extra_columns: Mapping[str, str] | str | None = None
    image_columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mask_column: str | None = None
    has_masks: bool = False
    filename_suffix: str = ""
    filename_template: str | None = None
    match: str = "loose"
    delimiter: str | None = None
    text_encoding: str | None = None
    header: bool | None = None
    skip_lines: int = 0
    sheet: str | None = None

    @property
    def list_delimiter(self) -> str | None:
        """What joins the items of cells that hold lists; None if none may."""
        return " " if self.label_type == "boxes" else self.label_delimiter

    @property
    def is_indicated(self) -> bool:
        """Whether each column with labels is a class, and has 0 and 1."""
        if self.label_type == "multilabel":
            return self.label_delimiter is None
        names = self.label_column
        if names is None or isinstance(names, str):
            return False
        return self.label_type == "class" and len(names) > 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilenameTemplate:
    """How file names are made of cells.

    Attributes:
      columns: the names of the columns, each once.
      pattern: the text for `str.format`, whose fields are the positions in `columns`.
    """

    columns: tuple[str, ...]
    pattern: str

    def fill(self, cells: Sequence[str]) -> str:
        """Returns a file name; empty if a cell is empty.

        Args:
          cells: those of the columns.
        """
        return self.pattern.format(*cells) if all(cells) else ""


def is_template(text: str) -> bool:
    """Returns whether a text names columns in braces, rather than being a name."""
    return "{" in text


def parse_template(text: object, field: str = "filename_template") -> FilenameTemplate:
    """Parses a template such as `"{folder}/{id}.png"`.

    Column names are in braces; doubled braces stand for braces. Anything between
    braces is a name: nothing else of Python's format language applies.

    Args:
      text: the text.
      field: the field of the config that has it, for messages.

    Raises:
      ConfigError: if it isn't a template.
    """
    try:
        return _parsed_template(text)
    except ValueError as error:
        raise exceptions.ConfigError(
            f"{field} must be a text with names of columns in braces, such as"
            f" '{{id}}.png', got {text!r}: {error}"
        ) from None


def _parsed_template(text: object) -> FilenameTemplate:
    """Returns a template; raises a `ValueError` that says why it can't."""
    if not isinstance(text, str):
        raise ValueError("it isn't a string")  # noqa: TRY004 - as what parsing raises
    columns: dict[str, int] = {}
    pattern = ""
    for literal, name, spec, conversion in string.Formatter().parse(text):
        pattern += literal.replace("{", "{{").replace("}", "}}")
        if name is None:
            continue
        if not name.strip():
            raise ValueError("a pair of braces is empty")
        if spec or conversion:
            raise ValueError("a name has ':' or '!' after it")
        pattern += f"{{{columns.setdefault(name, len(columns))}}}"
    if not columns:
        raise ValueError("it names no column")
    return FilenameTemplate(columns=tuple(columns), pattern=pattern)
