"""The way of the data, as the builder goes it, for tests of its rooms."""

from etils import epath

from tfds_imagecsv.config import PATH_FIELDS
from tfds_imagecsv.engines import local
from tfds_imagecsv.images import inspection
from tfds_imagecsv.sources.locate import Sources
from tfds_imagecsv.splits import dataset_plan, select
from tfds_imagecsv.table import label_table


def sources_of(config):
    """Returns the files of a config whose paths are absolute."""
    values = {field: getattr(config, field) for field in PATH_FIELDS}
    return Sources(
        **{
            field: epath.Path(path)
            for field, path in values.items()
            if path is not None
        }
    )


def inspect(config, engine=None):
    """Reads the table of a config, and inspects its images."""
    sources = sources_of(config)
    with engine or local.LocalEngine(workers=1) as engine:
        inspection.start_workers_early(sources, engine)
        table = label_table.read_label_table(
            config, sources.label_csv, sources.class_csv
        )
        return inspection.inspect(config, sources, table, engine=engine)


def plan(config, inspected):
    """Selects rows, and divides them into splits."""
    return dataset_plan.make_plan(
        config, inspected, select.select_rows(config, inspected)
    )
