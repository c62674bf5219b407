"""The splits that the cells of a column give."""

import pytest

from tfds_imagecsv import arrays, exceptions, split_names
from tfds_imagecsv.table import split_values


def splits_of(*cells, column="split", **names):
    """Returns the split of each cell."""
    found = split_values.parse(arrays.encoded(cells), column, names, place="l.csv")
    return found.splits.to_pylist()


@pytest.mark.parametrize(
    ("column", "splits"),
    [
        ("is_valid", ("validation", "train")),
        ("is_val", ("validation", "train")),
        ("Is Test", ("test", "train")),
        ("is_test_set", ("test", "train")),
        ("in_train", ("train", "test")),
        ("is_training_image", ("train", "test")),
        ("is_validated", None),
        ("is_cat", None),
        ("valid", None),
    ],
)
def test_columns_of_yes_and_no(column, splits):
    """Their names say what yes is."""
    assert split_names.of_flag(column) == splits
    for yes, no in (("True", "False"), ("1", "0"), ("1.0", "0.0")):
        assert splits_of(yes, no, "", column=column) == [*(splits or (yes, no)), ""]


def test_cells_that_are_not_all_yes_or_no():
    """The column's name says nothing."""
    assert splits_of("1", "train", column="is_valid") == ["1", "train"]


@pytest.mark.parametrize(
    ("cells", "names", "splits"),
    [
        (("0", "1", ""), {"0": "test"}, ["test", "1", ""]),
        (("0.0", "1.0"), {"0": "test", "1": "train"}, ["test", "train"]),
        (("TRUE", "false"), {"True": "validation", "False": "train"}, None),
        (("a", "Val"), {"a": "test"}, ["test", "validation"]),
        (("a", ""), {"a": "", "": "train"}, ["", "train"]),
        (("001", "1"), {"001": "x", "1": "x"}, ["x", "x"]),
    ],
)
def test_names_that_the_user_gives(cells, names, splits):
    """Others stay as they are."""
    assert splits_of(*cells, **names) == (splits or ["validation", "train"])


def test_a_name_for_what_no_cell_says():
    """The message suggests the closest cell."""
    with pytest.raises(exceptions.SourceError) as caught:
        splits_of("True", "False", Ture="test")
    assert str(caught.value) == (
        "l.csv: split_names: no cell of the column 'split' is 'Ture'. Did you mean"
        " 'True'? Its cells are: 'False', 'True'"
    )
