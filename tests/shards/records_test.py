"""Records as bytes, and their sizes: what TensorFlow writes and reads."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from tfds_imagecsv.shards import records

# Around each of these, a length or a number takes another byte.
LIMITS = [1 << bits for bits in range(7, 63, 7)]

names = st.text(max_size=200)
ints = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([at + by for at in LIMITS for by in (-1, 0)]),
    st.sampled_from([-(2**63), -1, 0, 127, 128, 2**63 - 1]),
)
texts = st.one_of(
    st.binary(max_size=300),
    # Lengths at which one of the lengths around them takes another byte.
    st.integers(0, 140).map(bytes),
    st.integers(16_200, 16_400).map(bytes),
)
floats = st.floats(width=32)
values = st.one_of(
    ints, texts, floats, st.lists(ints, max_size=9), st.lists(floats, max_size=9)
)
features_of_any_kind = st.dictionaries(names, values, max_size=8)


def proto_of(features):
    """Returns an example as TensorFlow has it."""
    return tf.train.Example(
        features=tf.train.Features(
            feature={name: feature_of(value) for name, value in features.items()}
        )
    )


def feature_of(value):
    """Returns a feature as TensorFlow has it; an empty one is of whole numbers."""
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, float) for number in numbers):
        return tf.train.Feature(float_list=tf.train.FloatList(value=numbers))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=numbers))


@given(features_of_any_kind)
@example({"image": b"", "label": -1})
def test_tensorflow_reads_what_is_serialized(features):
    """The same features, of any name, length and number."""
    found = tf.train.Example.FromString(records.serialize(features))
    # As text, so that NaN equals itself.
    assert str(found) == str(proto_of(features))


@given(st.dictionaries(st.text("abcdef", min_size=3, max_size=3), values))
@example({})
def test_the_bytes_are_those_of_protobuf(features):
    """Byte by byte, unless a name begins another: their orders would differ."""
    expected = proto_of(features).SerializeToString(deterministic=True)
    assert records.serialize(features) == (expected or b"\n\0")


@given(features_of_any_kind)
def test_the_bytes_are_those_of_protobuf_in_another_order(features):
    """For any names, there are as many bytes, and the same entries."""
    expected = proto_of(features).SerializeToString(deterministic=True)
    found = records.serialize(features)
    assert len(found) == len(expected or b"\n\0")
    assert sorted(entries_of(found)) == sorted(
        entry
        for name, value in features.items()
        for entry in entries_of(proto_of({name: value}).SerializeToString())
    )


def entries_of(record):
    """Returns the entries of the map of a record, as bytes."""
    length, at = varint_at(record, 1)
    assert at + length == len(record)
    found = []
    while at < len(record):
        length, start = varint_at(record, at + 1)
        found.append(record[at : start + length])
        at = start + length
    return found


def varint_at(data, at):
    """Returns the number at a place, and the place after it."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


@given(features_of_any_kind, st.randoms())
def test_the_order_of_the_features_does_not_matter(features, rng):
    """Law 3: they are sorted by name."""
    items = list(features.items())
    rng.shuffle(items)
    assert records.serialize(dict(items)) == records.serialize(features)


def test_the_order_is_that_of_code_points():
    """A name comes before those that begin with it."""
    features = {"image/width": 5, "label": 0, "image": b"x", "image/height": 4}
    entries = entries_of(records.serialize(features))
    assert [entry[4 : 4 + entry[3]] for entry in entries] == [
        b"image",
        b"image/height",
        b"image/width",
        b"label",
    ]


def sizes_of(features):
    """Returns what `serialized_sizes` is given for features."""
    return {name: records.value_sizes([value]) for name, value in features.items()}


@given(features_of_any_kind.filter(bool))
def test_sizes_are_known_before(features):
    """They are those of the records, for any names and values."""
    sizes = records.serialized_sizes(sizes_of(features))
    assert sizes.tolist() == [len(records.serialize(features))]
    assert sizes.dtype == np.int64


@pytest.mark.parametrize("limit", [1 << 7, 1 << 14, 1 << 21])
def test_sizes_around_the_limits_of_lengths(limit):
    """Each of the nested lengths takes another byte at a size of its own."""
    lengths = np.arange(limit - 120, limit + 20)
    assert len(lengths) > 100
    sizes = records.serialized_sizes({"image": lengths, "label": 1})
    found = [
        len(records.serialize({"image": bytes(length), "label": 7}))
        for length in lengths.tolist()
    ]
    assert sizes.tolist() == found
    # From the length of the list to that of the whole, five cross the limit.
    assert (np.diff(found) - 1).sum() == 5
    assert set(np.diff(found)) <= {1, 2, 3}


@pytest.mark.parametrize("class_id", [-1, 0, 127, 128, 16_383, 16_384])
def test_sizes_of_class_ids(class_id):
    """Unlabelled examples have -1, which takes ten bytes."""
    features = {"image": b"x" * 100, "label": class_id}
    sizes = records.serialized_sizes(sizes_of(features))
    assert sizes.tolist() == [len(proto_of(features).SerializeToString())]


def test_sizes_of_many_examples():
    """One number is for all examples, an array has one for each."""
    lengths = np.array([0, 1, 127, 128, 70_000])
    sizes = records.serialized_sizes({"a": lengths, "b": 3, "c": lengths[::-1]})
    assert sizes.tolist() == [
        len(records.serialize({"a": bytes(a), "b": b"abc", "c": bytes(c)}))
        for a, c in zip(lengths.tolist(), lengths[::-1].tolist(), strict=True)
    ]


@given(st.lists(ints))
def test_sizes_of_numbers(values):
    """A byte for each 7 bits, and ten bytes for negative numbers."""
    found = records.varint_sizes(np.array(values, np.int64))
    assert found.tolist() == [
        10 if value < 0 else max(1, -(-value.bit_length() // 7)) for value in values
    ]
    assert found.dtype == np.int64


def test_sizes_of_numbers_keep_their_shape():
    """There is one for each number, in its place."""
    found = records.varint_sizes(np.array([[0, 127], [128, -1]]))
    assert found.tolist() == [[1, 1], [2, 10]]


@given(st.lists(st.one_of(texts, st.just(bytes(range(256)) * 300))))
def test_frames_are_those_of_tensorflow(tmp_path_factory, contents):
    """Lengths and checksums of any records, one after the other."""
    path = tmp_path_factory.mktemp("records") / "file"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    framed = [b"".join(records.frame(content)) for content in contents]
    assert b"".join(framed) == path.read_bytes()
    assert [len(frame) for frame in framed] == [
        records.FRAME_SIZE + len(content) for content in contents
    ]
