"""Lost parts of a picture filled like a membrane that hangs on what lies around them (Laplace's equation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.grid import Rect

COARSE = 8
"""Membranes are smooth: an eighth of the size is enough."""
SWEEPS = 24
"""Relaxations at each size, each of which begins with the result of half that size (cascadic multigrid: Bornemann and
Deuflhard, Numerische Mathematik 75, 1996)."""
Float = NDArray[np.float32]


def fill_membrane(rgb: NDArray[np.uint8], lost: list[Rect]) -> None:
    """Fill rectangles of pixels (within the picture) of rgb (H, W, 3) from the others, which stay as they are; where
    all are lost, nothing is done.

    >>> picture = np.full((64, 64, 3), 90, np.uint8)
    >>> picture[16:32, 16:48] = 0
    >>> fill_membrane(picture, [Rect(16, 16, 32, 48)])
    >>> int(picture.min())
    90
    """
    small = np.asarray(Image.fromarray(rgb).reduce(COARSE), np.float32)
    known = np.ones(small.shape[:2], bool)
    for rect in lost:
        known[rect.over(COARSE).slices] = False
    if not known.any():
        return
    filled = Image.fromarray(np.rint(membrane(small, known)).astype(np.uint8))
    for rect in lost:
        box = rect.left / COARSE, rect.top / COARSE, rect.right / COARSE, rect.bottom / COARSE
        rgb[rect.slices] = filled.resize((rect.width, rect.height), Image.Resampling.BILINEAR, box)


def membrane(values: Float, known: NDArray[np.bool_]) -> Float:
    """(H, W, 3) with every pixel that is not known (H, W), and at least one is, the mean of its neighbours."""
    if known.all():
        return values
    height, width = known.shape
    weights = known[:, :, None].astype(np.float32)
    sums, counts = _halved(values * weights), _halved(weights)
    coarse = membrane(sums / np.maximum(counts, 1), counts[:, :, 0] > 0)
    # Cells of half the size lie a quarter of a cell off the middle of the larger ones.
    filled = np.where(known[:, :, None], values, _doubled(coarse)[:height, :width])
    for _ in range(SWEEPS):
        framed = np.pad(filled, ((1, 1), (1, 1), (0, 0)), "edge")
        sums = framed[:-2, 1:-1] + framed[2:, 1:-1] + framed[1:-1, :-2] + framed[1:-1, 2:]
        filled = np.where(known[:, :, None], values, sums / 4)
    return filled


def _halved(values: Float) -> Float:
    """Sums of 2x2 cells of (H, W, C), zero beyond the edges."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    rows = even[0::2] + even[1::2]
    return rows[:, 0::2] + rows[:, 1::2]


def _doubled(values: Float) -> Float:
    """(H, W, C) -> (2H, 2W, C), linearly between the middles of the cells."""
    for axis in (0, 1):
        lines = np.moveaxis(values, axis, 0)
        framed = np.concatenate([lines[:1], lines, lines[-1:]])
        near = 3 * lines
        between = np.stack([near + framed[:-2], near + framed[2:]], 1) / 4
        values = np.moveaxis(between.reshape(2 * len(lines), *lines.shape[1:]), 0, axis)
    return values
