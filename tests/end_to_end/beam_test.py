"""Builds with Apache Beam: they must be those of one process, byte for byte."""

import contextlib
import csv
import hashlib
import itertools
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import processes
import pyarrow as pa
import pytest
import tensorflow_datasets as tfds
import walk
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct import direct_runner
from apache_beam.runners.portability import fn_api_runner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from apache_beam.transforms import environments
from etils import epath
from PIL import Image
from samples import encoded, exif, noise
from sklearn.datasets import load_sample_image

import tfds_imagecsv
from tfds_imagecsv.engines import beam, shared_rows
from tfds_imagecsv.engines.engine import Chunk
from tfds_imagecsv.shards import shard_plan

SCRIPTS = pathlib.Path(__file__).parents[1] / "scripts"

# The program of a worker that the portable job server starts.
WORKER = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"


def write_images(folder, write_png):
    """Writes 60 images, a third of them to convert; returns their rows."""
    rows = []
    for at in range(60):
        if at % 3:
            name = f"{at:02}.png"
            write_png(folder / name, width=20 + at, height=30)
        elif at % 2:
            name = f"turned/{at:02}.jpg"
            pixels = Image.fromarray(noise(20, 30 + at, 3, seed=at))
            content = encoded(pixels, "JPEG", exif=exif(6))
        else:
            name = f"{at:02}.gif"
            content = encoded(Image.fromarray(noise(20, 30 + at, seed=at)), "GIF")
        if not at % 3:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        rows.append((name, ("cat", "dog", "emu")[at % 5 % 3]))
    return rows


@pytest.fixture(scope="module")
def manual_dir(tmp_path_factory, write_png, write_csv):
    """A directory with `images` and `labels.csv`; one row has no image."""
    folder = tmp_path_factory.mktemp("manual")
    rows = write_images(folder / "images", write_png)
    write_csv(folder / "labels.csv", [*rows, ("none.png", "cat")])
    return folder


FIELDS = {
    "name": "pets",
    "image_dir": "images",
    "label_csv": "labels.csv",
    "val_size": 0.2,
    "on_error": "skip",
    "max_rejected": 0.1,
}


def build(manual_dir, data_dir, *, file_format="tfrecord", fields=FIELDS, **kwargs):
    """Builds the dataset with a `DownloadConfig` of these keywords."""
    builder = tfds.builder(
        "image_csv",
        config=tfds_imagecsv.ImageCsvConfig(**fields),
        data_dir=data_dir,
        file_format=file_format,
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=manual_dir, num_shards=3, **kwargs
        )
    )
    return builder


def digests(data_dir):
    """Returns the SHA-256 of each file in a data directory."""
    return {
        str(path.relative_to(data_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(data_dir).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def in_process(manual_dir, tmp_path_factory):
    """The digests of the files of a build without Beam, by file format."""
    found = {}
    for file_format in ("tfrecord", "array_record"):
        data_dir = tmp_path_factory.mktemp(file_format)
        build(manual_dir, data_dir, file_format=file_format)
        found[file_format] = digests(data_dir)
        shards = [name for name in found[file_format] if "-of-00003" in name]
        assert len(shards) == 9
    return found


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_in_memory(manual_dir, data_dir, in_process, file_format):
    """Shards, manifest, rejected rows and metadata are the same, and nothing else."""
    options = PipelineOptions(["--direct_running_mode=in_memory"])
    build(
        manual_dir,
        data_dir,
        file_format=file_format,
        beam_runner="DirectRunner",
        beam_options=options,
    )
    assert digests(data_dir) == in_process[file_format]


@pytest.mark.parametrize(
    "fields",
    [
        {"label_type": "multilabel", "label_column": "many", "label_delimiter": "|"},
        {"label_type": "regression", "label_column": ["x", "age"]},
        {"label_type": "none"},
    ],
)
def test_labels_of_all_types(manual_dir, data_dir, tmp_path, write_csv, fields):
    """Lists, bytes, empty cells and missing numbers travel as tables, too."""
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "images").symlink_to(manual_dir / "images")
    with (manual_dir / "labels.csv").open() as file:
        _, *rows = csv.reader(file)
    many = ["|", "a", "a|b", "c"]
    rows = [
        [
            name,
            many[at % 4],
            at / 10,
            at,
            "" if at % 3 else "0.1",
            "" if at % 4 else "ß",
        ]
        for at, (name, _) in enumerate(rows[:-1])
    ]
    header = ("filename", "many", "x", "age", "weight", "site")
    write_csv(tmp_path / "manual" / "labels.csv", rows, header=header)
    extra = {"weight": "float64", "site": "string", "x": "float32", "age": "int32"}
    fields = {**FIELDS, "extra_columns": extra, **fields}
    build(tmp_path / "manual", data_dir / "local", fields=fields)
    build(
        tmp_path / "manual",
        data_dir / "beam",
        fields=fields,
        beam_runner="DirectRunner",
        beam_options=PipelineOptions(["--direct_running_mode=in_memory"]),
    )
    assert digests(data_dir / "beam") == digests(data_dir / "local")


def test_near_duplicates(tmp_path, data_dir, write_csv):
    """Likely ones are read again here: no pipeline is run for a few images."""
    (tmp_path / "images").mkdir()
    photo = Image.fromarray(load_sample_image("china.jpg"))
    rows = []
    for at in range(24):
        left, top = at % 12 * 43, 180 + at // 12 * 120
        part = photo.crop((left, top, left + 120, top + 120))
        for name, kind in ((f"{at}.png", "PNG"), (f"{at}-copy.jpg", "JPEG")):
            (tmp_path / "images" / name).write_bytes(encoded(part, kind))
            rows.append((name, ("cat", "dog", "emu")[at % 3]))
    write_csv(tmp_path / "labels.csv", rows)
    fields = {**FIELDS, "near_duplicates": "drop", "max_rejected": 0.5}
    build(tmp_path, data_dir / "local", fields=fields)
    built = build(
        tmp_path,
        data_dir / "beam",
        fields=fields,
        beam_runner="DirectRunner",
        beam_options=PipelineOptions(["--direct_running_mode=in_memory"]),
    )
    assert digests(data_dir / "beam") == digests(data_dir / "local")
    assert sum(one.num_examples for one in built.info.splits.values()) == 24


@pytest.mark.usefixtures("many_processes")
def test_boxes(tmp_path, manual_dir, write_csv):
    """Law 3: for one worker and two, another order of the rows, and with Beam."""
    (tmp_path / "images").symlink_to(manual_dir / "images")
    with (manual_dir / "labels.csv").open() as file:
        _, *names = csv.reader(file)
    rows = []
    for at, (name, label) in enumerate(names):
        boxes = [
            (label, 0.1 * number, 0.1, 0.1 * number + 0.3, 1 - at / 100, number % 2, at)
            for number in range(at % 4)
        ]
        rows += [(name, *box) for box in boxes or [[""] * 7]]
    header = ("filename", "class", "xmin", "ymin", "xmax", "ymax", "hard", "score")
    extra = {"hard": "bool", "score": "float64"}
    fields = {**FIELDS, "label_type": "boxes", "extra_columns": extra}
    in_beam = {
        "beam_runner": "DirectRunner",
        "beam_options": PipelineOptions(["--direct_running_mode=in_memory"]),
    }
    found = {}
    for name, order, workers, options in (
        ("one worker", 1, 1, {}),
        ("two workers", 1, 2, {}),
        ("other rows", -1, 1, {}),
        ("Beam", 1, 1, in_beam),
    ):
        write_csv(tmp_path / "labels.csv", rows[::order], header=header)
        fields["workers"] = workers
        data_dir = tmp_path / name
        build(tmp_path, data_dir, fields=fields, **options)
        found[name] = {
            path: digest
            for path, digest in digests(data_dir).items()
            # These have numbers of rows, or the table's digest.
            if not path.endswith(("sources.json", "rejected_rows.csv", "report.html"))
        }
    assert sum("-of-00003" in path for path in found["one worker"]) == 9
    for name, of_files in found.items():
        assert of_files == found["one worker"], name


def test_processes_on_this_machine(manual_dir, data_dir, in_process):
    """Beam's `multi_processing`: workers get the functions by name."""
    options = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    build(
        manual_dir,
        data_dir,
        beam_runner=direct_runner.DirectRunner(),
        beam_options=PipelineOptions(options),
    )
    assert digests(data_dir) == in_process["tfrecord"]


def test_options_alone(manual_dir, data_dir, in_process):
    """They name the runner, as for `tfds build`."""
    options = PipelineOptions(["--runner=BundleBasedDirectRunner"])
    build(manual_dir, data_dir, beam_options=options)
    assert digests(data_dir) == in_process["tfrecord"]


@contextlib.contextmanager
def running(script, folder):
    """Runs a script of `tests/scripts` in a directory until the block ends.

    Yields its first line, and a list that gets the others when it has ended.
    """
    later = []
    with (
        (folder / f"{script}.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, SCRIPTS / script],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            first = process.stdout.readline().strip()
            assert first, (folder / f"{script}.log").read_text()
            yield first, later
            later += process.communicate()[0].splitlines()
        finally:
            process.kill()


def tfds_build(manual_dir, folder, options):
    """Runs `tfds build` in a directory, with paths relative to it."""
    (folder / "manual").symlink_to(manual_dir)
    done = processes.run(
        processes.COMMANDS / "tfds",
        *("build", "image_csv", "--imports=tfds_imagecsv"),
        f"--config={json.dumps(FIELDS)}",
        *("--manual_dir=manual", "--data_dir=data", "--num_shards=3"),
        f"--beam_pipeline_options={','.join(options)}",
        cwd=folder,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return digests(folder / "data")


def test_a_dask_cluster(manual_dir, tmp_path, in_process):
    """Both workers, in another directory, take part."""
    (tmp_path / "cluster").mkdir()
    with running("dask_cluster.py", tmp_path / "cluster") as (address, later):
        options = [
            "runner=apache_beam.runners.dask.dask_runner.DaskRunner",
            f"dask_client_address={address}",
            "dask_partition_size=1",
        ]
        found = tfds_build(manual_dir, tmp_path, options)
    assert found == in_process["tfrecord"]
    assert len(json.loads(later[0])) == 2


def test_a_portable_job_server(manual_dir, tmp_path, in_process):
    """Server and workers are processes of their own, as on Flink and Spark."""
    (tmp_path / "server").mkdir()
    with running("beam_job_server.py", tmp_path / "server") as (port, _):
        options = [
            "runner=PortableRunner",
            f"job_endpoint=localhost:{port}",
            "environment_type=beam:env:harness_subprocess_python:v1",
            f"environment_config={WORKER}",
        ]
        found = tfds_build(manual_dir, tmp_path, options)
    assert found == in_process["tfrecord"]


class Recorder(PipelineRunner):
    """Runs pipelines in this process, each several times, and keeps their graphs.

    Args:
      times: how often to run each pipeline.
    """

    def __init__(self, times=1):
        super().__init__()
        self.graphs = []
        self._times = times

    def run_pipeline(self, pipeline, options):
        """Runs a pipeline."""
        here = environments.EmbeddedPythonEnvironment.default()
        graph = pipeline.to_runner_api(default_environment=here)
        self.graphs.append(graph)
        result = PipelineResult(PipelineState.DONE)
        for _ in range(self._times):
            runner = fn_api_runner.FnApiRunner()
            result = runner.run_via_runner_api(graph, PipelineOptions())
            result.wait_until_finish()
        return result


def test_the_job_graph_is_small(tmp_path, data_dir, write_png):
    """It has numbers of files, but no rows or images; so does the shuffle."""
    write_png(tmp_path / "images" / "sample.png")
    content = (tmp_path / "images" / "sample.png").read_bytes()
    sizes = []
    for rows in (200, 4000):
        names = [f"a_long_name_of_{at:04}.png" for at in range(rows)]
        for name in names:
            (tmp_path / "images" / name).write_bytes(content + name.encode())
        lines = [f"{name},cat" for name in names]
        (tmp_path / "labels.csv").write_text("\n".join(["filename,label", *lines]))
        fields = {"name": f"pets{rows}", "image_dir": "images"}
        fields["label_csv"] = "labels.csv"
        recorder = Recorder()
        build(tmp_path, data_dir, fields=fields, beam_runner=recorder)
        assert len(recorder.graphs) == 2  # inspecting, and writing
        for graph in recorder.graphs:
            assert steps_of(graph) == ["Create", "Reshuffle", "Work"]
            serialized = graph.SerializeToString()
            assert b"a_long_name_of" not in serialized
            assert content[:8] not in serialized
            sizes.append(len(serialized))
    # Most of it is about Beam itself.
    assert max(sizes) - min(sizes) < 500
    assert max(sizes) < 50_000


def steps_of(graph):
    """Returns the names of the steps of a pipeline, in order."""
    steps = graph.components.transforms
    (root,) = graph.root_transform_ids
    return [steps[name].unique_name for name in steps[root].subtransforms]


def test_work_that_is_done_twice(manual_dir, data_dir, in_process):
    """Engines repeat work after a failure, or to finish sooner; nothing changes."""
    build(manual_dir, data_dir, beam_runner=Recorder(times=2))
    assert digests(data_dir) == in_process["tfrecord"]


@pytest.mark.parametrize("there", [False, True])
def test_problems_are_those_of_one_process(
    manual_dir, tmp_path, data_dir, list_tree, write_csv, there
):
    """Their words are the same, and the data directory doesn't change."""
    (tmp_path / "images").symlink_to(manual_dir / "images")
    rows = [(f"{at:02}.png", "cat") for at in range(1, 60)]
    write_csv(tmp_path / "labels.csv", [*rows, ("00.gif", ""), ("03.gif", "dog")])
    fields = {**FIELDS, "on_error": "fail", "match": "exact"}
    if there:
        build(manual_dir, data_dir)
    before = {
        name: content for name, (_, content) in (list_tree(data_dir) or {}).items()
    }
    messages = []
    for kwargs in ({}, {"beam_runner": "DirectRunner"}):
        with pytest.raises(tfds_imagecsv.InvalidRowsError) as raised:
            build(
                tmp_path,
                data_dir,
                fields=fields,
                download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS,
                **kwargs,
            )
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert "Image not found (20)" in messages[0]
    after = {
        name: content for name, (_, content) in (list_tree(data_dir) or {}).items()
    }
    assert after == before


def test_an_image_that_changes(manual_dir, tmp_path, data_dir, write_png, write_csv):
    """The writing worker notices it; the message is that of one process."""
    rows = write_images(tmp_path / "images", write_png)
    write_csv(tmp_path / "labels.csv", rows)

    class Changer(Recorder):
        def run_pipeline(self, pipeline, options):
            if self.graphs:  # all is inspected
                with (tmp_path / "images" / "04.png").open("ab") as file:
                    file.write(b"more")
            return super().run_pipeline(pipeline, options)

    with pytest.raises(tfds_imagecsv.InvalidRowsError) as raised:
        build(tmp_path, data_dir, beam_runner=Changer())
    assert str(raised.value) == (
        "Image that can't be read: row 6: '04.png' has changed during the build."
        " Replace or remove the image."
    )
    assert not (data_dir / "image_csv" / "pets").exists()


def doubled(chunk):
    """Returns twice the numbers of a chunk."""
    return [chunk.about * number for number in chunk.columns["number"]]


def chunks(count):
    """Returns chunks of no, one and two numbers."""
    ends = list(itertools.accumulate((at % 3 for at in range(count)), initial=0))
    rows = shared_rows.SharedRows(pa.record_batch({"number": np.arange(ends[-1])}))
    return [Chunk(2, rows.slice(*pair)) for pair in itertools.pairwise(ends)]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_many_chunks_share_a_file(tmp_path, monkeypatch, most):
    """There are few enough answers for a file system, and the order stays."""
    monkeypatch.setattr(beam, "_MOST_FILES", most)
    stored = []

    class Lister(Recorder):
        def run_pipeline(self, pipeline, options):
            (path,) = folder.glob("*/chunks.arrow")
            stored.append(pa.ipc.open_file(pa.OSFile(str(path))).num_record_batches)
            return super().run_pipeline(pipeline, options)

    folder = epath.Path(tmp_path / "work")
    with beam.BeamEngine(folder, runner=Lister(), options=None) as engine:
        found = list(engine.map(doubled, chunks(20)))
    assert found == [doubled(chunk) for chunk in chunks(20)]
    assert stored == [min(most, 20)]
    assert not folder.exists()


def test_no_chunk(tmp_path):
    """A table without rows needs no work."""
    folder = epath.Path(tmp_path / "work")
    with beam.BeamEngine(folder, runner=None, options=None) as engine:
        assert list(engine.map(doubled, [])) == []


class Idle(PipelineRunner):
    """Does nothing, but reports success."""

    def run_pipeline(self, pipeline, options):
        """Returns a result."""
        return PipelineResult(PipelineState.DONE)


def test_results_that_nobody_sees(tmp_path):
    """Such as those on workers' own disks."""
    folder = epath.Path(tmp_path / "work")
    with (
        beam.BeamEngine(folder, runner=Idle(), options=None) as engine,
        pytest.raises(tfds_imagecsv.WorkerError) as raised,
    ):
        list(engine.map(doubled, chunks(3)))
    assert str(raised.value) == (
        f"Apache Beam: it ended without all results in {folder}/0. The data directory"
        " must be one that this process and all workers see, by the same path."
    )
    assert not folder.exists()


def test_chunks_that_a_worker_does_not_see(tmp_path):
    """The worker's log says why."""
    with pytest.raises(tfds_imagecsv.WorkerError) as raised:
        beam._answer_stored(0, function=doubled, folder=str(tmp_path))
    assert str(raised.value) == (
        f"Apache Beam: a worker doesn't find its work in {tmp_path}. The data directory"
        " must be one that this process and all workers see, by the same path."
    )


def columns_of(chunk):
    """Returns some columns of a chunk."""
    columns = chunk.lists()
    return [columns[name] for name in ("key", "stored_format", "stored_height")]


def test_images_that_are_all_different(tmp_path):
    """Each piece of work has its own formats, in its own order."""
    rows = walk.batch(
        row=range(20),
        key=[f"{at:02}" for at in range(20)],
        size=1,
        digest=[""] * 20,
        image_format=["PNG", "JPEG", "JPEG", "BMP"] * 5,
        height=range(20),
        width=1,
    )
    folder, order = epath.Path(tmp_path / "work"), np.arange(20)[::-1]
    with (
        beam.BeamEngine(folder, runner=Recorder(), options=None) as engine,
        engine.share(rows, order, shard_plan.as_examples) as shared,
    ):
        chunks_of = [Chunk(None, shared.slice(at, at + 2)) for at in range(0, 20, 2)]
        found = list(engine.map(columns_of, chunks_of))
    keys, formats, heights = (
        list(itertools.chain(*parts)) for parts in zip(*found, strict=True)
    )
    assert keys == [f"{at:02}" for at in order]
    assert formats == (["BMP", "JPEG", "JPEG", "PNG"] * 5)
    assert heights == order.tolist()
