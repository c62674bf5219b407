"""Tables in files of different formats: the same cells, and what can't be read."""

import datetime
import io

import pandas as pd
import pyarrow as pa
import pytest
import walk
from etils import epath
from pyarrow import parquet

from tfds_imagecsv import exceptions
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.table import tables


@pytest.fixture
def read(tmp_path):
    """Returns a function that writes a file, and returns the table it reads."""

    def read(name, content, **kwargs):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        options = TableOptions(**kwargs)
        found = tables.read_table(epath.Path(path), "label_csv", options)
        return found.header, found.first, list(found.records())

    return read


@pytest.fixture
def error_of(read, tmp_path):
    """Returns a function that returns the message of a refused file."""

    def error_of(name, content, **kwargs):
        with pytest.raises(exceptions.SourceError) as caught:
            read(name, content, **kwargs)
        return str(caught.value).replace(str(tmp_path), "DIR")

    return error_of


def parquet_of(columns):
    """Returns a Parquet file's bytes."""
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


CELLS = ["name", "label"], [["1.png", "cat, fat"], ["a/2.png", "dög"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", 'name,label\n1.png,"cat, fat"\na/2.png,dög\n'),
        ("l", 'name,label\n1.png,"cat, fat"\na/2.png,dög\n'),
        ("l.txt", '\ufeffname , label\r\n1.png,"cat, fat"\r\na/2.png,dög'),
        ("l.tsv", "name\tlabel\n1.png\tcat, fat\na/2.png\tdög\n"),
        ("l.TAB", 'name\tlabel\n1.png\t"cat, fat"\na/2.png\tdög\n'),
        (
            "l.jsonl",
            (
                '{"name": "1.png", "label": "cat, fat"}\n'
                '{"label": "d\\u00f6g", "name": "a/2.png"}\n'
            ),
        ),
        (
            "l.ndjson",
            (
                '{"name": "1.png", "label": "cat, fat"}\r\n'
                '{"name": "a/2.png", "label": "dög"}'
            ),
        ),
        (
            "l.parquet",
            parquet_of({"name": ["1.png", "a/2.png"], "label": ["cat, fat", "dög"]}),
        ),
        (
            "l.pq",
            parquet_of(
                {
                    "name ": pa.array(["1.png", "a/2.png"], pa.large_string()),
                    "label": pa.array(["cat, fat", "dög"]).dictionary_encode(),
                }
            ),
        ),
    ],
)
def test_every_format_has_the_same_cells(read, name, content):
    """The name tells the format."""
    header, _, records = read(name, content)
    assert (header, records[: len(CELLS[1])]) == CELLS
    assert not any(map(any, records[len(CELLS[1]) :]))


def test_rows_are_numbered_as_editors_show_them(read):
    """A CSV's header is row 1; those of other formats have no row."""
    assert read("l.csv", "\n\nname,label\na,b\n")[1:] == (4, [["a", "b"]])
    assert read("l.jsonl", '\n{"a": "b"}\n')[1:] == (1, [[], ["b"], []])
    assert read("l.parquet", parquet_of({"a": ["b"]}))[1:] == (1, [["b"]])


def test_values_of_json_lines_are_kept_as_they_are_written(read):
    """Numbers keep their digits, and missing values are empty."""
    lines = (
        '{"a": 1.10, "b": 007e}'.replace("007e", "7e2"),
        '{"a": true, "c": null}',
        '{"a": 12345678901234567890, "b": false, "c": " x "}',
    )
    header, _, records = read("l.jsonl", "\n".join(lines))
    assert header == ["a", "b", "c"]
    assert records == [
        ["1.10", "7e2", ""],
        ["true", "", ""],
        ["12345678901234567890", "false", " x "],
    ]
    assert {type(cell) for cells in records for cell in cells} == {str}


def test_values_of_parquet(read):
    """Numbers have their shortest form, and null is empty."""
    content = parquet_of(
        {
            "id": pa.array([1.0, None]),
            "weight": pa.array([0.1, 2.5], pa.float32()),
            "whole": [2**62, -1],
            "flag": [True, None],
            "day": [datetime.date(2020, 1, 2), None],
        }
    )
    assert read("l.parquet", content)[2] == [
        ["1", "0.1", str(2**62), "true", "2020-01-02"],
        ["", "2.5", "-1", "", ""],
    ]


def test_lists_are_joined(read):
    """The delimiter of labels joins them; an empty list means no label."""
    expected = [["a|b"], ["c"], ["|"]]
    lines = '{"l": ["a", "b"]}\n{"l": ["c"]}\n{"l": []}'
    assert read("l.jsonl", lines, label_delimiter="|")[2] == expected
    content = parquet_of({"l": [["a", "b"], ["c"], []]})
    assert read("l.parquet", content, label_delimiter="|")[2] == expected
    content = parquet_of({"l": [[1, 2], None]})
    assert read("l.parquet", content, label_delimiter="|")[2] == [["1|2"], [""]]


NEEDS_DELIMITER = (
    " is a list. For labels, set label_type to 'multilabel', and label_delimiter to"
    " what no label holds, such as '|'."
)
JSON_REMEDY = (
    'Write a JSON object on each line, such as {"filename": "1.png", "label": "cat"}.'
)
CELL_RULE = "Cells must be texts, numbers, true, false, null, or lists of them."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "l.jsonl",
            '{"a": "b"}\n{"a": [1]}',
            "label_csv DIR/l.jsonl: line 2: 'a'" + NEEDS_DELIMITER,
        ),
        (
            "l.parquet",
            parquet_of({"a": [None, ["b"]]}),
            "label_csv DIR/l.parquet: row 2: 'a'" + NEEDS_DELIMITER,
        ),
        (
            "l.jsonl",
            '{"a": {"b": 1}}',
            f"label_csv DIR/l.jsonl: line 1: 'a' is an object. {CELL_RULE}",
        ),
        (
            "l.jsonl",
            '{"a": "b"}\n{"a": "b"',
            (
                "label_csv DIR/l.jsonl: line 2: it isn't JSON: Expecting ',' delimiter"
                f" at column 10. {JSON_REMEDY}"
            ),
        ),
        (
            "l.jsonl",
            '["a"]',
            (
                "label_csv DIR/l.jsonl: line 1: it isn't a JSON object, but"
                f' ["a"]. {JSON_REMEDY}'
            ),
        ),
        (
            "l.parquet",
            b"name,label",
            (
                "label_csv DIR/l.parquet: it can't be read as Parquet: Parquet magic"
                " bytes not found in footer. Either the file is corrupted or this is"
                " not a parquet file."
            ),
        ),
        (
            "l.parquet",
            parquet_of({"a": [{"b": 1}]}),
            (
                "label_csv DIR/l.parquet: the column 'a' has the type struct<b: int64>,"
                " which can't be text. Cells must be texts, numbers, booleans, dates,"
                " or lists of them."
            ),
        ),
        (
            "l.tsv",
            'name\tlabel\n1\t"cat\n2\tdog\n',
            (
                "label_csv DIR/l.tsv: line 2: unexpected end of data. Close each quoted"
                " cell before the next tab, and write a quote within it twice."
            ),
        ),
        (
            "l.jsonl",
            b'{"a": "\xe9"}',
            (
                "label_csv DIR/l.jsonl: line 1 isn't UTF-8 (byte 0xe9). As cp1252,"
                ' which Windows writes in Western Europe, it is \'{"a": "é"}\': if'
                ' that is right, add text_encoding="cp1252"; else give the encoding it'
                " has, or save the file as UTF-8."
            ),
        ),
        (
            "l.tsv",
            b"a\0\tb",
            (
                "label_csv DIR/l.tsv: line 1 has a zero byte, so it isn't UTF-8 text."
                " Save the file as UTF-8."
            ),
        ),
    ],
)
def test_what_cannot_be_read(error_of, name, content, message):
    """The message has the place, the rule, the value, and what to do."""
    assert error_of(name, content) == message


def test_lists_that_cannot_be_joined(error_of):
    """An item has the delimiter, or is a list itself."""
    assert error_of("l.jsonl", '{"a": ["b|c"]}', label_delimiter="|") == (
        "label_csv DIR/l.jsonl: line 1: 'a' has an item that holds the label_delimiter"
        " '|': 'b|c'. Set label_delimiter to what no label holds."
    )
    assert error_of("l.jsonl", '{"a": [["b"]]}', label_delimiter="|") == (
        f"label_csv DIR/l.jsonl: line 1: 'a' is a list within a list. {CELL_RULE}"
    )
    assert error_of(
        "l.parquet", parquet_of({"a": [["b"], ["x", "b|c"]]}), label_delimiter="|"
    ) == (
        "label_csv DIR/l.parquet: row 2: 'a' has an item that holds the label_delimiter"
        " '|': 'b|c'. Set label_delimiter to what no label holds."
    )


def test_one_column_of_a_tsv(tmp_path):
    """The message names the separator of the format."""
    path = epath.Path(tmp_path / "l.tsv")
    path.write_text("name:label\n1.png:cat\n")
    with pytest.raises(exceptions.SourceError) as caught:
        walk.read_labels(path)
    assert str(caught.value) == (
        f"label_csv {path}: there is only one column, 'name:label'. Two are needed, for"
        " file names and labels, with a tab between them; or set label_type='none'."
    )


def test_one_column_of_a_spreadsheet(tmp_path):
    """It has nothing between its cells."""
    path = epath.Path(tmp_path / "l.xlsx")
    pd.DataFrame({"notes": ["by Ann"]}).to_excel(path, index=False)
    with pytest.raises(exceptions.SourceError) as caught:
        walk.read_labels(path)
    assert str(caught.value) == (
        f"label_csv {path}: there is only one column, 'notes'. Two are needed, for"
        " file names and labels; or set label_type='none'."
    )
