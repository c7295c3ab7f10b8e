"""Probability tables fitted to the distribution of the latents."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vaecodec.bitstream.spec import SCALE_MIN, SCALES, SCALES_PER_OCTAVE  # noqa: E402
from vaecodec.bitstream.tables import TOTAL, PackedTables, latent_tables  # noqa: E402
from vaecodec.training.mixtures import LARGEST, fit_mixtures  # noqa: E402


def test_a_fitted_mixture_codes_heavy_tails_in_fewer_bits() -> None:
    """Symbols of a Laplacian: the mixture comes within 1 % of their entropy, a Gaussian does not. Scale indices that
    no symbol was seen of keep the Gaussian."""
    random = np.random.default_rng(4)
    counts = np.zeros((SCALES, LARGEST + 2), np.int64)
    draws = np.rint(random.laplace(0, 2, 400_000)).astype(int)
    index = round(SCALES_PER_OCTAVE * float(np.log2(np.std(draws) / SCALE_MIN)))
    counts[index] = np.bincount(np.abs(draws), minlength=LARGEST + 2)
    gaussian, fitted = latent_tables(np.eye(SCALES)), latent_tables(fit_mixtures(counts))
    fresh = np.rint(random.laplace(0, 2, 100_000)).astype(int)
    shares = np.unique(fresh, return_counts=True)[1] / len(fresh)
    entropy = -(shares * np.log2(shares)).sum()

    def bits(packed: PackedTables) -> float:
        radius = int(packed.radius[index])
        known = np.abs(fresh) <= radius
        table = -np.log2(packed.table(index) / TOTAL)
        return float((np.where(known, table[np.where(known, fresh, 0) + radius], table[-1] + 16)).mean())

    assert bits(fitted) < 1.01 * entropy < 1.02 * entropy < bits(gaussian)
    assert np.array_equal(gaussian.table(index + 9), fitted.table(index + 9))
