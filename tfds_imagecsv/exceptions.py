"""Errors and the warning."""


class ImageCsvError(ValueError):
    """Base class of errors caused by a user's config, table or images.

    The message stands alone: place (field, file, row), rule, actual value, remedy.
    `tfds build` prints it without a stack trace.
    """


class ConfigError(ImageCsvError):
    """A field, a name or a TOML file is invalid."""


class SourceError(ImageCsvError):
    """The table or the image directory as a whole is unusable."""


class InvalidRowsError(ImageCsvError):
    """Rows of the table, or their images, are unusable.

    The message counts all by kind, and shows the first ten of each kind.
    """


class SplitError(ImageCsvError):
    """The rows can't be divided into the splits that the config asks for."""


class StaleDatasetError(ImageCsvError):
    """The config, the table or the images of a prepared dataset have changed.

    The message says what has changed, and what to do.
    """


class StorageError(ImageCsvError):
    """The disk is full, or the data directory is out of reach."""


class WorkerError(ImageCsvError):
    """A worker process died."""


class ImageCsvWarning(UserWarning):
    """Something that users should know, but that doesn't stop a build."""
