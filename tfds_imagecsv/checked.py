"""The input of a dataset, checked as by a build, and the report of a built dataset."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import exceptions
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.engines import local
from tfds_imagecsv.storage.paths import absolute
from tfds_imagecsv.tfds_imagecsv_dataset_builder import ImageCsv

if TYPE_CHECKING:
    from tfds_imagecsv.images.inspection import Inspection
    from tfds_imagecsv.prepared.compare import Version
    from tfds_imagecsv.reports.inline import InlinePage
    from tfds_imagecsv.reports.summary import Summary
    from tfds_imagecsv.sources.downloads import Downloads
    from tfds_imagecsv.splits.dataset_plan import DatasetPlan

# `import tfds_imagecsv` is quick; a check imports the rooms.
with epy.lazy_imports():
    from tfds_imagecsv.images import inspection as inspection_lib
    from tfds_imagecsv.prepared import compare
    from tfds_imagecsv.reports import inline
    from tfds_imagecsv.reports import report as report_lib
    from tfds_imagecsv.reports import summary as summary_lib
    from tfds_imagecsv.sources import downloads as downloads_lib
    from tfds_imagecsv.sources import locate as locate_lib
    from tfds_imagecsv.splits import dataset_plan, select
    from tfds_imagecsv.table import label_table


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckedInput:
    """What a check has found.

    Attributes:
      config: what the user asks for.
      inspection: the input.
      plan: the plan of its dataset; None if a build would fail.
      earlier: the earlier build of `pinned_splits`, see `compare.read_earlier`.
      summary: the input in numbers.
      errors: why a build would fail; empty if it wouldn't.
    """

    config: ImageCsvConfig
    inspection: Inspection
    plan: DatasetPlan | None
    earlier: Version | None
    summary: Summary
    errors: tuple[exceptions.ImageCsvError, ...]

    def report(self, error: str | None) -> str:
        """Returns a page about it, see `report.make_report`.

        Args:
          error: why a build would fail; None if it wouldn't.
        """
        return report_lib.make_report(
            self.config,
            self.summary,
            self.inspection,
            self.plan,
            earlier=self.earlier,
            error=error,
        )


def check_input(
    config: ImageCsvConfig, *, manual_dir: Callable[[], epath.Path]
) -> CheckedInput:
    """Inspects all images and plans the splits, as a build does.

    Args:
      config: what the user asks for.
      manual_dir: returns the directory of relative paths.

    Raises:
      SourceError: if the table or the image directory can't be used.
      WorkerError: if a worker process died.
    """
    sources = locate_lib.locate(config, manual_dir=manual_dir, downloads=_downloads())
    with local.LocalEngine(config.workers) as engine:
        inspection_lib.start_workers_early(sources, engine)
        table = label_table.read_label_table(config, sources)
        found = inspection_lib.inspect(config, sources, table, engine=engine)
    plan, error = None, None
    try:
        selection = select.select_rows(config, found)
        plan = dataset_plan.make_plan(config, found, selection)
    except exceptions.ImageCsvError as reason:
        error = reason
    summary = summary_lib.make_summary(
        found,
        plan,
        label_type=config.label_type,
        error=None if error is None else str(error),
    )
    return CheckedInput(
        config=config,
        inspection=found,
        plan=plan,
        earlier=None
        if sources.pinned_splits is None
        else compare.read_earlier(sources.pinned_splits, label_type=config.label_type),
        summary=summary,
        errors=() if error is None else (error,),
    )


def check(config: ImageCsvConfig) -> Summary:
    """Inspects all images of a config and plans its splits, without building anything.

    Args:
      config: what the user asks for. Relative paths are relative to TFDS's manual
        directory, as in a build.

    Returns:
      The input in numbers, which a notebook shows as tables. Its `error` says why a
      build would fail, and is None if it wouldn't.

    Raises:
      ConfigError: if given anything but an `ImageCsvConfig`.
      SourceError: if the table or the image directory can't be used.
      WorkerError: if a worker process died.
    """
    if not isinstance(config, ImageCsvConfig):
        raise exceptions.ConfigError(
            f"config must be an ImageCsvConfig, got {type(config).__name__}"
        )
    return check_input(config, manual_dir=lambda: _download_dir() / "manual").summary


def report(builder: Any) -> InlinePage:
    """Returns the report of a built dataset, for a notebook to show.

    Args:
      builder: the builder of a dataset that this package has built, even one that
        `tfds.builder` has made from the dataset's directory alone. The page only has
        the names of the sources; their folders are shown if the builder has the config.

    Raises:
      ConfigError: if given anything but a builder.
      SourceError: if there is no report beside the records.
    """
    if not isinstance(builder, tfds.core.DatasetBuilder):
        raise exceptions.ConfigError(
            "builder must be the builder of a dataset, such as"
            f" tfds.builder('image_csv/pets'), got {type(builder).__name__}"
        )
    path = epath.Path(builder.data_path) / report_lib.FILENAME
    if not path.exists():
        raise exceptions.SourceError(
            f"{os.fspath(path)}: there is no such file. The dataset isn't built, or was"
            " built with report=False or before there were reports. Build it (anew), or"
            " look at its input with tfds_imagecsv.check(config)."
        )
    sources = builder.sources if isinstance(builder, ImageCsv) else {}
    return inline.InlinePage(os.fspath(path), path.read_text(encoding="utf-8"), sources)


def _downloads() -> Downloads:
    """Returns where a build with the default data directory keeps downloads."""
    download_dir = _download_dir()
    return downloads_lib.Downloads(
        extract_dir=download_dir / "extracted",
        make_manager=lambda: tfds.download.DownloadManager(
            download_dir=download_dir, dataset_name=ImageCsv.name
        ),
    )


def _download_dir() -> epath.Path:
    return absolute(tfds.core.constants.DATA_DIR) / "downloads"
