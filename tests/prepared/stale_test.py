"""Datasets that are stale, and those that aren't."""

import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import stat
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds
import walk
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

import tfds_imagecsv
from tfds_imagecsv import arrays
from tfds_imagecsv.dataset import metadata
from tfds_imagecsv.prepared import sources_json, stale
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import manifest

ROWS = (
    *(("a.png", "cat", "g", ""), ("b.png", "dog", "g", ""), ("c.png", "cat", "", "")),
    *(("d.png", "dog", "", "test"), ("e.png", "dog", "", ""), ("f.png", "cat", "", "")),
)
HEADER = ("filename", "label", "group", "split")
FIELDS = {
    "group_column": "group",
    "split_column": "split",
    "val_size": 0,
    "test_size": 0,
}
BEGINNING = (
    "{}/data/1.0.0: the config or the sources of this dataset have changed since it was"
    " built:\n"
)
REMEDY = (
    "build it anew with --overwrite (in Python:"
    " DownloadConfig(download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS))."
)
END = (
    '\nGive the config another version, such as version="1.0.1", to keep both datasets.'
    " Or " + REMEDY
)


class Dataset:
    """What a build notes about a dataset in `root`, without its records.

    Images are in `root/images`, the CSV is `root/labels.csv`, and the notes are in
    `root/data/1.0.0`.
    """

    def __init__(self, root, write_png, write_csv):
        self.root, self.images = root, root / "images"
        self.data_path = root / "data" / "1.0.0"
        self.sources = self.data_path / "sources.json"
        self._write_png, self._write_csv = write_png, write_csv
        self.config = self.plan = None
        self._time = 0

    def write_image(self, key, **kwargs):
        """Writes an image with another time."""
        path = self.images / key
        self._write_png(path, **kwargs)
        self.touch(path)

    def touch(self, path):
        """Gives a file a time that no other has."""
        self._time += 1
        os.utime(path, (self._time, self._time))

    def write_rows(self, rows, header=HEADER):
        """Writes the CSV."""
        self._write_csv(self.root / "labels.csv", rows, header=header)

    def make(self, rows=ROWS, lost=(), **fields):
        """Writes the sources, and returns the dataset built from them."""
        self.images.mkdir()
        for key, *_ in rows:
            if key not in lost:
                self.write_image(key)
        self.write_rows(rows)
        self.config = self.config_with(**fields)
        return self.build()

    def build(self):
        """Notes what the sources are."""
        paths = stale._paths(self.config, epath.Path("none"))
        digests = stale.digests_of(paths)
        found = walk.inspect(self.config)
        self.plan = walk.plan(self.config, found)
        self.data_path.mkdir(parents=True)
        sources_json.write_sources(epath.Path(self.sources), found, digests)
        # As JSON, as TFDS keeps it.
        self.kept = json.loads(json.dumps(metadata.config_fields(self.config)))
        return self

    def config_with(self, **fields):
        """Returns a config with other fields."""
        values = {
            "name": "pets",
            "image_dir": self.images,
            "label_csv": self.root / "labels.csv",
            **FIELDS,
        }
        return tfds_imagecsv.ImageCsvConfig(**{**values, **fields})

    def raise_if_stale(self, config=None):
        """Compares it with its sources."""
        stale.raise_if_stale(
            config or self.config,
            self.kept,
            understood={},
            data_path=epath.Path(self.data_path),
            manual_dir=epath.Path(self.root / "manual"),
        )

    def changes(self, config=None):
        """Returns the lines that say what has changed; checks the others."""
        with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
            self.raise_if_stale(config)
        message = str(caught.value)
        beginning = BEGINNING.format(self.root)
        assert message.startswith(beginning)
        assert message.endswith(END)
        return (
            message.removeprefix(beginning)
            .removesuffix(END)
            .replace(str(self.root), "ROOT")
        )


@pytest.fixture
def dataset(tmp_path, write_png, write_csv):
    """A dataset that isn't made yet."""
    return Dataset(tmp_path, write_png, write_csv)


# What is kept


def test_what_is_kept_of_the_rows(dataset):
    """A list a line; rows with a problem come last."""
    rows = [("b.png", "dog", "", ""), ("a.png", "cat", "g", ""), ("c.png", "", "", "x")]
    rows += [("lost.png", "cat", "", ""), ("bad.png", "dog", "", "")]
    dataset.images.mkdir()
    (dataset.images / "bad.png").write_bytes(b"<html>")
    os.utime(dataset.images / "bad.png", ns=(0, 123_456_789))
    for at, key in enumerate(("a.png", "b.png")):
        dataset.write_image(key)
        os.utime(dataset.images / key, ns=(0, 10**18 + at))
    dataset.write_rows(rows)
    dataset.config = dataset.config_with(on_error="skip", max_rejected=1)
    dataset.build()
    sizes = [(dataset.images / key).stat().st_size for key in ("a.png", "b.png")]
    digests = [
        files.digest_of((dataset.images / key).read_bytes()).hex()
        for key in ("a.png", "b.png", "bad.png")
    ]
    of_csv = files.digest_of((dataset.root / "labels.csv").read_bytes()).hex()
    assert dataset.sources.read_text() == (
        "{\n"
        f'"digests": {{"label_csv": "{of_csv}"}},\n'
        '"archive": [],\n'
        '"further": {"key": [], "size": [], "modified": [], "digest": []},\n'
        '"masks": {"key": [], "size": [], "modified": [], "digest": []},\n'
        '"key": ["a.png", "b.png", "bad.png", "lost.png"],\n'
        f'"size": [{sizes[0]}, {sizes[1]}, 6, -1],\n'
        '"modified": [1000000000000000000, 1000000000000000001, 123456789, -1],\n'
        f'"digest": ["{digests[0]}", "{digests[1]}", "{digests[2]}", ""],\n'
        '"table": {"label": ["cat", "dog", "dog", "cat"],'
        ' "group": ["g", "", "", ""]},\n'
        '"problems": [{"key": "c.png", "label": "", "group": "", "given": "x",'
        ' "problem": "no_label"}]\n'
        "}\n"
    )
    assert list(json.loads(dataset.sources.read_text())) == [
        *("digests", "archive", "further", "masks", "key", "size", "modified"),
        *("digest", "table", "problems"),
    ]


def test_what_is_kept_of_the_config(dataset, tmp_path):
    """The fields that change the result, and no paths."""
    dataset.make(classes=["dog", "cat"], version="1.0.0", workers=1, description="x")
    own = {field.name for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig)}
    assert own - set(dataset.kept) == {
        *("name", "version", "release_notes", "supported_versions", "description"),
        *("tags", "image_dir", "label_csv", "class_csv", "pinned_splits", "workers"),
        "mask_color_csv",
        *("checksums", "homepage", "citation", "license", "report"),
    }
    assert dataset.kept["classes"] == ["dog", "cat"]
    assert str(tmp_path) not in json.dumps(dataset.kept) + dataset.sources.read_text()


def test_names_and_labels_of_all_scripts(dataset):
    """They come back unchanged, even line separators that aren't line feeds."""
    rows = [(f"{at}ä\u2028.png", f'"{at % 2}": [\x85é', "", "") for at in range(6)]
    dataset.make(rows)
    dataset.raise_if_stale()
    rows[1] = (rows[1][0], rows[0][1], "", "")
    dataset.write_rows(rows)
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 1 has changed:\n"
        f"    row 3: {rows[1][0]!r}: label was '\"1\": [\\x85é', is '\"0\": [\\x85é'"
    )


# The config

OTHERS = {
    "label_type": "none",
    "box_format": "xywh",
    "box_units": "relative",
    "boxes_are_upright": False,
    "extra_columns": {"group": "string"},
    "mask_colors": {"red": "car"},
    "masks_are_upright": True,
    "classes": ["dog", "cat"],
    "val_size": 0.2,
    "test_size": 1,
    "folds": 2,
    "seed": 2**64 - 1,
    "duplicates": "drop",
    "near_duplicates": "together",
    "min_class_size": 2,
    "rare_classes": "drop",
    "channels": 1,
    "dtype": "uint16",
    "background": "black",
    "apply_exif": False,
    "resize": [7, 9],
    "max_side": 5,
    "image_shape": [4, 5, 3],
    "encoding": "png",
    "quality": 80,
    "icc": "srgb",
    "max_pixels": 1000,
    "verify": "header",
    "on_error": "skip",
    "max_rejected": 0.5,
    "drop_issues": ["dark"],
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_value_of_a_field(dataset, name):
    """It says which, with old and new value; undone, the dataset is fresh."""
    dataset.make()
    was = getattr(dataset.config, name)
    was = list(was) if isinstance(was, tuple) else was  # as JSON has it
    config = dataset.config_with()
    setattr(config, name, OTHERS[name])
    assert dataset.changes(config) == f"  {name}: was {was!r}, is {OTHERS[name]!r}"
    dataset.raise_if_stale()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "cats"},
        {"version": "1.0.0"},
        {"description": "Pets."},
        {"homepage": "https://example.org"},
        {"citation": "@misc{pets}"},
        {"license": "MIT"},
        {"tags": ["x"]},
        {"release_notes": {"1.0.0": "x"}},
        {"supported_versions": ["1.0.0"]},
        {"workers": 1},
        {"report": False},
        {"filename_column": "filename"},
        {"label_column": "label"},
    ],
    ids=str,
)
def test_fields_that_change_nothing(dataset, fields):
    """Nor do names of columns, if the cells are the same."""
    dataset.make()
    dataset.raise_if_stale(dataset.config_with(**fields))


def test_another_delimiter(dataset):
    """It says so, whether or not a cell has it."""
    dataset.make(label_type="multilabel", label_delimiter="|")
    config = dataset.config_with(label_type="multilabel", label_delimiter=";")
    assert dataset.changes(config) == "  label_delimiter: was '|', is ';'"


def test_another_order_of_columns_of_0_and_1(dataset):
    """It is that of the classes, so the records have other ids."""
    rows = [(f"{at}.png", "1", "0", "") for at in range(3)]
    fields = {"label_type": "multilabel", "group_column": None}
    dataset.make(rows, label_column=["label", "group"], **fields)
    config = dataset.config_with(label_column=["group", "label"], **fields)
    assert dataset.changes(config) == (
        "  label_column: was ['label', 'group'], is ['group', 'label']"
    )


def test_another_cell_of_an_extra_column(dataset):
    """A changed cell changes the row."""
    dataset.make(extra_columns={"group": "string"})
    dataset.write_rows([("a.png", "cat", "h", ""), *ROWS[1:]])
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 1 has changed:\n"
        "    row 2: 'a.png': group was 'g', is 'h', extra/group was 'g', is 'h'"
    )


def test_another_class_csv(dataset, tmp_path):
    """Its content counts, wherever it is."""
    path = tmp_path / "classes.csv"
    path.write_text("classname,class_id\ncat,0\ndog,1\n")
    dataset.make(class_csv=path)
    moved = path.rename(tmp_path / "moved.csv")
    dataset.raise_if_stale()
    dataset.raise_if_stale(dataset.config_with(class_csv=moved))
    path.write_text("classname,class_id\ncat,1\ndog,0\n")
    assert dataset.changes() == "  class_csv ROOT/classes.csv: its content has changed"
    assert dataset.changes(dataset.config_with(class_csv=None)) == (
        "  class_csv: a file was given, none is"
    )


def test_all_fields_are_tested(dataset):
    """A new field needs a decision."""
    undecided = {
        field.name for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig)
    }
    for decided in (OTHERS, metadata._WITHOUT_EFFECT, stale._ABOUT_THE_TABLE):
        undecided -= set(decided)
    assert undecided == {"label_delimiter"}  # see above


def test_several_fields(dataset):
    """All are named, in the order of the config."""
    dataset.make()
    assert dataset.changes(dataset.config_with(seed=5, val_size=0.2)) == (
        "  val_size: was 0, is 0.2\n  seed: was 0, is 5"
    )


def test_one_image_is_not_all_of_them(dataset):
    """A size of 1 differs from a size of 1.0, though they are equal."""
    dataset.make(val_size=1, test_size=0)
    assert dataset.changes(dataset.config_with(val_size=1.0, test_size=0)) == (
        "  val_size: was 1, is 1.0"
    )


def test_a_field_that_is_newer_than_the_dataset(dataset):
    """The dataset was built with the default."""
    dataset.make()
    del dataset.kept["seed"]
    dataset.raise_if_stale()
    assert dataset.changes(dataset.config_with(seed=1)) == "  seed: was 0, is 1"


@dataclasses.dataclass(kw_only=True, eq=False)
class MyConfig(tfds_imagecsv.ImageCsvConfig):
    """A config with fields of a user's own."""

    sites: list[str] = dataclasses.field(default_factory=list)
    scale: tuple[int, ...] = (1, 2)


def test_fields_of_a_user(dataset):
    """They count like any others, and so do lists and tuples."""
    dataset.make()
    values = {
        field.name: getattr(dataset.config, field.name)
        for field in dataclasses.fields(dataset.config)
    }
    dataset.raise_if_stale(MyConfig(**values))
    assert dataset.changes(MyConfig(**values, sites=["x"], scale=(3,))) == (
        "  sites: was [], is ['x']\n  scale: was [1, 2], is [3]"
    )


def test_another_column(dataset):
    """The field is named, and the rows that differ."""
    dataset.make()
    assert dataset.changes(dataset.config_with(group_column=None)) == (
        "  group_column: was 'group', is None\n"
        "  label_csv ROOT/labels.csv: of the rows, 2 have changed:\n"
        "    row 2: 'a.png': group was 'g', is ''\n"
        "    row 3: 'b.png': group was 'g', is ''"
    )


def test_a_column_without_the_csv(dataset):
    """Nobody can tell whether it changes something."""
    dataset.make()
    (dataset.root / "labels.csv").unlink()
    assert dataset.changes(dataset.config_with(group_column=None)) == (
        "  group_column: was 'group', is None"
    )


# The CSV


def test_changed_rows(dataset):
    """It lists changed, new and missing rows, with their numbers."""
    dataset.make()
    rows = [("new.png", "emu", "", ""), ("a.png", "emu", "h", "train"), *ROWS[3:]]
    dataset.write_rows([*rows, ("z.png", "", "", "")])
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 1 has changed, 2 are new, 2 are"
        " gone:\n"
        "    row 3: 'a.png': label was 'cat', is 'emu', group was 'g', is 'h', split"
        " was '', is 'train'\n"
        "    row 2: 'new.png' ('emu') is new\n"
        "    row 7: 'z.png' (no_label) is new\n"
        "    'b.png' ('dog') is gone\n"
        "    'c.png' ('cat') is gone"
    )


def test_a_row_that_has_a_problem_now(dataset):
    """A build would refuse it."""
    dataset.make()
    dataset.write_rows([("a.png", "", "g", ""), *ROWS[1:]])
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 1 has changed:\n"
        "    row 2: 'a.png': label was 'cat', is '', problem was '', is 'no_label'"
    )


def test_many_changed_rows(dataset):
    """It shows ten of a kind, and counts all."""
    rows = [(f"{at:02}.png", "cat", "", "") for at in range(12)]
    dataset.make(rows)
    dataset.write_rows([(key, "dog", "", "") for key, *_ in rows])
    shown = "\n".join(
        f"    row {at + 2}: '{at:02}.png': label was 'cat', is 'dog'"
        for at in range(10)
    )
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 12 have changed:\n"
        f"{shown}\n    ... and 2 more"
    )


def test_the_same_table_in_other_words(dataset):
    """Order, blank rows, white space, quotes and the byte-order mark don't matter."""
    dataset.make()
    text = '\ufefffilename,label,group,split\r\n\r\n"f.png" , cat,,\n'
    for row in reversed(ROWS[:5]):
        text += " " + " , ".join(row) + "\n"
    (dataset.root / "labels.csv").write_text(text, encoding="utf-8")
    dataset.raise_if_stale()


def test_a_csv_that_is_none_any_more(dataset):
    """The message says what is wrong with it."""
    dataset.make()
    (dataset.root / "labels.csv").write_text("")
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: its content has changed, and can't be used:"
        " label_csv ROOT/labels.csv: the file is empty. Its first row must be a header,"
        " such as 'filename,label', and each row below it an image."
    )


def test_rejected_rows(dataset):
    """They are compared like others; which of two comes first doesn't matter."""
    rows = [*ROWS, ("a.png", "dog", "", ""), ("x.png", "", "", "")]
    dataset.make(rows, on_error="skip", max_rejected=1)
    dataset.write_rows(rows[::-1])
    dataset.raise_if_stale()
    dataset.write_rows([*rows[:-1], ("x.png", "cat", "", "")])
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 1 has changed:\n"
        "    row 9: 'x.png': label was '', is 'cat', problem was 'no_label', is ''"
    )
    dataset.write_rows(rows[:-1])
    assert dataset.changes() == (
        "  label_csv ROOT/labels.csv: of the rows, 1 is gone:\n"
        "    'x.png' (no_label) is gone"
    )


@contextlib.contextmanager
def nothing_can_be_written():
    """Makes each attempt to write to a file fail, even for a superuser."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# The images


def rewrite(path):
    """Changes a byte of a file, and its time."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, (1000, 1000))


def test_changed_images(dataset):
    """Of the same size or another size, and missing ones."""
    dataset.make()
    dataset.write_image("d.png", width=9)
    rewrite(dataset.images / "b.png")
    (dataset.images / "c.png").unlink()
    (dataset.images / "a.png").unlink()
    (dataset.images / "a.png").mkdir()
    assert dataset.changes() == (
        "  image_dir ROOT/images: of the images, 3 have changed, 1 is missing:\n"
        "    'a.png' has changed\n"
        "    'b.png' has changed\n"
        "    'd.png' has changed\n"
        "    'c.png' is missing"
    )


def test_all_that_has_changed_at_once(dataset):
    """It lists the config, the CSV and the images, in this order."""
    dataset.make()
    dataset.write_rows(ROWS[:5])
    rewrite(dataset.images / "a.png")
    assert dataset.changes(dataset.config_with(seed=1)) == (
        "  seed: was 0, is 1\n"
        "  label_csv ROOT/labels.csv: of the rows, 1 is gone:\n"
        "    'f.png' ('cat') is gone\n"
        "  image_dir ROOT/images: of the images, 1 has changed:\n"
        "    'a.png' has changed"
    )


def test_images_without_a_row(dataset):
    """They aren't in the dataset, and wouldn't be in a new one."""
    dataset.make()
    dataset.write_image("new.png")
    dataset.raise_if_stale()


def test_other_times_only(dataset):
    """As in a copy: images are read once, and their new times are noted."""
    dataset.make()
    for path in dataset.images.iterdir():
        os.utime(path, (5, 5))
    before = json.loads(dataset.sources.read_text())
    dataset.sources.chmod(0o640)
    with nothing_can_be_written():
        dataset.raise_if_stale()
    assert json.loads(dataset.sources.read_text()) == before
    dataset.raise_if_stale()
    after = json.loads(dataset.sources.read_text())
    assert after == {**before, "modified": [5 * 10**9] * 6}
    assert stat.S_IMODE(dataset.sources.stat().st_mode) == 0o640
    assert [path.name for path in dataset.data_path.iterdir()] == ["sources.json"]
    # They aren't read again: images of the old size and the new time are skipped.
    rewrite(dataset.images / "b.png")
    os.utime(dataset.images / "b.png", (5, 5))
    dataset.raise_if_stale()


def test_times_of_images_that_have_changed(dataset):
    """They aren't noted, or these images would pass for those of the dataset."""
    dataset.make()
    before = json.loads(dataset.sources.read_text())
    for path in dataset.images.iterdir():
        rewrite(path)
    for _ in range(2):
        assert "6 have changed" in dataset.changes()
    assert json.loads(dataset.sources.read_text()) == before


def test_another_size_and_the_same_time(dataset):
    """The image isn't even read."""
    dataset.make()
    path = dataset.images / "c.png"
    time = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, ns=(time, time))
    assert dataset.changes() == (
        "  image_dir ROOT/images: of the images, 1 has changed:\n"
        "    'c.png' has changed"
    )


def test_cells_with_a_zero_byte(dataset):
    """Formats other than CSV may have them; they don't hide the end of a cell."""

    def write(label, group):
        lines = [
            {"filename": row[0], "label": label, "group": group} for row in ROWS[:2]
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (dataset.root / "labels.jsonl").write_text(text)

    write("a\0b", "c")
    table = str(dataset.root / "labels.jsonl")
    dataset.make(ROWS[:2], label_csv=table, split_column=None)
    dataset.raise_if_stale()
    write("a", "b\0c")
    assert "of the rows, 2 have changed" in dataset.changes()


def test_an_image_that_was_rejected(dataset):
    """It is there now, or has become an image: the next build would use it."""
    dataset.make(lost=["a.png", "b.png"], on_error="skip", max_rejected=1)
    dataset.raise_if_stale()
    dataset.write_image("a.png")
    assert dataset.changes() == (
        "  image_dir ROOT/images: of the images, 1 can be read now:\n"
        "    'a.png' can be read now"
    )


def test_an_image_that_was_none(dataset):
    """As long as it isn't an image, nothing has changed."""
    dataset.images.mkdir()
    for key, *_ in ROWS[1:]:
        dataset.write_image(key)
    bad = dataset.images / "a.png"
    bad.write_bytes(b"<html>")
    dataset.write_rows(ROWS)
    dataset.config = dataset.config_with(on_error="skip", max_rejected=1)
    dataset.build()
    os.utime(bad, (7, 7))
    dataset.raise_if_stale()
    dataset.write_image("a.png")
    assert dataset.changes() == (
        "  image_dir ROOT/images: of the images, 1 has changed:\n"
        "    'a.png' has changed"
    )


def test_a_copy_that_was_dropped(dataset):
    """It is no record, but would be one now."""
    dataset.images.mkdir()
    for key, *_ in ROWS:
        dataset.write_image(key)
    shutil.copyfile(dataset.images / "a.png", dataset.images / "c.png")
    dataset.write_rows(ROWS)
    dataset.config = dataset.config_with(duplicates="drop")
    dataset.build()
    assert "c.png" not in set(dataset.plan.rows["key"].to_pylist())
    dataset.raise_if_stale()
    dataset.write_image("c.png", width=9)
    assert dataset.changes() == (
        "  image_dir ROOT/images: of the images, 1 has changed:\n"
        "    'c.png' has changed"
    )


def test_images_in_folders_and_behind_links(dataset):
    """It follows them as a build does."""
    dataset.images.mkdir()
    for key in ("deep/er/a.png", "b.png", "real/c.png"):
        dataset.write_image(key)
    (dataset.images / "link.png").symlink_to("real/c.png")
    rows = [(key, "cat", "", "") for key in ("deep/er/a.png", "b.png", "link.png")]
    dataset.write_rows(rows)
    dataset.config = dataset.config_with()
    dataset.build()
    dataset.raise_if_stale()
    rewrite(dataset.images / "deep" / "er" / "a.png")
    rewrite(dataset.images / "real" / "c.png")
    assert dataset.changes() == (
        "  image_dir ROOT/images: of the images, 2 have changed:\n"
        "    'deep/er/a.png' has changed\n"
        "    'link.png' has changed"
    )


# Sources that are gone, or elsewhere


@pytest.mark.parametrize("gone", ["labels.csv", "images", "images/*", "both"])
def test_sources_that_are_gone(dataset, gone):
    """The dataset stands alone; the remaining sources are compared."""
    dataset.make()
    csv, folder = dataset.root / "labels.csv", dataset.images
    if gone in ("labels.csv", "both"):
        csv.unlink()
    if gone in ("images", "both"):
        shutil.rmtree(folder)
    if gone == "images/*":  # such as a disk that isn't mounted
        shutil.rmtree(folder)
        folder.mkdir()
    dataset.raise_if_stale()
    if csv.exists():
        dataset.write_rows(ROWS[:5])
        assert "1 is gone" in dataset.changes()
    if gone == "labels.csv":
        rewrite(folder / "a.png")
        assert "1 has changed" in dataset.changes()


def test_sources_that_are_elsewhere(dataset):
    """Their content matters, not their place; relative paths work as well."""
    dataset.make()
    manual_dir = dataset.root / "manual"
    manual_dir.mkdir()
    shutil.copytree(dataset.images, manual_dir / "pictures")
    shutil.copyfile(dataset.root / "labels.csv", manual_dir / "rows.csv")
    config = dataset.config_with(image_dir="pictures", label_csv="rows.csv")
    dataset.raise_if_stale(config)
    rewrite(manual_dir / "pictures" / "a.png")
    assert dataset.changes(config) == (
        "  image_dir ROOT/manual/pictures: of the images, 1 has changed:\n"
        "    'a.png' has changed"
    )


def test_a_path_in_the_home_directory(dataset, monkeypatch):
    """`~` is the user's, as in a build."""
    dataset.make()
    monkeypatch.setenv("HOME", str(dataset.root))
    dataset.write_rows(ROWS[:5])
    config = dataset.config_with(image_dir="~/images", label_csv="~/labels.csv")
    assert dataset.changes(config) == (
        "  label_csv ROOT/labels.csv: of the rows, 1 is gone:\n"
        "    'f.png' ('cat') is gone"
    )


def test_remote_images(dataset):
    """They aren't checked: there may be millions, and each takes time."""
    dataset.make()
    dataset.raise_if_stale(dataset.config_with(image_dir="gs://bucket/images"))


def test_pinned_splits(dataset):
    """Another manifest is another split, whatever its path."""
    pinned = dataset.root / "pinned.csv"
    pinned.write_text("key,split,label,group,digest\na.png,test,cat,,\n")
    dataset.make(pinned_splits=pinned)
    dataset.raise_if_stale()
    assert dataset.changes(dataset.config_with()) == (
        "  pinned_splits: a file was given, none is"
    )
    pinned.write_text("key,split,label,group,digest\na.png,train,cat,,\n")
    assert dataset.changes() == (
        "  pinned_splits ROOT/pinned.csv: its content has changed"
    )
    pinned.unlink()
    dataset.raise_if_stale()


def test_pinned_splits_of_a_dataset_without_them(dataset):
    """They are new."""
    dataset.make()
    config = dataset.config_with(pinned_splits=dataset.root / "pinned.csv")
    assert dataset.changes(config) == (
        "  pinned_splits ROOT/pinned.csv: no file was given"
    )


# What the dataset itself lacks


def test_a_dataset_of_an_earlier_version(dataset):
    """It has nothing to compare."""
    dataset.make()
    dataset.kept = None
    dataset.raise_if_stale(dataset.config_with(seed=1))


def test_a_dataset_without_its_list(dataset):
    """It only compares the config."""
    dataset.make()
    dataset.sources.unlink()
    dataset.write_rows(ROWS[:5])
    rewrite(dataset.images / "a.png")
    dataset.raise_if_stale()
    assert dataset.changes(dataset.config_with(seed=1, group_column=None)) == (
        "  group_column: was 'group', is None\n  seed: was 0, is 1"
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:100],
        lambda text: text.replace('"size": [', '"size": [1, '),
        lambda text: text.replace('"modified"', '"changed"'),
        lambda text: text.replace('"key": ', '"key": 1'),
    ],
    ids=["empty", "cut", "a list too long", "a list missing", "no list"],
)
def test_a_damaged_list(dataset, damage):
    """Nothing is guessed."""
    dataset.make()
    dataset.sources.write_text(damage(dataset.sources.read_text()))
    with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
        dataset.raise_if_stale()
    assert str(caught.value) == (
        f"{dataset.sources}: this file of the dataset is damaged, so changes of"
        f" the CSV and the images go unnoticed. Restore it, or {REMEDY}"
    )


# The law

edits = st.lists(
    st.tuples(
        st.sampled_from(
            *(["label", "group", "split", "drop", "add", "swap", "image", "touch"],)
        ),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=3,
)


@settings(max_examples=40)
@given(edits)
def test_stale_is_what_would_be_another_dataset(
    tmp_path_factory, write_png, write_csv, edits
):
    """A dataset is refused if its sources would give another one."""
    dataset = Dataset(tmp_path_factory.mktemp("law"), write_png, write_csv).make()
    rows = [list(row) for row in ROWS]
    for kind, at, other in edits:
        row = rows[at % len(rows)]
        if kind == "label":
            row[1] = ("cat", "dog")[other % 2]
        elif kind == "group":
            row[2] = ("", "g", "h")[other % 3]
        elif kind == "split":
            row[3] = ("", "test", "val")[other % 3]
        elif kind == "drop" and len(rows) > 2:
            rows.remove(row)
        elif kind == "add" and not any(row[0] == f"new{at}.png" for row in rows):
            dataset.write_image(f"new{at}.png")
            rows.append([f"new{at}.png", "cat", "", ""])
        elif kind == "swap":
            rows[at % len(rows)], rows[other % len(rows)] = (
                *(rows[other % len(rows)], rows[at % len(rows)]),
            )
        elif kind == "image":
            dataset.write_image(ROWS[at][0], seed=other)
        elif kind == "touch":
            dataset.touch(dataset.images / ROWS[at][0])
    dataset.write_rows(rows)
    try:
        dataset.raise_if_stale()
    except tfds_imagecsv.StaleDatasetError:
        is_stale = True
    else:
        is_stale = False
    names = [*manifest.COLUMNS, "given"]
    old = list(arrays.named(dataset.plan.rows, names))
    shutil.move(dataset.data_path, dataset.root / "old")
    try:
        new = list(arrays.named(dataset.build().plan.rows, names))
    except tfds_imagecsv.ImageCsvError:
        new = None  # a group would be in two splits
    assert is_stale == (new != old)


# Through TFDS


def changed(config):
    """Changes the label of an image."""
    path = pathlib.Path(config.label_csv)
    path.write_text(path.read_text().replace("00.png,cat", "00.png,dog"))


def message_of(builder, config):
    """Returns the whole message after `changed`."""
    return (
        f"{builder.data_path}: the config or the sources of this dataset have changed"
        " since it was built:\n"
        f"  label_csv {config.label_csv}: of the rows, 1 has changed:\n"
        "    row 2: '00.png': label was 'cat', is 'dog'" + END
    )


@pytest.fixture
def built(make_dataset, make_builder):
    """A config, and the builder that has built its dataset."""
    config = make_dataset()
    builder = make_builder(config)
    builder.download_and_prepare()
    return config, builder


def load(config, data_dir, **kwargs):
    """Loads a dataset by its config."""
    kwargs = {"builder_kwargs": {"config": config}, **kwargs}
    return tfds.load("image_csv", data_dir=data_dir, split="train", **kwargs)


def test_ways_to_read(built, make_builder, data_dir):
    """A fresh dataset is read in each way, a stale one in none."""
    config, builder = built
    ways = [
        lambda: load(config, data_dir),
        lambda: load(config, data_dir, download=False),
        lambda: make_builder(config).as_dataset(split="train"),
        lambda: make_builder(config).download_and_prepare(),
        lambda: make_builder(config).raise_if_stale(),
    ]
    for way in ways:
        way()
    changed(config)
    for way in ways:
        with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
            way()
        assert str(caught.value) == message_of(builder, config)
    builder = make_builder(config)
    for _ in range(2):
        with pytest.raises(tfds_imagecsv.StaleDatasetError):
            builder.as_dataset(split="train")


def test_data_sources(make_dataset, make_builder, data_dir):
    """They are refused as well."""
    config = make_dataset()
    builder = make_builder(config, file_format="array_record")
    builder.download_and_prepare()
    kwargs = {"config": config, "file_format": "array_record"}
    source = {"split": "train", "data_dir": data_dir, "builder_kwargs": kwargs}
    assert len(tfds.data_source("image_csv", **source)) == 16
    changed(config)
    with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
        tfds.data_source("image_csv", **source)
    assert str(caught.value) == message_of(builder, config)


def test_a_builder_looks_once(built, make_builder):
    """It looks before its first read; a builder that has built doesn't."""
    config, builder = built
    again = make_builder(config)
    again.as_dataset(split="train")
    changed(config)
    again.as_dataset(split="test")
    builder.as_dataset(split="train")
    with pytest.raises(tfds_imagecsv.StaleDatasetError):
        again.download_and_prepare()


def test_what_changes_nothing_writes_nothing(built, make_builder, data_dir, list_tree):
    """A load of a fresh dataset leaves all files as they are."""
    config, _ = built
    before = list_tree(data_dir)
    load(config, data_dir)
    make_builder(config).download_and_prepare()
    assert list_tree(data_dir) == before


def test_the_ways_on(built, make_builder, make_dataset, data_dir):
    """Another version beside it, or a new build in its place."""
    config, builder = built
    changed(config)
    newer = dataclasses.replace(config, version="1.0.1")
    builder = make_builder(newer)
    builder.download_and_prepare()
    assert sorted(path.name for path in builder.data_path.parent.iterdir()) == [
        *("1.0.0", "1.0.1")
    ]
    load(newer, data_dir)
    builder = make_builder(config)
    mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(download_mode=mode)
    )
    load(config, data_dir)


def test_a_new_description_of_a_stale_dataset(built, make_builder):
    """TFDS's mode that writes it reads no sources."""
    config, _ = built
    changed(config)
    mode = tfds.download.GenerateMode.UPDATE_DATASET_INFO
    builder = make_builder(config)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(download_mode=mode)
    )
    with pytest.raises(tfds_imagecsv.StaleDatasetError):
        builder.as_dataset(split="train")


def test_a_dataset_that_is_loaded_by_its_name(built, data_dir):
    """Its sources are unknown; it stands alone."""
    config, _ = built
    changed(config)
    assert len(tfds.load("image_csv/pets", split="train", data_dir=data_dir)) == 16


def test_a_built_in_dataset(data_dir, tmp_path):
    """Its manual directory is that of TFDS, unless another one is named."""
    dummy_data = pathlib.Path(__file__).parents[2] / "dummy_data"
    manual_dir = tmp_path / "elsewhere"
    shutil.copytree(dummy_data, manual_dir)
    options = tfds.download.DownloadConfig(manual_dir=manual_dir)
    builder = tfds.builder("image_csv/cifar10", data_dir=data_dir)
    builder.download_and_prepare(download_config=options)
    labels = (manual_dir / "trainLabels.csv").read_text()
    (manual_dir / "trainLabels.csv").write_text(labels.replace("1,", "1,", 1) + "\n")
    builder.download_and_prepare(download_config=options)
    first = labels.splitlines()[1].partition(",")
    shutil.copytree(manual_dir, data_dir / "downloads" / "manual")
    tfds.load("image_csv/cifar10", data_dir=data_dir)
    for folder in (manual_dir, data_dir / "downloads" / "manual"):
        text = labels.replace("".join(first), f"{first[0]},newt", 1)
        (folder / "trainLabels.csv").write_text(text)
    message = (
        f"{builder.data_path}: the config or the sources of this dataset have changed"
        " since it was built:\n"
        "  label_csv {}/trainLabels.csv: of the rows, 1 has changed:\n"
        f"    row 2: '{first[0]}.png': label was '{first[2]}', is 'newt'{END}"
    )
    with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
        builder.download_and_prepare(download_config=options)
    assert str(caught.value) == message.format(manual_dir)
    with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
        tfds.load("image_csv/cifar10", data_dir=data_dir)
    assert str(caught.value) == message.format(data_dir / "downloads" / "manual")


# A process that loads a dataset, with an image whose time has changed.
LOAD = """
import sys
import tensorflow_datasets as tfds
import tfds_imagecsv
config = tfds_imagecsv.ImageCsvConfig(
    name="pets", image_dir=sys.argv[1], label_csv=sys.argv[2]
)
builder = tfds.builder("image_csv", config=config, data_dir=sys.argv[3])
builder.raise_if_stale()
print(sorted({"pandas", "pyarrow", "scipy", "tensorflow"} & set(sys.modules)))
"""


def test_a_fresh_dataset_needs_nothing_slow(built, data_dir):
    """Importing pandas alone would take longer than all the rest."""
    config, _ = built
    done = subprocess.run(
        [sys.executable, "-c", LOAD, config.image_dir, config.label_csv, data_dir],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"
