"""The class CSV: the classes, their ids, and what else is said about them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping

from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.table import tables

_NAME, _ID = "classname", "class_id"

# Enough to see what is going on.
_MAX_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassList:
    """Classes.

    Attributes:
      names: their names in the order of their ids.
      about: what the other columns say of each class, by class and column; empty if
        there are no others.
    """

    names: tuple[str, ...]
    about: Mapping[str, Mapping[str, str]]


def read_classes(path: epath.Path) -> ClassList:
    """Reads a class CSV, as image2tfrecords' `class2id_file`.

    It has a header, and a row for each class with its name and its id: in the columns
    `classname` and `class_id`, or if one of them is missing, in the first two. The ids
    are 0 to n - 1 in any order. Other columns, such as a description or a superclass,
    are kept. It may have any format of `tables.read_table`.

    Args:
      path: the file.

    Raises:
      SourceError: if it can't be read, or has other names and ids; it has all problems.
    """
    table = tables.read_table(path, "class_csv")
    place = f"class_csv {path}"
    header = table.header
    if len(header) < 2:
        raise exceptions.SourceError(
            f"{place}: two columns are needed, for the names and the ids of the"
            f" classes, such as '{_NAME},{_ID}', but its header is {header}."
        )
    ids, about, wrong = _parse(table)
    if not wrong:
        wrong = _about_ids(ids)
    if wrong:
        more = len(wrong) - _MAX_SHOWN
        shown = wrong[:_MAX_SHOWN] + [f"... and {more:,} more"] * (more > 0)
        lines = "".join(f"\n  {line}" for line in shown)
        raise exceptions.SourceError(
            f"{place}: classes must have different names, and as ids the whole numbers"
            f" from 0 to the number of classes - 1, each once:{lines}"
        )
    names = sorted(ids, key=ids.__getitem__)
    has_more = len([column for column in header if column]) > 2
    return ClassList(
        names=tuple(names), about={name: about[name] for name in names if has_more}
    )


def _parse(
    table: tables.Table,
) -> tuple[dict[str, int], dict[str, dict[str, str]], list[str]]:
    """Returns the ids and the other cells of classes by name, and what is wrong."""
    header = table.header
    name_at, id_at = 0, 1
    if _NAME in header and _ID in header:
        name_at, id_at = header.index(_NAME), header.index(_ID)
    wrong: list[str] = []
    ids: dict[str, int] = {}
    about: dict[str, dict[str, str]] = {}
    for number, record in enumerate(table.records(), table.first):
        if not tables.is_filled(record):
            continue
        cells = [cell.strip() for cell in record]
        if len(cells) != len(header):
            wrong.append(
                f"row {number}: {len(cells)} cells under {len(header)} headers"
            )
            continue
        name, class_id = cells[name_at], cells[id_at]
        if not name or "\n" in name or "\r" in name:
            wrong.append(f"row {number}: {name!r} can't be the name of a class")
        elif name in ids:
            wrong.append(f"row {number}: {name!r} has an id already, {ids[name]}")
        elif not (class_id.isascii() and class_id.isdigit()):
            wrong.append(f"row {number}: the id of {name!r} is {class_id!r}")
        else:
            ids[name] = int(class_id)
            about[name] = {
                column: cell
                for at, (column, cell) in enumerate(zip(header, cells, strict=True))
                if at not in (name_at, id_at) and column
            }
    return ids, about, wrong


def _about_ids(ids: Mapping[str, int]) -> list[str]:
    """Returns what is wrong with ids that are whole numbers."""
    if not ids:
        return ["there are no rows below the header"]
    counts = collections.Counter(ids.values())
    wrong = [
        f"the id {class_id} is given to {', '.join(map(repr, names))}"
        for class_id, names in (
            (one, [name for name, of in ids.items() if of == one])
            for one in sorted(counts)
            if counts[one] > 1
        )
    ]
    wrong += [f"no class has the id {at}" for at in range(len(ids)) if at not in counts]
    wrong += [
        f"the id of {name!r} is {class_id}, and there are {len(ids)} classes"
        for name, class_id in ids.items()
        if class_id >= len(ids)
    ]
    return wrong
