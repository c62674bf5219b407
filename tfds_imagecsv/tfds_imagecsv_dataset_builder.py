"""The dataset builder `image_csv`."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import exceptions, garbage_collection, tfds_private
from tfds_imagecsv.config import ImageCsvConfig
from tfds_imagecsv.dataset import registration
from tfds_imagecsv.engines import beam, local
from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.storage import s3

if TYPE_CHECKING:
    import pandas as pd

    from tfds_imagecsv.images.inspection import Inspection
    from tfds_imagecsv.splits.dataset_plan import DatasetPlan

with epy.lazy_imports():
    from tfds_imagecsv.dataset import features as features_lib
    from tfds_imagecsv.images import inspection as inspection_lib
    from tfds_imagecsv.images import listing
    from tfds_imagecsv.prepared import sources_json, stale
    from tfds_imagecsv.shards import examples, shard_plan, write
    from tfds_imagecsv.sources import downloads
    from tfds_imagecsv.sources import locate as locate_lib
    from tfds_imagecsv.splits import dataset_plan, select
    from tfds_imagecsv.storage import files, unfinished
    from tfds_imagecsv.table import manifest

# What systems say where a file can't grow any more.
_LACK_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_MANUAL_DIR = """\
A relative image_dir or label_csv is looked up in the manual directory
(`tfds build --manual_dir=DIR`, or `DownloadConfig(manual_dir=DIR)`).
"""
_INSTRUCTIONS = f"""\
{_MANUAL_DIR}
image_csv/cifar10 is Kaggle's CIFAR-10. Get `train.7z` and `trainLabels.csv` from
https://www.kaggle.com/c/cifar-10/data, and put them into the manual directory as
they are, so that it has:

    train.7z           50,000 images: train/1.png ... train/50000.png
    trainLabels.csv    id,label

The folder `train`, extracted from it, does as well.

To build a dataset of your own images, give its config:
    tfds build image_csv --imports=tfds_imagecsv \\
        --config='{{"name": "pets", "image_dir": "DIR", "label_csv": "FILE"}}'
"""


def _absolute(path: epath.Path) -> epath.Path:
    """Returns a path that means the same in a process with another directory."""
    # An absolute or remote path stays as it is.
    return epath.Path(pathlib.Path.cwd()) / path.expanduser()


@contextlib.contextmanager
def _reachable(data_dir: epath.PathLike) -> Iterator[None]:
    """Raises a `StorageError` for what is raised where a bucket can't be reached."""
    try:
        yield
    except Exception as error:
        if not s3.is_s3(data_dir) or not s3.is_failure(error):
            raise
        raise exceptions.StorageError(
            f"data_dir {os.fspath(data_dir)}: {s3.reason(error)}"
        ) from error


class ImageCsv(tfds.core.GeneratorBasedBuilder):
    """A dataset made of a directory of images and a CSV of labels.

    Its features are `image` (uint8 or uint16, height x width x channels), `label`
    (int64, a class id; or as the config's `label_type` says, a sequence of class ids, a
    float32 or several, or none), the config's `extra_columns`, `image/filename`
    (string, relative to the image directory with `/` between folders), `image/format`
    (string: as which the image is stored, "BMP", "JPEG" or "PNG"), `image/height` and
    `image/width` (int64, pixels).
    `as_supervised=True` gives `(image, label)`, if there are labels.

    The files are stored byte for byte, if they read rightly so, and converted
    otherwise. The whole of the input is checked before a byte is written.

    A class that is derived from it, in a folder as TFDS has it, is a dataset with a
    name, a README.md, tests and dummy data of its own. `BUILDER_CONFIGS` has its
    `ImageCsvConfig`s, of which the first is the default.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 - TFDS's own form
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS = registration.CONFIGS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Gives a dataset of its own what TFDS would take from this one."""
        super().__init_subclass__(**kwargs)
        if "pkg_dir_path" not in vars(cls):
            # TFDS finds the folder of a package, but not if ours is inherited; it
            # fails at a module that is in none, which is given ours.
            in_package = "." in cls.__module__
            ours = epath.resource_path("tfds_imagecsv")
            cls.pkg_dir_path = None if in_package else ours
        if cls.MANUAL_DOWNLOAD_INSTRUCTIONS is _INSTRUCTIONS:
            cls.MANUAL_DOWNLOAD_INSTRUCTIONS = _MANUAL_DIR

    def __init__(self, *, config: Any = None, **kwargs: Any) -> None:
        """Constructs the builder; arguments are those of TFDS.

        A `data_dir` that begins with `~` is in the user's home, where TFDS would make a
        directory of this name.

        Raises:
          ConfigError: if there is no config of that name, or if a config object isn't
            an `ImageCsvConfig`, or has the name of another one.
        """
        # A class of its own has its own default; ours is no dataset of the user's.
        configs = self.BUILDER_CONFIGS
        has_default = bool(configs) and configs is not ImageCsv.BUILDER_CONFIGS
        self._has_config = config is not None or has_default
        self._plan: DatasetPlan | None = None
        self._inspection: Inspection | None = None
        self._digests: dict[str, str] = {}
        self._is_known_to_be_fresh = False
        self._engine: Engine | None = None
        self._dl_manager: tfds.download.DownloadManager | None = None
        if kwargs.get("data_dir"):
            kwargs["data_dir"] = epath.Path(kwargs["data_dir"]).expanduser()
        with _reachable(kwargs.get("data_dir") or tfds.core.constants.DATA_DIR):
            super().__init__(config=self._find_config(config, **kwargs), **kwargs)

    @classmethod
    def _find_config(
        cls, config: object, *, version: object = None, **_: object
    ) -> ImageCsvConfig | None:
        """Returns the config of a name, or a config that has no other one's name."""
        if config is None:
            return None
        if isinstance(config, str):
            return registration.named_config(cls, config, version)
        if not isinstance(config, ImageCsvConfig):
            raise exceptions.ConfigError(
                "config must be a name or an ImageCsvConfig, got"
                f" {type(config).__name__}"
            )
        return registration.accepted_config(cls, config)

    def _info(self) -> tfds.core.DatasetInfo:
        # TFDS calls this on every load, so it must not need the CSV or the images.
        # The names of the classes are set in `_split_generators`, and restored by
        # TFDS from then on.
        features = self._features({})
        return self.dataset_info_from_configs(
            features=features,
            supervised_keys=("image", "label") if "label" in features else None,
            metadata=tfds.core.MetadataDict(),
        )

    def _features(self, inferred: Mapping[str, str]) -> tfds.features.FeaturesDict:
        """Returns the features of the dataset, whose classes have no names yet.

        Args:
          inferred: the types of the extra columns, if the config doesn't say them.
        """
        config = self.builder_config
        if not isinstance(config, ImageCsvConfig):
            return features_lib.specification(ImageOptions())
        extra = config.extra_columns or {}
        if isinstance(extra, str):
            extra = inferred
            built = self.data_path / tfds.core.constants.FEATURES_FILENAME
            if not extra and built.exists():
                # What was inferred when the dataset was built.
                return tfds.features.FeaturesDict.from_config(self.data_path)
        return features_lib.specification(
            config.image_options,
            label_type=config.label_type,
            label_columns=config.label_columns,
            extra=extra,
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
          StorageError: if the disk is full, or the data directory can't be reached.
          WorkerError: if a worker process died.
        """
        config = download_config or tfds.download.DownloadConfig()
        manual_dir = self._manual_dir(config, download_dir)
        kwargs |= {"download_dir": download_dir, "download_config": config}
        mode = config.download_mode
        with _reachable(self.data_dir_root):
            self._check_bucket()
            self._remove_unfinished_copy()
        if mode == tfds.download.GenerateMode.UPDATE_DATASET_INFO or (
            self.data_path.exists() and not mode.overwrite_dataset
        ):
            unfinished.remove_if_unused(self.data_path)
            if mode != tfds.download.GenerateMode.UPDATE_DATASET_INFO:
                self.raise_if_stale(manual_dir=manual_dir)
            super().download_and_prepare(**kwargs)
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(garbage_collection.frozen())
            stack.enter_context(self._lack_of_room_explained())
            # What is wrong with it is said before the images are read.
            tfds_private.shard_rule(config)
            stack.callback(self._forget_plan)
            only_build = unfinished.only_build(self.data_path)
            if config.beam_runner or config.beam_options:
                # Its work needs files in the data directory.
                stack.enter_context(only_build)
                if self._takes_over(mode, manual_dir):
                    return
                self._engine = stack.enter_context(self._beam_engine(config))
                self._plan = self._checked_plan(config, download_dir)
            else:
                workers = getattr(self.builder_config, "workers", None)
                self._engine = stack.enter_context(local.LocalEngine(workers))
                self._plan = self._checked_plan(config, download_dir)
                stack.enter_context(only_build)
                if self._takes_over(mode, manual_dir):
                    return
            stack.enter_context(unfinished.kept_unless_replaced(self.data_path))
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
            stale.raise_if_stale(
                config,
                self.info.metadata.get(stale.METADATA_KEY),
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
        given = config.manual_dir if config else None
        path = epath.Path(given or self._download_path(download_dir) / "manual")
        return path.expanduser()

    def _download_path(self, download_dir: epath.PathLike | None) -> epath.Path:
        return epath.Path(download_dir or self.data_dir_root / "downloads")

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

    def _check_bucket(self) -> None:
        """Checks that the bucket is there, which isn't made."""
        root = self.data_dir_root
        if s3.is_s3(root) and not s3.bucket(root).exists():
            raise exceptions.StorageError(
                f"data_dir {root}: there is no bucket {s3.bucket(root)}. Make it first."
            )

    def _remove_unfinished_copy(self) -> None:
        """Removes what has a dataset's name and isn't one.

        Buckets can't rename a directory at once, so a build that is killed at its very
        end leaves such.
        """
        path = self.data_path
        if files.is_remote(path) and path.exists() and not self.is_prepared():
            path.rmtree()

    def _forget_plan(self) -> None:
        self._engine = self._plan = self._inspection = self._dl_manager = None

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

    def _beam_engine(self, config: tfds.download.DownloadConfig) -> beam.BeamEngine:
        return beam.BeamEngine(
            unfinished.new_unfinished(_absolute(self.data_path)),
            runner=config.beam_runner,
            options=config.beam_options,
        )

    def _checked_plan(
        self,
        config: tfds.download.DownloadConfig,
        download_dir: epath.PathLike | None,
    ) -> DatasetPlan:
        """Returns the plan, before TFDS makes a directory."""
        # A download manager makes its directories at once.
        with tempfile.TemporaryDirectory() as scratch_dir:
            dl_manager = tfds.download.DownloadManager(
                download_dir=scratch_dir,
                manual_dir=self._manual_dir(config, download_dir),
                manual_dir_instructions=self.MANUAL_DOWNLOAD_INSTRUCTIONS,
                dataset_name=self.name,
            )
            downloads = self._downloads(config, self._download_path(download_dir))
            plan = self._make_plan(dl_manager, downloads)
        if config.max_examples_per_split is not None:
            plan = plan.first(config.max_examples_per_split)
        return plan

    def _downloads(
        self, config: tfds.download.DownloadConfig, download_dir: epath.Path
    ) -> downloads.Downloads:
        """Returns where TFDS keeps downloads and extracted archives."""
        download_dir = download_dir.expanduser()
        extract_dir = config.extract_dir or download_dir / "extracted"
        # The checksums are those of the config, and not of TFDS.
        unchecked = config.replace(force_checksums_validation=False)

        def make_manager() -> tfds.download.DownloadManager:
            self._dl_manager = super(ImageCsv, self)._make_download_manager(
                download_dir=download_dir, download_config=unchecked
            )
            return self._dl_manager

        return downloads.Downloads(
            extract_dir=_absolute(epath.Path(extract_dir)),
            make_manager=make_manager,
            anew=config.download_mode.force_download,
            must_be_checked=config.force_checksums_validation,
        )

    def _make_download_manager(self, **kwargs: Any) -> tfds.download.DownloadManager:
        """Returns the one that has downloaded, which TFDS asks how much that was."""
        return self._dl_manager or super()._make_download_manager(**kwargs)

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
                return write.measure_stored(
                    rows, **source, engine=engine, progress=bar.update
                )

        rule = tfds_private.shard_rule(download_config)
        planned = shard_plan.plan_shards(
            features_lib.with_values(plan),
            plan.class_counts,
            options=plan.options,
            rule=rule,
            shuffle=shuffle,
            measure=measure,
        )
        sizes, paths = self._write_shards(
            planned, source, engine, meanwhile=lambda: self._describe(plan)
        )
        while another := shard_plan.corrected(planned, sizes, rule):
            for path in paths:
                path.unlink()
            planned = another
            sizes, paths = self._write_shards(planned, source, engine)
        tfds_private.set_splits(self, planned.shards, sizes)

    def _write_shards(
        self,
        planned: shard_plan.ShardPlan,
        source: dict[str, Any],
        engine: Engine,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> tuple[list[int], list[epath.Path]]:
        """Writes the shards with a progress bar; returns their sizes and paths."""
        paths = [
            _absolute(path) for path in tfds_private.shard_paths(self, planned.shards)
        ]
        written = 0
        with tfds_private.progress_bar(len(planned.rows), "Writing images") as bar:

            def progress(images_done: int, size: int) -> None:
                nonlocal written
                written += size
                bar.set_postfix_str(f"{written / 1e6:,.0f} MB", refresh=False)
                bar.update(images_done)

            sizes = write.write_shards(
                planned,
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
            config = tfds.download.DownloadConfig()
            downloads = self._downloads(config, dl_manager.download_dir)
            self._plan = self._make_plan(dl_manager, downloads)
        plan = self._plan
        self._describe(plan)
        rows = features_lib.with_values(plan)
        return {
            split: self._generate_examples(plan, rows[rows["split"] == split])
            for split in plan.class_counts
        }

    def _generate_examples(
        self, plan: DatasetPlan, rows: pd.DataFrame
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        columns = {str(name): list(values) for name, values in rows.items()}
        chunk = Chunk((plan.image_dir, plan.options), columns)
        found = (
            features_lib.decoded(example, plan.extra_columns)
            for example in examples.examples(chunk)
        )
        return zip(rows["key"], found, strict=True)

    def _describe(self, plan: DatasetPlan) -> None:
        """Keeps with the dataset what there is besides the records."""
        manifest.write_manifest(self.data_path / manifest.FILENAME, plan.rows)
        if len(plan.rejected):
            rejected = plan.rejected.to_csv(index=False, lineterminator="\n")
            path = self.data_path / select.REJECTED_ROWS_FILENAME
            path.write_text(rejected, encoding="utf-8")
        assert self._inspection is not None
        sources_json.write_sources(
            self.data_path / sources_json.FILENAME, self._inspection, self._digests
        )
        label = features_lib.class_label(self.info.features)
        if label is not None:
            tfds_private.set_class_names(label, plan.class_names)
        self.info.metadata.clear()
        self.info.metadata.update(self._metadata(plan))

    def _make_plan(
        self,
        dl_manager: tfds.download.DownloadManager,
        downloads: downloads.Downloads,
    ) -> DatasetPlan:
        if not self._has_config:
            known = ", ".join(f"{self.name}/{name}" for name in self.builder_configs)
            raise exceptions.ConfigError(
                f"{self.name} needs a config: the name of a dataset ({known}) or,"
                " for your own images, config=tfds_imagecsv.ImageCsvConfig(name=...,"
                " image_dir=..., label_csv=...)."
            )
        config = self.builder_config
        paths = self._locate(dl_manager, downloads)
        engine = self._engine or local.LocalEngine(workers=1)
        self._digests = stale.digests_of(paths)
        inspection = inspection_lib.inspect(config, **paths, engine=engine)
        self._inspection = inspection
        engine.preload(write.__name__)
        plan = dataset_plan.make_plan(config, inspection)
        if isinstance(config.extra_columns, str):
            # Their types are known only now.
            tfds_private.set_features(self.info, self._features(plan.extra_columns))
        for note in plan.notes:
            warnings.warn(note, exceptions.ImageCsvWarning, stacklevel=2)
        return plan

    def _locate(
        self,
        dl_manager: tfds.download.DownloadManager,
        downloads: downloads.Downloads,
    ) -> dict[str, Any]:
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
            return locate_lib.locate(
                self.builder_config, manual_dir=manual_dir, downloads=downloads
            )
        except exceptions.SourceError as error:
            if not used_manual_dir:
                raise
            raise exceptions.SourceError(
                f"{error}\n\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            ) from error

    def _metadata(self, plan: DatasetPlan) -> dict[str, Any]:
        """Returns what `info.metadata` has, as values that JSON can hold."""
        config = self.builder_config
        return {
            "tfds_imagecsv_version": importlib.metadata.version("tfds-imagecsv"),
            stale.METADATA_KEY: stale.fields_of(config),
            "val_size": config.val_size,
            "test_size": config.test_size,
            "folds": config.folds,
            "seed": config.seed,
            "label_type": plan.label_type,
            "extra_columns": dict(plan.extra_columns),
            "about_classes": plan.about_classes,
            "class_counts": plan.class_counts,
            "largest_class_deviation": plan.largest_class_deviation,
            "largest_split_deviation": plan.largest_split_deviation,
            "groups": plan.groups,
            "duplicate_sets": plan.duplicate_sets,
            "duplicate_images": plan.duplicate_images,
            "rejected_rows": len(plan.rejected),
            "images_without_row": len(plan.unlisted),
            "conversions": listing.count_conversions(plan.rows),
            "wrong_extensions": listing.count_other_extensions(plan.rows),
        }


s3.use_s3fs()
tfds_private.show_errors_without_traceback()
