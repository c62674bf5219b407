"""Segmentation masks: images of one channel whose pixels are values, such as classes.

A mask has the size of its image, as that is in its file or as it is shown upright. Its
values are stored where the stored image has their pixels: turned with it, and resized
by nearest neighbour, so that no value arises that the mask doesn't have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from tfds_imagecsv.images import formats, geometry, png, stored_form
from tfds_imagecsv.images.facts import Facts
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.problems import Kind, UnusableImageError

#: The values of colours, which are red, green and blue, 0 to 255.
Colors = Mapping[tuple[int, int, int], int]

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_Ints = npt.NDArray[np.int64]

# The formats whose values Pillow reads as they are. It scales those of others, such as
# PPM.
_FORMATS = ("PNG", "TIFF", "BMP", "GIF")

# Pillow's modes of values, besides 16 bits, and of colours.
_MODES = frozenset({"1", "L", "P"})
_COLOR_MODES = _MODES | {"LA", "RGB", "RGBA"}

_DEPTHS = (1, 2, 4, 8, 16)

_MAX_OF_8_BITS = 255

# The most values that a message shows.
_MOST_SHOWN = 10


class Mask(NamedTuple):
    """A mask as it is stored.

    Attributes:
      content: a PNG of one channel.
      values: those of its pixels, sorted, each once; int64.
      counts: how many of the stored pixels have each; int64.
      dtype: `"uint8"` or `"uint16"`.
      is_upright: True or False if the mask only fits the image as it is shown upright,
        or as it is in its file; None if it fits both.
    """

    content: bytes
    values: _Ints
    counts: _Ints
    dtype: str
    is_upright: bool | None


def converted(
    content: bytes,
    image: Facts,
    options: ImageOptions,
    *,
    dtype: str | None = None,
    are_upright: bool | None = None,
    colors: Colors | None = None,
    classes: int | None = None,
) -> Mask:
    """Returns a mask as it is stored beside its image.

    Values stay as they are: a palette's indices, bits as 0 and 1, 2 and 4 bits as 0 to
    3 and 0 to 15. A PNG that readers agree on, and that needs no change, is kept byte
    for byte.

    A pixel at x of a mask that is resized from n to m pixels gets the value at
    floor((x + 1/2) n / m): that below its centre, as Pillow's `NEAREST` has it. If a
    centre is on the edge of two pixels, the right (or lower) one counts, whereas
    Pillow's rounding errors decide there.

    Args:
      content: the mask's file.
      image: the facts of its image.
      options: how the image is stored.
      dtype: `"uint8"` or `"uint16"`: that of all masks of the dataset. Default:
        `"uint16"` if the file has 16 bits, or a colour's value takes them.
      are_upright: whether masks are in the frame of their images as they are shown
        upright, as most annotation tools export them, or in that of the images' files.
        None: as the size tells, and upright where it doesn't. The sizes of some masks
        may tell it for all, see `Mask.is_upright`. In the upright frame, a mask's own
        EXIF orientation is applied, and in the files' frame it isn't.
      colors: what pixels of a colour become; then masks are read by their colours,
        also those with a palette, or gray ones. What is transparent has its colour.
      classes: how many classes there are; other values are wrong. Default: any value
        is right.

    Raises:
      UnusableImageError: if it is no mask of this image, or damaged.
    """
    facts, pixels = _read(content, options, colors)
    fits = _fits(facts, image, are_upright)
    is_upright = fits if are_upright is None else are_upright
    if classes is not None:
        _check_values(pixels, classes)
    placed = _placed(pixels, facts, image, options, is_upright=is_upright is not False)
    values, counts = _counted(placed)
    if dtype is None:
        most = max(colors.values()) if colors else 0
        is_deep = facts.depth == 16 or most > _MAX_OF_8_BITS
        dtype = "uint16" if is_deep else "uint8"
    if values[-1] > np.iinfo(dtype).max:
        raise UnusableImageError(
            Kind.MASK_FORMAT, f" has the value {values[-1]:,}, which {dtype} lacks"
        )
    if not (placed is pixels and colors is None and _is_exact(facts, dtype)):
        picture = Image.fromarray(np.ascontiguousarray(placed, dtype))
        content = png.encoded(picture)
    return Mask(content, values, counts, dtype, fits)


def _check_values(pixels: Pixels, classes: int) -> None:
    """Raises an `UnusableImageError` if pixels have values that no class has."""
    values, counts = _counted(pixels)
    unknown = values[values >= classes]
    if len(unknown):
        shown = ", ".join(map(str, unknown[:_MOST_SHOWN].tolist()))
        more = len(unknown) - _MOST_SHOWN
        shown += f" and {more:,} more" if more > 0 else ""
        noun = "value" if len(unknown) == 1 else "values"
        pixels_of = int(counts[values >= classes].sum())
        raise UnusableImageError(
            Kind.MASK_VALUE,
            f" has the {noun} {shown} in {pixels_of:,} of its pixels; those of the"
            f" classes are 0 to {classes - 1}",
        )


def _read(
    content: bytes, options: ImageOptions, colors: Colors | None
) -> tuple[Facts, Pixels]:
    """Returns a mask's facts and values (height x width), as Pillow decodes them.

    Raises:
      UnusableImageError: if they can't be read.
    """
    found: list[Pixels] = []

    def see(picture: Any, facts: Facts) -> None:
        _check(picture, facts, has_colors=colors is not None)
        if colors is None:
            found.append(_values(picture, facts))
        else:
            found.append(_by_color(picture, colors))

    facts = formats.read_facts(
        content, max_pixels=options.max_pixels, decode=True, see=see
    )
    return facts, found[0]


def _check(picture: Any, facts: Facts, *, has_colors: bool) -> None:
    """Raises an `UnusableImageError` for a file that has no certain values."""
    wrong = ""
    if facts.is_lossy:
        wrong = f" is {facts.format} with loss: its compression has changed values"
    elif facts.format not in _FORMATS:
        wrong = f" is {facts.format}: masks are {', '.join(_FORMATS)}"
    elif facts.frames > 1:
        wrong = f" has {facts.frames:,} frames, and a mask has one"
    elif has_colors:
        if facts.mode not in _COLOR_MODES or facts.depth > 8:
            wrong = (
                f" is {facts.format} of mode {facts.mode} with {facts.depth} bits a"
                " channel: colours of masks are RGB with 8"
            )
    elif facts.channels > 1:
        wrong = f" has {facts.channels} channels: without mask_colors, a mask has one"
    elif not (facts.mode in _MODES or facts.is_gray_16_bit):
        wrong = f" is {facts.format} of mode {facts.mode}"
    elif facts.depth not in _DEPTHS:
        wrong = f" has {facts.depth} bits a pixel, which would be read as others"
    elif facts.format == "TIFF" and not picture.tag_v2.get(
        ExifTags.Base.PhotometricInterpretation, 0
    ):
        wrong = " is TIFF whose 0 is white: programs read different values of it"
    if wrong:
        raise UnusableImageError(Kind.MASK_FORMAT, wrong)


def _values(picture: Any, facts: Facts) -> Pixels:
    """Returns the values of an image of one channel."""
    if facts.is_gray_16_bit:
        return np.asarray(picture).astype(np.uint16, copy=False)
    pixels = np.asarray(picture).astype(np.uint8, copy=False)
    if facts.mode == "L" and facts.depth in (2, 4):
        # Pillow makes the highest value 255.
        pixels = (pixels // (255 // (2**facts.depth - 1))).astype(np.uint8)
    return pixels


def _by_color(picture: Any, colors: Colors) -> Pixels:
    """Returns the values of an image's colours.

    Raises:
      UnusableImageError: if a colour has no value.
    """
    known = _numbers(np.array([*colors], np.uint8))
    order = np.argsort(known)
    known, values = known[order], np.array([*colors.values()], np.uint16)[order]
    pixels = np.empty((picture.height, picture.width), np.uint16)
    first, same, all_unknown = None, 0, 0
    for box in geometry.boxes(*picture.size):
        numbers = _numbers(np.asarray(picture.crop(box).convert("RGB")))
        at = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        geometry.within(pixels, box)[...] = values[at]
        is_unknown = known[at] != numbers
        if is_unknown.any():
            if first is None:
                y, x = np.argwhere(is_unknown)[0].tolist()
                first = box[0] + x, box[1] + y, int(numbers[y, x])
            same += int((numbers == first[2]).sum())
            all_unknown += int(is_unknown.sum())
    if first is not None:
        x, y, number = first
        noun = "pixel" if same == 1 else "pixels"
        others = f"; {all_unknown - same:,} have other such colours"
        raise UnusableImageError(
            Kind.MASK_COLOR,
            f" has {same:,} {noun} of #{number:06x}, the first at x={x}, y={y}"
            + others * (all_unknown > same),
        )
    return pixels


def _numbers(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Returns colours (... x 3) as numbers, 0xRRGGBB."""
    red, green, blue = np.moveaxis(colors.astype(np.uint32), -1, 0)
    numbers: npt.NDArray[np.uint32] = red << 16 | green << 8 | blue
    return numbers


def _fits(facts: Facts, image: Facts, are_upright: bool | None) -> bool | None:
    """Returns which frame of its image a mask's size fits, as `Mask.is_upright`.

    Raises:
      UnusableImageError: if it fits none, or not the one that it is said to be in.
    """
    fits_upright = _upright_size(facts) == _upright_size(image)
    fits_file = (facts.height, facts.width) == (image.height, image.width)
    if are_upright is None:
        is_wrong = not (fits_upright or fits_file)
    else:
        is_wrong = not (fits_upright if are_upright else fits_file)
    if is_wrong:
        size = (facts.height, facts.width)
        if are_upright is not False:
            size = _upright_size(facts)
        wanted = []
        if are_upright is not True:
            wanted.append((image.height, image.width))
        if are_upright is not False:
            wanted.append(_upright_size(image))
        sizes = ["{:,} x {:,}".format(*one) for one in dict.fromkeys(wanted)]
        raise UnusableImageError(
            Kind.MASK_SIZE,
            f" has {size[0]:,} x {size[1]:,} pixels, not {' or '.join(sizes)}",
        )
    return None if fits_upright and fits_file else fits_upright


def _upright_size(facts: Facts) -> tuple[int, int]:
    """Returns the height and width of an image as it is shown upright."""
    if facts.orientation >= 5:
        return facts.width, facts.height
    return facts.height, facts.width


def _placed(
    pixels: Pixels,
    facts: Facts,
    image: Facts,
    options: ImageOptions,
    *,
    is_upright: bool,
) -> Pixels:
    """Returns a mask's values where the stored image has their pixels.

    Args:
      pixels: height x width, as Pillow decodes the file.
      facts: those of the mask's file.
      image: those of its image.
      options: how the image is stored.
      is_upright: whether the mask is in the frame of the image as it is shown.

    Returns:
      The same array if nothing is to be done.
    """
    pixels = geometry.turned(
        pixels, geometry.turn(facts, ImageOptions(apply_exif=is_upright))
    )
    if is_upright and not options.apply_exif:
        pixels = geometry.turned(pixels, geometry.inverse(image.orientation))
    elif options.apply_exif and not is_upright:
        pixels = geometry.turned(pixels, image.orientation)
    stored = stored_form.stored_as(image, options)
    size = stored.stored_height, stored.stored_width
    if pixels.shape == size:
        return pixels
    rows, columns = map(_nearest, pixels.shape, size)
    return pixels[np.ix_(rows, columns)]


def _nearest(before: int, after: int) -> _Ints:
    """Returns which of a side's pixels those of the resized side are, from 0."""
    return (2 * np.arange(after) + 1) * before // (2 * after)


def _counted(pixels: Pixels) -> tuple[_Ints, _Ints]:
    """Returns the values of pixels, sorted, and how many have each."""
    counts = np.zeros(1 << 16, np.int64)
    for box in geometry.boxes(pixels.shape[1], pixels.shape[0]):
        found = np.bincount(geometry.within(pixels, box).ravel())
        counts[: len(found)] += found
    values = np.flatnonzero(counts)
    return values, counts[values]


def _is_exact(facts: Facts, dtype: str) -> bool:
    """Returns whether readers find a file's values, and nothing that changes them."""
    is_gray = facts.is_gray_16_bit if dtype == "uint16" else facts.mode == "L"
    return (
        facts.format == "PNG"
        and is_gray
        and facts.depth == np.iinfo(dtype).bits
        and not facts.has_alpha
        and facts.orientation == 1
    )
