"""Datasets with labels of each type, as their users build and load them."""

import csv
import json
import os

import numpy as np
import processes
import pytest
import tensorflow_datasets as tfds
import walk
from sklearn import preprocessing

import tfds_imagecsv

ANIMALS = ["cat", "dog", "emu"]


@pytest.fixture
def make(tmp_path, write_png, write_csv):
    """Returns a function that writes a dataset of 40 rows, and returns its config."""

    def make(**fields):
        rows = []
        for at in range(40):
            name = f"{at:02}.png"
            write_png(tmp_path / "images" / name)
            found = [name for bit, name in enumerate(ANIMALS) if (at % 8) >> bit & 1]
            bits = [int(name in found) for name in ANIMALS]
            numbers = [at / 10, at % 4]
            many = ";".join(reversed(found)) or ";"
            site = f"site {at % 3}" if at % 5 else ""
            age = at if at % 7 else ""
            rows.append([name, ANIMALS[at % 2], many, *bits, *numbers, site, age])
        header = ["file", "label", "many", *ANIMALS, "x", "y", "site", "age"]
        write_csv(tmp_path / "labels.csv", rows, header=header)
        return tfds_imagecsv.ImageCsvConfig(
            name="many",
            image_dir=tmp_path / "images",
            label_csv=tmp_path / "labels.csv",
            **fields,
        )

    return make


def examples_of(builder):
    """Returns all examples, by the number of their row."""
    examples = {}
    for split in builder.as_dataset().values():
        for example in tfds.as_numpy(split):
            examples[int(example["image/filename"][:2])] = example
    return examples


LABELS_OF = [
    [bit for bit in range(len(ANIMALS)) if (at % 8) >> bit & 1] for at in range(40)
]
MULTI = [
    {"label_column": "many", "label_delimiter": ";"},
    {"label_column": ANIMALS},
    {"label_column": ["emu", "dog", "cat"], "classes": ANIMALS},
]


@pytest.mark.parametrize("fields", MULTI)
@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_multilabel(make, data_dir, fields, file_format):
    """A sequence of ids, like those of scikit-learn's MultiLabelBinarizer."""
    config = make(label_type="multilabel", **fields)
    builder = walk.built(config, data_dir, file_format=file_format)
    label = builder.info.features["label"]
    assert isinstance(label, tfds.features.Sequence)
    assert label.feature.names == ANIMALS
    if file_format == "tfrecord":
        found = {at: one["label"].tolist() for at, one in examples_of(builder).items()}
    else:
        found = {
            int(one["image/filename"][:2]): list(map(int, one["label"]))
            for source in builder.as_data_source().values()
            for one in source
        }
    assert found == dict(enumerate(LABELS_OF))
    binarizer = preprocessing.MultiLabelBinarizer(classes=range(len(ANIMALS)))
    indicators = binarizer.fit_transform(found[at] for at in range(40))
    assert indicators.sum(0).tolist() == [20, 20, 20]


def test_ids_ascend_whatever_the_names_are(make, data_dir):
    """Classes have the order of the columns, and ids ascend."""
    config = make(label_type="multilabel", label_column=["emu", "cat", "dog"])
    builder = walk.built(config, data_dir)
    assert builder.info.features["label"].feature.names == ["emu", "cat", "dog"]
    found = {at: one["label"].tolist() for at, one in examples_of(builder).items()}
    ids = {"cat": 1, "dog": 2, "emu": 0}
    assert found == {
        at: sorted(ids[ANIMALS[bit]] for bit in bits)
        for at, bits in enumerate(LABELS_OF)
    }


def test_the_metadata_of_multilabel(make, data_dir):
    """It counts the images with each class in each split; an image may have several."""
    builder = walk.built(make(label_type="multilabel", **MULTI[0]), data_dir)
    metadata = builder.info.metadata
    assert metadata["label_type"] == "multilabel"
    by_split = {
        split: [LABELS_OF[int(one["image/filename"][:2])] for one in examples]
        for split, examples in tfds.as_numpy(builder.as_dataset()).items()
    }
    assert metadata["class_counts"] == {
        split: {
            name: sum(bit in labels for labels in found)
            for bit, name in enumerate(ANIMALS)
        }
        for split, found in by_split.items()
    }
    with (builder.data_path / "split_manifest.csv").open() as file:
        manifest = {row["key"]: row["label"] for row in csv.DictReader(file)}
    assert manifest["00.png"] == ";"
    assert manifest["07.png"] == "cat;dog;emu"


def test_rare_classes_of_multilabel(make, data_dir, tmp_path, write_png):
    """Rows with a rare class are dropped, even if they have other classes."""
    config = make(
        label_type="multilabel", **MULTI[0], min_class_size=2, rare_classes="drop"
    )
    write_png(tmp_path / "images" / "40.png")
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("40.png,cat,cat;fox,1,0,0,0,0,,\n")
    with pytest.warns(tfds_imagecsv.ImageCsvWarning) as caught:
        builder = walk.built(config, data_dir)
    assert "1 class has fewer images than min_class_size=2 (dropped): fox (1)" in [
        str(one.message) for one in caught
    ]
    assert builder.info.features["label"].feature.names == ANIMALS
    assert sorted(examples_of(builder)) == list(range(40))
    assert (builder.data_path / "rejected_rows.csv").read_text() == (
        "row,key,label,reason\n"
        "42,40.png,cat;fox,class with fewer images than min_class_size: 1\n"
    )


def test_identical_images_must_have_the_same_labels(make, data_dir, tmp_path):
    """No label differs from one label; the order of labels doesn't matter."""
    config = make(label_type="multilabel", **MULTI[0])
    for copy, of in (("01", "00"), ("15", "07")):
        content = (tmp_path / "images" / f"{of}.png").read_bytes()
        (tmp_path / "images" / f"{copy}.png").write_bytes(content)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir)
    assert str(caught.value) == (
        f"1 problem in {tmp_path}/labels.csv with the images in {tmp_path}/images:\n"
        "\n"
        "Identical images with different labels (1):\n"
        "  row 3: '01.png' is 'cat', and the same as '00.png' in row 2, which is ';'\n"
        "  -> Keep the copy whose label is right."
    )


def test_regression(make, data_dir):
    """A number of 32 bits; the metadata counts the quantiles."""
    builder = walk.built(make(label_type="regression", label_column="x"), data_dir)
    label = builder.info.features["label"]
    assert (label.shape, label.np_dtype) == ((), np.float32)
    found = {at: one["label"] for at, one in examples_of(builder).items()}
    assert found == {at: np.float32(at / 10) for at in range(40)}
    counts = builder.info.metadata["class_counts"]
    assert list(counts["train"]) == ["0.0 to 1.9", "2.0 to 3.9"]
    assert {split: list(of.values()) for split, of in counts.items()} == {
        "train": [16, 16],
        "validation": [2, 2],
        "test": [2, 2],
    }
    images, numbers = next(iter(builder.as_dataset("train", as_supervised=True)))
    assert images.shape == (4, 5, 3)
    assert numbers.dtype == "float32"


def test_regression_of_several_numbers(make, data_dir):
    """A vector, in the order of the columns."""
    config = make(label_type="regression", label_column=["y", "x"])
    builder = walk.built(config, data_dir)
    assert builder.info.features["label"].shape == (2,)
    for at, one in examples_of(builder).items():
        assert one["label"].tolist() == [at % 4, np.float32(at / 10)]


def test_no_labels(make, data_dir):
    """There is no such feature; splits have their sizes."""
    builder = walk.built(make(label_type="none"), data_dir)
    assert "label" not in builder.info.features
    assert builder.info.supervised_keys is None
    sizes = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert sizes == {"train": 32, "validation": 4, "test": 4}
    assert builder.info.metadata["class_counts"] == {name: {} for name in sizes}


def test_unlabelled_images_beside_numbers(make, data_dir, tmp_path, write_png):
    """They are in a split of their own; their numbers are NaN."""
    config = make(label_type="regression", label_column="x", split_column="site")
    text = (tmp_path / "labels.csv").read_text().replace("site ", "part")
    write_png(tmp_path / "images" / "40.png")
    (tmp_path / "labels.csv").write_text(f"{text}40.png,,,0,0,0,,,unlabeled,\n")
    builder = walk.built(config, data_dir)
    (example,) = tfds.as_numpy(builder.as_dataset("unlabeled"))
    assert np.isnan(example["label"])


EXTRA = {
    "age": "float32",
    "site": "string",
    "x": "float64",
    "y": "int32",
    "cat": "bool",
}


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_extra_columns(make, data_dir, file_format):
    """They are features of their types; float64 keeps all its bits."""
    config = make(extra_columns=EXTRA)
    builder = walk.built(config, data_dir, file_format=file_format)
    assert builder.info.metadata["extra_columns"] == EXTRA
    examples = (
        examples_of(builder).values()
        if file_format == "tfrecord"
        else [one for source in builder.as_data_source().values() for one in source]
    )
    found = {int(one["image/filename"][:2]): one for one in examples}
    assert len(found) == 40
    for at, one in found.items():
        assert one["site"] == (f"site {at % 3}" if at % 5 else "").encode()
        assert (one["age"] == at) if at % 7 else np.isnan(one["age"])
        assert one["x"] == at / 10
        assert one["y"] == at % 4
        assert one["cat"] == bool(at & 1)
    dtypes = {name: builder.info.features[name].np_dtype for name in EXTRA}
    assert dtypes["x"] == np.float64
    assert dtypes["y"] == np.int32
    assert dtypes["cat"] == np.bool_


def test_all_columns(make, data_dir, tmp_path):
    """Types are inferred once, and belong to the built dataset."""
    config = make(extra_columns="all", label_column="label")
    builder = walk.built(config, data_dir)
    assert builder.info.metadata["extra_columns"] == {
        "many": "string",
        "cat": "int64",
        "dog": "int64",
        "emu": "int64",
        "x": "float64",
        "y": "int64",
        "site": "string",
        "age": "float64",
    }
    assert examples_of(builder)[7]["many"] == b"emu;dog;cat"
    (tmp_path / "labels.csv").unlink()
    again = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
    assert again.info.features.keys() == builder.info.features.keys()
    assert examples_of(again).keys() == examples_of(builder).keys()
    assert examples_of(again)[8]["x"] == 0.8


LOAD = """
import json, sys
import tensorflow_datasets as tfds
split = "train+validation+test"
examples = tfds.load("image_csv/many", split=split, data_dir=sys.argv[1])
assert "tfds_imagecsv" not in sys.modules
print(json.dumps({
    int(one["image/filename"][:2]): [one["label"].tolist(), float(one["x"])]
    for one in tfds.as_numpy(examples)
}))
"""


def test_all_of_it_loads_without_the_package(make, data_dir):
    """Law 8: the features are TFDS's own."""
    config = make(label_type="multilabel", **MULTI[0], extra_columns="all")
    # `label` is the name of a feature.
    text = config.label_csv
    with open(text) as file:  # noqa: PTH123 - a path as text
        content = file.read().replace("file,label", "file,class", 1)
    with open(text, "w") as file:  # noqa: PTH123 - as above
        file.write(content)
    walk.built(config, data_dir)
    done = processes.run_code(LOAD, data_dir, cwd=data_dir, env=os.environ)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {str(at): [LABELS_OF[at], at / 10] for at in range(40)}


def test_class_csv(make, data_dir, tmp_path):
    """The ancestor's list of classes: ids in any order, and other columns."""
    (tmp_path / "classes.csv").write_text(
        "classname,class_id,super\ncat,2,pet\nfox,0,wild\ndog,1,pet\n"
    )
    builder = walk.built(make(class_csv=tmp_path / "classes.csv"), data_dir)
    assert builder.info.features["label"].names == ["fox", "dog", "cat"]
    assert builder.info.metadata["about_classes"] == {
        "fox": {"super": "wild"},
        "dog": {"super": "pet"},
        "cat": {"super": "pet"},
    }
    assert examples_of(builder)[0]["label"] == 2


def test_a_label_that_the_class_csv_does_not_have(make, data_dir, tmp_path):
    """It is reported like one that `classes` doesn't have."""
    (tmp_path / "classes.csv").write_text("classname,class_id\ncat,0\n")
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(make(class_csv=tmp_path / "classes.csv"), data_dir)
    assert "Label that isn't in classes (20):\n  row 3: 'dog' for '01.png'\n" in str(
        caught.value
    )


def test_check_shows_labels_and_types(make, tmp_path, capsys):
    """On the command line, lists are words; inferred types are shown."""
    from tfds_imagecsv import cli

    make()
    places = [str(tmp_path / "images"), str(tmp_path / "labels.csv")]
    flags = ["--label_type=multilabel", "--label_column", "cat", "dog", "emu"]
    extra = ["--extra_columns", '{"age": "float32"}']
    assert cli.main(["check", *places, *flags, *extra, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"cat": 20, "dog": 20, "emu": 20}
    assert found["split_sizes"] == {"train": 32, "validation": 4, "test": 4}
    assert found["extra_columns"] == {"age": "float32"}

    flags = ["--label_type=regression", "--label_column=x", "--extra_columns=all"]
    (tmp_path / "labels.csv").write_text(
        (tmp_path / "labels.csv").read_text().replace("file,label", "file,class", 1)
    )
    assert cli.main(["check", *places, *flags]) == 0
    output = capsys.readouterr().out
    assert (
        "Extra columns: class (string), many (string), cat (int64), dog (int64), emu"
        " (int64), y (int64), site (string), age (float64)\n"
    ) in output
    lines = [line.split() for line in output.splitlines()]
    assert ["2.0", "to", "3.9", "16", "2", "2", "20"] in lines
    assert ["total", "32", "4", "4", "40"] in lines


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet"])
def test_tables_of_other_formats(make, data_dir, tmp_path, suffix):
    """The same rows give the same bytes in any format."""
    import pandas as pd

    config = make(label_type="multilabel", **MULTI[0], extra_columns={"age": "float32"})
    expected = walk.built(config, data_dir / "csv")
    table = pd.read_csv(tmp_path / "labels.csv", dtype={"many": str})
    if suffix == "tsv":
        table.to_csv(tmp_path / "l.tsv", sep="\t", index=False)
    elif suffix == "jsonl":
        table["many"] = [names.strip(";").split(";") for names in table["many"]]
        table["many"] = [list(filter(None, names)) for names in table["many"]]
        table.to_json(tmp_path / "l.jsonl", orient="records", lines=True)
    else:
        table.to_parquet(tmp_path / "l.parquet")
    config.label_csv = str(tmp_path / f"l.{suffix}")
    found = walk.built(config, data_dir / suffix)
    for split in ("train", "validation", "test"):
        shards = zip(
            expected.info.splits[split].filepaths,
            found.info.splits[split].filepaths,
            strict=True,
        )
        for one, other in shards:
            assert one.read_bytes() == other.read_bytes()
