"""The way of the data, as the builder goes it, for tests of its rooms."""

import pandas as pd
import pyarrow as pa
import tensorflow_datasets as tfds
from etils import epath

import tfds_imagecsv
from tfds_imagecsv import arrays
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import facts, inspection, kinds, stored_form
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.reports import report as report_lib
from tfds_imagecsv.reports import summary
from tfds_imagecsv.sources import locate
from tfds_imagecsv.splits import dataset_plan, select, together
from tfds_imagecsv.storage import files
from tfds_imagecsv.table import label_table


def sources_of(config):
    """Returns the files of a config whose paths are absolute."""
    paths = {field: epath.Path(path) for field, path in config.paths.items()}
    return locate.sources_of(config, paths)


def read_labels(path, *, classes=None, extra=None, **options):
    """Reads a label table whose images are nowhere, so that nothing is concluded."""
    sources = locate.Sources(
        image_dir=epath.Path(path).parent / "nowhere",
        tables=(locate.TableSource(field="label_csv", table=epath.Path(path)),),
    )
    options = TableOptions(extra_columns=extra, **options)
    return label_table.read_labels(sources, options, classes=classes)


def frame(rows):
    """Returns rows as pandas has them, with a column for each fact, to look at."""
    names = [name for name in rows.schema.names if name != "kind"]
    columns = {name: rows[name].to_pylist() for name in names}
    if "kind" in rows.schema.names:
        columns |= {name: kinds.column(rows, name).to_pylist() for name in kinds.FACTS}
    if "digest" in columns:
        columns["digest"] = arrays.as_hex(rows["digest"]).to_pylist()
    if "size" in columns:
        columns = {
            "stored_file": [""] * len(rows),
            "stored_offset": [0] * len(rows),
            "stored_size": columns["size"],
            **columns,
        }
    texts = [name for name, found in columns.items() if set(map(type, found)) <= {str}]
    return pd.DataFrame(columns).astype(dict.fromkeys(texts, object))


def batch(**columns):
    """Returns rows as they go from room to room, given lists and single values.

    Digests are given as any texts; empty ones are of different images.
    """
    count = max(len(one) for one in columns.values() if not isinstance(one, str | int))
    found = {}
    if "image_format" in columns:
        found["kind"] = _kinds_of(columns, count)
    for name, values in columns.items():
        if isinstance(values, str | int):
            values = [values] * count
        values = list(values)
        if name == "key":
            found[name] = arrays.texts(values)
        elif name == "digest":
            found[name] = digests(values)
        elif (values and isinstance(values[0], str)) or name in ("label", "split"):
            found[name] = arrays.encoded(values)
        else:
            found[name] = pa.array(values)
    return pa.record_batch(found)


def _kinds_of(columns, count):
    """Returns the column `kind`, given `image_format`, `height` and `width`."""
    names = [columns.pop(name) for name in ("image_format", "height", "width")]
    lists = [[one] * count if isinstance(one, str | int) else one for one in names]
    found = {}
    codes = [
        found.setdefault(
            (
                facts.plain_facts(image_format, "RGB", height, width),
                stored_form.Stored(height, width, image_format, ""),
            ),
            len(found),
        )
        for image_format, height, width in zip(*lists, strict=True)
    ]
    return kinds.as_column(list(found), codes)


def digests(values):
    """Returns a column of digests, equal for equal texts that aren't empty."""
    return pa.array(
        [
            files.digest_of((value or f"\0{at}").encode())
            for at, value in enumerate(values)
        ],
        arrays.DIGEST,
    )


def units_of(groups, values):
    """Returns the units of rows, given their groups and the texts of their digests."""
    groups = None if groups is None else arrays.encoded(groups)
    rows = len(values) if groups is None else len(groups)
    of_images = [] if values is None else [digests(values)]
    return together.find_units(groups, of_images, rows=rows)


def inspect(config, engine=None):
    """Reads the table of a config, and inspects its images."""
    sources = sources_of(config)
    with engine or local.LocalEngine(workers=1) as engine:
        inspection.start_workers_early(sources, engine)
        table = label_table.read_label_table(config, sources)
        return inspection.inspect(config, sources, table, engine=engine)


def plan(config, inspected):
    """Selects rows, and divides them into splits."""
    return dataset_plan.make_plan(
        config, inspected, select.select_rows(config, inspected)
    )


def report_inputs(config):
    """Returns the summary, the inspection, the plan and the error of a config."""
    found, planned, error = inspect(config), None, None
    try:
        planned = plan(config, found)
    except tfds_imagecsv.ImageCsvError as reason:
        error = str(reason)
    made = summary.make_summary(found, planned, label_type=config.label_type)
    return made, found, planned, error


def report(config, **kwargs):
    """Returns the report of a config, as text."""
    *inputs, error = report_inputs(config)
    return report_lib.make_report(config, *inputs, error=error, **kwargs)


def built(config, data_dir, **kwargs):
    """Builds a dataset, and returns its builder."""
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir, **kwargs)
    builder.download_and_prepare()
    return builder


def examples_of(builder):
    """Returns all examples, by file name, as TFDS alone loads them."""
    prepared = tfds.builder_from_directory(builder.data_path)
    return {
        example["image/filename"].decode(): example
        for split in prepared.as_dataset().values()
        for example in tfds.as_numpy(split)
    }


def files_of_build(config, data_dir, **download_config):
    """Builds a dataset; returns its files but those with the times of images."""
    builder = tfds_imagecsv.ImageCsv(config=config, data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**download_config)
    )
    return {
        path.name: path.read_bytes()
        for path in builder.data_path.iterdir()
        if path.name not in ("sources.json", "report.html")
    }
