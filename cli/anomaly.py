"""vaecodec anomaly"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaecodec.cli.options import complete_paths, pixels_option
from vaecodec.cli.printing import progress_bar, say, show, with_flags
from vaecodec.errors import VaecodecError, printable

if TYPE_CHECKING:
    from vaecodec.viewer.oddities import Found


class _ShareType(click.ParamType):
    """A share between 0 and 1, as 0.05 or 5%."""

    name = "share"

    def convert(self, value: str | float, param: click.Parameter | None, context: click.Context | None) -> float:
        try:
            text = str(value).strip()
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            self.fail(f"{value!r} is no share between 0 and 1, as 5% or 0.05", param, context)
        return share


recursive_option = click.option("-r", "--recursive", is_flag=True, help="Go into subfolders.")
threads_option = click.option("--threads", type=click.IntRange(1, 1024), help="Cores to use.  [default: all]")
quiet_option = click.option("-Q", "--quiet", is_flag=True, help="Print errors only.")


@click.group()
def anomaly() -> None:
    """Find what is odd in images of things that look alike, learned from good ones alone.

    First `fit` on a folder of good images, then `score` others: scratches, stains, missing parts, blur.
    """


@anomaly.command()
@click.argument("good", metavar="GOOD", shell_complete=complete_paths)
@click.option("-o", "--output", metavar="FILE", required=True, shell_complete=complete_paths, help=".npz to write.")
@click.option("--aligned", is_flag=True, help="All show the same thing at the same place: each place has its normal.")
@recursive_option
@threads_option
@pixels_option
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing FILE.")
@quiet_option
def fit(
    good: str,
    output: str,
    aligned: bool,
    recursive: bool,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Learn from the images in the folder GOOD what is normal: at least 10 of them, 40 or more are better.

    They are taken in the order of their names, and should not overlap: tiles of one photograph that do make the
    threshold too low. --aligned is for things that lie in the same place each time, within some pixels; without it all
    places of all images are alike, as of a fabric.
    """
    from vaecodec import anomaly as library
    from vaecodec.system.output import check_output

    check_output(None, output, False, force)
    files = _images(good, None, recursive, quiet)
    with progress_bar(quiet, "fit") as progress:
        normal = library.fit(
            [path for _, path in files], aligned, threads=threads, max_pixels=max_pixels, progress=progress
        )
    normal.save(output, overwrite=force)
    more = "" if normal.images >= library.ENOUGH else f"; {library.ENOUGH} or more make thresholds that hold"
    say(quiet, f"{output}: learned from {normal.images} images{more}")


@anomaly.command()
@click.argument("images", metavar="DIR", shell_complete=complete_paths)
@click.option("--model", metavar="FILE", required=True, shell_complete=complete_paths, help="What `fit` wrote.")
@click.option("--maps", metavar="OUT", shell_complete=complete_paths, help="Folder for the maps and index.html.")
@click.option("--false-alarms", type=_ShareType(), default="5%", show_default=True, help="Of good images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@recursive_option
@threads_option
@pixels_option
@click.option("-f", "--force", is_flag=True, help="Overwrite existing maps.")
@quiet_option
def score(
    images: str,
    model: str,
    maps: str | None,
    false_alarms: float,
    as_json: bool,
    recursive: bool,
    threads: int | None,
    max_pixels: int,
    force: bool,
    quiet: bool,
) -> None:
    """Say of the images in DIR, a folder or a file, how odd they are, the threshold, and where each is oddest.

    With --maps every image gets a map over it in OUT, NAME.map.png, and OUT/index.html shows them all, the oddest
    first. The threshold comes from the scores that the good images have where they were left out of learning.
    """
    from vaecodec import anomaly as library
    from vaecodec.system.output import check_free, write_whole
    from vaecodec.system.storage import local_path, place
    from vaecodec.viewer.oddities import PAGE, examine, oddities_page, threshold_basis

    normal = library.load(model, threads=threads, max_pixels=max_pixels)
    out = None if maps is None else (local_path(maps) or maps)
    if out is not None:
        check_free(place(out, PAGE), False, force)
    files = _images(images, out, recursive, quiet)
    with progress_bar(quiet, "score") as progress:
        done = 0

        def report(found: Found) -> None:
            nonlocal done
            done += 1
            if progress:
                progress(done / len(files))

        found = examine(normal, files, false_alarms, out, overwrite=force, max_pixels=max_pixels, report=report)
    scored = [item for item in found if item.error is None]
    if as_json:
        rows = [
            {"name": i.name, "score": i.score, "is_anomaly": i.is_anomaly, "x": i.place[0], "y": i.place[1]}
            if i.error is None
            else {"name": i.name, "error": i.error}
            for i in found
        ]
        facts = {
            "threshold": normal.threshold(false_alarms),
            "false_alarms": false_alarms,
            "learned_from": normal.images,
        }
        show(json.dumps(facts | {"images": rows}, indent=2))
    elif scored:
        width = max(len(printable(item.name)) for item in scored)
        for item in scored:
            word = "odd" if item.is_anomaly else "   "
            show(f"{printable(item.name):{width}s}  {item.score:8.2f}  {word}  at {item.place[0]},{item.place[1]}")
    if out is not None and scored:
        page = oddities_page(found, normal, false_alarms)
        write_whole(place(out, PAGE), page.encode("utf-8", "replace"), force)
    odd, basis = sum(item.is_anomaly for item in scored), threshold_basis(normal, false_alarms)
    where = f"; {place(out, PAGE)}" if out is not None and scored else ""
    say(quiet, f"{odd} of {len(scored)} odd, threshold {normal.threshold(false_alarms):.2f} for {basis}{where}")
    failed = [item for item in found if item.error is not None]
    for item in failed:
        message = item.error if item.name in str(item.error) else f"{item.name}: {item.error}"
        click.echo(f"vaecodec: {printable(with_flags(str(message)))}", err=True)
    if failed:
        sys.exit(1)


def _images(source: str, out: str | Path | None, recursive: bool, quiet: bool) -> list[tuple[str, str | Path]]:
    """Names and places of the images of a folder in order, or of the file that it is."""
    from vaecodec.picture.formats import readable_suffixes
    from vaecodec.system.listing import list_folder
    from vaecodec.system.storage import is_folder, is_url, local_path, place

    folder = local_path(source) or source
    if not is_folder(source):
        if not is_url(source) and not Path(source).exists():
            raise VaecodecError(f"{source}: no such file or folder")
        return [(Path(source).name, folder)]
    found = list_folder(folder, recursive, without=out)
    found.keep(lambda name: None if Path(name).suffix.lower() in readable_suffixes() else "no image by its suffix")
    for why, names in found.left_out.items():
        shown = ", ".join(map(printable, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        say(quiet, f"left out ({why}): {shown}")
    if not found.files:
        raise VaecodecError(f"no images in {source}")
    return [(name, place(folder, name)) for name in found.files]
