"""Files that Pillow alone can't read: extras, and what else is known by its bytes."""

import importlib.util
import io
import struct

import cv2
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 - lets Pillow write JPEG XL
import pytest
from PIL import Image
from samples import TURNS, encoded, exif, noise
from sklearn import datasets

from tfds_imagecsv import image_formats
from tfds_imagecsv.images import convert as conversion
from tfds_imagecsv.images import (
    formats,
    jpeg_xl,
    signatures,
    stored_form,
)
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, UnusableImageError

pillow_heif.register_heif_opener()

PHOTO = datasets.load_sample_images().images[0][100:196, 50:210]


def look_at(content):
    """Returns what a file is."""
    return formats.read_facts(content, max_pixels=10**6, decode=True)


def convert(content, **options):
    """Returns the bytes that are stored for a file, and how."""
    facts, options = look_at(content), ImageOptions(**options)
    stored_form.check(facts, options)
    stored = stored_form.stored_as(facts, options)
    return conversion.convert(content, facts, options, check_end=True), stored


def pixels_of(content):
    """Returns the pixels of a file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def refusal(content, decode=True):
    """Returns the kind and the detail with which a file is refused."""
    with pytest.raises(UnusableImageError) as caught:
        formats.read_facts(content, max_pixels=10**6, decode=decode)
    return caught.value.kind, caught.value.detail


# Extras


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation):
    """By its own transformations; EXIF says the same again."""
    upright = encoded(Image.fromarray(PHOTO), "HEIF", quality=95)
    content = encoded(
        Image.fromarray(PHOTO), "HEIF", quality=95, exif=exif(orientation).tobytes()
    )
    facts = look_at(content)
    assert (facts.format, facts.orientation) == ("HEIF", 1)
    turned = orientation >= 5
    assert (facts.height, facts.width) == ((160, 96) if turned else (96, 160))
    stored, how = convert(content)
    assert how.conversion == "format HEIF"
    assert how.stored_format == look_at(stored).format == "JPEG"
    expected = TURNS[orientation](pixels_of(upright))
    assert np.abs(pixels_of(stored) - expected).mean() <= 3
    exact, _ = convert(content, encoding="png")
    assert np.array_equal(pixels_of(exact), expected)


@pytest.mark.parametrize("primary", [0, 1])
def test_heic_of_several_pictures(primary):
    """The primary one counts, which all viewers show, wherever it is."""
    pictures = [PHOTO, PHOTO[:, ::-1]]
    first, other = map(Image.fromarray, pictures)
    content = encoded(
        first,
        "HEIF",
        save_all=True,
        append_images=[other],
        primary_index=primary,
        quality=95,
    )
    assert look_at(content).frames == 2
    stored, how = convert(content)
    assert how.conversion == "format HEIF, several frames"
    assert np.abs(pixels_of(stored) - pictures[primary]).mean() <= 8
    assert np.abs(pixels_of(stored) - pictures[1 - primary]).mean() > 8


@pytest.mark.parametrize("part", [20, 300, -100])
def test_damaged_heic(part):
    """It is a damaged image, and no missing library."""
    content = encoded(Image.fromarray(PHOTO), "HEIF")[:part]
    kind, detail = refusal(content)
    assert kind is Kind.UNREADABLE
    assert detail.startswith(": ")


def test_resized_heic_is_a_jpeg():
    """With a quarter of the colours, as it has itself."""
    content = encoded(Image.fromarray(PHOTO), "HEIF")
    stored, how = convert(content, max_side=80)
    assert (how.stored_format, how.stored_width) == ("JPEG", 80)
    assert pixels_of(stored).shape == (48, 80, 3)


def test_jpeg_xl():
    """What is kept without loss is stored without loss."""
    content = encoded(Image.fromarray(PHOTO), "JXL", lossless=True)
    stored, how = convert(content)
    assert how.conversion == "format JXL"
    assert how.stored_format == "PNG"
    assert np.array_equal(pixels_of(stored), PHOTO)
    assert convert(content, max_side=80)[1].stored_format == "JPEG"


@pytest.mark.parametrize("use_container", [False, True])
@pytest.mark.parametrize(
    "size",
    [(8, 8), (8, 16), (16, 8), (1, 1), (7, 300), (256, 40), (40, 30), (600, 500)],
)
def test_the_size_of_a_jpeg_xl(size, use_container):
    """It is that of the header, small or large, in any proportions."""
    image = Image.new("RGB", size)
    content = encoded(image, "JXL", use_container=use_container)
    assert jpeg_xl.size_of(content) == size[::-1]


def test_a_jpeg_xl_that_would_fill_the_memory():
    """It is refused by its header, before its library decodes it."""
    # Not small; 30 bits for the height; 1:1.
    bits = 0b11 << 1 | (59_999 << 3) | (1 << 33)
    content = b"\xff\x0a" + bits.to_bytes(12, "little")
    assert refusal(content) == (
        Kind.TOO_LARGE,
        " has 60,000 x 60,000 = 3,600,000,000 pixels",
    )


def test_jpeg_xl_is_turned_once():
    """The decoder does it, so EXIF doesn't count, but in a JPEG that is packed."""
    tags = exif(6).tobytes()
    content = encoded(Image.fromarray(PHOTO), "JXL", lossless=True, exif=tags)
    assert look_at(content).orientation == 1
    content = b"\xff\x0a" + bytes(20)
    assert refusal(content)[0] is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("image_format", "name", "extra"),
    [("HEIF", "HEIC", "heif"), ("JXL", "JPEG XL", "jxl")],
)
@pytest.mark.parametrize("decode", [True, False])
def test_an_extra_that_is_missing(monkeypatch, image_format, name, extra, decode):
    """The message names the format, and how to read it."""
    content = encoded(Image.fromarray(PHOTO), image_format)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert refusal(content, decode) == (
        Kind.UNSUPPORTED,
        f" is {name}: install what reads it by pip install 'tfds-imagecsv[{extra}]'",
    )


def test_avif_needs_no_extra():
    """Its container is that of HEIC, too."""
    content = encoded(Image.fromarray(PHOTO), "AVIF")
    assert signatures.extra_of(content) is None
    size = struct.unpack(">I", content[:4])[0]
    general = content[:8] + b"mif1" + content[12:16] + b"avif" + content[20:]
    assert size >= 20
    assert signatures.extra_of(general) is None


def test_extensions_of_extras():
    """So images of these formats without a row are noticed."""
    known = image_formats.by_extension()
    assert (known[".heic"], known[".jxl"]) == ("HEIF", "JXL")


# Files of other kinds


def jpeg_with(marker=0xC0, bits=8):
    """Returns a JPEG with another kind of frame, or depth."""
    content = bytearray(encoded(Image.fromarray(PHOTO), "JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = marker, bits
    return bytes(content)


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (jpeg_with(marker=0xC1, bits=12), "a JPEG of 12 bits a channel"),
        (jpeg_with(marker=0xC3), "a lossless JPEG"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08" + bytes(40), "JPEG-LS"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"P7\nWIDTH 1\n", "a PAM (portable arbitrary map)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"<?xml version='1.0'?>\n<svg xmlns=''></svg>", "an SVG, which has no pixels"),
        (b"\0\0\0\x18ftypisom" + bytes(30), "a video (MP4 or QuickTime)"),
        (b"\0\0\0\x14ftypqt  " + bytes(30), "a video (MP4 or QuickTime)"),
        (b"\0\0\0\x18ftypcrx " + bytes(30), "a raw file of a camera (CR3)"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(20), "a video (AVI)"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "a video (Matroska or WebM)"),
        (b"FUJIFILMCCD-RAW " + bytes(20), "a raw file of a camera (RAF)"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "a pointer of Git LFS (git lfs pull gets the file)",
        ),
    ],
)
def test_what_else_a_file_is(content, name, decode):
    """It is said, though it isn't read."""
    assert refusal(content, decode) == (Kind.UNSUPPORTED, f" is {name}")


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_raw_files_that_look_like_a_tiff(tags):
    """What Pillow shows of them is a preview, small or of other colours."""
    content = encoded(Image.fromarray(PHOTO), "TIFF", tiffinfo=tags)
    assert refusal(content) == (
        Kind.UNSUPPORTED,
        " is a raw file of a camera, or a TIFF whose first image is a preview",
    )


# BMPs, by Pillow and by OpenCV


def bmp(bits, compression, data, *, size=(8, 4), masks=b"", colors=0):
    """Returns a BMP of palette colours, or of pixels with masks."""
    palette = bytes(
        level for at in range(colors) for level in (at * 7, at * 3, at * 15, 0)
    )
    offset = 14 + 40 + len(masks) + len(palette)
    header = struct.pack(
        "<IiiHHIIiiII", 40, *size, 1, bits, compression, len(data), 0, 0, colors, 0
    )
    start = struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset)
    return start + header + masks + palette + data


RLE4 = b"".join(b"\x08" + bytes([17 * row]) + b"\0\0" for row in range(1, 5)) + b"\0\1"
RLE8 = b"".join(b"\x08" + bytes([row]) + b"\0\0" for row in range(1, 5)) + b"\0\1"
OTHER_BMPS = {
    "RLE8": bmp(8, 1, RLE8, colors=16),
    "8 bits": bmp(8, 0, bytes(range(8)) * 4, colors=16),
    "4 bits": bmp(4, 0, bytes(range(0, 64, 4)), colors=16),
    "1 bit": bmp(1, 0, b"\xa5\0\0\0" * 4, colors=2),
    "555": bmp(16, 0, noise(4, 16).tobytes()),
    "565": bmp(
        16, 3, noise(4, 16).tobytes(), masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    ),
    "24 bits": encoded(Image.fromarray(noise(4, 8, 3)), "BMP"),
    "from the top": bmp(24, 0, noise(4, 24).tobytes(), size=(8, -4)),
}


@pytest.mark.parametrize("name", OTHER_BMPS)
def test_bmps_are_read_as_opencv_reads_them(name):
    """Within the rounding of 5 bits to 8."""
    content = OTHER_BMPS[name]
    look_at(content)
    by_opencv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    off = np.abs(pixels_of(content) - by_opencv[..., ::-1].astype(int))
    assert off.max() <= (8 if name in ("555", "565") else 0)


def test_bmps_with_run_lengths_of_4_bits_are_refused():
    """Pillow gives other pixels than OpenCV: wrong ones."""
    content = bmp(4, 2, RLE4, colors=16)
    assert refusal(content) == (
        Kind.UNSUPPORTED,
        " is a BMP with run lengths of 4 bits, which Pillow decodes wrongly",
    )
