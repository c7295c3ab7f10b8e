"""How hard pictures are: what they cost a model that does not take part in the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vaecodec.model.file import ModelFile, load_model
from vaecodec.nets.torch.backend import load_vae
from vaecodec.nets.torch.distortion import distortion
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.gap import Costs
from vaecodec.training.validate import FLOOR, looked_at, to_batch

RATES = 4
"""So many rates of the model are looked at; in between its logarithms are taken for straight lines."""


def split_hardness(
    reference: str, store: PictureStore, lambdas: Sequence[float], metric: str, device: torch.device
) -> tuple[Costs, Costs]:
    """Of the held-out and of the training pictures that `validate` looks at; reference: name or path of a model."""
    model = load_model(reference)
    held_out, training = (hardness(model, crops, lambdas, metric, device) for crops in looked_at(store))
    return held_out, training


@torch.no_grad()
def hardness(
    model: ModelFile,
    crops: Sequence[NDArray[np.uint8]],
    lambdas: Sequence[float],
    metric: str,
    device: torch.device,
) -> Costs:
    """log2 of rate and distortion of crops (H, W, 3) uint8, sides multiples of 64, at the trade-offs `lambdas` of
    another model: (2, N, A). metric: the distortion of the run."""
    config = model.config
    t = torch.linspace(0, config.anchors - 1, RATES, device=device)
    looked_at = np.log2([config.lambda_at(anchor) for anchor in t.tolist()])
    vae, entropy = load_vae(model).to(device), EntropyModels(config).to(device).eval()
    found = []
    for crop in crops:
        x = to_batch(np.repeat(crop[None], RATES, 0), device)
        prediction = vae(x, t)
        # The bits of y stand for all: those of z would need the tables, and are a few per cent.
        bpp = entropy.latent_bits(prediction).sum(1) / (x.shape[2] * x.shape[3])
        found.append(torch.stack([bpp, distortion(metric, x, prediction.x_hat)]).clamp(min=FLOOR).log2().cpu().numpy())
    wanted = np.log2(lambdas)
    return np.apply_along_axis(lambda row: np.interp(wanted, looked_at, row), 2, np.stack(found, 1).astype(np.float64))
