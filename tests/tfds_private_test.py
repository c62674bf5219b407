"""TFDS's private names: they still exist, and still do the same."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet
from tensorflow_datasets.core.download import checksums, resource
from tensorflow_datasets.core.utils import shard_utils

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.shards import shard_plan

MIB = 1 << 20
GIB = 1 << 30

# Shards


def rule(num_shards=None, *, least=64 * MIB, most=GIB):
    """Returns the rule for shards; by default with TFDS's own sizes."""
    return tfds_private.ShardRule(
        num_shards=num_shards, min_shard_size=least, max_shard_size=most
    )


@given(st.integers(1, 10**8), st.integers(0, 10 * MIB), st.integers(0, 10**9))
@example(1024, 65 * MIB, 0)
@example(2**21, MIB, 0)
def test_the_number_of_shards_is_that_of_tfds(examples, mean, more):
    """For images of any size, and any number of them."""
    total = examples * mean + more
    expected = shard_utils.ShardConfig().get_number_shards(total, examples)
    assert rule().number(total, examples) == expected


@given(st.integers(1, 10**6), st.integers(0, 10**12), st.integers(1, 50))
def test_the_number_of_shards_that_the_user_wants(examples, total, wanted):
    """It is used as it is; 0 means none, as in TFDS."""
    assert rule(wanted).number(total, examples) == wanted
    assert rule(0).number(total, examples) == rule().number(total, examples)


@given(
    st.integers(1, 10**6),
    st.integers(0, 10 * MIB),
    st.integers(1, 2 * GIB),
    st.integers(1, 2 * GIB),
)
# TFDS makes one shard, since 8 are more than the examples, and fewer are too few.
@example(6, 5 * MIB // 6 + 1, 1, MIB)
# TFDS makes one of 1,000, since there are no 1,024 examples.
@example(1000, MIB, 1, MIB)
# TFDS looks for a multiple of 1,024 that is at most 1,500, and never ends.
@example(1500, MIB, 1, MIB)
@example(1500, 5 * MIB, 1, MIB)
@example(2048, 5 * MIB, 1, MIB)
def test_shards_are_no_larger_than_the_user_wants(examples, mean, least, most):
    """There is a number for any sizes, with which the mean shard isn't too large."""
    in_files = examples * (mean + 16)
    number = rule(least=least, most=most).number(examples * mean, examples)
    assert 1 <= number <= examples
    # TFDS rounds the need down, and large numbers up to a multiple of 1,024.
    wanted = in_files // most
    assert number >= min(wanted, examples)
    least = min(least, max(1, most // 2))
    assert number <= max(1, wanted + 1024, in_files // least)


@pytest.mark.parametrize(
    ("total", "least", "most", "number"),
    [
        (100 * MIB, 64 * MIB, GIB, 1),
        (1000 * MIB, 64 * MIB, GIB, 8),
        (100 * MIB, 64 * MIB, MIB, 128),
        (100 * MIB, 64 * MIB, 10 * MIB, 16),
        (100 * MIB, MIB, GIB, 64),
        (2047 * MIB, 64 * MIB, 2 * MIB, 1024),
        (2049 * MIB, 64 * MIB, MIB, 3072),
    ],
)
def test_sizes_of_shards(total, least, most, number):
    """A least size that isn't well below the largest doesn't count."""
    total -= 16 * 5000
    assert rule(least=least, most=most).number(total, 5000) == number


def test_tfds_still_ignores_the_sizes():
    """Otherwise, `ShardRule.number` can go: only the sizes of the class count."""
    config = shard_utils.ShardConfig(min_shard_size=MIB, max_shard_size=2 * MIB)
    assert config.get_number_shards(50 * MIB, 1000) == 1


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, (None, 64 * MIB, GIB)),
        (
            {"num_shards": 3, "min_shard_size": 1, "max_shard_size": 2},
            (3, 1, 2),
        ),
        ({"min_shard_size": None, "max_shard_size": None}, (None, 64 * MIB, GIB)),
        ({"num_shards": 0, "max_shard_size": 0}, (0, 64 * MIB, GIB)),
    ],
    ids=str,
)
def test_what_the_user_asks_for(kwargs, expected):
    """None means TFDS's own sizes, as its documentation says."""
    found = tfds_private.shard_rule(tfds.download.DownloadConfig(**kwargs))
    values = (found.num_shards, found.min_shard_size, found.max_shard_size)
    assert values == expected


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_shards": -1}, "num_shards must be at least 0, got -1"),
        ({"min_shard_size": -5}, "min_shard_size must be at least 1, got -5"),
        ({"max_shard_size": -6}, "max_shard_size must be at least 1, got -6"),
    ],
    ids=str,
)
def test_what_nobody_can_ask_for(kwargs, message):
    """TFDS would write no shard, and no record."""
    with pytest.raises(exceptions.ConfigError) as raised:
        tfds_private.shard_rule(tfds.download.DownloadConfig(**kwargs))
    assert str(raised.value) == message


@given(st.integers(1, 10**7), st.integers(1, 3000))
def test_the_ends_of_shards_are_those_of_tfds(examples, number):
    """The last one is the end, and none is empty."""
    number = min(number, examples)
    ends = list(rule().ends(examples, number))
    assert ends == list(shard_utils.get_shard_boundaries(examples, number))
    assert len(ends) == number
    assert ends[-1] == examples
    assert np.diff([0, *ends]).min() >= 1


def test_more_shards_than_examples():
    """The message has both numbers."""
    with pytest.raises(exceptions.ConfigError) as raised:
        rule().ends(4, 5)
    assert str(raised.value) == (
        "num_shards must not be larger than the number of examples of a split, 4, got 5"
    )


# The hooks of a builder


@pytest.fixture
def builder(tmp_path):
    """A builder of TFDS's own, without a dataset."""
    return tfds.testing.DummyDataset(data_dir=tmp_path)


def test_the_hook_that_builds():
    """TFDS calls it with these arguments, within the directory that it has made."""
    calls = []

    class Hooked(tfds.testing.DummyDataset):
        def _download_and_prepare(self, **kwargs):
            calls.append((self.data_path.name, self.data_path.exists(), kwargs))

    # TFDS's own has the same arguments, so it can be replaced.
    stock = tfds.core.GeneratorBasedBuilder._download_and_prepare
    names = ["self", "dl_manager", "download_config"]
    assert list(inspect.signature(stock).parameters) == names
    with tfds.testing.tmp_dir() as data_dir:
        config = tfds.download.DownloadConfig(num_shards=3)
        hooked = Hooked(data_dir=data_dir)
        hooked.download_and_prepare(download_config=config)
        ((name, exists, kwargs),) = calls
        assert exists
        assert name.startswith("incomplete.")
        assert name.endswith(f"_{hooked.data_path.name}")
        assert hooked.data_path.name == "1.0.0"
        assert list(kwargs) == ["dl_manager", "download_config"]
        assert kwargs["download_config"] is config


SHARDS = [
    shard_plan.Shard("train", 0, 2, 0, 5),
    shard_plan.Shard("train", 1, 2, 5, 9),
    shard_plan.Shard("test", 0, 1, 9, 10),
]


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_the_paths_of_shards(tmp_path, file_format):
    """They are TFDS's, in the directory of the builder."""
    builder = tfds.testing.DummyDataset(data_dir=tmp_path, file_format=file_format)
    assert tfds_private.shard_paths(builder, SHARDS) == [
        builder.data_path / f"dummy_dataset-{name}"
        for name in (
            f"train.{file_format}-00000-of-00002",
            f"train.{file_format}-00001-of-00002",
            f"test.{file_format}-00000-of-00001",
        )
    ]


def test_the_splits_are_told_to_tfds(builder):
    """Their order, and the lengths, bytes and files of the shards of each."""
    tfds_private.set_splits(builder, SHARDS, [50, 41, 7])
    splits = builder.info.splits
    assert list(splits) == ["train", "test"]
    assert splits["train"].shard_lengths == [5, 4]
    assert splits["train"].num_examples == 9
    assert splits["train"].num_bytes == 91
    assert splits["test"].shard_lengths == [1]
    assert splits["test"].num_bytes == 7
    assert builder.info.dataset_size == 98
    assert sorted(splits["train"].filepaths) == tfds_private.shard_paths(
        builder, SHARDS[:2]
    )


def test_names_of_classes_are_set_again():
    """TFDS would refuse others."""
    label = tfds.features.ClassLabel(names=["a", "b", "c"])
    tfds_private.set_class_names(label, ["dog", "cat"])
    assert label.names == ["dog", "cat"]
    assert label.num_classes == 2
    assert label.str2int("cat") == 1
    assert label.int2str(0) == "dog"


def test_tfds_still_remembers_the_configs():
    """Otherwise, `forget_builder_configs` can go."""
    config = tfds.core.BuilderConfig(name="a")

    class Remembered(tfds.testing.DummyDataset, skip_registration=True):
        BUILDER_CONFIGS = [config]  # noqa: RUF012 - TFDS's own form

    assert list(Remembered.builder_configs) == ["a"]
    Remembered.BUILDER_CONFIGS.append(tfds.core.BuilderConfig(name="b"))
    assert list(Remembered.builder_configs) == ["a"]
    tfds_private.forget_builder_configs()
    assert list(Remembered.builder_configs) == ["a", "b"]


READERS = {
    "tfrecord": lambda path: list(tf.data.TFRecordDataset(path).as_numpy_iterator()),
    "array_record": lambda path: array_record_module.ArrayRecordReader(path).read_all(),
    "parquet": lambda path: parquet.read_table(path)["data"].to_pylist(),
}


@pytest.mark.parametrize("file_format", READERS)
def test_records_are_written_by_tfds(tmp_path, file_format):
    """In each format that can be read here, even to a file with a temporary name."""
    path = str(tmp_path / "incomplete.x.file")
    content = [b"", b"a" * 5000, b"\0\xff" * 70_000]
    tfds_private.write_records(path, file_format, iter(content))
    assert READERS[file_format](path) == content
    assert [file.name for file in tmp_path.iterdir()] == ["incomplete.x.file"]


# How errors look where the `tfds` command runs, and elsewhere

# The command's process has the command's package among its modules.
IN_COMMAND = "import sys; sys.modules['tensorflow_datasets.scripts.cli'] = sys; "
SHOW = "from tfds_imagecsv import exceptions, tfds_private; "
SHOW += "tfds_private.speak_to_users(); "


@pytest.fixture
def excepthook(monkeypatch):
    """Python's own way to show errors, restored after the test."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    return sys.__excepthook__


@pytest.fixture
def in_command(monkeypatch):
    """Makes the process look like that of the `tfds` command."""
    monkeypatch.setitem(sys.modules, "tensorflow_datasets.scripts.cli", sys)


def test_nothing_changes_outside_of_the_command(excepthook, monkeypatch):
    """A library doesn't change how other programs show their errors."""
    monkeypatch.delitem(sys.modules, "tensorflow_datasets.scripts.cli", raising=False)
    tfds_private.speak_to_users()
    assert sys.excepthook is excepthook


def test_the_message_is_all_that_is_shown(excepthook, in_command, capsys):
    """A stack trace would hide it."""
    tfds_private.speak_to_users()
    error = exceptions.SourceError("label_csv l.csv: no such file.")
    sys.excepthook(type(error), error, None)
    captured = capsys.readouterr()
    assert captured.err == "Error: label_csv l.csv: no such file.\n"
    assert captured.out == ""


def test_another_error_is_shown_as_before(excepthook, in_command, capsys):
    """Python's earlier hook shows errors that aren't users' mistakes."""
    tfds_private.speak_to_users()
    sys.excepthook(ValueError, ValueError("a bug"), None)
    assert capsys.readouterr().err == "ValueError: a bug\n"


BAD_JSON = """{"name": 'pets'}"""
BAD_JSON_MESSAGE = f"""\
Error: --config isn't JSON: Expecting value: line 1 column 10 (char 9), got {BAD_JSON}
Put all of it in single quotes, and names and texts within it in double quotes.
"""


@pytest.mark.parametrize("flag", [[f"--config={BAD_JSON}"], ["--config", BAD_JSON]])
def test_json_of_a_flag(excepthook, in_command, capsys, monkeypatch, flag):
    """TFDS reads it, and doesn't say where it is from."""
    monkeypatch.setattr(sys, "argv", ["tfds", "build", "image_csv", *flag])
    tfds_private.speak_to_users()
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(BAD_JSON)
    sys.excepthook(caught.type, caught.value, None)
    assert capsys.readouterr().err == BAD_JSON_MESSAGE


@pytest.mark.parametrize("argv", [["tfds", "--config={}"], ["tfds", "build", BAD_JSON]])
def test_json_of_something_else(excepthook, in_command, capsys, monkeypatch, argv):
    """It is no mistake in a flag."""
    monkeypatch.setattr(sys, "argv", argv)
    tfds_private.speak_to_users()
    error = json.JSONDecodeError("Expecting value", BAD_JSON, 9)
    sys.excepthook(type(error), error, None)
    reason = "Expecting value: line 1 column 10 (char 9)"
    assert capsys.readouterr().err == f"json.decoder.JSONDecodeError: {reason}\n"


def run(code):
    """Runs code in a new process, and returns its exit code and its errors."""
    process = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    return process.returncode, process.stderr


def test_errors_of_a_process():
    """Python itself calls the hook, and exits as after any error."""
    code, stderr = run(IN_COMMAND + SHOW + "raise exceptions.SplitError('too few')")
    assert code == 1
    assert stderr.endswith("Error: too few\n")
    assert "Traceback" not in stderr


def test_other_errors_of_a_process():
    """A bug keeps its stack trace."""
    code, stderr = run(IN_COMMAND + SHOW + "1 / 0")
    assert code == 1
    assert "Traceback (most recent call last):" in stderr
    assert stderr.endswith("ZeroDivisionError: division by zero\n")


def test_the_hook_that_makes_the_download_manager():
    """TFDS calls it with these arguments, and asks it how much was downloaded."""
    calls = []

    class WithManager(tfds.testing.DummyDataset):
        def _make_download_manager(self, **kwargs):
            calls.append(kwargs)
            manager = super()._make_download_manager(**kwargs)
            manager._recorded_url_infos["url"] = checksums.UrlInfo(5, "", None)
            return manager

    with tfds.testing.tmp_dir() as data_dir:
        config = tfds.download.DownloadConfig()
        hooked = WithManager(data_dir=data_dir)
        hooked.download_and_prepare(download_config=config)
        assert calls == [{"download_dir": None, "download_config": config}]
        assert hooked.info.download_size == 5


def test_where_tfds_keeps_a_download(tmp_path):
    """An existing file isn't downloaded again, unless asked for."""
    manager = tfds.download.DownloadManager(download_dir=tmp_path, dataset_name="a")
    url = "http://127.0.0.1:9/images.zip"
    path = manager._get_dl_path(resource.Resource(url=url))
    path.parent.mkdir()
    path.write_bytes(b"abc")
    info = checksums.compute_url_info(path)
    resource.write_info_file(
        url=url, path=path, dataset_name="a", original_fname="a.zip", url_info=info
    )
    assert tfds_private.download(manager, url, anew=False) == (path, False)
    # A URL that nobody reads: by the time it is read, the old file is gone.
    manager.download = lambda _: sorted(tmp_path.rglob("*.zip*"))
    assert tfds_private.download(manager, url, anew=True) == ([], True)
