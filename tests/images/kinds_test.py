"""Facts of images, of which each kind is kept once."""

import numpy as np
import pyarrow as pa
import pytest

from tfds_imagecsv.images import kinds
from tfds_imagecsv.images.facts import plain_facts
from tfds_imagecsv.images.stored_form import Stored

KINDS = [
    (plain_facts("PNG", "RGBA", 3, 4), Stored(3, 4, "PNG", "alpha")),
    (plain_facts("JPEG", "L", 5, 6), Stored(5, 6, "JPEG", "")),
    (plain_facts("PNG", "L", 7, 8), Stored(7, 8, "PNG", "")),  # of no image
]
CODES = [1, 0, 1, 1]


@pytest.fixture
def rows():
    """Rows of four images of two kinds."""
    return pa.record_batch({"kind": kinds.as_column(KINDS, np.array(CODES, np.int32))})


@pytest.mark.parametrize("fact", kinds.FACTS)
def test_each_fact_of_each_image(rows, fact):
    """As the kind of the image has it; kinds without an image don't count."""
    of_kind = [{**facts._asdict(), **stored._asdict()}[fact] for facts, stored in KINDS]
    expected = [of_kind[code] for code in CODES]
    assert kinds.column(rows, fact).to_pylist() == expected
    for count in (1, 3):
        some = rows[1 : 1 + count]
        assert kinds.column(some, fact).to_pylist() == expected[1 : 1 + count]
    assert kinds.counts(rows, fact) == {one: expected.count(one) for one in expected}


def test_what_a_function_makes_of_each_kind(rows):
    """It is called once."""
    found = kinds.of_each(rows, "height", lambda column: column.to_numpy() * 2)
    assert found.tolist() == [10, 6, 10, 10]
