"""vaecodec train"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from vaecodec.cli.options import complete_models
from vaecodec.errors import VaecodecError
from vaecodec.model.config import CONFIGS, METRICS
from vaecodec.training.options import OPTIMIZERS, TrainOptions


@click.command()
@click.argument("data", metavar="DATA", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), required=True, help="Wall-clock time to train.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Model file to write.  [default: RUN/model]")
@click.option("--steps", type=click.IntRange(1), help="End after so many steps in all, if the time is not over before.")
@click.option("--run", type=click.Path(path_type=Path), default="runs/train", show_default=True, help="Run folder.")
@click.option("--config", type=click.Choice(list(CONFIGS)), help="Model size.  [default: fast, or that of --init]")
@click.option(
    "--init",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Start from the weights of a model (name or path).",
)
@click.option("--metric", type=click.Choice(METRICS), default="mse", show_default=True, help="Distortion.")
@click.option(
    "--lr", type=click.FloatRange(min=0, min_open=True), default=2.5e-3, show_default=True, help="Peak learning rate."
)
@click.option(
    "--decay",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Final fraction of the time, in which the learning rate decays to zero; before, it is constant.",
)
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adam", show_default=True, help="Optimizer.")
@click.option("--batch", type=click.IntRange(8, 4096), default=8, show_default=True, help="Crops per step.")
@click.option(
    "--crop",
    type=click.IntRange(64, 1024),
    default=256,
    show_default=True,
    help="Side of the crops in pixels, a multiple of 64.",
)
@click.option(
    "--final-crop",
    type=click.IntRange(64, 1024),
    default=384,
    show_default=True,
    help="Side of the crops in the last part.",
)
@click.option("--device", default="cpu", show_default=True, help="Torch device, such as cuda.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads.  [default: all cores]")
@click.option("--bf16/--no-bf16", default=None, help="Transforms in bfloat16 or float32.  [default: the faster one]")
@click.option("--seed", type=int, default=1, show_default=True)
def train(
    data: Path,
    minutes: float,
    output: Path | None,
    steps: int | None,
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

    The run folder keeps the state: the same command resumes, until MINUTES in total are over. It also gets train.csv,
    validation.jsonl, curve.png, the current model after every validation, and at the end report.html: a page that warns
    of collapsed latents and memorised pictures (see train-report). For a run of several days, keep the learning rate
    (--decay 0.2); the file RUN/minutes may be changed during the run.

    Several processes or GPUs: torchrun --standalone --nproc-per-node N -m vaecodec -- train ...
    """
    warnings.filterwarnings("ignore", category=FutureWarning)  # between libraries, not for users
    try:
        from vaecodec.training.run import train as run_training
        from vaecodec.viewer.run_page import write_report
    except ImportError as error:
        raise VaecodecError(f"training needs more packages ({error.name}): pip install 'vaecodec[train]'") from error
    options = TrainOptions(
        minutes=minutes,
        steps=steps,
        metric=metric,
        learning_rate=lr,
        optimizer=optimizer,
        decay=decay,
        batch=batch,
        crop=crop,
        final_crop=final_crop,
        seed=seed,
        bf16=bf16,
    )
    with _bar(os.environ.get("RANK", "0") == "0") as report:
        note = partial(click.echo, err=True)
        trained = run_training(data, run, options, config, init, output, device, threads, report, note)
    if trained is None:
        return
    note(f"{trained.steps} steps in {trained.seconds:.0f} s; {trained.output}; validation:")
    for point in trained.validation.points:
        rate = point.z_bpp + point.y_bpp
        note(f"  {rate:.4f} bpp  {point.psnr:.2f} dB  {point.active_channels} channels")
    diagnosis, page = write_report(run)
    for found in diagnosis.findings:
        if found.grave:
            note(f"warning: {found.name}: {found.text}")
    note(f"{diagnosis.line}; {page}")


@contextmanager
def _bar(shown: bool) -> Iterator[Callable[[float, str], None]]:
    """A callback for the fraction done and a status text, which draws a bar on a terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda share, text: None
        return
    with click.progressbar(length=1000, label="starting", file=sys.stderr, show_eta=True) as bar:

        def report(share: float, text: str) -> None:
            bar.label = text
            bar.update(round(share * 1000) - bar.pos)
            bar.render_progress()  # the text changes more often than the fraction

        yield report
