"""Tables as JSON Lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfds_imagecsv import exceptions
from tfds_imagecsv.table import cells


def read(
    text: str, place: str, list_delimiter: str | None
) -> tuple[list[str], Callable[[], Iterator[list[str]]]]:
    """Reads a table.

    Args:
      text: the lines.
      place: what it is, for messages.
      list_delimiter: what joins the items of a cell that holds a list; None if there
        must be none.

    Returns:
      The header, and a function that reads the rows; the first is line 1.

    Raises:
      SourceError: if a line isn't an object; the function, if a cell can't be a text.
    """
    # The texts of numbers are labels and names: 1.10 isn't 1.1.
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
    rows: list[Mapping[str, Any]] = []
    header: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        row: Any = {}
        if line.strip():
            try:
                row = decoder.decode(line)
            except json.JSONDecodeError as error:
                raise exceptions.SourceError(
                    f"{place}: line {number}: it isn't JSON: {error.msg} at column"
                    f" {error.colno}. Write a JSON object on each line, such as"
                    ' {"filename": "1.png", "label": "cat"}.'
                ) from None
            if not isinstance(row, dict):
                raise exceptions.SourceError(
                    f"{place}: line {number}: it isn't a JSON object, but"
                    f" {line.strip()[:60]}. Write a JSON object on each line, such as"
                    ' {"filename": "1.png", "label": "cat"}.'
                )
        rows.append(row)
        header |= {name: name.strip() for name in row}

    def records() -> Iterator[list[str]]:
        for number, row in enumerate(rows, 1):
            if not row:
                yield []
                continue
            yield [
                _as_text(row.get(name), f"{place}: line {number}: {name!r}", join)
                for name in header
            ]

    def join(where: str, items: Sequence[Any]) -> str:
        return cells.joined(
            [_as_text(item, where) for item in items], where, list_delimiter
        )

    return list(header.values()), records


def _as_text(
    value: Any, where: str, join: Callable[[str, Sequence[Any]], str] | None = None
) -> str:
    """Returns the text of a cell.

    Raises:
      SourceError: if it is an object, or a list and these can't be joined.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and join is not None:
        return join(where, value)
    kind = "an object" if isinstance(value, dict) else "a list within a list"
    raise exceptions.SourceError(
        f"{where} is {kind}. Cells must be texts, numbers, true, false, null, or lists"
        " of them."
    )
