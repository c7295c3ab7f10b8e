"""The Karhunen-Loeve transform of 16x16 RGB patches: what the learned transforms start from."""

from __future__ import annotations

import torch
from torch import Tensor

from vaecodec.config import PATCH
from vaecodec.model.blocks import space_to_depth
from vaecodec.training.data import CropSampler


def block_transform(sampler: CropSampler, components: int, crops: int = 512, size: int = 128) -> tuple[Tensor, Tensor]:
    """Leading eigenvectors of the patch covariance: basis (components, 768), deviations (components,)."""
    total = torch.zeros(3 * PATCH * PATCH, 3 * PATCH * PATCH, dtype=torch.float64)
    count = 0
    for _ in range(crops // 32):
        x = torch.from_numpy(sampler.batch(32, size)).permute(0, 3, 1, 2) / 255 - 0.5
        patches = space_to_depth(x, PATCH).permute(0, 2, 3, 1).reshape(-1, total.shape[0]).double()
        total += patches.T @ patches
        count += len(patches)
    values, vectors = torch.linalg.eigh(total / count)
    order = values.argsort(descending=True)[:components]
    return vectors[:, order].T.float(), values[order].clamp(min=0).sqrt().float()
