"""The images of a label table, inspected."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.images import formats, stored_form
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
COLUMNS = (*_TYPES, "size", "digest", "modified")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What the images of a label table are.

    Attributes:
      rows: the rows of the label table with usable images, in their order, with
        further columns: those of `facts.Facts` and `stored_form.Stored`, `size`
        (int64: bytes of the file), `digest` (str: see `files.digest_of`) and
        `modified` (int64: see `files.File`).
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
    progress: Callable[[int], object] = lambda _: None,
    meanwhile: Callable[[], object] = lambda: None,
) -> ImageTable:
    """Reads and inspects each image file once.

    Args:
      image_dir: the directory that the keys are relative to.
      rows: a table with the columns `row`, `key` and `label`, as in
        `label_table.LabelTable`.
      options: what the dataset asks for; default: `ImageOptions()`.
      engine: where the work is done.
      progress: called with the number of images inspected since the last call.
      meanwhile: see `engine.Engine`.

    Returns:
      The rows with usable images, and the problems of the others.
    """
    import numpy as np

    options = options or ImageOptions()
    about = os.fspath(image_dir), options
    keys = rows["key"].tolist()
    # Remote images are read ahead within a chunk only.
    least = 2 * files.READ_AHEAD if files.is_remote(image_dir) else 1
    size = max(least, min(_CHUNKS[options.verify], len(keys) // 32))
    chunks = [
        Chunk(about, {"key": keys[at : at + size]}) for at in range(0, len(keys), size)
    ]
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


def _columns(found: _Found) -> dict[str, pd.Series[Any]]:
    """Returns the columns `COLUMNS`."""
    import numpy as np
    import pandas as pd

    kind_of = np.array(found.kind_of, np.int64)
    columns = {}
    for at, (name, dtype) in enumerate(_TYPES.items()):
        of_kind = [[*facts, *stored][at] for facts, stored in found.kinds]
        columns[name] = pd.Series(np.array(of_kind, dtype)[kind_of], dtype=dtype)
    return {
        **columns,
        "size": pd.Series(found.sizes, dtype="int64"),
        "digest": pd.Series(found.digests, dtype=object),
        "modified": pd.Series(found.modified, dtype="int64"),
    }


@dataclasses.dataclass
class _Found:
    """The usable images of a chunk, as lists, which are cheap to pickle.

    Attributes:
      kinds: a number for each combination of facts. Most images are alike.
      kind_of: the number of each image's combination.
      sizes, digests, modified: see `files.File`.
    """

    kinds: dict[tuple[Facts, Stored], int] = dataclasses.field(default_factory=dict)
    kind_of: list[int] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    digests: list[str] = dataclasses.field(default_factory=list)
    modified: list[int] = dataclasses.field(default_factory=list)

    def extend(self, other: _Found) -> None:
        """Appends other images."""
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


def _inspect_chunk(chunk: Chunk) -> tuple[_Found, dict[int, _Refused]]:
    """Returns the usable images of a chunk, and the others by their position."""
    image_dir, options = chunk.about
    finder = files.FileReader(image_dir)
    decode = options.verify == "decode"
    number_of: dict[Facts, int] = {}
    found = _Found()
    refused = {}
    for at, read in enumerate(finder.readers(chunk.columns["key"])):
        content = None
        try:
            content = read()
            facts = formats.read_facts(
                content, max_pixels=options.max_pixels, decode=decode
            )
            if facts not in number_of:
                stored_form.check(facts, options)
                described = facts, stored_form.stored_as(facts, options)
                found.kinds[described] = number_of[facts] = len(number_of)
        except UnusableImageError as error:
            file = None
            if content is not None:
                file = files.File(
                    len(content), files.digest_of(content), finder.modified
                )
            refused[at] = _Refused(error.kind, error.detail, file)
        else:
            found.kind_of.append(number_of[facts])
            found.sizes.append(len(content))
            found.digests.append(files.digest_of(content))
            found.modified.append(finder.modified)
    return found, refused
