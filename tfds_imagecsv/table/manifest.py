"""The split manifest: which row is in which split, in a file beside the records."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from etils import epath

from tfds_imagecsv import arrays, exceptions, split_names

FILENAME = "split_manifest.csv"

#: The columns of a manifest.
COLUMNS = ("key", "split", "label", "group", "digest")


# Rows that are written at once.
_BATCH = 1 << 16


def write_manifest(path: epath.Path, rows: pa.RecordBatch) -> None:
    """Writes a split manifest.

    It is a CSV in UTF-8 with a header and a row for each example, sorted by key: the
    same rows give the same bytes.

    Args:
      path: the file.
      rows: the examples, with the columns `COLUMNS`: the file name
        relative to the image directory (`arrays.TEXT`), the split, the class name, the
        group (empty for none; `arrays.CODES`), and the digest of the image file
        (`arrays.DIGEST`), which is written as 32 hexadecimal digits.
    """
    order = arrays.order_of(rows["key"])
    rows = rows.select(COLUMNS)
    if order is not None:
        rows = rows.take(pa.array(order))
    columns = {name: rows[name] for name in COLUMNS}
    for name in ("split", "label", "group"):
        # Each different text is quoted once.
        column = columns[name]
        quoted = _quoted(column.dictionary)
        columns[name] = pa.DictionaryArray.from_arrays(column.indices, quoted)
    with path.open("wb") as file:
        file.write(",".join(COLUMNS).encode() + b"\n")
        for start in range(0, len(rows), _BATCH):
            key, *coded, digest = (
                columns[name][start : start + _BATCH] for name in COLUMNS
            )
            cells = _quoted(key), *map(arrays.decoded, coded), arrays.as_hex(digest)
            file.write(arrays.bytes_of(arrays.lines(*cells)).tobytes())


def _quoted(column: pa.Array) -> pa.Array:
    """Returns texts as cells of a CSV: with a comma or a quote in it, in quotes."""
    if not arrays.may_have(column, ",", '"'):
        return column
    is_odd = pc.match_substring_regex(column, '[,"]')
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(is_odd, arrays.between('"', doubled, '"'), column)


def read_manifest(path: epath.Path) -> Mapping[str, tuple[str, str]]:
    """Reads a split manifest.

    Args:
      path: the file.

    Returns:
      The split and the label of each key.

    Raises:
      SourceError: if there is no such file, or it isn't a split manifest.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise exceptions.SourceError(
            f"pinned_splits {path}: it can't be read: {reason}"
        ) from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise exceptions.SourceError(
                f"pinned_splits {path}: this isn't a split manifest: it has no column"
                f" {', '.join(lacking)}. Give the {FILENAME} of an earlier build."
            )
        pinned = {}
        for row in reader:
            key, split, label = row["key"], row["split"], row["label"]
            if not (key and split) or label is None or key in pinned:
                raise exceptions.SourceError(
                    f"pinned_splits {path}: line {reader.line_num} has no key or no"
                    " split, or a key for the second time. Give the"
                    f" {FILENAME} of an earlier build as it was written."
                )
            if not split_names.is_split_name(split):
                raise exceptions.SourceError(
                    f"pinned_splits {path}: line {reader.line_num} has a split that"
                    f" TFDS can't read, {split!r}. Name splits with letters, digits,"
                    " '_' and '-', and not 'all'."
                )
            pinned[key] = split_names.split_name(split), label
    except csv.Error as error:
        raise exceptions.SourceError(
            f"pinned_splits {path}: line {reader.reader.line_num}: {error}"
        ) from None
    return pinned
