"""The variational autoencoder: the four nets, the gains between them, and the forward pass of training.

Units. y: outputs of the analysis. v = y * 2^norm: normalised latents, about unit variance. Symbols: v * 2^gain(rate),
which are rounded and coded. z: hyper latents; their symbols are z * 2^hyper_gain(rate).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vaecodec.bitstream.spec import (
    HYPER_LIMIT,
    INDEX_UNIT,
    LEVELS_PER_UNIT,
    MEAN_UNIT,
    OCTAVE,
    SCALE_MIN,
    SCALES,
    SCALES_PER_OCTAVE,
    STEPS,
    SYMBOL_UNIT,
)
from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.blocks import interpolate_anchors
from vaecodec.nets.torch.exact import clamp_ste, floor_clamp, round_ste, signed_levels
from vaecodec.nets.torch.prior import Prior, join_slots, split_slots
from vaecodec.nets.torch.transforms import AnalysisTransform, HyperAnalysis, SynthesisTransform


def on_grid(log2: Tensor) -> Tensor:
    """Round log2 gains to their stored units, 1/OCTAVE octave."""
    return round_ste(log2 * OCTAVE) / OCTAVE


def theoretical_gain(config: ModelConfig, device: torch.device) -> Tensor:
    """Symbols per unit of a latent (A,): from the optimal step size of a linear orthonormal transform at each lambda,
    step^2 = 18 / (lambda ln 2) on the 0..255 scale."""
    lambdas = torch.tensor(config.lambdas, device=device)
    return 255 / torch.sqrt(18 / (lambdas * math.log(2)))


def symbol_means(mean: Tensor, gain: Tensor) -> Tensor:
    """Emitted means -> means in symbols, multiples of 1/SYMBOL_UNIT."""
    return round_ste(mean * (gain * (SYMBOL_UNIT / MEAN_UNIT))) / SYMBOL_UNIT


@dataclass
class Prediction:
    """The result of one forward pass; all symbols in symbol units.

    x_hat (B, 3, H, W); latents, means, scales (B, M, h, w): y in symbols before rounding and its Gaussian prior;
    hyper_latents (B, Z, h/4, w/4): z in symbols before rounding; y_hat (B, M, h, w): quantised symbols.
    """

    x_hat: Tensor
    latents: Tensor
    means: Tensor
    scales: Tensor
    hyper_latents: Tensor
    y_hat: Tensor

    @property
    def symbols(self) -> Tensor:
        """The coded symbols (B, M, h, w), whole numbers in float32."""
        return torch.round(self.y_hat - self.means)

    @property
    def scale_index(self) -> Tensor:
        """The table index of each symbol (B, M, h, w), int64."""
        return torch.round(torch.log2(self.scales / SCALE_MIN) * SCALES_PER_OCTAVE).long()


class VAE(nn.Module):
    """Variable-rate VAE with an exact hyperprior and space-channel context."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = AnalysisTransform(config)
        self.synthesis = SynthesisTransform(config)
        self.hyper_analysis = HyperAnalysis(config)
        self.prior = Prior(config)
        self.norm = nn.Parameter(torch.zeros(config.latents))
        self.gain = nn.Parameter(torch.zeros(config.anchors, config.latents))
        self.hyper_gain = nn.Parameter(torch.zeros(config.anchors, config.hyper_latents))

    @torch.no_grad()
    def initialise_linear(self, basis: Tensor, std: Tensor, block: Tensor) -> None:
        """Start as a transform codec. Rows of `basis` (M, 768) are the 16x16 block transform and `std` (M,) their
        deviations; rows of `block` (C, 192) are the 8x8 transform that feeds the residual blocks.

        Patches are flattened in space_to_depth order.
        """
        gain = theoretical_gain(self.config, basis.device)
        # Channels far below the finest step are normalised by the step instead: their symbols are rarely nonzero.
        self.norm.copy_(-torch.log2(torch.sqrt(std**2 + (1 / gain.max()) ** 2)))
        self.gain.copy_(torch.log2(gain)[:, None] - self.norm)
        inverse = torch.linalg.pinv(block)
        m, c = self.config.latents, self.config.channels
        # A 16x16 patch is four 8x8 blocks: (2, 8, 2, 8, 3) -> (2, 2, 8, 8, 3).
        quads = basis.reshape(m, 2, 8, 2, 8, 3).transpose(2, 3).reshape(m, 4, 192)
        self.analysis.stem.weight.copy_(block[:, :, None, None])
        self.analysis.head.weight.copy_((quads @ inverse).reshape(m, 4 * c, 1, 1))
        y_per_v = self.norm.neg().exp2()[:, None, None]
        self.synthesis.stem.weight.copy_((quads * y_per_v @ block.T).reshape(m, 4 * c).T[:, :, None, None])
        self.synthesis.head.weight.copy_(inverse[:, :, None, None])
        # Corrections to the picture shrink with the steps: start with half of the 5 octaves of the steps.
        octaves = torch.linspace(1.0, -1.5, self.config.anchors, device=basis.device)
        self.synthesis.blocks.rate.copy_(octaves[:, None, None].expand_as(self.synthesis.blocks.rate))

    @torch.no_grad()
    def initialise_hyper(self, x: Tensor) -> None:
        """Scale the hyper latents to two symbols of standard deviation on a batch x (B, 3, H, W), so that the prior
        can use them from the start."""
        t = torch.full((len(x),), (self.config.anchors - 1) / 2, device=x.device)
        v = self.analysis(x, t) * on_grid(self.norm)[:, None, None].exp2()
        factor = 1 / self.hyper_analysis(v, t).std(0).mean((1, 2))
        self.hyper_analysis.head.weight.mul_(factor[:, None, None, None])
        self.hyper_analysis.head.bias.mul_(factor)
        self.hyper_gain.fill_(1.0)

    def symbols_per_v(self, t: Tensor) -> Tensor:
        """Gain from normalised latents to symbols (B, M, 1, 1)."""
        return interpolate_anchors(on_grid(self.gain), t).exp2()

    def symbols_per_z(self, t: Tensor) -> Tensor:
        """Gain from z to hyper symbols (B, Z, 1, 1)."""
        return interpolate_anchors(on_grid(self.hyper_gain), t).exp2()

    def forward(self, x: Tensor, t: Tensor, autocast: bool = False) -> Prediction:
        """x (B, 3, H, W) RGB in [-0.5, 0.5], H and W multiples of 64; t (B,) anchors in [0, A-1].

        `autocast` runs the float transforms in bfloat16; the prior is always float32 (only there it is exact).
        """
        device = x.device.type
        norm = on_grid(self.norm)[:, None, None].exp2()
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            y = self.analysis(x, t).float()
            z = self.hyper_analysis(y * norm, t).float()
        gain = self.symbols_per_v(t)
        latents = y * norm * gain
        hyper_latents = clamp_ste(z * self.symbols_per_z(t), -HYPER_LIMIT, HYPER_LIMIT)
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            features = self.features(round_ste(hyper_latents), t)
            y_hat, means, scales = self.context(latents, features, gain, t)
            x_hat = self.synthesis(y_hat / gain, t).float()
        return Prediction(x_hat, latents, means, scales, hyper_latents, y_hat)

    def features(self, z_hat: Tensor, t: Tensor) -> Tensor:
        """Hyper symbols (B, Z, h/4, w/4) -> features (B, H, h, w) for the context steps, in levels."""
        return self.prior.features(signed_levels(z_hat / self.symbols_per_z(t) * LEVELS_PER_UNIT + 0.5), t)

    def context(self, latents: Tensor, features: Tensor, gain: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the context steps with fake quantisation: (y_hat, means, scales), all (B, M, h, w) in symbols."""
        gains = [slot[..., :1, :1] for slot in split_slots(gain.expand(-1, -1, 2, 2))]  # of one quad, for all quads
        decoded: list[Tensor] = []
        slots: list[tuple[Tensor, Tensor, Tensor]] = []
        for step, (y, g) in enumerate(zip(split_slots(latents), gains, strict=True)):
            mean, index = self.prior.step(step, features, decoded, t)
            mean = symbol_means(mean, g)
            index = floor_clamp(index / INDEX_UNIT + g.log2() * SCALES_PER_OCTAVE, 0, SCALES - 1)
            scale = SCALE_MIN * torch.exp2(index / SCALES_PER_OCTAVE)
            # Index 0 means "certainly zero": the codec does not code such latents but uses their means.
            y_hat = torch.where(index >= 1, round_ste(y - mean), 0) + mean
            slots.append((y_hat, mean, scale))
            if step < STEPS - 1:
                decoded.append(signed_levels(y_hat * (LEVELS_PER_UNIT / g) + 0.5))
        y_hat, means, scales = (join_slots(list(parts)) for parts in zip(*slots, strict=True))
        return y_hat, means, scales
