"""Columns of names: changing and finding all at once is like one by one."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import arrays, image_formats
from tfds_imagecsv.table.names import NONE, Index, Names

# Few different ones, so that some are equal, even only after folding.
TEXTS = st.text(st.sampled_from("aAéÉe\u0301ßSs./:\\ΣςJPGjpg"), max_size=6)
COLUMNS = st.lists(TEXTS, max_size=12)


def names_of(cells):
    """Returns a column of them."""
    return Names(arrays.texts(cells))


@given(COLUMNS)
def test_changes_are_those_of_each_name(cells):
    """Even though one text holds all names."""
    names = names_of(cells)
    slashed = [one.replace("\\", "/") for one in cells]
    assert names.slashed.column.to_pylist() == slashed
    folded = [unicodedata.normalize("NFC", one).lower() for one in cells]
    assert names.folded.column.to_pylist() == folded
    bare = [one.rpartition("/")[2] for one in cells]
    assert names.bare.column.to_pylist() == bare
    inner = [one.partition("/")[2].partition("/")[2] for one in cells]
    assert names.without_first(2).column.to_pylist() == inner
    of_system = [bool(re.match(r"/|[A-Za-z]:/", one)) for one in cells]
    absolute = [
        one if is_one or "://" in one else ""
        for one, is_one in zip(cells, of_system, strict=True)
    ]
    assert names.absolute.column.to_pylist() == absolute
    assert names.depths == ({one.count("/") for one in cells} or {0})


@given(
    st.lists(st.sampled_from(["a.jpg", "a.b.png", "x/.jpg", "a", "a.txt", ".png", ""]))
)
def test_extensions_of_images_go(cells):
    """The last one goes, in lower case; others stay."""
    known = image_formats.by_extension()

    def cut(name):
        stem, point, end = name.rpartition(".")
        return stem if point + end in known else name

    found = names_of(cells).without_extensions.column.to_pylist()
    assert found == list(map(cut, cells))


@given(st.lists(st.sampled_from(["a.jpg", "x/y.PNG", "a", "a.b/c", "a.txt", "b.Jpg."])))
def test_images_are_known_by_their_extensions(cells):
    """One by one, they are known as well."""
    found = names_of(cells).folded.have_image_extensions
    assert found.tolist() == list(map(image_formats.is_image, cells))


@given(COLUMNS)
def test_other_extensions_are_known(cells):
    """One by one, their extensions tell the same."""
    folded = names_of(cells).folded
    known = {"", *image_formats.by_extension()}
    of_each = [
        # Here, a mere extension counts as a name.
        image_formats.extension_of(f"a{one.rpartition('/')[2]}") not in known
        for one in folded.column.to_pylist()
    ]
    assert folded.have_other_extensions.tolist() == of_each


@given(COLUMNS, COLUMNS, st.integers(0, 40))
def test_an_index_finds_what_is_there(cells, needles, more):
    """In each of its ways: few names, many, the same ones, and equal ones."""
    cells = cells + [f"x{at}" for at in range(more)]
    index = Index(names_of(cells))
    for some in (needles, needles[:1], cells, cells[::-1], sorted(set(cells))):
        for name, found in zip(some, index.find(names_of(some)).tolist(), strict=True):
            positions = [at for at, one in enumerate(cells) if one == name]
            if found < NONE:
                assert len(positions) > 1
                assert index.all_of(found) == positions
            else:
                assert positions == ([] if found == NONE else [found])
