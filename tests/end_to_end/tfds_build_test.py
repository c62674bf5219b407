"""The `tfds build` command, in a process of its own.

It starts as from a user's shell if TensorFlow's import may matter; else it finds
TensorFlow imported.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import processes
import py7zr
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import tfds_imagecsv

CHECKOUT = pathlib.Path(__file__).parents[2]
DUMMY_DATA = CHECKOUT / "dummy_data"
IMPORTS = "--imports=tfds_imagecsv"


def env_of(data_dir):
    """Returns the environment of a command, with a default data directory."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TFDS_DATA_DIR": str(data_dir)}


@pytest.fixture
def tfds_build(tmp_path, data_dir):
    """Returns a function that runs `tfds build` where TensorFlow is imported."""

    def tfds_build(*args, cwd=tmp_path):
        command = processes.COMMANDS / "tfds"
        return processes.run(command, "build", *args, cwd=cwd, env=env_of(data_dir))

    return tfds_build


@pytest.fixture
def tfds_build_in_a_shell(tmp_path, data_dir):
    """Returns a function that runs `tfds build` as a user's shell does."""

    def tfds_build_in_a_shell(*args, cwd=tmp_path):
        return subprocess.run(
            [processes.COMMANDS / "tfds", "build", *map(str, args)],
            cwd=cwd,
            env=env_of(data_dir),
            check=False,
            capture_output=True,
            text=True,
        )

    return tfds_build_in_a_shell


def assert_success(process):
    """Checks that a command succeeded."""
    assert process.returncode == 0, process.stderr


def assert_error(process, message):
    """Checks that a command failed, and that its user sees only the reason."""
    assert process.returncode != 0
    assert f"Error: {message}\n" in process.stderr
    assert "Traceback" not in process.stderr


def sizes_of(builder):
    """Returns the numbers of examples by split."""
    return {split: info.num_examples for split, info in builder.info.splits.items()}


def test_the_first_command_of_the_readme(tfds_build_in_a_shell, data_dir):
    """The built-in dataset, made from the embedded data."""
    process = tfds_build_in_a_shell(
        "image_csv/cifar10", IMPORTS, "--manual_dir=dummy_data", cwd=CHECKOUT
    )
    assert_success(process)
    builder = tfds.builder("image_csv/cifar10", data_dir=data_dir)
    assert sizes_of(builder) == {"train": 72, "validation": 36, "test": 12}


def test_cifar10_as_it_is_downloaded(tfds_build, tmp_path, data_dir):
    """Kaggle's archive needn't be extracted: the records are those of the folder."""
    manual_dir = tmp_path / "kaggle"
    manual_dir.mkdir()
    shutil.copy(DUMMY_DATA / "trainLabels.csv", manual_dir)
    with py7zr.SevenZipFile(manual_dir / "train.7z", "w") as archive:
        archive.writeall(DUMMY_DATA / "train", "train")
    shards = []
    for source, folder in ((DUMMY_DATA, "extracted"), (manual_dir, "archive")):
        process = tfds_build(
            *("image_csv/cifar10", IMPORTS, f"--manual_dir={source}"),
            f"--data_dir={data_dir / folder}",
        )
        assert_success(process)
        dataset = data_dir / folder / "image_csv" / "cifar10" / "1.0.0"
        shards.append({path.name: path.read_bytes() for path in dataset.glob("*tf*")})
    assert len(shards[0]) == 3
    assert shards[0] == shards[1]
    assert sorted(path.name for path in manual_dir.iterdir()) == [
        "train.7z",
        "trainLabels.csv",
    ]


def test_a_damaged_archive(tfds_build, tmp_path, data_dir):
    """There is no stack trace; the message says what it must be."""
    shutil.copy(DUMMY_DATA / "trainLabels.csv", tmp_path)
    (tmp_path / "train.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(26))
    process = tfds_build("image_csv/cifar10", IMPORTS, f"--manual_dir={tmp_path}")
    assert_error(
        process,
        f"image_dir {tmp_path}/train.7z: the archive can't be read: invalid header"
        " data. Get it again, or extract it yourself and give the directory.\n\n"
        + tfds_imagecsv.ImageCsv.MANUAL_DOWNLOAD_INSTRUCTIONS,
    )
    assert not (data_dir / "image_csv").exists()


def test_the_folder_of_the_builder(tfds_build, data_dir):
    """In a checkout, TFDS finds the builder without an import: all built-in ones."""
    process = tfds_build("tfds_imagecsv", "--manual_dir=dummy_data", cwd=CHECKOUT)
    assert_success(process)
    builder = tfds.builder("image_csv/cifar10", data_dir=data_dir)
    assert sizes_of(builder) == {"train": 72, "validation": 36, "test": 12}


# A process that knows TFDS, but not the plugin.
LOAD = """
import json, sys
import tensorflow_datasets as tfds
splits, info = tfds.load("image_csv/pets", with_info=True)
found = {
    name: sorted(
        [
            example["image/filename"].decode(),
            info.features["label"].int2str(example["label"]),
            list(example["image"].shape),
        ]
        for example in tfds.as_numpy(split)
    )
    for name, split in splits.items()
}
assert "tfds_imagecsv" not in sys.modules
print(json.dumps({"classes": info.features["label"].names, "splits": found}))
"""


def test_a_config_of_ones_own(tfds_build, tmp_path, write_png, write_csv):
    """A dataset made from JSON loads without the plugin, the images and the CSV."""
    rows = [(f"{at:02}", ("001", "true")[at % 2]) for at in range(40)]
    for at, (name, _) in enumerate(rows):
        write_png(tmp_path / "my images" / f"{name}.png", height=3 + at)
    write_csv(tmp_path / "pets.csv", rows, header=("id", "species"))
    config = {
        "name": "pets",
        "image_dir": "my images",
        "label_csv": str(tmp_path / "pets.csv"),
        "filename_suffix": ".png",
        "label_column": "species",
        "classes": ["true", "001"],
        "val_size": 0.3,
        "test_size": 4,
    }
    data_dir = tmp_path / "elsewhere"
    process = tfds_build(
        "image_csv",
        IMPORTS,
        f"--config={json.dumps(config)}",
        f"--manual_dir={tmp_path}",
        f"--data_dir={data_dir}",
        # TFDS 4.9.10 accepts this, but still uses its own limits.
        "--max_shard_size_mb=1",
    )
    assert_success(process)
    shutil.rmtree(tmp_path / "my images")
    (tmp_path / "pets.csv").unlink()

    process = processes.run_code(LOAD, cwd=tmp_path, env=env_of(data_dir))
    assert_success(process)
    found = json.loads(process.stdout)
    assert found["classes"] == ["true", "001"]
    assert {split: len(examples) for split, examples in found["splits"].items()} == {
        "train": 24,
        "validation": 12,
        "test": 4,
    }
    assert sorted(itertools.chain(*found["splits"].values())) == [
        [f"{name}.png", label, [3 + at, 5, 3]] for at, (name, label) in enumerate(rows)
    ]


def test_array_record_and_random_access(tfds_build, data_dir):
    """`--file_format`, `--num_shards` and `--max_examples_per_split`."""
    process = tfds_build(
        "image_csv/cifar10",
        IMPORTS,
        f"--manual_dir={DUMMY_DATA}",
        "--file_format=array_record",
        "--num_shards=2",
        "--max_examples_per_split=20",
    )
    assert_success(process)
    builder = tfds.builder(
        "image_csv/cifar10", data_dir=data_dir, file_format="array_record"
    )
    assert sizes_of(builder) == {"train": 20, "validation": 20, "test": 12}
    assert sorted(path.name for path in builder.data_path.glob("*train*")) == [
        "image_csv-train.array_record-00000-of-00002",
        "image_csv-train.array_record-00001-of-00002",
    ]
    source = tfds.data_source("image_csv/cifar10", split="train", data_dir=data_dir)
    assert len(source) == 20
    names = set()
    for at in (19, 0, 7):
        example = source[at]
        name = example["image/filename"].decode()
        with Image.open(DUMMY_DATA / "train" / name) as image:
            assert example["image"].tobytes() == image.tobytes()
        names.add(name)
    assert len(names) == 3


def test_existing_datasets(tfds_build, tmp_path, data_dir):
    """A changed one is named and kept; `--overwrite` replaces it."""
    manual_dir = tmp_path / "manual" / "image_csv"
    shutil.copytree(DUMMY_DATA, manual_dir)
    builder = tfds.builder("image_csv/cifar10", data_dir=data_dir)
    download_config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    builder.download_and_prepare(download_config=download_config)
    labels = (manual_dir / "trainLabels.csv").read_text()
    (manual_dir / "trainLabels.csv").write_text(labels.replace("frog", "newt"))
    shown = "\n".join(
        [
            f"    row {number}: '{line.removesuffix(',frog')}.png': label was 'frog',"
            " is 'newt'"
            for number, line in enumerate(labels.splitlines(), 1)
            if line.endswith(",frog")
        ][:10]
    )
    args = ["image_csv/cifar10", IMPORTS, f"--manual_dir={manual_dir.parent}"]
    args.append("--add_name_to_manual_dir")

    process = tfds_build(*args)
    assert_error(
        process,
        f"""\
{builder.data_path}: the config or the sources of this dataset have changed since it \
was built:
  label_csv {manual_dir}/trainLabels.csv: of the rows, 12 have changed:
{shown}
    ... and 2 more
Give the config another version, such as version="1.0.1", to keep both datasets. Or \
build it anew with --overwrite (in Python: \
DownloadConfig(download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS)).""",
    )
    process = tfds_build(*args, "--fail_if_exists")
    assert process.returncode != 0
    assert "the data already exists" in process.stderr
    builder = tfds.builder("image_csv/cifar10", data_dir=data_dir)
    assert "frog" in builder.info.features["label"].names

    assert_success(tfds_build(*args, "--overwrite"))
    builder = tfds.builder("image_csv/cifar10", data_dir=data_dir)
    assert "newt" in builder.info.features["label"].names
    assert "frog" not in builder.info.features["label"].names
    assert sizes_of(builder) == {"train": 72, "validation": 36, "test": 12}


def test_missing_data(tfds_build, tmp_path, data_dir):
    """The message ends with the instructions."""
    manual_dir = tmp_path / "none"
    process = tfds_build("image_csv/cifar10", IMPORTS, f"--manual_dir={manual_dir}")
    reason = f"Manual directory {manual_dir} does not exist or is empty."
    assert_error(
        process,
        f"image_dir train: {reason}\nlabel_csv trainLabels.csv: {reason}\n\n"
        + tfds_imagecsv.ImageCsv.MANUAL_DOWNLOAD_INSTRUCTIONS,
    )
    assert not data_dir.exists()


def test_a_misspelled_field(tfds_build, data_dir):
    """The config is refused before anything is looked up."""
    config = {"name": "pets", "image_dri": "images", "label_csv": "labels.csv"}
    process = tfds_build("image_csv", IMPORTS, f"--config={json.dumps(config)}")
    assert_error(
        process,
        "image_dri: there is no such field. Did you mean 'image_dir'? The fields are:"
        " name, version, release_notes, supported_versions, description, tags,"
        " image_dir, label_csv, filename_column, label_column, label_type,"
        " label_delimiter, label_level, box_columns, box_format, box_units,"
        " boxes_are_upright, true_values, false_values, group_column,"
        " split_column, split_names, extra_columns, image_columns, mask_column,"
        " mask_dir, mask_colors, mask_color_csv, masks_are_upright, filename_suffix,"
        " filename_template, match, delimiter, text_encoding, header, skip_lines,"
        " sheet, classes, class_csv, val_size, test_size, folds,"
        " seed, duplicates, near_duplicates, pinned_splits, min_class_size,"
        " rare_classes, channels, dtype, background, apply_exif, resize, max_side,"
        " image_shape, encoding, quality, icc, max_pixels, verify, on_error,"
        " max_rejected, drop_issues,"
        " workers, checksums, homepage, citation, license, report",
    )
    assert not data_dir.exists()


def test_missing_images_in_several_processes(
    tfds_build, tmp_path, data_dir, make_dataset, write_csv
):
    """An error of another process looks like that of one."""
    config = make_dataset([])
    write_csv(tmp_path / "labels.csv", [("a.png", "cat"), ("b.png", "dog")])
    names = ("name", "image_dir", "label_csv")
    values = json.dumps({name: getattr(config, name) for name in names})
    process = tfds_build(
        "image_csv", IMPORTS, f"--config={values}", "--num_processes=2"
    )
    assert_error(
        process,
        f"""\
2 problems in {config.label_csv} with the images in {config.image_dir}:

Image not found (2):
  row 2: 'a.png'
  row 3: 'b.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.""",
    )
    assert not data_dir.exists()


def test_json_that_can_not_be_read(tfds_build, data_dir):
    """As if a shell had removed the quotes."""
    process = tfds_build("image_csv", IMPORTS, "--config={name: pets}")
    assert_error(
        process,
        "--config isn't JSON: Expecting property name enclosed in double quotes: line 1"
        " column 2 (char 1), got {name: pets}\nPut all of it in single quotes, and"
        " names and texts within it in double quotes.",
    )
    assert not data_dir.exists()


# What users see

INFO = "tfds.core.DatasetInfo("


def test_what_a_build_prints(tfds_build_in_a_shell, data_dir, make_dataset, write_png):
    """Notes are notes, lines that say nothing are left out, users see the outcome."""
    config = make_dataset()
    write_png(pathlib.Path(config.image_dir) / "unlisted.png")
    names = ("name", "image_dir", "label_csv")
    values = json.dumps({name: getattr(config, name) for name in names})
    process = tfds_build_in_a_shell(
        "image_csv", IMPORTS, f"--config={values}", f"--data_dir={data_dir / 'other'}"
    )
    assert_success(process)
    note = "Note: 1 image has no row in the CSV (left out): unlisted.png"
    # A progress bar may precede it on its line.
    assert process.stderr.count(note) == 1
    both = process.stdout + process.stderr
    # TFDS logs these; if it renames them, `tfds_private` has to follow.
    for words in (
        *("custom data configuration", "ImageCsvConfig(", "Variant folder"),
        *("ImageCsvWarning", "_make_plan", "catalog", "CIFAR"),
    ):
        assert words not in both
    path = data_dir / "other" / "image_csv" / "pets" / "1.0.0"
    report = f"Report: {path}/report.html\n" if (path / "report.html").exists() else ""
    assert INFO in process.stdout
    assert process.stdout.partition(INFO)[2].endswith(
        f"""
Classes   train   validation   test   total
───────────────────────────────────────────
cat           8            1      1      10
dog           8            1      1      10

Read as delimiter: ',', file names: 'filename', labels: 'label'
Built in {path}:
  train: 16 examples, 1 shards
  validation: 2 examples, 1 shards
  test: 2 examples, 1 shards
{report}Load it: tfds.load("image_csv/pets", data_dir="{data_dir}/other")
"""
    )


def test_the_log_of_others_is_complete(tfds_build, tmp_path):
    """TFDS still says that it uses the config of another class."""
    (tmp_path / "others.py").write_text(
        """
import tensorflow_datasets as tfds
import tfds_imagecsv

class Others(tfds.testing.DummyDataset):
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="a")]
"""
    )
    config = json.dumps({"name": "b"})
    process = tfds_build("others.py", f"--config={config}")
    assert_success(process)
    assert "Using custom data configuration: BuilderConfig(name='b'" in process.stdout
    assert "Load it" not in process.stdout


# Output of libraries in C++, such as `I0000 00:00:179591.5 10358 port.cc:153]`.
OF_LIBRARIES = re.compile(r"[IWEF]\d{4} [\d:.]+ +\d+ \w+\.cc:\d+\]|.*absl::Initialize")


def of_libraries(text):
    """Returns the lines that libraries in C++ have printed."""
    return [line for line in text.splitlines() if OF_LIBRARIES.match(line)]


def test_what_tensorflow_prints_comes_before_our_code(make_dataset, data_dir, tmp_path):
    """`tfds` imports TensorFlow first: nobody can silence it. Our command is silent."""
    config = make_dataset()
    mark = "tfds_imagecsv is imported now"
    env = {one: os.environ[one] for one in os.environ if one != "TF_CPP_MIN_LOG_LEVEL"}
    env["MARK"] = mark
    names = ("name", "image_dir", "label_csv")
    values = json.dumps({name: getattr(config, name) for name in names})
    script = CHECKOUT / "tests" / "scripts" / "marked_tfds.py"
    ours = processes.COMMANDS / "tfds-imagecsv"
    tfds_command, our_command = (
        subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env={**env, "TFDS_DATA_DIR": str(data_dir / command[0].name)},
            check=True,
            capture_output=True,
            text=True,
        ).stderr
        for command in (
            (
                pathlib.Path(sys.executable),
                *(script, "build", "image_csv", IMPORTS, f"--config={values}"),
            ),
            (ours, "build", config.image_dir, config.label_csv, "--name=pets"),
        )
    )
    before, found, after = tfds_command.partition(mark)
    assert found
    assert any("oneDNN" in line for line in of_libraries(before))
    assert of_libraries(after) == []
    assert "Writing images" in after
    assert of_libraries(our_command) == []
    assert "Writing images" in our_command


@pytest.mark.parametrize("command", ["tfds", "tfds-imagecsv"])
def test_a_build_that_is_interrupted(command, make_dataset, data_dir):
    """Ctrl-C reaches all its processes; it only prints one line."""
    config = make_dataset()
    label_csv = pathlib.Path(config.label_csv)
    label_csv.unlink()
    os.mkfifo(label_csv)
    args = [f"--data_dir={data_dir}"]
    if command == "tfds":
        names = ("name", "image_dir", "label_csv")
        values = json.dumps({name: getattr(config, name) for name in names})
        args = ["image_csv", IMPORTS, f"--config={values}", *args]
    else:
        args = [config.image_dir, config.label_csv, "--name=pets", *args]
    process = subprocess.Popen(
        [processes.COMMANDS / command, "build", *args],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # Waits until the build reads the table, which doesn't end yet.
    with label_csv.open("w"):
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate()
    assert process.returncode in (130, -signal.SIGINT)
    assert errors.splitlines()[-1] == "Stopped."
    assert "Traceback" not in output + errors
    assert "Interrupt" not in output + errors
    assert not list(data_dir.rglob("*.tfrecord*"))
