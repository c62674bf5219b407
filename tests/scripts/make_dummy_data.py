"""Makes `dummy_data/`: a small version of Kaggle's CIFAR-10, with its layout.

    python tests/scripts/make_dummy_data.py [OUTPUT_DIR]

writes `train/1.png` ... `train/120.png` (32x32 RGB) and `trainLabels.csv` (header
`id,label`; the id is the file's name without its extension). The pictures are tiles of
scikit-learn's two sample photographs. Two runs with the same Pillow write the same
bytes; with another Pillow, the same pixels.
"""

import argparse
import pathlib

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn import datasets

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
IMAGES_PER_CLASS = 12
NUM_IMAGES = len(CLASSES) * IMAGES_PER_CLASS
IMAGE_SIZE = 32  # Pixels, height and width.
TILE_SIZE = 2 * IMAGE_SIZE

# Coprime with NUM_IMAGES, so that `STRIDE * id % NUM_IMAGES` takes each value once.
STRIDE = 77


def cut_tiles(photo: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """Cuts a photograph into tiles that don't overlap, each at half its resolution.

    Args:
      photo: uint8 [height, width, 3].

    Returns:
      Images of uint8 [IMAGE_SIZE, IMAGE_SIZE, 3], row by row. What is left at the
      right and at the bottom is dropped.
    """
    height, width, _ = photo.shape
    tiles = []
    for top in range(0, height - TILE_SIZE + 1, TILE_SIZE):
        for left in range(0, width - TILE_SIZE + 1, TILE_SIZE):
            tile = photo[top : top + TILE_SIZE, left : left + TILE_SIZE]
            # The mean of every 2x2 block, in integers: the same on every machine,
            # unlike a resampling filter.
            blocks = tile.reshape(IMAGE_SIZE, 2, IMAGE_SIZE, 2, 3)
            sums = blocks.sum(axis=(1, 3), dtype=np.uint16)
            tiles.append((sums // 4).astype(np.uint8))
    return tiles


def write_dummy_data(output_dir: pathlib.Path) -> None:
    """Writes `train/*.png` and `trainLabels.csv` into `output_dir`."""
    # Two photographs of 427x640 pixels: 6 x 10 tiles each.
    photos = datasets.load_sample_images().images
    tiles = [tile for photo in photos for tile in cut_tiles(photo)]
    if len(tiles) != NUM_IMAGES:
        raise ValueError(f"Expected {NUM_IMAGES} tiles, got {len(tiles)}")

    train_dir = output_dir / "train"
    train_dir.mkdir(parents=True, exist_ok=True)
    lines = ["id,label"]
    for image_id in range(1, NUM_IMAGES + 1):
        index = STRIDE * image_id % NUM_IMAGES
        Image.fromarray(tiles[index]).save(train_dir / f"{image_id}.png")
        # A class is 12 neighbouring tiles; the stride scatters it over the ids.
        lines.append(f"{image_id},{CLASSES[index // IMAGES_PER_CLASS]}")
    csv = "\n".join(lines) + "\n"
    # As bytes: no "\r\n" on Windows.
    (output_dir / "trainLabels.csv").write_bytes(csv.encode())


def main() -> None:
    """Parses the arguments and writes the files."""
    parser = argparse.ArgumentParser(description="Makes the dummy CIFAR-10.")
    parser.add_argument(
        "output_dir",
        nargs="?",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parents[2] / "dummy_data",
        help="where to write (default: the repository's dummy_data)",
    )
    write_dummy_data(parser.parse_args().output_dir)


if __name__ == "__main__":
    main()
