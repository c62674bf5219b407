"""Which column of a table is what."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

from etils import epath

from tfds_imagecsv import exceptions, options
from tfds_imagecsv.table import extra_columns, tables

_DEFAULT_POSITIONS = {"filename_column": 0, "label_column": 1}


def find_columns(
    path: epath.Path,
    header: list[str],
    **names: str | None,
) -> dict[str, int]:
    """Returns the position of each column that is used, from 0, by the config's field.

    Args:
      path: the CSV.
      header: the names of its columns.
      **names: the name of the column for each field of the config; None for the
        default.

    Raises:
      SourceError: if there aren't such columns.
    """
    if not any(header):
        raise exceptions.SourceError(
            f"label_csv {path}: the file is empty. Its first row must be a header, such"
            " as 'filename,label', and each row below it an image."
        )
    if len(header) < 2 and any(field.startswith("label") for field in names):
        raise exceptions.SourceError(
            f"label_csv {path}: there is only one column, {header[0]!r}. Two are"
            " needed, for file names and labels, with a"
            f" {tables.delimiter_of(path)} between them."
        )
    positions: dict[str, int] = {}
    for field, name in names.items():
        if name is None:
            if field in _DEFAULT_POSITIONS:
                positions[field] = _DEFAULT_POSITIONS[field]
            continue
        positions[field] = position(field.partition("[")[0], path, header, name)
    for (field, at), (other, at_other) in itertools.combinations(positions.items(), 2):
        if at == at_other:
            shown = ", ".join(map(repr, header))
            raise exceptions.SourceError(
                f"{field} and {other} are both {header[at]!r} in {path}. Name two"
                " columns (filename_column defaults to the first, label_column to the"
                f" second) among: {shown}"
            )
    return positions


def label_fields(
    label_type: str, label_column: str | Sequence[str] | None
) -> dict[str, str | None]:
    """Returns the names of the columns with labels, each by a name of its own."""
    if label_type == "none":
        return {}
    if label_column is None or isinstance(label_column, str):
        return {"label_column": label_column}
    return {f"label_column[{at}]": name for at, name in enumerate(label_column)}


def find_extra_columns(
    path: epath.Path,
    header: Sequence[str],
    extra: Mapping[str, str] | str | None,
    used: Collection[int],
) -> dict[str, int]:
    """Returns the position of each extra column, from 0, by its prefixed name.

    Raises:
      SourceError: if there aren't such columns, or features have these names.
    """
    if extra is None:
        return {}
    names: Iterable[str] = extra
    if isinstance(extra, str):
        # A column without a name is the number of the row, as pandas writes it.
        names = [name for at, name in enumerate(header) if name and at not in used]
        repeated = [name for name in names if name in options.OWN_FEATURES]
        if repeated:
            raise exceptions.SourceError(
                f"extra_columns: {', '.join(map(repr, repeated))} in {path} can't be an"
                " extra column, since features of the dataset have this name. Rename"
                " the column, or name the extra columns and their types one by one."
            )
    found = {name: position("extra_columns", path, header, name) for name in names}
    return {extra_columns.PREFIX + name: at for name, at in found.items()}


def position(field: str, path: object, header: Sequence[str], name: str) -> int:
    """Returns the position of a column, from 0.

    Args:
      field: the field of the config that names it, for messages.
      path: the file.
      header: the names of its columns.
      name: that of the column; white space around it doesn't count.

    Raises:
      SourceError: if there isn't one of this name, or several.
    """
    found = [at for at, column in enumerate(header) if column == name.strip()]
    if len(found) != 1:
        many = "no column has" if not found else f"{len(found)} columns have"
        shown = ", ".join(map(repr, header))
        raise exceptions.SourceError(
            f"{field}: {many} the name {name!r} in {path}. Its columns are: {shown}"
        )
    return found[0]
