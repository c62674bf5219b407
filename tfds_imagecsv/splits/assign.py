"""Which row goes into which split."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from etils import epy

from tfds_imagecsv import arrays, config, exceptions, garbage_collection
from tfds_imagecsv.splits import apportion, balance
from tfds_imagecsv.splits.together import Units

# Many datasets have neither groups nor copies.
with epy.lazy_imports():
    from scipy import sparse

_Ints = npt.NDArray[np.int64]
_Points = npt.NDArray[np.uint64]

# Numbers of units or classes.
_Codes = npt.NDArray[np.int32]

# The order in which splits get a row of a class that is too small to have a whole row
# in each; folds are equal.
_PRIORITY = {"train": 0, "test": 1, "validation": 2}

# The splits lie on a line from 0 to 2**64, and each row at the point of its hash. Test
# and validation are at the ends: a row that crosses a cut goes to train or comes from
# it, and moves no other row.
_LINE_BITS = 64
_FIRST_ON_LINE, _LAST_ON_LINE = "test", "validation"

# Texts that are Python objects at the same time.
_HASHED_AT_ONCE = 1 << 16

# Up to this number, lumpy units are balanced one by one. Of more units, only the groups
# are evened out, and single rows make up for them as far as they can.
_MOST_BALANCED = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How rows are to be divided; the fields are those of `ImageCsvConfig`.

    Attributes:
      val_size: the size of the validation split: a fraction (float), or a count of
        rows (int); not used with folds.
      test_size: the size of the test split, likewise.
      folds: 0, or the number of splits `fold0`, `fold1`, ... of equal size that take
        the place of train and validation.
      seed: an int from 0 to 2**64 - 1 that chooses among equally good plans.
    """

    val_size: float = 0.1
    test_size: float = 0.1
    folds: int = 0
    seed: int = 0

    def shares(self, rows: int) -> dict[str, Fraction]:
        """Returns the exact share of each split that has one, which sum to 1.

        Args:
          rows: the number of rows to divide.

        Raises:
          SplitError: if the sizes ask for more rows than there are.
        """
        val_size = 0 if self.folds else self.val_size
        asked = {"validation": val_size, "test": self.test_size}
        held_out = {}
        for name, size in asked.items():
            if isinstance(size, numbers.Integral):
                held_out[name] = Fraction(int(size), max(rows, 1))
            else:
                held_out[name] = config.exact_fraction(size)
        rest = 1 - sum(held_out.values(), Fraction(0))
        if rest < 0:
            sizes = " and ".join(
                f"{field}={size}"
                for field, size in (
                    ("val_size", val_size),
                    ("test_size", self.test_size),
                )
                if size
            )
            raise exceptions.SplitError(
                f"{sizes}: that is {float((1 - rest) * rows):g} images, and there are"
                f" {rows} to divide. Make them smaller; '20%' stands for a fraction."
            )
        names = [f"fold{at}" for at in range(self.folds)] or ["train"]
        shares = {name: rest / len(names) for name in names} | held_out
        return {name: share for name, share in shares.items() if share > 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """Which row goes into which split.

    Attributes:
      splits: the name of each row's split, in the order of the rows, `arrays.CODES`.
      class_counts: the number of rows for each split (train or folds, validation,
        test, then others by name) and class (in the order of the class names).
      stratified: the names of the splits that the options ask for.
      largest_class_deviation: the largest difference, in rows, between the count of a
        class in a split and its exact share, given rows aside.
      largest_split_deviation: the same for the totals of splits.
    """

    splits: pa.DictionaryArray
    class_counts: Mapping[str, Mapping[str, int]]
    stratified: tuple[str, ...]
    largest_class_deviation: float
    largest_split_deviation: float


@garbage_collection.paused()
def plan_splits(
    keys: Sequence[str] | pa.Array,
    labels: Sequence[str] | pa.Array,
    *,
    class_names: Sequence[str],
    options: SplitOptions,
    units: Units | None = None,
    groups: Sequence[str] | pa.Array | None = None,
    given: Sequence[str] | pa.Array | None = None,
    pinned: Sequence[str] | pa.Array | None = None,
    coarse: Sequence[str] | pa.Array | None = None,
) -> SplitPlan:
    """Divides rows into stratified splits.

    `apportion.apportion` gives the number of rows of each class and split. A hash of
    key and seed chooses them: the smallest hashes go to test, the largest to
    validation. So the order of the rows doesn't matter, and added rows move only the
    few next to a cut.

    Texts are given as lists, or as `arrays.TEXT` or `arrays.CODES`.

    Units of several rows come first. If single rows can make up for them
    (`balance.even_out`), the bounds hold. If not, `balance.balance` assigns all units,
    and added rows may move many.

    Args:
      keys: the unique keys of the rows.
      labels: the class name of each row; may be empty where the split is given.
      class_names: the names of all classes.
      options: the sizes of the splits, and the seed.
      units: the rows that must stay together. Default: each row is by itself.
      groups: the group of each row, empty for none; its hash replaces the key's.
        Default: no groups.
      given: the split that the user gives each row, empty for none. These rows and
        their units don't count for the shares. Default: none.
      pinned: the split in which each row stays, empty for none. These rows count: the
        others bring all of them as near to the shares as possible. Default: none.
      coarse: coarser classes of the rows, whose proportions are kept where the classes
        leave a choice; a class that is too small for every split then goes to any,
        not to train first. Default: none.

    Returns:
      The plan.

    Raises:
      SplitError: if the sizes ask for more rows than there are, a split would be
        empty, or a unit has rows that are given or pinned to different splits.
    """
    keys, rows = arrays.texts(keys), len(keys)
    units = units or Units.single(rows)
    labels = arrays.encoded(labels)
    groups, given, pinned, coarse = (
        None if column is None else arrays.encoded(column)
        for column in (groups, given, pinned, coarse)
    )
    is_given = _any_in_unit(units, _filled(given, rows))
    is_pinned = _any_in_unit(units, _filled(pinned, rows)) & ~is_given
    fixed = _fixed_splits(units, keys, given, pinned)

    counted = ~is_given
    shares = options.shares(int(counted.sum())) if counted.any() else {}
    of_pinned = arrays.counts_of(fixed.filter(arrays.as_column(is_pinned)))
    names = sorted({*shares, *of_pinned}, key=_place_on_line)
    classes = _places_in(labels, class_names, np.int32)
    task = _Task(
        classes=classes if counted.all() else np.where(counted, classes, np.int32(-1)),
        class_count=len(class_names),
        shares=[shares.get(name, Fraction(0)) for name in names],
        priorities=[_PRIORITY.get(name, 0) for name in names],
        points=_points_of_units(keys, groups, units, options.seed),
        coarse=None if coarse is None else _by_first_row(coarse),
    )
    task.fix(is_pinned, _places_in(fixed, names, np.int16))
    free = counted & ~is_pinned
    task.assign_whole(free, units)
    task.assign_single(free & (task.splits < 0), keys)
    splits = _named_splits(task.splits, names, fixed, counted)

    counts = _class_counts(splits, classes, class_names, shares)
    _check_filled(counts, shares, splits)
    class_deviation, split_deviation = task.deviations()
    return SplitPlan(
        splits=splits,
        class_counts=counts,
        stratified=tuple(name for name in counts if name in shares),
        largest_class_deviation=class_deviation,
        largest_split_deviation=split_deviation,
    )


def _places_in(
    column: pa.DictionaryArray, names: Sequence[str], dtype: type[np.signedinteger[Any]]
) -> npt.NDArray[Any]:
    """Returns the place of each text among names, -1 if it is none of them."""
    places = {name: at for at, name in enumerate(names)}
    of_texts = [places.get(one, -1) for one in arrays.names_of(column)]
    return arrays.mapped(column, np.array(of_texts, dtype))


def _named_splits(
    splits: npt.NDArray[np.int16],
    names: Sequence[str],
    fixed: pa.DictionaryArray,
    counted: arrays.Bits,
) -> pa.DictionaryArray:
    """Returns the names of the splits of counted rows, and those given to others."""
    codes = arrays.codes_of(fixed) + np.int32(len(names))
    codes[counted] = splits[counted]
    return arrays.merged(codes, [*names, *arrays.names_of(fixed)])


class _UnitTable(NamedTuple):
    """Some units, as `balance` takes them.

    Attributes:
      counts: the number of rows of each class, shape [units, classes].
      start: the split of each unit's point, shape [units].
      unit_of: the unit of each of their rows.
    """

    counts: sparse.csr_array
    start: _Ints
    unit_of: _Codes


class _Task:
    """Rows to assign to splits, which are numbered in the order of the line."""

    def __init__(
        self,
        *,
        classes: _Codes,
        class_count: int,
        shares: Sequence[Fraction],
        priorities: Sequence[int],
        points: _Points,
        coarse: _Codes | None = None,
    ) -> None:
        self._classes = classes
        self._coarse = coarse
        self._class_count = class_count
        self._shares = shares
        self._priorities = priorities
        self._points = points
        #: The number of each row's split, -1 where it isn't known yet.
        self.splits = np.full(len(classes), -1, np.int16)
        self._class_sizes = self._class_sizes_of(classes >= 0)
        cuts = [int(cut * 2**_LINE_BITS) for cut in itertools.accumulate(shares[:-1])]
        in_reach = [min(cut, 2**_LINE_BITS - 1) for cut in cuts]
        #: The split of each row's point.
        self._drawn = np.zeros(len(points), np.int16)
        for cut in in_reach:
            self._drawn += points >= np.uint64(cut)

    def _class_sizes_of(self, which: npt.NDArray[np.bool_]) -> list[int]:
        """Returns the number of rows of each class among some rows."""
        sizes: list[int] = np.bincount(
            self._classes[which], minlength=self._class_count
        ).tolist()
        return sizes

    def fix(self, which: arrays.Bits, splits: npt.NDArray[np.int16]) -> None:
        """Puts rows into splits that they are pinned to."""
        self.splits[which] = splits[which]

    def assign_whole(self, which: npt.NDArray[np.bool_], units: Units) -> None:
        """Assigns units of several rows, and if they are lumpy, single rows with them.

        Args:
          which: the rows to assign, of units of any size.
          units: the units of all rows.
        """
        is_whole = which & (units.sizes[units.unit_of] > 1)
        if not is_whole.any():
            return
        wanted = self._wanted()
        counts, start, unit_of = self._table_of(is_whole, units)
        single = self._class_sizes_of(which & ~is_whole)
        filled = set(np.unique(self.splits[self.splits >= 0]).tolist())
        splits, is_even = balance.even_out(
            counts, wanted=wanted, single=single, start=start, filled=filled
        )
        if not is_even and _are_few(units, which):
            is_whole = which
            counts, start, unit_of = self._table_of(which, units)
            splits = balance.balance(counts, wanted=wanted, start=start, filled=filled)
        self.splits[is_whole] = splits[unit_of].astype(np.int16)

    def _table_of(self, which: npt.NDArray[np.bool_], units: Units) -> _UnitTable:
        # In the order of their points, which doesn't depend on that of the rows.
        of_rows, drawn = units.unit_of[which], self._drawn[which]
        is_in = np.zeros(len(units.sizes), bool)
        is_in[of_rows] = True
        numbers_of_units = np.flatnonzero(is_in)
        points = np.zeros(len(units.sizes), np.uint64)
        points[of_rows] = self._points[which]
        order = np.argsort(points[numbers_of_units], kind="stable")
        del points, is_in
        ranks = np.zeros(len(units.sizes), np.int32)
        ranks[numbers_of_units[order]] = np.arange(len(order), dtype=np.int32)
        unit_of = ranks[of_rows]
        del of_rows, order, ranks
        # All rows of a unit have the same point.
        start = np.zeros(len(numbers_of_units), np.int64)
        start[unit_of] = drawn
        cells = unit_of.astype(np.int64) * self._class_count
        cells += self._classes[which]
        cells, rows = np.unique(cells, return_counts=True)
        counts = sparse.csr_array(
            sparse.coo_array(
                (rows, np.divmod(cells, self._class_count)),
                shape=(len(numbers_of_units), self._class_count),
            )
        )
        return _UnitTable(counts, start, unit_of)

    def _wanted(self) -> list[list[Fraction]]:
        """Returns the rows that each class wants in each split, besides fixed ones."""
        wanted = []
        for size, fixed in zip(self._class_sizes, self._counts(), strict=True):
            lacking = [
                max(size * share - count, Fraction(0))
                for share, count in zip(self._shares, fixed, strict=True)
            ]
            # If one split has too many fixed rows, the others lack more than is left.
            scale = Fraction(size - sum(fixed)) / (sum(lacking) or 1)
            wanted.append([rows * scale for rows in lacking])
        return wanted

    def assign_single(self, which: arrays.Bits, keys: pa.Array) -> None:
        """Assigns rows that are units of their own.

        Args:
          which: the rows.
          keys: the key of each row, which decides between equal points.
        """
        fixed = self._counts()
        drawn = self._drawn
        if self._coarse is not None:
            drawn = self._drawn_of_coarse(which, keys)
        counts = apportion.apportion(
            self._class_sizes,
            self._shares,
            fixed=fixed,
            drawn=self._counts(np.where(which, drawn, self.splits)),
            priorities=self._priorities,
            spread=self._coarse is None,
        )
        at = np.flatnonzero(which)
        in_order = at[self._in_order(at, keys)]
        more = np.array(counts, np.int64) - np.array(fixed, np.int64)
        splits = np.tile(
            np.arange(len(self._shares), dtype=np.int16), self._class_count
        )
        self.splits[in_order] = np.repeat(splits, more.ravel())

    def _in_order(self, at: _Ints, keys: pa.Array) -> _Ints:
        """Returns positions within `at`: by class, by point, and by key."""
        # At first by the class and as much of the point as 64 bits hold: one sort of
        # numbers takes a tenth of the time.
        bits = max(self._class_count - 1, 1).bit_length()
        both = self._points[at]
        both >>= np.uint64(bits)
        both |= self._classes[at].astype(np.uint64) << np.uint64(64 - bits)
        order = np.argsort(both)
        is_tie = arrays.ties_of(both[order])
        if is_tie.any():
            tied = at[order[is_tie]]
            texts = keys.take(arrays.as_column(tied)).to_pylist()
            ranks = np.empty(len(tied), np.int64)
            ranks[sorted(range(len(tied)), key=texts.__getitem__)] = range(len(tied))
            by = np.lexsort((ranks, self._points[tied], self._classes[tied]))
            order[is_tie] = order[is_tie][by]
        return order

    def _drawn_of_coarse(
        self, which: arrays.Bits, keys: pa.Array
    ) -> npt.NDArray[np.int16]:
        """Returns the split of each row if only the coarse classes counted."""
        assert self._coarse is not None
        task = _Task(
            classes=np.where(self._classes >= 0, self._coarse, -1),
            class_count=int(self._coarse.max()) + 1,
            shares=self._shares,
            priorities=self._priorities,
            points=self._points,
        )
        task.splits = self.splits.copy()
        task.assign_single(which, keys)
        return task.splits

    def _counts(self, splits: npt.NDArray[np.int16] | None = None) -> list[list[int]]:
        """Returns the number of rows for each class and split."""
        splits = self.splits if splits is None else splits
        known = (splits >= 0) & (self._classes >= 0)
        cells = self._classes[known].astype(np.int64) * len(self._shares)
        cells += splits[known]
        table = np.bincount(cells, minlength=self._class_count * len(self._shares))
        counts: list[list[int]] = table.reshape(
            self._class_count, len(self._shares)
        ).tolist()
        return counts

    def deviations(self) -> tuple[float, float]:
        """Returns the largest deviation of a cell and of a total, in rows."""
        counts = self._counts()
        totals = [sum(column) for column in zip(*counts, strict=True)]

        def largest(sizes: Iterable[int], table: Iterable[Sequence[int]]) -> float:
            return max(
                (
                    float(abs(count - size * share))
                    for size, row in zip(sizes, table, strict=True)
                    for share, count in zip(self._shares, row, strict=True)
                ),
                default=0.0,
            )

        return (
            largest(self._class_sizes, counts),
            largest([sum(self._class_sizes)], [totals]),
        )


def _by_first_row(column: pa.DictionaryArray) -> _Codes:
    """Returns numbers for texts, in the order of their first rows."""
    _, first, number_of = np.unique(
        arrays.codes_of(column), return_index=True, return_inverse=True
    )
    place = np.empty(len(first), np.int32)
    place[np.argsort(first)] = np.arange(len(first))
    found: _Codes = place[number_of]
    return found


def _are_few(units: Units, which: arrays.Bits) -> bool:
    """Returns whether some rows are of few enough units to balance these one by one."""
    is_in = np.zeros(len(units.sizes), bool)
    is_in[units.unit_of[which]] = True
    return int(is_in.sum()) <= _MOST_BALANCED


def _place_on_line(name: str) -> tuple[int, int, str]:
    place = {_FIRST_ON_LINE: 0, _LAST_ON_LINE: 2}.get(name, 1)
    return place, *_natural(name)


def _natural(name: str) -> tuple[int, str]:
    """Sorts `fold10` after `fold9`."""
    return len(name) if name.startswith("fold") else 0, name


def _filled(column: pa.DictionaryArray | None, rows: int) -> arrays.Bits:
    return np.zeros(rows, bool) if column is None else arrays.is_filled(column)


def _any_in_unit(units: Units, which: arrays.Bits) -> arrays.Bits:
    """Returns for each row whether `which` holds for any row of its unit."""
    if not which.any():
        return which
    found = np.zeros(len(units.sizes), dtype=bool)
    found[units.unit_of[which]] = True
    return found[units.unit_of]


def _fixed_splits(
    units: Units,
    keys: pa.Array,
    given: pa.DictionaryArray | None,
    pinned: pa.DictionaryArray | None,
) -> pa.DictionaryArray:
    """Returns the split to which each row's unit is given or pinned, or "".

    Raises:
      SplitError: if a unit has several.
    """
    if not (_filled(given, len(keys)).any() or _filled(pinned, len(keys)).any()):
        return arrays.constant("", len(keys))
    names, of_unit = [""], np.zeros(len(units.sizes), np.int32)
    for column in (given, pinned):
        which = _filled(column, len(keys))
        if column is None or not which.any():
            continue
        codes = arrays.codes_of(column)[which] + np.int32(len(names))
        names += arrays.names_of(column)
        index = {name: at for at, name in reversed([*enumerate(names)])}
        codes = np.array([index[name] for name in names], np.int32)[codes]
        unit_of = units.unit_of[which]
        fresh = np.flatnonzero(of_unit[unit_of] == 0)[::-1]  # the first stays
        of_unit[unit_of[fresh]] = codes[fresh]
        torn = np.flatnonzero(of_unit[unit_of] != codes)
        if len(torn):
            at = torn[0]
            key = keys[int(np.flatnonzero(which)[at])].as_py()
            raise exceptions.SplitError(
                f"{key!r} is to be in {names[codes[at]]}, and another row of its group,"
                f" or another copy of its image, in {names[of_unit[unit_of[at]]]}."
            )
    return arrays.merged(of_unit[units.unit_of], names)


def _class_counts(
    splits: pa.DictionaryArray,
    classes: _Codes,
    class_names: Sequence[str],
    shares: Mapping[str, Fraction],
) -> dict[str, dict[str, int]]:
    columns = {name: at for at, name in enumerate(arrays.names_of(splits))}
    codes = arrays.codes_of(splits)
    size = len(class_names) * len(columns)
    is_labeled = classes >= 0
    cells = classes[is_labeled].astype(np.int64) * len(columns) + codes[is_labeled]
    table = np.bincount(cells, minlength=size).reshape(len(class_names), len(columns))
    counts = {}
    found = {*arrays.counts_of(splits), *shares}
    for split in sorted(found, key=_place_in_counts):
        of_split = [0] * len(class_names)
        if split in columns:
            of_split = table[:, columns[split]].tolist()
        counts[split] = dict(zip(class_names, of_split, strict=True))
    return counts


def _place_in_counts(name: str) -> tuple[int, tuple[int, str]]:
    order = {"train": 0, "validation": 2, "test": 3}
    is_fold = re.fullmatch(r"fold\d+", name)
    return order.get(name, 1 if is_fold else 4), _natural(name)


def _check_filled(
    class_counts: Mapping[str, Mapping[str, int]],
    shares: Mapping[str, Fraction],
    splits: pa.DictionaryArray,
) -> None:
    """Raises a `SplitError` if a split has no row: TFDS can't write such a split."""
    filled = arrays.counts_of(splits)
    empty = [name for name in class_counts if name in shares and name not in filled]
    if empty:
        raise exceptions.SplitError(
            f"{len(splits)} images are too few for the splits"
            f" {', '.join(class_counts)}: {', '.join(empty)} would be empty. Groups,"
            " copies and pinned images can't be divided. Ask for fewer splits, or add"
            " images."
        )


def _points_of_units(
    keys: pa.Array, groups: pa.DictionaryArray | None, units: Units, seed: int
) -> _Points:
    """Returns for each row the least point of the rows of its unit.

    The points are on the line, from 0 to 2**64 - 1. That of a row is the hash of its
    group, or of its key without a group. BLAKE2b is fast, in Python's standard library,
    and the same everywhere. Another hash, or another encoding of its input, would move
    nearly all rows of all datasets.
    """
    points = np.empty(len(keys), np.uint64)
    has_group = _filled(groups, len(keys))
    if groups is not None and has_group.any():
        of_group = np.zeros(len(groups.dictionary), np.uint64)
        is_used = np.zeros(len(groups.dictionary), bool)
        is_used[arrays.codes_of(groups)[has_group]] = True
        names = groups.dictionary.filter(arrays.as_column(is_used))
        of_group[is_used] = _hashes(names, seed, person=b"group")
        points[has_group] = of_group[arrays.codes_of(groups)[has_group]]
    if not has_group.all():
        points[~has_group] = _hashes(
            arrays.filtered(keys, ~has_group), seed, person=b"key"
        )
    if len(units.sizes) < len(keys):
        points = units.least(points)[units.unit_of]
    return points


def _hashes(texts: pa.Array, seed: int, *, person: bytes) -> _Points:
    """Returns the BLAKE2b hashes of texts, salted with the seed, as whole numbers.

    Args:
      texts: what to hash, in UTF-8.
      seed: the salt, in 8 bytes, the least significant first.
      person: tells keys from groups, so that they have different hashes.
    """
    salt = seed.to_bytes(8, "little")
    salted = hashlib.blake2b(digest_size=8, salt=salt, person=person)
    hashes = np.empty(len(texts), ">u8")
    for start in range(0, len(texts), _HASHED_AT_ONCE):
        digests = []
        for text in arrays.as_bytes(texts[start : start + _HASHED_AT_ONCE]):
            of_text = salted.copy()
            of_text.update(text)
            digests.append(of_text.digest())
        found = np.frombuffer(b"".join(digests), ">u8")
        hashes[start : start + len(found)] = found
    return hashes.astype(np.uint64)
