"""Integer probability tables: built once at export, stored in the model file, never computed while coding.

A table of radius R gives counts to the symbols -R..R and, last, to the escape; counts are at least 1 and sum to 2^24.
Tables are packed one after another, beside their radii.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.spec import SCALE_MIN, SCALES, SCALES_PER_OCTAVE
from vaecodec.errors import ModelError

TOTAL = 1 << 24
"""Sum of the counts of a table: the precision of the range coder."""
MAX_RADIUS = 4096


@dataclass(frozen=True)
class PackedTables:
    """`counts` (sum of 2R+2,) uint32: all tables one after another; `radius` (N,) uint16; `starts` (N+1,) int64: the
    start of each, and the end."""

    counts: NDArray[np.uint32]
    radius: NDArray[np.uint16]
    starts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = 2 * self.radius.astype(np.int64) + 2
        if self.counts.ndim != 1 or self.radius.ndim != 1 or not len(sizes) or sizes.sum() != len(self.counts):
            raise ModelError("probability tables have the wrong size")
        starts = np.concatenate([[0], np.cumsum(sizes)])
        sums = np.add.reduceat(self.counts.astype(np.int64), starts[:-1])
        if self.radius.max() > MAX_RADIUS or self.counts.min() < 1 or (sums != TOTAL).any():
            raise ModelError("probability tables are not normalised")
        object.__setattr__(self, "starts", starts)

    def __len__(self) -> int:
        return len(self.radius)

    def table(self, index: int) -> NDArray[np.uint32]:
        """Counts (2R+2,) of one table."""
        return self.counts[self.starts[index] : self.starts[index + 1]]


def quantise(probabilities: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Probabilities of symbols and escape (N,), at any scale -> counts (N,) of at least 1 that sum to TOTAL."""
    p = np.maximum(probabilities, 0)
    counts = np.floor(p / p.sum() * (TOTAL - len(p))).astype(np.int64) + 1
    counts[counts.argmax()] += TOTAL - counts.sum()
    return counts.astype(np.uint32)


def pack(tables: list[NDArray[np.uint32]]) -> PackedTables:
    radius = np.array([(len(table) - 2) // 2 for table in tables], np.uint16)
    return PackedTables(np.concatenate(tables).astype(np.uint32), radius)


def latent_radius(index: int) -> int:
    """Radius of the table of a scale index."""
    return math.ceil(7 * SCALE_MIN * 2 ** (index / SCALES_PER_OCTAVE)) + 3


@functools.cache
def gaussian_masses(index: int, radius: int) -> NDArray[np.float64]:
    """The zero-mean Gaussian of a scale index, integrated over unit intervals: the masses of magnitudes 0..radius, both
    signs together, and of everything beyond; (radius + 2,)."""
    sigma = SCALE_MIN * 2 ** (index / SCALES_PER_OCTAVE)
    # Differences of upper tails stay accurate far from zero.
    tails = [math.erfc((k - 0.5) / (sigma * math.sqrt(2))) for k in range(1, radius + 2)]
    return np.array([1 - tails[0], *(a - b for a, b in itertools.pairwise(tails)), tails[-1]])


def latent_tables(weights: NDArray[np.float64]) -> PackedTables:
    """Tables of the latents, one for each scale index: index i has the mixture of the Gaussians of all scale indices
    with weights[i]; weights (SCALES, SCALES), rows sum to 1. The identity gives plain Gaussians."""
    tables = []
    for index in range(SCALES):
        radius = latent_radius(index)
        masses = sum(weights[index, i] * gaussian_masses(i, radius) for i in np.flatnonzero(weights[index]))
        one_sided = masses[1:-1] / 2
        tables.append(quantise(np.concatenate([one_sided[::-1], masses[:1], one_sided, masses[-1:]])))
    return pack(tables)


def hyper_tables(probabilities: NDArray[np.float64], negligible: float = 2.0**-22) -> PackedTables:
    """Tables of the hyper latents from probabilities (A, Z, 2L+1) of -L..L: table a * Z + c for anchor a, channel c."""
    limit = probabilities.shape[-1] // 2
    tables = []
    for masses in probabilities.reshape(-1, 2 * limit + 1):
        used = np.flatnonzero(masses > negligible)
        radius = int(np.abs(used - limit).max()) if len(used) else 0
        inner = masses[limit - radius : limit + radius + 1]
        tables.append(quantise(np.append(inner, max(masses.sum() - inner.sum(), 0))))
    return pack(tables)
