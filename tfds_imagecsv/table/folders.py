"""What folders say where there is no table: their names are labels, or splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
from etils import epath

from tfds_imagecsv import arrays, exceptions, image_formats, problems, split_names
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.problems import shown
from tfds_imagecsv.sources.listing import Listing

# The most names that a note shows.
_MOST_SHOWN = 10


class FolderRows(NamedTuple):
    """The images of a directory, sorted.

    Attributes:
      keys: their paths, `arrays.TEXT`.
      labels: the name of the folder that is the label of each, `arrays.CODES`; empty
        if there is none. None if there are no labels.
      given: the split that a folder gives, likewise; empty for none.
      understood: what was concluded, by what it is about.
      notes: the same in sentences, where there was a choice.
    """

    keys: pa.Array
    labels: pa.DictionaryArray | None
    given: pa.DictionaryArray
    understood: Mapping[str, str]
    notes: Sequence[str]


def rows_of(
    image_dir: epath.Path,
    files: Listing,
    options: TableOptions,
    given: Mapping[str, str],
) -> FolderRows:
    """Returns the images of a directory, with the labels and splits of their folders.

    If all folders at the top are named as splits, and have folders (or no labels are
    wanted), they give the splits. The label is the folder below.

    Args:
      image_dir: the directory.
      files: its files.
      options: with `label_type` and `label_level`.
      given: the folder of each split, if the user says so.

    Raises:
      SourceError: if there is no image, a folder is a link, or splits and classes
        can't be told from each other.
    """
    keys = sorted(images_of(files, given))
    _check(image_dir, files, keys)
    notes = list(_about_others(files))
    has_labels = options.label_type != "none"
    if given:
        split_of = {f"{folder}/": split for split, folder in given.items()}
        prefixes = sorted(split_of, key=len, reverse=True)
        of_key = [next(one for one in prefixes if key.startswith(one)) for key in keys]
        splits = [split_of[one] for one in of_key]
        below = [key[len(one) :] for one, key in zip(of_key, keys, strict=True)]
    elif _has_split_folders(image_dir, keys, options):
        splits = [split_names.split_name(key.partition("/")[0]) for key in keys]
        below = [key.partition("/")[2] for key in keys]
        tops = sorted({key.partition("/")[0] for key in keys})
        notes.append(f"the folders {_named(tops)} are the splits")
    else:
        splits, below = [""] * len(keys), keys
        tops = sorted({key.partition("/")[0] for key in keys if "/" in key})
        named = [top for top in tops if split_names.is_usual(top)]
        if named and has_labels and options.label_level is None:
            notes.append(f"the folders {_named(named)} are classes, as others are")
    labels = None
    if has_labels:
        at = _position(options.label_level)
        labels = [_label(key, at) for key in below]
        notes += _about_folders(files, keys, below, options.label_level)
    understood = {"labels": "folders"} if has_labels else {}
    if any(splits):
        understood["splits"] = "folders"
    return FolderRows(
        arrays.texts(keys),
        None if labels is None else arrays.encoded(labels),
        arrays.encoded(splits),
        understood,
        notes,
    )


def images_of(files: Listing, given: Mapping[str, str]) -> list[str]:
    """Returns the images of a directory, in any order.

    Args:
      files: its files.
      given: as for `rows_of`: others than these folders don't count.
    """
    inside = tuple(f"{folder}/" for folder in given.values() if folder)
    return [
        key
        for key in files.keys.to_pylist()
        if image_formats.is_image(key) and key.startswith(inside or ("",))
    ]


def top_of(files: Listing) -> str:
    """Returns the folder within an archive that has the folders of the classes."""
    folder = ""
    while True:
        tops = files.tops()
        if len(tops) != 1 or split_names.is_usual(name := min(tops)):
            return folder
        below = files.below(name)
        # The images of one class are no folders.
        if not len(below.keys) or any("/" not in key for key in below.keys.to_pylist()):
            return folder
        folder, files = f"{folder}/{name}" if folder else name, below


def _check(image_dir: epath.Path, files: Listing, keys: Sequence[str]) -> None:
    if files.links:
        raise exceptions.SourceError(
            f"image_dir {image_dir}: links to folders aren't followed, and these are"
            f" links: {_named(sorted(files.links))}. Put the folders themselves there,"
            " or remove the links."
        )
    if not keys:
        raise exceptions.SourceError(
            f"image_dir {image_dir}: there is no image in it. Without label_csv, the"
            " label of an image is the name of its folder."
        )


def _has_split_folders(
    image_dir: epath.Path, keys: Sequence[str], options: TableOptions
) -> bool:
    """Returns whether the folders at the top give splits."""
    if options.label_level == 0:
        return False
    tops = {key.partition("/")[0] for key in keys if "/" in key}
    named = {top for top in tops if split_names.is_usual(top)}
    if not named:
        return False
    # Those in which all images are in folders.
    flat = {key.partition("/")[0] for key in keys if key.count("/") == 1}
    has_labels = options.label_type != "none"
    are_all = named == tops and not any("/" not in key for key in keys)
    if are_all and (
        not has_labels or not flat & named or flat == {split_names.UNLABELED}
    ):
        return True
    if not are_all and named <= flat:
        return False  # classes, of which one is named as a split
    raise exceptions.SourceError(
        f"image_dir {image_dir}: the folders {_named(sorted(named))} may be splits, and"
        f" they may be classes: {_why(tops - named, flat & named)}. Add label_level=0"
        " if they are classes, or label_type='none' if there are no labels; else give"
        " each split a folder of its own, with a folder for each class in it."
    )


def _why(others: Iterable[str], flat: Iterable[str]) -> str:
    """Returns why folders that are named as splits may be none."""
    if others := sorted(others):
        return f"there are others beside them, {_named(others)}"
    return f"there are images in {_named(sorted(flat))} without a folder for a class"


def _position(level: int | None) -> int:
    """Returns the position of the label among the folders of an image."""
    if level is None or level == 0:
        return 0
    return level - 1 if level > 0 else level


def _label(key: str, at: int) -> str:
    folders = key.split("/")[:-1]
    return folders[at].strip() if -len(folders) <= at < len(folders) else ""


def _about_folders(
    files: Listing,
    keys: Sequence[str],
    below: Sequence[str],
    level: int | None,
) -> Iterable[str]:
    """Yields notes on folders without images, and on folders within those of labels."""
    with_images: set[str] = set()
    for folder in {key.rpartition("/")[0] for key in keys}:
        parts = folder.split("/")
        with_images |= {"/".join(parts[: at + 1]) for at in range(len(parts))}
    empty = sorted(set(files.folders) - with_images)
    if empty:
        yield f"{_counted(len(empty), 'folder')} without an image: {_named(empty)}"
    deepest = max(key.count("/") for key in below)
    at = _position(level)
    if level is None and deepest > at + 1:
        deeper = next(key for key in below if key.count("/") > at + 1)
        yield (
            f"the label of {shown(deeper)} is {shown(_label(deeper, at))}: label_level"
            " chooses a folder within"
        )


def _about_others(files: Listing) -> Iterable[str]:
    """Yields a note on files that aren't images by their names."""
    names = (*files.keys.to_pylist(), *files.odd)
    others = sorted(key for key in names if not image_formats.is_image(key))
    if others:
        yield (
            f"{_counted(len(others), 'file')} without an extension of images (left"
            f" out): {_named(others)}"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    return problems.named(names, _MOST_SHOWN)
