"""Entropy models for training, from compressai: bits of the quantised latents under the prior."""

from __future__ import annotations

import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor, nn

from vaecodec.bitstream.spec import HYPER_LIMIT, SCALE_MIN
from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.vae import Prediction


class EntropyModels(nn.Module):
    """A factorized density for z, one for each rate anchor (Balle et al. 2018), and conditional Gaussians for y.

    Samples of a batch cycle through the rate anchors: sample i is coded with the density of anchor i modulo A. In
    training mode uniform noise replaces rounding, which makes the bits a differentiable bound (the KL term of a VAE
    with a uniform posterior); in evaluation mode symbols are rounded.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.anchors, self.hyper_latents = config.anchors, config.hyper_latents
        self.bottleneck = EntropyBottleneck(config.anchors * config.hyper_latents, init_scale=6)
        # Medians stay at zero: symbols are plain integers, so compressai's learned quantiles are unused.
        self.bottleneck.quantiles.requires_grad_(False)
        self.gaussian = GaussianConditional(None, scale_bound=SCALE_MIN)

    def forward(self, prediction: Prediction) -> tuple[Tensor, Tensor]:
        """Bits of z and of y for each sample: two tensors (B,)."""
        return self.hyper_bits(prediction).sum(1), self.latent_bits(prediction).sum(1)

    def hyper_bits(self, prediction: Prediction) -> Tensor:
        """Bits of z for each sample and channel: (B, Z)."""
        z = prediction.hyper_latents
        b, _, h, w = z.shape
        _, likelihood = self.bottleneck(z.reshape(b // self.anchors, -1, h, w), training=self.training)
        return -likelihood.log2().reshape(b, self.hyper_latents, -1).sum(2)

    def latent_bits(self, prediction: Prediction) -> Tensor:
        """Bits of y for each sample and channel: (B, M)."""
        _, likelihood = self.gaussian(prediction.latents, prediction.scales, prediction.means, training=self.training)
        return -likelihood.log2().flatten(2).sum(2)

    def hyper_probabilities(self) -> Tensor:
        """Probability of each hyper symbol -HYPER_LIMIT..HYPER_LIMIT: (A, Z, 2 * HYPER_LIMIT + 1)."""
        device = self.bottleneck.quantiles.device
        symbols = torch.arange(-HYPER_LIMIT, HYPER_LIMIT + 1, dtype=torch.float32, device=device)
        grid = symbols.view(1, 1, -1, 1).expand(1, self.anchors * self.hyper_latents, -1, 1).contiguous()
        _, likelihood = self.bottleneck(grid, training=False)
        return likelihood.reshape(self.anchors, self.hyper_latents, -1)

    def fit(self, probabilities: Tensor, steps: int = 300, learning_rate: float = 0.03) -> float:
        """Fit the densities of z to probabilities (A, Z, 2 * HYPER_LIMIT + 1), for a warm start from integer tables.

        Returns the mean remaining divergence, in bits per symbol.
        """
        optimizer = torch.optim.Adam([p for p in self.parameters() if p.requires_grad], learning_rate)
        entropy = -(probabilities * probabilities.clamp(min=1e-12).log2()).sum(-1).mean()
        for _ in range(steps):
            loss = -(probabilities * self.hyper_probabilities().log2()).sum(-1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float((loss - entropy).detach())
