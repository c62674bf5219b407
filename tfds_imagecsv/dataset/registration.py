"""Datasets that are known by name, as `image_csv/NAME`, and where each is from."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.metadata
import os
import pathlib
import re
import sys
import types
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig

with epy.lazy_imports():
    import tomllib

# What TFDS calls the builder whose configs these are.
BUILDER_NAME = "image_csv"

# The configs that `image_csv/NAME` stands for, first the built-in ones. It is the
# `BUILDER_CONFIGS` of `ImageCsv`.
CONFIGS = [
    ImageCsvConfig(
        name="cifar10",
        description="Kaggle's CIFAR-10: 50,000 labelled 32x32 images, 10 classes.",
        image_dir="train",
        label_csv="trainLabels.csv",
        filename_column="id",
        label_column="label",
        filename_suffix=".png",
        val_size=0.3,
        test_size=0.1,
    ),
]

# The environment variable with the TOML files that are registered at import.
TOML_VARIABLE = "TFDS_IMAGECSV_TOML"

# The group of the entry points by which installed packages register theirs.
ENTRY_POINTS = "tfds_imagecsv.datasets"

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# What separates paths, as in PATH; the colon of `gs://` doesn't.
_BETWEEN_PATHS = re.compile(re.escape(os.pathsep) + "(?!//)")

# What TOML takes as a table's name without quotes.
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclasses.dataclass(frozen=True)
class _Registered:
    """A config, and the place that registers it."""

    config: ImageCsvConfig
    place: str


@dataclasses.dataclass(frozen=True)
class _Registry:
    """What is registered, in this process.

    Attributes:
      registered: by name, without what is built in.
      postponed: entry points whose package was being imported.
      failures: what could not be registered when this package was imported, and why.
    """

    registered: dict[str, _Registered] = dataclasses.field(default_factory=dict)
    postponed: list[importlib.metadata.EntryPoint] = dataclasses.field(
        default_factory=list
    )
    failures: list[str] = dataclasses.field(default_factory=list)


_registry = _Registry()


def register(*configs: ImageCsvConfig) -> None:
    """Lets `image_csv/<name>` stand for each config, in this process.

    `tfds.load`, `tfds.builder` and `tfds build` then know the names, the latter if the
    module that calls this is given as `--imports`. A config may be registered again as
    long as it says the same. A relative path is one in TFDS's manual directory, as
    always.

    Args:
      *configs: of the datasets.

    Raises:
      ConfigError: if something else than an `ImageCsvConfig` is given, or a name is
        that of a built-in dataset, or of another config that is registered. Nothing is
        registered then.
    """
    caller = sys._getframe(1)
    place = f"{caller.f_code.co_filename}, line {caller.f_lineno}"
    _register((place, config) for config in configs)


def register_toml(path: str | os.PathLike[str]) -> None:
    """Registers the configs of a TOML file, which has a table for each dataset.

    The name of a table is the dataset's name, and its keys are the other fields of the
    `ImageCsvConfig`:

        [pets]
        image_dir = "images"
        label_csv = "labels.csv"

    Relative paths are relative to the file's folder; absolute ones, those that begin
    with `~` and remote ones stay as they are.

    Args:
      path: the file: absolute, relative to the current folder, beginning with `~`, or
        remote.

    Raises:
      ConfigError: if the file can't be read, isn't TOML, or has no table; if a table is
        not a config, or can't be registered (see `register`). All problems of the file
        are named, and nothing of it is registered.
    """
    file = epath.Path(pathlib.Path.cwd()) / epath.Path(path).expanduser()
    tables = _read_toml(file)
    if not tables:
        raise exceptions.ConfigError(
            f"{file}: there is no table. Write one for each dataset: its name in"
            " brackets, such as [pets], and the fields of its config below."
        )
    _register(
        (f"{file}, {_header(name)}", _config_of_table(name, table, file.parent))
        for name, table in tables.items()
    )


def register_installed() -> None:
    """Registers what the environment variable and the installed packages name.

    What is wrong with that doesn't keep this package from being imported. It is a
    warning, and is named again if a dataset can't be found.
    """
    for path in _BETWEEN_PATHS.split(os.environ.get(TOML_VARIABLE, "")):
        if path.strip():
            try:
                register_toml(path)
            except exceptions.ConfigError as error:
                _fail(f"the environment variable {TOML_VARIABLE}: {error}")
    entry_points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    for entry_point in sorted(entry_points, key=_place_of_entry_point):
        started = entry_point.module.partition(".")[0] in sys.modules
        failure = _register_entry_point(entry_point)
        if failure is not None and started:
            # It may be this package that imports us, and not have come any further.
            _registry.postponed.append(entry_point)
        elif failure is not None:
            _fail(failure)


def register_postponed() -> None:
    """Registers what could not be registered while it was being imported."""
    while _registry.postponed:
        failure = _register_entry_point(_registry.postponed.pop(0))
        if failure is not None:
            _fail(failure)


def named_config(
    builder_cls: type[tfds.core.DatasetBuilder], name: str, version: object = None
) -> ImageCsvConfig:
    """Returns the config of a name.

    Args:
      builder_cls: `ImageCsv`, or a class that is derived from it.
      name: of the config, perhaps with a version, as in `pets:1.0.0`.
      version: of the dataset, if there is none in the name; default: the class's.

    Raises:
      ConfigError: if there is none. It says which there are, and how to register one.
    """
    register_postponed()
    name, _, own_version = name.partition(":")
    config: ImageCsvConfig | None = builder_cls.get_builder_config(
        name=name, version=own_version or version or builder_cls.VERSION
    )
    if config is None:
        raise exceptions.ConfigError(_unknown(builder_cls, name))
    return config


def accepted_config(
    builder_cls: type[tfds.core.DatasetBuilder], config: ImageCsvConfig
) -> ImageCsvConfig:
    """Returns the config itself, or the one of its name that says the same.

    Args:
      builder_cls: `ImageCsv`, or a class that is derived from it.
      config: any.

    Raises:
      ConfigError: if another one has its name.
    """
    register_postponed()
    known: ImageCsvConfig | None = builder_cls.get_builder_config(
        name=config.name, version=config.version
    )
    if known is None or not (differences := _differences(known, config)):
        return known or config
    full_name = f"{builder_cls.name}/{config.name}"
    registered = _registry.registered.get(config.name)
    if registered is None or registered.config is not known:
        raise exceptions.ConfigError(
            f"name: {full_name} is a built-in dataset. Choose another name."
        )
    raise exceptions.ConfigError(
        f"name: {full_name} is registered by {registered.place}, with other"
        f" values:\n{differences}\nChoose another name."
    )


def _register(
    entries: Iterable[tuple[str, ImageCsvConfig | exceptions.ConfigError]],
) -> None:
    """Registers all configs, or none if something is wrong with one of them.

    Args:
      entries: the place of each config, and the config or what is wrong with it.

    Raises:
      ConfigError: about all that is wrong.
    """
    known = dict(_registry.registered)
    problems = []
    for place, config in entries:
        problem = _problem(known, config)
        if problem is not None:
            problems.append(f"{place}: {problem}")
        elif isinstance(config, ImageCsvConfig):
            known.setdefault(config.name, _Registered(config, place))
    if problems:
        raise exceptions.ConfigError("\n".join(problems))
    new = [known[name] for name in known if name not in _registry.registered]
    _registry.registered.update(known)
    # In place: `tfds build image_csv` may be going through this list.
    CONFIGS.extend(one.config for one in new)
    tfds_private.forget_builder_configs()


def _problem(known: Mapping[str, _Registered], config: object) -> str | None:
    """Returns why a config can't be registered, if it can't."""
    if isinstance(config, exceptions.ConfigError):
        return str(config)
    # Where configs are of several classes, TFDS can't make one for `--config`.
    if type(config) is not ImageCsvConfig:
        return f"an ImageCsvConfig must be given, got {type(config).__name__}"
    full_name = f"{BUILDER_NAME}/{config.name}"
    registered = known.get(config.name)
    if registered is None:
        if any(config.name == known.name for known in CONFIGS):
            return f"name: {full_name} is a built-in dataset. Choose another name."
        return None
    differences = _differences(registered.config, config)
    if not differences:
        return None
    return (
        f"name: {full_name} is registered already by {registered.place}, with other"
        f" values:\n{differences}\nChoose another name for one of them."
    )


def _differences(known: ImageCsvConfig, config: ImageCsvConfig) -> str:
    """Returns what two configs don't have in common, a line for each field."""
    if known is config:
        return ""
    lines = []
    for field in dataclasses.fields(known):
        there, here = _shown(known, field.name), _shown(config, field.name)
        if there != here:
            lines.append(f"  {field.name}: {there} there, {here} here")
    return "\n".join(lines)


def _shown(config: ImageCsvConfig, field: str) -> str:
    """Returns a field's value as it looks: 1 image is not 1.0 of all."""
    value = getattr(config, field)
    return repr(str(value) if isinstance(value, tfds.core.Version) else value)


def _unknown(builder_cls: type[tfds.core.DatasetBuilder], name: str) -> str:
    """Returns the message that there is no dataset of a name."""
    known = {config.name: "built in" for config in builder_cls.BUILDER_CONFIGS}
    lines = [f"There is no dataset {builder_cls.name}/{name}."]
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        lines[0] += f" Did you mean {builder_cls.name}/{close[0]}?"
    lines.append("These are known:")
    has_own = builder_cls.BUILDER_CONFIGS is not CONFIGS
    if not has_own:
        known |= {name: one.place for name, one in _registry.registered.items()}
    lines += [f"  {builder_cls.name}/{one}: {known[one]}" for one in sorted(known)]
    if has_own:
        return "\n".join(lines)
    if _registry.failures:
        lines.append("These could not be registered:")
        lines += ["  " + one.replace("\n", "\n  ") for one in _registry.failures]
    fields = f'{{"name": "{name}", "image_dir": "DIR", "label_csv": "FILE"}}'
    how_to = (
        f"To register it, call tfds_imagecsv.register(ImageCsvConfig(name={name!r},"
        " ...)) in a module that is imported (`tfds build --imports=MODULE`), or write"
        f" a {_header(name)} into a TOML file that the environment variable"
        f" {TOML_VARIABLE} names.\n"
        "To build it without that: tfds build image_csv --imports=tfds_imagecsv"
        f" --config='{fields}'"
    )
    return "\n".join([*lines, how_to])


def _read_toml(file: epath.Path) -> dict[str, Any]:
    """Returns what a TOML file has.

    Raises:
      ConfigError: if it can't be read, or isn't TOML.
    """
    try:
        # Editors of Windows write a byte-order mark, which TOML doesn't know.
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise exceptions.ConfigError(
            f"{file}: can't be read: {error.strerror or error}."
        ) from error
    except UnicodeDecodeError as error:
        raise exceptions.ConfigError(
            f"{file}: isn't UTF-8: {error.reason} at byte {error.start}. Save it as"
            " UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise exceptions.ConfigError(f"{file}: isn't TOML: {error}.") from error


def _header(name: str) -> str:
    """Returns how a table begins."""
    return f"table [{name}]" if _BARE_KEY.fullmatch(name) else f'table ["{name}"]'


def _config_of_table(
    name: str, table: object, folder: epath.Path
) -> ImageCsvConfig | exceptions.ConfigError:
    """Returns the config that a table is, or why it isn't one."""
    if not isinstance(table, dict):
        return exceptions.ConfigError(
            "must be a table with the fields of a config, got"
            f" {'an array' if isinstance(table, list) else repr(table)}"
        )
    if "name" in table:
        return exceptions.ConfigError(
            f"name: the table's name is the dataset's. Leave out {table['name']!r}."
        )
    values = dict(table)
    for field in PATH_FIELDS:
        path = values.get(field)
        # What is no path is refused by the config.
        if isinstance(path, str) and path.strip() and _is_relative(path):
            values[field] = os.fspath(folder / path)
    try:
        return ImageCsvConfig(name=name, **values)
    except exceptions.ConfigError as error:
        return error


def _is_relative(path: str) -> bool:
    return not (
        path.startswith("~")
        or _REMOTE.match(path)
        or pathlib.PurePath(path).is_absolute()
    )


def _register_entry_point(entry_point: importlib.metadata.EntryPoint) -> str | None:
    """Registers what an entry point names, or returns why that can't be done."""
    place = _place_of_entry_point(entry_point)
    try:
        configs = _configs_of(entry_point.load())
    except exceptions.ImageCsvError as error:
        return f"{place}: {error}"
    except (Exception, SystemExit) as error:
        return f"{place}: {type(error).__name__}: {error}"
    try:
        _register((place, config) for config in configs)
    except exceptions.ConfigError as error:
        return str(error)
    return None


def _configs_of(named: Any) -> Sequence[Any]:
    """Returns the configs that an entry point's object stands for."""
    # To import a module was all, and so it was with a builder, which TFDS registers.
    if isinstance(named, types.ModuleType) or (
        isinstance(named, type) and issubclass(named, tfds.core.DatasetBuilder)
    ):
        return ()
    if callable(named):
        named = named()
        if named is None:
            return ()
    return named if isinstance(named, list | tuple) else (named,)


def _place_of_entry_point(entry_point: importlib.metadata.EntryPoint) -> str:
    package = entry_point.dist.name if entry_point.dist else "unknown"
    return (
        f"the package {package} (entry point {entry_point.name} = {entry_point.value})"
    )


def _fail(failure: str) -> None:
    _registry.failures.append(failure)
    warnings.warn(
        f"Not registered: {failure}", exceptions.ImageCsvWarning, stacklevel=3
    )
