"""Integer layers carried in float32: bit-exact on every device, at the speed of float convolutions.

Activations are integers in [-LEVEL, LEVEL]. Weights are 8-bit integers times a power of two for each output channel, so
every product and every partial sum is an integer times that power of two. As long as the integer stays below 2^24,
float32 addition is exact in any order. The layer ends with floor(sum + 1/2) and a clamp. Training runs the same
function with straight-through gradients (fake quantisation, Jacob et al. 2018), so the exported integers are the
trained ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecodec.bitstream.spec import BIAS_UNIT, EXACT_BOUND, LEVEL, LEVELS_PER_UNIT
from vaecodec.errors import ModelError

MAX_SHIFT = 12
"""The finest weights are multiples of 2^-MAX_SHIFT."""


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def round_ste(x: Tensor) -> Tensor:
    """round(x) with the gradient of the identity."""
    return _Round.apply(x)


class _Clamp(torch.autograd.Function):
    """A clamp that passes gradients which pull a saturated value back; a plain clamp would stop its gradient for ever.
    Straight-through for the preceding floor, if there is one."""

    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float, floor: bool, residual: Tensor | None) -> Tensor:
        y = x.floor() if floor else x
        if residual is not None:
            y = y + residual
        clamped = y.clamp(low, high)
        ctx.save_for_backward(y - clamped)
        ctx.has_residual = residual is not None
        return clamped

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        (excess,) = ctx.saved_tensors
        # Descent moves x against grad: above the range keep grad > 0, below it grad < 0.
        grad = grad.masked_fill(excess * grad < 0, 0)
        return grad, None, None, None, grad if ctx.has_residual else None


def clamp_ste(x: Tensor, low: float, high: float) -> Tensor:
    """clamp(x) with gradients where they lead back into the range."""
    return _Clamp.apply(x, low, high, False, None)


def floor_clamp(x: Tensor, low: float, high: float, residual: Tensor | None = None) -> Tensor:
    """clamp(floor(x) + residual, low, high) with straight-through gradients, including those that lead back into the
    range."""
    return _Clamp.apply(x, low, high, True, residual)


class _Exact(torch.autograd.Function):
    """Weights as the codec uses them, multiples of 2^-shift times `out_scale`; straight-through gradient."""

    @staticmethod
    def forward(ctx, weight: Tensor, out_scale: Tensor) -> Tensor:
        integers, shift = quantise_weight(weight)
        ctx.scale = out_scale.view(-1, *[1] * (weight.dim() - 1))
        return integers * torch.exp2(-shift).view_as(ctx.scale) * ctx.scale

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.scale, None


class _Product(torch.autograd.Function):
    """The matrix product of exact_product."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dtype, ctx.has_bias = dtype, bias is not None
        with torch.autocast(x.device.type, enabled=False):
            if bias is None:
                return x @ weight.mT
            return torch.addmm(bias, x, weight.mT) if x.dim() == 2 else torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = (tensor.to(ctx.dtype) for tensor in ctx.saved_tensors)
        g = grad.to(ctx.dtype)
        to_x = (g @ weight).to(grad.dtype) if ctx.needs_input_grad[0] else None
        to_weight = (g.mT @ x).to(grad.dtype) if ctx.needs_input_grad[1] else None
        return to_x, to_weight, grad.sum(-2) if ctx.has_bias else None, None


def _gradients_are_reduced(device: str) -> bool:
    """Whether gradients may have lower precision: under autocast, if there are gradients."""
    if not torch.is_grad_enabled():
        return False
    try:
        return torch.is_autocast_enabled(device)
    except TypeError:  # torch before 2.4
        return torch.is_autocast_cpu_enabled() if device == "cpu" else torch.is_autocast_enabled()


def exact_product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias: (..., N, O) from x (..., N, I), weight (..., O, I), bias (..., O); `...` is one axis or none.

    In float32, which holds the integers exactly; under autocast only the gradients have lower precision.
    """
    dtype = torch.bfloat16 if _gradients_are_reduced(x.device.type) else torch.float32
    return _Product.apply(x, weight, bias, dtype)


def quantise_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Real weight (O, ...) -> (integers in [-LEVEL, LEVEL], shift (O,)): weight ~ integers * 2^-shift."""
    largest = weight.detach().abs().flatten(1).amax(1).clamp(min=LEVEL * 2.0**-MAX_SHIFT)
    # The exponent of frexp is exact on every device, log2 is not.
    shift = (torch.frexp(LEVEL / largest).exponent - 1).clamp(0, MAX_SHIFT).float()
    factor = torch.exp2(shift).view(-1, *[1] * (weight.dim() - 1))
    return (weight * factor).round().clamp(-LEVEL, LEVEL), shift


class ExactConv(nn.Conv2d):
    """A pointwise (kernel 1) or depthwise (kernel 3) integer convolution; `out_scale` (O,) are powers of two.

    Input: integers in [-LEVEL, LEVEL]; output: out_scale * (w * x + b) + 1/2, which the activation floors.
    """

    bias: Tensor
    out_scale: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, groups: int = 1, out_scale: Tensor | None = None):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups)
        self.register_buffer("out_scale", torch.ones(outputs) if out_scale is None else out_scale, persistent=False)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)

    def exact_weight(self) -> Tensor:
        """Weight as the codec uses it (O, I, k, k): multiples of 2^-shift, straight-through gradient."""
        return _Exact.apply(self.weight, self.out_scale)

    def exact_bias(self) -> Tensor:
        """Bias in output levels (O,), rounded to 1/BIAS_UNIT level before out_scale."""
        return round_ste(self.bias * (LEVELS_PER_UNIT * BIAS_UNIT)) * (self.out_scale / BIAS_UNIT)

    def forward(self, x: Tensor, rate_bias: Tensor | None = None) -> Tensor:
        """x (B, I, H, W); `rate_bias` (B, O, 1, 1) in levels, multiples of 1/BIAS_UNIT, is added."""
        weight, bias = self.exact_weight(), self.exact_bias() + 0.5
        if self.groups == 1:
            b, _, h, w = x.shape
            rows = exact_product(x.permute(0, 2, 3, 1).flatten(0, 2), weight[:, :, 0, 0], bias)
            y = rows.reshape(b, h, w, -1).permute(0, 3, 1, 2)
        else:
            with torch.autocast(x.device.type, enabled=False):
                y = F.conv2d(x, weight, bias, padding=self.padding, groups=self.groups)
        return y if rate_bias is None else y + rate_bias

    @torch.no_grad()
    def check_bound(self, name: str, extra_bias: float = 0.0) -> float:
        """Largest possible partial sum over EXACT_BOUND, including a rate bias of up to `extra_bias` levels.

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


def positive_levels(x: Tensor, residual: Tensor | None = None) -> Tensor:
    """Rectified activation: floor and clamp to [0, LEVEL]."""
    return floor_clamp(x, 0, LEVEL, residual)


def signed_levels(x: Tensor) -> Tensor:
    """Linear activation: floor and clamp to [-LEVEL, LEVEL]."""
    return floor_clamp(x, -LEVEL, LEVEL)
