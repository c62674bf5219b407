"""Which images a report shows: few, and the same in each run.

Images are drawn by their digests, which are as good as random, and independent of the
order of the table.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays
from tfds_imagecsv.images import kinds
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.options import MASK
from tfds_imagecsv.problems import Kind, Problem
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.table import image_columns

#: The most examples of all classes together, and of one.
OF_CLASSES = 240
OF_CLASS = 8

#: The most classes with examples.
CLASSES = 120

#: The most images without classes, or of numbers.
WITHOUT_CLASSES = 48

#: The most examples of a kind of problem, or a quality issue; and of a conversion.
OF_KIND = 6
OF_CONVERSION = 3

#: The most sets of identical or nearly identical images, and images of a set.
SETS = 12
OF_SET = 6

#: The most kinds of conversions and issues.
_KINDS = 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samples:
    """The images that a report shows, by their keys.

    Attributes:
      labels: the examples of each class, the largest class first; with numbers, images
        in their order; without labels, some images; both under an empty name.
      conversions: the examples of each reason to convert an image.
      problems: the examples of each kind of problem, if they have a file.
      copies: the first image of some sets of identical ones.
      near_duplicates: some sets of nearly identical images.
      quality: the examples of each quality issue.
      beside: the further images of those in `labels`, and their names.
      masks: the masks of those in `labels`, by the key of the image.
    """

    labels: Mapping[str, tuple[str, ...]]
    conversions: Mapping[str, tuple[str, ...]]
    problems: Mapping[Kind, tuple[str, ...]]
    copies: tuple[str, ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    quality: Mapping[str, tuple[str, ...]]
    beside: Mapping[str, tuple[tuple[str, str], ...]]
    masks: Mapping[str, str]

    @property
    def uses(self) -> Mapping[str, int]:
        """How often each key is shown, the most important first.

        Problems come before usual images, and the first example of each class before
        the second one of any.
        """
        of_classes = list(self.labels.values())
        in_turns = (
            keys[at] for at in range(OF_CLASS) for keys in of_classes if at < len(keys)
        )
        rest = (key for keys in of_classes for key in keys[OF_CLASS:])
        wrong = (
            *self.problems.values(),
            self.copies,
            *self.near_duplicates,
            *self.quality.values(),
        )
        examples = (
            one
            for key in (*in_turns, *rest)
            for one in (key, *(file for _, file in self.beside.get(key, ())))
        )
        found = (*(key for keys in wrong for key in keys), *examples)
        return collections.Counter(found)  # in the order of the first use


def choose(
    inspection: Inspection,
    plan: DatasetPlan | None,
    *,
    label_type: str,
    classes: Sequence[str],
    copies: Sequence[str] = (),
    near_duplicates: Sequence[Sequence[str]] = (),
    quality: Mapping[str, Sequence[str]] | None = None,
) -> Samples:
    """Chooses the images of a report.

    Args:
      inspection: the input.
      plan: the plan of its dataset, if there is one.
      label_type: one of `options.LABEL_TYPES`.
      classes: the names of the classes, in the order of the report.
      copies: the first image of sets of identical ones, in the order of the report.
      near_duplicates: the sets of nearly identical images.
      quality: the images of each quality issue.
    """
    rows = plan.rows if plan else inspection.rows
    issues = list((quality or {}).items())[:_KINDS]
    labels = _of_labels(label_type, rows, classes)
    examples = [key for keys in labels.values() for key in keys]
    of_examples = rows.filter(pc.is_in(rows["key"], value_set=arrays.texts(examples)))
    return Samples(
        labels=labels,
        conversions=dict(list(_of_conversions(rows))[:_KINDS]),
        problems=_of_problems(inspection),
        copies=tuple(copies[:SETS]),
        near_duplicates=tuple(tuple(one[:OF_SET]) for one in near_duplicates[:SETS]),
        quality={name: tuple(keys[:OF_KIND]) for name, keys in issues},
        beside=_beside(of_examples),
        masks=_masks(of_examples),
    )


def _beside(rows: pa.RecordBatch) -> dict[str, tuple[tuple[str, str], ...]]:
    """Returns the names and the keys of the further images of rows."""
    names = image_columns.names_of(rows.schema.names)
    if not names:
        return {}
    columns = [image_columns.column(name, "key") for name in names]
    return {
        key: tuple(zip(names, files, strict=True))
        for key, *files in arrays.named(rows, ("key", *columns))
    }


def _masks(rows: pa.RecordBatch) -> dict[str, str]:
    """Returns the keys of the masks of rows."""
    if not image_columns.has_mask(rows.schema.names):
        return {}
    return dict(arrays.named(rows, ("key", image_columns.column(MASK, "key"))))


def _of_labels(
    label_type: str, rows: pa.RecordBatch, classes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    if label_type == "regression":
        return {"": tuple(_by_number(rows))}
    if label_type == "none":
        return {"": tuple(_keys(rows, _by_digest(rows)[:WITHOUT_CLASSES]))}
    shown = list(classes[:CLASSES])
    each = max(1, min(OF_CLASS, OF_CLASSES // max(1, len(shown))))
    which, at = _classes_of(label_type, rows, shown)
    # By class, then by digest.
    order = np.lexsort((arrays.halves_of(rows["digest"])[at], which))
    which, at = which[order], at[order]
    starts = np.searchsorted(which, np.arange(len(shown) + 1)).tolist()
    return {
        name: tuple(_keys(rows, at[start : min(start + each, stop)]))
        for name, start, stop in zip(shown, starts, starts[1:], strict=False)
    }


def _classes_of(
    label_type: str, rows: pa.RecordBatch, names: Sequence[str]
) -> tuple[arrays.Ints, arrays.Ints]:
    """Returns each pair of a class, by its position, and a row of that class."""
    numbers = {name: at for at, name in enumerate(names)}
    if label_type == "class":
        of_code = [numbers.get(one, -1) for one in arrays.names_of(rows["label"])]
        which = arrays.mapped(rows["label"], np.array(of_code, np.int64))
        at = np.arange(len(rows))
    else:
        # A code stands for several classes.
        combinations = rows["target"].dictionary.to_pylist()
        sizes = np.array([len(one) for one in combinations], np.int64)
        flat = np.array(
            [numbers.get(name, -1) for one in combinations for name in one], np.int64
        )
        codes = arrays.codes_of(rows["target"])
        of_row = sizes[codes] if len(codes) else np.zeros(0, np.int64)
        at = np.repeat(np.arange(len(rows)), of_row)
        firsts = np.cumsum(of_row) - of_row
        within = np.arange(len(at)) - np.repeat(firsts, of_row)
        begins = np.cumsum(sizes) - sizes
        which = flat[np.repeat(begins[codes], of_row) + within] if len(at) else at
    is_shown = which >= 0
    return which[is_shown], at[is_shown]


def numbers_of(rows: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Returns the first number of each row's label; NaN without one."""
    found = [one[0] if one else np.nan for one in rows["target"].dictionary.to_pylist()]
    of_each: np.ndarray[tuple[int], np.dtype[np.float64]]
    of_each = arrays.mapped(rows["target"], np.array(found, np.float64))
    return of_each


def _by_number(rows: pa.RecordBatch) -> list[str]:
    """Returns images from the smallest number to the largest, evenly spaced."""
    numbers = numbers_of(rows)
    order = np.argsort(numbers, kind="stable")
    order = order[: np.count_nonzero(np.isfinite(numbers))]
    most = min(len(order), WITHOUT_CLASSES // 2)
    at = np.linspace(0, max(0, len(order) - 1), most).round().astype(np.int64)
    return _keys(rows, order[at])


def _of_conversions(rows: pa.RecordBatch) -> Iterator[tuple[str, tuple[str, ...]]]:
    found = rows["kind"].dictionary.field("conversion").to_pylist()
    reasons = {one for text in found for one in text.split(", ") if one}
    shown: set[str] = set()
    for reason in sorted(reasons):
        has = kinds.of_each(
            rows,
            "conversion",
            lambda texts, reason=reason: np.array(  # type: ignore[misc]
                [reason in text.split(", ") for text in texts.to_pylist()], bool
            ),
        )
        at = np.flatnonzero(has)
        if len(at):
            halves = arrays.halves_of(rows["digest"])[at]
            # An image with several reasons is shown once.
            first = at[np.argsort(halves)][: OF_CONVERSION + len(shown)]
            keys = [key for key in _keys(rows, first) if key not in shown]
            shown.update(keys[:OF_CONVERSION])
            yield reason, tuple(keys[:OF_CONVERSION])


def _of_problems(inspection: Inspection) -> dict[Kind, tuple[str, ...]]:
    found: dict[Kind, list[Problem]] = {}
    in_order = sorted(inspection.problems, key=lambda one: (one.row, one.detail))
    for one in in_order:
        of_kind = found.setdefault(one.kind, [])
        if len(of_kind) < OF_KIND:
            of_kind.append(one)
    # Problems of usable images, such as contradictions, only have a row.
    of_kinds = itertools.chain.from_iterable(found.values())
    numbers = np.array([one.row for one in of_kinds], np.int64)
    rows = inspection.rows
    named = rows.filter(pc.is_in(rows["row"], value_set=arrays.as_column(numbers)))
    key_of = dict(arrays.named(named, ("row", "key")))
    keys = {
        kind: [one.key or key_of.get(one.row, "") for one in of_kind]
        for kind, of_kind in found.items()
    }
    return {
        kind: tuple(dict.fromkeys(filter(None, of_kind)))
        for kind, of_kind in keys.items()
    }


def _by_digest(rows: pa.RecordBatch) -> arrays.Ints:
    order: arrays.Ints = np.argsort(arrays.halves_of(rows["digest"]), kind="stable")
    return order


def _keys(rows: pa.RecordBatch, at: arrays.Ints) -> list[str]:
    keys: list[str] = rows["key"].take(arrays.as_column(at)).to_pylist()
    return keys
