"""Which column of a table is what: as the config says, or as the cells show."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from tfds_imagecsv import exceptions, problems, split_names
from tfds_imagecsv.options import (
    MASK,
    OWN_BOX_FEATURES,
    OWN_FEATURES,
    FilenameTemplate,
    TableOptions,
    is_template,
    parse_template,
)
from tfds_imagecsv.table import box_columns, evidence, extra_columns
from tfds_imagecsv.table.image_files import ImageColumn
from tfds_imagecsv.table.resolve import Finder
from tfds_imagecsv.table.tables import Table, is_filled

# The rows, from the first on, that are looked at.
_SAMPLE_ROWS = 1000

# The most names of columns that a message shows.
_MOST_SHOWN = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column is what.

    Attributes:
      header: the names of all columns.
      position_of: the positions of the columns that are used, by the field that names
        them; of extra columns, by their names with `extra_columns.PREFIX`.
      filename_fields: the fields of `position_of` that make the file name.
      template: how they make it; None for one column.
      label_fields: the fields of the columns with the labels.
      extra_fields: the fields of the extra columns.
      images: what names further images, by the names of their features.
      mask: what names segmentation masks; None if no column does.
      box_fields: the fields of the columns with the numbers of boxes: four, one, or
        none.
      size_fields: the fields of those with the images' width and height; or none.
      box_formats: what these numbers may be, of `options.BOX_FORMATS`.
      notes: what was concluded, where there was a choice.
      looked_for: if no column names files, what its cells were looked for as.
    """

    header: list[str]
    position_of: Mapping[str, int]
    filename_fields: Sequence[str]
    template: FilenameTemplate | None
    label_fields: Sequence[str]
    extra_fields: Sequence[str]
    images: Mapping[str, ImageColumn] = dataclasses.field(default_factory=dict)
    mask: ImageColumn | None = None
    box_fields: Sequence[str] = ()
    size_fields: Sequence[str] = ()
    box_formats: Sequence[str] = ()
    notes: Sequence[str] = ()
    looked_for: str = ""

    def headers_of(self, fields: Iterable[str]) -> list[str]:
        """Returns the names of the columns of some fields."""
        return [self.header[self.position_of[field]] for field in fields]

    @property
    def text_fields(self) -> set[str]:
        """The fields of columns whose cells mostly differ."""
        images = (*self.images.values(), *([self.mask] if self.mask else []))
        of_images = (field for one in images for field in one.fields)
        return {*self.filename_fields, *self.extra_fields, *of_images}

    @property
    def to_filename(self) -> Callable[[Sequence[str]], str]:
        """A function that returns the file name that some cells make."""
        return (lambda cells: cells[0]) if self.template is None else self.template.fill

    @property
    def understood(self) -> dict[str, str]:
        """What the columns are, by the field of the config."""
        fields = {
            "file names": self.filename_fields,
            "labels": self.label_fields,
            "boxes": self.box_fields,
            "image sizes": self.size_fields,
            "groups": ["group_column"],
            "splits": ["split_column"],
        }
        found = {
            what: ", ".join(self.headers_of(here))
            for what, of in fields.items()
            if (here := [one for one in of if one in self.position_of])
        }
        if self.images:
            found["further images"] = ", ".join(
                one.text for one in self.images.values()
            )
        if self.mask:
            found["masks"] = self.mask.text
        return found


def sample_of(table: Table) -> list[list[str]]:
    """Returns the first filled rows of a table, without white space around cells."""
    rows = itertools.islice(filter(is_filled, table.records()), _SAMPLE_ROWS)
    return [[cell.strip() for cell in row] for row in rows]


def has_header(
    table: Table, sample: Sequence[Sequence[str]], options: TableOptions, finder: Finder
) -> bool:
    """Returns whether the first row of a table is a header.

    It isn't if one of its cells is the name of a file as it stands; or by a looser
    reading, if another of its cells occurs again below it.

    Args:
      table: the table.
      sample: some of its rows.
      options: what the user says; names of columns that are there are a header's.
      finder: finds files.
    """
    row = table.first_row
    if row is None:
        return True
    cells = [cell.strip() for cell in row[: evidence.SAMPLE_COLUMNS]]
    given = {options.filename_column, options.group_column, options.split_column}
    given.update(_label_fields(options).values())
    if options.filename_template is not None:
        given.update(parse_template(options.filename_template).columns)
    of_masks = [options.mask_column] if options.mask_column else []
    for one in (*options.image_columns.values(), *of_masks):
        given.update(parse_template(one).columns if is_template(one) else (one,))
    if given & set(table.header):
        return True
    if any(map(finder.names_file, cells)):
        return False
    below = [{one[at] for one in sample if at < len(one)} for at in range(len(cells))]
    again = {at for at, cell in enumerate(cells) if cell and cell in below[at]}
    if not again:
        return True
    loose = finder.resolve(cells)
    named = set(range(len(cells))) - set(loose.absent.tolist()) - set(loose.problems)
    named = {at for at in named if cells[at]}
    return not any(again - {at} for at in named)


def recognise(
    place: str,
    table: Table,
    sample: Sequence[Sequence[str]],
    options: TableOptions,
    finder: Finder | None = None,
) -> Columns:
    """Returns which column is what.

    It finds the columns that the config doesn't name. The column of the file names is
    the first one whose cells name files, in at least half of the first 1,000 rows, and
    each a different one; if there is none, the first column. The column of the labels
    is the second, or if that is taken, the next one after the file names.

    Args:
      place: the table, for messages.
      table: its header and rows.
      sample: some of its rows.
      options: what the user says.
      finder: finds files; None if there is no evidence.

    Raises:
      SourceError: if a column is missing, or two are equally good.
    """
    header = table.header
    if not header or not any(header):
        raise exceptions.SourceError(
            f"{place}: the file is empty. Its first row must be a header, such"
            " as 'filename,label', and each row below it an image."
        )
    given = options.filename_template
    template = None if given is None else parse_template(given)
    position_of = _named_columns(place, header, options, template)
    images, mask = _image_columns(place, header, options, position_of)
    boxes = None
    if options.label_type == "boxes":
        boxes = _boxes(place, header, options, position_of)
    found = evidence.Evidence(header, sample, finder, are_repeated=boxes is not None)
    notes: list[str] = []
    looked_for, was_found = "", False
    if template is None:
        looked_for, was_found = _find_filenames(place, position_of, found, notes)
    if options.label_type != "none" and options.label_column is None:
        at = box_columns.classes(header, {*position_of.values()}) if boxes else None
        if at is None:
            at = _labels(
                place, table, sample, position_of, found, notes, was_found=was_found
            )
        position_of["label_column"] = at
    _check_different(place, header, position_of)
    of_extra = _find_extra_columns(
        place,
        header,
        options.extra_columns,
        set(position_of.values()),
        own_features=_own_features(options),
    )
    notes += _about_splits(header, sample, options, position_of)
    notes += _about_boxes(header, options, {*position_of.values(), *of_extra.values()})
    of_template = _fields_of(template) if template else ["filename_column"]
    return Columns(
        header=header,
        position_of=position_of | of_extra,
        filename_fields=of_template,
        template=template,
        label_fields=[one for one in position_of if one.startswith("label_col")],
        extra_fields=list(of_extra),
        images=images,
        mask=mask,
        box_fields=[one for one in position_of if one.startswith("box_columns")],
        size_fields=[one for one in position_of if one.startswith("size[")],
        box_formats=boxes.formats if boxes else (),
        notes=notes,
        looked_for=looked_for,
    )


def _named_columns(
    place: str,
    header: Sequence[str],
    options: TableOptions,
    template: FilenameTemplate | None,
) -> dict[str, int]:
    """Returns the positions of the columns that the user names, by field.

    Those of a template are by their names in braces.
    """
    given = {
        "filename_column": options.filename_column,
        **_label_fields(options),
        "group_column": options.group_column,
        "split_column": options.split_column,
    }
    return {
        **_positions_of(template, "filename_template", place, header),
        **{
            field: position(field.partition("[")[0], place, header, name)
            for field, name in given.items()
            if name is not None
        },
    }


def _fields_of(template: FilenameTemplate) -> list[str]:
    """Returns the fields of a template's columns: their names in braces."""
    return [f"{{{name}}}" for name in template.columns]


def _positions_of(
    template: FilenameTemplate | None, field: str, place: str, header: Sequence[str]
) -> dict[str, int]:
    """Returns the positions of a template's columns, by field; of no template, none."""
    if template is None:
        return {}
    at = [position(field, place, header, name) for name in template.columns]
    return dict(zip(_fields_of(template), at, strict=True))


def _image_columns(
    place: str,
    header: Sequence[str],
    options: TableOptions,
    position_of: dict[str, int],
) -> tuple[dict[str, ImageColumn], ImageColumn | None]:
    """Returns what names further images, and masks; adds their columns.

    Args:
      place: the table, for messages.
      header: its header.
      options: what the user says.
      position_of: the positions of the columns that are used, by field.
    """
    images = {
        name: _image_column(place, header, f"image_columns[{name}]", text, position_of)
        for name, text in options.image_columns.items()
    }
    text = options.mask_column
    if text is None:
        return images, None
    return images, _image_column(place, header, "mask_column", text, position_of)


def _image_column(
    place: str,
    header: Sequence[str],
    field: str,
    text: str,
    position_of: dict[str, int],
) -> ImageColumn:
    """Returns what names images besides the rows' own, and adds its columns.

    Args:
      place: the table, for messages.
      header: its header.
      field: the field of the config.
      text: its value: the name of a column, or a template.
      position_of: the positions of the columns that are used, by field.
    """
    in_messages = field.partition("[")[0]
    if is_template(text) and text not in header:
        template = parse_template(text, field)
        position_of |= _positions_of(template, in_messages, place, header)
        return ImageColumn(text, _fields_of(template), template)
    position_of[field] = position(in_messages, place, header, text)
    return ImageColumn(text, [field], None)


def _label_fields(options: TableOptions) -> dict[str, str | None]:
    """Returns the names of the columns with labels, each by a name of its own."""
    if options.label_type == "none":
        return {}
    names = options.label_column
    if names is None or isinstance(names, str):
        return {"label_column": names}
    return {f"label_column[{at}]": name for at, name in enumerate(names)}


def _box_names(options: TableOptions) -> Sequence[str]:
    """Returns the names of the columns with boxes that the user gives."""
    names = options.box_columns
    return (names,) if isinstance(names, str) else names or ()


def _boxes(
    place: str,
    header: Sequence[str],
    options: TableOptions,
    position_of: dict[str, int],
) -> box_columns.BoxColumns:
    """Returns the columns of boxes, and adds them and those of sizes to the positions.

    Raises:
      SourceError: if there are none.
    """
    names = _box_names(options)
    boxes: box_columns.BoxColumns | None
    if names:
        given = [position("box_columns", place, header, name) for name in names]
        boxes = box_columns.formats_of(header, given)
        if options.box_format is not None and boxes.formats != (options.box_format,):
            boxes = box_columns.BoxColumns(tuple(given), boxes.formats)
    else:
        boxes = box_columns.found(header)
    if boxes is None:
        raise exceptions.SourceError(
            f"{place}: no columns are named as those of boxes usually are. Set"
            " box_columns to four, or to one whose cells have four numbers. Its columns"
            f" are: {names_of(header)}"
        )
    if options.box_format is not None:
        boxes = boxes._replace(formats=(options.box_format,))
    for number, at in enumerate(boxes.positions):
        position_of[f"box_columns[{number}]"] = at
    sizes = box_columns.sizes(header, set(position_of.values()))
    for name, at in zip(("width", "height"), sizes, strict=False):
        position_of[f"size[{name}]"] = at
    return boxes


def _find_filenames(
    place: str,
    position_of: dict[str, int],
    found: evidence.Evidence,
    notes: list[str],
) -> tuple[str, bool]:
    """Adds the position of the column with the file names, unless it is there.

    Args:
      place: the table, for messages.
      position_of: the positions of the columns that are used, by field.
      found: what the cells show.
      notes: where to say which was taken, if there were several.

    Returns:
      If its cells name no files, what they were looked for as; and whether it was found
      elsewhere than in the first column.
    """
    if "filename_column" in position_of:
        return found.against(position_of["filename_column"], place), False
    at, looked_for = found.filenames(_taken(position_of), place, notes)
    position_of["filename_column"] = at
    return looked_for, at != 0


def _labels(
    place: str,
    table: Table,
    sample: Sequence[Sequence[str]],
    position_of: Mapping[str, int],
    found: evidence.Evidence,
    notes: list[str],
    *,
    was_found: bool,
) -> int:
    """Returns the position of the column with the labels.

    Args:
      place: the table, for messages.
      table: its header.
      sample: some of its rows.
      position_of: the positions of the other columns, by field.
      found: what the cells show.
      notes: where to say which was taken, if there were several.
      was_found: whether the file names were found elsewhere than in the first column.
    """
    header = table.header
    taken = _taken(position_of)
    free = [at for at in range(len(header)) if at not in taken]
    useful = [at for at in free if header[at] or not _is_empty(sample, at)]
    named = [at for at in useful if header[at]] or useful
    if not named:
        raise exceptions.SourceError(f"{place}: {_without_labels(table, position_of)}")
    filenames_at = position_of.get("filename_column", 0)
    labels = [
        at for at in named if not found.have_same_files(filenames_at, at)
    ] or named
    after = [at for at in labels if at > filenames_at]
    taken_at = 1 if 1 in labels and not was_found else (after or labels)[0]
    if len(named) > 1:
        others = [at for at in named if at != taken_at]
        if header[taken_at] in [header[at] for at in others if header[at]]:
            # Both may be meant, and a name chooses neither: it says so.
            position("label_column", place, header, header[taken_at])
        notes.append(
            f"the column {header[taken_at]!r} has the labels; label_column chooses"
            f" another of: {names_of([header[at] for at in others])}"
        )
    return taken_at


def _taken(position_of: Mapping[str, int]) -> set[int]:
    """Returns the positions of columns that nothing else can be in.

    What a template makes names of may be something else, too, such as the label.
    """
    return {at for field, at in position_of.items() if not field.startswith("{")}


def _without_labels(table: Table, position_of: Mapping[str, int]) -> str:
    """Returns what to do about a table that has no column left for the labels."""
    header = table.header
    if len(header) < 2:
        return (
            f"there is only one column, {header[0]!r}. Two are needed, for file names"
            f" and labels{_about_delimiter(table)}; or set label_type='none'."
        )
    columns = f"Its columns are: {names_of(header)}"
    if "box_columns[0]" in position_of:
        return (
            "there is no column left for the classes of the boxes. Set label_column, or"
            " add a column; if all objects are of one class, it has its name in each"
            f" row. {columns}"
        )
    return (
        "there is no column left for the labels. Set label_column, or"
        f" label_type='none'. {columns}"
    )


def _about_delimiter(table: Table) -> str:
    """Returns what has to be between the cells, in formats that are texts."""
    delimiter = table.understood.get("delimiter")
    if delimiter is None:
        return ""
    word = "tab" if delimiter == "\t" else "comma"
    return f", with a {word} between them"


def _is_empty(sample: Sequence[Sequence[str]], at: int) -> bool:
    return not any(at < len(row) and row[at] for row in sample)


def _check_different(
    place: str, header: Sequence[str], position_of: Mapping[str, int]
) -> None:
    """Raises a `SourceError` if two fields name the same column."""
    fields: dict[int, str] = {}
    for field, at in position_of.items():
        other = fields.setdefault(at, field)
        if other != field and not (field.startswith("{") or other.startswith("{")):
            raise exceptions.SourceError(
                f"{other} and {field} are both {header[at]!r} in {place}. Name two"
                f" columns among: {names_of(header)}"
            )


def _own_features(options: TableOptions) -> Sequence[str]:
    """Returns the names that no extra column can have."""
    if options.label_type == "boxes":  # whose extra columns are beside these
        return OWN_BOX_FEATURES
    masks = [MASK] if options.has_masks else []
    return (*OWN_FEATURES, *options.image_columns, *masks)


def _find_extra_columns(
    place: str,
    header: Sequence[str],
    extra: Mapping[str, str] | str | None,
    used: Collection[int],
    *,
    own_features: Collection[str],
) -> dict[str, int]:
    """Returns the position of each extra column, from 0, by its prefixed name.

    Raises:
      SourceError: if a column is missing, or features have these names.
    """
    if extra is None:
        return {}
    names: Iterable[str] = extra
    if isinstance(extra, str):
        # A column without a name is the number of the row, as pandas writes it.
        names = [name for at, name in enumerate(header) if name and at not in used]
        repeated = [name for name in names if name in own_features]
        if repeated:
            raise exceptions.SourceError(
                f"extra_columns: {', '.join(map(repr, repeated))} in {place} can't be"
                " an extra column, since features of the dataset have this name. Rename"
                " the column, or name the extra columns and their types one by one."
            )
    found = {name: position("extra_columns", place, header, name) for name in names}
    return {extra_columns.PREFIX + name: at for name, at in found.items()}


def _about_splits(
    header: Sequence[str],
    sample: Sequence[Sequence[str]],
    options: TableOptions,
    position_of: Mapping[str, int],
) -> Iterator[str]:
    """Yields a note on a column that looks like given splits, and isn't used."""
    if options.split_column is not None:
        return
    used = set(position_of.values())
    for at, name in enumerate(header[: evidence.SAMPLE_COLUMNS]):
        if at in used:
            continue
        cells = {row[at] for row in sample if at < len(row) and row[at]}
        are_flags = split_names.of_flag(name) and all(
            extra_columns.as_bool(cell) is not None for cell in cells
        )
        are_names = all(
            split_names.split_name(cell) in split_names.USUAL for cell in cells
        )
        if cells and (are_flags or are_names):
            yield (
                f"the column {name!r} looks like splits, and isn't used: add"
                f" split_column={name!r} if the splits are given by it"
            )
            return


def _about_boxes(
    header: Sequence[str], options: TableOptions, used: Collection[int]
) -> Iterator[str]:
    """Yields a note on columns that look like boxes, and aren't used."""
    boxes = None if options.label_type == "boxes" else box_columns.found(header)
    if boxes is not None and not {*boxes.positions} & {*used}:
        names = names_of([header[at] for at in boxes.positions])
        yield (
            f"{names} look like boxes, and aren't used: set label_type='boxes' if each"
            " row is an object"
        )


def position(field: str, place: object, header: Sequence[str], name: str) -> int:
    """Returns the position of a column, from 0.

    Args:
      field: the field of the config that names it, for messages.
      place: the table, for messages.
      header: the names of its columns.
      name: that of the column; white space around it doesn't count.

    Raises:
      SourceError: if there is none of this name, or more than one.
    """
    found = [at for at, column in enumerate(header) if column == name.strip()]
    if len(found) != 1:
        many = "no column has" if not found else f"{len(found)} columns have"
        close = difflib.get_close_matches(name, header[:10_000], n=1)
        hint = f" Did you mean {close[0]!r}?" if close and not found else ""
        raise exceptions.SourceError(
            f"{field}: {many} the name {name!r} in {place}.{hint} Its columns are:"
            f" {names_of(header)}"
        )
    return found[0]


def names_of(header: Sequence[str]) -> str:
    """Returns the names of columns for a message, or the first of very many."""
    return problems.named(header, _MOST_SHOWN)
