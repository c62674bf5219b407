"""Columns of names: changes and lookups of all at once are those of each one."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv import image_formats
from tfds_imagecsv.table.names import NONE, Index, Names

# Few different ones, so that some are equal, also when they are folded.
TEXTS = st.text(st.sampled_from("aAéÉe\u0301ßSs./\\ΣςJPGjpg"), max_size=6)
COLUMNS = st.lists(TEXTS, max_size=12)


@given(COLUMNS)
def test_changes_are_those_of_each_name(cells):
    """Though they are made in one text."""
    names = Names(cells)
    assert list(names.slashed.cells) == [one.replace("\\", "/") for one in cells]
    folded = [unicodedata.normalize("NFC", one).lower() for one in cells]
    assert list(names.folded.cells) == folded
    assert list(names.bare.cells) == [one.rpartition("/")[2] for one in cells]
    assert names.depths == ({one.count("/") for one in cells} or {0})


@given(
    st.lists(st.sampled_from(["a.jpg", "a.b.png", "x/.jpg", "a", "a.txt", ".png", ""]))
)
def test_extensions_of_images_go(cells):
    """The last one, in small letters; others stay."""
    known = image_formats.by_extension()

    def cut(name):
        stem, point, end = name.rpartition(".")
        return stem if point + end in known else name

    assert list(Names(cells).without_extensions.cells) == list(map(cut, cells))


@given(COLUMNS, COLUMNS, st.integers(0, 40))
def test_an_index_finds_what_is_there(cells, needles, more):
    """By each of its ways: few names, many, the same ones, and equal ones."""
    cells = cells + [f"x{at}" for at in range(more)]
    index = Index(Names(cells))
    for some in (needles, needles[:1], cells, cells[::-1], sorted(set(cells))):
        for name, found in zip(some, index.find(Names(some)).tolist(), strict=True):
            positions = [at for at, one in enumerate(cells) if one == name]
            if found < NONE:
                assert len(positions) > 1
                assert index.all_of(found) == positions
            else:
                assert positions == ([] if found == NONE else [found])


def test_names_that_are_not_unicode():
    """Linux has such; Python writes them with surrogates."""
    cells = ["a", b"\xff.png".decode(errors="surrogateescape")]
    assert Index(Names(cells)).find(Names(cells[::-1])).tolist() == [1, 0]
    assert Names(cells).folded.cells == cells
