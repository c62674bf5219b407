"""A dataset's description in Croissant, the JSON-LD that dataset search engines read.

The specification: https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etils import epath, epy

from tfds_imagecsv.prepared.prepared_dataset import PreparedDataset
from tfds_imagecsv.table import manifest

with epy.lazy_imports():
    import io

    import mlcroissant as mlc
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Mapping

FILENAME = "croissant.json"

#: The manifest with typed cells, written where a reader of CSV would change texts.
PARQUET_FILENAME = "split_manifest.parquet"

#: The set of records with an image, a split and a label each.
RECORDS = "examples"

# The formats that records have.
_IMAGE_FORMATS = ("image/jpeg", "image/png", "image/bmp")

# The columns of the manifest that are fields here.
_COLUMNS = ("key", "split", "label")

# The most names of files that a set of files lists one by one, which readers compare
# with each file.
_MAX_NAMES = 100


def write_croissant(
    folder: epath.Path, dataset: PreparedDataset, *, image_folder: str | None
) -> None:
    """Writes `croissant.json` and, where it is needed, the manifest as Parquet.

    Args:
      folder: where it writes.
      dataset: the dataset.
      image_folder: the folder beside the records that has the images, in a folder for
        each split; None to describe no images.
    """
    rows = dataset.manifest_rows()
    content, name, kind = dataset.manifest, manifest.FILENAME, "text/csv"
    if not _is_kept_as_csv(dataset, rows):
        content, name = _as_parquet(rows), PARQUET_FILENAME
        kind = "application/x-parquet"
        (folder / name).write_bytes(content)
    table = mlc.FileObject(
        id=name,
        name=name,
        description="Which image is in which split, and its label.",
        content_url=name,
        content_size=f"{len(content)} B",
        encoding_formats=[kind],
        sha256=hashlib.sha256(content).hexdigest(),
    )
    distribution: list[Any] = [table]
    patterns = _patterns(rows["key"], image_folder) if image_folder else None
    if patterns:
        distribution.append(
            mlc.FileSet(
                id="images",
                name="images",
                description="The images, as the records have them.",
                encoding_formats=list(_IMAGE_FORMATS),
                includes=patterns,
            )
        )
    info = dataset.info
    license_ = info.redistribution_info.license
    described = mlc.Metadata(
        name=dataset.name,
        description=info.description,
        url=info.homepage.strip() or None,
        cite_as=info.citation or None,
        license=[license_] if license_ else None,
        version=str(info.version),
        distribution=distribution,
        record_sets=_record_sets(dataset, table, image_folder if patterns else None),
    )
    text = json.dumps(_without_blanks(described.to_json()), indent=2)
    (folder / FILENAME).write_text(text + "\n", encoding="utf-8")


def has_images(dataset: PreparedDataset) -> bool:
    """Returns whether the names of a dataset's images let Croissant find them."""
    return _patterns(dataset.manifest_rows()["key"], "x") is not None


def _patterns(keys: pa.ChunkedArray, image_folder: str) -> list[str] | None:
    """Returns patterns of the images' names, which no other file fits.

    Files without an extension are listed by name; of too many, it is None.
    """
    suffixes: set[str] = set()
    names = []
    for key in keys.to_pylist():
        suffix = os.path.splitext(key)[1]  # noqa: PTH122 - a key is no path of here
        if suffix:
            suffixes.add(suffix)
        else:
            names.append(key)
    if len(names) > _MAX_NAMES:
        return None
    return [
        *(f"{image_folder}/*{glob.escape(suffix)}" for suffix in sorted(suffixes)),
        *(f"{image_folder}/*/{glob.escape(name)}" for name in sorted(names)),
    ]


def _record_sets(
    dataset: PreparedDataset, table: mlc.FileObject, image_folder: str | None
) -> list[mlc.RecordSet]:
    """Returns the records, and the sets of names that they refer to.

    Args:
      dataset: the dataset.
      table: its manifest.
      image_folder: the folder of its images; None to describe none.
    """
    sets = [_names_of("splits", list(dataset.split_sizes), mlc.DataType.SPLIT)]
    if _has_classes(dataset):
        names = list(dataset.class_names)
        sets.append(_names_of("classes", names, "https://schema.org/Enumeration"))
    key = _field("filename", "The image's file name, as in its source.")
    key.source = _column(table, "key")
    split = _field("split", "The split of the record.", source=_column(table, "split"))
    split.references = mlc.Source(field="splits/name")
    fields = [key, split]
    if image_folder:
        # The first field with references is the one by which mlcroissant joins.
        fields = [*_image_fields(table, image_folder), *fields]
    if dataset.label_type != "none":
        fields.append(_label_field(dataset, table))
    records = mlc.RecordSet(
        id=RECORDS,
        name=RECORDS,
        description="A record for each image.",
        key=f"{RECORDS}/filename",
        fields=fields,
    )
    return [*sets, records]


def _image_fields(table: mlc.FileObject, image_folder: str) -> list[mlc.Field]:
    """Returns the fields of the image: its path, which the manifest has, and itself."""
    path = mlc.Transform(regex=f"(?s)^(?:{image_folder}/[^/]+/)?(.+)$")
    of_images = {"file_set": "images"}
    return [
        _field(
            "path",
            "The image's path below the folder of its split.",
            source=mlc.Source(
                **of_images,
                extract=mlc.Extract(file_property=mlc.FileProperty.fullpath),
                transforms=[path],
            ),
            references=_column(table, "key"),
        ),
        _field(
            "image",
            "The image.",
            data_types=[mlc.DataType.IMAGE_OBJECT],
            source=mlc.Source(
                **of_images,
                extract=mlc.Extract(file_property=mlc.FileProperty.content),
            ),
        ),
    ]


def _label_field(dataset: PreparedDataset, table: mlc.FileObject) -> mlc.Field:
    """Returns the field of the label: a class, a number, or a text."""
    label = _field("label", _about_label(dataset), source=_column(table, "label"))
    if _has_classes(dataset):
        label.references = mlc.Source(field="classes/name")
    elif _is_a_number(dataset):
        label.data_types = [mlc.DataType.FLOAT]
    return label


def _field(name: str, description: str, **kwargs: Any) -> mlc.Field:
    """Returns a field of the records; of texts, unless it has other `data_types`."""
    name = f"{RECORDS}/{name}"
    values = {"data_types": [mlc.DataType.TEXT], **kwargs}
    return mlc.Field(id=name, name=name, description=description, **values)


def _column(table: mlc.FileObject, name: str) -> mlc.Source:
    """Returns a column of the manifest, as the source of a field."""
    return mlc.Source(file_object=table.id, extract=mlc.Extract(column=name))


def _names_of(name: str, values: Sequence[str], kind: Any) -> mlc.RecordSet:
    """Returns a set of names that the description has in itself."""
    field = f"{name}/name"
    return mlc.RecordSet(
        id=name,
        name=name,
        data_types=[kind],
        key=field,
        fields=[mlc.Field(id=field, name=field, data_types=[mlc.DataType.TEXT])],
        data=[{field: value} for value in values],
    )


def _has_classes(dataset: PreparedDataset) -> bool:
    return dataset.label_type == "class" and bool(dataset.class_names)


def _is_a_number(dataset: PreparedDataset) -> bool:
    return dataset.label_type == "regression" and dataset.label_shape == ()


def _about_label(dataset: PreparedDataset) -> str:
    return {
        "class": "The name of the class.",
        "multilabel": "The names of the classes, as the table has them.",
        "boxes": "The names of the objects' classes, each once.",
        "regression": "The number, or numbers with commas between.",
    }[dataset.label_type]


def _is_kept_as_csv(dataset: PreparedDataset, rows: pa.Table) -> bool:
    """Returns whether pandas, with which mlcroissant reads a CSV, changes no text.

    It takes `001` for 1, and `NA` for nothing.
    """
    read = pd.read_csv(io.BytesIO(dataset.manifest))
    if len(read) != rows.num_rows:
        return False
    for name in _COLUMNS:
        if name == "label" and _is_a_number(dataset):
            continue
        was = rows[name].to_pandas()
        # A file's name must be a text, to be compared with others.
        if name == "key" and read[name].dtype.kind not in "OTU":
            return False
        now = read[name].where(read[name].notna(), "")
        if not (now.map(str) == was).all():
            return False
    return True


def _as_parquet(rows: pa.Table) -> bytes:
    """Returns the manifest as Parquet, with nothing in empty cells."""
    columns = {
        name: pc.if_else(pc.equal(rows[name], ""), None, rows[name])
        for name in rows.column_names
    }
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink, store_schema=False)
    return bytes(sink.getvalue())


def _without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
