"""Float transforms: picture <-> latents, and latents -> hyper latents.

Each of the picture transforms is a linear 16x16 block transform (initialised as the Karhunen-Loeve transform of the
training data) plus a net of blocks that corrects it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaecodec.config import CORRECTION, PATCH, PIXEL_SCALE, ModelConfig
from vaecodec.model.blocks import (
    Block,
    activation,
    depth_to_space,
    depthwise,
    interpolate_anchors,
    pointwise,
    space_to_depth,
)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a branch at zero: the model begins as the linear block transform."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class AnalysisTransform(nn.Module):
    """x (B, 3, H, W), RGB in [-0.5, 0.5], H and W multiples of 16; t (B,) anchors -> y (B, M, H/16, W/16)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, d, m = config.channels, config.deep_channels, config.latents
        self.linear = pointwise(3 * PATCH * PATCH, m)
        self.stem = pointwise(3 * 64, c)
        self.rate = nn.Parameter(torch.zeros(config.anchors, c))
        self.blocks = nn.Sequential(*(Block(c) for _ in range(config.blocks)))
        self.down = pointwise(4 * c, d)
        self.deep_blocks = nn.Sequential(*(Block(d) for _ in range(config.deep_blocks)))
        self.head = _zero(pointwise(d, m))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.stem(space_to_depth(x * PIXEL_SCALE, 8)) * interpolate_anchors(self.rate, t).exp2()
        h = self.down(space_to_depth(self.blocks(h), 2))
        return CORRECTION * self.head(self.deep_blocks(h)) + self.linear(space_to_depth(x, PATCH))


class SynthesisTransform(nn.Module):
    """v_hat (B, M, h, w) normalised latents, y_hat the same in units of y, t (B,) -> x_hat (B, 3, 16h, 16w).

    RGB around [-0.5, 0.5], not clipped. The nets see v_hat, in which all channels weigh alike.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, d, m = config.channels, config.deep_channels, config.latents
        self.linear = pointwise(m, 3 * PATCH * PATCH)
        self.stem = pointwise(m, d)
        self.deep_blocks = nn.Sequential(*(Block(d) for _ in range(config.deep_blocks)))
        self.up = pointwise(d, 4 * c)
        self.rate = nn.Parameter(torch.zeros(config.anchors, c))
        self.blocks = nn.Sequential(*(Block(c) for _ in range(config.blocks)))
        self.head = _zero(pointwise(c, 3 * 64))

    def forward(self, v_hat: Tensor, y_hat: Tensor, t: Tensor) -> Tensor:
        h = depth_to_space(self.up(self.deep_blocks(self.stem(v_hat))), 2)
        h = self.blocks(h * interpolate_anchors(self.rate, t).exp2())
        return CORRECTION * depth_to_space(self.head(h), 8) + depth_to_space(self.linear(y_hat), PATCH)


class HyperAnalysis(nn.Module):
    """Normalised latents (B, M, h, w), h and w multiples of 4; t (B,) -> z (B, Z, h/4, w/4) before quantisation."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h = config.hyper_channels
        self.stem = pointwise(2 * config.latents, h)
        self.rate = nn.Parameter(torch.zeros(config.anchors, h))
        self.mix = pointwise(h, h)
        self.down1 = pointwise(4 * h, h)
        self.spatial1 = depthwise(h)
        self.down2 = pointwise(4 * h, h)
        self.spatial2 = depthwise(h)
        self.head = pointwise(h, config.hyper_latents)
        self.act = activation()

    def forward(self, v: Tensor, t: Tensor) -> Tensor:
        # Scales follow magnitudes: given as inputs, they need not be learned.
        h = self.act(self.stem(torch.cat([v, v.abs()], 1)) + interpolate_anchors(self.rate, t))
        h = self.act(self.mix(h))
        h = self.spatial1(self.act(self.down1(space_to_depth(h, 2))))
        h = self.spatial2(self.act(self.down2(space_to_depth(h, 2))))
        return self.head(h)
