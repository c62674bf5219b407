"""`sources.json`: what the rows of the table and the images of a dataset were."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath, epy

from tfds_imagecsv import exceptions

with epy.lazy_imports():
    import pyarrow as pa
    import pyarrow.compute as pc

    from tfds_imagecsv import arrays
    from tfds_imagecsv.images import image_table

if TYPE_CHECKING:
    from tfds_imagecsv.images.inspection import Inspection
    from tfds_imagecsv.table.label_table import LabelTable

FILENAME = "sources.json"

# The members that each load needs come first. The lists have one length.
STATUS = ("key", "size", "modified")
FURTHER, MASKS = ("further", "masks")
AT_EACH_LOAD = ("digests", "archive", FURTHER, MASKS, *STATUS)
ALL = (*AT_EACH_LOAD, "digest", "table", "problems")
_LISTS = (*STATUS, "digest")

# The values to write at once.
_BATCH = 1 << 16

REMEDY = (
    "build it anew with --overwrite (in Python:"
    " DownloadConfig(download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS))."
)


def write_sources(
    path: epath.Path, inspection: Inspection, digests: Mapping[str, str]
) -> None:
    """Writes what the rows of the table and their images are.

    The file is a JSON object with one member a line:

    - `digests`: those of the files that the config names, by field.
    - `archive`: size, digest and time of the archive of the images, or empty.
    - `further`: lists like the next ones, of further images that are no row's own.
    - `masks`: likewise, of the masks; their keys are relative to their directory.
    - `key`, `size`, `modified`, `digest`: lists over the rows that have no problem of
      their own, sorted by key. `size` is in bytes, -1 if the image can't be read;
      `modified` is in nanoseconds since 1970, -1 if unknown; see also
      `files.digest_of`.
    - `table`: the columns of the label table that aren't empty.
    - `problems`: the other rows.

    Args:
      path: the file.
      inspection: what the rows and the images are.
      digests: see `stale.digests_of`.
    """
    rows = inspection.table.rows
    own = image_table.files_of(rows["key"], inspection.rows, inspection.unusable)
    members = {
        "digests": digests,
        "archive": _archive(inspection),
        FURTHER: _columns_of(inspection.further),
        MASKS: _columns_of(inspection.masks),
        **_columns_of(own),
        "table": table_columns(rows),
        "problems": bad_rows(inspection.table),
    }
    with path.open("wb") as file:
        for at, (name, value) in enumerate(members.items()):
            file.write((",\n" if at else "{\n").encode() + _json(name) + b": ")
            for part in _parts(value):
                file.write(part)
        file.write(b"\n}\n")


def _archive(inspection: Inspection) -> tuple[Any, ...]:
    archive = inspection.sources.archive
    return (archive.size, archive.digest.hex(), archive.modified) if archive else ()


def _parts(value: Any) -> Iterator[bytes]:
    """Yields the JSON of a member, as `json.dumps` writes it, long lists in parts."""
    if isinstance(value, pa.Array):
        value = _with_json_of_codes(value)
        yield b"["
        for start in range(0, len(value), _BATCH):
            items = _items(value[start : start + _BATCH])
            text = arrays.bytes_of(arrays.ended(items, ", ")).tobytes()
            yield text if start + _BATCH < len(value) else text[:-2]
        yield b"]"
    elif isinstance(value, dict):
        yield b"{"
        for at, (name, inner) in enumerate(value.items()):
            yield (b", " if at else b"") + _json(name) + b": "
            yield from _parts(inner)
        yield b"}"
    else:
        yield _json(value)


def _with_json_of_codes(column: pa.Array) -> pa.Array:
    """Returns a column of codes with the JSON of each text; others as they are."""
    if not isinstance(column, pa.DictionaryArray):
        return column
    return pa.DictionaryArray.from_arrays(column.indices, _items(column.dictionary))


def _items(column: pa.Array) -> pa.Array:
    """Returns the JSON of each value of a column of texts or whole numbers."""
    if pa.types.is_integer(column.type):
        return column.cast(arrays.TEXT)
    if isinstance(column, pa.DictionaryArray):
        return arrays.decoded(column)
    if (
        arrays.may_have(column, '"', "\\")
        or pc.any(pc.match_substring_regex(column, "[\\x00-\\x1f]")).as_py()
    ):
        return arrays.texts([_json(one).decode() for one in column.to_pylist()])
    return arrays.between('"', column, '"')


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _columns_of(rows: pa.RecordBatch) -> dict[str, pa.Array]:
    return {name: rows[name] for name in rows.schema.names}


def table_columns(rows: pa.RecordBatch) -> dict[str, pa.Array]:
    """Returns the columns of a label table that aren't empty, without the keys.

    Values other than texts become JSON.
    """
    columns = {
        name: _as_texts(rows[name])
        for name in rows.schema.names
        if name not in ("row", "key", "box_rows")
    }
    return {
        name: column
        for name, column in columns.items()
        if arrays.is_filled(column).any()
    }


def _as_texts(column: pa.Array) -> pa.Array:
    if column.type in (arrays.TEXT, arrays.CODES):
        return column
    if isinstance(column, pa.DictionaryArray):
        texts = [json.dumps(one) for one in column.dictionary.to_pylist()]
        return arrays.coded(column.indices, texts)
    return arrays.texts([json.dumps(one, default=str) for one in column.to_pylist()])


def bad_rows(table: LabelTable) -> list[dict[str, str]]:
    """Returns the rows of a label table that have a problem, in their order."""
    return [
        {
            "key": one.key,
            "label": one.label,
            "group": one.group,
            "given": one.given,
            "problem": one.kind.name.lower(),
        }
        for one in table.problems
    ]


def as_text(members: Mapping[str, Any]) -> str:
    """Returns the text of the file."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in members.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(path: epath.Path, names: Sequence[str]) -> dict[str, Any] | None:
    """Returns members of `sources.json`.

    Args:
      path: the file.
      names: the members to read, `AT_EACH_LOAD` or `ALL`.

    Returns:
      The members; None if there is no such file.

    Raises:
      StaleDatasetError: if it is damaged.
    """
    if not path.exists():
        return None
    members: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                name, colon, value = line.decode().rstrip(",\n").partition(": ")
                if colon:
                    members[json.loads(name)] = json.loads(value)
                    if json.loads(name) == STATUS[0]:
                        # Earlier versions didn't write these.
                        for part in (FURTHER, MASKS):
                            members.setdefault(part, {key: [] for key in _LISTS})
                if len(members) == len(names):
                    break
        is_whole = members.keys() == set(names) and all(
            len({len(lists[name]) for name in _LISTS if name in lists}) == 1
            for lists in (members, members[FURTHER], members[MASKS])
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise exceptions.StaleDatasetError(
            f"{path}: this file of the dataset is damaged, so changes of the CSV and"
            f" the images go unnoticed. Restore it, or {REMEDY}"
        )
    return members


def replace(path: epath.Path, text: str) -> None:
    """Replaces a file in one step, and keeps its permissions."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
