"""Leftovers of stopped builds, and builds at once: no reader sees half a dataset."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image
from tensorflow_datasets.core.utils import py_utils

from tfds_imagecsv.storage import files, unfinished

SERVER = pathlib.Path(__file__).parents[1] / "scripts" / "build_server.py"


@pytest.fixture
def data_path(tmp_path):
    """Where a dataset would be."""
    return epath.Path(tmp_path / "data" / "image_csv" / "pets" / "1.0.0")


def names(folder):
    """Returns the sorted names in a directory; None if there is no directory."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else None


def test_the_lock_is_removed_with_the_folders_it_needed(data_path):
    """A build that fails leaves nothing."""
    with unfinished.only_build(data_path):
        assert names(data_path.parent) == [".1.0.0.lock"]
    assert not data_path.parent.parent.parent.exists()


def test_the_lock_is_removed_after_an_error(data_path):
    """And so are the folders."""
    with pytest.raises(LookupError), unfinished.only_build(data_path):
        raise LookupError
    assert not data_path.parent.parent.parent.exists()


def test_folders_that_were_there_stay(data_path):
    """Even if they are empty."""
    data_path.parent.parent.mkdir(parents=True)
    with unfinished.only_build(data_path):
        pass
    assert names(data_path.parent.parent) == []


def test_folders_that_are_used_stay(data_path):
    """The folders of the dataset stay."""
    with unfinished.only_build(data_path):
        data_path.mkdir()
    assert names(data_path.parent) == ["1.0.0"]


def make_leftovers(data_path):
    """Makes unfinished directories of a dataset and of others, and a dead lock."""
    of_others = [
        data_path.parent / "incomplete.ABCDEF_1.0.1",
        data_path.parent / "incomplete.ABCDEF_11.0.0",
        data_path.parent / "1.0.1",
        data_path.parent.parent / "dogs" / "incomplete.ABCDEF_1.0.0",
        data_path.parent.parent / "incomplete.ABCDEF_1.0.0",
    ]
    for folder in (*of_others, data_path.parent / "incomplete.ABCDEF_1.0.0"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("")
    (data_path.parent / ".1.0.0.lock").write_text("")
    return of_others


def test_what_a_stopped_build_left_is_removed(data_path):
    """Leftovers of other versions and other datasets aren't."""
    of_others = make_leftovers(data_path)
    with unfinished.only_build(data_path):
        assert unfinished.unfinished(data_path) == []
    assert all((folder / "file").exists() for folder in of_others)
    assert names(data_path.parent) == [
        "1.0.1",
        "incomplete.ABCDEF_1.0.1",
        "incomplete.ABCDEF_11.0.0",
    ]


def test_leftovers_beside_a_dataset(data_path):
    """A build that finds its dataset removes them, too."""
    make_leftovers(data_path)
    data_path.mkdir()
    unfinished.remove_if_unused(data_path)
    assert names(data_path.parent) == [
        "1.0.0",
        "1.0.1",
        "incomplete.ABCDEF_1.0.1",
        "incomplete.ABCDEF_11.0.0",
    ]


def test_leftovers_of_a_build_at_work(data_path):
    """They are no leftovers."""
    with unfinished.only_build(data_path):
        work = data_path.parent / "incomplete.ABCDEF_1.0.0"
        work.mkdir()
        before = names(data_path.parent)
        unfinished.remove_if_unused(data_path)
        assert names(data_path.parent) == before


def test_the_place_on_this_machine(data_path, tmp_path, monkeypatch):
    """It is that of a local dataset, or below the temporary directory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert unfinished.local_path(data_path) == data_path
    paths = {
        unfinished.local_path(epath.Path(path))
        for path in ("s3://b/pets/1.0.0", "s3://b/cats/1.0.0", "s3://b/pets/1.0.1")
    }
    assert len(paths) == 3
    for path in paths:
        assert path.parent.parent == epath.Path(tmp_path)
        with unfinished.only_build(path), unfinished.working_folder(path) as left:
            left.mkdir()
            (left / "converted").touch()
        assert list(tmp_path.iterdir()) == []
        # Like a build that was killed.
        unfinished.new_unfinished(path).mkdir(parents=True)
        with unfinished.only_build(path):
            assert unfinished.unfinished(path) == []
        path.parent.rmdir()


def test_tfds_knows_unfinished_files_by_their_names(tmp_path):
    """It removes leftover ones."""
    path = tmp_path / "image_csv-train.tfrecord-00000-of-00001"
    with files.renamed_when_complete(str(path)) as temporary:
        assert py_utils.is_incomplete_file(epath.Path(temporary))
        assert pathlib.Path(temporary).parent == tmp_path
        pathlib.Path(temporary).touch()
    assert list(tmp_path.iterdir()) == [path]
    with contextlib.suppress(ZeroDivisionError), files.new_file(f"{path}2") as file:
        file.write(b"some" + bytes(1 // 0))
    assert list(tmp_path.iterdir()) == [path]


def test_no_leftovers(data_path):
    """It does nothing: readers need no right to write."""
    data_path.mkdir(parents=True)
    before = data_path.parent.stat().mtime
    unfinished.remove_if_unused(data_path)
    assert data_path.parent.stat().mtime == before
    assert names(data_path.parent) == ["1.0.0"]


# A process that builds until it is told to end.
HOLDER = """
import sys
from etils import epath
from tfds_imagecsv.storage import files, unfinished
data_path = epath.Path(sys.argv[1])
with unfinished.only_build(data_path):
    print("locked", flush=True)
    sys.stdin.read()
    (data_path.parent / "done").write_text("")
"""


@contextlib.contextmanager
def holder(data_path):
    """Another process that has the lock, until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_build_waits_for_another_process(data_path, monkeypatch):
    """It says so, and goes on when the other one has ended."""
    messages = []
    with holder(data_path) as process:

        def warning(message, *args):
            messages.append(message % args)
            process.stdin.close()

        monkeypatch.setattr(unfinished.logging, "warning", warning)
        with unfinished.only_build(data_path):
            assert messages == [f"Waiting for another build of {data_path.parent}"]
            assert names(data_path.parent) == [".1.0.0.lock", "done"]
    assert names(data_path.parent) == ["done"]


def test_a_process_that_is_killed_has_no_lock(data_path, monkeypatch):
    """Its lock file may stay, but nobody waits for it."""
    with holder(data_path) as process:
        process.kill()
        process.wait()
        assert names(data_path.parent) == [".1.0.0.lock"]
        monkeypatch.setattr(unfinished.logging, "warning", pytest.fail)
        with unfinished.only_build(data_path):
            pass
    assert names(data_path.parent) == []


def test_many_builds_one_after_the_other(data_path):
    """No two have the lock at once, though each removes its file."""
    inside = []
    most = []

    def build():
        for _ in range(50):
            with unfinished.only_build(data_path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200


def test_a_file_in_the_place_of_the_data_directory(data_path):
    """The error is that of the system."""
    data_path.parent.parent.mkdir(parents=True)
    data_path.parent.write_text("")
    with pytest.raises(FileExistsError), unfinished.only_build(data_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(data_path, monkeypatch, number):
    """Builds go on, and remove nothing: it may belong to another build."""

    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    make_leftovers(data_path)
    monkeypatch.setattr(fcntl, "flock", flock)
    with unfinished.only_build(data_path):
        assert ".1.0.0.lock" not in names(data_path.parent)
        assert len(unfinished.unfinished(data_path)) == 1
    unfinished.remove_if_unused(data_path)
    assert len(unfinished.unfinished(data_path)) == 1


def test_a_remote_file_system():
    """It isn't touched."""
    data_path = epath.Path("gs://bucket/image_csv/pets/1.0.0")
    with unfinished.only_build(data_path), unfinished.kept_unless_replaced(data_path):
        pass


def test_a_dataset_is_set_aside(data_path):
    """Until the new one is there, it has a name that the next build removes."""
    data_path.mkdir(parents=True)
    (data_path / "old").write_text("")
    with unfinished.kept_unless_replaced(data_path):
        assert not data_path.exists()
        (aside,) = unfinished.unfinished(data_path)
        assert names(aside) == ["old"]
        data_path.mkdir()
    assert names(data_path.parent) == ["1.0.0"]
    assert names(data_path) == []


def test_a_dataset_is_brought_back(data_path):
    """Unless another one has taken its place."""
    data_path.mkdir(parents=True)
    (data_path / "old").write_text("")
    with pytest.raises(LookupError), unfinished.kept_unless_replaced(data_path):
        raise LookupError
    assert names(data_path.parent) == ["1.0.0"]
    assert names(data_path) == ["old"]


def test_no_dataset_to_set_aside(data_path):
    """It does nothing."""
    with unfinished.kept_unless_replaced(data_path):
        assert not data_path.parent.exists()


# Builds in processes of their own.


class Server:
    """A process that builds; see its script.

    Args:
      command: what runs it, if it isn't run directly.
    """

    def __init__(self, *command):
        self._process = subprocess.Popen(
            [*command, sys.executable, SERVER],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, *jobs):
        """Does jobs at once, and returns their outcomes."""
        print(json.dumps(jobs), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def seen(self, path):
        """Returns how this process reaches a path of the server's file systems."""
        return pathlib.Path(f"/proc/{self._process.pid}/root{path}")

    def stop(self):
        """Ends it."""
        self._process.communicate()


@pytest.fixture(scope="module")
def server():
    """A server."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_png, write_csv):
    """A directory with 320 images, a fifth of them to convert; and space."""
    root = tmp_path_factory.mktemp("root")
    rows = []
    for at in range(320):
        name = f"{at:03}.{'png' if at % 5 else 'webp'}"
        rows.append((name, ("cat", "dog")[at % 2]))
        write_png(root / "images" / name, width=30, height=20 + at % 13)
        if name.endswith("webp"):
            with Image.open(root / "images" / name) as image:
                image.save(root / "images" / name, "WEBP", lossless=True)
    write_csv(root / "labels.csv", rows)
    return root


@pytest.fixture
def make_job(root, data_dir):
    """Returns a function that makes a job for a server, with these keywords."""

    def make(*, seed=0, **kwargs):
        fields = {
            "name": "pets",
            "image_dir": str(root / "images"),
            "label_csv": str(root / "labels.csv"),
            "seed": seed,
        }
        # Both directories are below `/tmp`; nothing else there is touched.
        above = os.path.commonpath([root, data_dir])
        return {"fields": fields, "root": above, "data_dir": str(data_dir), **kwargs}

    return make


def digests(data_dir):
    """Returns the digests of all files below the directory of a dataset's builder."""
    folder = pathlib.Path(data_dir) / "image_csv"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(server, root, tmp_path_factory):
    """The digests of whole datasets, by seed."""
    found = {}
    for seed in (0, 1):
        data_dir = tmp_path_factory.mktemp("whole")
        fields = {"name": "pets", "image_dir": str(root / "images"), "seed": seed}
        fields["label_csv"] = str(root / "labels.csv")
        job = {"fields": fields, "root": str(root), "data_dir": str(data_dir)}
        (outcome,) = server(job)
        assert outcome["error"] is None
        found[seed] = digests(data_dir)
    assert found[0] != found[1]
    return found


def of_dataset(found):
    """Returns the digests of the dataset's files, by name; None if there is none."""
    start = "pets/1.0.0/"
    return {
        name.removeprefix(start): digest
        for name, digest in found.items()
        if name.startswith(start)
    } or None


def test_a_build_that_finds_another_at_work(server, make_job, data_dir, whole):
    """It waits, and then uses the dataset of the other one."""
    first, second = server(make_job(wait=True), make_job())
    assert first["error"] is second["error"] is None
    assert digests(data_dir) == whole[0]
    sizes = {"train": 256, "validation": 32, "test": 32}
    assert first["splits"] == second["splits"] == sizes


def test_a_build_that_finds_one_of_another_config_at_work(
    server, make_job, data_dir, whole
):
    """It waits, and then says that the dataset isn't the one it was to build."""
    first, second = server(make_job(wait=True), make_job(seed=1))
    assert first["error"] is None
    assert digests(data_dir) == whole[0]
    assert second["error"] == (
        f"StaleDatasetError: {data_dir}/image_csv/pets/1.0.0: the config or the sources"
        " of this dataset have changed since it was built:\n"
        "  seed: was 0, is 1\n"
        'Give the config another version, such as version="1.0.1", to keep both'
        " datasets. Or build it anew with --overwrite (in Python: DownloadConfig("
        "download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS))."
    )


def test_another_build_that_overwrites(server, make_job, data_dir, whole):
    """The dataset of the last one stays, and nothing of the first."""
    outcomes = server(
        make_job(wait=True, helpers=True),
        make_job(seed=1, overwrite=True, helpers=True),
    )
    assert [outcome["error"] for outcome in outcomes] == [None, None]
    assert digests(data_dir) == whole[1]


def sizes_of_files(found, data_dir):
    """Returns the sizes of a dataset's existing files, by name."""
    folder = pathlib.Path(data_dir) / "image_csv" / "pets" / "1.0.0"
    return {name: (folder / name).stat().st_size for name in of_dataset(found)}


@pytest.mark.parametrize("helpers", [False, True])
def test_no_reader_sees_an_unfinished_dataset(
    server, make_job, data_dir, whole, helpers
):
    """Before each file operation of a build, and of one that overwrites."""
    (built,) = server(make_job(helpers=helpers))
    old = sizes_of_files(whole[0], data_dir)
    assert built["states"][0] is None
    assert all(state in (None, old) for state in built["states"])
    (rebuilt,) = server(make_job(seed=1, overwrite=True, helpers=helpers))
    new = sizes_of_files(whole[1], data_dir)
    assert old != new
    assert rebuilt["states"][0] == old
    assert rebuilt["states"][-1] == new
    assert all(state in (None, old, new) for state in rebuilt["states"])
    assert digests(data_dir) == whole[1]


@pytest.mark.parametrize(
    ("name", "moments"),
    [("alone", 6), ("with_helpers", 6), ("overwriting", 4), ("array_record", 4)],
)
def test_killed_at_random_moments(server, make_job, data_dir, whole, name, moments):
    """The dataset is whole or not there, and the next build has the right digests."""
    job = make_job(
        helpers=name != "alone",
        overwrite=name == "overwriting",
        file_format="array_record" if name == "array_record" else "tfrecord",
    )
    (outcome,) = server({**job, "data_dir": f"{data_dir}-whole"})
    assert outcome["error"] is None
    right = digests(f"{data_dir}-whole")
    # The digests of the dataset before the build.
    before = whole[1] if name == "overwriting" else {}
    killed = 0
    # Most of the time, nothing is written yet; one case covers this.
    first = 1 if name == "alone" else outcome["first_change"]
    possible = range(first, outcome["operations"])
    for moment in random.Random(name).sample(possible, moments):
        if before:
            (made,) = server(make_job(seed=1))
            assert made["error"] is None
        (outcome,) = server({**job, "kill_at": moment})
        killed += outcome["killed"]
        found = of_dataset(digests(data_dir))
        assert found in (None, of_dataset(before), of_dataset(right))
        is_prepared = tfds.core.utils.file_utils.is_valid_variant_dir(
            epath.Path(data_dir / "image_csv" / "pets" / "1.0.0")
        )
        assert is_prepared == (found is not None)
        (again,) = server(job)
        assert again["error"] is None
        assert digests(data_dir) == right
        shutil.rmtree(data_dir)
    # Other processes may have done the step at which this one was to be killed.
    assert killed >= moments // 2


def test_killed_when_the_dataset_is_replaced(server, make_job, data_dir, whole):
    """Even a build that has nothing to do removes the old one that was set aside."""
    server(make_job(seed=1))
    (outcome,) = server(make_job(overwrite=True, kill_at="replaced"))
    assert outcome["killed"]
    found = digests(data_dir)
    assert of_dataset(found) == of_dataset(whole[0])
    assert len(found) > len(whole[0])
    (again,) = server(make_job())
    assert again["error"] is None
    assert digests(data_dir) == whole[0]


def test_killed_with_beam(server, make_job, data_dir, whole):
    """The next build removes the work that was meant for Beam's workers."""
    (outcome,) = server(make_job(beam_runner="DirectRunner", kill_at=300))
    assert outcome["killed"]
    assert any(name.endswith("chunks.arrow") for name in digests(data_dir))
    (again,) = server(make_job())
    assert again["error"] is None
    assert digests(data_dir) == whole[0]


# Room for the dataset, and for what Beam's workers read and write.
DISK = "3m"
MOUNT = f'mount -t tmpfs -o size={DISK} tmpfs "$0" && exec "$@"'


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A directory that is a small disk for `small_server`, and empty for others."""
    return tmp_path_factory.mktemp("small_disk")


@pytest.fixture(scope="module")
def small_server(small_disk):
    """A server with a file system of its own, for which it must be privileged."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        mounted = [*command, "sh", "-c", MOUNT, str(small_disk)]
        tried = subprocess.run([*mounted, "true"], check=False, capture_output=True)
        if tried.returncode == 0:
            server = Server(*mounted)
            yield server
            server.stop()
            return
    pytest.skip("no file system can be mounted here")


@pytest.fixture
def disk(small_server, small_disk):
    """The small disk as this process reaches it; a failed test leaves nothing."""
    found = small_server.seen(small_disk)
    yield found
    shutil.rmtree(found / "data", ignore_errors=True)
    (found / "ballast").unlink(missing_ok=True)


def fill(disk, *, left):
    """Fills a disk up to some bytes; returns the file that fills it."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    ballast.write_bytes(b"x" * (status.f_bavail * status.f_frsize - left))
    return ballast


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"helpers": True},
        {"file_format": "array_record"},
        {"beam_runner": "DirectRunner"},
    ],
)
def test_a_full_disk(
    small_server, small_disk, disk, server, make_job, data_dir, kwargs
):
    """A build leaves nothing of the dataset, and says why; with room, it works."""
    (outcome,) = server(make_job(file_format=kwargs.get("file_format", "tfrecord")))
    assert outcome["error"] is None
    right = digests(data_dir)
    job = {**make_job(**kwargs), "data_dir": str(small_disk / "data")}
    message = (
        f"StorageError: data_dir {small_disk}/data: {{}} while the dataset was written."
        " Nothing of it was kept. Make room, or choose another data_dir."
    )
    full = "No space left on device"
    # More than Beam's workers write when they inspect, less than the dataset.
    left = 1_000_000 if "beam_runner" in kwargs else 350_000

    ballast = fill(disk, left=left)
    (outcome,) = small_server(job)
    assert outcome["error"] == message.format(full)
    assert names(disk / "data" / "image_csv") in ([".config"], None)

    ballast.unlink()
    ballast = fill(disk, left=60_000)
    (outcome,) = small_server(job)
    start, _, end = outcome["error"].partition(f": {full} ")
    assert start.startswith(
        f"StorageError: {small_disk}/data/image_csv/pets/incomplete"
    )
    assert end == (
        "while images were converted. They take up room twice during a build: here,"
        " and in the dataset. Make room, or choose another data_dir, or another TMPDIR"
        " if data_dir is remote."
    )
    assert names(disk / "data" / "image_csv") in ([".config"], None)

    ballast.unlink()
    (outcome,) = small_server(job)
    assert outcome["error"] is None
    assert digests(disk / "data") == right

    ballast = fill(disk, left=left)
    (outcome,) = small_server({**job, "overwrite": True})
    # TFDS knows how large the dataset was; Beam's workers write before it checks.
    reasons = ["Not enough disk space", *([full] if "beam_runner" in kwargs else [])]
    assert outcome["error"] in map(message.format, reasons)
    assert digests(disk / "data") == right


@pytest.mark.parametrize("helpers", [False, True])
def test_files_that_must_not_grow(server, make_job, data_dir, whole, helpers):
    """The same law where no disk can be mounted: the system limits files."""
    (outcome,) = server(make_job(helpers=helpers, file_limit=100_000))
    assert outcome["error"] == (
        f"StorageError: data_dir {data_dir}: File too large while the dataset was"
        " written. Nothing of it was kept. Make room, or choose another data_dir."
    )
    assert names(data_dir / "image_csv") == [".config"]
    (outcome,) = server(make_job(seed=1))
    assert outcome["error"] is None
    job = make_job(helpers=helpers, file_limit=100_000, overwrite=True)
    (outcome,) = server(job)
    assert outcome["error"].startswith("StorageError: ")
    assert digests(data_dir) == whole[1]
    (outcome,) = server(make_job(helpers=helpers, overwrite=True))
    assert outcome["error"] is None
    assert digests(data_dir) == whole[0]
