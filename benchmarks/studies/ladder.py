"""Ablation of the decisions about model and training: short runs of equal time that differ in one thing.

    python benchmarks/studies/ladder.py PICTURES [--rows NAME,NAME] [--minutes 2] [--run FOLDER] [--out FOLDER]

There are three parts. Decisions about the prior: a new prior on the transforms of a trained model (`--init`), against
the row `prior`. About the transforms: from a linear transform, whose prior was first trained for as long, against
`reference`. About training: from trained weights, as in the last part of a long run, against `trained`.

All train for the same processor time on one thread. BD-rates on crops of the validation split of PICTURES compare them:
over the rates of all anchors, of the first and of the last four. The rows called `-2` repeat a run with another seed
and show how far to trust the figures. (Whole models trained from scratch for some minutes differ by 24 % between
seeds.) Completed rows are kept in the run folder, so the same command resumes. Writes ladder.json and ladder.png;
`--list` names the rows. The row with Muon needs `pip install pytorch-optimizer`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vaecodec.benchmarks.bd import bd_rate
from vaecodec.benchmarks.studies.ladder_rows import LADDER, Row
from vaecodec.model.config import CONFIGS, ModelConfig
from vaecodec.model.file import ModelFile, load_model
from vaecodec.nets.torch.backend import load_vae
from vaecodec.nets.torch.vae import VAE, Prediction
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.export import warm_start
from vaecodec.training.loop import Trainer
from vaecodec.training.loss import Loss, rate_distortion
from vaecodec.training.options import TrainOptions
from vaecodec.training.validate import to_batch, validate

OPTIONS = {
    "prior": TrainOptions(minutes=0, final_share=0.0, warmup_steps=100, validate_minutes=1e9, save_minutes=1e9),
}
OPTIONS["transforms"] = replace(OPTIONS["prior"], hyper_warmup=0.0)
OPTIONS["training"] = replace(OPTIONS["transforms"], learning_rate=1e-3, warmup_steps=30)
EXPANSION = 2
"""Of the blocks in the rows about the transforms, as in `fast` when they were measured."""
TRANSFORMS = ("analysis.", "synthesis.", "norm", "gain")
"""Parameters that are fixed when only a prior is trained."""


def rate_alone(config: ModelConfig, x: Tensor, t: Tensor, prediction: Prediction, *rest: object) -> Loss:
    """The loss without its distortion."""
    return rate_distortion(config, x, t, replace(prediction, x_hat=x), *rest)


def run_row(
    row: Row, model: ModelFile, store: PictureStore, minutes: float, crops: int, run: Path
) -> tuple[int, list[tuple[float, float]]]:
    """Train one row; returns its number of steps, and (bpp, PSNR) at each anchor."""
    base = replace(CONFIGS["fast"], expansion=EXPANSION) if row.part == "transforms" else model.config
    config, options = replace(base, **row.config), replace(OPTIONS[row.part], minutes=minutes, **row.options)
    with ExitStack() as stack:
        for target, value in row.patches.items():
            stack.enter_context(mock.patch(target, value))
        if row.part == "prior":
            trainer = _train_prior(config, options, store, lambda vae: _copy_transforms(load_vae(model), vae), row)
        else:
            trainer = _trainer(config, options, store)
            if row.part == "training":
                trainer.start(partial(warm_start, model))
            else:
                _linear_start(trainer, row, run)
            _train(trainer, row)
        validation = validate(trainer.vae, trainer.entropy, store, crops=crops, autocast=trainer.bf16)
    return trainer.step, [(point.z_bpp + point.y_bpp, point.psnr) for point in validation.points]


class _Forgetful(Trainer):
    """A trainer without checkpoints: states of other optimizers do not fit the file, and no run resumes."""

    def save(self, path: Path | None = None) -> None:
        """Saves nothing."""

    def _validate(self, *_: object) -> None:
        """Does nothing: the caller validates once, at the end."""


def _trainer(config: ModelConfig, options: TrainOptions, store: PictureStore) -> Trainer:
    """A trainer whose clock is the processor time of this thread, so that other load on the machine does not count."""
    with tempfile.TemporaryDirectory() as folder:
        return _Forgetful(config, options, store, Path(folder), clock=time.process_time)


def _train(trainer: Trainer, row: Row | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trainer.run = Path(folder)
        finish = row.prepare(trainer) if row else None
        trainer.train()
        if finish:
            finish()


def _copy_transforms(source: VAE, target: VAE) -> None:
    """Copies the transforms and gains of a model of the same sizes, but not the prior."""
    kept = {name: value for name, value in source.state_dict().items() if name.startswith(TRANSFORMS)}
    target.load_state_dict(kept, strict=False)


def _train_prior(
    config: ModelConfig, options: TrainOptions, store: PictureStore, give: Callable[[VAE], None], row: Row | None = None
) -> Trainer:
    """A new prior, with its hyper analysis and densities, on fixed transforms that `give` sets."""
    trainer = _trainer(config, options, store)
    give(trainer.vae)
    trainer.vae.initialise_hyper(to_batch(CropSampler(store, 0).batch(32, 128), trainer.device))
    for name, parameter in trainer.vae.named_parameters():
        parameter.requires_grad_(not name.startswith(TRANSFORMS))
    trainer.optimizer = torch.optim.Adam(trainer._parameter_groups())
    trainer.modules.loss = rate_alone
    _train(trainer, row)
    return trainer


def _linear_start(trainer: Trainer, row: Row, run: Path) -> None:
    """Set the linear transform that a row starts from, with a prior trained for it; rows with the same start share it
    through the run folder."""
    seed = trainer.options.seed
    trainer.sampler.seed = 1
    trainer.start()
    start = row.name if row.name.startswith("start-") else "start-klt"
    kept = run / f"{start}.safetensors"
    if not kept.exists():
        options = replace(OPTIONS["prior"], minutes=trainer.options.minutes)
        made = _train_prior(trainer.config, options, trainer.store, partial(_copy_transforms, trainer.vae))
        save_file({n: v.contiguous() for n, v in made.modules.state_dict().items() if _of_prior(n)}, kept)
    trainer.modules.load_state_dict(load_file(kept), strict=False)
    trainer.sampler.state = [seed, 0]
    torch.manual_seed(seed)


def _of_prior(name: str) -> bool:
    return not name.removeprefix("vae.").startswith(TRANSFORMS)


def compare(anchor: list, curve: list) -> dict[str, float | None]:
    """BD-rate (%) over all anchors, the first and the last four; None if the curves have no PSNR in common."""
    half = len(anchor) // 2
    parts = {"all": slice(None), "low": slice(0, half), "high": slice(half, None)}
    return {name: _compare_part(anchor[part], curve[part]) for name, part in parts.items()}


def _compare_part(anchor: list, curve: list) -> float | None:
    try:
        return round(bd_rate(anchor, curve), 2)
    except ValueError:
        return None


def draw(results: list[dict], path: Path) -> None:
    """Bars of the BD-rates, if any, in the order of the table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in results if row["bd_rate"]["all"] is not None]
    if not rows:
        return
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
    parser.add_argument("--minutes", type=float, default=2.0, help="processor time of a run")
    parser.add_argument("--crops", type=int, default=32, help="validation crops")
    parser.add_argument("--init", default="fast", help="trained weights: a model's name or path")
    parser.add_argument("--run", type=Path, default=Path("runs/ladder"))
    parser.add_argument("--out", type=Path, help="folder for ladder.json and ladder.png  [default: --run]")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    arguments = parser.parse_args()
    names = {row.name: row for row in LADDER}
    if arguments.list:
        print("\n".join(f"{row.name:20} {row.what}" for row in LADDER))
        return
    chosen = set(arguments.rows.split(",") if arguments.rows else names)
    if unknown := chosen - names.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    chosen |= {names[name].reference for name in chosen}
    torch.set_num_threads(1)
    store = PictureStore.build(arguments.pictures, arguments.run / "pictures")
    model = load_model(arguments.init)
    results: dict[str, dict] = {}
    for row in LADDER:
        kept = arguments.run / f"{row.name}.json"
        if row.name in chosen and not kept.exists():
            steps, curve = run_row(row, model, store, arguments.minutes, arguments.crops, arguments.run)
            kept.write_text(json.dumps({"name": row.name, "steps": steps, "curve": curve}))
        if not kept.exists():
            continue
        results[row.name] = result = json.loads(kept.read_text()) | {"what": row.what, "part": row.part}
        result["bd_rate"] = compare(results[row.reference]["curve"], result["curve"])
        if row.name in chosen:
            parts = result["bd_rate"].items()
            rates = (f"{part} " + ("no overlap" if rate is None else f"{rate:+.2f} %") for part, rate in parts)
            print(f"{row.name:20} {result['steps']:5} steps  {'  '.join(rates)}", flush=True)
    out = arguments.out or arguments.run
    out.mkdir(parents=True, exist_ok=True)
    record = {"minutes": arguments.minutes, "init": model.checksum, "torch": torch.__version__}
    (out / "ladder.json").write_text(json.dumps(record | {"rows": [*results.values()]}, indent=1) + "\n")
    draw([result for name, result in results.items() if name != names[name].reference], out / "ladder.png")


if __name__ == "__main__":
    main()
