"""The way of the data, as the builder goes it, for tests of its rooms."""

from etils import epath

from tfds_imagecsv.engines import local
from tfds_imagecsv.images import inspection
from tfds_imagecsv.options import TableOptions
from tfds_imagecsv.sources import locate
from tfds_imagecsv.splits import dataset_plan, select
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
