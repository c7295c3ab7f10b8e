"""Building blocks of the float transforms: pointwise and depthwise convolutions only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaecodec.bitstream.spec import LEAK


def space_to_depth(x: Tensor, size: int) -> Tensor:
    """(B, C, H, W) -> (B, size^2 * C, H/size, W/size), position in the square before channel (ONNX SpaceToDepth).

    Channels last in memory, here and below: the convolutions are fastest so, and losing the layout costs a tenth of the
    step.
    """
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(b, h // size, size, w // size, size, c).transpose(2, 3)
    return x.reshape(b, h // size, w // size, size * size * c).permute(0, 3, 1, 2)


def depth_to_space(x: Tensor, size: int) -> Tensor:
    """Inverse of space_to_depth (ONNX DepthToSpace in mode DCR)."""
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(b, h, w, size, size, c // (size * size)).transpose(2, 3)
    return x.reshape(b, h * size, w * size, c // (size * size)).permute(0, 3, 1, 2)


def interpolate_anchors(table: Tensor, t: Tensor) -> Tensor:
    """Rows of `table` (A, C) at the fractional anchors `t` (B,) in [0, A-1], interpolated linearly: (B, C, 1, 1)."""
    low = t.floor().clamp(max=table.shape[0] - 2).long()
    fraction = (t - low).unsqueeze(1)
    rows = table[low] * (1 - fraction) + table[low + 1] * fraction
    return rows[:, :, None, None]


class Convolution(nn.Conv2d):
    """A convolution with a bias."""

    bias: Tensor


def _initialised(layer: Convolution) -> Convolution:
    """Variance-preserving weights and no bias. With torch's default the biases drown the image's signal after a few
    layers, and the hyper latents start, and stay, constant."""
    nn.init.kaiming_normal_(layer.weight, a=LEAK)
    nn.init.zeros_(layer.bias)
    return layer


def pointwise(inputs: int, outputs: int) -> Convolution:
    return _initialised(Convolution(inputs, outputs, 1))


def silent(inputs: int, outputs: int) -> Convolution:
    """A pointwise layer that starts at zero."""
    layer = Convolution(inputs, outputs, 1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def depthwise(channels: int) -> Convolution:
    return _initialised(Convolution(channels, channels, 3, padding=1, groups=channels))


def activation() -> nn.Module:
    return nn.LeakyReLU(LEAK)


class Block(nn.Module):
    """Residual depthwise-separable convolution, then a residual pointwise feed-forward (DCVC-RT, Jia et al. 2025)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mix_in = pointwise(channels, channels)
        self.spatial = depthwise(channels)
        self.mix_out = pointwise(channels, channels)
        self.expand = pointwise(channels, hidden)
        self.contract = pointwise(hidden, channels)
        self.act = activation()
        for last in (self.mix_out, self.contract):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """`weight` (B, C, 1, 1) scales the outputs of the two branches."""
        x = torch.addcmul(x, weight, self.mix_out(self.spatial(self.act(self.mix_in(x)))))
        return torch.addcmul(x, weight, self.contract(self.act(self.expand(x))))
