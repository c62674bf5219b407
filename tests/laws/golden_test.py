"""Law 3 over time: a new version of this package writes the records of the old one.

`golden.json` has the digests of small datasets that an earlier version wrote. Files
stored unchanged give the same shards everywhere, so the shards are digested.
The bytes of converted images depend on the versions of Pillow and TensorFlow, so their
records are digested with pixels instead of files.

To renew it after an intended change: `python tests/laws/golden_test.py`.
"""

import csv
import hashlib
import json
import pathlib
import struct
import tempfile
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

import tfds_imagecsv

GOLDEN = pathlib.Path(__file__).with_name("golden.json")
DUMMY_DATA = pathlib.Path(__file__).parents[2] / "dummy_data"


def png(pixels):
    """Returns pixels (uint8 or uint16, height x width x channels) as a PNG.

    It isn't compressed: its bytes don't depend on the version of zlib.
    """
    height, width, channels = pixels.shape
    depth = 8 * pixels.itemsize
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
    # A stored block of DEFLATE has up to 65,535 bytes.
    assert len(rows) < 65_536
    stored = struct.pack("<BHH", 1, len(rows), len(rows) ^ 0xFFFF) + rows
    data = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def noise(at, *, channels=3, dtype=np.uint8):
    """Returns the pixels of image number `at`."""
    height, width = 5 + at % 7, 4 + at % 5
    size = height * width * channels * np.dtype(dtype).itemsize
    content = hashlib.shake_128(f"image {at}".encode()).digest(size)
    return np.frombuffer(content, dtype).reshape(height, width, channels)


def write(folder, rows, contents, header):
    """Writes images, and their table; returns the fields of the config."""
    (folder / "images" / "in").mkdir(parents=True)
    for (name, *_), content in zip(rows, contents, strict=True):
        (folder / "images" / name).write_bytes(content)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return {
        "name": "golden",
        "image_dir": folder / "images",
        "label_csv": folder / "labels.csv",
    }


def name_of(at):
    """Returns the name of file number `at`."""
    return f"{'in/' if at % 3 else ''}{at * 7919 % 1000}_ä{at}.png"


def as_it_is(folder):
    """Two shards a split, gray and RGB, all splits."""
    rows = [(name_of(at), f"class {at % 4}") for at in range(80)]
    contents = [png(noise(at, channels=1 + at % 2 * 2)) for at in range(80)]
    return write(folder, rows, contents, ("file", "label")), {"num_shards": 2}


def grouped(folder):
    """Groups, copies, given splits, another seed and sizes as counts."""
    rows = []
    for at in range(90):
        group = f"g{at // 4}" if at % 3 else ""
        given = "test" if at in (80, 81) else ""
        rows.append((name_of(at), f"class {at * at % 3}", group, given))
    contents = [png(noise(at if at % 10 else 0)) for at in range(90)]
    for at in range(0, 90, 10):
        rows[at] = (rows[at][0], "class 0", "", "")
    fields = write(folder, rows, contents, ("file", "label", "group", "split"))
    columns = {"group_column": "group", "split_column": "split"}
    return {**fields, **columns, "seed": 7, "val_size": 12, "test_size": 0.2}, {}


def multilabel(folder):
    """Several labels per image, and extra columns of all types."""
    rows = []
    for at in range(60):
        names = [f"tag {tag}" for tag in range(4) if at * 37 % 11 >> tag & 1]
        extra = (at % 2, at - 9, at / 8, f"site {at % 3}")
        rows.append((name_of(at), "|".join(names) or "|", *extra))
    contents = [png(noise(at)) for at in range(60)]
    header = ("file", "tags", "bit", "count", "weight", "site")
    fields = {
        **write(folder, rows, contents, header),
        "label_type": "multilabel",
        "label_delimiter": "|",
        "extra_columns": {
            "bit": "bool",
            "count": "int32",
            "weight": "float64",
            "site": "string",
        },
    }
    return fields, {}


def regression(folder):
    """Two numbers per image, in folds."""
    rows = [(name_of(at), at / 4, at * at % 50) for at in range(90)]
    contents = [png(noise(at)) for at in range(90)]
    fields = {
        **write(folder, rows, contents, ("file", "x", "y")),
        "label_type": "regression",
        "label_column": ["x", "y"],
        "folds": 3,
    }
    return fields, {}


def deep(folder):
    """16 bits a channel, kept."""
    rows = [(name_of(at), f"class {at % 2}") for at in range(40)]
    contents = [
        png(noise(at, channels=1 + at % 2 * 2, dtype=np.uint16)) for at in range(40)
    ]
    fields = write(folder, rows, contents, ("file", "label"))
    return {**fields, "dtype": "uint16"}, {}


def converted(folder):
    """Alpha on a background, palettes, GIF, 16 bits cut to 8, among plain ones."""
    rows = [(name_of(at), f"class {at % 2}") for at in range(60)]
    contents = []
    for at in range(60):
        kind = at % 5
        if kind == 0:
            contents.append(png(noise(at, channels=4)))
        elif kind == 1:
            contents.append(png(noise(at, dtype=np.uint16)))
        elif kind == 2:
            contents.append(gif(noise(at, channels=1)))
        elif kind == 3:
            contents.append(bmp(noise(at, channels=1)))
        else:
            contents.append(png(noise(at)))
    fields = write(folder, rows, contents, ("file", "label"))
    return {**fields, "background": "#204060"}, {}


def gif(pixels):
    """Returns gray pixels as a GIF, by Pillow; only its pixels count."""
    return _saved(Image.fromarray(pixels[..., 0]), "GIF")


def bmp(pixels):
    """Returns gray pixels as a BMP with a palette, by Pillow; only its pixels count."""
    return _saved(Image.fromarray(pixels[..., 0]), "BMP")


def _saved(image, image_format):
    with tempfile.TemporaryFile() as file:
        image.save(file, image_format)
        file.seek(0)
        return file.read()


def cifar10(folder):
    """The dummy data."""
    return "cifar10", {"manual_dir": DUMMY_DATA}


def boxes(folder):
    """Zero to three boxes per image, with extra columns."""
    rows, contents = [], []
    for at in range(60):
        count = at * 37 % 11 % 4
        for number in range(count):
            box = (number / 8, at % 3 / 4, (number + 3) / 8, 0.75)
            rows.append((name_of(at), f"kind {at % 3}", *box, number, at / 7))
        if not count:
            rows.append((name_of(at), *[""] * 7))
        contents += [png(noise(at))] * max(count, 1)
    header = ("file", "class", "xmin", "ymin", "xmax", "ymax", "number", "score")
    fields = {
        **write(folder, rows, contents, header),
        "label_type": "boxes",
        "extra_columns": {"number": "int64", "score": "float32"},
    }
    return fields, {}


DATASETS = (
    cifar10,
    as_it_is,
    grouped,
    multilabel,
    boxes,
    regression,
    deep,
    converted,
)


def built(make, folder):
    """Builds a dataset; returns its builder."""
    config, download_config = make(folder)
    if isinstance(config, dict):
        config = tfds_imagecsv.ImageCsvConfig(**config)
    builder = tfds.builder("image_csv", config=config, data_dir=folder / "data")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**download_config)
    )
    return builder


def digests(builder):
    """Returns the digests of a dataset: of shards or records, and of the manifest."""
    manifest = (builder.data_path / "split_manifest.csv").read_text("utf-8")
    if builder.info.metadata["conversions"]:
        # The last column is the digest of the file.
        manifest = "\n".join(line.rpartition(",")[0] for line in manifest.splitlines())
        found = {
            pathlib.Path(path).name: digest_of_pixels(path)
            for split in builder.info.splits.values()
            for path in split.filepaths
        }
    else:
        found = {
            pathlib.Path(path).name: hashlib.sha256(path.read_bytes()).hexdigest()
            for split in builder.info.splits.values()
            for path in split.filepaths
        }
    found["split_manifest.csv"] = hashlib.sha256(manifest.encode()).hexdigest()
    return found


def digest_of_pixels(path):
    """Returns the digest of a shard's records, with pixels instead of files."""
    digest = hashlib.sha256()
    for record in tf.data.TFRecordDataset([str(path)]):
        example = tf.train.Example.FromString(record.numpy())
        image = example.features.feature["image"].bytes_list
        pixels = tf.io.decode_image(image.value[0]).numpy()
        image.value[0] = repr(pixels.shape).encode() + pixels.tobytes()
        for name in sorted(example.features.feature):
            feature = example.features.feature[name]
            digest.update(name.encode() + feature.SerializeToString())
    return digest.hexdigest()


@pytest.mark.parametrize("make", DATASETS, ids=lambda make: make.__name__)
def test_the_records_are_those_of_earlier_versions(make, tmp_path):
    """So are their order, their splits, and the bounds of the shards."""
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert digests(built(make, tmp_path)) == golden[make.__name__]


def renew():
    """Writes `golden.json` anew."""
    golden = {}
    for make in DATASETS:
        with tempfile.TemporaryDirectory() as folder:
            golden[make.__name__] = digests(built(make, pathlib.Path(folder)))
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    renew()
