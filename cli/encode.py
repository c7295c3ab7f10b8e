"""vaecodec encode"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from vaecodec.cli.folder import folder_options, run_folder
from vaecodec.cli.options import (
    check_target,
    codec_options,
    coded_source,
    complete_paths,
    metadata_option,
    naming,
    one_input,
    output_path,
    progress_bar,
    say,
    summary,
    tune_option,
    write_target,
)
from vaecodec.cli.targets import check_goal, target_options
from vaecodec.codec import Codec
from vaecodec.effort import MAX_EFFORT, MIN_EFFORT
from vaecodec.files import Source, input_limit
from vaecodec.folders import Task
from vaecodec.naming import SUFFIX
from vaecodec.picture import Picture, to_array, to_picture
from vaecodec.storage import is_folder
from vaecodec.targets import Target
from vaecodec.tiles import MAX_LOG2, MIN_LOG2, TILE_LOG2

TILES = {str(1 << log2): log2 for log2 in range(MIN_LOG2, MAX_LOG2 + 1)}


@click.command()
@click.argument("source", metavar="IN", shell_complete=complete_paths)
@click.argument("target", metavar="[OUT]", required=False, shell_complete=complete_paths)
@click.argument("rest", metavar="", nargs=-1)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(1, 100),
    help="From 1 (smallest) to 100 (best); fractions are allowed.  [default: high, the model's own]",
)
@target_options
@tune_option
@click.option(
    "--tile",
    type=click.Choice(list(TILES)),
    default=str(1 << TILE_LOG2),
    show_default=True,
    help="Images with a longer side are cut into tiles of this many pixels, coded independently of each other.",
)
@click.option(
    "--effort",
    type=click.IntRange(MIN_EFFORT, MAX_EFFORT),
    default=MIN_EFFORT,
    show_default=True,
    help="Above 1, refine the latents of an image in 64 steps (2), 128 (3), ... 8192 (9): smaller, slow. All but "
    "--tune psnr need torch for it.",
)
@folder_options
@click.option("--keep-hidden", is_flag=True, help="Keep the colours of fully transparent pixels.")
@click.option("--verify", is_flag=True, help="Decode again and report the PSNR.")
@metadata_option
@codec_options("Overwrite an existing .vaec file, or fill an empty file; others are never overwritten.")
def encode(
    source: str,
    target: str | None,
    rest: tuple[str, ...],
    quality: float | None,
    goal: Target | None,
    tune: str | None,
    tile: str,
    effort: int,
    output: str | None,
    recursive: bool,
    jobs: int | None,
    resume: bool,
    keep_hidden: bool,
    verify: bool,
    max_metadata: int,
    model: str | None,
    backend: str | None,
    device: str | None,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Encode the image IN to OUT (default: IN with the suffix .vaec). "-" is standard input or output.

    If IN is a folder, all images in it are encoded into the folder OUT, which may be the same, under their whole names
    and .vaec: a.png.vaec. Both may be URLs (s3://bucket/folder).
    """
    target = one_input(rest, target, output)
    if model is not None and tune is not None:
        raise click.UsageError("--tune is another name for a shipped --model: give one of them.")
    if is_folder(source):
        options = {"model": model, "backend": backend, "device": device, "threads": threads or 1}
        options |= {"max_pixels": max_pixels, "max_metadata": max_metadata, "tile_log2": TILES[tile]}
        options |= {"effort": effort, "keep_hidden": keep_hidden, "tune": tune}
        task = Task("encode", SUFFIX, quality, force, options, goal)
        run_folder(source, target, task, recursive, jobs, resume, quiet)
        return
    target = output_path(source, target, lambda name: Path(name).stem + SUFFIX)
    check_target(source, target, force, stream=True)
    started = time.perf_counter()
    with naming(source), Source(coded_source(source), input_limit(max_pixels)) as opened:
        picture, size = to_picture(opened, max_pixels), opened.size
    if goal:
        check_goal(goal, picture.width, picture.height)
    codec = Codec(
        model,
        backend,
        device,
        threads,
        max_pixels,
        max_metadata,
        TILES[tile],
        effort=effort,
        keep_hidden=keep_hidden,
        tune=tune,
    )
    with naming(source), progress_bar(quiet, "encoding") as progress:
        reached = codec.reach(picture, goal, progress) if goal else None
        data = reached.data if reached else codec.encode_picture(picture, quality, progress)
    for note in [*picture.notes, *(reached.notes if reached else [])]:
        say(quiet, f"note: {note}")
    seconds = time.perf_counter() - started
    report = f", {reached}" if reached else ""
    if verify:
        error = _error(picture, codec.decode_picture(data))
        report += f", PSNR {10 * np.log10(255**2 / error):.2f} dB" if error else ", lossless"
    write_target(target, data, force)
    say(quiet, f"{summary(picture, size, len(data), len(data))}, {seconds:.2f} s{report}")


def _error(picture: Picture, decoded: Picture) -> float:
    """Mean squared error of the samples that are seen."""
    seen = slice(None) if picture.alpha is None else picture.alpha > 0
    before, after = (to_array(replace(p, alpha=None))[seen].astype(np.float32) for p in (picture, decoded))
    return float(np.square(after - before).mean(dtype=np.float64)) if before.size else 0.0
