"""Which record is in which shard, in what order, and that the files have them."""

import collections
import dataclasses
import io
import itertools
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import samples
import tensorflow as tf
from array_record.python import array_record_module
from etils import epath
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import py_utils, shard_utils

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import convert, formats, image_table, stored_form
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.shards import records, shard_plan, write

MIB = 1 << 20

# Keys as a CSV can have them: with folders, backslashes and letters of any language.
keys = st.text(
    st.one_of(st.sampled_from("ab/\\.éß日😀"), st.characters(codec="utf-8")), min_size=1
)


def different(some_keys):
    """Returns the keys without those that TFDS takes for others, sorted."""
    return sorted({key.replace("\\", "/"): key for key in some_keys}.values())


def rule(num_shards=None, *, least=64 * MIB, most=1024 * MIB):
    """Returns TFDS's rule for shards; by default with its own sizes."""
    return tfds_private.ShardRule(
        num_shards=num_shards, min_shard_size=least, max_shard_size=most
    )


def table(some_keys, **columns):
    """Returns rows of a plan: PNG images of 1,000 bytes, unless columns are given."""
    values = {
        "row": range(2, 2 + len(some_keys)),
        "key": some_keys,
        "label": "cat",
        "split": "train",
        **Facts("PNG", "RGB", 3, False, 8, 30, 40, 1, 1, True)._asdict(),
        "size": 1000,
        "digest": "",
        "stored_height": 30,
        "stored_width": 40,
        "conversion": "",
        **columns,
    }
    rows = pd.DataFrame(values)
    texts = ["key", "label", "split", "digest", "format", "conversion"]
    return rows.astype({"size": "int64", **dict.fromkeys(texts, "object")})


def refuse(rows):
    """Stands for measuring where it must not be necessary."""
    raise AssertionError(f"{len(rows)} images are converted")


def plan_of(rows, *, splits=("train",), shards_by=None, measure=refuse, **kwargs):
    """Plans shards, of class ids as they are usual."""
    class_ids = {"": -1, "cat": 0, "dog": 1, **kwargs.pop("class_ids", {})}
    return shard_plan.plan_shards(
        rows.assign(**{"feature/label": rows["label"].map(class_ids)}),
        splits,
        options=kwargs.pop("options", ImageOptions()),
        rule=shards_by or rule(),
        measure=measure,
        **kwargs,
    )


# The order


@given(st.lists(keys, min_size=1), st.sampled_from(["train", "test", "a-b_C1"]))
def test_the_order_is_that_of_tfds(some_keys, split):
    """Law 3: that of hashes, which depend on the split and the key alone."""
    some_keys = different(some_keys)
    plan = plan_of(table(some_keys, split=split), splits=[split])
    hasher = hashing.Hasher(split)
    assert list(plan.rows["key"]) == sorted(some_keys, key=hasher.hash_key)


@given(st.lists(keys, min_size=1), st.randoms())
def test_the_order_of_the_rows_does_not_matter(some_keys, rng):
    """Law 3: a shuffled table gives the same plan."""
    rows = table(different(some_keys), size=range(len(different(some_keys))))
    order = list(range(len(rows)))
    rng.shuffle(order)
    shuffled = plan_of(rows.iloc[order])
    plan = plan_of(rows)
    pd.testing.assert_frame_equal(plan.rows, shuffled.rows)
    assert plan.shards == shuffled.shards


def test_without_shuffling_the_order_is_that_of_the_rows():
    """TFDS calls that `disable_shuffling`."""
    rows = table([f"{at:03}" for at in range(100)])
    assert list(plan_of(rows, shuffle=False).rows["key"]) == list(rows["key"])
    assert list(plan_of(rows).rows["key"]) != list(rows["key"])


def test_the_splits_are_one_behind_the_other():
    """In the order that they are given in, whatever that of their rows is."""
    names = ["b", "a", "c"]
    rows = table([f"{at}" for at in range(90)], split=names * 30)
    plan = plan_of(rows, splits=["c", "b", "a"], shards_by=rule(2))
    assert list(plan.rows["split"]) == ["c"] * 30 + ["b"] * 30 + ["a"] * 30
    assert plan.shards == (
        ("c", 0, 2, 0, 15),
        ("c", 1, 2, 15, 30),
        ("b", 0, 2, 30, 45),
        ("b", 1, 2, 45, 60),
        ("a", 0, 2, 60, 75),
        ("a", 1, 2, 75, 90),
    )
    for split in names:
        of_split = plan.rows[plan.rows["split"] == split]
        hasher = hashing.Hasher(split)
        assert list(of_split["key"]) == sorted(of_split["key"], key=hasher.hash_key)


def test_what_is_planned_is_not_changed():
    """The rows are those of the plan of the whole dataset, which is still used."""
    rows = table(["b", "a"])
    before = rows.copy()
    plan_of(rows)
    pd.testing.assert_frame_equal(rows, before)


# The sizes


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20_000),
            st.integers(1, 20_000),
            st.integers(1, 20_000),
            st.sampled_from(["PNG", "JPEG", "BMP"]),
            st.sampled_from(["", "first", "128th", "16384th"]),
            keys,
        ),
        min_size=1,
        unique_by=lambda values: values[-1],
    )
)
def test_sizes_are_known_before(drawn):
    """They are those of records that are written."""
    sizes, heights, widths, formats, labels, some_keys = zip(*drawn, strict=True)
    ids = {"": -1, "first": 0, "128th": 127, "16384th": 16_384}
    rows = table(
        some_keys,
        size=sizes,
        stored_height=heights,
        stored_width=widths,
        format=formats,
        label=labels,
    )
    plan = plan_of(rows, class_ids=ids)
    found = dict(zip(plan.rows["key"], plan.rows["record_size"], strict=True))
    labels_in_order = plan.rows["label"]
    assert list(plan.rows["feature/label"]) == [ids[name] for name in labels_in_order]
    for size, height, width, image_format, label, key in drawn:
        record = records.serialize(
            {
                "image": bytes(size),
                "image/filename": key.encode(),
                "image/format": image_format.encode(),
                "image/height": height,
                "image/width": width,
                "label": ids[label],
            }
        )
        assert found[key] == len(record)


def test_a_record_that_could_not_be_read():
    """Law 5: TensorFlow dies where it reads one of 2 GiB, so none is written."""
    rows = table(["a", "b.png"], size=[2**31 - 500, 2**31 - 100])
    with pytest.raises(exceptions.InvalidRowsError) as raised:
        plan_of(rows)
    assert str(raised.value) == (
        "Image that can't be read: row 3: 'b.png' takes 2,147,483,700 bytes, and a"
        " record has 2,147,483,647 at most. Replace or remove the image."
    )
    assert len(plan_of(rows[:1]).rows) == 1


# The number of shards


@given(
    st.integers(1, 3000),
    st.integers(0, 5 * MIB),
    st.one_of(st.none(), st.integers(1, 20)),
)
@settings(max_examples=30)
def test_shards_are_those_of_tfds(rows, size, num_shards):
    """Their number and their ends are what its own configuration gives."""
    rows = max(rows, num_shards or 1)
    plan = plan_of(
        table([f"{at}" for at in range(rows)], size=size), shards_by=rule(num_shards)
    )
    total = int(plan.rows["record_size"].sum())
    number = shard_utils.ShardConfig(num_shards).get_number_shards(total, rows)
    assert [shard.stop for shard in plan.shards] == list(
        shard_utils.get_shard_boundaries(rows, number)
    )
    assert [shard.start for shard in plan.shards] == [
        0,
        *(shard.stop for shard in plan.shards[:-1]),
    ]
    assert [shard[:3] for shard in plan.shards] == [
        ("train", at, number) for at in range(number)
    ]


@pytest.mark.parametrize("most", [MIB, 10 * MIB, 100 * MIB])
def test_shards_have_no_more_than_max_shard_size(most):
    """Also where that is less than TFDS's least size, and than one image in ten."""
    sizes = np.random.default_rng(0).integers(0, 2 * MIB // 10, 5000)
    rows = table([f"{at}" for at in range(5000)], size=sizes)
    plan = plan_of(rows, shards_by=rule(most=most))
    of_shards = [
        int(plan.rows["record_size"][shard.start : shard.stop].sum())
        for shard in plan.shards
    ]
    # Rows are counted, not their bytes: an even mean, and chance around it.
    assert np.mean(of_shards) <= most
    assert max(of_shards) <= 1.7 * most
    assert np.mean(of_shards) >= most / 2.1


def test_more_shards_than_examples():
    """All splits have as many shards, so the smallest says how many there can be."""
    rows = table(list("abcd"), split=["train"] * 3 + ["test"])
    with pytest.raises(exceptions.ConfigError) as raised:
        plan_of(rows, splits=["train", "test"], shards_by=rule(2))
    assert str(raised.value) == (
        "num_shards must not be larger than the number of examples of a split, 1, got 2"
    )


# Images that are converted


class Measure:
    """Stands for measuring, and notes what is measured."""

    def __init__(self, size_of):
        self.size_of = size_of
        self.calls = []

    def __call__(self, rows):
        """Returns the sizes."""
        self.calls.append(list(rows["key"]))
        return np.array([self.size_of(key) for key in rows["key"]])


def test_sizes_after_conversions_are_mostly_not_asked_for():
    """One shard holds them, whatever they are; or the user wants a number."""
    some_keys = [f"{at:03}" for at in range(100)]
    conversion = ["", "alpha"] * 50
    plan = plan_of(table(some_keys, conversion=conversion))
    known = dict(zip(plan.rows["key"], plan.rows["record_size"], strict=True))
    assert [known[key] == -1 for key in some_keys] == [False, True] * 50
    assert known["000"] > 1000
    assert len(plan.shards) == 1
    huge = table(some_keys, conversion=conversion, stored_height=20_000)
    assert len(plan_of(huge, shards_by=rule(7)).shards) == 7


def test_a_sample_of_the_conversions_tells_the_number_of_shards():
    """If it depends on them; those that aren't converted are never measured."""
    rows = table(
        [f"{at:05}" for at in range(10_000)],
        conversion=["alpha", ""] * 5000,
        stored_height=1000,
        stored_width=1000,
    )
    measure = Measure(lambda key: 50_000 if int(key) % 4 else 150_000)
    plan = plan_of(rows, measure=measure)
    (sample,) = measure.calls
    assert 200 <= len(sample) <= 520
    assert len(set(sample)) == len(sample)
    assert all(int(key) % 2 == 0 for key in sample)
    # 5,000 of 100,000 bytes in the mean and as many of 1,000: 505 MB are 4 shards.
    assert len(plan.shards) == 4
    sizes = plan.rows["record_size"]
    assert (sizes[plan.rows["conversion"] != ""] == -1).all()
    assert (sizes[plan.rows["conversion"] == ""] > 1000).all()


def test_a_sample_that_was_wrong_is_corrected():
    """Law 3: the number of shards is that of the records, however it was estimated."""
    splits = ["train"] * 300 + ["test"] * 20
    rows = table(
        [f"{at:03}" for at in range(320)],
        split=splits,
        conversion="alpha",
        stored_height=5000,
        stored_width=5000,
    )
    plan = plan_of(rows, splits=["train", "test"], measure=Measure(lambda _: 1))
    assert len(plan.shards) == 2
    assert shard_plan.corrected(plan, [5 * MIB, MIB], rule()) is None
    another = shard_plan.corrected(plan, [300 * MIB, MIB], rule())
    assert another.shards == (
        ("train", 0, 4, 0, 75),
        ("train", 1, 4, 75, 150),
        ("train", 2, 4, 150, 225),
        ("train", 3, 4, 225, 300),
        ("test", 0, 1, 300, 320),
    )
    assert another.rows is plan.rows
    assert shard_plan.corrected(another, [75 * MIB] * 4 + [MIB], rule()) is None


@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 260), st.integers(1, 260)),
    st.sampled_from([1, 3, 4]),
    st.sampled_from(["uint8", "uint16"]),
    st.sampled_from([None, "jpeg", "png"]),
    st.sampled_from([None, 1, 100]),
    st.sampled_from(["noise", "extremes", "black"]),
)
@example(0, (700, 700), 1, "uint8", "jpeg", 100, "extremes")
@settings(max_examples=60)
def test_no_converted_image_is_larger_than_the_bound(
    seed, size, channels, dtype, encoding, quality, kind
):
    """Else the number of shards might depend on one that isn't measured."""
    options = ImageOptions(
        channels=channels,
        dtype=dtype,
        encoding=None if dtype == "uint16" or channels == 4 else encoding,
        quality=quality,
    )
    pixels = samples.noise(*size, 4, seed=seed)
    if kind == "extremes":  # what is the worst for a JPEG
        pixels = pixels // 128 * 255
    elif kind == "black":
        pixels *= 0
    content = samples.encoded(Image.fromarray(pixels), "TIFF")
    facts = formats.read_facts(content, max_pixels=options.max_pixels, decode=False)
    stored = stored_form.stored_as(facts, options)
    assert stored.conversion
    rows = pd.DataFrame([stored])
    (bound,) = shard_plan._most_stored(rows, options)
    assert len(convert.convert(content, facts, options)) <= bound


# The files


class Elsewhere:
    """Stands for an engine of other machines: all that is handed over is copied."""

    workers = 0
    is_local = False

    def map(self, function, items, meanwhile):
        """Yields the results."""
        meanwhile()
        for item in items:
            copy = pickle.loads(pickle.dumps((function, item)))
            yield copy[0](copy[1])


@pytest.fixture
def image_dir(tmp_path):
    """Images of all sizes and kinds: 40 that are stored as they are, 10 WebP."""
    folder = tmp_path / "images"
    folder.mkdir()
    for at in range(40):
        content = samples.encoded(Image.fromarray(samples.noise(9, 3 + at, 3, seed=at)))
        (folder / f"{at:02}.png").write_bytes(content)
    for at in range(10):
        image = Image.fromarray(samples.noise(70 + at, 70, 3, seed=at))
        (folder / f"é{at}.webp").write_bytes(samples.encoded(image, "WEBP"))
    return folder


def inspected(image_dir, *, are_converted=True, options=None):
    """Returns the rows of the images, in the splits train and test."""
    some_keys = sorted(
        path.name
        for path in image_dir.iterdir()
        if are_converted or path.suffix == ".png"
    )
    rows = pd.DataFrame(
        {"row": range(2, 2 + len(some_keys)), "key": some_keys, "label": "cat"}
    )
    with local.LocalEngine(1) as engine:
        found = image_table.inspect_images(
            epath.Path(image_dir), rows, options, engine=engine
        )
    assert not found.problems
    splits = pd.Series(["train", "train", "test"] * len(rows), dtype=object)
    return found.rows.assign(split=splits[: len(rows)])


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to write shards.

    Attributes:
      knows_sizes: whether the sizes of all records are known.
      workers: how many processes work, or 0 for those elsewhere.
      shards: how many a split has.
    """

    knows_sizes: bool
    workers: int
    shards: int = 3

    def __str__(self):
        """Returns the name of a test."""
        known = "known" if self.knows_sizes else "unknown"
        return f"{known}-{self.workers}-{self.shards}"


def write_to(paths, plan, image_dir, engine, *, file_format="tfrecord", **kwargs):
    """Writes shards of images as they are to files; returns their sizes."""
    return write.write_shards(
        plan,
        paths,
        image_dir=epath.Path(image_dir),
        options=ImageOptions(),
        file_format=file_format,
        engine=engine,
        **kwargs,
    )


def write_by(folder, plan, image_dir, way, *, file_format="tfrecord", progress=None):
    """Writes shards in some way; returns the files' contents and the sizes."""
    folder.mkdir(exist_ok=True)
    paths = [
        epath.Path(folder) / f"{shard.split}-{shard.number}" for shard in plan.shards
    ]
    sizes = plan.rows["record_size"]
    if not way.knows_sizes:
        sizes = -1
    elif (sizes < 0).any():
        (records_of_plan,) = contents_of([plan.rows], image_dir)
        sizes = [len(record) for record in records_of_plan]
    plan = dataclasses.replace(plan, rows=plan.rows.assign(record_size=sizes))
    engine = local.LocalEngine(way.workers, patience=0) if way.workers else Elsewhere()
    with engine if way.workers else io.BytesIO():
        written = write_to(
            paths,
            plan,
            image_dir,
            engine,
            file_format=file_format,
            **({"progress": progress} if progress else {}),
        )
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in paths
    )
    return [path.read_bytes() for path in paths], written


def contents_of(tables, image_dir):
    """Returns the records that rows must have."""
    return [[record_of(row, image_dir) for row in rows.itertuples()] for rows in tables]


def record_of(row, image_dir):
    """Returns the record of a row."""
    path = image_dir / row.key
    with Image.open(path) as image:
        width, height = image.size
    return records.serialize(
        {
            "image": converted_image(path) if row.conversion else path.read_bytes(),
            "image/filename": row.key.encode(),
            "image/format": b"PNG",
            "image/height": height,
            "image/width": width,
            "label": 0,
        }
    )


def converted_image(path):
    """Returns what is stored for an image that is converted."""
    content = path.read_bytes()
    facts = formats.read_facts(content, max_pixels=10**6, decode=True)
    return convert.convert(content, facts, ImageOptions())


def written_by_tensorflow(folder, contents):
    """Returns the files that TensorFlow's own writer makes of records."""
    files = []
    for at, found in enumerate(contents):
        path = folder / f"expected{at}"
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for record in found:
                writer.write(record)
        files.append(path.read_bytes())
    return files


def tables_of(plan):
    """Returns the rows of each shard."""
    return [plan.rows[shard.start : shard.stop] for shard in plan.shards]


LOCAL_WAYS = [
    Way(knows_sizes=knows_sizes, workers=workers, shards=number)
    for knows_sizes, workers, number in itertools.product((True, False), (1, 2), (1, 3))
]


@pytest.fixture(params=[1, 3000, 4 << 20], ids="pieces of {}".format)
def piece(request, monkeypatch):
    """How many bytes are worked on at once: less than a record, some, all."""
    monkeypatch.setattr(write, "_PIECE", request.param)
    monkeypatch.setattr(write, "_CONVERTED", 4)


@pytest.mark.parametrize("are_converted", [False, True], ids=["stored", "converted"])
@pytest.mark.parametrize("number", [1, 3])
def test_all_ways_write_the_same_files(
    tmp_path, image_dir, piece, are_converted, number
):
    """Law 3: in pieces, in order or whole, here or elsewhere: byte for byte."""
    rows = inspected(image_dir, are_converted=are_converted)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(number))
    contents = contents_of(tables_of(plan), image_dir)
    expected = written_by_tensorflow(tmp_path, contents)
    sizes = [sum(map(len, found)) for found in contents]
    for at, (knows_sizes, workers) in enumerate(
        itertools.product((True, False), (1, 2, 0))
    ):
        way = Way(knows_sizes=knows_sizes, workers=workers, shards=number)
        found, written = write_by(tmp_path / f"{at}", plan, image_dir, way)
        assert found == expected, way
        assert written == sizes, way


@pytest.mark.parametrize("number", [1, 3])
def test_all_ways_write_the_same_array_records(tmp_path, image_dir, piece, number):
    """Law 3: in order or whole, here or elsewhere, byte for byte."""
    rows = inspected(image_dir)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(number))
    contents = contents_of(tables_of(plan), image_dir)
    files = []
    for workers in (1, 2, 0):
        way = Way(knows_sizes=False, workers=workers, shards=number)
        folder = tmp_path / f"{workers}"
        found, written = write_by(
            folder, plan, image_dir, way, file_format="array_record"
        )
        files.append(found)
        assert written == [sum(map(len, found)) for found in contents]
        for shard, expected in zip(plan.shards, contents, strict=True):
            path = folder / f"{shard.split}-{shard.number}"
            reader = array_record_module.ArrayRecordReader(os.fspath(path))
            assert reader.read_all() == expected
    assert files[0] == files[1] == files[2]


def test_progress_is_told_of_all_images_and_bytes(tmp_path, image_dir, piece):
    """Whatever is written at once."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(2))
    for at, way in enumerate([*LOCAL_WAYS, Way(knows_sizes=True, workers=0)]):
        told = []
        _, sizes = write_by(
            tmp_path / f"{at}",
            plan,
            image_dir,
            way,
            progress=lambda images, size, told=told: told.append((images, size)),
        )
        assert sum(images for images, _ in told) == 40
        assert sum(size for _, size in told) == sum(sizes)


# Errors


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize(
    "way", [*LOCAL_WAYS, Way(knows_sizes=True, workers=0)], ids=str
)
@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes() + b"\0"),
            (
                "Image that can't be read: row 19: '17.png' has changed during the"
                " build. Replace or remove the image."
            ),
        ),
        (
            lambda path: path.unlink(),
            (
                "Image not found: row 19: '17.png'. Check image_dir, filename_column"
                " and filename_suffix, or remove the rows."
            ),
        ),
    ],
    ids=["changed", "gone"],
)
def test_an_image_that_changes_during_the_build(
    tmp_path, image_dir, way, file_format, spoil, error
):
    """It is named, and no file is left."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(way.shards))
    spoil(image_dir / "17.png")
    with pytest.raises(exceptions.InvalidRowsError) as raised:
        write_by(tmp_path / "out", plan, image_dir, way, file_format=file_format)
    assert str(raised.value) == error
    left = [path.name for path in (tmp_path / "out").iterdir()]
    # Shards that were complete may be there.
    assert not [name for name in left if name.startswith("incomplete")]
    of_row = next(
        f"{shard.split}-{shard.number}"
        for shard, rows in zip(plan.shards, tables_of(plan), strict=True)
        if "17.png" in list(rows["key"])
    )
    assert of_row not in left


def test_a_converted_image_that_could_not_be_read(tmp_path, image_dir, monkeypatch):
    """Law 5: its size is known when it is converted."""
    rows = inspected(image_dir)
    plan = plan_of(rows, splits=["train", "test"])
    sizes = [len(record) for record in contents_of([plan.rows], image_dir)[0]]
    monkeypatch.setattr(records, "MAX_SIZE", max(sizes) - 1)
    with pytest.raises(exceptions.InvalidRowsError) as raised:
        write_by(tmp_path / "out", plan, image_dir, Way(knows_sizes=False, workers=1))
    key = plan.rows["key"][int(np.argmax(sizes))]
    row = plan.rows["row"][int(np.argmax(sizes))]
    assert str(raised.value) == (
        f"Image that can't be read: row {row}: '{key}' takes {max(sizes):,} bytes, and"
        f" a record has {max(sizes) - 1:,} at most. Replace or remove the image."
    )


def test_a_piece_of_another_size_is_an_error(tmp_path, image_dir):
    """It would be written over its neighbours."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"])
    sizes = plan.rows["record_size"].copy()
    sizes[30] += 1
    plan = dataclasses.replace(plan, rows=plan.rows.assign(record_size=sizes))
    with pytest.raises(RuntimeError, match=r"^a piece has \d+ bytes, and not \d+$"):
        write_by(tmp_path / "out", plan, image_dir, Way(knows_sizes=True, workers=1))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_that_cannot_be_written(tmp_path, image_dir, workers):
    """The error is the system's own."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"])
    paths = [epath.Path(tmp_path) / "none" / f"{at}" for at in range(2)]
    with (
        local.LocalEngine(workers, patience=0) as engine,
        pytest.raises(FileNotFoundError),
    ):
        write_to(paths, plan, image_dir, engine)


def test_files_are_written_side_by_side(tmp_path, image_dir, monkeypatch):
    """Two for each process, so that these don't wait for each other, and no more."""
    monkeypatch.setattr(write, "_PIECE", 1000)
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(2))
    with NotingFiles() as engine:
        paths = [epath.Path(tmp_path) / f".{at}" for at in range(4)]
        write_to(paths, plan, image_dir, engine)
    counts = collections.Counter(engine.files)
    expected = []
    for pair in (("0", "1"), ("2", "3")):
        turns = range(max(counts[name] for name in pair))
        expected += [name for turn in turns for name in pair if turn < counts[name]]
    assert engine.files == expected
    assert min(counts.values()) >= 2


def test_tfds_knows_unfinished_files_by_their_names():
    """It removes them, should they be left."""
    path = write._temporary("/data/x/image_csv-train.tfrecord-00000-of-00001")
    assert py_utils.is_incomplete_file(epath.Path(path))
    assert os.path.split(path)[0] == "/data/x"
    assert write._temporary("gs://b/c").startswith("gs://b/incomplete.")


# Memory


class Noting:
    """Stands for an engine, and notes how many rows are worked on at once."""

    is_local = True

    def __init__(self, workers):
        self.workers = workers
        self.rows = []

    def map(self, function, items, meanwhile):
        """Yields records without content."""
        meanwhile()
        for item in items:
            self.rows.append(len(item.columns["key"]))
            yield [b""] * self.rows[-1]


class NotingFiles(local.LocalEngine):
    """Notes to which files pieces go, in the order in which they are begun."""

    def __init__(self):
        super().__init__(workers=1)
        self.files = []

    def map(self, function, items, meanwhile):
        """Does the work."""
        self.files += [item.about.path.rpartition(".")[2] for item in items]
        yield from super().map(function, items, meanwhile)


LARGE = {"conversion": "alpha", "stored_height": 1000, "stored_width": 1000}


@pytest.mark.parametrize(
    ("columns", "options", "most"),
    [
        ({"size": 100_000}, {}, 42),
        ({"size": 3 * MIB}, {}, 2),
        ({"size": 5 * MIB}, {}, 1),
        ({"conversion": "alpha"}, {}, 32),
        (LARGE, {}, 2),
        (LARGE, {"channels": 1}, 5),
        (LARGE, {"channels": 4, "dtype": "uint16"}, 1),
    ],
    ids=["small", "large", "huge", "converted", "large converted", "gray", "16 bits"],
)
def test_few_bytes_are_held_at_once(tmp_path, columns, options, most):
    """A worker's answer has 4 MiB, and what the last record is above that."""
    options = ImageOptions(**options)
    plan = plan_of(
        table([f"{at}" for at in range(600)], **columns),
        options=options,
        measure=Measure(lambda _: 1000),
    )
    engine = Noting(workers=len(plan.shards))  # so many that none has a whole shard
    write.write_shards(
        plan,
        [epath.Path(tmp_path) / f"{at}" for at in range(len(plan.shards))],
        image_dir=epath.Path(tmp_path),
        options=options,
        file_format="array_record",
        engine=engine,
    )
    assert max(engine.rows) == most
    assert sum(engine.rows) == 600
    # All have so many, but the last of each shard.
    assert len(engine.rows) - engine.rows.count(most) <= len(plan.shards)


# Measuring


@pytest.mark.parametrize("workers", [1, 2])
def test_measuring_tells_what_is_stored(image_dir, workers):
    """The bytes of each converted image, in order; progress is told of all."""
    rows = inspected(image_dir)
    rows = rows[rows["conversion"] != ""].assign(**{"feature/label": 0})
    told = []
    with local.LocalEngine(workers, patience=0) as engine:
        sizes = write.measure_stored(
            rows,
            image_dir=epath.Path(image_dir),
            options=ImageOptions(),
            engine=engine,
            progress=told.append,
        )
    assert sizes.tolist() == [
        len(converted_image(image_dir / key)) for key in rows["key"]
    ]
    assert sizes.dtype == np.int64
    assert sum(told) == 10
