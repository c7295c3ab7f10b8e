"""Initialise a model from one of other sizes: more latents, a shortcut around the residual blocks, narrower blocks. The
old part computes the same as before; the new latents take the directions of its largest errors."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from vaecodec.bitstream.spec import PATCH
from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.blocks import space_to_depth
from vaecodec.nets.torch.vae import VAE, theoretical_gain
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.validate import to_batch

TYPICAL_ERROR = 4 / 255**2
"""Crops with a larger mean squared error weigh in inverse proportion: otherwise a few of noise would dominate."""


def can_become(old: ModelConfig, new: ModelConfig) -> bool:
    """Whether `new` differs from `old` only by name and purpose, more latents, a shortcut (which new latents need), and
    a smaller expansion in the blocks."""
    if new.latents < old.latents or new.shortcut < (old.shortcut or new.latents > old.latents):
        return False
    free = {name: getattr(new, name) for name in ("name", "trained_for", "latents", "shortcut", "expansion")}
    return new.expansion <= old.expansion and new == dataclasses.replace(old, **free)


def _places(old: int, new: int, before: int, after: int) -> list[int]:
    """Indices of the `old` channels among the `new`: leading other channels, then one or two runs of latents, which
    grow from `before` to `after`."""
    runs = (new - old) // (after - before)
    others = old - runs * before
    return [*range(others)] + [others + run * after + i for run in range(runs) for i in range(before)]


@torch.no_grad()
def grow(small: VAE, large: VAE, sampler: CropSampler | None, batches: int = 64) -> None:
    """Set `large` from `small`; `sampler` provides pictures for the directions of new latents, if any."""
    before, after = small.config.latents, large.config.latents
    old = small.state_dict()
    for name, target in large.named_parameters():
        if name not in old:
            continue  # the shortcut, zero at the start
        source = old[name]
        if target.shape == source.shape:
            target.copy_(source)
            continue
        if not name.endswith(".out.bias"):  # new latents start unused, with the deviation of a normalised latent
            target.zero_()
        [axis] = (d for d in range(source.dim()) if source.shape[d] != target.shape[d])
        places = _places(source.shape[axis], target.shape[axis], before, after)
        target.index_copy_(axis, torch.tensor(places, device=target.device), source.to(target.device))
    if after > before:
        assert sampler is not None
        _new_directions(small, large, *_misses(small, sampler, batches))


def _misses(vae: VAE, sampler: CropSampler, batches: int) -> tuple[Tensor, Tensor]:
    """Covariance (768, 768) of 16x16 RGB patches, and the cross-covariance of the errors of `vae` at its highest rate
    with them."""
    device = vae.norm.device
    x_x = torch.zeros(3 * PATCH**2, 3 * PATCH**2, dtype=torch.float64, device=device)
    miss_x, count = torch.zeros_like(x_x), 0
    for _ in range(batches):
        x = to_batch(sampler.batch(32, 128), device)
        t = torch.full((len(x),), vae.config.anchors - 1.0, device=device)
        miss = x - vae.synthesis(vae.analysis(x, t) * vae.norm.exp2()[:, None, None], t)
        weight = (1 + miss.square().mean((1, 2, 3), keepdim=True) / TYPICAL_ERROR).rsqrt()
        pair = [space_to_depth(v * weight, PATCH).permute(0, 2, 3, 1).flatten(0, 2).double() for v in (x, miss)]
        x_x += pair[0].T @ pair[0]
        miss_x += pair[1].T @ pair[0]
        count += len(pair[0])
    return x_x / count, miss_x / count


def _new_directions(small: VAE, large: VAE, x_x: Tensor, miss_x: Tensor) -> None:
    """Reduced-rank regression of the errors on the patches: the weights of the new latents in the shortcuts, and their
    gains."""
    first = small.config.latents
    ridge = 1e-7 * x_x.trace() * torch.eye(len(x_x), dtype=x_x.dtype, device=x_x.device) / len(x_x)
    predict = torch.linalg.solve(x_x + ridge, miss_x.T).T
    values, vectors = torch.linalg.eigh(predict @ x_x @ predict.T)
    synthesis = vectors[:, -(large.config.latents - first) :].flip(1)
    deviation = values[-synthesis.shape[1] :].flip(0).clamp(min=0).sqrt()
    gain = theoretical_gain(large.config, x_x.device).double()
    norm = -torch.log2(torch.sqrt(deviation**2 + (1 / gain.max()) ** 2))
    large.norm[first:] = norm.float()
    large.gain[:, first:] = (torch.log2(gain)[:, None] - norm).float()
    forth, back = large.analysis.shortcut, large.synthesis.shortcut
    assert forth is not None  # new latents require it, see can_become
    assert back is not None
    forth.weight[first:] = (synthesis.T @ predict)[:, :, None, None].float()
    back.weight[:, first:] = (synthesis * norm.neg().exp2())[:, :, None, None].float()
