"""What a dataset was made of, and whether its sources are still that.

The metadata of a dataset have the fields of its config. Beside the records is
`sources.json`, which has the digests of the files that these name, and says what each
row of the CSV was, and its image. It isn't the same after each build, as all else is:
it has the times of images, and the CSV may have the same rows in another order. Where
only sizes and times of images have to be compared, which is at each load, neither
pandas nor anything else is imported that takes time.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
import xxhash
from etils import epath, epy

from tfds_imagecsv import exceptions
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, is_url
from tfds_imagecsv.prepared import sources_json
from tfds_imagecsv.problems import UnusableImageError
from tfds_imagecsv.storage import files

with epy.lazy_imports():
    from tfds_imagecsv.sources import locate as locate_lib
    from tfds_imagecsv.table import label_table

if TYPE_CHECKING:
    from tfds_imagecsv.table.label_table import LabelTable

# What the metadata call the fields of the config.
METADATA_KEY = "config"

# The fields of a config that change nothing in the result. Those that are paths don't
# either: what is found there does.
_WITHOUT_EFFECT = frozenset(
    (
        *(field.name for field in dataclasses.fields(tfds.core.BuilderConfig)),
        *PATH_FIELDS,
        *("workers", "checksums"),
    )
)

# The fields of a config that say how the CSV is read, and no more: whether a dataset
# would be another one with them is seen in the rows.
_ABOUT_THE_TABLE = frozenset(
    (
        *("filename_column", "label_column", "group_column", "split_column"),
        "filename_suffix",
        "filename_template",
    )
)

# How many of each kind of change are shown: as many as of problems.
_SHOWN = 10


def fields_of(config: ImageCsvConfig) -> dict[str, Any]:
    """Returns the fields of a config that change the result, as values of JSON."""
    return _as_json(
        {
            field.name: getattr(config, field.name)
            for field in dataclasses.fields(config)
            if field.name not in _WITHOUT_EFFECT
        }
    )


def digests_of(paths: Mapping[str, Any]) -> dict[str, str]:
    """Returns the digests of the files that fields of a config name, by the field.

    Those that can't be read have none; nor have the images, which `sources.json` has
    one by one.

    Args:
      paths: the paths that the fields stand for; what else is in it has no effect.
    """
    found = {}
    for field, path in paths.items():
        if field in PATH_FIELDS and field != "image_dir":
            # Of remote files, each library has errors of its own.
            with contextlib.suppress(Exception):
                found[field] = files.digest_of(path.read_bytes())
    return found


def raise_if_stale(
    config: ImageCsvConfig,
    kept: Mapping[str, Any] | None,
    *,
    data_path: epath.Path,
    manual_dir: epath.Path,
) -> None:
    """Compares a dataset with its config, its CSV and its images.

    Sources that aren't there, or can't be read, aren't compared. Images are read only
    if their time has changed, and their size has not. If that was all, their new times
    are noted, where that is allowed. Remote images aren't looked at.

    Args:
      config: what the user asks for.
      kept: what `fields_of` has returned for the dataset; None if an earlier version
        of this package has built it, and nothing can be compared.
      data_path: where it is.
      manual_dir: where relative paths are looked up.

    Raises:
      StaleDatasetError: if something has changed.
    """
    if kept is None:
        return
    changes = list(
        _changes(config, kept, data_path / sources_json.FILENAME, manual_dir)
    )
    if changes:
        first, _, last = data_path.name.rpartition(".")
        shown = "".join(f"\n  {line}" for line in changes)
        raise exceptions.StaleDatasetError(
            f"{data_path}: the config or the sources of this dataset have changed since"
            f" it was built:{shown}\nGive the config another version, such as"
            f' version="{first}.{int(last) + 1}", to keep both datasets. Or'
            f" {sources_json.REMEDY}"
        )


def _as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Returns values as they come back from JSON."""
    back: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return back


def _changes(
    config: ImageCsvConfig,
    kept: Mapping[str, Any],
    sources: epath.Path,
    manual_dir: epath.Path,
) -> Iterator[str]:
    """Yields the lines that say what has changed."""
    changed = _changed_fields(config, kept)
    members = sources_json.read(sources, sources_json.AT_EACH_LOAD)
    paths = _paths(config, manual_dir) if members else {}
    now, was = digests_of(paths), members["digests"] if members else {}
    has_csv = "label_csv" in now
    rows: Sequence[str] = ()
    if has_csv and (
        now["label_csv"] != was.get("label_csv") or _ABOUT_THE_TABLE & changed.keys()
    ):
        rows = _changed_rows(config, paths, sources)
    for name, values in changed.items():
        # They change nothing if the rows are the same; without the CSV, nobody knows.
        # The order of columns of 0 and 1 is that of the classes.
        is_order = name == "label_column" and config.label_delimiter is None
        is_order &= config.label_type == "multilabel"
        if rows or not has_csv or is_order or name not in _ABOUT_THE_TABLE:
            yield f"{name}: was {values[0]!r}, is {values[1]!r}"
    if members is None:
        return
    for name in PATH_FIELDS:
        if name not in ("image_dir", "label_csv"):
            # What is behind a URL has no path.
            path = paths.get(name, getattr(config, name))
            yield from _changed_file(name, path, was.get(name), now.get(name))
    yield from rows
    image_dir = paths.get("image_dir")
    if image_dir is None or files.is_remote(image_dir):
        return
    if image_dir.is_dir():
        yield from _changed_images(image_dir, members, sources)
    elif members["archive"]:
        yield from _changed_archive(image_dir, files.File(*members["archive"]))


def _paths(config: ImageCsvConfig, manual_dir: epath.Path) -> dict[str, epath.Path]:
    """Returns the paths that the fields of a config stand for, be they there or not.

    What is behind a URL isn't looked at.
    """
    values = {name: getattr(config, name) for name in PATH_FIELDS}
    # An absolute or remote path stays as it is.
    return {
        name: manual_dir / epath.Path(value).expanduser()
        for name, value in values.items()
        if value is not None and not is_url(value)
    }


def _changed_fields(
    config: ImageCsvConfig, kept: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Returns what the fields were and are that have changed.

    A field that is newer than the dataset had its default.
    """
    defaults = {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(config)
    }
    then = {**_as_json(defaults), **kept}
    pairs = {name: (then[name], now) for name, now in fields_of(config).items()}
    # As JSON, in which 1 (an image) isn't 1.0 (all images).
    return {
        name: (was, now)
        for name, (was, now) in pairs.items()
        if json.dumps(was) != json.dumps(now)
    }


def _changed_file(
    name: str, path: object | None, was: str | None, now: str | None
) -> Iterator[str]:
    """Yields what has changed in a file that a config may do without."""
    if path is None and was is not None:
        yield f"{name}: a file was given, none is"
    elif path is not None and was is None:
        yield f"{name} {path}: no file was given"
    elif now is not None and now != was:
        yield f"{name} {path}: its content has changed"


def _changed_rows(
    config: ImageCsvConfig, paths: Mapping[str, epath.Path], sources: epath.Path
) -> list[str]:
    """Returns the lines that say what has changed in the CSV."""
    label_csv, class_csv = paths["label_csv"], paths.get("class_csv")
    if class_csv is not None and not class_csv.exists():
        class_csv = None
    place = f"label_csv {label_csv}"
    members = sources_json.read(sources, sources_json.ALL)
    assert members is not None
    try:
        table, _ = label_table.read_label_table(config, label_csv, class_csv)
    except exceptions.SourceError as error:
        return [f"{place}: its content has changed, and can't be used: {error}"]
    columns = {
        "key": table.rows["key"].tolist(),
        **sources_json.table_columns(table.rows),
    }
    names = list(dict.fromkeys(("key", "label", *members["table"], *columns)))
    then = _rows(
        {"key": members["key"], **members["table"]}, members["problems"], names
    )
    now = _rows(columns, sources_json.bad_rows(table), names)
    number_of = dict(zip(now, _row_numbers(table), strict=True))
    gone = collections.defaultdict(list)
    for row in sorted(
        (collections.Counter(then) - collections.Counter(now)).elements()
    ):
        gone[row[0]].append(row)
    new = (collections.Counter(now) - collections.Counter(then)).elements()
    changed, added = [], []
    for row in sorted(new, key=number_of.__getitem__):
        shown = f"row {number_of[row]}: {row[0]!r}"
        if gone[row[0]]:
            differences = _differences(names, gone[row[0]].pop(0), row)
            changed.append(f"{shown}: {differences}")
        else:
            added.append(f"{shown} ({row[-1] or repr(row[1])}) is new")
    left = [row for key in sorted(gone) for row in gone[key]]
    return _section(
        f"{place}: of the rows",
        ("has changed", "have changed", changed),
        ("is new", "are new", added),
        (
            "is gone",
            "are gone",
            [f"{row[0]!r} ({row[-1] or repr(row[1])}) is gone" for row in left],
        ),
    )


def _row_numbers(table: LabelTable) -> list[int]:
    """Returns the numbers of the rows of a label table, those with a problem last."""
    return [*table.rows["row"].tolist(), *(one.row for one in table.problems)]


def _rows(
    columns: Mapping[str, Sequence[str]],
    bad_rows: Sequence[Mapping[str, str]],
    names: Sequence[str],
) -> list[tuple[str, ...]]:
    """Returns the rows of a table as tuples, of which the last member is the problem.

    That a file is named twice isn't taken for one, since the order of the rows says
    which of them has it, and changes nothing.
    """
    length = len(columns["key"])
    values = [columns.get(name) or [""] * length for name in names]
    return [
        *zip(*values, [""] * length, strict=True),
        *(
            (
                *(row.get(name, "") for name in names),
                row["problem"] if row["problem"] != "repeated" else "",
            )
            for row in bad_rows
        ),
    ]


def _differences(names: Sequence[str], then: Sequence[str], now: Sequence[str]) -> str:
    """Returns in what two rows differ."""
    shown = ["split" if name == "given" else name for name in (*names, "problem")]
    return ", ".join(
        f"{name} was {old!r}, is {new!r}"
        for name, old, new in zip(shown, then, now, strict=True)
        if old != new
    )


def _changed_images(
    image_dir: epath.Path, members: Mapping[str, Any], sources: epath.Path
) -> list[str]:
    """Returns the lines that say what has changed in the images."""
    changed, missing, unread, suspected = [], [], [], []
    rows = zip(*(members[name] for name in sources_json.STATUS), strict=True)
    with _stat_in(image_dir) as stat:
        for at, (key, size, modified) in enumerate(rows):
            if size < 0:
                unread.append(key)
                continue
            try:
                status = stat(key)
            except OSError:
                missing.append(key)
                continue
            if status.st_size != size:
                changed.append(key)
            elif status.st_mtime_ns != modified:
                suspected.append(at)
    if len(missing) == len(members["key"]) - len(unread):
        return []  # the directory was emptied, or what was mounted there isn't any more
    finder = files.FileReader(image_dir)
    if suspected:
        changed += _changed_content(finder, sources, suspected)
    readable = [key for key in unread if _can_be_read(finder, key)]
    return _section(
        f"image_dir {image_dir}: of the images",
        (
            "has changed",
            "have changed",
            [f"{key!r} has changed" for key in sorted(changed)],
        ),
        ("is missing", "are missing", [f"{key!r} is missing" for key in missing]),
        (
            "can be read now",
            "can be read now",
            [f"{key!r} can be read now" for key in readable],
        ),
    )


def _changed_archive(image_dir: epath.Path, then: files.File) -> list[str]:
    """Returns the line that says that an archive of images has changed, if it has."""
    found = (
        [image_dir] if image_dir.exists() else locate_lib.archives_instead(image_dir)
    )
    if len(found) != 1 or files.status_of(found[0]) == (then.size, then.modified):
        return []
    digest = xxhash.xxh3_128()
    for block in files.blocks_of(found[0]):
        digest.update(block)
    if digest.hexdigest() == then.digest:
        return []
    return [f"image_dir {found[0]}: the archive has changed"]


@contextlib.contextmanager
def _stat_in(folder: epath.Path) -> Iterator[Callable[[str], os.stat_result]]:
    """Lets `os.stat` look up names in a folder, whose own path is looked up once."""
    if os.stat not in os.supports_dir_fd:  # Windows
        yield lambda key: os.stat(f"{folder}/{key}")  # noqa: PTH116 - for speed
        return
    opened = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY))
    try:
        yield functools.partial(os.stat, dir_fd=opened)
    finally:
        os.close(opened)


def _changed_content(
    finder: files.FileReader, sources: epath.Path, suspected: Sequence[int]
) -> list[str]:
    """Reads images whose time has changed, and returns those that have changed.

    The new times of the others are noted, so that they aren't read again.
    """
    members = sources_json.read(sources, sources_json.ALL)
    assert members is not None
    changed = []
    for at in suspected:
        key = members["key"][at]
        try:
            digest = files.digest_of(finder.read(key))
        except UnusableImageError:
            digest = ""
        if digest == members["digest"][at]:
            members["modified"][at] = finder.modified
        else:
            changed.append(key)
    if not files.is_remote(sources):
        # The dataset may be another user's, or on a disk that can only be read.
        with contextlib.suppress(OSError):
            sources_json.replace(sources, sources_json.as_text(members))
    return changed


def _can_be_read(finder: files.FileReader, key: str) -> bool:
    try:
        finder.read(key)
    except UnusableImageError:
        return False
    return True


def _section(place: str, *kinds: tuple[str, str, Sequence[str]]) -> list[str]:
    """Returns lines about some kinds of changes, unless there are none.

    Args:
      place: what has changed.
      *kinds: what is said of one, what is said of several, and a line for each.
    """
    kinds = tuple(kind for kind in kinds if kind[2])
    if not kinds:
        return []
    counts = [
        f"{len(found):,} {one if len(found) == 1 else many}"
        for one, many, found in kinds
    ]
    lines = [f"{place}, {', '.join(counts)}:"]
    for _, _, found in kinds:
        lines += [f"  {line}" for line in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"  ... and {len(found) - _SHOWN:,} more")
    return lines
