"""Integer layers carried in float32: bit-exact on every device, at the speed of float convolutions.

Activations are integers in [-LEVEL, LEVEL]. Weights are 8-bit integers times a power of two chosen for each output
channel, so every product and every partial sum is an integer times that power of two; as long as the integer stays
below 2^24, float32 addition is exact in any order. The layer ends with floor(sum + 1/2) and a clamp.
In training the same function runs with straight-through gradients (fake quantisation, Jacob et al. 2018), so that
the integers that are exported are the ones that were trained.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecodec.config import BIAS_UNIT, EXACT_BOUND, LEVEL, LEVELS_PER_UNIT
from vaecodec.errors import ModelError

MAX_SHIFT = 12
"""Weights are at finest multiples of 2^-MAX_SHIFT."""


def floor_ste(x: Tensor) -> Tensor:
    """floor(x) with the gradient of the identity."""
    return x + (x.floor() - x).detach()


def clamp_ste(x: Tensor, low: float, high: float) -> Tensor:
    """clamp(x) that lets gradients through where they lead back into the range."""
    return _ClampTowards.apply(x, low, high)


class _ClampTowards(torch.autograd.Function):
    """A plain clamp kills the gradient of a saturated value for ever; this one passes gradients that pull it back."""

    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        # Descent moves x against grad: keep grad > 0 above the range and grad < 0 below it.
        keep = ((x <= ctx.high) | (grad > 0)) & ((x >= ctx.low) | (grad < 0))
        return grad * keep, None, None


def quantise_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Real weight (O, ...) -> (integers in [-LEVEL, LEVEL], shift (O,)): weight ~ integers * 2^-shift."""
    largest = weight.detach().abs().flatten(1).amax(1).clamp(min=LEVEL * 2.0**-MAX_SHIFT)
    # The exponent of frexp is exact on every device, log2 is not.
    shift = (torch.frexp(LEVEL / largest).exponent - 1).clamp(0, MAX_SHIFT).float()
    factor = torch.exp2(shift).view(-1, *[1] * (weight.dim() - 1))
    return (weight * factor).round().clamp(-LEVEL, LEVEL), shift


class ExactConv(nn.Conv2d):
    """A pointwise (kernel 1) or depthwise (kernel 3) integer convolution; `out_scale` (O,) are powers of two.

    Input: integers in [-LEVEL, LEVEL]; output: floor(out_scale * (w * x + b) + 1/2), not clamped.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, groups: int = 1, out_scale: Tensor | None = None):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups)
        self.register_buffer("out_scale", torch.ones(outputs) if out_scale is None else out_scale, persistent=False)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)

    def exact_weight(self) -> Tensor:
        """Weight as the codec uses it (O, I, k, k): multiples of 2^-shift, straight-through gradient."""
        integers, shift = quantise_weight(self.weight)
        exact = integers * torch.exp2(-shift).view(-1, 1, 1, 1)
        return (self.weight + (exact - self.weight).detach()) * self.out_scale.view(-1, 1, 1, 1)

    def exact_bias(self) -> Tensor:
        """Bias in output levels (O,), rounded to 1/BIAS_UNIT level before out_scale."""
        bias = self.bias * LEVELS_PER_UNIT
        exact = (bias * BIAS_UNIT).round() / BIAS_UNIT
        return (bias + (exact - bias).detach()) * self.out_scale

    def forward(self, x: Tensor, rate_bias: Tensor | None = None) -> Tensor:
        """x (B, I, H, W); `rate_bias` (B, O, 1, 1) in levels, multiples of 1/BIAS_UNIT, is added before rounding."""
        weight, bias = self.exact_weight(), self.exact_bias()
        y = F.conv2d(x, weight, bias + 0.5, padding=self.padding, groups=self.groups)
        return floor_ste(y if rate_bias is None else y + rate_bias)

    @torch.no_grad()
    def check_bound(self, name: str, extra_bias: float = 0.0) -> float:
        """Largest possible partial sum over EXACT_BOUND, rate bias of up to `extra_bias` levels included.

        Raises ModelError if it reaches 1: the layer would not be exact.
        """
        integers, shift = quantise_weight(self.weight)
        # Partial sums, in output levels before out_scale, are multiples of 1/unit: weights, biases and the rounding
        # constant 1/2 (which out_scale makes 1/(2 out_scale)) each have their own grid, all powers of two.
        unit = torch.maximum(torch.exp2(shift), 2 * self.out_scale).clamp(min=BIAS_UNIT)
        products = integers.abs().flatten(1).sum(1) * LEVEL * torch.exp2(-shift)
        bias = self.exact_bias().abs() / self.out_scale + extra_bias + 0.5
        sums = (products + bias) * unit
        ratio = float((sums / EXACT_BOUND).max())
        if ratio >= 1:
            raise ModelError(f"integer layer {name} can overflow: worst case {ratio:.2f} x 2^24")
        return ratio


def positive_levels(x: Tensor) -> Tensor:
    """Rectified activation: clamp to [0, LEVEL]."""
    return clamp_ste(x, 0, LEVEL)


def signed_levels(x: Tensor) -> Tensor:
    """Linear activation: clamp to [-LEVEL, LEVEL]."""
    return clamp_ste(x, -LEVEL, LEVEL)
