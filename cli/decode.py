"""vaecodec decode"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from vaecodec.cli.folder import folder_options, run_folder
from vaecodec.cli.options import (
    SuffixType,
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
    write_target,
)
from vaecodec.codec import Codec, Damage
from vaecodec.errors import ImageError
from vaecodec.files import Source
from vaecodec.folders import Task
from vaecodec.formats import can_write
from vaecodec.naming import decoded_name
from vaecodec.picture import Picture, save_picture
from vaecodec.storage import is_folder
from vaecodec.windows import Region

DAMAGED = 3
"""Exit code of a salvage that could not save everything."""


class _RegionType(click.ParamType):
    """X,Y,W,H in pixels."""

    name = "X,Y,W,H"

    def convert(self, value: str | Region, param: click.Parameter | None, context: click.Context | None) -> Region:
        if isinstance(value, tuple):
            return value
        try:
            x, y, width, height = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not four whole numbers, as in 0,0,640,480", param, context)
        return x, y, width, height


@click.command()
@click.argument("source", metavar="IN", shell_complete=complete_paths)
@click.argument("target", metavar="[OUT]", required=False, shell_complete=complete_paths)
@click.argument("rest", metavar="", nargs=-1)
@click.option("--region", type=_RegionType(), help="Decode only this part (left, top, width, height in pixels).")
@click.option("--scale", type=click.Choice(["1", "1/8"]), default="1", help="1/8: a small preview, much quicker.")
@click.option(
    "--suffix", type=SuffixType(), default=".png", show_default=True, help="Format of the images where OUT has none."
)
@folder_options
@click.option("--salvage", is_flag=True, help="Save what is sound of a damaged file; exit code 3 if parts are lost.")
@metadata_option
@codec_options("Overwrite an existing output, whatever it is.")
def decode(
    source: str,
    target: str | None,
    rest: tuple[str, ...],
    region: Region | None,
    scale: str,
    suffix: str,
    output: str | None,
    recursive: bool,
    jobs: int | None,
    resume: bool,
    salvage: bool,
    max_metadata: int,
    model: str | None,
    backend: str | None,
    device: str | None,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Decode the .vaec file IN to the image OUT (default: IN with the suffix .png; the suffix names the format).

    "-" is standard input or output (PNG). If IN is a folder, all .vaec files in it are decoded into the folder OUT:
    a.jpg.vaec to a.png, or to a.jpg.png where another becomes a.png, too. Both may be URLs (s3://bucket/folder).
    """
    if (region is not None) + (scale != "1") + salvage > 1:
        raise click.UsageError("--region, --scale and --salvage do not go together.")
    target = one_input(rest, target, output)
    if is_folder(source):
        if region or scale != "1" or salvage:
            raise click.UsageError("--region, --scale and --salvage are for single files.")
        options = {"model": model, "backend": backend, "device": device, "threads": threads or 1}
        options |= {"max_pixels": max_pixels, "max_metadata": max_metadata}
        run_folder(source, target, Task("decode", suffix, force=force, codec=options), recursive, jobs, resume, quiet)
        return
    target = output_path(source, target, lambda name: decoded_name(name, suffix))
    suffix = Path(target).suffix or suffix
    if not can_write(suffix.lower()):
        raise ImageError(f"cannot write {target}: images cannot be written with suffix {suffix!r}")
    check_target(source, target, force, stream=False)
    started = time.perf_counter()
    codec = Codec(model, backend, device, threads, max_pixels, max_metadata)
    damage = Damage()
    with naming(source), Source(coded_source(source)) as opened, progress_bar(quiet, "decoding") as progress:
        if salvage:
            picture, damage = codec.salvage(opened, progress)
        elif scale != "1":
            picture = codec.preview(opened, progress)
        else:
            picture = codec.decode_picture(opened, region, progress)
    encoded, notes = save_picture(picture, suffix)
    for note in notes:
        say(quiet, f"note: {note}")
    write_target(target, encoded, force)
    # The size of the file says nothing about the rate of a part or a preview.
    part = bool(region) or scale != "1"
    text = f"{picture.width}x{picture.height}" if part else summary(picture, opened.size, len(encoded), opened.size)
    say(quiet, f"{text}, {time.perf_counter() - started:.2f} s")
    if damage:
        click.echo(f"vaecodec: {_losses(picture, damage)}", err=True)
        sys.exit(DAMAGED)


def _losses(picture: Picture, damage: Damage) -> str:
    lost = [f"section {name}" for name in damage.sections]
    if damage.groups:
        share = 100 * damage.pixels / (picture.width * picture.height)
        numbers = ", ".join(map(str, damage.groups[:20])) + (", ..." if len(damage.groups) > 20 else "")
        lost.insert(0, f"{len(damage.groups)} of {damage.groups_total} groups ({numbers}), {share:.1f} % of the pixels")
    return "lost: " + "; ".join(lost)
