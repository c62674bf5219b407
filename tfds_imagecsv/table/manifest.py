"""The split manifest: which row is in which split, in a file beside the records."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import pandas as pd
from etils import epath

from tfds_imagecsv import exceptions, split_names

FILENAME = "split_manifest.csv"

#: The columns of a manifest.
COLUMNS = ("key", "split", "label", "group", "digest")


def write_manifest(path: epath.Path, rows: pd.DataFrame) -> None:
    """Writes a split manifest.

    It is a CSV in UTF-8 with a header and a row for each example, sorted by key: the
    same rows give the same bytes.

    Args:
      path: the file.
      rows: the examples, with the columns `COLUMNS`, all str: the file name relative
        to the image directory, the split, the class name, the group (empty for
        none) and the digest of the image file, see `files.digest_of`.
    """
    columns = [rows[name].tolist() for name in COLUMNS]
    cells = zip(*columns, strict=True)
    file = io.StringIO()
    # In half of the time of `DataFrame.to_csv`.
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(cells))  # by the key, which comes first
    path.write_text(file.getvalue(), encoding="utf-8")


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
