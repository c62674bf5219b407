"""The dataset builder `image_csv`."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from etils import epath, epy

from tfds_imagecsv import exceptions, garbage_collection, tfds_private
from tfds_imagecsv.config import ImageCsvConfig, is_url
from tfds_imagecsv.dataset import info as info_lib
from tfds_imagecsv.dataset import registration
from tfds_imagecsv.engines import beam, local
from tfds_imagecsv.engines.engine import Chunk, Engine
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.storage import failures, s3
from tfds_imagecsv.storage.paths import absolute

if TYPE_CHECKING:
    from tfds_imagecsv.images.inspection import Inspection
    from tfds_imagecsv.prepared.compare import Version
    from tfds_imagecsv.sources.downloads import Downloads
    from tfds_imagecsv.sources.locate import Sources
    from tfds_imagecsv.splits.dataset_plan import DatasetPlan

# `import tfds_imagecsv` is quick; a build imports the rooms.
with epy.lazy_imports():
    import pyarrow as pa

    from tfds_imagecsv import arrays
    from tfds_imagecsv.dataset import features as features_lib
    from tfds_imagecsv.dataset import metadata
    from tfds_imagecsv.images import inspection as inspection_lib
    from tfds_imagecsv.prepared import compare, side_files, stale
    from tfds_imagecsv.reports import outcome
    from tfds_imagecsv.reports import report as report_lib
    from tfds_imagecsv.reports import summary as summary_lib
    from tfds_imagecsv.shards import examples, shard_plan, write
    from tfds_imagecsv.sources import downloads as downloads_lib
    from tfds_imagecsv.sources import locate as locate_lib
    from tfds_imagecsv.splits import dataset_plan, select
    from tfds_imagecsv.storage import files, unfinished
    from tfds_imagecsv.table import label_table

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


def _check_file_format(file_format: Any) -> None:
    known = [one.value for one in tfds.core.FileFormat]
    if file_format not in (None, *tfds.core.FileFormat, *known):
        raise exceptions.ConfigError(
            f"file_format must be one of {', '.join(known)}, got {file_format!r}"
        )


def _is_on_beam(config: tfds.download.DownloadConfig) -> bool:
    return bool(config.beam_runner or config.beam_options)


class ImageCsv(tfds.core.GeneratorBasedBuilder):
    """A dataset made of a directory of images and a table of labels.

    Features:
      image: uint8 or uint16, height x width x channels.
      label: int64, a class id; by the config's `label_type`, a sequence of class ids, a
        float32, several of them, or nothing.
      objects: with boxes, instead of the label, a sequence of `bbox` (float32: upper,
        left, lower and right edge as fractions of the image), `label` and the config's
        `extra_columns`.
      image/filename: string, relative to the image directory, with `/` between folders.
      image/format: string, the stored format: "BMP", "JPEG" or "PNG".
      image/height, image/width: int64, pixels.
      The config's `extra_columns`, by their names.
      The config's `image_columns`, by their names, like `image`.
      segmentation_mask: with masks, uint8 or uint16, height x width x 1, with the sides
        of the stored `image`; a `LabeledImage` if the values have classes.

    `as_supervised=True` gives `(image, label)`, if there are labels.

    Files that readers show correctly are stored byte for byte; others are converted.
    The whole input is checked before a byte is written.

    A derived class, in a folder with TFDS's layout, is a dataset with its own name,
    README.md, tests and dummy data. Its `BUILDER_CONFIGS` are `ImageCsvConfig`s; the
    first one is the default.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 - TFDS's own form
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS = registration.CONFIGS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Gives a derived class what TFDS would take from this one."""
        super().__init_subclass__(**kwargs)
        if "pkg_dir_path" not in vars(cls):
            # TFDS finds the folder of a package, unless it is inherited. A module
            # outside of packages has none, and TFDS fails; it gets ours.
            in_package = "." in cls.__module__
            ours = epath.resource_path("tfds_imagecsv")
            cls.pkg_dir_path = None if in_package else ours
        if cls.MANUAL_DOWNLOAD_INSTRUCTIONS is _INSTRUCTIONS:
            cls.MANUAL_DOWNLOAD_INSTRUCTIONS = _MANUAL_DIR

    def __init__(self, *, config: Any = None, **kwargs: Any) -> None:
        """Constructs the builder; arguments are those of TFDS.

        A `data_dir` that begins with `~` is in the user's home. (TFDS alone would make
        a directory named `~`.)

        Raises:
          ConfigError: if there is no config of that name, if a config object isn't an
            `ImageCsvConfig`, or if it has the name of another one; or if TFDS has no
            such `file_format`.
        """
        # A derived class has a default config; this one has none of the user's.
        has_default = self.BUILDER_CONFIGS and self.BUILDER_CONFIGS is not (
            ImageCsv.BUILDER_CONFIGS
        )
        self._has_config = config is not None or bool(has_default)
        self._inspection: Inspection | None = None
        self._plan: DatasetPlan | None = None
        self._earlier: Version | None = None
        self._source_digests: dict[str, str] = {}
        self._is_known_to_be_fresh = False
        self._engine: Engine | None = None
        self._dl_manager: tfds.download.DownloadManager | None = None
        _check_file_format(kwargs.get("file_format"))
        if kwargs.get("data_dir"):
            kwargs["data_dir"] = epath.Path(kwargs["data_dir"]).expanduser()
        with failures.reachable(kwargs.get("data_dir") or tfds.core.constants.DATA_DIR):
            super().__init__(config=self._find_config(config, **kwargs), **kwargs)

    @classmethod
    def _find_config(
        cls, config: object, *, version: object = None, **_: object
    ) -> ImageCsvConfig | None:
        """Returns the config of a name, or a config whose name is free."""
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
        # TFDS calls this at every load, so it touches neither the table nor the images.
        # A build sets the class names; TFDS restores them afterwards.
        config = self.builder_config
        folder = self.get_metadata()
        # Our folder's README.md and CITATIONS.bib are about the built-in dataset.
        is_built_in = config is not None and config.name == registration.BUILT_IN.name
        has_our_configs = self.BUILDER_CONFIGS is registration.CONFIGS
        if folder is ImageCsv.get_metadata() and not (is_built_in and has_our_configs):
            folder = None
        texts = info_lib.texts_of(config, folder=folder)
        return info_lib.make_info(self, texts, features=self._features(None))

    def _features(self, plan: DatasetPlan | None) -> tfds.features.FeaturesDict:
        """Returns the features of the dataset; classes of labels have no names yet.

        Args:
          plan: the plan of a build; None without a build. In that case, a built dataset
            tells what only the table and the masks could; else the likely is assumed.
        """
        config = self.builder_config
        if not isinstance(config, ImageCsvConfig):
            return features_lib.specification(ImageOptions())
        built = self.data_path / tfds.core.constants.FEATURES_FILENAME
        extra = config.extra_columns or {}
        is_told_by_files = isinstance(extra, str) or config.has_masks
        if plan is None and is_told_by_files and built.exists():
            return tfds.features.FeaturesDict.from_config(self.data_path)
        if isinstance(extra, str):
            extra = plan.extra_columns if plan else {}
        mask = None
        if config.has_masks:
            mask = features_lib.Mask()
            if plan is not None:
                mask = features_lib.Mask(plan.mask_dtype, plan.mask_classes)
        return features_lib.specification(
            config.image_options,
            label_type=config.label_type,
            label_columns=config.label_columns,
            extra=extra,
            images=config.image_columns or (),
            mask=mask,
        )

    # Building

    def download_and_prepare(
        self,
        *,
        download_dir: epath.PathLike | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Builds the dataset unless it is there; arguments are those of TFDS.

        The whole input is checked first: an error leaves the data directory as it was.
        If the `download_config` has a `beam_runner` or `beam_options`, Apache Beam
        inspects the images and writes the shards; else all cores of this machine do.

        Raises:
          ConfigError: if the builder has no config, or `num_shards` is more than a
            split has examples.
          SourceError: if the table or the image directory can't be used.
          InvalidRowsError: if some rows, or their images, can't be used.
          SplitError: if the rows can't be divided as the config says.
          StaleDatasetError: if a dataset is there, and its config, its table or its
            images have changed.
          StorageError: if the disk is full, or the data directory is out of reach or
            can't be written.
          WorkerError: if a worker process died.
        """
        config = download_config or tfds.download.DownloadConfig()
        manual_dir = self._manual_dir(config, download_dir)
        kwargs |= {"download_dir": download_dir, "download_config": config}
        mode = config.download_mode
        with failures.reachable(self.data_dir_root):
            failures.check_bucket(self.data_dir_root)
            self._remove_unfinished_copy()
        only_info = mode == tfds.download.GenerateMode.UPDATE_DATASET_INFO
        if only_info or (self.data_path.exists() and not mode.overwrite_dataset):
            unfinished.remove_if_unused(self.data_path)
            if not only_info:
                self.raise_if_stale(manual_dir=manual_dir)
            super().download_and_prepare(**kwargs)
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(garbage_collection.frozen())
            stack.enter_context(failures.enough_room(self.data_dir_root))
            # A wrong number of shards is reported before the images are read.
            tfds_private.shard_rule(config)
            stack.callback(self._forget_build)
            place = self._working_place(config)
            with failures.can_be_written(self.data_dir_root):
                stack.enter_context(unfinished.only_build(place))
            if self._is_built_by_another(mode, manual_dir):
                return
            folder = stack.enter_context(unfinished.working_folder(place))
            engine = self._make_engine(config, folder)
            stack.enter_context(engine)
            self._engine = engine
            self._plan = self._plan_without_a_trace(
                config, download_dir, folder / "converted"
            )
            stack.enter_context(unfinished.kept_unless_replaced(self.data_path))
            super().download_and_prepare(**kwargs)
            self._is_known_to_be_fresh = True
        if tfds_private.is_in_command() and self.is_prepared():
            tfds_private.print_at_end(outcome.outcome_of(self))

    def _working_place(self, config: tfds.download.DownloadConfig) -> epath.Path:
        """Returns the path beside which the build keeps its temporary files."""
        path = absolute(self.data_path)
        # Beam's workers share the data directory.
        return path if _is_on_beam(config) else unfinished.local_path(path)

    def _make_engine(
        self, config: tfds.download.DownloadConfig, folder: epath.Path
    ) -> beam.BeamEngine | local.LocalEngine:
        if not _is_on_beam(config):
            workers = getattr(self.builder_config, "workers", None)
            return local.LocalEngine(workers, folder=os.fspath(folder / "rows"))
        return beam.BeamEngine(
            folder / "beam", runner=config.beam_runner, options=config.beam_options
        )

    def _make_plan(
        self,
        dl_manager: tfds.download.DownloadManager,
        downloads: Downloads,
        converted_dir: epath.Path,
    ) -> DatasetPlan:
        """Follows the data from the config to the plan of what to write."""
        self._check_has_config()
        config = self.builder_config
        engine = self._engine or local.LocalEngine(workers=1)
        sources = self._locate(dl_manager, downloads)
        self._source_digests = stale.digests_of(sources.without_images)
        inspection_lib.start_workers_early(sources, engine)
        table = label_table.read_label_table(config, sources)
        inspection = inspection_lib.inspect(
            config, sources, table, engine=engine, converted_dir=converted_dir
        )
        del table  # the inspection has it
        engine.preload(write.__name__)
        selection = select.select_rows(config, inspection)
        plan = dataset_plan.make_plan(config, inspection, selection)
        if isinstance(config.extra_columns, str) or config.has_masks:
            # Only now are their types known.
            tfds_private.set_features(self.info, self._features(plan))
        for note in plan.notes:
            warnings.warn(note, exceptions.ImageCsvWarning, stacklevel=2)
        self._inspection = inspection
        if sources.pinned_splits is not None and config.report:
            # Now, since the build may replace the manifest's dataset.
            self._earlier = compare.read_earlier(
                sources.pinned_splits, label_type=config.label_type
            )
        return plan

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> None:
        """Writes the dataset to the directory that TFDS has made for it.

        TFDS's own way asks `_split_generators` for one example after another, keeps up
        to 1 GB of a split in memory, and writes the rest to disk twice. This replaces
        it; both give the same records in the same order.
        """
        if download_config.max_examples_per_split == 0:
            return  # as TFDS does
        plan, engine = self._plan, self._engine
        assert plan is not None
        assert engine is not None
        planned = shard_plan.plan_shards(
            features_lib.with_values(plan),
            plan.class_counts,
            rule=tfds_private.shard_rule(download_config),
            shuffle=not (
                self.info.disable_shuffling or download_config.nondeterministic_order
            ),
        )
        paths = list(map(absolute, tfds_private.shard_paths(self, planned.shards)))
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
                image_dir=plan.image_dir,
                file_format=self.info.file_format.value,
                engine=engine,
                progress=progress,
                meanwhile=lambda: self._describe(plan),
            )
        tfds_private.set_splits(self, planned.shards, sizes)

    def _describe(self, plan: DatasetPlan) -> None:
        """Writes the files beside the records, and sets class names and metadata."""
        assert self._inspection is not None
        side_files.write(self.data_path, plan, self._inspection, self._source_digests)
        label = features_lib.class_label(self.info.features)
        if label is not None:
            tfds_private.set_class_names(label, plan.class_names)
        self.info.metadata.clear()
        self.info.metadata.update(metadata.metadata_of(self.builder_config, plan))
        if self.builder_config.report:
            self._write_report(plan, self._inspection)

    def _write_report(self, plan: DatasetPlan, inspection: Inspection) -> None:
        """Writes `report.html`; if it can't, the dataset is built anyway."""
        config = self.builder_config
        path = self.data_path / report_lib.FILENAME
        try:
            html = report_lib.make_report(
                config,
                summary_lib.make_summary(
                    inspection, plan, label_type=config.label_type
                ),
                inspection,
                plan,
                earlier=self._earlier,
                dataset=f"{self.name}/{config.name}",
            )
            path.write_bytes(html.encode())
        # It reads pictures again, with libraries that raise almost anything.
        except Exception as error:
            with contextlib.suppress(Exception):
                path.unlink(missing_ok=True)
            warnings.warn(
                f"{report_lib.FILENAME} is left out, since it can't be written:"
                f" {error}",
                exceptions.ImageCsvWarning,
                stacklevel=2,
            )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        if self._plan is None:
            config = tfds.download.DownloadConfig()
            downloads = self._downloads(config, dl_manager.download_dir)
            # TFDS asks for the examples later; the directory goes with the builder.
            self._converted = tempfile.TemporaryDirectory()
            folder = epath.Path(self._converted.name)
            self._plan = self._make_plan(dl_manager, downloads, folder)
        plan = self._plan
        self._describe(plan)
        rows = features_lib.with_values(plan)
        return {
            split: self._generate_examples(
                plan,
                shard_plan.as_examples(
                    rows.filter(arrays.as_column(arrays.is_text(rows["split"], split)))
                ),
            )
            for split in plan.class_counts
        }

    def _generate_examples(
        self, plan: DatasetPlan, rows: pa.RecordBatch
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        chunk = Chunk((plan.image_dir,), rows.to_pydict())
        found = (
            features_lib.decoded(example, plan.extra_columns)
            for example in examples.examples(chunk)
        )
        return zip(chunk.columns["key"], found, strict=True)

    def _check_has_config(self) -> None:
        if not self._has_config:
            known = ", ".join(f"{self.name}/{name}" for name in self.builder_configs)
            raise exceptions.ConfigError(
                f"{self.name} needs a config: the name of a dataset ({known}) or,"
                " for your own images, config=tfds_imagecsv.ImageCsvConfig(name=...,"
                " image_dir=..., label_csv=...)."
            )

    def _plan_without_a_trace(
        self,
        config: tfds.download.DownloadConfig,
        download_dir: epath.PathLike | None,
        converted_dir: epath.Path,
    ) -> DatasetPlan:
        """Returns the plan before TFDS makes a directory."""
        # A download manager makes its directories at once.
        with (
            tempfile.TemporaryDirectory() as scratch_dir,
            failures.enough_room_for_conversions(converted_dir),
        ):
            dl_manager = tfds.download.DownloadManager(
                download_dir=scratch_dir,
                manual_dir=self._manual_dir(config, download_dir),
                manual_dir_instructions=self.MANUAL_DOWNLOAD_INSTRUCTIONS,
                dataset_name=self.name,
            )
            downloads = self._downloads(config, self._download_path(download_dir))
            plan = self._make_plan(dl_manager, downloads, converted_dir)
        if config.max_examples_per_split is not None:
            plan = plan.first(config.max_examples_per_split)
        return plan

    def _is_built_by_another(
        self, mode: tfds.download.GenerateMode, manual_dir: epath.Path
    ) -> bool:
        """Returns whether another build made the dataset while this one waited.

        Raises:
          StaleDatasetError: if it made another dataset.
        """
        if mode.overwrite_dataset or not self.is_prepared():
            return False
        self.info.read_from_directory(self.data_path)
        self.raise_if_stale(manual_dir=manual_dir)
        return True

    def _remove_unfinished_copy(self) -> None:
        """Removes a directory that has the dataset's name, but is no dataset.

        Buckets can't rename a directory at once: a build killed at its very end leaves
        such a directory.
        """
        path = self.data_path
        if files.is_remote(path) and path.exists() and not self.is_prepared():
            path.rmtree()

    def _forget_build(self) -> None:
        self._engine = self._plan = self._inspection = self._dl_manager = None
        self._earlier = None

    # Sources

    @property
    def sources(self) -> dict[str, str]:
        """The paths and URLs of the sources, by the field that names them.

        Relative paths are looked up in TFDS's manual directory. Empty without a config.
        """
        config = self.builder_config
        if not isinstance(config, ImageCsvConfig):
            return {}
        return {
            field: value
            if is_url(value)
            else os.fspath(
                absolute(self._manual_dir() / epath.Path(value).expanduser())
            )
            for field, value in config.paths.items()
        }

    def _locate(
        self, dl_manager: tfds.download.DownloadManager, downloads: Downloads
    ) -> Sources:
        """Returns the files that the config names.

        Raises:
          SourceError: if one is missing.
        """
        used_manual_dir = False

        def manual_dir() -> epath.Path:
            nonlocal used_manual_dir
            used_manual_dir = True
            try:
                return absolute(dl_manager.manual_dir)
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

    def _downloads(
        self, config: tfds.download.DownloadConfig, download_dir: epath.Path
    ) -> Downloads:
        """Returns where TFDS keeps downloads and extracted archives."""
        download_dir = download_dir.expanduser()
        extract_dir = config.extract_dir or download_dir / "extracted"
        # The config has the checksums, not TFDS.
        unchecked = config.replace(force_checksums_validation=False)

        def make_manager() -> tfds.download.DownloadManager:
            self._dl_manager = super(ImageCsv, self)._make_download_manager(
                download_dir=download_dir, download_config=unchecked
            )
            return self._dl_manager

        return downloads_lib.Downloads(
            extract_dir=absolute(extract_dir),
            make_manager=make_manager,
            anew=config.download_mode.force_download,
            must_be_checked=config.force_checksums_validation,
        )

    def _make_download_manager(self, **kwargs: Any) -> tfds.download.DownloadManager:
        """Returns the manager of earlier downloads, so that TFDS counts its bytes."""
        return self._dl_manager or super()._make_download_manager(**kwargs)

    # Reading

    def as_dataset(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the dataset for TensorFlow; arguments are those of TFDS.

        Raises:
          StaleDatasetError: if its config, its table or its images have changed.
        """
        self._raise_once_if_stale()
        return super().as_dataset(*args, **kwargs)

    def as_data_source(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the dataset as sequences; arguments are those of TFDS.

        Raises:
          StaleDatasetError: if its config, its table or its images have changed.
        """
        self._raise_once_if_stale()
        return super().as_data_source(*args, **kwargs)

    def raise_if_stale(self, *, manual_dir: epath.PathLike | None = None) -> None:
        """Compares a prepared dataset with its config, its table and its images.

        `download_and_prepare` does this, and so does the first read, as in `tfds.load`.
        Missing sources aren't compared.

        Args:
          manual_dir: the directory of relative paths; default: TFDS's.

        Raises:
          StaleDatasetError: if a change would change the dataset.
        """
        config = self.builder_config
        if self.data_path.exists() and isinstance(config, ImageCsvConfig):
            stale.raise_if_stale(
                config,
                self.info.metadata.get(metadata.CONFIG_KEY),
                understood=self.info.metadata.get("understood", {}),
                data_path=self.data_path,
                manual_dir=absolute(manual_dir or self._manual_dir()),
            )
            self._is_known_to_be_fresh = True

    def _raise_once_if_stale(self) -> None:
        if not self._is_known_to_be_fresh:
            self.raise_if_stale()


s3.use_s3fs()
tfds_private.silence_log()
tfds_private.speak_to_users()
