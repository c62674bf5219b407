"""The plan of a dataset, made before a byte is written."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from etils import epath

from tfds_imagecsv import arrays, exceptions, options, problems
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.images import mask_table, near_duplicates
from tfds_imagecsv.images.copies import first_of_sets
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.splits import assign, select
from tfds_imagecsv.splits.select import RejectedRow, Selection
from tfds_imagecsv.splits.strata import Strata, find_strata
from tfds_imagecsv.table import boxes, image_columns, label_types

# Of how many values of masks without classes pixels are counted: those of 8 bits.
_MOST_VALUES = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPlan:
    """What a dataset will have.

    Attributes:
      image_dir: the directory that the keys are relative to.
      rows: a row for each example, sorted by key, with the columns of
        `label_table.LabelTable` and of `image_table.ImageTable`, and `split`
        (`arrays.CODES`); for labels that are numbers also `stratum` (likewise), the
        quantiles that they are in.
      rejected: see `select.Selection`.
      unlisted: the images of the directory that no row names, sorted.
      class_names: the names of the classes in the order of their ids.
      label_type: what the labels are, one of `options.LABEL_TYPES`.
      about_classes: see `classes.ClassList`.
      extra_columns: the types of the extra columns, by name.
      class_counts: the number of examples for each split and class, of which an example
        may have several; if the labels are numbers, for each split and quantile.
      box_counts: the number of boxes for each split and class; empty without boxes.
      mask_classes: the names of the values of masks, from 0; empty if they have none.
      mask_dtype: see `mask_table.WithMasks`; empty without masks.
      mask_counts: the number of pixels of masks for each split and class, or value if
        they have no classes; empty without masks, and for more than 256 values without
        classes, which are mostly objects' numbers.
      split_sizes: the number of examples of each split.
      largest_class_deviation: see `assign.SplitPlan`.
      largest_split_deviation: see `assign.SplitPlan`.
      groups: how many groups there are.
      duplicate_sets: how many sets of identical images there are.
      duplicate_images: how many images are in these sets.
      notes: what doesn't stop a build, but matters.
      understood: what was concluded about the table, by what it is about.
    """

    image_dir: epath.Path
    rows: pa.RecordBatch
    rejected: tuple[RejectedRow, ...]
    unlisted: tuple[str, ...]
    class_names: tuple[str, ...]
    label_type: str
    about_classes: Mapping[str, Mapping[str, str]]
    extra_columns: Mapping[str, str]
    class_counts: Mapping[str, Mapping[str, int]]
    box_counts: Mapping[str, Mapping[str, int]]
    mask_classes: tuple[str, ...]
    mask_dtype: str
    mask_counts: Mapping[str, Mapping[str, int]]
    split_sizes: Mapping[str, int]
    largest_class_deviation: float
    largest_split_deviation: float
    groups: int
    duplicate_sets: int
    duplicate_images: int
    notes: tuple[str, ...]
    understood: Mapping[str, str]

    def first(self, max_examples_per_split: int) -> DatasetPlan:
        """Returns the plan of the first examples of each split, in the order of keys.

        Args:
          max_examples_per_split: how many of each split, 0 or more.
        """
        of_splits = [
            np.flatnonzero(arrays.is_text(self.rows["split"], split))
            for split in self.split_sizes
        ]
        first = [at[:max_examples_per_split] for at in of_splits]
        rows = self.rows.take(arrays.as_column(np.sort(np.concatenate(first))))
        sizes = arrays.counts_of(rows["split"])
        return dataclasses.replace(
            self,
            rows=rows,
            class_counts={
                split: _counts_of_classes(
                    self.label_type, _of_split(rows, split), counts
                )
                for split, counts in self.class_counts.items()
            },
            box_counts={
                split: _counts_of_boxes(_of_split(rows, split), counts)
                for split, counts in self.box_counts.items()
            },
            mask_counts=_counts_of_masks(rows, self.split_sizes, self.mask_classes),
            split_sizes={split: sizes.get(split, 0) for split in self.split_sizes},
        )


def _of_split(rows: pa.RecordBatch, split: str) -> pa.RecordBatch:
    return rows.filter(arrays.as_column(arrays.is_text(rows["split"], split)))


def _counts_of_classes(
    label_type: str, rows: pa.RecordBatch, names: Iterable[str]
) -> dict[str, int]:
    """Returns the number of rows of each class, or of each quantile of numbers."""
    found: Mapping[str, int]
    if label_type == "regression":
        found = arrays.counts_of(rows["stratum"])
    else:
        found = label_types.class_sizes(label_type, rows)
    return {name: found.get(name, 0) for name in names}


def _counts_of_boxes(rows: pa.RecordBatch, names: Iterable[str]) -> dict[str, int]:
    """Returns the number of boxes of each class."""
    found = boxes.sizes_of_classes(rows)
    return {name: found.get(name, 0) for name in names}


def _counts_of_masks(
    rows: pa.RecordBatch, splits: Iterable[str], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Returns the number of pixels of masks, see `DatasetPlan.mask_counts`."""
    if not image_columns.has_mask(rows.schema.names):
        return {}
    of_all = mask_table.counts_of(rows, names)
    if not names and len(of_all) > _MOST_VALUES:
        return {}
    of_splits = {
        split: mask_table.counts_of(_of_split(rows, split), names) for split in splits
    }
    return {
        split: {name: counts.get(name, 0) for name in of_all}
        for split, counts in of_splits.items()
    }


def make_plan(
    config: ImageCsvConfig, inspection: Inspection, selection: Selection
) -> DatasetPlan:
    """Divides rows into splits.

    Args:
      config: what the user asks for.
      inspection: the input.
      selection: the rows of it that are left.

    Returns:
      The plan.

    Raises:
      InvalidRowsError: if some rows, or their images, can't be used.
      SplitError: if the rows can't be divided as the config says.
    """
    problems.raise_if_any(selection.problems, **inspection.about)
    image_dir = inspection.table.image_dir
    rows = selection.rows
    if not len(rows):
        raise exceptions.SplitError(
            f"No image is left in {inspection.about['label_csv'] or image_dir} without"
            " the dropped rows."
        )
    strata = find_strata(config.label_type, rows, selection.class_names)
    split_plan = _divide(config, selection, strata)
    arrays.free_unused()
    rows = arrays.with_columns(rows, {"split": split_plan.splits})
    if config.label_type == "regression":
        rows = arrays.with_columns(rows, {"stratum": strata.of_row})
    sizes = arrays.counts_of(split_plan.splits)
    class_counts = split_plan.class_counts
    if config.label_type not in ("class", "regression"):
        # The strata are of rows, which may have several classes.
        class_counts = {
            split: _counts_of_classes(
                config.label_type, _of_split(rows, split), selection.class_names
            )
            for split in class_counts
        }
    return DatasetPlan(
        image_dir=image_dir,
        rows=rows,
        rejected=selection.rejected,
        unlisted=inspection.unlisted,
        class_names=selection.class_names,
        label_type=config.label_type,
        about_classes=inspection.table.about_classes,
        extra_columns=inspection.table.extra_columns,
        class_counts=class_counts,
        box_counts={
            split: _counts_of_boxes(_of_split(rows, split), selection.class_names)
            for split in (class_counts if config.label_type == "boxes" else ())
        },
        mask_classes=inspection.table.mask_classes,
        mask_dtype=inspection.mask_dtype,
        mask_counts=_counts_of_masks(rows, class_counts, inspection.table.mask_classes),
        split_sizes={split: sizes.get(split, 0) for split in class_counts},
        largest_class_deviation=split_plan.largest_class_deviation,
        largest_split_deviation=split_plan.largest_split_deviation,
        groups=len({*arrays.counts_of(rows["group"])} - {""}),
        duplicate_sets=len(first_of_sets(selection.copies)),
        duplicate_images=len(selection.copies),
        notes=(
            *selection.notes,
            *_about_small_classes(config, class_counts, split_plan.stratified),
            *_about_counts(config, class_counts, sizes),
            *_about_sets_across_splits(rows),
        ),
        understood=inspection.table.understood,
    )


def _about_counts(
    config: ImageCsvConfig,
    class_counts: Mapping[str, Mapping[str, int]],
    sizes: Mapping[str, int],
) -> Iterator[str]:
    """Yields a question for each size that is a count, and may be meant in per cent.

    It may, if more than half of the images, or all of a class, are in the split.
    """
    for split, field in (("validation", "val_size"), ("test", "test_size")):
        size = getattr(config, field)
        if not isinstance(size, int) or not 0 < size <= 100 or split not in sizes:
            continue
        total = sum(sizes.values())
        others = [counts for name, counts in class_counts.items() if name != split]
        whole = [
            name
            for name, count in class_counts[split].items()
            if count and not any(counts.get(name) for counts in others)
        ]
        if 2 * sizes[split] > total or whole:
            of_class = f", and all of the class {whole[0]!r}" if whole else ""
            yield (
                f"{field}={size} is a number of images, {sizes[split]:,} of"
                f" {total:,}{of_class}. Were {size} % meant? Then write"
                f' {field}="{size}%"'
            )


def _about_sets_across_splits(rows: pa.RecordBatch) -> Iterator[str]:
    """Yields a note on near duplicates in several splits, if there are any."""
    near = near_duplicates.sets_of(rows)
    across = np.flatnonzero(near.across(near.rows["split"]))
    if len(across):
        shown = []
        for at in across[: select.MAX_NAMED]:
            named = arrays.named(near.of_set(at), ("key", "split"))
            shown.append(" ~ ".join(f"{key} ({split})" for key, split in sorted(named)))
        sets = "1 set" if len(across) == 1 else f"{len(across):,} sets"
        yield (
            f"{sets} of near duplicates across splits:"
            f" {select.named_first(shown, len(across))}"
        )


def _divide(
    config: ImageCsvConfig, selection: Selection, strata: Strata
) -> assign.SplitPlan:
    rows = selection.rows
    return assign.plan_splits(
        rows["key"],
        strata.of_row,
        class_names=strata.names,
        options=assign.SplitOptions(
            val_size=config.val_size,
            test_size=config.test_size,
            folds=config.folds,
            seed=config.seed,
        ),
        units=selection.units,
        groups=rows["group"],
        given=rows["given"],
        pinned=rows["pinned"],
        coarse=strata.coarse,
    )


def _about_small_classes(
    config: ImageCsvConfig,
    class_counts: Mapping[str, Mapping[str, int]],
    stratified: Iterable[str],
) -> Iterator[str]:
    """Yields a note if there are classes that some stratified split lacks."""
    if config.label_type not in options.WITH_CLASSES:
        return
    by_class: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for split in stratified:
        for name, count in class_counts[split].items():
            by_class[name][split] = count
    small = {name: n for name, n in by_class.items() if 0 in n.values()}
    if small:
        first = itertools.islice(small.items(), select.MAX_NAMED)
        shown = select.named_first(
            [
                f"{name} ({', '.join(f'{split} {n}' for split, n in counts.items())})"
                for name, counts in first
            ],
            len(small),
        )
        are = "is" if len(small) == 1 else "are"
        yield (
            f"{len(small):,} of {len(by_class):,} classes {are} too small to be in"
            f" every split: {shown}"
        )
