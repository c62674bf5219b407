"""Colour profiles: which are other than sRGB, and what becomes of their colours."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from samples import encoded, exif, noise

from tfds_imagecsv.images import color_profile, formats, stored_form
from tfds_imagecsv.images import convert as conversion
from tfds_imagecsv.options import ImageOptions

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# The columns are red, green and blue in CIE XYZ, adapted to D50 (SMPTE EG 432-1).
P3 = np.array(
    [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]
)
SRGB_TO_XYZ = np.array(
    [[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
)
GAMMA = 2.2


def profile(kind=b"RGB ", name=b"Wide"):
    """Returns a profile of colours like Display P3's, or of gray."""

    def xyz(*values):
        return struct.pack(
            ">4s4x3i", b"XYZ ", *(round(value * 65536) for value in values)
        )

    curve = struct.pack(">4s4xIH2x", b"curv", 1, round(GAMMA * 256))
    text = name + b"\0"
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1, 0.8249),
    }
    if kind == b"RGB ":
        for at, color in enumerate(b"rgb"):
            tags[bytes([color]) + b"XYZ"] = xyz(*P3[:, at])
            tags[bytes([color]) + b"TRC"] = curve
    else:
        tags[b"kTRC"] = curve
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(data),
        b"",
        0x02400000,
        b"mntr",
        kind,
        b"XYZ ",
        bytes(12),
        b"acsp",
    )
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    assert len(header) == 128
    return header + struct.pack(">I", len(tags)) + table + data


WIDE = profile()


def to_srgb(pixels):
    """Returns pixels of `WIDE` in sRGB, computed by the definition."""
    linear = (pixels / 255.0) ** GAMMA
    linear = linear @ (np.linalg.inv(SRGB_TO_XYZ) @ P3).T
    linear = linear.clip(0, 1)
    low = linear * 12.92
    high = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, low, high) * 255


def facts_of(content):
    """Returns what a file is."""
    return formats.read_facts(content, max_pixels=10**6, decode=True)


def stored_for(content, **options):
    """Returns the pixels that are stored for a file, and the reasons."""
    facts, options = facts_of(content), ImageOptions(**options)
    stored = stored_form.stored_as(facts, options)
    if stored.conversion:
        content = conversion.convert(content, facts, options)
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image).astype(int), stored.conversion


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("embedded", "is_other"),
    [(WIDE, True), (SRGB, False), (b"nothing of use", False), (None, False)],
    ids=["wide", "sRGB", "damaged", "none"],
)
def test_which_images_have_another_profile(image_format, embedded, is_other):
    """Of all formats; one that is damaged counts as none, as in viewers."""
    image = Image.fromarray(noise(9, 9, 3))
    content = encoded(image, image_format, icc_profile=embedded)
    assert facts_of(content).has_other_profile is is_other


def test_descriptions_of_srgb():
    """Also those of libjxl."""
    assert color_profile.is_srgb(profile(name=b"sRGB IEC61966-2.1"))
    assert color_profile.is_srgb(profile(name=b"RGB_D65_SRG_Rel_SRG"))
    assert not color_profile.is_srgb(profile(name=b"RGB_D65_DCI_Rel_SRG"))


def test_profiles_are_ignored_unless_they_are_asked_for():
    """The numbers are kept, as all readers do; sRGB needs no conversion."""
    pixels = noise(9, 9, 3)
    for embedded in (WIDE, SRGB):
        content = encoded(Image.fromarray(pixels), icc_profile=embedded)
        found, conversion = stored_for(content)
        assert conversion == ""
        assert np.array_equal(found, pixels)
    assert stored_for(content, icc="srgb")[1] == ""


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_are_converted(channels):
    """To what a viewer shows, within two levels; alpha stays."""
    pixels = noise(30, 30, 4)
    content = encoded(Image.fromarray(pixels[..., :channels]), icc_profile=WIDE)
    found, reasons = stored_for(content, icc="srgb", channels=channels)
    assert reasons == "color profile"
    assert np.abs(found[..., :3] - to_srgb(pixels[..., :3])).max() <= 2
    assert np.array_equal(found[..., 3:], pixels[..., 3:channels])
    off = np.abs(pixels[..., :3] - to_srgb(pixels[..., :3])).max()
    assert off > 20  # what would be wrong without


def test_other_modes_are_converted():
    """A palette, gray with a profile of gray, and gray with one of colours."""
    palette = Image.fromarray(noise(30, 30, 3)).quantize(16)
    expected = to_srgb(np.asarray(palette.convert("RGB")))
    found, _ = stored_for(encoded(palette, icc_profile=WIDE), icc="srgb")
    assert np.abs(found - expected).max() <= 2
    gray = noise(30, 30)
    content = encoded(Image.fromarray(gray), icc_profile=profile(b"GRAY"))
    found, _ = stored_for(content, icc="srgb", channels=1)
    expected = to_srgb(np.repeat(gray[..., None], 3, axis=2))[..., 0]
    assert np.abs(found - expected).max() <= 3
    found, _ = stored_for(
        encoded(Image.fromarray(gray), icc_profile=WIDE), icc="srgb", channels=1
    )
    assert np.abs(found - expected).max() <= 3


def test_a_turned_jpeg_is_turned_and_converted():
    """Its blocks can't be kept then."""
    pixels = np.full((64, 96, 3), (200, 90, 60), np.uint8)
    content = encoded(Image.fromarray(pixels), "JPEG", icc_profile=WIDE, exif=exif(6))
    found, reasons = stored_for(content, icc="srgb")
    assert reasons == "color profile, orientation"
    assert found.shape == (96, 64, 3)
    assert np.abs(found - to_srgb(pixels[0, 0])).max() <= 4
