"""The split manifest: its bytes, reading it again, and what is refused."""

import pyarrow as pa
import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays, exceptions, split_names
from tfds_imagecsv.table import manifest

HEADER = "key,split,label,group,digest\n"


def table(*rows):
    """Returns a table of rows with the columns of a manifest."""
    cells = zip(*rows, strict=True) if rows else [()] * len(manifest.COLUMNS)
    columns = dict(zip(manifest.COLUMNS, map(list, cells), strict=True))
    *texts, digests = columns
    return pa.record_batch(
        {
            **{name: arrays.encoded(columns[name]) for name in texts},
            "key": arrays.texts(columns["key"]),
            digests: pa.array(map(bytes.fromhex, columns[digests]), arrays.DIGEST),
        }
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Where the manifests of these tests are."""
    return epath.Path(tmp_path_factory.mktemp("manifest") / "split_manifest.csv")


def error_of(path, content):
    """Returns the message of a refused manifest."""
    path.write_bytes(content)
    with pytest.raises(exceptions.SourceError) as caught:
        manifest.read_manifest(path)
    return str(caught.value)


def test_the_bytes(path):
    """A header, a row for each example sorted by key, quotes where they are needed."""
    rows = table(
        ("b.png", "train", "cat", "", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
        ("ä, 1.png", "test", 'a "dog"', "g, 1", "cccccccccccccccccccccccccccccccc"),
        ("B/a.png", "fold10", "001", "NA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("a.png", "unlabeled", "", "", "dddddddddddddddddddddddddddddddd"),
    )
    manifest.write_manifest(path, rows)
    assert path.read_bytes().decode() == (
        HEADER + "B/a.png,fold10,001,NA,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
        "a.png,unlabeled,,,dddddddddddddddddddddddddddddddd\n"
        "b.png,train,cat,,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
        '"ä, 1.png",test,"a ""dog""","g, 1",cccccccccccccccccccccccccccccccc\n'
    )


def test_the_name_of_the_file():
    """It is part of what users see."""
    assert manifest.FILENAME == "split_manifest.csv"


def test_the_order_of_the_rows_does_not_matter(path):
    """The same rows give the same bytes."""
    rows = [(f"{at:02}.png", "train", "cat", "", "dd" * 16) for at in range(20)]
    manifest.write_manifest(path, table(*rows))
    written = path.read_bytes()
    manifest.write_manifest(path, table(*rows[::-1]))
    assert path.read_bytes() == written


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8
) | st.sampled_from(["", '"', ",", "NA", "true", "1.0", "é", "\ufeff", " a ", '"a",""'])


splits = st.from_regex(r"[A-Za-z0-9_\-]+", fullmatch=True).filter(
    lambda name: (
        split_names.is_split_name(name) and split_names.split_name(name) == name
    )
)


def rows_of(path):
    """Reads the split and the label of each key."""
    rows = manifest.read_manifest(path)
    assert rows["key"].to_pylist() == sorted(rows["key"].to_pylist())
    found = arrays.named(rows, ("key", "split", "label"))
    return {key: (split, label) for key, split, label in found}


@given(st.dictionaries(texts.filter(bool), st.tuples(splits, texts, texts), max_size=8))
def test_what_is_written_is_read_again(path, rows):
    """Names with commas, quotes and letters of all scripts come back unchanged."""
    manifest.write_manifest(
        path, table(*((key, *row, "dd" * 16) for key, row in rows.items()))
    )
    assert rows_of(path) == {
        key: (split, label) for key, (split, label, _) in rows.items()
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "", "é"]),
            st.sampled_from(["train", "test", "all", ""]),
            st.sampled_from(["cat", "NA", "", " x"]),
        ),
        max_size=4,
    )
)
def test_quotes_change_nothing(path, rows):
    """Reading at once and reading line by line agree, also on errors."""

    def outcome(quote):
        lines = [",".join(f"{quote}{one}{quote}" for one in row) for row in rows]
        path.write_text(HEADER + "".join(f"{line},,1\n" for line in lines))
        try:
            return rows_of(path)
        except exceptions.SourceError as error:
            return str(error)

    assert outcome("") == outcome('"')


@pytest.mark.parametrize(
    "content",
    [
        HEADER + "a.png,train,cat,,1\nb.png,test,,g,2\n",
        "\ufeff" + HEADER + "a.png,train,cat,,1\nb.png,test,,g,2\n",
        (HEADER + "a.png,train,cat,,1\nb.png,test,,g,2\n").replace("\n", "\r\n"),
        HEADER + "b.png,test,,g,2\n\na.png,train,cat,,1",
        "more,digest,label,split,group,key\n1,1,cat,train,,a.png\n1,2,,test,g,b.png\n",
        HEADER.replace(",", '","').replace("key", '"key').replace("st\n", 'st"\n')
        + '"a.png","train","cat","","1"\n"b.png","test","","g","2"\n',
    ],
    ids=["as written", "BOM", "CRLF", "reordered", "columns", "quoted"],
)
def test_an_edited_manifest_still_reads(path, content):
    """A version saved by a spreadsheet is as good."""
    path.write_bytes(content.encode())
    assert rows_of(path) == {
        "a.png": ("train", "cat"),
        "b.png": ("test", ""),
    }


def test_a_manifest_without_rows(path):
    """It pins nothing."""
    path.write_text(HEADER)
    assert rows_of(path) == {}


@pytest.mark.parametrize(
    ("content", "lacking"),
    [
        (b"", "key, split, label, group, digest"),
        (b"filename,label\na.png,cat\n", "key, split, group, digest"),
        (b"key,split,label,group\na.png,train,cat,\n", "digest"),
        (HEADER.replace(",", ";").encode(), "key, split, label, group, digest"),
    ],
    ids=["empty", "label CSV", "one", "semicolons"],
)
def test_another_file(path, content, lacking):
    """The message has the missing columns."""
    assert error_of(path, content) == (
        f"pinned_splits {path}: this isn't a split manifest: it has no column"
        f" {lacking}. Give the split_manifest.csv of an earlier build."
    )


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (",train,cat,,1", 3),
        ("b.png,,cat,,1", 3),
        ("b.png,train", 3),
        ("b.png", 3),
        ("a.png,train,cat,,1", 3),
        ("a.png,test,cat,,1", 3),
        ('"b\n.png",,cat,,1', 4),
    ],
    ids=["key", "split", "label", "short", "twice", "both", "line break"],
)
def test_a_row_that_no_build_wrote(path, row, line):
    """The message has the line."""
    content = f"{HEADER}a.png,train,cat,,1\n{row}\nc.png,train,cat,,1\n"
    assert error_of(path, content.encode()) == (
        f"pinned_splits {path}: line {line} has no key or no split, or a key for the"
        " second time. Give the split_manifest.csv of an earlier build as it was"
        " written."
    )


@pytest.mark.parametrize("name", ["all", "All", "a b", "é", "train[:10%]"])
def test_a_split_name_that_tfds_cannot_read(path, name):
    """The message has the line and the name."""
    content = f"{HEADER}a.png,train,cat,,1\nb.png,{name},cat,,1\n"
    assert error_of(path, content.encode()) == (
        f"pinned_splits {path}: line 3 has a split that TFDS can't read, {name!r}. Name"
        " splits with letters, digits, '_' and '-', and not 'all'."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + 'a.png,train,"cat,,1\n', "line 2: unexpected end of data"),
        (HEADER + 'a.png,train,"c"at,,1\n', "line 2: ',' expected after '\"'"),
        ('"key', "line 1: unexpected end of data"),
    ],
    ids=["open quote", "stray quote", "header"],
)
def test_a_file_that_is_no_csv(path, content, reason):
    """The message has the line, and the reason of Python's parser."""
    assert error_of(path, content.encode()) == f"pinned_splits {path}: {reason}"


def test_blank_lines_count(path):
    """The line is the one that an editor shows."""
    content = f"{HEADER}a.png,train,cat,,1\n\n\nb.png,,cat,,1\n"
    assert f"pinned_splits {path}: line 5 has no " in error_of(path, content.encode())


def test_another_encoding(path):
    """The message has the reason of Python's decoder."""
    assert error_of(path, HEADER.encode() + b"\xe4.png,train,cat,,1\n") == (
        f"pinned_splits {path}: it can't be read: 'utf-8' codec can't decode byte 0xe4"
        " in position 29: invalid continuation byte"
    )


def test_no_such_file(tmp_path):
    """The message has the path and the system's reason."""
    path = epath.Path(tmp_path / "none.csv")
    with pytest.raises(exceptions.SourceError) as caught:
        manifest.read_manifest(path)
    assert str(caught.value) == (
        f"pinned_splits {path}: it can't be read: No such file or directory"
    )


def test_a_directory_in_place_of_the_file(tmp_path):
    """The message has the path and the system's reason."""
    with pytest.raises(exceptions.SourceError) as caught:
        manifest.read_manifest(epath.Path(tmp_path))
    assert str(caught.value) == (
        f"pinned_splits {tmp_path}: it can't be read: Is a directory"
    )
