"""What has changed between two versions of a dataset.

A version is a prepared dataset, of which only the files beside the records are read, or
the plan of an unbuilt one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.images import kinds, quality
from tfds_imagecsv.prepared import image_quality, side_files
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.table import image_columns, manifest

#: A class has drifted if only one version has it; or if its number of images in a split
#: has changed by more than this share (and by more than one image), ...
DRIFT_OF_COUNT = 0.1

#: ... or the median side of its images by more than this share, ...
DRIFT_OF_SIZE = 0.1

#: ... or the median of their brightness (0 to 1) by more than this.
DRIFT_OF_BRIGHTNESS = 0.05

# The columns about rows that only one version has.
_LISTED = ["key", "split", "label"]

# The name of the one class of datasets without classes.
ALL = "all images"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a dataset.

    Attributes:
      name: what the user calls it.
      rows: a row for each example, sorted by key, with the columns `key`
        (`arrays.TEXT`), `split` and `label` (`arrays.CODES`), `digest` (`arrays.TEXT`:
        32 hexadecimal digits for each image, with blanks between), and, if the images
        were measured, `side` (float64: the root of the area in pixels) and `brightness`
        (float64, 0 to 1).
      label_type: one of `options.LABEL_TYPES`.
      class_counts: the number of examples by split and class.
    """

    name: str
    rows: pa.RecordBatch
    label_type: str
    class_counts: Mapping[str, Mapping[str, int]]

    @property
    def split_sizes(self) -> dict[str, int]:
        """The number of examples by split, in the order of `class_counts`."""
        sizes = arrays.counts_of(self.rows["split"])
        names = dict.fromkeys([*self.class_counts, *sorted(sizes)])
        return {name: sizes.get(name, 0) for name in names}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """What has changed; `tfds-imagecsv compare --json` has the same fields.

    Rows have text columns, `arrays.TEXT` or `arrays.CODES`, and are sorted by key.

    Attributes:
      old: the name of the old version, and its number of examples by split.
      new: those of the new version.
      kept: the number of examples that are in both.
      added: `key`, `split` and `label` of the examples that only the new version has.
      gone: the same of those that only the old version has.
      moved: `key`, `old` and `new` of those that are in another split.
      relabelled: `key`, `old` and `new` of those with another label.
      replaced: `key`, `old` and `new` digests of those whose files have other bytes.
      classes: by name, each class of either version: its number of images by split
        (`count`), the median side of its images (`side`: the root of height times
        width, in pixels) and the median of their brightness (0 to 1), each as `old`
        and `new`. The last two are None if images weren't measured.
      drifted: the names of the classes that have drifted, sorted.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    kept: int
    added: pa.RecordBatch
    gone: pa.RecordBatch
    moved: pa.RecordBatch
    relabelled: pa.RecordBatch
    replaced: pa.RecordBatch
    classes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    drifted: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as values of JSON; only the keys of replaced files."""
        values = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        return {
            name: value.to_pylist() if isinstance(value, pa.RecordBatch) else value
            for name, value in values.items()
        } | {"replaced": self.replaced["key"].to_pylist()}


def of_plan(name: str, plan: DatasetPlan) -> Version:
    """Returns the version that a build would write.

    Args:
      name: what the user calls it.
      plan: its plan.
    """
    rows = plan.rows
    columns = {
        **{name: rows[name] for name in ("key", "split", "label")},
        "digest": _of_all(list(map(arrays.as_hex, _digests_of(rows)))),
    }
    if quality.is_measured(rows):
        columns |= _measured(
            kinds.column(rows, "height").to_numpy(),
            kinds.column(rows, "width").to_numpy(),
            quality.brightness(rows),
        )
    return Version(
        name=name,
        rows=pa.record_batch(columns),
        label_type=plan.label_type,
        class_counts=plan.class_counts,
    )


def _digests_of(rows: pa.RecordBatch) -> list[pa.Array]:
    """Returns the digests that a manifest has, in its order."""
    names = image_columns.names_of(rows.schema.names, with_mask=True)
    return [
        rows["digest"],
        *(rows[image_columns.column(one, "digest")] for one in names),
    ]


def _of_all(digests: Sequence[pa.Array]) -> pa.Array:
    """Returns the digests of all images of each row, as one text."""
    return arrays.beside(digests, " ")


def read_earlier(path: epath.Path, *, label_type: str) -> Version | None:
    """Reads an earlier manifest, and the files beside it if there are any.

    Args:
      path: the manifest.
      label_type: what its labels are, unless metadata beside it say so.

    Returns:
      The version; None if the manifest can't be read as a build writes it.
    """
    try:
        return _read("the earlier build", path, label_type)
    except exceptions.SourceError:
        return None


def read(name: str, folder: epath.Path) -> Version:
    """Reads the files beside the records of a prepared dataset.

    Args:
      name: what the user calls it.
      folder: the directory with the records.

    Raises:
      SourceError: if it has no readable split manifest.
    """
    path = folder / manifest.FILENAME
    if not path.exists():
        raise exceptions.SourceError(
            f"{name}: there is no {manifest.FILENAME} in {folder}. Give a dataset that"
            " this package has built: its directory, which ends in its version, or its"
            " name, such as image_csv/pets."
        )
    return _read(name, path, "class")


def _read(name: str, path: epath.Path, label_type: str) -> Version:
    """Returns the version of a manifest, see `read_earlier`."""
    digests = manifest.digest_columns(path)
    rows = side_files.read(path, [*manifest.COLUMNS, *digests[1:]])
    columns = {
        "key": arrays.texts(rows["key"]),
        "split": arrays.encoded(rows["split"]),
        "label": arrays.encoded(rows["label"]),
        "digest": _of_all([arrays.texts(rows[one]) for one in digests]),
    }
    of_quality = path.parent / image_quality.FILENAME
    if of_quality.exists():
        found = side_files.read(of_quality, ("key", "height", "width", "brightness"))
        if found["key"].combine_chunks().equals(rows["key"].combine_chunks()):
            height, width, brightness = (
                found[one].cast(pa.float64()).to_numpy()
                for one in ("height", "width", "brightness")
            )
            columns |= _measured(height, width, brightness)
    label_type, class_counts = _about_labels(path.parent, label_type)
    return Version(
        name=name,
        rows=pa.record_batch(columns),
        label_type=label_type,
        class_counts=class_counts,
    )


def _measured(
    height: npt.NDArray[Any], width: npt.NDArray[Any], brightness: npt.NDArray[Any]
) -> dict[str, pa.Array]:
    area = height.astype(np.float64) * width
    return {
        "side": pa.array(np.sqrt(area)),
        "brightness": pa.array(brightness.astype(np.float64)),
    }


def _about_labels(
    folder: epath.Path, label_type: str
) -> tuple[str, Mapping[str, Mapping[str, int]]]:
    """Returns the type of a dataset's labels, and its number of images by class.

    Without metadata, returns the given type and no numbers.
    """
    try:
        found = json.loads((folder / "metadata.json").read_text())
        return found["label_type"], found["class_counts"]
    except (OSError, ValueError, KeyError):
        return label_type, {}


def compare(old: Version, new: Version) -> Comparison:
    """Returns what has changed from an old version of a dataset to a new one."""
    place = pc.index_in(new.rows["key"], value_set=old.rows["key"])
    is_kept = place.is_valid().to_numpy(zero_copy_only=False)
    in_old = np.asarray(place.drop_null()).astype(np.int64)
    is_gone = np.ones(len(old.rows), bool)
    is_gone[in_old] = False
    kept_new = new.rows.filter(pa.array(is_kept))
    kept_old = old.rows.take(pa.array(in_old))
    classes = _classes(old, new)
    return Comparison(
        old={"name": old.name, "splits": old.split_sizes},
        new={"name": new.name, "splits": new.split_sizes},
        kept=len(kept_new),
        added=new.rows.filter(pa.array(~is_kept)).select(_LISTED),
        gone=old.rows.filter(pa.array(is_gone)).select(_LISTED),
        moved=_changed(kept_old, kept_new, "split"),
        relabelled=_changed(kept_old, kept_new, "label"),
        replaced=_changed(kept_old, kept_new, "digest"),
        classes=classes,
        drifted=tuple(name for name in sorted(classes) if _has_drifted(classes[name])),
    )


def _changed(old: pa.RecordBatch, new: pa.RecordBatch, column: str) -> pa.RecordBatch:
    """Returns key, old and new value of rows that differ; both have the same keys."""
    before, after = (arrays.texts(rows[column]) for rows in (old, new))
    differs = pc.not_equal(before, after)
    columns = {"key": new["key"], "old": before, "new": after}
    return pa.record_batch(columns).filter(differs)


def _classes(old: Version, new: Version) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns what is known about each class in both versions."""
    of_versions = [_about_classes(one) for one in (old, new)]
    names = sorted({*of_versions[0], *of_versions[1]})
    return {
        name: {
            what: {
                when: about.get(name, _nothing())[what]
                for when, about in zip(("old", "new"), of_versions, strict=True)
            }
            for what in _nothing()
        }
        for name in names
    }


def _nothing() -> dict[str, Any]:
    """Returns what is known about a class that a version doesn't have."""
    return {"count": {}, "side": None, "brightness": None}


def _about_classes(version: Version) -> dict[str, dict[str, Any]]:
    """Returns the counts by split and the medians of each class of a version."""
    rows = version.rows
    labels = rows["label"]
    if version.label_type != "class":
        labels = arrays.constant(ALL, len(rows))
    splits = list(version.split_sizes)
    codes = arrays.codes_of(labels).astype(np.int64)
    names = arrays.names_of(labels)
    split_names = arrays.names_of(rows["split"])
    pairs = codes * len(split_names) + arrays.codes_of(rows["split"])
    counted = np.bincount(pairs, minlength=len(names) * len(split_names))
    counts = counted.reshape(len(names), len(split_names))
    medians = {
        what: _medians(codes, rows[what].to_numpy(), len(names))
        for what in ("side", "brightness")
        if what in rows.schema.names
    }
    found: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(names):
        if name:  # leaves out images without a label
            by_split = dict(zip(split_names, counts[at].tolist(), strict=True))
            found[name] = {
                **_nothing(),
                "count": {split: by_split.get(split, 0) for split in splits},
                **{what: values[at] for what, values in medians.items()},
            }
    for split, by_class in version.class_counts.items():
        for name, count in by_class.items() if version.label_type != "class" else ():
            found.setdefault(name, _nothing())["count"][split] = count
    return found


def _medians(
    codes: npt.NDArray[np.int64], values: npt.NDArray[np.float64], count: int
) -> list[float | None]:
    """Returns the median of the values of each code; None for a code without any."""
    order = np.lexsort((values, codes))
    ordered = values[order]
    ends = np.searchsorted(codes[order], np.arange(count), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return [
        round(
            float(ordered[(start + end - 1) // 2] + ordered[(start + end) // 2]) / 2, 4
        )
        if end > start
        else None
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _has_drifted(about: Mapping[str, Mapping[str, Any]]) -> bool:
    before, after = about["count"]["old"], about["count"]["new"]
    if any(before.values()) != any(after.values()):
        return True
    for split in {*before, *after}:
        change = abs(after.get(split, 0) - before.get(split, 0))
        if change > max(1, DRIFT_OF_COUNT * before.get(split, 0)):
            return True
    side, brightness = about["side"], about["brightness"]
    if None not in side.values() and (
        abs(side["new"] - side["old"]) > DRIFT_OF_SIZE * side["old"]
    ):
        return True
    return None not in brightness.values() and (
        abs(brightness["new"] - brightness["old"]) > DRIFT_OF_BRIGHTNESS
    )


def transitions(changed: pa.RecordBatch) -> dict[tuple[str, str], int]:
    """Returns the number of rows by old and new value, the most frequent first."""
    found = pa.table(changed).group_by(["old", "new"]).aggregate([([], "count_all")])
    counts = {(one["old"], one["new"]): one["count_all"] for one in found.to_pylist()}
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
