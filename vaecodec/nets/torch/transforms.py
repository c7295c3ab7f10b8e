"""Float transforms: picture <-> latents, and latents -> hyper latents.

The transforms of the picture begin as a linear 16x16 block transform: the Karhunen-Loeve transform of the training
data, split into an 8x8 part (stem or head) and its completion over 2x2 such blocks. Between the two are residual blocks
at 1/8 resolution that start at zero: training gradually turns the best linear transform into a nonlinear one. A linear
shortcut around everything, also zero at the start, carries what the narrow middle drops.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaecodec.bitstream.spec import PATCH, RESIDUAL
from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.blocks import (
    Block,
    activation,
    depth_to_space,
    depthwise,
    interpolate_anchors,
    pointwise,
    silent,
    space_to_depth,
)


class RateBlocks(nn.Module):
    """Residual blocks on (B, C, H, W); the rate t (B,) weights each channel of their branches."""

    def __init__(self, config: ModelConfig, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config.channels, config.expansion * config.channels) for _ in range(count))
        self.rate = nn.Parameter(torch.zeros(config.anchors, count, config.channels))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        for i, block in enumerate(self.layers):
            x = block(x, RESIDUAL * interpolate_anchors(self.rate[:, i], t).exp2().to(x.dtype))
        return x


class AnalysisTransform(nn.Module):
    """x (B, 3, H, W), RGB in [-0.5, 0.5], H and W multiples of 16; t (B,) anchors -> y (B, M, H/16, W/16)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stem = pointwise(3 * 64, config.channels)
        self.blocks = RateBlocks(config, config.encoder_blocks)
        self.head = pointwise(4 * config.channels, config.latents)
        self.shortcut = silent(3 * PATCH**2, config.latents) if config.shortcut else None

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.blocks(self.stem(space_to_depth(x, 8)), t)
        y = self.head(space_to_depth(h, 2))
        return y if self.shortcut is None else y + self.shortcut(space_to_depth(x, PATCH))


class SynthesisTransform(nn.Module):
    """v_hat (B, M, h, w), normalised latents; t (B,) -> x_hat (B, 3, 16h, 16w), RGB around [-0.5, 0.5], not clipped."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stem = pointwise(config.latents, 4 * config.channels)
        self.blocks = RateBlocks(config, config.decoder_blocks)
        self.head = pointwise(config.channels, 3 * 64)
        self.shortcut = silent(config.latents, 3 * PATCH**2) if config.shortcut else None

    def forward(self, v_hat: Tensor, t: Tensor) -> Tensor:
        h = self.blocks(depth_to_space(self.stem(v_hat), 2), t)
        x = depth_to_space(self.head(h), 8)
        return x if self.shortcut is None else x + depth_to_space(self.shortcut(v_hat), PATCH)

    def preview(self, v_hat: Tensor) -> Tensor:
        """v_hat (B, M, h, w) -> (B, 3, 2h, 2w): means of 8x8 pixels, without the residual blocks."""
        h = depth_to_space(self.stem(v_hat), 2)
        x = self.head(h).unflatten(1, (64, 3)).mean(1)
        if self.shortcut is None:
            return x
        quads = self.shortcut(v_hat).unflatten(1, (2, 8, 2, 8, 3)).mean((2, 4))
        return x + depth_to_space(quads.flatten(1, 3), 2)


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

    def texture(self, v: Tensor, t: Tensor) -> Tensor:
        """(B, H, h, w): the activations before any layer with a view of more than one position."""
        # Scales follow magnitudes: as inputs, they need not be learned.
        h = self.act(self.stem(torch.cat([v, v.abs()], 1)) + interpolate_anchors(self.rate, t))
        return self.act(self.mix(h))

    def forward(self, v: Tensor, t: Tensor) -> Tensor:
        h = self.texture(v, t)
        h = self.spatial1(self.act(self.down1(space_to_depth(h, 2))))
        h = self.spatial2(self.act(self.down2(space_to_depth(h, 2))))
        return self.head(h)
