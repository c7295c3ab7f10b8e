"""The measures of targets: likeness of two images, in numpy only. Images are (H, W, C) uint8."""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]

ROWS = 256
"""Rows whose errors are held at a time."""
WINDOW, SIGMA = 11, 1.5
"""Side of the Gaussian window of SSIM, in pixels, and its standard deviation."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales of MS-SSIM, the finest first."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MIDDLE = np.float32(127.5)
"""Subtracted before variances are computed: differences of smaller squares lose less precision."""
BLOCK = 64
"""Rows that one matrix product filters."""


def psnr(original: Pixels, decoded: Pixels, seen: NDArray[np.bool_] | None = None) -> float:
    """PSNR in dB over the samples of the `seen` pixels (H, W); infinite if they are equal."""
    error, count = 0, 0
    for row in range(0, len(original), ROWS):
        part = slice(row, row + ROWS)
        difference = decoded[part].astype(np.int16) - original[part]
        if seen is not None:
            difference = difference[seen[part]]
        error += int(np.square(difference, dtype=np.int32).sum(dtype=np.int64))
        count += difference.size
    return float(10 * np.log10(255**2 * count / error)) if error else math.inf


def ms_ssim(original: Pixels, decoded: Pixels) -> float:
    """Multi-scale SSIM (Wang et al. 2003), mean over the colours, as the package pytorch-msssim defines it: 0 to 1.
    Images have at least 161 pixels a side."""
    equal = [bool((image[..., :1] == image).all()) for image in (original, decoded)]
    colours = range(1 if all(equal) else original.shape[2])
    return float(np.mean([_ms_ssim(original[..., colour], decoded[..., colour]) for colour in colours]))


def _ms_ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """MS-SSIM of one colour (H, W)."""
    x, y = original.astype(np.float32), decoded.astype(np.float32)
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        similarity, contrast = _ssim(x, y)
        last = scale == len(WEIGHTS) - 1
        product *= max(similarity if last else contrast, 0.0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return product


def _ssim(x: Plane, y: Plane) -> tuple[float, float]:
    """Means of SSIM and of its contrast-structure term, over a plane (H, W)."""
    height, width = (side - WINDOW + 1 for side in x.shape)
    sums = np.zeros(2)
    for top in range(0, height, BLOCK):
        rows = slice(top, min(top + BLOCK, height) + WINDOW - 1)
        a: Plane = x[rows] - MIDDLE
        b: Plane = y[rows] - MIDDLE
        mean_a, mean_b, squares, product = (_blurred(part) for part in (a, b, a * a + b * b, a * b))
        contrast = (2 * (product - mean_a * mean_b) + C2) / (squares - mean_a * mean_a - mean_b * mean_b + C2)
        mean_a, mean_b = mean_a + MIDDLE, mean_b + MIDDLE
        similarity = (2 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1) * contrast
        sums += similarity.sum(dtype=np.float64), contrast.sum(dtype=np.float64)
    similarity, contrast = sums / (height * width)
    return float(similarity), float(contrast)


def _blurred(rows: Plane) -> Plane:
    """(H, W) -> (H - 10, W - 10): blurs with the window, by matrix products, which are faster than sums of shifted
    planes."""
    down = _band(len(rows)) @ rows
    out = np.empty((len(down), down.shape[1] - WINDOW + 1), np.float32)
    for left in range(0, out.shape[1], BLOCK):
        part = down[:, left : left + BLOCK + WINDOW - 1]
        out[:, left : left + BLOCK] = part @ _band(part.shape[1]).T
    return out


@cache
def _band(size: int) -> Plane:
    """The window as a band matrix (size - 10, size): one row for each valid position."""
    window = np.exp(-np.square(np.arange(WINDOW) - WINDOW // 2) / (2 * SIGMA**2))
    band = np.zeros((size - WINDOW + 1, size), np.float32)
    for row in range(len(band)):
        band[row, row : row + WINDOW] = window / window.sum()
    return band


def _halved(plane: Plane) -> Plane:
    """Means of 2x2 pixels; a plane with an odd side is padded with zeros on both ends."""
    height, width = plane.shape
    padded = np.pad(plane, ((height % 2,) * 2, (width % 2,) * 2))
    padded = padded[: len(padded) // 2 * 2, : padded.shape[1] // 2 * 2]
    rows = padded[0::2] + padded[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) / 4


def ssimulacra2(original: Pixels, decoded: Pixels) -> float:
    """SSIMULACRA 2 (Sneyers, Cloudinary) of RGB, by the package ssimulacra2, which must be installed."""
    from ssimulacra2 import compute_ssimulacra2

    files = [io.BytesIO(), io.BytesIO()]
    for image, file in zip((original, decoded), files, strict=True):
        Image.fromarray(image).save(file, "PPM")
    return float(compute_ssimulacra2(*files))
