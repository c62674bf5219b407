"""The small pictures that an inspection measures, whatever the files are."""

import io
import struct

import numpy as np
import pytest
import walk
from etils import epath
from PIL import Image
from samples import encoded, exif, png_of
from sklearn.datasets import load_sample_images

from tfds_imagecsv.engines import local
from tfds_imagecsv.images import formats, image_table, small_pictures
from tfds_imagecsv.options import ImageOptions

PHOTO = Image.fromarray(load_sample_images().images[0])  # 640 x 427


def pixels_of(pictures):
    """Measures the pixels of pictures, as bytes of a fixed number, and their sizes."""
    pixels = np.zeros((len(pictures), 64, 64, 3), np.uint8)
    height, width = pictures.pixels.shape[1:3]
    pixels[:, :height, :width] = pictures.pixels
    return {
        "pixels": pixels.reshape(len(pictures), 64 * 64 * 3),
        "height": pictures.sizes[:, 0],
        "width": pictures.sizes[:, 1],
        "bands": np.array([len(one.mode) for one in pictures.images], np.int64),
    }


def brightness_of(pictures):
    """Measures the mean of each picture in gray."""
    total = pictures.gray.sum(axis=(1, 2))
    return {"brightness": (total / pictures.sizes.prod(axis=1)).astype(np.float32)}


@pytest.fixture
def pictures_of(tmp_path):
    """Returns a function that inspects files, and returns their small pictures.

    Each is a Pillow image.
    """

    def pictures_of(*contents, is_converting=False, **options):
        for at, content in enumerate(contents):
            (tmp_path / f"{at:02}").write_bytes(content)
        table = image_table.inspect_images(
            epath.Path(tmp_path),
            walk.batch(
                row=range(len(contents)),
                key=[f"{at:02}" for at in range(len(contents))],
                label="cat",
            ),
            ImageOptions(**options),
            engine=local.LocalEngine(workers=1),
            converted_dir=epath.Path(tmp_path) / "new" if is_converting else None,
            measures=[pixels_of],
        )
        assert table.problems == ()
        found = []
        for row in table.rows.to_pylist():
            mode = {1: "L", 3: "RGB"}[row["bands"]]
            size = row["width"], row["height"]
            pixels = np.frombuffer(row["pixels"], np.uint8).reshape(64, 64, 3)
            assert not pixels[size[1] :].any()
            assert not pixels[:, size[0] :].any()
            pixels = pixels[: size[1], : size[0]]
            found.append(Image.fromarray(pixels).convert(mode))
        return found

    return pictures_of


def difference(small, image):
    """Returns how much a small picture differs from an image: the mean of levels."""
    assert small.width / small.height == pytest.approx(
        image.width / image.height, rel=0.03
    )
    expected = image.resize(small.size, Image.Resampling.BICUBIC)
    return np.abs(np.asarray(small, float) - np.asarray(expected, float)).mean()


def flat(*size, mode="RGB", color="red"):
    """Returns an image of one colour."""
    return Image.new(mode, size, color)


# Each is upright and a photograph on white, with some loss.
FILES = {
    "JPEG": encoded(PHOTO, "JPEG"),
    "progressive JPEG": encoded(PHOTO, "JPEG", progressive=True),
    "PNG": encoded(PHOTO),
    "PNG with metadata": encoded(PHOTO, exif=exif(1)),
    "BMP": encoded(PHOTO, "BMP"),
    "WebP": encoded(PHOTO, "WEBP"),
    "turned, in blocks": encoded(
        PHOTO.resize((640, 432)).rotate(90, expand=True), "JPEG", exif=exif(6)
    ),
    "turned": encoded(PHOTO.rotate(90, expand=True), "JPEG", exif=exif(6)),
    "turned TIFF": encoded(PHOTO.rotate(90, expand=True), "TIFF", exif=exif(6)),
    "palette": encoded(PHOTO.quantize(256)),
    "CMYK": encoded(PHOTO.convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "options", [{}, {"max_side": 100}, {"dtype": "uint16"}], ids=str
)
@pytest.mark.parametrize("is_converting", [False, True])
def test_it_is_small_and_upright_whatever_becomes_of_the_image(
    pictures_of, name, options, is_converting
):
    """Converted or not, from all pixels or from reduced ones."""
    (found,) = pictures_of(FILES[name], is_converting=is_converting, **options)
    assert found.mode == "RGB"
    assert max(found.size) == 64
    assert difference(found, PHOTO) < 8


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (PHOTO.convert("L"), "L"),
        (PHOTO.convert("1"), "L"),
        (PHOTO.convert("LA"), "L"),
        (
            Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257),
            "L",
        ),
        (PHOTO.convert("RGBA"), "RGB"),
    ],
    ids=lambda value: getattr(value, "mode", value),
)
def test_gray_stays_gray(pictures_of, image, expected):
    """Of any depth, and with an opaque alpha channel."""
    (found,) = pictures_of(encoded(image))
    assert found.mode == expected
    assert difference(found.convert("L"), PHOTO.convert("L")) < 8


@pytest.mark.parametrize("is_converting", [False, True])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_what_is_transparent_shows_the_background(pictures_of, mode, is_converting):
    """Not what is hidden below it."""
    image = flat(200, 100, mode="RGBA", color="black")
    image.putalpha(Image.new("L", image.size, 0))
    image.paste((0, 0, 0, 255), (0, 0, 100, 100))
    kwargs = {}
    if mode == "P":
        image, kwargs = image.quantize(4), {}
    elif mode != "RGBA":
        image = image.convert("LA")
    content = encoded(image.convert("LA") if mode == "PA" else image, **kwargs)
    options = {"background": "white" if mode in ("LA", "PA") else "blue"}
    (found,) = pictures_of(content, is_converting=is_converting, **options)
    found = found.convert("RGB")
    assert found.getpixel((10, 10)) == (0, 0, 0)
    expected = (255, 255, 255) if mode in ("LA", "PA") else (0, 0, 255)
    assert found.getpixel((found.width - 10, 10)) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((1, 5000), (1, 64)),
        ((5000, 3), (64, 1)),
        ((64, 64), (64, 64)),
        ((65, 65), (64, 64)),
        ((383, 2), (48, 1)),
        ((384, 384), (48, 48)),
        ((3000, 2000), (64, 42)),
        ((4000, 3000), (63, 47)),
    ],
)
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_sizes(pictures_of, size, expected, image_format):
    """No side is empty, none has more than 64 pixels, and none is made larger."""
    (found,) = pictures_of(encoded(flat(*size), image_format))
    assert found.size == expected
    assert max(expected) <= small_pictures.SIDE
    assert found.getpixel((0, 0))[0] > 250


def measured(tmp_path, files, *, workers=1, verify="decode"):
    """Writes files, and returns the table of what is measured of them."""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with local.LocalEngine(workers=workers, patience=0) as engine:
        return image_table.inspect_images(
            epath.Path(tmp_path),
            walk.batch(row=range(len(files)), key=list(files), label="cat"),
            ImageOptions(verify=verify),
            engine=engine,
            measures=[pixels_of, brightness_of],
        )


def test_each_row_has_what_was_measured_of_its_image(tmp_path):
    """Whatever was refused before it, and whoever measured it."""
    files = {}
    for at in range(120):
        color = (at, at, at)
        files[f"{at:03}"] = encoded(flat(9 + at % 7, 5 + at % 3, color=color))
        if at % 10 == 5:
            files[f"{at:03}"] = b"<html>"
    for workers in (1, 2):
        rows = measured(tmp_path, files, workers=workers).rows
        expected = [at for at in range(120) if at % 10 != 5]
        assert rows["brightness"].to_pylist() == expected
        assert rows["width"].to_pylist() == [9 + at % 7 for at in expected]
        assert [pixels[0] for pixels in rows["pixels"].to_pylist()] == expected
        assert str(rows["pixels"].type) == f"fixed_size_binary[{64 * 64 * 3}]"
        assert str(rows["brightness"].type) == "float"


def test_without_images_the_columns_are_the_same(tmp_path):
    """What comes later needs no case of its own."""
    rows = measured(tmp_path, {"a": encoded(flat(3, 3))}).rows
    empty = measured(tmp_path, {"a": b"<html>"}).rows
    assert len(empty) == 0
    assert empty.schema == rows.schema


def test_headers_alone_show_nothing(tmp_path):
    """Nothing is decoded to measure it."""
    rows = measured(tmp_path, {"a": encoded(flat(3, 3))}, verify="header").rows
    assert "brightness" not in rows.schema.names


@pytest.mark.parametrize("most_kept", [0, 1 << 22])
@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
def test_a_png_is_the_same_however_it_is_decoded(
    pictures_of, monkeypatch, most_kept, mode
):
    """From the data that were inflated for the check, or by Pillow if it is large."""
    monkeypatch.setattr(formats, "_MOST_KEPT", most_kept)
    image = PHOTO.crop((200, 100, 260, 140)).convert(mode)
    (found,) = pictures_of(encoded(image))
    assert found.tobytes() == image.convert(found.mode).tobytes()


def test_an_interlaced_png(pictures_of):
    """Its rows come in seven passes."""
    pixels = np.asarray(PHOTO.crop((200, 100, 260, 140)))
    content = interlaced(pixels)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)
    (found,) = pictures_of(content)
    assert np.array_equal(np.asarray(found), pixels)


def interlaced(pixels):
    """Returns pixels as an interlaced PNG, which Pillow doesn't write."""
    passes = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4)]
    passes += [(0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)]
    rows = b"".join(
        b"\0" + row.tobytes()
        for left, dx, top, dy in passes
        for row in pixels[top::dy, left::dx]
    )
    height, width = pixels.shape[:2]
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 1)
    return png_of(header, rows)


def test_pictures_of_refused_images_are_dropped():
    """An image may be refused after it was seen, while it is converted."""
    images = [flat(3, at + 1) for at in range(3)]
    pictures = small_pictures.SmallPictures(images, images, [3, 3, 3])
    pictures.keep(2)
    assert (len(pictures), pictures.sides) == (2, [3, 3])
    assert pictures.sizes.tolist() == [[1, 3], [2, 3]]
    assert pictures.sampled_pixels.shape == (2, 2, 3, 3)


def samples_of(pictures):
    """Measures the samples of pictures, as bytes of a fixed number."""
    pixels = np.zeros((len(pictures), 64, 64, 3), np.uint8)
    height, width = pictures.sampled_pixels.shape[1:3]
    pixels[:, :height, :width] = pictures.sampled_pixels
    return {"samples": pixels.reshape(len(pictures), 64 * 64 * 3)}


def test_a_jpeg_has_the_same_samples_whether_it_is_converted(tmp_path):
    """A check, which converts nothing, then says what a build will say."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(FILES["JPEG"])
    found = []
    for converted_dir in (None, epath.Path(tmp_path) / "new"):
        table = image_table.inspect_images(
            epath.Path(tmp_path / "images"),
            walk.batch(row=range(1), key=["a.jpg"], label="cat"),
            ImageOptions(max_side=300),
            engine=local.LocalEngine(workers=1),
            converted_dir=converted_dir,
            measures=[samples_of],
        )
        found.append(np.frombuffer(table.rows["samples"][0].as_py(), np.uint8))
    assert np.abs(found[0].astype(float) - found[1]).mean() < 2
