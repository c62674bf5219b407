"""Labels of each type, and what they are stratified over."""

import collections
import math
import random
import re

import numpy as np
import pyarrow as pa
import pytest
import walk
from etils import epath
from hypothesis import given
from hypothesis import strategies as st
from sklearn import preprocessing

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.problems import Kind
from tfds_imagecsv.splits import assign
from tfds_imagecsv.splits import strata as strata_lib


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Returns a function that reads a table of labels, given as lines of a CSV."""
    path = epath.Path(tmp_path_factory.mktemp("labels") / "labels.csv")

    def read(*lines, **kwargs):
        path.write_text("\n".join(lines), encoding="utf-8")
        return walk.read_labels(path, **kwargs)

    return read


MULTI = {"label_type": "multilabel", "label_delimiter": "|"}
INDICATED = {"label_type": "multilabel", "label_column": ["dog", "cat"]}


def columns_of(table):
    """Returns label and target of each row."""
    labels, targets = (table.rows[name].to_pylist() for name in ("label", "target"))
    return list(zip(labels, map(tuple, targets), strict=True))


def problems_of(table):
    """Returns what is wrong."""
    return [(one.kind, one.row, one.detail) for one in table.problems]


def test_several_labels_in_a_cell(read):
    """Sorted, each once, without white space; a delimiter alone means none."""
    table = read("f,l", "1,dog|cat", "2,cat | dog|", "3,emu|emu", "4,|", **MULTI)
    assert columns_of(table) == [
        ("cat|dog", ("cat", "dog")),
        ("cat|dog", ("cat", "dog")),
        ("emu", ("emu",)),
        ("|", ()),
    ]
    assert table.class_names == ("cat", "dog", "emu")
    assert not table.problems


def test_class_names_are_in_the_order_of_scikit_learn(read):
    """That of MultiLabelBinarizer."""
    lines = [f"{at},{name}" for at, name in enumerate(["b", "É|a", "a|Z", "10|9"])]
    table = read("f,l", *lines, **MULTI)
    binarizer = preprocessing.MultiLabelBinarizer().fit(
        table.rows["target"].to_pylist()
    )
    assert list(table.class_names) == list(binarizer.classes_)


def test_an_empty_cell_has_no_label(read):
    """It may be a mistake, so it is refused, except in the split `unlabeled`."""
    table = read("f,l", "1,cat", "2,", "3,dog", **MULTI)
    assert problems_of(table) == [(Kind.NO_LABEL, 3, "'2'")]
    lines = ("f,l,s", "1,cat,", "2,,unlabeled")
    table = read(*lines, split_column="s", **MULTI)
    assert columns_of(table) == [("cat", ("cat",)), ("", ())]


def test_labels_that_are_not_in_classes(read):
    """The first of a cell is named; the classes keep their order."""
    lines = ("f,l", "1,cat|dog", "2,emu|dog|fox", "3,dog")
    table = read(*lines, classes=["dog", "cat"], **MULTI)
    assert problems_of(table) == [(Kind.UNKNOWN_CLASS, 3, "'emu' for '2'")]
    assert table.class_names == ("dog", "cat")


def test_labels_in_columns_of_0_and_1(read):
    """The columns are the classes, in the order in which they are named."""
    lines = ("f,cat,x,dog", "1,1,,0", "2,1.0,,TRUE", "3,0,,false")
    table = read(*lines, **INDICATED)
    assert columns_of(table) == [
        ("cat", ("cat",)),
        ("cat|dog", ("cat", "dog")),
        ("|", ()),
    ]
    assert table.class_names == ("dog", "cat")
    assert read(*lines, classes=["cat", "dog"], **INDICATED).class_names == (
        "cat",
        "dog",
    )


def test_names_of_columns_with_a_delimiter(read):
    """A label has them in quotes: it isn't that of two other columns."""
    options = {"label_type": "multilabel", "label_column": ["a", "a|b", "b", '"c']}
    lines = ('f,a,a|b,b,"""c"', "1,1,0,1,0", "2,0,1,0,0", "3,0,1,0,1")
    assert columns_of(read(*lines, **options)) == [
        ("a|b", ("a", "b")),
        ('"a|b"', ("a|b",)),
        ('"""c"|"a|b"', ('"c', "a|b")),
    ]


def test_cells_that_are_neither_0_nor_1(read):
    """The first of a row is named."""
    table = read("f,cat,dog", "1,1,0", "2,2,x", "3,1,", "4,,", **INDICATED)
    assert problems_of(table) == [
        (Kind.NO_INDICATOR, 3, "'x' in 'dog' for '2'"),
        (Kind.NO_INDICATOR, 4, "'' in 'dog' for '3'"),
        (Kind.NO_LABEL, 5, "'4'"),
    ]


def test_classes_must_be_those_of_the_columns(read):
    """The message has both."""
    with pytest.raises(exceptions.SourceError) as caught:
        read("f,cat,dog", "1,1,0", classes=["cat", "emu"], **INDICATED)
    assert str(caught.value) == (
        "classes and label_column must have the same names, got ['cat', 'emu'] and"
        " ['dog', 'cat']"
    )


def test_a_column_of_labels_that_is_not_there(read):
    """The message names the field, the column and the existing ones."""
    with pytest.raises(exceptions.SourceError) as caught:
        read("f,cat,dig", "1,1,0", **INDICATED)
    assert re.sub(r"\S*/labels.csv", "CSV", str(caught.value)) == (
        "label_column: no column has the name 'dog' in label_csv CSV. Did you mean"
        " 'dig'? Its columns are: 'f', 'cat', 'dig'"
    )


def test_a_column_for_two_fields(read):
    """The message has both fields."""
    with pytest.raises(exceptions.SourceError) as caught:
        read("f,cat,dog", "1,1,0", group_column="cat", **INDICATED)
    assert re.sub(r"\S*/labels.csv", "CSV", str(caught.value)) == (
        "label_column[1] and group_column are both 'cat' in label_csv CSV. Name two"
        " columns among: 'f', 'cat', 'dog'"
    )


ONE_HOT = {"label_column": ["dog", "cat"]}


def test_columns_of_0_and_1_as_one_class(read):
    """One of them is 1; the classes are the columns, in their order."""
    table = read("f,cat,dog", "1,1,0", "2,0.0,1.0", "3,True,false", **ONE_HOT)
    assert table.rows["label"].to_pylist() == ["cat", "dog", "cat"]
    assert table.class_names == ("dog", "cat")
    assert "target" not in table.rows.schema.names


def test_rows_that_are_not_of_one_class(read):
    """None, several, or anything but 0 and 1."""
    table = read("f,cat,dog", "1,1,1", "2,0,0", "3,,", "4,1,x", "5,1,0", **ONE_HOT)
    assert problems_of(table) == [
        (Kind.NOT_ONE_CLASS, 2, "1 in 'cat' and 'dog' for '1'"),
        (Kind.NOT_ONE_CLASS, 3, "1 in none of the columns for '2'"),
        (Kind.NO_LABEL, 4, "'3'"),
        (Kind.NO_INDICATOR, 5, "'x' in 'dog' for '4'"),
    ]


@pytest.mark.parametrize(
    ("values", "cells", "label"),
    [
        ({"false_values": ["-1"]}, "1,-1", "dog"),
        ({"false_values": ["-1"]}, "1.0,-1.0", "dog"),
        ({"false_values": ["-1"]}, "-1,-1", "|"),
        ({"false_values": [""]}, "1,", "dog"),
        ({"false_values": [""]}, ",", "|"),
        ({"false_values": ["", "-1"]}, ",-1", "|"),
        ({"true_values": ["-1"], "false_values": [""]}, "-1,", "dog"),
        ({"true_values": ["yes"], "false_values": ["no"]}, "no,yes", "cat"),
        ({"true_values": ["0"], "false_values": ["1"]}, "0,1", "dog"),
    ],
)
def test_other_values_than_0_and_1(read, values, cells, label):
    """Numbers are compared as such; given values precede the usual ones."""
    table = read("f,dog,cat", f"1,{cells}", **INDICATED, **values)
    assert table.rows["label"].to_pylist() == [label]
    assert not table.problems


def test_the_closest_class(read):
    """It is suggested for an unknown label, in a cell or among several."""
    known = {"classes": ["cat", "dog"]}
    assert problems_of(read("f,l", "1,cot", "2,zebra", **known)) == [
        (Kind.UNKNOWN_CLASS, 2, "'cot' (did you mean 'cat'?) for '1'"),
        (Kind.UNKNOWN_CLASS, 3, "'zebra' for '2'"),
    ]
    assert problems_of(read("f,l", "1,dog|cot", **known, **MULTI)) == [
        (Kind.UNKNOWN_CLASS, 2, "'cot' (did you mean 'cat'?) for '1'"),
    ]


def test_numbers(read):
    """Finite ones, as float32 has them."""
    lines = ("f,x", "1,0.1", "2,-0", "3,1e3", "4, 5 ", "5,16777217")
    table = read(*lines, label_type="regression")
    assert columns_of(table) == [
        ("0.1", (0.1,)),
        ("0.0", (0.0,)),
        ("1000.0", (1000.0,)),
        ("5.0", (5.0,)),
        ("16777216.0", (16777216.0,)),
    ]
    assert table.class_names == ()


def test_several_numbers(read):
    """In the order in which the columns are named."""
    kwargs = {"label_type": "regression", "label_column": ["y", "x"]}
    table = read("f,x,y", "1,1,2", **kwargs)
    assert columns_of(table) == [("2.0, 1.0", (2.0, 1.0))]


def test_cells_that_are_not_numbers(read):
    """Nor are infinity, numbers beyond float32, and half of a row."""
    kwargs = {"label_type": "regression", "label_column": ["x", "y"]}
    cells = ["a,1", "1,nan", "inf,1", "1e39,1", "1,", ",", "1_0,1", '"1,5",1']
    table = read("f,x,y", *(f"{at},{cell}" for at, cell in enumerate(cells)), **kwargs)
    assert problems_of(table) == [
        (Kind.NO_NUMBER, 2, "'a' in 'x' for '0'"),
        (Kind.NO_NUMBER, 3, "'nan' in 'y' for '1'"),
        (Kind.NO_NUMBER, 4, "'inf' in 'x' for '2'"),
        (Kind.NO_NUMBER, 5, "'1e39' in 'x' for '3'"),
        (Kind.NO_NUMBER, 6, "'' in 'y' for '4'"),
        (Kind.NO_LABEL, 7, "'5'"),
        (Kind.NO_NUMBER, 8, "'1_0' in 'x' for '6'"),
        (Kind.NO_NUMBER, 9, "'1,5' in 'x' for '7'"),
    ]


def test_no_labels(read):
    """A column of file names is enough."""
    table = read("f", "b", "a", label_type="none")
    assert table.rows["key"].to_pylist() == ["a", "b"]
    assert table.rows["label"].to_pylist() == ["", ""]
    assert table.class_names == ()
    assert not table.problems


def test_extra_columns(read):
    """Named ones may be anywhere, even in the column of another field."""
    lines = ("f,l,age,site,w", "b,cat,3,  X,0.5", "a,dog,-1,,")
    extra = {"w": "float64", "age": "int32", "l": "string"}
    table = read(*lines, extra=extra)
    assert dict(table.extra_columns) == extra
    assert table.rows["extra/age"].to_pylist() == [-1, 3]
    assert table.rows["extra/l"].to_pylist() == ["dog", "cat"]
    assert math.isnan(table.rows["extra/w"][0].as_py())
    assert table.rows["extra/w"][1].as_py() == 0.5


def test_all_columns(read):
    """All that no other field names, with the types that fit; none without a name."""
    lines = (",f,l,age,site,g,w", "0,b,cat,3,X,p,0.5", "1,a,dog,-1,,q,")
    kwargs = {"filename_column": "f", "label_column": "l", "group_column": "g"}
    table = read(*lines, extra="all", **kwargs)
    assert table.extra_columns == {"age": "int64", "site": "string", "w": "float64"}
    assert table.rows["extra/site"].to_pylist() == ["", "X"]


def test_cells_that_their_type_cannot_hold(read):
    """The message has cell, column and type."""
    lines = ("f,l,age,ok", "a,cat,3,1", "b,cat,,2", "c,cat,4,true", "d,cat,x,")
    table = read(*lines, extra={"age": "int64", "ok": "bool"})
    assert problems_of(table) == [
        (Kind.EXTRA_CELL, 3, "'' in 'age', which is int64, for 'b'"),
        (Kind.EXTRA_CELL, 5, "'x' in 'age', which is int64, for 'd'"),
    ]


@pytest.mark.parametrize(
    ("lines", "extra", "message"),
    [
        (
            ("f,l,age", "a,cat,3"),
            {"aeg": "int64"},
            (
                "extra_columns: no column has the name 'aeg' in label_csv {path}. Did"
                " you mean 'age'? Its columns are: 'f', 'l', 'age'"
            ),
        ),
        (
            ("f,l,age,image", "a,cat,3,x"),
            "all",
            (
                "extra_columns: 'image' in label_csv {path} can't be an extra column,"
                " since features of the dataset have this name. Rename the column, or"
                " name the extra columns and their types one by one."
            ),
        ),
    ],
)
def test_extra_columns_that_cannot_be(tmp_path, lines, extra, message):
    """The message has the place, and what to do."""
    path = epath.Path(tmp_path / "l.csv")
    path.write_text("\n".join(lines))
    with pytest.raises(exceptions.SourceError) as caught:
        walk.read_labels(path, extra=extra)
    assert str(caught.value) == message.format(path=path)


# Strata


def table_of(values, label_type):
    """Returns a label table of numbers, or of names of classes."""
    text = repr if label_type == "regression" else lambda names: "|".join(names) or "|"
    labels = arrays.encoded([text(value) for value in values])
    lists = {text(value): list(value) for value in values}
    of_codes = pa.array([lists[name] for name in arrays.names_of(labels)])
    targets = pa.DictionaryArray.from_arrays(labels.indices, of_codes)
    rows = walk.batch(key=[f"{at}.png" for at in range(len(values))])
    return arrays.with_columns(rows, {"label": labels, "target": targets})


def split_of(rows, strata, **options):
    """Returns the split of each row."""
    plan = assign.plan_splits(
        rows["key"],
        strata.of_row,
        class_names=strata.names,
        coarse=strata.coarse,
        options=assign.SplitOptions(**options),
    )
    return np.array(plan.splits.to_pylist(), object)


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False).map(
    lambda number: number + 0.0  # as they are read, without -0.0
)


@given(
    st.integers(1, 3).flatmap(
        lambda columns: st.lists(st.tuples(*[numbers] * columns), min_size=1)
    ),
    st.randoms(),
)
def test_equal_numbers_are_in_one_quantile(values, rng):
    """The order of the rows doesn't matter."""
    rows = table_of(values, "regression")
    found = strata_lib.find_strata("regression", rows, ())
    names = found.of_row.to_pylist()
    assert set(names) == set(found.names)
    of_value = {}
    for value, name in zip(values, names, strict=True):
        assert of_value.setdefault(value, name) == name
    order = list(range(len(values)))
    rng.shuffle(order)
    other = strata_lib.find_strata("regression", rows.take(pa.array(order)), ())
    assert other.of_row.to_pylist() == [names[at] for at in order]
    assert other.names == found.names


def test_numbers_are_stratified_over_quantiles():
    """Ten of them: each split has the same share of the smallest tenth, and so on."""
    rng = random.Random(0)
    values = [(rng.expovariate(1),) for _ in range(1000)]
    rows = table_of(values, "regression")
    strata = strata_lib.find_strata("regression", rows, ())
    assert collections.Counter(
        collections.Counter(strata.of_row.to_pylist()).values()
    ) == {100: 10}
    of_split = split_of(rows, strata, val_size=0.2, test_size=0.1)
    order = np.argsort([value for (value,) in values])
    for at in range(10):
        found = collections.Counter(of_split[order[100 * at : 100 * at + 100]])
        assert found == {"train": 70, "validation": 20, "test": 10}


def test_few_numbers_have_few_quantiles():
    """Each has enough rows to divide."""
    for count, expected in ((5, 1), (39, 1), (40, 2), (100, 5), (5000, 10)):
        values = [(float(at),) for at in range(count)]
        strata = strata_lib.find_strata(
            "regression", table_of(values, "regression"), ()
        )
        assert len(strata.names) == expected
        sizes = collections.Counter(strata.of_row.to_pylist()).values()
        assert max(sizes) - min(sizes) <= 1


def test_quantiles_have_the_names_of_their_bounds():
    """With several columns, one after the other."""
    values = [(float(at % 2), float(at)) for at in range(80)]
    found = strata_lib.find_strata("regression", table_of(values, "regression"), ())
    assert found.names == (
        "0.0 to 0.0, 0.0 to 39.0",
        "0.0 to 0.0, 40.0 to 79.0",
        "1.0 to 1.0, 0.0 to 39.0",
        "1.0 to 1.0, 40.0 to 79.0",
    )


@given(
    st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=10, max_size=400)
)
def test_combinations_of_labels_are_stratified(drawn):
    """Law 1: each combination's count is within one row of its share in each split."""
    values = [tuple(sorted(names)) for names in drawn]
    rows = table_of(values, "multilabel")
    strata = strata_lib.find_strata("multilabel", rows, ("a", "b", "c", "d"))
    of_split = split_of(rows, strata, val_size=0.2, test_size=0.1)
    shares = {"train": 0.7, "validation": 0.2, "test": 0.1}
    sizes = collections.Counter(values)
    found = collections.Counter(zip(of_split, values, strict=True))
    for split, share in shares.items():
        assert abs(sum(of_split == split) - share * len(values)) < 1
        for value, size in sizes.items():
            assert abs(found[split, value] - share * size) < 1


def drawn_labels(count, classes, seed=0):
    """Returns classes of rows; few rows have the same ones."""
    rng = random.Random(seed)
    names = [f"c{at:02}" for at in range(classes)]
    rates = [0.4 / (1 + at / 3) for at in range(classes)]
    return [
        tuple(
            name for name, rate in zip(names, rates, strict=True) if rng.random() < rate
        )
        for _ in range(count)
    ]


def deviations(values, of_split, split, share):
    """Returns by how many rows each class differs from its share of a split."""
    sizes = collections.Counter(name for names in values for name in names)
    found = collections.Counter(
        name
        for names, of in zip(values, of_split, strict=True)
        if of == split
        for name in names
    )
    return [abs(found[name] - share * size) for name, size in sizes.items()]


@pytest.mark.parametrize("seed", range(6))
def test_single_rows_go_by_their_rarest_class(seed):
    """Classes are closer to their shares than by chance, or with train first."""
    values = drawn_labels(2000, 20, seed)
    rows = table_of(values, "multilabel")
    strata = strata_lib.find_strata("multilabel", rows, ())
    sizes = collections.Counter(values)
    assert sum(size == 1 for size in sizes.values()) > 400

    def mean_of(strata):
        of_split = split_of(rows, strata, val_size=0.1, test_size=0.2)
        found = deviations(values, of_split, "validation", 0.1)
        found += deviations(values, of_split, "test", 0.2)
        return sum(found) / len(found)

    by_chance = mean_of(strata_lib.Strata([""] * len(values), ("",)))
    assert mean_of(strata) < 0.9 * by_chance
    assert mean_of(strata) < 0.6 * mean_of(strata._replace(coarse=None))


def test_added_rows_move_almost_none():
    """Law 4, for combinations of labels and for quantiles."""
    values = drawn_labels(2020, 20)
    numbers = [(random.Random(at).gauss(0, 1),) for at in range(2020)]
    for label_type, drawn in (("multilabel", values), ("regression", numbers)):
        rows = table_of(drawn, label_type)
        sizes = {"val_size": 0.1, "test_size": 0.2}
        few = rows[:2000]
        before = split_of(few, strata_lib.find_strata(label_type, few, ()), **sizes)
        after = split_of(rows, strata_lib.find_strata(label_type, rows, ()), **sizes)
        moved = sum(one != other for one, other in zip(before, after, strict=False))
        assert moved <= 60
