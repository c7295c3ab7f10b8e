"""Gaussians of features, at all places alike or at each place with a mean of its own, and how far from them others are.

Mahalanobis distances of features of a net, as in PaDiM (Defard et al., "PaDiM: a Patch Distribution Modeling Framework
for Anomaly Detection and Localization", ICPR 2021), with one covariance for all places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaecodec.nets.interface import Float

Double = NDArray[np.float64]


@dataclass
class Moments:
    """Sums over samples, of which there may be many; one may be subtracted from another. count: of samples for each
    mean; total: (d,), or (h, w, d) where each place has its own mean; products (d, d)."""

    count: int
    total: Double
    products: Double

    @classmethod
    def of(cls, features: Float, aligned: bool) -> Moments:
        """Of one picture: features (h, w, d)."""
        rows = features.reshape(-1, features.shape[2]).astype(np.float64)
        total = features.astype(np.float64) if aligned else rows.sum(0)
        return cls(1 if aligned else len(rows), total, rows.T @ rows)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.count - other.count, self.total - other.total, self.products - other.products)


@dataclass(frozen=True)
class Gaussian:
    """mean (d,) or (h, w, d); whitener (k, d): what makes of differences from the mean k uncorrelated numbers of
    deviation 1."""

    mean: Float
    whitener: Float

    @classmethod
    def of(cls, moments: Moments, ridge: float, floor: float, directions: int) -> Gaussian:
        """ridge: added to the correlations, since few samples show more of them than there are; floor: the least
        deviation, in units of the features; directions: how many principal components of the correlations count, the
        largest: the others, of which few samples say little, raise false alarms."""
        mean = moments.total / moments.count
        means = mean.reshape(-1, mean.shape[-1])
        covariance = moments.products / (moments.count * len(means)) - means.T @ means / len(means)
        deviation = np.sqrt(np.maximum(np.diagonal(covariance), 0) + floor**2)
        correlation = covariance / np.outer(deviation, deviation)
        variances, axes = (part[..., -directions:] for part in np.linalg.eigh(correlation))
        whitener = (axes / np.sqrt(np.maximum(variances, 0) + ridge)).T / deviation
        return cls(mean.astype(np.float32), np.ascontiguousarray(whitener, np.float32))

    def distances(self, features: Float) -> Float:
        """Mahalanobis distances (h, w) of features (h, w, d)."""
        white: Float = (features - self.mean) @ self.whitener.T
        return np.sqrt(np.square(white).sum(2))
