"""Training runs that fail in the two ways of a VAE, and some that do not: what `vaecodec train-report` says of each.

    python benchmarks/studies/failures.py ../shared/data/train --runs runs/failures [--only heart,shipped]

All are of configuration `fast`, on one thread. Each leaves its page in RUNS/NAME/report.html; a run that is there is
reported again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from vaecodec.model.config import CONFIGS
from vaecodec.model.file import load_model
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.export import warm_start
from vaecodec.training.loop import Trainer
from vaecodec.training.loss import rate_distortion
from vaecodec.training.malloc import keep_freed_memory
from vaecodec.training.options import TrainOptions
from vaecodec.viewer.run_page import write_report

FEW, PRICE, OCTAVES = 16, 100.0, 8.0


def dear(trainer: Trainer) -> None:
    """z costs PRICE times its bits."""
    trainer.modules.loss = lambda *given: rate_distortion(*given[:6], PRICE, *given[7:])


def silent(trainer: Trainer) -> None:
    """All hyper latents round to zero from the start."""
    with torch.no_grad():
        trainer.vae.hyper_gain.sub_(OCTAVES)
    trainer.average.module.load_state_dict(trainer.modules.state_dict())


@dataclass(frozen=True)
class Run:
    options: TrainOptions
    init: str | None = None
    few: bool = False
    """Train on FEW photographs only; the held-out pictures stay."""
    spoil: Callable[[Trainer], None] = lambda trainer: None


SMALL = {"crop": 128, "final_crop": 128}
RUNS = {
    "scratch": Run(TrainOptions(8, steps=444, validate_minutes=5)),
    "full-price": Run(TrainOptions(8, hyper_warmup=0, validate_minutes=2.5)),
    "dear": Run(TrainOptions(4, validate_minutes=2), spoil=dear),
    "silent": Run(TrainOptions(4, hyper_warmup=0, validate_minutes=2), spoil=silent),
    "heart": Run(TrainOptions(15, hyper_warmup=0, validate_minutes=2.5), "fast", few=True),
    "heart-long": Run(TrainOptions(20, hyper_warmup=0, decay=0.5, validate_minutes=5, **SMALL), "fast", few=True),
    "heart-scratch": Run(TrainOptions(10, validate_minutes=2.5, **SMALL), few=True),
    "shipped": Run(TrainOptions(6, hyper_warmup=0, validate_minutes=2.5), "fast"),
}


def few_photographs(store: PictureStore, data: Path) -> list[dict]:
    """FEW photographs to train on, and all held-out pictures."""
    entries = map(json.loads, (data / "manifest.jsonl").read_text().splitlines())
    photographs = {entry["name"] for entry in entries if entry["tag"] == "photo"}
    return [entry for entry in store.train if Path(entry["name"]).name in photographs][:FEW] + store.validation


def train(run: Run, folder: Path, store: PictureStore, data: Path) -> None:
    if run.few:
        pictures = folder / "pictures"
        pictures.mkdir(parents=True)
        (pictures / "pictures.json").write_text(json.dumps(few_photographs(store, data)))
        (pictures / "pictures.u8").symlink_to(Path(store.pixels.filename).resolve())
        store = PictureStore(pictures)
    trainer = Trainer(CONFIGS["fast"], run.options, store, folder)
    trainer.start(partial(warm_start, load_model(run.init)) if run.init else None)
    run.spoil(trainer)
    trainer.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of tar shards and manifest.jsonl")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs, some 3 GB")
    parser.add_argument("--only", help=f"some of {','.join(RUNS)}")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    store = PictureStore.build(arguments.data, arguments.runs / "pictures")
    for name in arguments.only.split(",") if arguments.only else RUNS:
        folder = arguments.runs / name
        if not (folder / "stop.json").exists():
            train(RUNS[name], folder, store, arguments.data)
        diagnosis, page = write_report(folder)
        for found in diagnosis.findings:
            print(f"{name}: {'warning' if found.grave else 'note'}: {found.name}: {found.text}")
        print(f"{name}, step {diagnosis.last.step}: {diagnosis.line}\n{page}", flush=True)


if __name__ == "__main__":
    main()
