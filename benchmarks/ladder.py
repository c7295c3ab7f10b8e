"""What each decision about model and training is worth: short runs of equal time that differ in one thing.

    python benchmarks/ladder.py PICTURES [--rows NAME,NAME] [--minutes 2] [--run FOLDER] [--out FOLDER]

Every row trains from the block transform, with the same seed and for the same time on one thread, and is compared by
BD-rate with the row `reference`, on crops of the validation split of PICTURES: first at the rates of all anchors, and
at the first and the last four. Short runs rank what learns quickly; `reference-2`, the reference with another seed,
says how far to trust them. Rows done are kept in FOLDER, so that the same command goes on where it stopped. Writes
ladder.json and ladder.png; `--list` names the rows. The rows with SOAP and Muon need `pip install pytorch-optimizer`.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from vaecodec.benchmarks.bd import bd_rate
from vaecodec.config import ModelConfig
from vaecodec.model.blocks import space_to_depth
from vaecodec.model.prior import Prior
from vaecodec.model.vae import VAE
from vaecodec.training.data import CropSampler, PictureStore
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.loop import Trainer, TrainOptions
from vaecodec.training.validate import validate

BASE = TrainOptions(minutes=2, crop=128, final_share=0.0, validate_minutes=1e9, save_minutes=1e9)


@dataclass(frozen=True)
class Row:
    """One run: what differs from the reference, in its configuration, its options, in names replaced while it runs, or
    done to the trainer before it starts (which may return what is to be done after it)."""

    name: str
    what: str
    config: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    patches: dict[str, object] = field(default_factory=dict)
    prepare: Callable[[Trainer], Callable[[], None] | None] = lambda trainer: None


# Transforms to start from, in place of the Karhunen-Loeve transform.


def _deviations(sampler: CropSampler, patch: int, basis: Tensor) -> Tensor:
    x = torch.from_numpy(sampler.batch(64, 128)).permute(0, 3, 1, 2) / 255 - 0.5
    return (space_to_depth(x, patch).permute(0, 2, 3, 1).reshape(-1, basis.shape[1]) @ basis.T).square().mean(0).sqrt()


def _leading(sampler: CropSampler, patch: int, basis: Tensor, components: int) -> tuple[Tensor, Tensor]:
    std = _deviations(sampler, patch, basis)
    order = std.argsort(descending=True)[:components]
    return basis[order], std[order]


def _separable(sampler: CropSampler, patch: int, components: int, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal transform of rows and columns, after one of the three colours (luma first)."""
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


def random_rotation(sampler: CropSampler, patch: int, components: int) -> tuple[Tensor, Tensor]:
    basis = torch.linalg.qr(torch.randn(3 * patch**2, 3 * patch**2)).Q
    return _leading(sampler, patch, basis, components)


def _start(transform: Callable) -> dict[str, object]:
    return {"vaecodec.training.loop.block_transform": transform, "vaecodec.training.linear.block_transform": transform}


# What the prior sees, and how symbols are relaxed in training.

_prior_step, _context = Prior.step, VAE.context


def _blind_step(self: Prior, index: int, features: Tensor, slots: list[Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    return _prior_step(self, index, features, [slot * 0 for slot in slots], t)


def _scale_step(self: Prior, index: int, features: Tensor, slots: list[Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    mean, scale = _prior_step(self, index, features, slots, t)
    return mean * 0, scale


def _noisy_context(self: VAE, latents: Tensor, *arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The synthesis sees noise in place of rounding while the model is trained."""
    y_hat, means, scales = _context(self, latents, *arguments)
    return latents + torch.rand_like(latents) - 0.5 if self.training else y_hat, means, scales


def _rounded_bits(self: EntropyModels, prediction) -> Tensor:
    """Bits of the rounded latents with straight-through gradients, in place of noisy ones."""
    gaussian = self.gaussian
    likelihood = gaussian.likelihood_lower_bound(
        gaussian._likelihood(prediction.y_hat, prediction.scales, prediction.means)
    )
    return -likelihood.log2().flatten(2).sum(2)


# Optimizers, averages, what is trained when.


def _optimizer(make: Callable[[list[dict]], torch.optim.Optimizer]) -> Callable[[Trainer], None]:
    def prepare(trainer: Trainer) -> None:
        trainer.optimizer = make(trainer._parameter_groups())

    return prepare


def _soap(groups: list[dict]) -> torch.optim.Optimizer:
    from pytorch_optimizer import SOAP

    return SOAP(groups, weight_decay=0.0, merge_dims=False, max_precondition_dim=512)


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


def _only_synthesis_at_the_end(trainer: Trainer) -> None:
    step = trainer._step

    def tuned(share: float):
        if share >= 0.85:
            for name, parameter in trainer.modules.named_parameters():
                parameter.requires_grad_(name.startswith("vae.synthesis."))
        return step(share)

    trainer._step = tuned


LADDER = (
    Row("reference", "the recipe of `fast`, crops of 128"),
    Row("reference-2", "the same with another seed: the error of this table", options={"seed": 2}),
    # The prior.
    Row("no-context", "a plain mean-and-scale hyperprior", patches={"vaecodec.model.prior.Prior.step": _blind_step}),
    Row("no-means", "context, scales only", patches={"vaecodec.model.prior.Prior.step": _scale_step}),
    Row("context-64", "context steps 64 channels wide, not 128", config={"context_channels": 64}),
    Row("context-192", "context steps 192 channels wide", config={"context_channels": 192}),
    Row("context-1-block", "1 block a context step, not 2", config={"context_blocks": 1}),
    Row("context-3-blocks", "3 blocks a context step", config={"context_blocks": 3}),
    Row("hyper-192", "hyper nets 192 channels wide, not 128", config={"hyper_channels": 192}),
    Row(
        "prior-6-bits",
        "weights and activations of the prior in 6 bits, not 8",
        patches={
            "vaecodec.model.exact.LEVEL": 31,
            "vaecodec.model.exact.LEVELS_PER_UNIT": 4,
            "vaecodec.model.prior.LEVELS_PER_UNIT": 4,
            "vaecodec.model.vae.LEVELS_PER_UNIT": 4,
        },
    ),
    Row(
        "scales-3-an-octave",
        "32 scales, not 64, over the same range",
        patches={
            "vaecodec.model.vae.SCALES": 32,
            "vaecodec.model.vae.SCALES_PER_OCTAVE": 3,
            "vaecodec.model.prior.INDEX_PER_UNIT": 4,
        },
    ),
    # The transforms.
    Row("gelu", "GELU in the residual blocks", patches={"vaecodec.model.blocks.activation": nn.GELU}),
    Row("relu", "ReLU in the residual blocks", patches={"vaecodec.model.blocks.activation": nn.ReLU}),
    Row("blocks-2", "2 blocks a side, not 3", config={"encoder_blocks": 2, "decoder_blocks": 2}),
    Row("blocks-4", "4 blocks a side", config={"encoder_blocks": 4, "decoder_blocks": 4}),
    Row(
        "narrow-deep",
        "6 blocks of 128 channels: as many multiplications",
        config={"channels": 128, "encoder_blocks": 6, "decoder_blocks": 6},
    ),
    Row("start-dct", "starts as the 16x16 DCT", patches=_start(dct)),
    Row("start-haar", "starts as the Haar wavelet", patches=_start(haar)),
    Row("start-random", "starts as a random rotation", patches=_start(random_rotation)),
    # The training.
    Row("crop-256", "crops of 256", options={"crop": 256}),
    Row("rate-half", "half the learning rate", options={"learning_rate": BASE.learning_rate / 2}),
    Row("rate-double", "twice the learning rate", options={"learning_rate": BASE.learning_rate * 2}),
    Row("constant-rate", "no decay", patches={"vaecodec.training.loop.decay": lambda share: 1.0}),
    Row("adamw", "AdamW, decay 0.01", prepare=_optimizer(lambda groups: torch.optim.AdamW(groups, weight_decay=0.01))),
    Row("soap", "SOAP", prepare=_optimizer(_soap)),
    Row("muon", "Muon for the pointwise layers of all blocks", prepare=_muon),
    Row("ema", "average of the weights, 0.99 a step", prepare=_average(0.99)),
    Row("flat-weights", "all rates weigh the same", patches={"vaecodec.training.loss.WEIGHT_EXPONENT": -0.5}),
    Row("no-weights", "samples weigh as their cost is", patches={"vaecodec.training.loss.WEIGHT_EXPONENT": 0.0}),
    Row("no-robust-cost", "costly samples not weighed down", patches={"vaecodec.training.loss.TYPICAL_COST": 1e6}),
    Row(
        "noise",
        "noise, not rounded latents, for the synthesis too",
        patches={"vaecodec.model.vae.VAE.context": _noisy_context},
    ),
    Row(
        "straight-through",
        "rounded latents for the rate too",
        patches={"vaecodec.training.entropy.EntropyModels.latent_bits": _rounded_bits},
    ),
    Row("synthesis-last", "only the synthesis trained in the last 15 %", prepare=_only_synthesis_at_the_end),
)


def run_row(row: Row, store: PictureStore, minutes: float) -> list[tuple[float, float]]:
    """Train one row; (bpp, PSNR) at each anchor."""
    with ExitStack() as stack:
        for target, value in row.patches.items():
            stack.enter_context(mock.patch(target, value))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        options = replace(BASE, minutes=minutes, **row.options)
        trainer = Trainer(replace(ModelConfig(), **row.config), options, store, Path(folder))
        trainer.save = lambda path=None: None  # states of other optimizers do not fit the file, and nobody resumes
        trainer._validate = lambda guard: None
        trainer.start()
        finish = row.prepare(trainer)
        trainer.train()
        if finish:
            finish()
        validation = validate(trainer.vae, trainer.entropy, store, crops=24, autocast=True)
    return [(point.z_bpp + point.y_bpp, point.psnr) for point in validation.points] + [(trainer.step, 0.0)]


def compare(anchor: list, curve: list) -> dict[str, float | None]:
    """BD-rate (%) over all anchors, the first and the last four; None where the curves have no dB in common."""
    half = len(anchor) // 2
    parts = {"all": slice(None), "low": slice(0, half), "high": slice(half, None)}
    return {name: _compare_part(anchor[part], curve[part]) for name, part in parts.items()}


def _compare_part(anchor: list, curve: list) -> float | None:
    try:
        return round(bd_rate(anchor, curve), 2)
    except ValueError:
        return None


def draw(results: list[dict], path: Path) -> None:
    """Bars of the BD-rates, in the order of the table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in results if row["name"] != "reference" and row["bd_rate"]["all"] is not None]
    values = np.array([row["bd_rate"]["all"] for row in rows])
    shown = values.clip(-10, 30)
    figure, axes = plt.subplots(figsize=(8, 0.28 * len(rows) + 1))
    axes.barh(range(len(rows)), shown, color=np.where(values < 0, "#2a7f62", "#b5523b"))
    for i, value in enumerate(values):
        axes.text(
            shown[i] + (0.4 if value >= 0 else -0.4),
            i,
            f"{value:+.1f}",
            va="center",
            ha="left" if value >= 0 else "right",
            fontsize=8,
        )
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(min(shown.min() - 4, -4), shown.max() + 4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("BD-rate against the reference (%), less is better")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--rows", help="names, with commas  [default: all]")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--run", type=Path, default=Path("runs/ladder"))
    parser.add_argument("--out", type=Path, help="folder for ladder.json and ladder.png  [default: --run]")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    arguments = parser.parse_args()
    names = [row.name for row in LADDER]
    if arguments.list:
        print("\n".join(f"{row.name:20} {row.what}" for row in LADDER))
        return
    chosen = {"reference", *(arguments.rows.split(",") if arguments.rows else names)}
    if unknown := chosen - set(names):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    store = PictureStore.build(arguments.pictures, arguments.run / "pictures")
    results = []
    for row in LADDER:
        kept = arguments.run / f"{row.name}.json"
        if row.name in chosen and not kept.exists():
            *curve, (steps, _) = run_row(row, store, arguments.minutes)
            kept.write_text(json.dumps({"name": row.name, "what": row.what, "steps": steps, "curve": curve}))
        if kept.exists():
            result = json.loads(kept.read_text())
            results.append(result)
            result["bd_rate"] = compare(results[0]["curve"], result["curve"])
            if row.name in chosen:
                rates = "  ".join(
                    f"{part} {'no overlap' if value is None else f'{value:+.2f} %'}"
                    for part, value in result["bd_rate"].items()
                )
                print(f"{row.name:20} {result['steps']:5} steps  {rates}", flush=True)
    out = arguments.out or arguments.run
    out.mkdir(parents=True, exist_ok=True)
    record = {"minutes": arguments.minutes, "threads": arguments.threads, "torch": torch.__version__, "rows": results}
    (out / "ladder.json").write_text(json.dumps(record, indent=1) + "\n")
    if any(row["bd_rate"]["all"] for row in results):
        draw(results, out / "ladder.png")


if __name__ == "__main__":
    main()
