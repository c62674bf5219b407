"""Tables in spreadsheets: `.xlsx`, `.xls`, `.xlsb` and `.ods`."""

from __future__ import annotations

import datetime
import io
from typing import Any

from tfds_imagecsv import exceptions


def read(content: bytes, place: str, sheet: str | None) -> list[list[str]]:
    """Returns the cells of a sheet, row by row, as texts.

    Whole numbers have no decimals, dates are in ISO 8601.

    Args:
      content: the file's bytes.
      place: what it is, for messages.
      sheet: the name of the sheet; default: the first.

    Raises:
      SourceError: if the file can't be read, or has no such sheet.
    """
    try:
        import python_calamine
    except ImportError:
        raise exceptions.SourceError(
            f"{place}: spreadsheets are read by the extra 'excel': pip install"
            " 'tfds-imagecsv[excel]'. Or save the sheet as 'CSV UTF-8'."
        ) from None
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = book.sheet_names
        if sheet is None or sheet in names:
            found = book.get_sheet_by_name(sheet or names[0])
            rows = found.to_python(skip_empty_area=False)
            return [list(map(_as_text, row)) for row in rows]
    except (python_calamine.CalamineError, OSError, IndexError) as error:
        raise exceptions.SourceError(
            f"{place}: it can't be read as a spreadsheet: {error}. Save the sheet as"
            " 'CSV UTF-8'."
        ) from error
    shown = ", ".join(map(repr, names))
    raise exceptions.SourceError(
        f"{place}: sheet: there is none of the name {sheet!r}. Its sheets are: {shown}"
    )


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
