"""Rate and distortion on the validation split, at every rate anchor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vaecodec.model.vae import VAE
from vaecodec.training.data import PictureStore, validation_crops
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.loss import rate_distortion


@dataclass
class RatePoint:
    """Means over the validation crops at one anchor: bits a pixel of z and y, PSNR in dB, latent channels in use."""

    z_bpp: float
    y_bpp: float
    psnr: float
    active_channels: int


def to_batch(crops: np.ndarray, device: torch.device) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 in [-0.5, 0.5], channels last."""
    x = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float() / 255 - 0.5
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def validate(
    vae: VAE, entropy: EntropyModels, store: PictureStore, crops: int = 32, size: int = 256, autocast: bool = False
) -> list[RatePoint]:
    """One RatePoint for each anchor, symbols rounded, pixels clipped and rounded as in a decoded file."""
    vae.eval()
    entropy.eval()
    device = next(vae.parameters()).device
    anchors = vae.config.anchors
    t = torch.arange(anchors, dtype=torch.float32, device=device)
    rows, used = [], torch.zeros(anchors, vae.config.latents, dtype=torch.bool, device=device)
    for crop in validation_crops(store, crops, size):
        x = to_batch(np.repeat(crop[None], anchors, 0), device)
        prediction = vae(x, t, autocast)
        loss = rate_distortion(vae.config, x, t, prediction, *entropy(prediction))
        decoded = ((prediction.x_hat + 0.5).clamp(0, 1) * 255).round()
        mse = (decoded - (x + 0.5) * 255).square().flatten(1).mean(1)
        psnr = 10 * torch.log10(255**2 / mse.clamp(min=1e-3))
        rows.append(torch.stack([loss.z_bpp, loss.y_bpp, psnr], 1))
        used |= ((prediction.y_hat - prediction.means).abs() > 0.5).flatten(2).any(2)
    means = torch.stack(rows).mean(0).tolist()
    vae.train()
    entropy.train()
    return [RatePoint(*row, int(n)) for row, n in zip(means, used.sum(1), strict=True)]
