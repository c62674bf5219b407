"""The command `python -m tfds_imagecsv`, which is `tfds-imagecsv`."""

import sys

from tfds_imagecsv import command_line

if __name__ == "__main__":
    sys.exit(command_line.main())
