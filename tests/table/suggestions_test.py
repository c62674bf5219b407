"""Notes name fields that suit a table's labels better, if the labels show it."""

import pytest

from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.table import suggestions


def about(labels, *, rows=None, **options):
    """Returns the suggestion for some labels."""
    return suggestions.about_labels(
        labels, TableOptions(**options), rows=rows or len(labels)
    )


FINDINGS = ["Edema|Mass", "Edema", "Mass|Nodule", "Nodule", "Edema|Nodule"]


def test_several_labels_of_an_image():
    """Each part is in other labels, too."""
    assert about(FINDINGS) == (
        "labels such as 'Edema|Mass' look like several with '|' between them; if they"
        " are, set label_type='multilabel' and label_delimiter='|'"
    )


def test_another_delimiter():
    """The given one is in no label."""
    found = about(FINDINGS, label_type="multilabel", label_delimiter=",")
    assert found.endswith("if they are, set label_delimiter='|'")
    assert about(FINDINGS, label_type="multilabel", label_delimiter="|") is None


def test_numbers():
    """Measurements are mostly different."""
    heights = ["1.5", "1.25", "2.75", "3.5"]
    assert about(heights).endswith("set label_type='regression'")
    assert about(heights, label_type="regression") is None
    assert about(heights, rows=100) is None


def test_no_number():
    """Names can't be measured."""
    found = about(["cat", "dog"], label_type="regression")
    assert found == "no label is a number: the first is 'cat'; set label_type='class'"


@pytest.mark.parametrize(
    "labels",
    [
        [],
        [""],
        ["cat", "dog"],
        ["1", "2", "3"],
        # The names of few classes, each with its own parts.
        ["apple, red", "plum, blue", "pear, green"],
        ["a|", "b|"],
    ],
)
def test_nothing_better(labels):
    """A plausible setting isn't questioned."""
    assert about(labels) is None
