"""The exact prior: hyper synthesis and the four steps of the space-channel context, all in integers.

Latent channels fall into four groups (channel modulo 4) and positions into the four corners of 2x2 quads. In each of
four steps every position has one group decoded, a different one at each corner, so that later steps see ever more
neighbours in space and channels (quad-tree partition of Li, Li and Lu, "Neural Video Compression with Diverse
Contexts", CVPR 2023). What a step decodes is called a slot: (B, M, h/2, w/2), quad position before channel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecodec.config import (
    BIAS_UNIT,
    INDEX_LIMIT,
    INDEX_PER_UNIT,
    INDEX_UNIT,
    LEVELS_PER_UNIT,
    MEAN_LIMIT,
    MEAN_UNIT,
    STEP_POSITION,
    STEPS,
    ModelConfig,
)
from vaecodec.model.blocks import depth_to_space, interpolate_anchors, space_to_depth
from vaecodec.model.exact import ExactConv, clamp_ste, floor_ste, positive_levels, signed_levels


def split_slots(y: Tensor) -> list[Tensor]:
    """Latents (B, M, h, w), h and w even -> four slots (B, M, h/2, w/2) in decoding order."""
    b, m, h, w = y.shape
    quads = space_to_depth(y, 2).reshape(b, 4, m // 4, 4, h // 2, w // 2)
    return [
        torch.stack([quads[:, p, :, p ^ first] for p in range(4)], 1).reshape(b, m, h // 2, w // 2)
        for first in STEP_POSITION
    ]


def join_slots(slots: list[Tensor]) -> Tensor:
    """Inverse of split_slots."""
    b, m, h, w = slots[0].shape
    by_step = torch.stack([slot.reshape(b, 4, m // 4, h, w) for slot in slots], 3)
    order = [[STEP_POSITION.index(p ^ group) for group in range(4)] for p in range(4)]
    quads = torch.stack([by_step[:, p][:, :, order[p]] for p in range(4)], 1)
    return depth_to_space(quads.reshape(b, 4 * m, h, w), 2)


def rate_bias(table: Tensor, t: Tensor) -> Tensor:
    """Learned bias of each anchor (A, C) in units -> levels at t (B, C, 1, 1), on the grid of the codec's biases."""
    bias = interpolate_anchors(table, t) * LEVELS_PER_UNIT
    return floor_ste(bias * BIAS_UNIT + 0.5) / BIAS_UNIT


class HyperSynthesis(nn.Module):
    """Hyper latents in levels (B, Z, h/4, w/4), bias (B, H, 1, 1) in levels -> features (B, H, h, w) in [0, LEVEL]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h = config.hyper_channels
        self.stem = ExactConv(config.hyper_latents, h)
        self.spatial1 = ExactConv(h, h, 3, groups=h)
        self.up1 = ExactConv(h, 4 * h)
        self.spatial2 = ExactConv(h, h, 3, groups=h)
        self.up2 = ExactConv(h, 4 * h)
        self.spatial3 = ExactConv(h, h, 3, groups=h)
        self.head = ExactConv(h, h)

    def forward(self, u: Tensor, bias: Tensor) -> Tensor:
        h = positive_levels(self.stem(u, bias))
        h = depth_to_space(positive_levels(self.up1(signed_levels(self.spatial1(h)))), 2)
        h = depth_to_space(positive_levels(self.up2(signed_levels(self.spatial2(h)))), 2)
        return positive_levels(self.head(signed_levels(self.spatial3(h))) + h)


class ContextBlock(nn.Module):
    """Residual depthwise 3x3 and pointwise layer on levels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = ExactConv(channels, channels, 3, groups=channels)
        self.mix = ExactConv(channels, channels)

    def forward(self, h: Tensor) -> Tensor:
        return positive_levels(self.mix(signed_levels(self.spatial(h))) + h)


class ContextStep(nn.Module):
    """Features and the slots decoded so far -> mean and scale index of the next slot."""

    def __init__(self, config: ModelConfig, step: int) -> None:
        super().__init__()
        self.step = step
        self.features, self.latents = config.hyper_channels, config.latents
        k, m = config.context_channels, config.latents
        self.head = ExactConv(self.features + (2 * m if step else 0), k)
        self.blocks = nn.ModuleList(ContextBlock(k) for _ in range(config.context_blocks))
        unit_of_level = [MEAN_UNIT / LEVELS_PER_UNIT] * m + [INDEX_PER_UNIT * INDEX_UNIT / LEVELS_PER_UNIT] * m
        self.out = ExactConv(k, 2 * m, out_scale=torch.tensor(unit_of_level))
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias[m:] = 2.4  # a standard deviation of about one normalised unit

    def _context(self, weight: Tensor, slots: list[Tensor]) -> Tensor:
        """Pointwise layer (K, 2M) over the latents decoded so far and their magnitudes, all others zero.

        Returns (B, K, h, w).
        """
        m = self.latents
        known = STEP_POSITION[: self.step]
        at_position = [
            torch.cat([weight[:, part + (p ^ first) : part + m : 4] for part in (0, m) for first in known], 1)
            for p in range(4)
        ]
        # One matrix product a quad position: torch is slow at grouped pointwise convolutions.
        b, _, h, w = slots[0].shape
        stacked = torch.stack([slot.reshape(b, 4, m // 4, h, w) for slot in slots], 2).reshape(b, 4, -1, h, w)
        inputs = torch.cat([stacked, stacked.abs()], 2).flatten(3)
        return depth_to_space((torch.stack(at_position)[..., 0, 0] @ inputs).reshape(b, -1, h, w), 2)

    def forward(self, features: Tensor, slots: list[Tensor], bias: Tensor) -> tuple[Tensor, Tensor]:
        """features (B, H, h, w) levels; `step` slots (B, M, h/2, w/2) levels; bias (B, K, 1, 1) levels.

        Returns mean and scale index of the next slot, each (B, M, h/2, w/2), integers in 1/MEAN_UNIT normalised
        latent and 1/INDEX_UNIT index (before the gain of the quality is added).
        """
        weight = self.head.exact_weight()
        h = F.conv2d(features, weight[:, : self.features], self.head.exact_bias() + 0.5) + bias
        if self.step:
            h = h + self._context(weight[:, self.features :], slots)
        h = positive_levels(floor_ste(h))
        for block in self.blocks:
            h = block(h)
        return self._outputs(h)

    def _outputs(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Output layer, evaluated only for the group that each position has in this step."""
        m = self.latents
        groups = [p ^ STEP_POSITION[self.step] for p in range(4)]
        weight = self.out.exact_weight().reshape(2, m, -1)
        bias = self.out.exact_bias().reshape(2, m, 1)
        weight = torch.stack([weight[:, g::4] for g in groups], 1)  # (2, 4, M/4, K)
        bias = torch.stack([bias[:, g::4] for g in groups], 1)
        b, k, height, width = h.shape
        quads = space_to_depth(h, 2).reshape(b, 1, 4, k, -1)
        outputs = floor_ste(weight @ quads + (bias + 0.5)).reshape(b, 2, m, height // 2, width // 2)
        mean = clamp_ste(outputs[:, 0], -MEAN_LIMIT, MEAN_LIMIT)
        return mean, clamp_ste(outputs[:, 1], -INDEX_LIMIT, INDEX_LIMIT)


class Prior(nn.Module):
    """All integer nets and the biases by which they know the quality."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hyper_synthesis = HyperSynthesis(config)
        self.steps = nn.ModuleList(ContextStep(config, step) for step in range(STEPS))
        self.hyper_rate = nn.Parameter(torch.zeros(config.anchors, config.hyper_channels))
        self.step_rate = nn.Parameter(torch.zeros(STEPS, config.anchors, config.context_channels))

    def features(self, u: Tensor, t: Tensor) -> Tensor:
        return self.hyper_synthesis(u, rate_bias(self.hyper_rate, t))

    def step(self, index: int, features: Tensor, slots: list[Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
        return self.steps[index](features, slots, rate_bias(self.step_rate[index], t))

    @torch.no_grad()
    def check_bounds(self) -> dict[str, float]:
        """Worst-case partial sum of every layer over 2^24; raises ModelError if one is not exact."""
        ratios = {}
        for name, layer in self.named_modules():
            if isinstance(layer, ExactConv):
                extra = 0.0
                if name == "hyper_synthesis.stem":
                    extra = float(self.hyper_rate.abs().max()) * LEVELS_PER_UNIT + 1
                elif name.endswith(".head") and name.startswith("steps."):
                    extra = float(self.step_rate[int(name.split(".")[1])].abs().max()) * LEVELS_PER_UNIT + 1
                ratios[name] = layer.check_bound(name, extra)
        return ratios
