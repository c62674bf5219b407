"""The dataset builder `image_csv`."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import engines, exceptions, gc_pause, tfds_private
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.conversions import ImageOptions

with epy.lazy_imports():
    from tfds_imagecsv import fingerprint, images, leftovers, manifest, selection
    from tfds_imagecsv import plan as plan_lib
    from tfds_imagecsv import shards as shards_lib
    from tfds_imagecsv import survey as survey_lib

# What systems say where a file can't grow any more.
_LACK_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

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


def _absolute(path: epath.Path) -> epath.Path:
    """Returns a path that means the same in a process with another directory."""
    # An absolute or remote path stays as it is.
    return epath.Path(pathlib.Path.cwd()) / path


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
        self._survey: survey_lib.Survey | None = None
        self._digests: dict[str, str] = {}
        self._is_known_to_be_fresh = False
        self._engine: engines.Engine | None = None
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

        One that is there is used as it is, if its config and sources are.

        All of the input is checked first: an error leaves the data directory as it
        was. If the `download_config` has a `beam_runner` or `beam_options`, Apache Beam
        inspects the images and writes the shards; else all cores of this machine do.

        Raises:
          ConfigError: if the builder was made without a config, or `num_shards` is more
            than the examples of a split.
          SourceError: if the CSV or the image directory can't be used.
          InvalidRowsError: if some rows, or their images, can't be used.
          SplitError: if the rows can't be divided as the config says.
          StaleDatasetError: if a dataset is there, and its config, its CSV or its
            images have changed.
          StorageError: if the disk is full.
          WorkerError: if a worker process died.
        """
        config = download_config or tfds.download.DownloadConfig()
        manual_dir = self._manual_dir(config, download_dir)
        kwargs |= {"download_dir": download_dir, "download_config": config}
        mode = config.download_mode
        if mode == tfds.download.GenerateMode.UPDATE_DATASET_INFO or (
            self.data_path.exists() and not mode.overwrite_dataset
        ):
            leftovers.remove_if_unused(self.data_path)
            if mode != tfds.download.GenerateMode.UPDATE_DATASET_INFO:
                self.raise_if_stale(manual_dir=manual_dir)
            super().download_and_prepare(**kwargs)
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(gc_pause.frozen_gc())
            stack.enter_context(self._lack_of_room_explained())
            # What is wrong with it is said before the images are read.
            tfds_private.shard_rule(config)
            stack.callback(self._forget_plan)
            only_build = leftovers.only_build(self.data_path)
            if config.beam_runner or config.beam_options:
                # Its work needs files in the data directory.
                stack.enter_context(only_build)
                if self._takes_over(mode, manual_dir):
                    return
                self._engine = stack.enter_context(self._beam_engine(config))
                self._plan = self._checked_plan(config, download_dir)
            else:
                workers = getattr(self.builder_config, "workers", None)
                self._engine = stack.enter_context(engines.LocalEngine(workers))
                self._plan = self._checked_plan(config, download_dir)
                stack.enter_context(only_build)
                if self._takes_over(mode, manual_dir):
                    return
            stack.enter_context(leftovers.kept_unless_replaced(self.data_path))
            super().download_and_prepare(**kwargs)
            self._is_known_to_be_fresh = True

    def raise_if_stale(self, *, manual_dir: epath.PathLike | None = None) -> None:
        """Compares a dataset that is there with its config, its CSV and its images.

        `download_and_prepare` does this, and reading for the first time, which is what
        `tfds.load` does. Sources that aren't there aren't compared.

        Args:
          manual_dir: where relative paths are looked up; default: TFDS's.

        Raises:
          StaleDatasetError: if something has changed that changes the dataset.
        """
        config = self.builder_config
        if self.data_path.exists() and isinstance(config, ImageCsvConfig):
            fingerprint.raise_if_stale(
                config,
                self.info.metadata.get(fingerprint.METADATA_KEY),
                data_path=self.data_path,
                manual_dir=_absolute(epath.Path(manual_dir or self._manual_dir())),
            )
            self._is_known_to_be_fresh = True

    def as_dataset(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the dataset for TensorFlow; arguments are those of TFDS.

        Raises:
          StaleDatasetError: if its config, its CSV or its images have changed.
        """
        self._raise_if_not_known_to_be_fresh()
        return super().as_dataset(*args, **kwargs)

    def as_data_source(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the dataset as sequences; arguments are those of TFDS.

        Raises:
          StaleDatasetError: if its config, its CSV or its images have changed.
        """
        self._raise_if_not_known_to_be_fresh()
        return super().as_data_source(*args, **kwargs)

    def _raise_if_not_known_to_be_fresh(self) -> None:
        if not self._is_known_to_be_fresh:
            self.raise_if_stale()

    def _manual_dir(
        self,
        config: tfds.download.DownloadConfig | None = None,
        download_dir: epath.PathLike | None = None,
    ) -> epath.Path:
        """Returns the directory of relative paths, as TFDS chooses it."""
        download_path = epath.Path(download_dir or self.data_dir_root / "downloads")
        given = config.manual_dir if config else None
        return epath.Path(given or download_path / "manual")

    def _takes_over(
        self, mode: tfds.download.GenerateMode, manual_dir: epath.Path
    ) -> bool:
        """Returns whether another build has made the dataset while this one waited.

        Raises:
          StaleDatasetError: if it is another dataset.
        """
        if mode.overwrite_dataset or not self.is_prepared():
            return False
        self.info.read_from_directory(self.data_path)
        self.raise_if_stale(manual_dir=manual_dir)
        return True

    def _forget_plan(self) -> None:
        self._engine = self._plan = self._survey = None

    @contextlib.contextmanager
    def _lack_of_room_explained(self) -> Iterator[None]:
        """Raises a `StorageError` for what libraries raise where a disk is full."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            # Some have no number: those of TFDS, of ArrayRecord and of Apache Beam.
            words = str(error)
            if isinstance(error, OSError) and error.errno in _LACK_OF_ROOM:
                words = os.strerror(error.errno)
            known = ["Not enough disk space", *map(os.strerror, _LACK_OF_ROOM)]
            reason = next((one for one in known if one in words), None)
            if reason is None:
                raise
            raise exceptions.StorageError(
                f"data_dir {self.data_dir_root}: {reason} while the dataset was"
                " written. Nothing of it was kept. Make room, or choose another"
                " data_dir."
            ) from error

    def _beam_engine(self, config: tfds.download.DownloadConfig) -> engines.BeamEngine:
        return engines.BeamEngine(
            leftovers.new_unfinished(_absolute(self.data_path)),
            runner=config.beam_runner,
            options=config.beam_options,
        )

    def _checked_plan(
        self,
        config: tfds.download.DownloadConfig,
        download_dir: epath.PathLike | None,
    ) -> plan_lib.DatasetPlan:
        """Returns the plan, before TFDS makes a directory."""
        # A download manager makes its directories at once.
        with tempfile.TemporaryDirectory() as scratch_dir:
            dl_manager = tfds.download.DownloadManager(
                download_dir=scratch_dir,
                manual_dir=self._manual_dir(config, download_dir),
                manual_dir_instructions=self.MANUAL_DOWNLOAD_INSTRUCTIONS,
                dataset_name=self.name,
            )
            plan = self._make_plan(dl_manager)
        if config.max_examples_per_split is not None:
            plan = plan.first(config.max_examples_per_split)
        return plan

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> None:
        """Writes the dataset into the directory that TFDS has made for it.

        This takes the place of TFDS's own way, which asks `_split_generators` for the
        examples one by one, keeps a split in memory up to 1 GB, and writes a larger one
        to disk twice. Both give the same records in the same order.
        """
        if download_config.max_examples_per_split == 0:
            return  # as TFDS does
        plan, engine = self._plan, self._engine
        assert plan is not None
        assert engine is not None
        shuffle = not (
            self.info.disable_shuffling or download_config.nondeterministic_order
        )
        source = {"image_dir": plan.image_dir, "options": plan.options}

        def measure(rows: Any) -> Any:
            with tfds_private.progress_bar(len(rows), "Measuring conversions") as bar:
                return shards_lib.measure_stored(
                    rows, **source, engine=engine, progress=bar.update
                )

        rule = tfds_private.shard_rule(download_config)
        shard_plan = shards_lib.plan_shards(
            plan.rows,
            plan.class_counts,
            class_ids=self._class_ids(plan),
            options=plan.options,
            rule=rule,
            shuffle=shuffle,
            measure=measure,
        )
        sizes, paths = self._write_shards(
            shard_plan, source, engine, meanwhile=lambda: self._describe(plan)
        )
        while another := shards_lib.corrected(shard_plan, sizes, rule):
            for path in paths:
                path.unlink()
            shard_plan = another
            sizes, paths = self._write_shards(shard_plan, source, engine)
        tfds_private.set_splits(self, shard_plan.shards, sizes)

    def _write_shards(
        self,
        shard_plan: shards_lib.ShardPlan,
        source: dict[str, Any],
        engine: engines.Engine,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> tuple[list[int], list[epath.Path]]:
        """Writes the shards with a progress bar; returns their sizes and paths."""
        paths = [
            _absolute(path)
            for path in tfds_private.shard_paths(self, shard_plan.shards)
        ]
        written = 0
        with tfds_private.progress_bar(len(shard_plan.rows), "Writing images") as bar:

            def progress(images_done: int, size: int) -> None:
                nonlocal written
                written += size
                bar.set_postfix_str(f"{written / 1e6:,.0f} MB", refresh=False)
                bar.update(images_done)

            sizes = shards_lib.write_shards(
                shard_plan,
                paths,
                **source,
                file_format=self.info.file_format.value,
                engine=engine,
                progress=progress,
                meanwhile=meanwhile,
            )
        return sizes, paths

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        if self._plan is None:
            self._plan = self._make_plan(dl_manager)
        plan = self._plan
        self._describe(plan)
        return {
            split: self._generate_examples(plan, split) for split in plan.class_counts
        }

    def _generate_examples(
        self, plan: plan_lib.DatasetPlan, split: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = plan.rows[plan.rows["split"] == split]
        rows = rows.assign(class_id=rows["label"].map(self._class_ids(plan)))
        columns = {str(name): list(values) for name, values in rows.items()}
        chunk = engines.Chunk((plan.image_dir, plan.options), columns)
        return zip(rows["key"], shards_lib.examples(chunk), strict=True)

    def _describe(self, plan: plan_lib.DatasetPlan) -> None:
        """Keeps with the dataset what there is besides the records."""
        manifest.write_manifest(self.data_path / manifest.FILENAME, plan.rows)
        if len(plan.rejected):
            rejected = plan.rejected.to_csv(index=False, lineterminator="\n")
            path = self.data_path / selection.REJECTED_ROWS_FILENAME
            path.write_text(rejected, encoding="utf-8")
        assert self._survey is not None
        fingerprint.write_sources(
            self.data_path / fingerprint.FILENAME, self._survey, self._digests
        )
        tfds_private.set_class_names(self.info.features["label"], plan.class_names)
        self.info.metadata.clear()
        self.info.metadata.update(self._metadata(plan))

    @staticmethod
    def _class_ids(plan: plan_lib.DatasetPlan) -> dict[str, int]:
        # -1 is TFDS's id for no label.
        return {"": -1, **{name: at for at, name in enumerate(plan.class_names)}}

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
        engine = self._engine or engines.LocalEngine(workers=1)
        self._digests = fingerprint.digests_of(paths)
        survey = survey_lib.make_survey(config, **paths, engine=engine)
        self._survey = survey
        plan = plan_lib.make_plan(config, survey)
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
                return _absolute(dl_manager.manual_dir)
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
            fingerprint.METADATA_KEY: fingerprint.fields_of(config),
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
