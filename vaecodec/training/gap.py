"""How much better a model is on the pictures that it was trained on than on others of the same kind.

Pictures differ far more in what they cost than models do: the plain difference between two sets of some thirty pictures
says nothing. How hard each picture is, a model tells that did not take part (the shipped `fast`); what is left of the
difference at equal hardness is the gap (analysis of covariance). On pictures that `fast` itself was trained on, the gap
is what the run knows by heart beyond that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]
"""log2 of rates (bpp) and distortions of pictures at some anchors: (2, N, A)."""


@dataclass(frozen=True)
class Gap:
    """Means of log2 (held-out / training) at equal hardness, each with its standard error; 0.01 is 0.7 %.

    cost: of bpp + lambda * distortion, mean over the anchors; rate, distortion: of each anchor.
    """

    cost: tuple[float, float]
    rate: list[tuple[float, float]]
    distortion: list[tuple[float, float]]

    def record(self) -> dict:
        """As it is logged; an error that nobody knows is None."""
        pairs = {"rate": self.rate, "distortion": self.distortion, "cost": [self.cost]}
        rows = {name: [_rounded(value, error) for value, error in found] for name, found in pairs.items()}
        return rows | {"cost": rows["cost"][0]}


def total_cost(costs: Costs, lambdas: Sequence[float]) -> NDArray[np.float64]:
    """Mean over the anchors of log2 (bpp + lambda * distortion): (N,)."""
    rate, error = np.exp2(costs)
    return np.log2(rate + np.asarray(lambdas) * error).mean(1)


def measure_gap(held_out: Costs, training: Costs, hard_out: Costs, hard_in: Costs, lambdas: Sequence[float]) -> Gap:
    """held_out, training: what these pictures cost the model; hard_out, hard_in: what they cost the reference, at the
    same trade-offs lambda."""
    sets = held_out, training, hard_out, hard_in
    rate, error = (
        [at_equal_hardness(*(costs[part, :, anchor] for costs in sets)) for anchor in range(len(lambdas))]
        for part in range(2)
    )
    return Gap(at_equal_hardness(*(total_cost(costs, lambdas) for costs in sets)), rate, error)


def at_equal_hardness(
    held_out: NDArray[np.float64],
    training: NDArray[np.float64],
    hard_out: NDArray[np.float64],
    hard_in: NDArray[np.float64],
) -> tuple[float, float]:
    """By how much values (N,) lie above values (K,), and the standard error of that, once both sets are explained by
    one straight line in the hardness of the pictures; infinite where there are too few of them."""
    values, hard = np.concatenate([held_out, training]), np.concatenate([hard_out, hard_in])
    is_out = np.arange(len(values)) < len(held_out)
    terms = np.column_stack([np.ones(len(values)), is_out, hard - hard.mean()])
    found, _, rank, _ = np.linalg.lstsq(terms, values, rcond=None)
    spare = len(values) - int(rank)
    if spare < 1 or not len(held_out):
        return float(found[1]), math.inf
    variance = float(np.square(values - terms @ found).sum()) / spare
    return float(found[1]), math.sqrt(variance * float(np.linalg.pinv(terms.T @ terms)[1, 1]))


def _rounded(value: float, error: float) -> list[float | None]:
    return [round(value, 4), round(error, 4) if math.isfinite(error) else None]
