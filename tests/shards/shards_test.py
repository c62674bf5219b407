"""Which record is in which shard, in what order; and that the files have them."""

import collections
import dataclasses
import hashlib
import io
import itertools
import os
import pickle

import numpy as np
import pyarrow as pa
import pytest
import samples
import tensorflow as tf
import walk
from array_record.python import array_record_module
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import shard_utils

from tfds_imagecsv import arrays, exceptions, tfds_private
from tfds_imagecsv.engines import local, shared_rows
from tfds_imagecsv.images import convert, formats, image_table
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.shards import records, shard_plan, write

MIB = 1 << 20

# Keys as a CSV can have them: with folders, backslashes and letters of any language.
keys = st.text(
    st.one_of(st.sampled_from("ab/\\.éß日😀"), st.characters(codec="utf-8")), min_size=1
)


def different(some_keys):
    """Returns the keys sorted, without those that TFDS takes for others."""
    return sorted({key.replace("\\", "/"): key for key in some_keys}.values())


def rule(num_shards=None, *, least=64 * MIB, most=1024 * MIB):
    """Returns TFDS's rule for shards; by default with its own sizes."""
    return tfds_private.ShardRule(
        num_shards=num_shards, min_shard_size=least, max_shard_size=most
    )


def table(some_keys, **columns):
    """Returns rows of a plan: PNG images of 1,000 bytes, unless columns are given."""
    return walk.batch(
        **{
            "row": range(2, 2 + len(some_keys)),
            "key": some_keys,
            "label": "cat",
            "split": "train",
            "digest": [""] * len(some_keys),
            "size": 1000,
            "image_format": "PNG",
            "height": 30,
            "width": 40,
            **columns,
        }
    )


def plan_of(rows, *, splits=("train",), shards_by=None, **kwargs):
    """Plans shards of class ids, as usual."""
    class_ids = {"": -1, "cat": 0, "dog": 1, **kwargs.pop("class_ids", {})}
    ids = [class_ids[name] for name in rows["label"].to_pylist()]
    return shard_plan.plan_shards(
        arrays.with_columns(rows, {"feature/label": pa.array(ids, pa.int64())}),
        splits,
        rule=shards_by or rule(),
        **kwargs,
    )


def written(plan):
    """Returns the rows of a plan in written form, with the sizes of the records."""
    rows = shard_plan.as_examples(plan.rows.take(pa.array(plan.order)))
    return walk.frame(rows).assign(record_size=plan.record_sizes)


# The order


@given(st.lists(keys, min_size=1), st.sampled_from(["train", "test", "a-b_C1"]))
def test_the_order_is_that_of_tfds(some_keys, split):
    """Law 3: hashes give it, which depend only on the split and the key."""
    some_keys = different(some_keys)
    plan = plan_of(table(some_keys, split=split), splits=[split])
    hasher = hashing.Hasher(split)
    assert list(written(plan)["key"]) == sorted(some_keys, key=hasher.hash_key)


def test_keys_whose_hashes_are_half_the_same(monkeypatch):
    """The other half tells their order."""
    some_keys = [f"{at:03}" for at in range(60)]
    digest_of = {
        key: bytes([at % 3] * 8) + hashlib.md5(key.encode()).digest()[:8]
        for at, key in enumerate(some_keys)
    }

    def digests(split, keys_of_rows, at):
        return [digest_of[keys_of_rows[position].as_py()] for position in at]

    monkeypatch.setattr(shard_plan, "_salted_digests", digests)
    plan = plan_of(table(some_keys))
    assert list(written(plan)["key"]) == sorted(some_keys, key=digest_of.__getitem__)


@given(st.lists(keys, min_size=1), st.randoms())
def test_the_order_of_the_rows_does_not_matter(some_keys, rng):
    """Law 3: a shuffled table gives the same plan."""
    rows = table(different(some_keys), size=range(len(different(some_keys))))
    order = list(range(len(rows)))
    rng.shuffle(order)
    shuffled = plan_of(rows.take(pa.array(order)))
    plan = plan_of(rows)
    assert written(plan).equals(written(shuffled))
    assert plan.shards == shuffled.shards


def test_without_shuffling_the_order_is_that_of_the_rows():
    """TFDS calls that `disable_shuffling`."""
    rows = table([f"{at:03}" for at in range(100)])
    assert plan_of(rows, shuffle=False).order.tolist() == list(range(100))
    assert plan_of(rows).order.tolist() != list(range(100))


def test_the_splits_are_one_behind_the_other():
    """In the given order, whatever that of their rows is."""
    names = ["b", "a", "c"]
    rows = table([f"{at}" for at in range(90)], split=names * 30)
    plan = plan_of(rows, splits=["c", "b", "a"], shards_by=rule(2))
    assert plan.shards == (
        ("c", 0, 2, 0, 15),
        ("c", 1, 2, 15, 30),
        ("b", 0, 2, 30, 45),
        ("b", 1, 2, 45, 60),
        ("a", 0, 2, 60, 75),
        ("a", 1, 2, 75, 90),
    )
    for split, start in (("c", 0), ("b", 30), ("a", 60)):
        of_split = rows.filter(pa.array(arrays.is_text(rows["split"], split)))
        in_order = sorted(
            of_split["key"].to_pylist(), key=hashing.Hasher(split).hash_key
        )
        assert list(written(plan)["key"][start : start + 30]) == in_order


def test_what_is_planned_is_not_changed():
    """The rows are those of the dataset's plan, which is still in use."""
    rows = table(["b", "a"])
    before = walk.frame(rows)
    plan_of(rows)
    assert walk.frame(rows).equals(before)


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
    """They are those of written records."""
    sizes, heights, widths, formats, labels, some_keys = zip(*drawn, strict=True)
    ids = {"": -1, "first": 0, "128th": 127, "16384th": 16_384}
    rows = table(
        some_keys,
        size=sizes,
        height=heights,
        width=widths,
        image_format=formats,
        label=labels,
    )
    plan = plan_of(rows, class_ids=ids)
    columns = ("key", "record_size", "feature/label")
    found = written(plan)
    rows_of = {
        key: values
        for key, *values in zip(*(found[name] for name in columns), strict=True)
    }
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
        assert rows_of[key] == [len(record), ids[label]]


def test_a_record_that_could_not_be_read():
    """Law 5: TensorFlow dies when it reads one of 2 GiB, so none is written."""
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
    """TFDS's own configuration gives their number and their ends."""
    rows = max(rows, num_shards or 1)
    plan = plan_of(
        table([f"{at}" for at in range(rows)], size=size),
        shards_by=rule(num_shards),
    )
    total = int(plan.record_sizes.sum())
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
    """Even if that is less than TFDS's least size, and than one image in ten."""
    sizes = np.random.default_rng(0).integers(0, 2 * MIB // 10, 5000)
    rows = table([f"{at}" for at in range(5000)], size=sizes)
    plan = plan_of(rows, shards_by=rule(most=most))
    of_shards = [
        int(plan.record_sizes[shard.start : shard.stop].sum()) for shard in plan.shards
    ]
    # Shards share rows, not bytes: an even mean, and chance around it.
    assert np.mean(of_shards) <= most
    assert max(of_shards) <= 1.7 * most
    assert np.mean(of_shards) >= most / 2.1


def test_more_shards_than_examples():
    """All splits have as many shards, so the smallest limits their number."""
    rows = table(list("abcd"), split=["train"] * 3 + ["test"])
    with pytest.raises(exceptions.ConfigError) as raised:
        plan_of(rows, splits=["train", "test"], shards_by=rule(2))
    assert str(raised.value) == (
        "num_shards must not be larger than the number of examples of a split, 1, got 2"
    )


# The files


class Elsewhere:
    """Stands for an engine on other machines: it copies all that it hands over."""

    workers = 0
    is_local = False

    def map(self, function, items, meanwhile):
        """Yields the results."""
        meanwhile()
        for item in items:
            copy = pickle.loads(pickle.dumps((function, item)))
            yield copy[0](copy[1])

    def share(self, *rows):
        """Returns rows that are in a file for other machines."""
        return shared_rows.SharedRows(*rows)


@pytest.fixture
def image_dir(tmp_path):
    """Images of all sizes and kinds: 40 to store as they are, 10 WebP."""
    folder = tmp_path / "images"
    folder.mkdir()
    for at in range(40):
        content = samples.encoded(Image.fromarray(samples.noise(9, 3 + at, 3, seed=at)))
        (folder / f"{at:02}.png").write_bytes(content)
    for at in range(10):
        image = Image.fromarray(samples.noise(70 + at, 70, 3, seed=at))
        (folder / f"é{at}.webp").write_bytes(samples.encoded(image, "WEBP"))
    return folder


def inspected(image_dir, *, are_converted=True):
    """Returns the rows of the images, in the splits train and test."""
    some_keys = sorted(
        path.name
        for path in image_dir.iterdir()
        if are_converted or path.suffix == ".png"
    )
    rows = walk.batch(row=range(2, 2 + len(some_keys)), key=some_keys, label="cat")
    with local.LocalEngine(1) as engine:
        found = image_table.inspect_images(
            epath.Path(image_dir),
            rows,
            engine=engine,
            converted_dir=epath.Path(image_dir).parent / "converted",
        )
    assert not found.problems
    splits = (["train", "train", "test"] * len(rows))[: len(rows)]
    return arrays.with_columns(found.rows, {"split": arrays.encoded(splits)})


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to write shards.

    Attributes:
      workers: how many processes work, or 0 for those elsewhere.
      shards: how many a split has.
    """

    workers: int
    shards: int = 3

    def __str__(self):
        """Returns the name of a test."""
        return f"{self.workers}-{self.shards}"


def write_to(paths, plan, image_dir, engine, *, file_format="tfrecord", **kwargs):
    """Writes shards of unconverted images to files; returns their sizes."""
    return write.write_shards(
        plan,
        paths,
        image_dir=epath.Path(image_dir),
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
            "image": converted_image(path)
            if path.suffix == ".webp"
            else path.read_bytes(),
            "image/filename": row.key.encode(),
            "image/format": b"PNG",
            "image/height": height,
            "image/width": width,
            "label": 0,
        }
    )


def converted_image(path):
    """Returns what is stored for a converted image."""
    content = path.read_bytes()
    facts = formats.read_facts(content, max_pixels=10**6, decode=True)
    return convert.convert(content, facts, ImageOptions())


def written_by_tensorflow(folder, contents):
    """Returns the files that TensorFlow's own writer makes from records."""
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
    rows = written(plan)
    return [rows[shard.start : shard.stop] for shard in plan.shards]


LOCAL_WAYS = [
    Way(workers=workers, shards=number)
    for workers, number in itertools.product((1, 2), (1, 3))
]


@pytest.fixture(params=[1, 3000, 4 << 20], ids="pieces of {}".format)
def piece(request, monkeypatch):
    """How many bytes to work on at once: less than a record, some, all."""
    monkeypatch.setattr(write, "_PIECE", request.param)


@pytest.mark.parametrize("are_converted", [False, True], ids=["stored", "converted"])
@pytest.mark.parametrize("number", [1, 3])
def test_all_ways_write_the_same_files(
    tmp_path, image_dir, piece, are_converted, number
):
    """Law 3: in pieces or whole, here or elsewhere: byte for byte."""
    rows = inspected(image_dir, are_converted=are_converted)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(number))
    contents = contents_of(tables_of(plan), image_dir)
    expected = written_by_tensorflow(tmp_path, contents)
    sizes = [sum(map(len, found)) for found in contents]
    assert [
        plan.record_sizes[shard.start : shard.stop].sum() for shard in plan.shards
    ] == sizes
    for workers in (1, 2, 0):
        way = Way(workers=workers, shards=number)
        found, written = write_by(tmp_path / f"{workers}", plan, image_dir, way)
        assert found == expected, way
        assert written == sizes, way


@pytest.mark.parametrize("number", [1, 3])
def test_all_ways_write_the_same_array_records(tmp_path, image_dir, piece, number):
    """Law 3: here or elsewhere, byte for byte."""
    rows = inspected(image_dir)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(number))
    contents = contents_of(tables_of(plan), image_dir)
    files = []
    for workers in (1, 2, 0):
        way = Way(workers=workers, shards=number)
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
    """However many bytes are written at once."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"], shards_by=rule(2))
    for at, way in enumerate([*LOCAL_WAYS, Way(workers=0)]):
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
@pytest.mark.parametrize("way", [*LOCAL_WAYS, Way(workers=0)], ids=str)
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
    # Complete shards may be there.
    assert not [name for name in left if name.startswith("incomplete")]
    of_row = next(
        f"{shard.split}-{shard.number}"
        for shard, rows in zip(plan.shards, tables_of(plan), strict=True)
        if "17.png" in list(rows["key"])
    )
    assert of_row not in left


def test_a_converted_image_that_could_not_be_read(image_dir, monkeypatch):
    """Law 5: its size is known before a shard is written."""
    rows = inspected(image_dir)
    plan = plan_of(rows, splits=["train", "test"])
    sizes = plan.record_sizes
    monkeypatch.setattr(records, "MAX_SIZE", max(sizes) - 1)
    with pytest.raises(exceptions.InvalidRowsError) as raised:
        plan_of(rows, splits=["train", "test"])
    largest = written(plan).loc[int(np.argmax(sizes))]
    key, row = largest["key"], largest["row"]
    assert str(raised.value) == (
        f"Image that can't be read: row {row}: '{key}' takes {max(sizes):,} bytes, and"
        f" a record has {max(sizes) - 1:,} at most. Replace or remove the image."
    )


def test_a_piece_of_another_size_is_an_error(tmp_path, image_dir):
    """It would overwrite its neighbours."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"])
    sizes = plan.record_sizes.copy()
    sizes[30] += 1
    plan = dataclasses.replace(plan, record_sizes=sizes)
    with pytest.raises(RuntimeError, match=r"^a piece has \d+ bytes, and not \d+$"):
        write_by(tmp_path / "out", plan, image_dir, Way(workers=1))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_that_cannot_be_written(tmp_path, image_dir, workers):
    """The error is that of the system."""
    rows = inspected(image_dir, are_converted=False)
    plan = plan_of(rows, splits=["train", "test"])
    paths = [epath.Path(tmp_path) / "none" / f"{at}" for at in range(2)]
    with (
        local.LocalEngine(workers, patience=0) as engine,
        pytest.raises(FileNotFoundError),
    ):
        write_to(paths, plan, image_dir, engine)


def test_files_are_written_side_by_side(tmp_path, image_dir, monkeypatch):
    """Two for each process, so that none waits; and no more."""
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


# Memory


class Noting:
    """Stands for an engine, and notes how many rows it works on at once."""

    is_local = True

    def __init__(self, workers):
        self.workers = workers
        self.rows = []

    def map(self, function, items, meanwhile):
        """Yields the sizes of pieces, without writing any."""
        meanwhile()
        for item in items:
            columns = item.columns
            self.rows.append(len(columns["key"]))
            yield sum(
                len(records.serialize(self.example(*values)))
                for values in zip(columns["key"], columns["size"], strict=True)
            )

    def share(self, *rows):
        """Returns rows for this process."""
        return shared_rows.SharedRows(*rows)

    def example(self, key, size):
        """Returns the features of an example of `table`."""
        return {
            "image": bytes(size),
            "image/filename": key.encode(),
            "image/format": b"PNG",
            "image/height": 30,
            "image/width": 40,
            "label": 0,
        }


class NotingFiles(local.LocalEngine):
    """Notes which files pieces go to, in the order in which they begin."""

    def __init__(self):
        super().__init__(workers=1)
        self.files = []

    def map(self, function, items, meanwhile):
        """Does the work."""
        self.files += [item.about.path.rpartition(".")[2] for item in items]
        yield from super().map(function, items, meanwhile)


@pytest.mark.parametrize(
    ("size", "most"),
    [(100_000, 42), (3 * MIB, 2), (5 * MIB, 1)],
    ids=["small", "large", "huge"],
)
def test_few_bytes_are_worked_on_at_once(tmp_path, size, most):
    """A piece has 4 MiB, and the part of the last record beyond that."""
    plan = plan_of(table([f"{at}" for at in range(600)], size=size))
    engine = Noting(workers=2)
    write_to(
        [epath.Path(tmp_path) / f"{at}" for at in range(len(plan.shards))],
        plan,
        tmp_path,
        engine,
    )
    assert max(engine.rows) == most
    assert sum(engine.rows) == 600
    # All have this many, except the last of each shard.
    assert len(engine.rows) - engine.rows.count(most) <= len(plan.shards)
