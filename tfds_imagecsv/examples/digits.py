"""From a directory of images and a CSV to a trained model, with nothing to download.

    python -m tfds_imagecsv.examples.digits [--work_dir DIR] [--epochs N]

The images are scikit-learn's 1,797 scanned digits, of 8x8 pixels. The example writes
them as PNG files, builds a dataset from them with `image_csv`, trains a small Keras
model on the train split, watches the validation split meanwhile, and finally measures
the accuracy on the test split. It takes well under a minute, without a GPU.
"""

import argparse
import csv
import pathlib
import tempfile

import keras
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from sklearn import datasets

import tfds_imagecsv  # Registers image_csv.


def write_images(image_dir: pathlib.Path, label_csv: pathlib.Path) -> None:
    """Writes images and a CSV of labels, which you have for your own data.

    Args:
      image_dir: Where to write `0000.png` ... `1796.png`: 8x8 pixels, greyscale.
      label_csv: Where to write the CSV: a header `filename,label` and a row for each
        image, whose label is "0" ... "9".
    """
    digits = datasets.load_digits()
    image_dir.mkdir(parents=True, exist_ok=True)
    with label_csv.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "label"])
        scans = zip(digits.images, digits.target, strict=True)
        for index, (pixels, label) in enumerate(scans):
            filename = f"{index:04d}.png"
            # The scan has the values 0 ... 16, as floats; a PNG has 0 ... 255.
            grey = (pixels * 255 / 16).round().astype("uint8")
            Image.fromarray(grey).save(image_dir / filename)
            writer.writerow([filename, label])


def build(
    image_dir: pathlib.Path, label_csv: pathlib.Path, data_dir: pathlib.Path
) -> None:
    """Makes the dataset `image_csv/digits` in `data_dir`.

    20 % of every digit's images go to validation, 10 % to test, the rest to train.
    """
    config = tfds_imagecsv.ImageCsvConfig(
        name="digits",
        image_dir=image_dir,
        label_csv=label_csv,
        val_size=0.2,
        test_size=0.1,
    )
    builder = tfds.builder("image_csv", config=config, data_dir=data_dir)
    builder.download_and_prepare()


def train_and_test(data_dir: pathlib.Path, epochs: int) -> float:
    """Trains a small convolutional network on the dataset in `data_dir`.

    Returns:
      The trained model's accuracy on the test split, between 0 and 1.
    """
    # From here on, only the dataset is needed: not the images, not the CSV.
    (train, validation, test), info = tfds.load(
        "image_csv/digits",
        data_dir=data_dir,
        split=["train", "validation", "test"],
        as_supervised=True,
        with_info=True,
    )
    label_names = info.features["label"].names
    for split in ["train", "validation", "test"]:
        print(f"{split}: {info.splits[split].num_examples} images")
    print(f"classes: {', '.join(label_names)}")

    # Each element is a pair: image, uint8 [height, width, 3], and label, int64.
    # A batch needs images of one size, like these. Resize yours here if necessary.
    train_size = info.splits["train"].num_examples
    train = train.cache().shuffle(train_size).batch(32).prefetch(tf.data.AUTOTUNE)
    validation = validation.batch(256).cache()
    test = test.batch(256)

    model = keras.Sequential(
        [
            keras.Input(shape=(8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(len(label_names), activation="softmax"),
        ]
    )
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=validation, epochs=epochs, verbose=2)
    _, validation_accuracy = model.evaluate(validation, verbose=0)
    print(f"validation accuracy: {validation_accuracy:.4f}")
    _, test_accuracy = model.evaluate(test, verbose=0)
    return float(test_accuracy)


def run(work_dir: pathlib.Path, epochs: int) -> None:
    """Runs the three steps in `work_dir`, and prints the accuracy on test."""
    image_dir = work_dir / "images"
    label_csv = work_dir / "labels.csv"
    data_dir = work_dir / "tensorflow_datasets"

    write_images(image_dir, label_csv)
    build(image_dir, label_csv, data_dir)
    keras.utils.set_random_seed(0)
    test_accuracy = train_and_test(data_dir, epochs)
    print(f"test accuracy: {test_accuracy:.4f}")


def main() -> None:
    """Parses the arguments and runs the example."""
    parser = argparse.ArgumentParser(
        description="Builds a dataset of scanned digits and trains a model on it."
    )
    parser.add_argument(
        "--work_dir",
        type=pathlib.Path,
        help="where to write images, CSV and dataset, which are kept "
        "(default: a temporary directory, which is removed)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=20,
        help="how often the model sees the train split (default: %(default)s)",
    )
    args = parser.parse_args()

    if args.work_dir is not None:
        # A relative path in a config would be relative to TFDS's manual directory.
        run(args.work_dir.resolve(), args.epochs)
    else:
        with tempfile.TemporaryDirectory() as work_dir:
            run(pathlib.Path(work_dir), args.epochs)


if __name__ == "__main__":
    main()
