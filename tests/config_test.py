"""What a user says about a dataset."""

import copy
import dataclasses
import json
import math
import os
import pathlib
import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow_datasets as tfds
from hypothesis import assume, given
from hypothesis import strategies as st

import tfds_imagecsv
from tfds_imagecsv import config, options
from tfds_imagecsv.images import quality

DELIMITER_RULE = (
    "label_delimiter must be a string that isn't empty and has no line break, got "
)
REQUIRED = {"name": "pets", "image_dir": "images", "label_csv": "labels.csv"}
FIELDS = (
    "name, version, release_notes, supported_versions, description, tags, image_dir,"
    " label_csv, filename_column, label_column, label_type, label_delimiter,"
    " label_level, box_columns, box_format, box_units, boxes_are_upright,"
    " true_values, false_values,"
    " group_column, split_column, split_names, extra_columns, image_columns,"
    " mask_column, mask_dir, mask_colors, mask_color_csv, masks_are_upright,"
    " filename_suffix,"
    " filename_template, match, delimiter, text_encoding, header, skip_lines, sheet,"
    " classes, class_csv, val_size, test_size, folds, seed, duplicates,"
    " near_duplicates,"
    " pinned_splits, min_class_size, rare_classes, channels, dtype, background,"
    " apply_exif, resize, max_side, image_shape, encoding, quality, icc, max_pixels,"
    " verify,"
    " on_error, max_rejected, drop_issues, workers, checksums, homepage, citation,"
    " license, report"
)


def make(**fields):
    """Makes a config of fields besides the required ones, or instead of them."""
    return tfds_imagecsv.ImageCsvConfig(**{**REQUIRED, **fields})


def error_of(**fields):
    """Returns the message of refused fields."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        make(**fields)
    return str(caught.value)


def test_defaults():
    """Two fields must be given; the others have the documented defaults."""
    config = make()
    assert config.name == "pets"
    assert config.image_dir == "images"
    assert config.label_csv == "labels.csv"
    assert config.filename_column is None
    assert config.label_column is None
    assert config.filename_suffix == ""
    assert config.classes is None
    assert config.val_size == 0.1
    assert config.test_size == 0.1
    assert config.seed == 0
    assert isinstance(config, tfds.core.BuilderConfig)


def test_every_field_keeps_its_value():
    """What is given is what the config has."""
    fields = {
        "name": "pets",
        "version": "2.0.0",
        "description": "My pets.",
        "image_dir": "~/pets",
        "label_csv": "gs://pets/labels.csv",
        "filename_column": "file",
        "label_column": "species",
        "filename_suffix": ".jpg",
        "classes": ("dog", "cat"),
        "val_size": 20,
        "test_size": 0.25,
        "seed": 2**64 - 1,
    }
    config = make(**fields)
    assert {name: getattr(config, name) for name in fields} == fields


def test_json_makes_a_config():
    """`--config` gives lists for tuples and strings for paths."""
    values = json.loads(
        '{"name": "pets", "image_dir": "/pets", "label_csv": "/labels.csv",'
        ' "filename_column": null, "classes": ["dog", "cat"], "val_size": 0,'
        ' "test_size": 1}'
    )
    config = tfds_imagecsv.ImageCsvConfig(**values)
    assert config.classes == ("dog", "cat")
    assert config.image_dir == "/pets"
    assert config.filename_column is None
    assert (config.val_size, config.test_size) == (0, 1)


def test_paths_become_strings():
    """A path object and its string are the same config."""
    config = make(image_dir=pathlib.Path("/pets"), label_csv=pathlib.Path("a/b.csv"))
    assert config.image_dir == "/pets"
    assert config.label_csv == "a/b.csv"


def test_a_column_is_no_table():
    """Though Arrow reads it as it does a table; and images aren't in a table."""
    frame = pd.DataFrame({"file": ["1.png"], "label": ["cat"]})
    assert make(label_csv=frame).label_csv is frame
    rule = "label_csv must be a path or a table, such as a DataFrame, got "
    assert error_of(label_csv=frame["label"]) == f"{rule}a Series of pandas"
    column = pa.table(frame)["label"]
    assert error_of(label_csv=column) == f"{rule}a ChunkedArray of pyarrow"
    rule = "image_dir must be a path, got "
    assert error_of(image_dir=frame) == f"{rule}a DataFrame of pandas"


def test_paths_of_bytes_are_refused(tmp_path):
    """They may name local files, but not remote ones."""
    (tmp_path / "labels.csv").touch()
    with os.scandir(os.fsencode(tmp_path)) as entries:
        (entry,) = entries
    assert error_of(label_csv=entry) == f"label_csv must be a path, got {entry!r}"


NAME_RULE = (
    "name must be made of up to 100 letters, digits, '_', '-', '+' and '.', not begin"
    " with '.', and not look like a version, got "
)
SIZE_RULE = (
    "{} must be a float from 0 to 1 or a text such as '20%' (a fraction), or an int of"
    " 0 or more (a count of images), got "
)
CLASSES_RULE = "classes must be a list of class names in the order of their ids, got "
CLASS_RULE = (
    "classes must be strings that aren't empty and have no white space around them,"
    " got "
)
TEXT_RULE = "{} must be a string that isn't empty, got "
SEED_RULE = "seed must be an int from 0 to 2**64 - 1, got "


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", NAME_RULE + "''"),
        ("name", None, NAME_RULE + "None"),
        ("name", 7, NAME_RULE + "7"),
        ("name", "a b", NAME_RULE + "'a b'"),
        ("name", "a/b", NAME_RULE + "'a/b'"),
        ("name", "a:1.0.0", NAME_RULE + "'a:1.0.0'"),
        ("name", "pets\n", NAME_RULE + "'pets\\n'"),
        ("name", "é", NAME_RULE + "'é'"),
        ("name", ".pets", NAME_RULE + "'.pets'"),
        ("name", "..", NAME_RULE + "'..'"),
        ("name", "1.0.0", NAME_RULE + "'1.0.0'"),
        ("name", "10.20.30", NAME_RULE + "'10.20.30'"),
        ("image_dir", "", "image_dir must be a path, got ''"),
        ("image_dir", " ", "image_dir must be a path, got ' '"),
        ("image_dir", None, "image_dir must be a path, got None"),
        ("image_dir", b"/pets", "image_dir must be a path, got b'/pets'"),
        ("label_csv", 3, "label_csv must be a path, got 3"),
        ("label_csv", ["a.csv"], "label_csv must be a path, got ['a.csv']"),
        ("filename_column", "", TEXT_RULE.format("filename_column") + "''"),
        ("filename_column", 0, TEXT_RULE.format("filename_column") + "0"),
        ("label_column", " \t", TEXT_RULE.format("label_column") + "' \\t'"),
        (
            "label_column",
            [],
            "label_column must be the name of a column, or a list of names, got []",
        ),
        (
            "label_column",
            3,
            "label_column must be the name of a column, or a list of names, got 3",
        ),
        ("label_column", ["l", 3], TEXT_RULE.format("label_column") + "3"),
        (
            "label_column",
            ["l", " l"],
            "label_column must name different columns, got ['l', 'l']",
        ),
        (
            "label_type",
            "classes",
            (
                "label_type must be one of 'class', 'multilabel', 'boxes',"
                " 'regression', 'none', got"
                " 'classes'"
            ),
        ),
        (
            "label_delimiter",
            "|",
            (
                "label_delimiter needs label_type='multilabel', got '|' with"
                " label_type='class'"
            ),
        ),
        ("label_delimiter", "", DELIMITER_RULE + "''"),
        ("label_delimiter", 3, DELIMITER_RULE + "3"),
        ("label_delimiter", "a\n", DELIMITER_RULE + "'a\\n'"),
        ("class_csv", "", "class_csv must be a path, got ''"),
        (
            "extra_columns",
            "some",
            (
                "extra_columns must be 'all', or types by the names of columns, such as"
                " {'age': 'int64'}, got 'some'"
            ),
        ),
        (
            "extra_columns",
            {},
            (
                "extra_columns must be 'all', or types by the names of columns, such as"
                " {'age': 'int64'}, got {}"
            ),
        ),
        (
            "extra_columns",
            {"age": "int", " ": "string", "label": "int64", "image": 3},
            (
                "extra_columns must be types by the names of columns. Types are bool,"
                " int32, int64, float32, float64, string. Got: 'age' can't be"
                " 'int'; ' '"
                " can't be the name of a column; 'label' is a feature of each dataset:"
                " rename the column; 'image' is a feature of each dataset: rename the"
                " column; 'image' can't be 3"
            ),
        ),
        ("filename_suffix", None, "filename_suffix must be a string, got None"),
        ("filename_suffix", 1, "filename_suffix must be a string, got 1"),
        ("classes", "cat", CLASSES_RULE + "'cat'"),
        ("classes", [], CLASSES_RULE + "[]"),
        ("classes", (), CLASSES_RULE + "()"),
        ("classes", 3, CLASSES_RULE + "3"),
        ("classes", {"cat": 0}, CLASSES_RULE + "{'cat': 0}"),
        ("classes", ["cat", ""], CLASS_RULE + "''"),
        ("classes", ["cat", "dog "], CLASS_RULE + "'dog '"),
        ("classes", ["\u3000cat"], CLASS_RULE + "'\\u3000cat'"),
        ("classes", ["cat", None], CLASS_RULE + "None"),
        ("classes", [0, 1], CLASS_RULE + "0"),
        (
            "classes",
            ["a\nb"],
            "classes must not have line breaks in them, got 'a\\nb'",
        ),
        (
            "classes",
            ["a\rb"],
            "classes must not have line breaks in them, got 'a\\rb'",
        ),
        (
            "classes",
            ["b", "a", "b", "c", "a"],
            "classes must differ from each other, got these more than once: 'a', 'b'",
        ),
        ("val_size", -1, SIZE_RULE.format("val_size") + "-1"),
        ("val_size", -0.1, SIZE_RULE.format("val_size") + "-0.1"),
        ("val_size", 1.5, SIZE_RULE.format("val_size") + "1.5"),
        ("val_size", math.nan, SIZE_RULE.format("val_size") + "nan"),
        ("val_size", math.inf, SIZE_RULE.format("val_size") + "inf"),
        ("val_size", True, SIZE_RULE.format("val_size") + "True"),
        ("val_size", None, SIZE_RULE.format("val_size") + "None"),
        ("val_size", "0.1", SIZE_RULE.format("val_size") + "'0.1'"),
        ("val_size", 1j, SIZE_RULE.format("val_size") + "1j"),
        ("test_size", False, SIZE_RULE.format("test_size") + "False"),
        ("test_size", 2.0, SIZE_RULE.format("test_size") + "2.0"),
        ("test_size", [0.1], SIZE_RULE.format("test_size") + "[0.1]"),
        ("seed", -1, SEED_RULE + "-1"),
        ("seed", 2**64, SEED_RULE + "18446744073709551616"),
        ("seed", 0.0, SEED_RULE + "0.0"),
        ("seed", True, SEED_RULE + "True"),
        ("seed", None, SEED_RULE + "None"),
        ("seed", "0", SEED_RULE + "'0'"),
    ],
)
def test_a_value_that_a_field_cannot_have(field, value, message):
    """The message has the field, the rule and the value."""
    assert error_of(**{field: value}) == message


@pytest.mark.parametrize(
    ("val_size", "test_size"), [(0.6, 0.5), (1.0, 1e-9), (0.3, 0.8)]
)
def test_fractions_that_sum_to_more_than_one(val_size, test_size):
    """For any number of images, there are too few."""
    assert error_of(val_size=val_size, test_size=test_size) == (
        "val_size and test_size must not sum to more than 1, got"
        f" {val_size} and {test_size}"
    )


@pytest.mark.parametrize(
    ("val_size", "test_size"),
    [
        (0.7, 1 - 0.7),  # their floats sum to a little more than 1
        (0.7, 0.3),
        (0.9, 0.1),
        (1.0, 0.0),
        (0.0, 1.0),
        (1 / 3, 2 / 3),
        (5, 1.0),  # whether the count is too large depends on the images
        (10**6, 10**6),
        (0, 0),
    ],
)
def test_sizes_that_sum_to_one_or_depend_on_the_number_of_images(val_size, test_size):
    """Only fractions alone can be too much before the CSV is read."""
    config = make(val_size=val_size, test_size=test_size)
    assert (config.val_size, config.test_size) == (val_size, test_size)


@pytest.mark.parametrize(
    "size",
    [np.float64(0.25), np.float32(0.25), np.float16(0.25), Fraction(1, 4)],
    ids=repr,
)
def test_numbers_of_other_kinds_are_fractions(size):
    """NumPy's floats and Python's fractions are real numbers too."""
    config = make(val_size=size, test_size=0.75)
    assert config.val_size == 0.25
    json.dumps(config.val_size)  # `info.metadata` is stored as JSON


@pytest.mark.parametrize("size", [np.int64(3), np.int32(3), np.uint8(3)], ids=repr)
def test_integers_of_numpy_are_counts_and_seeds(size):
    """What looks like an int and says 3 is 3."""
    config = make(val_size=size, test_size=size, seed=size)
    stored = json.dumps([config.val_size, config.test_size, config.seed])
    assert stored == "[3, 3, 3]"


def test_a_float_and_an_int_of_one_are_different():
    """1.0 is all of the images, 1 is one image."""
    config = make(val_size=1, test_size=1.0)
    assert isinstance(config.val_size, int)
    assert isinstance(config.test_size, float)


def test_a_count_of_any_size():
    """Only reading the CSV tells how many images there are."""
    assert make(val_size=10**400).val_size == 10**400


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"val_sise": 0.1},
            (
                "val_sise: there is no such field. Did you mean 'val_size'? The fields"
                f" are: {FIELDS}"
            ),
        ),
        (
            {"epochs": 1},
            f"epochs: there is no such field. The fields are: {FIELDS}",
        ),
    ],
)
def test_a_field_that_does_not_exist(fields, message):
    """The message suggests a close one and lists all."""
    assert error_of(**fields) == message


def test_a_misspelled_field_in_place_of_a_required_one():
    """The message has misspelled fields before missing ones."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.ImageCsvConfig(name="pets", image_dri="i", label_csv="l")
    assert str(caught.value) == (
        "image_dri: there is no such field. Did you mean 'image_dir'? The fields are:"
        f" {FIELDS}"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "pets", "label_csv": "l"}, "image_dir: must be given"),
        ({"label_csv": "l"}, "name, image_dir: must be given"),
        ({"seed": 1}, "name, image_dir: must be given"),
        ({}, "name, image_dir: must be given"),
    ],
)
def test_required_fields_that_are_missing(fields, message):
    """All of them are named at once."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.ImageCsvConfig(**fields)
    assert str(caught.value) == message


def test_positional_arguments_are_refused():
    """Fields have names, so none is mistaken for another."""
    with pytest.raises(TypeError, match="positional"):
        tfds_imagecsv.ImageCsvConfig("pets", image_dir="i", label_csv="l")


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_has_the_same_values(duplicate):
    """TFDS copies configs, and `tfds build --num_processes` pickles them."""
    config = make(classes=["b", "a"], val_size=3, seed=7)
    again = duplicate(config)
    assert type(again) is tfds_imagecsv.ImageCsvConfig
    assert dataclasses.asdict(again) == dataclasses.asdict(config)


def test_replace_checks_the_new_values():
    """`dataclasses.replace` makes a config like any other."""
    config = make()
    assert dataclasses.replace(config, seed=3).seed == 3
    with pytest.raises(tfds_imagecsv.ConfigError, match="seed must be an int"):
        dataclasses.replace(config, seed=-3)


@given(st.text(max_size=12) | st.text(alphabet="aZ_019.-+:/*é \n", max_size=8))
def test_a_name_that_is_accepted_is_one_that_tfds_reads_as_a_config(name):
    """`tfds.load("image_csv/NAME")` finds no version and no other config in it."""
    try:
        make(name=name)
    except tfds_imagecsv.ConfigError:
        return
    builder_name, kwargs = tfds.core.naming.parse_builder_name_kwargs(
        f"image_csv/{name}"
    )
    assert str(builder_name) == "image_csv"
    assert kwargs == {"config": name}


@pytest.mark.parametrize(
    "name",
    ["a", "A-b_c+d.e", "1", "1.0", "1.0.0.0", "1.0.0-beta", "v1.0.0", "-", "_", "a."],
)
def test_names_that_tfds_can_load(name):
    """Much more than letters is fine."""
    assert make(name=name).name == name


@given(st.floats(0, 1))
def test_exact_fraction_is_near(size):
    """No float is further than one in a thousand million from its fraction."""
    found = config.exact_fraction(size)
    assert 0 <= found <= 1
    assert abs(found - Fraction(size)) <= Fraction(1, 10**9)


@given(st.integers(1, 1000), st.data())
def test_exact_fraction_is_the_one_that_was_meant(q, data):
    """The float nearest to p/q stands for p/q, and so does the rest to 1."""
    p = data.draw(st.integers(0, q))
    assert config.exact_fraction(p / q) == Fraction(p, q)
    assert config.exact_fraction(1 - p / q) == 1 - Fraction(p, q)


@given(st.integers(1, 1000), st.data())
def test_fractions_that_were_meant_to_sum_to_one_do(q, data):
    """Rounding errors of floats refuse no config, and accept none that is too much."""
    p = data.draw(st.integers(0, q))
    make(val_size=p / q, test_size=(q - p) / q)
    assume(p < q)
    with pytest.raises(tfds_imagecsv.ConfigError):
        make(val_size=(p + 1) / q, test_size=(q - p) / q)


# Groups, given and pinned splits, folds, duplicates and rare classes


def test_defaults_of_how_rows_are_divided():
    """By default, nothing is bound, given, pinned or dropped."""
    config = make()
    assert config.group_column is None
    assert config.split_column is None
    assert config.folds == 0
    assert config.duplicates == "together"
    assert config.near_duplicates is None
    assert config.pinned_splits is None
    assert config.min_class_size == 1
    assert config.rare_classes == "keep"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group_column", "patient"),
        ("split_column", "part"),
        ("folds", 0),
        ("folds", 2),
        ("folds", np.int64(10)),
        ("duplicates", "together"),
        ("duplicates", "drop"),
        ("duplicates", "error"),
        ("near_duplicates", "report"),
        ("near_duplicates", "together"),
        ("near_duplicates", "drop"),
        ("near_duplicates", "off"),
        ("near_duplicates", None),
        ("pinned_splits", "~/pets/split_manifest.csv"),
        ("pinned_splits", "gs://pets/split_manifest.csv"),
        ("min_class_size", 1),
        ("min_class_size", np.int32(7)),
        ("rare_classes", "keep"),
        ("rare_classes", "drop"),
        ("rare_classes", "error"),
    ],
)
def test_a_value_that_a_field_can_have(field, value):
    """What is given is what the config has."""
    assert getattr(make(**{field: value}), field) == value


def test_the_path_of_a_manifest_becomes_a_string():
    """A path object and its string are the same config."""
    config = make(pinned_splits=pathlib.Path("/pets") / "split_manifest.csv")
    assert config.pinned_splits == "/pets/split_manifest.csv"


def test_quality_issues_are_named_once_and_in_one_order():
    """In the order of `image_quality.csv`: another order gives the same dataset."""
    assert make().drop_issues == ()
    config = make(drop_issues=["blurry", "dark", "blurry"])
    assert config.drop_issues == ("dark", "blurry")
    assert tuple(quality.THRESHOLDS) == options.QUALITY_ISSUES
    assert make(drop_issues=options.QUALITY_ISSUES).drop_issues == tuple(
        quality.THRESHOLDS
    )


ISSUES = "dark, light, low_information, blurry, grayscale, odd_aspect_ratio, odd_size"
ISSUES_RULE = f"drop_issues must be a list of quality issues ({ISSUES}), got "
NO_ISSUE = "drop_issues: there is no quality issue "
FOLDS_RULE = "folds must be 0 or an int of 2 or more, got "
MIN_CLASS_SIZE_RULE = "min_class_size must be an int of 1 or more, got "
DUPLICATES_RULE = "duplicates must be one of 'together', 'drop', 'error', got "
NEAR_DUPLICATES_RULE = (
    "near_duplicates must be one of 'report', 'together', 'drop', 'off', got "
)
RARE_CLASSES_RULE = "rare_classes must be one of 'keep', 'drop', 'error', got "


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("group_column", "", TEXT_RULE.format("group_column") + "''"),
        ("group_column", " ", TEXT_RULE.format("group_column") + "' '"),
        ("group_column", 2, TEXT_RULE.format("group_column") + "2"),
        ("split_column", "", TEXT_RULE.format("split_column") + "''"),
        ("split_column", ["s"], TEXT_RULE.format("split_column") + "['s']"),
        ("folds", 1, FOLDS_RULE + "1"),
        ("folds", -2, FOLDS_RULE + "-2"),
        ("folds", 5.0, FOLDS_RULE + "5.0"),
        ("folds", True, FOLDS_RULE + "True"),
        ("folds", False, FOLDS_RULE + "False"),
        ("folds", None, FOLDS_RULE + "None"),
        ("folds", "5", FOLDS_RULE + "'5'"),
        ("duplicates", "keep", DUPLICATES_RULE + "'keep'"),
        ("duplicates", "Drop", DUPLICATES_RULE + "'Drop'"),
        ("duplicates", "", DUPLICATES_RULE + "''"),
        ("duplicates", None, DUPLICATES_RULE + "None"),
        ("duplicates", ["drop"], DUPLICATES_RULE + "['drop']"),
        ("near_duplicates", "error", NEAR_DUPLICATES_RULE + "'error'"),
        ("near_duplicates", False, NEAR_DUPLICATES_RULE + "False"),
        ("pinned_splits", "", "pinned_splits must be a path, got ''"),
        ("pinned_splits", " ", "pinned_splits must be a path, got ' '"),
        ("pinned_splits", 0, "pinned_splits must be a path, got 0"),
        ("pinned_splits", b"m.csv", "pinned_splits must be a path, got b'm.csv'"),
        ("min_class_size", 0, MIN_CLASS_SIZE_RULE + "0"),
        ("min_class_size", -1, MIN_CLASS_SIZE_RULE + "-1"),
        ("min_class_size", 2.0, MIN_CLASS_SIZE_RULE + "2.0"),
        ("min_class_size", True, MIN_CLASS_SIZE_RULE + "True"),
        ("min_class_size", None, MIN_CLASS_SIZE_RULE + "None"),
        ("rare_classes", "together", RARE_CLASSES_RULE + "'together'"),
        ("rare_classes", "KEEP", RARE_CLASSES_RULE + "'KEEP'"),
        ("rare_classes", None, RARE_CLASSES_RULE + "None"),
        ("rare_classes", 1, RARE_CLASSES_RULE + "1"),
        ("drop_issues", "dark", ISSUES_RULE + "'dark'"),
        ("drop_issues", None, ISSUES_RULE + "None"),
        ("drop_issues", True, ISSUES_RULE + "True"),
        (
            "drop_issues",
            ["dark", "blury"],
            f"{NO_ISSUE}'blury'. Did you mean 'blurry'? The issues are: {ISSUES}",
        ),
        ("drop_issues", [3], f"{NO_ISSUE}3. The issues are: {ISSUES}"),
    ],
)
def test_a_value_that_no_division_of_rows_can_have(field, value, message):
    """The message has the field, the rule and the value."""
    assert error_of(**{field: value}) == message


def test_numbers_of_numpy_are_stored_like_any_others():
    """A dataset's metadata are JSON, which has no NumPy numbers."""
    config = make(folds=np.int64(3), min_class_size=np.int64(2))
    assert json.loads(json.dumps([config.folds, config.min_class_size])) == [3, 2]


@pytest.mark.parametrize("version", ["abc", "1", 1, "1.0.*", [1, 0, 0]])
def test_a_version_that_tfds_cannot_read(version):
    """The message has the form and the value."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.ImageCsvConfig(**REQUIRED, version=version)
    assert str(caught.value) == f"version must look like '1.0.0', got {version!r}"


def test_a_version_of_tfds():
    """A string or TFDS's own version."""
    for version in ("1.2.3", tfds.core.Version("1.2.3")):
        config = tfds_imagecsv.ImageCsvConfig(**REQUIRED, version=version)
        assert config.version == version


def test_the_size_of_validation_is_not_used_with_folds():
    """Nor is it checked against that of test."""
    tfds_imagecsv.ImageCsvConfig(**REQUIRED, folds=2, val_size=0.7, test_size=0.4)


# The images, their checks, and what to do about bad ones

IMAGE_DEFAULTS = {
    "channels": 3,
    "dtype": "uint8",
    "background": "white",
    "apply_exif": True,
    "resize": None,
    "max_side": None,
    "image_shape": None,
    "encoding": None,
    "quality": None,
    "icc": "ignore",
    "max_pixels": 89_478_485,
    "verify": "decode",
}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"label_type": "multilabel"},
            (
                "label_delimiter must be given with label_type='multilabel',"
                " such as '|', or"
                " a list of columns of 0 and 1 as label_column"
            ),
        ),
        (
            {"label_type": "multilabel", "label_column": "labels"},
            (
                "label_delimiter must be given with label_type='multilabel',"
                " such as '|', or"
                " a list of columns of 0 and 1 as label_column"
            ),
        ),
        (
            {
                "label_type": "multilabel",
                "label_column": ["a", "b"],
                "label_delimiter": ";",
            },
            (
                "label_delimiter and several columns as label_column can't both"
                " be given,"
                " got ';' and ['a', 'b']"
            ),
        ),
        (
            {"label_type": "regression", "label_delimiter": ";"},
            (
                "label_delimiter needs label_type='multilabel', got ';' with"
                " label_type='regression'"
            ),
        ),
        (
            {"box_columns": "bbox"},
            "box_columns can't be given with label_type='class', got 'bbox'",
        ),
        (
            {"label_type": "none", "boxes_are_upright": False},
            "boxes_are_upright can't be given with label_type='none', got False",
        ),
        (
            {"label_type": "boxes", "box_columns": ["x", "y"]},
            (
                "box_columns must be the names of four columns with a number each, or"
                " of one with four numbers, got ['x', 'y']"
            ),
        ),
        (
            {"label_type": "boxes", "box_format": "yxyx"},
            ("box_format must be one of None, 'xyxy', 'xywh', 'cxcywh', got 'yxyx'"),
        ),
        (
            {"label_type": "boxes", "box_units": "cm"},
            "box_units must be one of None, 'pixels', 'relative', got 'cm'",
        ),
        (
            {"label_type": "boxes", "boxes_are_upright": 0},
            "boxes_are_upright must be one of None, True, False, got 0",
        ),
        (
            {"label_type": "boxes", "label_column": ["a", "b"]},
            (
                "label_column must be one column with label_type='boxes', whose cells"
                " are the classes of the boxes, got ['a', 'b']"
            ),
        ),
        (
            {"label_type": "boxes", "extra_columns": {"bbox": "string"}},
            (
                "extra_columns must be types by the names of columns. Types are bool,"
                " int32, int64, float32, float64, string. Got: 'bbox' is a feature of"
                " each dataset: rename the column"
            ),
        ),
        (
            {"label_type": "none", "label_column": "label"},
            "label_column can't be given with label_type='none', got 'label'",
        ),
        (
            {"label_type": "none", "classes": ["cat"]},
            (
                "classes can't be given with label_type='none', which has no"
                " classes, got"
                " ('cat',)"
            ),
        ),
        (
            {"label_type": "regression", "class_csv": "c.csv"},
            (
                "class_csv can't be given with label_type='regression', which has no"
                " classes, got 'c.csv'"
            ),
        ),
        (
            {"verify": "header", "drop_issues": ["dark"]},
            (
                "drop_issues need pixels, which verify='header' doesn't decode, got"
                " ('dark',)"
            ),
        ),
        (
            {"label_type": "regression", "min_class_size": 2},
            (
                "min_class_size can't be given with label_type='regression',"
                " which has no"
                " classes, got 2"
            ),
        ),
        (
            {"label_type": "none", "rare_classes": "drop"},
            (
                "rare_classes can't be given with label_type='none', which has"
                " no classes,"
                " got 'drop'"
            ),
        ),
        (
            {"classes": ["cat"], "class_csv": "c.csv"},
            "classes and class_csv can't both be given, got ['cat'] and 'c.csv'",
        ),
    ],
)
def test_fields_of_labels_that_do_not_agree(fields, message):
    """The message has both fields, and what to do."""
    assert error_of(**fields) == message


def test_fields_of_labels():
    """Lists become tuples, and white space around the names of columns is dropped."""
    config = make(label_type="multilabel", label_column=["a ", "b"])
    assert config.label_column == ("a", "b")
    assert config.label_columns == 2
    config = make(label_type="multilabel", label_column=["labels"], label_delimiter="|")
    assert config.label_column == "labels"
    assert config.label_columns == 1
    config = make(extra_columns={" age": "int64"})
    assert config.extra_columns == {"age": "int64"}
    assert make(extra_columns="all").extra_columns == "all"
    assert make().label_type == "class"


def test_the_fields():
    """All of them, in the order in which messages list them."""
    names = [field.name for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig)]
    assert ", ".join(names) == FIELDS


def test_defaults_of_what_images_are():
    """By default, images are RGB of 8 bits, and checked in full."""
    config = make()
    assert {name: getattr(config, name) for name in IMAGE_DEFAULTS} == IMAGE_DEFAULTS
    assert config.on_error == "fail"
    assert config.max_rejected == 0.01
    assert config.workers is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", 1),
        ("channels", 3),
        ("channels", 4),
        ("channels", np.int64(4)),
        ("dtype", "uint8"),
        ("dtype", "uint16"),
        ("background", "black"),
        ("background", "Black"),
        ("background", "#fff"),
        ("background", "#0a0B0c"),
        ("background", "rgb(1, 2, 3)"),
        ("apply_exif", True),
        ("apply_exif", False),
        ("resize", (1, 1)),
        ("resize", (480, 640)),
        ("resize", (1, 1_000_000)),
        ("resize", (256999, 2089)),  # 2**29 - 1 pixels
        ("max_side", 1),
        ("max_side", np.int32(640)),
        ("image_shape", (1, 1, 3)),
        ("image_shape", (480, 640, 3)),
        ("image_shape", (2089, 256999, 3)),
        ("encoding", "jpeg"),
        ("encoding", "png"),
        ("icc", "ignore"),
        ("icc", "srgb"),
        ("quality", 1),
        ("quality", 100),
        ("max_pixels", 1),
        ("max_pixels", 2**29 - 1),
        ("verify", "decode"),
        ("verify", "header"),
        ("on_error", "fail"),
        ("on_error", "skip"),
        ("max_rejected", 0),
        ("max_rejected", 0.0),
        ("max_rejected", 1 / 3),
        ("max_rejected", 1),
        ("max_rejected", np.float64(0.25)),
        ("workers", 1),
        ("workers", np.int64(64)),
        ("report", False),
    ],
)
def test_a_value_that_a_field_of_images_can_have(field, value):
    """What is given is what the config has, as a value of Python's own."""
    found = getattr(make(**{field: value}), field)
    assert found == value
    assert type(found) in (bool, float, int, str, tuple)


def test_lists_of_json_become_tuples():
    """`--config` gives lists; the shapes of NumPy's ints are Python's, too."""
    values = json.loads('{"resize": [480, 640], "image_shape": [480, 640, 3]}')
    config = make(**values)
    assert config.resize == (480, 640)
    assert config.image_shape == (480, 640, 3)
    config = make(resize=[np.int64(2), np.int64(3)])
    assert json.dumps(config.resize) == "[2, 3]"


CHANNELS_RULE = "channels must be one of 1, 3, 4, got "
DTYPE_RULE = "dtype must be one of 'uint8', 'uint16', got "
BACKGROUND_RULE = (
    "background must be the name of a colour, such as 'white', or its number, such as"
    " '#ffffff', got "
)
APPLY_EXIF_RULE = "apply_exif must be true or false, got "
RESIZE_RULE = "resize must be a list of height, width, ints of 1 or more, got "
MAX_SIDE_RULE = "max_side must be an int of 1 or more, got "
IMAGE_SHAPE_RULE = (
    "image_shape must be a list of height, width, channels, ints of 1 or more, got "
)
SIDE_RULE = (
    "resize must have no side of more than {} pixels, the most that decoders of {}"
    " read, got {}"
)
PIXELS_RULE = "{} must have at most 536870911 pixels, got {!r}, which is {}"
ENCODING_RULE = "encoding must be one of None, 'jpeg', 'png', got "
QUALITY_RULE = "quality must be an int from 1 to 100, got "
MAX_PIXELS_RULE = "max_pixels must be an int from 1 to 536870911, got "
VERIFY_RULE = "verify must be one of 'decode', 'header', got "
ON_ERROR_RULE = "on_error must be one of 'fail', 'skip', got "
MAX_REJECTED_RULE = "max_rejected must be a fraction from 0 to 1, got "
WORKERS_RULE = "workers must be an int of 1 or more, got "


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("channels", 0, CHANNELS_RULE + "0"),
        ("channels", 2, CHANNELS_RULE + "2"),
        ("channels", 3.0, CHANNELS_RULE + "3.0"),
        ("channels", "3", CHANNELS_RULE + "'3'"),
        ("channels", True, CHANNELS_RULE + "True"),
        ("channels", None, CHANNELS_RULE + "None"),
        ("dtype", "float32", DTYPE_RULE + "'float32'"),
        ("dtype", "UINT8", DTYPE_RULE + "'UINT8'"),
        ("dtype", None, DTYPE_RULE + "None"),
        ("dtype", 8, DTYPE_RULE + "8"),
        ("background", "", BACKGROUND_RULE + "''"),
        ("background", "whitish", BACKGROUND_RULE + "'whitish'"),
        ("background", "rgb(300,0,0)", BACKGROUND_RULE + "'rgb(300,0,0)'"),
        (
            "background",
            "hsl(0,200%,50%)",
            BACKGROUND_RULE + "'hsl(0,200%,50%)'",
        ),
        ("background", "#ffff", BACKGROUND_RULE + "'#ffff'"),
        ("background", "#ffffffff", BACKGROUND_RULE + "'#ffffffff'"),
        ("background", "ffffff", BACKGROUND_RULE + "'ffffff'"),
        ("background", "w" * 200, BACKGROUND_RULE + f"'{'w' * 200}'"),
        ("background", (255, 255, 255), BACKGROUND_RULE + "(255, 255, 255)"),
        ("background", ["white"], BACKGROUND_RULE + "['white']"),
        ("background", 255, BACKGROUND_RULE + "255"),
        ("background", None, BACKGROUND_RULE + "None"),
        ("apply_exif", 1, APPLY_EXIF_RULE + "1"),
        ("apply_exif", "true", APPLY_EXIF_RULE + "'true'"),
        ("apply_exif", None, APPLY_EXIF_RULE + "None"),
        ("resize", 224, RESIZE_RULE + "224"),
        ("resize", "22", RESIZE_RULE + "'22'"),
        ("resize", [], RESIZE_RULE + "[]"),
        ("resize", [224], RESIZE_RULE + "[224]"),
        ("resize", [224, 224, 3], RESIZE_RULE + "[224, 224, 3]"),
        ("resize", [0, 224], RESIZE_RULE + "[0, 224]"),
        ("resize", [224, -1], RESIZE_RULE + "[224, -1]"),
        ("resize", [224.0, 224], RESIZE_RULE + "[224.0, 224]"),
        ("resize", [True, True], RESIZE_RULE + "[True, True]"),
        ("resize", [None, 224], RESIZE_RULE + "[None, 224]"),
        (
            "resize",
            {"height": 1, "width": 1},
            RESIZE_RULE + str({"height": 1, "width": 1}),
        ),
        (
            "resize",
            [10**6, 10**6],
            PIXELS_RULE.format("resize", [10**6, 10**6], 10**12),
        ),
        ("resize", (2, 2**28), PIXELS_RULE.format("resize", (2, 2**28), 2**29)),
        ("resize", [1, 1_000_001], SIDE_RULE.format(1_000_000, "PNG", [1, 1_000_001])),
        ("resize", [1_000_001, 1], SIDE_RULE.format(1_000_000, "PNG", [1_000_001, 1])),
        ("max_side", 0, MAX_SIDE_RULE + "0"),
        ("max_side", -5, MAX_SIDE_RULE + "-5"),
        ("max_side", 5.0, MAX_SIDE_RULE + "5.0"),
        ("max_side", True, MAX_SIDE_RULE + "True"),
        ("max_side", [5], MAX_SIDE_RULE + "[5]"),
        ("image_shape", 3, IMAGE_SHAPE_RULE + "3"),
        ("image_shape", "abc", IMAGE_SHAPE_RULE + "'abc'"),
        ("image_shape", [4, 5], IMAGE_SHAPE_RULE + "[4, 5]"),
        ("image_shape", [4, 5, 3, 1], IMAGE_SHAPE_RULE + "[4, 5, 3, 1]"),
        ("image_shape", [4, 0, 3], IMAGE_SHAPE_RULE + "[4, 0, 3]"),
        ("image_shape", (None, None, 3), IMAGE_SHAPE_RULE + "(None, None, 3)"),
        (
            "image_shape",
            [2**28, 2, 3],
            PIXELS_RULE.format("image_shape", [2**28, 2, 3], 2**29),
        ),
        ("encoding", "JPEG", ENCODING_RULE + "'JPEG'"),
        ("encoding", "gif", ENCODING_RULE + "'gif'"),
        ("encoding", "", ENCODING_RULE + "''"),
        ("encoding", False, ENCODING_RULE + "False"),
        ("icc", "sRGB", "icc must be one of 'ignore', 'srgb', got 'sRGB'"),
        ("icc", None, "icc must be one of 'ignore', 'srgb', got None"),
        ("quality", 0, QUALITY_RULE + "0"),
        ("quality", 101, QUALITY_RULE + "101"),
        ("quality", 0.9, QUALITY_RULE + "0.9"),
        ("quality", True, QUALITY_RULE + "True"),
        ("quality", "high", QUALITY_RULE + "'high'"),
        ("max_pixels", 0, MAX_PIXELS_RULE + "0"),
        ("max_pixels", 2**29, MAX_PIXELS_RULE + "536870912"),
        ("max_pixels", 1e6, MAX_PIXELS_RULE + "1000000.0"),
        ("max_pixels", None, MAX_PIXELS_RULE + "None"),
        ("verify", "none", VERIFY_RULE + "'none'"),
        ("verify", True, VERIFY_RULE + "True"),
        ("verify", None, VERIFY_RULE + "None"),
        ("on_error", "ignore", ON_ERROR_RULE + "'ignore'"),
        ("on_error", "Skip", ON_ERROR_RULE + "'Skip'"),
        ("on_error", None, ON_ERROR_RULE + "None"),
        ("max_rejected", -0.01, MAX_REJECTED_RULE + "-0.01"),
        ("max_rejected", 1.01, MAX_REJECTED_RULE + "1.01"),
        ("max_rejected", 5, MAX_REJECTED_RULE + "5"),
        ("max_rejected", math.nan, MAX_REJECTED_RULE + "nan"),
        ("max_rejected", True, MAX_REJECTED_RULE + "True"),
        ("max_rejected", "1%", MAX_REJECTED_RULE + "'1%'"),
        ("max_rejected", None, MAX_REJECTED_RULE + "None"),
        ("workers", 0, WORKERS_RULE + "0"),
        ("workers", -1, WORKERS_RULE + "-1"),
        ("workers", 2.0, WORKERS_RULE + "2.0"),
        ("report", "no", "report must be true or false, got 'no'"),
        ("report", 0, "report must be true or false, got 0"),
        ("workers", True, WORKERS_RULE + "True"),
        ("workers", "2", WORKERS_RULE + "'2'"),
    ],
)
def test_a_value_that_a_field_of_images_cannot_have(field, value, message):
    """The message has the field, the rule and the value."""
    assert error_of(**{field: value}) == message


NO_JPEG = (
    "encoding must be 'png' or none if channels is 4 or dtype is 'uint16', which"
    " JPEG can't keep, got 'jpeg'"
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"resize": [4, 5], "max_side": 5},
            "resize and max_side can't both be given, got [4, 5] and 5",
        ),
        (
            {"image_shape": [4, 5, 1]},
            (
                "image_shape must agree with resize and channels=3, got [4, 5, 1], not"
                " [4, 5, 3]"
            ),
        ),
        (
            {"image_shape": [4, 5, 3], "channels": 4},
            (
                "image_shape must agree with resize and channels=4, got [4, 5, 3], not"
                " [4, 5, 4]"
            ),
        ),
        (
            {"image_shape": [4, 5, 3], "resize": [5, 4]},
            (
                "image_shape must agree with resize and channels=3, got [4, 5, 3], not"
                " [5, 4, 3]"
            ),
        ),
        (
            {"encoding": "jpeg", "resize": [65_501, 1]},
            SIDE_RULE.format(65_500, "JPEG", [65_501, 1]),
        ),
        ({"encoding": "jpeg", "channels": 4}, NO_JPEG),
        ({"encoding": "jpeg", "dtype": "uint16"}, NO_JPEG),
        (
            {"icc": "srgb", "dtype": "uint16"},
            (
                "icc must be 'ignore' if dtype is 'uint16': colours of 16 bits can't"
                " be converted, got 'srgb'"
            ),
        ),
    ],
    ids=str,
)
def test_fields_of_images_that_contradict_each_other(fields, message):
    """The message has the values of both."""
    assert error_of(**fields) == message


@pytest.mark.parametrize(
    "fields",
    [
        {"image_shape": [4, 5, 1], "channels": 1},
        {"image_shape": [4, 5, 4], "resize": [4, 5], "channels": 4},
        {"image_shape": [4, 5, 3], "max_side": 5},
        {"encoding": "jpeg", "channels": 1},
        {"encoding": "png", "channels": 4, "dtype": "uint16"},
    ],
    ids=str,
)
def test_fields_of_images_that_agree(fields):
    """Consistent fields are no error."""
    config = make(**fields)
    for name, value in fields.items():
        found = getattr(config, name)
        assert (list(found) if isinstance(found, tuple) else found) == value


def test_the_image_options_are_those_of_the_config():
    """They have each field about images, with its value."""
    assert dataclasses.asdict(make().image_options) == IMAGE_DEFAULTS
    values = {
        "channels": 1,
        "dtype": "uint16",
        "background": "#102030",
        "apply_exif": False,
        "resize": (6, 7),
        "max_side": None,
        "image_shape": (6, 7, 1),
        "encoding": "png",
        "quality": 50,
        "icc": "ignore",
        "max_pixels": 1000,
        "verify": "header",
    }
    assert dataclasses.asdict(make(**values).image_options) == values
    assert make(max_side=9).image_options.max_side == 9


def test_the_digits_of_a_short_float_are_those_that_were_meant():
    """Seven of ten rows are no more than `np.float32(0.7)` of them."""
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets", image_dir="a", label_csv="b", max_rejected=np.float32(0.7)
    )
    assert config.max_rejected == 0.7


TEMPLATE_RULE = (
    "filename_template must be a text with names of columns in braces, such as"
    " '{id}.png', got "
)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (5, "5: it isn't a string"),
        ("", "'': it names no column"),
        ("a.png", "'a.png': it names no column"),
        ("{{id}}.png", "'{{id}}.png': it names no column"),
        ("{}.png", "'{}.png': a pair of braces is empty"),
        ("{ }.png", "'{ }.png': a pair of braces is empty"),
        ("{id:03}.png", "'{id:03}.png': a name has ':' or '!' after it"),
        ("{id!r}.png", "'{id!r}.png': a name has ':' or '!' after it"),
        ("{id.png", "'{id.png': expected '}' before end of string"),
        ("id}.png", "'id}.png': Single '}' encountered in format string"),
    ],
)
def test_a_template_that_names_no_columns(template, reason):
    """It understands nothing of Python's format language except names."""
    assert error_of(filename_template=template) == TEMPLATE_RULE + reason


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"filename_column": "id"}, "'{id}.png', 'id' and ''"),
        ({"filename_suffix": ".png"}, "'{id}.png', None and '.png'"),
    ],
)
def test_a_template_and_what_it_takes_the_place_of(fields, shown):
    """Only one can be meant."""
    assert error_of(filename_template="{id}.png", **fields) == (
        "filename_template takes the place of filename_column and filename_suffix, got "
        + shown
    )


URL = "https://example.org/pets.zip"


def test_checksums():
    """They are for URLs of the config, and become lower case."""
    config = make(image_dir=URL, checksums={URL: "AB" * 32})
    assert config.checksums == {URL: "ab" * 32}
    assert make().checksums is None


@pytest.mark.parametrize(
    ("checksums", "message"),
    [
        ("ab" * 32, f"must map URLs to their SHA-256, got '{'ab' * 32}'"),
        (
            {"https://example.org/p.zip": "ab" * 32},
            (
                "must be for URLs of the config"
                " ('https://example.org/pets.zip'), got 'https://example.org/p.zip'"
            ),
        ),
        (
            {URL: "ab" * 16},
            (
                f"must be SHA-256, as 64 hexadecimal digits, got '{'ab' * 16}' for"
                f" '{URL}'"
            ),
        ),
        (
            {URL: 5},
            f"must be SHA-256, as 64 hexadecimal digits, got 5 for '{URL}'",
        ),
    ],
)
def test_checksums_that_nothing_could_have(checksums, message):
    """The message has the value."""
    assert error_of(image_dir=URL, checksums=checksums) == f"checksums {message}"


def test_checksums_without_a_url():
    """Nothing would be checked."""
    assert error_of(checksums={URL: "ab" * 32}) == (
        f"checksums must be for URLs of the config (none), got '{URL}'"
    )


# Tables


@pytest.mark.parametrize(
    ("text", "size"),
    [("20%", 0.2), (" 12.5 % ", 0.125), ("0%", 0.0), ("100%", 1.0), ("33.3%", 0.333)],
)
def test_a_size_in_per_cent(text, size):
    """It is a fraction."""
    assert make(val_size=text, test_size=0).val_size == size


@pytest.mark.parametrize("text", ["20", "%", "-5%", "120%", "1,5%", "20%%"])
def test_texts_that_are_no_size(text):
    """They are refused with the rule."""
    assert "val_size must be a float" in error_of(val_size=text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"delimiter": ""}, "delimiter must be a character"),
        ({"delimiter": '"'}, "delimiter must be a character"),
        ({"delimiter": "::"}, "delimiter must be a character"),
        ({"text_encoding": "cp-nothing"}, "text_encoding must be an encoding"),
        ({"text_encoding": "base64"}, "text_encoding must be an encoding"),
        ({"text_encoding": 1}, "text_encoding must be an encoding"),
        ({"header": 1}, "header must be one of None, True, False"),
        ({"skip_lines": -1}, "skip_lines must be an int of 0 or more"),
        ({"sheet": " "}, "sheet must be a string that isn't empty"),
        ({"match": "fuzzy"}, "match must be one of 'loose', 'exact'"),
        ({"split_names": {}}, "split_names must map the cells of"),
        ({"split_names": {"0": "a b"}}, "split_names must have names of splits"),
        ({"split_names": {"0": 1}}, "split_names must have names of splits"),
        ({"true_values": ["x"]}, "true_values can only be given for columns"),
        ({"false_values": "x"}, "false_values must be a list"),
        (
            {"label_column": ["a", "b"], "true_values": ["x"], "false_values": ["x"]},
            "true_values and false_values must be different",
        ),
        ({"label_level": 1}, "label_level is for folders as labels"),
        ({"label_csv": None, "label_level": -2}, "label_level must be an int of -1"),
        ({"label_csv": None, "label_column": "l"}, "label_column can't be given with"),
        ({"label_csv": None, "delimiter": ","}, "delimiter can't be given with no"),
        (
            {"label_csv": None, "label_type": "regression"},
            "label_type must be 'class' or 'none' without label_csv",
        ),
        ({"label_csv": {}}, "label_csv must be a path, or paths by split"),
        ({"label_csv": {"all": "a"}}, "label_csv must map names of splits to paths"),
        ({"label_csv": {"val": "a", "valid": "b"}}, "label_csv must have one path"),
        ({"label_csv": {"train": 1}}, "label_csv[train] must be a path, got 1"),
        ({"image_dir": {"train": "a"}}, "image_dir and label_csv must have the same"),
        (
            {"label_csv": {"train": "a"}, "split_column": "s"},
            "split_column can't be given with the splits",
        ),
    ],
)
def test_what_is_said_about_tables(fields, message):
    """Values are checked before any file is looked for."""
    assert error_of(**fields).startswith(message)


def test_paths_by_split():
    """Splits have their usual names; all paths are known by field and split."""
    config = make(
        image_dir={"Training": "a", "val": "b"}, label_csv={"train": "c", "dev": "d"}
    )
    assert config.image_dir == {"train": "a", "validation": "b"}
    assert config.paths == {
        "image_dir[train]": "a",
        "image_dir[validation]": "b",
        "label_csv[train]": "c",
        "label_csv[validation]": "d",
    }


def test_keys_and_values_that_json_has_no_word_for():
    """Numbers and booleans stand for their texts."""
    config = make(split_column="s", split_names={0: "test", True: "train"})
    assert config.split_names == {"0": "test", "True": "train"}
    config = make(label_column=["a", "b"], false_values=[-1, ""])
    assert config.false_values == ("-1", "")


URL_RULE = (
    "homepage must be a URL that begins with http:// or https:// and has no white"
    " space, got "
)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("description", "", TEXT_RULE.format("description") + "''"),
        ("license", " \n", TEXT_RULE.format("license") + "' \\n'"),
        ("citation", ["@misc{a}"], TEXT_RULE.format("citation") + "['@misc{a}']"),
        (
            "citation",
            "ab\ud800",
            "citation must be text that UTF-8 can hold, got '\\ud800' at character 3",
        ),
        *(
            ("homepage", url, f"{URL_RULE}{url!r}")
            for url in (
                *("example.org", "https://", "https:///a", "javascript:alert(1)"),
                *("https://a b", "https://a\nb", "https://a/\u202eb", "ftp://a"),
            )
        ),
    ],
    ids=str,
)
def test_texts_about_the_dataset_that_are_refused(field, value, message):
    """Texts must be storable, and a homepage must be a link."""
    assert error_of(**{field: value}) == message


def test_texts_about_the_dataset():
    """They stay as they are: markup and control characters are text."""
    fields = {
        "description": "# Pets\n\n<b>\x1b",
        "homepage": "http://localhost:8000/pets?a=1#b",
        "citation": "@misc{pets}",
        "license": "MIT",
    }
    config = make(**fields)
    assert {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, ""),
        ({"val_size": 1}, ", val_size=1"),
        ({"val_size": 1.0, "test_size": 0}, ", val_size=1.0, test_size=0"),
        ({"val_size": 0.1, "seed": 0, "classes": None}, ""),
        ({"version": "1.0.1", "tags": ["a"]}, ", version='1.0.1', tags=['a']"),
        ({"version": tfds.core.Version("1.0.1")}, ", version='1.0.1'"),
        (
            {"extra_columns": {"age": "int64"}, "classes": ["a", "'"]},
            ", extra_columns={'age': 'int64'}, classes=('a', \"'\")",
        ),
    ],
    ids=str,
)
def test_a_config_is_shown_as_python(fields, shown):
    """With the fields that aren't defaults; evaluated, it is the same config."""
    config = make(**fields)
    text = repr(config)
    paths = "image_dir='images', label_csv='labels.csv'"
    # TFDS's fields come first.
    of_tfds = shown if "version" in shown else ""
    others = shown.removeprefix(of_tfds)
    assert text == f"ImageCsvConfig(name='pets'{of_tfds}, {paths}{others})"
    again = eval(text, {"ImageCsvConfig": tfds_imagecsv.ImageCsvConfig})
    values = vars(config) | {"version": config.version and str(config.version)}
    assert vars(again) == values


def test_a_table_in_memory_is_shown_as_what_it_is():
    """Thousands of its rows wouldn't be Python either."""
    table = pd.DataFrame({"filename": ["a.png"], "label": ["cat"]})
    assert repr(make(label_csv=table)) == (
        "ImageCsvConfig(name='pets', image_dir='images', label_csv=<a DataFrame of"
        " pandas>)"
    )
    assert "{'train': <a DataFrame of pandas>}" in repr(
        make(label_csv={"train": table})
    )


def test_a_class_of_configs_is_shown_by_its_name():
    """With its own fields."""

    @dataclasses.dataclass(kw_only=True, eq=False, repr=False)
    class Own(tfds_imagecsv.ImageCsvConfig):
        color: str = "red"

    config = Own(name="a", image_dir="i", color="blue")
    assert repr(config).endswith("Own(name='a', image_dir='i', color='blue')")
