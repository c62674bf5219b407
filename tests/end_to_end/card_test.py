"""`tfds-imagecsv card`: the files that it writes, and how other programs read them."""

import csv
import io
import json
import logging
import os
import pathlib
import subprocess
import sys

import mlcroissant as mlc
import numpy as np
import pytest
import tensorflow_datasets as tfds
import yaml
from PIL import Image

from tfds_imagecsv import cli
from tfds_imagecsv.prepared import prepared_dataset
from tfds_imagecsv.reports import croissant

COMMAND = pathlib.Path(sys.executable).with_name("tfds-imagecsv")


@pytest.fixture
def run(capsys):
    """Returns a function that runs `card`; it returns the code, output and errors."""

    def run(*args):
        capsys.readouterr()  # a build's
        code = cli.main(["card", *map(str, args)])
        captured = capsys.readouterr()
        errors = [
            line for line in captured.err.splitlines() if "Writing images" not in line
        ]
        return code, captured.out, "\n".join(errors).strip()

    return run


@pytest.fixture
def make_card(make_builder, data_dir, run):
    """Returns a function that builds a dataset, and writes its card."""

    def make_card(config, *args, **kwargs):
        builder = make_builder(config, **kwargs)
        builder.download_and_prepare()
        code, _, errors = run("image_csv/pets", f"--data_dir={data_dir}", *args)
        assert (code, errors) == (0, "")
        return pathlib.Path(builder.data_path)

    return make_card


def front_matter(folder):
    """Returns the values of the front matter, and the text below it."""
    before, front, body = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    assert before == ""
    return yaml.safe_load(front), body


def manifest_of(folder):
    """Returns the rows of the manifest by key."""
    text = (folder / "split_manifest.csv").read_text("utf-8")
    return {row["key"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


def records_of(folder):
    """Returns the records that `mlcroissant` reads, by file name; texts as texts."""
    logging.disable(logging.WARNING)
    try:
        dataset = mlc.Dataset(folder / "croissant.json")
        found = list(dataset.records("examples"))
    finally:
        logging.disable(logging.NOTSET)
    records = {}
    for record in found:
        values = {
            name.removeprefix("examples/"): value.decode()
            if isinstance(value, bytes)
            else value
            for name, value in record.items()
        }
        records[values["filename"]] = values
    assert len(records) == len(found)
    return records


def stored_images(folder):
    """Returns the decoded images of the records, by file name."""
    builder = tfds.builder_from_directory(folder)
    return {
        example["image/filename"].decode(): example["image"]
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    }


def assert_croissant_reads_all(folder, *, label=str):
    """Checks that `mlcroissant` reads image, split and label of each record."""
    rows, records = manifest_of(folder), records_of(folder)
    assert sorted(records) == sorted(rows)
    images = stored_images(folder)
    for key, row in rows.items():
        assert records[key]["split"] == row["split"]
        expected = label(row["label"]) if row["label"] else None
        assert records[key].get("label") == expected
        assert np.array_equal(np.asarray(records[key]["image"]), images[key])
    return records


def test_the_files_of_a_card(make_dataset, make_card, data_dir, list_tree):
    """The front matter has what hubs need; the records don't change."""
    texts = {"license": "CC-BY-4.0", "citation": "@misc{pets}", "description": "Pets."}
    config = make_dataset(**texts, homepage="https://example.org", tags=["animals"])
    folder = make_card(config)
    front, body = front_matter(folder)
    sizes = {name: one.num_bytes for name, one in splits_of(folder).items()}
    assert front == {
        "pretty_name": "pets",
        "license": "cc-by-4.0",
        "task_categories": ["image-classification"],
        "task_ids": ["multi-class-image-classification"],
        "size_categories": ["n<1K"],
        "tags": ["image", "tensorflow-datasets", "animals"],
        "dataset_info": {
            "config_name": "pets",
            "features": [
                {"name": "image", "dtype": "image"},
                {
                    "name": "label",
                    "dtype": {"class_label": {"names": {"0": "cat", "1": "dog"}}},
                },
            ],
            "splits": [
                {"name": name, "num_bytes": sizes[name], "num_examples": examples}
                for name, examples in (("train", 16), ("validation", 2), ("test", 2))
            ],
            "dataset_size": sum(sizes.values()),
        },
        "configs": [
            {
                "config_name": "pets",
                "data_files": [
                    {"split": name, "path": f"images/{name}/**"} for name in sizes
                ],
            }
        ],
    }
    for words in (
        "\n# pets\n\nPets.\n\nHomepage: https://example.org\n",
        "\n| cat | 8 | 1 | 1 |\n",
        '\ndataset = tfds.load("image_csv/pets", data_dir=DATA_DIR)\n',
        "\n## Licence\n\nCC-BY-4.0\n",
        "\n## Citation\n\n```\n@misc{pets}\n```\n",
    ):
        assert words in body
    found = tfds.load("image_csv/pets", split="train", data_dir=data_dir)
    assert len(found) == 16
    before = list_tree(folder)
    assert cli.main(["card", "image_csv/pets", f"--data_dir={data_dir}"]) == 0
    contents = [
        {name: one[1] for name, one in tree.items()}
        for tree in (before, list_tree(folder))
    ]
    assert contents[0] == contents[1]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["1.0.0"]


def splits_of(folder):
    """Returns TFDS's splits."""
    return tfds.builder_from_directory(folder).info.splits


def test_croissant(make_dataset, make_card):
    """The validator accepts it, and its reader reads all records."""
    folder = make_card(make_dataset())
    command = pathlib.Path(sys.executable).with_name("mlcroissant")
    process = subprocess.run(
        [command, "validate", "--jsonld", "croissant.json"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert "Done." in process.stderr
    assert "error" not in process.stderr.lower()
    records = assert_croissant_reads_all(folder)
    assert set(records["00.png"]) == {"path", "image", "filename", "split", "label"}
    described = json.loads((folder / "croissant.json").read_text())
    assert described["conformsTo"].startswith("http://mlcommons.org/croissant/1.")
    assert described["name"] == "image_csv/pets"
    assert "datePublished" not in described
    assert not (folder / "split_manifest.parquet").exists()


def test_hubs_find_each_image_with_its_label(make_dataset, make_card):
    """It is in the folder of its split, with the Hub's file of names and labels."""
    folder = make_card(
        make_dataset(
            [("a/a.png", "cat"), ("b.png", "dog"), ("c.png", "dog")],
            val_size=0,
            test_size=1,
        )
    )
    found = {}
    for path in (folder / "images").glob("*/metadata.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            assert (path.parent / row["file_name"]).is_file()
            found[row["file_name"]] = (path.parent.name, row["label"])
    rows = manifest_of(folder)
    assert found == {key: (row["split"], row["label"]) for key, row in rows.items()}


HOSTILE = (
    ("images/train/01.png", "<script>alert(1)</script>"),
    ("<b>.png", "[x](javascript:alert(1))"),
    ("a [1]*?.png", "a | b"),
    ('say "hi", you.png', 'say "hi", you'),
    ("\u202egnp.png", "\u202etac"),
    ("\x1b[31m.png", "\x1b[31mred"),
    ("\u732b.PNG", "\u732b: - \u72ac"),
    ("noextension", "no"),
    ("-.png", "- item"),
    ("100%.png", "null"),
)


def test_hostile_texts(make_dataset, make_card):
    """They come back unchanged, and act nowhere."""
    rows = [*HOSTILE, *((f"{at}.png", label) for at, (_, label) in enumerate(HOSTILE))]
    folder = make_card(
        make_dataset(
            rows,
            val_size=0,
            test_size=10,
            description="<script>x</script>\n\u202e\x1b[0m",
            license="<b>Ours</b>\nAll of it.",
            citation="```\n<script>\n\u202e",
        )
    )
    text = (folder / "README.md").read_text("utf-8")
    assert text.replace("\n", "").isprintable()
    front, _ = front_matter(folder)
    names = front["dataset_info"]["features"][1]["dtype"]["class_label"]["names"]
    assert sorted(names.values()) == sorted(label for _, label in HOSTILE)
    assert front["license"] == "other"
    assert (folder / front["license_link"]).read_text() == "<b>Ours</b>\nAll of it."
    assert (folder / "croissant.json").read_text().replace("\n", "").isprintable()
    records = assert_croissant_reads_all(folder)
    assert {key: records[key]["label"] for key, _ in rows} == dict(rows)


@pytest.mark.parametrize(
    "labels", [("001", "1"), ("NA", "cat"), ("true", "false"), ("1.50", "2")], ids=str
)
def test_labels_that_a_reader_of_csv_would_change(make_dataset, make_card, labels):
    """Croissant has a typed manifest beside the CSV."""
    rows = [(f"{at}.png", labels[at % 2]) for at in range(8)]
    folder = make_card(make_dataset(rows))
    assert (folder / "split_manifest.parquet").exists()
    records = assert_croissant_reads_all(folder)
    assert {record["label"] for record in records.values()} == set(labels)


def test_names_that_are_numbers(make_dataset, make_card):
    """They are texts, and have no extension."""
    rows = [(str(at), ("cat", "dog")[at % 2]) for at in range(8)]
    assert_croissant_reads_all(make_card(make_dataset(rows)))


def test_too_many_names_without_extension(make_dataset, make_card, monkeypatch):
    """Croissant can't find them; the card says so."""
    monkeypatch.setattr(croissant, "_MAX_NAMES", 7)
    folder = make_card(make_dataset([(f"a{at}", "cat") for at in range(8)]))
    records = records_of(folder)
    assert len(records) == 8
    assert set(records["a0"]) == {"filename", "split", "label"}
    _, body = front_matter(folder)
    assert "but not the images: too many of their names have no extension." in body


def test_without_images(make_dataset, make_card):
    """The card says where they are."""
    folder = make_card(make_dataset(), "--no_images")
    assert not (folder / "images").exists()
    front, body = front_matter(folder)
    assert "configs" not in front
    assert "but not the images: they are in the records only." in body
    rows, records = manifest_of(folder), records_of(folder)
    assert {key: (one["split"], one["label"]) for key, one in records.items()} == {
        key: (row["split"], row["label"]) for key, row in rows.items()
    }


@pytest.mark.parametrize(
    ("fields", "task_id", "feature", "label"),
    [
        (
            {"label_type": "multilabel", "label_delimiter": "|"},
            ["multi-label-image-classification"],
            {"sequence": {"class_label": {"names": {"0": "a", "1": "b", "2": "c"}}}},
            str,
        ),
        ({"label_type": "regression"}, None, {"dtype": "float32"}, float),
        ({"label_type": "none"}, None, None, str),
    ],
    ids=["multilabel", "regression", "none"],
)
@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_kinds_of_labels(
    make_dataset,
    make_card,
    write_csv,
    tmp_path,
    fields,
    task_id,
    feature,
    label,
    file_format,
):
    """Each in the words of the hub."""
    is_number = fields["label_type"] == "regression"
    labels = ["0.5", "-3", "1e3", "7"] if is_number else ["a|b", "c", "|", "a"]
    rows = [(f"{at:02}.png", labels[at % 4]) for at in range(20)]
    config = make_dataset(rows, **fields)
    folder = make_card(config, file_format=file_format)
    front, _ = front_matter(folder)
    assert front.get("task_ids") == task_id
    features = front["dataset_info"]["features"]
    assert features[1:] == ([{"name": "label", **feature}] if feature else [])
    if file_format == "tfrecord":
        assert_croissant_reads_all(folder, label=label)
    of_files = {}
    for path in (folder / "images").glob("*/metadata.jsonl"):
        for row in map(json.loads, path.read_text().splitlines()):
            of_files[row["file_name"]] = row.get("label")
    expected = {
        "multilabel": lambda text: [one for one in text.split("|") if one],
        "regression": float,
        "none": lambda text: None,
    }[fields["label_type"]]
    assert of_files == {key: expected(text) for key, text in rows}


def test_images_that_were_converted(make_dataset, make_card, tmp_path):
    """It writes the images of the records, not those of the source."""
    rows = [("a.gif", "cat"), ("b.png", "cat"), ("c.webp", "cat")]
    config = make_dataset(rows, val_size=0, test_size=1)
    for name in ("a.gif", "c.webp"):
        Image.new("RGB", (7, 3), "red").save(tmp_path / "images" / name)
    folder = make_card(config)
    assert_croissant_reads_all(folder)
    (path,) = (folder / "images").glob("*/a.gif")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_no_such_dataset(run, data_dir):
    """One line says what it looked for, and where."""
    code, output, errors = run("image_csv/pets", f"--data_dir={data_dir}")
    assert (code, output) == (1, "")
    assert errors == (
        f"Error: There is no prepared dataset image_csv/pets in {data_dir}, and no such"
        " directory. Give the name as TFDS knows it, such as image_csv/pets, and"
        " data_dir if it isn't the default; or the directory of the dataset."
    )


def test_a_directory_as_the_name(make_dataset, make_builder, run, data_dir):
    """It may be that of the records, or the one above it, as for `compare`."""
    builder = make_builder(make_dataset())
    builder.download_and_prepare()
    folder = pathlib.Path(builder.data_path)
    outputs = [run(one, "--no_images") for one in (folder, folder.parent)]
    outputs.append(run("image_csv/pets", f"--data_dir={data_dir}", "--no_images"))
    assert outputs[0][0] == 0
    assert outputs[0][1].startswith(f"Wrote {folder}")
    assert outputs == [outputs[0]] * 3
    assert run(data_dir)[2] == (
        f"Error: {data_dir}: this isn't a prepared dataset: it has no"
        " dataset_info.json that TFDS can read."
    )


@pytest.mark.parametrize("name", ["", "image_csv/", "a b/c", "../x", "image_csv/p:x"])
def test_names_of_no_dataset(run, data_dir, tmp_path, monkeypatch, name):
    """TFDS's own words about names aren't for users."""
    monkeypatch.chdir(tmp_path)  # where `../x` is no directory
    code, output, errors = run(name, f"--data_dir={data_dir}")
    assert (code, output) == (1, "")
    assert errors.startswith(f"Error: There is no prepared dataset {name} in ")


def test_datasets_that_lack_something(make_dataset, make_builder, run, data_dir):
    """Those of other builders, and of earlier versions of this one."""
    builder = make_builder(make_dataset())
    builder.download_and_prepare()
    folder = pathlib.Path(builder.data_path)
    ends = (
        ": it isn't a dataset of tfds_imagecsv, or it was built by a version that"
        " didn't write that yet. Build it anew."
    )
    (folder / "metadata.json").write_text("{}")
    args = ("image_csv/pets", f"--data_dir={data_dir}")
    what = "what tfds_imagecsv writes into metadata.json"
    assert run(*args) == (1, "", f"Error: {folder} has no {what}{ends}")
    (folder / "split_manifest.csv").unlink()
    assert run(*args) == (1, "", f"Error: {folder} has no split_manifest.csv{ends}")
    assert not (folder / "README.md").exists()


def test_a_folder_that_can_not_be_written(make_dataset, make_builder, run, data_dir):
    """It prints one line, and leaves nothing half-written."""
    builder = make_builder(make_dataset())
    builder.download_and_prepare()
    folder = pathlib.Path(builder.data_path)
    (folder / "README.md").mkdir()
    before = sorted(folder.rglob("*"))
    code, output, errors = run("image_csv/pets", f"--data_dir={data_dir}")
    assert (code, output) == (1, "")
    assert errors.startswith(f"Error: {folder}: the card can't be written there: ")
    assert "\n" not in errors
    assert sorted(folder.rglob("*")) == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["1.0.0"]


def test_names_that_leave_the_folder(
    make_dataset, make_builder, data_dir, monkeypatch, tmp_path
):
    """A dataset from elsewhere can't write wherever it wants."""
    builder = make_builder(make_dataset())
    builder.download_and_prepare()
    dataset = prepared_dataset.open_dataset("image_csv/pets", data_dir)
    for key in ("../out.png", f"{tmp_path}/out.png", "a/../../out.png", "", "a\0"):
        record = prepared_dataset.Record("train", key, b"", 0)
        monkeypatch.setattr(
            prepared_dataset.PreparedDataset,
            "records",
            lambda _, one=record: iter([one]),
        )
        assert cli.main(["card", "image_csv/pets", f"--data_dir={data_dir}"]) == 1
    assert not list(tmp_path.rglob("out.png"))
    assert not (dataset.path / "README.md").exists()


def test_the_command_in_a_process(make_dataset, make_card, data_dir):
    """With the plain name, as from a shell; another seed of hashes changes no byte."""
    folder = make_card(make_dataset())
    paths = [folder / name for name in ("README.md", "croissant.json", "images")]
    expected = [path.read_bytes() for path in paths[:2]]
    for path in paths[:2]:
        path.unlink()
    # This process has another seed, unless somebody has set it.
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    process = subprocess.run(
        [COMMAND, "card", "image_csv/pets"],
        env={**os.environ, "PYTHONHASHSEED": seed, "TFDS_DATA_DIR": str(data_dir)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [f"Wrote {path}" for path in paths]
    assert [path.read_bytes() for path in paths[:2]] == expected
