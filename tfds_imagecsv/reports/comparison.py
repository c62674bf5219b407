"""How `tfds-imagecsv compare` shows what has changed between two versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rich.console
import rich.markup
import rich.table

from tfds_imagecsv.prepared.compare import Comparison, transitions
from tfds_imagecsv.problems import escaped, named
from tfds_imagecsv.reports import tables

# How many names, changes and classes are shown; JSON has all.
_MOST_NAMES = 10
_MOST_CLASSES = 40


def print_comparison(
    found: Comparison, console: rich.console.Console | None = None
) -> None:
    """Prints what has changed: names first, then counts.

    Args:
      found: what has changed.
      console: where it is printed; default: standard output.
    """
    console = console or rich.console.Console(highlight=False)

    def line(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    line(f"Old: {escaped(found.old['name'])}")
    line(f"New: {escaped(found.new['name'])}")
    parts = (
        ("New", [one["key"] for one in found.added]),
        ("Gone", [one["key"] for one in found.gone]),
        ("Moved to another split", found.moved),
        ("Relabelled", found.relabelled),
        ("Replaced by other bytes", list(found.replaced)),
    )
    for title, changed in parts:
        if not changed:
            continue
        line(f"\n{title} ({len(changed):,}):")
        if isinstance(changed, list):
            line(f"  {named(changed, _MOST_NAMES)}")
            continue
        of_kind = transitions(changed)
        for (old, new), count in list(of_kind.items())[:_MOST_NAMES]:
            keys = [
                one["key"] for one in changed if (one["old"], one["new"]) == (old, new)
            ]
            line(
                f"  {escaped(old) or 'none'} -> {escaped(new) or 'none'} ({count:,}):"
                f" {named(keys, _MOST_NAMES)}"
            )
        if len(of_kind) > _MOST_NAMES:
            line(f"  ... and {len(of_kind) - _MOST_NAMES:,} more kinds of changes")
    if not any(changed for _, changed in parts):
        line("\nThe same examples, in the same splits, with the same labels.")
    console.print()
    console.print(_splits_table(found))
    if found.drifted:
        console.print()
        console.print(_drift_table(found))


def _splits_table(found: Comparison) -> rich.table.Table:
    old, new = found.old["splits"], found.new["splits"]
    table = tables.of_numbers("Splits", "old", "new", "change")
    for name in dict.fromkeys([*old, *new]):
        table.add_row(name, *_change(old.get(name, 0), new.get(name, 0)))
    table.add_section()
    table.add_row("total", *_change(sum(old.values()), sum(new.values())))
    return table


def _change(old: int, new: int) -> tuple[str, str, str]:
    return f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else ""


def _drift_table(found: Comparison) -> rich.table.Table:
    table = tables.of_numbers("Drifted classes", "", "old", "new")
    for name in found.drifted[:_MOST_CLASSES]:
        about = found.classes[name]
        title = rich.markup.escape(escaped(name))
        for what, old, new in _differences(about):
            table.add_row(title, what, old, new)
            title = ""
    if len(found.drifted) > _MOST_CLASSES:
        table.add_row(f"... and {len(found.drifted) - _MOST_CLASSES:,} more")
    return table


def _differences(
    about: Mapping[str, Mapping[str, Any]],
) -> list[tuple[str, str, str]]:
    """Returns what differs of a class: in words, the old and the new number."""
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
