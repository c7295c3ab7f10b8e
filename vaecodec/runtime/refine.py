"""Refinement: latents of one image are moved, with the gradients of rate and distortion, to where they cost least.

What the analysis makes of an image is good on average, not the best for this image. Here every latent is drawn to the
integer below or above it with a probability that grows as one of them comes near, at a temperature that falls
(stochastic Gumbel annealing: Yang, Bamler and Mandt, "Improving Inference for Neural Image Compression", NeurIPS 2020),
while Adam moves it. The hyper latents stay: moved along, they gained less. Means and scales are taken for constant and
computed anew every few steps: their gradients, more than half of the work, gained nothing. Decoders know nothing of it.
"""

from __future__ import annotations

import importlib.util
import math
import threading
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaecodec.config import SCALE_MIN
from vaecodec.errors import BackendError
from vaecodec.model.distortion import MS_SSIM_MIN_SIZE, distortion, lambda_at
from vaecodec.rate import RatePosition
from vaecodec.runtime.nets import Float
from vaecodec.runtime.store import ModelFile
from vaecodec.runtime.torch import load_vae_on
from vaecodec.tiles import Rect

LEARNING_RATE = 0.04
"""Of Adam, in symbols; falls to zero by half a cosine."""
HOT, COLD = 0.6, 0.15
"""Temperatures of the first and the last step."""
REFRESH = 8
"""Steps for which means and scales are kept."""
LEAST_LIKELIHOOD = 1e-9


class _GaussianBits(torch.autograd.Function):
    """Written out, since half of a step would otherwise go into passes over small arrays."""

    @staticmethod
    def forward(ctx, residual: Tensor, scale: Tensor) -> Tensor:
        magnitude = residual.abs()
        upper, lower = (0.5 - magnitude).div_(scale), magnitude.add_(0.5).neg_().div_(scale)
        likelihood = (torch.special.ndtr(upper) - torch.special.ndtr(lower)).clamp_(min=LEAST_LIKELIHOOD)
        ctx.save_for_backward(residual, scale, upper, lower, likelihood)
        return likelihood.log2().neg_()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        residual, scale, upper, lower, likelihood = ctx.saved_tensors
        above, below = (x.square().mul_(-0.5).exp_() for x in (upper, lower))
        # Derivatives of the likelihood are these densities over sqrt(2 pi) and the scale.
        factor = (likelihood * scale).mul_(math.log(2) * math.sqrt(2 * math.pi)).reciprocal_().mul_(grad)
        return above.sub_(below).mul_(factor).mul_(residual.sign()), None


def gaussian_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits of residuals, whole or not, under Gaussians of given deviations `scale`, integrated over unit intervals."""
    return _GaussianBits.apply(residual, scale)


class _SoftRound(torch.autograd.Function):
    """Likewise. With `part` of the way to the upper neighbour behind it, a number goes there with the logit
    (atanh(part) - atanh(1 - part)) / temperature; the choice is relaxed (Maddison, Mnih and Teh, 2017; Jang, Gu and
    Poole, 2017) by logistic noise, the difference of two Gumbel variables, at the same temperature."""

    @staticmethod
    def forward(ctx, x: Tensor, temperature: float, uniform: Tensor) -> Tensor:
        floor = x.floor()
        part = (x - floor).clamp_(1e-4, 1 - 1e-4)
        rest = 1 - part
        up, down = (1 + part).mul_(part), (1 + rest).mul_(rest)
        noise = uniform.clamp_(1e-6, 1 - 1e-6).logit_()
        weight = torch.log_(up.div_(down)).mul_(0.5 / temperature).add_(noise).div_(temperature).sigmoid_()
        ctx.save_for_backward(part, weight)
        ctx.temperature = temperature
        return floor.add_(weight)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        part, weight = ctx.saved_tensors
        square = part.square()
        slope = (1 - square).reciprocal_().add_((2 * part).sub_(square).reciprocal_())
        return slope.mul_(weight).mul_(1 - weight).mul_(grad).div_(ctx.temperature**2), None, None


def soft_round(x: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """A random number between the integers around x (...), nearly one of them where `temperature` is low."""
    uniform = torch.rand(x.shape, generator=generator, device=x.device)
    return _SoftRound.apply(x, temperature, uniform)


class Refiner:
    """Refines latents with the nets of a model, one image at a time (`lock`): each takes all cores and much memory."""

    def __init__(self, model: ModelFile, device: str = "cpu", threads: int | None = None) -> None:
        self._vae = load_vae_on(model, device, threads).requires_grad_(False)
        self._metric = model.config.metric
        if self._metric == "ms-ssim" and not importlib.util.find_spec("pytorch_msssim"):
            raise BackendError("refining latents for MS-SSIM needs pytorch-msssim: pip install 'vaecodec[train]'")
        # Only where the processor has instructions for it is bfloat16 quicker.
        mkldnn = torch.backends.mkldnn.is_available()
        self._bf16 = device != "cpu" or (mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
        self.lock = threading.Lock()

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        area: Rect,
        v: Float,
        free: Rect,
        z: NDArray[np.int32],
        rate: RatePosition,
        steps: int,
        report: Callable[[float], None],
    ) -> Float:
        """Normalised latents v (M, h, w) and their hyper symbols z (Z, ceil(h/4), ceil(w/4)) -> other v.

        pixels (H, W, 3): those whose distortion counts, `area` of what v decodes to; free: positions whose latents may
        move; report: called with the share of the steps that is done.
        """
        if self._metric == "ms-ssim" and min(pixels.shape[:2]) < MS_SSIM_MIN_SIZE:
            return v  # too small for its five scales
        vae, device = self._vae, self._vae.norm.device
        height, width = pixels.shape[:2]
        t = torch.full((1,), rate.t, device=device)
        x = torch.tensor(pixels, device=device).permute(2, 0, 1)[None].float() / 255 - 0.5
        gain = vae.symbols_per_v(t)
        weight = lambda_at(vae.config, t) * height * width

        def cost(y_hat: Tensor, means: Tensor, scales: Tensor, bf16: bool = False) -> Tensor:
            """Bits, and distortion in what it is worth in bits."""
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                x_hat = vae.synthesis(y_hat / gain, t)[(..., *area.slices)].float().clamp(-0.5, 0.5)
            bits = gaussian_bits(y_hat - means, scales).sum()
            return bits + weight * distortion(self._metric, x, x_hat).sum()

        mask = torch.zeros((1, *v.shape), device=device, dtype=torch.bool)
        mask[(..., *free.slices)] = True
        generator = torch.Generator(device).manual_seed(0)
        with torch.no_grad():
            features = vae.features(torch.from_numpy(z[None]).to(device).float(), t)[..., : v.shape[1], : v.shape[2]]
            start = torch.from_numpy(v[None]).to(device) * gain
            before = cost(*vae.context(start, features, gain, t))
        y = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([y], LEARNING_RATE)
        for step in range(steps):
            share = step / steps
            if step % REFRESH == 0:
                with torch.no_grad():
                    y_hat, means, scales = vae.context(y, features, gain, t)
                    # What is not coded takes its mean; what must not move is rounded.
                    moving = mask & (scales > SCALE_MIN)
            soft = soft_round(y - means, HOT * (COLD / HOT) ** share, generator) + means
            loss = cost(torch.where(moving, soft, y_hat), means, scales, self._bf16)
            (y.grad,) = torch.autograd.grad(loss, y)
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * share))
            optimizer.step()
            report((step + 1) / steps)
        with torch.no_grad():
            better = cost(*vae.context(y, features, gain, t)) < before
            return ((y if better else start) / gain)[0].cpu().numpy()
