"""Image files that several tests make."""

import io

import numpy as np
from PIL import Image

# What makes pixels upright, by their EXIF orientation.
TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}

# What makes an upright image what a camera stores, by EXIF orientation.
TO_FILE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(image, image_format="PNG", **kwargs):
    """Returns an image as a file's bytes."""
    file = io.BytesIO()
    image.save(file, image_format, **kwargs)
    return file.getvalue()


def noise(*shape, seed=0, dtype=np.uint8):
    """Returns random pixels."""
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def exif(orientation):
    """Returns EXIF metadata with an orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags
