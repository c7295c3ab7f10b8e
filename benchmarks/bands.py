"""Relative bytes of two codecs at equal score, in bands of the score, from the cells of a benchmark.

Every image counts equally. For each image the logarithm of the ratio of bytes is averaged over the part of the band
that both codecs reach; then these are averaged over the images.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import PchipInterpolator

PLACES = 17
"""Evenly spaced scores in a band at which rates are compared."""
BANDS = {
    "ssimulacra2": ((30, 85), (30, 50), (50, 65), (65, 75), (75, 85)),
    "psnr": ((28, 40), (28, 31), (31, 34), (34, 37), (37, 40)),
}
"""The whole range in common use, then its parts; whole_range for other metrics."""


def rate_at(cells: list[dict], metric: str, scores: np.ndarray) -> np.ndarray:
    """Natural logarithms of bpp (len(scores),) of one image and codec at these scores, interpolated monotonically
    between measured points; nan beyond them."""
    points: list[tuple[float, float]] = []
    for score, rate in sorted((cell[metric], math.log(cell["bpp"])) for cell in cells):
        if not points or (score > points[-1][0] and rate > points[-1][1]):
            points.append((score, rate))
    if len(points) < 2:
        return np.full(len(scores), np.nan)
    return PchipInterpolator(*zip(*points, strict=True), extrapolate=False)(scores)


def of_images(
    cells: list[dict], codec: str, anchor: str, metric: str, band: tuple[float, float]
) -> dict[str, float | None]:
    """Extra bytes (%) that `codec` needs over `anchor` on each image; None if their curves do not overlap in the
    band."""
    scores, result = np.linspace(*band, PLACES), {}
    for image in sorted({cell["image"] for cell in cells}):
        ours, theirs = (
            rate_at([c for c in cells if c["codec"] == name and c["image"] == image], metric, scores)
            for name in (codec, anchor)
        )
        ratios = (ours - theirs)[np.isfinite(ours - theirs)]
        result[image] = 100 * math.expm1(ratios.mean()) if len(ratios) else None
    return result


def in_band(cells: list[dict], codec: str, anchor: str, metric: str, band: tuple[float, float]) -> float | None:
    """Extra bytes (%) over all images; None if no image has a value."""
    known = [value for value in of_images(cells, codec, anchor, metric, band).values() if value is not None]
    return 100 * math.expm1(float(np.mean(np.log1p(np.array(known) / 100)))) if known else None


def at_score(cells: list[dict], codec: str, anchor: str, metric: str, score: float) -> dict[str, float]:
    """Extra bytes (%) on each image at one score, if both reach it."""
    found = of_images(cells, codec, anchor, metric, (score, score))
    return {image: value for image, value in found.items() if value is not None}


def whole_range(cells: list[dict], codecs: tuple[str, str], metric: str) -> tuple[float, float]:
    """The lowest and highest score that both codecs reach on the mean image."""
    ends = []
    for codec in codecs:
        by_quality: dict[float, list[float]] = {}
        for cell in cells:
            if cell["codec"] == codec:
                by_quality.setdefault(cell["quality"], []).append(cell[metric])
        means = [float(np.mean(scores)) for scores in by_quality.values()]
        ends.append((min(means), max(means)))
    return max(low for low, _ in ends), min(high for _, high in ends)
