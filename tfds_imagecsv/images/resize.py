"""Images of another size, by Lanczos resampling.

`cykooz-resizer` (the Rust crate `fast_image_resize`) takes a fifth of Pillow's time,
and gives the same pixels with and without the vector instructions of a processor, which
OpenCV doesn't. It has no wheels for Linux on arm64: there, Pillow resamples.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

from PIL import Image

from tfds_imagecsv.images import geometry

_Resample = Callable[[Any, tuple[int, int]], Any]

# Modes that both resample, RGBA by weighing colours with their alpha.
_MODES = frozenset({"L", "RGB", "RGBA"})


def resized(picture: Any, size: tuple[int, int]) -> Any:
    """Returns an image of another size.

    Args:
      picture: of Pillow's mode L, RGB or RGBA.
      size: width and height.
    """
    if picture.mode in _MODES and (resample := _fast_resample()) is not None:
        return resample(picture, size)
    return picture.resize(
        size, Image.Resampling.LANCZOS, reducing_gap=geometry.REDUCING_GAP
    )


@functools.cache
def _fast_resample() -> _Resample | None:
    if importlib.util.find_spec("cykooz_resizer") is None:
        return None
    import cykooz_resizer

    resizer = cykooz_resizer.Resizer()
    options = cykooz_resizer.ResizeOptions(
        resize_alg=cykooz_resizer.ResizeAlg.convolution(
            cykooz_resizer.FilterType.lanczos3
        )
    )

    def resample(picture: Any, size: tuple[int, int]) -> Any:
        resampled = Image.new(picture.mode, size)
        resizer.resize_pil(picture, resampled, options)
        return resampled

    return resample
