"""The files beside the records: manifest, quality, rejected rows, sources."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.csv
from etils import epath

from tfds_imagecsv import arrays, exceptions
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.prepared import image_quality, sources_json
from tfds_imagecsv.splits import select
from tfds_imagecsv.splits.dataset_plan import DatasetPlan
from tfds_imagecsv.table import manifest


def write(
    data_path: epath.Path,
    plan: DatasetPlan,
    inspection: Inspection,
    source_digests: Mapping[str, str],
) -> None:
    """Writes the files.

    Args:
      data_path: the directory of the dataset.
      plan: which row is in which split, and which rows are left out.
      inspection: what the rows and the images are.
      source_digests: see `stale.digests_of`.
    """
    manifest.write_manifest(data_path / manifest.FILENAME, plan.rows)
    image_quality.write(data_path / image_quality.FILENAME, plan.rows)
    if plan.rejected:
        rejected = io.StringIO()
        writer = csv.writer(rejected, lineterminator="\n")
        writer.writerow(select.RejectedRow._fields)
        writer.writerows(plan.rejected)
        path = data_path / select.REJECTED_ROWS_FILENAME
        path.write_text(rejected.getvalue(), encoding="utf-8")
    path = data_path / sources_json.FILENAME
    sources_json.write_sources(path, inspection, source_digests)


def read(path: epath.Path, columns: Sequence[str]) -> pa.Table:
    """Reads the manifest, or the scores of quality.

    Args:
      path: the file.
      columns: the names of the columns to read.

    Returns:
      These columns, `arrays.TEXT`.

    Raises:
      SourceError: if the file isn't as a build writes it.
    """
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(path.read_bytes()),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, arrays.TEXT),
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip("'\"")
        raise exceptions.SourceError(
            f"{path}: this can't be read as what a build writes: {reason}"
        ) from None
