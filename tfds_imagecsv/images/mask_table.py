"""The segmentation masks of rows, read, checked, and put where their images are.

The frame of the masks and the type of their values are those of the whole dataset, and
known once all masks are read. Each mask is stored as it is likely to be needed; the few
for which that was wrong are read again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.images import image_table, kinds, masks
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.images.image_table import Refused
from tfds_imagecsv.options import MASK, ImageOptions
from tfds_imagecsv.problems import Kind, Problem, UnusableImageError
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import image_columns

if TYPE_CHECKING:
    from etils import epath

#: The columns of rows with the values of a mask's pixels, and how many have each; of
#: masks whose values aren't counted, there are none.
VALUES = image_columns.column(MASK, "values")
COUNTS = image_columns.column(MASK, "counts")

# Of how many missing masks the closest file is named: as many as a report shows.
_MOST_CLOSEST = 10

# The frames that a mask fits, as `masks.Mask.is_upright` has them.
_FITS_BOTH, _FITS_FILE, _FITS_UPRIGHT = -1, 0, 1
_FITS = {None: _FITS_BOTH, False: _FITS_FILE, True: _FITS_UPRIGHT}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """How masks are read.

    Attributes:
      options: how their images are stored.
      are_upright: the frame that the user says; None if it is to be found.
      colors: the values of colours; None if pixels are values.
      classes: how many classes the values have; None if they have none.
    """

    options: ImageOptions
    are_upright: bool | None = None
    colors: masks.Colors | None = None
    classes: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithMasks:
    """Rows with their masks.

    Attributes:
      rows: those whose mask can be used, with further columns, see `image_columns`:
        `size`, `digest` and `modified` of the mask's file, as in `image_table`;
        `stored_file`, `stored_offset` and `stored_size` if images are converted;
        `VALUES` (a list of int32) and `COUNTS` (a list of int64).
      problems: those of the other rows' masks.
      unusable: the files of these rows' own images, by key.
      files: the files of all masks, see `image_table.files_of`.
      dtype: `"uint8"`, or `"uint16"` if a mask has 16 bits.
      are_upright: the frame of the masks; None if nothing tells it.
    """

    rows: pa.RecordBatch
    problems: tuple[Problem, ...]
    unusable: Mapping[str, files.File]
    files: pa.RecordBatch
    dtype: str
    are_upright: bool | None


class _Found(NamedTuple):
    """The usable masks of a chunk, and the others.

    Attributes:
      rows: a row for each usable mask, with the columns of `WithMasks` without their
        prefix, and `fits` (int8, see `_FITS`) and `is_deep` (bool).
      refused: why masks are unusable, by their position in the chunk.
    """

    rows: pa.RecordBatch
    refused: Mapping[int, Refused]


def with_masks(
    mask_dir: epath.Path,
    rows: pa.RecordBatch,
    wanted: Wanted,
    *,
    named_in: str,
    closest: Callable[[str], str | None],
    engine: Engine,
    converted_dir: epath.Path | None,
    progress: Callable[[int], object],
) -> WithMasks:
    """Reads the masks of rows.

    Args:
      mask_dir: the directory that their keys are relative to.
      rows: rows with usable images.
      wanted: how masks are read.
      named_in: where their names are, as messages say it.
      closest: returns the file whose name is most like a missing one's.
      engine: where the work is done.
      converted_dir: where masks go, as an absolute path; None to store nothing.
      progress: called with the number of masks read since the last call.

    Raises:
      SourceError: if the sizes of masks tell two frames, and those of others none.
    """
    keys = rows[image_columns.column(MASK, "key")]
    items = pa.record_batch({"key": keys, "kind": rows["kind"]})

    def read(
        some: pa.RecordBatch, wanted: Wanted, dtype: str | None, to: str
    ) -> _Found:
        folder = converted_dir and converted_dir / to
        return _read(mask_dir, some, (wanted, dtype), engine, folder, progress)

    found = read(items, wanted, None, "masks")
    is_good = np.ones(len(rows), bool)
    is_good[list(found.refused)] = False
    items = arrays.taken(items, is_good)
    are_upright = wanted.are_upright
    if are_upright is None:
        are_upright = _frame(items, found.rows)
    deep = arrays.as_numpy(found.rows["is_deep"])
    dtype = "uint16" if deep.any() else "uint8"
    is_wrong = deep != deep.any()
    if are_upright is False and wanted.are_upright is None:
        is_wrong = is_wrong | _is_open(items, found.rows)
    of_rows = found.rows
    if is_wrong.any():
        if are_upright is not None:
            wanted = dataclasses.replace(wanted, are_upright=are_upright)
        again = read(arrays.taken(items, is_wrong), wanted, dtype, to="masks again")
        assert not again.refused
        of_rows = _replaced(of_rows, np.flatnonzero(is_wrong), again.rows)
    columns = {
        image_columns.column(MASK, name): of_rows[name]
        for name in of_rows.schema.names
        if name not in ("fits", "is_deep")
    }
    good = arrays.with_columns(arrays.taken(rows, is_good), columns)
    bad = rows.filter(arrays.as_column(~is_good))
    refused = [found.refused[at] for at in np.flatnonzero(~is_good).tolist()]
    return WithMasks(
        rows=good,
        problems=tuple(_problems(bad, refused, named_in, closest)),
        unusable=image_table.own_files(bad),
        files=_files(keys, good, bad, refused),
        dtype=dtype,
        are_upright=are_upright,
    )


def _is_open(items: pa.RecordBatch, found: pa.RecordBatch) -> arrays.Bits:
    """Returns which masks are of turned images, and fit both frames."""
    is_turned = arrays.as_numpy(kinds.column(items, "orientation")) > 1
    is_open: arrays.Bits = is_turned & (arrays.as_numpy(found["fits"]) == _FITS_BOTH)
    return is_open


def _frame(items: pa.RecordBatch, found: pa.RecordBatch) -> bool | None:
    """Returns the frame that the sizes of masks tell; None if they tell none.

    Raises:
      SourceError: if they tell both, and there are masks that could be in either.
    """
    fits = arrays.as_numpy(found["fits"])
    of_frames = [np.flatnonzero(fits == one) for one in (_FITS_FILE, _FITS_UPRIGHT)]
    if all(map(len, of_frames)):
        still_open = np.flatnonzero(_is_open(items, found))
        if not len(still_open):
            return None  # each is as its size says
        names = [items["key"][int(at[0])].as_py() for at in (*of_frames, still_open)]
        raise exceptions.SourceError(
            f"masks: of images that EXIF turns, {len(of_frames[0]):,} masks have the"
            f" size before turning, such as {names[0]!r}, and {len(of_frames[1]):,} the"
            f" one after it, such as {names[1]!r}; {len(still_open):,} could have"
            f" either, such as {names[2]!r}. Set masks_are_upright to true if masks are"
            " in the frame of the image as it is shown, else to false."
        )
    if not any(map(len, of_frames)):
        return None
    return bool(len(of_frames[1]))


def _read(
    mask_dir: epath.Path,
    items: pa.RecordBatch,
    about: tuple[Any, ...],
    engine: Engine,
    converted_dir: epath.Path | None,
    progress: Callable[[int], object],
) -> _Found:
    """Reads masks in chunks, and returns what all have found."""
    refused: dict[int, Refused] = {}
    parts = [_as_rows([], [], [], is_stored=converted_dir is not None)]
    done = 0
    with engine.share(items) as shared:
        chunks = image_table.chunks_of(mask_dir, shared, about, "decode", converted_dir)
        for chunk, found in zip(chunks, engine.map(_read_chunk, chunks), strict=True):
            refused |= {done + at: one for at, one in found.refused.items()}
            parts.append(found.rows)
            done += chunk.rows
            progress(chunk.rows)
    return _Found(_joined(parts), refused)


def _read_chunk(chunk: Chunk) -> _Found:
    """Reads the masks of a chunk, and stores them if they are to be."""
    mask_dir, converted_path, wanted, dtype = chunk.about
    columns = chunk.lists()
    reader = files.FileReader(mask_dir)
    found: list[masks.Mask] = []
    of_files: list[files.File] = []
    places: list[tuple[str, int, int]] = []
    refused = {}
    with image_table.ConvertedFile(converted_path) as converted_file:
        for at, read in enumerate(reader.readers(columns["key"])):
            file = None
            try:
                content = read()
                file = files.File(
                    len(content), files.digest_of(content), reader.modified
                )
                kind = columns["kind"][at]
                mask = masks.converted(
                    content,
                    Facts(**{name: kind[name] for name in Facts._fields}),
                    wanted.options,
                    dtype=dtype,
                    are_upright=wanted.are_upright,
                    colors=wanted.colors,
                    classes=wanted.classes,
                )
            except UnusableImageError as error:
                refused[at] = Refused(error.kind, error.detail, file)
                continue
            if converted_path:
                places.append(converted_file.append(mask.content))
            of_files.append(file)
            found.append(mask._replace(content=b""))
    rows = _as_rows(found, of_files, places, is_stored=bool(converted_path))
    return _Found(rows, refused)


def _as_rows(
    found: Sequence[masks.Mask],
    of_files: Sequence[files.File],
    places: Sequence[tuple[str, int, int]],
    *,
    is_stored: bool,
) -> pa.RecordBatch:
    """Returns masks as `_Found.rows` has them."""
    digests = b"".join(one.digest for one in of_files)
    lengths = np.array([len(one.values) for one in found], np.int64)
    none = np.zeros(0, np.int64)
    columns = {
        "size": np.array([one.size for one in of_files], np.int64),
        "digest": arrays.as_digests(np.frombuffer(digests, np.uint8).reshape(-1, 16)),
        "modified": np.array([one.modified for one in of_files], np.int64),
        "fits": np.array([_FITS[one.is_upright] for one in found], np.int8),
        "is_deep": np.array([one.dtype == "uint16" for one in found], bool),
        "values": arrays.lists(
            np.concatenate([none, *(one.values for one in found)]), lengths
        ),
        "counts": arrays.lists(
            np.concatenate([none, *(one.counts for one in found)]), lengths
        ),
    }
    if is_stored:
        of_file, offsets, sizes = zip(*places, strict=True) if places else ((), (), ())
        columns["stored_file"] = arrays.encoded(list(of_file))
        columns["stored_offset"] = np.array(offsets, np.int64)
        columns["stored_size"] = np.array(sizes, np.int64)
    return pa.record_batch(
        [*map(arrays.as_column, columns.values())],
        names=list(columns),
    )


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    names = parts[0].schema.names
    return pa.record_batch(
        [arrays.joined([one[name] for one in parts]) for name in names], names=names
    )


def _replaced(
    rows: pa.RecordBatch, at: arrays.Ints, others: pa.RecordBatch
) -> pa.RecordBatch:
    """Returns rows with others at some positions."""
    order = np.arange(len(rows))
    order[at] = len(rows) + np.arange(len(at))
    return _joined([rows, others]).take(arrays.as_column(order))


def _files(
    keys: pa.Array,
    good: pa.RecordBatch,
    bad: pa.RecordBatch,
    refused: Sequence[Refused],
) -> pa.RecordBatch:
    """Returns what the files of masks are, see `image_table.files_of`.

    Args:
      keys: those of all masks.
      good: the rows whose mask can be used.
      bad: the other rows.
      refused: why their masks can't be used.
    """
    keys = keys.unique()
    usable = image_columns.of_image(good, MASK)
    usable = usable.take(pc.sort_indices(usable["key"]))
    usable = usable.filter(arrays.as_column(~arrays.is_same_as_before(usable["key"])))
    names = bad[image_columns.column(MASK, "key")].to_pylist()
    unusable = {
        name: one.file
        for name, one in zip(names, refused, strict=True)
        if one.file is not None
    }
    return image_table.files_of(keys.take(pc.sort_indices(keys)), usable, unusable)


def _problems(
    bad: pa.RecordBatch,
    refused: Sequence[Refused],
    named_in: str,
    closest: Callable[[str], str | None],
) -> Iterator[Problem]:
    """Yields the problems of rows whose masks can't be used."""
    about = ("row", "key", "label", "group", "given", image_columns.column(MASK, "key"))
    missing = 0
    for one, (row, key, label, group, given, mask) in zip(
        refused, arrays.named(bad, about), strict=True
    ):
        kind, detail = one.kind, f"{named_in}, {mask!r}{one.detail}"
        if kind is Kind.MISSING:
            kind = Kind.NO_MASK
            missing += 1
            close = closest(mask) if missing <= _MOST_CLOSEST else None
            detail += f"; the closest is {close!r}" if close else ""
        yield Problem(kind, row, detail, key=key, label=label, group=group, given=given)


def counts_of(rows: pa.RecordBatch, names: Sequence[str]) -> dict[str, int]:
    """Returns how many pixels of masks have each class, or each value without names.

    Args:
      rows: rows with masks.
      names: those of the values, from 0; none if these have no names.
    """
    values = arrays.as_numpy(rows[VALUES].flatten())
    counts = arrays.as_numpy(rows[COUNTS].flatten())
    # Floats of 64 bits have all whole numbers of pixels that a disk has.
    pixels = np.bincount(values, counts, minlength=len(names)).astype(np.int64)
    if names:
        return dict(zip(names, pixels.tolist(), strict=True))
    there = np.flatnonzero(pixels)
    return dict(zip(map(str, there.tolist()), pixels[there].tolist(), strict=True))
