"""Masks are stored with their values, where their images have the pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import TURNS, encoded, exif, noise, png_of

from tfds_imagecsv.images import facts, masks, stored_form
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, UnusableImageError

# Odd sides, of which none is the other's multiple.
HEIGHT, WIDTH = 5, 7
VALUES = noise(HEIGHT, WIDTH)
DEEP = noise(HEIGHT, WIDTH, dtype=np.uint16)


def image(orientation=1, height=HEIGHT, width=WIDTH):
    """Returns the facts of a JPEG."""
    plain = facts.plain_facts("JPEG", "RGB", height, width, mcu=(8, 8))
    return plain._replace(orientation=orientation)


def png(pixels, image_format="PNG", **kwargs):
    """Returns values as a file of one channel."""
    return encoded(
        Image.fromarray(np.ascontiguousarray(pixels)), image_format, **kwargs
    )


def palette(pixels, image_format="PNG", **kwargs):
    """Returns values as the indices of a palette whose colours are others."""
    picture = Image.frombytes("P", pixels.shape[::-1], pixels.tobytes())
    picture.putpalette(noise(256, 3, seed=9).tobytes())
    return encoded(picture, image_format, **kwargs)


def gray(pixels, depth):
    """Returns values as a gray PNG of some bits a pixel, which Pillow can't write."""
    rows = b""
    for row in pixels:
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">IIBBBBB", *pixels.shape[::-1], depth, 0, 0, 0, 0)
    return png_of(header, rows)


def with_transparency(content, level):
    """Returns a gray PNG of which a level is transparent."""
    chunk = b"tRNS" + struct.pack(">H", level)
    crc = struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + struct.pack(">I", 2) + chunk + crc + content[33:]


def read(mask, dtype="uint8"):
    """Returns the values of a stored mask as TensorFlow and Pillow read them."""
    with Image.open(io.BytesIO(mask.content)) as opened:
        by_pillow = np.asarray(opened)
    found = tf.io.decode_png(mask.content, channels=1, dtype=dtype).numpy()[..., 0]
    assert np.array_equal(by_pillow, found)
    # The counts are of these pixels.
    values, counts = np.unique(found, return_counts=True)
    assert np.array_equal(mask.values, values)
    assert np.array_equal(mask.counts, counts)
    assert mask.values.dtype == mask.counts.dtype == np.int64
    return found


def stored(content, of=None, *, dtype="uint8", colors=None, upright=None, **options):
    """Returns the values of a mask's file as they are stored and read."""
    mask = masks.converted(
        content,
        of or image(),
        ImageOptions(**options),
        dtype=dtype,
        are_upright=upright,
        colors=colors,
    )
    return read(mask, dtype)


def refusal(content, of=None, **kwargs):
    """Returns the kind and the detail with which a mask is refused."""
    with pytest.raises(UnusableImageError) as caught:
        masks.converted(content, of or image(), ImageOptions(), **kwargs)
    return caught.value.kind, caught.value.detail


# Values


FEW = {depth: VALUES % 2**depth for depth in (1, 2, 4)}


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (png(VALUES), VALUES),
        (png(VALUES, "TIFF"), VALUES),
        (png(VALUES, "TIFF", compression="tiff_lzw"), VALUES),
        (png(VALUES, "BMP"), VALUES),
        (palette(VALUES), VALUES),
        (palette(VALUES, transparency=3), VALUES),
        (palette(VALUES, "GIF", optimize=False), VALUES),
        (palette(VALUES, "BMP"), VALUES),
        (palette(VALUES, "TIFF"), VALUES),
        (palette(FEW[1], bits=1), FEW[1]),
        (palette(FEW[2], bits=2), FEW[2]),
        (palette(FEW[4], bits=4), FEW[4]),
        (png(FEW[1].astype(bool)), FEW[1]),
        (png(FEW[1].astype(bool), "TIFF"), FEW[1]),
        (png(FEW[1].astype(bool), "TIFF", compression="group4"), FEW[1]),
        (png(FEW[1].astype(bool), "BMP"), FEW[1]),
        (gray(FEW[1], 1), FEW[1]),
        (gray(FEW[2], 2), FEW[2]),
        (gray(FEW[4], 4), FEW[4]),
        (with_transparency(png(VALUES), int(VALUES[0, 0])), VALUES),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_values_are_as_in_the_file(content, values, dtype):
    """Neither the colours of a palette, nor levels from 0 to 255."""
    assert np.array_equal(stored(content, dtype=dtype), values)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_values_of_16_bits(image_format):
    """Nothing is cut."""
    assert np.array_equal(stored(png(DEEP, image_format), dtype="uint16"), DEEP)


def test_values_of_16_bits_in_the_other_order_of_bytes():
    """As TIFFs of some microscopes have them."""
    picture = Image.frombytes("I;16B", (WIDTH, HEIGHT), DEEP.astype(">u2").tobytes())
    assert np.array_equal(stored(encoded(picture, "TIFF"), dtype="uint16"), DEEP)


def test_small_values_of_16_bits_fit_8():
    """If the dataset's masks have 8 bits, nobody loses anything."""
    assert np.array_equal(stored(png(VALUES.astype(np.uint16))), VALUES)


@pytest.mark.parametrize(
    ("content", "dtype"),
    [(png(VALUES), "uint8"), (palette(VALUES), "uint8"), (png(DEEP), "uint16")],
)
def test_the_dtype_is_that_of_the_file(content, dtype):
    """Unless another is asked for."""
    mask = masks.converted(content, image(), ImageOptions())
    assert mask.dtype == dtype
    read(mask, dtype)


def test_the_dtype_of_colors_is_that_of_their_values():
    """Of more than 256 classes, ids take 16 bits."""
    content = encoded(Image.new("RGB", (WIDTH, HEIGHT), "red"))
    for value, dtype in ((255, "uint8"), (256, "uint16")):
        colors = {(255, 0, 0): value}
        mask = masks.converted(content, image(), ImageOptions(), colors=colors)
        assert mask.dtype == dtype
        assert (read(mask, dtype) == value).all()


def test_values_that_no_class_has():
    """They are counted in the file, also where a smaller mask has none of them."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[0, :3] = 3, 7, 7
    kind, detail = refusal(png(values), classes=3)
    assert kind is Kind.MASK_VALUE
    assert detail == (
        " has the values 3, 7 in 3 of its pixels; those of the classes are 0 to 2"
    )
    with pytest.raises(UnusableImageError):
        masks.converted(png(values), image(), ImageOptions(resize=(1, 1)), classes=3)
    assert np.array_equal(stored(png(values % 3)), values % 3)


@pytest.mark.parametrize(
    ("content", "dtype"),
    [
        (png(VALUES), "uint8"),
        (png(VALUES, compress_level=1), "uint8"),
        (png(DEEP), "uint16"),
    ],
)
def test_what_reads_rightly_is_kept(content, dtype):
    """Byte for byte."""
    mask = masks.converted(content, image(), ImageOptions(), dtype=dtype)
    assert mask.content == content
    read(mask, dtype)


@pytest.mark.parametrize(
    "content",
    [
        palette(VALUES),
        gray(FEW[4], 4),
        with_transparency(png(VALUES), 3),
        png(VALUES, exif=exif(3)),
    ],
)
def test_what_readers_differ_in_is_encoded_again(content):
    """And then has neither palette, transparency nor orientation."""
    mask = masks.converted(content, image(), ImageOptions(), are_upright=False)
    with Image.open(io.BytesIO(mask.content)) as opened:
        assert (opened.mode, opened.info) == ("L", {})
        assert opened.getexif() == {}
    assert mask.content[24:26] == b"\x08\0"  # depth and type of colour


def test_bytes_do_not_depend_on_the_files():
    """The same values become the same bytes, at each call."""
    files = [palette(VALUES), palette(VALUES, "BMP"), png(VALUES, "TIFF")]
    found = {
        masks.converted(content, image(), ImageOptions()).content for content in files
    }
    assert len(found) == 1


# Frames


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("values", [VALUES, DEEP])
def test_masks_as_images_are_shown(orientation, values):
    """What annotation tools export stays as it is."""
    upright = TURNS[orientation](values)
    found = stored(png(upright), image(orientation), dtype=str(values.dtype))
    assert np.array_equal(found, upright)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("values", [VALUES, DEEP])
def test_masks_as_images_are_in_their_files(orientation, values):
    """If the size or the user tells it, they are turned with their images."""
    told = None if orientation in (1, 5, 6, 7, 8) else False
    content, of = png(values), image(orientation)
    found = stored(content, of, dtype=str(values.dtype), upright=told)
    assert np.array_equal(found, TURNS[orientation](values))
    found = stored(content, of, dtype=str(values.dtype), upright=False)
    assert np.array_equal(found, TURNS[orientation](values))


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("is_upright", [True, False])
def test_images_that_are_not_turned(orientation, is_upright):
    """Their masks are turned back, if they are upright."""
    upright = np.ascontiguousarray(TURNS[orientation](VALUES))
    content = png(upright if is_upright else VALUES)
    found = stored(content, image(orientation), upright=is_upright, apply_exif=False)
    assert np.array_equal(found, VALUES)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("upright", [None, True, False])
@pytest.mark.parametrize("apply_exif", [True, False])
def test_masks_with_the_orientation_of_their_images(
    orientation, image_format, upright, apply_exif
):
    """They are turned once, whatever is said."""
    kwargs = {"exif": exif(orientation)}
    if image_format == "TIFF":
        kwargs = {"tiffinfo": {0x0112: orientation}}
    found = stored(
        png(VALUES, image_format, **kwargs),
        image(orientation),
        upright=upright,
        apply_exif=apply_exif,
    )
    assert np.array_equal(found, TURNS[orientation](VALUES) if apply_exif else VALUES)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_masks_with_an_orientation_of_images_without(orientation, image_format):
    """Both are shown upright; unless the mask is said to be as in the file."""
    of = image(1, *TURNS[orientation](VALUES).shape)
    kwargs = {"exif": exif(orientation)}
    if image_format == "TIFF":
        kwargs = {"tiffinfo": {0x0112: orientation}}
    content = png(VALUES, image_format, **kwargs)
    assert np.array_equal(stored(content, of), TURNS[orientation](VALUES))
    as_in_file = stored(content, image(), upright=False)
    assert np.array_equal(as_in_file, VALUES)


@pytest.mark.parametrize(
    ("orientation", "shape", "is_upright"),
    [
        (1, (HEIGHT, WIDTH), None),
        (3, (HEIGHT, WIDTH), None),
        (6, (HEIGHT, WIDTH), False),
        (6, (WIDTH, HEIGHT), True),
    ],
)
def test_what_the_size_tells(orientation, shape, is_upright):
    """So the sizes of some masks may tell the frame of all."""
    found = masks.converted(png(noise(*shape)), image(orientation), ImageOptions())
    assert found.is_upright is is_upright


def test_a_square_mask_is_upright():
    """Its size doesn't tell; most tools export it so."""
    values = noise(6, 6)
    assert np.array_equal(stored(png(values), image(6, 6, 6)), values)
    turned = stored(png(values), image(6, 6, 6), upright=False)
    assert np.array_equal(turned, TURNS[6](values))


# Sizes


def nearest(values, height, width):
    """Returns values at the centres of another grid, pixel by pixel."""
    before = values.shape
    return np.array(
        [
            [
                values[
                    (2 * y + 1) * before[0] // (2 * height),
                    (2 * x + 1) * before[1] // (2 * width),
                ]
                for x in range(width)
            ]
            for y in range(height)
        ],
        values.dtype,
    ).reshape(height, width)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    orientation=st.integers(1, 8),
    is_upright=st.booleans(),
    apply_exif=st.booleans(),
    size=st.one_of(
        st.fixed_dictionaries(
            {"resize": st.tuples(st.integers(1, 15), st.integers(1, 15))}
        ),
        st.fixed_dictionaries({"max_side": st.integers(1, 15)}),
    ),
    dtype=st.sampled_from(["uint8", "uint16"]),
)
def test_resized_masks(shape, orientation, is_upright, apply_exif, size, dtype):
    """Turned first, then resized: each pixel has the value below its centre."""
    values = noise(*shape, dtype=np.dtype(dtype))
    upright = TURNS[orientation](values)
    options = ImageOptions(apply_exif=apply_exif, **size)
    of = image(orientation, *shape)
    planned = stored_form.stored_as(of, options)
    mask = masks.converted(
        png(upright if is_upright else values),
        of,
        options,
        dtype=dtype,
        are_upright=is_upright,
    )
    expected = nearest(
        upright if apply_exif else values, planned.stored_height, planned.stored_width
    )
    assert np.array_equal(read(mask, dtype), expected)


@settings(max_examples=60, deadline=None)
@given(before=st.integers(1, 200), after=st.integers(1, 200))
def test_nearest_is_pillows(before, after):
    """Unless a centre is on an edge, where Pillow's rounding errors decide."""
    values = np.arange(before, dtype=np.uint8)[None]
    found = stored(png(values), image(1, 1, before), resize=(1, after))
    resized = Image.fromarray(values).resize((after, 1), Image.Resampling.NEAREST)
    on_edge = (2 * np.arange(after) + 1) * before % (2 * after) == 0
    assert np.array_equal(found[:, ~on_edge], np.asarray(resized)[:, ~on_edge])
    assert (found[0, on_edge] - np.asarray(resized)[0, on_edge]).max(initial=0) <= 1


def test_a_large_mask():
    """It is read in parts; the last isn't whole."""
    values = noise(700, 331) % 5
    mask = masks.converted(palette(values), image(6, 331, 700), ImageOptions())
    assert np.array_equal(read(mask), values)


# Colours


RED, GREEN = (255, 0, 0), (0, 128, 0)
COLORS = {RED: 2, GREEN: 0, (0, 0, 0): 255}


def in_colors(values, mode="RGB"):
    """Returns values as a picture of their colours."""
    by_value = {value: color for color, value in COLORS.items()}
    pixels = np.array([[by_value[value] for value in row] for row in values], np.uint8)
    return Image.fromarray(pixels).convert(mode)


CLASSES = np.array([2, 0, 255], np.uint8)[noise(HEIGHT, WIDTH) % 3]


@pytest.mark.parametrize(
    "content",
    [
        encoded(in_colors(CLASSES)),
        encoded(in_colors(CLASSES, "RGBA")),
        encoded(in_colors(CLASSES).quantize(4, dither=0)),
        encoded(in_colors(CLASSES), "BMP"),
        encoded(in_colors(CLASSES), "TIFF"),
        encoded(in_colors(CLASSES).quantize(4, dither=0), "GIF"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_become_their_values(content, dtype):
    """Of a palette, too."""
    assert np.array_equal(stored(content, dtype=dtype, colors=COLORS), CLASSES)


@pytest.mark.parametrize("orientation", TURNS)
def test_masks_of_colours_are_turned(orientation):
    """As others are."""
    content = encoded(in_colors(CLASSES))
    found = stored(content, image(orientation), colors=COLORS, upright=False)
    assert np.array_equal(found, TURNS[orientation](CLASSES))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "RGB"])
def test_gray_masks_have_colours(mode):
    """Black and white, as many tools write masks of one class."""
    picture = Image.fromarray((FEW[1] * 255).astype(np.uint8)).convert(mode)
    colors = {(0, 0, 0): 0, (255, 255, 255): 1}
    assert np.array_equal(stored(encoded(picture), colors=colors), FEW[1])


def test_transparent_pixels_have_colours():
    """Annotations that are drawn on nothing are black where it is."""
    pixels = np.dstack([np.asarray(in_colors(CLASSES)), noise(HEIGHT, WIDTH)])
    content = encoded(Image.fromarray(pixels))
    assert np.array_equal(stored(content, colors=COLORS), CLASSES)


def test_colours_without_a_value():
    """The first is named, and how many pixels have it."""
    pixels = np.asarray(in_colors(CLASSES)).copy()
    pixels[1, 3] = 0, 255, 1
    assert refusal(encoded(Image.fromarray(pixels)), colors=COLORS) == (
        Kind.MASK_COLOR,
        " has 1 pixel of #00ff01, the first at x=3, y=1",
    )
    pixels[1, 4:6] = 9, 9, 9
    pixels[4, 2] = 0, 255, 1
    assert refusal(encoded(Image.fromarray(pixels)), colors=COLORS) == (
        Kind.MASK_COLOR,
        " has 2 pixels of #00ff01, the first at x=3, y=1; 2 have other such colours",
    )


def test_a_colour_without_a_value_in_a_later_part():
    """Its place is that in the whole mask."""
    pixels = np.zeros((700, 331, 3), np.uint8)
    pixels[600, 7] = pixels[650] = 1, 2, 3
    content = encoded(Image.fromarray(pixels))
    assert refusal(content, image(1, 700, 331), colors=COLORS) == (
        Kind.MASK_COLOR,
        " has 332 pixels of #010203, the first at x=7, y=600",
    )


# What is refused


def tiff_whose_0_is_white():
    """Returns a TIFF whose tag says so; Pillow can't write it."""
    content = png(VALUES, "TIFF")
    tag = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert content.count(tag) == 1
    return content.replace(tag, struct.pack("<HHIHH", 262, 3, 1, 0, 0))


OF_COLORS = "bits a channel: colours of masks are RGB with 8"
RGB_PICTURE = Image.fromarray(noise(HEIGHT, WIDTH, 3))


@pytest.mark.parametrize(
    ("content", "colors", "detail"),
    [
        (
            png(VALUES, "JPEG"),
            None,
            " is JPEG with loss: its compression has changed values",
        ),
        (
            encoded(RGB_PICTURE, "JPEG"),
            COLORS,
            " is JPEG with loss: its compression has changed values",
        ),
        (
            encoded(RGB_PICTURE, "WEBP"),
            COLORS,
            " is WEBP with loss: its compression has changed values",
        ),
        (
            png(VALUES, "TIFF", compression="jpeg"),
            None,
            " is TIFF with loss: its compression has changed values",
        ),
        (
            encoded(RGB_PICTURE, "WEBP", lossless=True),
            COLORS,
            " is WEBP: masks are PNG, TIFF, BMP, GIF",
        ),
        (png(VALUES, "PPM"), None, " is PPM: masks are PNG, TIFF, BMP, GIF"),
        (
            png(VALUES, "TIFF", save_all=True, append_images=[Image.new("L", (7, 5))]),
            None,
            " has 2 frames, and a mask has one",
        ),
        (
            encoded(RGB_PICTURE),
            None,
            " has 3 channels: without mask_colors, a mask has one",
        ),
        (
            encoded(Image.fromarray(VALUES).convert("LA")),
            None,
            " has 2 channels: without mask_colors, a mask has one",
        ),
        (
            encoded(RGB_PICTURE.convert("CMYK"), "TIFF"),
            COLORS,
            f" is TIFF of mode CMYK with 8 {OF_COLORS}",
        ),
        (
            tf.io.encode_png(noise(HEIGHT, WIDTH, 3, dtype=np.uint16)).numpy(),
            COLORS,
            f" is PNG of mode RGB with 16 {OF_COLORS}",
        ),
        (
            png(DEEP),
            COLORS,
            f" is PNG of mode I;16 with 16 {OF_COLORS}",
        ),
        (
            tiff_whose_0_is_white(),
            None,
            " is TIFF whose 0 is white: programs read different values of it",
        ),
    ],
)
def test_files_without_certain_values(content, colors, detail):
    """Each is refused with its reason."""
    assert refusal(content, colors=colors) == (Kind.MASK_FORMAT, detail)


def test_values_that_the_dtype_lacks():
    """Such as those of a file that has changed since it was inspected."""
    with pytest.raises(UnusableImageError) as caught:
        masks.converted(png(DEEP), image(), ImageOptions(), dtype="uint8")
    assert caught.value.kind is Kind.MASK_FORMAT
    assert caught.value.detail == f" has the value {DEEP.max():,}, which uint8 lacks"


@pytest.mark.parametrize(
    ("orientation", "upright", "sizes"),
    [
        (1, None, "5 x 7"),
        (1, True, "5 x 7"),
        (1, False, "5 x 7"),
        (6, None, "5 x 7 or 7 x 5"),
        (6, True, "7 x 5"),
        (6, False, "5 x 7"),
    ],
)
def test_another_size(orientation, upright, sizes):
    """It is said with the sizes that would do."""
    content = png(noise(1000, 8))
    assert refusal(content, image(orientation), are_upright=upright) == (
        Kind.MASK_SIZE,
        f" has 1,000 x 8 pixels, not {sizes}",
    )


def test_another_size_and_an_orientation():
    """The size is that in the frame that the mask is said to be in."""
    content = png(VALUES, exif=exif(6))
    detail = " has 7 x 5 pixels, not 9 x 9"
    assert refusal(content, image(1, 9, 9))[1] == detail
    assert refusal(content, image(1, 9, 9), are_upright=True)[1] == detail
    detail = " has 5 x 7 pixels, not 9 x 9"
    assert refusal(content, image(1, 9, 9), are_upright=False)[1] == detail


@pytest.mark.parametrize("upright", [True, False])
def test_the_size_of_the_other_frame(upright):
    """It isn't that which the user says."""
    values = VALUES if upright else VALUES.T
    kind, _ = refusal(png(values), image(6), are_upright=upright)
    assert kind is Kind.MASK_SIZE


@pytest.mark.parametrize("write", [png, palette])
def test_damaged_masks(write):
    """They are found as damaged images are."""
    content = write(noise(50, 70))
    at = content.index(b"IDAT") + 30
    changed = bytes([content[at] ^ 255])
    of = image(1, 50, 70)
    assert refusal(content[:at], of)[0] is Kind.UNREADABLE
    assert refusal(content[:at] + changed + content[at + 1 :], of) == (
        Kind.UNREADABLE,
        ": the checksum of its chunk 'IDAT' is wrong",
    )
    assert refusal(b"", of) == (Kind.UNREADABLE, " isn't an image")


def test_masks_with_too_many_pixels():
    """They are refused before they are decoded."""
    with pytest.raises(UnusableImageError) as caught:
        masks.converted(png(VALUES), image(), ImageOptions(max_pixels=34))
    assert caught.value.kind is Kind.TOO_LARGE
    assert caught.value.detail == " has 5 x 7 = 35 pixels"
