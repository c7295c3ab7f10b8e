"""vaecodec sample"""

from __future__ import annotations

import time
from pathlib import Path

import click

from vaecodec.cli.options import codec_options, complete_paths
from vaecodec.errors import ImageError, naming, printable
from vaecodec.system.limits import MAX_TEMPERATURE, SAMPLE_QUALITY

USUAL_SIZE = 512, 512


class _SizeType(click.ParamType):
    """WxH in pixels."""

    name = "WxH"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        try:
            width, height = (int(part) for part in value.lower().split("x"))
        except ValueError:
            self.fail(f"{value!r} is not two whole numbers, as in 640x480", param, context)
        return width, height


@click.command()
@click.argument("out", shell_complete=complete_paths)
@click.option("--size", type=_SizeType(), help="Width and height in pixels.  [default: 512x512, or as --like]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, another image.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, MAX_TEMPERATURE),
    default=1.0,
    show_default=True,
    help="Below 1 the likelier symbols are drawn more often than they are coded: calmer.",
)
@click.option(
    "--like",
    metavar="IMAGE",
    shell_complete=complete_paths,
    help="Take the hyper latents of this image: where how much detail is.",
)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(1, 100),
    default=SAMPLE_QUALITY,
    show_default=True,
    help="The rate whose prior is drawn from.",
)
@codec_options("Overwrite an existing output, whatever it is.")
def sample(
    out: str,
    size: tuple[int, int] | None,
    seed: int,
    temperature: float,
    like: str | None,
    quality: float,
    model: str | None,
    backend: str | None,
    device: str | None,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Draw an image out of a model, at random, and write it to OUT in the format of its suffix ("-": a PNG to standard
    output).

    The prior of a codec is a density of pictures, and this is what it looks like: texture, strokes and clouds of
    colour. It yields no scenes and no objects: it sees some 64 pixels far and was trained to code. With --like detail
    lies where that image has it, since its hyper latents say so; nothing else of it is left. See docs/vae.md.
    """
    if like is not None and size is not None:
        raise click.UsageError("--size and --like do not go together: the size is that of the image.")
    from vaecodec.cli.files import check_target, coded_source, write_target
    from vaecodec.cli.printing import progress_bar, say, size_in_words
    from vaecodec.coding.session import Session, Settings
    from vaecodec.picture import save_picture, to_picture
    from vaecodec.picture.formats import can_write
    from vaecodec.system.files import Source, input_limit
    from vaecodec.uses.sample import sample_picture

    suffix = Path(out).suffix or ".png"
    if not can_write(suffix.lower()):
        raise ImageError(f"cannot write {out}: images cannot be written with suffix {suffix!r}")
    check_target("-" if like is None else like, out, force, stream=False)
    started = time.perf_counter()
    reference = None
    if like is not None:
        with naming(like), Source(coded_source(like), input_limit(max_pixels)) as opened:
            reference = to_picture(opened, max_pixels)
    session = Session(Settings(model, backend, device, threads, max_pixels))
    with progress_bar(quiet, "drawing") as progress:
        picture = sample_picture(session, size or USUAL_SIZE, seed, temperature, reference, quality, progress)
    encoded, _ = save_picture(picture, suffix)
    write_target(out, encoded, force)
    text = f"{picture.width}x{picture.height}, {size_in_words(len(encoded))}, {time.perf_counter() - started:.2f} s"
    say(quiet, f"{printable(out)}: {text}")
