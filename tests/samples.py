"""Image files that several tests make."""

import io

import numpy as np
from PIL import Image


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
