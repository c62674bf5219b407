"""`tfds-imagecsv compare`: what has changed between two versions of a dataset."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from PIL import Image

ROWS = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(40)]


@pytest.fixture
def build(make_dataset, make_builder, tmp_path):
    """Returns a function that builds rows into a data directory, and returns it."""

    def build(rows=ROWS, *, data_dir="old", **fields):
        builder = make_builder(
            make_dataset(rows, **fields), data_dir=tmp_path / data_dir
        )
        builder.download_and_prepare()
        return pathlib.Path(builder.data_path)

    return build


@pytest.fixture
def compare(run):
    """Returns a function that compares two versions, and returns the JSON."""

    def compare(*args):
        code, output, errors = run("compare", *args, "--json")
        assert code == 0, errors
        return json.loads(output)

    return compare


def test_nothing_has_changed(build, run):
    """It says so, and still shows the counts."""
    old, new = build(), build(data_dir="new")
    code, output, _ = run("compare", old, new)
    assert code == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert [line for line in lines if line and "──" not in line] == [
        f"Old: {old}",
        f"New: {new}",
        "The same examples, in the same splits, with the same labels.",
        "Splits old new change",
        "train 32 32",
        "validation 4 4",
        "test 4 4",
        "total 40 40",
    ]


def test_rows_that_have_changed(build, run, compare):
    """It shows new, gone and relabelled ones, and the classes that have drifted."""
    old = build()
    kept = [(name, label) for name, label in ROWS[1:] if name != "02.png"]
    rows = [*kept, *((f"new {at}.png", "dog") for at in range(9))]
    rows[0] = ("01.png", "cat")
    new = build(rows, data_dir="new", pinned_splits=old / "split_manifest.csv")
    found = compare(old, new)
    splits = {row.split(",")[0]: row.split(",")[1] for row in manifest_of(old)}
    assert found["kept"] == 38
    assert [one["key"] for one in found["added"]] == [
        f"new {at}.png" for at in range(9)
    ]
    assert {one["label"] for one in found["added"]} == {"dog"}
    assert found["gone"] == [
        {"key": name, "split": splits[name], "label": "cat"}
        for name in ("00.png", "02.png")
    ]
    assert found["moved"] == []
    assert found["relabelled"] == [{"key": "01.png", "old": "dog", "new": "cat"}]
    assert found["replaced"] == []
    assert found["old"] == {
        "name": str(old),
        "splits": {"train": 32, "validation": 4, "test": 4},
    }
    assert sum(found["classes"]["dog"]["count"]["new"].values()) == 28
    assert found["drifted"] == ["dog"]
    assert found["classes"]["cat"]["side"] == {"old": 4.4721, "new": 4.4721}
    _, output, _ = run("compare", old, new)
    assert "New (9):\n  'new 0.png', 'new 1.png'" in output
    assert "Gone (2):\n  '00.png', '02.png'" in output
    assert "Relabelled (1):\n  dog -> cat (1): '01.png'" in output
    assert "Drifted classes" in output
    assert max(map(len, output.partition("Splits")[2].splitlines())) <= 80


def manifest_of(data_path):
    """Returns the lines of a manifest, without its header."""
    return (data_path / "split_manifest.csv").read_text().splitlines()[1:]


def test_other_splits(build, compare):
    """Another seed moves images, but changes nothing else."""
    old, new = build(), build(data_dir="new", seed=1)
    found = compare(old, new)
    before, after = (
        {line.split(",")[0]: line.split(",")[1] for line in manifest_of(one)}
        for one in (old, new)
    )
    assert found["moved"] == [
        {"key": key, "old": before[key], "new": after[key]}
        for key in before
        if before[key] != after[key]
    ]
    assert found["moved"]
    assert found["drifted"] == []
    assert (found["added"], found["gone"], found["relabelled"]) == ([], [], [])


def test_classes_drift_in_size_and_brightness(build, compare, tmp_path):
    """The medians of their images count."""
    old = build()
    config = {"label_csv": tmp_path / "labels.csv", "image_dir": tmp_path / "images"}
    for name, label in ROWS:
        with Image.open(tmp_path / "images" / name) as image:
            changed = image.convert("RGB")
        if label == "dog":
            changed = changed.resize((8, 8)).point(lambda level: level // 2)
        changed.save(tmp_path / "images" / name)
    flags = [f"--{field}={path}" for field, path in config.items()]
    found = compare(old, *flags)
    assert found["drifted"] == ["dog"]
    about = found["classes"]["dog"]
    assert about["side"] == {"old": pytest.approx(20**0.5, abs=1e-4), "new": 8}
    assert about["brightness"]["new"] < about["brightness"]["old"] - 0.1
    assert set(found["replaced"]) >= {name for name, label in ROWS if label == "dog"}


def test_names_of_datasets_and_versions(build, compare, tmp_path):
    """It takes the latest version, unless one is named."""
    build(ROWS[:20], version="1.0.0")
    build(ROWS[:30], version="1.10.0")
    build(ROWS, version="1.9.0")
    flag = f"--data_dir={tmp_path / 'old'}"
    found = compare("image_csv/pets:1.0.0", "image_csv/pets", flag)
    assert sum(found["new"]["splits"].values()) == 30
    assert len(found["added"]) == 10
    found = compare(
        "image_csv/pets:1.9.0", tmp_path / "old" / "image_csv" / "pets", flag
    )
    assert len(found["gone"]) == 10


def test_a_dataset_and_a_config_that_is_not_built(build, compare, tmp_path, run):
    """It is planned as by a build; nothing is written."""
    old = build()
    build([*ROWS, ("more.png", "dog")], data_dir="new", verify="header")
    expected = compare(old, tmp_path / "new" / "image_csv" / "pets")
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "pets.toml").write_text(
        '[pets]\nimage_dir = "images"\nlabel_csv = "labels.csv"\n'
    )
    before = sorted(tmp_path.rglob("*"))
    by_flags = compare(old, "--image_dir=images", "--label_csv=labels.csv")
    by_toml = compare(old, "pets.toml")
    assert sorted(tmp_path.rglob("*")) == before
    for found in (by_flags, by_toml):
        for field in ("added", "gone", "moved", "relabelled", "replaced", "kept"):
            assert found[field] == expected[field]
    assert [one["key"] for one in by_flags["added"]] == ["more.png"]
    assert by_toml["new"]["name"] == "pets.toml"
    assert by_flags["classes"] == by_toml["classes"]
    assert expected["classes"]["dog"]["brightness"]["new"] is None
    assert compare("pets.toml:pets", old)["gone"][0]["key"] == "more.png"


def test_what_was_built_before_there_were_scores(build, compare):
    """It compares counts; without metadata, they come from the manifest."""
    old, new = build(), build(data_dir="new")
    (old / "image_quality.csv").unlink()
    (old / "metadata.json").unlink()
    found = compare(old, new)
    assert found["drifted"] == []
    assert found["classes"]["cat"]["side"]["old"] is None
    assert found["classes"]["cat"]["count"]["old"] == {
        "test": 2,
        "train": 16,
        "validation": 2,
    }


@pytest.mark.parametrize("label_type", ["none", "regression", "multilabel"])
def test_labels_that_are_no_classes(build, compare, label_type):
    """Counts are those of the metadata, medians those of all images."""
    cells = {"none": "", "regression": "{at}.5", "multilabel": "a|b"}
    rows = [(f"{at:02}.png", cells[label_type].format(at=at)) for at in range(20)]
    fields = {"label_type": label_type}
    if label_type == "multilabel":
        fields["label_delimiter"] = "|"
    old, new = (build(rows, data_dir=one, **fields) for one in ("old", "new"))
    found = compare(old, new)
    about = found["classes"]["all images"]
    assert about["count"]["old"] == {"train": 16, "validation": 2, "test": 2}
    assert about["side"]["old"] is not None
    if label_type == "multilabel":
        assert found["classes"]["b"]["count"]["new"]["train"] == 16
    assert found["drifted"] == []


def test_odd_names_are_shown_as_text(build, run):
    """They don't control the terminal."""
    name = 'a, [red]\N{RIGHT-TO-LEFT OVERRIDE}"b".png'
    old = build(ROWS)
    new = build([*ROWS, (name, "[b]\x1b"), ("z.png", "[b]\x1b")], data_dir="new")
    code, output, _ = run("compare", old, new)
    assert code == 0
    assert r"""'a, [red]\u202e"b".png'""" in output
    assert r"[b]\x1b" in output
    assert "\x1b" not in output
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "old"], "There is no prepared dataset nowhere in "),
        (["old", "images"], "images: there is no split_manifest.csv in "),
        (["old"], "NEW must be given, or the flags of its config."),
        (["old", "old", "--seed=1"], "NEW is given twice: 'old', and as flags: seed"),
        (["old", "nowhere.toml"], "nowhere.toml: can't be read: "),
        (
            ["old", "two.toml"],
            "there are 2 datasets: a, b. Name one after a colon: two",
        ),
        (["old", "two.toml:c"], "there is no table [c]. It has: a, b"),
        (["old", "two.toml:a"], "image_dir"),
        (["old", "--image_dir=nowhere"], "nowhere: no such file or directory"),
        (["broken", "old"], "this can't be read as what a build writes: "),
    ],
)
def test_mistakes_are_named_without_a_stack_trace(build, run, tmp_path, args, message):
    """Each message says which argument is wrong."""
    shutil.move(build(), tmp_path / "old.moved")
    shutil.rmtree(tmp_path / "old")
    shutil.move(tmp_path / "old.moved", tmp_path / "old")
    (tmp_path / "two.toml").write_text("[a]\nimage_dir = 'x'\n[b]\nimage_dir = 'y'\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "split_manifest.csv").write_text("key,split\na,b\n")
    code, output, errors = run("compare", *args)
    assert code == 1
    assert output == ""
    assert errors.startswith("Error: ")
    assert message in errors
    assert "Traceback" not in errors


def test_the_command_of_a_shell(build, tmp_path):
    """It reads no records: they may be gone."""
    old, new = build(), build(ROWS[:-1], data_dir="new")
    for path in (*old.glob("*.tfrecord*"), *new.glob("*.tfrecord*")):
        path.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "tfds_imagecsv", "compare", old, new, "--json"],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONFAULTHANDLER": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [one["key"] for one in json.loads(done.stdout)["gone"]] == ["39.png"]
