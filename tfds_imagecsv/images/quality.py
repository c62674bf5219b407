"""Quality issues of images: cleanvision's names and definitions, on small pictures.

The definitions, the scores and the thresholds are those of cleanvision 0.3.7
(`cleanvision/issue_managers/image_property.py`, and the defaults in
`image_property_issue_manager.py`). It measures blur on pictures of 64 pixels, as we do,
and the rest on all pixels, of which we take samples.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfds_imagecsv import arrays
from tfds_imagecsv.images import facts, small_pictures
from tfds_imagecsv.images.small_pictures import SIDE

if TYPE_CHECKING:
    from tfds_imagecsv.images.small_pictures import SmallPictures

#: A score is a whole number of these parts, as it is written: four decimals.
PARTS = 10_000

Parts = npt.NDArray[np.uint16]

#: The issues (`options.QUALITY_ISSUES`), each with the score below which an image has
#: it. A score is from 0 to 1; lower is worse. `odd_size` has its threshold from all
#: images, see `scores`.
THRESHOLDS = {
    "dark": 0.32,
    "light": 0.05,
    "low_information": 0.3,
    "blurry": 0.29,
    "grayscale": 0.5,
    "odd_aspect_ratio": 0.35,
    "odd_size": 0.5,
}

#: What is measured of small pictures.
MEASURED = ("brightness", "dark", "light", "low_information", "blurry")

#: The issues that images of one kind have alike.
OF_KINDS = ("grayscale", "odd_aspect_ratio", "odd_size")

# Pixels that are measured at once: few enough for a processor's cache.
_PIXELS = 16 * SIDE**2

# Pictures of more pixels are large.
_SAMPLES = (SIDE // 2) ** 2

# Of the columns that `measure` makes.
_PREFIX = "quality/"

# The percentiles of a pixel's brightness that must be light and dark enough.
_LIGHTEST, _DARKEST = 99, 5

# The weights of red, green and blue in a pixel's brightness: the root of the weighted
# mean of their squares (the "HSP" colour model).
_WEIGHTS = (0.241, 0.691, 0.068)

_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", *facts.GRAY_16_BIT_MODES})

# How scores follow from what is measured.
_PER_BIT = 0.1
_PER_LEVEL = 0.01
_LEAST_SPREAD = 0.18

# An odd size is this many interquartile ranges away from the quartiles.
_RANGES = 3.0


def measure(pictures: SmallPictures) -> dict[str, Parts]:
    """Measures small pictures; it is a `small_pictures.Measure`.

    Returns:
      The columns `quality/` and each of `MEASURED`, uint16, in `PARTS`: the scores that
      depend on pixels, and the brightness of the median pixel.
    """
    found = {name: np.empty(len(pictures), np.float32) for name in MEASURED}
    # As large as cleanvision's.
    sides = np.minimum(np.array(pictures.sides, np.int64), SIDE)
    scales = (sides / pictures.sizes.max(axis=1, initial=1)) ** 2
    sizes = small_pictures.sizes_of(pictures.samples)
    _, height, width, _ = pictures.pixels.shape
    at_once = _PIXELS // max(height * width, 1)
    for at in range(0, len(pictures), at_once):
        block = slice(at, at + at_once)
        found["blurry"][block] = _sharpness(
            pictures.gray[block], pictures.sizes[block], scales[block]
        )
        samples = pictures.sampled_pixels[block]
        for which, pixels, counts in _sampled(samples, sizes[block]):
            for name, values in _brightness(pixels, counts):
                found[name][block][which] = values
    bits = np.array([one.entropy() for one in pictures.samples], np.float32)
    found["low_information"][:] = np.minimum(_PER_BIT * bits, 1)
    return {_PREFIX + name: _in_parts(values) for name, values in found.items()}


def _in_parts(values: npt.NDArray[Any]) -> Parts:
    """Returns numbers from 0 to 1 in `PARTS`."""
    found: Parts = np.rint(values.astype(np.float64) * PARTS).astype(np.uint16)
    return found


def _sampled(
    pixels: npt.NDArray[np.uint8], sizes: arrays.Ints
) -> Iterator[tuple[arrays.Bits, npt.NDArray[np.uint8], arrays.Ints]]:
    """Yields every fourth pixel of large pictures, and all of small ones.

    Percentiles don't need more. Yields which pictures they are, their pixels in RGB
    with black among them (shape [pictures, pixels, 3]), and how many count.
    """
    is_large = sizes.prod(axis=1) > _SAMPLES
    for step, which in ((2, is_large), (1, ~is_large)):
        if which.any():
            part = pixels[:, ::step, ::step]
            part = part if which.all() else part[which]
            counts = ((sizes[which] + step - 1) // step).prod(axis=1)
            yield which, part.reshape(len(part), -1, 3), counts


def _brightness(
    samples: npt.NDArray[np.uint8], counts: arrays.Ints
) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Yields what is measured of the brightness of pictures, see `_sampled`."""
    bands = [samples[..., at] for at in range(3)]
    squares = np.take(_weighted_squares()[0], bands[0])
    for table, band in zip(_weighted_squares()[1:], bands[1:], strict=True):
        squares += np.take(table, band)
    # Whole numbers of 16 bits are sorted in a fifth of the time of others.
    squares.sort(axis=1, kind="stable")
    yield "brightness", _percentile(squares, counts, 50) / 255
    yield "dark", _percentile(squares, counts, _LIGHTEST) / 255
    yield "light", 1 - _percentile(squares, counts, _DARKEST) / 255


@functools.cache
def _weighted_squares() -> npt.NDArray[np.uint16]:
    """Returns the weighted squares of all levels, by band; shape [3, 256]."""
    squares = np.arange(256)[None] ** 2 * np.array(_WEIGHTS)[:, None]
    found: npt.NDArray[np.uint16] = np.rint(squares).astype(np.uint16)
    return found


def _percentile(
    ordered: npt.NDArray[np.uint16], counts: arrays.Ints, percent: int
) -> npt.NDArray[np.float64]:
    """Returns a percentile of the roots of sorted squares, interpolated linearly.

    Args:
      ordered: the squares, shape [pictures, pixels].
      counts: how many of each picture count, the largest ones.
      percent: 0 to 100.
    """
    places = (counts - 1) * percent / 100
    low = places.astype(np.int64)
    part = places - low
    first, rows = ordered.shape[1] - counts, np.arange(len(ordered))
    lower = np.sqrt(ordered[rows, first + low].astype(np.float64))
    upper = ordered[rows, first + np.minimum(low + 1, counts - 1)]
    found: npt.NDArray[np.float64] = (
        lower * (1 - part) + np.sqrt(upper.astype(np.float64)) * part
    )
    return found


def _sharpness(
    gray: npt.NDArray[np.uint8], sizes: arrays.Ints, scales: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Returns the score of blur of gray pictures.

    Args:
      gray: the pictures, see `SmallPictures`.
      sizes: see there.
      scales: how many times their pixels cleanvision would have counted.
    """
    by_edges = 1 - np.exp(-_PER_LEVEL * _spread_of_edges(gray, sizes))
    by_levels = 1 - np.exp(-_PER_LEVEL * scales * _spread_of_histogram(gray, sizes))
    by_levels[by_levels <= _LEAST_SPREAD] = 0
    found: npt.NDArray[np.float64] = np.minimum(by_edges + by_levels, 1)
    return found


def _spread_of_edges(
    gray: npt.NDArray[np.uint8], sizes: arrays.Ints
) -> npt.NDArray[np.float64]:
    """Returns the standard deviation of the edges of pictures.

    Edges are those of Pillow's `FIND_EDGES`: 9 times a pixel less the sum of its
    neighbourhood of 3 x 3 pixels, cut to 0 to 255. Pixels of the border stay.
    """
    count, height, width = gray.shape
    levels = gray.reshape(-1).astype(np.int16)
    edges = levels.copy()
    if height >= 3 and width >= 3:
        # In one piece, over the ends of rows: those pixels aren't inside.
        rows = levels[: -2 * width] + levels[width:-width] + levels[2 * width :]
        inner = levels[width + 1 : -width - 1] * np.int16(9)
        inner -= rows[:-2] + rows[1:-1] + rows[2:]
        np.clip(inner, 0, 255, out=inner)
        is_inside = _is_inside(height, width, sizes).reshape(-1)[width + 1 : -width - 1]
        np.copyto(edges[width + 1 : -width - 1], inner, where=is_inside)
    # Sums of whole numbers are exact, in whatever order a processor takes them: the
    # squares of 64 x 64 pixels stay below 2^31.
    flat = edges.reshape(count, -1).astype(np.int32)
    squares = np.einsum("ij,ij->i", flat, flat)
    pixels = sizes.prod(axis=1)
    mean = flat.sum(axis=1) / pixels
    spread: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return spread


def _is_inside(height: int, width: int, sizes: arrays.Ints) -> arrays.Bits:
    """Returns which pixels are neither at the border of their picture nor outside."""
    y, x = np.arange(height), np.arange(width)
    is_in_row = (y > 0) & (y < sizes[:, :1] - 1)
    is_in_column = (x > 0) & (x < sizes[:, 1:] - 1)
    found: arrays.Bits = is_in_row[:, :, None] & is_in_column[:, None]
    return found


def _spread_of_histogram(
    gray: npt.NDArray[np.uint8], sizes: arrays.Ints
) -> npt.NDArray[np.float64]:
    """Returns the standard deviation of the counts of the 256 levels of pictures."""
    count = len(gray)
    levels = gray.reshape(count, -1) + 256 * np.arange(count)[:, None]
    histograms = np.bincount(levels.ravel(), minlength=256 * count).reshape(-1, 256)
    histograms[:, 0] -= levels.shape[1] - sizes.prod(axis=1)
    spread: npt.NDArray[np.float64] = histograms.std(axis=1)
    return spread


def is_measured(rows: pa.RecordBatch) -> bool:
    """Returns whether the pixels of inspected images were measured."""
    return _PREFIX + MEASURED[0] in rows.schema.names


def measured(rows: pa.RecordBatch, name: str) -> Parts:
    """Returns one of `MEASURED` of each image, uint16, in `PARTS`."""
    found: Parts = arrays.as_numpy(rows[_PREFIX + name])
    return found


def brightness(rows: pa.RecordBatch) -> npt.NDArray[np.float64]:
    """Returns the brightness of the median pixel of each image, 0 to 1."""
    return measured(rows, "brightness") / PARTS


def scores(
    rows: pa.RecordBatch, of_kinds: Mapping[str, Parts] | None = None
) -> dict[str, Parts]:
    """Returns the scores of images by issue, uint16, in `PARTS`; lower is worse.

    Args:
      rows: inspected images that were measured.
      of_kinds: `scores_of_kinds` of all images, if these are some of them.
    """
    if of_kinds is None:
        of_kinds = scores_of_kinds(rows)
    return {
        name: arrays.mapped(rows["kind"], of_kinds[name])
        if name in of_kinds
        else measured(rows, name)
        for name in THRESHOLDS
    }


def scores_of_kinds(rows: pa.RecordBatch) -> dict[str, Parts]:
    """Returns the scores of each kind of images, in `PARTS`, by `OF_KINDS`.

    Args:
      rows: inspected images. An odd size is odd among these.
    """
    kinds = rows["kind"].dictionary
    height, width = (
        arrays.as_numpy(kinds.field(side)).astype(np.float64)
        for side in ("height", "width")
    )
    images = np.bincount(arrays.codes_of(rows["kind"]), minlength=len(kinds))
    values = (
        1 - _is_gray(kinds.field("mode")).astype(np.float64),
        np.minimum(height, width) / np.maximum(height, width),
        _scores_of_size(np.sqrt(height * width), images),
    )
    return dict(zip(OF_KINDS, map(_in_parts, values), strict=True))


def issues(scores: Mapping[str, Parts]) -> dict[str, arrays.Bits]:
    """Returns which images have each issue, given their scores in `PARTS`."""
    return {
        name: scores[name] < round(threshold * PARTS)
        for name, threshold in THRESHOLDS.items()
    }


def _is_gray(modes: pa.Array) -> arrays.Bits:
    """Returns which of Pillow's modes have no colours; cleanvision knows `"L"` only."""
    return np.array([one in _GRAY_MODES for one in modes.to_pylist()], bool)


def _scores_of_size(
    sizes: npt.NDArray[np.float64], images: arrays.Ints
) -> npt.NDArray[np.float64]:
    """Returns the scores of sizes: the distance from the middle of the usual ones.

    Usual sizes are up to three interquartile ranges below and above the quartiles. If
    the quartiles are equal, any other size is odd: cleanvision then moves the threshold
    to 1. Here the threshold stays, and the scores of other sizes are halved.

    Args:
      sizes: the roots of areas, in pixels.
      images: how many images have each.
    """
    if not images.any():
        return sizes
    lower, upper = (_quantile(sizes, images, share) for share in (0.25, 0.75))
    reach = (1 + 2 * _RANGES) * (upper - lower)
    distances = np.abs(sizes - (lower + upper) / 2)
    close: npt.NDArray[np.float64] = 1 - np.minimum(distances / (reach or lower), 1)
    return close if reach else np.where(distances > 0, close / 2, 1)


def _quantile(
    values: npt.NDArray[np.float64], counts: arrays.Ints, share: float
) -> float:
    """Returns a quantile of values that occur several times, interpolated linearly."""
    order = np.argsort(values)
    ends = np.cumsum(counts[order])
    place = (ends[-1] - 1) * share
    low = np.floor(place)
    around = np.searchsorted(ends, [low, np.ceil(place)], side="right")
    lower, upper = values[order][around].tolist()
    return float(lower + (upper - lower) * (place - low))
