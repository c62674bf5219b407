"""The features of a dataset: their specification and their values."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow_datasets as tfds

from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.shards.examples import FEATURE_PREFIX
from tfds_imagecsv.table import extra_columns

if TYPE_CHECKING:
    import pandas as pd

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


def with_values(plan: DatasetPlan) -> pd.DataFrame:
    """Returns the rows of a plan with the values of their features.

    Each feature that isn't the image's gets a column, whose name begins with
    `examples.FEATURE_PREFIX`. Its values are int, float, str, bytes for float64, or a
    tuple of numbers.
    """
    import pandas as pd

    rows, label_type = plan.rows, plan.label_type
    ids = {name: at for at, name in enumerate(plan.class_names)}
    values: dict[str, Sequence[Any]] = {}
    if label_type == "class":
        ids[""] = -1  # TFDS's id for no label
        values["label"] = [ids[label] for label in rows["label"]]
    elif label_type == "multilabel":
        # Ascending, as scikit-learn's MultiLabelBinarizer has them.
        of_names = {
            names: tuple(sorted(ids[name] for name in names))
            for names in set(rows["target"])
        }
        values["label"] = [of_names[names] for names in rows["target"]]
    elif label_type == "regression":
        values["label"] = [
            numbers[0] if len(numbers) == 1 else numbers for numbers in rows["target"]
        ]
    for name, dtype in plan.extra_columns.items():
        column = rows[extra_columns.PREFIX + name]
        values[name] = list(column)
        if dtype == "float64":
            values[name] = [struct.pack("<d", number) for number in column]
    # Objects: pandas would convert them.
    return rows.assign(
        **{
            FEATURE_PREFIX + name: pd.Series(
                np.fromiter(of_rows, object, len(rows)), index=rows.index, dtype=object
            )
            for name, of_rows in values.items()
        }
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
