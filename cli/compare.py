"""vaecodec compare"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from vaecodec.cli.options import complete_models, complete_paths, pixels_option
from vaecodec.cli.printing import say, show, with_flags
from vaecodec.errors import explain, naming, printable


@click.command()
@click.argument("first", metavar="A", shell_complete=complete_paths)
@click.argument("others", metavar="B [C...]", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html", metavar="OUT", shell_complete=complete_paths, help="Write a page with a slider between the images."
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
def compare(
    first: str,
    others: tuple[str, ...],
    as_json: bool,
    html: str | None,
    model: str | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Compare the images B, C, ... with A: bytes, bits per pixel, SSIMULACRA 2 (if its package is installed), MS-SSIM
    and PSNR of the pixels as shown.

    The images may be of any readable format, including .vaec, but must have the same size. "-" is standard input.
    --html also writes a self-contained page for comparing them by eye.
    """
    from vaecodec.cli.files import check_target, coded_source, write_target
    from vaecodec.codec import Codec
    from vaecodec.viewer.figures import COLUMNS, cells, likeness, read_shown

    sources = [first, *others]
    if sources.count("-") > 1:
        raise click.UsageError("Standard input can be read once.")
    for source in sources if html else ():
        check_target(source, html, force, stream=False)
    codec = Codec(model, max_pixels=max_pixels)
    with naming(first):
        original = read_shown(coded_source(first), codec)
    names = _told_apart(sources)
    entries: list[dict[str, Any]] = [_facts(names[0], original)]
    rows, seen, failures = [cells(original, original, None)], [], []
    notes: dict[str, list[str]] = {}
    if html:
        from vaecodec.viewer.comparison import Seen, comparison_page

        seen.append(Seen.of(names[0], original, original, None))
    for note in original.notes:
        notes.setdefault(note, []).append(names[0])
    for name, source in zip(names[1:], others, strict=True):
        try:
            shown = read_shown(coded_source(source), codec)
            like = likeness(original, shown)
            if html:
                seen.append(Seen.of(name, shown, original, like))
        except Exception as error:  # only this file fails
            failures.append((name, with_flags(explain(error))))
            entries.append({"name": name, "error": explain(error)})
            continue
        rows.append(cells(shown, original, like))
        entries.append(_facts(name, shown) | asdict(like) | {"notes": shown.notes + like.notes})
        for note in shown.notes + like.notes:
            notes.setdefault(note, []).append(name)
    lines = [f"{note}: {', '.join(map(printable, named))}" for note, named in notes.items()]
    if as_json:
        show(json.dumps(entries, indent=2))
    elif len(rows) > 1:
        show(f"{original.width}x{original.height} pixels")
        show(_table(["", *COLUMNS], [[entry["name"], *row] for entry, row in zip(_good(entries), rows, strict=True)]))
    for line in lines:
        say(quiet, f"note: {line}")
    if html and len(seen) > 1:
        page = comparison_page(seen, original.width, original.height, lines)
        write_target(html, page.encode("utf-8", "replace"), force)
    for name, reason in failures:
        message = reason if name in reason else f"{name}: {reason}"
        click.echo(f"vaecodec: {printable(message)}", err=True)
    if failures:
        sys.exit(1)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Display names: files named twice get a number."""
    found: list[str] = []
    for name in names:
        number, label = 1, name
        while label in found:
            number += 1
            label = f"{name} ({number})"
        found.append(label)
    return found


def _facts(name: str, shown: Any) -> dict[str, Any]:
    return {"name": name, "bytes": shown.size, "width": shown.width, "height": shown.height, "bpp": shown.bpp}


def _good(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if "error" not in entry]


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Aligns the first column left, all others right."""
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    )
