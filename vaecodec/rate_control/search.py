"""Where a function of the quality comes to lie in a window, in as few calls as it takes.

Bytes and measures of likeness grow with the quality along curves whose shape is much the same for all images (log bits
a pixel is nearly linear in log lambda): an image shifts and stretches it. So the search goes by secants in what the
usual curve gives, and between two qualities on either side of the window by regula falsi (the Illinois variant:
Dowell and Jarratt, BIT 11, 1971).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vaecodec.bitstream.spec import QUALITY_MAX, QUALITY_MIN, QUALITY_UNIT

LOWEST, HIGHEST = QUALITY_MIN * QUALITY_UNIT, QUALITY_MAX * QUALITY_UNIT
"""Qualities in the units that files store."""
STRETCH = (0.25, 4.0)
"""By how much an image may stretch the usual curve."""
FALSI = 8
"""Calls after which the middle between two qualities is taken: functions with steps make regula falsi slow."""


class Window(NamedTuple):
    """Where a value is to lie: from low to high, best at aim."""

    low: float
    high: float
    aim: float

    def holds(self, values: Iterable[float]) -> bool:
        """Whether any of the values lies in it."""
        return any(self.low <= value <= self.high for value in values)


@dataclass(frozen=True)
class Curve:
    """Values at qualities (in units), both rising; straight lines between them."""

    qualities: Sequence[float]
    values: Sequence[float]

    def at(self, units: float) -> float:
        return float(np.interp(units, self.qualities, self.values))

    def where(self, value: float) -> float:
        """The quality of a value; beyond the ends the last one."""
        return float(np.interp(value, self.values, self.qualities))

    def through(self, samples: dict[int, float]) -> Curve:
        """Shifted to meet the last of the samples, and stretched as the one before it tells."""
        (units, value), *before = reversed(samples.items())
        middle, stretch = self.at(units), 1.0
        for other, other_value in before[:1]:
            stretch = float(np.clip((value - other_value) / (middle - self.at(other)), *STRETCH))
        return Curve(self.qualities, [value + stretch * (usual - middle) for usual in self.values])


def search(call: Callable[[int], float], window: Window, curve: Curve) -> dict[int, float]:
    """Values of `call`, which rises with the quality about as `curve` does, by quality in units and in the order of the
    calls: until one lies in the window, or two neighbours lie on either side of it, or the whole scale lies on one
    side."""
    low, high, aim = window
    samples: dict[int, float] = {}
    below, above = LOWEST - 1, HIGHEST + 1
    """Qualities whose values lie on either side of the window, or the ends."""
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
            least = 1 << len(samples)  # of a curve that hardly rises the guess may be here
            guess = max(guess, units + least) if value < low else min(guess, units - least)
        elif len(samples) > FALSI:
            guess = (below + above) / 2
        else:
            short, beyond = aim - samples[below], samples[above] - aim
            if moves[-2:] == [True, True]:
                beyond /= 2  # an end that stays counts less each time
            elif moves[-2:] == [False, False]:
                short /= 2
            share = short / (short + beyond)
            guess = curve.where(curve.at(below) * (1 - share) + curve.at(above) * share)
        units = min(max(round(guess), below + 1), above - 1)
