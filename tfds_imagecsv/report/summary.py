"""What `tfds-imagecsv check` shows of a table and its images."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import rich.box
import rich.console
import rich.markup
import rich.table

from tfds_imagecsv.images import kinds, listing
from tfds_imagecsv.images.copies import keys_of_sets
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.problems import Places, Problem, escaped, shown
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.splits.select import about_copies, about_unlisted_images
from tfds_imagecsv.table import extra_columns, label_types

# Enough for a screen; JSON has all.
_MAX_CLASSES = 40


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
      formats: the number of usable images by format.
      modes: the same by Pillow's mode.
      sizes: the `min`, `median` and `max` of `height` and `width` (pixels, as stored)
        and of `size` (bytes of the file).
      conversions: the number of converted images by reason.
      byte_for_byte: the number of images that are stored as they are.
      wrong_extensions: the number of images with another format's extension.
      other_profiles: the number of images with a colour profile that isn't sRGB's.
      classes: the number of images by class; an image may have several classes.
      extra_columns: the types of the extra columns, by name.
      splits: the number of images by split and class; None without a plan.
      split_sizes: the number of images by split; None without a plan.
      largest_class_deviation: see `assign.SplitPlan`; None without a plan.
      largest_split_deviation: likewise.
      duplicates: the names of identical images, a list for each set.
      images_without_row: the images that no row names.
      rejected_rows: the rows that are left out, with reasons.
      notes: what doesn't stop a build, but matters.
      understood: what was concluded about the table, by what it is about.
      places: what the rows are called.
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
    extra_columns: Mapping[str, str]
    splits: Mapping[str, Mapping[str, int]] | None
    split_sizes: Mapping[str, int] | None
    largest_class_deviation: float | None
    largest_split_deviation: float | None
    duplicates: tuple[tuple[str, ...], ...]
    images_without_row: tuple[str, ...]
    rejected_rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    understood: Mapping[str, str]
    places: Places

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as values of JSON."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "places"
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

    def print(self, console: rich.console.Console | None = None) -> None:
        """Prints all but the problems.

        Args:
          console: where it prints; default: standard output.
        """
        console = console or rich.console.Console(highlight=False)
        if self.label_csv:
            text = (
                f"{self.rows:,} rows in {self.label_csv},\n{self.usable_images:,} of"
                f" them with an image in {self.image_dir} that can be used"
            )
        else:
            text = (
                f"{self.rows:,} images in the folders of {self.image_dir},"
                f"\n{self.usable_images:,} of them can be used"
            )
        console.print(text, markup=False, soft_wrap=True)
        if self.understood:
            read_as = ", ".join(
                f"{what}: {shown(value)}" for what, value in self.understood.items()
            )
            console.print(f"Read as {read_as}", markup=False, soft_wrap=True)
        if self.usable_images:
            for table in (
                self._formats_table(),
                self._sizes_table(),
                self._classes_table(),
            ):
                console.print()
                console.print(table)
        if self.extra_columns:
            console.print(
                f"\nExtra columns: {extra_columns.shown(self.extra_columns)}",
                markup=False,
                soft_wrap=True,
            )
        for note in self.notes:
            console.print(f"\nNote: {note}", markup=False, soft_wrap=True)

    def _formats_table(self) -> rich.table.Table:
        table = _table("Images", "images")
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
        table = _table("Sizes", "min", "median", "max")
        names = {"height": "height", "width": "width", "size": "bytes of the file"}
        for name, words in names.items():
            values = self.sizes[name]
            table.add_row(
                words, *(f"{values[key]:,.0f}" for key in ("min", "median", "max"))
            )
        return table

    def _classes_table(self) -> rich.table.Table:
        splits = self.splits or {}
        table = _table("Classes", *splits, "total")
        # Quantiles are counted in splits only.
        classes = self.classes or _totals(splits)
        for name, count in list(classes.items())[:_MAX_CLASSES]:
            counts = [f"{split.get(name, 0):,}" for split in splits.values()]
            total = sum(split.get(name, 0) for split in splits.values())
            name = rich.markup.escape(escaped(name))
            table.add_row(name, *counts, f"{total if splits else count:,}")
        if len(classes) > _MAX_CLASSES:
            table.add_row(f"... and {len(classes) - _MAX_CLASSES:,} more")
        table.add_section()
        totals = list((self.split_sizes or {}).values())
        total = sum(totals) if splits else self.usable_images
        table.add_row("total", *(f"{count:,}" for count in totals), f"{total:,}")
        return table


def make_summary(
    inspection: Inspection, plan: DatasetPlan | None, *, label_type: str = "class"
) -> Summary:
    """Returns the numbers of an input.

    Args:
      inspection: the input.
      plan: the plan of its dataset; None if a build would fail.
      label_type: one of `options.LABEL_TYPES`.
    """
    rows = inspection.rows
    copies = inspection.copies
    if plan:
        notes = plan.notes
    else:
        notes = (
            *inspection.table.notes,
            *about_unlisted_images(inspection.unlisted),
            *about_copies(copies),
        )
    return Summary(
        label_csv=inspection.sources.table_name,
        image_dir=str(inspection.table.image_dir),
        rows=inspection.table.total_rows,
        usable_images=len(rows),
        problems=tuple(
            sorted(inspection.problems, key=lambda one: (one.kind.name, one.row))
        ),
        formats=kinds.counts(rows, "format"),
        modes=kinds.counts(rows, "mode"),
        sizes={
            "height": _range(kinds.column(rows, "stored_height")),
            "width": _range(kinds.column(rows, "stored_width")),
            "size": _range(rows["size"]),
        },
        conversions=listing.count_conversions(rows),
        byte_for_byte=kinds.counts(rows, "conversion").get("", 0),
        wrong_extensions=listing.count_other_extensions(rows),
        other_profiles=listing.count_other_profiles(rows),
        classes=dict(sorted(label_types.class_sizes(label_type, rows).items())),
        extra_columns=inspection.table.extra_columns,
        splits=plan.class_counts if plan else None,
        split_sizes=plan.split_sizes if plan else None,
        largest_class_deviation=plan.largest_class_deviation if plan else None,
        largest_split_deviation=plan.largest_split_deviation if plan else None,
        duplicates=tuple(map(tuple, keys_of_sets(copies))),
        images_without_row=inspection.unlisted,
        rejected_rows=tuple(one._asdict() for one in plan.rejected) if plan else (),
        notes=notes,
        understood=inspection.table.understood,
        places=inspection.table.places,
    )


def _table(title: str, *numbers: str) -> rich.table.Table:
    """Returns a table with one column of names, the rest of numbers."""
    table = rich.table.Table(title, box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Returns the sum over the splits."""
    totals: collections.Counter[str] = collections.Counter()
    for of_split in counts.values():
        totals.update(of_split)
    return dict(totals)


def _range(column: pa.Array) -> dict[str, float]:
    if not len(column):
        return {}
    numbers = column.to_numpy()
    return {
        "min": int(numbers.min()),
        "median": float(np.median(numbers)),
        "max": int(numbers.max()),
    }
