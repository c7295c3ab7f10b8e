"""Bjontegaard delta rate and PSNR, through the package bjontegaard (PCHIP on log rate, as in the papers)."""

from __future__ import annotations

import warnings

import numpy as np

Curve = list[tuple[float, float]]
"""(bpp, quality in dB or another score that grows with quality)."""


def _delta(kind: str, anchor: Curve, test: Curve) -> float:
    import bjontegaard

    (a_rate, a_score), (t_rate, t_score) = (np.array(sorted(curve)).T for curve in (anchor, test))
    a_base, t_base = (a_score, t_score) if kind == "bd_rate" else (a_rate, t_rate)
    if max(a_base.min(), t_base.min()) >= min(a_base.max(), t_base.max()):
        raise ValueError("the curves do not overlap")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about overlaps below 75 %: reports state the range
        delta = getattr(bjontegaard, kind)
        return float(delta(a_rate, a_score, t_rate, t_score, method="pchip", require_matching_points=False))


def bd_rate(anchor: Curve, test: Curve, bpp_range: tuple[float, float] | None = None) -> float:
    """Mean difference in rate at equal score, in percent, over the scores that both curves cover.

    `bpp_range` restricts it to rates of the anchor in that range. Raises ValueError if the curves do not overlap.
    """
    return _delta("bd_rate", _within(anchor, bpp_range), test)


def bd_score(anchor: Curve, test: Curve, bpp_range: tuple[float, float] | None = None) -> float:
    """Mean difference in score at equal rate, over the rates that both curves cover; raises ValueError as bd_rate
    does."""
    return _delta("bd_psnr", _within(anchor, bpp_range), test)


def _within(curve: Curve, bpp_range: tuple[float, float] | None) -> Curve:
    """The part of a curve with rates in a range, its ends interpolated."""
    if bpp_range is None:
        return curve
    from scipy.interpolate import PchipInterpolator

    rates, scores = np.array(sorted(curve)).T
    score = PchipInterpolator(np.log(rates), scores)
    ends = [min(max(end, rates[0]), rates[-1]) for end in bpp_range]
    inner = [(r, s) for r, s in zip(rates, scores, strict=True) if ends[0] < r < ends[1]]
    return [(ends[0], float(score(np.log(ends[0])))), *inner, (ends[1], float(score(np.log(ends[1]))))]
