"""vaecodec info"""

from __future__ import annotations

import json

import click

from vaecodec.cli.options import coded_source, complete_paths, naming, pixels_option, show
from vaecodec.inspection import inspect


@click.command()
@click.argument("source", metavar="FILE", shell_complete=complete_paths)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pixels_option
def info(source: str, as_json: bool, max_pixels: int) -> None:
    """Show version, size, quality, model and the bytes and bits a pixel of every part of FILE ("-": standard input)."""
    with naming(source):
        facts = inspect(coded_source(source), max_pixels)
    if as_json:
        show(json.dumps(facts, indent=2))
        return
    model = facts["model"] or "not shipped here"
    show(f"vaecodec file, version {facts['version']}")
    show(f"image    {facts['width']}x{facts['height']} {facts['mode']}")
    if facts["tile"]:
        show(f"tiles    {facts['groups']} of up to {facts['tile']}x{facts['tile']} pixels")
    show(f"quality  {facts['quality']:g}")
    show(f"model    {facts['model_identity']} ({model})")
    for name, part in [*facts["parts"].items(), ("total", facts)]:
        show(f"  {name:20s} {part['bytes']:9d} bytes  {part['bpp']:8.4f} bpp")
