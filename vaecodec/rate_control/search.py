"""Root finding: the quality at which a function falls into a window, in few calls.

Bytes and scores grow with the quality along curves of nearly the same shape for all images (log bits per pixel is
almost linear in log lambda); an image shifts and stretches the curve. The search takes secant steps in the value of the
usual curve. Once two qualities bracket the window it uses regula falsi (the Illinois variant: Dowell and Jarratt, BIT
11, 1971).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vaecodec.bitstream.spec import QUALITY_MAX, QUALITY_MIN, QUALITY_UNIT

LOWEST, HIGHEST = QUALITY_MIN * QUALITY_UNIT, QUALITY_MAX * QUALITY_UNIT
"""Qualities in stored units."""
STRETCH = (0.25, 4.0)
"""How far an image may stretch the usual curve."""
FALSI = 8
"""Calls after which the search bisects: regula falsi is slow on functions with steps."""


class Window(NamedTuple):
    """The range of accepted values, from low to high, best at aim."""

    low: float
    high: float
    aim: float

    def holds(self, values: Iterable[float]) -> bool:
        """Whether any of the values lies in the window."""
        return any(self.low <= value <= self.high for value in values)


@dataclass(frozen=True)
class Curve:
    """Values at qualities (in stored units), both rising, with linear interpolation."""

    qualities: Sequence[float]
    values: Sequence[float]

    def at(self, units: float) -> float:
        return float(np.interp(units, self.qualities, self.values))

    def where(self, value: float) -> float:
        """The quality of a value, clamped to the ends."""
        return float(np.interp(value, self.values, self.qualities))

    def through(self, samples: dict[int, float]) -> Curve:
        """The curve shifted to meet the last sample, and stretched to fit the one before it."""
        (units, value), *before = reversed(samples.items())
        middle, stretch = self.at(units), 1.0
        for other, other_value in before[:1]:
            stretch = float(np.clip((value - other_value) / (middle - self.at(other)), *STRETCH))
        return Curve(self.qualities, [value + stretch * (usual - middle) for usual in self.values])


def search(call: Callable[[int], float], window: Window, curve: Curve) -> dict[int, float]:
    """Values of `call` by quality in stored units, in the order of the calls; `call` rises with the quality roughly as
    `curve` does.

    Ends when a value lies in the window, when adjacent qualities bracket it, or when the whole scale lies on one side.
    """
    low, high, aim = window
    samples: dict[int, float] = {}
    below, above = LOWEST - 1, HIGHEST + 1
    """Qualities that bracket the window, or the ends of the scale."""
    moves: list[bool] = []
    units = round(curve.where(aim))
    while True:
        value = samples[units] = call(units)
        if low <= value <= high:
            return samples
        moves.append(value < low)
        below, above = (units, above) if value < low else (below, units)
        if above - below <= 1:
            return samples
        if below < LOWEST or above > HIGHEST:
            guess = curve.through(samples).where(aim)
            least = 1 << len(samples)  # on a flat curve the guess may not move
            guess = max(guess, units + least) if value < low else min(guess, units - least)
        elif len(samples) > FALSI:
            guess = (below + above) / 2
        else:
            short, beyond = aim - samples[below], samples[above] - aim
            if moves[-2:] == [True, True]:
                beyond /= 2  # an end that stays is weighted less each time
            elif moves[-2:] == [False, False]:
                short /= 2
            share = short / (short + beyond)
            guess = curve.where(curve.at(below) * (1 - share) + curve.at(above) * share)
        units = min(max(round(guess), below + 1), above - 1)
