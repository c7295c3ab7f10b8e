"""Narrow the feed-forward layers of the transform blocks: keep the hidden channels that best predict the output, and
refit the output by least squares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vaecodec.nets.torch.blocks import Block
from vaecodec.nets.torch.vae import VAE
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.validate import to_batch


@torch.no_grad()
def narrow(wide: VAE, expansion: int, sampler: CropSampler, batches: int = 6) -> VAE:
    """A copy of `wide` with hidden layers of a smaller `expansion`; `sampler` provides pictures for the fit."""
    vae = VAE(dataclasses.replace(wide.config, expansion=expansion)).to(wide.norm.device)
    hidden = expansion * wide.config.channels
    state = wide.state_dict()
    for net in ("analysis", "synthesis"):
        layers = getattr(wide, net).blocks.layers
        for i, (block, moments) in enumerate(zip(layers, _hidden_moments(wide, layers, sampler, batches), strict=True)):
            kept, weight, bias = _reduced(block, moments, hidden)
            name = f"{net}.blocks.layers.{i}"
            for part in ("weight", "bias"):
                state[f"{name}.expand.{part}"] = state[f"{name}.expand.{part}"][kept]
            state[f"{name}.contract.weight"], state[f"{name}.contract.bias"] = weight, bias
    vae.load_state_dict(state)
    return vae


def _hidden_moments(vae: VAE, blocks: Iterable[Block], sampler: CropSampler, batches: int) -> list[Tensor]:
    """Second moments (hidden + 1, hidden + 1) of the hidden channels of each block and a constant 1."""
    moments: dict[nn.Module, Tensor] = {}

    def see(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        rows = inputs[0].permute(0, 2, 3, 1).flatten(0, 2).double()
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
        moments[layer] = moments.get(layer, 0) + rows.T @ rows

    hooks = [block.contract.register_forward_pre_hook(see) for block in blocks]
    device = vae.norm.device
    for _ in range(batches):
        x = to_batch(sampler.batch(16, 128), device)
        t = torch.linspace(0, vae.config.anchors - 1, len(x), device=device)
        vae.synthesis(vae.analysis(x, t) * vae.norm.exp2()[:, None, None], t)
    for hook in hooks:
        hook.remove()
    return [moments[block.contract] / moments[block.contract][-1, -1] for block in blocks]


def _reduced(block: Block, moments: Tensor, hidden: int) -> tuple[list[int], Tensor, Tensor]:
    """The `hidden` channels to keep of a block, and weight and bias of its last layer refitted to them.

    Forward selection: each added channel leaves, with those before it, the least of the output unexplained.
    """
    constant = len(moments) - 1
    weight = torch.cat([block.contract.weight[:, :, 0, 0], block.contract.bias[:, None]], 1).double()
    rest, kept = moments, list[int]()
    for _ in range(hidden + 1):
        if kept:
            gain = (weight @ rest).square().sum(0) / rest.diagonal().clamp(min=1e-12)
            gain[kept] = -1
            kept.append(int(gain.argmax()))
        else:
            kept.append(constant)
        column = rest[:, kept[-1:]]
        rest = rest - column @ column.T / column[kept[-1]].clamp(min=1e-12)
    kept = [*sorted(kept[1:]), constant]
    inner = moments[kept][:, kept]
    inner += 1e-9 * inner.diagonal().mean() * torch.eye(len(kept), dtype=inner.dtype, device=inner.device)
    fitted = torch.linalg.solve(inner, (weight @ moments[:, kept]).T).T.float()
    return kept[:-1], fitted[:, :-1, None, None], fitted[:, -1]
