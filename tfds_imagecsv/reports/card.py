"""A dataset's card: `README.md` in the form that dataset hubs read.

Its front matter follows the Hugging Face Hub's specification of dataset cards
(https://github.com/huggingface/hub-docs/blob/main/datasetcard.md); the body is
Markdown. It shows users' texts as text: no name, label or description is markup.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epy

from tfds_imagecsv.options import MASK
from tfds_imagecsv.prepared.prepared_dataset import PreparedDataset
from tfds_imagecsv.problems import escaped

with epy.lazy_imports():
    import yaml

FILENAME = "README.md"

# The most classes in the table of the card; the front matter has all.
_MAX_CLASSES = 100

# The Hub's size categories, and where each ends.
_SIZES = (
    *(("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5)),
    *(("100K<n<1M", 10**6), ("1M<n<10M", 10**7), ("10M<n<100M", 10**8)),
    *(("100M<n<1B", 10**9), ("1B<n<10B", 10**10)),
)

# The Hub's names of licences (https://huggingface.co/docs/hub/repositories-licenses):
# those for data, and the usual ones for software.
_LICENSES = frozenset(
    (
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0"),
        *("odc-by", "odbl", "pddl", "c-uda", "etalab-2.0", "eupl-1.1", "eupl-1.2"),
        *("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0"),
        *("epl-2.0", "gfdl", "artistic-2.0", "bsl-1.0", "zlib", "postgresql"),
    )
)

# The Hub's names that differ from SPDX's.
_OF_SPDX = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl"}

# What Markdown may read as markup within a line, and at its beginning.
_MARKUP = re.compile(r"([\\`*_\[\]<>&|~$#])")
_AT_BEGINNING = re.compile(r"^(\d*)([-+=.):])")

# The names of splits that the Hub's viewer can load.
_HUB_SPLIT = re.compile(r"\w+(\.\w+)*")


def card_of(dataset: PreparedDataset, *, image_folder: str | None, note: str) -> str:
    """Returns the card.

    Args:
      dataset: the dataset.
      image_folder: the folder beside the card that has the images and their labels, in
        a folder for each split; None if there is none.
      note: what the card says about the images.
    """
    front = _yaml(_front_matter(dataset, image_folder))
    body = "\n".join(_body(dataset, note))
    return f"---\n{front}---\n\n{body}"


def _front_matter(dataset: PreparedDataset, image_folder: str | None) -> dict[str, Any]:
    info = dataset.info
    config = info.config_name or "default"
    sizes = dataset.split_sizes
    found: dict[str, Any] = {
        "pretty_name": config if config != "default" else info.name
    }
    found |= _license(info.redistribution_info.license)
    found |= _tasks(dataset)
    found["size_categories"] = [_size_category(sum(sizes.values()))]
    found["tags"] = ["image", "tensorflow-datasets", *(info.config_tags or ())]
    found["dataset_info"] = {
        "config_name": config,
        "features": _features(dataset),
        "splits": [
            {
                "name": name,
                "num_bytes": int(split.num_bytes),
                "num_examples": split.num_examples,
            }
            for name, split in info.splits.items()
        ],
        "dataset_size": int(info.dataset_size),
    }
    if image_folder and all(map(_HUB_SPLIT.fullmatch, sizes)):
        files = [{"split": name, "path": f"{image_folder}/{name}/**"} for name in sizes]
        found["configs"] = [{"config_name": config, "data_files": files}]
    return found


def _tasks(dataset: PreparedDataset) -> dict[str, list[str]]:
    """Returns the Hub's fields about what the dataset is for, as far as it knows it."""
    tasks, ids = [], []
    if dataset.label_type in ("class", "multilabel"):
        kind = "class" if dataset.label_type == "class" else "label"
        tasks.append("image-classification")
        ids.append(f"multi-{kind}-image-classification")
    elif dataset.label_type == "boxes":
        tasks.append("object-detection")
    if MASK in dataset.info.features:
        tasks.append("image-segmentation")
    found = {"task_categories": tasks, "task_ids": ids}
    return {field: names for field, names in found.items() if names}


def _license(text: str) -> dict[str, str]:
    """Returns the Hub's fields about a licence; none without a licence."""
    if not text:
        return {}
    name = re.sub(r"-(only|or-later)$", "", text.strip().lower())
    name = _OF_SPDX.get(name, name)
    if name in _LICENSES:
        return {"license": name}
    # The file is beside the card.
    words = re.sub(r"[^a-z0-9.]+", "-", text.strip().split("\n")[0].lower()).strip("-")
    shown = words[:60].strip("-") or "license"
    return {"license": "other", "license_name": shown, "license_link": "LICENSE"}


def _size_category(images: int) -> str:
    at = bisect.bisect_right([end for _, end in _SIZES], images)
    return _SIZES[min(at, len(_SIZES) - 1)][0]


def _features(dataset: PreparedDataset) -> list[dict[str, Any]]:
    """Returns the image and the label in the Hub's words."""
    features: list[dict[str, Any]] = [{"name": "image", "dtype": "image"}]
    classes = {
        "class_label": {
            "names": {str(at): name for at, name in enumerate(dataset.class_names)}
        }
    }
    if dataset.label_type == "class":
        features.append({"name": "label", "dtype": classes})
    elif dataset.label_type == "multilabel":
        features.append({"name": "label", "sequence": classes})
    elif dataset.label_type == "boxes":
        box = {"name": "bbox", "sequence": "float32", "length": 4}
        of_box = [box, {"name": "label", "dtype": classes}]
        features.append({"name": "objects", "sequence": of_box})
    elif dataset.label_type == "regression":
        key = "dtype" if dataset.label_shape == () else "sequence"
        features.append({"name": "label", key: "float32"})
    return features


def _yaml(values: Mapping[str, Any]) -> str:
    """Returns YAML without characters that control a terminal or reverse writing."""

    def dumped(*, allow_unicode: bool) -> str:
        return str(
            yaml.safe_dump(
                values, sort_keys=False, allow_unicode=allow_unicode, width=10**6
            )
        )

    text = dumped(allow_unicode=True)
    if text.replace("\n", "").isprintable():
        return text
    return dumped(allow_unicode=False)


def _body(dataset: PreparedDataset, note: str) -> Iterator[str]:
    """Yields the lines under the front matter."""
    info = dataset.info
    yield f"# {markdown(info.config_name or info.name)}"
    yield ""
    yield from map(markdown, info.description.splitlines())
    yield ""
    if info.homepage.strip():
        yield f"Homepage: {markdown(info.homepage)}"
        yield ""
    yield "## Splits"
    yield ""
    yield from _table(
        ("split", "images"),
        [(name, f"{size:,}") for name, size in dataset.split_sizes.items()],
    )
    if dataset.class_names:
        yield "## Classes"
        yield ""
        yield from _classes(dataset)
    yield "## How it was made"
    yield ""
    yield from (f"- {fact}" for fact in _facts(dataset))
    yield ""
    yield "## Load it"
    yield ""
    yield from _fenced(
        [
            "import tensorflow_datasets as tfds",
            "",
            f'dataset = tfds.load("{dataset.name}", data_dir=DATA_DIR)',
        ],
        "python",
    )
    yield ""
    yield f"`DATA_DIR` is the folder that has `{dataset.name}/{info.version}`. {note}"
    yield ""
    yield "## Licence"
    yield ""
    text = info.redistribution_info.license
    if "\n" in text:
        yield from _fenced(text.splitlines())
    else:
        yield markdown(text) if text else "The licence isn't known."
    yield ""
    if info.citation:
        yield "## Citation"
        yield ""
        yield from _fenced(info.citation.splitlines())
        yield ""


def _classes(dataset: PreparedDataset) -> Iterator[str]:
    counts = dataset.metadata["class_counts"]
    shown = dataset.class_names[:_MAX_CLASSES]
    yield from _table(
        ("class", *counts),
        [
            (name, *(f"{of_split.get(name, 0):,}" for of_split in counts.values()))
            for name in shown
        ],
    )
    more = len(dataset.class_names) - len(shown)
    if more:
        yield f"... and {more:,} more, in the front matter and in `label.labels.txt`."
        yield ""


def _facts(dataset: PreparedDataset) -> Iterator[str]:
    """Yields what the metadata say of the build, as Markdown."""
    metadata = dataset.metadata
    yield markdown(f"Built by tfds_imagecsv {metadata['tfds_imagecsv_version']}.")
    folds = metadata.get("folds")
    held_out = "" if folds else f"val_size {metadata['val_size']}, "
    asked = f"{folds} folds, " if folds else held_out
    yield markdown(
        f"Split sizes as asked for: {asked}test_size {metadata['test_size']}, seed"
        f" {metadata['seed']}."
    )
    deviation = metadata["largest_class_deviation"]
    yield f"No class is off its exact share of a split by more than {deviation:g}."
    further = metadata["config"].get("image_columns")
    if further:
        names = ", ".join(map(markdown, further))
        yield f"The records have further images: {names}."
    if MASK in dataset.info.features:
        yield f"The records have segmentation masks{_about_masks(dataset)}."
    for key, words in (
        ("groups", "groups, each in one split"),
        ("duplicate_images", "images that are identical to others"),
        ("rejected_rows", "rows that were left out, in `rejected_rows.csv`"),
        ("images_without_row", "images without a row, which were left out"),
    ):
        if metadata.get(key):
            yield f"{metadata[key]:,} {words}."
    for reason, count in (metadata.get("conversions") or {}).items():
        yield f"{count:,} images converted: {markdown(reason)}."


def _about_masks(dataset: PreparedDataset) -> str:
    """Returns the classes of masks, as Markdown; nothing if values have no names."""
    names: Sequence[str] = getattr(dataset.info.features[MASK], "names", None) or ()
    if not names:
        return ""
    more = len(names) - _MAX_CLASSES
    shown = ", ".join(map(markdown, names[:_MAX_CLASSES]))
    return f", of the classes {shown}" + (f" and {more:,} more" if more > 0 else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields a table with names in the first column, and numbers in the others."""
    yield f"| {' | '.join(map(markdown, header))} |"
    yield f"|---|{'---:|' * (len(header) - 1)}"
    for row in rows:
        yield f"| {' | '.join(map(markdown, row))} |"
    yield ""


def _fenced(lines: Sequence[str], language: str = "") -> Iterator[str]:
    """Yields a block of code, which none of its lines can end."""
    shown = [escaped(line.replace("\t", "    ")) for line in lines]
    runs = re.findall(r"`+", "\n".join(shown))
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    yield f"{fence}{language}"
    yield from shown
    yield fence


def markdown(text: str) -> str:
    """Returns a line of Markdown that shows any text as it is."""
    plain = escaped(text.replace("\t", " ")).strip()
    return _AT_BEGINNING.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", plain))
