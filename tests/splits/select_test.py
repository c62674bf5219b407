"""The rows of a dataset if bad ones are skipped."""

import dataclasses
import pathlib
import shutil

import pytest
import walk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tfds_imagecsv

ALL_COLUMNS = ("filename", "label", "group", "split")
ONE_SPLIT = {"val_size": 0, "test_size": 0}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset's files, and its config."""

    root: pathlib.Path
    config: tfds_imagecsv.ImageCsvConfig

    def plan(self):
        """Makes the plan; messages come without the directory's name."""
        try:
            return walk.plan(self.config, walk.inspect(self.config))
        except tfds_imagecsv.ImageCsvError as error:
            message = str(error).replace(str(self.root), "{root}")
            raise type(error)(message) from None


@pytest.fixture(scope="module")
def make(tmp_path_factory, write_png, write_csv):
    """Returns a function that writes a dataset; bad rows are skipped.

    Images named in rows exist, have 5x4 pixels and are all different, except
    those that are lost, damaged (an HTML page), or a copy of another.
    """

    def make(
        rows,
        *,
        header=("filename", "label"),
        copies=(),
        lost=(),
        damaged=(),
        pinned=None,
        **fields,
    ):
        root = tmp_path_factory.mktemp("dataset")
        (root / "images").mkdir()
        for filename in {row[0] for row in rows if row[0]} - set(lost):
            write_png(root / "images" / filename)
        for name in damaged:
            (root / "images" / name).write_text("<html>")
        for copy, original in dict(copies).items():
            shutil.copyfile(root / "images" / original, root / "images" / copy)
        write_csv(root / "labels.csv", rows, header=header)
        if pinned is not None:
            lines = ["key,split,label,group,digest", *pinned, ""]
            (root / "pinned.csv").write_text("\n".join(lines))
            fields["pinned_splits"] = root / "pinned.csv"
        for column in ("group", "split"):
            if column in header:
                fields[f"{column}_column"] = column
        values = {"on_error": "skip", "max_rejected": 1.0, **fields}
        config = tfds_imagecsv.ImageCsvConfig(
            name="pets",
            image_dir=root / "images",
            label_csv=root / "labels.csv",
            **values,
        )
        return Dataset(root, config)

    return make


def many(count, *more):
    """Returns rows of two classes in turn, with more cells after them."""
    return [(f"{at:03}.png", ("cat", "dog")[at % 2], *more) for at in range(count)]


def rejected_by(found):
    """Returns the list of rows that a plan leaves out."""
    return list(map(tuple, found.rejected))


def splits_of(found):
    """Returns the split of each key."""
    return dict(
        zip(found.rows["key"].to_pylist(), found.rows["split"].to_pylist(), strict=True)
    )


# Which rows are left out


@pytest.mark.parametrize(
    ("row", "fields", "key", "label", "reason"),
    [
        pytest.param(row, fields, key, label, reason, id=name)
        for name, row, fields, key, label, reason in [
            (
                "RAGGED",
                ("x.png", "cat", ""),
                {},
                "x.png",
                "",
                "Wrong number of cells: 3 cells under 4 headers: ['x.png', 'cat', '']",
            ),
            (
                "NO_FILENAME",
                ("", "cat", "", ""),
                {},
                "",
                "cat",
                "Empty file name: the label is 'cat'",
            ),
            (
                "NO_LABEL",
                ("x.png", "", "", ""),
                {},
                "x.png",
                "",
                "Empty label: 'x.png'",
            ),
            (
                "LINE_BREAK",
                ("x.png", "c\nt", "", ""),
                {},
                "x.png",
                "c\nt",
                "Line break in a cell: 'c\\nt'",
            ),
            (
                "UNKNOWN_CLASS",
                ("x.png", "emu", "", ""),
                {"classes": ["cat", "dog"]},
                "x.png",
                "emu",
                "Label that isn't in classes: 'emu' for 'x.png'",
            ),
            (
                "SPLIT_NAME",
                ("x.png", "cat", "", "a b"),
                {},
                "x.png",
                "cat",
                "Split name that TFDS can't read: 'a b' for 'x.png'",
            ),
            (
                "OUTSIDE",
                ("../x.png", "cat", "", ""),
                {},
                "../x.png",
                "cat",
                "File name that leaves the image directory: '../x.png'",
            ),
            (
                "REPEATED",
                ("./000.png", "cat", "", ""),
                {},
                "000.png",
                "cat",
                "File named twice: '000.png' is in row 2 already",
            ),
            (
                "MISSING",
                ("x.png", "cat", "", ""),
                {"lost": ["x.png"]},
                "x.png",
                "cat",
                "Image not found: 'x.png'",
            ),
            (
                "UNREADABLE",
                ("x.png", "cat", "", ""),
                {"damaged": ["x.png"]},
                "x.png",
                "cat",
                "Image that can't be read: 'x.png' isn't an image",
            ),
        ]
    ],
)
def test_a_row_with_a_problem_is_left_out(make, row, fields, key, label, reason):
    """It is listed with its place and its reason, and all other rows are used."""
    dataset = make([*many(20, "", ""), row], header=ALL_COLUMNS, **fields)
    found = dataset.plan()
    assert rejected_by(found) == [(22, key, label, reason)]
    assert found.rows["key"].to_pylist() == [f"{at:03}.png" for at in range(20)]
    assert found.class_names == ("cat", "dog")
    heading = reason.partition(":")[0]
    assert found.notes[0] == (
        f"1 of 21 rows are left out, see rejected_rows.csv: {heading} (1)"
    )


@pytest.mark.parametrize(
    ("image", "fields", "reason"),
    [
        (
            Image.new("RGB", (10, 20)),
            {"max_pixels": 199},
            "Image with more pixels than max_pixels: 'x.png' has 20 x 10 = 200 pixels",
        ),
        (
            Image.new("L", (65_501, 1)),
            {"encoding": "jpeg"},
            (
                "Image with a side that is too long for its format: 'x.png' would be a"
                " JPEG of 1 x 65,501 pixels, of which a side can have 65,500"
            ),
        ),
        (
            Image.new("F", (5, 4)),
            {},
            ("Image whose pixels can't be read as colours: 'x.png' is TIFF of mode F"),
        ),
        (
            Image.new("RGB", (6, 4)),
            {"image_shape": [4, 5, 3]},
            (
                "Image of another shape than image_shape: 'x.png' is 4 x 6 x 3, not"
                " 4 x 5 x 3"
            ),
        ),
    ],
    ids=["TOO_LARGE", "TOO_LONG", "FORMAT", "SHAPE"],
)
def test_a_row_whose_image_cannot_be_used_is_left_out(make, image, fields, reason):
    """A sound image may still be too large, or useless."""
    dataset = make([*many(20), ("x.png", "cat")], **fields)
    image_format = "TIFF" if image.mode == "F" else "PNG"
    image.save(dataset.root / "images" / "x.png", image_format)
    found = dataset.plan()
    assert rejected_by(found) == [(22, "x.png", "cat", reason)]
    assert len(found.rows) == 20


def test_identical_images_with_different_labels_are_all_left_out(make):
    """Nobody knows which is right; a copy without a label contradicts none."""
    rows = [
        *many(20, "", ""),
        *(("b.png", "dog", "", ""), ("a.png", "cat", "", "")),
        *(("c.png", "cat", "", ""), ("u.png", "", "", "unlabeled")),
    ]
    copies = {"b.png": "a.png", "c.png": "a.png", "u.png": "a.png"}
    found = make(rows, header=ALL_COLUMNS, copies=copies).plan()
    heading = "Identical images with different labels: "
    assert rejected_by(found) == [
        (23, "a.png", "cat", heading + "'a.png' is 'cat'"),
        (
            *(22, "b.png", "dog"),
            heading
            + "'b.png' is 'dog', and the same as 'a.png' in row 23, which is 'cat'",
        ),
        (24, "c.png", "cat", heading + "'c.png' is 'cat'"),
    ]
    assert splits_of(found)["u.png"] == "unlabeled"


def test_a_repeated_row_with_another_label_takes_the_first_with_it(make):
    """Nobody knows which is right, even if a third one agrees with the first."""
    rows = [*many(20), ("x.png", "cat"), ("x.png", "dog"), ("x.png", "cat")]
    assert rejected_by(make(rows).plan()) == [
        (22, "x.png", "cat", "File named twice: row 23 says 'dog'"),
        (23, "x.png", "dog", "File named twice: 'x.png' is in row 22 already"),
        (24, "x.png", "cat", "File named twice: 'x.png' is in row 22 already"),
    ]


def test_a_repeated_row_with_the_same_label_leaves_the_first(make):
    """It says nothing new."""
    found = make([*many(20), ("000.png", "cat"), ("./000.png", "cat")]).plan()
    reason = "File named twice: '000.png' is in row 2 already"
    assert rejected_by(found) == [
        (22, "000.png", "cat", reason),
        (23, "000.png", "cat", reason),
    ]
    assert found.rows["row"][0].as_py() == 2


def test_a_repeated_row_of_a_bad_image(make):
    """Each row has the reason in the report."""
    rows = [*many(20), ("x.png", "cat"), ("x.png", "dog")]
    assert rejected_by(make(rows, lost=["x.png"]).plan()) == [
        (22, "x.png", "cat", "Image not found: 'x.png'"),
        (23, "x.png", "dog", "File named twice: 'x.png' is in row 22 already"),
    ]


def test_images_with_quality_issues_are_left_out_first(make):
    """Of near duplicates and copies, a good image is kept; a class may lose all."""
    found = make(
        [*many(20), ("a.png", "emu"), ("b.png", "emu")],
        copies={"b.png": "a.png"},
        duplicates="drop",
        drop_issues=["grayscale", "dark"],
        max_rejected=0,
        **ONE_SPLIT,
    )
    Image.new("L", (5, 4), 9).save(found.root / "images" / "a.png")
    shutil.copyfile(found.root / "images" / "a.png", found.root / "images" / "b.png")
    plan = found.plan()
    reason = "quality issue: dark (0.0355), grayscale (0.0000)"
    assert rejected_by(plan) == [
        (22, "a.png", "emu", reason),
        (23, "b.png", "emu", reason),
    ]
    assert plan.class_names == ("cat", "dog")
    assert plan.notes == (
        (
            "2 images are left out for quality issues, see rejected_rows.csv: dark (2),"
            " grayscale (2)"
        ),
    )
    assert plan.duplicate_sets == 0


def test_sizes_are_odd_among_all_images(make):
    """As in `check`, even among images that are left out for other reasons."""
    large = [f"large {at:02}.png" for at in range(30)]
    found = make(
        # Identical ones with two labels: none of them is kept.
        [*many(20), *((name, name) for name in large)],
        copies=dict.fromkeys(large[1:], large[0]),
        drop_issues=["odd_size"],
        **ONE_SPLIT,
    )
    for at, name in enumerate(large):
        image = Image.new("RGB", (9, 9) if at < 6 else (40, 30), (max(6, at), 0, 0))
        image.paste((min(6, at), 9, 9), (0, 0, 2, 2))
        image.save(found.root / "images" / name)
    for name in large[7:]:
        shutil.copyfile(found.root / "images" / large[6], found.root / "images" / name)
    assert {one.key for one in found.plan().rejected} == set(large[6:])
    only = make([*many(20), (large[0], "cat")], drop_issues=["odd_size"], **ONE_SPLIT)
    Image.new("RGB", (9, 9), "red").save(only.root / "images" / large[0])
    assert rejected_by(only.plan()) == [
        (22, large[0], "cat", "quality issue: odd_size (0.0000)")
    ]


def test_nothing_to_leave_out(make):
    """The plan equals that of `on_error="fail"`, and says no more."""
    dataset = make(many(20), max_rejected=0)
    found = dataset.plan()
    assert rejected_by(found) == []
    assert found.notes == ()
    config = dataclasses.replace(dataset.config, on_error="fail")
    assert splits_of(found) == splits_of(Dataset(dataset.root, config).plan())


def test_by_default_bad_rows_stop(make):
    """Law 6: leaving out rows is the user's choice."""
    rows = [*many(20), ("x.png", "cat")]
    with pytest.raises(tfds_imagecsv.InvalidRowsError, match="Image not found"):
        make(rows, lost=["x.png"], on_error="fail").plan()


# Independence of the rows that are left out


def test_the_splits_are_those_of_the_good_rows(make, write_csv):
    """Law 3: bad rows leave no trace in the others' splits."""
    good = [(f"{at:03}.png", "abc"[at % 3], f"g{at // 2}", "") for at in range(90)]
    bad = [
        *(("y.png", "a", "g1", ""), ("z.png", "b", "g40", "test"), ("", "c", "g2", "")),
        *(("x.png", "", "", ""), ("004.png", "b", "g2", "")),
        ("x2.png", "d", "", "a b"),
    ]
    rows = [row for pair in zip(good, bad, strict=False) for row in pair]
    rows += good[len(bad) :]
    options = {"header": ALL_COLUMNS, "val_size": 0.2, "test_size": 0.2, "seed": 3}
    dataset = make(rows, lost=["y.png"], damaged=["z.png"], **options)
    found = dataset.plan()
    assert len(found.rejected) == 6
    write_csv(dataset.root / "labels.csv", good, header=ALL_COLUMNS)
    config = dataclasses.replace(dataset.config, on_error="fail")
    clean = Dataset(dataset.root, config).plan()
    assert splits_of(found) == splits_of(clean)
    assert found.class_counts == clean.class_counts
    assert found.class_names == clean.class_names
    assert found.groups == clean.groups


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(make, rng):
    """Law 3: a shuffled CSV leaves out and divides the same images."""
    rows = [*many(20), ("x.png", "cat"), ("y.png", "dog"), ("", "cat")]
    rows += [("000.png", "cat"), ("001.png", "cat"), ("z.png", "cat"), ("c.png", "dog")]
    options = {"lost": ["x.png"], "damaged": ["y.png"], "copies": {"c.png": "z.png"}}
    one = make(rows, **options).plan()
    other = make(rng.sample(rows, len(rows)), **options).plan()
    assert splits_of(one) == splits_of(other)
    assert set(splits_of(one)) == {name for name, _ in many(20)} - {"001.png"}
    assert [a.key for a in one.rejected] == [b.key for b in other.rejected]
    assert one.notes == other.notes


def test_a_class_of_which_every_row_is_left_out(make):
    """It is no longer a class, unless the config has it."""
    rows = [*many(20), ("x.png", "fox"), ("y.png", "emu")]
    options = {"lost": ["x.png"], "damaged": ["y.png"]}
    assert make(rows, **options).plan().class_names == ("cat", "dog")
    classes = ["fox", "dog", "emu", "cat"]
    found = make(rows, classes=classes, **options).plan()
    assert found.class_names == tuple(classes)
    assert found.class_counts["train"] == {"fox": 0, "dog": 8, "emu": 0, "cat": 8}


def test_rows_that_are_left_out_count_in_no_policy(make):
    """Only the remaining rows count as copies, and for the sizes of classes."""
    rows = [*many(20), ("x.png", "fox"), ("y.png", "fox"), ("z.png", "fox")]
    options = {"duplicates": "drop", "rare_classes": "drop", "min_class_size": 2}
    found = make(rows, lost=["x.png"], copies={"z.png": "y.png"}, **options).plan()
    assert rejected_by(found) == [
        (22, "x.png", "fox", "Image not found: 'x.png'"),
        (23, "y.png", "fox", "class with fewer images than min_class_size: 1"),
        (24, "z.png", "fox", "identical to y.png in row 23"),
    ]
    assert found.notes == (
        "1 of 23 rows are left out, see rejected_rows.csv: Image not found (1)",
        (
            "2 images are identical to others, in 1 set; the first of each was kept:"
            " y.png = z.png"
        ),
        "1 class has fewer images than min_class_size=2 (dropped): fox (1)",
    )


@pytest.mark.parametrize("damaged", [["000.png", "001.png"], ["000.png"]])
def test_nothing_is_left(make, damaged):
    """A dataset without examples is no dataset."""
    rows = [("000.png", "cat"), ("001.png", "dog")][: len(damaged)]
    with pytest.raises(tfds_imagecsv.SplitError) as caught:
        make(rows, damaged=damaged).plan()
    assert str(caught.value) == (
        "No image is left in {root}/labels.csv without the dropped rows."
    )


# Notes


def test_the_notes(make, write_png):
    """They count rejected rows by kind, and name images without a row."""
    rows = [*many(20), ("x.png", "cat"), ("y.png", "cat"), ("z.png", "dog"), ("", "a")]
    dataset = make(rows, lost=["x.png", "z.png"], damaged=["y.png"])
    for name in ("q.png", "p.jpg"):
        write_png(dataset.root / "images" / name)
    assert dataset.plan().notes == (
        (
            "4 of 24 rows are left out, see rejected_rows.csv: Empty file name (1),"
            " Image not found (2), Image that can't be read (1)"
        ),
        "2 images have no row in the CSV (left out): p.jpg, q.png",
    )


def test_ten_images_without_a_row_are_named(make, write_png):
    """The others are counted, whether or not bad rows are skipped."""
    dataset = make(many(20), on_error="fail")
    write_png(dataset.root / "images" / "x00.png")
    one = "1 image has no row in the CSV (left out): x00.png"
    assert dataset.plan().notes == (one,)
    for at in range(1, 12):
        write_png(dataset.root / "images" / f"x{at:02}.png")
    shown = ", ".join(f"x{at:02}.png" for at in range(10))
    assert dataset.plan().notes == (
        f"12 images have no row in the CSV (left out): {shown}, and 2 more",
    )


def test_pinned_images_that_are_left_out_are_not_gone(make):
    """Images that the CSV names aren't gone, whatever is wrong with them."""
    rows = [
        *many(20),
        *(("x.png", "cat"), ("y.png", "cat"), ("z.png", "")),
        *(("b.png", "dog"), ("b2.png", "cat"), ("r.png", "fox")),
    ]
    names = ("x", "y", "z", "b", "b2", "r", "gone", "000")
    dataset = make(
        rows,
        lost=["x.png"],
        damaged=["y.png"],
        copies={"b2.png": "b.png"},
        pinned=[f"{name}.png,train,dog,," for name in names],
        rare_classes="drop",
        min_class_size=2,
        **ONE_SPLIT,
    )
    assert dataset.plan().notes[2:] == (
        (
            "6 pinned images are left out, see rejected_rows.csv: b.png, b2.png, r.png,"
            " x.png, y.png, z.png"
        ),
        "1 pinned image is gone: gone.png",
        (
            "1 pinned image has another label (the split stays): 000.png ('dog', now"
            " 'cat')"
        ),
    )


# Problems that still stop


def test_identical_images_stop_where_they_are_an_error(make):
    """Another field asks for that."""
    dataset = make(
        [*many(20), ("x.png", "cat")],
        copies={"002.png": "000.png"},
        lost=["x.png"],
        duplicates="error",
    )
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        dataset.plan()
    assert (
        str(caught.value)
        == """\
1 problem in {root}/labels.csv with the images in {root}/images:

Identical images (1):
  row 4: '002.png' is the same as '000.png' in row 2
  -> Remove the copies, or set duplicates to 'together' or 'drop'."""
    )


def test_rare_classes_stop_where_they_are_an_error(make):
    """The remaining rows count."""
    dataset = make(
        [*many(20), ("x.png", "fox"), ("y.png", "fox")],
        lost=["x.png"],
        rare_classes="error",
        min_class_size=2,
    )
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        dataset.plan()
    assert (
        str(caught.value)
        == """\
1 problem in {root}/labels.csv with the images in {root}/images:

Class with fewer images than min_class_size (1):
  row 23: 'fox' has 1
  -> Add images, remove the class, or set rare_classes to 'keep' or 'drop'."""
    )


def test_rows_that_belong_together_in_different_splits_stop(make):
    """Law 2: leaving one out would hide that the other is in the wrong split."""
    rows = [*many(20, "", ""), ("x.png", "cat", "g", "train")]
    rows += [("y.png", "cat", "g", "test"), ("z.png", "cat", "", "val")]
    dataset = make(
        rows,
        header=ALL_COLUMNS,
        pinned=["z.png,test,cat,,"],
        copies={"x.png": "000.png"},
    )
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        dataset.plan()
    assert (
        str(caught.value)
        == """\
2 problems in {root}/labels.csv with the images in {root}/images:

Rows that belong together, in different splits (1):
  row 23: 'y.png' is in 'test', and belongs to 'x.png' in row 22, which is in 'train'
  -> Give one split to all of them, in the CSV or in the pinned manifest.

Pinned row that the CSV gives to another split (1):
  row 24: 'z.png' is pinned to 'test', and the CSV says 'validation'
  -> Correct its split in the CSV, or remove it from the manifest."""
    )


# How many may be left out


@pytest.mark.parametrize(
    ("total", "max_rejected", "most"),
    [
        (30, 0.1, 3),
        (30, 1 - 0.9, 3),  # its float is a little less than 0.1
        (10, 0.7, 7),
        (3, 1 / 3, 1),
        (3, 2 / 3, 2),
        (100, 0.01, 1),
        (99, 0.01, 0),
        (100, 0.29, 29),  # 0.29 * 100 is a little less than 29
        (5, 0.0, 0),
        (8, 0.5, 4),
    ],
)
def test_the_most_rows_that_may_be_left_out(make, total, max_rejected, most):
    """The intended fraction counts, to the row."""
    rows = [(f"{at:03}.png", "cat") for at in range(total)]
    lost = [name for name, _ in rows]
    options = {"max_rejected": max_rejected, **ONE_SPLIT}
    assert len(make(rows, lost=lost[:most], **options).plan().rejected) == most
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        make(rows, lost=lost[: most + 1], **options).plan()
    assert str(caught.value).startswith(
        f"{most + 1} of {total} rows would have to be left out, which is more than"
        f" max_rejected={max_rejected}. "
    )


def test_too_many_rows_to_leave_out(make):
    """The message has the numbers, the field, and the report of all problems."""
    rows = [*many(1198), ("x.png", "cat"), ("y.png", "dog"), ("", "cat")]
    rows += [("000.png", "dog")]
    dataset = make(rows, lost=["x.png"], damaged=["y.png"], max_rejected=0.004)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        dataset.plan()
    assert (
        str(caught.value)
        == """\
5 of 1,202 rows would have to be left out, which is more than max_rejected=0.004. \
Of these, 4 have a problem below, and 1 contradicts such a row: of rows or identical \
images that contradict each other, none is kept. Correct them, or raise max_rejected.

4 problems in {root}/labels.csv with the images in {root}/images:

Empty file name (1):
  row 1202: the label is 'cat'
  -> Fill in the file name, or remove the row.

File named twice (1):
  row 1203: '000.png' is in row 2 already
  -> Keep one row for each image.

Image not found (1):
  row 1200: 'x.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.

Image that can't be read (1):
  row 1201: 'y.png' isn't an image
  -> Replace or remove the image."""
    )


def test_images_that_contradict_each_other_are_too_many_to_leave_out(make):
    """The message distinguishes those in the report from the others."""
    rows = [*many(4), ("a.png", "cat"), ("b.png", "dog"), ("c.png", "cat")]
    copies = {"b.png": "a.png", "c.png": "a.png"}
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        make(rows, copies=copies, max_rejected=0.4).plan()
    assert (
        str(caught.value)
        == """\
3 of 7 rows would have to be left out, which is more than max_rejected=0.4. \
Of these, 1 has a problem below, and 2 contradict such a row: of rows or identical \
images that contradict each other, none is kept. Correct them, or raise max_rejected.

1 problem in {root}/labels.csv with the images in {root}/images:

Identical images with different labels (1):
  row 7: 'b.png' is 'dog', and the same as 'a.png' in row 6, which is 'cat'
  -> Keep the copy whose label is right."""
    )


def test_rows_with_a_problem_are_too_many_to_leave_out(make):
    """If the report has all of them, the message says no more."""
    dataset = make([*many(4), ("x.png", "cat")], lost=["x.png"], max_rejected=0.1)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        dataset.plan()
    assert (
        str(caught.value)
        == """\
1 of 5 rows would have to be left out, which is more than max_rejected=0.1. \
Correct them, or raise max_rejected.

1 problem in {root}/labels.csv with the images in {root}/images:

Image not found (1):
  row 6: 'x.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows."""
    )


def test_rows_that_other_policies_drop_are_not_counted(make):
    """The user asked for that; they aren't bad."""
    found = make(
        [*many(20), ("x.png", "fox"), ("y.png", "cat")],
        copies={"y.png": "000.png"},
        duplicates="drop",
        rare_classes="drop",
        min_class_size=2,
        max_rejected=0,
    ).plan()
    assert len(found.rejected) == 2


def test_blank_rows_are_no_rows(make):
    """They aren't left out, nor do they allow more."""
    rows = [(f"{at:03}.png", "cat") for at in range(10)]
    for most, blank in ((0.1, 0), (0.1, 10)):
        dataset = make(rows, lost=["003.png"], max_rejected=most, **ONE_SPLIT)
        with (dataset.root / "labels.csv").open("a") as file:
            file.write("\n ,\n" * blank)
        assert len(dataset.plan().rejected) == 1
        config = dataclasses.replace(dataset.config, max_rejected=0.099)
        with pytest.raises(tfds_imagecsv.InvalidRowsError, match="1 of 10 rows"):
            Dataset(dataset.root, config).plan()


@pytest.mark.parametrize(
    ("first", "second", "fields"),
    [
        pytest.param(first, second, fields, id=name)
        for name, first, second, fields in [
            ("label", ("cat", "", ""), ("dog", "", ""), {}),
            ("class", ("cat", "", ""), ("emu", "", ""), {"classes": ["cat", "dog"]}),
            ("no label", ("cat", "", ""), ("", "", ""), {}),
            ("group", ("cat", "g", ""), ("cat", "h", ""), {}),
            ("split", ("cat", "", "train"), ("cat", "", "test"), {}),
            ("split name", ("cat", "", ""), ("cat", "", "a b"), {}),
            ("cells", ("cat", "", ""), ("cat", ""), {}),
            ("more cells", ("cat", "", ""), ("cat", "", "", "x"), {}),
        ]
    ],
)
def test_the_order_of_rows_that_name_one_image_does_not_matter(
    make, first, second, fields
):
    """Law 3: if they differ at all, neither is kept, whichever comes first."""
    header = ("filename", "label", "group", "split")
    good = many(20, "", "")
    for rows in ([first, second], [second, first]):
        both = [("x.png", *cells) for cells in rows]
        found = make([*good, *both], header=header, **fields).plan()
        assert "x.png" not in set(found.rows["key"].to_pylist())
        assert sorted(row for row, *_ in rejected_by(found)) == [22, 23]


@pytest.mark.parametrize("first", [0, 1])
def test_a_row_with_the_wrong_number_of_cells_takes_the_other_with_it(make, first):
    """Nobody knows which is right, and the file isn't without a row."""
    both = [("x.png", "cat"), ("x.png", "dog", "x")]
    found = make([*many(20), both[first], both[1 - first]]).plan()
    good, ragged = (22, 23) if first == 0 else (23, 22)
    assert sorted(rejected_by(found)) == sorted(
        [
            (
                *(good, "x.png", "cat"),
                f"File named twice: row {ragged} has the wrong number of cells",
            ),
            (
                *(ragged, "x.png", ""),
                "Wrong number of cells: 3 cells under 2 headers: ['x.png', 'dog', 'x']",
            ),
        ]
    )
    assert found.notes == (
        (
            "2 of 22 rows are left out, see rejected_rows.csv: File named twice (1),"
            " Wrong number of cells (1)"
        ),
    )
