"""Which column of a table is what, by evidence."""

import pytest
from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.table import columns, resolve, tables

FILES = [f"{at}.png" for at in range(10)]


def recognised(header, *rows, files=FILES, **options):
    """Returns what the columns of a table are, given as texts with `|` between."""
    rows = [row.split("|") for row in rows]
    table = tables.Table(
        header=header.split("|"),
        first=2,
        records=lambda: iter(rows),
        first_row=header.split("|"),
    )
    options = TableOptions(**options)
    finder = resolve.Finder(
        epath.Path("/data/images"),
        Listing.of(files),
        suffix=options.filename_suffix,
    )
    sample = columns.sample_of(table)
    if not columns.has_header(table, sample, options, finder):
        table = tables.without_header(table, table.first_row)
        sample = columns.sample_of(table)
    return columns.recognise("label_csv l.csv", table, sample, options, finder)


def error_of(*args, **kwargs):
    """Returns the message of a refused table."""
    with pytest.raises(exceptions.SourceError) as caught:
        recognised(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("header", "rows", "filename", "label"),
    [
        ("f|l", ["0.png|cat", "1.png|dog"], "f", "l"),
        ("l|f", ["cat|0.png", "dog|1.png"], "f", "l"),
        ("i|f|l", ["7|0.png|cat", "8|1.png|dog"], "f", "l"),
        ("|f|l", ["0|0.png|cat", "1|1.png|dog"], "f", "l"),
        ("|l", ["0.png|cat", "1.png|dog"], "", "l"),
        ("a|b|f", ["x|u|0.png", "y|v|1.png"], "f", "a"),
        # By looser readings.
        ("l|f", ["cat|0", "dog|1"], "f", "l"),
        ("|f|l", ["0|0|cat", "1|1|dog"], "f", "l"),
        ("l|f", ["1|0", "1|2", "1|3", "1|4"], "f", "l"),
        # Exact readings come first.
        ("i|f|l", ["3|0.png|cat", "4|1.png|dog"], "f", "l"),
        # Half of the rows are enough; even one is, if there is nothing better.
        ("l|f", ["cat|0.png", "dog|x.png"], "f", "l"),
        ("l|f", ["cat|0.png", "dog|x.png", "dog|y.png"], "f", "l"),
        ("f|g", ["0.png|3.png", "1.png|4.png", "x.png|5.png"], "f", "g"),
        # A second column of the same file names has no labels.
        ("f|g|l", ["0.png|0|cat", "1.png|1|dog", "2.png|2.png|cat"], "f", "l"),
        ("f|f|l", ["0.png|0.png|cat", "1.png|1.png|dog"], "f", "l"),
        ("f|g", ["0.png|0.png", "1.png|1.png"], "f", "g"),
        # Classes that are called like files are few.
        ("f|l", ["x|1", "y|1", "z|1", "u|1", "v|1"], "f", "l"),
        # Unnamed columns at the end don't count.
        ("f|l||", ["0.png|cat||", "1.png|dog||"], "f", "l"),
        # Nothing is found.
        ("f|l", ["x.png|cat", "y.png|dog"], "f", "l"),
        ("l|f", ["cat|x.png", "cat|y.png", "cat|z.png"], "f", "l"),
        # There is no header.
        ("0.png|cat", ["1.png|dog"], "1", "2"),
        ("cat|0", ["cat|1", "dog|2"], "2", "1"),
        ("0.PNG|cat", ["1.png|cat", "2.png|dog"], "1", "2"),
        ("0|1", ["1.png|cat", "2.png|dog"], "0", "1"),
    ],
)
def test_columns_that_nobody_names(header, rows, filename, label):
    """Cells show which one has the file names; the second or next has the labels."""
    found = recognised(header, *rows)
    assert found.headers_of(found.filename_fields) == [filename]
    assert found.headers_of(found.label_fields) == [label]


@pytest.mark.parametrize(
    ("options", "filename", "label"),
    [
        ({}, "a", "b"),
        ({"filename_column": "c"}, "c", "b"),
        ({"label_column": "c"}, "a", "c"),
        ({"group_column": "b"}, "a", "c"),
        ({"split_column": "b", "group_column": "c"}, "a", "d"),
        ({"filename_column": "b"}, "b", "c"),
    ],
)
def test_columns_that_are_named(options, filename, label):
    """Others take the remaining places."""
    found = recognised("a|b|c|d", "0.png|1.png|2.png|x", **options)
    assert found.headers_of(found.filename_fields) == [filename]
    assert found.headers_of(found.label_fields) == [label]


def test_two_columns_that_name_files():
    """If both do exactly, it takes the first, and says so; else the user decides."""
    found = recognised("f|g|l", "0.png|1.png|cat", "2.png|3.png|dog")
    assert found.notes == [
        "the column 'f' has the file names; the column 'g' names files, too",
        "the column 'g' has the labels; label_column chooses another of: 'l'",
    ]
    assert error_of("f|g|l", "0|1|cat", "2|3|dog") == (
        "label_csv l.csv: the column 'f' and the column 'g' may both name files, and"
        " not the same ones. Add filename_column='f' or filename_column='g'."
    )
    same = recognised("f|g|l", "0|0|cat", "2|2|dog")
    assert same.headers_of(same.filename_fields) == ["f"]


def test_labels_in_two_columns_of_one_name():
    """Either may be meant; other columns may share a name."""
    assert error_of("f|l|l", "0.png|cat|1", "1.png|dog|2") == (
        "label_column: 2 columns have the name 'l' in label_csv l.csv. Its columns are:"
        " 'f', 'l', 'l'"
    )
    found = recognised("f|l|x|x", "0.png|cat|1|2", "1.png|dog|3|4")
    assert found.headers_of(found.label_fields) == ["l"]


def test_a_named_column_that_has_no_file_names():
    """Another one has them; or none has, and the message says what it looked for."""
    assert error_of("f|l", "0.png|cat", "1.png|dog", filename_column="l") == (
        "label_csv l.csv: filename_column: no cell of 'l' names a file in /data/images,"
        " and those of 'f' do. Set filename_column='f'."
    )
    found = recognised("f|l", "x.png|cat", filename_column="f")
    assert found.looked_for == (
        "the column doesn't name files of image_dir. What was looked for:\n"
        "     'f': 'x.png' as /data/images/x.png"
    )


def test_what_the_columns_were_looked_for_as():
    """Each with its first cell."""
    found = recognised("f|l", "|cat", "y\x1b|dog", filename_suffix=".jpg")
    assert found.looked_for == (
        "no column names files of image_dir. What was looked for:\n"
        "     'f': 'y\\x1b' as /data/images/y\\x1b.jpg\n"
        "     'l': 'cat' as /data/images/cat.jpg"
    )


@pytest.mark.parametrize(
    ("column", "cells", "is_noted"),
    [
        ("is_valid", ("True", "False"), True),
        ("is_test", ("1", "0"), True),
        ("is_train", ("yes", "no"), False),
        ("is_big", ("True", "False"), False),
        ("part", ("train", "val"), True),
        ("part", ("train", "cat"), False),
    ],
)
def test_a_column_that_looks_like_splits(column, cells, is_noted):
    """A note says so; it isn't used silently."""
    rows = [f"{at}.png|cat|{cell}" for at, cell in enumerate(cells)]
    notes = recognised(f"f|l|{column}", *rows).notes
    note = (
        f"the column '{column}' looks like splits, and isn't used: add"
        f" split_column='{column}' if the splits are given by it"
    )
    assert (note in notes) == is_noted
    assert note not in recognised(f"f|l|{column}", *rows, group_column=column).notes


def test_labels_that_have_no_column():
    """The remaining columns have other uses."""
    assert error_of("f|g", "0.png|x", group_column="g") == (
        "label_csv l.csv: there is no column left for the labels. Set label_column, or"
        " label_type='none'. Its columns are: 'f', 'g'"
    )


def test_very_many_columns():
    """It looks at the first hundred, and messages name twenty."""
    header = "|".join(f"c{at}" for at in range(100_000))
    message = error_of(header, filename_column="x")
    assert message.endswith("'c18', 'c19' and 99,980 more")
