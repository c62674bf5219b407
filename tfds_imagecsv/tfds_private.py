"""All uses of TFDS's private names."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import itertools
import json
import logging
import multiprocessing
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import (
    dataset_info,
    file_adapters,
    read_only_builder,
)
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.utils import shard_utils

from tfds_imagecsv import exceptions
from tfds_imagecsv.config import ImageCsvConfig

#: What a command prints when Ctrl-C stops it.
STOPPED = "Stopped."

# The package of the `tfds` command, loaded only if the command runs. If TFDS renames
# it, users will see stack traces again.
_TFDS_COMMAND = "tensorflow_datasets.scripts.cli"


def _lacks(what: str) -> AttributeError:
    """Returns the error for a name that TFDS no longer has."""
    return AttributeError(
        f"{what} any more in tensorflow-datasets {tfds.__version__}: tfds_imagecsv has"
        " to be adapted."
    )


def set_class_names(label: tfds.features.ClassLabel, names: Sequence[str]) -> None:
    """Sets the names of the classes, or replaces them.

    TFDS refuses to replace names, and restores those of a prepared dataset even if it
    is about to be overwritten.

    Args:
      label: the feature.
      names: the names in the order of the ids.
    """
    for attribute in ("_int2str", "_str2int", "_num_classes"):
        if not hasattr(label, attribute):
            raise _lacks(f"ClassLabel has no {attribute}")
        setattr(label, attribute, None)
    label.names = list(names)


def set_features(info: tfds.core.DatasetInfo, features: Any) -> None:
    """Sets features that were unknown when the info was made.

    Args:
      info: the dataset's.
      features: a `FeaturesDict`.
    """
    if not hasattr(info, "_features"):
        raise _lacks("DatasetInfo has no _features")
    info._features = features


def read_info(directory: epath.PathLike) -> Any:
    """Returns the message of protocol buffers in a dataset's `dataset_info.json`."""
    return dataset_info.read_from_json(dataset_info.dataset_info_path(directory))


def builder_of_files(
    name: str, data_dir: epath.PathLike | None
) -> tfds.core.DatasetBuilder | None:
    """Returns the builder of a prepared dataset, made without its code.

    Args:
      name: as in `tfds.load`.
      data_dir: TFDS's data directory; None for its own.

    Returns:
      The builder; None if there is no such dataset.
    """
    try:
        return read_only_builder.builder_from_files(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError):
        return None


def builder_of_directory(
    folder: epath.PathLike,
) -> tfds.core.DatasetBuilder | None:
    """Returns the builder of the prepared dataset in a directory; None without one.

    Args:
      folder: the directory of the records.
    """
    if not dataset_info.dataset_info_path(folder).exists():
        return None
    try:
        return read_only_builder.builder_from_directory(folder)
    except (OSError, ValueError, KeyError):
        return None


def undecoded(builder: tfds.core.DatasetBuilder, split: str) -> Iterator[Any]:
    """Yields examples as dictionaries, with images as bytes, in the order of shards.

    Args:
      builder: a prepared dataset's.
      split: a split's name, or a part of it as TFDS writes it.
    """
    if builder.info.file_format == file_adapters.FileFormat.ARRAY_RECORD:
        deserialize = tfds.decode.DeserializeMethod.DESERIALIZE_NO_DECODE
        source = builder.as_data_source(split, deserialize_method=deserialize)
        for at in range(len(source)):
            yield _of_example(source[at], builder.info.features)
        return
    skip = {"image": tfds.decode.SkipDecoding()}
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    yield from tfds.as_numpy(
        builder.as_dataset(split=split, decoders=skip, read_config=in_order)
    )


def _of_example(example: Any, features: tfds.features.FeaturesDict) -> dict[str, Any]:
    """Returns the values of a `tf.train.Example` by the names of their features."""
    found: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind")).value
        is_one = features[name].shape == () or name == "image"
        found[name] = values[0] if is_one else list(values)
    return found


def forget_builder_configs() -> None:
    """Lets TFDS look at the `BUILDER_CONFIGS` of all builders again.

    TFDS caches `builder_configs`, and wouldn't see later ones.
    """
    remembered = vars(tfds.core.DatasetBuilder)["builder_configs"].fget.__func__
    if not hasattr(remembered, "cache_clear"):
        raise _lacks("DatasetBuilder.builder_configs has no cache")
    remembered.cache_clear()


def progress_bar(total: int | None, description: str, unit: str = " images") -> Any:
    """Returns a `tqdm` bar, or a silent one after `disable_progress_bar`.

    Args:
      total: the number of images; None if unknown.
      description: the text before the bar.
      unit: what is counted.
    """
    return tfds.core.utils.tqdm(total=total, desc=description, unit=unit, leave=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardRule:
    """TFDS's rules for how many shards a split has, and where they end.

    Attributes:
      num_shards: the number that the user asks for; None or 0 for TFDS's.
      min_shard_size: bytes, 1 or more.
      max_shard_size: bytes, 1 or more.

    Raises:
      ConfigError: if a value is less.
    """

    num_shards: int | None
    min_shard_size: int
    max_shard_size: int

    def __post_init__(self) -> None:
        """Checks the values."""
        for name, least in (
            ("num_shards", 0),
            ("min_shard_size", 1),
            ("max_shard_size", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise exceptions.ConfigError(
                    f"{name} must be at least {least}, got {value}"
                )

    def number(self, total_size: int, examples: int) -> int:
        """Returns how many shards a split has.

        It is TFDS's number. If TFDS finds none, for few large records, it is the least
        number that keeps to `max_shard_size`, or a shard for each record.

        Args:
          total_size: the bytes of all its records.
          examples: the number of its records.
        """
        if self.num_shards:
            return self.num_shards
        # TFDS reads the sizes from the class, not from the instance, and finds no
        # number unless the least size is well below the most.
        sizes = {
            "min_shard_size": min(
                self.min_shard_size, max(1, self.max_shard_size // 2)
            ),
            "max_shard_size": self.max_shard_size,
        }
        config = type("ShardConfig", (shard_utils.ShardConfig,), sizes)()
        in_files = total_size + examples * config.overhead
        wanted = int(in_files // self.max_shard_size)
        least = min(wanted, examples)
        # Above 1024 shards, TFDS tries multiples of 1024, endlessly if there are too
        # few examples; below, it falls back to one shard.
        if wanted > 1024 and -(-wanted // 1024) * 1024 > examples:
            return least
        number: int = config.get_number_shards(total_size, examples)
        return max(number, least)

    def ends(self, examples: int, shards: int) -> Sequence[int]:
        """Returns the end of each shard, in records from the beginning of the split.

        Args:
          examples: how many records the split has.
          shards: how many shards it has.

        Raises:
          ConfigError: if there are fewer records than shards.
        """
        if examples < shards:
            raise exceptions.ConfigError(
                "num_shards must not be larger than the number of examples of a split,"
                f" {examples}, got {shards}"
            )
        ends: Sequence[int] = shard_utils.get_shard_boundaries(examples, shards)
        return ends


def shard_rule(download_config: tfds.download.DownloadConfig) -> ShardRule:
    """Returns the rules for shards that a download config asks for.

    Raises:
      ConfigError: if they are impossible.
    """
    config = download_config.get_shard_config()
    # In TFDS's documentation of `DownloadConfig`, None stands for the default.
    return ShardRule(
        num_shards=config.num_shards,
        min_shard_size=config.min_shard_size or shard_utils.DEFAULT_MIN_SHARD_SIZE,
        max_shard_size=config.max_shard_size or shard_utils.DEFAULT_MAX_SHARD_SIZE,
    )


def shard_paths(
    builder: tfds.core.DatasetBuilder, shards: Iterable[Any]
) -> list[epath.Path]:
    """Returns the paths of the files of shards, by `split`, `number` and `of`."""
    return [
        builder._get_filename_template(shard.split).sharded_filepath(
            shard_index=shard.number, num_shards=shard.of
        )
        for shard in shards
    ]


def set_splits(
    builder: tfds.core.DatasetBuilder, shards: Sequence[Any], sizes: Sequence[int]
) -> None:
    """Sets the splits of a dataset.

    Args:
      builder: the dataset's.
      shards: its files, with `split`, `start` and `stop`, in order.
      sizes: the bytes of the records of each.
    """
    lengths: dict[str, list[int]] = {}
    num_bytes: dict[str, int] = {}
    for shard, size in zip(shards, sizes, strict=True):
        lengths.setdefault(shard.split, []).append(shard.stop - shard.start)
        num_bytes[shard.split] = num_bytes.get(shard.split, 0) + size
    infos = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=lengths[split],
            num_bytes=num_bytes[split],
            filename_template=builder._get_filename_template(split),
        )
        for split in lengths
    ]
    builder.info.set_splits(tfds.core.SplitDict(infos))


def download(
    manager: tfds.download.DownloadManager, url: str, *, anew: bool
) -> tuple[epath.Path, bool]:
    """Returns the file of a URL, and whether it was downloaded now.

    Args:
      manager: TFDS's; with `anew`, one that hasn't downloaded the URL yet.
      url: the URL.
      anew: whether to download it again. TFDS's own option for that fails if the
        content has changed.
    """
    path = manager._get_dl_path(resource.Resource(url=url))
    if anew:
        for one in (path, resource.get_info_path(path)):
            one.unlink(missing_ok=True)
    is_new = not resource.is_locally_cached(path)
    return manager.download(url), is_new


def write_records(path: str, file_format: str, records: Iterable[bytes]) -> None:
    """Writes a file with TFDS's writer.

    Args:
      path: the file.
      file_format: TFDS's name of its format.
      records: its records, in order.
    """
    adapter = file_adapters.ADAPTER_FOR_FORMAT[file_adapters.FileFormat(file_format)]
    adapter.write_examples(path, ((b"", record) for record in records))


class _Silence(logging.Filter):
    """Leaves out lines of TFDS's log that tell users of this package nothing.

    One shows a whole config; another says which file a missing folder lacks.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a line is logged."""
        text = str(record.msg)
        values: Sequence[Any] = record.args if isinstance(record.args, tuple) else ()
        if text.startswith("Using custom data configuration") and values:
            return not isinstance(values[0], ImageCsvConfig)
        if text.startswith("Variant folder") and values:
            with contextlib.suppress(OSError):
                return bool(epath.Path(values[0]).exists())
        return True


def silence_log() -> None:
    """Leaves out TFDS's log lines about a dataset that doesn't exist yet."""
    logger = logging.getLogger("absl")
    if not any(isinstance(one, _Silence) for one in logger.filters):
        logger.addFilter(_Silence())


def show_note(message: Warning | str, *_: Any, **__: Any) -> None:
    """Prints a warning as a note, without its line of code."""
    print(f"Note: {message}", file=sys.stderr)


# The texts that the `tfds` command prints last.
_at_end: list[str] = []


def is_in_command() -> bool:
    """Returns whether this process is that of the `tfds` command."""
    return _TFDS_COMMAND in sys.modules


def print_at_end(text: str) -> None:
    """Prints a text after the output of the `tfds` command about a dataset.

    Elsewhere, it prints nothing; the other processes of the command print it at once.
    """
    if not is_in_command():
        return
    if multiprocessing.parent_process() is None:
        _at_end.append(text)
    else:
        print(text, flush=True)


def _print_rest() -> None:
    while _at_end:
        print(_at_end.pop(0), end="\n\n" if _at_end else "\n", flush=True)


def speak_to_users() -> None:
    """Lets the `tfds` command speak to the users of this package.

    It prints only the message of an `ImageCsvError`: a stack trace says nothing about a
    mistake in a CSV, and hides the message. The same holds for invalid JSON in the
    command's flags, and for Ctrl-C. Warnings of this package are notes. Other programs,
    other errors and other warnings are unaffected.
    """
    if not is_in_command():
        return
    show_with_traceback, show_with_line = sys.excepthook, warnings.showwarning

    def show(
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        _print_rest()
        if isinstance(error, exceptions.ImageCsvError):
            print(f"Error: {error}", file=sys.stderr)
        elif isinstance(error, KeyboardInterrupt):
            print(STOPPED, file=sys.stderr)
        elif isinstance(error, json.JSONDecodeError) and (flag := _flag_of(error.doc)):
            print(
                f"Error: {flag} isn't JSON: {error}, got {error.doc}\nPut all of it"
                " in single quotes, and names and texts within it in double quotes.",
                file=sys.stderr,
            )
        else:
            show_with_traceback(kind, error, traceback)

    def show_warning(
        message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any
    ) -> None:
        if issubclass(category, exceptions.ImageCsvWarning):
            show_note(message)
        else:
            show_with_line(message, category, *args, **kwargs)

    sys.excepthook = show
    warnings.showwarning = show_warning
    # Each dataset has its own notes, even if they are the same.
    warnings.simplefilter("always", exceptions.ImageCsvWarning)
    atexit.register(_print_rest)


def _flag_of(value: str) -> str | None:
    """Returns the command line's flag with a value, if there is one."""
    for before, argument in itertools.pairwise(sys.argv):
        flag, equals, rest = argument.partition("=")
        if not flag.startswith("--"):
            flag, equals, rest = before, "=", argument
        if equals and rest == value and flag.startswith("--"):
            return flag
    return None
