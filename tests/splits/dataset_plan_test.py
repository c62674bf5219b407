"""The plan of a dataset: what belongs together, what is given, what is reported."""

import collections
import dataclasses
import shutil

import pytest
import walk
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

import tfds_imagecsv
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.table import manifest

ONE_SPLIT = {"val_size": 0, "test_size": 0}
WITH_SPLIT = ("filename", "label", "split")
WITH_GROUP = ("filename", "label", "group")
IN = "in {root}/labels.csv with the images in {root}/images:"


@dataclasses.dataclass(frozen=True)
class Planned:
    """A plan, with shortcuts."""

    plan: DatasetPlan

    @property
    def notes(self):
        """The notes of the plan."""
        return list(self.plan.notes)

    @property
    def splits(self):
        """The split of each key."""
        return dict(
            zip(
                self.plan.rows["key"].to_pylist(),
                self.plan.rows["split"].to_pylist(),
                strict=True,
            )
        )


@pytest.fixture(scope="module")
def make(tmp_path_factory, write_png, write_csv):
    """Returns a function that writes a dataset, and plans it.

    All images differ, except those that are declared as copies of others. `pinned`
    are the lines of a manifest below its header, or a plan to write one of.
    """

    def make(
        rows, *, header=("filename", "label"), copies=(), lost=(), pinned=None, **fields
    ):
        root = tmp_path_factory.mktemp("dataset")
        image_dir, label_csv = root / "images", root / "labels.csv"
        columns = {
            f"{column}_column": column
            for column in ("group", "split")
            if column in header
        }
        image_dir.mkdir()
        for filename, *_ in rows:
            if filename not in lost:
                write_png(image_dir / filename)
        for copy, original in dict(copies).items():
            shutil.copyfile(image_dir / original, image_dir / copy)
        write_csv(label_csv, rows, header=header)
        manifest_csv = None if pinned is None else epath.Path(root / "pinned.csv")
        if isinstance(pinned, list):
            lines = ["key,split,label,group,digest", *pinned, ""]
            manifest_csv.write_text("\n".join(lines))
        elif pinned is not None:
            manifest.write_manifest(manifest_csv, pinned.rows)
        config = tfds_imagecsv.ImageCsvConfig(
            name="pets",
            image_dir=image_dir,
            label_csv=label_csv,
            pinned_splits=manifest_csv,
            **{**columns, **fields},
        )
        try:
            return Planned(walk.plan(config, walk.inspect(config)))
        except tfds_imagecsv.ImageCsvError as error:
            message = str(error).replace(str(root), "{root}")
            raise type(error)(message) from None

    return make


@pytest.fixture
def error_of(make):
    """Returns a function that returns the message of refused rows."""

    def error_of(*args, kind=tfds_imagecsv.InvalidRowsError, **kwargs):
        with pytest.raises(kind) as caught:
            make(*args, **kwargs)
        assert type(caught.value) is kind
        return str(caught.value)

    return error_of


def many(count, *more, classes=("cat", "dog"), first=0):
    """Returns rows of several classes in turn, with more cells after them."""
    return [
        (f"{at:03}.png", classes[at % len(classes)], *more)
        for at in range(first, first + count)
    ]


def columns(table, *names):
    """Returns the rows of a table as tuples of some columns."""
    if isinstance(table, tuple):
        return [tuple(getattr(row, name) for name in names) for row in table]
    frame = walk.frame(table)
    return list(zip(*(frame[name] for name in names), strict=True))


# What a plan has


def test_a_plan(make):
    """The rows are sorted by key, and have all that builds and manifests need."""
    planned = make(many(20)[::-1])
    plan = planned.plan
    assert plan.rows["key"].to_pylist() == [f"{at:03}.png" for at in range(20)]
    assert {"key", "label", "group", "split", "digest"} <= set(plan.rows.schema.names)
    assert set(columns(plan.rows, "height", "width", "format")) == {(4, 5, "PNG")}
    assert plan.class_names == ("cat", "dog")
    assert plan.class_counts == {
        "train": {"cat": 8, "dog": 8},
        "validation": {"cat": 1, "dog": 1},
        "test": {"cat": 1, "dog": 1},
    }
    assert plan.largest_class_deviation == plan.largest_split_deviation == 0
    assert plan.groups == plan.duplicate_sets == plan.duplicate_images == 0
    assert plan.rejected == ()
    assert planned.notes == []


def test_the_deviations_are_those_of_the_counts(make):
    """2.2 cats of 22 images and 1.1 dogs of 11 are wanted for each of two splits."""
    plan = make(many(33, classes=("cat", "cat", "dog"))).plan
    sizes = {"cat": 22, "dog": 11}
    shares = {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert plan.largest_class_deviation == pytest.approx(
        max(
            abs(count - sizes[name] * shares[split])
            for split, counts in plan.class_counts.items()
            for name, count in counts.items()
        )
    )
    assert plan.largest_split_deviation == pytest.approx(
        max(
            abs(sum(counts.values()) - 33 * shares[split])
            for split, counts in plan.class_counts.items()
        )
    )


def test_the_first_examples_of_each_split(make):
    """They are the first by key, and are counted anew; all else stays."""
    plan = make(many(20), val_size=0.25, test_size=0.5).plan
    first = plan.first(3)
    for split in ("train", "validation", "test"):
        of_split, taken = (
            rows[rows["split"] == split]
            for rows in (walk.frame(plan.rows), walk.frame(first.rows))
        )
        assert list(taken["key"]) == list(of_split["key"])[:3]
        assert first.class_counts[split] == {
            name: list(taken["label"]).count(name) for name in ("cat", "dog")
        }
    assert len(first.rows) == 9
    assert list(first.class_counts) == list(plan.class_counts)
    assert first.class_names == plan.class_names


def test_the_first_examples_of_small_splits(make):
    """A split may have fewer; none of each is possible."""
    plan = make(many(20)).plan
    assert plan.first(5).class_counts["test"] == {"cat": 1, "dog": 1}
    assert plan.first(100).class_counts == plan.class_counts
    assert not len(plan.first(0).rows)
    assert plan.first(0).class_counts["train"] == {"cat": 0, "dog": 0}


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(make, rng):
    """Law 3: a shuffled CSV gives the same plan and the same notes."""
    rows = [
        (f"{at:02}.png", f"class{at % 3}", f"g{at // 4}" if at % 2 else "")
        for at in range(24)
    ]
    rows += [("30.png", "class0", "g0"), ("31.png", "rare", "")]
    options = {
        "header": WITH_GROUP,
        "copies": {"07.png": "01.png", "30.png": "03.png", "12.png": "00.png"},
        "duplicates": rng.choice(["together", "drop"]),
        "rare_classes": "drop",
        "min_class_size": 2,
        "val_size": 0.2,
        "test_size": 0.2,
    }
    one = make(rows, **options)
    other = make(rng.sample(rows, len(rows)), **options)
    names = ("key", "label", "group", "split", "digest")
    assert columns(one.plan.rows, *names) == columns(other.plan.rows, *names)
    assert one.notes == other.notes
    assert one.plan.class_counts == other.plan.class_counts
    names = ("key", "label")
    assert columns(one.plan.rejected, *names) == columns(other.plan.rejected, *names)


# Groups


def test_groups_stay_together(make):
    """Law 2: the rows of a group are in one split; those without one are free."""
    rows = [
        (f"{at:02}.png", "cat", f"g{at // 4}" if at < 24 else "") for at in range(60)
    ]
    planned = make(rows, header=WITH_GROUP, val_size=0.25, test_size=0.25)
    splits_of = collections.defaultdict(set)
    for filename, _, group in rows:
        splits_of[group].add(planned.splits[filename])
    assert splits_of.pop("") == {"train", "validation", "test"}
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert planned.plan.groups == 6
    assert planned.plan.class_counts["train"] == {"cat": 30}
    assert planned.plan.rows["group"].to_pylist() == [group for *_, group in rows]


def test_groups_of_a_few_images_fill_the_splits(make):
    """Three groups of 3, 2 and 1 images are enough for three splits."""
    rows = [(f"{at}.png", "cat", "aaabbc"[at]) for at in range(6)]
    counts = make(rows, header=WITH_GROUP, seed=8).plan.class_counts
    assert {name for name, by_class in counts.items() if by_class["cat"]} == {
        "train",
        "validation",
        "test",
    }


def test_the_split_of_a_group_follows_from_its_name(make):
    """Law 4: a group stays where it is while its images come and go."""
    split_of_group = []
    for folder in ("one", "other"):
        rows = [(f"{folder}/{at:02}.png", "cat", f"g{at // 2}") for at in range(20)]
        rows += [(f"{at:03}.png", "cat", "") for at in range(100)]
        plan = make(rows, header=WITH_GROUP, val_size=0.3, test_size=0.3).plan
        split_of = dict(columns(plan.rows, "group", "split"))
        del split_of[""]
        split_of_group.append(split_of)
    assert split_of_group[0] == split_of_group[1]
    assert len(set(split_of_group[0].values())) > 1


def test_the_seed_chooses_the_splits(make):
    """Two seeds give two plans."""
    assert make(many(20)).splits != make(many(20), seed=1).splits


def test_the_deviation_of_groups_is_reported(make):
    """Two groups of 4 and 6 can't be halves."""
    rows = [(f"{at}.png", "cat", "ab"[at >= 4]) for at in range(10)]
    plan = make(rows, header=WITH_GROUP, val_size=0.5, test_size=0).plan
    assert sorted(counts["cat"] for counts in plan.class_counts.values()) == [4, 6]
    assert plan.largest_class_deviation == plan.largest_split_deviation == 1


def test_folds_of_groups(make):
    """Folds replace train and validation; a test split is beside them."""
    rows = [(f"{at:02}.png", "cat", f"g{at // 2}") for at in range(40)]
    planned = make(rows, header=WITH_GROUP, folds=4, test_size=0.2)
    assert planned.plan.class_counts == {
        "fold0": {"cat": 8},
        "fold1": {"cat": 8},
        "fold2": {"cat": 8},
        "fold3": {"cat": 8},
        "test": {"cat": 8},
    }
    for at in range(0, 40, 2):
        assert planned.splits[f"{at:02}.png"] == planned.splits[f"{at + 1:02}.png"]


# Identical images


@pytest.mark.parametrize("seed", range(4))
def test_identical_images_stay_together(make, seed):
    """Law 2: even across groups, whose images then stay together as well."""
    rows = [(f"{at:02}.png", "cat", f"g{at}" if at < 4 else "") for at in range(20)]
    rows += [("20.png", "cat", "g0"), ("21.png", "cat", "g1")]
    planned = make(
        rows,
        header=WITH_GROUP,
        copies={"01.png": "00.png", "06.png": "05.png", "07.png": "05.png"},
        seed=seed,
        val_size=0.4,
        test_size=0.2,
    )
    for together in (("00", "01", "20", "21"), ("05", "06", "07")):
        assert len({planned.splits[f"{at}.png"] for at in together}) == 1
    assert planned.plan.duplicate_sets == 2
    assert planned.plan.duplicate_images == 5
    assert planned.plan.groups == 4
    assert planned.plan.rejected == ()
    assert len(planned.plan.rows) == 22
    assert planned.notes == [
        (
            "5 images are identical to others, in 2 sets; they stay together: 00.png ="
            " 01.png, 05.png = 06.png = 07.png"
        )
    ]


def test_identical_images_are_dropped(make):
    """The first by key stays; the others are listed with their originals."""
    planned = make(
        [("c.png", "cat"), ("b.png", "cat"), ("a.png", "cat"), ("d.png", "dog")],
        copies={"b.png": "c.png", "a.png": "c.png"},
        duplicates="drop",
        **ONE_SPLIT,
    )
    assert planned.plan.rows["key"].to_pylist() == ["a.png", "d.png"]
    assert columns(planned.plan.rejected, "row", "key", "label", "reason") == [
        (3, "b.png", "cat", "identical to a.png in row 4"),
        (2, "c.png", "cat", "identical to a.png in row 4"),
    ]
    assert planned.plan.class_counts == {"train": {"cat": 1, "dog": 1}}
    assert planned.plan.duplicate_sets == 1
    assert planned.plan.duplicate_images == 3
    assert planned.notes == [
        (
            "3 images are identical to others, in 1 set; the first of each was kept:"
            " a.png = b.png = c.png"
        )
    ]


def test_dropped_images_link_no_groups(make):
    """Dropped images can't leak."""
    rows = [(f"{at}.png", "cat", "ab"[at >= 4]) for at in range(8)]
    planned = make(
        rows,
        header=WITH_GROUP,
        copies={"4.png": "0.png"},
        duplicates="drop",
        val_size=0.5,
        test_size=0,
    )
    counts = planned.plan.class_counts
    assert sorted(by_class["cat"] for by_class in counts.values()) == [3, 4]


def test_identical_images_are_an_error(error_of):
    """Each copy except the first by key is named, with the first."""
    assert (
        error_of(
            [("c.png", "cat"), ("b.png", "cat"), ("a.png", "cat"), ("d.png", "dog")],
            copies={"b.png": "c.png", "a.png": "c.png"},
            duplicates="error",
        )
        == f"""\
2 problems {IN}

Identical images (2):
  row 2: 'c.png' is the same as 'a.png' in row 4
  row 3: 'b.png' is the same as 'a.png' in row 4
  -> Remove the copies, or set duplicates to 'together' or 'drop'."""
    )


@pytest.mark.parametrize("duplicates", ["together", "drop"])
def test_identical_images_with_different_labels(error_of, duplicates):
    """No policy can tell which is right."""
    assert (
        error_of(
            [("a.png", "cat"), ("b.png", "dog"), ("c.png", "cat"), ("d.png", "dog")],
            copies={"b.png": "a.png", "c.png": "a.png", "d.png": "a.png"},
            duplicates=duplicates,
        )
        == f"""\
2 problems {IN}

Identical images with different labels (2):
  row 3: 'b.png' is 'dog', and the same as 'a.png' in row 2, which is 'cat'
  row 5: 'd.png' is 'dog', and the same as 'a.png' in row 2, which is 'cat'
  -> Keep the copy whose label is right."""
    )


def test_an_image_without_a_label_contradicts_none(make, error_of):
    """An unlabeled copy is no conflict, and hides none either."""
    rows = [("a.png", "", "unlabeled"), ("b.png", "cat", ""), ("c.png", "cat", "")]
    planned = make(rows, header=WITH_SPLIT, copies={"b.png": "a.png"}, **ONE_SPLIT)
    assert planned.splits["b.png"] == "unlabeled"
    rows[2] = ("c.png", "dog", "")
    message = error_of(
        rows, header=WITH_SPLIT, copies={"b.png": "a.png", "c.png": "a.png"}
    )
    assert "  row 4: 'c.png' is 'dog', and the same as 'b.png' in row 3" in message


def test_ten_sets_of_identical_images_are_shown(make):
    """The others are counted, only in the note."""
    rows = [(f"{at:02}.png", "cat") for at in range(24)]
    copies = {f"{at + 12:02}.png": f"{at:02}.png" for at in range(12)}
    planned = make(rows, copies=copies, **ONE_SPLIT)
    shown = ", ".join(f"{at:02}.png = {at + 12:02}.png" for at in range(10))
    assert planned.notes == [
        (
            "24 images are identical to others, in 12 sets; they stay together:"
            f" {shown}, and 2 more"
        )
    ]


# Given splits


def test_synonyms_of_splits(make):
    """They are understood in upper and lower case; other names stay as they are."""
    cells = {
        "train": ["train", "training", "TRAIN", "Training", " train "],
        "validation": ["val", "valid", "dev", "validation", "VAL", "Valid", "Dev"],
        "test": ["test", "testing", "TEST", "Testing"],
        "holdout": ["holdout"],
        "Holdout": ["Holdout"],
        "trainval": ["trainval"],
        "my-split_2": ["my-split_2"],
        "unlabeled": ["unlabeled"],
    }
    pairs = [(cell, name) for name, of_name in cells.items() for cell in of_name]
    rows = [(f"{at:02}.png", "cat", cell) for at, (cell, _) in enumerate(pairs)]
    planned = make(rows, header=WITH_SPLIT)
    assert planned.splits == {
        f"{at:02}.png": name for at, (_, name) in enumerate(pairs)
    }
    assert list(planned.plan.class_counts) == [
        "train",
        "validation",
        "test",
        "Holdout",
        "holdout",
        "my-split_2",
        "trainval",
        "unlabeled",
    ]
    assert planned.plan.class_counts["validation"] == {"cat": 7}


@pytest.mark.parametrize(
    "name", ["all", "ALL", "a b", "a.b", "é", "train[:50%]", "a+b", "fold/0"]
)
def test_split_names_that_tfds_cannot_read(error_of, name):
    """The report has the name and the image."""
    rows = [("a.png", "cat", "train"), ("b.png", "cat", name)]
    assert (
        error_of(rows, header=WITH_SPLIT)
        == f"""\
1 problem {IN}

Split name that TFDS can't read (1):
  row 3: {name!r} for 'b.png'
  -> Name splits with letters, digits, '_' and '-', and not 'all'."""
    )


def test_rows_without_a_given_split_are_divided(make):
    """Given rows stay, and count in no share."""
    rows = many(20, "") + many(10, "test", first=20) + many(4, "extra", first=30)
    planned = make(rows, header=WITH_SPLIT, val_size=0.5, test_size=0)
    assert planned.plan.class_counts == {
        "train": {"cat": 5, "dog": 5},
        "validation": {"cat": 5, "dog": 5},
        "test": {"cat": 5, "dog": 5},
        "extra": {"cat": 2, "dog": 2},
    }
    for filename, _, split in rows:
        assert planned.splits[filename] in (split or ("train", "validation"))
    assert planned.plan.largest_class_deviation == 0
    assert planned.notes == []


def test_rows_of_the_unlabeled_split(make):
    """They need no label, make no class, and no class is too small for it."""
    rows = [*many(20, ""), ("u.png", "", "unlabeled"), ("v.png", "", "unlabeled")]
    planned = make(rows, header=WITH_SPLIT, min_class_size=5, rare_classes="error")
    assert planned.plan.class_names == ("cat", "dog")
    assert planned.splits["u.png"] == planned.splits["v.png"] == "unlabeled"
    assert planned.plan.class_counts["unlabeled"] == {"cat": 0, "dog": 0}
    assert planned.plan.rows["label"].to_pylist()[-1] == ""
    assert planned.notes == []


def test_a_label_may_be_missing_in_no_other_split(error_of):
    """Only the split `unlabeled` allows it."""
    rows = [("a.png", "", "train"), ("b.png", "", ""), ("c.png", "", "Unlabeled")]
    rows += many(2, "")
    assert "Empty label (3):" in error_of(rows, header=WITH_SPLIT)


def test_a_class_that_is_not_in_a_given_split_is_not_small(make):
    """The CSV says who is in `holdout`; more images of dogs would be in train."""
    rows = [*many(20, ""), ("h.png", "cat", "holdout")]
    assert make(rows, header=WITH_SPLIT, **ONE_SPLIT).notes == []


def test_a_group_that_is_given_to_two_splits(error_of):
    """Law 2: the report names both rows and both splits."""
    rows = [
        ("a.png", "cat", "g", ""),
        ("b.png", "cat", "g", "val"),
        ("c.png", "cat", "g", "test"),
        ("d.png", "cat", "g", "validation"),
        ("e.png", "cat", "", "test"),
        ("f.png", "cat", "", "train"),
    ]
    assert (
        error_of(
            rows,
            header=("filename", "label", "group", "split"),
            copies={"f.png": "e.png"},
        )
        == f"""\
2 problems {IN}

Rows that belong together, in different splits (2):
  row 4: 'c.png' is in 'test', and belongs to 'b.png' in row 3, which is in \
'validation'
  row 7: 'f.png' is in 'train', and belongs to 'e.png' in row 6, which is in 'test'
  -> Give one split to all of them, in the CSV or in the pinned manifest."""
    )


def test_rows_follow_the_given_split_of_their_group(make):
    """Law 2 goes before the sizes."""
    rows = [(f"{at:02}.png", "cat", "g" if at < 5 else "", "") for at in range(20)]
    rows[3] = ("03.png", "cat", "g", "holdout")
    planned = make(rows, header=("filename", "label", "group", "split"))
    assert {planned.splits[f"{at:02}.png"] for at in range(5)} == {"holdout"}
    assert planned.plan.class_counts["holdout"] == {"cat": 5}


# Rare classes

RARE = [*many(20), ("x.png", "fox"), ("y.png", "fox"), ("z.png", "emu")]


def test_rare_classes_are_kept(make):
    """A class is rare if it has fewer images than `min_class_size`."""
    planned = make(RARE, min_class_size=2)
    assert planned.plan.class_names == ("cat", "dog", "emu", "fox")
    assert len(planned.plan.rows) == 23
    assert planned.notes[0] == (
        "1 class has fewer images than min_class_size=2 (kept): emu (1)"
    )


def test_rare_classes_are_dropped(make):
    """Their rows are listed with the reason, and the classes are no more."""
    planned = make(RARE, min_class_size=3, rare_classes="drop")
    assert planned.plan.class_names == ("cat", "dog")
    assert columns(planned.plan.rejected, "row", "key", "label", "reason") == [
        (22, "x.png", "fox", "class with fewer images than min_class_size: 2"),
        (23, "y.png", "fox", "class with fewer images than min_class_size: 2"),
        (24, "z.png", "emu", "class with fewer images than min_class_size: 1"),
    ]
    assert list(planned.plan.class_counts["train"]) == ["cat", "dog"]
    assert planned.notes == [
        (
            "2 classes have fewer images than min_class_size=3 (dropped): emu"
            " (1), fox (2)"
        )
    ]


def test_ten_rare_classes_are_named(make):
    """The note counts the others."""
    rows = [(f"{at}.png", f"class {at:02}\u202e") for at in range(12)]
    (note, *_) = make(rows, min_class_size=2, **ONE_SPLIT).notes
    assert note == (
        "12 classes have fewer images than min_class_size=2 (kept): "
        + ", ".join(f"class {at:02}\\u202e (1)" for at in range(10))
        + ", and 2 more"
    )


def test_rare_classes_of_the_config_keep_their_ids(make):
    """With explicit `classes`, the rows are dropped, but not the classes."""
    classes = ["fox", "emu", "dog", "cat"]
    planned = make(RARE, min_class_size=3, rare_classes="drop", classes=classes)
    assert planned.plan.class_names == tuple(classes)
    assert planned.plan.class_counts["train"] == {
        "fox": 0,
        "emu": 0,
        "dog": 8,
        "cat": 8,
    }
    assert len(planned.plan.rejected) == 3


def test_rare_classes_are_an_error(error_of):
    """Each is named once, with its first row and its count."""
    assert (
        error_of(RARE[::-1], min_class_size=3, rare_classes="error")
        == f"""\
2 problems {IN}

Class with fewer images than min_class_size (2):
  row 2: 'emu' has 1
  row 3: 'fox' has 2
  -> Add images, remove the class, or set rare_classes to 'keep' or 'drop'."""
    )


def test_copies_that_are_dropped_do_not_count(make):
    """A class of two copies has one image."""
    planned = make(
        [*many(4), ("a.png", "fox"), ("b.png", "fox")],
        copies={"b.png": "a.png"},
        duplicates="drop",
        rare_classes="drop",
        min_class_size=2,
        **ONE_SPLIT,
    )
    assert columns(planned.plan.rejected, "key", "reason") == [
        ("a.png", "class with fewer images than min_class_size: 1"),
        ("b.png", "identical to a.png in row 6"),
    ]


def test_classes_too_small_for_every_split(make):
    """Law 1: train first, then test, then validation; a note names them."""
    rows = [*many(40), ("x.png", "fox"), ("y.png", "fox"), ("z.png", "emu")]
    assert make(rows).notes == [
        (
            "2 of 4 classes are too small to be in every split: emu (train 1,"
            " validation 0, test 0), fox (train 1, validation 0, test 1)"
        )
    ]


def test_nothing_is_left(error_of):
    """A dataset without examples is no dataset."""
    assert error_of(
        many(4),
        kind=tfds_imagecsv.SplitError,
        min_class_size=3,
        rare_classes="drop",
    ) == ("No image is left in {root}/labels.csv without the dropped rows.")


# Pinned splits


def test_pinned_rows_are_still_and_new_ones_fill_the_lack(make):
    """Law 4: none of the old rows moves, and the whole is exact again."""
    before = make(many(20))
    after = make(many(40), pinned=before.plan, seed=1)
    assert {key: after.splits[key] for key in before.splits} == before.splits
    assert after.plan.class_counts == {
        "train": {"cat": 16, "dog": 16},
        "validation": {"cat": 2, "dog": 2},
        "test": {"cat": 2, "dog": 2},
    }
    assert after.notes == []


def test_new_rows_of_a_pinned_group_follow_it(make):
    """Law 2 with a manifest: a group grows where it was."""
    pinned = ["000.png,holdout,cat,g,", "001.png,train,dog,,"]
    rows = [*many(2, "g"), *many(20, "", first=2), ("z.png", "cat", "g")]
    rows[1] = ("001.png", "dog", "")
    planned = make(rows, header=WITH_GROUP, pinned=pinned)
    assert planned.splits["z.png"] == planned.splits["000.png"] == "holdout"


def test_pinned_images_that_are_gone_or_changed(make):
    """Both are named in notes, sorted."""
    pinned = [
        "z.png,train,cat,,",
        "001.png,test,cat,,",
        "000.png,validation,fox,,",
        "002.png,train,cat,,",
        "b.png,test,dog,,",
    ]
    planned = make(many(20), pinned=pinned)
    assert planned.splits["000.png"] == "validation"
    assert planned.splits["001.png"] == "test"
    assert planned.notes == [
        "2 pinned images are gone: b.png, z.png",
        (
            "2 pinned images have another label (the split stays): 000.png"
            " ('fox', now 'cat'), 001.png ('cat', now 'dog')"
        ),
    ]


def test_ten_pinned_images_that_are_gone_are_shown(make):
    """The others are counted."""
    pinned = [f"{at}.png,train,cat,," for at in range(11)]
    shown = ", ".join(sorted(f"{at}.png" for at in range(11))[:10])
    assert make(many(20), pinned=pinned).notes == [
        f"11 pinned images are gone: {shown}, and 1 more"
    ]


def test_a_pinned_image_is_not_dropped_for_a_copy(make):
    """Of identical images, the one in an earlier build stays."""
    rows = [("a.png", "cat"), ("b.png", "cat"), ("c.png", "cat"), ("d.png", "cat")]
    planned = make(
        rows,
        copies={"b.png": "a.png"},
        pinned=["b.png,test,cat,,"],
        duplicates="drop",
        val_size=0,
        test_size=0.5,
    )
    assert planned.splits["b.png"] == "test"
    assert columns(planned.plan.rejected, "row", "key", "reason") == [
        (2, "a.png", "identical to b.png in row 3")
    ]
    assert planned.notes == [
        (
            "2 images are identical to others, in 1 set; the first of each was kept:"
            " b.png = a.png"
        )
    ]


def test_a_dropped_pinned_image_is_not_gone(make):
    """It is in the CSV, and among the rejected rows."""
    planned = make(
        [*many(4), ("x.png", "cat"), ("y.png", "cat")],
        copies={"y.png": "x.png"},
        pinned=["x.png,train,cat,,", "y.png,train,cat,,"],
        duplicates="drop",
        **ONE_SPLIT,
    )
    assert [one.key for one in planned.plan.rejected] == ["y.png"]
    assert planned.notes[1:] == [
        "1 pinned image is left out, see rejected_rows.csv: y.png"
    ]


def test_a_pinned_row_that_the_csv_gives_to_another_split(error_of):
    """The report has both splits; a row given to its own split is fine."""
    rows = [
        ("a.png", "cat", "val"),
        ("b.png", "cat", "train"),
        ("c.png", "cat", ""),
    ]
    pinned = ["a.png,validation,cat,,", "b.png,test,cat,,", "c.png,test,cat,,"]
    assert (
        error_of(rows, header=WITH_SPLIT, pinned=pinned)
        == f"""\
1 problem {IN}

Pinned row that the CSV gives to another split (1):
  row 3: 'b.png' is pinned to 'test', and the CSV says 'train'
  -> Correct its split in the CSV, or remove it from the manifest."""
    )


def test_a_group_that_is_pinned_to_two_splits(error_of):
    """A group that the earlier build didn't know can't be kept together."""
    rows = [*many(2, "g"), ("002.png", "cat", "")]
    pinned = ["000.png,train,cat,,", "001.png,test,dog,,"]
    assert (
        error_of(rows, header=WITH_GROUP, pinned=pinned)
        == f"""\
1 problem {IN}

Rows that belong together, in different splits (1):
  row 3: '001.png' is in 'test', and belongs to '000.png' in row 2, which is in 'train'
  -> Give one split to all of them, in the CSV or in the pinned manifest."""
    )


@pytest.mark.parametrize("name", ["all", "a b", "é"])
def test_a_manifest_with_a_split_name_that_tfds_cannot_read(make, name):
    """It is as bad as one in the CSV: nobody could read the dataset."""
    with pytest.raises(tfds_imagecsv.ImageCsvError, match=repr(name)):
        make(many(20), pinned=[f"000.png,{name},cat,,"])


# All at once


def test_problems_of_all_kinds_come_at_once(error_of):
    """Law 6: one message for rows, images, copies, groups, pins and classes."""
    rows = [
        ("a.png", "cat", "", ""),
        ("b.png", "dog", "", ""),
        ("c.png", "cat", "g", "train"),
        ("d.png", "cat", "g", "test"),
        ("e.png", "cat", "", "train"),
        ("gone.png", "cat", "", ""),
        ("f.png", "cat", "", "a b"),
    ]
    assert (
        error_of(
            rows,
            header=("filename", "label", "group", "split"),
            copies={"b.png": "a.png"},
            lost=["gone.png"],
            pinned=["e.png,test,cat,,"],
            duplicates="error",
            min_class_size=2,
            rare_classes="error",
        )
        == f"""\
7 problems {IN}

Split name that TFDS can't read (1):
  row 8: 'a b' for 'f.png'
  -> Name splits with letters, digits, '_' and '-', and not 'all'.

Image not found (1):
  row 7: 'gone.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.

Identical images (1):
  row 3: 'b.png' is the same as 'a.png' in row 2
  -> Remove the copies, or set duplicates to 'together' or 'drop'.

Identical images with different labels (1):
  row 3: 'b.png' is 'dog', and the same as 'a.png' in row 2, which is 'cat'
  -> Keep the copy whose label is right.

Rows that belong together, in different splits (1):
  row 5: 'd.png' is in 'test', and belongs to 'c.png' in row 4, which is in 'train'
  -> Give one split to all of them, in the CSV or in the pinned manifest.

Pinned row that the CSV gives to another split (1):
  row 6: 'e.png' is pinned to 'test', and the CSV says 'train'
  -> Correct its split in the CSV, or remove it from the manifest.

Class with fewer images than min_class_size (1):
  row 3: 'dog' has 1
  -> Add images, remove the class, or set rare_classes to 'keep' or 'drop'."""
    )


def test_no_row_of_the_csv_can_be_used(error_of):
    """It looks at no image; the report is the usual one."""
    assert (
        error_of([("a.png", ""), ("b.png", "")])
        == f"""\
2 problems {IN}

Empty label (2):
  row 2: 'a.png'
  row 3: 'b.png'
  -> Fill in the label, or remove the row."""
    )


@pytest.mark.parametrize("duplicates", ["together", "drop", "error"])
@pytest.mark.parametrize("rare_classes", ["keep", "drop", "error"])
def test_no_image_can_be_used(error_of, duplicates, rare_classes):
    """The report has just that, for any other fields."""
    assert error_of(
        [("a.png", "cat")],
        lost=["a.png"],
        duplicates=duplicates,
        rare_classes=rare_classes,
    ).startswith(f"1 problem {IN}")


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([("a.png", "cat", ""), ("b.png", "cat", "test")], "b.png"),
        ([("a.png", "", "unlabeled"), ("b.png", "cat", "")], "b.png"),
        ([("a.png", "cat", "test"), ("b.png", "cat", "test")], "a.png"),
    ],
    ids=["given", "labelled", "first by key"],
)
def test_the_copy_that_says_the_most_is_kept(make, rows, kept):
    """One that has a label, then one whose split is given, then the first."""
    planned = make(
        [*many(10, ""), *rows],
        header=WITH_SPLIT,
        copies={"b.png": "a.png"},
        duplicates="drop",
        **ONE_SPLIT,
    )
    assert {"a.png", "b.png"} & set(planned.splits) == {kept}


@pytest.mark.parametrize("name", ["_", "--", "a" * 101])
def test_split_names_that_tfds_cannot_write(error_of, name):
    """Otherwise, writing the records would fail."""
    rows = [*many(4, ""), ("x.png", "cat", name)]
    assert f"row 6: {name!r} for 'x.png'" in error_of(rows, header=WITH_SPLIT)


def test_synonyms_in_a_manifest(make):
    """They mean the same in a manifest edited by hand as in the CSV."""
    planned = make(many(20), pinned=["000.png,Val,cat,,", "001.png,training,dog,,"])
    assert planned.splits["000.png"] == "validation"
    assert planned.splits["001.png"] == "train"


def test_a_csv_without_a_header(error_of):
    """Its first image isn't lost: here it has two rows."""
    message = error_of(many(3), header=("000.png", "cat"))
    assert "row 2: '000.png' is in row 1 already" in message


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({"val_size": 2, "test_size": 2}, 0),
        ({"val_size": "20%", "test_size": 0}, 0),
        ({"val_size": 0.6, "test_size": 0}, 0),
        ({"val_size": 12, "test_size": 0}, 1),
        ({"val_size": 0, "test_size": 12}, 1),
    ],
)
def test_a_count_that_may_be_meant_in_per_cent(make, fields, notes):
    """If more than half of the images are in the split, a note asks."""
    found = [note for note in make(many(20), **fields).notes if "were" in note.lower()]
    assert len(found) == notes
    if notes:
        field = "val_size" if fields["val_size"] else "test_size"
        (note,) = found
        assert note == (
            f"{field}=12 is a number of images, 12 of 20. Were 12 % meant? Then write"
            f' {field}="12%"'
        )
