"""The `tfds` command, which writes a line when it imports our package: `MARK`."""

import importlib.abc
import os
import sys


class Marker(importlib.abc.MetaPathFinder):
    """Finds nothing, but notices what Python looks for."""

    def find_spec(self, fullname, path, target=None):
        """Writes the line, bypassing Python's own buffers."""
        if fullname == "tfds_imagecsv":
            os.write(2, f"{os.environ['MARK']}\n".encode())


if __name__ == "__main__":
    sys.meta_path.insert(0, Marker())
    from tensorflow_datasets.scripts.cli import main

    sys.exit(main.launch_cli())
