"""Karhunen-Loeve transforms of RGB patches, from which the learned transforms start."""

from __future__ import annotations

import torch
from torch import Tensor

from vaecodec.nets.torch.blocks import space_to_depth
from vaecodec.training.data.crops import CropSampler


def block_transform(sampler: CropSampler, patch: int, components: int, crops: int = 512) -> tuple[Tensor, Tensor]:
    """Leading eigenvectors of the covariance of `patch` x `patch` pixels: basis (components, 3 patch^2), flattened in
    space_to_depth order, and deviations (components,)."""
    size = 3 * patch * patch
    total, count = torch.zeros(size, size, dtype=torch.float64), 0
    for _ in range(crops // 32):
        x = torch.from_numpy(sampler.batch(32, 128)).permute(0, 3, 1, 2) / 255 - 0.5
        patches = space_to_depth(x, patch).permute(0, 2, 3, 1).reshape(-1, size).double()
        total += patches.T @ patches
        count += len(patches)
    values, vectors = torch.linalg.eigh(total / count)
    order = values.argsort(descending=True)[:components]
    return vectors[:, order].T.float(), values[order].clamp(min=0).sqrt().float()


def block_features(sampler: CropSampler, channels: int) -> Tensor:
    """The 8x8 transform (channels, 192) that feeds the residual blocks. It is half whitened, so that fine detail is
    neither lost beside the brightness nor given equal importance; deviations are 1 on average. Channels beyond the 192
    of a whole block are random mixtures of those."""
    basis, std = block_transform(sampler, 8, channels)
    root = std.clamp(min=float(std[0]) * 1e-3).sqrt()
    features = basis / root[:, None] / root.mean()
    mixtures = torch.randn(channels - len(features), len(features)) / len(features) ** 0.5
    return torch.cat([features, mixtures @ features])
