"""vaecodec info"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from vaecodec.cli.options import complete_paths, pixels_option
from vaecodec.cli.printing import show, with_flags
from vaecodec.errors import VaecodecError, explain, naming, printable

if TYPE_CHECKING:
    from vaecodec.inspection import Facts


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("-r", "--recursive", is_flag=True, help="Include subfolders of folders.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list for several files.")
@pixels_option
def info(files: tuple[str, ...], recursive: bool, as_json: bool, max_pixels: int) -> None:
    """Show version, size, quality, model, and the bytes and bits per pixel of every part of .vaec files.

    FILE is a file, a folder of such files, a URL, or "-" for standard input.
    """
    from vaecodec.cli.files import coded_source, in_folder
    from vaecodec.inspection import inspect

    sources = [source for file in files for source in in_folder(file, recursive)]
    several = len(files) > 1 or sources != [files[0]]
    found: list[dict[str, Any]] = []
    failed = False
    for source in sources:
        try:
            with naming(source):
                facts = inspect(coded_source(source), max_pixels)
        except VaecodecError as error:
            if not several:
                raise
            click.echo(f"vaecodec: {printable(with_flags(explain(error)))}", err=True)
            failed = True
            continue
        found.append({"file": source, **facts} if several else {**facts})
        if not as_json:
            if several:
                show(f"{printable(source)}:")
            _show(facts)
    if as_json:
        show(json.dumps(found if several else found[0], indent=2))
    if failed:
        sys.exit(1)


def _show(facts: Facts) -> None:
    model = facts["model"] or "not shipped here"
    show(f"vaecodec file, version {facts['version']}")
    show(f"image    {facts['width']}x{facts['height']} {facts['mode']}")
    if facts["tile"]:
        show(f"tiles    {facts['groups']} of up to {facts['tile']}x{facts['tile']} pixels")
    show(f"quality  {facts['quality']:g}" + (f" (kept {facts['kept']})" if facts["kept"] else ""))
    show(f"model    {facts['model_identity']} ({model})")
    show(f"metadata {', '.join(facts['metadata']) or 'none'}" + ("; says where it was taken" if facts["place"] else ""))
    for name, part in [*facts["parts"].items(), ("total", facts)]:
        show(f"  {name:20s} {part['bytes']:9d} bytes  {part['bpp']:8.4f} bpp")
