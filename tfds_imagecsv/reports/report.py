"""`report.html`: a dataset, or a checked input, as a page."""

from __future__ import annotations

import dataclasses

from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.images.inspection import Inspection
from tfds_imagecsv.prepared import compare
from tfds_imagecsv.prepared.compare import Version
from tfds_imagecsv.reports import html, leaks, page, samples, thumbnails
from tfds_imagecsv.reports.summary import Summary
from tfds_imagecsv.splits.dataset_plan import DatasetPlan

FILENAME = "report.html"


def make_report(
    config: ImageCsvConfig,
    summary: Summary,
    inspection: Inspection,
    plan: DatasetPlan | None,
    *,
    earlier: Version | None = None,
    dataset: str | None = None,
    error: str | None = None,
) -> str:
    """Returns a report as an HTML page that needs no other file.

    It is the same in each run, and below 5 MB. It reads a few images again.

    Args:
      config: what the user asks for.
      summary: the input in numbers.
      inspection: the input.
      plan: the plan of its dataset; None if a build would fail.
      earlier: an earlier build to compare it with, if there is one.
      dataset: the dataset's name, such as `image_csv/pets`; None for a check.
      error: why a build would fail; None if it wouldn't.
    """
    sets = leaks.sets_of_copies(inspection, plan)
    near = leaks.near_sets(inspection, plan, most=samples.SETS)
    chosen = page.choose_samples(config, summary, inspection, plan, sets, near)
    table = inspection.table
    pictures = thumbnails.make_thumbnails(
        table.image_dir,
        chosen.uses,
        dict.fromkeys(key for keys in chosen.conversions.values() for key in keys),
        dataclasses.replace(config.image_options, verify="header"),
        thumbnails.Masks(
            folder=table.mask_dir or table.image_dir,
            key_of=chosen.masks,
            are_upright=inspection.masks_are_upright,
            colors=table.color_values,
        ),
    )
    found = page.make_page(
        config,
        summary,
        inspection,
        plan,
        sets=sets,
        near=near,
        compared=compare.compare(earlier, compare.of_plan("this one", plan))
        if plan and earlier
        else None,
        chosen=chosen,
        thumbnails=pictures,
        dataset=dataset,
        error=error,
    )
    return html.render_page("report.html", page=found)
