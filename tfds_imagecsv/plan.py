"""The plan of a dataset: all that is known about it before a byte is written."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping

import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions, problems, splits
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.conversions import ImageOptions
from tfds_imagecsv.selection import select_rows
from tfds_imagecsv.survey import Survey


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPlan:
    """What a dataset will have.

    Attributes:
      image_dir: the directory that the keys are relative to.
      rows: a row for each example, sorted by key, with the columns `key`, `label`
        (empty for none), `group` (empty for none), `split` (all str), and those of
        `images.COLUMNS`.
      options: what the images are to be.
      rejected: the rows that were dropped at the user's wish, sorted by key, with the
        columns `row` (int64), `key`, `label` and `reason` (str).
      unlisted: the images of the directory that no row names, sorted.
      class_names: the names of the classes in the order of their ids.
      class_counts: the number of examples for each split and class.
      largest_class_deviation: see `splits.SplitPlan`.
      largest_split_deviation: see `splits.SplitPlan`.
      groups: how many groups there are.
      duplicate_sets: how many sets of identical images there are.
      duplicate_images: how many images are in these sets.
      notes: what doesn't stop a build, but should be known.
    """

    image_dir: epath.Path
    rows: pd.DataFrame
    options: ImageOptions
    rejected: pd.DataFrame
    unlisted: tuple[str, ...]
    class_names: tuple[str, ...]
    class_counts: Mapping[str, Mapping[str, int]]
    largest_class_deviation: float
    largest_split_deviation: float
    groups: int
    duplicate_sets: int
    duplicate_images: int
    notes: tuple[str, ...]

    def first(self, max_examples_per_split: int) -> DatasetPlan:
        """Returns the plan of the first examples of each split, in the order of keys.

        Args:
          max_examples_per_split: how many of each split, 0 or more.
        """
        rows = self.rows.groupby("split").head(max_examples_per_split)
        found = collections.Counter(zip(rows["split"], rows["label"], strict=True))
        return dataclasses.replace(
            self,
            rows=rows,
            class_counts={
                split: {name: found[split, name] for name in counts}
                for split, counts in self.class_counts.items()
            },
        )


def make_plan(config: ImageCsvConfig, survey: Survey) -> DatasetPlan:
    """Chooses rows, and divides them into splits.

    Args:
      config: what the user asks for.
      survey: what there is.

    Returns:
      The plan.

    Raises:
      InvalidRowsError: if some rows, or their images, can't be used.
      SplitError: if the rows can't be divided as the config says.
    """
    selection = select_rows(config, survey)
    problems.raise_if_any(
        selection.problems,
        label_csv=str(survey.label_csv),
        image_dir=str(survey.image_dir),
    )
    rows = selection.rows
    if rows.empty:
        raise exceptions.SplitError(
            f"No image is left in {survey.label_csv} without the dropped rows."
        )
    split_plan = splits.plan_splits(
        list(rows["key"]),
        list(rows["label"]),
        class_names=selection.class_names,
        options=splits.SplitOptions(
            val_size=config.val_size,
            test_size=config.test_size,
            folds=config.folds,
            seed=config.seed,
        ),
        units=selection.units,
        groups=list(rows["group"]),
        given=list(rows["given"]),
        pinned=list(rows["pinned"]),
    )
    return DatasetPlan(
        image_dir=survey.image_dir,
        rows=rows.assign(split=pd.Series(split_plan.splits, dtype=object)),
        options=config.image_options,
        rejected=selection.rejected,
        unlisted=survey.unlisted,
        class_names=selection.class_names,
        class_counts=split_plan.class_counts,
        largest_class_deviation=split_plan.largest_class_deviation,
        largest_split_deviation=split_plan.largest_split_deviation,
        groups=len(set(rows["group"]) - {""}),
        duplicate_sets=selection.copies["digest"].nunique(),
        duplicate_images=len(selection.copies),
        notes=(*selection.notes, *_about_small_classes(split_plan)),
    )


def _about_small_classes(split_plan: splits.SplitPlan) -> Iterator[str]:
    by_class: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for split in split_plan.stratified:
        for name, count in split_plan.class_counts[split].items():
            by_class[name][split] = count
    small = {name: n for name, n in by_class.items() if 0 in n.values()}
    if small:
        shown = ", ".join(
            f"{name} ({', '.join(f'{split} {n}' for split, n in counts.items())})"
            for name, counts in small.items()
        )
        are = "is" if len(small) == 1 else "are"
        yield (
            f"{len(small):,} of {len(by_class):,} classes {are} too small to be in"
            f" every split: {shown}"
        )
