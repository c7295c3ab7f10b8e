"""vaecodec decode"""

from __future__ import annotations

import time
from pathlib import Path

import click
from vaecodec.cli.options import check_target, codec_options, output_path, read_source, say, write_target

from vaecodec.codec import Codec
from vaecodec.picture import save_image


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@codec_options
def decode(
    source: str,
    target: str | None,
    model: str | None,
    backend: str | None,
    device: str | None,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Decode the .vaec file IN to the image OUT (default: IN with the suffix .png; the suffix names the format).

    "-" is standard input or output (PNG).
    """
    target = output_path(source, target, ".png")
    check_target(source, target, force)
    started = time.perf_counter()
    data = read_source(source)
    image = Codec(model, backend, device, threads, max_pixels).decode(data)
    encoded, notes = save_image(image, Path(target).suffix or ".png")
    for note in notes:
        say(quiet, f"note: {note}")
    write_target(target, encoded, force)
    width, height = image.size
    say(
        quiet,
        f"{width}x{height}, {len(data)} -> {len(encoded)} bytes, {len(data) * 8 / (width * height):.3f} bpp, "
        f"ratio {len(encoded) / len(data):.1f}, {time.perf_counter() - started:.2f} s",
    )
