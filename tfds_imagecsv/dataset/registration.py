"""The datasets that `image_csv/NAME` stands for, and who registered them."""

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
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, map_paths

with epy.lazy_imports():
    import tomllib

# TFDS's name of `ImageCsv`.
BUILDER_NAME = "image_csv"

# The dataset of this package. Its README.md and CITATIONS.bib are the package's.
BUILT_IN = ImageCsvConfig(
    name="cifar10",
    description="Kaggle's CIFAR-10: 50,000 labelled 32x32 images, 10 classes.",
    homepage="https://www.kaggle.com/c/cifar-10",
    image_dir="train",
    label_csv="trainLabels.csv",
    filename_column="id",
    label_column="label",
    filename_suffix=".png",
    val_size=0.3,
    test_size=0.1,
)

# The `BUILDER_CONFIGS` of `ImageCsv`; the built-in one comes first.
CONFIGS = [BUILT_IN]

# The environment variable that names the TOML files to register at import.
TOML_VARIABLE = "TFDS_IMAGECSV_TOML"

# The group of entry points that installed packages use.
ENTRY_POINTS = "tfds_imagecsv.datasets"

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# The separator of paths, as in PATH, but not the colon of `gs://`.
_BETWEEN_PATHS = re.compile(re.escape(os.pathsep) + "(?!//)")

# The names of TOML tables that need no quotes.
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclasses.dataclass(frozen=True)
class _Registered:
    """A config, and the place that registers it."""

    config: ImageCsvConfig
    place: str


@dataclasses.dataclass(frozen=True)
class _Registry:
    """What this process has registered.

    Attributes:
      registered: the configs by name, without the built-in ones.
      postponed: entry points whose package was still being imported.
      failures: what couldn't be registered at import, and why.
    """

    registered: dict[str, _Registered] = dataclasses.field(default_factory=dict)
    postponed: list[importlib.metadata.EntryPoint] = dataclasses.field(
        default_factory=list
    )
    failures: list[str] = dataclasses.field(default_factory=list)


_registry = _Registry()


def register(*configs: ImageCsvConfig) -> None:
    """Registers configs, so that `image_csv/<name>` works in this process.

    `tfds.load` and `tfds.builder` then know the names, and so does `tfds build` with
    the calling module as `--imports`. The same config may be registered again. Relative
    paths are looked up in TFDS's manual directory.

    Args:
      *configs: those of the datasets.

    Raises:
      ConfigError: if given anything but an `ImageCsvConfig`, or if a name is taken by a
        built-in dataset or another config. Nothing is registered then.
    """
    caller = sys._getframe(1)
    place = f"{caller.f_code.co_filename}, line {caller.f_lineno}"
    _register((place, config) for config in configs)


def register_toml(path: str | os.PathLike[str]) -> None:
    """Registers the configs of a TOML file.

    Each table is a dataset: its name is the dataset's name, its keys are the other
    fields of the `ImageCsvConfig`:

        [pets]
        image_dir = "images"
        label_csv = "labels.csv"

    Relative paths are relative to the file's folder.

    Args:
      path: the file; absolute, relative to the current folder, with `~`, or remote.

    Raises:
      ConfigError: if the file can't be read, isn't TOML, or has no table; if a table is
        no config, or can't be registered (see `register`). The message names all
        problems of the file. Nothing of it is registered then.
    """
    file = _absolute(path)
    _register(
        (f"{file}, {_header(name)}", _config_of_table(name, table, file.parent))
        for name, table in _read_tables(file).items()
    )


def config_of_toml(
    path: str | os.PathLike[str], name: str | None = None
) -> ImageCsvConfig:
    """Returns a config of a TOML file, without registering it.

    Args:
      path: the file, as for `register_toml`.
      name: the name of its table; None if there is only one.

    Raises:
      ConfigError: if the file or the table can't be used, or there are several tables.
    """
    file = _absolute(path)
    tables = _read_tables(file)
    known = ", ".join(tables)
    if name is None and len(tables) > 1:
        raise exceptions.ConfigError(
            f"{file}: there are {len(tables)} datasets: {known}. Name one after a"
            f" colon: {path}:{next(iter(tables))}"
        )
    name = next(iter(tables)) if name is None else name
    if name not in tables:
        raise exceptions.ConfigError(
            f"{file}: there is no {_header(name)}. It has: {known}"
        )
    config = _config_of_table(name, tables[name], file.parent)
    if isinstance(config, exceptions.ConfigError):
        raise exceptions.ConfigError(f"{file}, {_header(name)}: {config}")
    return config


def _absolute(path: str | os.PathLike[str]) -> epath.Path:
    return epath.Path(pathlib.Path.cwd()) / epath.Path(path).expanduser()


def _read_tables(file: epath.Path) -> dict[str, Any]:
    """Returns the tables of a TOML file; raises a `ConfigError` if there is none."""
    tables = _read_toml(file)
    if not tables:
        raise exceptions.ConfigError(
            f"{file}: there is no table. Write one for each dataset: its name in"
            " brackets, such as [pets], and the fields of its config below."
        )
    return tables


def register_installed() -> None:
    """Registers what the environment variable and installed packages name.

    A failure is a warning, so that this package can be imported. The message for an
    unknown dataset repeats it.
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
            # It may be importing us, and not be ready.
            _registry.postponed.append(entry_point)
        elif failure is not None:
            _fail(failure)


def register_postponed() -> None:
    """Registers the entry points whose package wasn't ready."""
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
      name: the config's name, with or without a version (`pets:1.0.0`).
      version: the dataset's version, if the name has none; default: the class's.

    Raises:
      ConfigError: if there is none. The message lists the known ones, and says how to
        register one.
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
    """Returns a config, or the known one that equals it.

    Args:
      builder_cls: `ImageCsv`, or a class that is derived from it.
      config: the config.

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
    """Registers all configs, or none of them if one can't be registered.

    Args:
      entries: the place of each config, and the config or its error.

    Raises:
      ConfigError: about all problems.
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
    # In place: `tfds build image_csv` may be iterating over this list.
    CONFIGS.extend(one.config for one in new)
    tfds_private.forget_builder_configs()


def _problem(known: Mapping[str, _Registered], config: object) -> str | None:
    """Returns why a config can't be registered; None if it can."""
    if isinstance(config, exceptions.ConfigError):
        return str(config)
    # TFDS's `--config` needs configs of one class.
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
    """Returns the fields in which two configs differ, one a line."""
    if known is config:
        return ""
    lines = []
    for field in dataclasses.fields(known):
        there, here = _shown(known, field.name), _shown(config, field.name)
        if there != here:
            lines.append(f"  {field.name}: {there} there, {here} here")
    return "\n".join(lines)


def _shown(config: ImageCsvConfig, field: str) -> str:
    """Returns a field's value as text, in which 1 differs from 1.0."""
    value = getattr(config, field)
    return repr(str(value) if isinstance(value, tfds.core.Version) else value)


def _unknown(builder_cls: type[tfds.core.DatasetBuilder], name: str) -> str:
    """Returns the message for an unknown name."""
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
    """Returns the content of a TOML file; raises a `ConfigError` if it can't."""
    try:
        # Windows editors write a byte-order mark, which TOML forbids.
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
    """Returns the header of a table."""
    return f"table [{name}]" if _BARE_KEY.fullmatch(name) else f'table ["{name}"]'


def _config_of_table(
    name: str, table: object, folder: epath.Path
) -> ImageCsvConfig | exceptions.ConfigError:
    """Returns the config of a table, or the error that it has."""
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

    def absolute(path: str) -> str:
        # The config refuses what is no path.
        is_relative = path.strip() and _is_relative(path)
        return os.fspath(folder / path) if is_relative else path

    for field in PATH_FIELDS:
        if field in values:
            values[field] = map_paths(values[field], absolute)
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
    """Registers what an entry point names; returns the reason if that fails."""
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
    """Returns the configs that an entry point's object gives."""
    # Importing a module or a builder has registered what it has.
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
