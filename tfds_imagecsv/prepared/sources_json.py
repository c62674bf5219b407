"""`sources.json`: what the rows of the table and the images of a dataset were."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.storage.files import File

if TYPE_CHECKING:
    import pandas as pd

    from tfds_imagecsv.images.inspection import Inspection
    from tfds_imagecsv.table.label_table import LabelTable

FILENAME = "sources.json"

# The members that each load needs come first. The lists have one length.
STATUS = ("key", "size", "modified")
AT_EACH_LOAD = ("digests", "archive", *STATUS)
ALL = (*AT_EACH_LOAD, "digest", "table", "problems")
_LISTS = frozenset((*STATUS, "digest"))

# A file that couldn't be read.
_NO_FILE = File(-1, "", -1)

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
    - `key`, `size`, `modified`, `digest`: lists over the rows that have no problem of
      their own, sorted by key. `size` is in bytes, -1 if the image can't be read;
      `modified` in nanoseconds since 1970, -1 if unknown; see also `files.digest_of`.
    - `table`: the columns of the label table that aren't empty.
    - `problems`: the other rows.

    Args:
      path: the file.
      inspection: what the rows and the images are.
      digests: see `stale.digests_of`.
    """
    rows, usable = inspection.table.rows, inspection.rows
    of_files = [usable[name].tolist() for name in File._fields]
    if len(usable) < len(rows):
        file_of = dict(zip(usable["key"], zip(*of_files, strict=True), strict=True))
        file_of |= inspection.unusable
        found = [file_of.get(key, _NO_FILE) for key in rows["key"]]
        of_files = list(map(list, zip(*found, strict=True)))
    sizes, digests_of_images, modified = of_files
    members = {
        "digests": digests,
        "archive": inspection.sources.archive or (),
        "key": rows["key"].tolist(),
        "size": sizes,
        "modified": modified,
        "digest": digests_of_images,
        "table": table_columns(rows),
        "problems": bad_rows(inspection.table),
    }
    path.write_text(as_text(members), encoding="utf-8")


def table_columns(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Returns the columns of a label table that aren't empty, without the keys."""
    columns = {
        str(name): rows[name].tolist()
        for name in rows.columns
        if name not in ("row", "key")
    }

    def as_texts(values: list[Any]) -> list[str]:
        if set(map(type, values)) == {str}:
            return values
        return [
            value if isinstance(value, str) else json.dumps(value, default=str)
            for value in values
        ]

    return {name: as_texts(values) for name, values in columns.items() if any(values)}


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
                if len(members) == len(names):
                    break
        lengths = {len(members[name]) for name in names if name in _LISTS}
        is_whole = len(lengths) == 1 and members.keys() == set(names)
    except (KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise exceptions.StaleDatasetError(
            f"{path}: this file of the dataset is damaged, so nobody knows whether the"
            f" CSV and the images have changed. Mend it, or {REMEDY}"
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
