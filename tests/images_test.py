"""What the image files are, by their headers."""

import hashlib
import io
import os
import struct
import zlib

import pandas as pd
import pytest
import tensorflow as tf
from etils import epath
from etils.epath import backend
from PIL import Image

from tfds_imagecsv import images
from tfds_imagecsv.problems import Kind


@pytest.fixture
def image_dir(tmp_path):
    """An image directory beside which there can be other files."""
    path = tmp_path / "images"
    path.mkdir()
    return path


def inspect(image_dir, *keys):
    """Inspects the images of a table whose rows are numbered 2, 3, 4, ..."""
    rows = pd.DataFrame({"row": range(2, 2 + len(keys)), "key": keys, "label": "cat"})
    return images.inspect_images(epath.Path(image_dir), rows)


def problem_of(image_dir, key):
    """Returns the kind and the detail of an image's problem."""
    table = inspect(image_dir, key)
    assert table.rows.empty
    (problem,) = table.problems
    assert problem.row == 2
    return problem.kind, problem.detail


def encoded(image_format, *, mode="RGB", size=(7, 5), **kwargs):
    """Returns an image file's bytes."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, image_format, **kwargs)
    return file.getvalue()


def test_facts_from_the_headers(image_dir):
    """Format, height and width, whatever the file's name; the columns are kept."""
    (image_dir / "a.png").write_bytes(encoded("PNG", size=(7, 5)))
    (image_dir / "b.JPG").write_bytes(encoded("JPEG", size=(3, 1000)))
    (image_dir / "c.bmp").write_bytes(encoded("BMP", size=(1, 2)))
    (image_dir / "d").write_bytes(encoded("PNG", mode="L"))
    (image_dir / "e.png").write_bytes(encoded("JPEG", mode="L"))
    (image_dir / "f.jpg").write_bytes(encoded("JPEG", progressive=True))
    table = inspect(image_dir, "a.png", "b.JPG", "c.bmp", "d", "e.png", "f.jpg")
    assert table.problems == ()
    files = ("a.png", "b.JPG", "c.bmp", "d", "e.png", "f.jpg")
    assert table.rows.to_dict("list") == {
        "row": [2, 3, 4, 5, 6, 7],
        "key": ["a.png", "b.JPG", "c.bmp", "d", "e.png", "f.jpg"],
        "label": ["cat"] * 6,
        "format": ["PNG", "JPEG", "BMP", "PNG", "JPEG", "JPEG"],
        "height": [5, 1000, 2, 5, 5, 5],
        "width": [7, 3, 1, 7, 7, 7],
        "digest": [
            hashlib.sha256((image_dir / file).read_bytes()).hexdigest()
            for file in files
        ],
    }
    assert table.rows["height"].dtype == table.rows["width"].dtype == "int64"


def test_pixels_are_not_read(image_dir):
    """A header is enough: an image that ends behind it has its facts."""
    data = encoded("PNG", size=(7, 5))
    (image_dir / "a.png").write_bytes(data[: data.index(b"IDAT") + 4])
    assert inspect(image_dir, "a.png").rows["width"].tolist() == [7]


def test_a_photo_of_a_phone_with_a_preview_is_a_jpeg(image_dir):
    """Pillow calls a JPEG file with more images behind it MPO; TensorFlow reads it."""
    preview = Image.new("RGB", (2, 2))
    data = encoded("MPO", save_all=True, append_images=[preview])
    assert data.startswith(b"\xff\xd8\xff")
    (image_dir / "a.jpg").write_bytes(data)
    table = inspect(image_dir, "a.jpg")
    assert table.problems == ()
    assert table.rows["format"].tolist() == ["JPEG"]


def test_nested_folders(image_dir, write_png):
    """Keys have `/` between folders."""
    write_png(image_dir / "a" / "b" / "c.png")
    assert inspect(image_dir, "a/b/c.png").rows["key"].tolist() == ["a/b/c.png"]


def test_good_and_bad_images_are_told_apart(image_dir, write_png):
    """The rows keep their order, their numbers and a new index."""
    for name in ("a.png", "c.png", "e.png"):
        write_png(image_dir / name, width=ord(name[0]))
    (image_dir / "d.png").touch()
    table = inspect(image_dir, "e.png", "d.png", "c.png", "b.png", "a.png")
    assert table.rows["row"].tolist() == [2, 4, 6]
    assert table.rows["key"].tolist() == ["e.png", "c.png", "a.png"]
    assert table.rows["width"].tolist() == [ord("e"), ord("c"), ord("a")]
    assert table.rows.index.tolist() == [0, 1, 2]
    assert [(p.kind, p.row, p.detail) for p in table.problems] == [
        (Kind.UNREADABLE, 3, "'d.png' isn't an image"),
        (Kind.MISSING, 5, "'b.png'"),
    ]


@pytest.mark.parametrize(
    "key", ["none.png", "none/a.png", "a.png/b.png", "A.PNG", "a.png.png", "a"]
)
def test_a_missing_image(image_dir, write_png, key):
    """Neither case nor extension are guessed."""
    write_png(image_dir / "a.png")
    assert problem_of(image_dir, key) == (Kind.MISSING, repr(key))


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "'x.png' isn't an image"),
        (b"<!DOCTYPE html><title>404</title>", "'x.png' isn't an image"),
        (b"filename,label\n", "'x.png' isn't an image"),
        (encoded("PNG")[:8], "'x.png' isn't an image"),
        (encoded("PNG")[:20], "'x.png': Truncated File Read"),
        (encoded("JPEG")[:2], "'x.png' isn't an image"),
        (encoded("JPEG")[:30], "'x.png': Truncated File Read"),
        (encoded("BMP")[:10], "'x.png' isn't an image"),
        (encoded("BMP")[:20], "'x.png': Truncated File Read"),
    ],
    ids=[
        "empty",
        "HTML",
        "text",
        "PNG, 8 bytes",
        "PNG, 20 bytes",
        "JPEG, 2 bytes",
        "JPEG, 30 bytes",
        "BMP, 10 bytes",
        "BMP, 20 bytes",
    ],
)
def test_a_file_that_is_no_image(image_dir, data, detail):
    """A download that failed, or was cut off in the header."""
    (image_dir / "x.png").write_bytes(data)
    assert problem_of(image_dir, "x.png") == (Kind.UNREADABLE, detail)


def test_a_directory_in_place_of_an_image(image_dir):
    """The detail has the system's reason."""
    (image_dir / "x.png").mkdir()
    assert problem_of(image_dir, "x.png") == (
        Kind.UNREADABLE,
        "'x.png': Is a directory",
    )


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("x" * 300, "File name too long"),
        ("a\0b.png", "embedded null byte"),
        ("a\0b/c.png", "embedded null byte"),
    ],
    ids=["long", "zero byte", "zero byte in the folder"],
)
def test_a_file_name_that_the_system_refuses(image_dir, key, reason):
    """The detail has the system's reason."""
    assert problem_of(image_dir, key) == (Kind.UNREADABLE, f"{key!r}: {reason}")


def test_an_image_that_would_fill_the_memory(image_dir):
    """Pillow refuses headers that promise too many pixels."""
    header = b"IHDR" + struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    (image_dir / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + checksum
        # Pillow reads on to the pixels.
        + struct.pack(">I", 0)
        + b"IDAT"
    )
    kind, detail = problem_of(image_dir, "a.png")
    assert kind is Kind.UNREADABLE
    assert detail.startswith("'a.png': Image size (3600000000 pixels) exceeds limit")


@pytest.mark.parametrize(
    ("image_format", "name"),
    [
        ("GIF", "GIF"),
        ("WEBP", "WEBP"),
        ("TIFF", "TIFF"),
        ("PPM", "PPM"),
        ("DIB", "DIB"),
    ],
)
def test_formats_that_tensorflow_cannot_decode_to_an_image(
    image_dir, image_format, name
):
    """They are refused by what they are, not by their names."""
    (image_dir / "x.png").write_bytes(encoded(image_format))
    assert problem_of(image_dir, "x.png") == (Kind.FORMAT, f"'x.png' is {name}")


@pytest.fixture
def outside(tmp_path, write_png):
    """A directory with an image, beside the image directory."""
    # Its name begins like the image directory's.
    path = tmp_path / "images_elsewhere"
    write_png(path / "x.png")
    return path


def test_a_link_to_a_file_outside(image_dir, outside):
    """Law 6: what isn't in the image directory isn't read."""
    (image_dir / "a.png").symlink_to(outside / "x.png")
    assert problem_of(image_dir, "a.png") == (
        Kind.OUTSIDE,
        "'a.png' is a link out of it",
    )


def test_a_link_to_a_folder_outside(image_dir, outside):
    """A folder can lead out as well as a file."""
    (image_dir / "sub").symlink_to(outside)
    assert problem_of(image_dir, "sub/x.png") == (
        Kind.OUTSIDE,
        "'sub/x.png' is a link out of it",
    )


def test_a_chain_of_links_outside(image_dir, outside):
    """The last of several links is the one that counts."""
    (image_dir / "c.png").symlink_to("../images_elsewhere/x.png")
    (image_dir / "b").symlink_to(".")
    (image_dir / "a.png").symlink_to("b/c.png")
    assert problem_of(image_dir, "a.png")[0] is Kind.OUTSIDE


def test_a_link_by_way_of_outside(image_dir, outside, write_png):
    """Where a link ends is what counts, not where it goes through."""
    write_png(image_dir / "x.png")
    (outside / "back").symlink_to(image_dir)
    (image_dir / "a.png").symlink_to(outside / "back" / "x.png")
    assert inspect(image_dir, "a.png").problems == ()


def test_a_link_to_the_image_directory_itself(image_dir):
    """It is a directory, and not out of it."""
    (image_dir / "a.png").symlink_to(image_dir)
    assert problem_of(image_dir, "a.png") == (
        Kind.UNREADABLE,
        "'a.png': Is a directory",
    )


def test_links_inside(image_dir, write_png):
    """Links between the images of the directory are fine."""
    write_png(image_dir / "real" / "x.png", width=9)
    (image_dir / "a.png").symlink_to("real/x.png")
    (image_dir / "folder").symlink_to(image_dir / "real")
    table = inspect(image_dir, "a.png", "folder/x.png")
    assert table.problems == ()
    assert table.rows["width"].tolist() == [9, 9]


def test_a_link_to_nothing(image_dir):
    """A link without a file is an image that is missing."""
    (image_dir / "a.png").symlink_to("none.png")
    assert problem_of(image_dir, "a.png") == (Kind.MISSING, "'a.png'")


def test_a_link_to_itself(image_dir):
    """The detail has the system's reason."""
    (image_dir / "a.png").symlink_to("a.png")
    assert problem_of(image_dir, "a.png") == (
        Kind.UNREADABLE,
        "'a.png': Too many levels of symbolic links",
    )


def test_an_image_directory_that_is_a_link(tmp_path, image_dir, outside, write_png):
    """What counts is where the directory really is."""
    write_png(image_dir / "a.png")
    (image_dir / "b.png").symlink_to(outside / "x.png")
    link = tmp_path / "link"
    link.symlink_to(image_dir)
    assert inspect(link, "a.png").problems == ()
    assert problem_of(link, "b.png")[0] is Kind.OUTSIDE


class RemotePath:
    """What etils makes of a remote path, for TensorFlow's file system in memory."""

    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return self._path

    def __truediv__(self, key):
        return RemotePath(f"{self._path}/{key}")

    def open(self, mode):
        return backend.tf_backend.open(self._path, mode)


def test_a_remote_image_directory(tmp_path, image_dir, outside, monkeypatch):
    """Images are read by way of TensorFlow, and no local links are looked at."""
    # What the remote path would be, if it were taken for a local one.
    (tmp_path / "ram:" / "pets").mkdir(parents=True)
    (tmp_path / "ram:" / "pets" / "images").symlink_to(image_dir)
    (image_dir / "a.png").symlink_to(outside / "x.png")
    monkeypatch.chdir(tmp_path)
    tf.io.gfile.makedirs("ram://pets/images")
    with tf.io.gfile.GFile("ram://pets/images/a.png", "wb") as file:
        file.write(encoded("PNG", size=(7, 5)))
    rows = pd.DataFrame({"row": [2, 3], "key": ["a.png", "b.png"]})
    table = images.inspect_images(RemotePath("ram://pets/images"), rows)
    assert table.rows["key"].tolist() == ["a.png"]
    assert table.rows["width"].tolist() == [7]
    assert [(p.kind, p.detail) for p in table.problems] == [(Kind.MISSING, "'b.png'")]


def test_a_relative_image_directory(tmp_path, image_dir, write_png, monkeypatch):
    """It is relative to the working directory."""
    write_png(image_dir / "a.png")
    monkeypatch.chdir(tmp_path)
    assert inspect("images", "a.png").problems == ()
    monkeypatch.chdir(image_dir)
    assert inspect(".", "a.png").problems == ()


def test_the_root_as_image_directory(image_dir, write_png):
    """Nothing is outside of it."""
    write_png(image_dir / "a.png")
    (image_dir / "b.png").symlink_to("a.png")
    keys = [str(image_dir / name).lstrip("/") for name in ("a.png", "b.png")]
    assert inspect("/", *keys).problems == ()


def test_a_pipe_is_not_waited_for(image_dir):
    """Reading it would never end."""
    os.mkfifo(image_dir / "a.png")
    (problem,) = inspect(image_dir, "a.png").problems
    assert problem.kind is Kind.UNREADABLE
    assert problem.detail == "'a.png' is a device or a pipe"
