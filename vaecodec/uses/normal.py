"""What good pictures look like to the codec, learned from some of them, and how far another one is from that."""

from __future__ import annotations

import functools
import itertools
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vaecodec.errors import ImageError, VaecodecError
from vaecodec.nets.interface import Float
from vaecodec.uses.gaussian import Gaussian, Moments
from vaecodec.uses.profile import BLOCK, LOSS, Profile

FOLDS = 5
FEWEST = 10
"""Pictures to learn from, two in each fold."""
DIRECTIONS = (LOSS, 40)
RIDGES, FLOORS = (0.003, 0.1), (0.05, 0.001)
"""Of the Gaussians of losses and of textures, as Gaussian.of takes them: chosen on generated textures."""
TEXTURE_SHARE = 0.5
"""Of the sum: what distances of textures weigh beside those of losses."""
ODDEST = 8
"""Blocks, whose mean is the score: one alone tells less."""
USUAL, HIGH = 0.8, 0.99
"""Quantiles of distances of good places: 0 and 1 of a map. From the median on, images that are a little unlike all
those learned from would raise more false alarms."""
LEAST_SPREAD = 0.1
"""The unit is no less, in distances: pictures that are all equal have none."""
BLUR = (0.21, 0.58)
"""Weights in a map of a neighbouring block on either side, and of the block itself: a Gaussian of 0.7 blocks."""


@dataclass(frozen=True)
class Scale:
    """Distances in the units of a map: 0 is their USUAL quantile on good pictures, and below, 1 their HIGH one."""

    usual: float
    unit: float

    @classmethod
    def of(cls, distances: Sequence[Float]) -> Scale:
        every = np.concatenate([values.ravel() for values in distances])
        usual, high = np.quantile(every, (USUAL, HIGH))
        return cls(float(usual), max(float(high - usual), LEAST_SPREAD))

    def __call__(self, distances: Float) -> Float:
        return np.maximum((distances - np.float32(self.usual)) / np.float32(self.unit), 0)


@dataclass(frozen=True)
class Normality:
    """gaussians, scales: of losses and of textures; scores: of the pictures that were learned from, each by Gaussians
    that have not seen it, in rising order; size: width and height of aligned pictures, or None."""

    gaussians: tuple[Gaussian, ...]
    scales: tuple[Scale, ...]
    scores: Float
    size: tuple[int, int] | None

    def score(self, profile: Profile) -> tuple[float, Float]:
        """How odd a picture is, the mean of its ODDEST blocks, and each of its pixels, (H, W) float32: 0 is usual, 1
        about the oddest of a hundred good places. Raises ImageError for a picture of another size than that of aligned
        ones."""
        found = profile.width, profile.height
        if self.size is not None and found != self.size:
            have, want = (f"{width}x{height}" for width, height in (found, self.size))
            raise ImageError(f"the image has {have} pixels, the aligned ones that were learned from {want}")
        blocks = _joined(_distances(self.gaussians, profile.loss, profile.texture), self.scales)
        return _score(blocks), _enlarged(blocks, BLOCK)[: profile.height, : profile.width]

    def threshold(self, false_alarms: float) -> float:
        """The score above which at most this share of good pictures lies, by those that were learned from. The
        quantile is that of conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
        2005); the share cannot be less than `least`, where the threshold is the largest score of a good picture."""
        check_share(false_alarms)
        count = len(self.scores)
        # Rounded: 0.95 * 40 is a little more than 38.
        rank = math.ceil(round((count + 1) * (1 - false_alarms), 9))
        return float(self.scores[min(max(rank, 1), count) - 1])

    @property
    def least(self) -> float:
        """The least share of false alarms that so many pictures can tell."""
        return 1 / (len(self.scores) + 1)


def check_share(false_alarms: float) -> None:
    """Raises VaecodecError for what is no share of false alarms."""
    if not isinstance(false_alarms, float | int) or not 0 < false_alarms < 1:
        raise VaecodecError(f"the share of false alarms is a number between 0 and 1, not {false_alarms}")


def learn(profiles: Iterable[Profile], count: int, aligned: bool) -> Normality:
    """From the profiles of `count` good pictures, which wait in a temporary file for their scores. Neighbours in their
    order, which may be alike, are in one fold (cross-validation by picture). Aligned ones are of one size."""
    folds: list[tuple[Moments, Moments] | None] = [None] * FOLDS
    sizes: list[tuple[int, int]] = []
    with tempfile.TemporaryFile() as kept:
        for number, profile in enumerate(profiles):
            sizes.append((profile.width, profile.height))
            of_fold = number * FOLDS // count
            found = Moments.of(profile.loss, aligned), Moments.of(profile.texture, aligned)
            folds[of_fold] = _added(folds[of_fold], found)
            np.save(kept, profile.loss)
            np.save(kept, profile.texture)
        total = functools.reduce(_added, folds, None)
        assert total is not None
        kept.seek(0)
        distances = []
        for fold, members in itertools.groupby(range(count), lambda number: number * FOLDS // count):
            rest = _gaussians(tuple(all_of - own for all_of, own in zip(total, folds[fold] or (), strict=True)))
            distances += [_distances(rest, np.load(kept), np.load(kept)) for _ in members]
    scales = tuple(Scale.of(values) for values in zip(*distances, strict=True))
    scores = np.sort(np.array([_score(_joined(values, scales)) for values in distances], np.float32))
    return Normality(_gaussians(total), scales, scores, sizes[0] if aligned else None)


def _added(
    some: tuple[Moments, Moments] | None, more: tuple[Moments, Moments] | None
) -> tuple[Moments, Moments] | None:
    if some is None or more is None:
        return some or more
    return some[0] + more[0], some[1] + more[1]


def _gaussians(moments: Sequence[Moments]) -> tuple[Gaussian, ...]:
    kinds = zip(RIDGES, FLOORS, DIRECTIONS, strict=True)
    return tuple(Gaussian.of(own, *kind) for own, kind in zip(moments, kinds, strict=True))


def _distances(gaussians: Sequence[Gaussian], loss: Float, texture: Float) -> tuple[Float, Float]:
    return gaussians[0].distances(loss), gaussians[1].distances(texture)


def _joined(distances: Sequence[Float], scales: Sequence[Scale]) -> Float:
    """How odd each block is (H/8, W/8), of both distances of a picture."""
    losses, textures = (scale(values) for scale, values in zip(scales, distances, strict=True))
    finer = _enlarged(textures, 2)[: losses.shape[0], : losses.shape[1]]
    return _blurred(losses + np.float32(TEXTURE_SHARE) * finer)


def _score(blocks: Float) -> float:
    return float(np.partition(blocks, -ODDEST, None)[-ODDEST:].mean())


def _blurred(values: Float) -> Float:
    side, middle = (np.float32(weight) for weight in BLUR)
    for _ in range(2):  # down, then across
        padded = np.pad(values, ((1, 1), (0, 0)), "edge")
        values = (side * (padded[:-2] + padded[2:]) + middle * values).T
    return values


def _enlarged(values: Float, factor: int) -> Float:
    """(h, w) -> (factor h, factor w), linearly."""
    height, width = values.shape
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(values)).resize(
            (width * factor, height * factor), Image.Resampling.BILINEAR
        )
    )
