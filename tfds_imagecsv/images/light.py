"""In what light a part of a picture is like another picture: brightness and contrast.

Both multiply red, green and blue by one number, and add another one. What gets more
than white or less than black is cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfds_imagecsv.images import laid as laid_lib
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.laid import Laid, Left
from tfds_imagecsv.images.small_pictures import SIDE

# By what copies may be made stronger in contrast (times), and lighter (levels).
_GAINS, _MOST_LIGHTER = (0.7, 1.45), 90

# Light that changes pictures by less doesn't change them.
_SAME_GAIN, _SAME_LEVEL = 0.07, 8

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


class Light(NamedTuple):
    """By what parts are made like the pictures: times `gain`, plus `level`."""

    gain: Floats
    level: Floats

    def lit(self, part: Floats) -> Floats:
        """Returns the parts in that light."""
        gain, level = (one[:, None, None] for one in self)
        return np.clip(gain * part + level, 0, 255)


def is_same(light: Light) -> npt.NDArray[np.bool_]:
    """Returns whether light hardly changes a picture."""
    is_same = np.abs(light.gain - 1) < _SAME_GAIN
    return np.asarray(is_same & (np.abs(light.level) < _SAME_LEVEL))


def best_light(laid: Laid) -> Light:
    """Returns the light that fits best, with or without a level."""
    brightened, changed = _fitted(laid, has_level=False), _fitted(laid, has_level=True)
    errors = [
        np.minimum(_errors(laid, one), 3 * _OUTLIER).mean((1, 2))
        for one in (changed, brightened)
    ]
    is_changed = errors[0] < 0.97 * errors[1]
    return Light(
        *(np.where(is_changed, *two) for two in zip(changed, brightened, strict=True))
    )


def _fitted(laid: Laid, *, has_level: bool) -> Light:
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
        light = Light(gain, level if has_level else np.zeros_like(gain))
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


def _errors(laid: Laid, light: Light) -> Floats:
    return np.abs(differences_in(laid, light))


def differences_in(laid: Laid, light: Light) -> Floats:
    """Returns how pictures differ from parts in some light, but for what was cut."""
    picture, part, is_inside, *_ = laid
    differ = picture - light.lit(part)
    # Where a part is cut, the picture that it was made of isn't.
    is_darker = (light.gain < 0.97)[:, None, None]
    is_cut = (part > _CUT) & (differ > 0) | (part <= 255 - _CUT - 1) & (differ < 0)
    return np.where(is_darker & is_cut, 0, differ) * is_inside


def are_brightened(
    laid: Laid, left: Left, is_open: npt.NDArray[np.bool_]
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
        light = Light(np.full(len(which), gain), np.zeros(len(which)))
        lit = light.lit(some.part)
        between = np.clip(
            some.picture, np.minimum(lit, some.part), np.maximum(lit, some.part)
        )
        differ = np.where(
            _is_cut_in_part(some.part * max(gain, 1)),
            (some.picture - between) * some.is_inside,
            differences_in(some, light),
        )
        is_copy = laid_lib.left_of(some, differ).worst <= _changed(some, lit)
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


def _changed(laid: Laid, lit: Floats) -> Floats:
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
