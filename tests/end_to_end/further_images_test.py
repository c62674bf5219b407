"""Datasets with several images per example, as their users build and load them."""

import csv
import os
import pathlib
import random
import shutil

import hypothesis
import numpy as np
import processes
import pytest
import samples
import walk
from apache_beam.options.pipeline_options import PipelineOptions
from hypothesis import strategies as st
from PIL import Image

import tfds_imagecsv

PAIRS = 24
HEADER = ("left_file", "right_file", "label")

# A process that knows nothing of this package prints this about a dataset.
READ = """
import hashlib, sys
sys.modules["tfds_imagecsv"] = None
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory(sys.argv[1])
for split in builder.as_dataset().values():
    for example in tfds.as_numpy(split):
        right = example["right"]
        digest = hashlib.sha256(right.tobytes()).hexdigest()
        print(example["image/filename"].decode(), right.shape, right.dtype, digest)
"""


def write_image(path, seed):
    """Writes an image with its own size, format and orientation."""
    pixels = samples.noise(9 + seed % 3, 14, 3, seed=seed)
    image_format = ("PNG", "JPEG", "WEBP")[seed % 3]
    exif = {"exif": samples.exif(1 + seed % 8)} if image_format == "JPEG" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(samples.encoded(Image.fromarray(pixels), image_format, **exif))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, write_csv):
    """A directory with pairs of images, all different, and their table."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for at in range(PAIRS):
        names = f"left/{at:02}.img", f"right/{PAIRS - at:02}.img"
        for side, name in enumerate(names):
            write_image(folder / "images" / name, 2 * at + side)
        rows.append((*names, ("cat", "dog")[at % 2]))
    write_csv(folder / "labels.csv", rows, header=HEADER)
    return folder


def config_of(folder, **fields):
    """Returns a config of a directory with pairs."""
    values = {"val_size": 0.25, "test_size": 0.25, "image_columns": RIGHT, **fields}
    return tfds_imagecsv.ImageCsvConfig(
        name="pairs",
        image_dir=folder / "images",
        label_csv=folder / "labels.csv",
        **values,
    )


RIGHT = {"right": "right_file"}


@pytest.fixture
def own(pairs, tmp_path):
    """A copy of the pairs that a test may change."""
    shutil.copytree(pairs, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def write(tmp_path, write_csv, write_png):
    """Returns a function that writes a table and small images; returns a config."""

    def write(rows, *, header=HEADER, images=None, **fields):
        names = {name for row in rows for name in row[:2] if name}
        for name in names if images is None else images:
            write_png(tmp_path / "images" / name)
        write_csv(tmp_path / "labels.csv", rows, header=header)
        return config_of(tmp_path, **fields)

    return write


def rows_of(folder):
    """Returns the rows of a table."""
    with (folder / "labels.csv").open() as file:
        return list(csv.reader(file))[1:]


def notes_of(builder):
    """Returns the notes of a build."""
    return builder.info.metadata["notes"]


def splits_of(builder):
    """Returns the split of each example."""
    with (builder.data_path / "split_manifest.csv").open() as file:
        return {row["key"]: row["split"] for row in csv.DictReader(file)}


# What is in the records


def test_pairs_load_without_the_plugin(pairs, data_dir):
    """The records have the further images, under the names in the config."""
    builder = walk.built(config_of(pairs), data_dir)
    done = processes.run_code(READ, builder.data_path, cwd=data_dir, env=os.environ)
    assert done.returncode == 0, done.stderr
    here = {
        f"{name} {one['right'].shape} {one['right'].dtype}"
        for name, one in walk.examples_of(builder).items()
    }
    assert {line.rpartition(" ")[0] for line in done.stdout.splitlines()} == here
    assert len(here) == PAIRS
    assert builder.info.supervised_keys == ("image", "label")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"apply_exif": False},
        {"resize": [7, 5], "channels": 1},
        {"max_side": 6, "encoding": "jpeg"},
        {"channels": 4, "verify": "header"},
        {"dtype": "uint16"},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_they_are_stored_as_the_own_images_are(pairs, data_dir, fields):
    """The same fields check and convert them, as in a dataset of them alone."""
    builder = walk.built(config_of(pairs, **fields), data_dir)
    alone = tfds_imagecsv.ImageCsvConfig(
        **{
            **vars(config_of(pairs, **fields)),
            "filename_column": "right_file",
            "image_columns": None,
        }
    )
    expected = walk.examples_of(walk.built(alone, data_dir / "alone"))
    found = walk.examples_of(builder)
    features = builder.info.features
    assert features["right"].shape == features["image"].shape
    assert features["right"].dtype == features["image"].dtype
    for left, right, _ in rows_of(pairs):
        np.testing.assert_array_equal(found[left]["right"], expected[right]["image"])


@pytest.mark.usefixtures("many_processes")
def test_the_bytes_do_not_depend_on_workers_order_or_engine(
    pairs, own, tmp_path, data_dir, write_csv
):
    """Shards, manifest and metadata are the same."""
    rows = rows_of(pairs)
    random.Random(0).shuffle(rows)
    write_csv(own / "labels.csv", rows, header=HEADER)
    in_memory = PipelineOptions(["--direct_running_mode=in_memory"])
    ways = {
        "one": (config_of(pairs, workers=1), {}),
        "two": (config_of(pairs, workers=2), {}),
        "order": (config_of(own, workers=1), {}),
        "beam": (
            config_of(pairs),
            {"beam_runner": "DirectRunner", "beam_options": in_memory},
        ),
    }
    found = {}
    for name, (config, kwargs) in ways.items():
        found[name] = walk.files_of_build(
            config, data_dir / name, num_shards=2, **kwargs
        )
        assert sum("tfrecord" in one for one in found[name]) == 6
    for name in ways:
        assert found[name] == found["one"], name


def test_records_that_the_plan_has_sized(pairs, data_dir):
    """The sizes of all images count for the number of shards."""
    builder = tfds_imagecsv.ImageCsv(config=config_of(pairs), data_dir=data_dir)
    builder.download_and_prepare()
    for name, split in builder.info.splits.items():
        size = sum(pathlib.Path(path).stat().st_size for path in split.filepaths)
        assert size == split.num_bytes + 16 * split.num_examples, name


# Which files they are


def test_names_are_found_as_the_own_ones_are(own, write_csv, data_dir):
    """With a suffix, loosely, and by templates."""
    expected = walk.examples_of(walk.built(config_of(own), data_dir))
    rows = [
        (f"{at:02}", f"{PAIRS - at:02}", ("cat", "dog")[at % 2]) for at in range(PAIRS)
    ]
    write_csv(own / "labels.csv", rows, header=("a", "b", "label"))
    templates = {
        "filename_template": "left/{a}.img",
        "image_columns": {"right": "right/{b}.img"},
        "label_column": "label",
    }
    suffixed = [(f"LEFT/{one}", f"RIGHT\\{two}", label) for one, two, label in rows]
    for at, fields in enumerate(
        [templates, {"filename_suffix": ".img", "image_columns": {"right": "b"}}]
    ):
        if at:
            write_csv(own / "labels.csv", suffixed, header=("a", "b", "label"))
        builder = walk.built(config_of(own, **fields), data_dir / str(at))
        found = walk.examples_of(builder)
        assert found.keys() == expected.keys()
        for name, example in found.items():
            np.testing.assert_array_equal(example["right"], expected[name]["right"])
    assert [note.partition(" file names")[0] for note in notes_of(builder)] == [
        "24 of 24",
        "in 'b', 24 of 24",
    ]


def test_frames_that_are_both(tmp_path, write, data_dir):
    """A row's own image may be another row's further one; none is read twice."""
    rows = [(f"{at:02}.png", f"{at + 1:02}.png", "cat") for at in range(12)]
    config = write(
        rows,
        val_size=0,
        test_size=0,
        image_columns={"next": "right_file"},
        resize=[3, 3],
    )
    builder = walk.built(config, data_dir)
    found = walk.examples_of(builder)
    for name, after, _ in rows[:-1]:
        np.testing.assert_array_equal(found[name]["next"], found[after]["image"])
    sources = (builder.data_path / "sources.json").read_text()
    assert '"further": {"key": ["12.png"]' in sources
    assert builder.info.metadata["images_without_row"] == 0
    assert builder.info.metadata["conversions"] == {"resized": 24}


def test_tables_by_split(own, write_csv, data_dir):
    """Each names its images; both names begin with the folder of the split."""
    expected = walk.examples_of(walk.built(config_of(own), data_dir))
    rows = rows_of(own)
    tables = {"train": rows[:16], "test": rows[16:]}
    for name, some in tables.items():
        write_csv(own / f"{name}.csv", some, header=HEADER)
        shutil.copytree(own / "images", own / "by_split" / name)
    config = config_of(own)
    config.label_csv = {name: str(own / f"{name}.csv") for name in tables}
    config.image_dir = {name: str(own / "by_split" / name) for name in tables}
    found = walk.examples_of(walk.built(config, data_dir / "two"))
    for name, example in found.items():
        want = expected[name.partition("/")[2]]["right"]
        np.testing.assert_array_equal(example["right"], want)


def test_images_with_boxes(tmp_path, write, data_dir):
    """All rows of an image have the same further image."""
    header = ("filename", "right_file", "class", "xmin", "ymin", "xmax", "ymax")
    rows = [
        ("a.png", "r/a.png", "cat", 0, 0, 2, 2),
        ("a.png", "r/a.png", "dog", 1, 1, 3, 3),
        ("b.png", "r/b.png", "cat", 0, 0, 2, 2),
    ]
    fields = {"label_type": "boxes", "val_size": 0, "test_size": 0}
    config = write(rows, header=header, **fields)
    found = walk.examples_of(walk.built(config, data_dir))
    for name, example in found.items():
        right = np.asarray(Image.open(tmp_path / "images" / "r" / name))
        np.testing.assert_array_equal(example["right"], right)
    rows[1] = ("a.png", "r/b.png", *rows[1][2:])
    config = write(rows, header=header, **fields)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir / "two")
    assert (
        "row 2: the file of 'right' isn't that of row 3 for 'a.png'\n"
        "  row 3: the file of 'right' isn't that of row 2 for 'a.png'\n"
        "  -> Give all rows of an image the same group, split, size and further images."
    ) in str(caught.value)


# What must stay together


@hypothesis.settings(
    max_examples=10,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=12, max_size=30
    )
)
def test_rows_that_share_an_image_are_in_one_split(tmp_path_factory, write_csv, drawn):
    """In any column: the content counts, not the name."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "images").mkdir()
    rows = []
    for at, contents in enumerate(drawn):
        names = [f"{at}{side}.png" for side in "ab"]
        for name, content in zip(names, contents, strict=True):
            image = Image.fromarray(samples.noise(4, 4, 3, seed=content))
            (folder / "images" / name).write_bytes(samples.encoded(image))
        rows.append((*names, "cat"))
    write_csv(folder / "labels.csv", rows, header=HEADER)
    config = config_of(folder, near_duplicates="off")
    try:
        planned = walk.plan(config, walk.inspect(config))
    except tfds_imagecsv.SplitError:
        hypothesis.reject()  # too much belongs together
    split_of = dict(
        zip(
            planned.rows["key"].to_pylist(),
            planned.rows["split"].to_pylist(),
            strict=True,
        )
    )
    splits_of_content = {}
    for (name, _, _), contents in zip(rows, drawn, strict=True):
        for content in contents:
            splits_of_content.setdefault(content, set()).add(split_of[name])
    assert all(len(splits) == 1 for splits in splits_of_content.values())


def test_shared_images_are_said(write, data_dir):
    """A note names the rows that have them."""
    rows = [(f"{at:02}.png", f"r{at:02}.png", "cat") for at in range(20)]
    rows[3] = ("03.png", "r07.png", "cat")
    rows[9] = ("09.png", "11.png", "cat")
    builder = walk.built(write(rows), data_dir)
    split_of = splits_of(builder)
    assert split_of["03.png"] == split_of["07.png"]
    assert split_of["09.png"] == split_of["11.png"]
    assert notes_of(builder) == [
        (
            "4 rows have an image that another row has, too, of 2 images; they stay"
            " together: 03.png ~ 07.png, 09.png ~ 11.png"
        )
    ]


def test_copies_are_rows_with_the_same_images(tmp_path, write, write_png, data_dir):
    """A single common image neither contradicts labels nor makes a duplicate."""
    rows = [
        ("a.png", "ra.png", "cat"),
        ("copy of a.png", "rb.png", "dog"),
        ("b.png", "rb2.png", "cat"),
        ("copy of b.png", "copy of rb2.png", "cat"),
    ]
    fields = {"val_size": 0, "test_size": 0, "duplicates": "drop", "max_rejected": 1}
    config = write(rows, **fields)
    images = tmp_path / "images"
    for name in ("a", "b", "rb2"):
        shutil.copy(images / f"{name}.png", images / f"copy of {name}.png")
    builder = walk.built(config, data_dir)
    assert splits_of(builder).keys() == {"a.png", "copy of a.png", "b.png"}
    rows[3] = (*rows[3][:2], "dog")
    config = write(rows, images=[], **fields)
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(config, data_dir / "two")
    assert str(caught.value).endswith(
        "Identical images with different labels (1):\n"
        "  row 5: 'copy of b.png' is 'dog', and the same as 'b.png' in row 4, which is"
        " 'cat'\n"
        "  -> Keep the copy whose label is right."
    )


# What is wrong

BAD_ROWS = [
    ("0.png", "r/0.png", "cat"),
    ("1.png", "", "cat"),
    ("2.png", "r/none.png", "cat"),
    ("3.png", "r/broken.png", "cat"),
    ("4.png", "../out.png", "cat"),
    ("5.png", "twin", "cat"),
    ("6.png", "r/broken.png", "cat"),
    ("broken.png", "r/text.png", "cat"),
    ("8.png", "r/8.png", "cat"),
]


@pytest.fixture
def bad(tmp_path, write):
    """A config of rows with unusable further images, except the first."""
    names = {name for row in BAD_ROWS for name in row[:2] if name[:1] in "0123456789r"}
    names |= {"broken.png", "r/twin.png", "s/twin.png"}
    config = write(BAD_ROWS, images=names - {"", "r/none.png"}, val_size=0, test_size=0)
    images = tmp_path / "images"
    for name in ("r/broken.png", "broken.png"):
        (images / name).write_bytes((images / "0.png").read_bytes()[:60])
    (images / "r/text.png").write_text("This is no image.")
    return config


def test_all_that_is_wrong_is_said_at_once(bad, tmp_path, data_dir):
    """The message has the row, the column and the file."""
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        walk.built(bad, data_dir)
    assert str(caught.value).replace(str(tmp_path), "ROOT") == (
        "8 problems in ROOT/labels.csv with the images in ROOT/images:\n"
        "\n"
        "Empty file name (1):\n"
        "  row 3: none in 'right_file' for '1.png'\n"
        "  -> Fill in the file name, or remove the row.\n"
        "\n"
        "File name that fits several files (1):\n"
        "  row 7: 'twin' fits 'r/twin.png' and 's/twin.png' in 'right_file' for"
        " '5.png'\n"
        "  -> Write it with its folder and extension; match='exact' reads none"
        " loosely.\n"
        "\n"
        "File name that leaves the image directory (1):\n"
        "  row 6: '../out.png' in 'right_file' for '4.png'\n"
        "  -> Give file names relative to image_dir, without '..' or links out of it.\n"
        "\n"
        "Image not found (1):\n"
        "  row 4: in 'right_file', 'r/none.png'\n"
        "  -> Check image_dir, filename_column and filename_suffix, or remove the"
        " rows.\n"
        "\n"
        "Image that can't be read (4):\n"
        "  row 5: in 'right_file', 'r/broken.png': its end is missing\n"
        "  row 8: in 'right_file', 'r/broken.png': its end is missing\n"
        "  row 9: 'broken.png': its end is missing\n"
        "  row 9: in 'right_file', 'r/text.png' isn't an image\n"
        "  -> Replace or remove the image."
    )
    assert not data_dir.exists()


def test_a_table_without_a_good_row(write, data_dir):
    """It is an error like any other."""
    config = write([("0.png", "none.png", "cat")], images=["0.png"])
    with pytest.raises(tfds_imagecsv.InvalidRowsError, match="row 2: in 'right_file'"):
        walk.built(config, data_dir)


def test_bad_rows_can_be_left_out(bad, data_dir):
    """They are listed; the remaining rows have both images."""
    bad.on_error, bad.max_rejected = "skip", 0.8
    builder = walk.built(bad, data_dir)
    assert walk.examples_of(builder).keys() == {"0.png", "8.png"}
    with (builder.data_path / "rejected_rows.csv").open() as file:
        rejected = [(row["row"], row["key"]) for row in csv.DictReader(file)]
    names = [*(f"{at}.png" for at in range(1, 7)), "broken.png"]
    assert rejected == [(str(at), name) for at, name in enumerate(names, 3)]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"image_columns": {"image": "right_file", "a/b": "c", "": "d"}},
            (
                "image_columns must be names of columns by the names of features,"
                " which have no '/'. Got: 'image' is a feature of each dataset: choose"
                " another name; 'a/b' can't be the name of a feature; '' can't be the"
                " name of a feature"
            ),
        ),
        (
            {"image_columns": RIGHT, "extra_columns": {"right": "string"}},
            (
                "image_columns and extra_columns must name different features, got"
                " 'right' in both"
            ),
        ),
        (
            {"image_columns": "right_file"},
            (
                "image_columns must be names of columns by the names of features, such"
                " as {'right': 'right_file'}, got 'right_file'"
            ),
        ),
        (
            {"image_columns": {"right": "{id:3}"}},
            (
                "image_columns[right] must be a text with names of columns in braces,"
                " such as '{id}.png', got '{id:3}': a name has ':' or '!' after it"
            ),
        ),
    ],
    ids=["names", "extra", "text", "template"],
)
def test_a_config_that_is_refused(pairs, fields, error):
    """It is refused before anything is read."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        config_of(pairs, **fields)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"image_columns": {"right": "righ_file"}}, "image_columns: no column has the"),
        (
            {"image_columns": {"right": "left_file"}, "filename_column": "left_file"},
            "filename_column and image_columns[right] are both 'left_file'",
        ),
        (
            {"image_columns": {"label2": "right_file"}, "extra_columns": "all"},
            "extra_columns: 'label2' in",
        ),
    ],
    ids=["missing", "twice", "extra"],
)
def test_a_table_that_does_not_fit(write, data_dir, fields, error):
    """The message has the field and the column."""
    rows = [("0.png", "r0.png", "cat", "x")]
    config = write(rows, header=(*HEADER, "label2"), **fields)
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        walk.built(config, data_dir)
    assert error in str(caught.value)


# What is beside the records


def test_a_dataset_gets_stale(own, data_dir):
    """New content of a further image, or a new name in its column, makes it stale."""
    config = config_of(own)
    walk.built(config, data_dir)

    def changes():
        try:
            tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir).raise_if_stale()
        except tfds_imagecsv.StaleDatasetError as error:
            return str(error)
        return ""

    path = own / "images" / "right" / "07.img"
    content = path.read_bytes()
    path.write_bytes(content)  # a new time
    sources = data_dir / "image_csv" / "pairs" / "1.0.0" / "sources.json"
    before = sources.read_text()
    assert changes() == ""
    assert sources.read_text() != before  # the time is noted
    path.write_bytes(content[:-1] + b"!")
    assert "of the images, 1 has changed:\n    'right/07.img' has changed" in changes()
    path.unlink()
    assert "1 is missing:\n    'right/07.img' is missing" in changes()
    path.write_bytes(content)
    assert changes() == ""
    rows = rows_of(own)
    with (own / "labels.csv").open("a") as file:
        file.write(f"left/00.img,{rows[1][1]},cat\n")
    text = (own / "labels.csv").read_text()
    (own / "labels.csv").write_text(text.replace(rows[0][1], rows[1][1], 1))
    assert "of the rows, 1 has changed" in changes()


def test_files_of_left_out_rows_count(bad, tmp_path, data_dir):
    """So does a further image that can be read now, and the own image of such a row."""
    bad.on_error, bad.max_rejected = "skip", 0.8
    walk.built(bad, data_dir)
    builder = tfds_imagecsv.ImageCsv(config=bad, data_dir=data_dir)
    builder.raise_if_stale()
    good = (tmp_path / "images" / "0.png").read_bytes()
    for name, words in (
        ("r/none.png", "'r/none.png' can be read now"),
        ("2.png", "'2.png' has changed"),
    ):
        path = tmp_path / "images" / name
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(good + b"x")
        with pytest.raises(tfds_imagecsv.StaleDatasetError, match=words):
            builder.raise_if_stale()
        path.unlink() if before is None else path.write_bytes(before)
    builder.raise_if_stale()


def test_what_is_said_of_them(own, data_dir, run):
    """`check`, the description, the manifest, the card and `compare` tell of them."""
    columns = '{"right": "right_file"}'
    code, shown, _ = run(
        "check", own / "images", own / "labels.csv", f"--image-columns={columns}"
    )
    assert code == 0
    assert "further images: 'right_file'" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["JPEG", "16"] in lines
    builder = walk.built(config_of(own), data_dir)
    assert builder.info.description.startswith(
        "24 images of 2 classes, with further images (right), from labels.csv."
    )
    with (builder.data_path / "split_manifest.csv").open() as file:
        (first, *_) = csv.DictReader(file)
    assert list(first)[5:] == ["right/key", "right/digest"]
    assert first["right/key"] == "right/24.img"
    assert run("card", "image_csv/pairs", f"--data_dir={data_dir}")[0] == 0
    card = (builder.data_path / "README.md").read_text()
    assert "- The records have further images: right.\n" in card
    write_image(own / "images" / "right" / "24.img", 99)
    config = config_of(own)
    config.version = "1.0.1"
    newer = walk.built(config, data_dir)
    code, shown, _ = run("compare", builder.data_path, newer.data_path)
    assert "left/00.img" in shown
    # An earlier manifest has further columns.
    config = config_of(own, pinned_splits=builder.data_path / "split_manifest.csv")
    assert splits_of(walk.built(config, data_dir / "pinned")) == splits_of(builder)


def test_images_that_no_row_names(own, data_dir, write_png):
    """Images in further columns aren't among them."""
    write_png(own / "images" / "right" / "other.png")
    builder = walk.built(config_of(own), data_dir)
    assert builder.info.metadata["images_without_row"] == 1
