"""What each decision about model and training is worth: short runs of equal time that differ in one thing.

    python benchmarks/ladder.py PICTURES [--rows NAME,NAME] [--minutes 3] [--run FOLDER] [--out FOLDER]

What the model is made of is tried from the block transform, with crops of 128, against the row `reference`; how it is
trained is tried on trained weights (`--init`), with crops of 256, against the row `trained`, which does the same as the
last part of a long run. All train for the same processor time on one thread, with the same seed, and are compared by
BD-rate on crops of the validation split of PICTURES: over the rates of all anchors, of the first and of the last four.
`reference-2` and `trained-2`, the same with another seed, say how far to trust the figures. Rows done are kept in the
run folder: the same command goes on where it stopped. Writes ladder.json and ladder.png; `--list` names the rows. The
rows with SOAP and Muon need `pip install pytorch-optimizer`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from vaecodec.benchmarks.bd import bd_rate
from vaecodec.benchmarks.ladder_rows import LADDER, Row
from vaecodec.config import CONFIGS, ModelConfig
from vaecodec.runtime.store import ModelFile, load_model
from vaecodec.training.data import PictureStore
from vaecodec.training.export import warm_start
from vaecodec.training.loop import Trainer, TrainOptions
from vaecodec.training.validate import validate

SCRATCH = TrainOptions(minutes=0, crop=128, final_share=0.0, warmup_steps=100, validate_minutes=1e9, save_minutes=1e9)
TRAINED = replace(SCRATCH, crop=256, learning_rate=1e-3, hyper_warmup=0.0, warmup_steps=30)


def run_row(
    row: Row, config: ModelConfig, model: ModelFile, store: PictureStore, minutes: float, crops: int
) -> tuple[int, list[tuple[float, float]]]:
    """Train one row; its number of steps, and (bpp, PSNR) at each anchor."""
    # The clock of the trainer runs with the processor time of this one thread: others on the machine do not count.
    clock = SimpleNamespace(monotonic=time.process_time)
    with ExitStack() as stack:
        for target, value in {"vaecodec.training.loop.time": clock, **row.patches}.items():
            stack.enter_context(mock.patch(target, value))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        options = replace(TRAINED if row.trained else SCRATCH, minutes=minutes, **row.options)
        config = replace(model.config if row.trained else config, **row.config)
        trainer = Trainer(config, options, store, Path(folder))
        trainer.save = lambda path=None: None  # states of other optimizers do not fit the file, and nobody resumes
        trainer._validate = lambda guard: None
        trainer.start(partial(warm_start, model) if row.trained else None)
        finish = row.prepare(trainer)
        trainer.train()
        if finish:
            finish()
        validation = validate(trainer.vae, trainer.entropy, store, crops=crops, autocast=True)
    return trainer.step, [(point.z_bpp + point.y_bpp, point.psnr) for point in validation.points]


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
    """Bars of the BD-rates, if there are any, in the order of the table."""
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
    parser.add_argument("--minutes", type=float, default=3.0, help="processor time of a run")
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
            steps, curve = run_row(row, CONFIGS["fast"], model, store, arguments.minutes, arguments.crops)
            kept.write_text(json.dumps({"name": row.name, "what": row.what, "steps": steps, "curve": curve}))
        if not kept.exists():
            continue
        results[row.name] = result = json.loads(kept.read_text())
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
