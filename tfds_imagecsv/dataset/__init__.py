"""What TFDS needs to know of a dataset."""
