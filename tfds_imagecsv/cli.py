"""The command `tfds-imagecsv`: check, build, compare, describe for a hub."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from etils import epy

from tfds_imagecsv import checked, exceptions, flags, problems, tfds_private
from tfds_imagecsv.config import PATH_FIELDS, ImageCsvConfig, is_url, map_paths
from tfds_imagecsv.storage import files
from tfds_imagecsv.storage.paths import absolute, here
from tfds_imagecsv.tfds_imagecsv_dataset_builder import ImageCsv

if TYPE_CHECKING:
    from tfds_imagecsv.prepared.compare import Version
    from tfds_imagecsv.reports.summary import Summary

with epy.lazy_imports():
    from tfds_imagecsv.dataset import registration
    from tfds_imagecsv.prepared import compare as compare_lib
    from tfds_imagecsv.prepared import prepared_dataset
    from tfds_imagecsv.reports import card_files, comparison, outcome
    from tfds_imagecsv.sources import locate as locate_lib

_PROGRAM = "tfds-imagecsv"

# The name of a config that only `check` sees.
_CHECKED_NAME = "checked"

# How `check` and `build` are used.
_OF_SOURCES = "IMAGES [LABELS] [--FLAG VALUE ...]"

# The exit codes of `check` besides 0: a build would fail; else, the report can't be
# written.
_FAILS = 1
_NO_REPORT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: its arguments; default: those of this process.

    Returns:
      The exit code: 0 for success, 1 if a build fails or would fail. Invalid arguments
      raise `SystemExit` with code 2.
    """
    parser = _parser()
    found, unknown = parser.parse_known_args(argv)
    args = vars(found)
    command, of_command = args.pop("command"), args.pop("parser")
    if unknown:
        of_command.error(flags.about_unknown(of_command, unknown))
    try:
        return int(command(args))
    except exceptions.ImageCsvError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(tfds_private.STOPPED, file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Images and a CSV of labels, as a TensorFlow Datasets dataset.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check, build = _add_check(commands), _add_build(commands)
    _add_card(commands)
    compare = _add_compare(commands)
    for command in (check, build):
        command.add_argument(
            "images", nargs="?", metavar="IMAGES", help="the same as --image-dir"
        )
        command.add_argument(
            "labels", nargs="?", metavar="LABELS", help="the same as --label-csv"
        )
    for command in (check, build, compare):
        command.epilog = "docs/config.md of tfds_imagecsv explains each field."
        # `check` has a flag of its own with this field's name.
        flags.add_fields(command, without=("report",) if command is check else ())
    return parser


def _add_check(commands: Any) -> argparse.ArgumentParser:
    check = _add_command(
        commands,
        "check",
        _check,
        "inspect the images and plan the splits, but build nothing",
        "Inspects all images and plans the splits, as a build does. Shows the input and"
        " its problems; with --name, also what has changed since the dataset was built."
        " The exit code is 1 if a build would fail.",
        _OF_SOURCES,
    )
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.add_argument(
        "--report",
        dest="report_file",
        metavar="FILE",
        help="write a page with plots and pictures, to open in a browser",
    )
    return check


def _add_build(commands: Any) -> argparse.ArgumentParser:
    build = _add_command(
        commands,
        "build",
        _build,
        "build the dataset",
        "Builds the dataset, as `tfds build` does.",
        _OF_SOURCES,
    )
    build.add_argument(
        *flags.spellings("file_format"),
        metavar="FORMAT",
        help="tfrecord (the default), array_record, ...",
    )
    build.add_argument(
        *flags.spellings("num_shards"),
        type=int,
        metavar="N",
        help="files of each split [by its size]",
    )
    build.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an existing dataset; it stays if the build fails",
    )
    return build


def _add_card(commands: Any) -> argparse.ArgumentParser:
    card = _add_command(
        commands,
        "card",
        _card,
        "describe a dataset for dataset hubs",
        "Writes a card for dataset hubs (README.md), a description in Croissant"
        " (croissant.json) and the images beside the records of a dataset.",
        "DATASET [--FLAG VALUE ...]",
    )
    card.add_argument(
        "dataset",
        metavar="DATASET",
        help="its name, such as image_csv/pets, or its directory",
    )
    card.add_argument(
        *flags.spellings("no_images"),
        action="store_true",
        help="leave out the images, which take as much room as the records",
    )
    return card


def _add_compare(commands: Any) -> argparse.ArgumentParser:
    compare = _add_command(
        commands,
        "compare",
        _compare,
        "show what has changed between two versions of a dataset",
        "Shows which examples are new, gone, in another split or"
        " relabelled, and which classes have drifted. OLD and NEW are prepared"
        " datasets: directories with records, or names such as image_csv/pets or"
        " image_csv/pets:1.0.0. Or they are unbuilt datasets, planned as by check:"
        " FILE.toml (FILE.toml:NAME if it has several), or the flags of a config"
        " instead of NEW.",
        "OLD NEW | OLD --FLAG VALUE [--FLAG VALUE ...]",
    )
    compare.add_argument("old", metavar="OLD", help="the old version")
    compare.add_argument("new", nargs="?", metavar="NEW", help="the new version")
    compare.add_argument("--json", action="store_true", help="print JSON, for programs")
    return compare


def _add_command(
    commands: Any,
    name: str,
    function: Callable[..., int],
    words: str,
    text: str,
    usage: str,
) -> argparse.ArgumentParser:
    """Adds a command.

    Args:
      commands: those of the parser.
      name: what users type.
      function: runs it.
      words: its line in the help of all commands.
      text: the first lines of its own help.
      usage: its arguments.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=words,
        usage=f"{_PROGRAM} {name} {usage}",
        description=text,
        formatter_class=flags.HelpFormatter,
    )
    command.set_defaults(command=function, parser=command)
    command.add_argument(
        *flags.spellings("data_dir"),
        metavar="PATH",
        help="where TFDS keeps datasets",
    )
    return command


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


def _check(args: dict[str, Any]) -> int:
    as_json, data_dir = args.pop("json"), args.pop("data_dir")
    report_file = args.pop("report_file")
    found = None
    errors: list[exceptions.ImageCsvError] = []
    try:
        config = _config(args, name=_CHECKED_NAME)
        found = checked.check_input(config, manual_dir=here)
        errors += found.errors
        if config.name != _CHECKED_NAME:
            ImageCsv(config=config, data_dir=data_dir).raise_if_stale()
    except exceptions.ImageCsvError as reason:
        errors.append(reason)
    error = "\n\n".join(map(str, errors)) or None
    summary = found.summary if found else None
    if as_json:
        values = summary.as_json() if summary else {}
        outcome = {"ok": error is None, "error": error}
        _print_json({**outcome, **values})
    else:
        _print_outcome(summary, error)
    code = 0 if error is None else _FAILS
    if report_file is not None and not _write_report(found, report_file, error):
        code = code or _NO_REPORT
    return code


def _print_json(values: dict[str, Any]) -> None:
    """Prints JSON, as far as somebody reads it: `head` ends before it has read all."""
    try:
        print(json.dumps(values, indent=2, ensure_ascii=False))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python writes the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_report(
    found: checked.CheckedInput | None, path: str, error: str | None
) -> bool:
    """Writes the report of a check, and returns whether it could be written."""
    if found is None:
        print(f"Error: report {path}: there is nothing to show", file=sys.stderr)
        return False
    try:
        target = os.fspath(absolute(path))
        with files.new_file(target) as file:
            file.write(found.report(error).encode())
    # Libraries of remote files have errors of their own.
    except Exception as reason:
        words = getattr(reason, "strerror", None) or reason
        print(f"Error: report {path}: it can't be written: {words}", file=sys.stderr)
        return False
    print(f"Report: {target}", file=sys.stderr)
    return True


def _compare(args: dict[str, Any]) -> int:
    as_json, data_dir = args.pop("json"), args.pop("data_dir")
    names = [args.pop("old"), args.pop("new")]
    if names[1] is not None and args:
        raise exceptions.ConfigError(
            f"NEW is given twice: {names[1]!r}, and as flags: {', '.join(sorted(args))}"
        )
    if names[1] is None and not args:
        raise exceptions.ConfigError("NEW must be given, or the flags of its config.")
    versions = [
        _version(name, data_dir) if name is not None else _planned(args)
        for name in names
    ]
    found = compare_lib.compare(*versions)
    if as_json:
        _print_json(found.as_json())
    else:
        comparison.print_comparison(found)
    return 0


def _version(name: str, data_dir: str | None) -> Version:
    """Returns the version that an argument of `compare` names."""
    file, _, table = name.rpartition(".toml")
    if file and (not table or table.startswith(":")):
        config = registration.config_of_toml(f"{file}.toml", table[1:] or None)
        return _plan_of(name, config)
    folder, _ = prepared_dataset.find_folder(name, data_dir)
    return compare_lib.read(name, folder)


def _planned(args: dict[str, Any]) -> Version:
    """Returns the version of a config that is given as flags."""
    config = _config({"images": None, "labels": None, **args}, name=_CHECKED_NAME)
    return _plan_of("the config of the flags", config)


def _plan_of(name: str, config: ImageCsvConfig) -> Version:
    """Returns the version that a config would build."""
    found = checked.check_input(config, manual_dir=here)
    if found.plan is None:
        raise found.errors[0]
    return compare_lib.of_plan(name, found.plan)


def _print_outcome(summary: Summary | None, error: str | None) -> None:
    if summary is None:
        print(f"A build would fail. {error}")
        return
    summary.print(would_fail=error is not None)
    if error:
        print(f"\nError: {error}")
    elif summary.problems:
        report = problems.report(
            summary.problems,
            label_csv=summary.label_csv,
            image_dir=summary.image_dir,
            places=summary.places,
        )
        print("\nLeft out: " + report)


def _build(args: dict[str, Any]) -> int:
    options = {name: args.pop(name) for name in ("data_dir", "file_format")}
    num_shards, overwrite = args.pop("num_shards"), args.pop("overwrite")
    builder = ImageCsv(config=_config(args), **options)
    if builder.is_prepared() and not overwrite:
        builder.raise_if_stale()
        news = ""
        if builder.info.has_new_texts():
            mode = tfds.download.GenerateMode.UPDATE_DATASET_INFO
            config = tfds.download.DownloadConfig(download_mode=mode)
            builder.download_and_prepare(download_config=config)
            news = " Its description is up to date now."
        print(
            f"{builder.data_path} is there already; --overwrite builds it anew.{news}"
        )
        return 0
    mode = tfds.download.GenerateMode.REUSE_DATASET_IF_EXISTS
    if overwrite:
        mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    with warnings.catch_warnings():
        warnings.simplefilter("always", exceptions.ImageCsvWarning)
        warnings.showwarning = tfds_private.show_note
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                download_mode=mode, num_shards=num_shards
            )
        )
    print(outcome.outcome_of(builder))
    return 0


def _card(args: dict[str, Any]) -> int:
    dataset = prepared_dataset.open_dataset(args["dataset"], args["data_dir"])
    with _quiet_libraries():
        written = card_files.write_card(dataset, with_images=not args["no_images"])
    for path in written:
        print(f"Wrote {path}")
    return 0


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Silences libraries in C++, such as TensorFlow when it starts.

    TensorFlow 2.21 prints whatever `TF_CPP_MIN_LOG_LEVEL` says. Python still prints.
    """
    python_stderr, there = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with open(there, "w", encoding="utf-8", buffering=1, closefd=False) as stderr:
            if python_stderr is sys.__stderr__:
                sys.stderr = stderr
            os.dup2(nowhere, 2)
            yield
    finally:
        sys.stderr = python_stderr
        os.dup2(there, 2)
        os.close(there)
        os.close(nowhere)
