"""What `info.metadata` says of a dataset."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from etils import epy
from PIL import features

from tfds_imagecsv.config import PATH_FIELDS, TEXT_FIELDS, ImageCsvConfig

# Each load imports this module.
with epy.lazy_imports():
    from tfds_imagecsv.images import listing

if TYPE_CHECKING:
    from tfds_imagecsv.splits.dataset_plan import DatasetPlan

#: The key under which the metadata keep the config's fields.
CONFIG_KEY = "config"

#: The key of the version of this package that built the dataset.
VERSION_KEY = "tfds_imagecsv_version"

# The fields that change nothing in the result. Paths don't either: their files do.
_WITHOUT_EFFECT = frozenset(
    (
        *(field.name for field in dataclasses.fields(tfds.core.BuilderConfig)),
        *PATH_FIELDS,
        *TEXT_FIELDS,
        *("workers", "checksums", "report"),
    )
)


# The libraries with which images are converted.
_CONVERT = ("pillow", "pillow-heif", "pillow-jxl-plugin", "cykooz-resizer", "turbojpeg")


def metadata_of(config: ImageCsvConfig, plan: DatasetPlan) -> dict[str, Any]:
    """Returns the metadata of a dataset, as values that JSON can hold."""
    conversions = listing.count_conversions(plan.rows)
    return {
        VERSION_KEY: importlib.metadata.version("tfds-imagecsv"),
        CONFIG_KEY: config_fields(config),
        "val_size": config.val_size,
        "test_size": config.test_size,
        "folds": config.folds,
        "seed": config.seed,
        "label_type": plan.label_type,
        "extra_columns": dict(plan.extra_columns),
        "understood": dict(plan.understood),
        "notes": list(plan.notes),
        "about_classes": plan.about_classes,
        "class_counts": plan.class_counts,
        "box_counts": plan.box_counts,
        "mask_classes": list(plan.mask_classes),
        "mask_counts": plan.mask_counts,
        "largest_class_deviation": plan.largest_class_deviation,
        "largest_split_deviation": plan.largest_split_deviation,
        "groups": plan.groups,
        "duplicate_sets": plan.duplicate_sets,
        "duplicate_images": plan.duplicate_images,
        "rejected_rows": len(plan.rejected),
        "images_without_row": len(plan.unlisted),
        "conversions": conversions,
        "converted_by": _libraries() if conversions else {},
        "wrong_extensions": listing.count_other_extensions(plan.rows),
    }


def _libraries() -> dict[str, str]:
    """Returns the versions of what makes pixels and bytes, to explain a difference.

    Pillow's zlib isn't among them: it is TensorFlow's if that was imported first. Both
    make the same bytes.
    """
    found = {}
    for name in _CONVERT:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    for name in ("libjpeg_turbo", "webp", "avif", "jpg_2000", "zlib_ng"):
        if version := features.version(name):
            found[f"pillow: {name}"] = version
    return found


def config_fields(config: ImageCsvConfig) -> dict[str, Any]:
    """Returns the fields of a config that change the result, as values of JSON."""
    fields = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _WITHOUT_EFFECT
    }
    if fields["near_duplicates"] in ("report", "off"):
        fields["near_duplicates"] = None  # the same records
    # Where it is doesn't matter, but that there are masks.
    fields["mask_dir"] = None if config.mask_dir is None else "a directory"
    return as_json(fields)


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Returns values as JSON gives them back."""
    back: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return back
