"""The names of splits that a table gives."""

import re

#: The split whose rows may be without a label.
UNLABELED = "unlabeled"

_SYNONYMS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}

# What TFDS can write into a file's name and read in `split="NAME[:10%]"` (its
# `core/naming.py` and `core/splits.py`); `all` it reserves.
_SPLIT = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_\-]{1,100}")


def split_name(name: str) -> str:
    """Returns the usual name of a split for its synonyms, and others as they are."""
    return _SYNONYMS.get(name.lower(), name)


def is_split_name(name: str) -> bool:
    """Returns whether TFDS can read a split of this name."""
    return bool(_SPLIT.fullmatch(name)) and name.lower() != "all"
