"""Which folder of an archive its images are relative to."""

from __future__ import annotations

from collections.abc import Iterable

from etils import epath

from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.sources.locate import Sources
from tfds_imagecsv.table import columns, folders, tables


def below_top(
    sources: Sources, files: Listing, options: TableOptions
) -> tuple[epath.Path, Listing]:
    """Returns the directory of an archive that names are relative to, and its files.

    Args:
      sources: with the directory of the archive's files, and the tables; of several,
        the first is looked at.
      files: the files of the directory.
      options: what the user says of the tables.
    """
    if not sources.tables:
        top = folders.top_of(files)
    else:
        source = sources.tables[0]
        table = tables.read_table(source.table, source.field, options)
        top = _top_by_names(table, files, options)
    if not top:
        return sources.image_dir, files
    return sources.image_dir / top, files.below(top)


def _top_by_names(table: tables.Table, files: Listing, options: TableOptions) -> str:
    """Returns the folder within an archive that the names of a table are below."""
    at = 0
    if options.filename_column in table.header:
        at = table.header.index(options.filename_column)
    cells: list[str] = []
    if options.filename_template is None:
        rows = [row for row in (table.header, *table.records()) if at < len(row)]
        names = [row[at].strip() for row in rows]
        cells = [*names, *(name + options.filename_suffix for name in names)]
    top = top_of_archive(files, cells)
    if top is None:
        # Of another column, or made of several.
        rows = columns.sample_of(table)
        found = columns.recognise("", table, rows, _only_names(options))
        to_name, fields = found.to_filename, found.filename_fields
        at_fields = [found.position_of[one] for one in fields]
        whole = [row for row in rows if max(at_fields) < len(row)]
        cells = [to_name([row[at] for at in at_fields]) for row in whole]
        cells += [cell for row in rows for cell in row]
        top = top_of_archive(files, cells)
    return top or ""


def _only_names(options: TableOptions) -> TableOptions:
    """Returns what options say of the file names alone."""
    return TableOptions(
        label_type="none",
        filename_column=options.filename_column,
        filename_template=options.filename_template,
    )


def top_of_archive(files_in: Listing, names: Iterable[str]) -> str | None:
    """Returns the folder of an archive that names are relative to.

    That is the top, if a name's first folder, or the name, is there. Many archives have
    a single folder at the top: it is then looked for in that folder, and so on.

    Args:
      files_in: the files of the archive.
      names: those of the images.

    Returns:
      The folder, relative to the archive's top, which is empty; None if there is none.
    """
    named = {name.partition("/")[0] for name in names}
    folder = ""
    while True:
        there = files_in.tops()
        if not named.isdisjoint(there):
            return folder
        if len(there) != 1 or files_in.has(min(there)):
            return None
        name = min(there)
        folder = f"{folder}/{name}" if folder else name
        files_in = files_in.below(name)
