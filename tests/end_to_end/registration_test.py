"""Datasets known by name, and model repositories that register them."""

import json
import os
import pathlib
import pickle
import runpy
import subprocess
import sys
import warnings

import processes
import pytest
import readme
import readme_home
import tensorflow_datasets as tfds

import tfds_imagecsv
from tfds_imagecsv import tfds_private
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.dataset import registration
from tfds_imagecsv.tfds_imagecsv_dataset_builder import ImageCsv


@pytest.fixture(autouse=True)
def registry():
    """Forgets the registrations of a test after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registration, "_registry", registration._Registry())
        configs = [*registration.CONFIGS]
        patch.setattr(registration, "CONFIGS", configs)
        patch.setattr(ImageCsv, "BUILDER_CONFIGS", configs)
        tfds_private.forget_builder_configs()
        yield
    tfds_private.forget_builder_configs()


def make_config(name="pets", **fields):
    """Returns a config of a dataset that doesn't exist."""
    values = {"image_dir": "/pets/images", "label_csv": "/pets/labels.csv", **fields}
    return ImageCsvConfig(name=name, **values)


def message_of(function, *args, **kwargs):
    """Returns the message of the error that a call raises."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def registered():
    """Returns the configs that TFDS knows besides the built-in one, by name."""
    configs = dict(ImageCsv.builder_configs)
    assert list(configs.values()) == ImageCsv.BUILDER_CONFIGS
    del configs["cifar10"]
    return configs


CALL = """
from tfds_imagecsv import ImageCsvConfig, register

paths = {"image_dir": "/pets/images", "label_csv": "/pets/labels.csv"}
register(
    ImageCsvConfig(name="pets", **paths, seed=%d),
    ImageCsvConfig(name="dogs", **paths),
)
"""


@pytest.fixture
def run_module(tmp_path):
    """Returns a function that writes a module, runs it, and returns its path."""

    def run_module(name, code):
        path = tmp_path / name
        path.write_text(code)
        runpy.run_path(str(path))
        return path

    return run_module


# By a call


def test_a_registered_name_is_known_to_tfds(make_dataset, data_dir):
    """Even if TFDS has looked at all names before."""
    assert list(ImageCsv.builder_configs) == ["cifar10"]
    config = make_dataset(seed=3)
    tfds_imagecsv.register(config)
    builder = tfds.builder("image_csv/pets", data_dir=data_dir)
    assert builder.builder_config is config
    train, info = tfds.load(
        "image_csv/pets", split="train", data_dir=data_dir, with_info=True
    )
    assert len(train) == 16
    assert info.full_name == "image_csv/pets/1.0.0"
    assert info.metadata["seed"] == 3
    # As needed by `tfds build --config='{...}'`.
    assert ImageCsv.builder_config_cls is ImageCsvConfig


@pytest.mark.parametrize("name", ["pets", "pets:1.0.0"])
def test_names_with_and_without_a_version(name, data_dir):
    """The version is that of the class, as the config has none."""
    config = make_config()
    tfds_imagecsv.register(config)
    assert ImageCsv(config=name, data_dir=data_dir).builder_config is config


def test_the_same_again(run_module):
    """A module may run twice, or repeat a file's dataset; the first one counts."""
    run_module("a.py", CALL % 0)
    first = registered()
    assert list(first) == ["pets", "dogs"]
    run_module("a.py", CALL % 0)
    tfds_imagecsv.register(make_config(), first["dogs"])
    assert registered() == first
    assert registration._registry.registered["pets"].config is first["pets"]


def test_another_config_of_the_same_name(run_module):
    """The message has both places and the difference; nothing is registered."""
    first = run_module("a.py", CALL % 0)
    before = registered()
    changed = CALL % 1
    changed = changed.replace('"dogs"', '"birds"')
    message = message_of(run_module, "b.py", changed)
    second = first.with_name("b.py")
    assert message == (
        f"{second}, line 5: name: image_csv/pets is registered already by {first}, line"
        " 5, with other values:\n"
        "  seed: 0 there, 1 here\n"
        "Choose another name for one of them."
    )
    assert registered() == before


def test_a_number_of_images_is_no_fraction():
    """1 is one image, 1.0 is all. The version may have either type."""
    tfds_imagecsv.register(make_config(test_size=1, val_size=0.0, version="1.1.0"))
    version = tfds.core.Version("1.1.0")
    place = registration._registry.registered["pets"].place
    tfds_imagecsv.register(make_config(test_size=1, val_size=0.0, version=version))
    message = message_of(
        registration._register, [("x", make_config(test_size=1.0, val_size=0.0))]
    )
    assert message == (
        f"x: name: image_csv/pets is registered already by {place}, with other"
        " values:\n"
        "  version: '1.1.0' there, None here\n"
        "  test_size: 1 there, 1.0 here\n"
        "Choose another name for one of them."
    )


class OtherConfig(ImageCsvConfig):
    """A config of another class, which TFDS couldn't make for `--config`."""


def test_all_that_can_not_be_registered():
    """The message says all of it at once; nothing is registered."""
    other = OtherConfig(name="other", image_dir="i", label_csv="l")
    configs = [make_config(), make_config("cifar10"), {"name": "dogs"}, other]
    configs += [make_config("birds"), make_config("birds", seed=1)]
    message = message_of(tfds_imagecsv.register, *configs)
    place = f"{__file__}, line {message_of.__code__.co_firstlineno + 3}"
    assert message == (
        f"{place}: name: image_csv/cifar10 is a built-in dataset. Choose another"
        " name.\n"
        f"{place}: an ImageCsvConfig must be given, got dict\n"
        f"{place}: an ImageCsvConfig must be given, got OtherConfig\n"
        f"{place}: name: image_csv/birds is registered already by {place}, with other"
        " values:\n  seed: 0 there, 1 here\nChoose another name for one of them."
    )
    assert registered() == {}


# Looking for names


def test_config_objects_of_a_registered_name(run_module, data_dir):
    """An equal one stands for the registered one; a different one is refused."""
    path = run_module("a.py", CALL % 0)
    known = registered()["pets"]
    for config in (known, make_config()):
        assert ImageCsv(config=config, data_dir=data_dir).builder_config is known
    other = make_config(seed=1, channels=1)
    assert message_of(ImageCsv, config=other, data_dir=data_dir) == (
        f"name: image_csv/pets is registered by {path}, line 5, with other values:\n"
        "  seed: 0 there, 1 here\n"
        "  channels: 3 there, 1 here\n"
        "Choose another name."
    )


TO_REGISTER = """\
To register it, call tfds_imagecsv.register(ImageCsvConfig(name='{name}', ...)) in a \
module that is imported (`tfds build --imports=MODULE`), or write a table [{key}] into \
a TOML file that the environment variable TFDS_IMAGECSV_TOML names.
To build it without that: tfds build image_csv --imports=tfds_imagecsv \
--config='{{"name": "{name}", "image_dir": "DIR", "label_csv": "FILE"}}'"""


@pytest.mark.parametrize(
    ("name", "hint", "key"),
    [
        ("pest", " Did you mean image_csv/pets?", "pest"),
        ("x_1.5", "", '"x_1.5"'),
        ("cifar", " Did you mean image_csv/cifar10?", "cifar"),
    ],
)
def test_a_name_that_is_not_known(run_module, data_dir, name, hint, key):
    """The message has the closest, all known ones, and how to register one."""
    path = run_module("a.py", CALL % 0)
    expected = (
        f"There is no dataset image_csv/{name}.{hint}\n"
        "These are known:\n"
        "  image_csv/cifar10: built in\n"
        f"  image_csv/dogs: {path}, line 5\n"
        f"  image_csv/pets: {path}, line 5\n" + TO_REGISTER.format(name=name, key=key)
    )
    assert message_of(ImageCsv, config=name, data_dir=data_dir) == expected
    prefix, _, message = message_of(
        tfds.load, f"image_csv/{name}", data_dir=data_dir
    ).partition(": There")
    assert prefix.startswith('Failed to construct dataset "image_csv"')
    assert "There" + message == expected
    assert not data_dir.exists()


def test_a_builder_of_a_name_can_be_pickled(data_dir):
    """Restoring it needs no registration."""
    tfds_imagecsv.register(make_config(seed=7))
    pickled = pickle.dumps(ImageCsv(config="pets", data_dir=data_dir))
    code = """
import pickle, sys
builder = pickle.load(sys.stdin.buffer)
print(builder.info.full_name, builder.builder_config.seed, len(builder.BUILDER_CONFIGS))
"""
    process = subprocess.run(
        [sys.executable, "-c", code], input=pickled, check=True, capture_output=True
    )
    assert process.stdout == b"image_csv/pets/1.0.0 7 1\n"


# By a TOML file


@pytest.fixture
def write_toml(tmp_path):
    """Returns a function that writes a TOML file, and returns its path."""

    def write_toml(text, name="image_csv.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_toml


TABLE = """
[pets]
image_dir = "images"
label_csv = "labels.csv"
"""


def test_the_fields_of_a_table(write_toml):
    """They are those of the config, in TOML's types; a table's name may have a dot."""
    path = write_toml("""
[pets]
image_dir = "images"
label_csv = "labels.csv"
classes = ["dog", "cat"]
resize = [32, 48]
apply_exif = false
test_size = 5
version = "1.1.0"

[pets.release_notes]
"1.1.0" = "More dogs."

["pets-2.5"]
image_dir = "more images"
label_csv = "../labels.csv"
""")
    tfds_imagecsv.register_toml(path)
    folder = path.parent
    first, second = registered().values()
    expected = make_config(
        image_dir=f"{folder}/images",
        label_csv=f"{folder}/labels.csv",
        classes=["dog", "cat"],
        resize=[32, 48],
        apply_exif=False,
        test_size=5,
        version="1.1.0",
        release_notes={"1.1.0": "More dogs."},
    )
    assert vars(first) == vars(expected)
    assert second.name == "pets-2.5"
    assert second.image_dir == f"{folder}/more images"
    assert second.label_csv == f"{folder}/../labels.csv"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("images", "{folder}/images"),
        ("./images/", "{folder}/images"),
        ("../images", "{folder}/../images"),
        ("/pets/images", "/pets/images"),
        ("~/pets", "~/pets"),
        ("~ann/pets", "~ann/pets"),
        ("gs://bucket/pets", "gs://bucket/pets"),
        ("https://example.org/pets.zip", "https://example.org/pets.zip"),
    ],
)
def test_paths_of_a_table(write_toml, path, expected):
    """Relative ones are relative to the file, in all fields with paths."""
    fields = ("image_dir", "label_csv", "pinned_splits")
    file = write_toml("[a]\n" + "".join(f'{name} = "{path}"\n' for name in fields))
    tfds_imagecsv.register_toml(file)
    config = registered()["a"]
    for name in fields:
        assert getattr(config, name) == expected.format(folder=file.parent)


def test_where_a_file_is(write_toml, tmp_path, monkeypatch):
    """Relative to the current folder at that time, or to the home directory."""
    path = write_toml(TABLE)
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for relative in (
        f"{tmp_path.name}/{path.name}",
        pathlib.Path("~") / tmp_path.name / path.name,
    ):
        tfds_imagecsv.register_toml(relative)
    assert registered()["pets"].image_dir == f"{tmp_path}/images"


def test_files_of_windows(write_toml):
    """A byte-order mark and Windows's line ends change nothing."""
    text = b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode()
    tfds_imagecsv.register_toml(write_toml(text))
    assert list(registered()) == ["pets"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read: No such file or directory."),
        (
            '[pets]\nimage_dir = "images"\nlabel_csv labels.csv',
            (
                "isn't TOML: Expected '=' after a key in a key/value pair (at line 3,"
                " column 11)."
            ),
        ),
        (
            b"[pets]\nimage_dir = 'caf\xe9'",
            "isn't UTF-8: invalid continuation byte at byte 23. Save it as UTF-8.",
        ),
        (
            "# nothing yet",
            (
                "there is no table. Write one for each dataset: its name in brackets,"
                " such as [pets], and the fields of its config below."
            ),
        ),
    ],
    ids=["missing", "no TOML", "no UTF-8", "empty"],
)
def test_files_that_can_not_be_used(write_toml, tmp_path, content, reason):
    """The message has the file, and the line if there is one."""
    path = tmp_path / "image_csv.toml"
    if content is not None:
        write_toml(content)
    assert message_of(tfds_imagecsv.register_toml, path) == f"{path}: {reason}"


def test_all_problems_of_a_file(write_toml, tmp_path):
    """The message has those of each table, in order; no table is registered."""
    first = tmp_path / "first.toml"
    first.write_text('[dogs]\nimage_dir = "i"\nlabel_csv = "l"\nseed = 4\n')
    tfds_imagecsv.register_toml(first)
    path = write_toml(
        """
seed = 1
label_csv = "labels.csv"
"""
        + TABLE
        + """
[cats]
image_dri = "images"

["a b"]
image_dir = "i"
label_csv = "l"

[birds]
name = "bird"
image_dir = "i"

[fish]
image_dir = " "
label_csv = 3

[[mice]]

[rats]

[dogs]
image_dir = "i"
label_csv = "l"

[cifar10]
image_dir = "train"
label_csv = "trainLabels.csv"
"""
    )
    before = registered()
    message = message_of(tfds_imagecsv.register_toml, path)
    fields = ", ".join(vars(before["dogs"]))
    assert message == (
        f"{path}, table [seed]: must be a table with the fields of a config, got 1\n"
        f"{path}, table [label_csv]: must be a table with the fields of a config, got"
        " 'labels.csv'\n"
        f"{path}, table [cats]: image_dri: there is no such field. Did you mean"
        f" 'image_dir'? The fields are: {fields}\n"
        f"{path}, table [\"a b\"]: name must be made of up to 100 letters, digits, '_',"
        " '-', '+' and '.', not begin with '.', and not look like a version, got"
        " 'a b'\n"
        f"{path}, table [birds]: name: the table's name is the dataset's. Leave out"
        " 'bird'.\n"
        f"{path}, table [fish]: image_dir must be a path, got ' '\n"
        f"{path}, table [mice]: must be a table with the fields of a config, got an"
        " array\n"
        f"{path}, table [rats]: image_dir: must be given\n"
        f"{path}, table [dogs]: name: image_csv/dogs is registered already by"
        f" {first}, table [dogs], with other values:\n"
        "  seed: 4 there, 0 here\n"
        "Choose another name for one of them.\n"
        f"{path}, table [cifar10]: name: image_csv/cifar10 is a built-in dataset."
        " Choose another name."
    )
    assert registered() == before


# By the environment variable


def test_files_of_the_environment(write_toml, monkeypatch):
    """There may be several, and nothing between two separators."""
    first = write_toml(TABLE, "a.toml")
    second = write_toml(TABLE.replace("pets", "dogs"), "b.toml")
    paths = os.pathsep.join([str(first), "", str(second), ""])
    monkeypatch.setenv("TFDS_IMAGECSV_TOML", paths)
    registration.register_installed()
    assert list(registered()) == ["pets", "dogs"]


def test_remote_files_of_the_environment():
    """Their colon is no separator."""
    paths = "gs://bucket/a.toml:/b.toml:s3://bucket/c.toml"
    assert registration._BETWEEN_PATHS.split(paths) == [
        "gs://bucket/a.toml",
        "/b.toml",
        "s3://bucket/c.toml",
    ]


def test_a_broken_file_of_the_environment(write_toml, monkeypatch, data_dir, tmp_path):
    """It is a warning at import, and named if a dataset isn't found."""
    good = write_toml(TABLE)
    missing = tmp_path / "none.toml"
    bad = write_toml("[dogs]\n[cats]", "bad.toml")
    paths = os.pathsep.join(map(str, [missing, bad, good]))
    monkeypatch.setenv("TFDS_IMAGECSV_TOML", paths)
    with pytest.warns(tfds_imagecsv.ImageCsvWarning) as warned:
        registration.register_installed()
    reasons = [
        (
            "the environment variable TFDS_IMAGECSV_TOML:"
            f" {missing}: can't be read: No such file or directory."
        ),
        (
            "the environment variable TFDS_IMAGECSV_TOML:"
            f" {bad}, table [dogs]: image_dir: must be given\n"
            f"{bad}, table [cats]: image_dir: must be given"
        ),
    ]
    assert [str(one.message) for one in warned] == [
        f"Not registered: {reason}" for reason in reasons
    ]
    assert message_of(ImageCsv, config="dogs", data_dir=data_dir) == (
        "There is no dataset image_csv/dogs.\n"
        "These are known:\n"
        "  image_csv/cifar10: built in\n"
        f"  image_csv/pets: {good}, table [pets]\n"
        "These could not be registered:\n"
        f"  {reasons[0]}\n"
        "  " + reasons[1].replace("\n", "\n  ") + "\n"
        "" + TO_REGISTER.format(name="dogs", key="dogs")
    )


# By entry points


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Returns a function that puts a package with entry points on the path.

    An installer leaves the same: the modules, and a folder with metadata. Modules are
    forgotten afterwards.
    """
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, entry_points, **modules):
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        lines = ["[tfds_imagecsv.datasets]", *entry_points]
        (metadata / "entry_points.txt").write_text("\n".join(lines))
        for module, code in modules.items():
            (tmp_path / f"{module}.py").write_text(code)
        return tmp_path

    yield install
    for module in set(sys.modules) - before:
        del sys.modules[module]


DATASETS = """
import tensorflow_datasets as tfds
import tfds_imagecsv

def make(name):
    return tfds_imagecsv.ImageCsvConfig(name=name, image_dir="/i", label_csv="/l")

def make_one():
    return make("one")

def make_two():
    return [make("one"), make("two")]

def register():
    tfds_imagecsv.register(make("one"))

ONE = make("one")
TWO = (make("one"), make("two"))
LIST = list(TWO)

class Collection:
    datasets = LIST

class MyPets(tfds_imagecsv.ImageCsv, skip_registration=True):
    BUILDER_CONFIGS = TWO
"""


@pytest.mark.parametrize(
    ("named", "names"),
    [
        ("registering", ["three"]),
        ("datasets:ONE", ["one"]),
        ("datasets:TWO", ["one", "two"]),
        ("datasets:LIST", ["one", "two"]),
        ("datasets:Collection.datasets", ["one", "two"]),
        ("datasets:make_one", ["one"]),
        ("datasets:make_two", ["one", "two"]),
        ("datasets:register", ["one"]),
        ("datasets:MyPets", []),
    ],
)
def test_what_an_entry_point_names(install, named, names):
    """A module, configs, a function, or a class, which TFDS itself registers."""
    registering = DATASETS + "\ntfds_imagecsv.register(make('three'))"
    entry_points = [f"pets = {named}"]
    install("my-model", entry_points, datasets=DATASETS, registering=registering)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registration.register_installed()
    assert list(registered()) == names


def test_places_of_entry_points(install, data_dir):
    """Configs that they name are from the package, others from their own places."""
    folder = install(
        "my-model",
        ["a = datasets:ONE", "b = datasets:TWO", "c = registering"],
        datasets=DATASETS,
        registering="from datasets import *\ntfds_imagecsv.register(make('three'))",
    )
    registration.register_installed()
    message = message_of(ImageCsv, config="1", data_dir=data_dir)
    assert message.splitlines()[2:-2] == [
        "  image_csv/cifar10: built in",
        "  image_csv/one: the package my-model (entry point a = datasets:ONE)",
        f"  image_csv/three: {folder}/registering.py, line 2",
        "  image_csv/two: the package my-model (entry point b = datasets:TWO)",
    ]


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        (
            "datasets:NONE",
            "AttributeError: module 'datasets' has no attribute 'NONE'",
        ),
        ("failing:divide", "ZeroDivisionError: division by zero"),
        ("failing:stop", "SystemExit: 2"),
        (
            "failing:misspell",
            "image_dir: must be given",
        ),
        ("failing:NUMBER", "an ImageCsvConfig must be given, got int"),
        ("failing:NAMES", "an ImageCsvConfig must be given, got str"),
        (
            "failing:CIFAR",
            "name: image_csv/cifar10 is a built-in dataset. Choose another name.",
        ),
        (
            "failing:OTHER",
            (
                "name: image_csv/one is registered already by the package a-model"
                " (entry point a = datasets:ONE), with other values:\n"
                "  image_dir: '/i' there, '/other' here\n"
                "Choose another name for one of them."
            ),
        ),
    ],
)
def test_a_broken_entry_point(install, named, reason, data_dir):
    """It is a warning with the package and the reason; others are registered."""
    failing = """
import dataclasses, sys
from datasets import *

def divide():
    return 1 / 0

def stop():
    sys.exit(2)

def misspell():
    return tfds_imagecsv.ImageCsvConfig(name="pets")

NUMBER = 1
NAMES = ["pets"]
CIFAR = make("cifar10")
OTHER = dataclasses.replace(ONE, image_dir="/other")
"""
    install("a-model", ["a = datasets:ONE"], datasets=DATASETS)
    install("b-model", [f"pets = {named}"], failing=failing)
    install("c-model", ["c = datasets:TWO"])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        registration.register_installed()
        # If their package is already imported, they wait for a name.
        message_of(ImageCsv, config="1", data_dir=data_dir)
    expected = f"the package b-model (entry point pets = {named}): {reason}"
    assert [str(one.message) for one in warned] == [f"Not registered: {expected}"]
    assert list(registered()) == ["one", "two"]
    message = message_of(ImageCsv, config="1", data_dir=data_dir)
    assert "  " + expected.replace("\n", "\n  ") in message


def run(*command, cwd, **env):
    """Runs a command as a user's shell does; returns its output."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env_of(**env),
        check=False,
        capture_output=True,
        text=True,
    )


def env_of(**env):
    """Returns an environment; `path` comes before the others of `PYTHONPATH`."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **env}
    path = [str(env.pop("path", "")), os.environ.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    env["PATH"] = processes.path()
    return {name: str(value) for name, value in env.items()}


def run_python(code, **kwargs):
    """Runs code in a new process, and returns what it prints; it must not warn."""
    process = run(sys.executable, "-c", code, **kwargs)
    assert process.returncode == 0, process.stderr
    assert "Not registered" not in process.stderr
    return process.stdout


LOOK_UP = """
import tensorflow_datasets as tfds
print(tfds.builder("image_csv/one", data_dir="data").info.full_name)
print(sorted(tfds.builder_cls("image_csv").builder_configs))
"""


def test_an_entry_point_of_a_module_that_is_being_imported(install):
    """The module imports this package, which can't yet see the module's datasets.

    They are looked up when somebody asks for a name.
    """
    folder = install("my-model", ["pets = datasets:LIST"], datasets=DATASETS)
    for first in ("datasets", "tfds_imagecsv"):
        output = run_python(f"import {first}{LOOK_UP}", cwd=folder, path=folder)
        assert output == "image_csv/one/1.0.0\n['cifar10', 'one', 'two']\n"


def test_a_broken_entry_point_of_a_module_that_is_being_imported(install):
    """The warning comes once, when somebody asks for a name."""
    folder = install("my-model", ["pets = datasets:NONE"], datasets=DATASETS)
    code = """
import warnings
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    import datasets
    datasets.register()
    print(len([one for one in warned if "registered" in str(one.message)]))
    for _ in range(2):
        datasets.tfds.builder("image_csv/one", data_dir="data")
print(*[one.message for one in warned if "registered" in str(one.message)], sep="\\n")
"""
    assert run_python(code, cwd=folder, path=folder) == (
        "0\nNot registered: the package my-model (entry point pets = datasets:NONE):"
        " AttributeError: module 'datasets' has no attribute 'NONE'\n"
    )


def test_what_is_broken_does_not_stop_the_import(install):
    """Modules that only some need aren't imported."""
    folder = install("my-model", ["pets = datasets:NONE"], datasets="import nothing")
    # Coverage of new processes may have imported it.
    code = (
        "import sys; before = set(sys.modules); import tfds_imagecsv;"
        " print('tomllib' in sys.modules.keys() - before)"
    )
    process = run(sys.executable, "-c", code, cwd=folder, path=folder)
    assert process.stdout == "False\n"
    assert (
        "ImageCsvWarning: Not registered: the package my-model (entry point pets ="
        " datasets:NONE): ModuleNotFoundError: No module named 'nothing'\n"
    ) in process.stderr


# As a user's own class

OWN = """
import tensorflow_datasets as tfds
import tfds_imagecsv

class {name}(tfds_imagecsv.ImageCsv):
    BUILDER_CONFIGS = [
        tfds_imagecsv.ImageCsvConfig(name=name, image_dir="i", label_csv="l")
        for name in ("full", "small")
    ]

class {name}Again(tfds_imagecsv.ImageCsv):
    pass
"""

MANUAL_DIR = """\
A relative image_dir or label_csv is looked up in the manual directory
(`tfds build --manual_dir=DIR`, or `DownloadConfig(manual_dir=DIR)`).
"""


@pytest.fixture
def own(install, tmp_path):
    """A module with a user's own classes, in a package with a README."""
    package = tmp_path / "kennel"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "README.md").write_text("Many dogs.")
    (package / "dogs.py").write_text(OWN.format(name="Dogs"))
    import kennel.dogs

    yield kennel.dogs
    for name in ("dogs", "dogs_again"):
        del tfds.core.registered._DATASET_REGISTRY[name]


def test_a_dataset_of_its_own(own, data_dir, tmp_path):
    """Its default is its first config; its texts are its own, even after ours."""
    ours = ImageCsv(config="cifar10", data_dir=data_dir)
    assert ours.info.description.startswith("Images from a directory")
    builder = own.Dogs(data_dir=data_dir)
    assert builder.info.full_name == "dogs/full/1.0.0"
    assert builder.info.description == "Many dogs."
    assert builder.MANUAL_DOWNLOAD_INSTRUCTIONS == MANUAL_DIR
    reason = f"Manual directory {tmp_path} does not exist or is empty."
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=tmp_path / "none")
        )
    reason = f"Manual directory {tmp_path / 'none'} does not exist or is empty."
    assert str(caught.value) == (
        f"image_dir i: {reason}\nlabel_csv l: {reason}\n\n{MANUAL_DIR}"
    )


def test_names_of_a_dataset_of_its_own(own, data_dir):
    """They are its own: nothing is registered for it."""
    tfds_imagecsv.register(make_config("fulll"))
    assert message_of(own.Dogs, config="fulll", data_dir=data_dir) == (
        "There is no dataset dogs/fulll. Did you mean dogs/full?\n"
        "These are known:\n"
        "  dogs/full: built in\n"
        "  dogs/small: built in"
    )
    config = make_config("full")
    assert message_of(own.Dogs, config=config, data_dir=data_dir) == (
        "name: dogs/full is a built-in dataset. Choose another name."
    )
    assert own.Dogs(config=make_config("fulll"), data_dir=data_dir).name == "dogs"


def test_a_class_without_configs_of_its_own(own, data_dir):
    """It has ours; none of them is its user's, so none is the default."""
    builder = own.DogsAgain(data_dir=data_dir)
    message = message_of(builder.download_and_prepare)
    assert message == (
        "dogs_again needs a config: the name of a dataset (dogs_again/cifar10) or, for"
        " your own images, config=tfds_imagecsv.ImageCsvConfig(name=..., image_dir=...,"
        " label_csv=...)."
    )


def test_a_class_outside_of_a_package(tmp_path):
    """TFDS would fail to read the texts of its package; ours aren't about it."""
    (tmp_path / "dogs.py").write_text(OWN.format(name="Dogs"))
    for code in ("from dogs import Dogs\n", OWN.format(name="Dogs")):
        code += "info = Dogs(data_dir='data').info\n"
        code += "print(info.full_name, info.description, [info.citation])"
        output = run_python(code, cwd=tmp_path, path=tmp_path)
        description = "Images of i, with labels from l. Not built yet."
        assert output == f"dogs/full/1.0.0 {description} ['']\n"


# The repository of the page, in new processes

PAGE = readme.DOCS / "repositories.md"

# The beginnings of the ways on the page.
WAYS = ("In Python", "In a TOML file", "By being installed", "As a dataset of its own")


def blocks_of(way):
    """Returns the page's blocks about a way, in order."""
    text = PAGE.read_text().partition(f"**{way}**")[2]
    return readme.blocks_in(text.partition("\n**")[0])


def test_each_block_of_the_page_is_about_a_way():
    """The tests below run those of each way."""
    blocks = [block for way in WAYS for block in blocks_of(way)]
    assert blocks == readme.read_blocks(PAGE)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home directory with images and the repository."""
    home = tmp_path_factory.mktemp("home")
    readme_home.make_home(home)
    return home


def run_command(block, **kwargs):
    """Runs the commands of a block, which must succeed; returns what `run` does."""
    assert block.language == "sh"
    process = run("bash", "-ec", block.code, **kwargs)
    assert process.returncode == 0, process.stderr
    return process


LOADED = """
import json
import tensorflow_datasets as tfds
splits, info = tfds.load("%s", data_dir=%s, with_info=True)
names = info.features["label"].names
for split in splits.values():
    for example in tfds.as_numpy(split):
        assert names[example["label"]] in ("cat", "dog", "rabbit")
sizes = {name: len(split) for name, split in splits.items()}
print("LOADED", json.dumps([sizes, example["image"].shape, str(info.data_dir)]))
"""

SIZES = {"train": 48, "validation": 6, "test": 6}


def loaded(name, *, code, cwd, data_dirs=(None,), **env):
    """Loads a dataset in a new process.

    Args:
      name: its name.
      code: the process runs it first.
      cwd: where it runs.
      data_dirs: the data directories that it is loaded from, as strings.
      **env: as for `env_of`.

    Returns:
      Its sizes, the shape of an image and its folder, for each data directory.
    """
    code += "".join(LOADED % (name, repr(data_dir)) for data_dir in data_dirs)
    process = processes.run_code(code, cwd=cwd, env=env_of(**env))
    assert process.returncode == 0, process.stderr
    assert "Not registered" not in process.stderr
    lines = [line.partition("LOADED ")[2] for line in process.stdout.splitlines()]
    return [json.loads(line) for line in lines if line]


PIP = {
    "PIP_NO_DEPS": 1,
    "PIP_NO_BUILD_ISOLATION": 0,  # pip's way to say yes
    "PIP_NO_INDEX": 1,
    "PIP_NO_CACHE_DIR": 1,
}


def test_an_installed_repository(home, tmp_path):
    """Wherever this package is imported, its name is known, without its own import.

    The page's command installs it, with all its files, and builds the dataset; if it
    isn't built yet, loading builds it.
    """
    [command] = blocks_of("By being installed")
    site = tmp_path / "site"
    env = {"HOME": home, "path": site}
    data_dirs = [str(tmp_path / name) for name in ("data", "another")]
    target = {"PIP_TARGET": site, "TFDS_DATA_DIR": data_dirs[0]}
    run_command(command, cwd=tmp_path, **env, **PIP, **target)
    folders = [f"{one}/image_csv/pets_32/1.0.0" for one in data_dirs]
    assert [pathlib.Path(one).exists() for one in folders] == [True, False]
    code, name = "import tfds_imagecsv", "image_csv/pets_32"
    found = loaded(name, code=code, cwd=tmp_path, data_dirs=data_dirs, **env)
    assert found == [[SIZES, [32, 32, 3], folder] for folder in folders]
    files = {path.name for path in (site / "my_model" / "pets").iterdir()}
    assert files >= {"README.md", "CITATIONS.bib", "TAGS.txt"}


def test_a_module_of_a_repository(home, tmp_path):
    """`--imports` builds its dataset, and the import loads it."""
    command, code = blocks_of("In Python")
    env = {"HOME": home, "path": home / "my_repo", "TFDS_DATA_DIR": tmp_path / "data"}
    run_command(command, cwd=tmp_path, **env)
    built = tmp_path / "data" / "image_csv" / "pets_32" / "1.0.0"
    assert built.exists()
    found = loaded("image_csv/pets_32", code=code.code, cwd=tmp_path, **env)
    assert found == [[SIZES, [32, 32, 3], str(built)]]


def test_a_toml_file_of_a_repository(home):
    """A call, or the environment, makes its names known."""
    command, code = blocks_of("In a TOML file")
    repository = home / "my_repo"
    run_command(command, cwd=home, HOME=home)
    built = home / "tensorflow_datasets" / "image_csv" / "pets_gray" / "1.0.0"
    assert built.exists()
    [found] = loaded("image_csv/pets_gray", code=code.code, cwd=home, HOME=home)
    assert found[0] == SIZES
    assert found[1][-1] == 1
    assert found[2] == str(built)

    env = {"HOME": home, "TFDS_IMAGECSV_TOML": "image_csv.toml"}
    imports = "import tfds_imagecsv"
    [found] = loaded("image_csv/pets_5_folds", code=imports, cwd=repository, **env)
    sizes = {**{f"fold{at}": 11 for at in range(5)}, "test": 6}
    assert sum(found[0].values()) == 60
    assert found[0].keys() == sizes.keys()
    assert all(abs(found[0][split] - sizes[split]) <= 1 for split in sizes)
    assert found[1][-1] == 3
    assert found[2] == str(built.parents[1] / "pets_5_folds" / "1.0.0")


def test_a_folder_of_a_repository(home):
    """TFDS tests it, builds all its configs, and loads the first one by its name."""
    commands, code = blocks_of("As a dataset of its own")
    env = {"HOME": home, "path": home / "my_repo"}
    env["TFDS_DATA_DIR"] = home / "folder"
    process = run_command(commands, cwd=home, **env)
    assert "OK ] PetsTest.test_download_and_prepare_as_dataset" in process.stderr
    assert (home / "folder" / "pets" / "small" / "1.0.0").exists()
    [found] = loaded("pets", code=code.code, cwd=home, **env)
    assert found[0] == SIZES
    assert found[2] == str(home / "folder" / "pets" / "full" / "1.0.0")


def tfds_command(*args, cwd, **env):
    """Runs the command `tfds` where TensorFlow is imported."""
    return processes.run(processes.COMMANDS / "tfds", *args, cwd=cwd, env=env_of(**env))


def test_a_misspelled_name_in_the_shell(home):
    """Its user sees the known names, and no stack trace."""
    repository = home / "my_repo"
    env = {"HOME": home, "path": repository}
    command = ("build", "image_csv/pest_32", "--imports=my_model.datasets")
    process = tfds_command(*command, cwd=home, **env)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert process.stderr.endswith(
        "Error: There is no dataset image_csv/pest_32. Did you mean"
        " image_csv/pets_32?\n"
        "These are known:\n"
        "  image_csv/cifar10: built in\n"
        f"  image_csv/pets_32: {repository}/my_model/datasets.py, line 3\n"
        + TO_REGISTER.format(name="pest_32", key="pest_32")
        + "\n"
    )


def test_a_module_that_can_not_be_registered(home):
    """The error of a module that `tfds build` imports has no stack trace."""
    (home / "twice.py").write_text(
        "import my_model.datasets\n"
        "import tfds_imagecsv\n"
        "tfds_imagecsv.register_toml('twice.toml')\n"
    )
    (home / "twice.toml").write_text(TABLE.replace("[pets]", "[pets_32]"))
    env = {"HOME": home, "path": f"{home}{os.pathsep}{home / 'my_repo'}"}
    command = ("build", "image_csv/pets_32", "--imports=twice")
    process = tfds_command(*command, cwd=home, **env)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert process.stderr.endswith(
        f"Error: {home}/twice.toml, table [pets_32]: name: image_csv/pets_32 is"
        f" registered already by {home}/my_repo/my_model/datasets.py, line 3, with"
        " other values:\n"
        f"  image_dir: '~/pets/images' there, '{home}/images' here\n"
        f"  label_csv: '~/pets/labels.csv' there, '{home}/labels.csv' here\n"
        "  resize: (32, 32) there, None here\n"
        "Choose another name for one of them.\n"
    )
