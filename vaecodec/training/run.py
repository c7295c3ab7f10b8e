"""A training run from the pictures to the model file, as `vaecodec train` runs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from vaecodec.errors import VaecodecError
from vaecodec.model.config import CONFIGS, MS_SSIM_MIN_SIZE, ModelConfig
from vaecodec.model.file import ModelFile, load_model
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.distributed import World
from vaecodec.training.export import export_model, warm_start
from vaecodec.training.loop import Objective, Trainer
from vaecodec.training.malloc import keep_freed_memory
from vaecodec.training.mixtures import count_symbols, fit_mixtures
from vaecodec.training.options import TrainOptions
from vaecodec.training.start.grow import can_become
from vaecodec.training.validate import Validation


@dataclass(frozen=True)
class Trained:
    """The results of a run, from its last validation."""

    output: Path
    steps: int
    seconds: float
    validation: Validation
    stopped: str | None
    """Why it stopped, see folder.py."""


def train(
    data: Path,
    run: Path,
    options: TrainOptions,
    config: str | None = None,
    init: str | None = None,
    output: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    report: Callable[[float, str], None] = lambda share, text: None,
    note: Callable[[str], None] = print,
) -> Trained | None:
    """Train on the pictures in `data` (a folder, also with tar shards, or one tar) and write a model file.

    run: folder for the state, from which the same call resumes. config: name of one of CONFIGS (None: fast, or that of
    `init`); init: name or path of the model to start from; output: the file (None: model.safetensors in `run`). report
    gets the fraction done and a line of figures every few steps. With several processes, started by torchrun, all call
    this, and all but the first get None. Raises VaecodecError.

    >>> trained = train(Path("pictures"), Path("runs/mine"), TrainOptions(minutes=180))
    """
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    model = None if init is None else load_model(init)
    shape = _shape(config, model, options.metric)
    _check(shape, options)
    world = World.join(device)
    if world.main:
        PictureStore.build(data, run / "pictures")
    world.agree(0)  # the others wait for the pictures
    store = PictureStore(run / "pictures")
    if init is not None:
        options = dataclasses.replace(options, hyper_warmup=0.0)
    trainer = Trainer(shape, options, store, run, world)
    trainer.start(partial(warm_start, model) if model else None)
    output = output or run / "model.safetensors"
    if world.main:
        note(f"transforms in {'bfloat16' if trainer.bf16 else 'float32'}")

    def write(modules: Objective, validation: Validation) -> None:
        symbols = count_symbols(modules.vae, CropSampler(store, options.seed + 1))
        rates = [point.z_bpp + point.y_bpp for point in validation.points]
        bpp_range, mixtures = (rates[0], rates[-1]), fit_mixtures(symbols)
        export_model(modules.vae, modules.entropy, output, bpp_range, mixtures, trainer.work.done)

    validation = trainer.train(report, validated=write)
    main = world.main
    world.leave()
    return Trained(output, trainer.step, trainer.elapsed, validation, trainer.stopped) if main else None


def _shape(config: str | None, model: ModelFile | None, metric: str) -> ModelConfig:
    """The configuration to train."""
    if model and config and not can_become(model.config, CONFIGS[config]):
        raise VaecodecError(f"{model.name} cannot become {config}, whose sizes are others: leave the size to the model")
    shape = CONFIGS[config or "fast"] if config or not model else model.config
    name = shape.name.removesuffix(f"-{shape.metric}") + (f"-{metric}" if metric != "mse" else "")
    return dataclasses.replace(shape, name=name, trained_for=metric)


def _check(shape: ModelConfig, options: TrainOptions) -> None:
    sides = options.crop, options.final_crop
    if options.metric != "mse" and min(sides) < MS_SSIM_MIN_SIZE:
        raise VaecodecError(f"{options.metric} needs crops of at least {MS_SSIM_MIN_SIZE} pixels")
    if any(side % 64 for side in sides) or options.batch % shape.anchors:
        raise VaecodecError(f"crops must be multiples of 64 pixels and the batch of {shape.anchors}")
