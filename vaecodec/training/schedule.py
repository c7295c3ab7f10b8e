"""Learning rate and averaging of weights over a run."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def schedule(share: float, decay: float) -> float:
    """Learning rate at the fraction `share` of the run, in units of its peak: constant, then half a cosine in the last
    `decay`."""
    return 0.5 * (1 + math.cos(math.pi * max(0.0, 1 - (1 - share) / decay)))


Tensors = tuple[Tensor, ...] | list[Tensor]


def averaging(steps: int) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average for AveragedModel over a tenth of the run, at most `steps`.

    At a constant learning rate the weights wander around an optimum that their average is near (Polyak and Juditsky
    1992): averaging gives an extendable run what decay of the rate gives one that ends.
    """

    def update(means: Tensors, weights: Tensors, count: Tensor | int) -> None:
        torch._foreach_lerp_(means, weights, 1 / min(1 + 0.1 * float(count), steps))

    return update
