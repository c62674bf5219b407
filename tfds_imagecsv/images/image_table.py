"""The images of a label table, inspected, and converted in the same step."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfds_imagecsv import arrays
from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.engines.shared_rows import SharedRows
from tfds_imagecsv.images import convert, formats, kinds, stored_form
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.images.small_pictures import Measure, SmallPictures
from tfds_imagecsv.images.stored_form import Stored
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, Problem, UnusableImageError
from tfds_imagecsv.storage import files

if TYPE_CHECKING:
    from etils import epath


# Images of a chunk, by `verify`: enough to make handing over cheap, few enough to keep
# all workers busy to the end.
_CHUNKS = {"decode": 128, "header": 1024}

# Of very many images, a chunk is this share, so that there aren't too many chunks.
_LARGEST_SHARE = 1 / 8192
_MOST_IN_CHUNK = 1024

# A file that couldn't be read.
_NO_FILE = files.File(-1, b"", -1)

#: The columns that say where converted images are.
CONVERTED = ("stored_file", "stored_offset", "stored_size")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What the images of a label table are.

    Attributes:
      rows: the rows of the label table with usable images, in their order, with
        further columns: `kind` (see `kinds`), `size` (int64: bytes of the file),
        `digest` (`arrays.DIGEST`: see `files.digest_of`) and `modified` (int64: see
        `files.File`). If images were converted, also where the stored bytes are:
        `stored_file` (`arrays.CODES`: a file of converted images; empty for the
        image's own), `stored_offset` (int64: where they begin in that file) and
        `stored_size` (int64: how many they are). Last, what `measures` gives.
      problems: the problems of the other rows' images.
      unusable: the files of the other rows that could be read, by key.
    """

    rows: pa.RecordBatch
    problems: tuple[Problem, ...]
    unusable: Mapping[str, files.File]


def inspect_images(
    image_dir: epath.Path,
    rows: pa.RecordBatch,
    options: ImageOptions | None = None,
    *,
    engine: Engine,
    converted_dir: epath.Path | None = None,
    measures: Sequence[Measure] = (),
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
      measures: functions of modules, which measure small pictures of the images in the
        workers; none with `verify="header"`. If one returns several bytes an image, its
        column is of `pyarrow.binary`.
      progress: called with the number of images inspected since the last call.
      meanwhile: see `engine.Engine`.

    Returns:
      The rows with usable images, and the problems of the others.
    """
    options = options or ImageOptions()
    measures = tuple(measures) if options.verify == "decode" else ()
    found = _Collected(len(rows), _measured(measures, SmallPictures()))
    with engine.share(rows.select(["key"])) as shared:
        about = options, measures
        chunks = chunks_of(image_dir, shared, about, options.verify, converted_dir)
        answers = engine.map(_inspect_chunk, chunks, meanwhile)
        for chunk, answer in zip(chunks, answers, strict=True):
            found.add(answer, chunk.rows)
            progress(chunk.rows)
    is_good = np.ones(len(rows), dtype=bool)
    is_good[list(found.refused)] = False
    of_refused = rows.filter(arrays.as_column(~is_good))
    refused = [
        (one, *about)
        for one, about in zip(
            found.refused.values(),
            arrays.named(of_refused, ("row", "key", "label")),
            strict=True,
        )
    ]
    return ImageTable(
        rows=arrays.with_columns(arrays.taken(rows, is_good), found.columns()),
        problems=tuple(
            Problem(one.kind, row, f"{key!r}{one.detail}", key=key, label=label)
            for one, row, key, label in refused
        ),
        unusable={key: one.file for one, _, key, _ in refused if one.file is not None},
    )


def files_of(
    keys: pa.Array, usable: pa.RecordBatch, unusable: Mapping[str, files.File]
) -> pa.RecordBatch:
    """Returns what the files of images are, whether or not these can be used.

    Args:
      keys: those of the images, sorted.
      usable: the images among them that can be used, see `ImageTable.rows`.
      unusable: the files of the others that could be read, by key.

    Returns:
      The columns `key`, `size`, `modified` (int64; -1 if the file couldn't be read) and
      `digest` (`arrays.TEXT`: hexadecimal digits; empty likewise).
    """
    sizes, modified = usable["size"], usable["modified"]
    digests = arrays.as_hex(usable["digest"])
    if len(usable) < len(keys):
        is_usable = pc.is_in(keys, value_set=usable["key"])
        mask = ~arrays.as_numpy(is_usable)
        at = pa.array(np.cumsum(~mask) - 1, mask=mask)
        left = keys.filter(arrays.as_column(mask)).to_pylist()
        others = [unusable.get(key, _NO_FILE) for key in left]

        def with_others(column: pa.Array, values: list[Any]) -> pa.Array:
            return pc.replace_with_mask(
                column.take(at), arrays.as_column(mask), pa.array(values, column.type)
            )

        sizes = with_others(sizes, [one.size for one in others])
        modified = with_others(modified, [one.modified for one in others])
        digests = with_others(digests, [one.digest.hex() for one in others])
    return pa.record_batch(
        {"key": keys, "size": sizes, "modified": modified, "digest": digests}
    )


def own_files(rows: pa.RecordBatch) -> dict[str, files.File]:
    """Returns the files of rows' own images, by key: of few rows."""
    about = arrays.named(rows, ("key", "size", "digest", "modified"))
    return {key: files.File(*file) for key, *file in about}


def chunks_of(
    image_dir: epath.Path,
    rows: SharedRows,
    about: tuple[Any, ...],
    verify: str,
    converted_dir: epath.Path | None,
) -> list[Chunk]:
    """Returns chunks of images that are read, and perhaps converted.

    Args:
      image_dir: the directory that the keys are relative to.
      rows: the images.
      about: what the chunks are about, besides the directory (str) and the file for
        converted images (str; empty to convert nothing), which come first.
      verify: as in `ImageOptions`.
      converted_dir: as for `inspect_images`.
    """
    if converted_dir is not None:
        # Not made by workers: one that outlives its build must not bring it back.
        converted_dir.mkdir(parents=True, exist_ok=True)
    count = len(rows)
    # Remote images are read ahead within a chunk only.
    least = 2 * files.READ_AHEAD if files.is_remote(image_dir) else 1
    most = max(_CHUNKS[verify], int(count * _LARGEST_SHARE))
    size = max(least, min(most, _MOST_IN_CHUNK, count // 32))
    chunks = []
    for number, at in enumerate(range(0, count, size)):
        converted = "" if converted_dir is None else f"{converted_dir}/{number}"
        place = os.fspath(image_dir), converted
        stop = min(at + size, count)
        chunks.append(Chunk((*place, *about), rows.slice(at, stop)))
    return chunks


class _Found(NamedTuple):
    """The usable images of a chunk, and the others.

    Attributes:
      kinds: each combination of facts. Most images are alike.
      kind_of: the position of each image's combination, int32.
      sizes: the bytes of the files, int64.
      digests: those of the files, one after the other.
      modified: when they were, int64; see `files.File`.
      converted: the file, the offset and the size of converted images, by position.
      measured: what the measures give.
      refused: why images are unusable, by their position in the chunk.
    """

    kinds: Sequence[tuple[Facts, Stored]]
    kind_of: arrays.Codes
    sizes: arrays.Ints
    digests: bytes
    modified: arrays.Ints
    converted: Mapping[int, tuple[str, int, int]]
    measured: Mapping[str, npt.NDArray[Any]]
    refused: Mapping[int, Refused]


class _Collected:
    """What the chunks have found, one after the other.

    Args:
      rows: how many images there are.
      measured: what is measured of no image.
    """

    def __init__(self, rows: int, measured: Mapping[str, npt.NDArray[Any]]) -> None:
        #: Why images are unusable, by row.
        self.refused: dict[int, Refused] = {}
        self._rows = 0
        self._images = 0
        self._kinds: dict[tuple[Facts, Stored], int] = {}
        self._kind_of = np.empty(rows, np.int32)
        self._sizes = np.empty(rows, np.int64)
        self._modified = np.empty(rows, np.int64)
        self._digests = np.empty((rows, arrays.DIGEST.byte_width), np.uint8)
        self._converted: dict[int, tuple[str, int, int]] = {}
        self._measured = {
            name: np.zeros((rows, *values.shape[1:]), values.dtype)
            for name, values in measured.items()
        }

    def add(self, found: _Found, rows: int) -> None:
        """Adds what a chunk of some rows has found."""
        start, stop = self._images, self._images + len(found.sizes)
        for at, one in found.refused.items():
            self.refused[self._rows + at] = one
        for at, place in found.converted.items():
            self._converted[start + at] = place
        numbers = [
            self._kinds.setdefault(kind, len(self._kinds)) for kind in found.kinds
        ]
        if start < stop:
            self._kind_of[start:stop] = np.array(numbers, np.int32)[found.kind_of]
        self._sizes[start:stop] = found.sizes
        self._modified[start:stop] = found.modified
        digests = np.frombuffer(found.digests, np.uint8)
        self._digests[start:stop] = digests.reshape(-1, arrays.DIGEST.byte_width)
        for name, values in found.measured.items():
            self._measured[name][start:stop] = values
        self._images, self._rows = stop, self._rows + rows

    def columns(self) -> dict[str, pa.Array]:
        """Returns the columns of the usable images."""
        count = self._images
        columns = {
            "kind": kinds.as_column(list(self._kinds), self._kind_of[:count]),
            "size": arrays.as_column(self._sizes[:count]),
            "digest": arrays.as_digests(self._digests[:count]),
            "modified": arrays.as_column(self._modified[:count]),
        }
        if self._converted:
            at = list(self._converted)
            of_file, offsets, sizes = zip(*self._converted.values(), strict=True)
            in_file = np.full(count, len(at), np.int32)
            in_file[at] = np.arange(len(at))
            stored_offsets = np.zeros(count, np.int64)
            stored_sizes = self._sizes[:count].copy()
            stored_offsets[at], stored_sizes[at] = offsets, sizes
            stored = (
                arrays.merged(in_file, [*of_file, ""]),
                stored_offsets,
                stored_sizes,
            )
            columns |= dict(zip(CONVERTED, map(pa.array, stored), strict=True))
        for name, values in self._measured.items():
            columns[name] = arrays.as_column(values[:count])
        return columns


class Refused(NamedTuple):
    """Why an image is unusable, and its file, if that could be read."""

    kind: Kind
    detail: str
    file: files.File | None


class ConvertedFile:
    """Converted images, one after the other in a file that is made with the first.

    Args:
      path: the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._end = 0
        self._file: IO[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ConvertedFile:
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


class _Inspector:
    """Inspects the images of a chunk, one after the other.

    Args:
      options: what the dataset asks for.
      measures: as for `inspect_images`.
      converted_file: takes the converted images; if its path is empty, none is
        converted.
    """

    def __init__(
        self,
        options: ImageOptions,
        measures: Sequence[Measure],
        converted_file: ConvertedFile,
    ) -> None:
        self._options = options
        self._decode = options.verify == "decode"
        self._measures = measures
        self._converted_file = converted_file
        self._pictures = SmallPictures()
        self._known: dict[Facts, tuple[int, bool]] = {}
        self._kinds: list[tuple[Facts, Stored]] = []
        self._kind_of: list[int] = []
        self._sizes: list[int] = []
        self._digests: list[bytes] = []
        self._modified: list[int] = []
        self._converted: dict[int, tuple[str, int, int]] = {}
        self._refused: dict[int, Refused] = {}

    def add(self, content: bytes, modified: int) -> None:
        """Inspects the next image, and converts it if it has to be.

        Args:
          content: its file.
          modified: when the file was; see `files.File`.

        Raises:
          UnusableImageError: if it is unusable.
        """
        options, decode = self._options, self._decode
        see = self._add_small if self._measures else None
        facts = formats.read_facts(
            content,
            max_pixels=options.max_pixels,
            decode=decode,
            is_decoded_later=lambda facts: self._kind(facts)[1],
            see=see,
        )
        number, is_converted = self._kind(facts)
        if is_converted:
            converted = convert.convert(
                content, facts, options, check_end=decode, see=see
            )
            place = self._converted_file.append(converted)
            self._converted[len(self._sizes)] = place
        self._kind_of.append(number)
        self._sizes.append(len(content))
        self._digests.append(files.digest_of(content))
        self._modified.append(modified)

    def refuse(
        self, at: int, error: UnusableImageError, file: files.File | None
    ) -> None:
        """Notes why the next image is unusable.

        Args:
          at: its position in the chunk.
          error: the reason.
          file: its file; None if that couldn't be read.
        """
        self._pictures.keep(len(self._sizes))
        self._refused[at] = Refused(error.kind, error.detail, file)

    def found(self) -> _Found:
        """Returns what the images are."""
        return _Found(
            kinds=self._kinds,
            kind_of=np.array(self._kind_of, np.int32),
            sizes=np.array(self._sizes, np.int64),
            digests=b"".join(self._digests),
            modified=np.array(self._modified, np.int64),
            converted=self._converted,
            measured=_measured(self._measures, self._pictures),
            refused=self._refused,
        )

    def _kind(self, facts: Facts) -> tuple[int, bool]:
        """Returns the number of a combination, and whether it is converted here."""
        kind = self._known.get(facts)
        if kind is None:
            stored_form.check(facts, self._options)
            stored = stored_form.stored_as(facts, self._options)
            is_converted = bool(self._converted_file.path and stored.conversion)
            kind = self._known[facts] = len(self._kinds), is_converted
            self._kinds.append((facts, stored))
        return kind

    def _add_small(self, picture: Any, facts: Facts) -> None:
        convert.add_small(self._pictures, picture, facts, self._options)


def _inspect_chunk(chunk: Chunk) -> _Found:
    """Inspects the images of a chunk, and converts those that have to be."""
    image_dir, converted_path, options, measures = chunk.about
    reader = files.FileReader(image_dir)
    with ConvertedFile(converted_path) as converted_file:
        inspector = _Inspector(options, measures, converted_file)
        for at, read in enumerate(reader.readers(chunk.columns["key"])):
            content = None
            try:
                content = read()
                inspector.add(content, reader.modified)
            except UnusableImageError as error:
                file = None
                if content is not None:
                    digest = files.digest_of(content)
                    file = files.File(len(content), digest, reader.modified)
                inspector.refuse(at, error, file)
    return inspector.found()


def _measured(
    measures: Sequence[Measure], pictures: SmallPictures
) -> dict[str, npt.NDArray[Any]]:
    """Returns all that is measured of some pictures."""
    found: dict[str, npt.NDArray[Any]] = {}
    for measure in measures:
        found |= measure(pictures)
    return found
