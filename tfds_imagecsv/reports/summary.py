"""What `tfds-imagecsv check` shows about a table and its images."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import rich.console
import rich.markup
import rich.table

from tfds_imagecsv import arrays
from tfds_imagecsv.images import kinds, listing, near_duplicates, quality
from tfds_imagecsv.images.copies import keys_of_sets
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.problems import Kind, Places, Problem, escaped
from tfds_imagecsv.reports import tables
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.splits.select import (
    about_copies,
    about_near_duplicates,
    about_unlisted_images,
)
from tfds_imagecsv.table import boxes, extra_columns, image_columns, label_types

# The most classes that are shown one by one, enough for a screen; JSON has all. Of
# more, only the largest and the smallest are shown.
_MAX_CLASSES = 40
_MAX_SPLITS = 12
_MAX_ENDS = 5

# The most splits that fit side by side into 80 columns.
_MAX_COLUMNS = 4

# What is shown about the sizes of many classes.
_QUANTILES = {
    0: "least",
    0.25: "lower quartile",
    0.5: "median",
    0.75: "upper quartile",
    1: "most",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """The input in numbers.

    `tfds-imagecsv check --json` has the same fields, and `ok` (bool) and `error`
    (str or None).

    Attributes:
      label_csv: the table; empty if there is none.
      image_dir: the directory of the images.
      rows: the number of rows.
      usable_images: the number of rows with a usable image.
      problems: the problems, sorted by kind and row.
      formats: the number of images by format: of those of the dataset, or without a
        plan of the usable ones. So it is with all numbers of images below, up to
        `boxes`; further images count up to `other_profiles`.
      modes: the same by Pillow's mode.
      sizes: the `min`, `median` and `max` of `height` and `width` (pixels, as stored)
        and of `size` (bytes of the file).
      conversions: the number of converted images by reason.
      byte_for_byte: the number of images that are stored as they are.
      wrong_extensions: the number of images with another format's extension.
      other_profiles: the number of images with a colour profile that isn't sRGB's.
      classes: the number of images by class; an image may have several classes.
      boxes: the number of boxes by class.
      mask_counts: the number of pixels of masks by split and class, see
        `dataset_plan.DatasetPlan`; None without a plan.
      extra_columns: the types of the extra columns, by name.
      splits: the number of images by split and class; None without a plan.
      split_sizes: the number of images by split; None without a plan.
      largest_class_deviation: see `assign.SplitPlan`; None without a plan.
      largest_split_deviation: likewise.
      duplicates: the names of identical images, a list for each set.
      near_duplicates: the names of images that show nearly the same, a sorted list for
        each set; sets with different labels first. None if they weren't looked for.
      quality: the names of images by quality issue, see `quality.THRESHOLDS`, the worst
        first; None if their pixels weren't decoded.
      images_without_row: the images that no row names.
      rejected_rows: the rows that are left out, with reasons.
      notes: what doesn't stop a build, but matters.
      understood: what was concluded about the table, by what it is about.
      places: what the rows are called.
      error: why a build would fail; None if it wouldn't.
    """

    label_csv: str
    image_dir: str
    rows: int
    usable_images: int
    problems: tuple[Problem, ...]
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    sizes: Mapping[str, Mapping[str, float]]
    conversions: Mapping[str, int]
    byte_for_byte: int
    wrong_extensions: int
    other_profiles: int
    classes: Mapping[str, int]
    boxes: Mapping[str, int]
    mask_counts: Mapping[str, Mapping[str, int]] | None
    extra_columns: Mapping[str, str]
    splits: Mapping[str, Mapping[str, int]] | None
    split_sizes: Mapping[str, int] | None
    largest_class_deviation: float | None
    largest_split_deviation: float | None
    duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...] | None
    quality: Mapping[str, tuple[str, ...]] | None
    images_without_row: tuple[str, ...]
    rejected_rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    understood: Mapping[str, str]
    places: Places
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as values of JSON."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("places", "error")
        }
        values["problems"] = [
            {
                "kind": problem.kind.name.lower(),
                "row": problem.row,
                "place": self.places.of(problem.row),
                "detail": problem.detail,
                "key": problem.key,
                "label": problem.label,
            }
            for problem in self.problems
        ]
        return values

    def print(
        self, console: rich.console.Console | None = None, *, would_fail: bool = False
    ) -> None:
        """Prints all but the problems.

        The first line says whether a build would work, the next ones what was
        understood. Tables follow.

        Args:
          console: where to print; default: standard output.
          would_fail: whether a build would fail.
        """
        console = console or rich.console.Console(highlight=False)

        def say(text: str) -> None:
            console.print(text, markup=False, soft_wrap=True)

        say(self._outcome(would_fail=would_fail))
        if self.label_csv:
            images = "of them with an image" if not self.boxes else "images with boxes"
            say(
                f"\n{self.rows:,} rows in {self.label_csv},\n{self.usable_images:,}"
                f" {images} in {self.image_dir} that can be used"
            )
        else:
            say(
                f"\n{self.rows:,} images in the folders of {self.image_dir},"
                f"\n{self.usable_images:,} of them can be used"
            )
        if self.understood:
            say(tables.read_as(self.understood))
        if self.extra_columns:
            say(f"Extra columns: {extra_columns.shown(self.extra_columns)}")
        for note in self.notes:
            say(f"Note: {note}")
        if self.usable_images:
            for table in (
                self._formats_table(),
                self._sizes_table(),
                *self._quality_tables(),
                self._classes_table(),
                *self._masks_tables(),
            ):
                console.print()
                console.print(table)

    def _outcome(self, *, would_fail: bool) -> str:
        """Returns a line that says whether a build would work."""
        if would_fail:
            return "A build would fail; the end says why."
        sizes = ", ".join(
            f"{name} {size:,}" for name, size in (self.split_sizes or {}).items()
        )
        return f"A build would succeed: {sizes} images."

    def _repr_html_(self) -> str:
        """Returns it as tables for a notebook."""
        from tfds_imagecsv.reports import html

        splits = list((self.splits or {}).values())[:_MAX_SPLITS]
        classes = self.classes or _totals(self.splits or {})
        kinds_of = collections.Counter(one.kind for one in self.problems)
        return html.render(
            "summary.html",
            summary=self,
            error=(self.error or "").splitlines()[:_MAX_CLASSES],
            kinds=[
                (kind.heading, kinds_of[kind], kind.remedy)
                for kind in Kind
                if kinds_of[kind]
            ],
            splits=list(self.splits or {})[:_MAX_SPLITS],
            classes=[
                (name, [counts.get(name, 0) for counts in splits], count)
                for name, count in list(classes.items())[:_MAX_CLASSES]
            ],
            more=max(0, len(classes) - _MAX_CLASSES),
            images=[
                *self.formats.items(),
                ("stored byte for byte", self.byte_for_byte),
                *((f"converted: {why}", n) for why, n in self.conversions.items()),
                ("identical to others", sum(map(len, self.duplicates))),
                *(
                    (name.replace("_", " "), len(keys))
                    for name, keys in (self.quality or {}).items()
                ),
                ("without a row", len(self.images_without_row)),
                ("left out", len(self.rejected_rows)),
            ],
            notes=self.notes[:_MAX_CLASSES],
        )

    def _formats_table(self) -> rich.table.Table:
        table = tables.of_numbers("Images", "images")
        for name, count in self.formats.items():
            table.add_row(name, f"{count:,}")
        table.add_section()
        table.add_row("stored byte for byte", f"{self.byte_for_byte:,}")
        for reason, count in self.conversions.items():
            table.add_row(f"converted: {reason}", f"{count:,}")
        if self.wrong_extensions:
            table.add_section()
            table.add_row("extension of another format", f"{self.wrong_extensions:,}")
        if self.other_profiles:
            table.add_section()
            table.add_row("colour profile other than sRGB", f"{self.other_profiles:,}")
        return table

    def _sizes_table(self) -> rich.table.Table:
        table = tables.of_numbers("Sizes", "min", "median", "max")
        names = {"height": "height", "width": "width", "size": "bytes of the file"}
        for name, words in names.items():
            values = self.sizes[name]
            table.add_row(
                words, *(f"{values[key]:,.0f}" for key in ("min", "median", "max"))
            )
        return table

    def _quality_tables(self) -> list[rich.table.Table]:
        """Returns a table of the quality issues, if there are any."""
        if not any((self.quality or {}).values()):
            return []
        table = tables.of_numbers("Quality", "images", "such as")
        for name, keys in (self.quality or {}).items():
            if keys:
                example = rich.markup.escape(escaped(keys[0]))
                table.add_row(name.replace("_", " "), f"{len(keys):,}", example)
        return [table]

    def _classes_table(self) -> rich.table.Table:
        splits = self.splits or {}
        # Only splits count quantiles.
        classes = self.classes or _totals(splits)
        if len(splits) > _MAX_COLUMNS:
            return self._splits_table(classes)
        columns = [*splits.values(), classes, *([self.boxes] if self.boxes else [])]
        names = [*splits, "images", *(["boxes"] if self.boxes else [])]
        table = tables.of_numbers(f"Classes ({len(classes):,})", *names)

        def add(name: str, of_split: Callable[[Mapping[str, int]], int]) -> None:
            tables.add_counts(table, name, [of_split(counts) for counts in columns])

        def add_class(name: str) -> None:
            add(name, lambda counts: counts.get(name, 0))

        if len(classes) <= _MAX_CLASSES:
            for name in classes:
                add_class(name)
        else:
            by_size = sorted(classes, key=lambda name: (-classes[name], name))
            for name in by_size[:_MAX_ENDS]:
                add_class(name)
            table.add_row(f"... {len(classes) - 2 * _MAX_ENDS:,} more ...")
            for name in by_size[-_MAX_ENDS:]:
                add_class(name)
            table.add_section()
            for share, words in _QUANTILES.items():
                add(words, functools.partial(_quantile, names=by_size, share=share))
        table.add_section()
        totals = [*(self.split_sizes or {}).values()]
        totals.append(sum(totals) if splits else self.usable_images)
        if self.boxes:
            totals.append(sum(self.boxes.values()))
        tables.add_counts(table, "total", totals)
        return table

    def _masks_tables(self) -> list[rich.table.Table]:
        """Returns a table of the pixels of masks, if there are any."""
        splits = self.mask_counts or {}
        totals = _totals(splits)
        if not totals:
            return []
        shown = splits if len(splits) <= _MAX_COLUMNS else {}
        table = tables.of_numbers(f"Masks ({len(totals):,})", *shown, "pixels")
        for name in list(totals)[:_MAX_CLASSES]:
            columns = [*shown.values(), totals]
            tables.add_counts(table, name, [counts[name] for counts in columns])
        if len(totals) > _MAX_CLASSES:
            table.add_row(f"... {len(totals) - _MAX_CLASSES:,} more ...")
        return [table]

    def _splits_table(self, classes: Mapping[str, int]) -> rich.table.Table:
        """Returns a table of many splits, with a row for each."""
        table = tables.of_numbers("Splits", "images", "classes")
        for name, size in (self.split_sizes or {}).items():
            there = sum(map(bool, (self.splits or {})[name].values()))
            tables.add_counts(table, name, [size, there])
        table.add_section()
        total = sum((self.split_sizes or {}).values())
        tables.add_counts(table, "total", [total, len(classes)])
        return table


def make_summary(
    inspection: Inspection,
    plan: DatasetPlan | None,
    *,
    label_type: str = "class",
    error: str | None = None,
) -> Summary:
    """Returns the numbers of an input.

    Args:
      inspection: the input.
      plan: the plan of its dataset; None if a build would fail.
      label_type: one of `options.LABEL_TYPES`.
      error: why a build would fail; None if it wouldn't.
    """
    usable = inspection.rows
    rows = plan.rows if plan else usable
    images = list(image_columns.all_images(rows))
    copies = inspection.copies
    near = near_duplicates.sets_of(usable)
    if plan:
        notes = plan.notes
    else:
        notes = (
            *inspection.table.notes,
            *about_unlisted_images(inspection.unlisted),
            *about_copies(copies),
            *about_near_duplicates(near),
        )
    return Summary(
        label_csv=inspection.sources.table_name,
        image_dir=str(inspection.table.image_dir),
        rows=inspection.table.total_rows,
        usable_images=len(usable),
        problems=tuple(
            sorted(inspection.problems, key=lambda one: (one.kind.name, one.row))
        ),
        formats=kinds.counts(rows, "format"),
        modes=kinds.counts(rows, "mode"),
        sizes={
            "height": _range(images, lambda of: kinds.column(of, "stored_height")),
            "width": _range(images, lambda of: kinds.column(of, "stored_width")),
            "size": _range(images, lambda of: of["size"]),
        },
        conversions=listing.count_conversions(rows),
        byte_for_byte=kinds.counts(rows, "conversion").get("", 0),
        wrong_extensions=listing.count_other_extensions(rows),
        other_profiles=listing.count_other_profiles(rows),
        classes=dict(sorted(label_types.class_sizes(label_type, rows).items())),
        boxes=dict(sorted(boxes.sizes_of_classes(rows).items())),
        mask_counts=plan.mask_counts if plan else None,
        extra_columns=inspection.table.extra_columns,
        splits=plan.class_counts if plan else None,
        split_sizes=plan.split_sizes if plan else None,
        largest_class_deviation=plan.largest_class_deviation if plan else None,
        largest_split_deviation=plan.largest_split_deviation if plan else None,
        duplicates=tuple(map(tuple, keys_of_sets(copies))),
        near_duplicates=tuple(map(tuple, near.keys()))
        if near_duplicates.are_known(usable)
        else None,
        quality=_keys_by_issue(usable),
        images_without_row=inspection.unlisted,
        rejected_rows=tuple(one._asdict() for one in plan.rejected) if plan else (),
        notes=notes,
        understood=inspection.table.understood,
        places=inspection.table.places,
        error=error,
    )


def _keys_by_issue(rows: pa.RecordBatch) -> dict[str, tuple[str, ...]] | None:
    """Returns the names of images by quality issue, the worst first, then by name.

    Returns None if they weren't measured.
    """
    if not quality.is_measured(rows):
        return None
    scores = quality.scores(rows)
    found = {}
    for name, has_it in quality.issues(scores).items():
        at = np.flatnonzero(has_it)
        at = at[np.argsort(scores[name][at], kind="stable")]
        found[name] = tuple(rows["key"].take(arrays.as_column(at)).to_pylist())
    return found


def _quantile(counts: Mapping[str, int], *, names: Sequence[str], share: float) -> int:
    """Returns the number of images that a share of the classes doesn't exceed."""
    sizes = [counts.get(name, 0) for name in names]
    return int(np.quantile(sizes, share, method="inverted_cdf"))


def _totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Returns the sum over the splits."""
    totals: collections.Counter[str] = collections.Counter()
    for of_split in counts.values():
        totals.update(of_split)
    return dict(totals)


def _range(
    images: Sequence[pa.RecordBatch], of: Callable[[pa.RecordBatch], pa.Array]
) -> dict[str, float]:
    """Returns the range of a function's values over images."""
    numbers = np.concatenate([arrays.as_numpy(of(one)) for one in images])
    if not len(numbers):
        return {}
    return {
        "min": int(numbers.min()),
        "median": float(np.median(numbers)),
        "max": int(numbers.max()),
    }
