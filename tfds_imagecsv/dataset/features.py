"""The features of a dataset: their specification and their values."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epy

from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.shards.examples import FEATURE_PREFIX

# Each load asks for the specification alone.
with epy.lazy_imports():
    import pyarrow as pa

    from tfds_imagecsv import arrays
    from tfds_imagecsv.table import extra_columns

if TYPE_CHECKING:
    from tfds_imagecsv.splits.dataset_plan import DatasetPlan


def specification(
    options: ImageOptions,
    *,
    label_type: str = "class",
    label_columns: int = 1,
    extra: Mapping[str, str] | None = None,
) -> tfds.features.FeaturesDict:
    """Returns the features of a dataset; classes have no names yet.

    Args:
      options: how images are stored.
      label_type: one of `options.LABEL_TYPES`.
      label_columns: the number of columns with labels.
      extra: the types of the extra columns, by name; default: none.
    """
    features = {
        "image": tfds.features.Image(
            shape=options.shape,
            dtype=np.dtype(options.dtype).type,
            encoding_format=options.encoding
            or ("png" if options.dtype == "uint16" else None),
        ),
        "image/filename": tfds.features.Text(),
        "image/format": tfds.features.Text(),
        "image/height": tfds.features.Scalar(dtype=np.int64),
        "image/width": tfds.features.Scalar(dtype=np.int64),
    }
    if label_type == "class":
        features["label"] = tfds.features.ClassLabel()
    elif label_type == "multilabel":
        features["label"] = tfds.features.Sequence(tfds.features.ClassLabel())
    elif label_type == "regression":
        shape = () if label_columns == 1 else (label_columns,)
        features["label"] = tfds.features.Tensor(shape=shape, dtype=np.float32)
    features |= {name: _of_dtype(dtype) for name, dtype in (extra or {}).items()}
    return tfds.features.FeaturesDict(features)


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
    label = dict(features.items()).get("label")
    if isinstance(label, tfds.features.Sequence):
        label = label.feature
    return label if isinstance(label, tfds.features.ClassLabel) else None


def with_values(plan: DatasetPlan) -> pa.RecordBatch:
    """Returns the rows of a plan with the values of their features.

    Each feature that isn't the image's gets a column, whose name begins with
    `examples.FEATURE_PREFIX`. Its values are numbers, texts, bytes for float64, or
    lists of numbers.
    """
    rows, label_type = plan.rows, plan.label_type
    ids = {name: at for at, name in enumerate(plan.class_names)}
    values: dict[str, pa.Array] = {}
    if label_type == "class":
        ids[""] = -1  # TFDS's id for no label
        # Names that no row has may be no class.
        of_names = [ids.get(name, -1) for name in arrays.names_of(rows["label"])]
        values["label"] = pa.array(
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
            data = pa.py_buffer(column.to_numpy(zero_copy_only=False).astype("<f8"))
            values[name] = pa.Array.from_buffers(
                pa.binary(8), len(column), [None, data]
            )
    return arrays.with_columns(
        rows, {FEATURE_PREFIX + name: of_rows for name, of_rows in values.items()}
    )


def decoded(example: Mapping[str, Any], extra: Mapping[str, str]) -> dict[str, Any]:
    """Returns an example as TFDS's features take it.

    Args:
      example: the values of its record.
      extra: the types of the extra columns, by name.
    """
    packed = [name for name, dtype in extra.items() if dtype == "float64"]
    numbers = {name: struct.unpack("<d", example[name])[0] for name in packed}
    return {**example, **numbers}
