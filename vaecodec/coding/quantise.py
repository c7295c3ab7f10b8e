"""Rate-distortion optimised rounding of latents to symbols: a free choice of the encoder.

Plain rounding minimises the error alone. A symbol one nearer to zero costs fewer bits, and is taken where those bits
are worth more than the added error (rate-distortion optimised quantisation, as in video encoders: Karczewicz, Ye and
Chong, VCEG-AH21, 2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.coder import VALUE_LIMIT
from vaecodec.bitstream.tables import PackedTables

BITS_PER_SQUARED_ERROR = 8.66
"""Value in bits of a squared error of one symbol step. The gains put the step of an orthonormal transform at step^2 =
18 / (lambda ln 2), so lambda * step^2 / 3 = 6 / ln 2 at every quality."""
STRENGTH = 0.1
"""Fraction of the theoretical shift that is applied, the best on the validation pictures (docs/training.md). It is
small because symbols also inform the prior, and because training has moved the gains away from the theory."""
LARGEST_SHIFT = 0.35
"""Largest shift of a decision threshold away from zero."""
MAGNITUDES = 16
"""Larger magnitudes use the thresholds of this one."""


class Quantiser:
    """Rounds residuals by their scale indices; built from the tables that code them."""

    def __init__(self, tables: PackedTables, strength: float = STRENGTH) -> None:
        shifts = np.zeros((len(tables), MAGNITUDES + 1), np.float32)
        for index, radius in enumerate(tables.radius.tolist()):
            bits = -np.log2(tables.table(index)[radius : 2 * radius + 1].astype(np.float64))
            known = min(radius, MAGNITUDES)
            shifts[index, 1 : known + 1] = np.diff(bits)[:known] / (2 * BITS_PER_SQUARED_ERROR)
            shifts[index, known + 1 :] = shifts[index, known]
        self._shifts = np.clip(shifts * strength, 0, LARGEST_SHIFT)

    def __call__(self, residual: NDArray[np.float32], index: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Residuals in symbols and scale indices of one shape -> symbols; all zero where the index is 0."""
        symbols = np.zeros(residual.shape, np.int32)
        # Most latents are far from any threshold: check only those that plain rounding would not make zero.
        at = np.nonzero((np.abs(residual) > 0.5) & (index > 0))
        magnitude = np.minimum(np.abs(residual[at]), VALUE_LIMIT)
        rounded = np.rint(magnitude)
        shift = self._shifts[index[at], np.minimum(rounded, MAGNITUDES).astype(np.intp)]
        rounded -= magnitude - rounded + 0.5 < shift
        symbols[at] = np.copysign(rounded, residual[at])
        return symbols
