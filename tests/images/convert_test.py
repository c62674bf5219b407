"""How pictures are stored: what is converted, why, and to what."""

import functools
import io
import pathlib
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin
from samples import TURNS, encoded, exif, noise
from sklearn import datasets

from tfds_imagecsv.images import convert as conversion
from tfds_imagecsv.images import formats, geometry, resize, stored_form, turn_jpeg
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, UnusableImageError


def smooth(height, width, channels=3):
    """Returns pixels of a gradient."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x / width, y / height, (x + y) / (height + width), 1 - x / width]
    return (np.stack(planes[:channels], axis=2) * 255).astype(np.uint8)


def png_16_bit(pixels, orientation=1):
    """Returns pixels (uint16, height x width x channels) as a PNG."""
    content = tf.io.encode_png(pixels).numpy()
    if orientation == 1:
        return content
    # TensorFlow writes no metadata; a PNG may have them after its header.
    turned = encoded(Image.new("L", (1, 1)), exif=exif(orientation))
    at = turned.index(b"eXIf") - 4
    length = struct.unpack(">I", turned[at : at + 4])[0] + 12
    return content[:33] + turned[at : at + length] + content[33:]


def look_at(content):
    """Returns what a picture is."""
    return formats.read_facts(content, max_pixels=2_000_000, decode=True)


def plan(content, **options):
    """Returns how a picture is stored."""
    return stored_form.stored_as(look_at(content), ImageOptions(**options))


def convert(content, **options):
    """Returns the bytes that a picture is converted to."""
    facts, options = look_at(content), ImageOptions(**options)
    stored_form.check(facts, options)
    return conversion.convert(content, facts, options)


def read(content, **options):
    """Returns the pixels of a picture that is converted, as TensorFlow reads them."""
    return decoded(convert(content, **options), **options)


def decoded(content, channels=3, dtype="uint8", **_):
    """Returns the pixels of a file as TensorFlow reads them."""
    return tf.image.decode_image(content, channels=channels, dtype=dtype).numpy()


def format_of(content):
    """Returns the format of a file."""
    return look_at(content).format


def refusal(content, **options):
    """Returns the kind and the detail with which a picture is refused."""
    with pytest.raises(UnusableImageError) as caught:
        stored_form.check(look_at(content), ImageOptions(**options))
    return caught.value.kind, caught.value.detail


RGB, GRAY, RGBA = noise(5, 7, 3), noise(5, 7), noise(5, 7, 4)
RGB_PNG = encoded(Image.fromarray(RGB))
GRAY_PNG = encoded(Image.fromarray(GRAY))
RGBA_PNG = encoded(Image.fromarray(RGBA))


# What is stored as it is


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (RGB_PNG, {}),
        (GRAY_PNG, {}),
        (GRAY_PNG, {"channels": 1}),
        (RGBA_PNG, {"channels": 4}),
        (encoded(Image.fromarray(RGB), "JPEG"), {}),
        (encoded(Image.fromarray(RGB), "JPEG", progressive=True), {}),
        (encoded(Image.fromarray(GRAY), "JPEG"), {"channels": 1}),
        (encoded(Image.fromarray(RGB), "BMP"), {}),
        (encoded(Image.fromarray(RGB), "JPEG"), {"encoding": "jpeg", "quality": 5}),
        (RGB_PNG, {"encoding": "png"}),
        (RGB_PNG, {"resize": (5, 7)}),
        (RGB_PNG, {"max_side": 7}),
        (RGB_PNG, {"image_shape": (5, 7, 3)}),
        (encoded(Image.fromarray(RGB), exif=exif(6)), {"apply_exif": False}),
        (png_16_bit(noise(5, 7, 3, dtype=np.uint16)), {"dtype": "uint16"}),
        (
            png_16_bit(noise(5, 7, 4, dtype=np.uint16)),
            {"dtype": "uint16", "channels": 4},
        ),
    ],
)
def test_what_reads_rightly_is_not_converted(content, options):
    """There is no reason to convert it."""
    image_format = look_at(content).format
    assert plan(content, **options) == (5, 7, image_format, "")


@pytest.mark.parametrize(
    ("content", "options", "conversion"),
    [
        (encoded(Image.fromarray(RGB), "GIF"), {}, "format GIF, palette"),
        (encoded(Image.fromarray(RGB), "WEBP"), {}, "format WEBP"),
        (encoded(Image.fromarray(RGB), "TIFF"), {}, "format TIFF"),
        (encoded(Image.fromarray(GRAY), "BMP"), {}, "format BMP"),
        (encoded(Image.fromarray(RGB), "BMP"), {"channels": 1}, "format BMP, color"),
        (encoded(Image.fromarray(RGB).quantize(8)), {}, "palette"),
        (encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"), {}, "mode CMYK"),
        (encoded(Image.fromarray(GRAY).convert("1")), {}, "depth 1"),
        (png_16_bit(noise(5, 7, 1, dtype=np.uint16)), {}, "depth 16"),
        (RGB_PNG, {"dtype": "uint16"}, "depth 8"),
        (RGBA_PNG, {}, "alpha"),
        (RGBA_PNG, {"channels": 1}, "alpha, color"),
        (RGB_PNG, {"channels": 4}, "no alpha channel"),
        (RGB_PNG, {"channels": 1}, "color"),
        (RGB_PNG, {"encoding": "jpeg"}, "encoding"),
        (encoded(Image.fromarray(RGB), "JPEG"), {"encoding": "png"}, "encoding"),
        (encoded(Image.fromarray(RGB), exif=exif(3)), {}, "orientation"),
        (
            encoded(
                Image.fromarray(RGB),
                save_all=True,
                append_images=[Image.new("RGB", (7, 5))],
            ),
            {},
            "several frames",
        ),
    ],
)
def test_why_a_picture_is_converted(content, options, conversion):
    """All the reasons are named."""
    stored = plan(content, **options)
    assert stored[:2] == (5, 7)
    assert stored.conversion == conversion


# Channels and background


def test_channels_of_rgb():
    """Gray is ITU-R 601-2, as Pillow's; alpha is opaque."""
    gray = read(RGB_PNG, channels=1)
    assert np.array_equal(gray[..., 0], np.asarray(Image.fromarray(RGB).convert("L")))
    rgba = read(RGB_PNG, channels=4)
    assert np.array_equal(rgba[..., :3], RGB)
    assert (rgba[..., 3] == 255).all()


def test_channels_of_gray():
    """RGB has the same in all of them, and alpha is opaque."""
    rgba = read(GRAY_PNG, channels=4)
    assert np.array_equal(rgba[..., :3], np.repeat(GRAY[..., None], 3, axis=2))
    assert (rgba[..., 3] == 255).all()


def test_alpha_is_kept_with_4_channels():
    """Even the colours of transparent pixels are."""
    pixels = RGBA.copy()
    pixels[0, :, 3] = 0
    content = encoded(Image.fromarray(pixels), "WEBP", lossless=True, exact=True)
    assert np.array_equal(read(content, channels=4, background="red"), pixels)


@pytest.mark.parametrize(
    ("background", "color"),
    [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("#102030", (16, 32, 48))],
)
def test_background(background, color):
    """It is seen as far as pixels are transparent, to a level."""
    pixels = RGBA.copy()
    pixels[0, 0, 3], pixels[1, 1, 3] = 0, 255
    seen = read(encoded(Image.fromarray(pixels)), background=background)
    alpha = pixels[..., 3:] / 255
    expected = pixels[..., :3] * alpha + np.array(color) * (1 - alpha)
    assert np.abs(seen - expected).max() <= 1
    assert tuple(seen[0, 0]) == color
    assert np.array_equal(seen[1, 1], pixels[1, 1, :3])


def test_background_of_gray():
    """A colour behind gray pixels is seen as its gray."""
    content = encoded(Image.new("LA", (7, 5), (255, 0)))
    gray = Image.new("RGB", (1, 1), "red").convert("L").getpixel((0, 0))
    assert (read(content, channels=1, background="red") == gray).all()
    assert (read(content, background="red") == (255, 0, 0)).all()


def test_background_of_a_transparent_color():
    """A palette's transparent entry shows the background."""
    image = Image.new("P", (7, 5), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    for image_format in ("PNG", "GIF"):
        content = encoded(image, image_format, transparency=1)
        assert (read(content, background="blue") == (0, 0, 255)).all()


def seen_as_a_whole(content, channels, background):
    """Returns the pixels of a picture on a background, in the straightforward way."""
    with Image.open(io.BytesIO(content)) as image:
        rgba = image.convert("RGBA")
    seen = Image.new("RGB", rgba.size, background)
    seen.paste(rgba, mask=rgba)
    pixels = np.asarray(seen.convert({1: "L", 3: "RGB"}[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


@functools.cache
def with_transparency(height, width):
    """Returns files of each mode that has transparency, by what they are."""
    pixels = noise(height, width, 4)
    pixels[:, : width // 3, 3] = 0
    rgba = Image.fromarray(pixels)
    rgb, palette = rgba.convert("RGB"), rgba.convert("RGB").quantize(16)
    gray = Image.fromarray(pixels[..., 0] // 64)
    color = rgb.getpixel((0, 0))
    return {
        "P, a colour": encoded(palette, transparency=3),
        "P, levels": encoded(palette, transparency=bytes(range(0, 256, 16))),
        "P, GIF": encoded(palette, "GIF", transparency=3),
        "PA": encoded(rgba.convert("PA"), "TIFF"),
        "LA": encoded(rgba.convert("LA")),
        "RGBA": encoded(rgba),
        "RGBA, WebP": encoded(rgba, "WEBP", lossless=True),
        "1, a level": encoded(gray.convert("1"), transparency=0),
        "L, a level": encoded(gray, transparency=2),
        "RGB, a colour": encoded(rgb, transparency=color),
    }


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(with_transparency(1, 1)))
def test_transparency_is_composited_in_parts(name, channels, monkeypatch):
    """The pixels are those of the whole at once, at the borders of parts too."""
    content = with_transparency(11, 7)[name]
    assert look_at(content).mode == name.partition(",")[0]
    assert look_at(content).has_alpha
    expected = seen_as_a_whole(content, channels, "#1080f0")
    for part in (5, 7, 20, 1000):
        monkeypatch.setattr(geometry, "_PART", part)
        found = read(content, channels=channels, background="#1080f0")
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(with_transparency(1, 1)))
def test_transparency_takes_little_memory(name, channels, monkeypatch):
    """Nothing of the picture's size is between what is decoded and what comes out."""
    content = with_transparency(300, 500)[name]
    converted, convert_one = [], Image.Image.convert

    def spy(image, *args, **kwargs):
        converted.append(image.width * image.height)
        return convert_one(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "convert", spy)
    convert(content, channels=channels)
    assert sum(converted) >= 300 * 500
    assert max(converted) <= 1 << 16


# Orientation


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_orientation(image_format, orientation):
    """The picture is turned, or stays as it is in the file."""
    content = encoded(Image.fromarray(RGB), image_format, exif=exif(orientation))
    upright = TURNS[orientation](RGB)
    assert plan(content)[:2] == upright.shape[:2]
    assert np.array_equal(read(content), upright)
    assert plan(content, apply_exif=False)[:2] == (5, 7)
    assert np.array_equal(read(content, apply_exif=False), RGB)


# Size


def test_resize_is_height_and_width():
    """In this order, whatever the proportions."""
    assert plan(RGB_PNG, resize=(20, 3)) == (20, 3, "PNG", "resized")
    assert read(RGB_PNG, resize=(20, 3)).shape == (20, 3, 3)


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF"])
def test_resize_is_of_the_upright_picture(image_format, orientation):
    """Turning comes first: the gradient keeps its direction."""
    pixels = smooth(48, 80)
    content = encoded(Image.fromarray(pixels), image_format, exif=exif(orientation))
    small = read(content, resize=(12, 10))
    assert small.shape == (12, 10, 3)
    upright = Image.fromarray(np.ascontiguousarray(TURNS[orientation](pixels)))
    expected = np.asarray(upright.resize((10, 12), Image.Resampling.LANCZOS))
    # A JPEG has a quarter of the colours.
    most = 5 if image_format == "JPEG" else 0.5
    assert np.abs(small.astype(int) - expected).mean() <= most


def test_a_turned_jpeg_is_not_reduced_too_much_while_it_is_decoded():
    """Its sides in the file are compared with those that they become."""
    content = encoded(Image.fromarray(noise(200, 800)), "JPEG", exif=exif(6))
    with Image.open(io.BytesIO(content)) as image:
        upright = image.transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(upright.resize((60, 20), Image.Resampling.LANCZOS))
    found = read(content, channels=1, resize=(20, 60), encoding="png")
    assert np.abs(found[..., 0].astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((100, 50), 50, (50, 25)),
        ((50, 100), 50, (25, 50)),
        ((100, 100), 7, (7, 7)),
        ((100, 1), 10, (10, 1)),
        ((1000, 3), 10, (10, 1)),
        ((3, 1000), 10, (1, 10)),
        ((10, 5), 3, (3, 2)),
        ((5, 10), 3, (2, 3)),
        ((99, 50), 98, (98, 49)),
        ((5, 7), 7, (5, 7)),
        ((5, 7), 100, (5, 7)),
        ((3, 3), 1, (1, 1)),
    ],
)
def test_max_side(size, max_side, expected):
    """The longer side is as given, the other rounded half up, and 1 at the least."""
    content = encoded(Image.new("RGB", size[::-1]))
    stored = plan(content, max_side=max_side)
    assert stored[:2] == expected
    assert stored.conversion == ("" if size == expected else "resized")
    assert read(content, max_side=max_side).shape[:2] == expected


@pytest.mark.parametrize("orientation", range(5, 9))
def test_max_side_of_a_turned_picture(orientation):
    """Height and width are those of the upright picture."""
    content = encoded(Image.new("RGB", (100, 50)), "JPEG", exif=exif(orientation))
    assert plan(content, max_side=20)[:2] == (20, 10)
    assert read(content, max_side=20).shape == (20, 10, 3)
    assert plan(content, max_side=20, apply_exif=False)[:2] == (10, 20)
    assert read(content, max_side=20, apply_exif=False).shape == (10, 20, 3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colors_of_transparent_pixels_do_not_bleed(dtype):
    """A red left half beside an invisible green one stays red."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :8] = (255, 0, 0, 255)
    pixels[:, 8:] = (0, 255, 0, 0)
    content = encoded(Image.fromarray(pixels))
    if dtype == "uint16":
        content = png_16_bit(pixels.astype(np.uint16) * 257)
    small = read(content, channels=4, dtype=dtype, resize=(5, 5))
    full = np.iinfo(small.dtype).max
    seen = small[small[..., 3] > full // 20]
    assert len(seen) >= 10
    assert (seen[:, 0] > 0.9 * full).all()
    assert (seen[:, 1] < 0.1 * full).all()
    assert (small[:, 0, 3] > 0.9 * full).all()
    assert (small[:, 4, 3] < 0.1 * full).all()


def test_image_shape():
    """Height, width and channels of the upright and resized picture count."""
    assert refusal(RGB_PNG, image_shape=(7, 5, 3)) == (
        Kind.SHAPE,
        " is 5 x 7 x 3, not 7 x 5 x 3",
    )
    turned = encoded(Image.fromarray(RGB), exif=exif(6))
    stored_form.check(look_at(turned), ImageOptions(image_shape=(7, 5, 3)))
    assert refusal(turned, image_shape=(5, 7, 3))[0] is Kind.SHAPE
    stored_form.check(
        look_at(RGB_PNG), ImageOptions(image_shape=(9, 9, 3), resize=(9, 9))
    )


def test_the_declared_shape():
    """What isn't known is None."""
    assert ImageOptions().shape == (None, None, 3)
    assert ImageOptions(max_side=9, channels=1).shape == (None, None, 1)
    assert ImageOptions(resize=(2, 3), channels=4).shape == (2, 3, 4)
    assert ImageOptions(image_shape=(2, 3, 3)).shape == (2, 3, 3)


# The longest side


def wide(image_format, width, height=1):
    """Returns a white picture."""
    return encoded(Image.new("L", (width, height), 255), image_format)


@pytest.mark.parametrize("size", [(1_000_001, 1), (1, 1_000_001)])
def test_the_longest_side_of_a_png(size):
    """TensorFlow reads no longer one, whether it is converted or not."""
    width, height = size
    shown = f"{height:,} x {width:,} pixels, of which a side can have 1,000,000"
    for content in (wide("PNG", *size), wide("TIFF", *size)):
        kind, detail = refusal(content)
        assert (kind, detail) == (Kind.TOO_LONG, f" would be a PNG of {shown}")
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoded(wide("PNG", *size))
    longest = wide("TIFF", min(width, 1_000_000), min(height, 1_000_000))
    assert read(longest).max() == 255
    # Reduced, they are like any other, and BMPs have no such limit.
    for content in (wide("PNG", *size), wide("TIFF", *size)):
        assert read(content, max_side=1000).size == 3000
    bmp = encoded(Image.new("RGB", size), "BMP")
    assert plan(bmp).conversion == ""
    stored_form.check(look_at(bmp), ImageOptions())
    assert decoded(bmp).shape == (height, width, 3)


def test_the_longest_side_of_a_png_of_16_bits():
    """TensorFlow reads it before it is reduced."""
    content = encoded(Image.new("I;16", (1_000_001, 1)))
    facts = look_at(content)
    stored_form.check(facts, ImageOptions(max_side=9))
    assert refusal(content, dtype="uint16", max_side=9) == (
        Kind.TOO_LONG,
        " is a PNG of 1 x 1,000,001 pixels, of which a side can have 1,000,000",
    )


def test_the_longest_side_of_a_jpeg():
    """Neither TensorFlow nor Pillow reads or writes a longer one."""
    png, jpeg = wide("PNG", 65_501), wide("JPEG", 65_500)
    assert refusal(png, encoding="jpeg") == (
        Kind.TOO_LONG,
        " would be a JPEG of 1 x 65,501 pixels, of which a side can have 65,500",
    )
    with pytest.raises(OSError, match="broken data stream"):
        wide("JPEG", 65_501)
    assert read(jpeg, encoding="jpeg", channels=1).shape == (1, 65_500, 1)
    at = jpeg.index(b"\xff\xc0") + 7
    longer = jpeg[:at] + struct.pack(">H", 65_501) + jpeg[at + 2 :]
    facts = formats.read_facts(longer, max_pixels=100_000, decode=False)
    with pytest.raises(UnusableImageError) as caught:
        stored_form.check(facts, ImageOptions())
    assert caught.value.kind is Kind.TOO_LONG


@pytest.mark.parametrize("quality", [None, 80])
def test_a_jpeg_that_is_made_longer_than_one_can_be(quality):
    """It becomes a PNG."""
    longer = convert(encoded(PHOTO, "JPEG"), resize=(1, 65_501), quality=quality)
    assert decoded(longer).shape == (1, 65_501, 3)
    assert format_of(longer) == "PNG"


# Encoding

PHOTO = Image.fromarray(smooth(100, 120))
NOISE = Image.fromarray(noise(100, 120, 3))


def test_encoding():
    """All become what is asked for; without, a smooth JPEG stays one."""
    jpeg = encoded(PHOTO, "JPEG", exif=exif(3))
    webp = encoded(PHOTO, "WEBP")
    formats = {
        (encoding, content): format_of(convert(content, encoding=encoding))
        for encoding in (None, "jpeg", "png")
        for content in (jpeg, webp)
    }
    assert formats == {
        (None, jpeg): "JPEG",
        (None, webp): "PNG",
        ("jpeg", jpeg): "JPEG",
        ("jpeg", webp): "JPEG",
        ("png", jpeg): "PNG",
        ("png", webp): "PNG",
    }


def test_quality():
    """The lower, the smaller; it makes JPEGs of JPEGs, whatever they lose."""
    jpeg = encoded(NOISE, "JPEG", exif=exif(3))
    sizes = [len(convert(jpeg, quality=quality)) for quality in (1, 30, 60, 100)]
    assert sizes == sorted(set(sizes))
    assert format_of(convert(jpeg, quality=1)) == "JPEG"
    png = encoded(NOISE, exif=exif(3))
    assert format_of(convert(png, quality=1)) == "PNG"
    low = convert(png, encoding="jpeg", quality=1)
    assert len(low) < len(convert(png, encoding="jpeg"))


@pytest.mark.parametrize("quality", [60, 95, 99])
def test_a_jpeg_that_is_encoded_again_is_quantized_as_finely(quality):
    """By the finer of its own and the usual tables, so that it loses little."""
    content = encoded(PHOTO, "JPEG", quality=quality, exif=exif(6))
    stored = convert(content, channels=1)
    assert format_of(stored) == "JPEG"
    usual = encoded(PHOTO, "JPEG", quality=97)
    own, usual, found = map(table_of, (content, usual, stored))
    assert np.array_equal(found, np.minimum(own.T, usual))


def table_of(content):
    """Returns a JPEG's quantization table of brightness."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.quantization[0]).reshape(8, 8)


@pytest.mark.parametrize("size", [(63, 65), (64, 64)])
def test_a_small_jpeg_that_is_encoded_again_becomes_a_png(size):
    """Below 64 x 64 pixels, JPEG would save little, and lose something."""
    content = encoded(Image.fromarray(smooth(*size)).convert("CMYK"), "JPEG")
    is_small = size[0] * size[1] < 64 * 64
    assert format_of(convert(content)) == ("PNG" if is_small else "JPEG")


# Formats that fit


@pytest.mark.parametrize(
    ("image_format", "arguments", "expected"),
    [
        ("JPEG", {}, "JPEG"),
        ("WEBP", {}, "JPEG"),
        ("WEBP", {"lossless": True}, "PNG"),
        ("WEBP", {"exif": exif(6)}, "JPEG"),
        ("WEBP", {"lossless": True, "exif": exif(6)}, "PNG"),
        ("AVIF", {}, "JPEG"),
        ("TIFF", {}, "PNG"),
        ("TIFF", {"compression": "tiff_lzw"}, "PNG"),
        ("TIFF", {"compression": "jpeg"}, "JPEG"),
        ("JPEG2000", {}, "PNG"),
        ("JPEG2000", {"irreversible": True}, "JPEG"),
        ("PNG", {}, "PNG"),
        ("GIF", {}, "PNG"),
        ("BMP", {}, "PNG"),
    ],
)
def test_what_is_resized_has_the_format_that_fits(image_format, arguments, expected):
    """JPEG if its source has lost something already, PNG if not."""
    content = encoded(PHOTO, image_format, **arguments)
    stored = convert(content, max_side=80)
    assert format_of(stored) == expected
    assert format_of(convert(content, max_side=80, encoding="png")) == "PNG"
    assert format_of(convert(content, max_side=80, encoding="jpeg")) == "JPEG"


@pytest.mark.parametrize(
    ("image_format", "arguments", "subsampling"),
    [
        ("JPEG", {"subsampling": 0}, 0),
        ("JPEG", {"subsampling": 1}, 1),
        ("JPEG", {"subsampling": 2}, 2),
        ("WEBP", {}, 2),
        ("PNG", {}, 0),
    ],
)
def test_chroma_subsampling_is_that_of_the_source(image_format, arguments, subsampling):
    """Of a resized JPEG; a source without loss keeps all its colours."""
    content = encoded(PHOTO, image_format, **arguments)
    stored = convert(content, max_side=80, encoding="jpeg")
    with Image.open(io.BytesIO(stored)) as image:
        assert JpegImagePlugin.get_sampling(image) == subsampling


@pytest.mark.parametrize("orientation", range(1, 9))
def test_resizing_is_lanczos(orientation, monkeypatch):
    """By either library, within a few levels of each other."""
    flowers = datasets.load_sample_images().images[1]
    content = encoded(Image.fromarray(flowers[:200]), exif=exif(orientation))
    fast = read(content, max_side=90).astype(int)
    monkeypatch.setattr(resize, "_fast_resample", lambda: None)
    assert np.abs(fast - read(content, max_side=90)).max() <= 9


@pytest.mark.parametrize("side", [40, 80, 160])
def test_a_jpeg_reduced_while_it_is_decoded_looks_the_same(side):
    """Within 1.5 levels of what resizing all of its pixels gives, on average."""
    for pixels in datasets.load_sample_images().images:
        content = encoded(Image.fromarray(pixels), "JPEG", quality=90)
        whole = encoded(Image.open(io.BytesIO(content)))
        found, expected = (
            read(one, max_side=side, encoding="png").astype(int)
            for one in (content, whole)
        )
        assert np.abs(found - expected).mean() <= 1.5


# Turned without a loss


SAMPLINGS = {"4:4:4": (8, 8), "4:2:2": (8, 16), "4:2:0": (16, 16), "gray": (8, 8)}


def photo_of(height, width, sampling, **arguments):
    """Returns a part of a photograph as a JPEG."""
    pixels = datasets.load_sample_images().images[0][100 : 100 + height, :width]
    image = Image.fromarray(pixels)
    if sampling == "gray":
        return encoded(image.convert("L"), "JPEG", **arguments)
    return encoded(image, "JPEG", subsampling=sampling, **arguments)


def upright(content, orientation):
    """Returns the decoded pixels of a JPEG, turned."""
    with Image.open(io.BytesIO(content)) as image:
        return TURNS[orientation](np.asarray(image)).astype(int)


def pixels_of(content):
    """Returns the decoded pixels of a file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"optimize": True},
        {"progressive": True},
        {"restart_marker_blocks": 3},
    ],
    ids=["baseline", "optimized", "progressive", "restarts"],
)
def test_a_turned_jpeg_keeps_its_coefficients(sampling, orientation, arguments):
    """Its pixels are the turned ones, in as many bytes, with its own tables."""
    content = photo_of(
        96, 160, sampling, quality=88, exif=exif(orientation), **arguments
    )
    options = {"channels": 1} if sampling == "gray" else {}
    stored = convert(content, **options)
    assert plan(content, **options).conversion == "orientation"
    assert plan(stored, **options).conversion == ""
    off = np.abs(pixels_of(stored) - upright(content, orientation))
    if sampling in ("4:4:4", "gray") and orientation in (2, 3, 4):
        assert off.max() == 0
    else:
        # libjpeg rounds between columns and rows, and smooths colours.
        assert off.mean() <= 0.5
        assert off.max() <= 8
    assert len(stored) <= 1.01 * len(content)
    own = table_of(content)
    assert np.array_equal(table_of(stored), own.T if orientation >= 5 else own)
    with Image.open(io.BytesIO(stored)) as image:
        assert bool(image.info.get("progressive")) == ("progressive" in arguments)
        assert not image.getexif()
    assert convert(content, quality=20, **options) == stored


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("more", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_which_jpegs_can_be_turned(sampling, orientation, more):
    """Those without a part of a block on an edge that moves to the left or the top."""
    unit = SAMPLINGS[sampling]
    size = [6 * side + rest for side, rest in zip(unit, more, strict=True)]
    content = photo_of(*size, sampling, exif=exif(orientation))
    facts = look_at(content)
    assert (facts.mcu_height, facts.mcu_width) == unit
    can_be_turned = turn_jpeg.turned(content, facts) is not None
    assert stored_form.can_be_turned(facts) is can_be_turned
    # The library agrees.
    as_if_whole = facts._replace(height=48, width=48)
    assert (turn_jpeg.turned(content, as_if_whole) is not None) is can_be_turned


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_other_turned_jpegs_lose_little(sampling, orientation):
    """They are encoded again: within a level on average."""
    content = photo_of(101, 163, sampling, quality=88, exif=exif(orientation))
    stored = convert(content, **({"channels": 1} if sampling == "gray" else {}))
    assert format_of(stored) == "JPEG"
    off = np.abs(pixels_of(stored) - upright(content, orientation))
    assert off.mean() <= 1


def test_turned_jpegs_without_the_library(monkeypatch):
    """As on Linux on arm64: the same picture, encoded again."""
    content = photo_of(96, 160, "4:2:0", exif=exif(6))
    monkeypatch.setattr(turn_jpeg, "is_available", lambda: False)
    stored = convert(content)
    assert format_of(stored) == "JPEG"
    assert np.abs(pixels_of(stored) - upright(content, 6)).mean() <= 1


@pytest.mark.parametrize("kind", ["CMYK", "RGB", "trailing data", "MPO", "arithmetic"])
def test_unusual_jpegs_that_are_turned(kind):
    """What is upright is what a viewer shows."""
    image = Image.fromarray(datasets.load_sample_images().images[0][:96, :160])
    if kind == "CMYK":
        content = encoded(image.convert("CMYK"), "JPEG", exif=exif(6))
    elif kind == "RGB":
        content = encoded(image, "JPEG", keep_rgb=True, exif=exif(6))
    elif kind == "MPO":
        content = encoded(
            image, "MPO", save_all=True, append_images=[image], exif=exif(6)
        )
    elif kind == "arithmetic":
        import turbojpeg

        usual = encoded(image, "JPEG", exif=exif(6))
        content = turbojpeg.transform(usual, arithmetic=True)
        assert b"\xff\xc9" in content
    else:
        content = encoded(image, "JPEG", exif=exif(6)) + b"more" * 1000
    with Image.open(io.BytesIO(content)) as opened:
        expected = TURNS[6](np.asarray(opened.convert("RGB"))).astype(int)
    stored = convert(content)
    assert format_of(stored) == "JPEG"
    assert np.abs(pixels_of(stored) - expected).mean() <= 1
    assert np.abs(decoded(stored).astype(int) - expected).mean() <= 2
    assert b"moremore" not in stored


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("encoding", [None, "jpeg", "png"])
def test_metadata_are_dropped(image_format, encoding):
    """An orientation would turn the picture twice, a profile belongs to its file."""
    profile = b"a profile of colours" * 10
    kwargs = {"exif": exif(6), "icc_profile": profile}
    stored = convert(encoded(PHOTO, image_format, **kwargs), encoding=encoding)
    with Image.open(io.BytesIO(stored)) as image:
        image.load()
        assert not {"exif", "icc_profile", "dpi", "comment"} & image.info.keys()
        assert not image.getexif()
    assert profile[:20] not in stored


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encoding": "jpeg"},
        {"channels": 4},
        {"dtype": "uint16"},
        {"resize": (30, 20), "channels": 1},
    ],
)
def test_results_are_the_same_each_time(options):
    """Law 3: shards are byte-identical from run to run."""
    for image_format in ("JPEG", "WEBP", "TIFF"):
        content = encoded(PHOTO, image_format, exif=exif(6))
        assert convert(content, **options) == convert(content, **options)


def test_a_damaged_picture_is_refused_when_it_is_converted():
    """Where only its header was read before."""
    content = encoded(NOISE, "JPEG", exif=exif(6))[:5000]
    facts = formats.read_facts(content, max_pixels=100_000, decode=False)
    with pytest.raises(UnusableImageError) as caught:
        conversion.convert(content, facts, ImageOptions())
    assert caught.value.kind is Kind.UNREADABLE
    assert caught.value.detail.startswith(": ")


# 16 bits

DEEP = noise(5, 7, 4, dtype=np.uint16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_keep_all_their_bits(channels, orientation):
    """Gray, gray with alpha, RGB and RGBA, turned or not."""
    pixels = DEEP[..., :channels]
    upright = TURNS[orientation](pixels)
    content = png_16_bit(pixels, orientation)
    if channels == 2:
        gray, alpha = upright[..., :1], upright[..., 1:]
        upright = np.concatenate([gray, gray, gray, alpha], axis=2)
    if channels == 1:
        upright = np.repeat(upright, 3, axis=2)
    wanted = 4 if channels in (2, 4) else 3
    stored = plan(content, dtype="uint16", channels=wanted)
    assert stored[:2] == upright.shape[:2]
    found = read(content, dtype="uint16", channels=wanted)
    assert np.array_equal(found, upright)


def test_8_bits_are_scaled():
    """White stays white, black black."""
    assert np.array_equal(read(RGB_PNG, dtype="uint16"), RGB.astype(np.uint16) * 257)
    jpeg = encoded(PHOTO, "JPEG")
    with Image.open(io.BytesIO(jpeg)) as image:
        expected = np.asarray(image).astype(np.uint16) * 257
    assert np.array_equal(read(jpeg, dtype="uint16"), expected)
    bits = encoded(Image.fromarray(GRAY).convert("1"))
    assert set(read(bits, dtype="uint16").ravel()) == {0, 65535}


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bits_are_cut_to_the_upper_8(image_format):
    """As TensorFlow reads them."""
    gray = np.ascontiguousarray(DEEP[..., 0])
    content = encoded(Image.fromarray(gray), image_format)
    assert np.array_equal(read(content)[..., 0], gray >> 8)


def test_a_tiff_of_16_bit_gray_keeps_all_bits():
    """Upright as well as turned."""
    gray = np.ascontiguousarray(DEEP[..., 0])
    for orientation, turn in TURNS.items():
        content = encoded(Image.fromarray(gray), "TIFF", exif=exif(orientation))
        found = read(content, dtype="uint16", channels=1)
        assert np.array_equal(found[..., 0], turn(gray))


def test_16_bits_on_a_background():
    """It is seen as far as pixels are transparent."""
    alpha = DEEP[..., 3:] / 65535
    expected = DEEP[..., :3] * alpha + np.array([0, 0, 65535]) * (1 - alpha)
    found = read(png_16_bit(DEEP), dtype="uint16", background="blue")
    # Pillow's bands of float32 hold integers up to 2**24.
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("orientation", [1, 6])
def test_16_bits_resized(orientation):
    """They are smooth in all their bits, and turned first."""
    y, x = np.mgrid[0:40, 0:60]
    pixels = ((x * 700 + y * 300)[..., None] + np.arange(3) * 1000).astype(np.uint16)
    small = read(png_16_bit(pixels, orientation), dtype="uint16", resize=(10, 12))
    assert small.shape == (10, 12, 3)
    band = Image.fromarray(TURNS[orientation](pixels)[..., 1].astype(np.float32))
    expected = np.asarray(band.resize((12, 10), Image.Resampling.LANCZOS))
    assert np.abs(small[..., 1] - expected).max() < 700
    assert len(np.unique(small % 256)) > 50


@pytest.mark.parametrize("part", [1, 10, 100])
@pytest.mark.parametrize(
    "options",
    [
        {"channels": 4},
        {"channels": 3},
        {"channels": 1, "background": "red"},
        {"channels": 4, "resize": (9, 8)},
        {"channels": 3, "resize": (3, 20)},
        {"channels": 1, "resize": (6, 6)},
    ],
)
def test_16_bits_are_the_same_in_parts(part, options, monkeypatch):
    """However many pixels are worked on at once, even less than a row."""
    contents = [
        png_16_bit(DEEP[..., :channels], orientation)
        for channels in (1, 2, 3, 4)
        for orientation in (1, 6, 8)
    ]
    contents += [RGBA_PNG, encoded(Image.fromarray(DEEP[..., 0].copy()), "TIFF")]
    whole = [convert(content, dtype="uint16", **options) for content in contents]
    monkeypatch.setattr(geometry, "_PART", part)
    for content, expected in zip(contents, whole, strict=True):
        assert convert(content, dtype="uint16", **options) == expected


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    "options", [{"channels": 4}, {"channels": 1}, {"channels": 4, "resize": (900, 900)}]
)
def test_16_bits_take_little_memory(options, orientation):
    """No more than the result, TensorFlow's copy of it, and a part."""
    y, x = np.mgrid[0:2000, 0:2000].astype(np.uint16)
    content = png_16_bit(np.stack([x, y, x, y * 30], axis=2), orientation)
    facts = formats.read_facts(content, max_pixels=4_000_000, decode=False)
    del x, y
    tracemalloc.start()
    try:
        conversion.convert(content, facts, ImageOptions(dtype="uint16", **options))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    height, width = options.get("resize", (2000, 2000))
    result = height * width * options["channels"] * 2
    assert result <= peak <= 2 * result + 4_000_000


def test_8_bits_need_no_numpy():
    """Workers import the module, and start sooner without."""
    package = str(pathlib.Path(conversion.__file__).parents[1])
    code = f"""
        import sys
        import types

        # Not the package, which imports the dataset builder.
        package = sys.modules["tfds_imagecsv"] = types.ModuleType("tfds_imagecsv")
        package.__path__ = [{package!r}]
        from tfds_imagecsv.images import convert, formats
        from tfds_imagecsv.options import ImageOptions

        content = bytes.fromhex({RGBA_PNG.hex()!r})
        facts = formats.read_facts(content, max_pixels=1000, decode=True)
        convert.convert(content, facts, ImageOptions(resize=(3, 4)))
        print("numpy" in sys.modules)
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"


def tiff_16_bit_rgb():
    """Returns a TIFF of one black pixel with 3 x 16 bits, which Pillow can't write."""
    tags = {256: 1, 257: 1, 259: 1, 262: 2, 273: 0, 277: 3, 278: 1, 279: 6}
    size = 8 + 2 + 12 * 9 + 4
    tags[273] = size + 6
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    entries.insert(2, struct.pack("<HHII", 258, 3, 3, size))
    header = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 9)
    bits = struct.pack("<3H", 16, 16, 16)
    return header + b"".join(entries) + bytes(4) + bits + bytes(6)


def test_16_bits_that_cannot_be_read():
    """They are refused rather than cut, unless 8 bits are all that is wanted."""
    content = tiff_16_bit_rgb()
    assert refusal(content, dtype="uint16") == (
        Kind.FORMAT,
        " is TIFF of 3 channels with more than 8 bits, of which 8 can be read",
    )
    assert (read(content) == 0).all()


@pytest.mark.parametrize("name", ["P6", "P3", "SGI", "SGI, gray", "JPEG2000", "AVIF"])
def test_more_than_8_bits_that_pillow_cuts(name):
    """They are refused for 16 bits, and scaled to 8, as near as the format allows."""
    content = deep()[name]
    assert look_at(content).depth == 16
    kind, detail = refusal(content, dtype="uint16")
    assert kind is Kind.FORMAT
    assert detail.endswith(" with more than 8 bits, of which 8 can be read")
    assert "depth 16" in plan(content).conversion
    wanted = DEEP_GRADIENT[..., :1] if name == "SGI, gray" else DEEP_GRADIENT
    off = read(content) - wanted / 257
    assert np.abs(off).max() <= (12 if name == "AVIF" else 1)


@pytest.mark.parametrize("name", ["P6", "P3", "SGI", "SGI, gray", "JPEG2000", "AVIF"])
def test_8_bits_of_formats_that_may_have_more(name):
    """They are what they seem to be."""
    content = deep(bits=8)[name]
    assert look_at(content).depth == 8
    assert plan(content, dtype="uint16").conversion
    stored_form.check(look_at(content), ImageOptions(dtype="uint16"))


def test_few_levels_of_ppm():
    """White is as white as of 255, and 8 bits are enough for fewer."""
    content = b"P6 2 1 100\n" + bytes([0, 50, 100, 100, 0, 50])
    assert look_at(content).depth == 8
    assert read(content).tolist() == [[[0, 128, 255], [255, 0, 128]]]


def tiff_12_bit_gray():
    """Returns a TIFF of two white pixels of 12 bits, which Pillow can't write."""
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1, 279: 3}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    header = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags))
    return header + b"".join(entries) + bytes(4) + b"\xff" * 3


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_12_bits_of_gray(dtype):
    """Pillow reads white as 4095 of 65535, which is nearly black."""
    with Image.open(io.BytesIO(tiff_12_bit_gray())) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("I;16", 4095)
    assert refusal(tiff_12_bit_gray(), dtype=dtype) == (
        Kind.FORMAT,
        " is TIFF of 12 bits a channel, which would be read as 16",
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_with_one_transparent_color(channels, dtype):
    """Neither Pillow nor TensorFlow knows where a picture of 16 bits has it."""
    content = png_16_bit(DEEP[..., :channels])
    stored_form.check(look_at(content), ImageOptions(dtype=dtype))
    color = b"tRNS" + bytes(2 * channels)
    length, checksum = (struct.pack(">I", n) for n in (2 * channels, zlib.crc32(color)))
    content = content[:33] + length + color + checksum + content[33:]
    assert refusal(content, dtype=dtype) == (
        Kind.FORMAT,
        " has 16 bits a channel, and one transparent colour",
    )


DEEP_GRADIENT = np.ascontiguousarray(smooth(64, 64).astype(np.uint16) * 257)


@functools.cache
def deep(bits=16):
    """Returns pictures of formats of which Pillow only shows 8 bits, by name."""
    pixels = DEEP_GRADIENT if bits == 16 else (DEEP_GRADIENT >> 8).astype(np.uint8)
    top = np.iinfo(pixels.dtype).max
    size = b"%d %d %d\n" % (pixels.shape[1], pixels.shape[0], top)
    samples = pixels.astype(pixels.dtype.newbyteorder(">"))
    levels = " ".join(map(str, pixels.ravel())).encode()
    bgr = pixels[..., ::-1]
    # OpenCV has AVIF of 8, 10 and 12 bits.
    avif = (bgr >> 6, 10) if bits == 16 else (bgr, 8)
    return {
        "P6": b"P6 " + size + samples.tobytes(),
        "P3": b"P3 " + size + levels,
        "SGI": sgi(samples),
        "SGI, gray": sgi(samples[..., :1]),
        "JPEG2000": cv2.imencode(".jp2", bgr)[1].tobytes(),
        "AVIF": cv2.imencode(".avif", avif[0], [cv2.IMWRITE_AVIF_DEPTH, avif[1]])[
            1
        ].tobytes(),
    }


def sgi(samples):
    """Returns big-endian pixels (height x width x channels) as an SGI, from below."""
    height, width, channels = samples.shape
    axes = 2 if channels == 1 else 3
    header = struct.pack(
        ">HBBHHHHII", 474, 0, samples.itemsize, axes, width, height, channels, 0, 255
    )
    return header.ljust(512, b"\0") + samples[::-1].transpose(2, 0, 1).tobytes()


# A law


@functools.cache
def sample():
    """Returns pictures of many kinds with their orientation."""
    files = [png_16_bit(noise(9, 6, n, dtype=np.uint16), n + 4) for n in (1, 2, 3, 4)]
    for image_format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"):
            for orientation in (1, 3, 6):
                image = Image.fromarray(noise(9, 6, 4)).convert(
                    mode.replace("I;16", "L")
                )
                if mode == "I;16":
                    image = Image.fromarray(noise(9, 6, dtype=np.uint16))
                try:
                    files.append(encoded(image, image_format, exif=exif(orientation)))
                except (OSError, KeyError, ValueError):
                    continue
    return files


@settings(max_examples=300)
@given(data=st.data())
def test_the_plan_agrees_with_what_is_made(data):
    """Size, channels and format are as planned, and the result needs no conversion."""
    content = data.draw(st.sampled_from(sample()))
    channels = data.draw(st.sampled_from([1, 3, 4]))
    dtype = data.draw(st.sampled_from(["uint8", "uint16"]))
    side = st.integers(1, 20)
    size = data.draw(
        st.one_of(
            st.just({}),
            st.builds(lambda h, w: {"resize": (h, w)}, side, side),
            st.builds(lambda longer: {"max_side": longer}, side),
        )
    )
    encodings = [None, "png"]
    if channels != 4 and dtype == "uint8":
        encodings.append("jpeg")
    encoding = data.draw(st.sampled_from(encodings))
    options = ImageOptions(
        channels=channels,
        dtype=dtype,
        apply_exif=data.draw(st.booleans()),
        encoding=encoding,
        quality=data.draw(st.sampled_from([None, 60])),
        **size,
    )
    facts = look_at(content)
    stored = stored_form.stored_as(facts, options)
    if stored.conversion:
        content = conversion.convert(content, facts, options)
    shape = (stored.stored_height, stored.stored_width, channels)
    assert decoded(content, channels, dtype).shape == shape
    if encoding:
        assert stored.stored_format == encoding.upper()
    again = stored_form.stored_as(look_at(content), options)
    assert again == (*shape[:2], stored.stored_format, "")
