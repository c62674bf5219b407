"""Whether a picture shows what a part of another shows: the two are laid on each other.

A pair is aligned as in "Parametric Image Alignment Using Enhanced Correlation
Coefficient Maximization" (Evangelidis and Psarakis, 2008): steps of Gauss and Newton
change where, how large and how turned the part is, as well as its brightness and its
contrast, so that the difference becomes smaller. What is left must be little: in all,
so that the pictures correlate; and in each part of them, so that icons of one style,
which have different marks, don't count as copies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfds_imagecsv.images import brightening, differences, fingerprint
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.fingerprint import SIDE, Fingerprints
from tfds_imagecsv.images.hash_search import Pairs

# The least correlation of two pictures that show the same, and the most of the squared
# difference in a block of pixels, in shares of what a copy may have there: a difference
# of 4 of 255 in each pixel, and what a shift by 0.3 pixels makes. All are measured on
# made copies, see docs/near_duplicates.md.
_LEAST_CORRELATION = 0.97
_MOST_DIFFERENT = 4
_NOISE, _SHIFT = 4, 0.3
_BLOCK = 8

# The least correlation before the first step and after two. Hardly any copy has less,
# and nearly all other pairs have.
_LEAST_BEFORE, _LEAST_EARLY = 0.4, 0.8

_EARLY_STEPS, _LATE_STEPS = 2, 3

# Pairs that are aligned at once: some memory, and no threads of BLAS.
_AT_ONCE = 128

# Gray from which on brightening may have cut it, and how little it counts then.
_BRIGHT, _WEIGHT_OF_BRIGHT = 247, 0.02

# How a part may be changed: its size in shares of the other picture's, and by how much
# a side may lean, in shares of its length (about 4.5 degrees).
_SIZES, _MOST_LEANING = (0.82, 1.05), 0.08

# How far one step may go, and by what contrast (times) and brightness (levels) may
# differ: by a little more than a quarter.
_MOST_OF_STEP = 0.06
_CONTRASTS, _MOST_LIGHTER = (0.74, 1.35), 60

# Pictures whose coarse colours are this weak (root mean square) are gray, or nearly so.
# Others must have alike colours: the least cosine of the angle between them, before and
# after the pictures are laid on each other.
_NO_COLOR, _LEAST_COLOR = 1, 4
_LEAST_COSINE_BEFORE, _LEAST_COSINE = 0.8, 0.92

# If one has colours, and the other has none, gray must be nearly as bright: by how much
# contrast and brightness may differ. Else icons that only differ in colour, of which
# one is gray, would all be copies of it.
_SAME_CONTRAST, _SAME_BRIGHTNESS = 0.1, 8

# The pixels at an edge that don't count: what is beside a turned picture shines in.
_EDGE = 1.5 / SIDE


def are_near(fingerprints: Fingerprints, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Returns whether the pictures of each pair show the same.

    Args:
      fingerprints: those of pictures.
      pairs: their numbers, and the windows to begin with.

    Returns:
      Shape [pairs].
    """
    is_near = np.zeros(len(pairs.whole), bool)
    for start in range(0, len(is_near), _AT_ONCE):
        some = Pairs(*(column[start : start + _AT_ONCE] for column in pairs))
        wholes, containers = fingerprints[some.whole], fingerprints[some.container]
        alike = np.flatnonzero(_have_alike_colors(wholes, containers))
        is_near[start + alike] = _show_the_same(
            wholes[alike], containers[alike], some.window[alike]
        )
    return is_near


def _have_alike_colors(
    some: Fingerprints, others: Fingerprints
) -> npt.NDArray[np.bool_]:
    """Returns which pictures have colours like others', or are gray, or the others."""
    one, two = (fingerprint.colors(those).astype(float) for those in (some, others))
    strengths = _strengths(some), _strengths(others)
    are_alike = (one * two).mean(1) >= _LEAST_COSINE_BEFORE * np.multiply(*strengths)
    return np.asarray((np.minimum(*strengths) < _LEAST_COLOR) | are_alike)


def _strengths(fingerprints: Fingerprints) -> Floats:
    """Returns the root mean squares of the coarse colours of pictures."""
    colors = fingerprint.colors(fingerprints).astype(float)
    return np.asarray(np.sqrt((colors**2).mean(1)))


def _show_the_same(
    wholes: Fingerprints, containers: Fingerprints, windows: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Returns which pictures show the same as the part of others that fits best."""
    found = np.zeros(len(wholes), bool)
    rows = np.arange(len(wholes))
    strengths = _strengths(wholes), _strengths(containers)
    are_faint = np.minimum(*strengths) < _LEAST_COLOR
    lack_colors = (np.minimum(*strengths) < _NO_COLOR) & (
        np.maximum(*strengths) >= _LEAST_COLOR
    )
    fit = best = _Fit.of(wholes, containers, windows)
    correlation = fit.correlations()
    for steps, least in (
        (0, _LEAST_BEFORE),
        (_EARLY_STEPS, _LEAST_EARLY),
        (_LATE_STEPS, _LEAST_CORRELATION),
    ):
        for _ in range(steps):
            fit = fit.after_step()
            new = fit.correlations()
            part = np.where((new > correlation)[:, None], fit.part, best.part)
            best = fit._replace(part=part)
            correlation = np.maximum(correlation, new)
        is_good = correlation >= least
        if steps == _EARLY_STEPS:
            likely = rows[is_good & ~lack_colors[rows]]
            found[likely] = brightening.are_brightened(
                wholes[likely], containers[likely]
            )
            is_good &= ~found[rows]
        rows, correlation = rows[is_good], correlation[is_good]
        fit, best = fit.taken(is_good), best.taken(is_good)
        if not len(rows):
            return found
    some, others = wholes[rows], containers[rows]
    is_kept = best.worst_differences() <= _MOST_DIFFERENT
    is_kept &= are_faint[rows] | best.have_alike_colors(some, others)
    found[rows] = is_kept & (best.are_as_bright() | ~lack_colors[rows])
    return found


def _places() -> tuple[Floats, Floats]:
    """Returns how far pixels are below and right of the middle, in sides."""
    middle = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    below, right = np.meshgrid(middle, middle, indexing="ij")
    return below.ravel(), right.ravel()


_BELOW, _RIGHT = _places()


class _Fit(NamedTuple):
    """Pictures, and the parts of others that are laid on them.

    Attributes:
      picture: gray, shape [pairs, SIDE * SIDE].
      container: gray, shape [pairs, SIDE * SIDE].
      slopes: how gray changes in `container` by a whole side down and to the right,
        shape [2, pairs, SIDE * SIDE].
      part: shape [pairs, 6]: the middle of the part from the top, by how much that
        changes down and to the right, and the same from the left.
    """

    picture: Floats
    container: Floats
    slopes: Floats
    part: Floats

    @classmethod
    def of(
        cls,
        wholes: Fingerprints,
        containers: Fingerprints,
        windows: npt.NDArray[np.int64],
    ) -> _Fit:
        """Returns the fit to begin with: the windows."""
        size, top, left = np.array(fingerprint.WINDOWS)[windows].T
        none = np.zeros(len(windows))
        part = np.stack([top + size / 2, size, none, left + size / 2, none, size], 1)
        container = differences.smoothed(fingerprint.gray(containers))
        slopes = differences.slopes(container)
        return cls(
            differences.smoothed(fingerprint.gray(wholes)).reshape(-1, SIDE * SIDE),
            container.reshape(-1, SIDE * SIDE),
            (slopes * (SIDE / 2)).reshape(2, -1, SIDE * SIDE),
            part,
        )

    def taken(self, which: npt.NDArray[np.bool_]) -> _Fit:
        """Returns the fits of some pairs."""
        return _Fit(
            self.picture[which],
            self.container[which],
            self.slopes[:, which],
            self.part[which],
        )

    def correlations(self) -> Floats:
        """Returns how the pictures correlate with the parts, shape [pairs]."""
        seen, is_inside = self._seen()
        seen = seen - _mean(seen, is_inside)
        picture = self.picture - _mean(self.picture, is_inside)
        squares = _mean(seen * seen, is_inside) * _mean(picture * picture, is_inside)
        products = _mean(seen * picture, is_inside)
        return (products / (np.sqrt(squares) + 1e-6))[:, 0]

    def worst_differences(self) -> Floats:
        """Returns the largest of the blocks' differences, see `_MOST_DIFFERENT`."""
        seen, is_inside = self._seen()
        slopes = differences.slopes(self.picture.reshape(-1, SIDE, SIDE))
        steepness = ((slopes**2).sum(0) / 4).reshape(is_inside.shape)
        differ = _blocks((seen - self.picture) ** 2 * is_inside)
        allowed = _SHIFT**2 * _blocks(steepness * is_inside) + (_NOISE * _BLOCK) ** 2
        return np.asarray((differ / allowed).max(axis=1))

    def have_alike_colors(
        self, wholes: Fingerprints, others: Fingerprints
    ) -> npt.NDArray[np.bool_]:
        """Returns which parts have colours like the pictures, see `_LEAST_COSINE`.

        Args:
          wholes: the fingerprints of the pictures.
          others: those of the containers.
        """
        sampler, is_inside = self._sampler()
        of_picture = fingerprint.finer_colors(wholes) * is_inside
        of_part = [sampler(one) * is_inside for one in fingerprint.finer_colors(others)]
        products = (of_picture * of_part).sum((0, 2))
        squares = ((of_picture**2).sum((0, 2)), np.square(of_part).sum((0, 2)))
        return np.asarray(products >= _LEAST_COSINE * np.sqrt(np.multiply(*squares)))

    def are_as_bright(self) -> npt.NDArray[np.bool_]:
        """Returns whether the parts are as bright as the pictures, without a change."""
        sampled, is_inside, contrast = self._sampled()
        seen, _ = self._seen()
        lighter = _mean(seen - sampled, is_inside)
        is_same = np.abs(contrast - 1) < _SAME_CONTRAST
        return np.asarray((is_same & (np.abs(lighter) < _SAME_BRIGHTNESS))[:, 0])

    def _seen(self) -> tuple[Floats, Floats]:
        """Returns the parts, as bright as the pictures, and which pixels these have."""
        sampled, is_inside, contrast = self._sampled()
        weights = self._weights(sampled, is_inside)
        mean = _mean(sampled, weights)
        lighter = np.clip(
            _mean(self.picture, weights) - mean, -_MOST_LIGHTER, _MOST_LIGHTER
        )
        # Cut where brightening cuts a picture.
        seen = np.minimum((sampled - mean) * contrast + mean + lighter, 255)
        return seen, is_inside

    def _sampled(self) -> tuple[Floats, Floats, Floats]:
        """Returns the parts, which pixels they have, and by what contrast they fit."""
        sampler, is_inside = self._sampler()
        sampled = sampler(self.container)
        weights = self._weights(sampled, is_inside)
        differs = sampled - _mean(sampled, weights)
        contrast = _mean(
            differs * (self.picture - _mean(self.picture, weights)), weights
        )
        contrast = contrast / (_mean(differs * differs, weights) + 1)
        return sampled, is_inside, np.clip(contrast, *_CONTRASTS)

    def after_step(self) -> _Fit:
        """Returns the fit after a step that makes the difference smaller."""
        sampler, is_inside = self._sampler()
        seen = sampler(self.container)
        down, right = sampler(self.slopes[0]), sampler(self.slopes[1])
        weights = self._weights(seen, is_inside)
        seen = seen - _mean(seen, weights)
        ones = np.ones_like(seen)
        moves = (one * at for one in (down, right) for at in (ones, _BELOW, _RIGHT))
        changes = np.stack([*moves, seen, ones], axis=1)
        weighted = changes * weights[:, None]
        normal = weighted @ changes.transpose(0, 2, 1)
        # A little more on the diagonal, for what a picture doesn't tell.
        diagonal = np.arange(normal.shape[1])
        normal[:, diagonal, diagonal] *= 1.001
        normal[:, diagonal, diagonal] += 1e-3
        solved = np.linalg.solve(normal, weighted @ self.picture[:, :, None])[:, :, 0]
        step = solved[:, :6] / np.clip(solved[:, 6:7], 0.3, 3)
        part = self.part + np.clip(step, -_MOST_OF_STEP, _MOST_OF_STEP)
        part[:, [1, 5]] = np.clip(part[:, [1, 5]], *_SIZES)
        part[:, [2, 4]] = np.clip(part[:, [2, 4]], -_MOST_LEANING, _MOST_LEANING)
        return self._replace(part=part)

    def _sampler(self) -> tuple[_Sampler, Floats]:
        """Returns what takes parts out of pictures, and which pixels these have."""
        top, down, along, left, across, right = self.part.T[:, :, None]
        from_top = top + down * _BELOW + along * _RIGHT
        from_left = left + across * _BELOW + right * _RIGHT
        is_inside = np.abs(from_top - 0.5) <= 0.5 - _EDGE
        is_inside &= np.abs(from_left - 0.5) <= 0.5 - _EDGE
        return _Sampler(from_top, from_left), is_inside.astype(float)

    def _weights(self, seen: Floats, is_inside: Floats) -> Floats:
        """Returns how much pixels count for brightness and contrast."""
        is_dark = (seen < _BRIGHT) & (self.picture < _BRIGHT)
        return np.asarray(is_inside * np.where(is_dark, 1, _WEIGHT_OF_BRIGHT))


class _Sampler:
    """Takes a part out of each picture, by linear interpolation.

    Args:
      from_top: where the pixels of the parts are, in shares of a side, shape [pairs,
        SIDE * SIDE].
      from_left: likewise.
    """

    def __init__(self, from_top: Floats, from_left: Floats) -> None:
        rows = np.clip(from_top * SIDE - 0.5, 0, SIDE - 1.001)
        columns = np.clip(from_left * SIDE - 0.5, 0, SIDE - 1.001)
        row, column = rows.astype(np.int64), columns.astype(np.int64)
        pictures = np.arange(len(rows))[:, None] * (SIDE * SIDE)
        self._at = pictures + row * SIDE + column
        self._down, self._right = rows - row, columns - column

    def __call__(self, pictures: Floats) -> Floats:
        flat = pictures.ravel()
        upper = flat[self._at] * (1 - self._right) + flat[self._at + 1] * self._right
        at = self._at + SIDE
        lower = flat[at] * (1 - self._right) + flat[at + 1] * self._right
        sampled: Floats = upper * (1 - self._down) + lower * self._down
        return sampled


def _mean(values: Floats, weights: Floats) -> Floats:
    """Returns the weighted mean of each picture's pixels, shape [pairs, 1]."""
    total = weights.sum(1, keepdims=True) + 1e-6
    return np.asarray((values * weights).sum(1, keepdims=True) / total)


def _blocks(values: Floats) -> Floats:
    """Returns the sums of the pixels of each block, shape [pairs, blocks]."""
    blocks = SIDE // _BLOCK
    by_block = values.reshape(-1, blocks, _BLOCK, blocks, _BLOCK).sum(axis=(2, 4))
    return np.asarray(by_block.reshape(len(values), blocks * blocks))
