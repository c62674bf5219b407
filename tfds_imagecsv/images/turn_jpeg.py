"""JPEGs turned upright without a loss: their blocks are turned, not their pixels.

`turbojpeg` is a binding of libjpeg-turbo's own transformation, the one of `jpegtran`.
It has no wheels for Linux on arm64: there, pixels are turned and encoded again.
"""

from __future__ import annotations

import importlib.util

from tfds_imagecsv.images import jpeg, stored_form
from tfds_imagecsv.images.facts import Facts

# How much larger a turned JPEG may be before its codes are computed anew, which takes
# twice the time. It has the standard codes at first, and grows if its writer had
# computed better ones.
_GROWTH = 1.005


def turned(content: bytes, facts: Facts) -> bytes | None:
    """Returns a JPEG upright and without metadata; None if that needs its pixels.

    Args:
      content: the file's bytes.
      facts: what they are.
    """
    if not stored_form.can_be_turned(facts) or not is_available():
        return None
    import turbojpeg

    operation = {
        2: turbojpeg.OP.HFLIP,
        3: turbojpeg.OP.ROT180,
        4: turbojpeg.OP.VFLIP,
        5: turbojpeg.OP.TRANSPOSE,
        6: turbojpeg.OP.ROT90,
        7: turbojpeg.OP.TRANSVERSE,
        8: turbojpeg.OP.ROT270,
    }[facts.orientation]
    is_progressive = jpeg.is_progressive(content)
    try:
        for optimize in (False, True):
            found: bytes = turbojpeg.transform(
                content,
                op=operation,
                copynone=True,
                progressive=is_progressive,
                optimize=optimize,
            )
            # Progressive ones always get codes of their own.
            if is_progressive or len(found) <= _GROWTH * len(content):
                break
    except RuntimeError:
        return None  # also for what decoders only warn of
    return found


def is_available() -> bool:
    """Returns whether the library is installed."""
    return importlib.util.find_spec("turbojpeg") is not None
