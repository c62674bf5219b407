"""Boxes are where the pixels are, within half a pixel, for any way to store images."""

import numpy as np
import pytest
import samples
import tensorflow_datasets as tfds
import walk
from PIL import Image, ImageOps

import tfds_imagecsv

# By width and height of an upright image, in pixels: the left, upper, right and lower
# edge of a white rectangle on black. No turn or mirror image of it is like itself; the
# last ones reach the edges of their images.
RECTANGLES = {
    (61, 37): (5, 7, 30, 15),
    (45, 83): (22, 41, 43, 58),
    (33, 33): (0, 19, 17, 33),
    (71, 40): (25, 0, 71, 13),
}

# The law allows half a pixel; this is less than a shift by half a pixel gives.
MOST = 0.25

FORMATS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}


def in_file(size, orientation):
    """Returns an image as a camera stores it."""
    image = Image.new("L", size)
    image.paste(255, RECTANGLES[size])
    return image.transpose(samples.TO_FILE[orientation]) if orientation > 1 else image


def edges_of(image):
    """Returns the edges of the white part, in pixels and their fractions.

    An edge is where the brightness crosses one half, on the line between the centers of
    two pixels. A symmetric filter doesn't move it, and neither does JPEG.

    Args:
      image: brightness, shape [height, width].

    Returns:
      The left, upper, right and lower edge.
    """
    found = []
    for profile in (image.max(axis=0), image.max(axis=1)):
        level = profile / 255 - 0.5
        [inside] = np.nonzero(level > 0)
        first, last = inside[0], inside[-1]
        assert len(inside) == last - first + 1
        before = 0.0
        if first:
            before = first - 0.5 + level[first - 1] / (level[first - 1] - level[first])
        after = float(len(level))
        if last + 1 < len(level):
            after = last + 0.5 + level[last] / (level[last] - level[last + 1])
        found += [before, after]
    return np.array(found)[[0, 2, 1, 3]]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Writes an image for each orientation, size and format."""
    folder = tmp_path_factory.mktemp("photographs")
    for size in RECTANGLES:
        for orientation in range(1, 9):
            exif = samples.exif(orientation)
            for extension, image_format in FORMATS.items():
                name = f"{size[0]}x{size[1]}-{orientation}.{extension}"
                image = in_file(size, orientation).convert("RGB")
                image.save(folder / name, image_format, exif=exif, quality=95)
    return folder


@pytest.fixture
def boxes_and_pixels(photographs, tmp_path, write_csv):
    """Returns a function that builds a dataset.

    It returns by file name the box and the image as read, and where the rectangle
    is in the file and in the upright image, of which size, as Pillow has it.
    """

    def build(*, upright, **fields):
        expected = {}
        rows = []
        for path in photographs.iterdir():
            width, _, rest = path.name.partition("x")
            size = int(width), int(rest.partition("-")[0])
            plain = in_file(size, int(path.stem[-1]))
            with Image.open(path) as image:
                shown = ImageOps.exif_transpose(image)
            assert shown.size == size
            frames = {True: (size, RECTANGLES[size])}
            frames[False] = (plain.size, tuple(edges_of(np.asarray(plain)).tolist()))
            expected[path.name] = frames[fields.get("apply_exif", True)]
            rows.append((path.name, "white", *frames[upright][1]))
        header = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
        write_csv(tmp_path / "labels.csv", rows, header=header)
        config = tfds_imagecsv.ImageCsvConfig(
            name="rectangles",
            image_dir=photographs,
            label_csv=tmp_path / "labels.csv",
            label_type="boxes",
            boxes_are_upright=upright,
            val_size=0,
            test_size=0,
            report=False,
            near_duplicates="off",
            **fields,
        )
        builder = walk.built(config, tmp_path / "data")
        dataset = tfds.builder_from_directory(builder.data_path).as_dataset("train")
        for example in tfds.as_numpy(dataset):
            [box] = example["objects"]["bbox"]
            name = example["image/filename"].decode()
            yield name, box, example["image"], *expected.pop(name)
        assert not expected

    return build


SIZES = ({}, {"resize": [47, 91]}, {"resize": [23, 29]}, {"max_side": 29})
CONVERSIONS = [
    {**size, "channels": channels} for size in SIZES for channels in (1, 3, 4)
]


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize(
    "fields", [*CONVERSIONS, {"apply_exif": False}, {"encoding": "jpeg"}], ids=str
)
def test_boxes_are_where_the_pixels_are(boxes_and_pixels, upright, fields):
    """For all orientations, and any frame of the table's boxes.

    The pixels are those of the stored image, and Pillow's of the source.
    """
    found = boxes_and_pixels(upright=upright, **fields)
    for name, box, image, size, rectangle in found:
        height, width, channels = image.shape
        assert channels == fields.get("channels", 3)
        edges = box[[1, 0, 3, 2]] * [width, height, width, height]
        turned = np.array(rectangle) / [*size, *size] * [width, height, width, height]
        np.testing.assert_allclose(edges, turned, atol=0.001, err_msg=name)
        pixels = edges_of(image[..., 0])
        np.testing.assert_allclose(edges, pixels, atol=MOST, err_msg=name)
