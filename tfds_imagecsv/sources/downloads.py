"""Downloads and extracted archives."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import tensorflow_datasets as tfds
from etils import epath

from tfds_imagecsv import exceptions, tfds_private
from tfds_imagecsv.sources import archives
from tfds_imagecsv.storage import files, s3

_SHOWN_SUFFIXES = ", ".join(archives.SUFFIXES)


@dataclasses.dataclass(kw_only=True)
class Downloads:
    """The directory of downloads and extracted archives, made when it is needed.

    Attributes:
      extract_dir: the directory for extracted archives.
      make_manager: returns a download manager of TFDS, and makes its directories.
      anew: whether to download and extract again.
      must_be_checked: whether a URL without a checksum is an error.
      manager: the download manager that has downloaded something, if there is one.
    """

    extract_dir: epath.Path
    make_manager: Callable[[], tfds.download.DownloadManager]
    anew: bool = False
    must_be_checked: bool = False
    manager: tfds.download.DownloadManager | None = None

    def file_of(self, url: str, checksum: str | None, *, where: str) -> epath.Path:
        """Returns the file of a URL; downloads it unless it is there.

        Downloads it again if an earlier download has another checksum.

        Args:
          url: the URL, which begins with `http://` or `https://`.
          checksum: the SHA-256 that the file must have, in lower case; None for any.
          where: the field of the config and its value, for messages.

        Raises:
          SourceError: if it can't be downloaded, or has another checksum.
        """
        if checksum is None and self.must_be_checked:
            raise exceptions.SourceError(
                f"{where}: force_checksums_validation asks for a checksum. Add its"
                " SHA-256 to checksums."
            )
        path, is_new = self._download(url, where, anew=self.anew)
        if checksum is None:
            return path
        found = _sha256(path)
        if found != checksum and not is_new:
            path, _ = self._download(url, where, anew=True)
            found = _sha256(path)
        if found != checksum:
            raise exceptions.SourceError(
                f"{where}: its SHA-256 is {found}, and checksums has {checksum}. It has"
                " changed, or is damaged: correct the URL or checksums."
            )
        return path

    def _download(self, url: str, where: str, *, anew: bool) -> tuple[epath.Path, bool]:
        """Returns the file of a URL, and whether it was downloaded now."""
        self._check_local(where)
        try:
            if self.manager is None or anew:
                self.manager = self.make_manager()
            return tfds_private.download(self.manager, url, anew=anew)
        except Exception as error:
            self.manager = None  # a manager that has failed doesn't try again
            reason = str(error).strip().rstrip(".") or type(error).__name__
            raise exceptions.SourceError(
                f"{where}: it can't be downloaded: {reason}. Check the URL and the"
                " connection."
            ) from error

    def directory_of(
        self, archive: epath.Path, *, where: str
    ) -> tuple[epath.Path, str]:
        """Returns the directory with the files of an archive, and the archive's digest.

        Args:
          archive: the file.
          where: the field of the config and its value, for messages.

        Raises:
          SourceError: if it isn't an archive that can be read.
          StorageError: if there is no room for the files.
        """
        try:
            kind = archives.kind_of(archive)
        except Exception as error:
            raise exceptions.SourceError(f"{where}: {s3.reason(error)}") from error
        if kind is None:
            raise exceptions.SourceError(
                f"{where}: neither a directory nor an archive that can be read"
                f" ({_SHOWN_SUFFIXES}). Extract it, and give the directory."
            )
        self._check_local(where)
        return archives.extracted(
            archive, self.extract_dir, kind=kind, where=where, anew=self.anew
        )

    def _check_local(self, where: str) -> None:
        if files.is_remote(self.extract_dir):
            raise exceptions.StorageError(
                f"{where}: downloads and extracted archives need a local directory, and"
                f" theirs is {self.extract_dir}. Choose another download_dir."
            )


def _sha256(path: epath.Path) -> str:
    digest = hashlib.sha256()
    for block in files.blocks_of(path):
        digest.update(block)
    return digest.hexdigest()
