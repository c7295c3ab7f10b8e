"""Rate and distortion on the validation split, at every rate anchor."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch

from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.distortion import distortion
from vaecodec.nets.torch.vae import VAE
from vaecodec.training.data.crops import centre_crops
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.entropy import EntropyModels


@dataclass
class RatePoint:
    """Means over the crops at one anchor: bits per pixel of z and y, PSNR in dB, distortion (geometric mean), latent
    channels in use."""

    z_bpp: float
    y_bpp: float
    psnr: float
    distortion: float
    active_channels: int


@dataclass
class Validation:
    """The result of one validation.

    points: a RatePoint for each anchor, on the validation split; channel_bpp (A, M): bits per pixel of each latent
    channel; cost, train_cost: mean log2 of bpp + lambda * distortion over the anchors, on the validation split and on
    as many training pictures (both cropped alike). The model overfits when only the latter still falls.
    """

    points: list[RatePoint]
    channel_bpp: np.ndarray
    cost: float
    train_cost: float

    def record(self) -> dict:
        """The log entry."""
        points = [asdict(point) for point in self.points]
        return {"cost": round(self.cost, 5), "train_cost": round(self.train_cost, 5), "points": points}


def to_batch(crops: np.ndarray, device: torch.device) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 in [-0.5, 0.5], channels last."""
    x = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float() / 255 - 0.5
    return x.contiguous(memory_format=torch.channels_last)


def validate(
    vae: VAE,
    entropy: EntropyModels,
    store: PictureStore,
    crops: int = 32,
    size: int = 256,
    autocast: bool = False,
    metric: str = "mse",
) -> Validation:
    """Validate with rounded symbols and with pixels clipped and rounded as in a decoded file. Without a validation
    split (very few pictures) training pictures replace it."""
    held_out = centre_crops(store.validation or store.train, store, crops, size)
    points, channel_bpp = _curve(vae, entropy, held_out, autocast, metric)
    train_points, _ = _curve(vae, entropy, centre_crops(store.train, store, crops, size), autocast, metric)
    return Validation(points, channel_bpp, _cost(points, vae.config), _cost(train_points, vae.config))


def _cost(points: list[RatePoint], config: ModelConfig) -> float:
    pairs = zip(points, config.lambdas, strict=True)
    return float(np.mean([math.log2(p.z_bpp + p.y_bpp + w * p.distortion) for p, w in pairs]))


@torch.no_grad()
def _curve(
    vae: VAE, entropy: EntropyModels, crops: list[np.ndarray], autocast: bool, metric: str
) -> tuple[list[RatePoint], np.ndarray]:
    vae.eval()
    entropy.eval()
    device = next(vae.parameters()).device
    anchors, latents = vae.config.anchors, vae.config.latents
    t = torch.arange(anchors, dtype=torch.float32, device=device)
    rows, used = [], torch.zeros(anchors, latents, dtype=torch.bool, device=device)
    channel_bpp = torch.zeros(anchors, latents, device=device)
    for crop in crops:
        x = to_batch(np.repeat(crop[None], anchors, 0), device)
        prediction = vae(x, t, autocast)
        z_bits, y_bits = entropy(prediction)
        pixels = x.shape[2] * x.shape[3]
        decoded = ((prediction.x_hat + 0.5).clamp(0, 1) * 255).round() / 255 - 0.5
        psnr = 10 * torch.log10(255**2 / distortion("mse", x, decoded).clamp(min=1e-3))
        error = distortion(metric, x, decoded).clamp(min=1e-3).log()
        rows.append(torch.stack([z_bits / pixels, y_bits / pixels, psnr, error], 1))
        used |= (prediction.symbols != 0).flatten(2).any(2)
        channel_bpp += entropy.latent_bits(prediction) / (len(crops) * pixels)
    means = torch.stack(rows).mean(0)
    means[:, 3] = means[:, 3].exp()
    vae.train()
    entropy.train()
    counts = used.sum(1).tolist()
    points = [RatePoint(z, y, psnr, error, n) for (z, y, psnr, error), n in zip(means.tolist(), counts, strict=True)]
    return points, channel_bpp.cpu().numpy()
