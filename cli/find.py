"""vaecodec find"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vaecodec.cli.options import complete_models, complete_paths, pixels_option
from vaecodec.cli.printing import progress_bar, say, show, with_flags
from vaecodec.errors import VaecodecError, naming, printable

if TYPE_CHECKING:
    from vaecodec.codec import Codec
    from vaecodec.features import Index, Match
    from vaecodec.system.parallel import Progress


@click.command()
@click.argument("query", metavar="QUERY", shell_complete=complete_paths)
@click.argument("archive", metavar="DIR|INDEX", shell_complete=complete_paths)
@click.option("--crops", is_flag=True, help="QUERY may be a part of a picture, also at another size: looks longer.")
@click.option("-n", "--count", type=click.IntRange(1), default=5, show_default=True, help="Matches to show.")
@click.option("-r", "--recursive", is_flag=True, help="Go into subfolders of DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--model", metavar="NAME|PATH", shell_complete=complete_models, help="Of files that need one of your own."
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Cores to use.  [default: all]")
@pixels_option
@click.option("-Q", "--quiet", is_flag=True, help="No notes.")
def find(
    query: str,
    archive: str,
    crops: bool,
    count: int,
    recursive: bool,
    as_json: bool,
    model: str | None,
    threads: int | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Find the pictures among the .vaec files of DIR, or in an INDEX of `vaecodec features`, that QUERY shows: encoded
    again, at another size, in gray, brighter, mirrored, or with a border cut off; with --crops also parts of them.

    QUERY is any image, a .vaec file, or "-" for standard input. The files are not decoded. Each match has a score, how
    sure it is, and where in the picture QUERY lies (left, top, width, height). "sure" matches are hardly ever wrong;
    that a picture is NOT there is never decided: what is listed as unsure is most likely something else.
    """
    from vaecodec.cli.files import coded_source
    from vaecodec.codec import Codec
    from vaecodec.features import Index
    from vaecodec.system.storage import is_folder, place

    codec = Codec(model, threads=threads, max_pixels=max_pixels, metadata="none")
    folder = is_folder(archive)
    with progress_bar(quiet, "reading") as progress:
        index = read_index(archive, recursive, codec, progress) if folder else Index.load(archive)
    for name, why in index.refused:
        message = with_flags(why)
        click.echo(f"vaecodec: {printable(message if name in message else f'{name}: {message}')}", err=True)
    if not len(index):
        raise VaecodecError(f"there is nothing to look through in {archive}")
    with naming(query):
        matches = index.find(coded_source(query), parts=crops, count=count, codec=codec)
    names = [str(place(archive, match.name)) if folder else match.name for match in matches]
    pairs = list(zip(names, matches, strict=True))
    if as_json:
        found = [asdict(match) | {"name": name, "certainty": match.certainty} for name, match in pairs]
        show(json.dumps(found, indent=2))
    else:
        width = max(len(printable(name)) for name in names)
        for name, match in pairs:
            show(f"{printable(name):{width}s}  {_words(match)}")
    say(quiet, f"note: looked through {of_each_model(index)}")
    if matches[0].certainty != "sure":
        say(
            quiet,
            "note: nothing is sure; that QUERY is not among them is not decided" + ("" if crops else " (--crops?)"),
        )
    if index.refused:
        sys.exit(1)


def _words(match: Match) -> str:
    left, top, width, height = match.area
    turned = ", mirrored" if match.mirrored else ""
    return f"{match.certainty:6s}  score {match.score:5.1f}  at {left},{top},{width},{height}{turned}"


def read_index(folder: str, recursive: bool, codec: Codec, progress: Progress | None) -> Index:
    """Of the .vaec files of a folder, by their names in it."""
    from vaecodec.cli.files import coded_names
    from vaecodec.features import Index
    from vaecodec.system.storage import is_folder, place

    if not is_folder(folder):
        raise VaecodecError(f"{folder} is no folder with .vaec files")
    return Index.build({name: place(folder, name) for name in coded_names(folder, recursive)}, codec, progress)


def of_each_model(index: Index) -> str:
    """How many files there are, one index a model: "12 of model eye (cc455c78), 1 without latents"."""
    from vaecodec.uses.entries import model_words

    return ", ".join(f"{count} of {model_words(model)}" for model, count in index.counts.items())
