"""How like two previews are: as wholes, and one as a part of the other.

Both compare gradients of luma by normalised cross-correlation (Lewis 1995), both components together as in Argyriou and
Vlachos 2003: unlike brightness itself gradients of different pictures hardly correlate, wherever they are laid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.nets.interface import Float

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
GRID = 8
"""Sides of what whole pictures are told apart by at first."""
SMALLEST = 6
"""Fewest pixels a side of a preview that is laid on others."""
PHASES = (0.0, 0.5)
"""In pixels of the preview: crops begin anywhere between them."""
FLAT = 0.5
"""Gradient in levels of gray, root mean square, below which there is nothing to compare."""


def luma_of(rgb: NDArray[np.uint8]) -> Float:
    """RGB (H, W, 3) -> luma (H, W), 0 to 255."""
    return rgb @ LUMA


def resampled(luma: Float, height: int, width: int, box: tuple[float, float, float, float] | None = None) -> Float:
    """Means over the areas of the new pixels (linear between, where they are smaller); box: (left, top, right, bottom)
    of what is taken."""
    kernel = Image.Resampling.BOX if luma.shape[0] >= height and luma.shape[1] >= width else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(luma).resize((width, height), kernel, box))


def stretched(luma: Float, other: Float) -> Float:
    """To the size of another picture."""
    return resampled(luma, other.shape[0], other.shape[1])


def whole(luma: Float) -> Float:
    """Luma of a whole picture as a vector (GRID * GRID,) of mean 0 and length 1, or 0 for a flat one: its products with
    others are correlations."""
    vector = resampled(luma, GRID, GRID).ravel()
    vector = vector - vector.mean()
    length = np.linalg.norm(vector)
    return vector / length if length > FLAT * GRID else np.zeros_like(vector)


def mirrored_whole(vector: Float) -> Float:
    """Of the mirrored picture."""
    return vector.reshape(GRID, GRID)[:, ::-1].ravel()


def gradients(luma: Float) -> Float:
    """Central differences to the right and down (2, h - 2, w - 2)."""
    return np.stack([(luma[:, 2:] - luma[:, :-2])[1:-1], (luma[2:] - luma[:-2])[:, 1:-1]])


def without_slope(gradient: Float) -> Float:
    """Without its mean: a sky that grows lighter is like any other such sky."""
    return gradient - gradient.mean((1, 2), keepdims=True) if gradient.size else gradient


def detail(gradient: Float) -> float:
    """How many pixels' worth of gradient there is: (sum of squares)^2 / sum of fourth powers of their lengths, slope
    left out. A sky with one bird has few."""
    gradient = without_slope(gradient)
    energy = (gradient**2).sum(0, dtype=np.float64)
    return float(energy.sum() ** 2 / max((energy**2).sum(), 1e-9)) if energy.mean() > FLAT**2 else 0.0


def fitting(query: Float, candidate: Float) -> float:
    """Correlation of the gradients of a query (H, W) that is stretched over the candidate (h, w): -1 to 1."""
    one, other = (without_slope(gradients(luma)) for luma in (stretched(query, candidate), candidate))
    product = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / product if product > FLAT**2 * one[0].size else 0.0


class Place(NamedTuple):
    """Where a template fits best, in pixels of the candidate, and how well."""

    score: float
    top: int
    left: int


@dataclass(frozen=True)
class Field:
    """Previews that templates are slid over, all at once: (h, w) luma each."""

    candidates: Sequence[Float]

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array([candidate.shape for candidate in self.candidates]) - 2

    @cached_property
    def side(self) -> tuple[int, int]:
        """Of the transforms: products of small primes."""
        height, width = self._sizes.max(0).tolist()
        return _fast(height), _fast(width)

    @cached_property
    def _planes(self) -> Float:
        planes = np.zeros((len(self.candidates), 2, *self.side), np.float32)
        for plane, candidate in zip(planes, self.candidates, strict=True):
            gradient = gradients(candidate)
            plane[:, : gradient.shape[1], : gradient.shape[2]] = gradient
        return planes

    @cached_property
    def _spectra(self) -> NDArray[np.complex64]:
        return np.fft.rfft2(self._planes).astype(np.complex64)

    @cached_property
    def _sums(self) -> NDArray[np.float64]:
        """Of the components and of their squares together, above and to the left of each corner of pixels
        (N, 3, H + 1, W + 1)."""
        planes = self._planes.astype(np.float64)
        terms = np.concatenate([planes, (planes**2).sum(1, keepdims=True)], 1)
        return np.pad(terms.cumsum(2).cumsum(3), [(0, 0), (0, 0), (1, 0), (1, 0)])

    def _variations(self, height: int, width: int) -> NDArray[np.float64]:
        """Sum of squares, slope left out, of every window of that size (N, H - height + 1, W - width + 1)."""
        total = self._sums
        sums = total[..., height:, width:] - total[..., :-height, width:]
        sums = sums - (total[..., height:, :-width] - total[..., :-height, :-width])
        return sums[:, 2] - (sums[:, 0] ** 2 + sums[:, 1] ** 2) / (height * width)

    def best(self, template: Float) -> list[Place]:
        """Where gradients (2, h, w) of a query fit best on each candidate; a score of 0 where they fit on none."""
        height, width = template.shape[1:]
        nowhere = [Place(0.0, 0, 0)] * len(self.candidates)
        room = self._sizes - (height, width)
        if min(height, width) < 1 or (room.min(1) < 0).all():
            return nowhere
        template = without_slope(template)
        padded = np.zeros((2, *self.side), np.float32)
        padded[:, :height, :width] = template
        spectrum = np.fft.rfft2(padded).conj().astype(np.complex64)
        products = np.fft.irfft2((self._spectra * spectrum).sum(1), self.side)
        own = float((template**2).sum())
        least = FLAT**2 * height * width
        norm = np.sqrt(np.maximum(self._variations(height, width), least) * max(own, least))
        scores = products[:, : norm.shape[1], : norm.shape[2]] / norm
        rows, columns = np.ogrid[: scores.shape[1], : scores.shape[2]]
        scores[(rows > room[:, :1, None]) | (columns > room[:, 1:, None])] = 0
        flat = scores.reshape(len(scores), -1)
        at = flat.argmax(1)
        tops, lefts = np.divmod(at, scores.shape[2])
        return [
            Place(*place)
            for place in zip(flat[np.arange(len(at)), at].tolist(), tops.tolist(), lefts.tolist(), strict=True)
        ]


def _fast(size: int) -> int:
    """The least size from `size` on that has no prime factor above 5."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


def templates(luma: Float, unit: float, phases: Sequence[float] = PHASES) -> list[tuple[Float, float, float]]:
    """Gradients of a query (H, W) at `unit` of its pixels for one, as it may lie between the pixels of a preview; with
    how many pixels above and to the left of the first one the query begins. None where it is too small."""
    found = []
    for down in phases:
        for right in phases:
            height, width = (int(side / unit - start) for side, start in zip(luma.shape, (down, right), strict=True))
            if min(height, width) < SMALLEST:
                continue
            box = right * unit, down * unit, (right + width) * unit, (down + height) * unit
            found.append((gradients(resampled(luma, height, width, box)), down, right))
    return found
