"""Which file of a directory a name means."""

import random
import unicodedata

import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from tfds_imagecsv.problems import Kind
from tfds_imagecsv.sources.listing import Listing, list_files
from tfds_imagecsv.table.resolve import Finder

DIRECTORY = epath.Path("/data/pets/images")


def finder(*keys, directory=DIRECTORY, **kwargs):
    """Returns a finder for files of a directory that doesn't exist."""
    return Finder(directory, Listing.of(keys), **kwargs)


def found(files, name, **kwargs):
    """Returns the file that a name means, or its problem, or None."""
    resolved = finder(*files, **kwargs).resolve([name])
    if resolved.problems:
        kind, detail = resolved.problems[0]
        assert kind is Kind.AMBIGUOUS
        return detail
    return None if len(resolved.absent) else resolved.keys[0].as_py()


@pytest.mark.parametrize(
    ("files", "name", "key"),
    [
        # As it stands, first of all.
        (["a.png", "A.png", "x/a.png"], "a.png", "a.png"),
        (["images/a.png", "a.png"], "images/a.png", "images/a.png"),
        (["a.png", "b/a.png"], "./b/../a.png", "a.png"),
        # With Windows's separators.
        (["b/a.png"], "b\\a.png", "b/a.png"),
        (["b/a.png"], ".\\b\\a.png", "b/a.png"),
        # Absolute, within the directory.
        (["b/a.png"], "/data/pets/images/b/a.png", "b/a.png"),
        (["b/a.png"], "/data/pets/images\\b\\A.PNG", "b/a.png"),
        # With the directory's own name.
        (["a.png"], "images/a.png", "a.png"),
        (["a.png"], "pets/images/a.png", "a.png"),
        (["a.png"], "images\\a.png", "a.png"),
        (["a.png"], "images/A.PNG", "a.png"),
        (["images/A.png", "A.png"], "images/a.png", "images/A.png"),
        (["a.png"], "images/a", "a.png"),
        # In another case or form.
        (["b/a.png"], "B/A.PNG", "b/a.png"),
        ([unicodedata.normalize("NFD", "é.png")], "é.png", "e\u0301.png"),
        (["É.png"], unicodedata.normalize("NFD", "é.png"), "É.png"),
        (["a.PNG", "a.jpg"], "a.png", "a.PNG"),
        # Without an extension, or with another.
        (["a.png"], "a", "a.png"),
        (["a.png"], "a.jpg", "a.png"),
        (["a.b.png"], "a.b", "a.b.png"),
        (["a"], "a.jpg", "a"),
        (["A.JPEG"], "a.jpg", "A.JPEG"),
        (["a.png", "a.txt"], "a", "a.png"),
        (["1.2.png"], "1.2", "1.2.png"),
        (["1.png"], "1.2", None),
        # Without its folder.
        (["x/y/a.png"], "a.png", "x/y/a.png"),
        (["x/y/a.png"], "A.PNG", "x/y/a.png"),
        (["x/y/a.png"], "a", "x/y/a.png"),
        (["x/y/a.png", "x/a.jpg"], "a.jpg", "x/a.jpg"),
        (["x/y/a.png", "x/a.jpg"], "a", "'a' fits 'x/a.jpg' and 'x/y/a.png'"),
        (["x/y/a.png"], "a.jpg", None),
        (["x/y/a.png"], "z/a.png", None),
        (["x/y/a.png"], "y/a.png", None),
        # Absolute, from elsewhere.
        (["x/a.png", "y/a.png"], "/home/x/a.png", "x/a.png"),
        (["x/a.png"], "C:\\Users\\ann\\x\\a.png", "x/a.png"),
        (["x/a.png"], "/home/a.png", "x/a.png"),
        (["x/a.png"], "gs://bucket/pets/x/a.png", "x/a.png"),
        (["x/a.png"], "/home/b.png", None),
        (["x/A.png"], "/home/images/x/a.jpg", "x/A.png"),
        (["x/a.png"], "/home/x/a.jpg", None),
        # Not at all.
        (["a.png"], "b.png", None),
        ([], "a.png", None),
        (["x/a.png", "labels.csv"], "x/b.png", None),
        (["x/a.png", "labels.csv"], "/home/x/b.png", None),
        (["x/a.png", "a.txt", "b.txt"], "z/b.png", None),
        # More than one.
        (["a.png", "a.jpg"], "a", "'a' fits 'a.jpg' and 'a.png'"),
        (["A.png", "a.PNG"], "a.png", "'a.png' fits 'A.png' and 'a.PNG'"),
        (["x/a.png", "y/a.png"], "a.png", "'a.png' fits 'x/a.png' and 'y/a.png'"),
        (
            [f"{one}/a.png" for one in "vwxyz"],
            "a.png",
            "'a.png' fits 'v/a.png' and 'w/a.png' and 'x/a.png' and 2 more",
        ),
    ],
)
def test_a_name(files, name, key):
    """Each reading needs those before to find nothing; two files are a problem."""
    assert found(files, name) == key


@pytest.mark.parametrize(
    ("files", "name", "key"),
    [
        (["a.png"], "a", "a.png"),
        (["a.png.png", "a.png"], "a.png", "a.png.png"),
        (["a.png"], "a.png", "a.png"),
        (["a.jpg"], "a", "a.jpg"),
        (["x/a.png"], "a", "x/a.png"),
        (["a.PNG"], "a", "a.PNG"),
    ],
)
def test_a_suffix(files, name, key):
    """It is appended first; names that already have it, or need none, are found."""
    assert found(files, name, suffix=".png") == key


@given(
    st.lists(
        st.sampled_from(["a.png", "A.PNG", "b/a.jpg", "b\\a.jpg", "a", "/data/a.png"]),
        max_size=8,
    )
)
def test_exact_reads_names_as_they_are(names):
    """It only looks for the shortest form of a path."""
    there = ["a.png", "b/a.jpg"]
    resolved = finder(*there, match="exact").resolve(names)
    assert resolved.keys.to_pylist() == names
    assert not resolved.problems
    assert not resolved.ways
    assert list(resolved.absent) == [
        at for at, name in enumerate(names) if name not in there
    ]


def test_each_reading_is_counted_with_an_example():
    """A note has both."""
    files = ["a.png", "b.png", "c.png", "d/e.png"]
    resolved = finder(*files).resolve(["a.png", "B.PNG", "c", "C", "e.png", "f.png"])
    assert resolved.keys.to_pylist() == [
        "a.png",
        "b.png",
        "c.png",
        "c.png",
        "d/e.png",
        "f.png",
    ]
    assert [way.note(6) for way in resolved.ways] == [
        (
            "1 of 6 file names differ in letter case or Unicode form from their files,"
            " such as 'B.PNG', which is taken for 'b.png'"
        ),
        (
            "2 of 6 file names have no extension, or another than their files, such as"
            " 'c', which is taken for 'c.png'"
        ),
        (
            "1 of 6 file names lack the folder of their files, such as 'e.png', which"
            " is taken for 'd/e.png'"
        ),
    ]
    assert resolved.absent.tolist() == [5]
    assert set(resolved.loose) == {1, 2, 3, 4}


@given(st.randoms(use_true_random=False))
def test_a_name_of_its_own_is_found_however_it_is_written(rng: random.Random):
    """Names that differ by more than case are never confused."""
    files = [f"{folder}/{at}.png" for folder in ("x", "Y") for at in range(5)]
    listed = rng.sample(files, len(files))
    writings = [
        lambda key: key,
        lambda key: key.replace("/", "\\"),
        lambda key: f"/data/pets/images/{key}",
        lambda key: f"images/{key}",
        lambda key: key.swapcase(),
        lambda key: key.removesuffix(".png"),
        lambda key: key.replace(".png", ".JPG"),
        lambda key: f"D:\\old\\{key}",
    ]
    names = [rng.choice(writings)(key) for key in files]
    resolved = finder(*listed).resolve(names)
    assert resolved.keys.to_pylist() == files
    assert not resolved.problems
    assert not len(resolved.absent)


def test_what_one_form_of_a_name_finds_another_does_not_change():
    """Even though the other names of the table need the other form."""
    files = ["images/A.png", "A.png", "B.png"]
    resolved = finder(*files).resolve(["images/a.png", "images/b.png"])
    assert resolved.keys.to_pylist() == ["images/A.png", "B.png"]


def test_hidden_files_and_those_behind_links_are_found_as_they_are(tmp_path):
    """Listing skips them; a name may still mean them."""
    (tmp_path / "images" / ".hidden").mkdir(parents=True)
    (tmp_path / "images" / ".hidden" / "a.png").touch()
    (tmp_path / "images" / "real").mkdir()
    (tmp_path / "images" / "real" / "b.png").touch()
    (tmp_path / "images" / "link").symlink_to("real")
    directory = epath.Path(tmp_path / "images")
    listing = list_files(directory)
    assert (listing.keys.to_pylist(), listing.folders) == (["real/b.png"], ["real"])
    assert listing.links == ["link"]
    there = Finder(directory, listing)
    names = [".hidden/a.png", "link/b.png", ".hidden/x.png", "../images/real/b.png"]
    resolved = there.resolve(names)
    assert resolved.keys.to_pylist() == names
    assert resolved.absent.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("keys", "name", "closest"),
    [
        (["cat_1.png", "cat_12.png", "dog.png"], "cat_13.png", "cat_1.png"),
        (["a/cat.png", "b/cats.png"], "b/cat.png", "b/cats.png"),
        (["a/cat.png"], "c/cat.png", "a/cat.png"),
        (["x.png", "y.png"], "z.png", None),
        ([], "z.png", None),
        (["a.png", "a/b.png"], "a/c.png", None),
        (["IMG_0001.JPG"], "IMG_001.JPG", "IMG_0001.JPG"),
    ],
)
def test_the_closest_file(keys, name, closest):
    """In the folder, if it exists, else in all; extensions make no names alike."""
    assert Listing.of(keys).closest(name) == closest


def test_the_closest_of_very_many_files():
    """It only compares its neighbours in the order of names."""
    keys = [f"{at:06}.png" for at in range(50_000)]
    assert Listing.of(keys).closest("012345_.png") == "012345.png"
