"""The flags of the command: one for each field of the config, by topic.

`docs/config.md` says more about each field than fits on a line.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfds_imagecsv.config import ImageCsvConfig


class Flag(NamedTuple):
    """What the help says about a field.

    Attributes:
      values: what follows the flag.
      help: what it does; its default in brackets, unless that is nothing.
    """

    values: str
    help: str


#: The fields by topic.
TOPICS = {
    "The dataset": {
        "name": Flag("NAME", 'load it as tfds.load("image_csv/NAME")'),
        "version": Flag("X.Y.Z", "its version [1.0.0]"),
        "description": Flag("TEXT", "what it is [images, classes, splits]"),
        "homepage": Flag("URL", "a page about it"),
        "citation": Flag("TEXT", "how to cite it, such as a BibTeX entry"),
        "license": Flag("TEXT", "its licence: a name or its text"),
        "release_notes": Flag("JSON", "what has changed, by version"),
        "supported_versions": Flag("JSON", "other versions that can be built"),
        "tags": Flag("JSON", "words that programs may search for"),
        "image_dir": Flag("PATH", "folder or archive of the images, or its URL"),
        "label_csv": Flag("PATH", "table of the labels [the folders' names]"),
    },
    "The table": {
        "filename_column": Flag("NAME", "file names [the first that names files]"),
        "filename_suffix": Flag("TEXT", "append to each file name, such as .png"),
        "filename_template": Flag("TEXT", "file names, such as '{folder}/{id}.png'"),
        "match": Flag("exact|loose", "other case, folder, extension, too [loose]"),
        "extra_columns": Flag("all|JSON", 'features, such as \'{"age": "int64"}\''),
        "image_columns": Flag("JSON", 'further images: \'{"right": "right_file"}\''),
        "delimiter": Flag("TEXT", "between cells; ' ' for blanks [found]"),
        "text_encoding": Flag("NAME", "such as cp1252 [utf-8, or utf-16]"),
        "header": Flag("true|false", "the first row has the names [found]"),
        "skip_lines": Flag("N", "lines above the header [0]"),
        "sheet": Flag("NAME", "of a spreadsheet [the first]"),
    },
    "Labels": {
        "label_column": Flag("NAME...", "the labels [the next column]"),
        "label_type": Flag(
            "TYPE", "class, multilabel, boxes, regression, none [class]"
        ),
        "label_delimiter": Flag("TEXT", "between several labels in a cell"),
        "label_level": Flag("N", "the folder that is the label [1]"),
        "box_columns": Flag("NAME...", "four, or one of four numbers [by name]"),
        "box_format": Flag("xyxy|xywh|cxcywh", "what the numbers are [found]"),
        "box_units": Flag("pixels|relative", "what boxes are measured in [found]"),
        "boxes_are_upright": Flag(
            "true|false", "as EXIF turns images [found, or true]"
        ),
        "true_values": Flag("TEXT...", "mean 1 in columns of 0 and 1"),
        "false_values": Flag("TEXT...", "mean 0; '' for empty cells"),
        "classes": Flag("NAME...", "in the order of their ids [sorted]"),
        "class_csv": Flag("PATH", "table with classname and class_id"),
        "min_class_size": Flag("N", "a class with fewer images is rare [1]"),
        "rare_classes": Flag("keep|drop|error", "what to do with these [keep]"),
        "mask_column": Flag("NAME", "file names of segmentation masks"),
        "mask_dir": Flag("PATH", "folder of masks [image_dir]"),
        "mask_colors": Flag("JSON", 'classes by colour: \'{"#ff0000": "car"}\''),
        "mask_color_csv": Flag("PATH", "table of these: color, class"),
        "masks_are_upright": Flag(
            "true|false", "as EXIF turns images [found, or true]"
        ),
    },
    "Splits": {
        "val_size": Flag("SIZE", "fraction, count or '20%%'; 0 for none [0.1]"),
        "test_size": Flag("SIZE", "likewise [0.1]"),
        "folds": Flag("N", "equal parts, not train and validation [0]"),
        "seed": Flag("N", "chooses among equally good splits [0]"),
        "split_column": Flag("NAME", "given splits"),
        "split_names": Flag("JSON", 'what its cells mean: \'{"0": "test"}\''),
        "group_column": Flag("NAME", "images of a group stay together"),
        "duplicates": Flag("together|drop|error", "identical images [together]"),
        "near_duplicates": Flag("report|together|drop|off", "altered copies [report]"),
        "pinned_splits": Flag("PATH", "split_manifest.csv of an earlier build"),
    },
    "Images": {
        "channels": Flag("1|3|4", "gray, RGB or RGBA [3]"),
        "dtype": Flag("uint8|uint16", "of a channel [uint8]"),
        "background": Flag("COLOUR", "behind transparent pixels [white]"),
        "apply_exif": Flag("true|false", "turn photographs upright [true]"),
        "resize": Flag("N N", "height and width"),
        "max_side": Flag("N", "reduce the longer side to this many pixels"),
        "image_shape": Flag("N N N", "height, width, channels; others are errors"),
        "encoding": Flag("jpeg|png", "of all images [as they are]"),
        "quality": Flag("N", "of encoded JPEGs, 1 to 100 [95]"),
        "icc": Flag("ignore|srgb", "other colour profiles [ignore]"),
    },
    "Checks": {
        "verify": Flag("decode|header", "all of an image, or its header [decode]"),
        "max_pixels": Flag("N", "of an image [89478485]"),
        "on_error": Flag("fail|skip", "unusable rows and images [fail]"),
        "max_rejected": Flag("FRACTION", "of the rows that may be skipped [0.01]"),
        "drop_issues": Flag("ISSUE...", "leave out images that are dark, blurry, ..."),
        "workers": Flag("N", "processes [the number of cores]"),
        "checksums": Flag("JSON", "SHA-256 of downloads, by URL"),
        "report": Flag("true|false", "write report.html with the records [true]"),
    },
}


class HelpFormatter(argparse.HelpFormatter):
    """Shows each flag on a line, in the spelling with hyphens."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36, width=80)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        flags = action.option_strings
        if not flags:
            return super()._format_action_invocation(action)
        values = (
            "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        )
        return f"{', '.join(flags[:1])}{values}"


def add_fields(parser: argparse.ArgumentParser, without: Sequence[str] = ()) -> None:
    """Adds a flag for each field of the config.

    Args:
      parser: the parser.
      without: the fields that get no flag.
    """
    annotations = {
        field.name: str(field.type) for field in dataclasses.fields(ImageCsvConfig)
    }
    for topic, flags in TOPICS.items():
        group = parser.add_argument_group(topic)
        for name, flag in flags.items():
            if name in without:
                continue
            group.add_argument(
                *spellings(name),
                dest=name,
                # The config has the defaults.
                default=argparse.SUPPRESS,
                help=flag.help,
                metavar=flag.values,
                **_how_to_parse(annotations[name]),
            )


def spellings(name: str) -> list[str]:
    """Returns the flags of a name: as shells write them, and as `tfds` does."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def about_unknown(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> str:
    """Returns a message about arguments that a command doesn't have.

    Args:
      parser: the command's.
      unknown: the arguments; the message suggests the closest flag to each.
    """
    known = re.findall(r"--[\w-]+", parser.format_help())
    shown = []
    for one in unknown:
        close = difflib.get_close_matches(one.partition("=")[0], known, n=1)
        shown.append(f"{one} (did you mean {close[0]}?)" if close else one)
    return f"unrecognized arguments: {' '.join(shown)}"


def _how_to_parse(annotation: str) -> dict[str, Any]:
    """Returns how `argparse` reads the values of a field, by its annotation."""
    if annotation in ("bool", "bool | None"):
        return {"type": _json, "nargs": "?", "const": True}
    if annotation.startswith("PathOrPaths"):
        return {"type": _path_or_paths}
    if annotation.startswith("str | Sequence[str]"):
        return {"nargs": "+", "action": _OneOrMore}
    if annotation.startswith("Mapping[str, str] | str"):
        return {"type": _json}
    if annotation.startswith("Sequence[str]"):
        return {"nargs": "+"}
    if annotation.startswith("Sequence[int]"):
        return {"nargs": "+", "type": _json}
    if annotation.startswith("str") or "OrStr |" in annotation:
        return {}
    return {"type": _json}


class _OneOrMore(argparse.Action):
    """Stores one text as a string, several as a list."""

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
    """Returns a path, or paths by split from a JSON object."""
    return _json(text) if text.lstrip().startswith("{") else text


def _json(text: str) -> Any:
    """Returns a value as `tfds build --config` reads it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # the config names the rule
