"""Targets instead of a quality: the size of the file, or its likeness to the original.

    vaecodec.encode(image, target=vaecodec.Size("100kB"))

With `best`, a target that is out of reach accepts the nearest result instead of raising TargetError.
"""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real

from vaecodec.errors import ImageError, VaecodecError

MS_SSIM_SIDE, SSIMULACRA2_SIDE = 161, 8
"""Smallest sides for which the measures are defined, in pixels: the five scales of MS-SSIM need a window of 11 each."""
MOST_BYTES = 1 << 40
"""Larger than any file."""
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})\s*(?:([kmg])(i?))?(?:b|bytes?)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}


class TargetError(ImageError):
    """The image cannot reach its target; the message names the nearest value."""


def size_of(text: str | int) -> int:
    """Bytes: a number, or text such as "100kB" (1000 bytes each), "1.5 MB" or "64KiB" (1024). Raises VaecodecError."""
    if isinstance(text, Integral) and not isinstance(text, bool):
        size = int(text)
    else:
        match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise VaecodecError(f"a size must be a number of bytes or text like 100kB, not {text!r:.40}")
        number, power, binary = match.groups()
        size = int(float(number) * (1024 if binary else 1000) ** _POWERS[(power or "").lower()])
    if not 1 <= size <= MOST_BYTES:
        raise VaecodecError(f"a size must be from 1 byte to {MOST_BYTES}, not {text!r:.40}")
    return size


def _number(name: str, value: float, low: float, high: float) -> None:
    """Raises VaecodecError unless low < value <= high."""
    if isinstance(value, bool) or not isinstance(value, Real) or not low < value <= high or not math.isfinite(value):
        limits = f"above {low:g}" if high == math.inf else f"above {low:g} and at most {high:g}"
        limits = f"at most {high:g}" if low == -math.inf else limits
        raise VaecodecError(f"{name} must be a number {limits}, not {value!s:.40}")


@dataclass(frozen=True)
class Size:
    """Most bytes of the whole file, metadata and alpha included: an int, or text like "100kB" (1000 bytes each) or
    "64KiB" (1024).

    >>> vaecodec.Size("64KiB").bytes
    65536
    """

    size: int | str
    best: bool = False

    def __post_init__(self) -> None:
        size_of(self.size)

    @cached_property
    def bytes(self) -> int:
        return size_of(self.size)

    def __str__(self) -> str:
        return f"{self.bytes} bytes"


@dataclass(frozen=True)
class Bpp:
    """Most bits per pixel of the whole file.

    >>> print(vaecodec.Bpp(0.4))
    0.4 bpp
    """

    bpp: float
    best: bool = False

    def __post_init__(self) -> None:
        _number("bits a pixel", self.bpp, 0, math.inf)

    def __str__(self) -> str:
        return f"{self.bpp:g} bpp"


@dataclass(frozen=True)
class Psnr:
    """Least PSNR in dB, over all RGB samples of pixels that are not fully transparent. It is a guarantee: if latents do
    not reach it, another form of the format does.

    >>> print(vaecodec.Psnr(38))
    PSNR 38 dB
    """

    psnr: float
    best: bool = False

    def __post_init__(self) -> None:
        _number("PSNR", self.psnr, 0, math.inf)

    def __str__(self) -> str:
        return f"PSNR {self.psnr:g} dB"


@dataclass(frozen=True)
class MsSsim:
    """Least multi-scale SSIM of RGB, above 0 and at most 1; for images of at least 161 pixels a side.

    >>> print(vaecodec.MsSsim(0.98, best=True))
    MS-SSIM 0.98
    """

    ms_ssim: float
    best: bool = False

    def __post_init__(self) -> None:
        _number("MS-SSIM", self.ms_ssim, 0, 1)

    def __str__(self) -> str:
        return f"MS-SSIM {self.ms_ssim:g}"


@dataclass(frozen=True)
class Ssimulacra2:
    """Least score of SSIMULACRA 2, at most 100 (70 is high quality); needs the package ssimulacra2.

    >>> print(vaecodec.Ssimulacra2(70))
    SSIMULACRA 2 70
    """

    score: float
    best: bool = False

    def __post_init__(self) -> None:
        _number("SSIMULACRA 2", self.score, -math.inf, 100)

    def __str__(self) -> str:
        return f"SSIMULACRA 2 {self.score:g}"


Target = Size | Bpp | Psnr | MsSsim | Ssimulacra2


def check_alone(quality: float | None, target: Target | None) -> None:
    """Raises VaecodecError if both are given."""
    if quality is not None and target is not None:
        raise VaecodecError("a target is in place of a quality: give one of them")


def check_kind(target: Target) -> None:
    """Raises VaecodecError for an invalid target, or if the package that measures it is not installed."""
    if not isinstance(target, Target):
        raise VaecodecError(f"a target must be Size, Bpp, Psnr, MsSsim or Ssimulacra2, not {type(target).__name__}")
    if isinstance(target, Ssimulacra2) and importlib.util.find_spec("ssimulacra2") is None:
        raise VaecodecError("a target of SSIMULACRA 2 needs a package: pip install ssimulacra2")


def check_target(target: Target, width: int, height: int) -> None:
    """Raises VaecodecError as check_kind does, ImageError if the measure is undefined for an image of this size."""
    check_kind(target)
    for kind, name, side in ((MsSsim, "MS-SSIM", MS_SSIM_SIDE), (Ssimulacra2, "SSIMULACRA 2", SSIMULACRA2_SIDE)):
        if isinstance(target, kind) and min(width, height) < side:
            raise ImageError(f"{name} needs images of at least {side} pixels a side; this one has {width}x{height}")
