"""Cells that hold lists."""

from __future__ import annotations

from collections.abc import Sequence

from tfds_imagecsv import exceptions


def joined(items: Sequence[str], where: str, list_delimiter: str | None) -> str:
    """Returns the items of a list as the text of a cell.

    Raises:
      SourceError: if there is no delimiter, or an item holds it.
    """
    if not items and list_delimiter is not None:
        return list_delimiter  # which says that there is nothing
    if list_delimiter is None:
        raise exceptions.SourceError(
            f"{where} is a list. For labels, set label_type to 'multilabel', and"
            " label_delimiter to what no label holds, such as '|'."
        )
    for item in items:
        if list_delimiter in item:
            raise exceptions.SourceError(
                f"{where} has an item that holds the label_delimiter"
                f" {list_delimiter!r}: {item!r}. Set label_delimiter to what no label"
                " holds."
            )
    return list_delimiter.join(items)
