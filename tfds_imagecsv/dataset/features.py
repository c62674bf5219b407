"""The features of a dataset: their specification and their values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from etils import epy

from tfds_imagecsv.options import MASK, OBJECTS, ImageOptions
from tfds_imagecsv.shards.examples import (
    FEATURE_PREFIX,
    FLOATS_PREFIX,
    TEXTS_PREFIX,
)

# Each load asks for the specification alone.
with epy.lazy_imports():
    import pyarrow as pa

    from tfds_imagecsv import arrays
    from tfds_imagecsv.images import box_frames
    from tfds_imagecsv.table import boxes, extra_columns

if TYPE_CHECKING:
    from tfds_imagecsv.splits.dataset_plan import DatasetPlan


class Mask(NamedTuple):
    """What masks have.

    Attributes:
      dtype: `"uint8"` or `"uint16"`.
      classes: the names of their values, from 0; empty if they have none.
    """

    dtype: str = "uint8"
    classes: Sequence[str] = ()


def specification(
    options: ImageOptions,
    *,
    label_type: str = "class",
    label_columns: int = 1,
    extra: Mapping[str, str] | None = None,
    images: Iterable[str] = (),
    mask: Mask | None = None,
) -> tfds.features.FeaturesDict:
    """Returns the features of a dataset; classes have no names yet.

    Args:
      options: how images are stored.
      label_type: one of `options.LABEL_TYPES`.
      label_columns: the number of columns with labels.
      extra: the types of the extra columns, by name; default: none.
      images: the names of further images; default: none.
      mask: what masks have; default: no masks.
    """
    features = {
        **{name: _image(options) for name in ("image", *images)},
        "image/filename": tfds.features.Text(),
        "image/format": tfds.features.Text(),
        "image/height": tfds.features.Scalar(dtype=np.int64),
        "image/width": tfds.features.Scalar(dtype=np.int64),
    }
    if mask is not None:
        features[MASK] = _mask(options, mask)
    if label_type == "class":
        features["label"] = tfds.features.ClassLabel()
    elif label_type == "multilabel":
        features["label"] = tfds.features.Sequence(tfds.features.ClassLabel())
    elif label_type == "regression":
        shape = () if label_columns == 1 else (label_columns,)
        features["label"] = tfds.features.Tensor(shape=shape, dtype=np.float32)
    of_extra = {name: _of_dtype(dtype) for name, dtype in (extra or {}).items()}
    if label_type == "boxes":
        features[OBJECTS] = tfds.features.Sequence(
            {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(),
                **of_extra,
            }
        )
    else:
        features |= of_extra
    return tfds.features.FeaturesDict(features)


def _image(options: ImageOptions) -> tfds.features.Image:
    return tfds.features.Image(
        shape=options.shape,
        dtype=np.dtype(options.dtype).type,
        encoding_format=options.encoding
        or ("png" if options.dtype == "uint16" else None),
    )


def _mask(options: ImageOptions, mask: Mask) -> tfds.features.Image:
    about = {
        "shape": (*options.shape[:2], 1),
        "dtype": np.dtype(mask.dtype).type,
        "encoding_format": "png",
    }
    if not mask.classes:
        return tfds.features.Image(**about)
    return tfds.features.LabeledImage(labels=list(mask.classes), **about)


def _of_dtype(dtype: str) -> tfds.features.FeatureConnector:
    if dtype == "string":
        return tfds.features.Text()
    if dtype == "float64":
        # A record's floats have 32 bits.
        return tfds.features.Tensor(
            shape=(), dtype=np.float64, encoding=tfds.features.Encoding.BYTES
        )
    return tfds.features.Scalar(dtype=getattr(np, {"bool": "bool_"}.get(dtype, dtype)))


def class_label(
    features: tfds.features.FeaturesDict,
) -> tfds.features.ClassLabel | None:
    """Returns the feature that has the class names, if there is one."""
    found = dict(features.items())
    if OBJECTS in found:
        found = dict(found[OBJECTS].feature.items())
    label = found.get("label")
    if isinstance(label, tfds.features.Sequence):
        label = label.feature
    return label if isinstance(label, tfds.features.ClassLabel) else None


def with_values(plan: DatasetPlan) -> pa.RecordBatch:
    """Returns the rows of a plan with the values of their features.

    Each feature that isn't the image's gets a column, whose name begins with
    `examples.FEATURE_PREFIX`. Its values are numbers, texts, bytes for float64, or
    lists of numbers; with boxes, lists of any of them, see `examples.FLOATS_PREFIX`.
    """
    rows, label_type = plan.rows, plan.label_type
    if label_type == "boxes":
        return _with_objects(plan)
    ids = {name: at for at, name in enumerate(plan.class_names)}
    values: dict[str, pa.Array] = {}
    if label_type == "class":
        ids[""] = -1  # TFDS's id for no label
        # Names that no row has any more may be no classes.
        of_names = [ids.get(name, -1) for name in arrays.names_of(rows["label"])]
        values["label"] = arrays.as_column(
            arrays.mapped(rows["label"], np.array(of_names, np.int32))
        )
    elif label_type == "multilabel":
        # Ascending, as scikit-learn's MultiLabelBinarizer has them.
        of_rows = rows["target"]
        lists = [
            sorted(ids[name] for name in names if name in ids)
            for names in of_rows.dictionary.to_pylist()
        ]
        values["label"] = pa.DictionaryArray.from_arrays(
            of_rows.indices, pa.array(lists, pa.list_(pa.int64()))
        )
    elif label_type == "regression":
        of_rows = rows["target"]
        values["label"] = of_rows
        if of_rows.dictionary and len(of_rows.dictionary[0].as_py()) == 1:
            numbers = of_rows.dictionary.flatten()
            values["label"] = numbers.take(of_rows.indices)
    for name, dtype in plan.extra_columns.items():
        column = rows[extra_columns.PREFIX + name]
        values[name] = column
        if dtype == "float64":
            values[name] = _as_bytes(column)
    return arrays.with_columns(
        rows, {FEATURE_PREFIX + name: of_rows for name, of_rows in values.items()}
    )


def _with_objects(plan: DatasetPlan) -> pa.RecordBatch:
    """Returns the rows of a plan of boxes, with the values of their features."""
    rows = plan.rows
    ids = {name: at for at, name in enumerate(plan.class_names)}
    counts = boxes.counts_of(rows[boxes.CLASSES])
    classes = arrays.encoded(rows[boxes.CLASSES].flatten())
    of_names = [ids.get(name, -1) for name in arrays.names_of(classes)]
    labels = arrays.mapped(classes, np.array(of_names, np.int64))
    values = {
        f"{FLOATS_PREFIX}{OBJECTS}/bbox": rows[box_frames.COLUMN],
        f"{FEATURE_PREFIX}{OBJECTS}/label": arrays.lists(labels, counts),
    }
    for name, dtype in plan.extra_columns.items():
        column = rows[extra_columns.PREFIX + name].flatten()
        prefix = {"float32": FLOATS_PREFIX, "float64": TEXTS_PREFIX}.get(
            dtype, TEXTS_PREFIX if dtype == "string" else FEATURE_PREFIX
        )
        if dtype == "float32":
            column = column.cast(pa.float32())
        elif dtype == "float64":
            column = _as_bytes(column)
        values[f"{prefix}{OBJECTS}/{name}"] = arrays.lists(column, counts)
    return arrays.with_columns(rows, values)


def _as_bytes(column: pa.Array) -> pa.Array:
    """Returns floats of 64 bits as bytes."""
    data = pa.py_buffer(arrays.as_numpy(column).astype("<f8"))
    return pa.Array.from_buffers(pa.binary(8), len(column), [None, data])


def decoded(example: Mapping[str, Any], extra: Mapping[str, str]) -> dict[str, Any]:
    """Returns an example as TFDS's features take it.

    Args:
      example: the values of its record.
      extra: the types of the extra columns, by name.
    """
    if f"{OBJECTS}/bbox" in example:
        return _with_decoded_objects(example, extra)
    packed = [name for name, dtype in extra.items() if dtype == "float64"]
    numbers = {name: struct.unpack("<d", example[name])[0] for name in packed}
    return {**example, **numbers}


def _with_decoded_objects(
    example: Mapping[str, Any], extra: Mapping[str, str]
) -> dict[str, Any]:
    start = f"{OBJECTS}/"
    found = {
        name: value for name, value in example.items() if not name.startswith(start)
    }
    of_boxes = {
        name.removeprefix(start): list(value)
        for name, value in example.items()
        if name.startswith(start)
    }
    edges = np.array(of_boxes["bbox"], np.float32).reshape(-1, 4)
    of_boxes["bbox"] = [tfds.features.BBox(*box) for box in edges]
    for name, dtype in extra.items():
        if dtype == "float64":
            packed = of_boxes[name]
            of_boxes[name] = [struct.unpack("<d", one)[0] for one in packed]
    return {**found, OBJECTS: of_boxes}
