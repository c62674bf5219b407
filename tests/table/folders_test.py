"""What folders say without a table."""

import pytest
from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources.listing import Listing
from tfds_imagecsv.table import folders

ROOT = epath.Path("/data/pets")


def rows_of(*keys, given=None, links=(), also=(), **options):
    """Returns labels and splits by key, and the notes."""
    parents = {key.rpartition("/")[0] for key in keys} - {""}
    files = Listing.of(list(keys), folders=[*parents, *also], links=list(links))
    said = folders.rows_of(ROOT, files, TableOptions(**options), given or {})
    keys, given = said.keys.to_pylist(), said.given.to_pylist()
    assert keys == sorted(keys)
    labels = [None] * len(keys) if said.labels is None else said.labels.to_pylist()
    rows = zip(keys, zip(labels, given, strict=True), strict=True)
    return dict(rows), list(said.notes)


def error_of(*keys, **kwargs):
    """Returns the message of refused folders."""
    with pytest.raises(exceptions.SourceError) as caught:
        rows_of(*keys, **kwargs)
    return str(caught.value)


NONE = {"label_type": "none"}


@pytest.mark.parametrize(
    ("images", "options"),
    [
        # Each image with its label and its split.
        ("cat/1.png cat -, dog/2.JPG dog -", {}),
        ("cat/a/1.png cat -, dog/2.png dog -", {}),
        ("x/cat/1.png cat -, x/dog/2.png dog -", {"label_level": 2}),
        ("x/y/cat/1.png cat -, dog/2.png dog -", {"label_level": -1}),
        ("train/cat/1.png cat train, VAL/dog/2.png dog validation", {}),
        ("train/x/cat/1.png cat train, test/x/dog/2.png dog test", {"label_level": 2}),
        ("train/1.png train -, test/2.png test -", {"label_level": 0}),
        ("train/1.png train -, car/2.png car -", {}),
        ("train/1.png - train, test/2.png - test", NONE),
        ("1.png - -, a/2.png - -", NONE),
        ("train/cat/1.png cat train, unlabeled/2.png - unlabeled", {}),
        # An image at another depth has no label.
        ("cat/1.png cat -, 2.png - -", {}),
    ],
)
def test_folders_are_labels_and_splits(images, options):
    """The first below the image directory, or below that of a split."""
    rows = {}
    for image in images.split(", "):
        key, label, split = image.split(" ")
        none = None if options == NONE else ""
        rows[key] = (none if label == "-" else label, split.replace("-", ""))
    assert rows_of(*rows, **options)[0] == rows


def test_given_folders():
    """The folders that the user gives have the splits, whatever their names are."""
    rows, _ = rows_of(
        *("a/cat/1.png", "b/c/dog/2.png", "other/emu/3.png"),
        given={"train": "a", "test": "b/c"},
    )
    assert rows == {"a/cat/1.png": ("cat", "train"), "b/c/dog/2.png": ("dog", "test")}


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (
            ["train/cat/1.png", "test/cat/2.png", "extra/cat/3.png"],
            "there are others beside them, 'extra'",
        ),
        (
            ["train/cat/1.png", "test/2.png"],
            "there are images in 'test' without a folder for a class",
        ),
        (
            ["train/1.png", "test/2.png"],
            "there are images in 'test', 'train' without a folder for a class",
        ),
    ],
)
def test_splits_and_classes_that_cannot_be_told_apart(keys, why):
    """The message names both readings, and the field for each."""
    assert error_of(*keys) == (
        f"image_dir {ROOT}: the folders 'test', 'train' may be splits, and they may be"
        f" classes: {why}. Add label_level=0 if they are classes, or label_type='none'"
        " if there are no labels; else give each split a folder of its own, with a"
        " folder for each class in it."
    )


def test_notes():
    """They tell of other files, folders without images, and choices."""
    _, notes = rows_of("cat/big/1.png", "cat/2.png", "cat/notes.txt", also=["dog"])
    assert notes == [
        "1 file without an extension of images (left out): 'cat/notes.txt'",
        "1 folder without an image: 'dog'",
        "the label of 'cat/big/1.png' is 'cat': label_level chooses a folder within",
    ]


def test_a_class_that_is_named_as_a_split():
    """Like the others, it has images and no folders."""
    _, notes = rows_of("train/1.png", "car/2.png")
    assert notes == ["the folders 'train' are classes, as others are"]
    assert rows_of("train/1.png", "car/2.png", label_level=0)[1] == []


def test_what_cannot_be_used():
    """Nothing is lost silently."""
    assert error_of("cat/notes.txt") == (
        f"image_dir {ROOT}: there is no image in it. Without label_csv, the label of an"
        " image is the name of its folder."
    )
    assert error_of("cat/1.png", links=["dog", "emu"]) == (
        f"image_dir {ROOT}: links to folders aren't followed, and these are links:"
        " 'dog', 'emu'. Put the folders themselves there, or remove the links."
    )


@pytest.mark.parametrize(
    ("keys", "top"),
    [
        (["pets/cat/1.png", "pets/dog/2.png"], "pets"),
        (["a/pets/cat/1.png"], "a/pets"),
        (["cat/1.png"], ""),
        (["cat/1.png", "dog/2.png"], ""),
        (["train/cat/1.png"], ""),
        (["pets/train/cat/1.png"], "pets"),
        (["pets/cat/1.png", "readme.txt"], ""),
    ],
)
def test_the_top_of_an_archive(keys, top):
    """A folder that contains all others is no label."""
    assert folders.top_of(Listing.of(keys)) == top
