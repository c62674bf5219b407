"""What a file is by its first bytes, where Pillow alone can't read it."""

from __future__ import annotations

import importlib
import importlib.util
import struct
from typing import NamedTuple

from tfds_imagecsv.images import jpeg

# The brands of the containers that HEIC, AVIF and MP4 files are (ISO/IEC 14496-12).
_HEIC_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
)

_JXL_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

# Beginnings of files, and what these are.
_STARTS = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"version https://git-lfs", "a pointer of Git LFS (git lfs pull gets the file)"),
    (b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\0\0\1\xba", "a video (MPEG)"),
    (b"\0\0\1\xb3", "a video (MPEG)"),
    (b"FLV\1", "a video (Flash)"),
    (b"FUJIFILMCCD-RAW", "a raw file of a camera (RAF)"),
    (b"IIRO", "a raw file of a camera (ORF)"),
    (b"IIRS", "a raw file of a camera (ORF)"),
    (b"MMOR", "a raw file of a camera (ORF)"),
    (b"IIU\0", "a raw file of a camera (RW2)"),
    (b"FOVb", "a raw file of a camera (X3F)"),
    (b"II\xbc", "JPEG XR"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"P7\n", "a PAM (portable arbitrary map)"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"gimp xcf", "a file of GIMP (XCF)"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "compressed by gzip"),
)

# Frames of JPEGs that Pillow doesn't read, by their markers.
_JPEG_FRAMES = {jpeg.LOSSLESS: "a lossless JPEG", jpeg.JPEG_LS: "JPEG-LS"}


class Extra(NamedTuple):
    """A format that another library reads for Pillow.

    Attributes:
      pillow_name: Pillow's name of the format, once the library is loaded.
      name: what people call it.
      module: the library's module.
      extra: the extra of this package that installs it.
    """

    pillow_name: str
    name: str
    module: str
    extra: str

    @property
    def is_installed(self) -> bool:
        """Whether the library is."""
        return importlib.util.find_spec(self.module) is not None

    def load(self) -> bool:
        """Lets Pillow know the format; returns whether the library is installed."""
        if not self.is_installed:
            return False
        module = importlib.import_module(self.module)
        if self is HEIF:
            module.register_heif_opener()
        return True


HEIF = Extra("HEIF", "HEIC", "pillow_heif", "heif")
JXL = Extra("JXL", "JPEG XL", "pillow_jxl", "jxl")


def extra_of(content: bytes) -> Extra | None:
    """Returns the extra that a file needs, if it does."""
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        # AVIF files may have the brand of all pictures, too.
        return None if b"avif" in content[12 : _box_size(content)] else HEIF
    if content.startswith((b"\xff\x0a", _JXL_CONTAINER)):
        return JXL
    return None


def name_of(content: bytes) -> str | None:
    """Returns what a file is that isn't read, if that is known."""
    if content[4:8] == b"ftyp":
        return (
            "a raw file of a camera (CR3)"
            if content[8:12] == b"crx "
            else "a video (MP4 or QuickTime)"
        )
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "a video (AVI)"
    if content[128:132] == b"DICM":
        return "DICOM"
    if content.startswith(b"\xff\xd8\xff"):
        return _kind_of_jpeg(content)
    if b"<svg" in content[:1000].lower():
        return "an SVG, which has no pixels"
    return next((name for start, name in _STARTS if content.startswith(start)), None)


def is_raw(content: bytes) -> bool:
    """Returns whether what looks like a TIFF is a raw file of Canon's (CR2)."""
    return content[:4] in (b"II*\0", b"MM\0*") and content[8:10] == b"CR"


def _box_size(content: bytes) -> int:
    size: int = struct.unpack_from(">I", content)[0]
    return size


def _kind_of_jpeg(content: bytes) -> str | None:
    """Returns what is special about a JPEG: its frame, or its depth."""
    marker, bits = jpeg.frame(content) or (0, 8)
    if marker in _JPEG_FRAMES:
        return _JPEG_FRAMES[marker]
    return f"a JPEG of {bits} bits a channel" if bits != 8 else None
