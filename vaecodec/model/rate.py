"""Quality <-> rate: from the quality number to the integers and gains of every stage.

All inputs of the exact prior are interpolated in integers between the rate anchors of the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.spec import OCTAVE, QUALITY_MAX, QUALITY_MIN, QUALITY_UNIT
from vaecodec.errors import VaecodecError

FRACTION_BITS = 16
GAIN_BITS = 16
"""Integer gains are in units of 2^-GAIN_BITS."""
_MANTISSA_BITS = 14
_EXP2 = np.array([round(2 ** (f / OCTAVE) * (1 << _MANTISSA_BITS)) for f in range(OCTAVE)], np.int64)
MAX_LOG2 = 12 * OCTAVE
"""Gains lie in [2^-12, 2^12]."""


def quality_units(quality: float) -> int:
    """Quality 1..100 (fractions allowed) -> the integer that the file stores, in 1/QUALITY_UNIT."""
    if not isinstance(quality, Real) or not math.isfinite(quality) or not QUALITY_MIN <= quality <= QUALITY_MAX:
        raise VaecodecError(f"quality must be a number from {QUALITY_MIN} to {QUALITY_MAX}, not {quality}")
    return round(quality * QUALITY_UNIT)


@dataclass(frozen=True)
class RatePosition:
    """A position between the rate anchors `anchor` and `anchor + 1`; `fraction` is in units of 2^-FRACTION_BITS.

    common: whether many files may have it, which pays for graphs of its own.
    """

    anchor: int
    fraction: int
    common: bool = False

    @classmethod
    def of_quality(cls, units: int, anchors: int) -> RatePosition:
        span = (QUALITY_MAX - QUALITY_MIN) * QUALITY_UNIT
        position = (((units - QUALITY_MIN * QUALITY_UNIT) * (anchors - 1)) << FRACTION_BITS) // span
        anchor = min(position >> FRACTION_BITS, anchors - 2)
        # People ask for whole qualities, searches for a target try others.
        return cls(anchor, position - (anchor << FRACTION_BITS), units % QUALITY_UNIT == 0)

    @property
    def nearest(self) -> int:
        """The nearer of the two anchors."""
        return self.anchor + (self.fraction >> (FRACTION_BITS - 1) > 0)

    @property
    def t(self) -> float:
        """The position as a float, for the float transforms."""
        return self.anchor + self.fraction / (1 << FRACTION_BITS)

    def interpolate(self, table: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Integer rows of a table (A, ...) at this position, interpolated linearly and rounded down."""
        low, high = table[self.anchor].astype(np.int64), table[self.anchor + 1].astype(np.int64)
        return (low * ((1 << FRACTION_BITS) - self.fraction) + high * self.fraction) >> FRACTION_BITS


def integer_gain(log2: NDArray[np.int64]) -> NDArray[np.int64]:
    """2^(log2 / OCTAVE) in units of 2^-GAIN_BITS, from a table of mantissas and shifts."""
    octave, fraction = log2 >> 8, log2 & (OCTAVE - 1)
    shift = octave + GAIN_BITS - _MANTISSA_BITS
    return (_EXP2[fraction] << np.maximum(shift, 0)) >> np.maximum(-shift, 0)
