"""What a command prints about a dataset that it has built."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping

import rich.console
import tensorflow_datasets as tfds
from etils import epath

from tfds_imagecsv import options
from tfds_imagecsv.reports import report, tables

# Enough for a screen.
_MAX_CLASSES = 40


def outcome_of(builder: tfds.core.DatasetBuilder) -> str:
    """Returns classes by split, what was understood, and how to load the dataset.

    Args:
      builder: that of the built dataset.
    """
    info, path = builder.info, epath.Path(builder.data_path)
    lines = []
    counts = info.metadata.get("class_counts") or {}
    if info.metadata.get("label_type") in options.WITH_CLASSES and counts:
        lines = [_classes(counts), ""]
    if understood := info.metadata.get("understood"):
        lines.append(tables.read_as(understood))
    lines.append(f"Built in {path}:")
    for name, split in info.splits.items():
        size, shards = split.num_examples, split.num_shards
        lines.append(f"  {name}: {size:,} examples, {shards} shards")
    if (path / report.FILENAME).exists():
        lines.append(f"Report: {path / report.FILENAME}")
    lines.append(f"Load it: {_call(builder)}")
    return "\n".join(lines)


def _call(builder: tfds.core.DatasetBuilder) -> str:
    """Returns the call that loads a dataset."""
    config = builder.builder_config
    name = f"{builder.name}/{config.name}" if config else builder.name
    root = builder.data_dir_root
    place = ""
    if root != epath.Path(tfds.core.constants.DATA_DIR).expanduser():
        place = f", data_dir={json.dumps(os.fspath(root), ensure_ascii=False)}"
    return f'tfds.load("{name}"{place})'


def _classes(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Returns the number of images of each class and split, as a table."""
    table = tables.of_numbers("Classes", *counts, "total", show_edge=False)
    classes = list(dict.fromkeys(name for one in counts.values() for name in one))
    for name in classes[:_MAX_CLASSES]:
        of_class = [one.get(name, 0) for one in counts.values()]
        tables.add_counts(table, name, [*of_class, sum(of_class)])
    if len(classes) > _MAX_CLASSES:
        table.add_row(f"... and {len(classes) - _MAX_CLASSES:,} more")
    text = io.StringIO()
    width = min(max(int(os.environ.get("COLUMNS") or 80), 40), 200)
    rich.console.Console(file=text, width=width).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
