"""vaecodec train"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from vaecodec.cli.options import complete_models
from vaecodec.errors import VaecodecError
from vaecodec.model.config import CONFIGS, METRICS, MS_SSIM_MIN_SIZE
from vaecodec.training.options import OPTIMIZERS


@click.command()
@click.argument("data", metavar="DATA", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), required=True, help="Wall-clock time to train.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Model file to write.  [default: RUN/model]")
@click.option("--run", type=click.Path(path_type=Path), default="runs/train", show_default=True, help="Run folder.")
@click.option("--config", type=click.Choice(list(CONFIGS)), help="Model size.  [default: fast, or as --init]")
@click.option(
    "--init",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Start from the weights of a model (name or path).",
)
@click.option("--metric", type=click.Choice(METRICS), default="mse", show_default=True, help="Distortion.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=2.5e-3, show_default=True, help="Peak rate.")
@click.option(
    "--decay",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Last share of the time in which the rate falls to zero; before, it is constant.",
)
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adam", show_default=True, help="What steps.")
@click.option("--batch", type=click.IntRange(8, 4096), default=8, show_default=True, help="Crops a step.")
@click.option("--crop", type=click.IntRange(64, 1024), default=256, show_default=True, help="Pixels, multiple of 64.")
@click.option("--final-crop", type=click.IntRange(64, 1024), default=384, show_default=True, help="In the last part.")
@click.option("--device", default="cpu", show_default=True, help="Torch device, such as cuda.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads.  [default: all cores]")
@click.option("--bf16/--no-bf16", default=None, help="Transforms in bfloat16 or float32.  [default: the quicker one]")
@click.option("--seed", type=int, default=1, show_default=True)
def train(
    data: Path,
    minutes: float,
    output: Path | None,
    run: Path,
    config: str | None,
    init: str | None,
    metric: str,
    lr: float,
    decay: float,
    optimizer: str,
    batch: int,
    crop: int,
    final_crop: int,
    device: str,
    threads: int | None,
    bf16: bool | None,
    seed: int,
) -> None:
    """Train on the pictures in DATA (a folder, also with tar shards, or one tar) and write a model file.

    The run folder keeps the state: the same command goes on where it stopped, until MINUTES in all are over. It also
    gets train.csv, validation.jsonl, curve.png, and after every validation the model so far. For a run that goes on
    for days, keep the rate (--decay 0.2); the file RUN/minutes may be changed while it runs.

    Several processes or GPUs: torchrun --standalone --nproc-per-node N -m vaecodec -- train ...
    """
    warnings.filterwarnings("ignore", category=FutureWarning)  # of the libraries, among themselves
    try:
        import torch

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
    except ImportError as error:
        raise VaecodecError(f"training needs more packages ({error.name}): pip install 'vaecodec[train]'") from error
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    model = None
    if init is not None:
        from vaecodec.model.file import load_model

        model = load_model(init)
        if config and not can_become(model.config, CONFIGS[config]):
            raise VaecodecError(f"{init} cannot become {config}, whose sizes are others: leave out --config")
    model_config = CONFIGS[config or "fast"] if config or not model else model.config
    name = model_config.name.removesuffix(f"-{model_config.metric}") + (f"-{metric}" if metric != "mse" else "")
    model_config = dataclasses.replace(model_config, name=name, trained_for=metric)
    anchors = model_config.anchors
    if metric != "mse" and min(crop, final_crop) < MS_SSIM_MIN_SIZE:
        raise VaecodecError(f"{metric} needs crops of at least {MS_SSIM_MIN_SIZE} pixels")
    if crop % 64 or final_crop % 64 or batch % anchors:
        raise VaecodecError(f"crops must be multiples of 64 pixels and the batch of {anchors}")
    world = World.join(device)
    if world.main:
        PictureStore.build(data, run / "pictures")
    world.agree(0)  # the others wait for the pictures
    store = PictureStore(run / "pictures")
    options = TrainOptions(
        minutes=minutes,
        metric=metric,
        hyper_warmup=0.0 if init else TrainOptions.hyper_warmup,
        learning_rate=lr,
        decay=decay,
        optimizer=optimizer,
        batch=batch,
        crop=crop,
        final_crop=final_crop,
        seed=seed,
        bf16=bf16,
    )
    trainer = Trainer(model_config, options, store, run, world)
    trainer.start(partial(warm_start, model) if model else None)
    output = output or run / "model.safetensors"
    if world.main:
        click.echo(f"transforms in {'bfloat16' if trainer.bf16 else 'float32'}", err=True)

    def write(modules: Objective, validation: Validation) -> None:
        symbols = count_symbols(modules.vae, CropSampler(store, seed + 1))
        rates = [point.z_bpp + point.y_bpp for point in validation.points]
        bpp_range, mixtures = (rates[0], rates[-1]), fit_mixtures(symbols)
        export_model(modules.vae, modules.entropy, output, bpp_range, mixtures, trainer.work.done)

    with _bar(world.main) as progress:
        validation = trainer.train(progress, validated=write)
    world.leave()
    if not world.main:
        return
    click.echo(f"{trainer.step} steps in {trainer.elapsed:.0f} s; {output}; validation:", err=True)
    for point in validation.points:
        rate = point.z_bpp + point.y_bpp
        click.echo(f"  {rate:.4f} bpp  {point.psnr:.2f} dB  {point.active_channels} channels", err=True)


@contextmanager
def _bar(shown: bool) -> Iterator[Callable[[float, str], None]]:
    """A callback for the share done and what to say of it, which draws a bar on a terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda share, text: None
        return
    with click.progressbar(length=1000, label="starting", file=sys.stderr, show_eta=True) as bar:

        def report(share: float, text: str) -> None:
            bar.label = text
            bar.update(round(share * 1000) - bar.pos)
            bar.render_progress()  # the text changes more often than the share

        yield report
