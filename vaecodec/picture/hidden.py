"""Colours under full transparency: invisible, yet they cost bytes, and quality in the visible parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEUTRAL = 128
"""Level of a picture without visible pixels."""


def fill_hidden(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """rgb (H, W, 3) with smooth colours where alpha (H, W) is 0, extrapolated from the visible pixels; rgb itself if
    alpha is never 0.

    Push-pull (Gortler et al. 1996): means of the visible pixels in ever larger squares fill the gaps that smaller ones
    leave.
    """
    if alpha is None or alpha.all():
        return rgb
    if not alpha.any():
        return np.full_like(rgb, NEUTRAL)
    seen = alpha > 0
    filled = _filled(rgb.astype(np.float32) * seen[:, :, None], seen.astype(np.float32))
    return np.where(seen[:, :, None], rgb, filled)


def flatten_hidden(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """rgb with black where alpha is 0, which lossless coders compress best."""
    return rgb if alpha is None or alpha.all() else rgb * (alpha > 0)[:, :, None]


def _filled(sums: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A colour for every square, from sums (H, W, 3) of visible colours and their counts (H, W)."""
    height, width = weights.shape
    known = weights > 0
    means = np.divide(sums, weights[:, :, None], out=np.zeros_like(sums), where=known[:, :, None])
    colours = (means + 0.5).astype(np.uint8)
    if known.all():
        return colours
    coarse = Image.fromarray(_filled(_quartered(sums), _quartered(weights[:, :, None])[:, :, 0]))
    # At odd sides the squares extend beyond the picture: the box is the part of the coarse image to use.
    between = coarse.resize((width, height), Image.Resampling.BILINEAR, (0, 0, width / 2, height / 2))
    return np.where(known[:, :, None], colours, np.asarray(between))


def _quartered(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 2x2 squares of (H, W, C), zero beyond the edges."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    rows = even[0::2] + even[1::2]
    return rows[:, 0::2] + rows[:, 1::2]
