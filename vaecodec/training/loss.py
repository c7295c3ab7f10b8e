"""The rate-distortion loss: the negative ELBO of a VAE with a uniform posterior, rate plus lambda times distortion."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.distortion import distortion
from vaecodec.nets.torch.vae import Prediction

WEIGHT_EXPONENT = -0.4
"""Samples are weighted by lambda^WEIGHT_EXPONENT. -0.5 would weight all rates equally (the loss grows as the square
root of lambda); slightly more favours the high rates, which are harder to learn."""
TYPICAL_COST = 0.3
"""Samples with a much higher cost weigh in proportion to its logarithm. A crop of noise costs a hundred times as much
as a photograph: otherwise a few of them set the step size for all. The mean of PSNRs also rewards this."""


@dataclass
class Loss:
    """total (): the minimised loss; cost (): its plain mean; z_bpp, y_bpp (B,): bits per pixel; distortion (B,): in
    units of mean squared error on the 0..255 scale."""

    total: Tensor
    cost: Tensor
    z_bpp: Tensor
    y_bpp: Tensor
    distortion: Tensor


def rate_distortion(
    config: ModelConfig,
    x: Tensor,
    t: Tensor,
    prediction: Prediction,
    z_bits: Tensor,
    y_bits: Tensor,
    hyper_weight: float = 1.0,
    metric: str = "mse",
) -> Loss:
    """x (B, 3, H, W) in [-0.5, 0.5]; bits (B,). The distortion is that of unclipped RGB.

    `hyper_weight` below 1 makes the bits of z cheap, as at the start of training.
    """
    pixels = x.shape[2] * x.shape[3]
    error = distortion(metric, x, prediction.x_hat)
    lambdas = config.lambda_at(t)
    weight = (lambdas / config.lambda_min) ** WEIGHT_EXPONENT
    z_bpp, y_bpp = z_bits / pixels, y_bits / pixels
    cost = weight * (hyper_weight * z_bpp + y_bpp + lambdas * error)
    total = (cost / (cost.detach() + TYPICAL_COST)).mean()
    return Loss(total, cost.mean().detach(), z_bpp.detach(), y_bpp.detach(), error.detach())
