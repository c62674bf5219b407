"""Damaged images: each is reported, or reads back as planned."""

import functools
import random
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from samples import encoded

import tfds_imagecsv
from tfds_imagecsv.images import convert, formats, stored_form
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import UnusableImageError

OPTIONS = ImageOptions(max_pixels=100_000)
CUTS, FLIPS = 20, 200


def interlaced(pixels):
    """Returns RGB pixels as an interlaced PNG, which Pillow can't write."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.tobytes()
        for top, left, down, right in passes
        for row in pixels[top::down, left::right]
    )
    height, width, _ = pixels.shape
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@functools.cache
def originals():
    """Returns a small picture as each kind of file."""
    y, x = np.mgrid[0:18, 0:21]
    planes = [x * 12, y * 14, (x + y) * 6, 255 - x * 9]
    pixels = np.stack(planes, axis=2).astype(np.uint8)
    pixels[:, 10:] ^= np.random.default_rng(0).integers(0, 64, (18, 11, 4), np.uint8)
    rgba = Image.fromarray(pixels)
    rgb, gray = rgba.convert("RGB"), rgba.convert("L")
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {
        "baseline.jpg": encoded(rgb, "JPEG"),
        "turned.jpg": encoded(rgb, "JPEG", exif=turned),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True),
        "gray.jpg": encoded(gray, "JPEG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "restarts.jpg": encoded(rgb, "JPEG", restart_marker_blocks=1),
        "rgb.jpg": encoded(rgb, "JPEG", keep_rgb=True),
        "mpo.jpg": encoded(rgb, "MPO", save_all=True, append_images=[rgb]),
        "rgb.png": encoded(rgb, "PNG"),
        "gray.png": encoded(gray, "PNG"),
        "palette.png": encoded(rgb.quantize(16), "PNG"),
        "rgba.png": encoded(rgba, "PNG"),
        "interlaced.png": interlaced(pixels[..., :3]),
        "a.gif": encoded(rgb, "GIF"),
        "a.bmp": encoded(rgb, "BMP"),
        "a.webp": encoded(rgb, "WEBP"),
        "lossless.webp": encoded(rgba, "WEBP", lossless=True),
        "a.tiff": encoded(rgb, "TIFF"),
        "lzw.tiff": encoded(rgb, "TIFF", compression="tiff_lzw", exif=turned),
    }
    if "AVIF" in Image.SAVE:
        files["a.avif"] = encoded(rgb, "AVIF")
    return files


@functools.cache
def damaged():
    """Returns damaged files, by a name that says how they were damaged."""
    files = {}
    for name, content in originals().items():
        draw = random.Random(name)
        stem, _, extension = name.rpartition(".")
        for at in range(CUTS):
            length = len(content) * at // CUTS
            files[f"{stem}_cut_{length}.{extension}"] = content[:length]
        for number in range(FLIPS):
            # Headers are short, and matter most.
            end = len(content) if number % 2 else min(200, len(content))
            at, bits = draw.randrange(end), draw.randrange(1, 256)
            flipped = bytearray(content)
            flipped[at] ^= bits
            files[f"{stem}_flip_{at}_{bits}.{extension}"] = bytes(flipped)
        files[f"{stem}_longer_2.{extension}"] = content + b"\0\0"
        files[f"{stem}_shorter_1.{extension}"] = content[:-1]
        files[f"{stem}_html.{extension}"] = b"<!DOCTYPE html><title>404</title>"
        files[f"{stem}_text.{extension}"] = b"No such image. " * 50
        files[f"{stem}_zeros.{extension}"] = bytes(len(content))
    return files


def stored(content):
    """Returns the stored bytes of a file, and their planned shape, or None.

    None stands for a reported file.
    """
    try:
        facts = formats.read_facts(content, max_pixels=OPTIONS.max_pixels, decode=True)
        stored_form.check(facts, OPTIONS)
    except UnusableImageError:
        return None
    plan = stored_form.stored_as(facts, OPTIONS)
    if plan.conversion:
        content = convert.convert(content, facts, OPTIONS)
    return content, (plan.stored_height, plan.stored_width, 3)


def is_read(content, shape):
    """Returns whether both of TFDS's decoders give a picture of a shape."""
    try:
        pixels = tf.image.decode_image(content, channels=3)
    except tf.errors.InvalidArgumentError:
        return False
    by_opencv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return (
        tuple(pixels.shape) == shape
        and by_opencv is not None
        and by_opencv.shape[:2] == shape[:2]
    )


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Keeps OpenCV from logging each file that it can't read."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    yield
    cv2.utils.logging.setLogLevel(level)


@pytest.mark.parametrize("name", originals())
def test_the_whole_files_are_read(name):
    """The files that are damaged below are sound at first."""
    assert is_read(*stored(originals()[name]))


@pytest.mark.parametrize("name", originals())
def test_each_damaged_file_is_reported_or_read(name):
    """Law 5: TensorFlow and OpenCV can read what is written."""
    stem, _, extension = name.rpartition(".")
    reported, not_read = 0, []
    for damaged_name, content in damaged().items():
        is_of_this = damaged_name.startswith(f"{stem}_")
        if not is_of_this or not damaged_name.endswith(f".{extension}"):
            continue
        found = stored(content)
        if found is None:
            reported += 1
        elif not is_read(*found):
            not_read.append(damaged_name)
    assert not_read == []
    assert reported >= CUTS // 2


@pytest.mark.parametrize("name", originals())
def test_a_damaged_file_is_not_mistaken_without_pillow(name):
    """Both say the same, or the file is reported."""
    stem, _, extension = name.rpartition(".")
    for damaged_name, content in damaged().items():
        is_of_this = damaged_name.startswith(f"{stem}_")
        if not is_of_this or not damaged_name.endswith(f".{extension}"):
            continue
        plain = formats._plain_facts(content)
        if plain is None:
            continue
        try:
            with formats.opened(content, max_pixels=OPTIONS.max_pixels) as image:
                expected = formats._facts(image, content)
        except Exception:
            assert stored(content) is None, damaged_name
        else:
            assert plain == expected, damaged_name


@pytest.mark.parametrize("name", originals())
def test_cut_files_are_reported(name):
    """A file that has lost half of its bytes doesn't pass."""
    content = originals()[name]
    # Another picture follows the first one of an MPO.
    end = content.index(b"\xff\xd9") if name == "mpo.jpg" else len(content)
    assert stored(content[: end // 2]) is None
    assert stored(content[:1]) is None
    assert stored(b"") is None


@pytest.mark.parametrize("name", [name for name in originals() if name.endswith("png")])
def test_a_png_with_a_wrong_byte_is_reported(name):
    """Checksums cover all its bytes except the lengths."""
    content = originals()[name]
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 0x10
        assert stored(bytes(flipped)) is None, at


def test_a_build_of_all_damaged_files(tmp_path, write_csv, make_builder):
    """With `on_error="skip"`, the rest reads back whole, and the others are listed."""
    image_dir = tmp_path / "images"
    image_dir.mkdir()
    files = originals() | damaged()
    for name, content in files.items():
        (image_dir / name).write_bytes(content)
    rows = [(name, name.replace(".", "_").split("_")[0]) for name in files]
    write_csv(tmp_path / "labels.csv", rows)
    config = tfds_imagecsv.ImageCsvConfig(
        name="damaged",
        image_dir=image_dir,
        label_csv=tmp_path / "labels.csv",
        max_pixels=OPTIONS.max_pixels,
        on_error="skip",
        max_rejected=1,
    )
    builder = make_builder(config)
    with pytest.warns(tfds_imagecsv.ImageCsvWarning):
        builder.download_and_prepare()
    read = {}
    for examples in builder.as_dataset().values():
        for example in tfds.as_numpy(examples):
            name = example["image/filename"].decode()
            read[name] = example["image"].shape
            assert example["image"].shape == (
                example["image/height"],
                example["image/width"],
                3,
            )
    expected = {name: found[1] for name in files if (found := stored(files[name]))}
    assert set(originals()) <= set(read)
    assert read == expected
    rejected = (builder.data_path / "rejected_rows.csv").read_text().splitlines()
    assert len(rejected) - 1 == len(files) - len(read)
