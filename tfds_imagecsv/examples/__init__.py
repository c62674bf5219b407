"""Examples that run as they are: `python -m tfds_imagecsv.examples.<name>`."""
