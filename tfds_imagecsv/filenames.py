"""File names that are made of a CSV's columns, as `"{id}.png"` says."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Mapping, Sequence

from tfds_imagecsv import exceptions, tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
    """How file names are made of cells.

    Attributes:
      columns: the names of the columns that are used, each once.
      pattern: the text for `str.format`, whose fields are the positions in `columns`.
    """

    columns: tuple[str, ...]
    pattern: str

    def positions(self, path: object, header: Sequence[str]) -> Mapping[str, int]:
        """Returns the position of each column, from 0, by its field in the template.

        Args:
          path: the CSV.
          header: the names of its columns.

        Raises:
          SourceError: if there is no such column, or more than one.
        """
        positions = {}
        for name in self.columns:
            at = tables.position("filename_template", path, header, name)
            positions[f"{{{name}}}"] = at
        return positions

    def fill(self, cells: Sequence[str]) -> str:
        """Returns a file name; empty if a cell is empty.

        Args:
          cells: those of the columns.
        """
        return self.pattern.format(*cells) if all(cells) else ""


def parse(text: object) -> Template:
    """Returns the template that a text stands for.

    Names of columns are in braces, such as `"{folder}/{id}.png"`; braces that are
    meant as such are doubled. There is nothing else of Python's format language:
    what is in the braces is a name, whatever its characters.

    Args:
      text: the text.

    Raises:
      ConfigError: if it isn't such a text.
    """
    try:
        return _parsed(text)
    except ValueError as error:
        raise exceptions.ConfigError(
            "filename_template must be a text with names of columns in braces, such as"
            f" '{{id}}.png', got {text!r}: {error}"
        ) from None


def _parsed(text: object) -> Template:
    """Returns a template; raises a `ValueError` that says why it can't."""
    if not isinstance(text, str):
        raise ValueError("it isn't a string")  # noqa: TRY004 - as what parsing raises
    columns: dict[str, int] = {}
    pattern = ""
    for literal, name, spec, conversion in string.Formatter().parse(text):
        pattern += literal.replace("{", "{{").replace("}", "}}")
        if name is None:
            continue
        if not name.strip():
            raise ValueError("a pair of braces is empty")
        if spec or conversion:
            raise ValueError("a name has ':' or '!' behind it")
        pattern += f"{{{columns.setdefault(name, len(columns))}}}"
    if not columns:
        raise ValueError("it names no column")
    return Template(columns=tuple(columns), pattern=pattern)
