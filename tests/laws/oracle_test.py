"""The records are those of TFDS's own way of building, and the same in every run."""

import functools
import hashlib
import io
import random

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

import tfds_imagecsv

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")


def picture(rng):
    """Returns the bytes of an image file: noise of a random format and size."""
    size = rng.randint(1, 40), rng.randint(1, 40)
    image = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))
    if rng.random() < 0.2:
        image = image.convert("RGBA" if rng.random() < 0.5 else "L")
    image_format = "PNG" if image.mode == "RGBA" else rng.choice(FORMATS)
    file = io.BytesIO()
    image.save(file, image_format)
    return file.getvalue()


@pytest.fixture
def random_config(tmp_path, write_csv):
    """Returns a function that makes a random dataset's files, and its config."""

    def make(number, **fields):
        rng = random.Random(number)
        rows = []
        for at in range(rng.randint(60, 90)):
            folder = rng.choice(["", "a/", "ä b/", "東/"])
            name = f"{folder}{rng.randrange(10**6)}-{at}.img"
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(rng))
            with Image.open(path) as image:
                size = image.size
            values = rng.randbytes(size[0] * size[1])
            Image.frombytes("L", size, values).save(f"{path}.mask.png")
            label = rng.choice(["cat", "dog", "dog", "Émile"])
            given = rng.choice(["", "", "", "test", "unlabeled"])
            group = rng.choice(["", "", "g1", "g2"]) if not given else ""
            numbers = [rng.choice([0.5, -1.25, 1e-30, 3.0]) for _ in range(2)]
            classes = "|".join(rng.sample(["cat", "dog", "Émile"], rng.randint(1, 3)))
            more = [*numbers, classes, rng.randrange(-(2**40), 2**40), f"{label} ß", ""]
            if given == "unlabeled":
                label, more[:3] = "", ["", "", ""]
            rows.append((name, label, group, given, *more))
        rng.shuffle(rows)
        header = ("filename", "label", "group", "split", "x", "y", "many")
        header = (*header, "age", "site", "weight")
        write_csv(tmp_path / "labels.csv", rows, header=header)
        return tfds_imagecsv.ImageCsvConfig(
            name="random",
            image_dir=tmp_path / "images",
            label_csv=tmp_path / "labels.csv",
            group_column="group",
            split_column="split",
            **fields,
        )

    return make


class UnshuffledImageCsv(tfds_imagecsv.ImageCsv):
    """A user's own dataset, with records in the order of their keys."""

    BUILDER_CONFIGS = ()

    def _info(self):
        info = super()._info()
        return self.dataset_info_from_configs(
            features=info.features,
            supervised_keys=info.supervised_keys,
            metadata=info.metadata,
            disable_shuffling=True,
        )


def built(
    config,
    data_dir,
    *,
    file_format="tfrecord",
    stock=False,
    builder_class=tfds_imagecsv.ImageCsv,
    **download_config,
):
    """Builds a dataset, in TFDS's own way if `stock`; returns its builder."""
    builder = builder_class(config=config, data_dir=data_dir, file_format=file_format)
    if stock:
        way = tfds.core.GeneratorBasedBuilder._download_and_prepare
        builder._download_and_prepare = functools.partial(way, builder)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**download_config)
    )
    return builder


def records_of(split, file_format):
    """Returns the serialized examples of a split, in order."""
    paths = [str(path) for path in split.filepaths]
    if file_format == "tfrecord":
        return [record.numpy() for record in tf.data.TFRecordDataset(paths)]
    from array_record.python import array_record_module

    found = []
    for path in paths:
        reader = array_record_module.ArrayRecordReader(path)
        found += reader.read_all()
        reader.close()
    return found


def examples_of(split, file_format):
    """Returns the examples of a split, in order."""
    return [
        tf.train.Example.FromString(record) for record in records_of(split, file_format)
    ]


def described(builder):
    """Returns the files of a dataset besides its records, by name."""
    return {
        path.name: path.read_text("utf-8")
        for path in builder.data_path.iterdir()
        if path.suffix in (".json", ".txt", ".csv")
    }


def assert_same(ours, theirs, file_format):
    """Checks that two datasets have the same records and the same description."""
    assert list(ours.info.splits) == list(theirs.info.splits)
    for name, split in ours.info.splits.items():
        other = theirs.info.splits[name]
        assert split.shard_lengths == other.shard_lengths
        assert split.num_bytes == other.num_bytes
        assert examples_of(split, file_format) == examples_of(other, file_format)
    assert sorted(path.name for path in ours.data_path.iterdir()) == sorted(
        path.name for path in theirs.data_path.iterdir()
    )
    assert "dataset_info.json" in described(ours)
    assert described(ours) == described(theirs)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize(
    ("fields", "download_config"),
    [
        ({}, {}),
        ({"val_size": 0.3, "seed": 3}, {"num_shards": 3}),
        ({"resize": (20, 30), "encoding": "jpeg"}, {"num_shards": 2}),
        ({"channels": 4, "verify": "header"}, {}),
        ({"folds": 3}, {"max_examples_per_split": 7}),
        ({"channels": 1, "dtype": "uint16"}, {"num_shards": 4}),
        ({}, {"max_examples_per_split": 0}),
        ({}, {"nondeterministic_order": True}),
        ({"extra_columns": "all"}, {}),
        ({"image_columns": {"again": "{filename}"}, "resize": (9, 8)}, {}),
        ({"mask_column": "{filename}.mask.png", "max_side": 7}, {}),
        ({"label_type": "none", "extra_columns": {"age": "int64"}}, {}),
        (
            {
                "label_type": "multilabel",
                "label_column": "many",
                "label_delimiter": "|",
                "extra_columns": {"weight": "float32", "site": "string"},
            },
            {"num_shards": 2},
        ),
        ({"label_type": "regression", "label_column": "x"}, {}),
        (
            {
                "label_type": "regression",
                "label_column": ["x", "y"],
                "extra_columns": {"age": "int64", "weight": "float64"},
            },
            {},
        ),
    ],
)
def test_the_records_are_those_of_tfds(
    random_config, tmp_path, file_format, fields, download_config
):
    """Law 3: the same examples in the same order, in shards of the same lengths."""
    config = random_config(len(fields) + 10 * len(download_config), **fields)
    kwargs = {"file_format": file_format, **download_config}
    theirs = built(config, tmp_path / "theirs", stock=True, **kwargs)
    ours = built(config, tmp_path / "ours", **kwargs)
    assert_same(ours, theirs, file_format)
    number = download_config.get("num_shards", 1)
    for split in ours.info.splits.values():
        assert len(split.shard_lengths) == number


@pytest.fixture
def random_boxes(tmp_path, write_csv):
    """Returns a function that makes a random dataset of boxes, and its config."""

    def make(number, **fields):
        rng = random.Random(number)
        rows = []
        for at in range(40):
            path = tmp_path / "images" / f"{at:02}.img"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture(rng))
            boxes = rng.randrange(4)
            for _ in range(boxes):
                left, upper = rng.random() / 2, rng.random() / 2
                box = (left, upper, left + rng.random() / 2, upper + rng.random() / 2)
                more = (rng.randrange(-9, 2**40), rng.random(), rng.random())
                name = rng.choice(["cat", "dog", "Émile"])
                text = rng.choice(["", "é ß", "x"])
                rows.append((path.name, name, *box, *more, rng.random() < 0.5, text))
            if not boxes:
                rows.append((path.name, *[""] * 10))
        rng.shuffle(rows)
        header = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
        header = (*header, "track", "score", "depth", "is_crowd", "note")
        write_csv(tmp_path / "labels.csv", rows, header=header)
        return tfds_imagecsv.ImageCsvConfig(
            name="random",
            image_dir=tmp_path / "images",
            label_csv=tmp_path / "labels.csv",
            label_type="boxes",
            **fields,
        )

    return make


OF_BOXES = {
    "track": "int64",
    "score": "float32",
    "depth": "float64",
    "is_crowd": "bool",
    "note": "string",
}


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("extra", [None, "all", OF_BOXES])
def test_the_records_of_boxes_are_those_of_tfds(
    random_boxes, tmp_path, file_format, extra
):
    """Law 3: even of images without any, and with further columns of each type."""
    config = random_boxes(1, extra_columns=extra)
    theirs = built(config, tmp_path / "theirs", file_format=file_format, stock=True)
    ours = built(config, tmp_path / "ours", file_format=file_format, num_shards=2)
    one = built(config, tmp_path / "one", file_format=file_format)
    assert_same(one, theirs, file_format)
    for name, split in ours.info.splits.items():
        assert len(split.shard_lengths) == 2
        other = theirs.info.splits[name]
        assert examples_of(split, file_format) == examples_of(other, file_format)
    edges = {
        len(example.features.feature["objects/bbox"].float_list.value)
        for example in examples_of(ours.info.splits["train"], file_format)
    }
    assert edges == {0, 4, 8, 12}


def test_the_order_of_the_rows_of_boxes_changes_nothing(random_boxes, tmp_path):
    """Law 3: neither the order of images, nor that of an image's boxes."""
    config = random_boxes(2, extra_columns="all")
    first = built(config, tmp_path / "first")
    header, *rows = (tmp_path / "labels.csv").read_text("utf-8").splitlines()
    random.Random(0).shuffle(rows)
    (tmp_path / "labels.csv").write_text("\n".join([header, *rows]), "utf-8")
    other = built(config, tmp_path / "other")
    found = [digests_of(builder) for builder in (first, other)]
    assert found[0] == found[1]


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_records_that_are_not_shuffled_are_those_of_tfds(
    random_config, tmp_path, file_format
):
    """A subclass may ask for this in its info: they are in the order of their keys."""
    config = random_config(5)
    kwargs = {
        "builder_class": UnshuffledImageCsv,
        "file_format": file_format,
        "num_shards": 2,
    }
    theirs = built(config, tmp_path / "theirs", stock=True, **kwargs)
    ours = built(config, tmp_path / "ours", **kwargs)
    assert_same(ours, theirs, file_format)
    assert ours.info.disable_shuffling
    for split in ours.info.splits.values():
        names = [
            example.features.feature["image/filename"].bytes_list.value[0]
            for example in examples_of(split, file_format)
        ]
        assert names == sorted(names)


def digests_of(builder):
    """Returns the SHA-256 of each file of a dataset, except that about its sources.

    They have other times, and the CSV another order.
    """
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in builder.data_path.iterdir()
        if path.name != "sources.json"
    }


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.usefixtures("many_processes")
def test_the_bytes_are_the_same_in_every_run(random_config, tmp_path, file_format):
    """Law 3: of two runs, of shuffled rows, and of one and of two processes."""
    found = []
    for run, workers in enumerate([1, 1, 2]):
        config = random_config(1, workers=workers)
        if run:
            header, *rows = (tmp_path / "labels.csv").read_text("utf-8").splitlines()
            random.Random(run).shuffle(rows)
            text = "\n".join([header, *rows])
            (tmp_path / "labels.csv").write_text(text, "utf-8")
        builder = built(
            config, tmp_path / str(run), file_format=file_format, num_shards=2
        )
        shards = digests_of(builder)
        assert sum(f".{file_format}-" in name for name in shards) == 8
        found.append({name: shards[name] for name in shards if "info" not in name})
    assert found[0] == found[1] == found[2]
