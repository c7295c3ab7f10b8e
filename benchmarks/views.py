"""Crops of some images as each codec decodes them at about the same bits per pixel, for viewing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vaecodec.benchmarks import codecs
from vaecodec.benchmarks.metrics import in_words
from vaecodec.errors import VaecodecError

Pixels = codecs.Pixels
TARGETS = (0.2, 0.5, 1.0)
"""Bits per pixel."""
CROP = 320
PROBES = 5
TOLERANCE = 0.05
"""Largest relative deviation from a target; shots beyond it are shown, but marked."""


@dataclass(frozen=True)
class Shot:
    """A crop of an image as a codec decodes it; bits per pixel and scores, in words, are those of the whole image."""

    pixels: Pixels
    quality: float
    bpp: float
    scores: str

    def near(self, target: float) -> bool:
        return abs(self.bpp / target - 1) <= TOLERANCE


@dataclass(frozen=True)
class View:
    """One image: its crop, and the shots by target and codec."""

    image: str
    original: Pixels
    shots: dict[float, dict[str, Shot]]


def spread(files: list[Path], count: int) -> list[Path]:
    """At most `count` of the files, spread over the list."""
    return list(
        dict.fromkeys(files[round(i)] for i in np.linspace(0, len(files) - 1, min(count, len(files)) + 2)[1:-1])
    )


def named(files: list[Path], names: list[str]) -> list[Path]:
    """The files of these names, with or without their suffixes; raises VaecodecError if one is missing."""
    by_name = {path.stem: path for path in files} | {path.name: path for path in files}
    for name in names:
        if name not in by_name:
            raise VaecodecError(f"no image {name!r} to look at; there are {', '.join(path.name for path in files)}")
    return [by_name[name] for name in dict.fromkeys(names)]


def make_views(files: list[Path], result: dict, report: Callable[[float], None] = lambda share: None) -> list[View]:
    """Views of these files, with every codec of `result` that has a curve."""
    names = [name for name, entry in result["codecs"].items() if not entry.get("timing_only")]
    views = []
    for path in files:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        top, left = most_detailed(pixels, CROP)
        window = (slice(top, top + CROP), slice(left, left + CROP))
        shots: dict[float, dict[str, Shot]] = {target: {} for target in TARGETS}
        for name in names:
            cells = [c for c in result["cells"] if c["codec"] == name and c["image"] == path.name]
            known = {cell["quality"]: cell["bpp"] for cell in cells}
            for target in TARGETS:
                shots[target][name] = shot_at(codecs.find(name), pixels, known, target, window)
        views.append(View(path.name, pixels[window], shots))
        report(len(views) / len(files))
    return views


def most_detailed(pixels: Pixels, size: int) -> tuple[int, int]:
    """Top and left of the size x size window with the strongest gradients."""
    gray = pixels.astype(np.float64).mean(2)
    energy = np.abs(np.diff(gray, axis=0))[:, :-1] + np.abs(np.diff(gray, axis=1))[:-1]
    sums = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    h, w = (min(size, side) for side in energy.shape)
    inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return int(top), int(left)


def shot_at(codec: codecs.Codec, pixels: Pixels, known: dict[float, float], target: float, window: tuple) -> Shot:
    """The image at the quality whose rate is nearest to the target, between those `known` ({quality: bpp})."""
    whole = all(isinstance(quality, int) for quality in codec.qualities) and not isinstance(codec, codecs.VaecCodec)
    known = dict(known)
    for _ in range(PROBES):
        quality = _between(known, target, whole)
        if quality is None:
            break
        known[quality] = len(codec.encode(pixels, quality)) * 8 / (pixels.shape[0] * pixels.shape[1])
    best = min(known, key=lambda quality: abs(math.log(known[quality] / target)))
    data = codec.encode(pixels, best)
    decoded = codec.decode(data)
    bpp = len(data) * 8 / (pixels.shape[0] * pixels.shape[1])
    return Shot(decoded[window], best, bpp, in_words(pixels, decoded))


def _between(known: dict[float, float], target: float, whole: bool) -> float | None:
    """A quality that should hit the target, interpolated in log rate between its neighbours; None if there is nothing
    left to try."""
    below = max(((bpp, quality) for quality, bpp in known.items() if bpp <= target), default=None)
    above = min(((bpp, quality) for quality, bpp in known.items() if bpp > target), default=None)
    if below is None or above is None or target / below[0] < 1.005:
        return None
    share = math.log(target / below[0]) / math.log(above[0] / below[0])
    quality = below[1] + share * (above[1] - below[1])
    quality = round(quality) if whole else round(quality, 1)
    return None if quality in known else quality
