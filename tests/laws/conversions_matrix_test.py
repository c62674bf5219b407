"""Each format, mode and orientation, built and read back as Pillow shows it."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageOps
from tensorflow_datasets.core.features import image_feature

import tfds_imagecsv

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
MODES = ("1", "L", "LA", "P", "P+", "RGB", "RGBA", "CMYK", "I;16", "animated")
HAVE_ORIENTATION = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
# By how many levels of 255 TensorFlow may differ from Pillow, on average.
JPEG_TOLERANCE = 2


def picture(mode, kind, seed):
    """Returns a picture of a mode, noisy or smooth, with four different corners."""
    height, width = 11, 18
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 14, y * 23, (x + y) * 9 % 256, 255 - x * 7]
    pixels = ((np.stack(planes, axis=2) + seed) % 256).astype(np.uint8)
    if kind == "noisy":
        noise = np.random.default_rng(seed)
        pixels = noise.integers(0, 256, pixels.shape).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 256 + pixels[..., 1])
    if mode == "LA":
        return Image.fromarray(np.ascontiguousarray(pixels[..., 1:3]), "LA")
    if mode == "RGBA":
        return Image.fromarray(pixels)
    if mode == "CMYK":
        return Image.fromarray(pixels, "CMYK")
    rgb = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    if mode in ("P", "P+"):
        return rgb.quantize(32)
    return rgb if mode == "animated" else rgb.convert(mode)


def write_picture(path, image_format, mode, kind, orientation, seed):
    """Writes a picture, and returns whether the format can hold it."""
    kwargs = {}
    if (image_format, mode) == ("AVIF", "animated") and orientation != 1:
        return False  # Pillow 12.3 crashes when it writes one
    if orientation != 1:
        kwargs["exif"] = Image.Exif()
        kwargs["exif"][0x0112] = orientation
    if mode == "P+":
        kwargs["transparency"] = 3
    if mode == "animated":
        more = [picture("RGB", kind, seed + 1000)]
        kwargs |= {"save_all": True, "append_images": more}
    if image_format == "JPEG":
        kwargs["quality"] = 75
    file = io.BytesIO()
    try:
        picture(mode, kind, seed).save(file, image_format, **kwargs)
    except (OSError, KeyError, ValueError):
        return False
    path.write_bytes(file.getvalue())
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_csv):
    """A folder with `images` and `labels.csv`; all pictures differ."""
    Image.init()
    folder = tmp_path_factory.mktemp("matrix")
    image_dir = folder / "images"
    image_dir.mkdir()
    seed, rows = 0, []
    for image_format in (name for name in FORMATS if name in Image.SAVE):
        turned = image_format in HAVE_ORIENTATION
        for mode in MODES:
            for orientation in range(1, 9) if turned else (1,):
                for kind in ("noisy", "smooth"):
                    seed += 1
                    name = f"{image_format}_{mode.strip('+;')}_{orientation}_{kind}"
                    name = f"{name}_{seed}.{image_format.lower()}"
                    if write_picture(
                        image_dir / name, image_format, mode, kind, orientation, seed
                    ):
                        rows.append((name, image_format))
    assert len(rows) > 400
    write_csv(folder / "labels.csv", rows)
    return folder


@pytest.fixture(scope="module")
def build(folder, tmp_path_factory):
    """Returns a function that builds the folder, and returns the builder."""

    def build(file_format, **fields):
        config = tfds_imagecsv.ImageCsvConfig(
            name="matrix",
            image_dir=folder / "images",
            label_csv=folder / "labels.csv",
            val_size=0,
            test_size=0,
            **fields,
        )
        data_dir = tmp_path_factory.mktemp("data")
        builder = tfds.builder(
            "image_csv", config=config, data_dir=data_dir, file_format=file_format
        )
        builder.download_and_prepare()
        return builder

    return build


def shown(content, channels):
    """Returns the pixels that Pillow shows."""
    # By content: Pillow 12.3 turns uncompressed TIFFs wrongly if it opens their path.
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image)
    if upright.mode == "I;16":
        pixels = np.asarray(upright) >> 8
        upright = Image.fromarray(pixels.astype(np.uint8))
    if channels == 4:
        return np.asarray(upright.convert("RGBA"))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright).convert("RGB")
    if channels == 3:
        return np.asarray(upright.convert("RGB"))
    if upright.mode not in ("1", "L"):
        upright = upright.convert("RGB")
    return np.asarray(upright.convert("L"))[..., None]


def check(examples, folder, expected):
    """Compares examples with what a function returns for their files."""
    wrong, seen = [], set()
    for example in examples:
        name = example["image/filename"]
        name = name.decode() if isinstance(name, bytes) else name
        image_format = example["image/format"]
        is_jpeg = image_format in (b"JPEG", "JPEG")
        want = expected((folder / "images" / name).read_bytes())
        pixels = example["image"]
        size = example["image/height"], example["image/width"]
        seen.add(name)
        if pixels.shape != want.shape or pixels.shape[:2] != size:
            wrong.append((name, pixels.shape, want.shape))
            continue
        assert pixels.dtype == want.dtype
        off = np.abs(pixels.astype(int) - want.astype(int)).mean()
        if off > (JPEG_TOLERANCE if is_jpeg else 0):
            wrong.append((name, off))
    assert wrong == []
    assert seen == {path.name for path in (folder / "images").iterdir()}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_read_by_tensorflow(channels, folder, build):
    """`tfds.load` gives what people see."""
    examples = tfds.as_numpy(
        build("tfrecord", channels=channels).as_dataset(split="train")
    )
    check(examples, folder, lambda content: shown(content, channels))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_read_by_opencv_or_pillow(channels, folder, build, monkeypatch):
    """`tfds.data_source` gives what people see, with OpenCV and without."""
    source = build("array_record", channels=channels).as_data_source(split="train")
    check(source, folder, lambda content: shown(content, channels))
    # As if it weren't installed.
    monkeypatch.setattr(image_feature, "cv2", None)
    check(source, folder, lambda content: shown(content, channels))


def shown_16_bit(content):
    """Returns the intended pixels (uint16, RGB): 16 bits, or 8 scaled up."""
    with Image.open(io.BytesIO(content)) as image:
        if image.mode != "I;16":
            return shown(content, 3).astype(np.uint16) * 257
        pixels = np.asarray(ImageOps.exif_transpose(image))
    return np.repeat(pixels[..., None], 3, axis=2)


def test_pictures_of_16_bits(folder, build):
    """Pictures of 8 bits are scaled so that white stays white."""
    dataset = build("tfrecord", dtype="uint16").as_dataset(split="train")
    check(tfds.as_numpy(dataset), folder, shown_16_bit)
    source = build("array_record", dtype="uint16").as_data_source(split="train")
    check(source, folder, shown_16_bit)
