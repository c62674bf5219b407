"""A config for people to read: the fields that aren't defaults, and TOML."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfds_imagecsv import options
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, is_url, map_paths

# The most values of a field, and the most characters of a line and of the whole.
_MOST_VALUES = 200
_LONG = 600
_MOST_OF_CONFIG = 50_000

# Fields that change nothing in a dataset.
_LEFT_OUT = ("workers", "report")


def without_folders(config: ImageCsvConfig) -> ImageCsvConfig:
    """Returns a config with the names of files and directories, without their folders.

    Folders tell of somebody's home, and change nothing in a dataset. URLs stay.
    """
    found = copy.copy(config)
    for field in PATH_FIELDS:
        setattr(found, field, map_paths(getattr(config, field), _name_of))
    return found


def _name_of(path: str) -> str:
    """Returns the last part of a path; a URL as it is."""
    if is_url(path):
        return path
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path


def changed_fields(config: ImageCsvConfig) -> Iterator[tuple[str, str]]:
    """Yields the fields that aren't defaults, and their values as JSON."""
    for name, value in _values(config).items():
        if name == "name":
            continue
        text = json.dumps(value, ensure_ascii=False)
        yield name, text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _values(config: ImageCsvConfig) -> dict[str, Any]:
    """Returns the fields that aren't defaults, as values of JSON."""
    found = {}
    for field in dataclasses.fields(config):
        if field.name in _LEFT_OUT:
            continue
        value = getattr(config, field.name)
        if field.default is dataclasses.MISSING:
            is_default = field.default_factory is not dataclasses.MISSING and (
                value == field.default_factory()
            )
        else:
            is_default = options.is_frame(value) is False and value == field.default
        if not is_default:
            found[field.name] = _as_json(value)
    return found


def _as_json(value: Any) -> Any:
    if options.is_frame(value):
        return "(a table in memory)"
    if isinstance(value, Mapping):
        items = list(value.items())
        found = {str(key): _as_json(one) for key, one in items[:_MOST_VALUES]}
        if len(items) > _MOST_VALUES:
            found["…"] = f"and {len(items) - _MOST_VALUES:,} more"
        return found
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        found_list = [_as_json(one) for one in value[:_MOST_VALUES]]
        if len(value) > _MOST_VALUES:
            found_list.append(f"… and {len(value) - _MOST_VALUES:,} more")
        return found_list
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def toml(config: ImageCsvConfig) -> Iterator[str]:
    """Yields the config as a TOML table that `register_toml` reads."""
    left = _MOST_OF_CONFIG
    values = _values(config)
    yield f"[{_toml_value(values.pop('name', config.name))}]"
    for name, value in values.items():
        line = f"{name} = {_toml_value(value)}"
        left -= len(line)
        if left < 0:
            yield f"# {name} is too long for this page"
            continue
        yield line


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (
            f"{_toml_value(name)} = {_toml_value(one)}" for name, one in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, str):
        # TOML has JSON's escapes, and `\U` where JSON needs two.
        return '"' + "".join(map(_toml_character, value)) + '"'
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value)


def _toml_character(one: str) -> str:
    if one.isprintable():
        return json.dumps(one, ensure_ascii=False)[1:-1]
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"
