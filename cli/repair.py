"""vaecodec repair"""

from __future__ import annotations

import time
from pathlib import Path

import click

from vaecodec.cli.options import common_options, complete_paths, saving_of, saving_options
from vaecodec.errors import ImageError, naming, printable


@click.command()
@click.argument("image", shell_complete=complete_paths)
@click.argument("out", required=False, shell_complete=complete_paths)
@click.option(
    "--mask",
    required=True,
    metavar="IMAGE",
    shell_complete=complete_paths,
    help="Image of the same size: what is not black is damaged. In one with transparent pixels: what is not "
    "transparent; in a JPEG: what is brighter than middle gray.",
)
@saving_options
@common_options("Overwrite an existing output, whatever it is.")
def repair(
    image: str,
    out: str | None,
    mask: str,
    quality: int | None,
    lossless: bool,
    png_level: int,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Repair what a mask marks in IMAGE, by what the model of the codec knows of pictures.

    The result goes to OUT, in the format of its suffix, or beside the image: a.jpg becomes a.repaired.png. "-" is
    standard input or output. All other pixels stay as they are, where the format of OUT keeps them. Mark a little more
    than the damage: its soft edges are taken for the picture otherwise. Made for scratches, dust and overlaid text, a
    few pixels wide; holes of 20 pixels and more become as smooth as a membrane.
    """
    saving = saving_of(quality, lossless, png_level)
    if image == mask == "-":
        raise click.UsageError("The image and its mask cannot both come from standard input.")
    from vaecodec.cli.files import check_target, coded_source, output_path, write_target
    from vaecodec.cli.printing import progress_bar, say, size_in_words
    from vaecodec.picture import save_picture, to_picture
    from vaecodec.picture.formats import can_write
    from vaecodec.system.files import Source, input_limit
    from vaecodec.uses.repair import Repairer, read_mask

    target = output_path(image, out, lambda name: f"{Path(name).stem}.repaired.png")
    suffix = Path(target).suffix or ".png"
    if not can_write(suffix.lower()):
        raise ImageError(f"cannot write {target}: images cannot be written with suffix {suffix!r}")
    for source in (image, mask):
        check_target(source, target, force, stream=False)
    started = time.perf_counter()
    with naming(image), Source(coded_source(image), input_limit(max_pixels)) as opened:
        picture = to_picture(opened, max_pixels)
    with naming(mask), Source(coded_source(mask), input_limit(max_pixels)) as opened:
        damage = read_mask(opened, max_pixels)
    with naming(mask), progress_bar(quiet, "repairing") as progress:
        result = Repairer(threads)(picture, damage, progress)
    encoded, notes = save_picture(result, suffix, saving)
    for note in [*picture.notes, *notes]:
        say(quiet, f"note: {note}")
    write_target(target, encoded, force)
    count, share = int(damage.sum()), 100 * damage.mean()
    done = f"{count} pixels repaired ({share:.2g} %)" if count else f"nothing is marked in {printable(mask)}: unchanged"
    size = f"{picture.width}x{picture.height}, {size_in_words(len(encoded))}"
    say(quiet, f"{printable(image)}: {done}, {size}, {time.perf_counter() - started:.2f} s")
