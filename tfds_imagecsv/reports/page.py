"""What `report.html` says, worked out before it becomes HTML."""

from __future__ import annotations

import collections
import dataclasses
import functools
import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays, options
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.images import mask_table, quality
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.options import MASK
from tfds_imagecsv.prepared.compare import Comparison
from tfds_imagecsv.problems import Kind, shown
from tfds_imagecsv.reports import (
    comparison,
    config_lines,
    drawings,
    leaks,
    plots,
    samples,
)
from tfds_imagecsv.reports.content import (
    Changes,
    Classes,
    ClassRow,
    Conversion,
    CopySet,
    Count,
    Gallery,
    Number,
    Page,
    Picture,
    Plot,
    Problems,
    SplitSize,
)
from tfds_imagecsv.reports.leaks import NearSets
from tfds_imagecsv.reports.samples import Samples
from tfds_imagecsv.reports.summary import Summary
from tfds_imagecsv.reports.thumbnails import Thumbnails
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.table import image_columns, label_types

# The most classes in the table: half of them the largest, half the smallest.
MOST_CLASSES = 1000

# The most columns of splits; the last one then stands for all others.
MOST_SPLITS = 12

# More classes than these get a plot of their sizes.
_CLASSES_TO_PLOT = 12

# The most lines of lists on the page; files and JSON have whole lists.
_MOST_LINES = 100
_MOST_PER_KIND = 10

# The most classes of masks in the legend, and in the words of a picture.
_MOST_COLORS = 24

# The most characters of a text, such as the name of an image, and of a note.
_MOST_CHARACTERS = 120
_LONG = 600

_PACKAGES = ("tfds-imagecsv", "tensorflow-datasets", "pillow", "pyarrow", "numpy")


def choose_samples(
    config: ImageCsvConfig,
    summary: Summary,
    inspection: Inspection,
    plan: DatasetPlan | None,
    sets: Sequence[leaks.Copies],
    near: NearSets,
) -> Samples:
    """Returns which images the report of an input shows."""
    return samples.choose(
        inspection,
        plan,
        label_type=config.label_type,
        classes=[name for name, _ in _totals(summary)],
        copies=[keys[0] for keys, _, _ in sets[: samples.SETS]],
        near_duplicates=[one.keys for one in near.first],
        quality=_quality(summary),
    )


def make_page(
    config: ImageCsvConfig,
    summary: Summary,
    inspection: Inspection,
    plan: DatasetPlan | None,
    *,
    sets: Sequence[leaks.Copies],
    near: NearSets,
    chosen: Samples,
    thumbnails: Thumbnails,
    compared: Comparison | None = None,
    dataset: str | None = None,
    error: str | None = None,
) -> Page:
    """Works out what a report says.

    Args:
      config: what the user asks for.
      summary: the input in numbers.
      inspection: the input.
      plan: the plan of its dataset; None if a build would fail.
      sets: the sets of identical images, see `leaks.sets_of_copies`.
      near: the sets of near duplicates, see `leaks.near_sets`.
      chosen: the images to show.
      thumbnails: their pictures.
      compared: what has changed since an earlier build, if there is one.
      dataset: the dataset's name, such as `image_csv/pets`; None for a check.
      error: why a build would fail; None if it wouldn't.
    """
    # Datasets are passed on to people with other folders.
    told = config_lines.without_folders(config) if dataset else config
    rows = plan.rows if plan else inspection.rows
    mask_classes = inspection.table.mask_classes
    of_masks = _of_masks(rows, mask_classes, chosen, thumbnails)
    facts_of = _facts_of(list(chosen.uses), rows)
    picture = functools.partial(_picture, facts_of, thumbnails, is_planned=bool(plan))
    return Page(
        title=_short(dataset or _name_of(summary)),
        sentence=_sentence(config, summary, plan),
        is_built=dataset is not None,
        error=_lines((error or "").splitlines()),
        numbers=tuple(_numbers(summary, plan)),
        notes=_lines(summary.notes),
        understood=tuple(_understood(summary)),
        problems=tuple(_problems(summary, chosen, picture)),
        splits=tuple(_splits(summary)),
        classes=_classes(summary, plan, config.label_type),
        masks=_masks(plan),
        guarantees=tuple(_guarantees(summary, plan, sets, near)),
        copies=tuple(_copies(sets, picture)),
        more_copies=max(0, len(sets) - samples.SETS),
        plots=tuple(_plots(config, inspection, plan)),
        formats=_counts(summary.formats),
        modes=_counts(summary.modes),
        conversions=tuple(_conversions(summary, chosen, thumbnails)),
        byte_for_byte=summary.byte_for_byte,
        examples=tuple(_examples(summary, rows, chosen, picture, of_masks)),
        beside=_beside(rows),
        colors=tuple(_colors(mask_classes)),
        more_colors=max(0, len(mask_classes) - _MOST_COLORS),
        near_duplicates=tuple(_near_duplicates(near, chosen, picture)),
        about_near_duplicates=tuple(_about_near(near)),
        quality=tuple(_of_quality(summary, inspection, chosen, picture)),
        dropped_issues=tuple(one.replace("_", " ") for one in config.drop_issues),
        changes=_changes(compared) if compared else None,
        rejected=tuple(_rejected(summary)),
        more_rejected=max(0, len(summary.rejected_rows) - _MOST_LINES),
        load=tuple(_load(config, dataset)),
        changed_fields=tuple(config_lines.changed_fields(told)),
        toml=tuple(config_lines.toml(told)),
        versions=_versions(),
    )


def _picture(
    facts_of: Mapping[str, tuple[str, str]],
    thumbnails: Thumbnails,
    key: str,
    words: str | None = None,
    *,
    is_planned: bool,
) -> Picture:
    """Returns what the page shows of an image.

    Args:
      facts_of: label and split of the images in use, by key.
      thumbnails: the pictures of all.
      key: that of the image.
      words: the words below it; default: its label and its split.
      is_planned: whether there is a plan; it leaves out images without facts.
    """
    if words is None:
        facts = facts_of.get(key, ("left out",) if is_planned else ())
        words = " · ".join(filter(None, facts))
    return Picture(_short(key), _short(words), thumbnails.of.get(key))


def _lines(found: Sequence[str]) -> tuple[str, ...]:
    """Returns the first lines of many, without the middle of long ones."""
    return tuple(_short(one, _LONG) for one in found[:_MOST_LINES])


def _understood(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yields what was concluded from the table: what about, and what."""
    for what, value in list(summary.understood.items())[:_MOST_LINES]:
        yield _short(what), shown(str(value))


def _copies(sets: Sequence[leaks.Copies], picture: Any) -> Iterator[CopySet]:
    """Yields the first sets of identical images."""
    for keys, splits, is_spread in sets[: samples.SETS]:
        first = zip(keys[: samples.OF_SET], splits[: samples.OF_SET], strict=True)
        yield CopySet(
            picture=picture(keys[0], ""),
            names=tuple((_short(key), split) for key, split in first),
            more=max(0, len(keys) - samples.OF_SET),
            is_spread=is_spread,
        )


def _conversions(
    summary: Summary, chosen: Samples, thumbnails: Thumbnails
) -> Iterator[Conversion]:
    """Yields why images are converted, with examples before and after."""
    for reason, count in summary.conversions.items():
        pairs = [
            (
                Picture(_short(key), "before", thumbnails.before[key]),
                Picture(_short(key), "after", thumbnails.after[key]),
            )
            for key in chosen.conversions.get(reason, ())
            if key in thumbnails.before
        ]
        yield Conversion(reason, count, tuple(pairs))


def _rejected(summary: Summary) -> Iterator[tuple[str, str, str, str]]:
    """Yields the first rows that are left out."""
    for one in summary.rejected_rows[:_MOST_LINES]:
        yield (
            summary.places.of(one["row"]),
            _short(str(one["key"])),
            _short(str(one["label"])),
            _short(str(one["reason"]), _LONG),
        )


def _examples(
    summary: Summary,
    rows: pa.RecordBatch,
    chosen: Samples,
    picture: Callable[..., Picture],
    of_masks: Mapping[str, Picture],
) -> Iterator[Gallery]:
    """Yields the examples of each class, with boxes, further images and masks."""
    shown = [key for keys in chosen.labels.values() for key in keys]
    boxes = drawings.boxes_of(_of_keys(rows, shown))
    colors = drawings.colors_of([name for name, _ in _totals(summary)])

    def drawn(key: str) -> Picture:
        beside = [picture(file, name) for name, file in chosen.beside.get(key, ())]
        if key in of_masks:
            beside.append(of_masks[key])
        found = dataclasses.replace(picture(key), beside=tuple(beside))
        if found.thumbnail is None or key not in boxes:
            return found
        sides = found.thumbnail.height, found.thumbnail.width
        drawing = boxes[key].drawn(colors, *sides, as_shown=_short)
        return dataclasses.replace(found, drawing=drawing)

    for name, keys in chosen.labels.items():
        if keys:
            color = colors.get(name) if boxes else None
            yield Gallery(_short(name), "", tuple(map(drawn, keys)), color)


def _of_masks(
    rows: pa.RecordBatch,
    names: Sequence[str],
    chosen: Samples,
    thumbnails: Thumbnails,
) -> dict[str, Picture]:
    """Returns the pictures of the masks of examples, by the images' keys.

    Their names say which share of the pixels each class or value has.
    """
    if not chosen.masks:
        return {}
    found = {}
    of_examples = _of_keys(rows, list(chosen.masks))
    columns = ("key", mask_table.VALUES, mask_table.COUNTS)
    for key, values, counts in arrays.named(of_examples, columns):
        total = sum(counts)
        most = sorted(
            zip(values, counts, strict=True), key=lambda one: (-one[1], one[0])
        )
        shares = [
            f"{names[value] if names else value} {count / total:.1%}"
            for value, count in most[:_MOST_COLORS]
        ]
        words = _short(", ".join(shares))
        found[key] = Picture(words, MASK, thumbnails.masked.get(key))
    return found


def _beside(rows: pa.RecordBatch) -> tuple[str, ...]:
    names = image_columns.names_of(rows.schema.names, with_mask=True)
    return ("image", *map(_short, names)) if names else ()


def _colors(mask_classes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the colours of the first classes of masks; 0 has none."""
    for value, name in enumerate(mask_classes[:_MOST_COLORS]):
        if value:
            yield drawings.color_of(value), _short(name)


def _near_duplicates(
    near: NearSets, chosen: Samples, picture: Callable[..., Picture]
) -> Iterator[Gallery]:
    """Yields the first sets of near duplicates."""
    for one, keys in zip(near.first, chosen.near_duplicates, strict=False):
        pictures = tuple(map(picture, keys))
        yield Gallery(_name_of_set(one.keys), _about_set(one), pictures)


def _name_of_set(keys: Sequence[str]) -> str:
    """Returns the name of a set of images: its first one, and how many more."""
    return f"{_short(keys[0])} and {len(keys) - 1:,} more"


def _about_set(one: leaks.NearSet) -> str:
    """Returns what is odd about a set of near duplicates."""
    return "; ".join(
        f"{words}: {', '.join(_short(name) for name in names[: samples.OF_SET])}"
        + (f" and {len(names) - samples.OF_SET:,} more" * (len(names) > samples.OF_SET))
        for words, names in (
            ("different labels", one.labels),
            ("in several splits", one.splits),
        )
        if names
    )


def _about_near(near: NearSets) -> Iterator[str]:
    yield f"{_plural(near.count, 'set', 'sets')}."
    if near.conflicts:
        have = "has" if near.conflicts == 1 else "have"
        yield (
            f"{near.conflicts:,} {have} different labels: one of these is often wrong."
        )
    if near.across:
        lie = "lies" if near.across == 1 else "lie"
        yield (
            f"{near.across:,} {lie} in several splits, where tests flatter a model."
            ' near_duplicates="together" keeps each set in one split, "drop" keeps one'
            " image of each."
        )
    more = near.count - len(near.first)
    if more:
        yield f"{more:,} more {'set is' if more == 1 else 'sets are'} not shown."


def _of_quality(
    summary: Summary, inspection: Inspection, chosen: Samples, picture: Any
) -> Iterator[Gallery]:
    """Yields the examples of each quality issue, with their scores."""
    if not chosen.quality:
        return
    rows, scores = inspection.rows, quality.scores(inspection.rows)
    keys = sorted({key for of_issue in chosen.quality.values() for key in of_issue})
    is_one = pc.is_in(rows["key"], value_set=arrays.texts(keys))
    at = np.flatnonzero(arrays.as_numpy(is_one))
    place = dict(
        zip(rows["key"].take(arrays.as_column(at)).to_pylist(), at, strict=True)
    )
    for name, of_issue in chosen.quality.items():
        of_all = scores[name] / quality.PARTS
        pictures = tuple(
            dataclasses.replace(picture(key), score=f"score {of_all[place[key]]:.4f}")
            for key in of_issue
        )
        count = len(_quality(summary)[name])
        yield Gallery(name.replace("_", " "), f"{count:,}", pictures)


def _changes(found: Comparison) -> Changes:
    drifted = [
        (_short(name), *difference)
        for name, differences in comparison.drift_of(found)
        for difference in differences
    ]
    return Changes(
        kept=found.kept,
        ways=tuple(
            dataclasses.replace(
                one, lines=tuple(_short(line, _LONG) for line in one.lines)
            )
            for one in comparison.changes_of(found)
        ),
        sizes=tuple(
            (_short(name), old, new, change)
            for name, old, new, change in comparison.sizes_of(found)
        ),
        drifted=tuple(drifted[:_MOST_LINES]),
        more_drifted=max(0, len(found.drifted) - comparison.MOST_CLASSES),
    )


def _quality(summary: Summary) -> Mapping[str, Sequence[str]]:
    """Returns the images of each issue that some have."""
    return {name: keys for name, keys in (summary.quality or {}).items() if keys}


def _short(text: str, most: int = _MOST_CHARACTERS) -> str:
    """Returns a text that isn't too long; start and end of a name tell most."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"


def _plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _name_of(summary: Summary) -> str:
    """Returns the name of the table, or of the directory of images."""
    path = summary.label_csv or summary.image_dir
    return path.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or path


def _sentence(
    config: ImageCsvConfig, summary: Summary, plan: DatasetPlan | None
) -> str:
    images = sum(summary.split_sizes.values()) if summary.split_sizes else None
    what = _plural(
        summary.usable_images if images is None else images, "image", "images"
    )
    if config.label_type in options.WITH_CLASSES:
        count = len(plan.class_names) if plan else len(summary.classes)
        of = {"class": "of", "boxes": "with boxes of"}.get(
            config.label_type, "with any of"
        )
        what += f" {of} {_plural(count, 'class', 'classes')}"
    elif config.label_type == "regression":
        what += " labelled with numbers"
    else:
        what += " without labels"
    if config.has_masks:
        what += ", with masks"
    if summary.split_sizes:
        what += f", in {_plural(len(summary.split_sizes), 'split', 'splits')}"
    return what


def _numbers(summary: Summary, plan: DatasetPlan | None) -> Iterator[Number]:
    if summary.split_sizes is not None:
        yield Number(f"{sum(summary.split_sizes.values()):,}", "images")
    else:
        yield Number(f"{summary.usable_images:,}", f"usable images of {summary.rows:,}")
    classes = len(plan.class_names) if plan else len(summary.classes)
    if classes:
        yield Number(f"{classes:,}", "classes" if classes > 1 else "class")
    if summary.problems:
        yield Number(f"{len(summary.problems):,}", "problems")
    if summary.rejected_rows:
        yield Number(f"{len(summary.rejected_rows):,}", "rows left out")
    if plan:
        images = image_columns.all_images(plan.rows)
        size = sum(pc.sum(one["size"]).as_py() or 0 for one in images)
        yield Number(_bytes(size), "of files")
    converted = sum(summary.formats.values()) - summary.byte_for_byte
    yield Number(f"{converted:,}", "converted")
    copies = sum(map(len, summary.duplicates))
    yield Number(
        f"{copies:,}", "identical images" if copies != 1 else "identical image"
    )
    if summary.near_duplicates:
        count = sum(map(len, summary.near_duplicates))
        yield Number(f"{count:,}", "near duplicates")
    if plan and plan.groups:
        yield Number(f"{plan.groups:,}", "groups" if plan.groups > 1 else "group")


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count:,.0f} bytes"
        count /= 1000
    return f"{count:.3g} TB"


def _of_keys(rows: pa.RecordBatch, keys: Sequence[str]) -> pa.RecordBatch:
    """Returns the rows of some images."""
    return rows.filter(pc.is_in(rows["key"], value_set=arrays.texts(keys)))


def _facts_of(keys: Sequence[str], rows: pa.RecordBatch) -> dict[str, tuple[str, str]]:
    """Returns label and split of some images, by key; without classes, no label."""
    found = _of_keys(rows, keys)
    splits = (
        found["split"].to_pylist()
        if "split" in found.schema.names
        else [""] * len(found)
    )
    labels = found["label"].to_pylist()
    pairs = (
        ("" if label == label_types.INDICATOR_DELIMITER else label, split)
        for label, split in zip(labels, splits, strict=True)
    )
    return dict(zip(found["key"].to_pylist(), pairs, strict=True))


def _problems(summary: Summary, chosen: Samples, picture: Any) -> Iterator[Problems]:
    by_kind = collections.defaultdict(list)
    for one in summary.problems:
        by_kind[one.kind].append(one)
    for kind in Kind:
        found = by_kind.get(kind)
        if not found:
            continue
        lines = []
        for one in found[:_MOST_PER_KIND]:
            place = summary.places.of(one.row)
            text = _short(one.detail, _LONG)
            lines.append(f"{place}: {text}" if place else text)
        pictures = [picture(key) for key in chosen.problems.get(kind, ())]
        yield Problems(
            kind.heading,
            kind.remedy,
            len(found),
            tuple(lines),
            tuple(one for one in pictures if one.thumbnail),
        )


def _splits(summary: Summary) -> Iterator[SplitSize]:
    sizes = summary.split_sizes or {}
    total = max(1, sum(sizes.values()))
    for name, size in list(sizes.items())[:_MOST_LINES]:
        yield SplitSize(_short(name), size, size / total)


def _totals(summary: Summary) -> list[tuple[str, int]]:
    """Returns the classes with their sizes, the largest first, then by name."""
    return _totals_of(summary.splits or {"": summary.classes})


def _totals_of(splits: Mapping[str, Mapping[str, int]]) -> list[tuple[str, int]]:
    """Returns names with the sums of their counts, the largest first, then by name."""
    totals: collections.Counter[str] = collections.Counter()
    for counts in splits.values():
        totals.update(counts)
    return sorted(totals.items(), key=lambda one: (-one[1], one[0]))


def _classes(
    summary: Summary, plan: DatasetPlan | None, label_type: str
) -> Classes | None:
    if label_type == "none" or not (totals := _totals(summary)):
        return None
    is_number = label_type == "regression"
    splits = summary.splits or {}
    if is_number and plan:
        # Quantiles are in the order of their numbers.
        order = {name: at for at, name in enumerate(next(iter(splits.values())))}
        totals.sort(key=lambda one: order[one[0]])
    plot = None
    if len(totals) > _CLASSES_TO_PLOT and not is_number:
        sizes = np.array([total for _, total in totals], np.float64)
        plot = plots.histogram(
            sizes,
            np.ones(len(sizes), np.int64),
            are_whole=True,
            label=f"How many classes have how many images: from {int(sizes.min()):,} to"
            f" {int(sizes.max()):,}, half of them at most {np.median(sizes):,.0f}",
        )
    noun = "quantile" if is_number else "class"
    return dataclasses.replace(_table(noun, totals, splits), plot=plot)


def _masks(plan: DatasetPlan | None) -> Classes | None:
    """Returns the pixels of masks by class, or by value."""
    if plan is None or not (totals := _totals_of(plan.mask_counts)):
        return None
    noun = "class" if plan.mask_classes else "value"
    return _table(noun, totals, plan.mask_counts, most=_MOST_LINES)


def _table(
    noun: str,
    totals: list[tuple[str, int]],
    splits: Mapping[str, Mapping[str, int]],
    *,
    most: int = MOST_CLASSES,
) -> Classes:
    """Returns a table of counts by split, without a plot.

    Args:
      noun: what is counted.
      totals: the names and their sums, in the order of the rows.
      splits: the counts of each split, by name.
      most: the most rows, half of them the first, half the last.
    """
    names, others = list(splits), []
    if len(names) > MOST_SPLITS:
        names, others = names[: MOST_SPLITS - 1], names[MOST_SPLITS - 1 :]
    largest = max(1, *(total for _, total in totals), 1)
    half = most // 2
    visible = totals if len(totals) <= most else totals[:half] + totals[-half:]
    rows = []
    for name, total in visible:
        counts = [splits[split].get(name, 0) for split in names]
        if others:
            counts.append(sum(splits[split].get(name, 0) for split in others))
        rows.append(ClassRow(_short(name), tuple(counts), total, total / largest))
    columns = [_short(name) for name in names]
    if others:
        columns.append(f"{len(others)} others")
    return Classes(
        noun=noun,
        columns=tuple(columns),
        rows=tuple(rows),
        left_out=len(totals) - len(visible),
        plot=None,
    )


def _guarantees(
    summary: Summary,
    plan: DatasetPlan | None,
    sets: Sequence[leaks.Copies],
    near: NearSets,
) -> Iterator[tuple[str, str]]:
    if plan is None:
        return
    for words, value in (
        (
            "Largest deviation of a class in a split from its exact share",
            plan.largest_class_deviation,
        ),
        (
            "Largest deviation of a split from its exact size",
            plan.largest_split_deviation,
        ),
    ):
        yield words, f"{value:.3g} {'image' if value == 1 else 'images'}"
    yield (
        "Sets of identical images, each kept in one split",
        f"{plan.duplicate_sets:,} ({plan.duplicate_images:,} images)"
        if plan.duplicate_sets
        else "none",
    )
    if sets:
        spread = sum(is_spread for _, _, is_spread in sets)
        yield (
            "Of these, would have leaked if each image had been drawn alone",
            f"{spread:,}",
        )
    if near.count:
        yield (
            "Sets of near duplicates that lie in several splits",
            f"{near.across:,} of {near.count:,}",
        )
    if plan.groups:
        yield "Groups, each kept in one split", f"{plan.groups:,}"
        yield (
            "Of these, would have leaked if each image had been drawn alone",
            f"{leaks.groups_that_leak(plan):,}",
        )


# Images


def _counts(found: Mapping[str, int]) -> tuple[Count, ...]:
    total = max(1, sum(found.values()))
    in_order = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Count(name, count, count / total) for name, count in in_order)


def _plots(
    config: ImageCsvConfig, inspection: Inspection, plan: DatasetPlan | None
) -> Iterator[Plot]:
    rows = plan.rows if plan else inspection.rows
    if not len(rows):
        return
    if config.label_type == "regression":
        yield from _plot_of_numbers(rows)
    images = list(image_columns.all_images(rows))
    of_all = zip(*map(_sides, images), strict=True)
    heights, widths, weights = map(np.concatenate, of_all)
    is_one_size = np.ptp(heights) == 0 and np.ptp(widths) == 0
    size = f"{widths[0]:,.0f} by {heights[0]:,.0f} pixels"
    if is_one_size:
        yield Plot("Width and height", f"All images are {size}.", None)
    else:
        words = (
            f"Width {_range(widths, weights)}, height {_range(heights, weights)} pixels"
        )
        yield Plot(
            "Width and height",
            f"{words}. Darker means more images; the line is of square ones.",
            plots.density(widths, heights, weights, label=words),
        )
        yield _plot_of_ratios(widths / heights, weights)
    sizes = np.concatenate([arrays.as_numpy(one["size"]) for one in images])
    sizes = sizes.astype(np.float64)
    if np.ptp(sizes):
        words = (
            f"From {_bytes(sizes.min())} to {_bytes(sizes.max())}, half of them at most"
            f" {_bytes(float(np.median(sizes)))}"
        )
        svg = plots.histogram(
            np.maximum(sizes, 1),
            np.ones(len(sizes), np.int64),
            label=f"Size of the files. {words}",
            as_text=_bytes,
        )
        yield Plot("Size of the files", f"{words}.", svg)


def _sides(
    images: pa.RecordBatch,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Returns heights and widths (pixels, as stored), and how many images have them."""
    kind = images["kind"]
    counts = np.bincount(arrays.codes_of(kind), minlength=len(kind.dictionary))
    used = np.flatnonzero(counts)
    heights, widths = (
        arrays.as_numpy(kind.dictionary.field(name))[used].astype(np.float64)
        for name in ("stored_height", "stored_width")
    )
    return heights, widths, counts[used].astype(np.int64)


def _plot_of_ratios(
    ratios: npt.NDArray[np.float64], weights: npt.NDArray[np.int64]
) -> Plot:
    total = weights.sum()
    shares = [
        f"{weights[which].sum() / total:.0%} {name}"
        for name, which in (
            ("portrait", ratios < 1),
            ("square", ratios == 1),
            ("landscape", ratios > 1),
        )
    ]
    words = ", ".join(shares)
    # Square images are in the middle, with equal space on both sides.
    far = max(2.0, float(ratios.max()), 1 / float(ratios.min())) * 1.001
    ticks = [
        one
        for one in (1 / 100, 1 / 20, 1 / 5, 1 / 2, 1, 2, 5, 20, 100)
        if 1 / far <= one <= far
    ]
    svg = plots.histogram(
        ratios,
        weights,
        label=f"Width by height. {words}",
        axis=plots.Axis(1 / far, far, is_log=True),
        ticks=ticks,
        as_text=_ratio,
    )
    return Plot("Proportions", f"Width by height: {words}.", svg)


def _ratio(value: float) -> str:
    return (
        f"{plots.plain(round(value, 2))}:1"
        if value >= 1
        else f"1:{plots.plain(round(1 / value, 2))}"
    )


def _range(values: npt.NDArray[np.float64], weights: npt.NDArray[np.int64]) -> str:
    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    median = values[order][half]
    low, high = values.min(), values.max()
    if low == high:
        return f"{low:,.0f}"
    return f"{low:,.0f} to {high:,.0f} (median {median:,.0f})"


def _plot_of_numbers(rows: pa.RecordBatch) -> Iterator[Plot]:
    numbers = samples.numbers_of(rows)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers):
        words = (
            f"From {plots.plain(float(numbers.min()))} to"
            f" {plots.plain(float(numbers.max()))}, mean {numbers.mean():.4g}, median"
            f" {plots.plain(float(np.median(numbers)))}"
        )
        svg = plots.histogram(
            numbers,
            np.ones(len(numbers), np.int64),
            label=f"The labels. {words}",
            axis=plots.axis_of(numbers, log_from=np.inf),
        )
        yield Plot("The labels (the first number of each)", f"{words}.", svg)


# How to load it, and what made it


def _load(config: ImageCsvConfig, dataset: str | None) -> Iterator[str]:
    name = dataset or "image_csv/NAME"
    yield "import tensorflow_datasets as tfds"
    yield ""
    supervised = ", as_supervised=True" if config.label_type != "none" else ""
    yield f'splits, info = tfds.load("{name}"{supervised}, with_info=True)'


def _versions() -> tuple[tuple[str, str], ...]:
    found = [(name, importlib.metadata.version(name)) for name in _PACKAGES]
    return (("Python", platform.python_version()), *found)
