"""How `tfds-imagecsv compare` shows what has changed between two versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import rich.console
import rich.markup
import rich.table

from tfds_imagecsv.prepared.compare import Comparison, transitions
from tfds_imagecsv.problems import escaped, named
from tfds_imagecsv.reports import tables

#: The most drifted classes, names and kinds of changes that are shown; JSON has all.
MOST_CLASSES = 40
_MOST_NAMES = 10


@dataclasses.dataclass(frozen=True)
class Change:
    """The examples that have changed in one way.

    Attributes:
      title: the way.
      count: how many there are.
      lines: the first of them by name; where it matters, with old and new value.
    """

    title: str
    count: int
    lines: tuple[str, ...]


def changes_of(found: Comparison) -> list[Change]:
    """Returns the ways in which examples have changed, as texts for people."""
    parts = (
        ("New", found.added),
        ("Gone", found.gone),
        ("Moved to another split", found.moved),
        ("Relabelled", found.relabelled),
        ("Replaced by other bytes", found.replaced),
    )
    return [
        Change(
            title,
            len(changed),
            tuple(_by_kind(changed))
            if changed is found.moved or changed is found.relabelled
            else (_named(changed),),
        )
        for title, changed in parts
        if len(changed)
    ]


def _by_kind(changed: pa.RecordBatch) -> Iterator[str]:
    """Yields the most frequent kinds of changes, each with some names."""
    of_kind = transitions(changed)
    for (old, new), count in list(of_kind.items())[:_MOST_NAMES]:
        is_it = pc.and_(pc.equal(changed["old"], old), pc.equal(changed["new"], new))
        yield (
            f"{escaped(old) or 'none'} -> {escaped(new) or 'none'} ({count:,}):"
            f" {_named(changed.filter(is_it))}"
        )
    if len(of_kind) > _MOST_NAMES:
        yield f"... and {len(of_kind) - _MOST_NAMES:,} more kinds of changes"


def _named(rows: pa.RecordBatch) -> str:
    """Returns the names of the first rows, and how many more there are."""
    first = rows["key"][:_MOST_NAMES].to_pylist()
    more = len(rows) - len(first)
    return named(first, _MOST_NAMES) + (f" and {more:,} more" if more else "")


def print_comparison(
    found: Comparison, console: rich.console.Console | None = None
) -> None:
    """Prints what has changed: names first, then counts.

    Args:
      found: what has changed.
      console: where to print; default: standard output.
    """
    console = console or rich.console.Console(highlight=False)

    def line(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    line(f"Old: {escaped(found.old['name'])}")
    line(f"New: {escaped(found.new['name'])}")
    changes = changes_of(found)
    for change in changes:
        line(f"\n{change.title} ({change.count:,}):")
        for text in change.lines:
            line(f"  {text}")
    if not changes:
        line("\nThe same examples, in the same splits, with the same labels.")
    console.print()
    console.print(_splits_table(found))
    if found.drifted:
        console.print()
        console.print(_drift_table(found))


def _splits_table(found: Comparison) -> rich.table.Table:
    table = tables.of_numbers("Splits", "old", "new", "change")
    *of_splits, total = sizes_of(found)
    for row in of_splits:
        table.add_row(*row)
    table.add_section()
    table.add_row(*total)
    return table


def sizes_of(found: Comparison) -> list[tuple[str, str, str, str]]:
    """Returns old size, new size and change of each split, and last of `total`."""
    old, new = found.old["splits"], found.new["splits"]
    return [
        *(
            (name, *_change(old.get(name, 0), new.get(name, 0)))
            for name in dict.fromkeys([*new, *old])
        ),
        ("total", *_change(sum(old.values()), sum(new.values()))),
    ]


def _change(old: int, new: int) -> tuple[str, str, str]:
    return f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else ""


def _drift_table(found: Comparison) -> rich.table.Table:
    table = tables.of_numbers("Drifted classes", "", "old", "new")
    for name, differences in drift_of(found):
        title = rich.markup.escape(escaped(name))
        for row in differences:
            table.add_row(title, *row)
            title = ""
    if len(found.drifted) > MOST_CLASSES:
        table.add_row(f"... and {len(found.drifted) - MOST_CLASSES:,} more")
    return table


def drift_of(found: Comparison) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yields the first drifted classes, each with its differences as texts.

    A difference says what has changed, the old value and the new one.
    """
    for name in found.drifted[:MOST_CLASSES]:
        yield name, _differences(found.classes[name])


def _differences(
    about: Mapping[str, Mapping[str, Any]],
) -> list[tuple[str, str, str]]:
    """Returns the differences of a class: in words, the old and the new number."""
    counts = about["count"]["old"], about["count"]["new"]
    found = []
    for split in dict.fromkeys([*counts[0], *counts[1]]):
        old, new = (one.get(split, 0) for one in counts)
        if old != new:
            found.append((split, f"{old:,}", f"{new:,}"))
    for what, unit, digits in (
        ("side", "pixels a side", 0),
        ("brightness", "brightness", 2),
    ):
        old, new = about[what]["old"], about[what]["new"]
        if old is not None and new is not None:
            texts = f"{old:,.{digits}f}", f"{new:,.{digits}f}"
            if texts[0] != texts[1]:
                found.append((unit, *texts))
    return found
