"""The plan of a dataset: all that is known about it before a byte is written."""

from __future__ import annotations

import collections
import dataclasses
import warnings
from collections.abc import Mapping

import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions, images, labels, problems, splits
from tfds_imagecsv.config import ImageCsvConfig

_MAX_NAMED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPlan:
    """What a dataset will have.

    Attributes:
      image_dir: the directory that the keys are relative to.
      rows: a row for each example, sorted by key, with the columns `key`, `label`,
        `split`, `format` (str), `height` and `width` (int64, pixels).
      class_names: the names of the classes in the order of their ids.
      class_counts: the number of examples for each split (in the order train,
        validation, test) and class.
    """

    image_dir: epath.Path
    rows: pd.DataFrame
    class_names: tuple[str, ...]
    class_counts: Mapping[str, Mapping[str, int]]

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


def make_plan(
    config: ImageCsvConfig, *, label_csv: epath.Path, image_dir: epath.Path
) -> DatasetPlan:
    """Reads the CSV, looks at the images, and divides them into splits.

    Args:
      config: what the user asks for.
      label_csv: where the config's `label_csv` is.
      image_dir: where the config's `image_dir` is.

    Returns:
      The plan.

    Raises:
      SourceError: if the CSV can't be used.
      InvalidRowsError: if some rows, or their images, can't be used.
      SplitError: if the rows can't be divided as the config says.
    """
    table = labels.read_labels(
        label_csv,
        filename_column=config.filename_column,
        label_column=config.label_column,
        filename_suffix=config.filename_suffix,
        classes=config.classes,
    )
    inspected = images.inspect_images(image_dir, table.rows)
    problems.raise_if_any(
        [*table.problems, *inspected.problems],
        label_csv=str(label_csv),
        image_dir=str(image_dir),
    )
    rows = inspected.rows
    split_plan = splits.plan_splits(
        list(rows["key"]),
        list(rows["label"]),
        class_names=table.class_names,
        val_size=config.val_size,
        test_size=config.test_size,
        seed=config.seed,
    )
    _warn_of_small_classes(split_plan.class_counts)
    return DatasetPlan(
        image_dir=image_dir,
        rows=rows.assign(split=split_plan.splits),
        class_names=table.class_names,
        class_counts=split_plan.class_counts,
    )


def _warn_of_small_classes(class_counts: Mapping[str, Mapping[str, int]]) -> None:
    by_class = {
        name: {split: counts[name] for split, counts in class_counts.items()}
        for name in next(iter(class_counts.values()))
    }
    small = [name for name, counts in by_class.items() if 0 in counts.values()]
    if not small:
        return
    shown = [
        f"{name} ({', '.join(f'{split} {n}' for split, n in by_class[name].items())})"
        for name in small[:_MAX_NAMED]
    ]
    if len(small) > _MAX_NAMED:
        shown.append(f"and {len(small) - _MAX_NAMED:,} more")
    warnings.warn(
        f"{len(small):,} of {len(by_class):,} classes are too small to be in every"
        f" split: {', '.join(shown)}",
        exceptions.ImageCsvWarning,
        stacklevel=2,
    )
