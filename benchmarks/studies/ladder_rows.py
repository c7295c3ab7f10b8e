"""The rows of the ladder (benchmarks/studies/ladder.py): the change of each run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vaecodec.nets.torch.blocks import space_to_depth
from vaecodec.nets.torch.prior import Prior
from vaecodec.nets.torch.vae import VAE
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.loop import Trainer

PARTS = {"prior": "prior", "transforms": "reference", "training": "trained"}
"""The parts of the ladder, and the reference row of each part."""


@dataclass(frozen=True)
class Row:
    """One run: its differences from the reference of its part. They are in its configuration, its options, names
    replaced while it runs, or a change to the trainer before it starts (which may return one to make afterwards)."""

    name: str
    what: str
    part: str = "training"
    config: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    patches: dict[str, object] = field(default_factory=dict)
    prepare: Callable[[Trainer], Callable[[], None] | None] = lambda trainer: None

    @property
    def reference(self) -> str:
        return PARTS[self.part]


# Initial transforms instead of the Karhunen-Loeve transform.


def _deviations(sampler: CropSampler, patch: int, basis: Tensor) -> Tensor:
    x = torch.from_numpy(sampler.batch(64, 128)).permute(0, 3, 1, 2) / 255 - 0.5
    return (space_to_depth(x, patch).permute(0, 2, 3, 1).reshape(-1, basis.shape[1]) @ basis.T).square().mean(0).sqrt()


def _leading(sampler: CropSampler, patch: int, basis: Tensor, components: int) -> tuple[Tensor, Tensor]:
    std = _deviations(sampler, patch, basis)
    order = std.argsort(descending=True)[:components]
    return basis[order], std[order]


def _separable(sampler: CropSampler, patch: int, components: int, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal separable transform of rows and columns, after one of the three colours (luma first)."""
    colour = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
    colour /= colour.norm(dim=1, keepdim=True)
    basis = torch.einsum("ai,bj,ck->abcijk", matrix, matrix, colour).reshape(3 * patch**2, -1)
    return _leading(sampler, patch, basis, components)


def dct(sampler: CropSampler, patch: int, components: int) -> tuple[Tensor, Tensor]:
    n = torch.arange(patch, dtype=torch.float32)
    matrix = torch.cos(math.pi / patch * (n + 0.5) * n[:, None]) * math.sqrt(2 / patch)
    matrix[0] /= math.sqrt(2)
    return _separable(sampler, patch, components, matrix)


def haar(sampler: CropSampler, patch: int, components: int) -> tuple[Tensor, Tensor]:
    matrix = torch.ones(1, 1)
    while len(matrix) < patch:
        low, high = torch.kron(matrix, torch.ones(1, 2)), torch.kron(torch.eye(len(matrix)), torch.tensor([[1.0, -1]]))
        matrix = torch.cat([low, high]) / math.sqrt(2)
    return _separable(sampler, patch, components, matrix)


PRIOR, ACTIVATION = "vaecodec.nets.torch.prior.Prior", "vaecodec.nets.torch.blocks.activation"
"""Names that rows replace."""


def _start(transform: Callable) -> dict[str, object]:
    return {
        "vaecodec.training.loop.block_transform": transform,
        "vaecodec.training.start.klt.block_transform": transform,
    }


# Inputs of the prior, and relaxations of the symbols in training.

_prior_step, _context = Prior.step, VAE.context


def _blind_step(self: Prior, index: int, features: Tensor, slots: list[Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    return _prior_step(self, index, features, [slot * 0 for slot in slots], t)


def _scale_step(self: Prior, index: int, features: Tensor, slots: list[Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    mean, scale = _prior_step(self, index, features, slots, t)
    return mean * 0, scale


def _noisy_context(self: VAE, latents: Tensor, *arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In training the synthesis sees noise instead of rounding."""
    y_hat, means, scales = _context(self, latents, *arguments)
    return latents + torch.rand_like(latents) - 0.5 if self.training else y_hat, means, scales


def _rounded_bits(self: EntropyModels, prediction) -> Tensor:
    """Bits of the rounded latents with straight-through gradients, instead of noisy ones."""
    gaussian = self.gaussian
    likelihood = gaussian.likelihood_lower_bound(
        gaussian._likelihood(prediction.y_hat, prediction.scales, prediction.means)
    )
    return -likelihood.log2().flatten(2).sum(2)


# Optimizers, averages, schedules of what is trained.


def _optimizer(make: Callable[[list[dict]], torch.optim.Optimizer]) -> Callable[[Trainer], None]:
    def prepare(trainer: Trainer) -> None:
        trainer.optimizer = make(trainer._parameter_groups())

    return prepare


def _muon(trainer: Trainer) -> None:
    from pytorch_optimizer import Muon

    groups = trainer._parameter_groups()
    blocks = {id(p) for name, p in trainer.vae.named_parameters() if ".layers." in name and p.dim() == 4}
    matrices = [p for p in groups[2]["params"] if id(p) in blocks and p.shape[1] > 1]
    chosen = {id(p) for p in matrices}
    groups[2]["params"] = [p for p in groups[2]["params"] if id(p) not in chosen]
    groups = [group | {"use_muon": False, "betas": (0.9, 0.999), "eps": 1e-8} for group in groups]
    groups.append({"params": matrices, "scale": 1.0, "use_muon": True})
    trainer.optimizer = Muon(groups, use_adjusted_lr=True, foreach=False)


def _average(keep: float) -> Callable[[Trainer], Callable[[], None]]:
    def prepare(trainer: Trainer) -> Callable[[], None]:
        step = trainer._step
        average = [p.detach().clone() for p in trainer.modules.parameters()]

        def averaged(share: float):
            result = step(share)
            torch._foreach_lerp_(average, [p.detach() for p in trainer.modules.parameters()], 1 - keep)
            return result

        def finish() -> None:
            torch._foreach_copy_([p.detach() for p in trainer.modules.parameters()], average)

        trainer._step = averaged
        return finish

    return prepare


def _synthesis_from(start: float) -> Callable[[Trainer], None]:
    """From this fraction of the run on, only the synthesis is trained."""

    def prepare(trainer: Trainer) -> None:
        step = trainer._step

        def tuned(share: float):
            if share >= start:
                for name, parameter in trainer.modules.named_parameters():
                    parameter.requires_grad_(name.startswith("vae.synthesis."))
            return step(share)

        trainer._step = tuned

    return prepare


LADDER = (
    # A new prior, on the transforms of the trained model.
    Row("prior", "the prior of `fast`", "prior"),
    Row("prior-2", "the same with another seed", "prior", options={"seed": 2}),
    Row(
        "no-context",
        "a plain mean-and-scale hyperprior",
        "prior",
        patches={f"{PRIOR}.step": _blind_step},
    ),
    Row("no-means", "scales only, with context", "prior", patches={f"{PRIOR}.step": _scale_step}),
    Row("context-64", "context steps 64 channels wide, not 128", "prior", config={"context_channels": 64}),
    Row("context-192", "context steps 192 channels wide", "prior", config={"context_channels": 192}),
    Row("context-1-block", "1 block a context step, not 2", "prior", config={"context_blocks": 1}),
    Row("context-3-blocks", "3 blocks a context step", "prior", config={"context_blocks": 3}),
    Row(
        "prior-6-bits",
        "weights and activations of the prior in 6 bits, not 8",
        "prior",
        patches={
            "vaecodec.nets.torch.exact.LEVEL": 31,
            "vaecodec.nets.torch.exact.LEVELS_PER_UNIT": 4,
            "vaecodec.nets.torch.prior.LEVELS_PER_UNIT": 4,
            "vaecodec.nets.torch.vae.LEVELS_PER_UNIT": 4,
        },
    ),
    Row(
        "scales-3-an-octave",
        "32 scales, not 64, over the same range",
        "prior",
        patches={
            "vaecodec.nets.torch.vae.SCALES": 32,
            "vaecodec.nets.torch.vae.SCALES_PER_OCTAVE": 3,
            "vaecodec.nets.torch.prior.INDEX_PER_UNIT": 4,
        },
    ),
    Row(
        "coarse-means",
        "means in 1/32 of a latent, not 1/512",
        "prior",
        patches={"vaecodec.nets.torch.vae.MEAN_UNIT": 32, "vaecodec.nets.torch.prior.MEAN_UNIT": 32},
    ),
    # The transforms, from a linear transform and a prior trained for it.
    Row("reference", "`fast` from the Karhunen-Loeve transform", "transforms"),
    Row("reference-2", "the same with another seed", "transforms", options={"seed": 2}),
    Row("gelu", "GELU in the residual blocks", "transforms", patches={ACTIVATION: nn.GELU}),
    Row("relu", "ReLU in the residual blocks", "transforms", patches={ACTIVATION: nn.ReLU}),
    Row("blocks-2", "2 blocks a side, not 3", "transforms", config={"encoder_blocks": 2, "decoder_blocks": 2}),
    Row("blocks-4", "4 blocks a side", "transforms", config={"encoder_blocks": 4, "decoder_blocks": 4}),
    Row(
        "wide-shallow",
        "2 blocks of 240 channels: as many multiplications",
        "transforms",
        config={"channels": 240, "encoder_blocks": 2, "decoder_blocks": 2},
    ),
    Row("no-shortcut", "no linear shortcuts around the blocks", "transforms", config={"shortcut": False}),
    Row("start-dct", "starts as the 16x16 DCT", "transforms", patches=_start(dct)),
    Row("start-haar", "starts as the Haar wavelet", "transforms", patches=_start(haar)),
    # Training, from trained weights.
    Row("trained", "8 crops of 256, the learning rate falling from 1e-3 to 0"),
    Row("trained-2", "the same with another seed", options={"seed": 2}),
    Row("crop-128", "16 crops of 128", options={"crop": 128, "batch": 16}),
    Row("rate-half", "half the learning rate", options={"learning_rate": 5e-4}),
    Row("rate-double", "twice the learning rate", options={"learning_rate": 2e-3}),
    Row("constant-rate", "no decay", options={"decay": 1e-6}),
    Row(
        "adamw",
        "AdamW, decay 0.01",
        prepare=_optimizer(lambda groups: torch.optim.AdamW(groups, weight_decay=0.01)),
    ),
    Row("soap", "SOAP", options={"optimizer": "soap"}),
    Row("muon", "Muon for the pointwise layers of all blocks", prepare=_muon),
    Row("ema", "average of the weights, 0.98 a step", prepare=_average(0.98)),
    Row(
        "ema-constant-rate",
        "the same in place of the decay",
        options={"decay": 1e-6},
        prepare=_average(0.98),
    ),
    Row(
        "flat-weights",
        "all rates weigh the same",
        patches={"vaecodec.training.loss.WEIGHT_EXPONENT": -0.5},
    ),
    Row(
        "no-weights",
        "samples weigh as their cost is",
        patches={"vaecodec.training.loss.WEIGHT_EXPONENT": 0.0},
    ),
    Row(
        "no-robust-cost",
        "costly samples not weighed down",
        patches={"vaecodec.training.loss.TYPICAL_COST": 1e6},
    ),
    Row(
        "noise",
        "noise, not rounded latents, for the synthesis too",
        patches={"vaecodec.nets.torch.vae.VAE.context": _noisy_context},
    ),
    Row(
        "straight-through",
        "rounded latents for the rate too",
        patches={"vaecodec.training.entropy.EntropyModels.latent_bits": _rounded_bits},
    ),
    Row("synthesis-last", "only the synthesis in the last 15 %", prepare=_synthesis_from(0.85)),
    Row("synthesis-only", "only the synthesis all the time", prepare=_synthesis_from(0.0)),
)
