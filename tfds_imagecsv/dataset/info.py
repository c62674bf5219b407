"""What `info` says of a dataset in words: description, homepage, citation, licence."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Mapping
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from tfds_imagecsv import options, tfds_private
from tfds_imagecsv.config import TEXT_FIELDS, ImageCsvConfig, is_url
from tfds_imagecsv.dataset import features as features_lib
from tfds_imagecsv.dataset import metadata
from tfds_imagecsv.options import MASK, OBJECTS
from tfds_imagecsv.problems import escaped

# What `dataset_info.json` has as the homepage of a dataset without one. If it were
# empty, TFDS would show the dataset's page in its catalogue, which doesn't exist.
_NO_HOMEPAGE = " "

# TFDS's name of the file with the licence.
_LICENSE_FILENAME = "LICENSE"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
    """What is said about a dataset; empty where nothing is.

    Attributes:
      description: what it is.
      homepage: the URL of a page about it.
      citation: how to cite it.
      license: the name of its licence, or its text.
    """

    description: str = ""
    homepage: str = ""
    citation: str = ""
    license: str = ""


def texts_of(
    config: tfds.core.BuilderConfig | None, *, folder: Any | None = None
) -> Texts:
    """Returns what a config, and the folder of its builder, say about a dataset.

    Args:
      config: the dataset's.
      folder: TFDS's `DatasetMetadata` of the builder's folder, if that is about this
        dataset. Its description goes before the config's, which `info` then has as
        `config_description` only; its citation comes after the config's.
    """
    said = {name: getattr(config, name, None) or "" for name in TEXT_FIELDS}
    if folder is not None:
        said["description"] = folder.description or said["description"]
        said["citation"] = said["citation"] or folder.citation or ""
    return Texts(**{name: tfds.core.utils.dedent(said[name]) for name in said})


class ImageCsvInfo(tfds.core.DatasetInfo):
    """TFDS's info, which says only what is true of this dataset.

    Without a description, it says what there is. Without a homepage, it has none, where
    TFDS names a page that doesn't exist.
    """

    #: The `Texts`, and the config that they are about.
    texts: Texts = Texts()
    config: tfds.core.BuilderConfig | None = None

    @property
    def description(self) -> str:
        """What the dataset is, also before it is built."""
        return str(self.as_proto.description) or _before_the_build(self.config)

    @property
    def config_description(self) -> str | None:
        """The config's own description."""
        return str(self.as_proto.config_description) or None

    @property
    def homepage(self) -> str:
        """The URL of a page about the dataset; empty for none."""
        urls = self.as_proto.location.urls
        return str(urls[0]).strip() if urls else ""

    def write_to_directory(
        self, dataset_info_dir: epath.PathLike, all_metadata: bool = True
    ) -> None:
        """Writes the files of the info, with the texts as they are now."""
        self._say(self.texts)
        if not self.texts.license:
            path = epath.Path(dataset_info_dir) / _LICENSE_FILENAME
            path.unlink(missing_ok=True)
        super().write_to_directory(dataset_info_dir, all_metadata=all_metadata)

    def has_new_texts(self) -> bool:
        """Returns whether a prepared dataset's files say something else."""
        was = tfds_private.read_info(self.data_dir)
        self._say(self.texts)
        now = self.as_proto
        return any(
            getattr(was, name) != getattr(now, name)
            for name in (
                *("description", "config_description", "citation", "location"),
                "redistribution_info",
            )
        )

    def _say(self, texts: Texts) -> None:
        """Sets the texts; TFDS would keep those of the prepared dataset."""
        proto = self.as_proto
        proto.description = texts.description or _of_the_built(self, self.config)
        proto.config_description = getattr(self.config, "description", None) or ""
        proto.citation = texts.citation
        proto.location.urls[:] = [texts.homepage or _NO_HOMEPAGE]
        proto.ClearField("redistribution_info")
        if texts.license:
            proto.redistribution_info.license = texts.license


def make_info(
    builder: tfds.core.DatasetBuilder,
    texts: Texts,
    *,
    features: tfds.features.FeaturesDict,
) -> ImageCsvInfo:
    """Returns the info of a dataset that may not have been built.

    Args:
      builder: the dataset's.
      texts: what is said about it.
      features: its features.
    """
    info = ImageCsvInfo(
        builder=builder,
        features=features,
        supervised_keys=next(
            (("image", one) for one in ("label", OBJECTS, MASK) if one in features),
            None,
        ),
        metadata=tfds.core.MetadataDict(),
        description=texts.description,
        homepage=texts.homepage or _NO_HOMEPAGE,
        citation=texts.citation,
        license=texts.license or None,
    )
    info.texts, info.config = texts, builder.builder_config
    return info


def _before_the_build(config: tfds.core.BuilderConfig | None) -> str:
    """Returns a description of a dataset of which only the config is known."""
    if not isinstance(config, ImageCsvConfig):
        return ""
    if config.label_csv is not None and config.label_type != "none":
        labels = f"with labels from {_names(config.label_csv)}"
    elif config.label_csv is None and config.label_type != "none":
        labels = "whose folders are the labels"
    else:
        labels = "without labels"
    return f"Images of {_names(config.image_dir)}, {labels}. Not built yet."


def _of_the_built(
    info: tfds.core.DatasetInfo, config: tfds.core.BuilderConfig | None
) -> str:
    """Returns a description of a dataset that is there."""
    sizes = {name: split.num_examples for name, split in info.splits.items()}
    total = sum(sizes.values())
    images = f"{total:,} {'image' if total == 1 else 'images'}"
    lines = [f"{images}{_about_labels(config, info)}."]
    if sizes:
        shown = (f"{name} ({size:,})" for name, size in sizes.items())
        lines.append(f"Splits: {', '.join(shown)}.")
    version = info.metadata.get(metadata.VERSION_KEY)
    if version:
        lines.append(f"Built by tfds_imagecsv {version}.")
    return "\n".join(lines)


def _about_labels(
    config: tfds.core.BuilderConfig | None, info: tfds.core.DatasetInfo
) -> str:
    """Returns the words for the labels and where they are from."""
    if not isinstance(config, ImageCsvConfig):
        return ""
    kind, columns = config.label_type, config.label_columns
    label = features_lib.class_label(info.features)
    number = (label.num_classes if label else None) or 0
    classes = f"{number:,} {'class' if number == 1 else 'classes'}"
    words = {
        "class": f"of {classes}",
        "multilabel": f"with any of {classes}",
        "boxes": f"with boxes of {classes}",
        "regression": "with a number each"
        if columns == 1
        else f"with {columns:,} numbers each",
        "none": "without labels",
    }[kind]
    if config.image_columns:
        words += f", with further images ({', '.join(config.image_columns)})"
    if config.has_masks:
        of_masks = len(info.metadata.get("mask_classes", ()))
        noun = "class" if of_masks == 1 else "classes"
        words += ", with masks" + f" of {of_masks:,} {noun}" * bool(of_masks)
    if config.label_csv is None:
        return f" {words}, from the folders of {_names(config.image_dir)}"
    return f" {words}, from {_names(config.label_csv)}"


def _names(value: Any) -> str:
    """Returns the last names of a field's paths, which other machines have as well."""
    if isinstance(value, Mapping):
        return " and ".join(dict.fromkeys(map(_names, value.values())))
    if options.is_frame(value):
        return options.name_of_frame(value)
    path = str(value)
    if is_url(path):
        url = urllib.parse.urlsplit(path)
        path = url.path.strip("/") or url.netloc
    name = path.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    return escaped(name or path)
