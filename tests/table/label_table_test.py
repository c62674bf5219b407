"""Which image has which label, according to the CSV."""

import csv
import io
import posixpath

import pytest
import walk
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.problems import Kind


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The path of a test's CSV."""
    return epath.Path(tmp_path_factory.mktemp("labels") / "labels.csv")


@pytest.fixture(scope="module")
def read(path):
    """Returns a function that reads the labels of a CSV, given as text or bytes."""

    def read(content, **kwargs):
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(content)
        return walk.read_labels(path, **kwargs)

    return read


def rows_of(table):
    """Returns the usable rows as (row, key, label)."""
    assert table.rows.schema.names == ["row", "key", "label", "group", "given"]
    return list(arrays.named(table.rows, ("row", "key", "label")))


def problems_of(table):
    """Returns what is wrong with the other rows, as (kind, row, detail)."""
    return [(p.kind, p.row, p.detail) for p in table.problems]


def source_error(read, content, **kwargs):
    """Returns the message of a CSV that is refused as a whole."""
    with pytest.raises(exceptions.SourceError) as caught:
        read(content, **kwargs)
    return str(caught.value)


def test_a_table_is_sorted_by_key_and_has_the_sorted_class_names(read):
    """The first column has the file names, the second the labels."""
    table = read("file,species,age\nb.png,dog,1\na.png,cat,2\nc.png,Emu,3\n")
    assert rows_of(table) == [
        (3, "a.png", "cat"),
        (2, "b.png", "dog"),
        (4, "c.png", "Emu"),
    ]
    assert table.class_names == ("Emu", "cat", "dog")
    assert table.problems == ()


def test_columns_by_name(read):
    """The columns may be anywhere, in any order, and have padded names."""
    table = read(
        "age,species, file \n1,dog,b.png\n",
        filename_column="file",
        label_column=" species ",
    )
    assert rows_of(table) == [(2, "b.png", "dog")]


def test_one_column_by_name_and_the_other_by_default(read):
    """Each has a default of its own."""
    assert rows_of(read("f,l,m\na,b,c\n", label_column="m")) == [(2, "a", "c")]
    assert rows_of(read("f,l,m\na,b,c\n", filename_column="m")) == [(2, "c", "b")]


def test_a_suffix_is_appended_to_the_file_names(read):
    """Kaggle's ids have no extension."""
    assert rows_of(read("id,label\n7,cat\n", filename_suffix=".png")) == [
        (2, "7.png", "cat")
    ]


def test_classes_give_the_order_and_may_have_no_rows(read):
    """The ids of the classes are those of the config."""
    table = read("f,l\na,cat\nb,dog\n", classes=["dog", "emu", "cat"])
    assert table.class_names == ("dog", "emu", "cat")
    assert len(table.rows) == 2


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("\ufefff,l\na,b\n", [(2, "a", "b")]),
        ('\ufeff"f","l"\na,b\n', [(2, "a", "b")]),
        (" f ,\tl\n a ,\tb\t\n", [(2, "a", "b")]),
        ("f,l\n\u00a0a\u00a0,\u3000b\n", [(2, "a", "b")]),
        ('f,l\n"a, b.png",c\n', [(2, "a, b.png", "c")]),
        ('f,l\n"a, b" ,c\n', [(2, "a, b", "c")]),
        ('f,l\n "a, b" , "c, d" \n', [(2, "a, b", "c, d")]),
        ('f,l\n" a ",c\n', [(2, "a", "c")]),
        ('f,l\n"a""b","c"\n', [(2, 'a"b', "c")]),
        ('f,l\na"b,5" disk\n', [(2, 'a"b', '5" disk')]),
        ("f,l\r\na,b\r\nc,d\r\n", [(2, "a", "b"), (3, "c", "d")]),
        ("f,l\ra,b\rc,d\r", [(2, "a", "b"), (3, "c", "d")]),
        ("f,l\na,b\nc,d", [(2, "a", "b"), (3, "c", "d")]),
        ("\n ,\nf,l\n\na,b\n , \n,\n\nc,d\n\n", [(5, "a", "b"), (9, "c", "d")]),
        ("\r\nf,l\r\n\r\na,b\r\n", [(4, "a", "b")]),
        (",l\na,b\n", [(2, "a", "b")]),
        ("l,l\na,b\n", [(2, "a", "b")]),
        ("f,l\nü/ß.png,日本\n", [(2, "ü/ß.png", "日本")]),
    ],
    ids=[
        "byte-order mark",
        "byte-order mark before a quote",
        "padded",
        "padded with other spaces",
        "quoted comma",
        "quoted comma, padded behind",
        "quoted commas, padded",
        "padded within quotes",
        "doubled quote",
        "quote within a cell",
        "CRLF",
        "CR",
        "no line break at the end",
        "blank rows",
        "blank rows with CRLF",
        "unnamed column",
        "columns of one name",
        "Unicode",
    ],
)
def test_what_works(read, content, rows):
    """The input of spreadsheets and people is read as intended."""
    table = read(content)
    assert rows_of(table) == rows
    assert table.problems == ()


@pytest.mark.parametrize(
    "label",
    [
        *("001", "1", "1.0", "1e3", "-1", "-", "0x10", "2024-01-01", "true", "False"),
        *("NA", "NaN", "#N/A", "None", "null", "''", "a b", "a,b", 'a"b', "a\u2028b"),
    ],
)
def test_labels_are_names_kept_as_they_are_written(read, label):
    """No label is a number, a truth value, a date or a missing value."""
    file = io.StringIO()
    csv.writer(file).writerows([("f", "l"), (label, label)])
    table = read(file.getvalue())
    assert rows_of(table) == [(2, label, label)]
    assert table.class_names == (label,)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(str.strip),
        min_size=1,
    )
)
def test_labels_and_file_names_come_back_as_csv_wrote_them(read, texts):
    """Possible labels survive the CSV; impossible ones are reported."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["f", "l"])
    for at, text in enumerate(texts):
        writer.writerow([f"{at:04}.png", f" {text}\t"])
    table = read(file.getvalue())
    found = {key: label for _, key, label in rows_of(table)}
    bad = {row: kind for kind, row, _ in problems_of(table)}
    for at, text in enumerate(texts):
        if not text:
            assert bad.pop(at + 2) is Kind.NO_LABEL
        elif "\n" in text or "\r" in text:
            assert bad.pop(at + 2) is Kind.LINE_BREAK
        else:
            assert found.pop(f"{at:04}.png") == text
    assert not found
    assert not bad


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from(["cat", "dog", "emu"])),
        min_size=1,
        unique_by=lambda row: row[0],
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_rows_does_not_matter(read, rows, rng):
    """Law 3: a shuffled CSV is the same table, except for the numbers of the rows."""
    lines = [f"{name}.png,{label}\n" for name, label in rows]
    one = read("f,l\n" + "".join(lines))
    rng.shuffle(lines)
    other = read("f,l\n" + "".join(lines))
    one_frame, other_frame = walk.frame(one.rows), walk.frame(other.rows)
    assert one_frame.drop(columns="row").equals(other_frame.drop(columns="row"))
    assert one.class_names == other.class_names
    keys = one.rows["key"].to_pylist()
    assert keys == sorted(f"{name}.png" for name, _ in rows)


def test_rows_are_numbered_as_a_spreadsheet_shows_them(read):
    """Blank rows count, and a row with line breaks within quotes is one row."""
    table = read(
        'f,l,"no\nte"\n'  # row 1
        "\n"
        'a,b,"one\ntwo\nthree"\n'  # row 3
        ",,\n"
        ",x,\n"  # row 5
        'c,d,"\r\n"\n'
        "e,,\n"  # row 7
    )
    assert rows_of(table) == [(3, "a", "b"), (6, "c", "d")]
    assert problems_of(table) == [
        (Kind.NO_FILENAME, 5, "the label is 'x'"),
        (Kind.NO_LABEL, 7, "'e'"),
    ]


def test_rows_that_cannot_be_used(read):
    """Each is reported with its place and its value; the others are read."""
    table = read(
        "f,l,m\n"
        "a.png,cat,\n"
        ",dog,\n"
        " ,,z\n"
        "b.png, ,\n"
        "c.png,emu,\n"
        '"d\ne.png",cat,\n'
        f'f.png,"cat\r{"x" * 100}",\n'
        "g.png,cat\n"
        "h.png,cat,1,2,3\n"
        "i.png\n"
        "a.png,dog,\n"
        "j.png,dog,\n",
        classes=["cat", "dog"],
    )
    assert rows_of(table) == [(2, "a.png", "cat"), (13, "j.png", "dog")]
    assert problems_of(table) == [
        (Kind.NO_FILENAME, 3, "the label is 'dog'"),
        (Kind.NO_FILENAME, 4, "the label is ''"),
        (Kind.NO_LABEL, 5, "'b.png'"),
        (Kind.UNKNOWN_CLASS, 6, "'emu' for 'c.png'"),
        (Kind.LINE_BREAK, 7, "'d\\ne.png'"),
        (Kind.LINE_BREAK, 8, "'cat\\r" + "x" * 53 + "...'"),
        (Kind.RAGGED, 9, "2 cells under 3 headers: ['g.png', 'cat']"),
        (Kind.RAGGED, 10, "5 cells under 3 headers: ['h.png', 'cat', '1', '2']"),
        (Kind.RAGGED, 11, "1 cell under 3 headers: ['i.png']"),
        (Kind.REPEATED, 12, "'a.png' is in row 2 already"),
    ]


@pytest.mark.parametrize(
    ("column", "row", "key"),
    [
        ("f", "a.png", "a.png"),
        ("f", " ./b/../a.png ,cat,,x", "a.png"),
        ("f", ",cat", ""),
        ("f", " ,cat", ""),
        ("m", "cat,1", ""),
        ("m", "cat", ""),
        ("m", "cat,1,a.png,x", "a.png"),
        ("l", "1,a.png", "a.png"),
    ],
)
def test_the_key_of_a_row_with_the_wrong_number_of_cells(read, column, row, key):
    """It is that of its cell below the header, if it has one."""
    label = "l" if column == "f" else "f"
    table = read(f"f,l,m\n{row}\n", filename_column=column, label_column=label)
    (problem,) = table.problems
    assert (problem.kind, problem.row, problem.key) == (Kind.RAGGED, 2, key)


def test_the_key_of_a_row_with_the_wrong_number_of_cells_has_the_suffix(read):
    """Like those of other rows; a suffix alone is no name."""
    table = read("f,l,m\na,cat\n,cat\n", filename_suffix=".png")
    assert [problem.key for problem in table.problems] == ["a.png", ""]


def test_a_line_break_in_sixty_characters_is_shown_in_full(read):
    """Only what is longer is cut."""
    cell = "x" * 58 + "\n" + "y"
    assert problems_of(read(f'f,l\na,"{cell}"\n')) == [(Kind.LINE_BREAK, 2, repr(cell))]
    assert problems_of(read(f'f,l\na,"{cell}y"\n')) == [
        (Kind.LINE_BREAK, 2, repr("x" * 57 + "..."))
    ]


@pytest.mark.parametrize(
    "filename",
    ["../x.png", "..", ".", "/x.png", "//x.png", "a/..", "a/../..", "a/../../x.png"],
)
def test_file_names_that_leave_the_image_directory(read, filename):
    """They are reported as written."""
    table = read(f"f,l\n{filename},cat\n")
    assert rows_of(table) == []
    assert problems_of(table) == [(Kind.OUTSIDE, 2, repr(filename))]


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ("./a.png", "a.png"),
        ("a//b.png", "a/b.png"),
        ("a/../b.png", "b.png"),
        ("a/./b.png", "a/b.png"),
        ("..a.png", "..a.png"),
        ("...", "..."),
        ("~/a.png", "~/a.png"),
        ("a b.png", "a b.png"),
    ],
)
def test_file_names_have_one_form(read, filename, key):
    """The key is the file's path in the image directory."""
    assert rows_of(read(f"f,l\n{filename},cat\n")) == [(2, key, "cat")]


@given(
    st.lists(st.text(st.sampled_from("ab./\\ß"), min_size=1), min_size=1, unique=True)
)
def test_file_names_have_the_shortest_form(read, filenames):
    """It is that of `normpath`, unless they leave the directory."""
    table = read("f,l\n" + "".join(f"{name},cat\n" for name in filenames))
    expected = {}
    for row, name in enumerate(filenames, 2):
        key = posixpath.normpath(name)
        if key not in (".", "..") and not key.startswith(("/", "../")):
            expected.setdefault(key, row)
    assert {key: row for row, key, _ in rows_of(table)} == expected
    left = [row for kind, row, _ in problems_of(table) if kind is Kind.OUTSIDE]
    assert left == [
        row
        for row, name in enumerate(filenames, 2)
        if posixpath.normpath(name) in (".", "..")
        or posixpath.normpath(name).startswith(("/", "../"))
    ]


def test_one_image_under_two_names(read):
    """`./a.png` and `a.png` are one image, which can't have two rows."""
    table = read("f,l\n./a.png,cat\na.png,cat\nb/../a.png,dog\n")
    assert rows_of(table) == [(2, "a.png", "cat")]
    assert problems_of(table) == [
        (Kind.REPEATED, 3, "'a.png' is in row 2 already"),
        (Kind.REPEATED, 4, "'a.png' is in row 2 already"),
    ]


def test_class_names_are_those_of_the_rows_that_can_be_used(read):
    """The label of a refused row makes no class."""
    table = read("f,l\na,cat\na,dog\n")
    assert table.class_names == ("cat",)


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n", " \n", ",,\n,,\n", '""\n'])
def test_an_empty_file(read, path, content):
    """The message says what the file must have."""
    assert source_error(read, content) == (
        f"label_csv {path}: the file is empty. Its first row must be a header, such as"
        " 'filename,label', and each row below it an image."
    )


def test_a_header_without_rows(read, path):
    """A dataset needs images."""
    assert source_error(read, "f, l\n\n , \n") == (
        f"label_csv {path}: there are no rows below the header 'f', 'l'. Give each"
        " image a row with its file name and its label."
    )


@pytest.mark.parametrize(
    ("content", "column"),
    [("f\na\n", "'f'"), ("f:l\na:b\n", "'f:l'"), ("f/l\na/b\n", "'f/l'")],
)
def test_one_column(read, path, content, column):
    """Colons and slashes make no columns, as the message shows."""
    assert source_error(read, content) == (
        f"label_csv {path}: there is only one column, {column}. Two are needed, for"
        " file names and labels, with a comma between them; or set label_type='none'."
    )


@pytest.mark.parametrize("field", ["filename_column", "label_column"])
def test_a_column_that_is_not_there(read, path, field):
    """The message lists the existing ones."""
    assert source_error(read, "f, l ,m\na,b,c\n", **{field: "species"}) == (
        f"{field}: no column has the name 'species' in label_csv {path}. Its columns"
        " are: 'f', 'l', 'm'"
    )


def test_two_columns_of_the_name_asked_for(read, path):
    """Nobody can know which one is meant."""
    assert source_error(read, "f,l, l\na,b,c\n", label_column="l") == (
        f"label_column: 2 columns have the name 'l' in label_csv {path}. Its columns"
        " are: 'f', 'l', 'l'"
    )


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"filename_column": "f", "label_column": "f"}, "f"),
    ],
)
def test_one_column_for_both(read, path, fields, column):
    """A column can't be both."""
    assert source_error(read, "f,l\na,b\n", **fields) == (
        f"filename_column and label_column are both '{column}' in label_csv"
        f" {path}. Name two columns among: 'f', 'l'"
    )


@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [
        ("f,l\na,b\nc,é\n".encode("latin-1"), 3, "0xe9"),
        ("f,é\na,b\n".encode("cp1252"), 1, "0xe9"),
        (b"\xef\xbb\xbff,l\n\na,\x80\n", 3, "0x80"),
    ],
    ids=["Latin-1", "CP1252 in the header", "UTF-8 and then not"],
)
def test_another_encoding(read, path, content, line, byte):
    """The message has the place, another reading, and what to do."""
    shown = content.splitlines()[-1 if line == 3 else 0].decode("cp1252")
    assert source_error(read, content) == (
        f"label_csv {path}: line {line} isn't UTF-8 (byte {byte}). As cp1252, which"
        f" Windows writes in Western Europe, it is {shown!r}: if that is right, add"
        ' text_encoding="cp1252"; else give the encoding it has, or save the file as'
        " 'CSV UTF-8'."
    )


def test_utf_16_of_a_spreadsheet(read):
    """Its byte-order mark tells the encoding; tabs are found."""
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        mark = "" if encoding == "utf-16" else "\ufeff"
        content = f"{mark}f\tl\na.png\tdög\n".encode(encoding)
        assert rows_of(read(content)) == [(2, "a.png", "dög")]


def test_no_such_file(tmp_path):
    """The message has the field and the path."""
    path = epath.Path(tmp_path / "none.csv")
    with pytest.raises(exceptions.SourceError) as caught:
        walk.read_labels(path)
    assert str(caught.value) == f"label_csv {path}: no such file."


def test_a_directory_in_place_of_the_file(tmp_path):
    """The message has the system's reason."""
    with pytest.raises(exceptions.SourceError) as caught:
        walk.read_labels(epath.Path(tmp_path))
    assert str(caught.value) == (
        f"label_csv {tmp_path}: it can't be read: Is a directory"
    )


QUOTE_REMEDY = (
    "Close each quoted cell before the next comma, and write a quote within it twice."
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('f,l,n\na,b,"x\nc,d,y\ne,f,z\n', "line 2: unexpected end of data"),
        ('f,l\na,b\n"c,d\n', "line 3: unexpected end of data"),
        ('f,l\na,"b\nc,d\n', "line 2: unexpected end of data"),
        ('"f,l\na,b\n', "line 1: unexpected end of data"),
        ('f,l,n\na,b,"x\nc,d,"y"\ne,f,z\n', "line 2: ',' expected after '\"'"),
        ('f,l,n\r\na,b,"x\r\nc,d,y\r\n', "line 2: unexpected end of data"),
        ('f,l,n\ra,b,"x\rc,d,y\re,f,z\r', "line 2: unexpected end of data"),
        ('f,l,n\ra,b,"x\rc,d,"y"\re,f,z\r', "line 2: ',' expected after '\"'"),
        (
            f"f,l,n\na,b,{'x' * 140_000}\n",
            "line 2: field larger than field limit (131072)",
        ),
        (
            'f,l,n\na,b,"' + "c,d,e\n" * 30_000,
            "line 2: field larger than field limit (131072)",
        ),
    ],
    ids=[
        "last column",
        "file name",
        "label",
        "header",
        "closed by a later one",
        "CRLF",
        "CR",
        "CR, closed by a later one",
        "very long cell",
        "very long file",
    ],
)
def test_a_quote_that_is_not_closed_swallows_no_rows(read, path, content, reason):
    """Law 6: rows below an open quote aren't read as a part of its cell."""
    assert source_error(read, content) == f"label_csv {path}: {reason}. {QUOTE_REMEDY}"


def test_a_quote_that_is_not_closed_in_the_last_cell(read):
    """There is nothing left to swallow."""
    table = read('f,l\na,b\nc,"d')
    assert rows_of(table) == [(2, "a", "b"), (3, "c", "d")]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", '"a"', '"a" ', ' "a"', '"a', 'a"', '"a,b"', '"', ""]),
            st.sampled_from(["x", '"x"', '"x" ', '"x', 'x"', '"x""', '"', ""]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_no_line_is_ever_swallowed_silently(read, lines, line_break):
    """Law 6: each line is a row, a problem, or part of a quoted cell."""
    content = "f,l,n" + line_break
    for name, note in lines:
        content += f"{name},cat,{note}{line_break}"
    try:
        table = read(content)
    except exceptions.SourceError:
        return
    # By the strict rules of CSV, several lines may be one row.
    rows = len(table.rows) + len(table.problems)
    if rows < len(lines):
        strict = csv.reader(
            io.StringIO(content, newline=""), strict=True, skipinitialspace=True
        )
        assert rows == len(list(strict)) - 1


def test_a_field_that_suits_the_labels_better_is_noted(read):
    """The report of unusable labels has it, too."""
    table = read("file,height\n0.png,tall\n1.png,small\n", label_type="regression")
    assert table.suggestion.endswith("set label_type='class'")
    assert table.notes[-1] == table.suggestion
    assert read("file,label\n0.png,cat\n1.png,dog\n").suggestion == ""
