"""The formats of image files, by Pillow's names and by their extensions."""

from __future__ import annotations

import functools

from PIL import Image

# Pillow's names of the raster formats that it reads itself. EPS and WMF need other
# programs, or have no size of their own. TGA has no signature, so it comes last.
FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI"),
    *("ICO", "DDS", "PSD", "SGI", "PCX", "TGA"),
)

# The extensions of the formats that extras read, see `images.signatures`.
_OF_EXTRAS = {".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF", ".jxl": "JXL"}


def format_of(name: str) -> str:
    """Returns the format of a file's first image, given Pillow's name for the file."""
    return "JPEG" if name == "MPO" else name


@functools.cache
def by_extension() -> dict[str, str]:
    """Returns Pillow's names of the formats that can be read, by extension."""
    Image.init()
    found = {
        extension: format_of(name)
        for extension, name in Image.registered_extensions().items()
        if format_of(name) in FORMATS
    }
    return found | _OF_EXTRAS


def extension_of(key: str) -> str:
    """Returns the extension in lower case, in a third of `os.path.splitext`'s time."""
    start = key.rfind("/") + 1
    dot = key.rfind(".")
    # Leading dots don't begin an extension.
    return key[dot:].lower() if key[start:dot].strip(".") and dot > start else ""


def is_image(key: str) -> bool:
    """Returns whether a file's extension is that of an image."""
    return extension_of(key) in by_extension()
