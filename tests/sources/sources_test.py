"""The files of a config's paths, URLs and archives."""

import functools
import hashlib
import http.server
import os
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import zlib

import pytest
import tensorflow_datasets as tfds
from archives import files_below, pack
from etils import epath

import tfds_imagecsv
from tfds_imagecsv import exceptions
from tfds_imagecsv.sources import archives, listing
from tfds_imagecsv.sources import downloads as downloads_lib
from tfds_imagecsv.sources import locate as locate_lib
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import archive_top

SUFFIXES = ", ".join(archives.SUFFIXES)


@pytest.fixture
def downloads(tmp_path):
    """The directories of downloads and extracted archives: TFDS's own."""

    def make_manager():
        return tfds.download.DownloadManager(
            download_dir=tmp_path / "downloads", dataset_name="image_csv"
        )

    return downloads_lib.Downloads(
        extract_dir=epath.Path(tmp_path / "downloads" / "extracted"),
        make_manager=make_manager,
    )


@pytest.fixture
def locate(tmp_path, downloads):
    """Returns a function that locates the sources of a config's fields.

    The CSV exists, but nobody reads it; relative paths are below `tmp_path`.
    """

    def locate(**fields):
        (tmp_path / "labels.csv").touch()
        values = {"name": "pets", "image_dir": "images", "label_csv": "labels.csv"}
        return locate_lib.locate(
            tfds_imagecsv.ImageCsvConfig(**{**values, **fields}),
            manual_dir=lambda: epath.Path(tmp_path),
            downloads=downloads,
        )

    return locate


@pytest.fixture
def error_of(locate):
    """Returns a function that returns the message of refused sources."""

    def error_of(error=exceptions.SourceError, **fields):
        with pytest.raises(error) as raised:
            locate(**fields)
        return str(raised.value)

    return error_of


def digests(builder):
    """Builds a dataset; returns the digests of its files, except those with times."""
    builder.download_and_prepare()
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in builder.data_path.iterdir()
        # They have bytes of downloads, paths and names of sources, and times.
        if path.name
        not in ("dataset_info.json", "metadata.json", "sources.json", "report.html")
    }


# Archives


@pytest.mark.parametrize("suffix", archives.SUFFIXES)
def test_a_build_from_an_archive(
    tmp_path, make_dataset, make_builder, data_dir, suffix
):
    """It equals that of the directory byte for byte, with or without a top folder."""
    config = make_dataset()
    expected = digests(make_builder(config))
    for name, inside in (("flat", ""), ("folder", "images/"), ("deep", "a/b/")):
        archive = tmp_path / f"{name}{suffix}"
        pack(archive, files_below(tmp_path / "images", inside=inside))
        from_archive = make_dataset(name=name, image_dir=archive)
        builder = make_builder(from_archive)
        assert digests(builder) == expected
        assert builder.info.metadata["images_without_row"] == 0
    folders = [path.name.split(".")[1] for path in extracted_in(data_dir)]
    assert folders == ["deep", "flat", "folder"]


def extracted_in(data_dir):
    """Returns the contents of the directory of extracted archives, sorted by name."""
    found = (data_dir / "downloads" / "extracted").iterdir()
    return sorted(found, key=lambda path: path.name.partition(".")[2])


def test_names_with_the_folder_in_the_archive(tmp_path, make_dataset, make_builder):
    """Names are first looked up at the top."""
    rows = [(f"train/{at}.png", "ab"[at % 2]) for at in range(20)]
    config = make_dataset(rows)
    expected = digests(make_builder(config))
    pack(tmp_path / "images.zip", files_below(tmp_path / "images"))
    shutil.rmtree(tmp_path / "images")
    # The directory is missing; the archive is used instead.
    config = tfds_imagecsv.ImageCsvConfig(
        name="packed", image_dir=config.image_dir, label_csv=config.label_csv
    )
    assert digests(make_builder(config)) == expected


@pytest.mark.parametrize(
    ("files", "keys", "top"),
    [
        (["1.png", "2.png"], ["1.png"], ""),
        (["train/1.png"], ["1.png", "2.png"], "train"),
        (["train/1.png"], ["train/1.png"], ""),
        (["train/1.png", "readme.txt"], ["1.png"], None),
        (["train/1.png", "test/2.png"], ["1.png", "2.png"], None),
        (["a/b/c/1.png"], ["c/1.png"], "a/b"),
        (["a/b/1.png"], ["none.png"], None),
        (["1.png"], ["none.png"], None),
        (["train/train/1.png"], ["train/1.png"], ""),
    ],
)
def test_what_names_are_relative_to(tmp_path, files, keys, top):
    """A folder counts as the top if it is alone there, and has the named files."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files_in = listing.list_files(epath.Path(tmp_path))
    assert archive_top.top_of_archive(files_in, keys) == top


def test_an_archive_is_extracted_once(tmp_path, locate, list_tree):
    """The second time, nothing is written."""
    pack(tmp_path / "images.zip", {"a.png": b"a"})
    first = locate(image_dir="images.zip")
    before = list_tree(tmp_path / "downloads")
    assert locate(image_dir="images.zip") == first
    assert list_tree(tmp_path / "downloads") == before
    archive = tmp_path / "images.zip"
    assert first.archive == files.File(
        size=archive.stat().st_size,
        digest=files.digest_of(archive.read_bytes()),
        modified=archive.stat().st_mtime_ns,
    )
    assert files_below(first.image_dir) == {"a.png": b"a"}


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".7z"])
def test_a_changed_archive_is_extracted_again(tmp_path, locate, suffix):
    """Even if its name, its size and its time are the same as before."""
    archive = tmp_path / f"images{suffix}"
    contents = []
    for content in (b"one", b"two"):
        pack(archive, {"a.png": content})
        os.utime(archive, (1e9, 1e9))
        contents.append(files_below(locate(image_dir=archive.name).image_dir))
    assert contents == [{"a.png": b"one"}, {"a.png": b"two"}]


def test_archives_of_one_name_in_two_directories(tmp_path, locate):
    """They aren't confused."""
    found = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        pack(tmp_path / folder / "images.zip", {"a.png": folder.encode()})
        found.append(locate(image_dir=f"{folder}/images").image_dir)
    assert [files_below(path)["a.png"] for path in found] == [b"one", b"two"]


def test_an_archive_that_is_to_be_extracted_anew(tmp_path, locate, downloads):
    """Changes of the extracted files are undone."""
    pack(tmp_path / "images.zip", {"a.png": b"a"})
    image_dir = locate(image_dir="images.zip").image_dir
    (image_dir / "a.png").unlink()
    downloads.anew = True
    assert locate(image_dir="images.zip").image_dir == image_dir
    assert files_below(image_dir) == {"a.png": b"a"}


# Extracts an archive, and is killed while it writes the third file.
KILLED = """
import os, signal, sys
from etils import epath
from tfds_imagecsv.sources import archives
create, names = archives._create, []
def create_or_die(folder, name):
    names.append(name)
    if len(names) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return create(folder, name)
archives._create = create_or_die
archive, extract_dir, kind = sys.argv[1:]
archives.extracted(
    epath.Path(archive), epath.Path(extract_dir), kind=kind, where="", anew=False
)
"""


@pytest.mark.parametrize(("suffix", "kind"), [(".zip", "ZIP"), (".7z", "7Z")])
def test_a_killed_extraction_is_not_taken_for_a_complete_one(
    tmp_path, locate, downloads, suffix, kind
):
    """The next one starts anew, and removes the leftovers."""
    files = {f"{at}.png": b"%d" % at for at in range(5)}
    archive = tmp_path / f"images{suffix}"
    pack(archive, files)
    extract_dir = downloads.extract_dir
    done = subprocess.run(
        [sys.executable, "-c", KILLED, archive, extract_dir, kind], check=False
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = extract_dir.glob("incomplete.*")
    assert len(files_below(left)) == 2
    image_dir = locate(image_dir=archive.name).image_dir
    assert files_below(image_dir) == files
    assert list(extract_dir.iterdir()) == [image_dir]


def test_archives_that_reach_outside(tmp_path, locate):
    """TFDS leaves out files outside the directory, and makes no links."""
    (tmp_path / "secret").write_text("secret")
    names = ["a.png", "../evil.png", f"{tmp_path}/evil.png", "b/../../evil.png", ".h"]
    pack(tmp_path / "zipped.zip", dict.fromkeys(names, b"x"))
    with tarfile.open(tmp_path / "tarred.tar", "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, os.fspath(tmp_path / "secret")
        archive.addfile(link)
        inside = tarfile.TarInfo("inside.png")
        inside.type, inside.linkname = tarfile.SYMTYPE, "a.png"
        archive.addfile(inside)
    assert files_below(locate(image_dir="zipped").image_dir) == {"a.png": b"x"}
    found = locate(image_dir="tarred").image_dir
    assert files_below(found) == {"a.png": b"", "inside.png": b""}
    assert not any(os.path.islink(path) for path in found.iterdir())  # noqa: PTH114
    assert not list(tmp_path.rglob("evil.png"))


def test_a_7z_that_reaches_outside(tmp_path, error_of):
    """It is refused, and nothing of it is kept."""
    archive = py7zr_with_plain_header(tmp_path / "images.7z")
    content = bytearray(archive.read_bytes())
    at = content.index("aa/evil.png".encode("utf-16le"))
    content[at : at + 6] = "../".encode("utf-16le")
    # The checksums of the headers, so that only the name is wrong.
    offset, size = struct.unpack("<QQ", content[12:28])
    header = content[32 + offset : 32 + offset + size]
    content[28:32] = struct.pack("<I", zlib.crc32(header))
    content[8:12] = struct.pack("<I", zlib.crc32(content[12:32]))
    archive.write_bytes(content)
    assert error_of(image_dir="images.7z") == (
        f"image_dir {archive}: the archive can't be read: Specified path is bad:"
        " ../evil.png. Get it again, or extract it yourself and give the directory."
    )
    assert not list(tmp_path.rglob("evil.png"))
    assert not (tmp_path / "downloads" / "extracted").exists()


def py7zr_with_plain_header(path):
    """Makes an archive whose header isn't compressed."""
    import py7zr

    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(b"x", "aa/evil.png")
    return path


def cut(path):
    """Takes the second half of a file away."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil(path):
    """Changes a byte of the first file's content."""
    content = bytearray(path.read_bytes())
    content[content.index(b"DIGITS" * 9) + 5] ^= 1
    path.write_bytes(content)


def encrypt(path):
    """Marks the file in a zip archive as encrypted."""
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)


def compress_strangely(path):
    """Marks the file in a zip archive as compressed in an unknown way."""
    content = bytearray(path.read_bytes())
    for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + method] = 77
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("suffix", "kwargs", "damage", "reason"),
    [
        (".zip", {}, cut, "File is not a zip file"),
        (".zip", {}, spoil, "Bad CRC-32 for file 'a.png'"),
        (".zip", {}, encrypt, "it is encrypted"),
        (".zip", {}, compress_strangely, "That compression method is not supported"),
        (".tar", {}, cut, "unexpected end of data"),
        (
            *(".tar.gz", {}, cut),
            "Compressed file ended before the end-of-stream marker was reached",
        ),
        (".7z", {}, cut, "next header size 20 exceeds the archive size"),
        (".7z", {"password": "secret"}, lambda _: None, "it is encrypted"),
    ],
)
def test_damaged_and_encrypted_archives(
    tmp_path, error_of, suffix, kwargs, damage, reason
):
    """The message has the place, the reason and the fix; nothing is kept of it."""
    archive = tmp_path / f"images{suffix}"
    pack(archive, {"a.png": b"DIGITS" * 1000}, **kwargs)
    damage(archive)
    assert error_of(image_dir=archive.name) == (
        f"image_dir {archive}: the archive can't be read: {reason}. Get it again, or"
        " extract it yourself and give the directory."
    )
    assert not (tmp_path / "downloads" / "extracted").exists()


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".7z"])
def test_an_archive_without_files(tmp_path, error_of, suffix):
    """Hidden ones don't count."""
    archive = tmp_path / f"images{suffix}"
    pack(archive, {".DS_Store": b"x", "a/.hidden.png": b"x", "b.png~": b"x"})
    message = f"image_dir {archive}: the archive has no files."
    assert error_of(image_dir=archive.name) == message


@pytest.mark.parametrize(
    ("name", "content"),
    [("images.rar", b"Rar!\x1a\x07\x01\x00"), ("a.csv", b"f,l\n"), ("empty.tar", b"")],
)
def test_a_file_that_is_no_archive(tmp_path, error_of, name, content):
    """The message lists the known kinds."""
    (tmp_path / name).write_bytes(content)
    assert error_of(image_dir=name) == (
        f"image_dir {tmp_path / name}: neither a directory nor an archive that can be"
        f" read ({SUFFIXES}). Extract it, and give the directory."
    )


def test_an_old_tar_is_known_by_its_name(tmp_path, locate):
    """Archives from before 1988 have no mark."""
    pack(tmp_path / "images.tar", {"a.png": b"a"})
    content = bytearray((tmp_path / "images.tar").read_bytes())
    content[257:265] = bytes(8)
    content[148:156] = b" " * 8
    content[148:155] = b"%06o\0" % sum(content[:512])
    (tmp_path / "images.tar").write_bytes(content)
    image_dir = locate(image_dir="images.tar").image_dir
    assert files_below(image_dir) == {"a.png": b"a"}


def test_more_than_one_archive_in_the_place_of_a_directory(tmp_path, error_of):
    """It isn't guessed which one is meant."""
    for suffix in (".7z", ".zip"):
        pack(tmp_path / f"images{suffix}", {"a.png": b"a"})
    assert error_of() == (
        f"image_dir {tmp_path}/images: no such directory, and more than one archive of"
        " its name: images.zip and images.7z. Give the name of one of them."
    )


def test_a_directory_goes_before_an_archive(tmp_path, locate):
    """An archive is only used if there is no directory."""
    (tmp_path / "images").mkdir()
    pack(tmp_path / "images.zip", {"a.png": b"a"})
    found = locate()
    assert found.image_dir == tmp_path / "images"
    assert found.archive is None
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize(
    ("fields", "closest"),
    [
        ({"image_dir": "pets/imags"}, "image_dir pets/images"),
        ({"image_dir": "pest/images"}, "image_dir pets/images"),
        ({"image_dir": "pets/phtos.zip"}, "image_dir pets/photos.zip"),
        ({"label_csv": "pets/label.csv"}, "label_csv pets/labels.csv"),
        ({"label_csv": "Pets/labels.csv"}, "label_csv pets/labels.csv"),
        # Nothing suits: a file instead of a directory, or no similar name.
        ({"image_dir": "pets/labels.cs"}, None),
        ({"label_csv": "pets/image"}, None),
        ({"label_csv": "pest/other.csv"}, None),
        ({"label_csv": "else/where/labels.csv"}, None),
    ],
)
def test_the_closest_path_is_named(tmp_path, error_of, fields, closest):
    """It differs in one name, and is of the kind that the field needs."""
    (tmp_path / "pets" / "images").mkdir(parents=True)
    (tmp_path / "pets" / "labels.csv").write_text("filename,label\n")
    pack(tmp_path / "pets" / "photos.zip", {"a.png": b"a"})
    given = {"image_dir": "pets/images", "label_csv": "pets/labels.csv", **fields}
    ((field, value),) = fields.items()
    said = f"{field} {tmp_path}/{value}: no such file or directory."
    if closest:
        said += f" Did you mean {tmp_path}/{closest.split(' ')[1]}?"
    assert error_of(**given) == said


def test_what_is_missing_is_said_before_anything_is_extracted(tmp_path, error_of):
    """An archive may be large."""
    pack(tmp_path / "images.zip", {"a.png": b"a"})
    assert error_of(label_csv="other.csv") == (
        f"label_csv {tmp_path}/other.csv: no such file or directory."
    )
    assert not (tmp_path / "downloads").exists()


# A process whose files can't become larger.
FULL = """
import resource, signal, sys
from tfds_imagecsv import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
sys.exit(cli.main(sys.argv[1:]))
"""


def test_no_room_for_an_archive(tmp_path):
    """The message has the directory; nothing is left in it."""
    pack(tmp_path / "images.zip", {"a.png": bytes(10_000)})
    (tmp_path / "labels.csv").write_text("f,l\na.png,x\n")
    done = subprocess.run(
        [sys.executable, "-c", FULL, "check", "images.zip", "labels.csv"],
        cwd=tmp_path,
        env={**os.environ, "TFDS_DATA_DIR": os.fspath(tmp_path / "data")},
        check=False,
        capture_output=True,
        text=True,
    )
    extract_dir = tmp_path / "data" / "downloads" / "extracted"
    assert done.stdout == (
        f"A build would fail. image_dir {tmp_path}/images.zip: it can't be extracted"
        f" to {extract_dir}: File too large. Make room, or choose another"
        " download_dir.\n"
    )
    assert done.returncode == 1
    assert not extract_dir.exists()


def test_a_remote_directory_for_archives(tmp_path, error_of, downloads):
    """Thousands of small files would be written to it, and read again."""
    pack(tmp_path / "images.zip", {"a.png": b"a"})
    downloads.extract_dir = epath.Path("gs://bucket/downloads/extracted")
    assert error_of(exceptions.StorageError) == (
        f"image_dir {tmp_path}/images.zip: downloads and extracted archives need a"
        " local directory, and theirs is gs://bucket/downloads/extracted. Choose"
        " another download_dir."
    )


# Names that repeat the directory


@pytest.mark.parametrize(
    ("image_dir", "prefix"),
    [("images", "images/"), ("a/b/c", "b/c/"), ("a/b/c", "c/")],
)
def test_names_that_repeat_the_directory(
    tmp_path, write_png, write_csv, make_builder, image_dir, prefix
):
    """They are found, and a note says so."""
    names = [f"{at:02}.png" for at in range(20)]
    for name in names:
        write_png(tmp_path / image_dir / name)
    rows = [(prefix + name, "ab"[at % 2]) for at, name in enumerate(names)]
    write_csv(tmp_path / "labels.csv", rows)
    paths = {"image_dir": tmp_path / image_dir, "label_csv": tmp_path / "labels.csv"}
    config = tfds_imagecsv.ImageCsvConfig(name="pets", **paths)
    builder = make_builder(config)
    with pytest.warns(
        exceptions.ImageCsvWarning,
        match=f"20 of 20 file names begin with the directory's own name, such as"
        f" '{prefix}00.png', which is taken for '00.png'",
    ):
        builder.download_and_prepare()
    assert builder.info.splits.total_num_examples == 20


def test_a_folder_of_the_same_name_is_no_repetition(
    tmp_path, make_dataset, make_builder
):
    """Images may be in `images/images`."""
    config = make_dataset([(f"images/{at}.png", "ab"[at % 2]) for at in range(20)])
    builder = make_builder(config)
    builder.download_and_prepare()
    assert builder.info.splits.total_num_examples == 20


def test_some_names_that_repeat_the_directory(tmp_path, make_dataset, make_builder):
    """An image may then have two rows."""
    config = make_dataset([(f"z{at:02}.png", "ab"[at % 2]) for at in range(20)])
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("images/z00.png,a\n")
    with pytest.raises(exceptions.InvalidRowsError) as raised:
        make_builder(config).download_and_prepare()
    assert "row 22: 'images/z00.png' is the file 'z00.png', which 'z00.png' in" in str(
        raised.value
    )


# URLs


@pytest.mark.parametrize("field", ["image_dir", "label_csv", "pinned_splits"])
def test_paths_that_nobody_knows(error_of, tmp_path, field):
    """The message lists the known ones, for any field."""
    (tmp_path / "images").mkdir()
    assert error_of(**{field: "ftp://example.org/a"}) == (
        f"{field} ftp://example.org/a: paths that begin with 'ftp://' are unknown. Give"
        " a local path, or one that begins with http://, https://, gs:// or s3://."
    )


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a directory, and notes the requests."""

    requests = ()

    def do_GET(self):
        """Answers; a file named `short` ends before its end."""
        self.server.requests.append(self.path)
        if self.path == "/short.zip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"PK\x03\x04")
        else:
            super().do_GET()

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves `tmp_path/served` on this machine; has `url` and `requests`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "served").mkdir()
    handler = functools.partial(Handler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def served(server, tmp_path, make_dataset):
    """Returns a function that makes a config whose images and CSV are served."""

    def served(**fields):
        config = make_dataset()
        folder = tmp_path / "served"
        pack(folder / "images.zip", files_below(tmp_path / "images"))
        shutil.copy(config.label_csv, folder)
        urls = {
            "image_dir": f"{server.url}/images.zip",
            "label_csv": f"{server.url}/labels.csv",
        }
        return tfds_imagecsv.ImageCsvConfig(**{"name": "served", **urls, **fields})

    return served


def sha256(path):
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_build_from_urls(tmp_path, server, served, make_dataset, make_builder):
    """It equals that of the directory; each is downloaded once; TFDS counts bytes."""
    config = served()
    expected = digests(make_builder(make_dataset()))
    builder = make_builder(config)
    assert digests(builder) == expected
    assert server.requests == ["/images.zip", "/labels.csv"]
    folder = tmp_path / "served"
    sizes = [(folder / name).stat().st_size for name in ("images.zip", "labels.csv")]
    assert builder.info.download_size == sum(sizes)

    mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(download_mode=mode)
    )
    assert server.requests == ["/images.zip", "/labels.csv"]


def test_a_manifest_from_a_url(tmp_path, server, served, make_builder, make_dataset):
    """All fields with paths may have URLs."""
    earlier = make_builder(make_dataset(seed=5))
    earlier.download_and_prepare()
    shutil.copy(earlier.data_path / "split_manifest.csv", tmp_path / "served")
    config = served(pinned_splits=f"{server.url}/split_manifest.csv")
    found, expected = digests(make_builder(config)), digests(earlier)
    assert found["split_manifest.csv"] == expected["split_manifest.csv"]


def test_downloads_that_are_to_be_fresh(tmp_path, server, served, make_builder):
    """TFDS itself fails if the content has changed."""
    config = served()
    builder = make_builder(config)
    builder.download_and_prepare()
    labels = tmp_path / "served" / "labels.csv"
    labels.write_text(labels.read_text().replace("cat", "newt"))
    mode = tfds.download.GenerateMode.FORCE_REDOWNLOAD
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(download_mode=mode)
    )
    assert builder.info.features["label"].names == ["dog", "newt"]
    assert server.requests == ["/images.zip", "/labels.csv"] * 2


def test_checksums_that_are_right(tmp_path, server, served, make_builder):
    """They satisfy TFDS's `force_checksums_validation` too."""
    served()
    folder = tmp_path / "served"
    checksums = {
        f"{server.url}/{name}": sha256(folder / name).upper()
        for name in ("images.zip", "labels.csv")
    }
    builder = make_builder(served(checksums=checksums))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(force_checksums_validation=True)
    )
    assert builder.info.splits.total_num_examples == 20


def test_a_checksum_that_is_wrong(tmp_path, server, served, make_builder):
    """The message has both; nothing is built."""
    wrong = {f"{server.url}/labels.csv": "0" * 64}
    builder = make_builder(served(checksums=wrong))
    right = sha256(tmp_path / "served" / "labels.csv")
    for _ in range(2):  # even if it is there already
        with pytest.raises(exceptions.SourceError) as raised:
            builder.download_and_prepare()
        assert str(raised.value) == (
            f"label_csv {server.url}/labels.csv: its SHA-256 is {right}, and checksums"
            f" has {'0' * 64}. It has changed, or is damaged: correct the URL or"
            " checksums."
        )
    assert not builder.data_path.exists()


def test_a_checksum_of_what_has_changed(tmp_path, server, served, make_builder):
    """The earlier download has another checksum, so it is downloaded again."""
    make_builder(served()).download_and_prepare()
    labels = tmp_path / "served" / "labels.csv"
    labels.write_text(labels.read_text().replace("cat", "newt"))
    values = {
        "label_csv": f"{server.url}/labels.csv",
        "image_dir": f"{server.url}/images.zip",
        "checksums": {f"{server.url}/labels.csv": sha256(labels)},
    }
    builder = make_builder(tfds_imagecsv.ImageCsvConfig(name="changed", **values))
    builder.download_and_prepare()
    assert builder.info.features["label"].names == ["dog", "newt"]
    assert server.requests.count("/labels.csv") == 2
    assert server.requests.count("/images.zip") == 1


def test_a_checksum_that_tfds_asks_for(server, served, make_builder):
    """TFDS's own message is about files that the user doesn't have."""
    builder = make_builder(served())
    config = tfds.download.DownloadConfig(force_checksums_validation=True)
    with pytest.raises(exceptions.SourceError) as raised:
        builder.download_and_prepare(download_config=config)
    assert str(raised.value) == (
        f"image_dir {server.url}/images.zip: force_checksums_validation asks for a"
        " checksum. Add its SHA-256 to checksums."
    )
    assert not server.requests


def test_a_url_that_is_not_there(server, error_of):
    """The message has TFDS's reason."""
    assert error_of(image_dir=f"{server.url}/none.zip") == (
        f"image_dir {server.url}/none.zip: it can't be downloaded: Failed to get url"
        f" {server.url}/none.zip. HTTP code: 404. Check the URL and the connection."
    )


def test_a_download_that_ends_early(server, error_of):
    """It doesn't pass for the whole."""
    url = f"{server.url}/short.zip"
    for _ in range(2):
        assert error_of(image_dir=url) == (
            f"image_dir {url}: it can't be downloaded: ('Connection broken:"
            " IncompleteRead(4 bytes read, 996 more expected)', IncompleteRead(4 bytes"
            " read, 996 more expected)). Check the URL and the connection."
        )
    assert server.requests == ["/short.zip"] * 2


def test_a_url_of_what_is_no_archive(tmp_path, server, error_of):
    """The message has its URL, not the file that TFDS has made."""
    (tmp_path / "served" / "images.html").write_text("<html>")
    assert error_of(image_dir=f"{server.url}/images.html") == (
        f"image_dir {server.url}/images.html: neither a directory nor an archive that"
        f" can be read ({SUFFIXES}). Extract it, and give the directory."
    )


def test_a_check_and_then_a_build(tmp_path, server, served):
    """`check` downloads and extracts to the same place, where the build finds it."""
    served()
    env = {**os.environ, "TFDS_DATA_DIR": os.fspath(tmp_path / "data")}
    urls = [f"{server.url}/images.zip", f"{server.url}/labels.csv"]
    for command, *flags in (["check"], ["build", "--name=pets"]):
        done = subprocess.run(
            [sys.executable, "-m", "tfds_imagecsv", command, *urls, *flags],
            cwd=tmp_path,
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert server.requests == ["/images.zip", "/labels.csv"]
    assert len(extracted_in(tmp_path / "data")) == 1


# What has changed since


@pytest.mark.parametrize("image_dir", ["images.zip", "images"])
def test_a_changed_archive_makes_a_dataset_stale(
    tmp_path, make_dataset, make_builder, image_dir
):
    """Its content counts, not its time; without it, the dataset loads."""
    make_dataset()
    archive = tmp_path / "images.zip"
    contents = files_below(tmp_path / "images")
    pack(archive, contents)
    shutil.rmtree(tmp_path / "images")
    values = {"name": "pets", "label_csv": tmp_path / "labels.csv"}
    config = tfds_imagecsv.ImageCsvConfig(image_dir=tmp_path / image_dir, **values)
    make_builder(config).download_and_prepare()
    os.utime(archive, (1, 1))
    make_builder(config).download_and_prepare()
    name = min(contents)
    pack(archive, {**contents, name: contents[max(contents)]})
    with pytest.raises(tfds_imagecsv.StaleDatasetError) as caught:
        make_builder(config).download_and_prepare()
    place = tmp_path / "data" / "image_csv" / "pets" / "1.0.0"
    assert str(caught.value) == (
        f"{place}: the config or the sources of this dataset have changed since it was"
        f" built:\n  image_dir {archive}: the archive has changed\nGive the config"
        ' another version, such as version="1.0.1", to keep both datasets. Or build it'
        " anew with --overwrite (in Python:"
        " DownloadConfig(download_mode="
        "tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS))."
    )
    archive.unlink()
    make_builder(config).download_and_prepare()


def test_urls_are_not_asked_at_each_load(served, make_builder, server):
    """A dataset from URLs loads as it is."""
    config = served()
    make_builder(config).download_and_prepare()
    server.requests.clear()
    builder = make_builder(config)
    builder.download_and_prepare()
    assert len(builder.as_dataset("train")) == 16
    assert server.requests == []
