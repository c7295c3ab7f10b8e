"""Rate and distortion on the validation split, at every rate anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.distortion import distortion
from vaecodec.nets.torch.vae import VAE
from vaecodec.training.data.crops import spread_crops
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.gap import Costs, Gap, measure_gap

CROPS, SIZE = 32, 256
"""How many crops of each split are looked at, and their side in pixels."""
KINDS = 2 * 255 + 1
"""Symbols that are told apart where they are counted, around 0."""
FLOOR = 1e-3
"""Squared error below which a picture counts as perfect: of flat ones the logarithm would be anything."""


@dataclass
class RatePoint:
    """Means over the crops at one anchor: bits per pixel of z and y, PSNR in dB, distortion (geometric mean), channels
    of y and of z with any nonzero symbol."""

    z_bpp: float
    y_bpp: float
    psnr: float
    distortion: float
    active_channels: int
    active_hyper: int


@dataclass
class Validation:
    """The result of one validation.

    points, train_points: a RatePoint for each anchor, on the validation split and on as many training pictures (both
    cropped alike); cost, train_cost: mean log2 of bpp + lambda * distortion of these points over the anchors. The model
    overfits when only the latter still falls. channel_bpp (A, M): bits per pixel of each latent channel; y_bits (A, M),
    z_bits (A, Z): bits per latent of each channel, at most the entropy of its symbols, so that what an immature density
    charges for nothing does not count. held_out: number of pictures that are not trained on; gap: None without
    them, or without a reference.
    """

    points: list[RatePoint]
    train_points: list[RatePoint]
    channel_bpp: NDArray[np.float32]
    y_bits: NDArray[np.float32]
    z_bits: NDArray[np.float32]
    cost: float
    train_cost: float
    held_out: int
    gap: Gap | None

    def record(self) -> dict:
        """The log entry."""
        return {
            "cost": round(self.cost, 5),
            "train_cost": round(self.train_cost, 5),
            "held_out": self.held_out,
            "gap": self.gap and self.gap.record(),
            "points": [asdict(point) for point in self.points],
            "train_points": [asdict(point) for point in self.train_points],
            "y_bits": [[round(float(bits), 4) for bits in row] for row in self.y_bits],
            "z_bits": [[round(float(bits), 4) for bits in row] for row in self.z_bits],
        }


def to_batch(crops: np.ndarray, device: torch.device) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 in [-0.5, 0.5], channels last."""
    x = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float() / 255 - 0.5
    return x.contiguous(memory_format=torch.channels_last)


def looked_at(store: PictureStore, crops: int = CROPS, size: int = SIZE) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Crops of the validation split and of the training pictures, of as many pictures as there are. Without a
    validation split (very few pictures) training pictures stand in for it."""
    held_out = spread_crops(store.validation or store.train, store, crops, size)
    return held_out, spread_crops(store.train, store, crops, size)


def validate(
    vae: VAE,
    entropy: EntropyModels,
    store: PictureStore,
    crops: int = CROPS,
    size: int = SIZE,
    autocast: bool = False,
    metric: str = "mse",
    hard: tuple[Costs, Costs] | None = None,
) -> Validation:
    """Validate with rounded symbols and with pixels clipped and rounded as in a decoded file. Without a validation
    split (very few pictures) training pictures replace it. hard: difficulty of the pictures (hardness.py); without it
    there is no gap."""
    held_out, training = looked_at(store, crops, size)
    seen, trained = (_look(vae, entropy, pictures, autocast, metric) for pictures in (held_out, training))
    lambdas = vae.config.lambdas
    gap = measure_gap(seen.costs, trained.costs, *hard, lambdas) if hard and store.validation else None
    return Validation(
        seen.points,
        trained.points,
        seen.channel_bpp,
        seen.y_bits,
        seen.z_bits,
        _cost(seen.points, vae.config),
        _cost(trained.points, vae.config),
        min(len(store.validation), crops),
        gap,
    )


def _cost(points: list[RatePoint], config: ModelConfig) -> float:
    pairs = zip(points, config.lambdas, strict=True)
    return float(np.mean(np.log2([p.z_bpp + p.y_bpp + w * p.distortion for p, w in pairs])))


@dataclass
class _Seen:
    """Of one split; costs: log2 of rate and distortion of each picture (2, N, A)."""

    points: list[RatePoint]
    costs: Costs
    channel_bpp: NDArray[np.float32]
    y_bits: NDArray[np.float32]
    z_bits: NDArray[np.float32]


@torch.no_grad()
def _look(vae: VAE, entropy: EntropyModels, crops: Sequence[np.ndarray], autocast: bool, metric: str) -> _Seen:
    vae.eval()
    entropy.eval()
    device, config = next(vae.parameters()).device, vae.config
    t = torch.arange(config.anchors, dtype=torch.float32, device=device)
    rows: list[torch.Tensor] = []
    y, z = _Channels(config.anchors, config.latents, device), _Channels(config.anchors, config.hyper_latents, device)
    for crop in crops:
        x = to_batch(np.repeat(crop[None], config.anchors, 0), device)
        prediction = vae(x, t, autocast)
        z_bits, y_bits = entropy.hyper_bits(prediction), entropy.latent_bits(prediction)
        pixels = x.shape[2] * x.shape[3]
        decoded = ((prediction.x_hat + 0.5).clamp(0, 1) * 255).round() / 255 - 0.5
        psnr = 10 * torch.log10(255**2 / distortion("mse", x, decoded).clamp(min=FLOOR))
        error = distortion(metric, x, decoded).clamp(min=FLOOR).log2()
        rows.append(torch.stack([z_bits.sum(1) / pixels, y_bits.sum(1) / pixels, psnr, error], 1))
        y.see(y_bits, prediction.symbols)
        z.see(z_bits, torch.round(prediction.hyper_latents))
    vae.train()
    entropy.train()
    of_pictures = torch.stack(rows).double().cpu().numpy()
    means = of_pictures.mean(0)
    means[:, 3] = np.exp2(means[:, 3])
    used = zip(y.used.sum(1).tolist(), z.used.sum(1).tolist(), strict=True)
    points = [RatePoint(z_, y_, db, e, *n) for (z_, y_, db, e), n in zip(means.tolist(), used, strict=True)]
    costs = np.stack([np.log2(of_pictures[..., 0] + of_pictures[..., 1]), of_pictures[..., 3]])
    channel_bpp = (y.bits / (len(crops) * pixels)).cpu().numpy()
    return _Seen(points, costs, channel_bpp, y.bits_a_latent(), z.bits_a_latent())


class _Channels:
    """What channels carry at each anchor."""

    def __init__(self, anchors: int, channels: int, device: torch.device) -> None:
        self.bits = torch.zeros(anchors, channels, device=device)
        self.used = torch.zeros(anchors, channels, dtype=torch.bool, device=device)
        self._counts = torch.zeros(anchors * channels * KINDS, dtype=torch.int64, device=device)

    def see(self, bits: torch.Tensor, symbols: torch.Tensor) -> None:
        """bits (A, C) of symbols (A, C, h, w)."""
        self.bits += bits
        self.used |= (symbols != 0).flatten(2).any(2)
        kinds = symbols.round().long().clamp(-(KINDS // 2), KINDS // 2) + KINDS // 2
        channels = torch.arange(self.bits.numel(), device=bits.device).reshape(*self.bits.shape, 1)
        self._counts += torch.bincount((channels * KINDS + kinds.flatten(2)).flatten(), minlength=len(self._counts))

    def bits_a_latent(self) -> NDArray[np.float32]:
        """By the prior, but at most the entropy of the symbols: a density that is not ripe asks for bits where little
        or nothing is said."""
        counts = self._counts.reshape(*self.bits.shape, KINDS)
        latents = counts.sum(2)
        entropy = -torch.special.xlogy(counts / latents[..., None], counts / latents[..., None]).sum(2) / np.log(2)
        return torch.minimum(self.bits / latents, entropy).cpu().numpy()
