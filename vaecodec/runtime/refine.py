"""Refinement: latents of one image are moved, with the gradients of rate and distortion, to where they cost least.

What the analysis makes of an image is good on average, not the best for this image. Here every latent is drawn to the
integer below or above it with a probability that grows as one of them comes near, at a temperature that falls
(stochastic Gumbel annealing: Yang, Bamler and Mandt, "Improving Inference for Neural Image Compression", NeurIPS 2020),
while Adam moves it. The hyper latents stay: moved along, they gained less. Decoders know nothing of it.
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

from vaecodec.errors import BackendError
from vaecodec.model.distortion import MS_SSIM_MIN_SIZE, distortion, lambda_at
from vaecodec.model.exact import round_ste
from vaecodec.model.prior import split_slots
from vaecodec.model.vae import VAE
from vaecodec.rate import RatePosition
from vaecodec.runtime.nets import Float
from vaecodec.runtime.store import ModelFile
from vaecodec.runtime.torch import load_vae
from vaecodec.tiles import Rect

LEARNING_RATE = 0.02
"""Of Adam, in symbols; falls to zero by half a cosine."""
HOT, COLD = 0.5, 0.05
"""Temperatures of the first and the last step."""
LEAST_LIKELIHOOD = 1e-9


def gaussian_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits of residuals, whole or not, under Gaussians of deviations `scale` integrated over unit intervals."""
    magnitude = residual.abs()
    upper, lower = (torch.special.ndtr((half - magnitude) / scale) for half in (0.5, -0.5))
    return -torch.log2((upper - lower).clamp(min=LEAST_LIKELIHOOD))


def soft_round(x: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """A random number between the integers around x (...), nearly one of them where `temperature` is low."""
    floor = x.detach().floor()
    part = (x - floor).clamp(1e-4, 1 - 1e-4)
    noise = torch.rand(x.shape, generator=generator, device=x.device).clamp(1e-6, 1 - 1e-6)
    # The difference of two Gumbel variables is logistic.
    up = (torch.atanh(part) - torch.atanh(1 - part)) / temperature + torch.logit(noise)
    return floor + torch.sigmoid(up / temperature)


class Refiner:
    """Refines latents with the nets of a model; one image at a time, which takes all cores."""

    def __init__(self, model: ModelFile, device: str = "cpu", threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._vae: VAE = load_vae(model).to(torch.device(device)).requires_grad_(False)
        except (RuntimeError, AssertionError) as error:
            raise BackendError(f"torch cannot use device {device!r}: {error}".splitlines()[0]) from error
        self._metric = "ms-ssim" if model.config.name.endswith("ms-ssim") else "mse"
        if self._metric == "ms-ssim" and not importlib.util.find_spec("pytorch_msssim"):
            raise BackendError("refining latents for MS-SSIM needs pytorch-msssim: pip install 'vaecodec[train]'")
        # Only where the processor has instructions for it is bfloat16 quicker.
        self._bf16 = device != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
        self._lock = threading.Lock()

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        area: Rect,
        v: Float,
        free: Rect,
        z: NDArray[np.int32],
        rate: RatePosition,
        steps: int,
        progress: Callable[[float], None] | None = None,
    ) -> Float:
        """Normalised latents v (N, M, h, w) and their hyper symbols z (N, Z, ceil(h/4), ceil(w/4)) -> other v.

        pixels (N, H, W, 3): those whose distortion counts, `area` of what v decodes to; free: positions whose latents
        may move.
        """
        parts = []
        for number in range(len(v)):
            at = slice(number, number + 1)

            def report(share: float, number: int = number) -> None:
                if progress:
                    progress((number + share) / len(v))

            with self._lock:
                parts.append(self._refine(pixels[at], area, v[at], free, z[at], rate, steps, report))
        return np.concatenate(parts)

    def _refine(
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
        vae, device = self._vae, self._vae.norm.device
        height, width = pixels.shape[1:3]
        if self._metric == "ms-ssim" and min(height, width) < MS_SSIM_MIN_SIZE:
            return v  # too small for its five scales
        t = torch.full((1,), rate.t, device=device)
        x = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2).float() / 255 - 0.5
        gain = vae.symbols_per_v(t)
        weight = lambda_at(vae.config, t) * height * width

        def cost(y: Tensor, temperature: float | None = None) -> Tensor:
            """Bits, and distortion in what it is worth in bits; of the codec itself if there is no temperature."""

            def rounding(residual: Tensor, step: int) -> Tensor:
                if temperature is None:
                    return residual.round()
                soft = soft_round(residual, temperature, generator)
                return torch.where(moving[step], soft, round_ste(residual))

            with torch.autocast(device.type, torch.bfloat16, enabled=self._bf16 and temperature is not None):
                y_hat, means, scales = vae.context(y, features, gain, t, rounding)
                x_hat = vae.synthesis(y_hat / gain, t)[(..., *area.slices)].float().clamp(-0.5, 0.5)
            bits = gaussian_bits(y_hat - means, scales).sum()
            return bits + weight * distortion(self._metric, x, x_hat).sum()

        mask = torch.zeros(v.shape, device=device, dtype=torch.bool)
        mask[(..., *free.slices)] = True
        moving = split_slots(mask)
        generator = torch.Generator(device).manual_seed(0)
        with torch.no_grad():
            features = vae.features(torch.from_numpy(z).to(device).float(), t)[..., : v.shape[2], : v.shape[3]]
            start = torch.from_numpy(v).to(device) * gain
            before = cost(start)
        y = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([y], LEARNING_RATE)
        for step in range(steps):
            share = step / steps
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * share))
            (y.grad,) = torch.autograd.grad(cost(y, HOT * (COLD / HOT) ** share), y)
            y.grad *= mask
            optimizer.step()
            report((step + 1) / steps)
        with torch.no_grad():
            better = cost(y) < before
            return ((y if better else start) / gain).cpu().numpy()
