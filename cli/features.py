"""vaecodec features"""

from __future__ import annotations

import sys

import click

from vaecodec.cli.options import complete_models, complete_paths, pixels_option
from vaecodec.cli.printing import progress_bar, say, with_flags
from vaecodec.errors import VaecodecError, printable


@click.command()
@click.argument("folder", metavar="DIR", shell_complete=complete_paths)
@click.option("-o", "--output", metavar="OUT", required=True, shell_complete=complete_paths, help="The .npz to write.")
@click.option("-r", "--recursive", is_flag=True, help="Go into subfolders.")
@click.option(
    "--model", metavar="NAME|PATH", shell_complete=complete_models, help="Of files that need one of your own."
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Cores to use.  [default: all]")
@pixels_option
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@click.option("-Q", "--quiet", is_flag=True, help="Print errors only.")
def features(
    folder: str,
    output: str,
    recursive: bool,
    model: str | None,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Read all .vaec files of DIR, a folder or URL, without decoding them, into an index for `vaecodec find`.

    It holds of every file a small preview and the mean magnitude of each channel of its latents; numpy.load reads it.
    Files of several models lie side by side; those kept as pixels or as a JPEG have no latents and are found by their
    previews. The latents themselves: vaecodec.features.read in Python.
    """
    from vaecodec.cli.find import of_each_model, read_index
    from vaecodec.codec import Codec
    from vaecodec.system.output import Found, check_output, look_at

    if output == "-":
        raise click.UsageError("The index needs a name: -o FILE.npz")
    if not force and look_at(output) in (Found.EMPTY, Found.STREAM, Found.OTHER):
        raise VaecodecError(f"{output} exists already; use -f to overwrite it")
    check_output(None, output, False, force)
    codec = Codec(model, threads=threads, max_pixels=max_pixels, metadata="none")
    with progress_bar(quiet, "reading") as progress:
        index = read_index(folder, recursive, codec, progress)
    if len(index):
        index.save(output, overwrite=force)
        say(quiet, f"{printable(output)}: {of_each_model(index)}")
    for name, why in index.refused:
        message = with_flags(why)
        click.echo(f"vaecodec: {printable(message if name in message else f'{name}: {message}')}", err=True)
    if index.refused:
        sys.exit(1)
