"""Strategies for the property tests of the laws."""

import dataclasses
import random

from hypothesis import strategies as st

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of a label table, in any order."""

    keys: list[str]
    labels: list[str]
    groups: list[str]
    digests: list[str]

    def __len__(self):
        """Returns the number of rows."""
        return len(self.keys)

    def taken(self, positions):
        """Returns the rows at positions."""
        return Rows(
            *(
                [getattr(self, field.name)[at] for at in positions]
                for field in dataclasses.fields(self)
            )
        )


def rows_of(sizes, *, first=0):
    """Returns rows of classes of given sizes, each by itself."""
    labels = [f"class{c}" for c, size in enumerate(sizes) for _ in range(size)]
    keys = [f"{first + at:06}.png" for at in range(len(labels))]
    return Rows(keys, labels, [""] * len(keys), [f"digest of {key}" for key in keys])


#: Class sizes from 1 to 10,000, mostly small, since small ones are the hard ones.
class_sizes = st.lists(
    st.one_of(st.integers(1, 12), st.integers(1, 300), st.integers(1, 10_000)),
    min_size=1,
    max_size=12,
).filter(lambda sizes: sum(sizes) >= 3)

seeds = st.integers(0, 2**64 - 1)


@st.composite
def sizes(draw):
    """Draws val_size and test_size as fractions that leave something for train."""
    percent = draw(st.tuples(st.integers(1, 60), st.integers(1, 39)))
    thousandth = draw(st.integers(0, 999)) / 100_000
    return percent[0] / 100 + thousandth, percent[1] / 100


@st.composite
def bound_rows(draw, max_classes=6):
    """Draws rows; some share a group, some share an image."""
    drawn = draw(
        st.lists(st.integers(1, 60), min_size=1, max_size=max_classes).filter(
            lambda sizes: sum(sizes) >= 3
        )
    )
    rows = rows_of(drawn)
    rng = random.Random(draw(st.integers(0, 2**32)))
    most_groups = draw(st.integers(1, max(1, len(rows) // 2)))
    with_group, with_copy = draw(st.floats(0, 1)), draw(st.floats(0, 0.3))
    groups = [
        f"group{rng.randrange(most_groups)}" if rng.random() < with_group else ""
        for _ in rows.keys
    ]
    digests = [
        f"image{rng.randrange(most_groups)}" if rng.random() < with_copy else digest
        for digest in rows.digests
    ]
    return dataclasses.replace(rows, groups=groups, digests=digests)
