"""Where a picture shows what a part of another shows: the two are laid on each other.

A pair is aligned as in "Parametric Image Alignment Using Enhanced Correlation
Coefficient Maximization" (Evangelidis and Psarakis, 2008): steps of Gauss and Newton
change where, how large and how turned the part is, as well as its brightness and its
contrast, so that the difference becomes smaller.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfds_imagecsv import arrays
from tfds_imagecsv.images import differences, fingerprint
from tfds_imagecsv.images.differences import Floats
from tfds_imagecsv.images.fingerprint import Fingerprints
from tfds_imagecsv.images.hash_search import Pairs

# The least correlation before the first step, and after two and five. Hardly any copy
# has less, and nearly all other pairs have.
_LEAST = ((0, 0.4), (2, 0.7), (3, 0.7))

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

# The squared difference in any block of pixels is at most so many times what a copy may
# have there: a difference of 4 of 255 in each pixel, and what a shift by 0.3 pixels
# makes. Pictures agree nearly if it is less, and if they correlate by so much. All are
# measured on made copies, see docs/near_duplicates.md.
_MOST_DIFFERENT = 11
_NEARLY, _NEARLY_DIFFERENT = 0.95, 6
_NOISE, _SHIFT = 4, 0.3
_BLOCK = 8

# The share of a side at an edge that doesn't count: what is beside a turned picture
# shines in.
_EDGE = 1.5 / fingerprint.SIDE


class Aligned(NamedTuple):
    """Pairs of pictures that are alike.

    Attributes:
      at: their positions among those that were compared, int64.
      parts: the part of each container that fits best, see `Fit`.
      agree_nearly: whether they agree in each block, as far as fingerprints tell.
    """

    at: arrays.Ints
    parts: Floats
    agree_nearly: npt.NDArray[np.bool_]

    def taken(self, which: arrays.Ints | slice) -> Aligned:
        """Returns some of the pairs."""
        return Aligned(self.at[which], self.parts[which], self.agree_nearly[which])


def align(fingerprints: Fingerprints, pairs: Pairs) -> Aligned:
    """Returns the pairs of which one picture correlates with a part of the other.

    Args:
      fingerprints: those of pictures.
      pairs: their numbers, and the windows to begin with.
    """
    found = []
    for start in range(0, len(pairs.whole), _AT_ONCE):
        some = pairs.taken(slice(start, start + _AT_ONCE))
        one = _aligned(fingerprints, some)
        found.append(one._replace(at=start + one.at))
    at, parts, agree = (
        np.concatenate([one[column] for one in found]) for column in range(3)
    )
    return Aligned(at, parts, agree)


def _aligned(fingerprints: Fingerprints, pairs: Pairs) -> Aligned:
    size, top, left = np.array(fingerprint.WINDOWS)[pairs.window].T
    none = np.zeros(len(size))
    part = np.stack([top + size / 2, size, none, left + size / 2, none, size], axis=1)
    picture, container = (
        differences.smoothed(fingerprint.gray(fingerprints[one]))
        for one in (pairs.whole, pairs.container)
    )
    fit = Fit.of(picture, container, part)
    at = np.arange(len(part))
    for steps, least in _LEAST:
        fit, correlations = fit.after(steps)
        is_alike = correlations >= least
        fit, correlations = fit.taken(is_alike), correlations[is_alike]
        at = at[is_alike]
    differ = fit.worst_differences()
    agree = (correlations >= _NEARLY) & (differ <= _NEARLY_DIFFERENT)
    found = Aligned(at, fit.part, agree)
    return found.taken(np.flatnonzero(differ <= _MOST_DIFFERENT))


class Fit(NamedTuple):
    """Pictures, and the parts of others that are laid on them.

    Attributes:
      picture: gray, smoothed; shape [pairs, side, side].
      container: likewise.
      slopes: how gray changes in `container` by a whole side down and to the right,
        shape [2, pairs, side, side].
      part: shape [pairs, 6]: the middle of the part from the top, by how much that
        changes down and to the right, and the same from the left.
    """

    picture: Floats
    container: Floats
    slopes: Floats
    part: Floats

    @classmethod
    def of(cls, picture: Floats, container: Floats, part: Floats) -> Fit:
        """Returns the fit to begin with; the arguments are as the attributes."""
        slopes = differences.slopes(container) * (container.shape[1] / 2)
        return cls(picture, container, slopes, part)

    @property
    def _side(self) -> int:
        side: int = self.picture.shape[1]
        return side

    @property
    def _flat(self) -> Floats:
        """The pictures, shape [pairs, side * side]."""
        return self.picture.reshape(len(self.picture), self._side**2)

    def taken(self, which: npt.NDArray[np.bool_]) -> Fit:
        """Returns the fits of some pairs."""
        return Fit(
            self.picture[which],
            self.container[which],
            self.slopes[:, which],
            self.part[which],
        )

    def after(self, steps: int) -> tuple[Fit, Floats]:
        """Returns the best of the fits before and after some steps.

        Returns:
          The fits, and how their pictures correlate with the parts, shape [pairs].
        """
        fit = best = self
        correlations = self._correlations()
        for _ in range(steps):
            fit = fit._after_step()
            new = fit._correlations()
            part = np.where((new > correlations)[:, None], fit.part, best.part)
            best = fit._replace(part=part)
            correlations = np.maximum(correlations, new)
        return best, correlations

    def worst_differences(self) -> Floats:
        """Returns the largest of the blocks' differences, see `_MOST_DIFFERENT`."""
        seen, is_inside = self._seen()
        slopes = differences.slopes(self.picture)
        steepness = ((slopes**2).sum(0) / 4).reshape(is_inside.shape)
        differ = self._blocks((seen - self._flat) ** 2 * is_inside)
        allowed = _SHIFT**2 * self._blocks(steepness * is_inside)
        allowed += (_NOISE * _BLOCK) ** 2
        return np.asarray((differ / allowed).max(axis=1))

    def sampler(self) -> tuple[Sampler, Floats]:
        """Returns what takes parts out of pictures, and which pixels these have."""
        below, right = _places(self._side)
        top, down, along, left, across, over = self.part.T[:, :, None]
        from_top = top + down * below + along * right
        from_left = left + across * below + over * right
        is_inside = np.abs(from_top - 0.5) <= 0.5 - _EDGE
        is_inside &= np.abs(from_left - 0.5) <= 0.5 - _EDGE
        return Sampler(from_top, from_left, self._side), is_inside.astype(float)

    def _correlations(self) -> Floats:
        """Returns how the pictures correlate with the parts, shape [pairs]."""
        seen, is_inside = self._seen()
        seen = seen - _mean(seen, is_inside)
        picture = self._flat - _mean(self._flat, is_inside)
        squares = _mean(seen * seen, is_inside) * _mean(picture * picture, is_inside)
        products = _mean(seen * picture, is_inside)
        return (products / (np.sqrt(squares) + 1e-6))[:, 0]

    def _seen(self) -> tuple[Floats, Floats]:
        """Returns the parts, as bright as the pictures, and which pixels these have."""
        sampler, is_inside = self.sampler()
        sampled, picture = sampler(self.container), self._flat
        weights = self._weights(sampled, is_inside)
        mean, mean_picture = _mean(sampled, weights), _mean(picture, weights)
        differs = sampled - mean
        contrast = _mean(differs * (picture - mean_picture), weights)
        contrast = contrast / (_mean(differs * differs, weights) + 1)
        lighter = np.clip(mean_picture - mean, -_MOST_LIGHTER, _MOST_LIGHTER)
        # Cut where brightening cuts a picture.
        seen = np.minimum(
            differs * np.clip(contrast, *_CONTRASTS) + mean + lighter, 255
        )
        return seen, is_inside

    def _after_step(self) -> Fit:
        """Returns the fit after a step that makes the difference smaller."""
        sampler, is_inside = self.sampler()
        seen = sampler(self.container)
        slopes = sampler(self.slopes[0]), sampler(self.slopes[1])
        weights = self._weights(seen, is_inside)
        seen = seen - _mean(seen, weights)
        ones = np.ones_like(seen)
        moves = (one * at for one in slopes for at in (ones, *_places(self._side)))
        changes = np.stack([*moves, seen, ones], axis=1)
        weighted = changes * weights[:, None]
        normal = weighted @ changes.transpose(0, 2, 1)
        # A little more on the diagonal, for what a picture doesn't tell.
        diagonal = np.arange(normal.shape[1])
        normal[:, diagonal, diagonal] *= 1.001
        normal[:, diagonal, diagonal] += 1e-3
        solved = np.linalg.solve(normal, weighted @ self._flat[:, :, None])[:, :, 0]
        step = solved[:, :6] / np.clip(solved[:, 6:7], 0.3, 3)
        part = self.part + np.clip(step, -_MOST_OF_STEP, _MOST_OF_STEP)
        part[:, [1, 5]] = np.clip(part[:, [1, 5]], *_SIZES)
        part[:, [2, 4]] = np.clip(part[:, [2, 4]], -_MOST_LEANING, _MOST_LEANING)
        return self._replace(part=part)

    def _weights(self, seen: Floats, is_inside: Floats) -> Floats:
        """Returns how much pixels count for brightness and contrast."""
        is_dark = (seen < _BRIGHT) & (self._flat < _BRIGHT)
        return np.asarray(is_inside * np.where(is_dark, 1, _WEIGHT_OF_BRIGHT))

    def _blocks(self, values: Floats) -> Floats:
        """Returns the sums of the pixels of each block, shape [pairs, blocks]."""
        blocks = self._side // _BLOCK
        by_block = values.reshape(-1, blocks, _BLOCK, blocks, _BLOCK).sum(axis=(2, 4))
        return np.asarray(by_block.reshape(len(values), blocks * blocks))


class Sampler:
    """Takes a part out of each picture, by linear interpolation.

    Args:
      from_top: where the pixels of the parts are, in shares of a side, shape [pairs,
        side * side].
      from_left: likewise.
      side: the pixels of a side.
    """

    def __init__(self, from_top: Floats, from_left: Floats, side: int) -> None:
        rows = np.clip(from_top * side - 0.5, 0, side - 1.001)
        columns = np.clip(from_left * side - 0.5, 0, side - 1.001)
        row, column = rows.astype(np.int64), columns.astype(np.int64)
        pictures = np.arange(len(rows))[:, None] * (side * side)
        self._side = side
        self._at = pictures + row * side + column
        self._down, self._right = rows - row, columns - column

    def __call__(self, pictures: npt.NDArray[Any]) -> Floats:
        """Returns the parts of pictures, shape [pairs, side * side].

        Args:
          pictures: shape [pairs, side, side].
        """
        flat = pictures.ravel()
        upper = flat[self._at] * (1 - self._right) + flat[self._at + 1] * self._right
        at = self._at + self._side
        lower = flat[at] * (1 - self._right) + flat[at + 1] * self._right
        sampled: Floats = upper * (1 - self._down) + lower * self._down
        return sampled


@functools.cache
def _places(side: int) -> tuple[Floats, Floats]:
    """Returns how far pixels are below and right of the middle, in sides."""
    middle = (np.arange(side) + 0.5) / side - 0.5
    below, right = np.meshgrid(middle, middle, indexing="ij")
    return below.ravel(), right.ravel()


def _mean(values: Floats, weights: Floats) -> Floats:
    """Returns the weighted mean of each picture's pixels, shape [pairs, 1]."""
    total = weights.sum(1, keepdims=True) + 1e-6
    return np.asarray((values * weights).sum(1, keepdims=True) / total)
