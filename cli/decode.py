"""vaecodec decode"""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vaecodec.cli.options import (
    SuffixType,
    codec_options,
    complete_paths,
    folder_options,
    metadata_options,
    saving_of,
    saving_options,
)
from vaecodec.errors import ImageError, naming, printable

if TYPE_CHECKING:
    from vaecodec.coding.windows import Damage, Region
    from vaecodec.picture import Picture

DAMAGED = 3
"""Exit code of a salvage that lost parts."""


class _RegionType(click.ParamType):
    """A region X,Y,W,H in pixels."""

    name = "X,Y,W,H"

    def convert(self, value: str | Region, param: click.Parameter | None, context: click.Context | None) -> Region:
        if isinstance(value, tuple):
            return value
        try:
            x, y, width, height = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not four whole numbers, as in 0,0,640,480", param, context)
        return x, y, width, height


class _ScaleType(click.ParamType):
    """A scale from 1/16 to 1."""

    name = "scale"

    def convert(self, value: str | Fraction, param: click.Parameter | None, context: click.Context | None) -> Fraction:
        if isinstance(value, Fraction):
            return value
        from vaecodec.codec.scaling import parse_scale

        try:
            return parse_scale(value)
        except ImageError as error:
            self.fail(str(error), param, context)


@click.command()
@click.argument("arguments", metavar="IN... [OUT]", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("--region", type=_RegionType(), help="Decode only this part (left, top, width, height in pixels).")
@click.option(
    "--scale",
    type=_ScaleType(),
    default=Fraction(1),
    help="From 1/16 to 1, such as 1/2, 0.4 or 25%; much faster up to 1/8.",
)
@click.option(
    "--suffix", type=SuffixType(), default=".png", show_default=True, help="Format of the images, unless OUT names one."
)
@saving_options
@folder_options
@click.option(
    "--salvage", is_flag=True, help="Decode the intact parts of a damaged file; exit code 3 if parts are lost."
)
@click.option(
    "--fill",
    type=click.Choice(["gray", "smooth"]),
    help="Content of the lost parts of --salvage; smooth hides how much is lost.  [default: gray]",
)
@metadata_options
@codec_options("Overwrite an existing output of any kind.")
def decode(
    arguments: tuple[str, ...],
    region: Region | None,
    scale: Fraction,
    suffix: str,
    quality: int | None,
    lossless: bool,
    png_level: int,
    output: str | None,
    recursive: bool,
    jobs: int | None,
    resume: bool,
    verbose: bool,
    salvage: bool,
    fill: Literal["gray", "smooth"] | None,
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
    """Decode .vaec files, each to an image beside it with the suffix .png, or to OUT. "-" is standard input or output.

    IN is one or more files, folders or URLs (s3://bucket/folder). OUT, or better -o OUT, names the image to write, in
    the format of its suffix, or the folder for all images. The second of two arguments is OUT unless it is a .vaec file
    or a folder. a.jpg.vaec becomes a.png, or a.jpg.png if another file becomes a.png.
    """
    if (region is not None) + (scale != 1) + salvage > 1:
        raise click.UsageError("--region, --scale and --salvage do not go together.")
    if fill and not salvage:
        raise click.UsageError("--fill says what --salvage puts where pixels are lost: give both.")
    saving = saving_of(quality, lossless, png_level)
    from vaecodec.cli.files import check_target, coded_source, inputs_and_output, output_path, write_target
    from vaecodec.cli.printing import progress_bar, result_line, say, size_in_words
    from vaecodec.codec import Codec
    from vaecodec.codec.scaling import decode_scaled
    from vaecodec.coding.windows import Damage
    from vaecodec.picture import save_picture
    from vaecodec.picture.formats import can_write
    from vaecodec.system.files import Source
    from vaecodec.system.naming import decoded_name
    from vaecodec.system.storage import is_folder

    inputs, target = inputs_and_output(arguments, output, encoding=False)
    if len(inputs) > 1 or is_folder(inputs[0]):
        if region or salvage:
            raise click.UsageError("--region and --salvage are for single files.")
        options = {"model": model, "backend": backend, "device": device, "threads": threads or 1}
        options |= {"max_pixels": max_pixels, "max_metadata": max_metadata, "metadata": metadata}
        from vaecodec.cli.folder import Many, run_many
        from vaecodec.folders import Task

        task = Task("decode", suffix, force=force, codec=options, saving=saving, scale=scale)
        run_many(inputs, target, task, Many(recursive, jobs, resume, verbose, quiet))
        return
    (source,) = inputs
    target = output_path(source, target, lambda name: decoded_name(name, suffix))
    suffix = Path(target).suffix or suffix
    if not can_write(suffix.lower()):
        raise ImageError(f"cannot write {target}: images cannot be written with suffix {suffix!r}")
    check_target(source, target, force, stream=False)
    started = time.perf_counter()
    codec = Codec(model, backend, device, threads, max_pixels, max_metadata, metadata=metadata)
    damage = Damage()
    with naming(source), Source(coded_source(source)) as opened, progress_bar(quiet, "decoding") as progress:
        if salvage:
            picture, damage = codec.salvage_picture(opened, progress, fill or "gray")
        elif scale != 1:
            picture = decode_scaled(codec, opened, scale, progress)
        else:
            picture = codec.decode_picture(opened, region, progress)
    encoded, notes = save_picture(picture, suffix, saving)
    for note in notes:
        say(quiet, f"note: {note}")
    write_target(target, encoded, force)
    # The size of the file does not give the rate of a part or a preview.
    part = bool(region) or scale != 1
    size = picture.width, picture.height
    entry: dict[str, Any] = {"width": size[0], "height": size[1], "bytes_in": opened.size, "bytes_out": len(encoded)}
    entry["bpp"] = opened.size * 8 / (size[0] * size[1])
    text = f"{size[0]}x{size[1]}, {size_in_words(len(encoded))}" if part else result_line(entry)
    say(quiet, f"{printable(source)}: {text}, {time.perf_counter() - started:.2f} s")
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
