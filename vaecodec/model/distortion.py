"""The distortions that a model can be trained for (config.METRICS)."""

from __future__ import annotations

import torch
from torch import Tensor

MS_SSIM_SHARE = 0.9
"""Share of MS-SSIM in the distortion called so. It hardly sees the mean of flat areas: a little of the squared error
keeps their colours."""
MS_SSIM_WEIGHT = 1250.0
"""Squared error that weighs as much as 1 of 1 - MS-SSIM: the ratio of the lambdas that CompressAI uses for the two."""


def distortion(metric: str, x: Tensor, x_hat: Tensor) -> Tensor:
    """(B,) how far x_hat (B, 3, H, W) is from x, both in [-0.5, 0.5], in units of squared error on the 0..255 scale.

    `mse`: mean squared error. `ms-ssim`: mostly 1 - MS-SSIM (Wang et al. 2003), mean over the colours.
    """
    mse = (x - x_hat).square().flatten(1).mean(1) * 255**2
    if metric == "mse":
        return mse
    from pytorch_msssim import ms_ssim

    seen = x_hat.float() + 0.5
    if seen.requires_grad:
        # Where a scale correlates negatively, a power of zero is taken: that has no finite gradient.
        seen.register_hook(lambda gradient: torch.nan_to_num(gradient, 0.0, 0.0, 0.0))
    similarity = ms_ssim(seen, x.float() + 0.5, data_range=1.0, size_average=False)
    return (1 - MS_SSIM_SHARE) * mse + MS_SSIM_SHARE * MS_SSIM_WEIGHT * (1 - similarity)
