"""The cells of tables in memory, and of spreadsheets."""

import datetime
import io

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import walk
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import exceptions
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources import locate
from tfds_imagecsv.table import arrow_tables, label_table, tables


def cells_of(frame, **options):
    """Returns the header and the rows of a table."""
    table = tables.read_table(frame, "label_csv", TableOptions(**options))
    return [table.header, *table.records()]


def test_values_of_pandas():
    """Categories and dates are texts; NaN, NaT and None are empty; 1 isn't 1.0."""
    frame = pd.DataFrame(
        {
            "file": ["a", "b", "c"],
            "class": pd.Categorical(["x", None, "y"]),
            "day": [datetime.date(2020, 1, 2), None, pd.NaT],
            "whole": [1, 2, 3],
            "float": [1.0, np.nan, 2.5],
            "bool": [True, False, True],
            "mixed": ["x", 1, None],
            "lists": [["a", "b"], ["c"], []],
        }
    )
    assert cells_of(frame, label_delimiter="|") == [
        ["file", "class", "day", "whole", "float", "bool", "mixed", "lists"],
        ["a", "x", "2020-01-02", "1", "1", "true", "x", "a|b"],
        ["b", "", "", "2", "", "false", "1", "c"],
        ["c", "y", "", "3", "2.5", "true", "", "|"],
    ]


@pytest.mark.parametrize(
    ("index", "header"),
    [
        (None, ["f"]),
        (pd.Index(["x", "y"], name="key"), ["key", "f"]),
        (pd.Index(["x", "y"]), ["", "f"]),
        (pd.Index([5, 7]), ["", "f"]),
        (
            pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["a", None]),
            ["a", "", "f"],
        ),
    ],
)
def test_an_index(index, header):
    """It is the first column, unless it only numbers the rows."""
    assert cells_of(pd.DataFrame({"f": ["a", "b"]}, index=index))[0] == header


def test_names_of_columns_that_are_no_texts():
    """They become texts."""
    assert cells_of(pd.DataFrame([["a", "b"]]))[0] == ["0", "1"]


@given(st.lists(st.tuples(st.text("ab1é ", max_size=3), st.none() | st.booleans())))
def test_frames_of_all_libraries_have_the_same_cells(rows):
    """It doesn't matter which library made it."""
    columns = {"f": [row[0] for row in rows], "l": [row[1] for row in rows]}
    schema = {"f": pl.String, "l": pl.Boolean}
    types = pa.schema({"f": pa.string(), "l": pa.bool_()})
    expected = cells_of(pa.table(columns, schema=types))
    assert cells_of(pl.DataFrame(columns, schema=schema)) == expected
    as_pandas = pd.DataFrame({**columns, "l": pd.array(columns["l"], "boolean")})
    assert cells_of(as_pandas.astype({"f": str})) == expected


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(), pd.DataFrame({"f": [], "l": []}), pl.DataFrame()]
)
def test_an_empty_frame(frame):
    """It has no rows, like an empty file."""
    sources = locate.Sources(
        image_dir=epath.Path("/nowhere"),
        tables=(locate.TableSource(field="label_csv", table=frame),),
    )
    with pytest.raises(exceptions.SourceError) as caught:
        label_table.read_labels(sources)
    kind = "pandas" if isinstance(frame, pd.DataFrame) else "polars"
    assert str(caught.value).startswith(f"label_csv a DataFrame of {kind}: the")


def test_the_digest_of_a_frame_is_that_of_its_content():
    """Copies have the same one, even in other pieces."""
    frame = pd.DataFrame({"f": ["a", "b"], "l": ["x", "y"]})
    digest = arrow_tables.digest_of(frame)
    assert arrow_tables.digest_of(frame.copy()) == digest
    assert arrow_tables.digest_of(frame.iloc[::-1]) != digest
    assert arrow_tables.digest_of(frame.replace("y", "z")) != digest
    whole = pa.table({"f": ["a", "b"]})
    pieces = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 1)])
    assert arrow_tables.digest_of(pieces) == arrow_tables.digest_of(whole)


def spreadsheet(*rows, sheet="One"):
    """Returns the bytes of an .xlsx with two sheets; the second is empty."""
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    book.create_sheet("Two").append(["f", "l"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_values_of_a_spreadsheet(tmp_path):
    """Whole numbers have no decimals; dates follow ISO 8601."""
    path = epath.Path(tmp_path / "l.xlsx")
    path.write_bytes(
        spreadsheet(
            [],
            ["f", "n", "x", "day", "time", "yes"],
            ["a", 1, 2.5, datetime.date(2020, 1, 2), datetime.time(3, 4), True],
            ["b", None, 1e20, datetime.datetime(2020, 1, 2, 3, 4), None, False],
        )
    )
    assert cells_of(path) == [
        ["f", "n", "x", "day", "time", "yes"],
        ["a", "1", "2.5", "2020-01-02", "03:04:00", "true"],
        ["b", "", "100000000000000000000", "2020-01-02T03:04:00", "", "false"],
    ]
    assert tables.read_table(path, "label_csv").first == 3
    assert cells_of(path, sheet="Two") == [["f", "l"]]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            spreadsheet(["f", "l"]),
            {"sheet": "Three"},
            "sheet: there is none of the name 'Three'. Its sheets are: 'One', 'Two'",
        ),
        (b"x", {}, "it can't be read as a spreadsheet: "),
    ],
)
def test_spreadsheets_that_cannot_be_read(tmp_path, content, options, message):
    """The message has the place and what there is."""
    path = epath.Path(tmp_path / "l.xlsx")
    path.write_bytes(content)
    with pytest.raises(exceptions.SourceError) as caught:
        cells_of(path, **options)
    assert str(caught.value).startswith(f"label_csv {path}: {message}")


def test_rows_of_a_spreadsheet_are_numbered_as_it_shows_them(tmp_path):
    """Blank ones count."""
    path = epath.Path(tmp_path / "l.xlsx")
    path.write_bytes(spreadsheet(["f", "l"], [], ["a", "x"], ["b", None]))
    table = walk.read_labels(path)
    assert table.rows["row"].to_pylist() == [3]
    assert [one.row for one in table.problems] == [4]
