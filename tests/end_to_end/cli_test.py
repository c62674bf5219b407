"""The command `tfds-imagecsv`, here and in a process of its own."""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds
from PIL import Image

import tfds_imagecsv
from tfds_imagecsv import flags
from tfds_imagecsv.images import inspection


@pytest.fixture
def check(run):
    """Returns a function that runs `check --json`, and returns what it prints."""

    def check(*args, paths=("images", "labels.csv")):
        code, output, _ = run("check", *paths, "--json", *args)
        found = json.loads(output)
        assert code == (0 if found["ok"] else 1)
        return found

    return check


def run_in_process(*command, cwd):
    """Runs a command as a user's shell does."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_good_dataset(make_dataset, run, tmp_path):
    """It prints all tables; it writes nothing."""
    make_dataset()
    before = sorted(tmp_path.rglob("*"))
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.png")]
    code, output, _ = run("check", "images", "labels.csv")
    assert code == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert [line for line in lines if line and "──" not in line] == [
        "A build would succeed: train 16, validation 2, test 2 images.",
        f"20 rows in {tmp_path}/labels.csv,",
        f"20 of them with an image in {tmp_path}/images that can be used",
        "Read as delimiter: ',', file names: 'filename', labels: 'label'",
        "Images images",
        "PNG 20",
        "stored byte for byte 20",
        "Sizes min median max",
        "height 4 4 4",
        "width 5 5 5",
        f"bytes of the file {min(sizes)} {statistics.median(sizes):.0f} {max(sizes)}",
        "Classes (2) train validation test images",
        "cat 8 1 1 10",
        "dog 8 1 1 10",
        "total 16 2 2 20",
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dataset_with_problems(make_dataset, run, tmp_path):
    """It counts usable rows and reports others; the exit code is 1."""
    make_dataset()
    (tmp_path / "images" / "03.png").unlink()
    (tmp_path / "images" / "05.png").write_bytes(b"<html>")
    code, output, errors = run("check", "images", "labels.csv")
    assert code == 1
    assert "20 rows" in output
    assert "18 of them" in output
    assert output.startswith("A build would fail; the end says why.\n\n20 rows in ")
    assert output.endswith(
        f"""
Error: 2 problems in {tmp_path}/labels.csv with the images in \
{tmp_path}/images:

Image not found (1):
  row 5: '03.png'
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.

Image that can't be read (1):
  row 7: '05.png' isn't an image
  -> Replace or remove the image.
"""
    )
    assert "Traceback" not in errors


def test_rows_that_are_left_out_are_shown(make_dataset, run, tmp_path):
    """With `skip`, a build would succeed; the problems are still shown."""
    make_dataset()
    (tmp_path / "images" / "03.png").unlink()
    flags = ("--on_error=skip", "--max_rejected=0.05")
    code, output, _ = run("check", "images", "labels.csv", *flags)
    assert code == 0
    assert "Left out: 1 problem in" in output
    assert "row 5: '03.png'" in output
    assert output.startswith("A build would succeed: train 15,")


def test_json(make_dataset, check, tmp_path, write_png):
    """It has everything in the tables, and whole lists instead of the first ten."""
    make_dataset()
    for at in range(15):
        write_png(tmp_path / "images" / "more" / f"{at:02}.png")
    (tmp_path / "images" / "19.png").write_bytes(
        (tmp_path / "images" / "17.png").read_bytes()
    )
    Image.new("P", (50, 30)).save(tmp_path / "images" / "00.png", "GIF")
    sizes = [(tmp_path / "images" / f"{at:02}.png").stat().st_size for at in range(20)]
    assert check("--val_size=0.2") == {
        "ok": True,
        "error": None,
        "label_csv": str(tmp_path / "labels.csv"),
        "image_dir": str(tmp_path / "images"),
        "rows": 20,
        "usable_images": 20,
        "problems": [],
        "formats": {"GIF": 1, "PNG": 19},
        "modes": {"P": 1, "RGB": 19},
        "sizes": {
            "height": {"min": 4, "median": 4.0, "max": 30},
            "width": {"min": 5, "median": 5.0, "max": 50},
            "size": {
                "min": min(sizes),
                "median": statistics.median(sizes),
                "max": max(sizes),
            },
        },
        "conversions": {"format GIF": 1, "palette": 1},
        "byte_for_byte": 19,
        "wrong_extensions": 1,
        "other_profiles": 0,
        "classes": {"cat": 10, "dog": 10},
        "boxes": {},
        "mask_counts": {},
        "extra_columns": {},
        "split_sizes": {"train": 14, "validation": 4, "test": 2},
        "splits": {
            "train": {"cat": 7, "dog": 7},
            "validation": {"cat": 2, "dog": 2},
            "test": {"cat": 1, "dog": 1},
        },
        "largest_class_deviation": 0.0,
        "largest_split_deviation": 0.0,
        "duplicates": [["17.png", "19.png"]],
        "near_duplicates": [],
        "quality": {
            "dark": ["00.png"],
            "light": [],
            "low_information": ["00.png"],
            "blurry": [],
            "grayscale": [],
            "odd_aspect_ratio": [],
            "odd_size": ["00.png"],
        },
        "images_without_row": [f"more/{at:02}.png" for at in range(15)],
        "rejected_rows": [],
        "notes": [
            "15 images have no row in the CSV (left out): "
            + ", ".join(f"more/{at:02}.png" for at in range(10))
            + ", and 5 more",
            (
                "2 images are identical to others, in 1 set; they stay together: 17.png"
                " = 19.png"
            ),
        ],
        "understood": {"delimiter": ",", "file names": "filename", "labels": "label"},
    }


def test_images_with_quality_issues_are_left_out(make_dataset, run, check, tmp_path):
    """On request: a note counts them, and the build lists them with their scores."""
    make_dataset([(f"{at:02}.png", "cat") for at in range(20)])
    for at, level in ((3, 70), (7, 9), (8, 40)):
        path = tmp_path / "images" / f"{at:02}.png"
        Image.new("RGB", (5, 4), (level, level, level + 1)).save(path)
    flags = ("images", "labels.csv", "--drop-issues", "dark", "odd_size")
    code, output, _ = run("check", *flags)
    assert code == 0
    note = "3 images are left out for quality issues, see rejected_rows.csv: dark (3)"
    assert f"Note: {note}\n" in output
    found = check("--drop-issues", "odd_size", "dark")
    assert found["quality"]["dark"] == ["07.png", "08.png", "03.png"]
    assert sum(found["split_sizes"].values()) == 17
    data_dir = f"--data-dir={tmp_path / 'data'}"
    code, _, errors = run("build", *flags, "--name=pets", data_dir)
    assert code == 0
    assert f"Note: {note}\n" in errors
    folder = tmp_path / "data" / "image_csv" / "pets" / "1.0.0"
    assert (folder / "rejected_rows.csv").read_text() == (
        "row,key,label,reason\n"
        "5,03.png,cat,quality issue: dark (0.2748)\n"
        "9,07.png,cat,quality issue: dark (0.0357)\n"
        "10,08.png,cat,quality issue: dark (0.1572)\n"
    )
    manifest = (folder / "split_manifest.csv").read_text()
    assert len(manifest.splitlines()) == 18
    assert "03.png" not in manifest


def test_quality_issues_are_counted(make_dataset, run, check, tmp_path):
    """Each has an example; names are shown as text."""
    name = "[red]\N{RIGHT-TO-LEFT OVERRIDE}.png"
    make_dataset([(name, "cat"), *((f"{at:02}.png", "cat") for at in range(20))])
    for path in (name, "03.png"):
        Image.new("L", (5, 4)).save(tmp_path / "images" / path)
    (tmp_path / "images" / "03.png").write_bytes(
        (tmp_path / "images" / "04.png").read_bytes()
    )
    code, output, _ = run("check", "images", "labels.csv")
    assert code == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    start = lines.index("Quality images such as")
    assert lines[start + 2 : start + 6] == [
        "dark 1 [red]\\u202e.png",
        "low information 1 [red]\\u202e.png",
        "blurry 1 [red]\\u202e.png",
        "grayscale 1 [red]\\u202e.png",
    ]
    assert check()["quality"]["dark"] == [name]
    assert check("--verify=header")["quality"] is None
    assert "Quality" not in run("check", "images", "labels.csv", "--verify=header")[1]


def test_json_of_problems(make_dataset, check, tmp_path):
    """Each with its kind, row and image, and the message of a build."""
    make_dataset()
    (tmp_path / "images" / "03.png").unlink()
    found = check()
    assert found["problems"] == [
        {
            "kind": "missing",
            "row": 5,
            "place": "row 5",
            "detail": "'03.png'",
            "key": "03.png",
            "label": "dog",
        }
    ]
    assert found["error"].startswith("1 problem in ")
    assert found["splits"] is None
    assert found["classes"] == {"cat": 10, "dog": 9}
    found = check("--on_error=skip", "--max_rejected=1")
    assert found["rejected_rows"] == [
        {
            "row": 5,
            "key": "03.png",
            "label": "dog",
            "reason": "Image not found: '03.png'",
        }
    ]


def test_json_of_a_source_that_is_not_there(run, tmp_path):
    """It is still JSON."""
    code, output, _ = run("check", "images", "labels.csv", "--json")
    assert code == 1
    assert json.loads(output) == {
        "ok": False,
        "error": f"image_dir {tmp_path}/images: no such file or directory.\n"
        f"label_csv {tmp_path}/labels.csv: no such file or directory.",
    }


def test_no_image_can_be_used(make_dataset, run, tmp_path):
    """There are no tables."""
    make_dataset([("a.png", "cat")])
    (tmp_path / "images" / "a.png").write_bytes(b"")
    code, output, _ = run("check", "images", "labels.csv")
    assert code == 1
    assert "0 of them" in output
    assert "Classes" not in output


def test_many_classes(make_dataset, run):
    """It shows the largest, the smallest, and the distribution of the others."""
    sizes = {f"class {at:02}": 3 + at for at in range(41)}
    names = [name for name, size in sizes.items() for _ in range(size)]
    make_dataset([(f"{at}.png", name) for at, name in enumerate(names)])
    code, output, _ = run("check", "images", "labels.csv", "--test_size=0")
    assert code == 0
    lines = [" ".join(line.split()) for line in output.splitlines()]
    start = lines.index("Classes (41) train validation images")
    shown = [line.rsplit(" ", 3) for line in lines[start + 1 :] if line.count(" ") > 3]
    assert [(name, int(images)) for name, _, _, images in shown] == [
        *((f"class {at}", 3 + at) for at in range(40, 35, -1)),
        *((f"class 0{at}", 3 + at) for at in range(4, -1, -1)),
        ("lower quartile", 13),
        ("upper quartile", 33),
    ]
    assert "... 31 more ..." in lines
    for name, images in (("least", 3), ("median", 23), ("most", 43), ("total", 943)):
        (line,) = [one for one in lines[start + 1 :] if one.startswith(f"{name} ")]
        train, validation, total = map(int, line.split()[1:])
        assert total == images
        assert name != "total" or train + validation == total


def test_eighty_columns_are_enough(make_dataset, run):
    """Even for long names, and for more splits than fit side by side."""
    make_dataset(
        [(f"{at:02}.png", "very " * 20 + f"long {at % 2}") for at in range(40)]
    )
    for more in ([], ["--folds=12"]):
        code, output, _ = run("check", "images", "labels.csv", *more)
        assert code == 0
        tables = output[output.index("Images") :]
        assert max(map(len, tables.splitlines())) <= 80
        assert "\u2026" not in tables
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "fold11 3 2" in lines
    assert "total 40 2" in lines


@pytest.mark.parametrize("command", ["check", "build"])
def test_each_field_of_the_config_is_a_flag(run, capsys, command):
    """It has a line below its topic: all fit on two screens."""
    with pytest.raises(SystemExit):
        run(command, "--help")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 80
    for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig):
        flag = f"--{field.name.replace('_', '-')} "
        assert len([line for line in lines if line.strip().startswith(flag)]) == 1
    assert "  --test-size SIZE                  likewise [0.1]" in lines


def test_a_flag_that_is_not_there(run, capsys):
    """The message suggests the closest one, in either spelling."""
    with pytest.raises(SystemExit) as caught:
        run("build", "images", "labels.csv", "--nme=pets", "--labl_column", "x")
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(
        "tfds-imagecsv build: error: unrecognized arguments: --nme=pets (did you mean"
        " --name?) --labl_column (did you mean --label-column?) x\n"
    )


def test_defaults_in_the_help():
    """They are those of the config."""
    fields = {
        field.name: field for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig)
    }
    for topic in flags.TOPICS.values():
        for name, flag in topic.items():
            default, said = fields[name].default, flag.help.partition("[")[2][:-1]
            if said and isinstance(default, str | int | float):
                assert said == (
                    str(default).lower() if default is True else str(default)
                )


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--val_size=0.2"], "val_size", 0.2),
        (["--val-size", "2"], "val_size", 2),
        (["--classes", "dog", "cat"], "classes", ("dog", "cat")),
        (["--resize", "7", "9"], "resize", (7, 9)),
        (["--image-shape", "4", "5", "3"], "image_shape", (4, 5, 3)),
        (["--apply_exif=false"], "apply_exif", False),
        (["--apply_exif"], "apply_exif", True),
        (["--background", "#ff0000"], "background", "#ff0000"),
        (["--name=2024"], "name", "2024"),
        (["--version", "1.2.3"], "version", "1.2.3"),
        (["--quality=80"], "quality", 80),
        (["--description", "My pets."], "description", "My pets."),
    ],
)
def test_values_of_flags(make_dataset, run, monkeypatch, flags, field, value):
    """They are the values that Python would give the config."""
    make_dataset()
    configs = []
    inspect = inspection.inspect

    def keep(config, *args, **kwargs):
        configs.append(config)
        return inspect(config, *args, **kwargs)

    monkeypatch.setattr(inspection, "inspect", keep)
    assert run("check", "images", "labels.csv", *flags)[0] == 0
    found = getattr(configs[0], field)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["images", "labels.csv", "--val_size=much"],
            (
                "val_size must be a float from 0 to 1 or a text such as '20%' (a"
                " fraction), or an int of 0 or more (a count of images), got 'much'"
            ),
        ),
        (
            ["images", "labels.csv", "--resize", "5"],
            "resize must be a list of height, width, ints of 1 or more, got [5]",
        ),
        ([], "image_dir: must be given"),
        (
            ["a", "labels.csv", "--image_dir=b"],
            "image_dir is given twice: 'a' and 'b'",
        ),
    ],
)
def test_mistakes_in_flags(run, args, message):
    """Messages name them without a stack trace."""
    code, output, _ = run("check", *args)
    assert code == 1
    assert output == f"A build would fail. {message}\n"


def test_paths_are_relative_to_the_folder(make_dataset, check, tmp_path, monkeypatch):
    """Even those of flags, and those that begin with `~`."""
    make_dataset()
    monkeypatch.setenv("HOME", str(tmp_path))
    flags = ("--image_dir=images", "--label_csv=~/labels.csv")
    found = check(*flags, paths=())
    assert found["image_dir"] == str(tmp_path / "images")
    assert found["label_csv"] == str(tmp_path / "labels.csv")


def test_build(make_dataset, run, tmp_path):
    """`tfds.load` finds the dataset."""
    make_dataset()
    args = ("images", "labels.csv", "--name=pets", "--data_dir=data")
    code, output, _ = run("build", *args, "--num_shards=2", "--test_size=0")
    assert code == 0
    assert output.endswith(
        "Read as delimiter: ',', file names: 'filename', labels: 'label'\n"
        "Built in data/image_csv/pets/1.0.0:\n"
        "  train: 18 examples, 2 shards\n"
        "  validation: 2 examples, 2 shards\n"
        "Report: data/image_csv/pets/1.0.0/report.html\n"
        'Load it: tfds.load("image_csv/pets", data_dir="data")\n'
    )
    builder = tfds.builder("image_csv/pets", data_dir=tmp_path / "data")
    assert builder.info.splits["train"].num_examples == 18
    again = run("build", *args, "--test_size=0")
    assert again[:2] == (
        0,
        "data/image_csv/pets/1.0.0 is there already; --overwrite builds it anew.\n",
    )


def test_a_dataset_that_can_be_nowhere(make_dataset, run, tmp_path):
    """A file in the place of the data directory, and a format that TFDS hasn't."""
    make_dataset()
    before = sorted(tmp_path.rglob("*"))
    args = ("build", "images", "labels.csv", "--name=pets")
    code, _, errors = run(*args, "--data-dir=labels.csv")
    assert code == 1
    assert errors == (
        "Error: data_dir labels.csv can't be written: Not a directory. Choose another"
        " data_dir.\n"
    )
    code, _, errors = run(*args, "--data-dir=data", "--file-format=tfrecords")
    assert code == 1
    assert errors == (
        "Error: file_format must be one of tfrecord, riegeli, array_record, parquet,"
        " got 'tfrecords'\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_process_prints(make_dataset, tmp_path, write_png):
    """It prints notes and the outcome, but no start-up messages of libraries."""
    make_dataset()
    write_png(tmp_path / "images" / "unlisted.png")
    env = {name: os.environ[name] for name in os.environ if name[:3] != "TF_"}
    command = pathlib.Path(sys.executable).with_name("tfds-imagecsv")

    def run(*args):
        process = subprocess.run(
            [command, *args, "--data_dir=data"],
            cwd=tmp_path,
            env=env,
            check=True,
            capture_output=True,
            text=True,
        )
        lines = process.stderr.splitlines()
        bars = ("Inspecting images:", "Writing images:", "Reading ")
        said = [one.strip() for one in lines if not one.strip().startswith(bars)]
        return process.stdout, [one for one in said if one]

    output, said = run("build", "images", "labels.csv", "--name=pets")
    assert said == ["Note: 1 image has no row in the CSV (left out): unlisted.png"]
    assert "cat           8            1      1      10\n" in output
    assert output.endswith('Load it: tfds.load("image_csv/pets", data_dir="data")\n')
    assert run("card", "image_csv/pets")[1] == []


def test_a_process_whose_output_nobody_reads(make_dataset, tmp_path):
    """It ends as it would without `| head`."""
    make_dataset()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tfds_imagecsv",
            "check",
            "images",
            "labels.csv",
            "--json",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    with process.stderr as stderr:
        errors = stderr.read()
    assert "BrokenPipe" not in errors
    assert process.wait() == 0


def test_build_with_other_texts(make_dataset, run, tmp_path):
    """New texts are written beside the records; the report is that of the build."""
    make_dataset()
    args = ("images", "labels.csv", "--name=pets", "--data_dir=data")
    run("build", *args, "--license=MIT")
    there = "data/image_csv/pets/1.0.0 is there already; --overwrite builds it anew."
    assert run("build", *args, "--license=MIT")[:2] == (0, f"{there}\n")
    (tmp_path / "images" / "00.png").touch()
    words = ("--license=CC0-1.0", "--citation=@misc{pets}")
    code, output, _ = run("build", *args, *words)
    assert (code, output) == (0, f"{there} Its description is up to date now.\n")
    folder = tmp_path / "data" / "image_csv" / "pets" / "1.0.0"
    assert (folder / "LICENSE").read_text() == "CC0-1.0"
    info = tfds.builder_from_directory(folder).info
    assert info.citation == "@misc{pets}"
    assert "&#34;MIT&#34;" in (folder / "report.html").read_text(encoding="utf-8")
    assert run("build", *args, *words)[1] == f"{there}\n"


CHANGED = """\
{path}: the config or the sources of this dataset have changed since it was built:
  val_size: was 0.1, is 0.2
  label_csv {root}/labels.csv: of the rows, 1 has changed:
    row 2: '00.png': label was 'cat', is 'dog'
Give the config another version, such as version="1.0.1", to keep both datasets. Or \
build it anew with --overwrite (in Python: \
DownloadConfig(download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS))."""


def test_a_dataset_that_is_stale(make_dataset, run, tmp_path):
    """`build` and `check` say what has changed, and `--overwrite` builds it anew."""
    make_dataset()
    args = ("images", "labels.csv", "--name=pets", "--data_dir=data")
    assert run("build", *args)[0] == 0
    for more in ((), ("--version=1.0.1", "--val_size=0.2")):
        code, output, _ = run("check", *args, *more)
        assert code == 0
        assert output.startswith("A build would succeed: ")
    text = (tmp_path / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(text.replace("00.png,cat", "00.png,dog"))
    args = (*args, "--val_size=0.2")
    path = "data/image_csv/pets/1.0.0"
    changed = CHANGED.format(path=path, root=tmp_path)
    assert run("build", *args) == (1, "", f"Error: {changed}\n")
    code, output, _ = run("check", *args)
    assert code == 1
    assert "20 rows in" in output
    assert output.endswith(f"\nError: {changed}\n")
    code, output, _ = run("check", *args, "--json")
    found = json.loads(output)
    assert (code, found["ok"], found["error"]) == (1, False, changed)
    assert found["rows"] == 20
    (tmp_path / "images" / "03.png").unlink()
    code, output, _ = run("check", *args, "--json")
    error = json.loads(output)["error"]
    assert error.startswith("1 problem in ")
    assert error.endswith(
        f"\n\n{CHANGED}".format(path=path, root=tmp_path).replace(
            "is 'dog'\n",
            "is 'dog'\n"
            f"  image_dir {tmp_path}/images: of the images, 1 is missing:\n"
            "    '03.png' is missing\n",
        )
    )
    code, output, _ = run("check", *args[:2], "--val_size=0.2", "--data_dir=data")
    assert "since it was built" not in output
    args = (*args, "--on_error=skip", "--max_rejected=1", "--overwrite")
    assert run("build", *args)[0] == 0
    assert run("check", *args[:-1])[0] == 0


def test_overwrite_keeps_what_is_there_if_it_must(make_dataset, run, tmp_path):
    """Unlike `tfds build --overwrite`, which deletes it first."""
    make_dataset()
    args = ("images", "labels.csv", "--name=pets", "--data_dir=data", "--overwrite")
    assert run("build", *args)[0] == 0
    (tmp_path / "images" / "03.png").unlink()
    code, output, errors = run("build", *args)
    assert code == 1
    assert "Image not found (1):\n  row 5: '03.png'" in errors
    assert "Traceback" not in errors + output
    builder = tfds.builder("image_csv/pets", data_dir=tmp_path / "data")
    assert builder.info.splits.total_num_examples == 20
    code, _, errors = run("build", *args, "--on_error=skip", "--max_rejected=0.5")
    assert code == 0
    assert "Note: 1 of 20 rows are left out" in errors
    builder = tfds.builder("image_csv/pets", data_dir=tmp_path / "data")
    assert builder.info.splits.total_num_examples == 19


def test_a_build_needs_a_name(make_dataset, run):
    """Otherwise, nobody could load it."""
    make_dataset()
    code, _, errors = run("build", "images", "labels.csv")
    assert code == 1
    assert errors == "Error: name: must be given\n"


@pytest.mark.parametrize(
    "command",
    [
        [pathlib.Path(sys.executable).with_name("tfds-imagecsv")],
        [sys.executable, "-m", "tfds_imagecsv"],
    ],
    ids=["tfds-imagecsv", "python -m"],
)
def test_the_command_in_a_process_of_its_own(make_dataset, tmp_path, command):
    """A good dataset, a bad one, and no arguments at all."""
    make_dataset()
    done = run_in_process(*command, "check", "images", "labels.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A build would succeed: ")
    (tmp_path / "images" / "03.png").write_bytes(b"")
    done = run_in_process(*command, "check", "images", "labels.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "row 5: '03.png' isn't an image" in done.stdout
    assert "Traceback" not in done.stderr
    done = run_in_process(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


def test_the_report_of_a_check(make_dataset, run, tmp_path):
    """It writes a page, and says where; the other output doesn't change."""
    make_dataset()
    plain = run("check", "images", "labels.csv")
    code, output, errors = run("check", "images", "labels.csv", "--report=page.html")
    assert (code, output) == plain[:2]
    assert errors.endswith(f"Report: {tmp_path}/page.html\n")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "A build would succeed" in text
    code, output, _ = run("check", "images", "labels.csv", "--json", "--report=b.html")
    assert json.loads(output)["ok"]
    assert (tmp_path / "b.html").read_text("utf-8") == text


def test_the_report_of_a_check_that_fails(make_dataset, run, tmp_path):
    """It has the problems, and replaces an older one."""
    make_dataset()
    (tmp_path / "images" / "03.png").unlink()
    (tmp_path / "page.html").write_text("old")
    code, _, _ = run("check", "images", "labels.csv", "--report", "page.html")
    assert code == 1
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "A build would fail" in text
    assert "Image not found (1)" in text


def test_a_report_that_can_not_be_written(make_dataset, run, tmp_path):
    """The exit code differs from that of a failing build; nothing is left."""
    make_dataset()
    for path, reason in (
        ("none/page.html", "No such file or directory"),
        ("images", "Is a directory"),
        ("labels.csv/page.html", "Not a directory"),
    ):
        before = sorted(tmp_path.rglob("*"))
        code, output, errors = run("check", "images", "labels.csv", "--report", path)
        assert code == 2
        assert "A build would succeed" in output
        assert errors.endswith(f"Error: report {path}: it can't be written: {reason}\n")
        assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "labels.csv").unlink()
    code, _, errors = run("check", "images", "labels.csv", "--report=page.html")
    assert code == 1
    assert errors.endswith("Error: report page.html: there is nothing to show\n")
    assert not (tmp_path / "page.html").exists()


def test_a_build_without_a_report(make_dataset, run, tmp_path):
    """The field is a flag of `build`, like all fields."""
    make_dataset()
    build = ("build", "images", "labels.csv", f"--data_dir={tmp_path}/data")
    for name, more in (("plain", ["--report=false"]), ("paged", [])):
        code, _, _ = run(*build, f"--name={name}", *more)
        assert code == 0
        page = tmp_path / "data" / "image_csv" / name / "1.0.0" / "report.html"
        assert page.exists() == (name == "paged")
    assert f"image_csv/{name}" in page.read_text("utf-8")
