"""JPEG fallbacks, good enough or small enough, for images that latents code badly (noise, embossed texture, fine
text)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import Section
from vaecodec.sections.jpeg import MAX_SIDE, QUALITIES, jpeg_of, read_jpeg
from vaecodec.sections.payloads import Kept

Pixels = NDArray[np.uint8]
"""(H, W, 3)."""
SAMPLINGS = (0, 2)
"""Chroma at full resolution, or at a quarter of the pixels, which is enough for pictures of few colours."""


def jpegs_from(rgb: Pixels, gray: bool, good: Callable[[Pixels], bool]) -> list[Kept]:
    """JPEGs of the lowest quality whose pixels are `good`: at most one for each sampling."""
    return _jpegs(rgb, gray, lambda kept: good(pixels_of(kept, rgb, gray)), 0)


def jpegs_within(rgb: Pixels, gray: bool, limit: int) -> list[Kept]:
    """JPEGs of the highest quality of at most `limit` bytes: at most one for each sampling."""
    return _jpegs(rgb, gray, lambda kept: len(kept.payload) > limit, -1)


def pixels_of(kept: Kept, rgb: Pixels, gray: bool) -> Pixels:
    """The decoded pixels of a JPEG of rgb."""
    return read_jpeg(kept.payload, rgb.shape[1], rgb.shape[0], gray, kept.version)


def _jpegs(rgb: Pixels, gray: bool, true_from: Callable[[Kept], bool], step: int) -> list[Kept]:
    """For each sampling, the JPEG `step` qualities from the first for which the monotonic condition `true_from`
    holds."""
    found = []
    for sampling in () if max(rgb.shape) > MAX_SIDE else SAMPLINGS[: 1 if gray else None]:

        def at(quality: int, sampling: int = sampling) -> Kept:
            section = jpeg_of(rgb, gray, quality, sampling)
            return Kept(Section.JPEG, section.payload, section.version)

        index = bisect_left(QUALITIES, True, key=lambda quality: true_from(at(quality))) + step
        if 0 <= index < len(QUALITIES):
            found.append(at(QUALITIES[index]))
    return found
