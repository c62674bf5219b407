"""The plan of a dataset: all that is known about it before a byte is written."""

from __future__ import annotations

import collections
import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from etils import epath

from tfds_imagecsv import (
    exceptions,
    images,
    labels,
    manifest,
    problems,
    splits,
    units,
)
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.problems import Kind, Problem

REJECTED_ROWS_FILENAME = "rejected_rows.csv"

# How many images a warning names; of classes it names all.
_MAX_NAMED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPlan:
    """What a dataset will have.

    Attributes:
      image_dir: the directory that the keys are relative to.
      rows: a row for each example, sorted by key, with the columns `key`, `label`
        (empty for none), `group` (empty for none), `split`, `format`, `digest` (all
        str), `height` and `width` (int64, pixels).
      rejected: the rows that were dropped at the user's wish, sorted by key, with the
        columns `row` (int64), `key`, `label` and `reason` (str).
      class_names: the names of the classes in the order of their ids.
      class_counts: the number of examples for each split and class.
      largest_class_deviation: see `splits.SplitPlan`.
      largest_split_deviation: see `splits.SplitPlan`.
      groups: how many groups there are.
      duplicate_sets: how many sets of identical images there are.
      duplicate_images: how many images are in these sets.
    """

    image_dir: epath.Path
    rows: pd.DataFrame
    rejected: pd.DataFrame
    class_names: tuple[str, ...]
    class_counts: Mapping[str, Mapping[str, int]]
    largest_class_deviation: float
    largest_split_deviation: float
    groups: int
    duplicate_sets: int
    duplicate_images: int

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
    config: ImageCsvConfig,
    *,
    label_csv: epath.Path,
    image_dir: epath.Path,
    pinned_splits: epath.Path | None = None,
) -> DatasetPlan:
    """Reads the CSV, looks at the images, and divides them into splits.

    What doesn't stop a build, but should be known, is given as `ImageCsvWarning`s.

    Args:
      config: what the user asks for.
      label_csv: where the config's `label_csv` is.
      image_dir: where the config's `image_dir` is.
      pinned_splits: where the config's `pinned_splits` is, if it has one.

    Returns:
      The plan.

    Raises:
      SourceError: if the CSV or the manifest can't be used.
      InvalidRowsError: if some rows, or their images, can't be used.
      SplitError: if the rows can't be divided as the config says.
    """
    table = labels.read_labels(
        label_csv,
        filename_column=config.filename_column,
        label_column=config.label_column,
        group_column=config.group_column,
        split_column=config.split_column,
        filename_suffix=config.filename_suffix,
        classes=config.classes,
    )
    _check_header(table, label_csv, image_dir, config.filename_suffix)
    earlier = manifest.read_manifest(pinned_splits) if pinned_splits else {}
    inspected = images.inspect_images(image_dir, table.rows)
    found = [*table.problems, *inspected.problems]

    rows = inspected.rows
    rows["pinned"] = [earlier.get(key, ("", ""))[0] for key in rows["key"]]
    copies = _copies(rows)
    found += _conflicting_labels(copies)
    rejected: list[pd.DataFrame] = []
    if config.duplicates == "error":
        found += _duplicates(copies)
    elif config.duplicates == "drop":
        rows = _without_copies(rows, copies, rejected)
    class_names = table.class_names
    rare = _rare_classes(rows, config.min_class_size)
    if config.rare_classes == "error":
        found += _too_rare(rows, rare)
    elif config.rare_classes == "drop":
        rows = _without_classes(rows, rare, rejected)
        if config.classes is None:
            class_names = tuple(name for name in class_names if name not in rare)
    together = units.find_units(
        list(rows["group"]), list(rows["digest"]), rows=len(rows)
    )
    found += _torn(rows, together)
    problems.raise_if_any(found, label_csv=str(label_csv), image_dir=str(image_dir))

    if rows.empty:
        raise exceptions.SplitError(
            f"No image is left in {label_csv} without the dropped rows."
        )
    split_plan = splits.plan_splits(
        list(rows["key"]),
        list(rows["label"]),
        class_names=class_names,
        options=splits.SplitOptions(
            val_size=config.val_size,
            test_size=config.test_size,
            folds=config.folds,
            seed=config.seed,
        ),
        units=together,
        groups=list(rows["group"]),
        given=list(rows["given"]),
        pinned=list(rows["pinned"]),
    )
    for message in (
        *_about_copies(copies, config.duplicates),
        *_about_rare_classes(rare, config),
        *_about_small_classes(split_plan),
        *_about_pinned_rows(inspected.rows, earlier),
    ):
        warnings.warn(message, exceptions.ImageCsvWarning, stacklevel=2)
    return DatasetPlan(
        image_dir=image_dir,
        rows=rows.assign(split=split_plan.splits),
        rejected=_joined(rejected),
        class_names=class_names,
        class_counts=split_plan.class_counts,
        largest_class_deviation=split_plan.largest_class_deviation,
        largest_split_deviation=split_plan.largest_split_deviation,
        groups=len(set(rows["group"]) - {""}),
        duplicate_sets=copies["digest"].nunique(),
        duplicate_images=len(copies),
    )


def _check_header(
    table: labels.LabelTable, label_csv: epath.Path, image_dir: epath.Path, suffix: str
) -> None:
    """Raises a `SourceError` if the header is the row of an image."""
    name = table.filename_header + suffix
    if table.filename_header and (image_dir / name).is_file():
        raise exceptions.SourceError(
            f"label_csv {label_csv}: its first row must be a header, such as"
            f" 'filename,label', but it is the row of the image {name!r}. Add a header."
        )


def _copies(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of images that have copies, one set of copies after another.

    In each set, the row that stays if copies are dropped comes first: one that is
    pinned rather than one that isn't, then one that has a label, then one whose
    split is given, then the first by key.
    """
    copies = rows[rows.duplicated("digest", keep=False)]
    lacks = {
        f"lacks_{column}": copies[column] == ""
        for column in ("pinned", "label", "given")
    }
    order = ["digest", *lacks, "key"]
    return copies.assign(**lacks).sort_values(order, ignore_index=True)


def _with_first(copies: pd.DataFrame) -> Iterator[tuple[tuple[int, str, str], ...]]:
    """Yields each copy but the first of its set, and the first.

    Both are given as number of the row, key and label.
    """
    first_of: dict[str, tuple[int, str, str]] = {}
    columns = ("digest", "row", "key", "label")
    for digest, *copy in zip(*(copies[name] for name in columns), strict=True):
        row, key, label = copy
        first = first_of.setdefault(digest, (row, key, label))
        if first[0] != row:
            yield (row, key, label), first


def _duplicates(copies: pd.DataFrame) -> Iterator[Problem]:
    for (row, key, _), (first_row, first_key, _) in _with_first(copies):
        detail = f"{key!r} is the same as {first_key!r} in row {first_row}"
        yield Problem(Kind.DUPLICATE, row, detail)


def _conflicting_labels(copies: pd.DataFrame) -> Iterator[Problem]:
    labeled = copies[copies["label"] != ""]
    for (row, key, label), (first_row, first_key, first_label) in _with_first(labeled):
        if label != first_label:
            detail = (
                f"{key!r} is {label!r}, and the same as {first_key!r} in row"
                f" {first_row}, which is {first_label!r}"
            )
            yield Problem(Kind.CONFLICT, row, detail)


def _without_copies(
    rows: pd.DataFrame, copies: pd.DataFrame, rejected: list[pd.DataFrame]
) -> pd.DataFrame:
    """Returns the rows without copies, and adds these to the rejected rows."""
    reasons = {
        row: f"identical to {first_key} in row {first_row}"
        for (row, _, _), (first_row, first_key, _) in _with_first(copies)
    }
    return _without(rows, rows["row"].map(reasons.get), rejected)


def _without_classes(
    rows: pd.DataFrame, rare: Mapping[str, int], rejected: list[pd.DataFrame]
) -> pd.DataFrame:
    """Returns the rows without those of classes, and adds these to the rejected."""
    reasons = {
        name: f"class with fewer images than min_class_size: {count}"
        for name, count in rare.items()
    }
    return _without(rows, rows["label"].map(reasons.get), rejected)


def _without(
    rows: pd.DataFrame, reasons: pd.Series[str], rejected: list[pd.DataFrame]
) -> pd.DataFrame:
    """Returns the rows that have no reason, and adds the others to the rejected."""
    has_reason = reasons.notna()
    rejected.append(rows[has_reason].assign(reason=reasons[has_reason]))
    return rows[~has_reason].reset_index(drop=True)


def _joined(rejected: list[pd.DataFrame]) -> pd.DataFrame:
    columns = ["row", "key", "label", "reason"]
    if not rejected:
        return pd.DataFrame(columns=columns).astype({"row": np.int64})
    table = pd.concat(rejected)[columns].sort_values("key", ignore_index=True)
    return table.astype({"row": np.int64})


def _rare_classes(rows: pd.DataFrame, min_class_size: int) -> dict[str, int]:
    """Returns those classes that have fewer rows, in order, and how many they have."""
    counts = collections.Counter(rows["label"])
    del counts[""]
    return {
        name: count for name, count in sorted(counts.items()) if count < min_class_size
    }


def _too_rare(rows: pd.DataFrame, rare: Mapping[str, int]) -> Iterator[Problem]:
    first_rows = rows[rows["label"].isin(list(rare))].groupby("label")["row"].min()
    for name, row in first_rows.items():
        yield Problem(Kind.RARE_CLASS, int(row), f"{name!r} has {rare[str(name)]}")


def _torn(rows: pd.DataFrame, together: units.Units) -> Iterator[Problem]:
    """Yields the rows that are to be in another split than their unit."""
    first_of: dict[int, tuple[int, str, str]] = {}
    columns = ("row", "key", "given", "pinned")
    for unit, row, key, given, pinned in zip(
        together.unit_of.tolist(), *(rows[name] for name in columns), strict=True
    ):
        if given and pinned and given != pinned:
            detail = f"{key!r} is pinned to {pinned!r}, and the CSV says {given!r}"
            yield Problem(Kind.PINNED, row, detail)
        split = given or pinned
        if not split:
            continue
        first_row, first_key, first_split = first_of.setdefault(unit, (row, key, split))
        if split != first_split:
            detail = (
                f"{key!r} is in {split!r}, and belongs to {first_key!r} in row"
                f" {first_row}, which is in {first_split!r}"
            )
            yield Problem(Kind.LEAK, row, detail)


def _about_copies(copies: pd.DataFrame, policy: str) -> Iterator[str]:
    sets = [list(keys) for _, keys in copies.groupby("digest")["key"]]
    if sets:
        shown = _named(" = ".join(keys) for keys in sorted(sets))
        kept = (
            "the first of each was kept" if policy == "drop" else "they stay together"
        )
        in_sets = _counted(len(sets), "set", "sets")
        yield (
            f"{len(copies):,} images are identical to others, in {in_sets}; {kept}:"
            f" {shown}"
        )


def _about_rare_classes(
    rare: Mapping[str, int], config: ImageCsvConfig
) -> Iterator[str]:
    if rare:
        shown = ", ".join(f"{name} ({count})" for name, count in rare.items())
        kept = "dropped" if config.rare_classes == "drop" else "kept"
        have = _counted(len(rare), "class has", "classes have")
        yield (
            f"{have} fewer images than min_class_size={config.min_class_size} ({kept}):"
            f" {shown}"
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


def _about_pinned_rows(
    rows: pd.DataFrame, earlier: Mapping[str, tuple[str, str]]
) -> Iterator[str]:
    label_of = dict(zip(rows["key"], rows["label"], strict=True))
    gone = [key for key in sorted(earlier) if key not in label_of]
    if gone:
        are = _counted(len(gone), "pinned image is", "pinned images are")
        yield f"{are} gone: {_named(gone)}"
    changed = [
        f"{key} ({label!r}, now {label_of[key]!r})"
        for key, (_, label) in sorted(earlier.items())
        if label_of.get(key, label) != label
    ]
    if changed:
        have = _counted(len(changed), "pinned image has", "pinned images have")
        yield f"{have} another label (the split stays): {_named(changed)}"


def _counted(number: int, singular: str, plural: str) -> str:
    return f"{number:,} {singular if number == 1 else plural}"


def _named(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f", and {more:,} more" if more > 0 else "")
