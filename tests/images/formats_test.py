"""What the bytes of an image file are found to be, and why some are refused."""

import io
import random
import struct
import tracemalloc
import zlib
from unittest import mock

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from samples import encoded, exif, noise

from tfds_imagecsv.images import formats
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.problems import Kind, UnusableImageError

LIMIT = 1_000_000


def rgb(height=5, width=7):
    """Returns an RGB image of noise."""
    return Image.fromarray(noise(height, width, 3))


def chunk(name, data=b""):
    """Returns a chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def png(*chunks, height=1, width=2, depth=8, color=2, interlace=0, rows=None):
    """Returns a PNG with chunks before its data, which are black by default."""
    rows = bytes(height * (1 + 3 * width)) if rows is None else rows
    header = struct.pack(">II5B", width, height, depth, color, 0, 0, interlace)
    chunks = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND")


def xmp(orientation):
    """Returns XMP metadata with an orientation."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
        f' tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def look_at(content, *, decode=True, max_pixels=LIMIT):
    """Looks at all of a picture."""
    return formats.read_facts(content, max_pixels=max_pixels, decode=decode)


def refusal(content, **kwargs):
    """Returns the kind and the detail with which a picture is refused."""
    with pytest.raises(UnusableImageError) as caught:
        look_at(content, **kwargs)
    assert str(caught.value) == caught.value.detail
    return caught.value.kind, caught.value.detail


def tensorflow_reads(content):
    """Returns whether TensorFlow decodes a picture to height, width and channels."""
    try:
        return tf.image.decode_image(content, channels=3).ndim == 3
    except tf.errors.InvalidArgumentError:
        return False


# What a picture is


def test_all_facts():
    """Each field has its value."""
    content = encoded(rgb(5, 7), "JPEG", exif=exif(6))
    assert look_at(content) == Facts(
        format="JPEG",
        mode="RGB",
        channels=3,
        has_alpha=False,
        depth=8,
        height=5,
        width=7,
        orientation=6,
        frames=1,
        is_plain=True,
        is_lossy=True,
        mcu_height=16,
        mcu_width=16,
    )


@pytest.mark.parametrize("image_format", formats.FORMATS)
@pytest.mark.parametrize("decode", [True, False])
def test_each_format_is_known_by_its_content(image_format, decode):
    """Every format that Pillow can write here is recognized, with its size."""
    Image.init()
    if image_format not in Image.SAVE:
        pytest.skip("Pillow can't write it here")
    image = rgb(32, 16)
    image = image.convert("RGBA") if image_format == "ICO" else image
    # An icon has the sizes that it is asked for.
    kwargs = {"sizes": [(16, 32)]} if image_format == "ICO" else {}
    facts = look_at(encoded(image, image_format, **kwargs), decode=decode)
    assert (facts.format, facts.height, facts.width) == (image_format, 32, 16)


@pytest.mark.parametrize(
    ("mode", "image_format", "channels", "has_alpha", "depth", "is_gray"),
    [
        ("1", "PNG", 1, False, 1, True),
        ("L", "PNG", 1, False, 8, True),
        ("LA", "PNG", 2, True, 8, True),
        ("P", "PNG", 1, False, 8, False),
        ("RGB", "PNG", 3, False, 8, False),
        ("RGBA", "PNG", 4, True, 8, False),
        ("I;16", "PNG", 1, False, 16, True),
        ("L", "JPEG", 1, False, 8, True),
        ("RGB", "JPEG", 3, False, 8, False),
        ("CMYK", "JPEG", 4, False, 8, False),
        ("1", "BMP", 1, False, 1, True),
        ("L", "BMP", 1, False, 8, True),
        ("1", "TIFF", 1, False, 1, True),
        ("LA", "TIFF", 2, True, 8, True),
        ("CMYK", "TIFF", 4, False, 8, False),
        ("I;16", "TIFF", 1, False, 16, True),
        ("RGBA", "WEBP", 4, True, 8, False),
    ],
)
def test_mode_channels_alpha_and_depth(
    mode, image_format, channels, has_alpha, depth, is_gray
):
    """They are those of the file, whatever it will be converted to."""
    if mode == "I;16":
        image = Image.fromarray(noise(6, 5, dtype=np.uint16))
    elif mode == "P":
        image = rgb(20, 20).quantize(256)
    else:
        image = Image.fromarray(noise(6, 5, 4)).convert(mode)
    facts = look_at(encoded(image, image_format))
    assert (facts.mode, facts.channels, facts.has_alpha) == (mode, channels, has_alpha)
    assert (facts.depth, facts.is_gray) == (depth, is_gray)
    assert facts.is_gray_16_bit == (depth == 16)


@pytest.mark.parametrize(("color", "bits"), [(2, 48), (4, 32), (6, 64)])
def test_16_bits_a_channel_that_pillow_cuts(color, bits):
    """The depth is the file's, though Pillow's mode has 8 bits."""
    facts = look_at(png(depth=16, color=color, rows=bytes(1 + bits // 8 * 2)))
    assert facts.depth == 16
    assert not facts.is_gray_16_bit


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_of_gray(depth):
    """The depth is the file's."""
    facts = look_at(png(depth=depth, color=0, rows=b"\0\x80"))
    assert (facts.depth, facts.channels, facts.is_gray) == (depth, 1, True)


@pytest.mark.parametrize(
    "content",
    [
        png(chunk(b"tRNS", bytes(6))),
        png(chunk(b"tRNS", bytes(2)), color=0, rows=bytes(3)),
        png(chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\0"), color=3, rows=bytes(3)),
        encoded(rgb().quantize(8), "GIF", transparency=1),
    ],
    ids=["RGB", "gray", "palette", "GIF"],
)
def test_a_transparent_color_is_alpha(content):
    """Transparency needs no channel of its own."""
    assert look_at(content).has_alpha


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP", "TIFF"])
def test_frames(image_format):
    """Animations and documents of several pages have more than one."""
    more = [Image.fromarray(noise(5, 7, 3, seed=seed)) for seed in (1, 2)]
    content = encoded(rgb(5, 7), image_format, save_all=True, append_images=more)
    assert look_at(content).frames == 3


def test_a_jpeg_with_more_pictures_behind_it_is_a_jpeg():
    """Pillow calls the photos of some phones MPO."""
    preview = Image.new("RGB", (2, 2))
    content = encoded(rgb(), "MPO", save_all=True, append_images=[preview])
    facts = look_at(content)
    assert (facts.format, facts.height, facts.width) == ("JPEG", 5, 7)
    assert tensorflow_reads(content)


def test_a_jpeg_whose_list_of_pictures_is_damaged():
    """Its size is that of the picture that decoders show, which is the first."""
    preview = Image.new("RGB", (2, 2))
    content = bytearray(encoded(rgb(), "MPO", save_all=True, append_images=[preview]))
    # The list's entries of 16 bytes, the third field is the offset: 0 for the first.
    entry = content.index(b"MPF\0") + 4 + 8 + 2 + 3 * 12 + 4
    assert content[entry + 8 : entry + 12] == bytes(4)
    second = content[entry + 16 + 8 : entry + 16 + 12]
    content[entry + 8 : entry + 12] = second
    facts = look_at(bytes(content))
    assert (facts.height, facts.width) == (5, 7)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("decode", [True, False])
def test_orientation(image_format, orientation, decode):
    """Height and width are those before it is applied, in each format."""
    if image_format == "AVIF":
        Image.init()
        if "AVIF" not in Image.SAVE:
            pytest.skip("this Pillow has no AVIF")
    content = encoded(rgb(5, 7), image_format, exif=exif(orientation))
    facts = look_at(content, decode=decode)
    assert (facts.height, facts.width) == (5, 7)
    assert facts.orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing(orientation):
    """It is taken for upright, as viewers take it."""
    content = encoded(rgb(), "JPEG", exif=exif(orientation))
    assert look_at(content).orientation == 1


@pytest.mark.parametrize("decode", [True, False])
def test_exif_of_a_png_behind_its_data(decode):
    """A PNG may have it there."""
    content = encoded(rgb(), "PNG")
    end = content.index(b"IEND") - 4
    metadata = chunk(b"eXIf", exif(8).tobytes().removeprefix(b"Exif\0\0"))
    content = content[:end] + metadata + content[end:]
    assert look_at(content, decode=decode).orientation == 8


def test_xmp_orientation():
    """Orientation counts without EXIF, in XMP, as Pillow's `exif_transpose` has it."""
    assert look_at(encoded(rgb(), "JPEG", xmp=xmp(3))).orientation == 3
    assert look_at(encoded(rgb(), "WEBP", xmp=xmp(3))).orientation == 3
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3)
    assert look_at(png(chunk(b"iTXt", text))).orientation == 3


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "metadata",
    [b"Exif\0\0garbage", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"x"],
)
def test_damaged_exif_is_no_reason_to_refuse(image_format, metadata):
    """Viewers show such pictures."""
    facts = look_at(encoded(rgb(), image_format, exif=metadata))
    assert facts.orientation == 1


# BMP


def test_plain_bmps():
    """Only 24 bits a pixel without compression are plain."""
    assert look_at(encoded(rgb(), "BMP")).is_plain
    for mode in ("1", "L", "P", "RGBA"):
        assert not look_at(encoded(rgb().convert(mode), "BMP")).is_plain


def test_a_bmp_from_the_top():
    """A negative height turns the rows around; all decoders know that."""
    content = bytearray(encoded(rgb(5, 7), "BMP"))
    content[22:26] = struct.pack("<i", -5)
    facts = look_at(bytes(content))
    assert (facts.height, facts.width, facts.is_plain) == (5, 7, True)
    assert tensorflow_reads(bytes(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content + b"\0\0",
        lambda content: content[:-1],
        lambda content: content[:10] + bytes(4) + content[14:],
    ],
    ids=["Photoshop's two bytes", "last row not filled up", "no offset"],
)
def test_a_bmp_that_tensorflow_refuses_is_not_plain(change):
    """TensorFlow wants exactly as many bytes as header and rows have."""
    content = change(encoded(rgb(5, 7), "BMP"))
    assert not tensorflow_reads(content)
    assert not look_at(content).is_plain


# What is no image


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><title>404</title>",
        b"filename,label\n",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=["empty", "HTML", "CSV", "signature"],
)
def test_no_image(content, decode):
    """Text is none, nor is a beginning."""
    assert refusal(content, decode=decode) == (Kind.UNREADABLE, " isn't an image")


@pytest.mark.parametrize(
    ("image", "image_format", "detail"),
    [
        (Image.new("F", (2, 2)), "TIFF", " is TIFF of mode F"),
        (Image.new("I", (2, 2)), "TIFF", " is TIFF of mode I"),
        (Image.new("LAB", (2, 2)), "TIFF", " is TIFF of mode LAB"),
    ],
)
def test_pixels_that_are_no_colors(image, image_format, detail):
    """Nobody knows which of their values is white, or Pillow can't convert them."""
    content = encoded(image, image_format)
    assert refusal(content) == (Kind.FORMAT, detail)
    assert refusal(content, decode=False) == (Kind.FORMAT, detail)


def test_max_pixels_is_the_most():
    """As many are accepted, one more isn't."""
    content = encoded(rgb(5, 7), "PNG")
    assert look_at(content, max_pixels=35).height == 5
    detail = " has 5 x 7 = 35 pixels"
    assert refusal(content, max_pixels=34) == (Kind.TOO_LARGE, detail)
    assert refusal(content, max_pixels=34, decode=False) == (Kind.TOO_LARGE, detail)


def test_max_pixels_is_the_only_limit(monkeypatch):
    """Pillow's own limit doesn't count, in neither direction, nor does it warn."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)
    assert look_at(encoded(rgb(5, 7), "PNG")).width == 7
    assert Image.MAX_IMAGE_PIXELS == 3


@pytest.mark.parametrize("decode", [True, False])
def test_a_huge_image_takes_no_memory(decode):
    """The size is checked before pixels get their place."""
    content = png(height=60_000, width=60_000, rows=b"")
    tracemalloc.start()
    try:
        found = refusal(content, max_pixels=2**29 - 1, decode=decode)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    detail = " has 60,000 x 60,000 = 3,600,000,000 pixels"
    assert found == (Kind.TOO_LARGE, detail)
    assert peak < 10_000_000


# Damage


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_half_a_file(image_format):
    """It is refused, unless only its header is to be read."""
    content = encoded(rgb(50, 70), image_format)
    kind, detail = refusal(content[: len(content) // 2])
    assert kind is Kind.UNREADABLE
    assert detail.startswith(": ")
    assert len(detail) > 2


def test_only_the_header_is_read():
    """Without decoding, nobody finds out that a file ends after its header."""
    content = encoded(rgb(), "PNG")
    content = content[: content.index(b"IDAT") + 4]
    assert look_at(content, decode=False).width == 7
    kind, _ = refusal(content)
    assert kind is Kind.UNREADABLE


def test_a_png_with_a_wrong_checksum_in_a_chunk_that_is_not_needed():
    """TensorFlow minds it, though Pillow doesn't where the chunk is optional."""
    text = bytearray(chunk(b"tEXt", b"Comment\0hello"))
    text[-1] ^= 1
    content = png(bytes(text))
    # Behind the data Pillow reads nothing before it is asked to.
    whole = encoded(rgb(), "PNG")
    end = whole.index(b"IEND") - 4
    for damaged in (content, whole[:end] + bytes(text) + whole[end:]):
        kind, _ = refusal(damaged)
        assert kind is Kind.UNREADABLE
    detail = ": the checksum of its chunk 'tEXt' is wrong"
    assert refusal(damaged) == (Kind.UNREADABLE, detail)


def test_a_png_without_its_end():
    """All pixels are there, but TensorFlow reads on."""
    content = encoded(rgb(), "PNG")
    for cut in (1, 4, 11, 12):
        assert not tensorflow_reads(content[:-cut])
        assert refusal(content[:-cut]) == (Kind.UNREADABLE, ": its end is missing")


def test_a_png_with_bytes_behind_its_end():
    """Nobody reads them."""
    content = encoded(rgb(), "PNG") + b"more"
    assert look_at(content).width == 7
    assert tensorflow_reads(content)


def test_a_png_with_too_few_rows():
    """All checksums are right, but the data end early, as of a program that died."""
    content = png(height=4, width=2, rows=bytes(7))
    assert not tensorflow_reads(content)
    kind, _ = refusal(content)
    assert kind is Kind.UNREADABLE


@pytest.mark.parametrize("cut", [1, 4])
def test_a_png_whose_data_have_all_rows_but_no_end(cut):
    """Its chunks are sound, but what they hold lacks a bit of its own checksum."""
    rows = zlib.compress(bytes(7))
    whole = png(rows=bytes(7))
    content = whole.replace(chunk(b"IDAT", rows), chunk(b"IDAT", rows[:-cut]))
    assert content != whole
    assert tensorflow_reads(whole)
    assert not tensorflow_reads(content)
    kind, _ = refusal(content)
    assert kind is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        (chunk(b"RXIf", b"hello"), "it has the chunk 'RXIf', which nobody knows"),
        (chunk(b"a1b2", b"hello"), "it has the chunk 'a1b2', which is no name"),
        (png()[8:33], "it has a second header"),
    ],
    ids=["capital", "no letters", "header"],
)
def test_a_png_with_a_chunk_that_decoders_refuse(more, detail):
    """Pillow passes over it; a capital at the beginning says that it must be known."""
    content = png(more)
    assert not tensorflow_reads(content)
    assert refusal(content) == (Kind.UNREADABLE, f": {detail}")


def test_an_animation_of_no_pictures():
    """TensorFlow and Pillow read the one before it, but OpenCV doesn't."""
    content = png(chunk(b"acTL", bytes(8)))
    assert tensorflow_reads(content)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is None
    detail = ": it is an animation of no pictures"
    assert refusal(content) == (Kind.UNREADABLE, detail)


def test_a_png_whose_header_is_not_the_first_chunk():
    """Pillow reads on until there is one."""
    content = png()
    content = content[:8] + chunk(b"tEXt", b"a\0b") + content[8:]
    assert not tensorflow_reads(content)
    detail = ": its header isn't its first chunk"
    assert refusal(content) == (Kind.UNREADABLE, detail)


# A PNG's rows


KINDS = [
    *((0, depth) for depth in (1, 2, 4, 8, 16)),
    *((color, depth) for color in (2, 4, 6) for depth in (8, 16)),
]


def passes_of(height, width, interlace):
    """Returns how many rows and columns each pass of a PNG has, counted one by one."""
    if not interlace:
        return [(height, width)]
    # The pass of each pixel, as the specification shows it.
    adam7 = ["16462646", "77777777", "56565656", "77777777"]
    adam7 += ["36463646", "77777777", "56565656", "77777777"]
    found = []
    for number in "1234567":
        pixels = [
            (y, x)
            for y in range(height)
            for x in range(width)
            if adam7[y % 8][x % 8] == number
        ]
        rows, columns = ({pixel[axis] for pixel in pixels} for axis in (0, 1))
        found.append((len(rows), len(columns)))
    return [one for one in found if all(one)]


def rows_of(height, width, color, depth, interlace, *, seed=0):
    """Returns the bytes of a PNG's rows, and where their filters are."""
    bits = depth * {0: 1, 2: 3, 4: 2, 6: 4}[color]
    draw = random.Random(seed)
    rows, filters = bytearray(), []
    for count, columns in passes_of(height, width, interlace):
        for _ in range(count):
            filters.append(len(rows))
            rows.append(draw.randrange(5))
            rows += draw.randbytes((columns * bits + 7) // 8)
    return rows, filters


def is_refused(content):
    """Returns whether a picture is refused as one that can't be read."""
    try:
        look_at(content, max_pixels=10**7)
    except UnusableImageError as error:
        return error.kind is Kind.UNREADABLE
    return False


@settings(max_examples=150)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    kind=st.sampled_from(KINDS),
    interlace=st.booleans(),
    step=st.sampled_from([1, 2, 7, 64, 1 << 20]),
    seed=st.integers(0, 2**32),
)
def test_rows_of_a_png(height, width, kind, interlace, step, seed):
    """What TensorFlow reads passes, however much is looked at once, and no other."""
    rows, filters = rows_of(height, width, *kind, interlace, seed=seed)
    draw = random.Random(seed)
    wrong = bytearray(rows)
    wrong[draw.choice(filters)] = draw.randrange(5, 256)
    with mock.patch("tfds_imagecsv.images.png._INFLATED", step):
        for data, is_sound in (
            (rows, True),
            (rows + b"more", True),
            (wrong, False),
            (rows[:-1], False),
            (rows[: filters[-1]], False),
        ):
            content = png(
                height=height,
                width=width,
                color=kind[0],
                depth=kind[1],
                interlace=int(interlace),
                rows=bytes(data),
            )
            assert tensorflow_reads(content) == is_sound
            assert is_refused(content) != is_sound


@pytest.mark.parametrize(
    ("width", "color", "at"),
    [
        # Rows of 3001 bytes, of which the one that begins at 1,047,349 is looked at
        # in two parts; rows of 1024 bytes, of which one begins where a part does.
        *((1000, 2, row) for row in (0, 348, 349, 350, 399)),
        *((1023, 0, row) for row in (0, 1023, 1024, 1025, 1099)),
    ],
)
def test_rows_that_are_looked_at_in_parts(width, color, at):
    """A wrong filter is found in the last row of a part, and in the first."""
    height, stride = (400, 3001) if color == 2 else (1100, 1024)
    rows = bytearray(height * stride)
    for row in range(height):
        rows[row * stride + 1 : (row + 1) * stride] = b"\xff" * (stride - 1)
    kwargs = {"height": height, "width": width, "color": color}
    assert not is_refused(png(rows=bytes(rows), **kwargs))
    assert is_refused(png(rows=bytes(rows[:-1]), **kwargs))
    rows[at * stride] = 5
    content = png(rows=bytes(rows), **kwargs)
    assert refusal(content, max_pixels=10**7) == (
        Kind.UNREADABLE,
        ": a row has the filter 5",
    )
    assert not tensorflow_reads(content)


def test_data_in_many_chunks():
    """Wherever they are divided, and some may be empty."""
    content = encoded(rgb())
    at = content.index(b"IDAT") - 4
    data = content[at + 8 : -16]
    for cut in range(len(data) + 1):
        parts = b"".join(chunk(b"IDAT", part) for part in (data[:cut], b"", data[cut:]))
        divided = content[:at] + parts + content[-12:]
        assert look_at(divided) == look_at(content)
        assert tensorflow_reads(divided)


def test_data_in_two_pieces():
    """Another chunk between them ends the first."""
    content = encoded(rgb())
    at = content.index(b"IDAT") - 4
    data = content[at + 8 : -16]
    parts = chunk(b"IDAT", data[:9]), chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", data[9:])
    divided = content[:at] + b"".join(parts) + content[-12:]
    assert not tensorflow_reads(divided)
    detail = ": its data aren't in one piece"
    assert refusal(divided) == (Kind.UNREADABLE, detail)


def test_data_that_become_much_more_than_the_rows():
    """They take time, as all do, but no memory."""
    content = png(rows=bytes(100_000_000))
    tracemalloc.start()
    try:
        assert look_at(content).width == 2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


# Without Pillow


def by_pillow(content):
    """Returns what a picture is as Pillow says, or None if it refuses it."""
    try:
        with formats.opened(content, max_pixels=LIMIT) as image:
            return formats._facts(image, content)
    except Exception:
        return None


PNG_CHUNKS = {
    "pHYs": chunk(b"pHYs", bytes(9)),
    "tIME": chunk(b"tIME", b"\x07\xe8\1\1\0\0\0"),
    "gAMA": chunk(b"gAMA", struct.pack(">I", 45455)),
    "sRGB": chunk(b"sRGB", b"\0"),
    "cHRM": chunk(b"cHRM", struct.pack(">8I", *range(1, 9))),
    # Not usual.
    "tEXt": chunk(b"tEXt", b"a\0b"),
    "iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3)),
    "eXIf": chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")),
    "tRNS": chunk(b"tRNS", bytes(6)),
    "abCD": chunk(b"abCD", b"?"),
    "IDAT": chunk(b"IDAT"),
}
USUAL_CHUNKS = ("pHYs", "tIME", "gAMA", "sRGB", "cHRM", "IDAT")


@settings(max_examples=300)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    before=st.lists(st.sampled_from(sorted(PNG_CHUNKS)), max_size=3),
    behind=st.lists(st.sampled_from(sorted(PNG_CHUNKS)), max_size=2),
    optimize=st.booleans(),
)
def test_a_usual_png_needs_no_pillow(mode, height, width, before, behind, optimize):
    """It is what Pillow says; what may matter is left to it."""
    image = Image.new(mode.replace("P", "L"), (width, height))
    if mode == "P":
        image = image.quantize(4)
    content = encoded(image, optimize=optimize)
    content = content[:33] + b"".join(map(PNG_CHUNKS.get, before)) + content[33:]
    content = content[:-12] + b"".join(map(PNG_CHUNKS.get, behind)) + content[-12:]
    found = formats._plain_facts(content)
    is_usual = mode in ("L", "LA", "RGB", "RGBA")
    is_usual &= {*before, *behind} <= {*USUAL_CHUNKS}
    assert (found is not None) == is_usual
    assert found in (None, by_pillow(content))


JPEG_WAYS = {
    "progressive": True,
    "optimize": True,
    "quality": 3,
    "restart_marker_blocks": 1,
    "restart_marker_rows": 1,
    "comment": b"\xff\xc0 and \xff\xda",
    "dpi": (300, 300),
    "subsampling": 0,
    # Not usual.
    "exif": exif(6),
    "xmp": xmp(3),
    "icc_profile": b"a profile",
    "keep_rgb": True,
}
UNUSUAL_WAYS = {"exif", "xmp", "icc_profile", "keep_rgb"}


@settings(max_examples=300)
@given(
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    ways=st.sets(st.sampled_from(sorted(JPEG_WAYS)), max_size=4),
)
def test_a_usual_jpeg_needs_no_pillow(mode, height, width, ways):
    """It is what Pillow says; what may matter is left to it."""
    if mode != "RGB":
        ways = ways - {"keep_rgb", "subsampling"}
    image = Image.new(mode, (width, height))
    content = encoded(image, "JPEG", **{way: JPEG_WAYS[way] for way in ways})
    found = formats._plain_facts(content)
    assert (found is not None) == (mode != "CMYK" and not ways & UNUSUAL_WAYS)
    assert found in (None, by_pillow(content))


@pytest.mark.parametrize("progressive", [False, True])
def test_metadata_behind_the_size_of_a_jpeg(progressive):
    """They count there as well, so that Pillow has to look at them."""
    content = encoded(rgb(), "JPEG", progressive=progressive)
    turned = encoded(rgb(), "JPEG", exif=exif(6), progressive=progressive)
    start = turned.index(b"\xff\xe1")
    end = start + 2 + int.from_bytes(turned[start + 2 : start + 4], "big")
    scan = content.index(b"\xff\xda")
    moved = content[:scan] + turned[start:end] + content[scan:]
    assert look_at(content, decode=False).orientation == 1
    assert look_at(moved, decode=False).orientation == 6


def test_no_other_format_is_taken_for_a_usual_one():
    """Only PNGs and JPEGs are looked at without Pillow."""
    for image_format in ("BMP", "GIF", "WEBP", "TIFF", "PPM", "MPO", "TGA"):
        content = encoded(rgb(), image_format, save_all=image_format == "MPO")
        assert formats._plain_facts(content) in (None, by_pillow(content))


@pytest.mark.parametrize("place", [26, 27, 28])
def test_a_png_made_by_a_method_that_does_not_exist(place):
    """Compression, filter and interlacing have one byte each in the header."""
    content = bytearray(encoded(rgb(), "PNG"))
    content[place] = 170
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    assert not tensorflow_reads(bytes(content))
    kind, _ = refusal(bytes(content))
    assert kind is Kind.UNREADABLE


JPEG_DAMAGE = ": the data are damaged, or end too early"


def test_a_jpeg_without_its_end():
    """All pixels may be there, but TensorFlow reads on."""
    content = encoded(rgb(50, 70), "JPEG")
    assert content.endswith(b"\xff\xd9")
    for cut in (1, 2):
        kind, _ = refusal(content[:-cut])
        assert kind is Kind.UNREADABLE
        assert not tensorflow_reads(content[:-cut])


def stuffed(content):
    """Returns where the data of a JPEG have a stuffed zero."""
    start = content.index(b"\xff\xda") + 14
    data = range(start, len(content) - 2)
    return [at + 1 for at in data if content[at : at + 2] == b"\xff\0"]


@pytest.mark.parametrize("kwargs", [{}, {"quality": 95}, {"keep_rgb": True}])
@pytest.mark.parametrize("marker", [0xE9, 0xFE, 0xDC])
def test_data_of_a_jpeg_that_look_like_a_comment(kwargs, marker):
    """Pillow is content with what libjpeg has read so far, but TensorFlow isn't."""
    content = encoded(rgb(50, 70), "JPEG", **kwargs)
    damaged = bytearray(content)
    damaged[stuffed(content)[0]] = marker
    with Image.open(io.BytesIO(damaged)) as image:
        image.load()
    assert not tensorflow_reads(bytes(damaged))
    assert refusal(bytes(damaged)) == (Kind.UNREADABLE, JPEG_DAMAGE)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kwargs", [{}, {"quality": 95}, {"restart_marker_blocks": 2}])
def test_data_of_a_jpeg_that_look_like_a_marker(mode, kwargs):
    """Wherever it is: what passes, TensorFlow reads."""
    content = encoded(rgb(50, 70).convert(mode), "JPEG", **kwargs)
    refused = 0
    for at in stuffed(content):
        for marker in (0x01, 0x54, 0xC0, 0xC4, 0xD3, 0xD8, 0xD9, 0xDA, 0xDC, 0xFE):
            damaged = bytearray(content)
            damaged[at] = marker
            try:
                look_at(bytes(damaged))
            except UnusableImageError:
                refused += 1
            else:
                assert tensorflow_reads(bytes(damaged)), (at, marker)
    assert refused


def test_a_jpeg_that_ends_before_it_has_begun():
    """Pillow looks for an image after the end; nobody else does."""
    content = b"\xff\xd8\xff\xd9" + encoded(rgb(50, 70), "JPEG")
    assert not tensorflow_reads(content)
    kind, _ = refusal(content)
    assert kind is Kind.UNREADABLE


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"progressive": True},
        {"optimize": True},
        {"restart_marker_blocks": 1},
        {"restart_marker_rows": 1},
        {"progressive": True, "restart_marker_rows": 1},
        {"subsampling": 0, "quality": 100},
        {"keep_rgb": True},
        {"comment": b"\xff\xd9 and \xff\xda"},
    ],
    ids=lambda kwargs: "_".join(kwargs) or "baseline",
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sound_jpegs(mode, kwargs):
    """Each kind of JPEG that is whole is accepted."""
    if "keep_rgb" in kwargs and mode == "L":
        pytest.skip("gray has no colours to keep")
    content = encoded(rgb(50, 70).convert(mode), "JPEG", **kwargs)
    assert look_at(content).height == 50
    assert tensorflow_reads(content)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xff\xe1", b"\xff\xef"])
def test_a_jpeg_with_comments_behind_its_scan(name):
    """They are allowed there, and may look like anything."""
    body = b"hello\xff\xc0"
    comment = name + struct.pack(">H", 2 + len(body)) + body
    content = encoded(rgb(50, 70), "JPEG")
    content = content[:-2] + comment + b"\xff\x01" + comment + content[-2:]
    assert look_at(content).height == 50
    assert tensorflow_reads(content)


def test_a_jpeg_with_bytes_behind_its_end():
    """Cameras put previews there; nobody reads them."""
    content = encoded(rgb(50, 70), "JPEG")
    for more in (b"more", bytes(100), b"\xff\xff\xc0", content):
        assert look_at(content + more).height == 50
        assert tensorflow_reads(content + more)


# What others have set in Pillow


def test_truncated_images_are_refused_whatever_pillow_is_told(monkeypatch):
    """TFDS tells Pillow to accept them, once it has shown an image."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12345)
    for image_format in ("PNG", "JPEG", "BMP", "TIFF"):
        content = encoded(rgb(50, 70), image_format)
        assert look_at(content).height == 50
        kind, _ = refusal(content[: len(content) // 2])
        assert kind is Kind.UNREADABLE
        assert ImageFile.LOAD_TRUNCATED_IMAGES is True
        assert Image.MAX_IMAGE_PIXELS == 12345


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (OSError("broken data stream"), ": broken data stream"),
        (MemoryError(), ": MemoryError"),
    ],
)
def test_the_reason_of_a_library(error, detail):
    """Its words, or its name where it has none."""
    found = formats.unreadable(error)
    assert (found.kind, found.detail) == (Kind.UNREADABLE, detail)


@pytest.mark.parametrize("is_lossless", [True, False])
@pytest.mark.parametrize("kind", ["plain", "with metadata", "animated"])
def test_whether_a_webp_has_lost_something(is_lossless, kind):
    """Its chunks say it, whatever is in the others."""
    arguments = {
        "plain": {},
        "with metadata": {"exif": b"VP8 " * 3, "icc_profile": b"VP8L" * 5},
        "animated": {"save_all": True, "append_images": [rgb(5, 7)]},
    }[kind]
    content = encoded(rgb(5, 7), "WEBP", lossless=is_lossless, **arguments)
    assert look_at(content).is_lossy is not is_lossless
