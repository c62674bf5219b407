"""The dataset builder `image_csv`."""

from __future__ import annotations

import importlib.metadata
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import conversions, exceptions, tfds_private
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.conversions import ImageOptions

with epy.lazy_imports():
    from tfds_imagecsv import images, manifest, selection
    from tfds_imagecsv import plan as plan_lib
    from tfds_imagecsv import survey as survey_lib

_INSTRUCTIONS = """\
A relative image_dir or label_csv is looked up in the manual directory
(`tfds build --manual_dir=DIR`, or `DownloadConfig(manual_dir=DIR)`).

image_csv/cifar10 is Kaggle's CIFAR-10. Get `train.7z` and `trainLabels.csv` from
https://www.kaggle.com/c/cifar-10/data, put them into the manual directory, and
extract the images there (`7z x train.7z`), so that it has:

    train/             50,000 images: 1.png ... 50000.png
    trainLabels.csv    id,label

To build a dataset of your own images, give its config:
    tfds build image_csv --imports=tfds_imagecsv \\
        --config='{"name": "pets", "image_dir": "DIR", "label_csv": "FILE"}'
"""


class ImageCsv(tfds.core.GeneratorBasedBuilder):
    """A dataset made of a directory of images and a CSV of labels.

    Its features are `image` (uint8 or uint16, height x width x channels), `label`
    (int64, a class id), `image/filename` (string, relative to the image directory
    with `/` between folders), `image/format` (string: as which the image is stored,
    "BMP", "JPEG" or "PNG"), `image/height` and `image/width` (int64, pixels).
    `as_supervised=True` gives `(image, label)`.

    The files are stored byte for byte, if they read rightly so, and converted
    otherwise. The whole of the input is checked before a byte is written.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 - TFDS's own form
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own form
        ImageCsvConfig(
            name="cifar10",
            description="Kaggle's CIFAR-10: 50,000 labelled 32x32 images, 10 classes.",
            image_dir="train",
            label_csv="trainLabels.csv",
            filename_column="id",
            label_column="label",
            filename_suffix=".png",
            val_size=0.3,
            test_size=0.1,
        ),
    ]

    def __init__(self, *, config: Any = None, **kwargs: Any) -> None:
        """Constructs the builder; arguments are those of TFDS.

        Raises:
          ConfigError: if a config object isn't an `ImageCsvConfig`, or has the name
            of a built-in one.
        """
        if config is not None and not isinstance(config, str):
            self._check_config(config)
        self._has_config = config is not None
        self._plan: plan_lib.DatasetPlan | None = None
        super().__init__(config=config, **kwargs)

    @classmethod
    def _check_config(cls, config: object) -> None:
        if not isinstance(config, ImageCsvConfig):
            raise exceptions.ConfigError(
                "config must be a name or an ImageCsvConfig, got"
                f" {type(config).__name__}"
            )
        built_in = cls.builder_configs.get(config.name)
        if built_in is not None and built_in is not config:
            raise exceptions.ConfigError(
                f"name: {cls.name}/{config.name} is a built-in dataset. Choose another"
                " name."
            )

    def _info(self) -> tfds.core.DatasetInfo:
        # TFDS calls this on every load, so it must not need the CSV or the images.
        # The names of the classes are set in `_split_generators`, and restored by
        # TFDS from then on.
        options = ImageOptions()
        if isinstance(self.builder_config, ImageCsvConfig):
            options = self.builder_config.image_options
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=options.shape,
                        dtype=np.dtype(options.dtype).type,
                        encoding_format=options.encoding
                        or ("png" if options.dtype == "uint16" else None),
                    ),
                    "label": tfds.features.ClassLabel(),
                    "image/filename": tfds.features.Text(),
                    "image/format": tfds.features.Text(),
                    "image/height": tfds.features.Scalar(dtype=np.int64),
                    "image/width": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(),
        )

    def download_and_prepare(
        self,
        *,
        download_dir: epath.PathLike | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Builds the dataset, if it isn't there; arguments are those of TFDS.

        All of the input is checked first: an error leaves the data directory as it
        was.

        Raises:
          ConfigError: if the builder was made without a config.
          SourceError: if the CSV or the image directory can't be used.
          InvalidRowsError: if some rows, or their images, can't be used.
          SplitError: if the rows can't be divided as the config says.
        """
        download_config = download_config or tfds.download.DownloadConfig()
        mode = download_config.download_mode
        if mode != tfds.download.GenerateMode.UPDATE_DATASET_INFO and (
            mode.overwrite_dataset or not self.data_path.exists()
        ):
            download_path = epath.Path(download_dir or self.data_dir_root / "downloads")
            # A download manager makes its directories at once.
            with tempfile.TemporaryDirectory() as scratch_dir:
                dl_manager = tfds.download.DownloadManager(
                    download_dir=scratch_dir,
                    manual_dir=download_config.manual_dir or download_path / "manual",
                    manual_dir_instructions=self.MANUAL_DOWNLOAD_INSTRUCTIONS,
                    dataset_name=self.name,
                )
                self._plan = self._make_plan(dl_manager)
            if download_config.max_examples_per_split is not None:
                self._plan = self._plan.first(download_config.max_examples_per_split)
        super().download_and_prepare(
            download_dir=download_dir, download_config=download_config, **kwargs
        )
        self._plan = None

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        plan = self._plan
        if plan is None:
            plan = self._make_plan(dl_manager)
        manifest.write_manifest(self.data_path / manifest.FILENAME, plan.rows)
        if len(plan.rejected):
            rejected = plan.rejected.to_csv(index=False, lineterminator="\n")
            path = self.data_path / selection.REJECTED_ROWS_FILENAME
            path.write_text(rejected, encoding="utf-8")
        tfds_private.set_class_names(self.info.features["label"], plan.class_names)
        self.info.metadata.clear()
        self.info.metadata.update(self._metadata(plan))
        return {
            split: self._generate_examples(plan, split) for split in plan.class_counts
        }

    def _generate_examples(
        self, plan: plan_lib.DatasetPlan, split: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = plan.rows[plan.rows["split"] == split]
        finder = images.Finder(plan.image_dir)
        row: Any
        for row in rows.itertuples():
            content = images.read_stored(finder, row, plan.options)
            yield (
                row.key,
                {
                    "image": content,
                    # -1 is TFDS's id for no label.
                    "label": row.label or -1,
                    "image/filename": row.key,
                    "image/format": conversions.stored_format(content),
                    "image/height": row.stored_height,
                    "image/width": row.stored_width,
                },
            )

    def _make_plan(
        self, dl_manager: tfds.download.DownloadManager
    ) -> plan_lib.DatasetPlan:
        if not self._has_config:
            known = ", ".join(f"{self.name}/{name}" for name in self.builder_configs)
            raise exceptions.ConfigError(
                f"{self.name} needs a config: the name of a dataset ({known}) or,"
                " for your own images, config=tfds_imagecsv.ImageCsvConfig(name=...,"
                " image_dir=..., label_csv=...)."
            )
        config = self.builder_config
        paths = self._locate(dl_manager)
        plan = plan_lib.make_plan(config, survey_lib.make_survey(config, **paths))
        for note in plan.notes:
            warnings.warn(note, exceptions.ImageCsvWarning, stacklevel=2)
        return plan

    def _locate(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, epath.Path]:
        """Returns the paths that the fields of the config stand for.

        Raises:
          SourceError: if something isn't there.
        """
        used_manual_dir = False

        def manual_dir() -> epath.Path:
            nonlocal used_manual_dir
            used_manual_dir = True
            try:
                return dl_manager.manual_dir
            except AssertionError as error:
                # TFDS's own words: it doesn't exist or is empty.
                words = str(error).partition(" Create")[0]
                raise exceptions.SourceError(words) from error

        try:
            return survey_lib.locate_sources(self.builder_config, manual_dir=manual_dir)
        except exceptions.SourceError as error:
            if not used_manual_dir:
                raise
            raise exceptions.SourceError(
                f"{error}\n\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            ) from error

    def _metadata(self, plan: plan_lib.DatasetPlan) -> dict[str, Any]:
        """Returns what `info.metadata` has, as values that JSON can hold."""
        config = self.builder_config
        return {
            "tfds_imagecsv_version": importlib.metadata.version("tfds-imagecsv"),
            "val_size": config.val_size,
            "test_size": config.test_size,
            "folds": config.folds,
            "seed": config.seed,
            "class_counts": plan.class_counts,
            "largest_class_deviation": plan.largest_class_deviation,
            "largest_split_deviation": plan.largest_split_deviation,
            "groups": plan.groups,
            "duplicate_sets": plan.duplicate_sets,
            "duplicate_images": plan.duplicate_images,
            "rejected_rows": len(plan.rejected),
            "images_without_row": len(plan.unlisted),
            "conversions": images.count_conversions(plan.rows),
            "wrong_extensions": images.count_other_extensions(plan.rows),
        }


tfds_private.show_errors_without_traceback()
