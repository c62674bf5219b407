"""The facts of an image file."""

import functools
from typing import NamedTuple

GRAY_16_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


class Facts(NamedTuple):
    """What an image file says about its image.

    Attributes:
      format: Pillow's name of the format, by content, such as `"PNG"`; a JPEG with
        more images after it (Pillow's `"MPO"`) is a `"JPEG"`.
      mode: Pillow's mode, such as `"RGB"`.
      channels: how many channels the mode has; 1 for a palette.
      has_alpha: whether it has transparency, as a channel or as a colour.
      depth: bits of a channel, or of a palette's index; 16 where Pillow scales 9 to 15.
      height: pixels, before the orientation is applied.
      width: pixels, before the orientation is applied.
      orientation: 1 to 8, as in EXIF; 1 is upright.
      frames: how many images the file has.
      is_plain: False for a BMP that not every decoder reads.
      is_lossy: whether its compression has lost something.
      has_other_profile: whether it has a colour profile that isn't sRGB's.
      mcu_height: pixels of the blocks that a JPEG is made of (its minimum coded units);
        0 for other formats.
      mcu_width: likewise.
    """

    format: str
    mode: str
    channels: int
    has_alpha: bool
    depth: int
    height: int
    width: int
    orientation: int
    frames: int
    is_plain: bool
    is_lossy: bool
    has_other_profile: bool = False
    mcu_height: int = 0
    mcu_width: int = 0

    @property
    def is_gray(self) -> bool:
        """Whether it has no colours."""
        return self.mode in {"1", "L", "LA", "La", "I"} or self.is_gray_16_bit

    @property
    def is_gray_16_bit(self) -> bool:
        """Whether Pillow keeps the 16 bits of its one channel."""
        return self.mode in GRAY_16_BIT_MODES or (
            self.mode == "I" and self.format == "PPM"
        )


@functools.lru_cache(maxsize=1024)
def plain_facts(
    image_format: str,
    mode: str,
    height: int,
    width: int,
    *,
    mcu: tuple[int, int] = (0, 0),
) -> Facts:
    """Returns the facts of an image of a usual kind: 8 bits, upright, one frame."""
    return Facts(
        format=image_format,
        mode=mode,
        channels=len(mode),
        has_alpha=mode.endswith("A"),
        depth=8,
        height=height,
        width=width,
        orientation=1,
        frames=1,
        is_plain=True,
        is_lossy=image_format == "JPEG",
        mcu_height=mcu[0],
        mcu_width=mcu[1],
    )
