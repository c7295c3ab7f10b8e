"""vaecodec view"""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from pathlib import Path

import click

from vaecodec.cli.options import complete_models, complete_paths, pixels_option
from vaecodec.cli.printing import say, show, size_in_words, with_flags
from vaecodec.errors import VaecodecError, explain, naming, printable


@click.command()
@click.argument("files", metavar="[FILE...]", nargs=-1, shell_complete=complete_paths)
@click.option(
    "--html", metavar="OUT", shell_complete=complete_paths, help="Write the page to a file instead of opening it."
)
@click.option(
    "--model",
    metavar="NAME|PATH",
    shell_complete=complete_models,
    help="For .vaec files made with a model of your own.",
)
@pixels_option
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing page.")
@click.option("-Q", "--quiet", is_flag=True, help="No notes.")
def view(
    files: tuple[str, ...], html: str | None, model: str | None, max_pixels: int, force: bool, quiet: bool
) -> None:
    """Show .vaec files in a browser, without a network: zoom, compare two under a slider, save as PNG.

    The page holds the files and their decoder, some 4 MB: a recipient needs only a browser. An image of another format,
    or no FILE at all, makes a page that also encodes (7 MB). FILE is a file, a folder of .vaec files, a URL, or "-" for
    standard input.
    """
    from vaecodec.cli.files import check_target, coded_source, in_folder, write_target
    from vaecodec.model.file import load_model
    from vaecodec.viewer.offline import Enclosed, enclosed, offline_page

    if files.count("-") > 1:
        raise click.UsageError("Standard input can be read once.")
    sources = [source for file in files for source in in_folder(file, recursive=False)]
    for file in sources if html else ():
        check_target(file, html or "", force, stream=False)
    own = load_model(model) if model else None
    found: list[Enclosed] = []
    failures: list[str] = []
    for file in sources:
        try:
            with naming(file):
                name = "standard input" if file == "-" else os.path.basename(file.rstrip("/"))
                found.append(enclosed(coded_source(file), name, max_pixels))
        except VaecodecError as error:  # only this file fails
            failures.append(with_flags(explain(error)))
            continue
        for note in found[-1].notes:
            say(quiet, f"note: {printable(file)}: {note}")
    if found or not failures:
        page = offline_page(found, own).encode("utf-8", "replace")
        if html:
            write_target(html, page, force)
            if html != "-":
                say(quiet, f"{printable(html)}: {size_in_words(len(page))}, for any browser")
        else:
            _open(page)
    for reason in failures:
        click.echo(f"vaecodec: {printable(reason)}", err=True)
    if failures:
        sys.exit(1)


def _open(page: bytes) -> None:
    """Show a page in the browser. The file stays: nothing tells when the browser has read it."""
    path = Path(tempfile.mkdtemp(prefix="vaecodec-view-"), "view.html")
    path.write_bytes(page)
    show(str(path))
    if not webbrowser.open(path.as_uri()):
        raise VaecodecError(f"no browser to open here: {path} is the page (or write it with --html)")
