"""The images of a label table, inspected, and converted in the same step."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, NamedTuple, get_type_hints

from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.images import convert, formats, stored_form
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.images.stored_form import Stored
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, Problem, UnusableImageError
from tfds_imagecsv.storage import files

if TYPE_CHECKING:
    import pandas as pd
    from etils import epath


# Images of a chunk, by `verify`: enough to make handing over cheap, few enough to keep
# all workers busy to the end.
_CHUNKS = {"decode": 128, "header": 1024}

# The types of the columns about images. Texts are objects, since most of what follows
# loops over them.
_TYPES = {
    name: {int: "int64", bool: "bool", str: "object"}[kind]
    for described in (Facts, Stored)
    for name, kind in get_type_hints(described).items()
}

# The columns that an image's row gets.
COLUMNS = (
    *(*_TYPES, "size", "digest", "modified"),
    *("stored_file", "stored_offset", "stored_size"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What the images of a label table are.

    Attributes:
      rows: the rows of the label table with usable images, in their order, with
        further columns: those of `facts.Facts` and `stored_form.Stored`, `size`
        (int64: bytes of the file), `digest` (str: see `files.digest_of`), `modified`
        (int64: see `files.File`), and where the bytes are that are stored:
        `stored_file` (str: a file of converted images; empty for the image's own),
        `stored_offset` (int64: where they begin in that file) and `stored_size` (int64:
        how many they are; -1 if the image is to be converted, and was not).
      problems: the problems of the other rows' images.
      unusable: the files of the other rows that could be read, by key.
    """

    rows: pd.DataFrame
    problems: tuple[Problem, ...]
    unusable: Mapping[str, files.File]


def inspect_images(
    image_dir: epath.Path,
    rows: pd.DataFrame,
    options: ImageOptions | None = None,
    *,
    engine: Engine,
    converted_dir: epath.Path | None = None,
    progress: Callable[[int], object] = lambda _: None,
    meanwhile: Callable[[], object] = lambda: None,
) -> ImageTable:
    """Reads each image file once, inspects it, and converts it if it has to be.

    Args:
      image_dir: the directory that the keys are relative to.
      rows: a table with the columns `row`, `key` and `label`, as in
        `label_table.LabelTable`.
      options: what the dataset asks for; default: `ImageOptions()`.
      engine: where the work is done.
      converted_dir: where files of converted images go, as an absolute path; None to
        convert nothing.
      progress: called with the number of images inspected since the last call.
      meanwhile: see `engine.Engine`.

    Returns:
      The rows with usable images, and the problems of the others.
    """
    import numpy as np

    keys = rows["key"].tolist()
    chunks = _chunks(image_dir, keys, options or ImageOptions(), converted_dir)
    good = _Found()
    refused: dict[int, _Refused] = {}
    done = 0
    for chunk, (found, of_chunk) in zip(
        chunks, engine.map(_inspect_chunk, chunks, meanwhile), strict=True
    ):
        good.extend(found)
        refused |= {done + at: one for at, one in of_chunk.items()}
        done += len(chunk.columns["key"])
        progress(len(chunk.columns["key"]))
    is_good = np.ones(len(keys), dtype=bool)
    is_good[list(refused)] = False
    usable = rows if not refused else rows[is_good].reset_index(drop=True)
    columns = ("row", "key", "label")
    of_refused = rows[~is_good]
    return ImageTable(
        rows=usable.assign(**_columns(good)),
        problems=tuple(
            Problem(one.kind, row, f"{key!r}{one.detail}", key=key, label=label)
            for one, row, key, label in zip(
                refused.values(), *(of_refused[name] for name in columns), strict=True
            )
        ),
        unusable={
            key: one.file
            for one, key in zip(refused.values(), of_refused["key"], strict=True)
            if one.file is not None
        },
    )


def _chunks(
    image_dir: epath.Path,
    keys: list[str],
    options: ImageOptions,
    converted_dir: epath.Path | None,
) -> list[Chunk]:
    """Returns what `_inspect_chunk` takes, of all images."""
    if converted_dir is not None:
        # Not made by workers: one that outlives its build must not bring it back.
        converted_dir.mkdir(parents=True, exist_ok=True)
    # Remote images are read ahead within a chunk only.
    least = 2 * files.READ_AHEAD if files.is_remote(image_dir) else 1
    size = max(least, min(_CHUNKS[options.verify], len(keys) // 32))
    chunks = []
    for number, at in enumerate(range(0, len(keys), size)):
        converted = "" if converted_dir is None else f"{converted_dir}/{number}"
        about = os.fspath(image_dir), options, converted
        chunks.append(Chunk(about, {"key": keys[at : at + size]}))
    return chunks


def _columns(found: _Found) -> dict[str, pd.Series[Any]]:
    """Returns the columns `COLUMNS`."""
    import numpy as np
    import pandas as pd

    kind_of = np.array(found.kind_of, np.int64)
    columns = {}
    for number, (name, dtype) in enumerate(_TYPES.items()):
        of_kind = [[*facts, *stored][number] for facts, stored in found.kinds]
        columns[name] = pd.Series(np.array(of_kind, dtype)[kind_of], dtype=dtype)
    sizes = np.array(found.sizes, np.int64)
    stored_files = np.full(len(sizes), "", object)
    stored_offsets = np.zeros(len(sizes), np.int64)
    stored_sizes = np.where(columns["conversion"] == "", sizes, -1)
    if found.converted:
        at = list(found.converted)
        places = zip(*found.converted.values(), strict=True)
        stored_files[at], stored_offsets[at], stored_sizes[at] = places
    return {
        **columns,
        "size": pd.Series(sizes),
        "digest": pd.Series(found.digests, dtype=object),
        "modified": pd.Series(found.modified, dtype="int64"),
        "stored_file": pd.Series(stored_files, dtype=object),
        "stored_offset": pd.Series(stored_offsets),
        "stored_size": pd.Series(stored_sizes),
    }


@dataclasses.dataclass
class _Found:
    """The usable images of a chunk, as lists, which are cheap to pickle.

    Attributes:
      kinds: a number for each combination of facts. Most images are alike.
      kind_of: the number of each image's combination.
      sizes, digests, modified: see `files.File`.
      converted: the file, the offset and the size of converted images, by position.
    """

    kinds: dict[tuple[Facts, Stored], int] = dataclasses.field(default_factory=dict)
    kind_of: list[int] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    digests: list[str] = dataclasses.field(default_factory=list)
    modified: list[int] = dataclasses.field(default_factory=list)
    converted: dict[int, tuple[str, int, int]] = dataclasses.field(default_factory=dict)

    def extend(self, other: _Found) -> None:
        """Appends other images."""
        done = len(self.sizes)
        self.converted |= {done + at: one for at, one in other.converted.items()}
        numbers = [self.kinds.setdefault(kind, len(self.kinds)) for kind in other.kinds]
        self.kind_of += map(numbers.__getitem__, other.kind_of)
        self.sizes += other.sizes
        self.digests += other.digests
        self.modified += other.modified


class _Refused(NamedTuple):
    """Why an image is unusable, and its file, if that could be read."""

    kind: Kind
    detail: str
    file: files.File | None


class _ConvertedFile:
    """Converted images, one behind the other in a file that is made with the first.

    Args:
      path: the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._end = 0
        self._file: IO[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _ConvertedFile:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def append(self, content: bytes) -> tuple[str, int, int]:
        """Writes an image; returns the file, and its offset and size there."""
        if self._file is None:
            self._file = self._stack.enter_context(files.new_file(self.path))
        self._file.write(content)
        self._end += len(content)
        return self.path, self._end - len(content), len(content)


def _inspect_chunk(chunk: Chunk) -> tuple[_Found, dict[int, _Refused]]:
    """Returns the usable images of a chunk, and the others by their position."""
    image_dir, options, converted_path = chunk.about
    finder = files.FileReader(image_dir)
    decode = options.verify == "decode"
    known: dict[Facts, tuple[int, bool]] = {}
    found = _Found()
    refused = {}

    def kind_of(facts: Facts) -> tuple[int, bool]:
        """Returns the number of a combination, and whether it is converted here."""
        kind = known.get(facts)
        if kind is None:
            stored_form.check(facts, options)
            stored = stored_form.stored_as(facts, options)
            kind = len(known), bool(converted_path and stored.conversion)
            known[facts] = kind
            found.kinds[facts, stored] = kind[0]
        return kind

    with _ConvertedFile(converted_path) as converted_file:
        for at, read in enumerate(finder.readers(chunk.columns["key"])):
            content = None
            try:
                content = read()
                facts = formats.read_facts(
                    content,
                    max_pixels=options.max_pixels,
                    decode=decode,
                    is_decoded_later=lambda facts: kind_of(facts)[1],
                )
                number, is_converted = kind_of(facts)
                if is_converted:
                    converted = convert.convert(
                        content, facts, options, check_end=decode
                    )
                    place = converted_file.append(converted)
                    found.converted[len(found.sizes)] = place
            except UnusableImageError as error:
                file = None
                if content is not None:
                    file = files.File(
                        len(content), files.digest_of(content), finder.modified
                    )
                refused[at] = _Refused(error.kind, error.detail, file)
            else:
                found.kind_of.append(number)
                found.sizes.append(len(content))
                found.digests.append(files.digest_of(content))
                found.modified.append(finder.modified)
    return found, refused
