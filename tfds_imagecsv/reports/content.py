"""What `report.html` says, as values: plain texts, not yet escaped for HTML."""

from __future__ import annotations

import dataclasses

from markupsafe import Markup

from tfds_imagecsv.reports.comparison import Change
from tfds_imagecsv.reports.drawings import Drawing
from tfds_imagecsv.reports.thumbnails import Thumbnail


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture with words.

    Attributes:
      name: the image's key, shortened.
      words: further words below it.
      thumbnail: None if there is none.
      score: of its quality, in words; empty unless it is shown for its quality.
      drawing: what is drawn on it, if anything.
      beside: the further images of its row, and its mask over it; their words are the
        features' names.
    """

    name: str
    words: str
    thumbnail: Thumbnail | None
    score: str = ""
    drawing: Drawing | None = None
    beside: tuple[Picture, ...] = ()


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Pictures under a heading.

    Attributes:
      heading: what they are.
      words: more about them.
      pictures: the pictures.
      color: that of their class's boxes, if boxes are drawn.
    """

    heading: str
    words: str
    pictures: tuple[Picture, ...]
    color: str | None = None


@dataclasses.dataclass(frozen=True)
class Number:
    """A number at the top of the page.

    Attributes:
      value: the number as a text.
      words: what it is.
    """

    value: str
    words: str


@dataclasses.dataclass(frozen=True)
class SplitSize:
    """A split.

    Attributes:
      name: its name.
      size: the number of its images.
      share: the fraction of all images.
    """

    name: str
    size: int
    share: float


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """A row of the table of classes.

    Attributes:
      name: the class, or the quantile.
      counts: its images by split, in the order of the columns.
      total: the sum.
      width: the total as a fraction of the largest class's.
    """

    name: str
    counts: tuple[int, ...]
    total: int
    width: float


@dataclasses.dataclass(frozen=True)
class Classes:
    """The classes.

    Attributes:
      noun: what they are: "class" or "quantile"; for masks, "class" or "value".
      columns: the names of the splits; if there are many, the last stands for the
        others.
      rows: the classes that are shown, the largest first.
      left_out: how many are left out in the middle.
      plot: their sizes, if there are many.
    """

    noun: str
    columns: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    left_out: int
    plot: Markup | None


@dataclasses.dataclass(frozen=True)
class Problems:
    """The problems of a kind.

    Attributes:
      heading: the kind.
      remedy: what to do.
      count: how many there are.
      lines: the first ones.
      pictures: some of the images.
    """

    heading: str
    remedy: str
    count: int
    lines: tuple[str, ...]
    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class CopySet:
    """A set of identical images.

    Attributes:
      picture: the first of them.
      names: the name of each, with the split that it would have gone to alone.
      more: how many more there are.
      is_spread: whether they would have gone to several splits.
    """

    picture: Picture
    names: tuple[tuple[str, str], ...]
    more: int
    is_spread: bool


@dataclasses.dataclass(frozen=True)
class Count:
    """A line of a table of counts.

    Attributes:
      name: what is counted.
      count: how many.
      share: the fraction of all.
    """

    name: str
    count: int
    share: float


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot with words.

    Attributes:
      heading: what it shows.
      words: its main numbers.
      svg: the plot; None if words are enough.
    """

    heading: str
    words: str
    svg: Markup | None


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A reason to convert images, with examples.

    Attributes:
      reason: the reason.
      count: how many images.
      pairs: pictures before and after.
    """

    reason: str
    count: int
    pairs: tuple[tuple[Picture, Picture], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changes:
    """What has changed since an earlier build.

    Attributes:
      kept: how many images are in both.
      ways: the ways in which images have changed.
      sizes: the splits, and last their total: name, old size, new size, change.
      drifted: the differences of the drifted classes: class, what, old value, new
        value.
      more_drifted: how many drifted classes aren't shown.
    """

    kept: int
    ways: tuple[Change, ...]
    sizes: tuple[tuple[str, str, str, str], ...]
    drifted: tuple[tuple[str, str, str, str], ...]
    more_drifted: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """All that a report says; plain texts, not yet escaped for HTML.

    Attributes:
      title: the name of the dataset, or of the checked input.
      sentence: what it is.
      is_built: whether the page is of a dataset; else of a check.
      error: why a build would fail, line by line; empty if it wouldn't.
      numbers: the numbers at the top.
      notes: what doesn't stop a build, but matters.
      understood: what was concluded about the table: what about, and what.
      problems: the problems by kind.
      splits: the splits.
      classes: the classes or quantiles; None without.
      masks: the pixels of masks; None without, or if they aren't counted.
      guarantees: the guarantees, each with the number that shows it.
      copies: sets of identical images.
      more_copies: how many sets aren't shown.
      plots: sizes, proportions and more.
      formats: the images by format.
      modes: the images by Pillow's mode.
      conversions: why images are converted.
      byte_for_byte: how many images are stored as they are.
      examples: the examples of each class.
      beside: the names of the images that an example shows side by side; none if it
        shows one.
      colors: those of the classes of masks, and their names; none without.
      more_colors: how many more there are.
      near_duplicates: sets of nearly identical images.
      about_near_duplicates: how many sets there are, and how many are odd.
      quality: images with quality issues, the worst first.
      dropped_issues: the names of the issues whose images are left out.
      changes: what has changed since an earlier build; None without one.
      rejected: the rows that are left out: row, image, label, reason.
      more_rejected: how many of them aren't shown.
      load: the lines that load it.
      changed_fields: the fields of the config that aren't defaults, as JSON.
      toml: the config as TOML, line by line.
      versions: the versions of the packages that made it.
    """

    title: str
    sentence: str
    is_built: bool
    error: tuple[str, ...]
    numbers: tuple[Number, ...]
    notes: tuple[str, ...]
    understood: tuple[tuple[str, str], ...]
    problems: tuple[Problems, ...]
    splits: tuple[SplitSize, ...]
    classes: Classes | None
    masks: Classes | None
    guarantees: tuple[tuple[str, str], ...]
    copies: tuple[CopySet, ...]
    more_copies: int
    plots: tuple[Plot, ...]
    formats: tuple[Count, ...]
    modes: tuple[Count, ...]
    conversions: tuple[Conversion, ...]
    byte_for_byte: int
    examples: tuple[Gallery, ...]
    beside: tuple[str, ...]
    colors: tuple[tuple[str, str], ...]
    more_colors: int
    near_duplicates: tuple[Gallery, ...]
    about_near_duplicates: tuple[str, ...]
    quality: tuple[Gallery, ...]
    dropped_issues: tuple[str, ...]
    changes: Changes | None
    rejected: tuple[tuple[str, str, str, str], ...]
    more_rejected: int
    load: tuple[str, ...]
    changed_fields: tuple[tuple[str, str], ...]
    toml: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
