"""The training distortions (config.METRICS)."""

from __future__ import annotations

import torch
from torch import Tensor

from vaecodec.model.config import MS_SSIM_MIN_SIZE
from vaecodec.nets.torch.ssimulacra2 import ssimulacra2_distance

MS_SSIM_SHARE = 0.9
"""Weight of MS-SSIM in the distortion `ms-ssim`. It is nearly blind to the mean of flat areas: a little squared error
keeps their colours."""
MS_SSIM_WEIGHT = 1250.0
"""Squared error equivalent to 1 - MS-SSIM = 1: the ratio of CompressAI's lambdas for the two."""

EYE_SHARES = {"mse": 0.35, "ms-ssim": 0.2, "ssimulacra2": 0.45}
"""Exponents of the three measures in the distortion `eye`, a weighted geometric mean."""
EYE_FLOOR = 0.1
"""Added to each measure: otherwise a picture that is exact by one measure would have a distortion of zero."""
EYE_UNITS = {"mse": 1.0, "ms-ssim": 1750.0, "ssimulacra2": 7.0}
"""Squared error equivalent to 1 of each measure, which preserves the meaning of lambda: at all eight rates of `fast`,
1,650 to 1,830 for 1 - MS-SSIM and 5.3 to 7.2 for the distance of SSIMULACRA 2 (24 validation crops)."""


def distortion(metric: str, x: Tensor, x_hat: Tensor) -> Tensor:
    """(B,) distortion of x_hat (B, 3, H, W) against x, both in [-0.5, 0.5], in units of squared error on the 0..255
    scale.

    `mse`: mean squared error. `ms-ssim`: mostly 1 - MS-SSIM (Wang et al. 2003), mean over the colours; sides must be at
    least MS_SSIM_MIN_SIZE. `eye`: a geometric mean of squared error, 1 - MS-SSIM and SSIMULACRA 2 (Sneyers 2022), whose
    gradients therefore keep their weights however large the errors are. For pictures with a side below
    MS_SSIM_MIN_SIZE, which have too few scales, `eye` is the squared error.
    """
    mse = (x - x_hat).square().flatten(1).mean(1) * 255**2
    if metric == "mse" or (metric == "eye" and min(x.shape[2:]) < MS_SSIM_MIN_SIZE):
        return mse
    layout = torch.channels_last
    x, seen = (image.float().contiguous(memory_format=layout) + 0.5 for image in (x, x_hat))
    dissimilarity = _dissimilarity(x, seen)
    if metric == "ms-ssim":
        return (1 - MS_SSIM_SHARE) * mse + MS_SSIM_SHARE * MS_SSIM_WEIGHT * dissimilarity
    distance = ssimulacra2_distance(x, seen)
    parts = {"mse": mse, "ms-ssim": dissimilarity, "ssimulacra2": distance}
    logs = [share * (EYE_UNITS[name] * parts[name] + EYE_FLOOR).log() for name, share in EYE_SHARES.items()]
    return torch.stack(logs).sum(0).exp()


def _dissimilarity(x: Tensor, seen: Tensor) -> Tensor:
    """(B,) 1 - MS-SSIM of pictures in [0, 1]."""
    from pytorch_msssim import ms_ssim

    if seen.requires_grad:
        # Negative correlations at a scale are clamped, since a power of zero has no finite gradient.
        seen.register_hook(lambda gradient: torch.nan_to_num(gradient, 0.0, 0.0, 0.0))
    return 1 - ms_ssim(seen, x, data_range=1.0, size_average=False)
