"""vaecodec encode"""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any, Literal

import click

from vaecodec.cli.options import codec_options, complete_paths, folder_options, metadata_options, tune_option
from vaecodec.cli.targets import check_goal, target_options
from vaecodec.system.limits import MAX_EFFORT, MAX_LOG2, MAX_SIGMA, MIN_EFFORT, MIN_LOG2, TILE_LOG2

if TYPE_CHECKING:
    from vaecodec.targets import Target

TILES = {str(1 << log2): log2 for log2 in range(MIN_LOG2, MAX_LOG2 + 1)}


class _NoiseType(click.ParamType):
    """A deviation of noise, or "auto"."""

    name = "sigma"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> float | Literal["auto"]:
        return (
            "auto" if value == "auto" else click.FloatRange(0, MAX_SIGMA, min_open=True).convert(value, param, context)
        )


class _Encode(click.Command):
    """--denoise needs no value: one that is neither a number nor "auto" is a name of a file."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        options = args[: args.index("--")] if "--" in args else args
        for place, word in enumerate(options):
            if word == "--denoise" and not re.fullmatch(r"auto|-?[\d.]+", "".join(args[place + 1 : place + 2])):
                args[place] = "--denoise=auto"
        return super().parse_args(context, args)


@click.command(cls=_Encode)
@click.argument("arguments", metavar="IN... [OUT]", nargs=-1, required=True, shell_complete=complete_paths)
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
    help="Images with a longer side are split into independently coded tiles of this many pixels.",
)
@click.option(
    "--effort",
    type=click.IntRange(MIN_EFFORT, MAX_EFFORT),
    default=MIN_EFFORT,
    show_default=True,
    help="Above 1, refine the latents of an image in 64 steps (2), 128 (3), ... 8192 (9): smaller but slow. Needs "
    "torch, except with --tune psnr.",
)
@click.option(
    "--denoise",
    type=_NoiseType(),
    metavar="[SIGMA|auto]",
    help="Take away noise first, as `vaecodec denoise` does, of this standard deviation in levels of 255, or of an "
    "estimated one (auto, or nothing). What is encoded is the denoised picture: the noise is not in the file.",
)
@folder_options
@click.option("--keep-hidden", is_flag=True, help="Keep the colours of fully transparent pixels.")
@click.option("--verify", is_flag=True, help="Decode again and report the PSNR.")
@metadata_options
@codec_options("Overwrite an existing .vaec file, or fill an empty file; others are never overwritten.")
def encode(
    arguments: tuple[str, ...],
    quality: float | None,
    goal: Target | None,
    tune: str | None,
    tile: str,
    effort: int,
    denoise: float | Literal["auto"] | None,
    output: str | None,
    recursive: bool,
    jobs: int | None,
    resume: bool,
    verbose: bool,
    keep_hidden: bool,
    verify: bool,
    metadata: str,
    max_metadata: int,
    model: str | None,
    backend: str | None,
    device: str | None,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Encode images, each to a file beside it with the suffix .vaec, or to OUT. "-" is standard input or output.

    IN is one or more files, folders or URLs (s3://bucket/folder). OUT, or better -o OUT, names the file to write, or
    the folder for all files. The second of two arguments is OUT unless it is an existing image. A folder needs -o OUT,
    which may be the folder itself: its images a.png become a.png.vaec.
    """
    from vaecodec.cli.files import check_target, coded_source, inputs_and_output, output_path, write_target
    from vaecodec.cli.printing import progress_bar, result_line, say
    from vaecodec.errors import naming, printable
    from vaecodec.system.naming import SUFFIX, short_name
    from vaecodec.system.storage import is_folder

    inputs, target = inputs_and_output(arguments, output, encoding=True)
    if model is not None and tune is not None:
        raise click.UsageError("--tune is another name for a shipped --model: give one of them.")
    if len(inputs) > 1 or is_folder(inputs[0]):
        from vaecodec.cli.folder import Many, run_many
        from vaecodec.folders import Task

        options = {"model": model, "backend": backend, "device": device, "threads": threads or 1}
        options |= {"max_pixels": max_pixels, "max_metadata": max_metadata, "metadata": metadata}
        options |= {"tile_log2": TILES[tile], "effort": effort, "keep_hidden": keep_hidden, "tune": tune}
        task = Task("encode", SUFFIX, quality, force, options, goal=goal, verify=verify, denoise=denoise)
        run_many(inputs, target, task, Many(recursive, jobs, resume, verbose, quiet))
        return
    (source,) = inputs
    target = output_path(source, target, short_name)
    check_target(source, target, force, stream=True)
    from vaecodec.codec import Codec
    from vaecodec.inspection import kept_as
    from vaecodec.picture import to_picture
    from vaecodec.rate_control.scores import visible_psnr
    from vaecodec.system.files import Source, input_limit

    started = time.perf_counter()
    with naming(source), Source(coded_source(source), input_limit(max_pixels)) as opened:
        picture, size = to_picture(opened, max_pixels), opened.size
    if goal:
        check_goal(goal, picture.width, picture.height)
    found: dict[str, Any] = {}
    if denoise is not None:
        from vaecodec.uses.denoise import shared_denoiser

        with naming(source), progress_bar(quiet, "denoising") as progress:
            denoised = shared_denoiser(threads)(picture, None if denoise == "auto" else denoise, progress=progress)
        picture, found = denoised.picture, {"denoised": denoised.taken}
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
        metadata=metadata,
    )
    with naming(source), progress_bar(quiet, "encoding") as progress:
        reached = codec.reach(picture, goal, progress) if goal else None
        data = reached.data if reached else codec.encode_picture(picture, quality, progress)
    for note in [*picture.notes, *(reached.notes if reached else [])]:
        say(quiet, f"note: {note}")
    seconds = time.perf_counter() - started
    report = f", {reached}" if reached else ""
    near = visible_psnr(picture, codec.decode_picture(data)) if verify else None
    write_target(target, data, force)
    entry: dict[str, Any] = {"width": picture.width, "height": picture.height}
    entry |= {"bytes_in": size, "bytes_out": len(data), "bpp": len(data) * 8 / (picture.width * picture.height)}
    entry |= found
    entry |= {"kept": kept} if (kept := kept_as(data, max_pixels)) else {}
    if near is not None:
        entry |= {"lossless": True} if near == math.inf else {"psnr": near}
    say(quiet, f"{printable(source)}: {result_line(entry)}{report}, {seconds:.2f} s")
