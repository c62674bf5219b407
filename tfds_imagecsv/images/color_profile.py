"""Colour profiles (ICC) that are embedded in images."""

from __future__ import annotations

import functools
import io
import re
from typing import Any

from PIL import ImageCms

# How libjxl describes sRGB, in colours and in gray.
_SRGB_OF_LIBJXL = re.compile(r"(RGB_D65_SRG|Gra_D65)_\w+_SRG")

# The modes that a profile's kind of colours fits.
_MODES = {"RGB ": ("RGB", "RGBA"), "GRAY": ("L",), "CMYK": ("CMYK",)}


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Returns whether a profile is that of sRGB, or none that can be read.

    Viewers ignore a damaged profile.
    """
    try:
        opened = _opened(profile)
        description: str = ImageCms.getProfileDescription(opened).strip()
    except (ImageCms.PyCMSError, OSError):
        return True
    return "srgb" in description.lower() or bool(_SRGB_OF_LIBJXL.fullmatch(description))


def to_srgb(picture: Any, profile: bytes) -> Any:
    """Returns an image in the colours of sRGB.

    Args:
      picture: a `PIL.Image.Image` of 8 bits a channel.
      profile: its profile; one of other kinds of colours is ignored, as in viewers.

    Returns:
      The image, as RGB or RGBA, or as it was.
    """
    opened = _opened(profile)
    kind = opened.profile.xcolor_space
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA" if kind == "RGB " else "LA")
        alpha = picture.getchannel("A")
    if kind == "RGB ":
        picture = picture.convert("RGB")
    elif picture.mode in ("1", "LA"):
        picture = picture.convert("L")
    if picture.mode not in _MODES.get(kind, ()):
        return picture
    converted = ImageCms.profileToProfile(
        picture,
        opened,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@functools.lru_cache(maxsize=64)
def _opened(profile: bytes) -> Any:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))
