"""The split manifest: which row is in which split, in a file beside the records."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from etils import epath

from tfds_imagecsv import arrays, exceptions, split_names
from tfds_imagecsv.table import image_columns

FILENAME = "split_manifest.csv"

#: The columns of a manifest.
COLUMNS = ("key", "split", "label", "group", "digest")

# What manifests have of a further image, behind these: `right/key`, `right/digest`.
_OF_IMAGE = ("key", "digest")

_HEADER = ",".join(COLUMNS).encode()

# The columns that are read from an earlier manifest.
_READ = ("key", "split", "label")

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
        (`arrays.DIGEST`), which is written as 32 hexadecimal digits. Of further images,
        file names and digests come behind these.
    """
    order = arrays.order_of(rows["key"])
    further = {
        f"{name}/{about}": image_columns.column(name, about)
        for name in image_columns.names_of(rows.schema.names, with_mask=True)
        for about in _OF_IMAGE
    }
    rows = rows.select([*COLUMNS, *further.values()])
    if order is not None:
        rows = rows.take(arrays.as_column(order))
    columns = {name: rows[name] for name in COLUMNS}
    for name in ("split", "label", "group"):
        # Each different text is quoted once.
        column = columns[name]
        columns[name] = pa.DictionaryArray.from_arrays(
            column.indices, quoted(column.dictionary)
        )
    columns |= {name: rows[one] for name, one in further.items()}
    header = arrays.lines(*(quoted(arrays.texts([name])) for name in columns))
    with path.open("wb") as file:
        file.write(arrays.bytes_of(header).tobytes())
        for start in range(0, len(rows), _BATCH):
            cells = (one[start : start + _BATCH] for one in columns.values())
            lines = arrays.lines(*map(_as_cells, cells))
            file.write(arrays.bytes_of(lines).tobytes())


def _as_cells(column: pa.Array) -> pa.Array:
    """Returns the cells of a column, of which codes have their quotes."""
    if isinstance(column, pa.DictionaryArray):
        return arrays.decoded(column)
    return arrays.as_hex(column) if column.type == arrays.DIGEST else quoted(column)


def quoted(column: pa.Array) -> pa.Array:
    """Returns texts as cells of a CSV: those with a comma or a quote are in quotes."""
    if not arrays.may_have(column, ",", '"'):
        return column
    is_odd = pc.match_substring_regex(column, '[,"]')
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(is_odd, arrays.between('"', doubled, '"'), column)


def digest_columns(path: epath.Path) -> list[str]:
    """Returns the columns of a manifest with the digests of images."""
    with path.open("rb") as file:
        header = next(csv.reader([file.readline().decode()]), [])
    return [one for one in header if one == "digest" or one.endswith("/digest")]


def no_rows() -> pa.RecordBatch:
    """Returns what `read_manifest` returns for a manifest without rows."""
    columns = [arrays.texts([]), arrays.encoded([]), arrays.encoded([])]
    return pa.record_batch(columns, names=list(_READ))


def read_manifest(path: epath.Path) -> pa.RecordBatch:
    """Reads a split manifest.

    Args:
      path: the file.

    Returns:
      Its rows, sorted by key: `key` (`arrays.TEXT`), `split` and `label`
      (`arrays.CODES`).

    Raises:
      SourceError: if there is no such file, or it isn't a split manifest.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise exceptions.SourceError(
            f"pinned_splits {path}: it can't be read: {reason}"
        ) from None
    rows = _read_at_once(content)
    if rows is None:
        rows = _read_line_by_line(text, path)
    order = arrays.order_of(rows["key"])
    return rows if order is None else rows.take(arrays.as_column(order))


def _read_at_once(content: bytes) -> pa.RecordBatch | None:
    """Returns the rows of a manifest that is as it was written, and without quotes.

    Returns None if it may not be, or if something is wrong with it.
    """
    is_ours = content.startswith((_HEADER + b"\n", _HEADER + b","))
    if not is_ours or b'"' in content or b"\r" in content:
        return None
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            parse_options=pa_csv.ParseOptions(quote_char=False),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(_READ),
                column_types=dict.fromkeys(_READ, arrays.TEXT),
            ),
        )
    except pa.ArrowInvalid:
        return None
    key, split, label = (arrays.texts(table[name]) for name in _READ)
    splits = arrays.encoded(split)
    is_whole = (
        arrays.is_filled(key).all()
        and all(map(split_names.is_split_name, arrays.names_of(splits)))
        and pc.count_distinct(key).as_py() == len(key)
    )
    if not is_whole:
        return None
    names = list(map(split_names.split_name, arrays.names_of(splits)))
    columns = [key, arrays.recoded(splits, names), arrays.encoded(label)]
    return pa.record_batch(columns, names=list(_READ))


def _read_line_by_line(text: str, path: epath.Path) -> pa.RecordBatch:
    """Returns the rows of any manifest, or raises a `SourceError` with the line."""
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
    rows = [(key, *about) for key, about in pinned.items()]
    if not rows:
        return no_rows()
    keys, splits, labels = zip(*rows, strict=True)
    columns = [arrays.texts(keys), arrays.encoded(splits), arrays.encoded(labels)]
    return pa.record_batch(columns, names=list(_READ))
