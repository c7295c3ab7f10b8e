"""Bjontegaard delta rate with PCHIP on log rate (Bjontegaard 2001; the convention of the papers we compare with)."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator


def bd_rate(
    anchor: list[tuple[float, float]], test: list[tuple[float, float]], bpp_range: tuple[float, float] | None = None
) -> float:
    """Mean difference in rate at equal distortion, in percent, over the dB range that both curves cover.

    Curves are (bpp, dB) points. `bpp_range` narrows the comparison to where the anchor's rate lies in it.
    """

    def log_rate_over_db(points: list[tuple[float, float]]) -> PchipInterpolator:
        rates, db = np.array(sorted(points, key=lambda point: point[1])).T
        return PchipInterpolator(db, np.log(rates))

    low = max(min(db for _, db in anchor), min(db for _, db in test))
    high = min(max(db for _, db in anchor), max(db for _, db in test))
    if bpp_range:
        rates, db = np.array(sorted(anchor)).T
        db_at = PchipInterpolator(np.log(rates), db)
        low, high = max(low, float(db_at(np.log(bpp_range[0])))), min(high, float(db_at(np.log(bpp_range[1]))))
    if low >= high:
        raise ValueError("the curves do not overlap")
    difference = log_rate_over_db(test).integrate(low, high) - log_rate_over_db(anchor).integrate(low, high)
    return float(np.expm1(difference / (high - low)) * 100)
