"""What folders say where there is no table: their names are labels, or splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from etils import epath

from tfds_imagecsv import arrays, exceptions, image_formats, problems, split_names
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.problems import shown
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.table.names import Names

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
    keys = images_of(files, given)
    _check(image_dir, files, keys)
    notes = list(_about_others(files))
    has_labels = options.label_type != "none"
    # All images of a folder have the same label and split.
    folder_of = _folders_of(keys)
    names = arrays.names_of(folder_of)
    tops = sorted({name.partition("/")[0] for name in names if name})
    if given:
        found = [_given(name, given) for name in names]
    elif _has_split_folders(image_dir, names, options):
        found = [
            _InSplit(split_names.split_name(top), below)
            for top, _, below in (name.partition("/") for name in names)
        ]
        notes.append(f"the folders {_named(tops)} are the splits")
    else:
        found = [_InSplit("", name) for name in names]
        named = [top for top in tops if split_names.is_usual(top)]
        if named and has_labels and options.label_level is None:
            notes.append(f"the folders {_named(named)} are classes, as others are")
    labels = None
    if has_labels:
        at = _position(options.label_level)
        labels = arrays.recoded(folder_of, [_label(one.below, at) for one in found])
        notes += _about_folders(files, keys, folder_of, found, options.label_level)
    understood = {"labels": "folders"} if has_labels else {}
    if any(one.split for one in found):
        understood["splits"] = "folders"
    given_splits = arrays.recoded(folder_of, [one.split for one in found])
    return FolderRows(keys, labels, given_splits, understood, notes)


class _InSplit(NamedTuple):
    """A folder: the split that it is in, or empty, and its path in that."""

    split: str
    below: str


def _given(folder: str, given: Mapping[str, str]) -> _InSplit:
    """Returns the split of a folder, and its path in that split's innermost folder."""
    prefixes = {split: f"{top}/" if top else "" for split, top in given.items()}
    split = max(
        (one for one, prefix in prefixes.items() if f"{folder}/".startswith(prefix)),
        key=lambda one: len(prefixes[one]),
    )
    return _InSplit(split, folder[len(prefixes[split]) :])


def _folders_of(keys: pa.Array) -> pa.DictionaryArray:
    """Returns the folder of each file; empty for those at the top."""
    stops = np.maximum(arrays.last_of(keys, "/"), 0)
    return arrays.encoded(arrays.sliced(keys, stops=stops))


def images_of(files: Listing, given: Mapping[str, str]) -> pa.Array:
    """Returns the images of a directory, sorted, `arrays.TEXT`.

    Args:
      files: its files.
      given: as for `rows_of`: others than these folders don't count.
    """
    are = Names(files.keys).folded.have_image_extensions
    inside = [f"{folder}/" for folder in given.values() if folder]
    if inside:
        are_inside = [Names(files.keys).begin_with(one) for one in inside]
        are &= np.logical_or.reduce(are_inside)
    return arrays.filtered(files.keys, are)


def top_of(files: Listing) -> str:
    """Returns the folder within an archive that has the folders of the classes."""
    folder = ""
    while True:
        tops = files.tops()
        if len(tops) != 1 or split_names.is_usual(name := min(tops)):
            return folder
        below = files.below(name)
        # The images of one class are no folders.
        if not len(below.keys) or not (arrays.last_of(below.keys, "/") >= 0).all():
            return folder
        folder, files = f"{folder}/{name}" if folder else name, below


def _check(image_dir: epath.Path, files: Listing, keys: pa.Array) -> None:
    if files.links:
        raise exceptions.SourceError(
            f"image_dir {image_dir}: links to folders aren't followed, and these are"
            f" links: {_named(sorted(files.links))}. Put the folders themselves there,"
            " or remove the links."
        )
    if not len(keys):
        raise exceptions.SourceError(
            f"image_dir {image_dir}: there is no image in it. Without label_csv, the"
            " label of an image is the name of its folder."
        )


def _has_split_folders(
    image_dir: epath.Path, names: Sequence[str], options: TableOptions
) -> bool:
    """Returns whether the folders at the top give splits.

    Args:
      image_dir: the directory.
      names: the folders with images; empty for the directory itself.
      options: as for `rows_of`.
    """
    if options.label_level == 0:
        return False
    tops = {name.partition("/")[0] for name in names if name}
    named = {top for top in tops if split_names.is_usual(top)}
    if not named:
        return False
    # Those in which all images are in folders.
    flat = {name for name in names if name and "/" not in name}
    has_labels = options.label_type != "none"
    are_all = named == tops and "" not in names
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
    """Returns why folders that are named as splits may be classes."""
    if others := sorted(others):
        return f"there are others beside them, {_named(others)}"
    return f"there are images in {_named(sorted(flat))} without a folder for a class"


def _position(level: int | None) -> int:
    """Returns the position of the label among the folders of an image."""
    if level is None or level == 0:
        return 0
    return level - 1 if level > 0 else level


def _label(folder: str, at: int) -> str:
    folders = folder.split("/") if folder else []
    return folders[at].strip() if -len(folders) <= at < len(folders) else ""


def _about_folders(
    files: Listing,
    keys: pa.Array,
    folder_of: pa.DictionaryArray,
    found: Sequence[_InSplit],
    level: int | None,
) -> Iterable[str]:
    """Yields notes on folders without images, and on folders within those of labels."""
    with_images: set[str] = set()
    for folder in arrays.names_of(folder_of):
        parts = folder.split("/")
        with_images |= {"/".join(parts[: at + 1]) for at in range(len(parts))}
    empty = sorted(set(files.folders) - with_images)
    if empty:
        yield f"{_counted(len(empty), 'folder')} without an image: {_named(empty)}"
    depths = np.array([one.below.count("/") + bool(one.below) for one in found])
    at = _position(level)
    if level is None and depths.max() > at + 1:
        first = int(np.argmax(arrays.mapped(folder_of, depths) > at + 1))
        one = found[arrays.codes_of(folder_of)[first]]
        key = f"{one.below}/{keys[first].as_py().rpartition('/')[2]}"
        yield (
            f"the label of {shown(key)} is {shown(_label(one.below, at))}: label_level"
            " chooses a folder within"
        )


def _about_others(files: Listing) -> Iterable[str]:
    """Yields a note on files that aren't images by their names."""
    are = Names(files.keys).folded.have_image_extensions
    others = arrays.filtered(files.keys, ~are).to_pylist()
    others += [key for key in files.odd if not image_formats.is_image(key)]
    if others:
        yield (
            f"{_counted(len(others), 'file')} without an extension of images (left"
            f" out): {_named(sorted(others))}"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    return problems.named(names, _MOST_SHOWN)
