"""Tables and folders of people: checked, built, and read by TFDS alone."""

import dataclasses
import gzip
import json
import zipfile
from collections.abc import Callable

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tensorflow_datasets as tfds
from etils import epath

import tfds_imagecsv
from tfds_imagecsv import cli

NAMES = [f"{at:02}.png" for at in range(20)]
LABELS = ["cat" if at % 2 else "dog" for at in range(20)]
PLAIN = dict(zip(NAMES, LABELS, strict=True))


@dataclasses.dataclass(frozen=True)
class Layout:
    """A table and images, and the expected outcome.

    Attributes:
      write: writes them into a folder; returns the fields of the config.
      labels: the label of each image, by its path in the image directory.
      said: a conclusion in the output, one of its notes.
      splits: the split of each image, if the table gives it.
    """

    write: Callable
    labels: dict
    said: str
    splits: dict | None = None


def lines(*cells, between=","):
    """Returns the text of a table."""
    return "".join(between.join(map(str, row)) + "\n" for row in cells)


def text(name, *rows, names=NAMES, encoding="utf-8", between=",", **fields):
    """Returns a function that writes a table of texts, and images."""

    def write(folder, write_png):
        for one in names:
            write_png(folder / "images" / one)
        content = lines(*rows, between=between).format(folder=folder)
        (folder / name).write_bytes(content.encode(encoding))
        return {"image_dir": folder / "images", "label_csv": folder / name, **fields}

    return write


def frame(make):
    """Returns a function that makes a table in memory, and images."""

    def write(folder, write_png):
        for one in NAMES:
            write_png(folder / "images" / one)
        return {"image_dir": folder / "images", "label_csv": make()}

    return write


def folders(*names, image_dir="images", **fields):
    """Returns a function that writes only images."""

    def write(folder, write_png):
        for one in names:
            write_png(folder / image_dir / one, seed=len(one))
        return {"image_dir": folder / image_dir, **fields}

    return write


def spreadsheet(folder, write_png):
    """Writes an .xlsx with a title above the header, and numbers as classes."""
    fields = text("none.csv")(folder, write_png)
    book = openpyxl.Workbook()
    book.active.append(["My animals"])
    book.active.append(["file", "legs"])
    for at, name in enumerate(NAMES):
        book.active.append([name, 2 + at % 2])
    book.save(folder / "labels.xlsx")
    return {**fields, "label_csv": folder / "labels.xlsx", "skip_lines": 1}


def compressed(folder, write_png):
    """Writes a .csv.gz."""
    fields = text("labels.csv", ["file", "label"], *PLAIN.items())(folder, write_png)
    path = folder / "labels.csv.gz"
    path.write_bytes(gzip.compress(fields["label_csv"].read_bytes()))
    fields["label_csv"].unlink()
    return {**fields, "label_csv": path}


def two_tables(folder, write_png):
    """Writes train.csv, test.csv, train/ and test/, with the same file names."""
    for split in ("train", "test"):
        for one in NAMES[:10]:
            write_png(folder / split / one, seed=len(split))
        rows = zip(NAMES[:10], LABELS, strict=False)
        (folder / f"{split}.csv").write_text(lines(["file", "label"], *rows))
    paths = ("train", "test")
    return {
        "image_dir": {split: folder / split for split in paths},
        "label_csv": {split: folder / f"{split}.csv" for split in paths},
    }


def pairs(names=NAMES, labels=LABELS):
    """Returns rows of a name and a label."""
    return list(zip(names, labels, strict=True))


BARE = [name.removesuffix(".png") for name in NAMES]
NUMBERED = [(at, *row) for at, row in enumerate(pairs())]
MIXED = [f"{one}{('', '.jpg', '.png')[at % 3]}" for at, one in enumerate(BARE)]
SPREAD = [f"images_{at % 3:03}/images/{name}" for at, name in enumerate(NAMES)]
ONE_HOT = [
    (name, *(float(label == one) for one in ("cat", "dog"))) for name, label in pairs()
]
FINDINGS = [("No Finding",), ("Mass", "Nodule"), ("Mass",), ("Nodule", "Cyst")]
PATIENTS = [
    (name, "|".join(FINDINGS[at % 4]), at // 2) for at, name in enumerate(NAMES)
]
IN_TABLES = {
    f"{split}/{name}": split for split in ("train", "test") for name in NAMES[:10]
}
IN_FOLDERS = {f"{label}/{name}": label for name, label in pairs()}
IN_SPLITS = {
    f"{split}/{label}/{name}": (split, label)
    for split in ("training", "valid")
    for name, label in pairs()
}
MINUS_ONES = [
    (name, "-1" if at % 2 else " 1", "1" if at % 3 else "-1")
    for at, name in enumerate(NAMES)
]

LAYOUTS = {
    "a column that numbers the rows, without a name": Layout(
        text(
            "l.csv",
            ["", "file", "label"],
            *NUMBERED,
        ),
        PLAIN,
        "the column 'file' has the file names",
    ),
    "a header that lacks a name": Layout(
        text("l.csv", ["file", "label"], *NUMBERED),
        PLAIN,
        "the first column has no name",
    ),
    "absolute paths": Layout(
        text(
            "l.csv",
            ["path", "label"],
            *([f"{{folder}}/images/{name}", label] for name, label in pairs()),
        ),
        PLAIN,
        "20 of 20 file names are absolute paths",
    ),
    "absolute paths of another machine": Layout(
        text(
            "l.csv",
            ["path", "label"],
            *([f"/home/ann/pets/{name}", label] for name, label in pairs()),
        ),
        PLAIN,
        "20 of 20 file names are paths of another place, such as"
        " '/home/ann/pets/00.png', which is taken for '00.png'",
    ),
    "mixed and missing extensions": Layout(
        text(
            "l.csv",
            ["file", "label"],
            *pairs(
                [f"{one}{('', '.jpg', '.png')[at % 3]}" for at, one in enumerate(BARE)]
            ),
        ),
        PLAIN,
        "14 of 20 file names have no extension, or another than their files, such as"
        " '00', which is taken for '00.png'",
    ),
    "extensions in capitals": Layout(
        text("l.csv", ["file", "label"], *pairs([f"{one}.PNG" for one in BARE])),
        PLAIN,
        "20 of 20 file names differ in letter case or Unicode form",
    ),
    "backslashes": Layout(
        text(
            "l.csv",
            ["file", "label"],
            *pairs([one.replace("/", "\\") for one in SPREAD]),
            names=SPREAD,
        ),
        dict(pairs(SPREAD)),
        "20 of 20 file names have '\\' between folders",
    ),
    "names spread over subfolders": Layout(
        text("l.csv", ["file", "label"], *pairs(), names=SPREAD),
        dict(pairs(SPREAD)),
        "20 of 20 file names lack the folder of their files, such as '00.png', which is"
        " taken for 'images_000/images/00.png'",
    ),
    "one-hot floats": Layout(
        text("l.csv", ["file", "cat", "dog"], *ONE_HOT, label_column=["cat", "dog"]),
        PLAIN,
        "labels: 'cat, dog'",
    ),
    "findings and patients": Layout(
        text(
            "l.csv",
            ["Image Index", "Finding Labels", "Patient ID"],
            *(
                [name, "|".join(FINDINGS[at % 4]), at // 2]
                for at, name in enumerate(NAMES)
            ),
            label_type="multilabel",
            label_delimiter="|",
            group_column="Patient ID",
        ),
        {name: sorted(FINDINGS[at % 4]) for at, name in enumerate(NAMES)},
        "groups: 'Patient ID'",
    ),
    "folds": Layout(
        text(
            "l.csv",
            ["file", "label", "fold"],
            *([*row, at % 5] for at, row in enumerate(pairs())),
            split_column="fold",
            split_names={0: "test"},
        ),
        PLAIN,
        "split_names doesn't have '1', '2', '3', '4' of the column 'fold', which stay",
        {name: str(at % 5) if at % 5 else "test" for at, name in enumerate(NAMES)},
    ),
    "is_valid": Layout(
        text(
            "l.csv",
            ["file", "label", "is_valid"],
            *([*row, at % 4 == 0] for at, row in enumerate(pairs())),
            split_column="is_valid",
        ),
        PLAIN,
        "the column 'is_valid' says yes and no: yes is 'validation', no 'train'",
        {name: "train" if at % 4 else "validation" for at, name in enumerate(NAMES)},
    ),
    "semicolons in cp1252": Layout(
        text(
            "l.csv",
            ["file", "Maß"],
            *pairs(labels=["Bär" if one == "cat" else one for one in LABELS]),
            between=";",
            encoding="cp1252",
            text_encoding="cp1252",
        ),
        {name: "Bär" if one == "cat" else one for name, one in PLAIN.items()},
        "its cells are separated by semicolon",
    ),
    "UTF-16 of a spreadsheet": Layout(
        text("l.txt", ["file", "label"], *pairs(), between="\t", encoding="utf-16"),
        PLAIN,
        "its cells are separated by tab",
    ),
    "no header": Layout(
        text("l.csv", *pairs()),
        PLAIN,
        "it has no header, since its first row names an image",
    ),
    "a count line, and blanks between cells with -1": Layout(
        text(
            "l.txt",
            [len(NAMES)],
            ["Smiling", "Young"],
            *MINUS_ONES,
            between="  ",
            delimiter=" ",
            skip_lines=1,
            label_type="multilabel",
            label_column=["Smiling", "Young"],
            false_values=["-1"],
        ),
        {
            name: [
                label
                for label, bit in zip(("Smiling", "Young"), bits, strict=True)
                if bit.strip() == "1"
            ]
            for name, *bits in MINUS_ONES
        },
        "the first column has no name",
    ),
    "empty columns at the end": Layout(
        text("l.csv", ["file", "label"], *([*row, "", ""] for row in pairs())),
        PLAIN,
        "20 rows end with empty cells",
    ),
    "swapped columns": Layout(
        text("l.csv", ["label", "file"], *(row[::-1] for row in pairs())),
        PLAIN,
        "the column 'file' has the file names",
    ),
    "tables and folders by split": Layout(
        two_tables,
        {
            f"{split}/{name}": PLAIN[name]
            for split in ("train", "test")
            for name in NAMES[:10]
        },
        "train.csv and ",
        {
            f"{split}/{name}": split
            for split in ("train", "test")
            for name in NAMES[:10]
        },
    ),
    "class folders": Layout(folders(*IN_FOLDERS), IN_FOLDERS, "labels: 'folders'"),
    "class folders in folders of splits": Layout(
        folders(*IN_SPLITS),
        {name: label for name, (_, label) in IN_SPLITS.items()},
        "the folders 'training', 'valid' are the splits",
        {
            name: {"training": "train", "valid": "validation"}[split]
            for name, (split, _) in IN_SPLITS.items()
        },
    ),
    "a DataFrame of pandas": Layout(
        frame(lambda: pd.DataFrame({"file": NAMES, "label": pd.Categorical(LABELS)})),
        PLAIN,
        "",
    ),
    "a DataFrame whose index has the names": Layout(
        frame(lambda: pd.DataFrame({"label": LABELS}, index=pd.Index(NAMES, name="f"))),
        PLAIN,
        "",
    ),
    "a DataFrame of Polars": Layout(
        frame(lambda: pl.DataFrame({"file": NAMES, "label": LABELS})), PLAIN, ""
    ),
    "a table of Arrow": Layout(
        frame(lambda: pa.table({"file": NAMES, "label": LABELS})), PLAIN, ""
    ),
    "a spreadsheet": Layout(
        spreadsheet,
        {name: str(2 + at % 2) for at, name in enumerate(NAMES)},
        "file names: 'file'",
    ),
    "a compressed table": Layout(compressed, PLAIN, "file names: 'file'"),
}


def labels_of(builder):
    """Returns the names of the labels of all examples, and their splits, by file."""
    feature = builder.info.features["label"]
    names = getattr(feature, "feature", feature)
    labels, splits = {}, {}
    for split, dataset in builder.as_dataset().items():
        for example in tfds.as_numpy(dataset):
            key = example["image/filename"].decode()
            label = example["label"]
            many = isinstance(feature, tfds.features.Sequence)
            labels[key] = (
                sorted(map(names.int2str, label)) if many else names.int2str(label)
            )
            splits[key] = split
            assert example["image"].shape == (4, 5, 3)
    return labels, splits


def flags_of(fields):
    """Returns the arguments of the command for some fields."""
    flags = []
    for name, value in fields.items():
        flags.append(f"--{name}")
        if isinstance(value, list):
            flags += map(str, value)
        elif isinstance(value, dict):
            values = {str(key): str(one) for key, one in value.items()}
            flags.append(json.dumps(values))
        else:
            flags.append(str(value))
    return flags


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.filterwarnings("ignore::tfds_imagecsv.ImageCsvWarning")
def test_a_layout(name, tmp_path, write_png, capsys):
    """Labels, splits and counts are right; the output says what was understood."""
    layout = LAYOUTS[name]
    fields = layout.write(tmp_path, write_png)
    config = tfds_imagecsv.ImageCsvConfig(name="animals", **fields)
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")
    builder.download_and_prepare()
    alone = tfds.builder_from_directory(builder.data_path)
    labels, splits = labels_of(alone)
    assert labels == layout.labels
    if layout.splits is not None:
        assert splits == layout.splits
    kept = alone.info.metadata
    said = "\n".join([*kept["notes"], str(dict(kept["understood"]))])
    if not isinstance(fields.get("label_csv"), pd.DataFrame | pl.DataFrame | pa.Table):
        # The same fields on the command line, with the same result.
        assert cli.main(["check", *flags_of(fields)]) == 0
        said = capsys.readouterr().out
        assert layout.said in said
        data_dir = tmp_path / "other"
        flags = [*flags_of(fields), "--name=animals", f"--data_dir={data_dir}"]
        assert cli.main(["build", *flags]) == 0
        shown = capsys.readouterr()
        assert all(note in shown.err for note in kept["notes"])
        there = tfds.builder("image_csv/animals", data_dir=data_dir)
        assert labels_of(there) == (labels, splits)
    # A second build finds the dataset unchanged.
    again = tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")
    again.download_and_prepare()
    again.raise_if_stale()


@pytest.mark.parametrize(
    "name", [name for name, one in LAYOUTS.items() if " file names " in one.said]
)
def test_match_exact_reads_nothing_loosely(name, tmp_path, write_png):
    """Names that aren't exact are problems; nothing is written."""
    fields = LAYOUTS[name].write(tmp_path, write_png)
    config = tfds_imagecsv.ImageCsvConfig(name="animals", match="exact", **fields)
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")
    with pytest.raises(tfds_imagecsv.InvalidRowsError):
        builder.download_and_prepare()
    assert not epath.Path(tmp_path / "data").exists()


def test_a_frame_that_changes_makes_the_dataset_stale(tmp_path, write_png):
    """Its content counts, not its identity, nor the order of its rows."""
    fields = frame(lambda: pd.DataFrame({"file": NAMES, "label": LABELS}))(
        tmp_path, write_png
    )

    def builder_of(table):
        config = tfds_imagecsv.ImageCsvConfig(
            name="animals", image_dir=fields["image_dir"], label_csv=table
        )
        return tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")

    table = fields["label_csv"]
    builder_of(table).download_and_prepare()
    for same in (table.copy(), table.iloc[::-1], pl.from_pandas(table)):
        builder_of(same).raise_if_stale()
    changed = table.copy()
    changed.loc[3, "label"] = "emu"
    with pytest.raises(
        tfds_imagecsv.StaleDatasetError, match=r"'03\.png': label was 'cat', is 'emu'"
    ):
        builder_of(changed).raise_if_stale()


def test_an_image_more_in_folders_makes_the_dataset_stale(tmp_path, write_png):
    """Each load lists the folders."""
    fields = folders(*IN_FOLDERS)(tmp_path, write_png)
    config = tfds_imagecsv.ImageCsvConfig(name="animals", **fields)

    def builder():
        return tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")

    builder().download_and_prepare()
    builder().raise_if_stale()
    (tmp_path / "images" / "notes.txt").touch()
    builder().raise_if_stale()
    write_png(tmp_path / "images" / "emu" / "new.png")
    with pytest.raises(
        tfds_imagecsv.StaleDatasetError, match=r"'emu/new\.png' \('emu'\) is new"
    ):
        builder().raise_if_stale()


def test_rows_of_different_tables_are_told_apart(tmp_path, write_png, capsys):
    """Problems name the table; unlabelled rows need no column."""
    fields = two_tables(tmp_path, write_png)
    with (tmp_path / "test.csv").open("a") as file:
        file.write("gone.png,cat\n00.png,dog\n")
    (tmp_path / "more.csv").write_text("file\n00.png\n")
    write_png(tmp_path / "more" / "00.png")
    fields["image_dir"]["unlabeled"] = tmp_path / "more"
    fields["label_csv"]["unlabeled"] = tmp_path / "more.csv"
    assert cli.main(["check", *flags_of(fields)]) == 1
    out = capsys.readouterr().out
    place = f"of {tmp_path}/test.csv"
    assert f"row 12 {place}: 'test/gone.png'" in out
    assert f"row 13 {place}: 'test/00.png' is in row 2 {place} already" in out
    assert "2 problems" in out


def test_the_parent_of_all_folders_has_the_keys(tmp_path, write_png):
    """Even if one is within another's parent, and only one is named."""
    names = ["a/x.png", "b/c/x.png"]
    for at, one in enumerate(names):
        write_png(tmp_path / one, seed=at)
        (tmp_path / f"{at}.csv").write_text("f,l\nx.png,cat\n")
    config = tfds_imagecsv.ImageCsvConfig(
        name="animals",
        image_dir={"train": tmp_path / "a", "test": tmp_path / "b/c"},
        label_csv={"train": tmp_path / "0.csv", "test": tmp_path / "1.csv"},
    )
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")
    builder.download_and_prepare()
    assert labels_of(builder)[1] == {"a/x.png": "train", "b/c/x.png": "test"}
    assert np.array_equal(
        [one.num_examples for one in builder.info.splits.values()], [1, 1]
    )


def test_control_characters_are_shown_and_not_acted_on(tmp_path, write_png, capsys):
    """In names and labels, by check and build."""
    bad = ["\x1b[31mred", "\u202etxt", "a\x07"]
    rows = []
    for at in range(30):
        name = f"{at}\x1b[2J.png"
        write_png(tmp_path / "images" / name, seed=at // 2 * 2 if at < 2 else at)
        rows.append((name, bad[at % 3] if at > 1 else bad[0]))
    (tmp_path / "images" / "0\x1b[2J.png").write_bytes(
        (tmp_path / "images" / "1\x1b[2J.png").read_bytes()
    )
    write_png(tmp_path / "images" / "more\x1b[1m.png")
    (tmp_path / "labels.csv").write_text(lines(("f\x1b[1m", "l"), *rows))
    args = [str(tmp_path / "images"), str(tmp_path / "labels.csv")]
    assert cli.main(["check", *args]) == 0
    (tmp_path / "bad.csv").write_text(
        lines(("f", "l"), *rows, ("gone\x1b[0m", "x\x07"))
    )
    assert cli.main(["check", args[0], str(tmp_path / "bad.csv")]) == 1
    build = ["build", *args, "--name=x", f"--data_dir={tmp_path / 'data'}"]
    assert cli.main(build) == 0
    shown = capsys.readouterr()
    for character in "\x1b\u202e\x07":
        assert character not in shown.out + shown.err.replace("\x1b[A", "")


def test_tables_by_split_of_one_archive(tmp_path, write_png):
    """The names of all are relative to the folder at its top."""
    fields = two_tables(tmp_path, write_png)
    for split, path in fields["label_csv"].items():
        text_of = path.read_text().replace("\n0", f"\n{split}/0")
        path.write_text(text_of)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for one in tmp_path.glob("*/*.png"):
            archive.write(one, f"all/{one.relative_to(tmp_path)}")
    config = tfds_imagecsv.ImageCsvConfig(
        name="animals",
        image_dir=tmp_path / "all.zip",
        label_csv=fields["label_csv"],
    )
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")
    builder.download_and_prepare()
    assert labels_of(builder)[1] == IN_TABLES


def test_tables_in_memory_by_split(tmp_path, write_png):
    """Together with a file; each has its split, and its content counts."""
    write = text("test.csv", ("f", "l"), *pairs()[10:])
    fields = write(tmp_path, write_png)

    def builder_of(label):
        table = pd.DataFrame({"f": NAMES[:10], "l": [label, *LABELS[1:10]]})
        config = tfds_imagecsv.ImageCsvConfig(
            name="animals",
            image_dir=fields["image_dir"],
            label_csv={"train": table, "test": fields["label_csv"]},
        )
        return tfds_imagecsv.ImageCsv(config=config, data_dir=tmp_path / "data")

    builder = builder_of(LABELS[0])
    builder.download_and_prepare()
    labels, splits = labels_of(builder)
    assert labels == PLAIN
    assert [splits[name] for name in NAMES] == ["train"] * 10 + ["test"] * 10
    builder_of(LABELS[0]).raise_if_stale()
    with pytest.raises(tfds_imagecsv.StaleDatasetError, match=r"'00\.png'"):
        builder_of("cat").raise_if_stale()


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["x/0.PNG", "x/1.png"], "row 2: '0.jpg'; the closest is 'x/0.PNG'"),
        (["x/00.png", "x/11.png"], "row 2: '0.jpg'\n"),
    ],
)
def test_no_image_is_there(names, hint, tmp_path, write_png, capsys):
    """It shows what it looked for, and files that differ in folder or suffix only."""
    write = text("l.csv", ("f", "l"), ("0.jpg", "cat"), ("1.jpg", "dog"), names=names)
    assert cli.main(["check", *flags_of(write(tmp_path, write_png))]) == 1
    out = capsys.readouterr().out
    assert hint in out
    assert f"'f': '0.jpg' as {tmp_path}/images/0.jpg" in out


def test_rows_that_contradict_each_other(tmp_path, write_png, capsys):
    """One file under two loose names, changing delimiters, images at two depths."""
    rows = [*pairs(), ("00.PNG", "cat"), ("images/01", "dog"), ("02.png;cat",)]
    write = text("l.csv", ("f", "l"), *rows[2:])
    assert cli.main(["check", *flags_of(write(tmp_path, write_png))]) == 1
    again = text("l.csv", ("f", "l"), *pairs()[2:], ("00", "cat"), ("00.PNG", "cat"))
    assert cli.main(["check", *flags_of(again(tmp_path, write_png))]) == 1
    assert cli.main(
        ["check", *flags_of(folders("a/b/1.png", "2.png")(tmp_path, write_png))]
    )
    out = capsys.readouterr().out
    assert "row 22: 1 cell under 2 headers: ['02.png;cat']" in out
    assert (
        "row 21: '00.PNG' is the file '00.png', which '00' in row 20 is already" in out
    )
    assert "Image that isn't in the folder of a label (21):\n  '00.png'\n" in out
