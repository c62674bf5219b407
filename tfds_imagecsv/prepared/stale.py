"""Whether a prepared dataset agrees with its config, table and images.

The metadata of a dataset keep the fields of its config; `sources.json` keeps the
digests of its files, the rows of its table, and the size and time of each image. Each
load compares them. If sizes and times agree, it imports nothing slow, such as pandas.
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

from etils import epath, epy

from tfds_imagecsv import exceptions
from tfds_imagecsv.config import ImageCsvConfig, is_url
from tfds_imagecsv.dataset import metadata
from tfds_imagecsv.prepared import sources_json
from tfds_imagecsv.problems import UnusableImageError
from tfds_imagecsv.storage import files

with epy.lazy_imports():
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from tfds_imagecsv import arrays
    from tfds_imagecsv.images import box_frames
    from tfds_imagecsv.sources import listing
    from tfds_imagecsv.sources import locate as locate_lib
    from tfds_imagecsv.table import arrow_tables, folders, label_table

if TYPE_CHECKING:
    from tfds_imagecsv.problems import Places

# The fields that only say how to read the table: they matter if the rows differ.
_ABOUT_THE_TABLE = frozenset(
    (
        *("filename_column", "label_column", "group_column", "split_column"),
        *("filename_suffix", "filename_template", "split_names", "label_level"),
        *("match", "delimiter", "text_encoding", "header", "skip_lines", "sheet"),
        *("true_values", "false_values", "box_columns"),
        *("image_columns", "mask_column"),
    )
)

# The rows' own images, as a part of `sources.json`.
_OWN = ""

# The most changes of each kind that are shown, as for problems.
_SHOWN = 10


def digests_of(sources: Mapping[str, Any]) -> dict[str, str]:
    """Returns the digests of files, by the field of the config that names them.

    A file that can't be read has none. `sources.json` has the digests of images.

    Args:
      sources: the paths by field, and tables in memory; directories are skipped.
    """
    found = {}
    for field, source in sources.items():
        if not field.startswith(("image_dir", "mask_dir")):
            # Each library of remote files has its own errors.
            with contextlib.suppress(Exception):
                found[field] = (
                    files.digest_of_file(source).hex()
                    if isinstance(source, epath.Path)
                    else arrow_tables.digest_of(source)
                )
    return found


def raise_if_stale(
    config: ImageCsvConfig,
    kept: Mapping[str, Any] | None,
    *,
    understood: Mapping[str, str],
    data_path: epath.Path,
    manual_dir: epath.Path,
) -> None:
    """Compares a dataset with its config, its table and its images.

    Missing or unreadable sources aren't compared; nor are remote images. An image is
    read if its time has changed, but not its size. If its content is the same, its new
    time is noted, unless the dataset is read-only.

    Args:
      config: what the user asks for.
      kept: the `metadata.config_fields` of the build; None for a dataset of an earlier
        version of this package, which can't be compared.
      understood: what the build concluded; a field that says the same changes nothing.
      data_path: the directory of the dataset.
      manual_dir: the directory of relative paths.

    Raises:
      StaleDatasetError: if something has changed.
    """
    if kept is None:
        return
    changes = list(
        _changes(
            config, kept, understood, data_path / sources_json.FILENAME, manual_dir
        )
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


def _changes(
    config: ImageCsvConfig,
    kept: Mapping[str, Any],
    understood: Mapping[str, str],
    sources: epath.Path,
    manual_dir: epath.Path,
) -> Iterator[str]:
    """Yields the lines that say what has changed."""
    changed = _changed_fields(config, kept)
    if changed:
        for name, value in box_frames.fields_of(understood).items():
            if changed.get(name) == (None, value):
                del changed[name]
    members = sources_json.read(sources, sources_json.AT_EACH_LOAD)
    paths = _paths(config, manual_dir) if members else {}
    tables = config.frames if members else {}
    now, was = digests_of({**paths, **tables}), members["digests"] if members else {}
    has_table = bool(_of_tables(now)) or _has_folders(config, paths)
    rows: Sequence[str] = ()
    if has_table and (
        _of_tables(now) != _of_tables(was)
        or _ABOUT_THE_TABLE & changed.keys()
        or (config.label_csv is None and _has_other_images(config, paths, sources))
    ):
        rows = _changed_rows(config, paths, sources)
    for name, values in changed.items():
        # The same rows give the same dataset; without the table, nobody can tell. The
        # order of columns of 0 and 1 is the order of the classes.
        is_order = name == "label_column" and config.table_options.is_indicated
        if rows or not has_table or is_order or name not in _ABOUT_THE_TABLE:
            yield f"{name}: was {values[0]!r}, is {values[1]!r}"
    if members is None:
        return
    for name in ("class_csv", "mask_color_csv", "pinned_splits"):
        # A URL has no path here.
        path = paths.get(name, getattr(config, name))
        yield from _changed_file(name, path, was.get(name), now.get(name))
    yield from rows
    if any(name.startswith("image_dir") for name in paths):
        yield from _changed_dirs(config, paths, members, sources)


def _changed_dirs(
    config: ImageCsvConfig,
    paths: Mapping[str, epath.Path],
    members: Mapping[str, Any],
    sources: epath.Path,
) -> Iterator[str]:
    """Yields lines about the changes of images and masks, in local directories."""
    of_dirs = locate_lib.sources_of(config, paths)
    image_dir, mask_dir = of_dirs.image_dir, of_dirs.mask_dir
    parts = [_OWN, sources_json.FURTHER]
    if mask_dir is None:
        parts.append(sources_json.MASKS)
    elif mask_dir.is_dir() and not files.is_remote(mask_dir):
        place = f"mask_dir {mask_dir}: of the masks"
        yield from _changed_images(
            place, mask_dir, [sources_json.MASKS], members, sources
        )
    if files.is_remote(image_dir):
        return
    if image_dir.is_dir():
        place = f"image_dir {image_dir}: of the images"
        yield from _changed_images(place, image_dir, parts, members, sources)
    elif members["archive"]:
        yield from _changed_archive(image_dir, *members["archive"])


def _paths(config: ImageCsvConfig, manual_dir: epath.Path) -> dict[str, epath.Path]:
    """Returns the paths in a config, also those of missing files, but no URLs."""
    return {
        name: manual_dir / epath.Path(value).expanduser()
        for name, value in config.paths.items()
        if not is_url(value)
    }


def _of_tables(digests: Mapping[str, str]) -> dict[str, str]:
    """Returns the digests of label tables."""
    return {name: one for name, one in digests.items() if name.startswith("label_csv")}


def _has_folders(config: ImageCsvConfig, paths: Mapping[str, epath.Path]) -> bool:
    """Returns whether existing local folders take the place of a table."""
    dirs = [path for name, path in paths.items() if name.startswith("image_dir")]
    return (
        config.label_csv is None
        and bool(dirs)
        and all(not files.is_remote(one) and one.is_dir() for one in dirs)
    )


def _has_other_images(
    config: ImageCsvConfig, paths: Mapping[str, epath.Path], sources: epath.Path
) -> bool:
    """Returns whether folders have other images than the dataset has rows."""
    found = locate_lib.sources_of(config, paths)
    members = sources_json.read(sources, sources_json.ALL) or {}
    there = folders.images_of(listing.list_files(found.image_dir), found.folders)
    of_problems = (row["key"] for row in members["problems"])
    return bool(there.to_pylist() != sorted({*members["key"], *of_problems}))


def _changed_fields(
    config: ImageCsvConfig, kept: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Returns the old and the new value of each changed field.

    A field that is newer than the dataset had its default value.
    """
    defaults = {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(config)
    }
    then = {**metadata.as_json(defaults), **kept}
    pairs = {
        name: (then[name], now) for name, now in metadata.config_fields(config).items()
    }
    # As JSON: 1 (one image) differs from 1.0 (all images).
    return {
        name: (was, now)
        for name, (was, now) in pairs.items()
        if json.dumps(was) != json.dumps(now)
    }


def _changed_file(
    name: str, path: object | None, was: str | None, now: str | None
) -> Iterator[str]:
    """Yields what has changed about an optional file."""
    if path is None and was is not None:
        yield f"{name}: a file was given, none is"
    elif path is not None and was is None:
        yield f"{name} {path}: no file was given"
    elif now is not None and now != was:
        yield f"{name} {path}: its content has changed"


def _changed_rows(
    config: ImageCsvConfig, paths: Mapping[str, epath.Path], sources: epath.Path
) -> list[str]:
    """Returns lines about the changes of the table."""
    paths = {
        name: path
        for name, path in paths.items()
        if name not in ("class_csv", "mask_color_csv") or path.exists()
    }
    found = locate_lib.sources_of(config, paths)
    place = f"label_csv {found.table_name}" if found.tables else "the folders"
    members = sources_json.read(sources, sources_json.ALL)
    assert members is not None
    try:
        # Missing images don't change the table.
        of_further = members[sources_json.FURTHER]["key"]
        table = label_table.read_label_table(
            config,
            found,
            known=(*members["key"], *of_further) if found.tables else (),
            known_masks=members[sources_json.MASKS]["key"],
        )
    except exceptions.SourceError as error:
        return [f"{place}: its content has changed, and can't be used: {error}"]
    in_table = {
        "key": table.rows["key"],
        **sources_json.table_columns(table.rows),
    }
    names = list(dict.fromkeys(("key", "label", *members["table"], *in_table)))
    then_rows = _as_texts({"key": members["key"], **members["table"]}, names)
    now_rows = _as_texts(in_table, names)
    only_then, only_now = _in_one_only(then_rows, now_rows)
    then = _rows(then_rows.filter(only_then), members["problems"])
    now = _rows(now_rows.filter(only_now), sources_json.bad_rows(table))
    numbers = table.rows["row"].filter(only_now).to_pylist()
    numbers += [one.row for one in table.problems]
    number_of = dict(zip(now, numbers, strict=True))
    place += ": of the rows"
    return _about_rows(place, names, then, now, number_of, table.places)


def _about_rows(
    place: str,
    names: Sequence[str],
    then: Sequence[tuple[str, ...]],
    now: Sequence[tuple[str, ...]],
    number_of: Mapping[tuple[str, ...], int],
    places: Places,
) -> list[str]:
    """Returns lines about rows that have changed, or are new or gone.

    A row that is gone and a new one of the same image are one that has changed.

    Args:
      place: what has changed, in messages.
      names: the names of the rows' members; the last member is the problem.
      then: the rows of the dataset, or those that differ.
      now: the rows of the table, likewise.
      number_of: the numbers of these.
      places: what messages call them.
    """
    gone = collections.defaultdict(list)
    for row in sorted(
        (collections.Counter(then) - collections.Counter(now)).elements()
    ):
        gone[row[0]].append(row)
    new = (collections.Counter(now) - collections.Counter(then)).elements()
    changed, added = [], []
    for row in sorted(new, key=number_of.__getitem__):
        where = places.of(number_of[row])
        shown = f"{where}: {row[0]!r}" if where else repr(row[0])
        if gone[row[0]]:
            differences = _differences(names, gone[row[0]].pop(0), row)
            changed.append(f"{shown}: {differences}")
        else:
            added.append(f"{shown} ({row[-1] or repr(row[1])}) is new")
    left = [row for key in sorted(gone) for row in gone[key]]
    return _section(
        place,
        ("has changed", "have changed", changed),
        ("is new", "are new", added),
        (
            "is gone",
            "are gone",
            [f"{row[0]!r} ({row[-1] or repr(row[1])}) is gone" for row in left],
        ),
    )


def _as_texts(columns: Mapping[str, Any], names: Sequence[str]) -> pa.RecordBatch:
    """Returns the rows of a table, with a column of texts for each name."""
    length = len(columns["key"])
    texts = [
        arrays.texts(columns[name]) if name in columns else arrays.texts([""] * length)
        for name in names
    ]
    return pa.record_batch(texts, names=list(names))


def _in_one_only(then: pa.RecordBatch, now: pa.RecordBatch) -> tuple[Any, Any]:
    """Returns which rows of each table aren't in the other."""
    if any(arrays.may_have(one, "\0") for one in (*then.columns, *now.columns)):
        # Joined with `\0`, rows would be ambiguous.
        return tuple(arrays.as_column(np.ones(len(rows), bool)) for rows in (then, now))
    lines = [arrays.beside(rows.columns, "\0") for rows in (then, now)]
    return tuple(
        pc.invert(pc.is_in(one, value_set=other)) for one, other in (lines, lines[::-1])
    )


def _rows(
    rows: pa.RecordBatch, bad_rows: Sequence[Mapping[str, str]]
) -> list[tuple[str, ...]]:
    """Returns rows as tuples, with the problem as the last member.

    A file that is named twice doesn't count as a problem: the order of the rows, which
    changes nothing, decides which of its rows has it.
    """
    names = rows.schema.names
    return [
        *((*row, "") for row in arrays.named(rows, names)),
        *(
            (
                *(row.get(name, "") for name in names),
                row["problem"] if row["problem"] != "repeated" else "",
            )
            for row in bad_rows
        ),
    ]


def _differences(names: Sequence[str], then: Sequence[str], now: Sequence[str]) -> str:
    """Returns how two rows differ, in words."""
    shown = ["split" if name == "given" else name for name in (*names, "problem")]
    return ", ".join(
        f"{name} was {old!r}, is {new!r}"
        for name, old, new in zip(shown, then, now, strict=True)
        if old != new
    )


def _changed_images(
    place: str,
    folder: epath.Path,
    parts: Sequence[str],
    members: Mapping[str, Any],
    sources: epath.Path,
) -> list[str]:
    """Returns lines about the changes of images.

    Args:
      place: what has changed, in messages.
      folder: the directory that their keys are relative to.
      parts: the members of `sources.json` with lists of them; `_OWN` for the rows' own.
      members: the members of `sources.json`.
      sources: that file.
    """
    changed, missing, unread, suspected = [], [], [], []
    images = [
        ((part, at), *status)
        for part in parts
        for at, status in enumerate(_status_of(_lists(members, part)))
    ]
    with _stat_in(folder) as stat:
        for at, key, size, modified in images:
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
    if len(missing) == len(images) - len(unread):
        return []  # the directory is empty or unmounted
    reader = files.FileReader(folder)
    if suspected:
        changed += _changed_content(reader, sources, suspected)
    readable = [key for key in unread if _can_be_read(reader, key)]
    return _section(
        place,
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


def _lists(members: Mapping[str, Any], part: str) -> Any:
    """Returns the lists about some images, by name."""
    return members if part == _OWN else members[part]


def _status_of(lists: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Yields key, size and time of each image."""
    return zip(*(lists[name] for name in sources_json.STATUS), strict=True)


def _changed_archive(
    image_dir: epath.Path, size: int, digest: str, modified: int
) -> list[str]:
    """Returns a line if the archive of the images has changed."""
    found = (
        [image_dir] if image_dir.exists() else locate_lib.archives_instead(image_dir)
    )
    if len(found) != 1 or files.status_of(found[0]) == (size, modified):
        return []
    if files.digest_of_file(found[0]).hex() == digest:
        return []
    return [f"image_dir {found[0]}: the archive has changed"]


@contextlib.contextmanager
def _stat_in(folder: epath.Path) -> Iterator[Callable[[str], os.stat_result]]:
    """Yields `os.stat` for names in a folder; the system looks up the folder once."""
    if os.stat not in os.supports_dir_fd:  # Windows
        yield lambda key: os.stat(f"{folder}/{key}")  # noqa: PTH116 - for speed
        return
    opened = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY))
    try:
        yield functools.partial(os.stat, dir_fd=opened)
    finally:
        os.close(opened)


def _changed_content(
    reader: files.FileReader, sources: epath.Path, suspected: Sequence[tuple[str, int]]
) -> list[str]:
    """Reads images with a new time, and returns those with new content.

    Notes the new times of the others: the next load needn't read them.
    """
    members = sources_json.read(sources, sources_json.ALL)
    assert members is not None
    changed = []
    for part, at in suspected:
        lists = _lists(members, part)
        key = lists["key"][at]
        try:
            digest = files.digest_of(reader.read(key)).hex()
        except UnusableImageError:
            digest = ""
        if digest == lists["digest"][at]:
            lists["modified"][at] = reader.modified
        else:
            changed.append(key)
    if not files.is_remote(sources):
        # The dataset may be read-only.
        with contextlib.suppress(OSError):
            sources_json.replace(sources, sources_json.as_text(members))
    return changed


def _can_be_read(reader: files.FileReader, key: str) -> bool:
    try:
        reader.read(key)
    except UnusableImageError:
        return False
    return True


def _section(place: str, *kinds: tuple[str, str, Sequence[str]]) -> list[str]:
    """Returns lines about some kinds of changes; none if nothing has changed.

    Args:
      place: what has changed.
      *kinds: the words for one change, the words for several, and a line for each.
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
