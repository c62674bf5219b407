"""Image files for several tests."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# The turns that make pixels upright, by their EXIF orientation.
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

# The turns from an upright image to a camera's, by EXIF orientation.
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


def write_masked(directory, names):
    """Writes images of disks with rings around them, and their masks.

    A mask has 0 around a ring, 1 in it and 2 in its disk. Images are wider than high,
    and differ in size; EXIF turns the first one, and its mask is upright.

    Args:
      directory: gets the folders `images` and `masks`.
      names: for each image its file name and that of its mask.
    """
    images, masks = directory / "images", directory / "masks"
    for folder in (images, masks):
        folder.mkdir(parents=True)
    colors = np.array([(20, 50, 30), (200, 90, 120), (90, 40, 200)])
    rng = np.random.default_rng(0)
    for at, (image_name, mask_name) in enumerate(names):
        rows, columns = np.indices((30 + at % 7, 40 + at % 9))
        far = np.hypot(rows - rng.integers(10, 20), columns - rng.integers(10, 30))
        radius = rng.integers(8, 14)
        values = (far < radius).astype(np.uint8) + (far < radius / 2)
        pixels = colors[values] + rng.integers(0, 40, (*values.shape, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        if at == 0:
            image.transpose(TO_FILE[6]).save(images / image_name, exif=exif(6))
        else:
            image.save(images / image_name)
        Image.fromarray(values).save(masks / mask_name)


def png_of(header, rows):
    """Returns a PNG that Pillow can't write, given its header and its rows."""
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
