"""vaecodec denoise"""

from __future__ import annotations

import time
from pathlib import Path

import click

from vaecodec.cli.options import common_options, complete_paths, saving_of, saving_options
from vaecodec.errors import ImageError, naming, printable
from vaecodec.system.limits import MAX_SHIFTS, MAX_SIGMA


@click.command()
@click.argument("noisy", shell_complete=complete_paths)
@click.argument("out", required=False, shell_complete=complete_paths)
@click.option(
    "--sigma",
    type=click.FloatRange(0, MAX_SIGMA, min_open=True),
    help="Standard deviation of the noise, in levels of 255.  [default: estimated; below 2 the image stays as it is]",
)
@click.option(
    "--shifts",
    type=click.IntRange(1, MAX_SHIFTS),
    default=1,
    show_default=True,
    help="The mean over so many shifted copies: a little better, in so many times the time.",
)
@saving_options
@common_options("Overwrite an existing output, whatever it is.")
def denoise(
    noisy: str,
    out: str | None,
    sigma: float | None,
    shifts: int,
    quality: int | None,
    lossless: bool,
    png_level: int,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Take the noise out of the image NOISY, by what the model of the codec knows of pictures.

    The result goes to OUT, in the format of its suffix, or beside the image: a.jpg becomes a.denoised.png. "-" is
    standard input or output. Made for white Gaussian noise, as in scans and raw pictures. Noise that a camera has
    smoothed or that was saved as JPEG is estimated too low: give a larger --sigma, and look.
    """
    saving = saving_of(quality, lossless, png_level)
    from vaecodec.cli.files import check_target, coded_source, output_path, write_target
    from vaecodec.cli.printing import progress_bar, say, size_in_words
    from vaecodec.picture import save_picture, to_picture
    from vaecodec.picture.formats import can_write
    from vaecodec.system.files import Source, input_limit
    from vaecodec.uses.denoise import Denoiser

    target = output_path(noisy, out, lambda name: f"{Path(name).stem}.denoised.png")
    suffix = Path(target).suffix or ".png"
    if not can_write(suffix.lower()):
        raise ImageError(f"cannot write {target}: images cannot be written with suffix {suffix!r}")
    check_target(noisy, target, force, stream=False)
    started = time.perf_counter()
    with naming(noisy), Source(coded_source(noisy), input_limit(max_pixels)) as opened:
        picture = to_picture(opened, max_pixels)
    with naming(noisy), progress_bar(quiet, "denoising") as progress:
        result = Denoiser(threads)(picture, sigma, shifts, progress)
    encoded, notes = save_picture(result.picture, suffix, saving)
    for note in [*picture.notes, *notes]:
        say(quiet, f"note: {note}")
    write_target(target, encoded, force)
    found = "" if sigma is not None else ", estimated"
    done = f"sigma {result.sigma:.1f}{found}" if result.changed else f"no noise found (sigma {result.sigma:.1f})"
    size = f"{picture.width}x{picture.height}, {size_in_words(len(encoded))}"
    say(quiet, f"{printable(noisy)}: {done}, {size}, {time.perf_counter() - started:.2f} s")
