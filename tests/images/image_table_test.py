"""What the image files are, by their headers."""

import faulthandler
import io
import os
import pathlib
import struct
import threading
import zlib

import processes
import pytest
import samples
import tensorflow as tf
import walk
from etils import epath
from etils.epath import backend
from PIL import Image, ImageFile

import tfds_imagecsv
from tfds_imagecsv import arrays
from tfds_imagecsv.engines import local
from tfds_imagecsv.engines.engine import Chunk
from tfds_imagecsv.images import image_table, listing
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind
from tfds_imagecsv.shards import examples, shard_plan
from tfds_imagecsv.sources.listing import list_files
from tfds_imagecsv.storage import files


@pytest.fixture
def image_dir(tmp_path):
    """An image directory beside which there can be other files."""
    path = tmp_path / "images"
    path.mkdir()
    return path


def inspect(image_dir, *keys, engine=None, converted_dir=None, **options):
    """Inspects the images of a table whose rows are numbered 2, 3, 4, ..."""
    rows = walk.batch(row=range(2, 2 + len(keys)), key=keys, label="cat")
    return image_table.inspect_images(
        epath.Path(image_dir),
        rows,
        ImageOptions(**options),
        engine=engine or local.LocalEngine(workers=1),
        converted_dir=converted_dir,
    )


@pytest.fixture
def converted_dir(tmp_path):
    """A directory for converted images."""
    return epath.Path(tmp_path) / "converted"


def read_stored(image_dir, rows):
    """Returns the bytes that are stored for inspected images."""
    columns = shard_plan.as_examples(rows).to_pydict()
    chunk = Chunk((os.fspath(image_dir),), columns)
    return [example["image"] for example in examples.examples(chunk)]


def problem_of(image_dir, key):
    """Returns the kind and the detail of an image's problem."""
    table = inspect(image_dir, key)
    assert not len(table.rows)
    (problem,) = table.problems
    assert problem.row == 2
    return problem.kind, problem.detail


def encoded(image_format, *, mode="RGB", size=(7, 5), **kwargs):
    """Returns an image file's bytes."""
    return samples.encoded(Image.new(mode, size), image_format, **kwargs)


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
    names = ("a.png", "b.JPG", "c.bmp", "d", "e.png", "f.jpg")
    found = walk.frame(table.rows).to_dict("list")
    expected = {
        "row": [2, 3, 4, 5, 6, 7],
        "key": ["a.png", "b.JPG", "c.bmp", "d", "e.png", "f.jpg"],
        "label": ["cat"] * 6,
        "format": ["PNG", "JPEG", "BMP", "PNG", "JPEG", "JPEG"],
        "height": [5, 1000, 2, 5, 5, 5],
        "width": [7, 3, 1, 7, 7, 7],
        "digest": [
            files.digest_of((image_dir / name).read_bytes()).hex() for name in names
        ],
        "channels": [3, 3, 3, 1, 1, 3],
        "depth": [8] * 6,
        "orientation": [1] * 6,
        "frames": [1] * 6,
        "size": [(image_dir / name).stat().st_size for name in names],
        "modified": [(image_dir / name).stat().st_mtime_ns for name in names],
        "stored_height": [5, 1000, 2, 5, 5, 5],
        "stored_width": [7, 3, 1, 7, 7, 7],
        "conversion": [""] * 6,
    }
    assert {name: found[name] for name in expected} == expected
    assert (
        walk.frame(table.rows)["height"].dtype
        == walk.frame(table.rows)["width"].dtype
        == "int64"
    )


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (b"", "99aa06d3014798d86001c324468d497f"),
        (b"a", "a96faf705af16834e6c632b61e964e1f"),
    ],
)
def test_the_digest_is_that_of_xxhsum(content, digest):
    """Manifests of all builds have the same; these are what `xxhsum -H128` prints."""
    assert files.digest_of(content).hex() == digest


def test_pixels_are_read_unless_the_header_is_enough(image_dir):
    """An image that ends after its header has its facts, and no picture."""
    data = encoded("PNG", size=(7, 5))
    (image_dir / "a.png").write_bytes(data[: data.index(b"IDAT") + 4])
    table = inspect(image_dir, "a.png", verify="header")
    assert walk.frame(table.rows)["width"].tolist() == [7]
    assert problem_of(image_dir, "a.png")[0] is Kind.UNREADABLE


def test_workers_change_nothing(image_dir, write_png):
    """The table is the same from this process and from others."""
    keys = [f"{at:03}.png" for at in range(150)]
    for key in keys:
        write_png(image_dir / key)
    (image_dir / "077.png").write_bytes(b"")
    alone = inspect(image_dir, *keys)
    with local.LocalEngine(workers=3, patience=0) as engine:
        together = inspect(image_dir, *keys, engine=engine)
    assert walk.frame(alone.rows).equals(walk.frame(together.rows))
    assert alone.problems == together.problems
    assert len(alone.rows) == 149


def test_what_others_set_in_pillow_does_not_matter(image_dir, write_png, monkeypatch):
    """TFDS lets Pillow accept cut-off images once it has shown one."""
    write_png(image_dir / "a.png", width=50)
    data = (image_dir / "a.png").read_bytes()
    (image_dir / "a.png").write_bytes(data[: len(data) // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert problem_of(image_dir, "a.png")[0] is Kind.UNREADABLE
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert Image.MAX_IMAGE_PIXELS == 1


def test_images_that_no_row_names(image_dir, write_png):
    """In all folders, but neither hidden ones nor other files."""
    for name in ("a.png", "b/c.JPG", "b/d.png", ".hidden/e.png", ".f.png", "g.txt"):
        write_png(image_dir / name)
    files = list_files(epath.Path(image_dir))
    found = listing.unlisted_images(files, arrays.texts(["b/d.png"]), ["x.png"])
    assert found == ("a.png", "b/c.JPG")


def test_a_photo_of_a_phone_with_a_preview_is_a_jpeg(image_dir):
    """Pillow calls a JPEG file with more images after it MPO; TensorFlow reads it."""
    preview = Image.new("RGB", (2, 2))
    data = encoded("MPO", save_all=True, append_images=[preview])
    assert data.startswith(b"\xff\xd8\xff")
    (image_dir / "a.jpg").write_bytes(data)
    table = inspect(image_dir, "a.jpg")
    assert table.problems == ()
    assert walk.frame(table.rows)["format"].tolist() == ["JPEG"]


def test_nested_folders(image_dir, write_png):
    """Keys have `/` between folders."""
    write_png(image_dir / "a" / "b" / "c.png")
    assert inspect(image_dir, "a/b/c.png").rows["key"].to_pylist() == ["a/b/c.png"]


def test_good_and_bad_images_are_told_apart(image_dir, write_png):
    """The rows keep their order, their numbers and a new index."""
    for name in ("a.png", "c.png", "e.png"):
        write_png(image_dir / name, width=ord(name[0]))
    (image_dir / "d.png").touch()
    table = inspect(image_dir, "e.png", "d.png", "c.png", "b.png", "a.png")
    assert walk.frame(table.rows)["row"].tolist() == [2, 4, 6]
    assert walk.frame(table.rows)["key"].tolist() == ["e.png", "c.png", "a.png"]
    assert walk.frame(table.rows)["width"].tolist() == [ord("e"), ord("c"), ord("a")]
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
    """A header that promises too many pixels is believed, and refused."""
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
    assert kind is Kind.TOO_LARGE
    assert detail == "'a.png' has 60,000 x 60,000 = 3,600,000,000 pixels"


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF", "PPM", "AVIF"])
def test_formats_that_tensorflow_cannot_decode_are_converted(
    image_dir, converted_dir, image_format
):
    """They are known by what they are, not by their names."""
    (image_dir / "x.png").write_bytes(encoded(image_format))
    table = inspect(image_dir, "x.png", converted_dir=converted_dir)
    assert table.problems == ()
    (row,) = walk.frame(table.rows).itertuples()
    assert row.format == image_format
    assert f"format {image_format}" in row.conversion
    assert listing.count_other_extensions(table.rows) == 1
    (stored,) = read_stored(image_dir, table.rows)
    assert tf.image.decode_image(stored, channels=3).shape == (5, 7, 3)


def test_a_file_that_changes_during_the_build(image_dir, write_png):
    """It isn't what was inspected any more."""
    write_png(image_dir / "x.png")
    rows = inspect(image_dir, "x.png").rows
    write_png(image_dir / "x.png", seed=1)  # as large as before
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as raised:
        read_stored(image_dir, rows)
    assert str(raised.value) == (
        "Image that can't be read: row 2: 'x.png' has changed during the build. Replace"
        " or remove the image."
    )
    (image_dir / "x.png").unlink()
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as raised:
        read_stored(image_dir, rows)
    assert str(raised.value) == (
        "Image not found: row 2: 'x.png'. Check image_dir, filename_column and"
        " filename_suffix, or remove the rows."
    )


def grow(path):
    """Appends to a file."""
    path.write_bytes(path.read_bytes() + b"more")


def cut(path):
    """Cuts off a file's end."""
    path.write_bytes(path.read_bytes()[:-1])


def make_pipe(path):
    """Puts a pipe in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def make_folder(path):
    """Puts a directory in the place of a file."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (grow, " has changed during the build"),
        (cut, " has changed during the build"),
        (make_pipe, " has changed during the build"),
        (make_folder, ": Is a directory"),
    ],
)
def test_what_takes_the_place_of_a_file_during_the_build(
    image_dir, write_png, change, detail
):
    """Nothing but the file that was inspected is stored."""
    write_png(image_dir / "x.png")
    rows = inspect(image_dir, "x.png").rows
    change(image_dir / "x.png")
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as raised:
        read_stored(image_dir, rows)
    assert f"row 2: 'x.png'{detail}. " in str(raised.value)


# Converting


@pytest.mark.parametrize("verify", ["decode", "header"])
def test_a_damaged_image_is_found_where_it_is_converted(
    image_dir, converted_dir, verify
):
    """It is a problem like any other, also if only headers are read."""
    data = encoded("PNG", mode="RGBA")
    (image_dir / "a.png").write_bytes(data)
    (image_dir / "x.png").write_bytes(data[: data.index(b"IDAT") + 4])
    keys = "x.png", "a.png"
    table = inspect(image_dir, *keys, converted_dir=converted_dir, verify=verify)
    (problem,) = table.problems
    assert (problem.kind, problem.row) == (Kind.UNREADABLE, 2)
    assert list(table.unusable) == ["x.png"]
    assert walk.frame(table.rows)["key"].tolist() == ["a.png"]
    (stored,) = read_stored(image_dir, table.rows)
    assert len(stored) == walk.frame(table.rows)["stored_size"][0]


def test_a_jpeg_with_a_wrong_end_is_found_where_it_is_converted(
    image_dir, converted_dir
):
    """Law 6: what Pillow doesn't look at is checked there, too."""
    data = encoded("JPEG", mode="RGB", size=(40, 30), exif=samples.exif(6))
    (image_dir / "x.jpg").write_bytes(data[:-2])
    found = [
        len(inspect(image_dir, "x.jpg", converted_dir=folder).problems)
        for folder in (None, converted_dir)
    ]
    assert found == [1, 1]


def test_nothing_is_converted_without_a_directory(image_dir):
    """As for `check`: what is stored isn't known."""
    (image_dir / "a.png").write_bytes(encoded("PNG"))
    (image_dir / "b.webp").write_bytes(encoded("WEBP"))
    rows = inspect(image_dir, "a.png", "b.webp").rows
    assert not {"stored_file", "stored_offset", "stored_size"} & {*rows.schema.names}


def test_no_file_is_made_for_images_that_need_none(image_dir, write_png, converted_dir):
    """Most datasets have none to convert."""
    write_png(image_dir / "a.png")
    inspect(image_dir, "a.png", converted_dir=converted_dir)
    assert list(converted_dir.iterdir()) == []


def test_workers_change_nothing_in_what_is_converted(image_dir, tmp_path):
    """Law 3: the files of converted images are the same, by any number of workers."""
    keys = [f"{at:03}.webp" for at in range(100)]
    for at, key in enumerate(keys):
        image = Image.fromarray(samples.noise(9, 9 + at, 3, seed=at))
        (image_dir / key).write_bytes(samples.encoded(image, "WEBP"))
    (image_dir / "077.webp").write_bytes(b"")
    found = []
    for workers in (1, 3):
        folder = epath.Path(tmp_path) / f"{workers}"
        with local.LocalEngine(workers, patience=0) as engine:
            rows = inspect(image_dir, *keys, engine=engine, converted_dir=folder).rows
            rows = walk.frame(rows)
        assert len(rows) == 99
        places = rows["stored_file"].map(os.path.basename), rows["stored_offset"]
        files_of = {path.name: path.read_bytes() for path in folder.iterdir()}
        found.append((list(zip(*places, strict=True)), files_of))
        assert sum(map(len, files_of.values())) == rows["stored_size"].sum()
        for (name, at), size in zip(found[-1][0], rows["stored_size"], strict=True):
            with Image.open(io.BytesIO(files_of[name][at : at + size])) as image:
                image.load()
    assert found[0] == found[1]


def test_a_converted_image_is_kept_whatever_becomes_of_its_file(
    image_dir, converted_dir
):
    """What was inspected is what is stored."""
    (image_dir / "x.webp").write_bytes(encoded("WEBP"))
    rows = inspect(image_dir, "x.webp", converted_dir=converted_dir).rows
    before = read_stored(image_dir, rows)
    (image_dir / "x.webp").unlink()
    assert read_stored(image_dir, rows) == before


@pytest.mark.parametrize("is_remote", [False, True])
def test_both_kinds_of_images_side_by_side(image_dir, converted_dir, is_remote):
    """In the order of the rows, converted or not, read ahead or not."""
    image_dir = "ram://mixed" if is_remote else os.fspath(image_dir)
    contents = {}
    for at in range(60):
        image = Image.fromarray(samples.noise(5, 4 + at, 3, seed=at))
        kind = "WEBP" if at % 3 else "PNG"
        key = f"{at:02}.{kind.lower()}"
        contents[key] = samples.encoded(image, kind, lossless=True)
        write_remote(f"{image_dir}/{key}", contents[key])
    rows = inspect(image_dir, *contents, converted_dir=converted_dir).rows
    stored = read_stored(image_dir, rows)
    rows = walk.frame(rows)
    assert [len(one) for one in stored] == rows["stored_size"].tolist()
    for one, before, conversion in zip(
        stored, contents.values(), rows["conversion"], strict=True
    ):
        assert (one == before) is not bool(conversion)
        with Image.open(io.BytesIO(one)) as a, Image.open(io.BytesIO(before)) as b:
            assert a.tobytes() == b.convert("RGB").tobytes()


def test_what_needs_no_conversion_is_stored_byte_for_byte(image_dir):
    """Metadata and bytes after the end included."""
    data = encoded("JPEG", comment=b"hello") + b"more"
    (image_dir / "x.jpg").write_bytes(data)
    assert read_stored(image_dir, inspect(image_dir, "x.jpg").rows) == [data]


def test_conversions_are_counted_by_reason(image_dir):
    """An image counts for each of its reasons, in the order of their names."""
    (image_dir / "a.png").write_bytes(encoded("PNG"))
    (image_dir / "b.webp").write_bytes(encoded("WEBP"))
    (image_dir / "c.webp").write_bytes(encoded("WEBP", mode="RGBA"))
    (image_dir / "d.png").write_bytes(encoded("PNG", mode="LA"))
    rows = inspect(image_dir, "a.png", "b.webp", "c.webp", "d.png").rows
    counts = listing.count_conversions(rows)
    assert list(counts.items()) == [("alpha", 2), ("format WEBP", 2)]
    assert listing.count_conversions(rows[:1]) == {}
    assert listing.count_conversions(rows[:0]) == {}


@pytest.mark.parametrize(
    ("name", "image_format", "is_other"),
    [
        ("a.png", "PNG", False),
        ("a.PNG", "PNG", False),
        ("a", "PNG", False),
        ("a.data", "PNG", False),
        ("a.png.bak", "JPEG", False),
        ("a.jpg", "JPEG", False),
        ("a.JPEG", "JPEG", False),
        ("a.mpo", "JPEG", False),
        ("a.tif", "TIFF", False),
        ("a.jpg", "PNG", True),
        ("a.png", "JPEG", True),
        ("b.png/a.jpg", "WEBP", True),
        ("a.JPG", "PNG", True),
        (".jpg", "PNG", False),
    ],
)
def test_a_name_that_ends_as_if_it_had_another_format(
    image_dir, name, image_format, is_other
):
    """Extensions that no format has say nothing."""
    (image_dir / name).parent.mkdir(exist_ok=True)
    (image_dir / name).write_bytes(encoded(image_format))
    rows = inspect(image_dir, name).rows
    assert listing.count_other_extensions(rows) == is_other


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
    assert walk.frame(table.rows)["width"].tolist() == [9, 9]


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


@epath.register_path_cls("ram://")
class RemotePath:
    """What etils makes of a remote path, for TensorFlow's file system in memory."""

    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return self._path

    def joinpath(self, *keys):
        return RemotePath("/".join([self._path, *keys]))

    __truediv__ = joinpath

    def read_bytes(self):
        with backend.tf_backend.open(self._path, "rb") as file:
            return file.read()


def write_remote(path, content):
    """Writes a file of TensorFlow's file system in memory."""
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    if tf.io.gfile.exists(path):  # what is written would come after it
        tf.io.gfile.remove(path)
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def test_a_remote_image_directory(tmp_path, image_dir, outside, monkeypatch):
    """Images are read by way of TensorFlow, and no local links are looked at."""
    # What the remote path would be, if it were taken for a local one.
    (tmp_path / "ram:" / "pets").mkdir(parents=True)
    (tmp_path / "ram:" / "pets" / "images").symlink_to(image_dir)
    (image_dir / "a.png").symlink_to(outside / "x.png")
    monkeypatch.chdir(tmp_path)
    write_remote("ram://pets/images/a.png", encoded("PNG", size=(7, 5)))
    table = inspect("ram://pets/images", "a.png", "b.png")
    assert walk.frame(table.rows)["key"].tolist() == ["a.png"]
    assert walk.frame(table.rows)["width"].tolist() == [7]
    assert [(p.kind, p.detail) for p in table.problems] == [(Kind.MISSING, "'b.png'")]


@pytest.fixture
def remote_keys():
    """The keys of 50 different images in `ram://many`, of which the tenth is lost."""
    return write_remote_images()


def write_remote_images():
    """Writes these images, and returns their keys."""
    keys = [f"{at:02}.png" for at in range(50)]
    for at, key in enumerate(keys):
        if at != 10:
            write_remote(f"ram://many/{key}", encoded("PNG", size=(at + 1, 1)))
    return keys


def test_remote_images_come_in_order(remote_keys):
    """Though they are read ahead; one that is lost doesn't move the others."""
    table = inspect("ram://many", *remote_keys)
    expected = [at + 1 for at in range(50) if at != 10]
    assert walk.frame(table.rows)["width"].tolist() == expected
    assert [(p.row, p.detail) for p in table.problems] == [(12, "'10.png'")]
    stored = read_stored("ram://many", table.rows)
    assert stored == [encoded("PNG", size=(width, 1)) for width in expected]


def test_a_remote_image_that_changes_during_the_build(remote_keys):
    """The error is its own, though others were read before it."""
    rows = inspect("ram://many", *remote_keys).rows
    write_remote("ram://many/05.png", encoded("PNG", size=(5, 5)))
    with pytest.raises(tfds_imagecsv.InvalidRowsError, match=r"row 7: '05\.png' has"):
        read_stored("ram://many", rows)


def read_16_at_once():
    """Reads images that don't come before 16 of them are asked for; prints them."""
    faulthandler.dump_traceback_later(30)
    barrier = threading.Barrier(16)
    read_bytes = RemotePath.read_bytes
    keys = write_remote_images()[16:48]

    def read_together(path):
        barrier.wait(timeout=60)
        return read_bytes(path)

    RemotePath.read_bytes = read_together
    table = inspect("ram://many", *keys)
    expected = [encoded("PNG", size=(at + 1, 1)) for at in range(16, 48)]
    print(len(table.problems), read_stored("ram://many", table.rows) == expected)


def test_remote_images_are_read_16_at_once(tmp_path):
    """Each takes its time to come; both times that they are read.

    It is a process of its own, in which no other thread is left of other tests.
    """
    places = [pathlib.Path(__file__).parent, pathlib.Path(__file__).parents[1]]
    code = "import image_table_test; image_table_test.read_16_at_once()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    done = processes.run_code(code, cwd=tmp_path, env=env)
    assert done.stdout == "0 True\n", done.stderr


def test_remote_images_are_not_all_read_ahead(remote_keys, monkeypatch):
    """Memory holds 16 of them, and none is read for nothing after an error."""
    read = []
    read_bytes = RemotePath.read_bytes

    def noted(path):
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(RemotePath, "read_bytes", noted)
    readers = files.FileReader("ram://many").readers(remote_keys, [None] * 50)
    for at in range(3):
        next(readers)()
        assert len(read) <= 16 + at
    before = threading.active_count()
    readers.close()
    assert len(read) <= 18
    assert threading.active_count() < before


def test_files_of_images_that_can_not_be_used(image_dir, outside):
    """Those that can be read are described as those of the others are."""
    (image_dir / "a.png").write_bytes(b"<html>")
    (image_dir / "b.png").write_bytes(b"")
    (image_dir / "c.png").mkdir()
    (image_dir / "d.png").symlink_to(outside / "x.png")
    table = inspect(image_dir, "a.png", "b.png", "c.png", "d.png", "e.png")
    assert len(table.problems) == 5
    assert table.unusable == {
        key: files.File(
            size,
            files.digest_of((image_dir / key).read_bytes()),
            (image_dir / key).stat().st_mtime_ns,
        )
        for key, size in (("a.png", 6), ("b.png", 0))
    }


def test_nobody_knows_the_times_of_remote_images(remote_keys):
    """And they aren't those of others."""
    rows = inspect("ram://many", *remote_keys).rows
    assert set(rows["modified"].to_pylist()) == {-1}


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
