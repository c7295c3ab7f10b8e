"""The distributions of latents around their means, which shape the tables that code them.

Training treats every latent as a Gaussian with the scale that the prior predicts. Its actual distribution has heavier
tails at every scale: a scale mixture of Gaussians (Andrews and Mallows, JRSS B 1974), with weights fitted to the
symbols of training pictures by expectation maximisation. The tables are data in the model file: this costs a decoder
nothing.
"""

from __future__ import annotations

import numpy as np
import torch

from vaecodec.bitstream.spec import SCALES
from vaecodec.bitstream.tables import gaussian_masses, latent_radius
from vaecodec.nets.torch.vae import VAE
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.validate import to_batch

LARGEST = latent_radius(SCALES - 1)
PRIOR_COUNT = 100.0
"""Pseudocount of Gaussian symbols for each scale index: with few observations the table stays close to a Gaussian."""


@torch.no_grad()
def count_symbols(vae: VAE, sampler: CropSampler, batches: int = 32, size: int = 256) -> np.ndarray:
    """Symbols of each scale index by magnitude: (SCALES, LARGEST + 2), magnitudes 0..LARGEST and all beyond.

    Eight crops per batch, at rates spread evenly over the model's range.
    """
    device, anchors = vae.norm.device, vae.config.anchors
    counts = np.zeros((SCALES, LARGEST + 2), np.int64)
    vae.eval()
    for batch in range(batches):
        x = to_batch(sampler.batch(8, size), device)
        t = (torch.arange(8, device=device) + (batch + 0.5) / batches) / 8 * (anchors - 1)
        prediction = vae(x, t)
        index, magnitude = prediction.scale_index, prediction.symbols.abs().long().clamp(max=LARGEST + 1)
        places = (index * (LARGEST + 2) + magnitude)[index > 0]  # index 0 is not coded
        counts += torch.bincount(places, minlength=counts.size).cpu().numpy().reshape(counts.shape)
    vae.train()
    return counts


def fit_mixtures(counts: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Weights (SCALES, SCALES) of the Gaussians of all scale indices in each index's mixture, from `count_symbols`."""
    weights = np.eye(SCALES)
    for index in range(1, SCALES):
        radius = latent_radius(index)
        seen = np.append(counts[index, : radius + 1], counts[index, radius + 1 :].sum())
        # Some mass on the escape at all scales keeps the log-likelihood finite.
        masses = np.stack([gaussian_masses(i, radius) for i in range(SCALES)]) + 1e-12
        mixture = np.full(SCALES, 1 / SCALES)
        for _ in range(rounds):
            shares = mixture[:, None] * masses
            responsible = (shares / shares.sum(0) * seen).sum(1)
            responsible[index] += PRIOR_COUNT
            mixture = responsible / responsible.sum()
        weights[index] = np.where(mixture > 1e-6, mixture, 0)
        weights[index] /= weights[index].sum()
    return weights
