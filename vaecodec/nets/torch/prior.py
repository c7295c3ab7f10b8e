"""The exact prior: hyper synthesis and the four steps of the space-channel context, all in integers.

Latent channels form four groups (channel modulo 4), and positions the four corners of 2x2 quads. Each of four steps
decodes one group at every position, a different one at each corner, so that later steps see ever more neighbours in
space and channels (quad-tree partition of Li, Li and Lu, "Neural Video Compression with Diverse Contexts", CVPR 2023).
The latents of one step are a slot: (B, 4, M/4, h/2, w/2), quad position before channel. In memory the quad position
comes first and the channel last, as the matrix products of the steps need it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaecodec.bitstream.spec import (
    BIAS_UNIT,
    INDEX_LIMIT,
    INDEX_PER_UNIT,
    INDEX_UNIT,
    LEVELS_PER_UNIT,
    MEAN_LIMIT,
    MEAN_UNIT,
    STEP_POSITION,
    STEPS,
    step_groups,
)
from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.blocks import depth_to_space, interpolate_anchors
from vaecodec.nets.torch.exact import ExactConv, exact_product, floor_clamp, positive_levels, round_ste, signed_levels


def split_slots(y: Tensor) -> list[Tensor]:
    """Latents (B, M, h, w), h and w even -> four slots (B, 4, M/4, h/2, w/2) in decoding order."""
    b, m, h, w = y.shape
    quads = y.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, m // 4, 4).permute(2, 4, 6, 0, 1, 3, 5)
    # unbind and stack instead of indexing, whose gradients are slow in torch
    parts = quads.reshape(16, b, h // 2, w // 2, m // 4).unbind()
    slots = ([parts[4 * p + group] for p, group in enumerate(step_groups(step))] for step in range(STEPS))
    return [torch.stack(slot).permute(1, 0, 4, 2, 3) for slot in slots]


def join_slots(slots: list[Tensor]) -> Tensor:
    """Inverse of split_slots."""
    b, _, k, h, w = slots[0].shape
    parts = [slot.permute(1, 0, 3, 4, 2).unbind() for slot in slots]
    by_group = [parts[STEP_POSITION.index(p ^ group)][p] for p in range(4) for group in range(4)]
    quads = torch.stack(by_group).reshape(2, 2, 4, b, h, w, k).permute(3, 4, 0, 5, 1, 6, 2)
    return quads.reshape(b, 2 * h, 2 * w, 4 * k).permute(0, 3, 1, 2)


def _by_position(weight: Tensor, axis: int, step: int) -> list[Tensor]:
    """From `axis` (length M, channel modulo 4 is the group), the group of channels that each quad position 0..3 decodes
    in `step`."""
    groups = weight.unflatten(axis, (-1, STEPS)).unbind(axis + 1)
    return [groups[group] for group in step_groups(step)]


def rate_bias(table: Tensor, t: Tensor) -> Tensor:
    """Learned bias of each anchor (A, C) in units -> levels at t (B, C, 1, 1), on the grid of the codec's biases."""
    return round_ste(interpolate_anchors(table, t) * LEVELS_PER_UNIT * BIAS_UNIT) / BIAS_UNIT


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
        return positive_levels(self.head(signed_levels(self.spatial3(h))), h)


class ContextBlock(nn.Module):
    """Residual depthwise 3x3 and pointwise layer on levels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = ExactConv(channels, channels, 3, groups=channels)
        self.mix = ExactConv(channels, channels)

    def forward(self, h: Tensor) -> Tensor:
        return positive_levels(self.mix(signed_levels(self.spatial(h))), h)


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
        """Pointwise layer (K, 2M) over the latents decoded so far and their magnitudes; all others are zero.

        Returns (B, K, h, w).
        """
        b, _, _, h, w = slots[0].shape
        parts = weight.unflatten(1, (2, self.latents))
        known = zip(*(_by_position(parts, 2, step) for step in range(self.step)), strict=True)
        at_position = torch.stack([torch.stack(groups, 2).flatten(1) for groups in known])
        values = torch.stack([slot.permute(1, 0, 3, 4, 2) for slot in slots], 4).flatten(4)
        inputs = torch.cat([values, values.abs()], 4).flatten(1, 3)
        sums = exact_product(inputs, at_position).reshape(2, 2, b, h, w, -1)
        return sums.permute(2, 3, 0, 4, 1, 5).reshape(b, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)

    def forward(self, features: Tensor, slots: list[Tensor], bias: Tensor) -> tuple[Tensor, Tensor]:
        """features (B, H, h, w) levels; `step` slots (B, 4, M/4, h/2, w/2) levels; bias (B, K, 1, 1) levels.

        Returns mean and scale index of the next slot, each (B, 4, M/4, h/2, w/2), integers in 1/MEAN_UNIT normalised
        latent and 1/INDEX_UNIT index (before the gain of the quality is added).
        """
        weight = self.head.exact_weight()[:, :, 0, 0]
        b, _, height, width = features.shape
        rows = features.permute(0, 2, 3, 1).flatten(0, 2)
        h = exact_product(rows, weight[:, : self.features], self.head.exact_bias() + 0.5)
        h = h.reshape(b, height, width, -1).permute(0, 3, 1, 2) + bias
        if self.step:
            h = h + self._context(weight[:, self.features :], slots)
        h = positive_levels(h)
        for block in self.blocks:
            h = block(h)
        return self._outputs(h)

    def _outputs(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Output layer, evaluated only for the group of each position in this step."""
        m = self.latents
        weight = self.out.exact_weight().reshape(2, m, -1)
        bias = self.out.exact_bias().reshape(2, m) + 0.5
        weight, bias = (torch.stack(_by_position(layer, 1, self.step)).flatten(1, 2) for layer in (weight, bias))
        b, k, height, width = h.shape
        quads = h.permute(0, 2, 3, 1).reshape(b, height // 2, 2, width // 2, 2, k).permute(2, 4, 0, 1, 3, 5)
        outputs = exact_product(quads.reshape(4, -1, k), weight, bias)
        outputs = outputs.reshape(4, b, height // 2, width // 2, 2, m // 4).permute(1, 0, 5, 2, 3, 4)
        mean, index = outputs.unbind(5)
        return floor_clamp(mean, -MEAN_LIMIT, MEAN_LIMIT), floor_clamp(index, -INDEX_LIMIT, INDEX_LIMIT)


class Prior(nn.Module):
    """All integer nets, and the biases that tell them the quality."""

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
