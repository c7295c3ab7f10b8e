"""Picture: upright 8-bit RGB with alpha and metadata, the input and output of the codec."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.grid import counted_pixels
from vaecodec.errors import ImageError
from vaecodec.picture.origin import JpegOrigin

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"}
"""Suffixes of image files in a folder."""
SIXTEEN_BITS = "16-bit samples reduced to 8 bits"


@dataclass
class Picture:
    """rgb (H, W, 3) uint8; alpha (H, W) uint8 or None; `gray`: all channels are equal and shown as one.

    exif, icc, xmp: raw metadata or None; notes: conversions, one line each; origin: the JPEG that it was read from, if
    any.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    gray: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)
    origin: JpegOrigin | None = None
    jpeg: bytes | None = None
    """The complete plain JPEG in which a decoded picture was kept."""
    jpeg_orientation: int = 1
    """The orientation in which that JPEG is stored, as EXIF counts."""

    @property
    def height(self) -> int:
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        return self.rgb.shape[1]


def check_pixels(width: int, height: int, limit: int) -> None:
    """Raises ImageError for images without pixels or with more than `limit`."""
    if width < 1 or height < 1:
        raise ImageError("the image has no pixels")
    if counted_pixels(width, height) > limit:
        raise ImageError(f"the image has {width}x{height} pixels, more than the limit of {limit} (max_pixels)")
