"""Plots as inline SVG, in the colours of the page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

# Units of the SVG: pixels on a page as wide as a phone.
_WIDTH = 340
_HEIGHT = 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 24

_BARS = 32

# The squares of a plot of two lengths, in each direction.
_CELLS = 28

# The space between two texts of an axis, as a share of its length.
_TICKS = 5


@dataclasses.dataclass(frozen=True)
class Axis:
    """The axis of a plot.

    Attributes:
      low: the smallest value.
      high: the largest value, above `low`.
      is_log: whether equal steps are equal ratios; `low` is then above 0.
    """

    low: float
    high: float
    is_log: bool

    def at(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns the positions of values: 0 is the start of the axis, 1 its end."""
        found = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.is_log:
            found, low, high = np.log(found), math.log(low), math.log(high)
        return (found - low) / (high - low)

    def value_at(self, position: float) -> float:
        """Returns the value at a position from 0 to 1."""
        if self.is_log:
            return self.low * math.exp(position * math.log(self.high / self.low))
        return self.low + (self.high - self.low) * position

    def ticks(self) -> list[float]:
        """Returns a few round values, sorted."""
        if not self.is_log:
            step = _round_step((self.high - self.low) / (_TICKS - 1))
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            return [at * step for at in range(first, last + 1)]
        decades = range(
            math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1
        )
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            values = [step * 10.0**decade for decade in decades for step in steps]
            found = [one for one in values if self.low <= one <= self.high]
            if len(found) >= 3:
                break
        skip = math.ceil(len(found) / (_TICKS + 1))
        return found[::skip]


def _round_step(step: float) -> float:
    """Returns the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * one for one in (1, 2, 5, 10) if power * one >= step * 0.999)


def axis_of(values: npt.NDArray[np.float64], *, log_from: float = 8) -> Axis:
    """Returns the axis of some values.

    Args:
      values: finite numbers, at least one.
      log_from: the least ratio of the largest to the smallest for a logarithmic axis.
    """
    low, high = float(values.min()), float(values.max())
    is_log = low > 0 and high / low >= log_from
    if not high > low:
        margin = abs(low) * 0.5 or 1.0
        return Axis(low - margin, high + margin, is_log=False)
    return Axis(low, high, is_log)


def plain(value: float) -> str:
    """Returns a number as a label of an axis."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.4g}"


def histogram(
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.int64],
    *,
    label: str,
    axis: Axis | None = None,
    ticks: Sequence[float] | None = None,
    as_text: Callable[[float], str] = plain,
    are_whole: bool = False,
) -> Markup:
    """Returns a plot of how many images have which value.

    Args:
      values: finite numbers, at least one.
      weights: how many images each stands for.
      label: what it shows, in words.
      axis: default: one that has all values.
      ticks: the values to label; default: round ones.
      as_text: how to write them.
      are_whole: whether the values are whole numbers; if there are few, each has a bar.
    """
    axis, bars = axis or axis_of(values), _BARS
    if are_whole and np.ptp(values) < _BARS:
        low, high = float(values.min()) - 0.5, float(values.max()) + 0.5
        axis, bars = Axis(low, high, is_log=False), round(high - low)
        step = math.ceil(bars / (2 * _TICKS))
        ticks = [low + 0.5 + at for at in range(0, bars, step)]
    at = np.clip((axis.at(values) * bars).astype(np.int64), 0, bars - 1)
    counts = np.bincount(at, weights=weights, minlength=bars).astype(np.int64)
    most = int(counts.max())
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    wide = width / bars
    parts = [_counts_axis(most, height, width)]
    for number, count in enumerate(counts.tolist()):
        if not count:
            continue
        tall = max(1.5, count / most * height)
        low, high = (axis.value_at((number + one) / bars) for one in (0, 1))
        parts.append(
            Markup(
                '<rect class="ink" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'
                ' rx="1"><title>{} to {}: {:,}</title></rect>'
            ).format(
                *(_LEFT + number * wide + 0.5, _TOP + height - tall, wide - 1, tall),
                *(as_text(low), as_text(high), count),
            )
        )
    parts += _ticks_below(axis, ticks or axis.ticks(), as_text)
    return _svg(parts, label)


def density(
    widths: npt.NDArray[np.float64],
    heights: npt.NDArray[np.float64],
    weights: npt.NDArray[np.int64],
    *,
    label: str,
) -> Markup:
    """Returns a plot of how many images have which width and height.

    Args:
      widths: pixels, at least one.
      heights: likewise.
      weights: how many images each pair stands for.
      label: what it shows, in words.
    """
    both = np.concatenate([widths, heights])
    axis = axis_of(both, log_from=4)
    across = np.clip((axis.at(widths) * _CELLS).astype(np.int64), 0, _CELLS - 1)
    up = np.clip((axis.at(heights) * _CELLS).astype(np.int64), 0, _CELLS - 1)
    counts = np.bincount(up * _CELLS + across, weights, minlength=_CELLS**2)
    counts = counts.astype(np.int64)
    most = math.log1p(int(counts.max()))
    # Height and width are equal: square images are on the diagonal.
    side = _WIDTH - _LEFT - _RIGHT
    step = side / _CELLS
    parts = [
        Markup('<path class="grid" d="M{} {}h{}M{} {}v{}M{} {}L{} {}"/>').format(
            *(_LEFT, _TOP + side, side, _LEFT, _TOP, side),
            *(_LEFT, _TOP + side, _LEFT + side, _TOP),
        )
    ]
    for cell in np.flatnonzero(counts).tolist():
        row, column = divmod(cell, _CELLS)
        count = int(counts[cell])
        shade = 0.25 + 0.75 * math.log1p(count) / most
        parts.append(
            Markup(
                '<rect class="ink" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'
                ' rx="1.5" opacity="{:.2f}"><title>about {:,.0f} by {:,.0f}: {:,}'
                "</title></rect>"
            ).format(
                *(_LEFT + column * step + 0.5, _TOP + side - (row + 1) * step + 0.5),
                *(step - 1, step - 1, shade),
                axis.value_at((column + 0.5) / _CELLS),
                axis.value_at((row + 0.5) / _CELLS),
                count,
            )
        )
    below = _TOP + side
    ticks = axis.ticks()
    parts += _ticks_below(axis, ticks, plain, below=below)
    for value in ticks:
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 6, below - float(axis.at(value)) * side + 4, plain(value)
            )
        )
    return _svg(parts, label, height=below + _BOTTOM)


def _counts_axis(most: int, height: float, width: float) -> Markup:
    """Returns the lines behind a histogram, and the largest count."""
    return Markup(
        '<path class="grid" d="M{left} {top}h{width}M{left} {bottom}h{width}"/>'
        '<text x="{end}" y="{top_text}" text-anchor="end">{most:,}</text>'
        '<text x="{end}" y="{bottom_text}" text-anchor="end">0</text>'
    ).format(
        left=_LEFT,
        top=_TOP,
        bottom=_TOP + height,
        width=width,
        end=_LEFT - 6,
        top_text=_TOP + 5,
        bottom_text=_TOP + height + 3,
        most=most,
    )


def _ticks_below(
    axis: Axis,
    ticks: Sequence[float],
    as_text: Callable[[float], str],
    below: float = _HEIGHT - _BOTTOM,
) -> list[Markup]:
    width = _WIDTH - _LEFT - _RIGHT
    parts = []
    for value in ticks:
        x = _LEFT + float(axis.at(value)) * width
        anchor = "end" if x > _WIDTH - _RIGHT - 16 else "middle"
        parts.append(
            Markup(
                '<path class="grid" d="M{0:.1f} {1}v4"/>'
                '<text x="{0:.1f}" y="{2}" text-anchor="{3}">{4}</text>'
            ).format(x, below, below + 17, anchor, as_text(value))
        )
    return parts


def _svg(parts: Sequence[Markup], label: str, height: float = _HEIGHT) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">{}</svg>'
    ).format(_WIDTH, height, label, Markup("").join(parts))
