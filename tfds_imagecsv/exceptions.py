"""The errors that tfds_imagecsv raises, and the warning it gives."""


class ImageCsvError(ValueError):
    """Base of every error that a user's config, CSV or images cause.

    The message stands alone: it has the place (field, file, row), the rule, the
    actual value and what to do. Where `tfds build` runs, it is printed without a
    stack trace.
    """


class ConfigError(ImageCsvError):
    """A field, a name or a file of configs isn't what it must be."""


class SourceError(ImageCsvError):
    """The label CSV or the image directory can't be used as a whole."""


class InvalidRowsError(ImageCsvError):
    """Some rows of the label CSV, or their images, can't be used.

    The message groups all of them by kind, and shows the first ten of each.
    """


class SplitError(ImageCsvError):
    """The rows can't be divided into the splits that the config asks for."""


class StaleDatasetError(ImageCsvError):
    """The config, the CSV or the images of a dataset that is there have changed.

    The message says what has changed, and what can be done.
    """


class StorageError(ImageCsvError):
    """There is no room for the dataset."""


class WorkerError(ImageCsvError):
    """A worker process died."""


class ImageCsvWarning(UserWarning):
    """Something that doesn't stop a build, but that its user should know."""
