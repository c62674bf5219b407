"""The command `tfds-imagecsv`: check a table and its images, or build a dataset."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import exceptions, problems
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, is_url, map_paths
from tfds_imagecsv.engines import local
from tfds_imagecsv.storage.paths import here
from tfds_imagecsv.tfds_imagecsv_dataset_builder import ImageCsv

if TYPE_CHECKING:
    from tfds_imagecsv.images.inspection import Inspection
    from tfds_imagecsv.report.summary import Summary

with epy.lazy_imports():
    import docstring_parser

    from tfds_imagecsv.images import inspection as inspection_lib
    from tfds_imagecsv.report import summary as summary_lib
    from tfds_imagecsv.sources import downloads as downloads_lib
    from tfds_imagecsv.sources import locate as locate_lib
    from tfds_imagecsv.splits import dataset_plan, select
    from tfds_imagecsv.table import label_table

# The name of a config that only `check` sees.
_CHECKED_NAME = "checked"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: its arguments; default: those of this process.

    Returns:
      The exit code: 0 for success, 1 if a build fails or would fail. Arguments that
      can't be parsed raise `SystemExit` with code 2.
    """
    parser = _parser()
    args = vars(parser.parse_args(argv))
    command = args.pop("command")
    try:
        return int(command(args))
    except exceptions.ImageCsvError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfds-imagecsv",
        description="Images and a CSV of labels, as a TensorFlow Datasets dataset.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="inspect the images and plan the splits, but build nothing",
        description="Inspects all images and plans the splits, as a build does. Shows"
        " the input and its problems; with --name, also what has changed since the"
        " dataset was built. The exit code is 1 if a build would fail.",
    )
    check.set_defaults(command=_check)
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    build = commands.add_parser(
        "build",
        help="build the dataset",
        description="Builds the dataset, as `tfds build` does.",
    )
    build.set_defaults(command=_build)
    build.add_argument(
        "--file_format",
        "--file-format",
        help="tfrecord (the default), array_record, ...",
    )
    build.add_argument(
        "--num_shards", "--num-shards", type=int, help="files of each split"
    )
    build.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an existing dataset; it stays if the build fails",
    )
    for command in (check, build):
        command.add_argument(
            "--data_dir", "--data-dir", help="where TFDS keeps datasets"
        )
        command.add_argument("images", nargs="?", help="the same as --image_dir")
        command.add_argument(
            "labels", nargs="?", help="the same as --label_csv; without: folders"
        )
        _add_fields(command.add_argument_group("the config's fields"))
    return parser


def _add_fields(group: argparse._ArgumentGroup) -> None:
    """Adds a flag for each field of the config."""
    described: dict[str, str] = {}
    for cls in reversed(ImageCsvConfig.__mro__):
        parsed = docstring_parser.parse(inspect.getdoc(cls) or "")
        described |= {one.arg_name: one.description or "" for one in parsed.params}
    for field in dataclasses.fields(ImageCsvConfig):
        flags = sorted({f"--{field.name}", f"--{field.name.replace('_', '-')}"})
        group.add_argument(
            *reversed(flags),
            dest=field.name,
            # The config has the defaults.
            default=argparse.SUPPRESS,
            help=" ".join(described.get(field.name, "").split()).replace("%", "%%"),
            **_how_to_parse(str(field.type)),
        )


def _how_to_parse(annotation: str) -> dict[str, Any]:
    """Returns how `argparse` reads the values of a field, by its annotation."""
    if annotation in ("bool", "bool | None"):
        return {"type": _json, "nargs": "?", "const": True, "metavar": "true|false"}
    if annotation.startswith("PathOrPaths"):
        return {"type": _path_or_paths, "metavar": "PATH|JSON"}
    if annotation.startswith("str | Sequence[str]"):
        return {"nargs": "+", "action": _OneOrMore, "metavar": "NAME"}
    if annotation.startswith("Mapping[str, str] | str"):
        return {"type": _json, "metavar": "all|JSON"}
    if annotation.startswith("Sequence[str]"):
        return {"nargs": "+", "metavar": "NAME"}
    if annotation.startswith("Sequence[int]"):
        return {"nargs": "+", "type": _json, "metavar": "N"}
    if annotation.startswith("str") or "OrStr |" in annotation:
        return {"metavar": "TEXT"}
    return {"type": _json, "metavar": "VALUE"}


class _OneOrMore(argparse.Action):
    """Takes one text as a string, several as a list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Stores them."""
        setattr(namespace, self.dest, values if len(values) > 1 else values[0])


def _path_or_paths(text: str) -> Any:
    """Returns a path, or paths by split, which are a JSON object."""
    return _json(text) if text.lstrip().startswith("{") else text


def _json(text: str) -> Any:
    """Returns a value as `tfds build --config` reads it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # the config names the rule


def _config(args: dict[str, Any], **defaults: Any) -> ImageCsvConfig:
    """Returns the config; relative paths are relative to the current folder.

    Raises:
      ConfigError: if a field has an invalid value, or is given twice.
    """
    values = dict(defaults)
    for positional, field in (("images", "image_dir"), ("labels", "label_csv")):
        path = args.pop(positional)
        if path is not None:
            if field in args:
                raise exceptions.ConfigError(
                    f"{field} is given twice: {path!r} and {args[field]!r}"
                )
            values[field] = path
    config = ImageCsvConfig(**{**values, **args})
    for field in PATH_FIELDS:

        def absolute(path: str, field: str = field) -> str:
            if is_url(path):
                return path
            # Absolute and remote paths stay as they are.
            found: str = os.fspath(here() / locate_lib.path_of(field, path))
            return found

        setattr(config, field, map_paths(getattr(config, field), absolute))
    return config


def _downloads() -> downloads_lib.Downloads:
    """Returns where a build with the default data directory keeps downloads."""
    download_dir = epath.Path(tfds.core.constants.DATA_DIR).expanduser() / "downloads"
    return downloads_lib.Downloads(
        extract_dir=download_dir / "extracted",
        make_manager=lambda: tfds.download.DownloadManager(
            download_dir=download_dir, dataset_name=ImageCsv.name
        ),
    )


def _check(args: dict[str, Any]) -> int:
    as_json, data_dir = args.pop("json"), args.pop("data_dir")
    summary = None
    errors: list[exceptions.ImageCsvError] = []
    try:
        config = _config(args, name=_CHECKED_NAME)
        inspection = _inspect(config)
        plan = None
        try:
            selection = select.select_rows(config, inspection)
            plan = dataset_plan.make_plan(config, inspection, selection)
        except exceptions.ImageCsvError as reason:
            errors.append(reason)
        summary = summary_lib.make_summary(
            inspection, plan, label_type=config.label_type
        )
        if config.name != _CHECKED_NAME:
            ImageCsv(config=config, data_dir=data_dir).raise_if_stale()
    except exceptions.ImageCsvError as reason:
        errors.append(reason)
    error = "\n\n".join(map(str, errors)) or None
    if as_json:
        found = summary.as_json() if summary else {}
        outcome = {"ok": error is None, "error": error}
        print(json.dumps({**outcome, **found}, indent=2, ensure_ascii=False))
    else:
        _print_outcome(summary, error)
    return 0 if error is None else 1


def _inspect(config: ImageCsvConfig) -> Inspection:
    """Inspects the input, as a build does."""
    sources = locate_lib.locate(config, manual_dir=here, downloads=_downloads())
    with local.LocalEngine(config.workers) as engine:
        inspection_lib.start_workers_early(sources, engine)
        table = label_table.read_label_table(config, sources)
        return inspection_lib.inspect(config, sources, table, engine=engine)


def _print_outcome(summary: Summary | None, error: str | None) -> None:
    if summary:
        summary.print()
        if summary.problems and not error:
            report = problems.report(
                summary.problems,
                label_csv=summary.label_csv,
                image_dir=summary.image_dir,
                places=summary.places,
            )
            print("\nLeft out: " + report)
    print(f"\nA build would fail. {error}" if error else "\nA build would succeed.")


def _build(args: dict[str, Any]) -> int:
    options = {name: args.pop(name) for name in ("data_dir", "file_format")}
    num_shards, overwrite = args.pop("num_shards"), args.pop("overwrite")
    builder = ImageCsv(config=_config(args), **options)
    if builder.is_prepared() and not overwrite:
        builder.raise_if_stale()
        print(f"{builder.data_path} is there already; --overwrite builds it anew.")
        return 0
    mode = tfds.download.GenerateMode.REUSE_DATASET_IF_EXISTS
    if overwrite:
        mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    with warnings.catch_warnings():
        warnings.simplefilter("always", exceptions.ImageCsvWarning)
        warnings.showwarning = _show_warning
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                download_mode=mode, num_shards=num_shards
            )
        )
    print(f"Built in {builder.data_path}:")
    for name, split in builder.info.splits.items():
        print(f"  {name}: {split.num_examples:,} examples, {split.num_shards} shards")
    name = f'"{builder.name}/{builder.builder_config.name}"'
    data_dir = options["data_dir"]
    place = f', data_dir="{data_dir}"' if data_dir else ""
    print(f"Load it: tfds.load({name}{place})")
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"Warning: {message}", file=sys.stderr)
