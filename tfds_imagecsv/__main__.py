"""The command `python -m tfds_imagecsv`, which is `tfds-imagecsv`."""

import sys

from tfds_imagecsv import cli

if __name__ == "__main__":
    sys.exit(cli.main())
