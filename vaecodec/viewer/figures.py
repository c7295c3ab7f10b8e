"""Likeness of images to an original, whatever their file formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.codec import Codec
from vaecodec.errors import ImageError
from vaecodec.picture import Picture, to_array, to_picture
from vaecodec.rate_control.metrics import ms_ssim, psnr, ssimulacra2
from vaecodec.system.files import Source, input_limit
from vaecodec.system.naming import MAGIC
from vaecodec.targets import MS_SSIM_SIDE, SSIMULACRA2_SIDE

Pixels = NDArray[np.uint8]

COLUMNS = ("bytes", "bpp", "smaller", "SSIMULACRA 2", "MS-SSIM", "PSNR, dB")
"""Figures of a file, see cells."""
EQUAL = "equal"
SSIMULACRA2_PIXELS = 1 << 24
"""Most pixels for SSIMULACRA 2: its package takes about 500 bytes per pixel."""


@dataclass(frozen=True)
class Shown:
    """An image file as it is shown. size: bytes of the file; pixels: (H, W, 3), or (H, W, 4) with alpha, uint8; icc:
    their colour profile, or None; notes: conversions."""

    size: int
    pixels: Pixels
    icc: bytes | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return self.size * 8 / (self.width * self.height)


@dataclass(frozen=True)
class Likeness:
    """Likeness of an image to another. psnr: dB over the visible RGB samples, None if all are equal; ms_ssim: 0 to 1;
    ssimulacra2: up to 100. The last two are None if they cannot be computed, and a note says why."""

    identical: bool
    psnr: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    notes: list[str]


def cells(shown: Shown, first: Shown, like: Likeness | None) -> list[str]:
    """The texts for COLUMNS of a file, empty where there is no value; like: None for the first file itself."""
    sizes = [str(shown.size), f"{shown.bpp:.3f}"]
    if like is None:
        return [*sizes, "", "", "", ""]
    scores = (
        "" if score is None else f"{score:.{digits}f}"
        for score, digits in ((like.ssimulacra2, 1), (like.ms_ssim, 4), (like.psnr, 2))
    )
    ratio = f"{first.size / max(shown.size, 1):.1f}x"
    return [*sizes, ratio, *([EQUAL] * 3 if like.identical else scores)]


def read_shown(source: Any, codec: Codec) -> Shown:
    """Read an image file of any supported format, including .vaec. source: as for Source; codec: decodes .vaec files
    and limits pixels. Raises VaecodecError if it cannot be read."""
    with Source(source, input_limit(codec.max_pixels)) as opened:
        coded = opened.read(0, len(MAGIC)) == MAGIC
        picture = codec.decode_picture(opened) if coded else to_picture(opened, codec.max_pixels)
        return Shown(opened.size, _as_shown(picture), picture.icc, picture.notes)


def _as_shown(picture: Picture) -> Pixels:
    array = to_array(picture)
    return array if array.shape[2] >= 3 else np.dstack([array[:, :, :1]] * 3 + [array[:, :, 1:]])


def likeness(first: Shown, other: Shown) -> Likeness:
    """Likeness of `other` to `first`; raises ImageError if their sizes differ.

    With equal alpha, invisible colours do not count. With different alpha, both images are composited on black and on
    white, and the worse result counts.
    """
    if first.pixels.shape[:2] != other.pixels.shape[:2]:
        raise ImageError(
            f"it has {other.width}x{other.height} pixels, the first {first.width}x{first.height}: only images of equal "
            "size can be compared"
        )
    pairs, seen = _pairs(first.pixels, other.pixels)
    notes = ["its colour profile is another: samples are compared as they are"] if first.icc != other.icc else []
    if len(pairs) > 1:
        notes.append("its alpha is another: compared on black and on white, the worse counts")
    if all(np.array_equal(*pair) for pair in pairs):
        return Likeness(True, None, 1.0, 100.0, notes)
    structure = perceived = None
    if min(first.width, first.height) < MS_SSIM_SIDE:
        notes.append(f"no MS-SSIM: it needs {MS_SSIM_SIDE} pixels a side")
    else:
        structure = min(ms_ssim(*pair) for pair in pairs)
    if reason := _no_ssimulacra2(first):
        notes.append(f"no SSIMULACRA 2: {reason}")
    else:
        perceived = min(ssimulacra2(*pair) for pair in pairs)
    return Likeness(False, min(psnr(*pair, seen) for pair in pairs), structure, perceived, notes)


def _pairs(first: Pixels, other: Pixels) -> tuple[list[tuple[Pixels, Pixels]], NDArray[np.bool_] | None]:
    """RGB images to compare, and a mask of the visible pixels (H, W), None: all."""
    one, two = (pixels[:, :, 3] if pixels.shape[2] == 4 else None for pixels in (first, other))
    if one is None and two is None:
        return [(first, other)], None
    opaque = np.full(first.shape[:2], 255, np.uint8)
    one, two = (opaque if alpha is None else alpha for alpha in (one, two))
    if np.array_equal(one, two):
        seen = one > 0
        return [(first[:, :, :3], np.where(seen[:, :, None], other[:, :, :3], first[:, :, :3]))], seen
    return [(_laid_on(ground, first, one), _laid_on(ground, other, two)) for ground in (0, 255)], None


def _laid_on(ground: int, pixels: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """RGB composited on a background, black (0) or white (255)."""
    share = alpha[:, :, None].astype(np.uint16)
    return ((pixels[:, :, :3] * share + ground * (255 - share) + 127) // 255).astype(np.uint8)


def _no_ssimulacra2(shown: Shown) -> str | None:
    """Why SSIMULACRA 2 cannot be computed, or None."""
    if min(shown.width, shown.height) < SSIMULACRA2_SIDE:
        return f"it needs {SSIMULACRA2_SIDE} pixels a side"
    if shown.width * shown.height > SSIMULACRA2_PIXELS:
        return f"of more than {SSIMULACRA2_PIXELS} pixels it takes too much memory"
    try:
        import ssimulacra2  # noqa: F401
    except Exception:  # an incompatible package may raise anything: the other measures remain
        return "pip install ssimulacra2"
    return None
