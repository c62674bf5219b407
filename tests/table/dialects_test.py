"""How texts become cells: delimiters, headers, encodings, compression."""

import bz2
import csv
import gzip
import io
import lzma
import tarfile
import zipfile

import pyarrow as pa
import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import exceptions
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.table import tables


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The path of a test's table."""
    return epath.Path(tmp_path_factory.mktemp("tables") / "l.csv")


@pytest.fixture(scope="module")
def read(path):
    """Returns a function that reads a table, given as text or bytes."""

    def read(content, *, name="l.csv", files=(), **options):
        content = content.encode() if isinstance(content, str) else content
        there = path.parent / name
        there.write_bytes(content)
        return tables.read_table(
            there,
            "label_csv",
            TableOptions(**options),
            names_file=frozenset(files).__contains__,
        )

    return read


def cells_of(table):
    """Returns the header and the rows."""
    return [table.header, *([c.strip() for c in row] for row in table.records())]


@pytest.fixture
def error_of(read, path):
    """Returns a function that returns the message of a refused table."""

    def error_of(content, **kwargs):
        with pytest.raises(exceptions.SourceError) as caught:
            cells_of(read(content, **kwargs))
        return str(caught.value).replace(str(path.parent), "DIR")

    return error_of


ROWS = [["file", "label"], ["1.png", "cat"], ["2.png", "dog"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.txt"])
def test_a_delimiter_is_found(read, delimiter, name):
    """It is reported, unless the file's name says it."""
    text = "\n".join(map(delimiter.join, ROWS))
    table = read(text, name=name)
    assert cells_of(table) == ROWS
    assert table.understood == {"delimiter": delimiter}
    usual = "\t" if name == "l.tsv" else ","
    assert bool(table.notes) == (delimiter != usual)
    assert cells_of(read(text, name=name, delimiter=delimiter)) == ROWS


@given(
    st.sampled_from(",;\t|"),
    st.lists(
        st.tuples(*[st.text("ab,;|\t \"'\n", max_size=6)] * 3), min_size=1, max_size=6
    ),
)
def test_cells_come_back_as_csv_wrote_them(read, delimiter, rows):
    """With any other delimiters, quotes and line breaks in quoted cells."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("name of file", "label", "more"), *rows])
    table = read(file.getvalue())
    assert cells_of(table)[0] == ["name of file", "label", "more"]
    assert cells_of(table)[1:] == [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        # All rows have as many cells as the header.
        ("file;label, or none\n1.png;cat\n", ";"),
        ("file|label;x\n1.png|a\n2.png|b\n", "|"),
        # A CSV has commas, even if not in all rows.
        ("file,label;x\n1.png,cat\n2.png,dog,x\n", ","),
        ("file,a|b\n1.png,1|0\n", ","),
        # Others are only in cells.
        ("file,label\n1.png,a;b\n2.png,a;c\n", ","),
    ],
)
def test_the_header_and_all_rows_decide(read, text, delimiter):
    """A character in only some cells is no delimiter."""
    assert read(text).understood["delimiter"] == delimiter


def test_two_delimiters_that_fit_equally(read, error_of):
    """A cell that names a file decides, or the user."""
    text = "a;b|c\n1.png;x|y\n"
    assert error_of(text) == (
        "label_csv DIR/l.csv: its cells may be separated by semicolon (2 columns) as"
        " well as by pipe (2 columns). Add delimiter=';' or delimiter='|'."
    )
    assert read(text, files=["1.png"]).header == ["a", "b|c"]
    assert read(text, files=["1.png;x"]).header == ["a;b", "c"]
    assert read(text, delimiter="|").header == ["a;b", "c"]


BLANKS = "  file   label \n 1.png\tcat\n2.png  'x y'\n\"3 4.png\"  cat\n"


def test_blanks_where_asked_for(read):
    """Runs of blanks and tabs; double quotes keep those inside."""
    table = read(BLANKS.replace("'x y'", "dog"), delimiter=" ")
    assert cells_of(table) == [*ROWS, ["3 4.png", "cat"]]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("file label\n1.png cat\n2.png dog\n", "delimiter=' '"),
        ("2\nfile label\n1.png cat\n2.png dog\n", "skip_lines=1 and delimiter=' '"),
        ("2\nfile;label\n1.png;cat\n2.png;dog\n", "skip_lines=1"),
        ("# Mine\n# (c)\nfile,label\n1.png,cat\n2.png,dog\n", "skip_lines=2"),
        ("file;label\n1.png;cat\n2.png;dog\n", "delimiter=';'"),
    ],
)
def test_flags_that_are_proposed(read, error_of, text, flags):
    """Blanks and skipped lines, if they give all rows the same number of cells."""
    given = {"delimiter": ","} if flags == "delimiter=';'" else {}
    message = error_of(text, **given)
    assert f"With {flags}, all its rows have the same number of cells" in message
    # A single column of file names isn't divided.
    assert len(read("my file\na b.png\n", files=["a b.png"]).header) == 1


def test_skipped_lines(read):
    """Rows are numbered as in an editor."""
    table = read("2\nfile,label\n1.png,cat\n", skip_lines=1)
    assert cells_of(table) == ROWS[:2]
    assert table.first == 3


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("label,x\n0,cat,1\n1,dog,2\n", ["", "label", "x"]),
        ("label\n1.png,cat\n2.png,dog\n", ["", "label"]),
        # Too little evidence, or another reading.
        ("label,x\n0,cat,1\n", ["label", "x"]),
        ("label,x\n0,cat,\n1,dog,\n", ["label", "x"]),
        ("label,x\n0,cat,1\n1,dog\n", ["label", "x"]),
    ],
)
def test_a_header_that_lacks_a_name(read, text, header):
    """If all rows have one more cell, and it isn't empty."""
    assert read(text, files=["1.png"]).header == header


def test_no_header(read):
    """If the user says so, columns are numbered, and the first row is row 1."""
    table = read("1.png,cat\n2.png,dog\n", header=False)
    assert cells_of(table) == [["1", "2"], *ROWS[1:]]
    assert table.first == 1
    assert table.first_row is None
    assert read("1.png,cat\n", header=True).first_row is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_are_found(read, encoding):
    """By their byte-order mark, or because it is UTF-8."""
    table = read("file,label\n1.png,Bär\n".encode(encoding))
    assert cells_of(table) == [["file", "label"], ["1.png", "Bär"]]


def test_an_encoding_that_is_given(read, error_of):
    """A wrong one is an error."""
    content = "file,label\n1.png,Bär\n".encode("cp1252")
    assert cells_of(read(content, text_encoding="cp1252"))[1] == ["1.png", "Bär"]
    assert error_of(content, text_encoding="ascii") == (
        "label_csv DIR/l.csv: line 2 isn't ASCII (byte 0xe4). Give the text_encoding"
        " that the file has."
    )
    mixed = "file,label\n1.png,Bär\n".encode() + content
    assert "line 4 isn't UTF-8 (byte 0xe4)" in error_of(mixed)


def in_zip(content):
    """Returns an archive of a table, as macOS makes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__MACOSX/._l.tsv", b"x")
        archive.writestr("l.tsv", content)
    return file.getvalue()


def in_tar(content):
    """Returns a compressed archive of a table."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("x/l.tsv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def zstandard(content):
    """Returns content, compressed by zstd."""
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".tsv.gz", gzip.compress),
        (".tsv.bz2", bz2.compress),
        (".TSV.XZ", lzma.compress),
        (".tsv.zst", zstandard),
        (".zip", in_zip),
        (".tar.gz", in_tar),
    ],
)
def test_compression(read, error_of, ending, compress):
    """The inner name tells the format; damage is an error with the place."""
    content = compress(b"file\tlabel\n1.png\tcat\n")
    table = read(content, name=f"l{ending}")
    assert cells_of(table) == ROWS[:2]
    assert not table.notes
    message = error_of(content[:-9], name=f"l{ending}")
    assert message.startswith(f"label_csv DIR/l{ending}: it can't be ")


def test_an_archive_of_several_files(error_of):
    """Nobody can know which one is the table."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("b.csv", "x")
        archive.writestr("a.csv", "x")
    assert error_of(file.getvalue(), name="l.zip") == (
        "label_csv DIR/l.zip: an archive of a table must have one file, and this has"
        " 2: 'a.csv', 'b.csv'. Give the table as a file of its own."
    )


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("l.parquet", {"delimiter": ";", "header": True}, "Parquet"),
        ("l.jsonl", {"skip_lines": 1}, "JSON Lines"),
        ("l.csv", {"sheet": "a"}, "no spreadsheet"),
        ("l.xlsx", {"text_encoding": "cp1252"}, "a spreadsheet"),
    ],
)
def test_fields_that_a_format_has_no_use_for(error_of, name, options, kind):
    """They are refused, not ignored."""
    given = " and ".join(options)
    assert error_of("x", name=name, **options) == (
        f"label_csv DIR/{name}: it is {kind}, for which {given} can't be given."
    )


def test_very_many_columns_and_a_very_long_line(read, error_of):
    """Nothing takes forever, and messages stay short."""
    header = ",".join(f"c{at}" for at in range(1_000_000))
    assert len(read(f"{header}\n").header) == 1_000_000
    message = error_of(f"file,label\n1.png,{'x' * 100_000_000}\n")
    assert "field larger than field limit" in message
    assert len(message) < 300
