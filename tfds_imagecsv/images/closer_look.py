"""Whether one picture is a copy of another: a closer look at pairs that are alike.

It takes pictures of 64 x 64 pixels in colour, of which a fingerprint has a quarter in
gray. So letters on icons and their colours count. One picture is laid on the other as
exactly as it goes, blurred where it has more pixels, and made as bright and as strong
in contrast. What is left must be little, in each detail and in colour.

Photographs may differ in more than details. They hardly agree in all else if one isn't
a copy that was marked. Drawings do, on a plain ground: they are often of one style.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from tfds_imagecsv import arrays
from tfds_imagecsv.images import alignment, differences
from tfds_imagecsv.images.alignment import Aligned
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.small_pictures import SIDE, SmallPictures

#: The column of pictures that `measure` makes.
COLUMN = "picture"

_PIXELS = SIDE * SIDE

# Red, green and blue in luma (ITU-R 601-2).
_LUMA = np.array([0.299, 0.587, 0.114])

# Pairs that are looked at at once: some memory.
_AT_ONCE = 32

# The steps by which a part is laid on a picture anew.
_STEPS = 2

# The most that is left in a detail, see `differences.worst_details`, and of colour in a
# window of so many pixels a side, in levels. All limits here are measured on made
# copies, see docs/near_duplicates.md.
_MOST_DETAIL, _MOST_COLOR, _WINDOW = 8, 26, 8

# Pictures with fewer pixels may differ by more: up to so many times.
_FINE, _MOST_COARSE = 44, 1.8

# Pictures whose colours differ less from gray, on average, are gray. A gray copy of
# another must be as bright: else icons that only differ in colour, of which one is
# gray, would be copies of it.
_GRAY, _COLORED = 3, 6
_SAME_GAIN, _SAME_LEVEL, _SAME_DETAIL = 0.07, 8, 0.45

# By what copies may be made stronger in contrast (times), and lighter (levels).
_GAINS, _MOST_LIGHTER = (0.7, 1.45), 90

# Values that say how much lighter a picture is, rounds of choosing them, and how much
# those differ at least that don't fit.
_TELLING, _ROUNDS, _OUTLIER = (4, 248), 4, 8

# By what pictures may be brightened, where hardly any value tells. It isn't tried with
# pairs that differ by so many times of what they may.
_TRIED = (0.78, 0.83, 0.88, 0.94, 1.06, 1.13, 1.2, 1.27)
_HOPELESS = 7

# Brightening changes values of middle brightness by more than this. Fewer values than
# these tell little.
_MIDDLE, _HARDLY, _FEW = (50, 215), 5, 30

# Pixels are at an edge if those around them differ by more, in levels.
_EDGE = 12

# Values from here on are cut.
_CUT = 247

# A ground is plain if this share of the pixels at the edges is alike, in levels.
_PLAIN, _ALIKE = 0.5, 6

# The most of colour that is left in a photograph that was marked.
_MARK_COLOR = 60


class Pictures(NamedTuple):
    """Pictures in RGB.

    Attributes:
      pixels: uint8, shape [pictures, SIDE, SIDE, 3].
      sizes: the height and width of each before it was stretched to that, in pixels;
        0 for those that couldn't be read again.
    """

    pixels: npt.NDArray[np.uint8]
    sizes: arrays.Ints

    def taken(self, which: arrays.Ints) -> Pictures:
        """Returns some of the pictures."""
        return Pictures(self.pixels[which], self.sizes[which])


def measure(pictures: SmallPictures) -> Mapping[str, npt.NDArray[np.uint8]]:
    """Returns the column of pictures, see `small_pictures.Measure`."""
    stretched = [
        one.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        for one in pictures.images
    ]
    flat = np.array([np.asarray(one).ravel() for one in stretched], np.uint8)
    flat = flat.reshape(-1, 3 * _PIXELS)
    return {COLUMN: np.concatenate([flat, pictures.sizes.astype(np.uint8)], axis=1)}


def of_rows(rows: pa.RecordBatch, keys: pa.Array) -> Pictures:
    """Returns the pictures of some images.

    Args:
      rows: images with the columns `key` and `COLUMN`.
      keys: those of the images that are wanted, whether or not they are among the rows.
    """
    import pyarrow.compute as pc

    column = arrays.binary_of(rows[COLUMN])
    at = arrays.as_numpy(pc.fill_null(pc.index_in(keys, value_set=rows["key"]), -1))
    found = np.zeros((len(keys), 3 * _PIXELS + 2), np.uint8)
    found[at >= 0] = column[at[at >= 0]]
    pixels = found[:, :-2].reshape(-1, SIDE, SIDE, 3)
    return Pictures(pixels, found[:, -2:].astype(np.int64))


def are_copies(
    wholes: Pictures, containers: Pictures, aligned: Aligned
) -> npt.NDArray[np.bool_]:
    """Returns whether a picture of each pair is a copy of a part of the other.

    Args:
      wholes: the first picture of each pair.
      containers: the second ones.
      aligned: what fingerprints say of these pairs; `at` doesn't matter.

    Returns:
      Shape [pairs].
    """
    found = np.zeros(len(aligned.parts), bool)
    are_there = (wholes.sizes.min(1) > 0) & (containers.sizes.min(1) > 0)
    which = np.flatnonzero(are_there)
    for start in range(0, len(which), _AT_ONCE):
        some = which[start : start + _AT_ONCE]
        found[some] = _are_copies(
            wholes.taken(some),
            containers.taken(some),
            aligned.taken(some),
        )
    return found


def _are_copies(
    wholes: Pictures, containers: Pictures, aligned: Aligned
) -> npt.NDArray[np.bool_]:
    colors = [_strengths(one.pixels) for one in (wholes, containers)]
    is_gray = np.minimum(*colors) < _GRAY
    laid = _Laid.of(wholes, containers, aligned.parts, is_gray)
    light = _best_light(laid)
    left = _left(laid, light)
    is_gray_copy = is_gray & (np.maximum(*colors) >= _COLORED)
    are_copies = np.where(
        is_gray_copy, _is_same(light) & (left.worst <= _SAME_DETAIL), left.worst <= 1
    )
    is_plain = np.maximum(*(_plain(one.pixels) for one in (wholes, containers)))
    are_copies |= (
        aligned.agree_nearly & (is_plain < _PLAIN) & (left.color <= _MARK_COLOR)
    )
    return are_copies | _are_brightened(laid, left, ~are_copies & ~is_gray_copy)


class _Laid(NamedTuple):
    """Pictures, and parts of others that are laid on them.

    Attributes:
      picture: RGB, shape [pairs, pixels, 3]; gray of all pairs of which one is gray.
      part: likewise.
      is_inside: which pixels the parts have, shape [pairs, pixels, 1].
      allowed: what a copy may differ by, see `differences.allowed`.
      coarseness: how many times as much a pair may differ, as it has few pixels.
    """

    picture: Floats
    part: Floats
    is_inside: npt.NDArray[np.bool_]
    allowed: Floats
    coarseness: Floats

    @classmethod
    def of(
        cls,
        wholes: Pictures,
        containers: Pictures,
        parts: Floats,
        is_gray: npt.NDArray[np.bool_],
    ) -> _Laid:
        """Returns pictures and parts, which are changed so that they fit best.

        Args:
          wholes: the first picture of each pair.
          containers: the second.
          parts: the parts of these to begin with, see `alignment.Fit`.
          is_gray: which pairs are compared in gray, as one of them is gray.
        """
        picture = _as_coarse(wholes, containers.sizes)
        container = _as_coarse(containers, wholes.sizes)
        gray, of_container = (
            differences.smoothed(one @ _LUMA) for one in (picture, container)
        )
        fit, _ = alignment.Fit.of(gray, of_container, parts).after(_STEPS)
        sampler, is_inside = fit.sampler()
        part = np.stack([sampler(container[..., at]) for at in range(3)], axis=-1)
        picture = picture.reshape(part.shape)
        for one in (picture, part):
            one[is_gray] = (one[is_gray] @ _LUMA)[..., None]
        pixels = np.minimum(wholes.sizes, containers.sizes).min(1)
        return cls(
            picture=picture,
            part=part,
            is_inside=is_inside.astype(bool)[..., None],
            allowed=differences.allowed(gray),
            coarseness=np.clip(_FINE / pixels, 1, _MOST_COARSE),
        )

    def taken(self, which: arrays.Ints) -> _Laid:
        """Returns some of the pairs."""
        return _Laid(
            self.picture[which],
            self.part[which],
            self.is_inside[which],
            self.allowed[which],
            self.coarseness[which],
        )


class _Light(NamedTuple):
    """By what parts are made like the pictures: times `gain`, plus `level`."""

    gain: Floats
    level: Floats

    def lit(self, part: Floats) -> Floats:
        """Returns the parts in that light."""
        gain, level = (one[:, None, None] for one in self)
        return np.clip(gain * part + level, 0, 255)


class _Left(NamedTuple):
    """What isn't explained.

    Attributes:
      worst: the largest difference, in shares of what may be left.
      color: the largest difference in colour, in levels.
    """

    worst: Floats
    color: Floats


def _is_same(light: _Light) -> npt.NDArray[np.bool_]:
    """Returns whether light hardly changes a picture."""
    is_same = np.abs(light.gain - 1) < _SAME_GAIN
    return np.asarray(is_same & (np.abs(light.level) < _SAME_LEVEL))


def _as_coarse(pictures: Pictures, others: arrays.Ints) -> Floats:
    """Returns pixels of pictures, blurred as if they had no more pixels than others."""
    pixels = pictures.pixels.astype(float)
    for axis, sides in enumerate(np.minimum(pictures.sizes, others).T):
        is_finer = pictures.sizes[:, axis] > sides
        for side in np.unique(sides[is_finer]).tolist():
            some = is_finer & (sides == side)
            moved = np.moveaxis(pixels[some], axis + 1, -1) @ _blur(side).T
            pixels[some] = np.moveaxis(moved, -1, axis + 1)
    return pixels


@functools.cache
def _blur(side: int) -> Floats:
    """Returns the matrix that shrinks a side of a picture and stretches it again."""
    edges = np.arange(side + 1) * SIDE / side
    at = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    shrunk = np.maximum(overlap, 0) * side / SIDE
    places = np.clip((at + 0.5) * side / SIDE - 0.5, 0, side - 1)
    stretch = np.maximum(1 - np.abs(places[:, None] - np.arange(side)), 0)
    return np.asarray(stretch @ shrunk)


def _strengths(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Returns how much colours of pictures differ from gray, on average."""
    smooth = differences.smoothed(pixels)
    differ = np.abs(smooth - (smooth @ _LUMA)[..., None]).max(-1)
    return np.asarray(differ.mean((1, 2)))


def _plain(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Returns the share of the pixels at the edges that are alike."""
    smooth = differences.smoothed(pixels)
    sides = (smooth[:, 0], smooth[:, -1], smooth[:, :, 0], smooth[:, :, -1])
    edges = np.concatenate(sides, axis=1)
    differ = np.abs(edges - np.median(edges, axis=1, keepdims=True)).max(-1)
    return np.asarray((differ < _ALIKE).mean(1))


def _best_light(laid: _Laid) -> _Light:
    """Returns the light that fits best, with or without a level."""
    brightened, changed = _fitted(laid, has_level=False), _fitted(laid, has_level=True)
    errors = [
        np.minimum(_errors(laid, one), 3 * _OUTLIER).mean((1, 2))
        for one in (changed, brightened)
    ]
    is_changed = errors[0] < 0.97 * errors[1]
    return _Light(
        *(np.where(is_changed, *two) for two in zip(changed, brightened, strict=True))
    )


def _fitted(laid: _Laid, *, has_level: bool) -> _Light:
    """Returns the light that fits most values, by least squares without outliers."""
    _, part, is_inside, *_ = laid
    least, most = _TELLING
    telling = is_inside & (laid.picture > least) & (laid.picture < most)
    telling &= (part > least) & (part < most)
    is_used = telling
    for last in range(_ROUNDS):
        weights = is_used + 1e-6 * is_inside
        of_part, of_picture = _means(part, weights), _means(laid.picture, weights)
        if has_level:
            differ = part - of_part[:, None, None]
            products = _means(
                differ * (laid.picture - of_picture[:, None, None]), weights
            )
            gain = products / (_means(differ * differ, weights) + 1e-3)
        else:
            gain = _means(part * laid.picture, weights)
            gain /= _means(part * part, weights) + 1e-3
        gain = np.clip(gain, *_GAINS)
        level = np.clip(of_picture - gain * of_part, -_MOST_LIGHTER, _MOST_LIGHTER)
        light = _Light(gain, level if has_level else np.zeros_like(gain))
        if last < _ROUNDS - 1:
            errors = _errors(laid, light)
            mean_error = _means(errors, telling + np.float64(1e-9))
            limits = np.maximum(_OUTLIER, 1.5 * mean_error)
            is_used = telling & (errors < limits[:, None, None])
    return light


def _means(values: Floats, weights: Floats) -> Floats:
    """Returns the weighted mean of all values of each picture, shape [pairs]."""
    total = weights.sum((1, 2))
    return np.asarray(np.einsum("pij,pij->p", values, weights) / total)


def _errors(laid: _Laid, light: _Light) -> Floats:
    return np.abs(_differences(laid, light))


def _differences(laid: _Laid, light: _Light) -> Floats:
    """Returns how pictures differ from parts in some light, but for what was cut."""
    picture, part, is_inside, *_ = laid
    differ = picture - light.lit(part)
    # Where a part is cut, the picture that it was made of isn't.
    is_darker = (light.gain < 0.97)[:, None, None]
    is_cut = (part > _CUT) & (differ > 0) | (part <= 255 - _CUT - 1) & (differ < 0)
    return np.where(is_darker & is_cut, 0, differ) * is_inside


def _left(laid: _Laid, light: _Light) -> _Left:
    """Returns what light doesn't explain."""
    return _worst(laid, _differences(laid, light))


def _worst(laid: _Laid, differ: Floats) -> _Left:
    """Returns what is left of differences of all values."""
    left = differences.smoothed(differ.reshape(-1, SIDE, SIDE, 3))
    luma = left @ _LUMA
    details = differences.worst_details(luma, laid.allowed)
    tints = differences.window_sums(left - luma[..., None], _WINDOW) / _WINDOW**2
    color = np.sqrt((tints**2).sum(-1)).max((1, 2))
    worst = np.maximum(details / _MOST_DETAIL, color / _MOST_COLOR)
    return _Left(worst / laid.coarseness, color)


def _are_brightened(
    laid: _Laid, left: _Left, is_open: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Returns which pairs are copies, brightened so that light colours are cut.

    Then few values tell by what. What a pixel shows beside a cut one is a mean of cut
    values and others: it is between what it was and what it would be. That explains
    much, so the more values don't change, the less may be left.

    Args:
      laid: the pairs.
      left: what is left of them in the best light.
      is_open: those that aren't known to be copies.
    """
    found = np.zeros(len(is_open), bool)
    which = np.flatnonzero(is_open & (left.worst < _HOPELESS))
    for gain in _TRIED:
        if not len(which):
            break
        some = laid.taken(which)
        light = _Light(np.full(len(which), gain), np.zeros(len(which)))
        lit = light.lit(some.part)
        between = np.clip(
            some.picture, np.minimum(lit, some.part), np.maximum(lit, some.part)
        )
        differ = np.where(
            _is_cut_in_part(some.part * max(gain, 1)),
            (some.picture - between) * some.is_inside,
            _differences(some, light),
        )
        is_copy = _worst(some, differ).worst <= _changed(some, lit)
        found[which[is_copy]] = True
        which = which[~is_copy]
    return found


def _is_cut_in_part(lit: Floats) -> npt.NDArray[np.bool_]:
    """Returns which pixels are means of cut values and others.

    Args:
      lit: values that may be above 255, shape [pairs, pixels, 3].

    Returns:
      Shape [pairs, pixels, 1].
    """
    brightest = lit.max(-1).reshape(-1, SIDE, SIDE)
    is_edge = _around(brightest, np.maximum) - _around(brightest, np.minimum) > _EDGE
    found = is_edge & (_around(brightest, np.maximum) > _CUT)
    return np.asarray(found.reshape(*lit.shape[:2], 1))


def _changed(laid: _Laid, lit: Floats) -> Floats:
    """Returns how many values change as light changes them, among these and still ones.

    Args:
      laid: the pairs.
      lit: their parts in some light.
    """
    least, most = _MIDDLE
    is_middle = laid.is_inside & (laid.part > least) & (laid.part < most)
    is_still = is_middle & (np.abs(laid.picture - laid.part) < _HARDLY)
    is_changed = is_middle & (np.abs(laid.picture - lit) < _HARDLY) & ~is_still
    still, changed = (one.sum((1, 2)) for one in (is_still, is_changed))
    return np.asarray(changed / np.maximum(changed + still, _FEW))


def _around(values: Floats, best: np.ufunc) -> Floats:
    """Returns the best of each pixel and those that touch it; the shape stays."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = best(best(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    found: Floats = best(best(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
    return found
