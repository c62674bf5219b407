"""Images, CSVs and datasets in S3 buckets, on a server on this machine."""

import hashlib
import logging
import os
import pathlib
import re
import subprocess
import tempfile

import boto3
import moto.server
import processes
import pytest
import readme
import s3fs
import tensorflow as tf
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions
from archives import files_below, pack
from etils import epath
from PIL import Image

import tfds_imagecsv
from tfds_imagecsv import cli, exceptions
from tfds_imagecsv.storage import s3


@pytest.fixture(scope="module")
def settings():
    """Starts a server, and yields the environment in which programs use it."""
    server = moto.server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    log = logging.getLogger("werkzeug")
    level = log.level
    log.setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        # Otherwise, another machine would be asked for credentials.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield settings
    # These have its port. A core may come back to this file, and start another one.
    s3._file_system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
    log.setLevel(level)


@pytest.fixture
def bucket(settings):
    """An empty bucket, as a boto3 object."""
    bucket = boto3.resource("s3").Bucket("bucket")
    bucket.create()
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()


@pytest.fixture
def put(bucket, tmp_path):
    """Returns a function that copies files and directories to the bucket."""

    def put(*names):
        for name in names:
            path = tmp_path / name
            files = [path] if path.is_file() else path.rglob("*")
            for file in files:
                if file.is_file():
                    key = f"in/{file.relative_to(tmp_path)}"
                    bucket.put_object(Key=key, Body=file.read_bytes())

    return put


@pytest.fixture
def make_remote(make_dataset, put):
    """Returns a function that makes a config whose images and CSV are in the bucket."""

    def make_remote(rows=None, **fields):
        make_dataset(rows)
        put("images", "labels.csv")
        values = {
            "name": "pets",
            "image_dir": "s3://bucket/in/images",
            "label_csv": "s3://bucket/in/labels.csv",
        }
        return tfds_imagecsv.ImageCsvConfig(**{**values, **fields})

    return make_remote


def digests(directory):
    """Returns the SHA-256 of a directory's files, except that with times of images."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in epath.Path(directory).iterdir()
        if path.name != "sources.json"
    }


def build(builder, **kwargs):
    """Builds a dataset, and returns the digests of its files."""
    config = tfds.download.DownloadConfig(**kwargs)
    builder.download_and_prepare(download_config=config)
    return digests(builder.data_path)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_from_and_to_s3(make_dataset, make_remote, make_builder, file_format):
    """All files are those of a build from and to local directories."""
    kwargs = {"file_format": file_format}
    expected = build(make_builder(make_dataset(), **kwargs), num_shards=2)
    config = make_remote()
    builder = make_builder(config, data_dir="s3://bucket/data", **kwargs)
    assert build(builder, num_shards=2) == expected
    assert sum(file_format in name for name in expected) == 6


@pytest.mark.usefixtures("many_processes")
def test_with_more_workers_and_conversions(
    make_dataset, make_remote, make_builder, tmp_path, monkeypatch
):
    """Other processes read from S3 too, and write whole shards to it.

    Converted images are on this machine for a while, and none is left.
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    rows = [(f"{at:04}.png", "ab"[at % 2]) for at in range(150)]
    fields = {"resize": (8, 9), "workers": 3}
    kwargs = {"file_format": "array_record"}
    expected = build(make_builder(make_dataset(rows, **fields), **kwargs), num_shards=4)
    builder = make_builder(
        make_remote(rows, **fields), data_dir="s3://bucket/data", **kwargs
    )
    assert build(builder, num_shards=4) == expected
    assert list(temporary.glob("tfds_imagecsv*")) == []


@pytest.mark.parametrize("beam", [False, True])
def test_further_images_and_masks(
    make_dataset, make_remote, make_builder, put, tmp_path, beam
):
    """They are read from S3 like the images, and stored with them."""
    further = {"image_columns": {"again": "{filename}"}, "resize": (8, 9)}
    local = make_dataset(**further, mask_dir=tmp_path / "masks")
    (tmp_path / "masks").mkdir()
    for at in range(20):
        mask = Image.new("I;16" if at == 7 else "L", (5, 4), at)
        mask.save(tmp_path / "masks" / f"{at:02}.png")
    put("masks")
    builder = make_builder(local)
    expected = build(builder)
    example = next(iter(tfds.as_numpy(builder.as_dataset(split="train"))))
    at = int(example["image/filename"][:2])
    assert (example["segmentation_mask"] == at).all()
    assert (example["again"] == example["image"]).all()
    remote = make_remote(**further, mask_dir="s3://bucket/in/masks")
    builder = make_builder(remote, data_dir="s3://bucket/data")
    kwargs = {}
    if beam:
        options = PipelineOptions(["--direct_running_mode=in_memory"])
        kwargs = {"beam_runner": "DirectRunner", "beam_options": options}
    assert build(builder, **kwargs) == expected


def test_with_beam(make_dataset, make_remote, make_builder, bucket):
    """Its work and its results are files in the bucket; none is left."""
    fields = {"resize": (8, 9)}
    expected = build(make_builder(make_dataset(**fields)))
    builder = make_builder(make_remote(**fields), data_dir="s3://bucket/data")
    options = PipelineOptions(["--direct_running_mode=in_memory"])
    beam = {"beam_runner": "DirectRunner", "beam_options": options}
    assert build(builder, **beam) == expected
    names = [one.key for one in bucket.objects.filter(Prefix="data/")]
    assert not [name for name in names if "incomplete" in name]


def run(*command, cwd, env):
    """Runs a command as a user's shell does."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **env},
        check=False,
        capture_output=True,
        text=True,
    )


def tfds_build(*args, cwd, env):
    """Runs `tfds build` where TensorFlow is imported."""
    args = ("build", "image_csv", "--imports=tfds_imagecsv", *args)
    command = processes.COMMANDS / "tfds"
    return processes.run(command, *args, cwd=cwd, env=os.environ | env)


CONFIG = (
    '--config={"name": "pets", "image_dir": "s3://bucket/in/images",'
    ' "label_csv": "s3://bucket/in/labels.csv"}'
)


def test_the_commands_of_the_page(make_dataset, put, make_builder, bucket, tmp_path):
    """It is built in the bucket, copied to a local directory, and loaded from there."""
    expected = build(make_builder(make_dataset()))
    put("images", "labels.csv")
    text = (readme.DOCS / "tables.md").read_text()
    section = text.partition("## In S3")[2].partition("\n## ")[0]
    command, code = re.findall(r"^```\n(.*?)^```", section, re.M | re.S)
    path = {"PATH": processes.path()}
    done = run("bash", "-ec", command, cwd=tmp_path, env=path)
    assert done.returncode == 0, done.stderr
    assert digests("s3://bucket/tfds/image_csv/pets/1.0.0") == expected

    home = {"HOME": os.fspath(tmp_path / "home")}
    done = processes.run_code(code, cwd=tmp_path, env=os.environ | home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "16\n"
    copied = tmp_path / "home" / "tensorflow_datasets" / "image_csv" / "pets" / "1.0.0"
    assert digests(copied) == expected


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_the_card_of_a_dataset(make_dataset, make_builder, bucket, file_format):
    """The command writes the same beside the records as on this machine."""
    # With so many, TensorFlow would read some of each shard in turn.
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(60)]
    config, kwargs = make_dataset(rows), {"file_format": file_format}
    local = pathlib.Path(make_builder(config, **kwargs).data_path)
    build(make_builder(config, **kwargs), num_shards=2)
    folder = "s3://bucket/data/image_csv/pets/1.0.0"
    build(make_builder(config, data_dir="s3://bucket/data", **kwargs), num_shards=2)
    assert cli.main(["card", os.fspath(local)]) == 0
    done = processes.run(
        processes.COMMANDS / "tfds-imagecsv",
        *("card", "image_csv/pets", "--data_dir=s3://bucket/data"),
        cwd=local,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Wrote {folder}/{name}" for name in ("README.md", "croissant.json", "images")
    ]
    expected = {
        path.relative_to(local).as_posix(): path.read_bytes()
        for path in local.rglob("*")
        if path.is_file()
    }
    found = {
        one.key.removeprefix(f"{folder}/".removeprefix("s3://bucket/")): one
        for one in bucket.objects.filter(Prefix="data/image_csv/pets/")
    }
    assert found.keys() == expected.keys()  # nothing is left of the work
    assert len(found) > 60
    del expected["sources.json"]  # with the times of the images
    assert {name: found[name].get()["Body"].read() for name in expected} == expected
    assert cli.main(["card", folder, "--no_images"]) == 0
    again = bucket.objects.filter(Prefix="data/image_csv/pets/")
    assert {one.key for one in again} == {one.key for one in found.values()}


def test_tensorflow_has_no_file_system_for_it(make_remote, make_builder):
    """Otherwise, the page need not say how to copy a dataset, and `s3` could go."""
    builder = make_builder(make_remote(), data_dir="s3://bucket/data")
    builder.download_and_prepare()
    with pytest.raises(tf.errors.UnimplementedError):
        list(builder.as_dataset(split="test"))
    code = 'from etils import epath; epath.Path("s3://bucket").exists()'
    done = processes.run_code(code, cwd=".", env=os.environ)
    assert "File system scheme 's3' not implemented" in done.stderr


def test_images_without_a_row(make_remote, make_builder, tmp_path, put, write_png):
    """The listing has all folders of the bucket that aren't hidden."""
    config = make_remote()
    for name in ("more.png", "a/b/more.png", ".hidden/more.png"):
        write_png(tmp_path / "images" / name)
    put("images")
    builder = make_builder(config)
    with pytest.warns(tfds_imagecsv.ImageCsvWarning) as caught:
        builder.download_and_prepare()
    assert str(caught[0].message) == (
        "2 images have no row in the CSV (left out): a/b/more.png, more.png"
    )


def test_images_that_are_missing(make_remote, make_builder, bucket, tmp_path):
    """The report is that of local images."""
    config = make_remote()
    bucket.Object("in/images/07.png").delete()
    with pytest.raises(exceptions.InvalidRowsError) as raised:
        make_builder(config).download_and_prepare()
    assert str(raised.value) == (
        "1 problem in s3://bucket/in/labels.csv with the images in"
        " s3://bucket/in/images:\n\nImage not found (1):\n  row 9: '07.png'\n  -> Check"
        " image_dir, filename_column and filename_suffix, or remove the rows."
    )


def test_an_archive_in_s3(make_dataset, make_builder, put, tmp_path):
    """It is copied to the local downloads, and extracted there."""
    config = make_dataset()
    expected = build(make_builder(config))
    pack(tmp_path / "images.tar.gz", files_below(tmp_path / "images"))
    put("images.tar.gz", "labels.csv")
    builder = make_builder(
        tfds_imagecsv.ImageCsvConfig(
            name="packed",
            image_dir="s3://bucket/in/images",
            label_csv="s3://bucket/in/labels.csv",
        )
    )
    found = build(builder)
    shards = [name for name in expected if "tfrecord" in name]
    assert [found[name] for name in shards] == [expected[name] for name in shards]
    (extracted,) = (tmp_path / "data" / "downloads" / "extracted").iterdir()
    assert extracted.name.startswith("TAR.images.tar.gz.")


def test_downloads_of_a_data_directory_in_s3(
    make_dataset, make_builder, tmp_path, bucket
):
    """They would go to S3, where archives can't be extracted."""
    config = make_dataset()
    pack(tmp_path / "packed.zip", files_below(tmp_path / "images"))
    config.image_dir = os.fspath(tmp_path / "packed.zip")
    builder = make_builder(config, data_dir="s3://bucket/data")
    with pytest.raises(exceptions.StorageError) as raised:
        builder.download_and_prepare()
    assert str(raised.value) == (
        f"image_dir {tmp_path}/packed.zip: downloads and extracted archives need a"
        " local directory, and theirs is s3://bucket/data/downloads/extracted. Choose"
        " another download_dir."
    )
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    assert builder.info.splits.total_num_examples == 20


def test_overwriting(make_remote, make_builder):
    """The new one replaces the old one."""
    expected = build(make_builder(make_remote(seed=1), data_dir="s3://bucket/one"))
    build(make_builder(make_remote(), data_dir="s3://bucket/two"))
    mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    builder = make_builder(make_remote(seed=1), data_dir="s3://bucket/two")
    assert build(builder, download_mode=mode) == expected


def test_what_a_build_that_was_killed_at_its_end_left(
    make_remote, make_builder, bucket
):
    """It has the dataset's name, but is no dataset."""
    config = make_remote()
    expected = build(make_builder(config, data_dir="s3://bucket/one"))
    folder = "two/image_csv/pets/1.0.0"
    for name in ("features.json", "image_csv-train.tfrecord-00000-of-00001"):
        bucket.put_object(Key=f"{folder}/{name}", Body=b"{}")
    builder = make_builder(config, data_dir="s3://bucket/two")
    assert build(builder) == expected


# Paths


@pytest.fixture
def folder(bucket):
    """A directory in the bucket, with a file in it and one in a folder of it."""
    for name in ("dataset_info.json", "a.txt", "more/b.txt"):
        bucket.put_object(Key=f"folder/{name}", Body=name.encode())
    return epath.Path("s3://bucket/folder")


def names_in(bucket):
    """Returns the names of all files."""
    return sorted(one.key for one in bucket.objects.all())


def test_renaming_a_directory(folder, bucket):
    """All its files get new names."""
    folder.rename("s3://bucket/other")
    assert names_in(bucket) == [
        "other/a.txt",
        "other/dataset_info.json",
        "other/more/b.txt",
    ]
    assert epath.Path("s3://bucket/other/a.txt").read_text() == "a.txt"


def test_what_tells_that_a_dataset_is_complete_comes_last(folder, bucket, monkeypatch):
    """It doesn't come if another process has meanwhile deleted the rest."""
    file_system = s3._file_system(os.getpid())
    copy = file_system.copy

    def copy_and_lose(sources, targets):
        copy(sources, targets)
        bucket.Object("other/more/b.txt").delete()

    monkeypatch.setattr(file_system, "copy", copy_and_lose)
    with pytest.raises(FileNotFoundError) as raised:
        folder.rename("s3://bucket/other")
    assert str(raised.value) == (
        "another process has deleted files of s3://bucket/other"
    )
    assert "other/dataset_info.json" not in names_in(bucket)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda folder: folder.rename("s3://bucket/folder/more"),
            FileExistsError,
            (
                "s3://bucket/folder can't be renamed: s3://bucket/folder/more is there"
                " already"
            ),
        ),
        (
            lambda folder: (folder / "none").replace("s3://bucket/other"),
            FileNotFoundError,
            "s3://bucket/folder/none",
        ),
        (
            lambda folder: folder.replace("other"),
            OSError,
            "s3://bucket/folder can't be renamed to other: only one is in S3",
        ),
        (
            lambda folder: folder.mkdir(),
            FileExistsError,
            "s3://bucket/folder is there already",
        ),
        (
            lambda _: epath.Path("s3://nobucket/a").mkdir(parents=True),
            FileNotFoundError,
            "there is no bucket s3://nobucket",
        ),
    ],
)
def test_what_cannot_be_done(folder, call, error, message):
    """As with local directories; no bucket is made."""
    with pytest.raises(error) as raised:
        call(folder)
    assert str(raised.value) == message


def test_walking(folder):
    """It works like `os.walk`."""
    assert [
        (os.fspath(path), sorted(folders), sorted(names))
        for path, folders, names in folder.walk()
    ] == [
        ("s3://bucket/folder", ["more"], ["a.txt", "dataset_info.json"]),
        ("s3://bucket/folder/more", [], ["b.txt"]),
    ]


def test_listings_are_fresh(folder, bucket):
    """Other processes write as well."""
    assert len(list(folder.iterdir())) == 3
    bucket.put_object(Key="folder/c.txt", Body=b"")
    assert len(list(folder.iterdir())) == 4


# What is wrong


def test_a_bucket_that_is_not_there(make_dataset, make_builder, settings, data_dir):
    """S3 says no more about what users may not see."""
    fields = {"image_dir": "s3://nobucket/in", "label_csv": "s3://nobucket/in.csv"}
    with pytest.raises(exceptions.SourceError) as raised:
        make_builder(make_dataset(**fields)).download_and_prepare()
    assert str(raised.value) == (
        "image_dir s3://nobucket/in: there is no bucket s3://nobucket.\n"
        "label_csv s3://nobucket/in.csv: there is no bucket s3://nobucket."
    )
    assert not data_dir.exists()


def test_a_file_that_is_not_there(make_remote, make_builder):
    """It is as with local files."""
    config = make_remote(label_csv="s3://bucket/none.csv")
    with pytest.raises(exceptions.SourceError) as raised:
        make_builder(config).download_and_prepare()
    message = "label_csv s3://bucket/none.csv: no such file or directory."
    assert str(raised.value) == message


def test_a_data_directory_in_a_bucket_that_is_not_there(
    make_dataset, make_builder, settings
):
    """It isn't made: its name may be misspelled, and its place matters."""
    builder = make_builder(make_dataset(), data_dir="s3://nobucket/data")
    with pytest.raises(exceptions.StorageError) as raised:
        builder.download_and_prepare()
    assert str(raised.value) == (
        "data_dir s3://nobucket/data: there is no bucket s3://nobucket. Make it first."
    )
    assert boto3.client("s3").list_buckets()["Buckets"] == []


NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
UNREACHABLE = (
    "it can't be reached: Unable to locate credentials. Check the name, the credentials"
    " and the connection."
)


def test_no_credentials_for_the_source(settings, tmp_path):
    """No stack trace."""
    done = tfds_build(
        CONFIG, f"--data_dir={tmp_path}/data", cwd=tmp_path, env=NO_CREDENTIALS
    )
    assert done.returncode != 0
    assert done.stderr.endswith(
        f"Error: image_dir s3://bucket/in/images: {UNREACHABLE}\n"
        f"label_csv s3://bucket/in/labels.csv: {UNREACHABLE}\n"
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_no_credentials_for_the_data_directory(settings, tmp_path):
    """No stack trace."""
    done = tfds_build(
        CONFIG, "--data_dir=s3://bucket/data", cwd=tmp_path, env=NO_CREDENTIALS
    )
    assert done.returncode != 0
    assert done.stderr.endswith(f"Error: data_dir s3://bucket/data: {UNREACHABLE}\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["card", "image_csv/pets", "--data_dir=s3://bucket/data"],
        ["card", "s3://bucket/data"],
        ["compare", "s3://bucket/data", "image_csv/pets"],
    ],
    ids=" ".join,
)
def test_no_credentials_for_a_dataset(settings, tmp_path, args):
    """One line, from any command."""
    command = processes.COMMANDS / "tfds-imagecsv"
    env = os.environ | NO_CREDENTIALS
    done = processes.run(command, *args, cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert done.stderr == f"Error: data_dir s3://bucket/data: {UNREACHABLE}\n"


def test_without_s3fs(settings, tmp_path):
    """The message says what to install."""
    (tmp_path / "images").mkdir()
    code = (
        'import sys; sys.modules["s3fs"] = None; '
        "from tfds_imagecsv import cli; "
        'sys.exit(cli.main(["check", "images", "s3://bucket/labels.csv"]))'
    )
    done = processes.run_code(code, cwd=tmp_path, env=os.environ)
    assert done.returncode == 1
    assert done.stdout == (
        "A build would fail. label_csv s3://bucket/labels.csv: it can't be reached:"
        " the package s3fs is missing. Install it: pip install 'tfds-imagecsv[s3]'.\n"
    )
