"""Tables of numbers, and conclusions about a table, as the commands print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import rich.box
import rich.markup
import rich.table

from tfds_imagecsv.problems import escaped, shown


def of_numbers(title: str, *numbers: str, **style: Any) -> rich.table.Table:
    """Returns a table with one column of names, the rest of numbers.

    Args:
      title: what the names are.
      *numbers: what the numbers are.
      **style: further arguments of `rich.table.Table`.
    """
    table = rich.table.Table(title, box=rich.box.SIMPLE_HEAD, pad_edge=False, **style)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def add_counts(table: rich.table.Table, name: str, counts: Sequence[int]) -> None:
    """Adds a row of whole numbers; its name may be any text."""
    table.add_row(rich.markup.escape(escaped(name)), *(f"{one:,}" for one in counts))


def read_as(understood: Mapping[str, str]) -> str:
    """Returns a line about what was concluded about a table.

    Args:
      understood: the conclusions, by what they are about.
    """
    conclusions = (f"{what}: {shown(value)}" for what, value in understood.items())
    return f"Read as {', '.join(conclusions)}"
