"""What the tests share: small datasets, views of a directory, and no network."""

import csv
import hashlib
import pathlib
import socket

import hypothesis
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import tfds_imagecsv
from tfds_imagecsv.engines import local

# A slow machine is no failure.
hypothesis.settings.register_profile("any_machine", deadline=None)
hypothesis.settings.load_profile("any_machine")

TESTS = pathlib.Path(__file__).parent

# What `pytest -m "not slow"` leaves out: commands in new processes, clusters, servers,
# the README's commands, the laws that take many datasets or plans to show, and what is
# compared with a library that takes long.
SLOW = (
    "dataset/info_test.py",
    "end_to_end",
    "engines/engines_test.py",
    "images/quality_test.py",
    "laws/box_frames_test.py",
    "laws/conversions_matrix_test.py",
    "laws/damage_test.py",
    "laws/oracle_test.py",
    "make_dummy_data_test.py",
    "processes_test.py",
    "reading",
    "readme_test.py",
    "reports/browser_test.py",
    "sources/sources_test.py::test_a_build_from_an_archive",
    "sources/sources_test.py::test_a_check_and_then_a_build",
    "splits/balance_test.py",
    "storage/unfinished_test.py",
    "tfds_imagecsv_dataset_builder_test.py",
)

# Where the longest tests are. Those of a file stay together, as they share datasets.
LONGEST = (
    "readme_test.py::test_the_commands_and_the_code_run",
    "end_to_end/digits_test.py",
    "end_to_end/beam_test.py",
    "reading/keras_test.py",
    "storage/unfinished_test.py",
    "end_to_end/tfds_build_test.py",
    "end_to_end/registration_test.py",
    "end_to_end/s3_test.py",
    "laws/conversions_matrix_test.py",
)

# By number: a name is looked up at another machine.
LOOPBACK = ("127.0.0.1", "::1")


def places_of(item):
    """Returns where a test is: itself, its file, and the folders of that."""
    name = getattr(item, "originalname", item.name)
    return (f"{item.path}::{name}", *map(str, (item.path, *item.path.parents)))


def pytest_collection_modifyitems(items):
    """Marks the slow tests, and runs the longest first, so that no core idles."""
    ranks = {str(TESTS / place): rank for rank, place in enumerate(LONGEST)}
    slow = {str(TESTS / place) for place in SLOW}

    def order(item):
        rank = min(ranks.get(place, len(ranks)) for place in places_of(item))
        return rank, item.get_closest_marker("slow") is None

    for item in items:
        if not slow.isdisjoint(places_of(item)):
            item.add_marker("slow")
    items.sort(key=order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Lets an idle core take tests that another one has still to run.

    Else one core has the first quarter of them from the beginning: the slow ones.
    """
    import xdist.scheduler

    return xdist.scheduler.WorkStealingScheduling(config, log)


@pytest.fixture(autouse=True, scope="session")
def refuse_network():
    """Makes each attempt to reach another machine fail; servers of tests are here."""

    def loopback_only(original, address_of):
        def call(*args, **kwargs):
            address = address_of(*args, **kwargs)
            if address not in LOOPBACK:
                raise AssertionError(f"a test must not use the network: {address}")
            return original(*args, **kwargs)

        return call

    def peer(sock, address):
        # Unix sockets stay on this machine.
        is_local = sock.family == getattr(socket, "AF_UNIX", None)
        return LOOPBACK[0] if is_local else address[0]

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            guarded = loopback_only(getattr(socket.socket, name), peer)
            patch.setattr(socket.socket, name, guarded)
        guarded = loopback_only(socket.getaddrinfo, lambda host, *_, **__: host)
        patch.setattr(socket, "getaddrinfo", guarded)
        yield


def set_patience(patch, seconds):
    """Sets from which work on builds and checks of this process start others."""
    defaults = local.LocalEngine.__init__.__kwdefaults__
    patch.setitem(defaults, "patience", seconds)


@pytest.fixture(autouse=True, scope="session")
def few_processes():
    """Lets no build here start others for its images: how many depended on the load.

    Tests of what others do ask for `many_processes`; commands in new processes aren't
    affected.
    """
    with pytest.MonkeyPatch.context() as patch:
        set_patience(patch, 1000)
        yield


@pytest.fixture
def many_processes(monkeypatch):
    """Lets builds and checks here start other processes even for little work."""
    set_patience(monkeypatch, 0)


@pytest.fixture(scope="session")
def write_png():
    """Returns a function that writes a PNG whose pixels depend on its path and seed."""

    def write(path, *, width=5, height=4, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = hashlib.shake_128(f"{path.name} {seed}".encode())
        size = (width, height)
        image = Image.frombytes("RGB", size, pixels.digest(width * height * 3))
        image.save(path, "PNG")

    return write


@pytest.fixture(scope="session")
def write_csv():
    """Returns a function that writes a CSV of rows below a header."""

    def write(path, rows, *, header=("filename", "label")):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    return write


@pytest.fixture
def make_dataset(tmp_path, write_png, write_csv):
    """Returns a function that writes images and their CSV, and returns a config.

    The images are in `tmp_path/images`, of 5x4 pixels, and all different; the CSV is
    `tmp_path/labels.csv`. By default there are 10 images of each of two classes. More
    fields of the config are given as keywords.
    """

    def make(rows=None, **fields):
        if rows is None:
            rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(20)]
        image_dir, label_csv = tmp_path / "images", tmp_path / "labels.csv"
        image_dir.mkdir(exist_ok=True)
        for filename, _ in rows:
            write_png(image_dir / filename)
        write_csv(label_csv, rows)
        values = {"name": "pets", "image_dir": image_dir, "label_csv": label_csv}
        return tfds_imagecsv.ImageCsvConfig(**{**values, **fields})

    return make


@pytest.fixture
def data_dir(tmp_path):
    """A data directory that isn't there yet."""
    return tmp_path / "data"


@pytest.fixture
def make_builder(data_dir):
    """Returns a function that makes the builder of a config, or of a config's name."""

    def make(config, **kwargs):
        kwargs = {"data_dir": data_dir, **kwargs}
        return tfds.builder("image_csv", config=config, **kwargs)

    return make


@pytest.fixture(scope="session")
def list_tree():
    """Returns a function that lists all that is below a directory, with contents.

    The directory itself may be missing: then the list is None.
    """

    def list_tree(directory):
        if not directory.exists():
            return None
        return {
            str(path.relative_to(directory)): (
                # A build's lock is in a directory, for as long as it takes.
                path.stat().st_mtime_ns if path.is_file() else None,
                path.read_bytes() if path.is_file() else None,
            )
            for path in sorted(directory.rglob("*"))
        }

    return list_tree
