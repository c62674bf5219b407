"""File names made of a CSV's columns."""

import pytest
import walk
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays, exceptions, options
from tfds_imagecsv.problems import Kind
from tfds_imagecsv.table import filenames


@pytest.fixture
def read(tmp_path):
    """Returns a function that reads the labels of a CSV with a template."""

    def read(content, template, **kwargs):
        path = epath.Path(tmp_path / "labels.csv")
        path.write_text(content)
        return walk.read_labels(path, filename_template=template, **kwargs)

    return read


def keys_of(table):
    """Returns the keys, and the labels."""
    return list(
        zip(table.rows["key"].to_pylist(), table.rows["label"].to_pylist(), strict=True)
    )


@pytest.mark.parametrize(
    ("template", "columns", "cells", "name"),
    [
        ("{id}.png", ("id",), ("7",), "7.png"),
        ("{a}/{b}/{a}_{b}.png", ("a", "b"), ("x", "y"), "x/y/x_y.png"),
        ("{{{id}}}.png", ("id",), ("7",), "{7}.png"),
        ("{file.name[0]}", ("file.name[0]",), ("a.png",), "a.png"),
        ("{0}.png", ("0",), ("{0}",), "{0}.png"),
        ("100%_{id}", ("id",), ("%s",), "100%_%s"),
        ("{id}.png", ("id",), ("",), ""),
        ("{a}{b}", ("a", "b"), ("x", ""), ""),
    ],
)
def test_a_template_is_filled_with_cells(template, columns, cells, name):
    """Braces hold the name of a column, of any characters."""
    parsed = options.parse_template(template)
    assert parsed.columns == columns
    assert parsed.fill(cells) == name


@given(
    st.sampled_from(["{a}.png", "{b}/{a}", "x{{{a}}}{a}-{b}", "{b}"]),
    st.lists(st.tuples(*[st.text("aé{}0 ", max_size=3)] * 2), max_size=5),
)
def test_columns_are_filled_in_as_cells_are(template, rows):
    """All at once; a name with an empty part is empty."""
    parsed = options.parse_template(template)
    cells = [
        [dict(zip("ab", row, strict=True))[name] for name in parsed.columns]
        for row in rows
    ]
    columns = [
        arrays.texts([row[at] for row in cells]) for at in range(len(parsed.columns))
    ]
    found = filenames.of_template(parsed, columns).to_pylist()
    assert found == list(map(parsed.fill, cells))


def test_a_template_in_the_place_of_a_column(read):
    """The label column is still the second, and white space is dropped."""
    table = read("id,label,dir\n 7 ,cat, a\n8,dog,b/c\n", "{dir}/{id}.png")
    assert keys_of(table) == [("a/7.png", "cat"), ("b/c/8.png", "dog")]


def test_a_label_in_the_file_name(read):
    """Columns of labels and groups may be in it; the first column needn't be."""
    table = read(
        "label,nr\ncat,1\ndog,1\n",
        "{label}/{nr}.png",
        label_column="label",
        group_column="nr",
    )
    assert keys_of(table) == [("cat/1.png", "cat"), ("dog/1.png", "dog")]
    assert table.rows["group"].to_pylist() == ["1", "1"]


def test_rows_that_cannot_be_used(read):
    """A row without a cell has no file name; a name can't leave the directory."""
    table = read(
        "id,label,dir\n1,cat,\n,cat,a\n2,cat,..\n3,cat,a\n3,cat,a\n4,cat\n5,cat,a,b\n",
        "{dir}/{id}.png",
    )
    assert keys_of(table) == [("a/3.png", "cat")]
    assert [(one.kind, one.row, one.detail, one.key) for one in table.problems] == [
        (Kind.NO_FILENAME, 2, "the label is 'cat'", ""),
        (Kind.NO_FILENAME, 3, "the label is 'cat'", ""),
        (Kind.OUTSIDE, 4, "'../2.png'", "../2.png"),
        (Kind.REPEATED, 6, "'a/3.png' is in row 5 already", "a/3.png"),
        (Kind.RAGGED, 7, "2 cells under 3 headers: ['4', 'cat']", ""),
        (
            *(Kind.RAGGED, 8),
            *("4 cells under 3 headers: ['5', 'cat', 'a', 'b']", "a/5.png"),
        ),
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "nr,label",
            (
                "no column has the name 'id' in label_csv {path}. Its columns are:"
                " 'nr', 'label'"
            ),
        ),
        (
            "id,label,id",
            (
                "2 columns have the name 'id' in label_csv {path}. Its columns are:"
                " 'id', 'label', 'id'"
            ),
        ),
    ],
)
def test_a_column_that_is_not_there(read, tmp_path, header, message):
    """The message lists the columns."""
    with pytest.raises(exceptions.SourceError) as raised:
        read(f"{header}\n", "{id}.png")
    assert str(raised.value) == "filename_template: " + message.format(
        path=tmp_path / "labels.csv"
    )


def test_a_header_that_is_the_row_of_an_image(tmp_path, make_dataset, make_builder):
    """If the columns of a CSV are named like an image, it has no header."""
    config = make_dataset([("7.png", "cat")], filename_template="{7}.png")
    (tmp_path / "labels.csv").write_text("7,cat\n8,dog\n")
    with pytest.raises(exceptions.SourceError) as raised:
        make_builder(config).download_and_prepare()
    assert str(raised.value) == (
        f"label_csv {config.label_csv}: its first row must be a header, such as"
        " 'filename,label', but it is the row of the image '7.png'. Add a header, or"
        " set header=False, and call the columns 1, 2, ..."
    )
