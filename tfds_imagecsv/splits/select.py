"""Which rows make the dataset, and which are left out."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays, exceptions, problems
from tfds_imagecsv.config import ImageCsvConfig, exact_fraction
from tfds_imagecsv.images import near_duplicates, quality
from tfds_imagecsv.images.copies import (
    digests_of,
    first_of_sets,
    identical_images,
    keys_of_sets,
    shared_images,
    with_first,
)
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.images.near_duplicates import Sets
from tfds_imagecsv.problems import Kind, Places, Problem
from tfds_imagecsv.splits.together import Units, find_units
from tfds_imagecsv.table import boxes, label_types

REJECTED_ROWS_FILENAME = "rejected_rows.csv"

#: The most images, sets or classes that a note names.
MAX_NAMED = 10

# What is wrong with a box, and not with its image.
_OF_ONE_BOX = (Kind.BOX_AREA, Kind.BOX_OUTSIDE)


class RejectedRow(NamedTuple):
    """A row that is left out.

    Attributes:
      row: its number, see `problems.Places`.
      key: its image.
      label: its label.
      reason: why it is left out.
    """

    row: int
    key: str
    label: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """The rows of a dataset.

    Attributes:
      rows: the rows, sorted by key, with the columns of `Inspection.rows`.
      rejected: the rows that are left out, sorted by key.
      class_names: the names of the classes in the order of their ids.
      copies: the rows of identical images, one set of copies after another, before
        copies are left out.
      units: which of the rows belong together.
      problems: what stops a build, in any order.
      notes: what doesn't stop a build, but matters.
    """

    rows: pa.RecordBatch
    rejected: tuple[RejectedRow, ...]
    class_names: tuple[str, ...]
    copies: pa.RecordBatch
    units: Units
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def select_rows(config: ImageCsvConfig, inspection: Inspection) -> Selection:
    """Leaves out the rows that the user doesn't want.

    Args:
      config: the config, with `on_error`, `drop_issues`, `duplicates`,
        `near_duplicates` and `rare_classes`.
      inspection: the input.

    Returns:
      The remaining rows, and what is still wrong.

    Raises:
      InvalidRowsError: if more rows have to go than `max_rejected` allows.
    """
    rows = inspection.rows
    found: list[Problem] = []
    notes: list[str] = []
    rejected: list[RejectedRow] = []
    if config.on_error == "skip":
        rows = _without_problems(config, rows, inspection, rejected)
        copies = identical_images(rows)
        _check_rejected(len(rejected), config, inspection)
        notes += _about_rejected_rows(rejected, inspection.table.total_rows)
    else:
        found += inspection.problems
        copies = inspection.copies
    if config.drop_issues:
        # Before copies and near duplicates: of these, a good one is to be kept.
        rows, about_issues = _without_issues(
            config.drop_issues, rows, inspection.rows, rejected
        )
        copies = identical_images(rows)
        notes += about_issues
    notes += inspection.table.notes
    notes += about_unlisted_images(inspection.unlisted)
    notes += about_copies(copies, config.duplicates)
    if config.duplicates == "error":
        found += _duplicates(copies, inspection.table.places)
    elif config.duplicates == "drop":
        rows = _without_copies(rows, copies, inspection.table.places, rejected)
    notes += about_shared_images(shared_images(rows))
    near = near_duplicates.sets_of(rows)
    notes += about_near_duplicates(near, config.near_duplicates)
    if config.near_duplicates == "drop":
        rows = _without_near_duplicates(rows, near, inspection.table.places, rejected)
    rare = _rare_classes(config, rows)
    notes += _about_rare_classes(rare, config)
    if config.rare_classes == "error":
        found += _too_rare(config, rows, rare)
    elif config.rare_classes == "drop":
        rows = _without_classes(config, rows, rare, rejected)
    class_names = inspection.table.class_names
    if config.classes is None and config.class_csv is None and rejected:
        class_names = label_types.class_names(
            config.label_type, rows, inspection.table.class_columns
        )
    units = _units_of(config, rows)
    found += _torn(rows, units, inspection.table.places)
    notes += _about_pinned_rows(rows, inspection)
    return Selection(
        rows=rows,
        rejected=tuple(sorted(rejected, key=lambda one: (one.key, one.row))),
        class_names=class_names,
        copies=copies,
        units=units,
        problems=tuple(found),
        notes=tuple(notes),
    )


def _units_of(config: ImageCsvConfig, rows: pa.RecordBatch) -> Units:
    """Returns which rows belong together."""
    near = None
    if config.near_duplicates == "together":
        near = arrays.as_numpy(rows[near_duplicates.COLUMN])
    return find_units(rows["group"], digests_of(rows), rows=len(rows), near=near)


def _without_problems(
    config: ImageCsvConfig,
    rows: pa.RecordBatch,
    inspection: Inspection,
    rejected: list[RejectedRow],
) -> pa.RecordBatch:
    """Returns the rows without a problem, and adds all others to the rejected.

    Of rows that contradict each other none is kept, so that their order doesn't matter:
    rows of one image that differ or have another problem, and identical images with
    two labels.
    """
    found, places = inspection.problems, inspection.table.places
    if not found:
        return rows
    reasons = {
        problem.row: f"{problem.kind.heading}: {problem.detail}" for problem in found
    }
    of_problems = arrays.texts(sorted({one.key for one in found}))
    with_problem = rows.filter(pc.is_in(rows["key"], value_set=of_problems))
    contradicted = {}
    # With boxes, the other boxes of an image stay.
    if config.label_type != "boxes":
        contradicted = _contradicted(with_problem, found)
    copies = identical_images(rows)
    disputed = _disputed(copies)
    columns = ("row", "key", "label", "digest")
    for row, key, label, digest in itertools.chain(
        arrays.named(with_problem, columns), arrays.named(copies, columns)
    ):
        if key in contradicted:
            reasons.setdefault(
                row,
                f"{Kind.REPEATED.heading}: {places.of(contradicted[key].row)}"
                f" {_difference(label, contradicted[key])}",
            )
        elif label and digest in disputed:
            reasons.setdefault(row, f"{Kind.CONFLICT.heading}: {key!r} is {label!r}")
    rejected += _unusable_rows(config, rows, inspection, reasons)
    return _without(rows, reasons, rejected)


def _contradicted(
    with_problem: pa.RecordBatch, found: Sequence[Problem]
) -> dict[str, Problem]:
    """Returns what contradicts a row, by the key of its image.

    Args:
      with_problem: the rows of images that problems are about.
      found: the problems.
    """
    columns = ("key", "label", "group", "given")
    said = {key: values for key, *values in arrays.named(with_problem, columns)}
    return {
        one.key: one
        for one in found
        if one.key in said
        and (
            one.kind is not Kind.REPEATED
            or said[one.key] != [one.label, one.group, one.given]
        )
    }


def _disputed(copies: pa.RecordBatch) -> set[bytes]:
    """Returns the digests of identical images with different labels."""
    labels_of: dict[bytes, set[str]] = {}
    for digest, label in arrays.named(copies, ("digest", "label")):
        labels_of.setdefault(digest, set()).update({label} - {""})
    return {digest for digest, labels in labels_of.items() if len(labels) > 1}


def _unusable_rows(
    config: ImageCsvConfig,
    rows: pa.RecordBatch,
    inspection: Inspection,
    reasons: Mapping[int, str],
) -> list[RejectedRow]:
    """Returns the rows with a problem that aren't among the usable ones.

    With boxes, also the other rows of their images, unless the problem is that of one
    box.

    Args:
      config: the config, with `label_type`.
      rows: the usable rows.
      inspection: the input, with the problems.
      reasons: why rows are left out, by their numbers.
    """
    is_bad = np.isin(arrays.as_numpy(rows["row"]), list(reasons))
    usable = frozenset(rows["row"].filter(arrays.as_column(is_bad)).to_pylist())
    others = {one.row: one for one in inspection.problems if one.row not in usable}
    rejected: list[RejectedRow] = []
    if config.label_type == "boxes":
        of_images = {
            row: reasons[row]
            for row, one in others.items()
            if one.kind not in _OF_ONE_BOX
        }
        rejected += _rejected(inspection.table.rows, of_images)
        for one in rejected:
            others.pop(one.row, None)
    rejected += [
        RejectedRow(one.row, one.key, one.label, reasons[one.row])
        for one in others.values()
    ]
    return rejected


def _difference(label: str, other: Problem) -> str:
    """Returns how another row of the same image differs from one with a label."""
    if other.kind is Kind.RAGGED:
        return "has the wrong number of cells"
    return "differs" if label == other.label else f"says {other.label!r}"


def _check_rejected(
    rejected: int, config: ImageCsvConfig, inspection: Inspection
) -> None:
    """Raises an `InvalidRowsError` if too many rows have to be left out."""
    if rejected > exact_fraction(config.max_rejected) * inspection.table.total_rows:
        report = problems.report(inspection.problems, **inspection.about)
        with_problem = len({one.row for one in inspection.problems})
        raise exceptions.InvalidRowsError(
            f"{rejected:,} of {inspection.table.total_rows:,} rows would have to be"
            f" left out, which is more than max_rejected={config.max_rejected}."
            f"{_about_others(rejected, with_problem, config.label_type)} Correct them,"
            f" or raise max_rejected.\n\n{report}"
        )


def _about_others(rejected: int, with_problem: int, label_type: str) -> str:
    """Returns why more rows are rejected than have a problem; empty if they aren't."""
    others = rejected - with_problem
    if not others:
        return ""
    have = _counted(with_problem, "has", "have")
    if label_type == "boxes":
        are = _counted(others, "is", "are")
        return (
            f" Of these, {have} a problem below, and {are} of images that can't be"
            " used: these have one problem each, or contradict an identical image."
        )
    contradict = _counted(others, "contradicts", "contradict")
    return (
        f" Of these, {have} a problem below, and {contradict} such a row: of rows or"
        " identical images that contradict each other, none is kept."
    )


def _without_issues(
    wanted: Sequence[str],
    rows: pa.RecordBatch,
    inspected: pa.RecordBatch,
    rejected: list[RejectedRow],
) -> tuple[pa.RecordBatch, list[str]]:
    """Returns the rows without quality issues, and a note if there are others.

    Args:
      wanted: the issues that count.
      rows: the rows.
      inspected: all of the input, among which sizes are odd.
      rejected: the rows that are left out; the others are added.
    """
    scores, numbers = quality.scores(inspected), arrays.as_numpy(inspected["row"])
    found: dict[int, dict[str, float]] = {}
    for name, has_it in quality.issues(scores).items():
        if name in wanted:
            at = np.flatnonzero(has_it)
            for row, score in zip(numbers[at].tolist(), scores[name][at], strict=True):
                found.setdefault(row, {})[name] = score / quality.PARTS
    reasons = {
        row: "quality issue: "
        + ", ".join(f"{name} ({score:.4f})" for name, score in of_row.items())
        for row, of_row in found.items()
    }
    all_rows = arrays.as_numpy(rows["row"])
    dropped = all_rows[np.isin(all_rows, list(found))].tolist()
    if not dropped:
        return rows, []
    counts = collections.Counter(name for row in dropped for name in found[row])
    shown = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common())
    are = _counted(len(dropped), "image is", "images are")
    return _without(rows, reasons, rejected), [
        f"{are} left out for quality issues, see {REJECTED_ROWS_FILENAME}: {shown}"
    ]


def _duplicates(copies: pa.RecordBatch, places: Places) -> Iterator[Problem]:
    for (row, key, _), (first_row, first_key, _) in with_first(copies):
        detail = f"{key!r} is the same as {first_key!r}{places.inside(first_row)}"
        yield Problem(Kind.DUPLICATE, row, detail)


def _without_copies(
    rows: pa.RecordBatch,
    copies: pa.RecordBatch,
    places: Places,
    rejected: list[RejectedRow],
) -> pa.RecordBatch:
    """Returns the rows without copies, and adds these to the rejected rows."""
    reasons = {
        row: f"identical to {first_key}{places.inside(first_row)}"
        for (row, _, _), (first_row, first_key, _) in with_first(copies)
    }
    return _without(rows, reasons, rejected)


def _without_near_duplicates(
    rows: pa.RecordBatch, near: Sets, places: Places, rejected: list[RejectedRow]
) -> pa.RecordBatch:
    """Returns the rows without near duplicates, and adds these to the rejected rows."""
    reasons = {
        row: f"nearly identical to {kept_key}{places.inside(kept_row)}"
        for (row, _), (kept_row, kept_key) in near.with_kept()
    }
    return _without(rows, reasons, rejected)


def _without_classes(
    config: ImageCsvConfig,
    rows: pa.RecordBatch,
    rare: Mapping[str, int],
    rejected: list[RejectedRow],
) -> pa.RecordBatch:
    """Returns the rows without rare classes, and adds the others to the rejected."""
    reasons = {
        name: f"class with fewer images than min_class_size: {count}"
        for name, count in rare.items()
    }
    of_row = label_types.of_classes(config.label_type, rows, rare)
    numbers = arrays.as_numpy(rows["row"])
    found = {int(numbers[at]): reasons[name] for at, name in of_row.items()}
    return _without(rows, found, rejected)


def _without(
    rows: pa.RecordBatch, reasons: Mapping[int, str], rejected: list[RejectedRow]
) -> pa.RecordBatch:
    """Returns the rows without a reason, and adds the others to the rejected.

    Args:
      rows: the rows.
      reasons: why rows are left out, by their numbers; there may be others.
      rejected: the rows that are left out.
    """
    is_out = np.isin(arrays.as_numpy(rows["row"]), list(reasons))
    if not is_out.any():
        return rows
    rejected += _rejected(rows, reasons)
    return rows.filter(arrays.as_column(~is_out))


def _rejected(
    rows: pa.RecordBatch, reasons: Mapping[int, str]
) -> Iterator[RejectedRow]:
    """Yields the rows with a reason; of an image with boxes, the row of each.

    Args:
      rows: the rows.
      reasons: why rows are left out, by their numbers; there may be others.
    """
    out = arrays.taken(rows, np.isin(arrays.as_numpy(rows["row"]), list(reasons)))
    columns = ["row", "key", "label"]
    if boxes.CLASSES not in rows.schema.names:
        for row, key, label in arrays.named(out, columns):
            yield RejectedRow(row, key, label, reasons[row])
        return
    columns += [boxes.NUMBERS_OF_ROWS, boxes.CLASSES]
    for row, key, label, numbers, classes in arrays.named(out, columns):
        # An image without objects has a row, and no box.
        for number, name in zip(numbers or [row], classes or [label], strict=True):
            yield RejectedRow(number, key, name, reasons[row])


def _rare_classes(config: ImageCsvConfig, rows: pa.RecordBatch) -> dict[str, int]:
    """Returns the classes with too few rows, sorted, and their sizes."""
    counts = label_types.class_sizes(config.label_type, rows)
    return {
        name: count
        for name, count in sorted(counts.items())
        if count < config.min_class_size
    }


def _too_rare(
    config: ImageCsvConfig, rows: pa.RecordBatch, rare: Mapping[str, int]
) -> Iterator[Problem]:
    for name, count in rare.items():
        at = list(label_types.of_classes(config.label_type, rows, [name]))
        row = int(arrays.as_numpy(rows["row"])[at].min())
        yield Problem(Kind.RARE_CLASS, row, f"{name!r} has {count}")


def _torn(rows: pa.RecordBatch, units: Units, places: Places) -> Iterator[Problem]:
    """Yields the problems of rows whose unit is in another split."""
    given, pinned = arrays.is_filled(rows["given"]), arrays.is_filled(rows["pinned"])
    has_split = given | pinned
    if not has_split.any():
        return
    # Rows of one split in each unit need no closer look.
    names = {name: at for at, name in enumerate(_splits_of(rows))}
    codes = np.where(given, _codes_in(rows["given"], names), 0)
    codes = np.where(given, codes, _codes_in(rows["pinned"], names))
    least = np.full(len(units.sizes), len(names))
    most = np.full(len(units.sizes), -1)
    np.minimum.at(least, units.unit_of[has_split], codes[has_split])
    np.maximum.at(most, units.unit_of[has_split], codes[has_split])
    is_torn = has_split & (least < most)[units.unit_of]
    is_torn |= given & pinned & (codes != _codes_in(rows["pinned"], names))
    first_of: dict[int, tuple[int, str, str]] = {}
    columns = ("row", "key", "given", "pinned")
    for unit, (row, key, by_table, by_pin) in zip(
        units.unit_of[is_torn].tolist(),
        arrays.named(rows.filter(arrays.as_column(is_torn)), columns),
        strict=True,
    ):
        if by_table and by_pin and by_table != by_pin:
            detail = f"{key!r} is pinned to {by_pin!r}, and the CSV says {by_table!r}"
            yield Problem(Kind.PINNED, row, detail)
        split = by_table or by_pin
        first_row, first_key, first_split = first_of.setdefault(unit, (row, key, split))
        if split != first_split:
            detail = (
                f"{key!r} is in {split!r}, and belongs to"
                f" {first_key!r}{places.inside(first_row)}, which is in {first_split!r}"
            )
            yield Problem(Kind.LEAK, row, detail)


def _splits_of(rows: pa.RecordBatch) -> dict[str, None]:
    """Returns the names of the splits that rows are given or pinned to."""
    names = (*arrays.names_of(rows["given"]), *arrays.names_of(rows["pinned"]))
    return dict.fromkeys(names)


def _codes_in(column: pa.DictionaryArray, names: Mapping[str, int]) -> arrays.Codes:
    """Returns the number that each text of a column has."""
    numbers = [names[name] for name in arrays.names_of(column)]
    found: arrays.Codes = arrays.mapped(column, np.array(numbers, np.int32))
    return found


def _about_rejected_rows(rejected: Sequence[RejectedRow], total: int) -> Iterator[str]:
    if rejected:
        kinds = collections.Counter(one.reason.partition(":")[0] for one in rejected)
        shown = ", ".join(
            f"{kind} ({count:,})" for kind, count in sorted(kinds.items())
        )
        yield (
            f"{len(rejected):,} of {total:,} rows are left out, see"
            f" {REJECTED_ROWS_FILENAME}: {shown}"
        )


def about_unlisted_images(unlisted: tuple[str, ...]) -> Iterator[str]:
    """Yields a note on images without a row, if there are any."""
    if unlisted:
        have = _counted(len(unlisted), "image has", "images have")
        yield f"{have} no row in the CSV (left out): {_named(unlisted)}"


def about_copies(copies: pa.RecordBatch, policy: str = "together") -> Iterator[str]:
    """Yields a note on identical images, if there are any."""
    sets = len(first_of_sets(copies))
    if sets:
        shown = named_first(map(" = ".join, keys_of_sets(copies, MAX_NAMED)), sets)
        kept = (
            "the first of each was kept" if policy == "drop" else "they stay together"
        )
        in_sets = _counted(sets, "set", "sets")
        yield (
            f"{len(copies):,} images are identical to others, in {in_sets}; {kept}:"
            f" {shown}"
        )


def about_shared_images(sets: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields a note on rows that have an image in common, if there are any."""
    if sets:
        rows = len(set(itertools.chain.from_iterable(sets)))
        shown = named_first(map(" ~ ".join, sets[:MAX_NAMED]), len(sets))
        of_rows = _counted(len(sets), "image", "images")
        yield (
            f"{rows:,} rows have an image that another row has, too, of {of_rows}; they"
            f" stay together: {shown}"
        )


def about_near_duplicates(near: Sets, policy: str | None = None) -> Iterator[str]:
    """Yields notes on near duplicates, if there are any; differing labels first."""
    sets = len(near.starts)
    if not sets:
        return
    if near.conflicts:
        have = _counted(near.conflicts, "set has", "sets have")
        most = min(near.conflicts, MAX_NAMED)
        shown = named_first(map(" ~ ".join, near.labeled_keys(most)), near.conflicts)
        yield (
            f"{have} near duplicates with different labels, of which one may be wrong:"
            f" {shown}"
        )
    in_sets = _counted(sets, "set", "sets")
    kept = {
        "drop": "one of each was kept",
        "together": "they stay together",
    }.get(policy or "", "near_duplicates='together' would keep them in one split")
    shown = named_first(map(" ~ ".join, near.keys(MAX_NAMED)), sets)
    yield (
        f"{len(near.rows):,} images show nearly the same as others, in {in_sets};"
        f" {kept}: {shown}"
    )


def _about_rare_classes(
    rare: Mapping[str, int], config: ImageCsvConfig
) -> Iterator[str]:
    if rare:
        first = itertools.islice(rare.items(), MAX_NAMED)
        shown = named_first([f"{name} ({count})" for name, count in first], len(rare))
        kept = "dropped" if config.rare_classes == "drop" else "kept"
        have = _counted(len(rare), "class has", "classes have")
        yield (
            f"{have} fewer images than min_class_size={config.min_class_size} ({kept}):"
            f" {shown}"
        )


def _about_pinned_rows(rows: pa.RecordBatch, inspection: Inspection) -> Iterator[str]:
    """Yields notes on changed images of an earlier build."""
    earlier = inspection.earlier
    if not len(earlier):
        return
    at = pc.index_in(earlier["key"], value_set=rows["key"])
    absent = earlier["key"].filter(at.is_null())
    is_in_csv = pc.or_(
        pc.is_in(absent, value_set=inspection.rows["key"]),
        pc.is_in(absent, value_set=arrays.texts([p.key for p in inspection.problems])),
    )
    left_out = absent.filter(is_in_csv)
    if len(left_out):
        are = _counted(len(left_out), "pinned image is", "pinned images are")
        yield f"{are} left out, see {REJECTED_ROWS_FILENAME}: {_named(left_out)}"
    gone = absent.filter(pc.invert(is_in_csv))
    if len(gone):
        are = _counted(len(gone), "pinned image is", "pinned images are")
        yield f"{are} gone: {_named(gone)}"
    now = arrays.decoded(rows["label"]).take(at)
    is_other = pc.not_equal(arrays.decoded(earlier["label"]), now).fill_null(False)
    changed = earlier.filter(is_other)
    if len(changed):
        have = _counted(len(changed), "pinned image has", "pinned images have")
        first = changed[:MAX_NAMED]
        shown = [
            f"{key} ({was!r}, now {label!r})"
            for (key, was), label in zip(
                arrays.named(first, ("key", "label")),
                now.filter(is_other)[:MAX_NAMED].to_pylist(),
                strict=True,
            )
        ]
        named = named_first(shown, len(changed))
        yield f"{have} another label (the split stays): {named}"


def _counted(number: int, singular: str, plural: str) -> str:
    return f"{number:,} {singular if number == 1 else plural}"


def _named(names: Sequence[str] | pa.Array) -> str:
    first = names[:MAX_NAMED]
    if isinstance(first, pa.Array):
        first = first.to_pylist()
    return named_first(first, len(names))


def named_first(names: Iterable[str], total: int) -> str:
    """Returns the first `MAX_NAMED` of some names, and how many more there are.

    Args:
      names: the first ones.
      total: how many there are.
    """
    more = total - MAX_NAMED
    return ", ".join(map(problems.escaped, names)) + (
        f", and {more:,} more" if more > 0 else ""
    )
