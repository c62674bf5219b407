"""The config of a dataset: its sources, and how to read, split and store them."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import fractions
import numbers
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from PIL import ImageColor

from tfds_imagecsv import exceptions, options, split_names
from tfds_imagecsv.options import MAX_SIDES, ImageOptions, TableOptions

# Names that TFDS parses in `tfds.load("image_csv/NAME")` (its `core/naming.py`), and
# whose folder is neither hidden nor looks like a version's.
_NAME = re.compile(r"(?!\d+\.\d+\.\d+$)[A-Za-z0-9_\-+][A-Za-z0-9_\-+.]{0,99}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")

# The fields with paths of sources; all but the first are optional.
PATH_FIELDS = (
    *("image_dir", "label_csv", "class_csv", "mask_dir", "mask_color_csv"),
    "pinned_splits",
)
_COLUMNS = ("filename_column", "group_column", "split_column")

# The texts about the dataset, which change none of its records.
TEXT_FIELDS = ("description", "homepage", "citation", "license")

# The fields of several tables or folders, by split.
PathOrPaths = str | os.PathLike[str] | Mapping[str, Any]

# A DataFrame, or a table of Arrow.
Table = Any

_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")

_SHA256 = re.compile(r"[0-9a-f]{64}")

_HOMEPAGE = re.compile(r"https?://[^\s/?#]\S*")

# The most pixels that TensorFlow decodes (its `decode_image_op.cc`).
_MAX_PIXELS = 2**29 - 1


@dataclasses.dataclass(kw_only=True, eq=False)
class ImageCsvConfig(tfds.core.BuilderConfig):
    r"""A dataset made of a directory of images and a CSV of labels.

    All arguments are keywords. The config checks values, the build checks files. Lists
    and strings, as in JSON, stand for tuples and paths.

    Attributes:
      name: The dataset's name: `image_csv/<name>`. Letters, digits, `_`, `-`, `+`
        and `.`, not beginning with `.`.
      image_dir: The directory with the images, or an archive of them (`.zip`, `.tar`,
        `.tar.gz`, `.tar.bz2`, `.tar.xz`, `.7z`): an absolute path, a path that begins
        with `~`, a remote path such as `gs://...` or `s3://...`, or a path relative to
        TFDS's manual directory; or the `http(s)://...` URL of an archive. If the
        directory is missing, an archive of its name beside it takes its place. Or a
        directory for each split.
      label_csv: The table with a row for each image: a CSV, or a file whose name ends
        with `.tsv` (tabs), `.jsonl` (JSON Lines), `.parquet`, `.xlsx`, `.xls` or
        `.ods`, which may be compressed; paths as for `image_dir`, or a URL. Or a table
        for each split. Or a DataFrame of pandas or Polars, or a PyArrow table. Default:
        no table: the folders' names are the labels, and folders named like splits give
        the splits.
      filename_column: The name of the column with the images' file names, relative
        to `image_dir`. Default: the first column whose cells name files.
      label_column: The name of the column with the labels, or a list of several, each
        a number with `"regression"`, else a class. Default: the second column; if that
        has the file names, the next one.
      label_type: What a label is: `"class"`, the name of one class; `"multilabel"`,
        those of any number of classes, in a cell between delimiters or in columns of 0
        and 1; `"boxes"`, those of objects, each with a box, in rows of their own;
        `"regression"`, a finite number, or one in each of several columns; `"none"`,
        there are no labels. With `"class"` and several columns, exactly one
        of them is 1. Default: `"class"`.
      label_delimiter: What separates the class names of a cell with `"multilabel"`; a
        cell that is only a delimiter has no class. Default: each column is a class.
      label_level: Without a table, which folder is the label: 1 is the first one below
        `image_dir` or the folder of a split, 2 the one in it, -1 the image's own; 0 is
        the first of all, even if it is named like a split. Default: 1.
      box_columns: The names of the four columns with the numbers of a box, in the order
        of `box_format`, or of the one with all four in a cell, such as
        `[10, 20, 30, 40]`. Default: columns with usual names, such as `xmin`, `ymin`,
        `xmax` and `ymax`, or `bbox`.
      box_format: What the numbers of a box are: `"xyxy"`, its left, upper, right and
        lower edge; `"xywh"`, its left and upper edge, width and height; `"cxcywh"`, its
        center, width and height. Default: what the columns' names say, or the only one
        that puts the boxes into their images.
      box_units: What boxes are measured in: `"pixels"`, or `"relative"`, fractions of
        the image's width and height. Default: relative, if no number is above 1.
      boxes_are_upright: Whether boxes are in the frame of the image as it is shown
        upright, by its EXIF orientation, as most tools show it; else in that of the
        file. Default: as columns of the table with the images' width and height say,
        else true.
      true_values: What means 1, besides `1`, `1.0` and `true`, in columns of 0 and 1.
        Default: nothing else.
      false_values: What means 0, besides `0`, `0.0` and `false`; `""` is an empty cell.
        Default: nothing else.
      group_column: The name of the column with the groups. Images of one group (a
        patient, a scene, a video) go to one split; an empty cell means a group of its
        own. Default: no groups.
      split_column: The name of the column with given splits. It may say `val`, `valid`,
        `dev`, `training` and `testing`, or yes and no in a column named like `is_valid`
        or `is_test`; other names stay as they are. Rows with an empty cell are divided
        by the sizes below. Default: no given splits.
      split_names: The splits that the cells of the column (or names of folders) mean,
        such as `{"0": "test"}`; `""` means rows that are divided. Default: as above.
      extra_columns: Further columns that become features, and their types by name:
        `"bool"`, `"int32"`, `"int64"`, `"float32"`, `"float64"` or `"string"`; or
        `"all"` for all that no other field names, with the types that fit. An empty
        cell is NaN among floats, an empty string among strings, and an error elsewhere.
        Default: none.
      image_columns: Further images of each example: by the name of the feature, the
        column with the file names, or a template like `filename_template`, such as
        `{"right": "right_file"}`. Their files are found, checked and stored like those
        of `image`. Default: none.
      mask_column: The column with the file names of segmentation masks, or a template
        like `filename_template`. A mask has one channel. Its values are stored as they
        are, in the feature `segmentation_mask`, pixel by pixel of the stored image.
        Default: no masks; with `mask_dir`, the images' own names.
      mask_dir: The directory of the masks; paths as for `image_dir`. Default:
        `image_dir`.
      mask_colors: The classes of masks by their colours, such as `{"#ff0000": "car"}`;
        each pixel becomes the id of its class. Default: masks have values.
      mask_color_csv: The same as a CSV, with the columns `color`, or `r`, `g` and `b`,
        and `class`. Paths as for `image_dir`. Default: none.
      masks_are_upright: Whether masks are in the frame of their images as shown
        upright, by their EXIF orientation; else in that of the files. Default: as their
        sizes say, else true.
      filename_suffix: What to append to each file name, such as `".png"` if the CSV has
        ids. Default: nothing.
      filename_template: How columns make file names, with their names in braces, such
        as `"{folder}/{id}.png"`; `{{` and `}}` stand for braces. It replaces
        `filename_column` and `filename_suffix`. Default: none.
      match: How names are looked up: `"exact"` as they are; `"loose"` also with `\`
        between folders, as absolute paths, with the directory's own name, in another
        letter case, without or with another extension, and without their folder, if
        exactly one file fits. Default: `"loose"`.
      delimiter: What is between the cells of a text file; `" "` stands for runs of
        blanks. Default: comma, semicolon, tab or pipe, whichever fits all rows.
      text_encoding: The encoding of a text file, such as `"cp1252"`. Default: UTF-8, or
        UTF-16 with a byte-order mark.
      header: Whether the first row has the names of the columns; without it, they are
        called `1`, `2`, ... Default: yes, unless one of its cells names an image.
      skip_lines: The number of lines above the header. Default: 0.
      sheet: The name of the sheet of a spreadsheet. Default: the first.
      classes: The class names in the order of their ids; if labels have no classes,
        those of the masks' values. Default: the names found in the CSV, sorted by code
        point, or those of the columns of 0 and 1; for masks, none.
      class_csv: A CSV of the classes instead of `classes`, with the columns `classname`
        and `class_id` (0 to n - 1 in any order); the metadata keep other columns. Paths
        as for `image_dir`. Default: none.
      val_size: The size of the `validation` split: a float from 0 to 1, or a text
        such as `"20%"`, is a fraction of each class, an int a count of images; 0: no
        such split. Default: 0.1.
      test_size: The size of the `test` split, like `val_size`. Default: 0.1.
      folds: 2 or more splits `fold0`, `fold1`, ... of equal size instead of train and
        validation, for cross-validation; `val_size` is then unused. 0: no folds.
        Default: 0.
      seed: An int from 0 to 2**64 - 1 that chooses among equally good splits.
        Default: 0.
      duplicates: What to do with images with identical bytes: `"together"` keeps them
        in one split, `"drop"` keeps one of each, `"error"` stops. Default:
        `"together"`.
      near_duplicates: What to do with images that show the same, but have different
        bytes: `"report"` names them, `"together"` keeps them in one split, `"drop"`
        keeps one of each, `"off"` doesn't look for them. Default: `"report"`; `"off"`
        if `verify` is `"header"`, or there are more than 1,000,000 images.
      pinned_splits: The `split_manifest.csv` of an earlier build: its images stay in
        their splits. Paths as for `label_csv`. Default: none.
      min_class_size: A class with fewer images is rare. Default: 1.
      rare_classes: What to do with rare classes: `"keep"`, `"drop"` or `"error"`.
        Default: `"keep"`.
      channels: The channels of images: 1 (gray), 3 (RGB) or 4 (RGBA). Default: 3.
      dtype: The type of a channel: `"uint8"`, or `"uint16"`, which keeps 16 bits and
        scales 8 bits up (by 257). Default: `"uint8"`, which keeps the upper 8 of 16
        bits.
      background: The colour behind transparent pixels, unless `channels` is 4: a name,
        or a number such as `"#ffffff"`. Default: `"white"`.
      apply_exif: Whether images are turned upright as their EXIF orientation says.
        Default: true.
      resize: The height and width, in pixels, of all images, whatever their
        proportions; at most 2**29 - 1 pixels in all, and 1,000,000 a side (65,500 if
        `encoding` is `"jpeg"`), the limits of decoders. Default: as they are.
      max_side: The most pixels of the longer side: larger images are reduced, smaller
        ones aren't enlarged. Default: any.
      image_shape: The declared height, width and channels of all images, at most
        2**29 - 1 pixels; any other shape is an error. Default: the shape that `resize`
        gives, or any.
      encoding: The format of all images: `"jpeg"` or `"png"`. Default: as they are.
        If images must be converted, resized ones become JPEGs if their format is lossy
        (JPEG, WebP, AVIF, HEIC, JPEG XL), else PNGs. Of those that keep their size,
        JPEGs from 64 times 64 pixels on stay JPEGs, HEIC becomes JPEG, and all others
        become PNGs.
      quality: The quality of encoded JPEGs, 1 to 100. JPEGs that are only turned aren't
        encoded, if their sides are whole blocks. Default: 95; for JPEGs that keep their
        size, that of the file, and at least 97.
      icc: What to do with colours with an embedded profile that isn't sRGB, such as the
        Display P3 of phones: `"ignore"` keeps their numbers, `"srgb"` converts them.
        Default: `"ignore"`.
      max_pixels: The most pixels (height times width) of an image, up to 2**29 - 1,
        which TensorFlow can decode. Default: 89,478,485, as Pillow's.
      verify: How images are checked before anything is written: `"decode"` decodes
        them, `"header"` reads their headers only, for images that are known to be good.
        Default: `"decode"`.
      on_error: What to do with unusable rows and images: `"fail"` stops and shows
        them; `"skip"` leaves them out, and lists them in `rejected_rows.csv`. Default:
        `"fail"`.
      max_rejected: The largest fraction of the rows that `on_error="skip"` may leave
        out. Default: 0.01.
      drop_issues: The quality issues whose images are left out: some of `"dark"`,
        `"light"`, `"low_information"`, `"blurry"`, `"grayscale"`, `"odd_aspect_ratio"`
        and `"odd_size"`. Default: none.
      workers: The most processes that inspect images and write shards; the result is
        the same for any number. Default: the number of cores.
      checksums: The SHA-256 of downloads by URL, as 64 hexadecimal digits. Default:
        none; nothing is checked.
      description: What the dataset is, as text or Markdown. Default: the numbers of
        images and classes, the table and the splits.
      homepage: The URL of a page about the dataset. Default: none.
      citation: How to cite the dataset, such as a BibTeX entry. Default: none.
      license: The licence of the images and labels: a name such as `"CC-BY-4.0"`, or
        its text. Default: none: unknown.
      report: Whether a build writes `report.html` beside the records: a page with
        numbers, plots and examples. Default: true.

    Raises:
      ConfigError: if a field is unknown, missing or invalid.
    """

    # Declared again for the order: TFDS declares `name` as a positional argument.
    name: str
    image_dir: PathOrPaths
    label_csv: PathOrPaths | Table | None = None
    filename_column: str | None = None
    label_column: str | Sequence[str] | None = None
    label_type: str = "class"
    label_delimiter: str | None = None
    label_level: int | None = None
    box_columns: str | Sequence[str] | None = None
    box_format: str | None = None
    box_units: str | None = None
    boxes_are_upright: bool | None = None
    true_values: Sequence[str] = ()
    false_values: Sequence[str] = ()
    group_column: str | None = None
    split_column: str | None = None
    split_names: Mapping[str, str] | None = None
    extra_columns: Mapping[str, str] | str | None = None
    image_columns: Mapping[str, str] | None = None
    mask_column: str | None = None
    mask_dir: str | os.PathLike[str] | None = None
    mask_colors: Mapping[str, str] | None = None
    mask_color_csv: str | os.PathLike[str] | None = None
    masks_are_upright: bool | None = None
    filename_suffix: str = ""
    filename_template: str | None = None
    match: str = "loose"
    delimiter: str | None = None
    text_encoding: str | None = None
    header: bool | None = None
    skip_lines: int = 0
    sheet: str | None = None
    classes: Sequence[str] | None = None
    class_csv: str | os.PathLike[str] | None = None
    val_size: float = 0.1
    test_size: float = 0.1
    folds: int = 0
    seed: int = 0
    duplicates: str = "together"
    near_duplicates: str | None = None
    pinned_splits: str | os.PathLike[str] | None = None
    min_class_size: int = 1
    rare_classes: str = "keep"
    channels: int = ImageOptions.channels
    dtype: str = ImageOptions.dtype
    background: str = ImageOptions.background
    apply_exif: bool = ImageOptions.apply_exif
    resize: Sequence[int] | None = None
    max_side: int | None = None
    image_shape: Sequence[int] | None = None
    encoding: str | None = None
    quality: int | None = None
    icc: str = "ignore"
    max_pixels: int = ImageOptions.max_pixels
    verify: str = ImageOptions.verify
    on_error: str = "fail"
    max_rejected: float = 0.01
    drop_issues: Sequence[str] = ()
    workers: int | None = None
    checksums: Mapping[str, str] | None = None
    homepage: str | None = None
    citation: str | None = None
    license: str | None = None
    report: bool = True

    def __new__(cls, **values: Any) -> ImageCsvConfig:
        """Rejects unknown fields and reports missing ones."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise exceptions.ConfigError(
                    f"{name}: there is no such field.{hint} The fields are: "
                    + ", ".join(names)
                )
        required = ("name", "image_dir")
        missing = [name for name in required if name not in values]
        if missing:
            raise exceptions.ConfigError(f"{', '.join(missing)}: must be given")
        instance: ImageCsvConfig = super().__new__(cls)
        return instance

    def __repr__(self) -> str:
        """Shows the fields that differ from their defaults, as Python."""
        shown = []
        for field in dataclasses.fields(self):
            default: Any = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            # Compares texts, since 1 is one image and 1.0 is all.
            value, usual = (
                _as_python(one) for one in (getattr(self, field.name), default)
            )
            if default is dataclasses.MISSING or value != usual:
                shown.append(f"{field.name}={value}")
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets instances be copied and pickled, though `__new__` needs arguments."""
        return _restore, (type(self), vars(self))

    def __post_init__(self) -> None:
        """Checks the values; turns lists into tuples and paths into strings."""
        _check_name(self.name)
        if self.version is not None and not _VERSION.fullmatch(str(self.version)):
            raise exceptions.ConfigError(
                f"version must look like '1.0.0', got {self.version!r}"
            )
        self._check_sources()
        for field in PATH_FIELDS[2:]:
            if getattr(self, field) is not None:
                setattr(self, field, _path(field, getattr(self, field)))
        for field in (*_COLUMNS, "sheet"):
            _check_text(field, getattr(self, field), optional=True)
        self._check_text_format()
        self._check_filenames()
        if self.classes is not None:
            self.classes = _class_names(self.classes)
        self._check_labels()
        self.extra_columns = _extra_columns(self.extra_columns, self.own_features)
        self._check_image_columns()
        self._check_masks()
        self._check_splits()
        self._check_images()
        _check_choice("on_error", self.on_error, ("fail", "skip"))
        if not _is_real(self.max_rejected) or not 0 <= self.max_rejected <= 1:
            raise exceptions.ConfigError(
                f"max_rejected must be a fraction from 0 to 1, got"
                f" {self.max_rejected!r}"
            )
        self.max_rejected = _meant(self.max_rejected)
        self.drop_issues = _issues(self.drop_issues)
        if self.verify == "header" and self.drop_issues:
            raise exceptions.ConfigError(
                "drop_issues need pixels, which verify='header' doesn't decode,"
                f" got {self.drop_issues!r}"
            )
        if self.workers is not None:
            self.workers = _int("workers", self.workers, at_least=1)
        if self.checksums is not None:
            urls = [*filter(is_url, self.paths.values())]
            self.checksums = _checksums(self.checksums, urls)
        self._check_texts()
        if not isinstance(self.report, bool):
            raise exceptions.ConfigError(
                f"report must be true or false, got {self.report!r}"
            )

    def _check_filenames(self) -> None:
        """Checks how columns make the names of files."""
        _check_text("filename_suffix", self.filename_suffix, empty=True)
        if self.filename_template is not None:
            options.parse_template(self.filename_template)
            if self.filename_column is not None or self.filename_suffix:
                raise exceptions.ConfigError(
                    "filename_template takes the place of filename_column and"
                    f" filename_suffix, got {self.filename_template!r},"
                    f" {self.filename_column!r} and {self.filename_suffix!r}"
                )

    def _check_splits(self) -> None:
        """Checks how rows are divided, and which are left out first."""
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
        self.min_class_size = _int("min_class_size", self.min_class_size, at_least=1)
        _check_choice("duplicates", self.duplicates, ("together", "drop", "error"))
        if self.near_duplicates is not None:
            _check_choice(
                "near_duplicates", self.near_duplicates, options.NEAR_DUPLICATES
            )
        _check_choice("rare_classes", self.rare_classes, ("keep", "drop", "error"))

    def _check_texts(self) -> None:
        """Checks the texts about the dataset."""
        for field in TEXT_FIELDS:
            value = getattr(self, field)
            _check_text(field, value, optional=True)
            try:
                (value or "").encode()
            except UnicodeEncodeError as error:
                raise exceptions.ConfigError(
                    f"{field} must be text that UTF-8 can hold, got"
                    f" {value[error.start]!r} at character {error.start + 1}"
                ) from None
        url = self.homepage
        if url is not None and not (_HOMEPAGE.fullmatch(url) and url.isprintable()):
            raise exceptions.ConfigError(
                "homepage must be a URL that begins with http:// or https:// and has no"
                f" white space, got {url!r}"
            )

    def _check_labels(self) -> None:
        """Checks the fields about labels."""
        _check_choice("label_type", self.label_type, options.LABEL_TYPES)
        kind = f"label_type={self.label_type!r}"
        columns = self.label_column
        if isinstance(columns, str) or columns is None:
            _check_text("label_column", columns, optional=True)
        else:
            self.label_column = columns = _column_names("label_column", columns)
            if len(columns) == 1 and self.label_type == "class":
                self.label_column = columns[0]
        if self.label_type == "none" and columns is not None:
            raise exceptions.ConfigError(
                f"label_column can't be given with {kind}, got {columns!r}"
            )
        self._check_delimiter(kind)
        self._check_boxes(kind)
        self.split_names = _split_names(self.split_names)
        for field in ("true_values", "false_values"):
            values = _texts(field, getattr(self, field))
            setattr(self, field, values)
            if values and not self.table_options.is_indicated:
                raise exceptions.ConfigError(
                    f"{field} can only be given for columns of 0 and 1, each a class:"
                    f" name them as label_column. Got {list(values)} with {kind}"
                )
        both = set(self.true_values) & set(self.false_values)
        if both:
            raise exceptions.ConfigError(
                "true_values and false_values must be different, got"
                f" {sorted(both)} in both"
            )
        for field, default in (
            *(("classes", None), ("class_csv", None)),
            *(("min_class_size", 1), ("rare_classes", "keep")),
        ):
            value = getattr(self, field)
            if self.has_masks and field in ("classes", "class_csv"):
                continue  # they may be those of the masks
            if self.label_type not in options.WITH_CLASSES and value != default:
                raise exceptions.ConfigError(
                    f"{field} can't be given with {kind}, which has no classes, got"
                    f" {value!r}"
                )
        if self.classes is not None and self.class_csv is not None:
            raise exceptions.ConfigError(
                "classes and class_csv can't both be given, got"
                f" {list(self.classes)} and {self.class_csv!r}"
            )

    def _check_image_columns(self) -> None:
        """Checks the columns with further images."""
        if self.image_columns is None:
            return
        self.image_columns = _image_columns(self.image_columns)
        if self.label_type != "boxes" and isinstance(self.extra_columns, Mapping):
            both = sorted(self.image_columns.keys() & self.extra_columns.keys())
            if both:
                raise exceptions.ConfigError(
                    "image_columns and extra_columns must name different features, got"
                    f" {', '.join(map(repr, both))} in both"
                )

    def _check_masks(self) -> None:
        """Checks the fields about masks."""
        _check_text("mask_column", self.mask_column, optional=True)
        if self.mask_column is not None and options.is_template(self.mask_column):
            options.parse_template(self.mask_column, "mask_column")
        _check_choice("masks_are_upright", self.masks_are_upright, (None, True, False))
        if not self.has_masks:
            fields = ("mask_colors", "mask_color_csv", "masks_are_upright")
            self._refuse(fields, "neither mask_column nor mask_dir")
        colors = self.mask_colors
        if colors is None:
            return
        if self.mask_color_csv is not None:
            raise exceptions.ConfigError(
                "mask_colors and mask_color_csv can't both be given, got"
                f" {dict(colors)} and {self.mask_color_csv!r}"
            )
        are_texts = isinstance(colors, Mapping) and all(
            isinstance(one, str) and one.strip() for one in (*colors, *colors.values())
        )
        if not are_texts or not colors:
            raise exceptions.ConfigError(
                "mask_colors must be names of classes by colours, such as"
                f" {{'#ff0000': 'car'}}, got {colors!r}"
            )
        self.mask_colors = {one: name.strip() for one, name in colors.items()}

    def _check_boxes(self, kind: str) -> None:
        """Checks the fields about boxes."""
        fields = ("box_columns", "box_format", "box_units", "boxes_are_upright")
        if self.label_type != "boxes":
            self._refuse(fields, kind)
            return
        if isinstance(self.label_column, tuple):
            if len(self.label_column) > 1:
                raise exceptions.ConfigError(
                    f"label_column must be one column with {kind}, whose cells are the"
                    f" classes of the boxes, got {list(self.label_column)}"
                )
            self.label_column = self.label_column[0]
        columns = self.box_columns
        if columns is not None:
            if isinstance(columns, str):
                columns = (columns,)
            columns = _column_names("box_columns", columns)
            if len(columns) not in (1, 4):
                raise exceptions.ConfigError(
                    "box_columns must be the names of four columns with a number each,"
                    f" or of one with four numbers, got {list(columns)}"
                )
            self.box_columns = columns if len(columns) > 1 else columns[0]
        _check_choice("box_format", self.box_format, (None, *options.BOX_FORMATS))
        _check_choice("box_units", self.box_units, (None, *options.BOX_UNITS))
        _check_choice("boxes_are_upright", self.boxes_are_upright, (None, True, False))

    def _check_sources(self) -> None:
        """Checks where tables and images are, and the fields about tables."""
        self.image_dir = _path_or_paths("image_dir", self.image_dir)
        if self.label_csv is not None and not options.is_frame(self.label_csv):
            self.label_csv = _path_or_paths("label_csv", self.label_csv)
        of_dir, of_csv = self.image_dir, self.label_csv
        if isinstance(of_dir, Mapping) and of_csv is not None:
            splits = list(of_csv) if isinstance(of_csv, Mapping) else []
            if set(splits) != set(of_dir):
                raise exceptions.ConfigError(
                    "image_dir and label_csv must have the same splits if image_dir has"
                    f" several, got {sorted(of_dir)} and {sorted(splits)}"
                )
        if isinstance(of_csv, Mapping) or isinstance(of_dir, Mapping):
            self._refuse(
                ("split_column", "split_names"), "the splits of image_dir or label_csv"
            )
        if of_csv is None:
            fields = (
                *("filename_column", "label_column", "group_column", "split_column"),
                *("extra_columns", "image_columns", "mask_column"),
                *("filename_suffix", "filename_template"),
                *("delimiter", "text_encoding", "header", "skip_lines", "sheet"),
            )
            self._refuse(fields, "no label_csv, where folders are the labels")
            if self.label_type not in ("class", "none"):
                raise exceptions.ConfigError(
                    f"label_type must be 'class' or 'none' without label_csv, where"
                    f" folders are the labels, got {self.label_type!r}"
                )
        elif self.label_level is not None:
            raise exceptions.ConfigError(
                "label_level is for folders as labels, without label_csv, got"
                f" {self.label_level!r}"
            )
        if self.label_level is not None and (
            not _is_int(self.label_level) or self.label_level < -1
        ):
            raise exceptions.ConfigError(
                f"label_level must be an int of -1 or more, got {self.label_level!r}"
            )

    def _refuse(self, fields: Sequence[str], given: str) -> None:
        """Refuses fields that another value makes useless."""
        defaults = {one.name: one.default for one in dataclasses.fields(type(self))}
        for field in fields:
            if getattr(self, field) != defaults[field]:
                raise exceptions.ConfigError(
                    f"{field} can't be given with {given}, got {getattr(self, field)!r}"
                )

    def _check_text_format(self) -> None:
        """Checks the fields about text tables."""
        _check_choice("match", self.match, ("loose", "exact"))
        _check_choice("header", self.header, (None, True, False))
        self.skip_lines = _int("skip_lines", self.skip_lines, at_least=0)
        one = self.delimiter
        if one is not None and (
            not isinstance(one, str) or len(one) != 1 or one in '\r\n"'
        ):
            raise exceptions.ConfigError(
                "delimiter must be a character that is neither a line break nor a"
                f" quote, such as ';', or ' ' for runs of blanks, got {one!r}"
            )
        if self.text_encoding is not None:
            try:
                "".encode(self.text_encoding)
            except (LookupError, TypeError, ValueError):
                raise exceptions.ConfigError(
                    "text_encoding must be an encoding that Python knows, such as"
                    f" 'cp1252' or 'latin-1', got {self.text_encoding!r}"
                ) from None

    def _check_delimiter(self, kind: str) -> None:
        delimiter, columns = self.label_delimiter, self.label_column
        if delimiter is None:
            if self.label_type == "multilabel" and not isinstance(columns, tuple):
                raise exceptions.ConfigError(
                    f"label_delimiter must be given with {kind}, such as '|', or a list"
                    " of columns of 0 and 1 as label_column"
                )
            return
        if (
            not isinstance(delimiter, str)
            or not delimiter
            or set(delimiter) & set("\r\n")
        ):
            raise exceptions.ConfigError(
                "label_delimiter must be a string that isn't empty and has no line"
                f" break, got {delimiter!r}"
            )
        if self.label_type != "multilabel":
            raise exceptions.ConfigError(
                f"label_delimiter needs label_type='multilabel', got {delimiter!r} with"
                f" {kind}"
            )
        if isinstance(columns, tuple):
            if len(columns) > 1:
                raise exceptions.ConfigError(
                    "label_delimiter and several columns as label_column can't both be"
                    f" given, got {delimiter!r} and {list(columns)}"
                )
            self.label_column = columns[0]

    def _check_images(self) -> None:
        """Checks the fields about images."""
        if _is_int(self.channels):
            self.channels = int(self.channels)
        _check_choice("channels", self.channels, (1, 3, 4))
        _check_choice("dtype", self.dtype, ("uint8", "uint16"))
        _check_color("background", self.background)
        if not isinstance(self.apply_exif, bool):
            raise exceptions.ConfigError(
                f"apply_exif must be true or false, got {self.apply_exif!r}"
            )
        self.resize = _sides("resize", self.resize, ("height", "width"))
        if self.max_side is not None:
            self.max_side = _int("max_side", self.max_side, at_least=1)
            if self.resize is not None:
                raise exceptions.ConfigError(
                    "resize and max_side can't both be given, got"
                    f" {list(self.resize)} and {self.max_side}"
                )
        self.image_shape = _sides(
            "image_shape", self.image_shape, ("height", "width", "channels")
        )
        if self.image_shape is not None:
            declared = [*(self.resize or self.image_shape[:2]), self.channels]
            if list(self.image_shape) != declared:
                raise exceptions.ConfigError(
                    f"image_shape must agree with resize and channels={self.channels},"
                    f" got {list(self.image_shape)}, not {declared}"
                )
        _check_choice("encoding", self.encoding, (None, "jpeg", "png"))
        if self.encoding == "jpeg" and (self.channels == 4 or self.dtype == "uint16"):
            raise exceptions.ConfigError(
                "encoding must be 'png' or none if channels is 4 or dtype is"
                " 'uint16', which JPEG can't keep, got 'jpeg'"
            )
        image_format = "JPEG" if self.encoding == "jpeg" else "PNG"
        if self.resize is not None and max(self.resize) > MAX_SIDES[image_format]:
            raise exceptions.ConfigError(
                f"resize must have no side of more than {MAX_SIDES[image_format]}"
                f" pixels, the most that decoders of {image_format} read, got"
                f" {list(self.resize)}"
            )
        if self.quality is not None:
            self.quality = _int("quality", self.quality, at_least=1, at_most=100)
        _check_choice("icc", self.icc, ("ignore", "srgb"))
        if self.icc == "srgb" and self.dtype == "uint16":
            raise exceptions.ConfigError(
                "icc must be 'ignore' if dtype is 'uint16': colours of 16 bits can't"
                f" be converted, got {self.icc!r}"
            )
        self.max_pixels = _int(
            "max_pixels", self.max_pixels, at_least=1, at_most=_MAX_PIXELS
        )
        _check_choice("verify", self.verify, ("decode", "header"))
        if self.verify == "header" and self.near_duplicates not in (None, "off"):
            raise exceptions.ConfigError(
                "near_duplicates need pixels, which verify='header' doesn't decode,"
                f" got {self.near_duplicates!r}"
            )

    @property
    def label_columns(self) -> int:
        """The number of columns with labels."""
        return len(self.label_column) if isinstance(self.label_column, tuple) else 1

    @property
    def has_masks(self) -> bool:
        """Whether there are segmentation masks."""
        return self.mask_column is not None or self.mask_dir is not None

    @property
    def own_features(self) -> Sequence[str]:
        """The names that no extra column can have."""
        if self.label_type == "boxes":  # extra columns are features of boxes
            return options.OWN_BOX_FEATURES
        return (*options.OWN_FEATURES, *([options.MASK] if self.has_masks else []))

    @property
    def paths(self) -> dict[str, str]:
        """The paths and URLs, by field; if there are several, by field and split."""
        return {
            place: path
            for field in PATH_FIELDS
            for place, path in _named_paths(field, getattr(self, field)).items()
        }

    @property
    def frames(self) -> dict[str, Any]:
        """The tables in memory, by field; if there are several, by field and split."""
        value = self.label_csv
        values = {"label_csv": value}
        if isinstance(value, Mapping):
            values = {f"label_csv[{name}]": one for name, one in value.items()}
        return {place: one for place, one in values.items() if options.is_frame(one)}

    @property
    def table_options(self) -> TableOptions:
        """The fields about tables."""
        names = [field.name for field in dataclasses.fields(TableOptions)]
        values = {name: getattr(self, name) for name in names}
        for name in ("split_names", "image_columns"):
            values[name] = values[name] or {}
        return TableOptions(**values)

    @property
    def image_options(self) -> ImageOptions:
        """The fields about images."""
        names = [field.name for field in dataclasses.fields(ImageOptions)]
        return ImageOptions(**{name: getattr(self, name) for name in names})


def _restore(cls: type[ImageCsvConfig], values: Mapping[str, Any]) -> ImageCsvConfig:
    config = object.__new__(cls)
    config.__dict__.update(values)
    return config


def _as_python(value: object) -> str:
    """Returns a field's value as Python; tables in memory by what they are called."""
    if options.is_frame(value):
        return f"<{options.name_of_frame(value)}>"
    if isinstance(value, Mapping):
        items = (f"{key!r}: {_as_python(one)}" for key, one in value.items())
        return f"{{{', '.join(items)}}}"
    return repr(str(value) if isinstance(value, tfds.core.Version) else value)


def exact_fraction(size: float) -> fractions.Fraction:
    """Returns the fraction that a float stands for.

    The float nearest to 0.1 is slightly more than 0.1, so a tenth of 30 images would
    be slightly more than 3. The user means the simplest fraction within the float's
    precision.

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


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _int(field: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """Returns an integer within bounds as Python's own int."""
    in_bounds = _is_int(value) and at_least <= value
    if not in_bounds or (at_most is not None and value > at_most):
        bounds = f"of {at_least} or more"
        if at_most is not None:
            bounds = f"from {at_least} to {at_most}"
        raise exceptions.ConfigError(f"{field} must be an int {bounds}, got {value!r}")
    return int(value)


def _sides(field: str, value: Any, names: Sequence[str]) -> tuple[int, ...] | None:
    """Returns a shape, height and width first, as Python's own ints."""
    if value is None:
        return None
    valid = isinstance(value, Sequence) and not isinstance(value, str)
    if (
        not valid
        or len(value) != len(names)
        or not all(_is_int(side) and side > 0 for side in value)
    ):
        raise exceptions.ConfigError(
            f"{field} must be a list of {', '.join(names)}, ints of 1 or more, got"
            f" {value!r}"
        )
    sides = tuple(map(int, value))
    pixels = sides[0] * sides[1]
    if pixels > _MAX_PIXELS:
        raise exceptions.ConfigError(
            f"{field} must have at most {_MAX_PIXELS} pixels, got {value!r}, which is"
            f" {pixels}"
        )
    return sides


def _check_color(field: str, value: object) -> None:
    try:
        color = ImageColor.getrgb(value)
    except (AttributeError, TypeError, ValueError):
        color = ()
    if len(color) != 3 or not all(0 <= level <= 255 for level in color):
        raise exceptions.ConfigError(
            f"{field} must be the name of a colour, such as 'white', or its number,"
            f" such as '#ffffff', got {value!r}"
        )


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
    if options.is_of_arrow(value):
        table = " or a table, such as a DataFrame" * field.startswith("label_csv")
        raise exceptions.ConfigError(
            f"{field} must be a path{table}, got {options.name_of_frame(value)}"
        )
    raise exceptions.ConfigError(f"{field} must be a path, got {value!r}")


def map_paths(value: Any, of: Callable[[str], str]) -> Any:
    """Returns a field's value with each of its paths replaced.

    Args:
      value: a path, or paths by split; other values stay.
      of: returns what replaces a path.
    """
    if isinstance(value, str):
        return of(value)
    if isinstance(value, Mapping):
        return {name: map_paths(path, of) for name, path in value.items()}
    return value


def _named_paths(field: str, value: object) -> dict[str, str]:
    values = {field: value}
    if isinstance(value, Mapping):
        values = {f"{field}[{name}]": path for name, path in value.items()}
    return {place: path for place, path in values.items() if isinstance(path, str)}


def _path_or_paths(field: str, value: object) -> str | dict[str, Any]:
    """Returns a path as a string, or several by their splits.

    A path of `label_csv` may also be a table in memory.
    """
    if not isinstance(value, Mapping):
        return _path(field, value)
    if not value:
        raise exceptions.ConfigError(
            f"{field} must be a path, or paths by split, got {value!r}"
        )
    paths: dict[str, Any] = {}
    for name, path in value.items():
        if not isinstance(name, str) or not split_names.is_split_name(name):
            raise exceptions.ConfigError(
                f"{field} must map names of splits to paths. The names are made of"
                f" letters, digits, '_' and '-', and aren't 'all', got {name!r}"
            )
        split = split_names.split_name(name)
        if split in paths:
            raise exceptions.ConfigError(
                f"{field} must have one path for each split, got {split!r} twice:"
                f" {list(value)}"
            )
        is_table = field == "label_csv" and options.is_frame(path)
        paths[split] = path if is_table else _path(f"{field}[{name}]", path)
    return paths


def _split_names(names: object) -> Mapping[str, str] | None:
    """Returns the names of splits by cell, as texts."""
    if names is None:
        return None
    if not isinstance(names, Mapping) or not names:
        raise exceptions.ConfigError(
            "split_names must map the cells of split_column to names of splits, such as"
            f" {{'0': 'test'}}, got {names!r}"
        )
    found = {}
    for cell, name in names.items():
        if not isinstance(name, str) or (name and not split_names.is_split_name(name)):
            raise exceptions.ConfigError(
                "split_names must have names of splits, which are made of letters,"
                f" digits, '_' and '-', and aren't 'all', got {name!r} for {cell!r}"
            )
        found[str(cell).strip()] = name
    return found


def _texts(field: str, values: object) -> tuple[str, ...]:
    """Returns cell values, as texts."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise exceptions.ConfigError(
            f"{field} must be a list of cell values, such as ['yes'], got {values!r}"
        )
    return tuple(str(value).strip() for value in values)


def is_url(value: object) -> bool:
    """Returns whether a field's value is a URL that has to be downloaded."""
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _checksums(value: object, urls: Sequence[str]) -> dict[str, str]:
    """Returns checksums in lower case, by URL."""
    if not isinstance(value, Mapping):
        raise exceptions.ConfigError(
            f"checksums must map URLs to their SHA-256, got {value!r}"
        )
    checksums = {}
    for url, checksum in value.items():
        if url not in urls:
            shown = ", ".join(map(repr, urls)) or "none"
            raise exceptions.ConfigError(
                f"checksums must be for URLs of the config ({shown}), got {url!r}"
            )
        if not isinstance(checksum, str) or not _SHA256.fullmatch(checksum.lower()):
            raise exceptions.ConfigError(
                "checksums must be SHA-256, as 64 hexadecimal digits, got"
                f" {checksum!r} for {url!r}"
            )
        checksums[url] = checksum.lower()
    return checksums


def _check_text(
    field: str, value: object, *, optional: bool = False, empty: bool = False
) -> None:
    if optional and value is None:
        return
    if not isinstance(value, str) or not (empty or value.strip()):
        kind = "a string" if empty else "a string that isn't empty"
        raise exceptions.ConfigError(f"{field} must be {kind}, got {value!r}")


def _check_choice(field: str, value: object, choices: Sequence[object]) -> None:
    # `in` would take True for 1.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        shown = ", ".join(map(repr, choices))
        raise exceptions.ConfigError(f"{field} must be one of {shown}, got {value!r}")


def _column_names(field: str, names: object) -> tuple[str, ...]:
    if not isinstance(names, Sequence) or isinstance(names, str | bytes) or not names:
        raise exceptions.ConfigError(
            f"{field} must be the name of a column, or a list of names, got {names!r}"
        )
    for name in names:
        _check_text(field, name)
    columns = tuple(name.strip() for name in names)
    if len(set(columns)) < len(columns):
        raise exceptions.ConfigError(
            f"{field} must name different columns, got {list(columns)}"
        )
    return columns


def _extra_columns(
    extra: object, own_features: Sequence[str]
) -> Mapping[str, str] | str | None:
    """Returns the types of extra columns by their names.

    Raises:
      ConfigError: with all that is wrong.
    """
    if extra is None or extra == options.ALL_COLUMNS:
        return extra
    if not isinstance(extra, Mapping) or not extra:
        raise exceptions.ConfigError(
            "extra_columns must be 'all', or types by the names of columns, such as"
            f" {{'age': 'int64'}}, got {extra!r}"
        )
    wrong = []
    for name, dtype in extra.items():
        if not isinstance(name, str) or not name.strip():
            wrong.append(f"{name!r} can't be the name of a column")
        elif name.strip() in own_features:
            wrong.append(f"{name!r} is a feature of each dataset: rename the column")
        if dtype not in options.COLUMN_DTYPES:
            wrong.append(f"{name!r} can't be {dtype!r}")
    if wrong:
        raise exceptions.ConfigError(
            "extra_columns must be types by the names of columns. Types are"
            f" {', '.join(options.COLUMN_DTYPES)}. Got: {'; '.join(wrong)}"
        )
    return {name.strip(): str(dtype) for name, dtype in extra.items()}


def _image_columns(columns: object) -> dict[str, str]:
    """Returns the columns with further images by the names of their features.

    Raises:
      ConfigError: with all that is wrong.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise exceptions.ConfigError(
            "image_columns must be names of columns by the names of features, such as"
            f" {{'right': 'right_file'}}, got {columns!r}"
        )
    wrong = []
    for name, column in columns.items():
        is_name = isinstance(name, str) and name.strip() and name.isprintable()
        if not is_name or "/" in name:
            wrong.append(f"{name!r} can't be the name of a feature")
        elif name.strip() in (*options.OWN_FEATURES, options.OBJECTS, options.MASK):
            wrong.append(f"{name!r} is a feature of each dataset: choose another name")
        if not isinstance(column, str) or not column.strip():
            wrong.append(f"{column!r} can't be the name of a column")
        elif options.is_template(column):
            options.parse_template(column, f"image_columns[{name}]")
    if wrong:
        raise exceptions.ConfigError(
            "image_columns must be names of columns by the names of features, which"
            f" have no '/'. Got: {'; '.join(wrong)}"
        )
    return {name.strip(): column.strip() for name, column in columns.items()}


def _class_names(classes: object) -> tuple[str, ...]:
    if not isinstance(classes, Sequence) or isinstance(classes, str) or not classes:
        raise exceptions.ConfigError(
            f"classes must be a list of class names in the order of their ids, got"
            f" {classes!r}"
        )
    for name in classes:
        # Reading strips labels, and TFDS stores one name a line.
        if not isinstance(name, str) or not name or name != name.strip():
            raise exceptions.ConfigError(
                "classes must be strings that aren't empty and have no white space"
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


def _issues(issues: object) -> tuple[str, ...]:
    """Returns the names of quality issues, each once and in the order of the table."""
    known = options.QUALITY_ISSUES
    if isinstance(issues, str) or not isinstance(issues, Collection):
        raise exceptions.ConfigError(
            f"drop_issues must be a list of quality issues ({', '.join(known)}), got"
            f" {issues!r}"
        )
    for one in issues:
        if one not in known:
            close = difflib.get_close_matches(str(one), known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise exceptions.ConfigError(
                f"drop_issues: there is no quality issue {one!r}.{hint} The issues are:"
                f" {', '.join(known)}"
            )
    return tuple(one for one in known if one in issues)


def _size(field: str, size: Any) -> float:
    """Returns a size as Python's own int or float."""
    if isinstance(size, str) and (match := _PERCENT.fullmatch(size.strip())):
        size = float(fractions.Fraction(match[1]) / 100)
    valid = _is_real(size)
    # NaN is outside any bounds.
    if not valid or not size >= 0 or not (_is_int(size) or size <= 1):
        raise exceptions.ConfigError(
            f"{field} must be a float from 0 to 1 or a text such as '20%' (a fraction),"
            f" or an int of 0 or more (a count of images), got {size!r}"
        )
    return int(size) if _is_int(size) else _meant(size)


def _meant(value: Any) -> float:
    """Returns a number as Python's own float.

    A NumPy float of 16 or 32 bits stands for the digits that it shows.
    """
    return float(value if isinstance(value, numbers.Rational) else str(value))
