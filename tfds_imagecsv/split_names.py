"""The names of splits that a table gives."""

import re

#: The split whose rows may lack a label.
UNLABELED = "unlabeled"

#: The splits that most datasets have.
USUAL = ("train", "validation", "test")

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

# The names of columns of yes and no that give splits, and the split of "no".
_FLAG = re.compile(r"(?:is|in)[ _]?([a-z]+?)(?:[ _]?(?:set|image|img))?", re.IGNORECASE)
_OTHER = {"train": "test", "validation": "train", "test": "train"}

# What TFDS can write into a file's name and read in `split="NAME[:10%]"` (its
# `core/naming.py` and `core/splits.py`); `all` it reserves.
_SPLIT = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_\-]{1,100}")


def split_name(name: str) -> str:
    """Returns the usual name of a split for its synonyms; others stay."""
    return _SYNONYMS.get(name.lower(), name)


def is_usual(name: str) -> bool:
    """Returns whether a name is that of a usual split, or of the unlabelled one."""
    return split_name(name) in (*USUAL, UNLABELED)


def is_split_name(name: str) -> bool:
    """Returns whether TFDS can read a split of this name."""
    return bool(_SPLIT.fullmatch(name)) and name.lower() != "all"


def of_flag(column: str) -> tuple[str, str] | None:
    """Returns the splits that the name of a column of yes and no gives.

    `is_valid` gives `validation` and `train`, `is_test` `test` and `train`, and
    `is_train` `train` and `test`.

    Args:
      column: the column's name.

    Returns:
      The split for "yes" and that for "no"; None for another column.
    """
    match = _FLAG.fullmatch(column.strip())
    split = _SYNONYMS.get(match[1].lower()) if match else None
    return None if split is None else (split, _OTHER[split])
