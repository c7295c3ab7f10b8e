"""vaecodec benchmark"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import click

from vaecodec.cli.printing import progress_bar, show
from vaecodec.errors import VaecodecError


class _WithFolder(click.Group):
    """`benchmark DIR ...` measures; `benchmark diff A B` compares."""

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(context, args)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(context, args)


@click.group(cls=_WithFolder)
def benchmark() -> None:
    """Measure rate and distortion of codecs on a folder of images, or compare two results.

    `vaecodec benchmark DIR` is short for `vaecodec benchmark run DIR`.
    """


@benchmark.command()
@click.argument(
    "images", metavar="[DIR]", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--dataset", type=click.Choice(["kodak"]), help="A dataset instead of DIR, downloaded on first use.")
@click.option("--codecs", "wanted", help="Comma-separated names.  [default: all installed]")
@click.option(
    "--metrics",
    default="ssimulacra2,ms-ssim,psnr",
    show_default=True,
    help="ssimulacra2, ms-ssim, psnr, psnr-y; from piq: haarpsi, vsi, fsim, gmsd, dss, vifp.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="benchmark", show_default=True)
@click.option("--anchor", help="The codec that BD-rates refer to.  [default: jpeg]")
@click.option("--limit", type=click.IntRange(1), help="Use only the first images.")
@click.option("--quick", is_flag=True, help="Only 6 qualities per codec, from its lowest to its highest.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; times are less reliable with more.  [default: cores]")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="[default: OUT/cache]")
@click.option(
    "--views", type=click.IntRange(0, 24), default=3, show_default=True, help="Images to view in report.html."
)
@click.option("--view-images", metavar="NAME,...", help="These images instead of --views.")
@click.option("-Q", "--quiet", is_flag=True, help="Print errors only.")
def run(
    images: Path | None,
    dataset: str | None,
    wanted: str | None,
    metrics: str,
    out: Path,
    anchor: str | None,
    limit: int | None,
    quick: bool,
    jobs: int | None,
    cache: Path | None,
    views: int,
    view_images: str | None,
    quiet: bool,
) -> None:
    """Measure codecs on the images in DIR: real file bytes, decoded 8-bit pixels, each process on one core.

    Further codecs are vaecodec-MODEL@EFFORT and compressai-ARCHITECTURE[=CHECKPOINTS], a net of the CompressAI zoo: its
    times, and with checkpoints also its curve. Writes results.json, results.csv, plots and report.html into OUT.
    Earlier measurements come from the cache.
    """
    try:
        from vaecodec.benchmarks import run as benchmarks
    except ImportError as error:
        raise VaecodecError(
            f"benchmarks need more packages ({error.name}): pip install 'vaecodec[benchmark]'"
        ) from error
    if (images is None) == (dataset is None):
        raise click.UsageError("Either DIR or --dataset is needed.")
    result = benchmarks.run(
        images,
        out,
        wanted.split(",") if wanted else None,
        tuple(metrics.split(",")),
        anchor,
        limit,
        quick,
        jobs,
        cache,
        views,
        view_images.split(",") if view_images else (),
        partial(progress_bar, quiet),
        lambda text: click.echo(text, err=True),
    )
    if not quiet:
        show(benchmarks.table(result, tuple(metrics.split(","))))


@benchmark.command()
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
@click.option("--max-regression", default="1%", show_default=True, help="Largest BD-rate, in percent, that passes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(old: Path, new: Path, max_regression: str, as_json: bool) -> None:
    """BD-rate of the results NEW against OLD (results.json, or folders with one) on the same images, and the bytes in
    bands of the score. Exits with 1 if NEW is worse, or lacks a codec or metric of OLD."""
    from vaecodec.benchmarks import results

    try:
        limit = float(max_regression.rstrip("%"))
    except ValueError:
        raise click.UsageError(f"--max-regression is a percentage, not {max_regression!r}") from None
    before, after = results.read(old), results.read(new)
    changes, lost = results.compare(before, after), results.lost(before, after)
    bands = results.compare_bands(before, after)
    if as_json:
        rows = [
            {"codec": c, "metric": m, "rate_percent": v, "bands": bands.get((c, m), {})}
            for (c, m), v in changes.items()
        ]
        show(json.dumps(rows, indent=1))
    else:
        for (codec, metric), value in sorted(changes.items()):
            parts = "  ".join(f"{band} {part:+.1f}" for band, part in bands.get((codec, metric), {}).items())
            show(f"{codec:16s} {metric:12s} {value:+.2f} %" + (f"  ({parts})" if parts else ""))
    worse = {key: value for key, value in changes.items() if value > limit}
    if lost:
        click.echo(f"vaecodec: not in {new}: {', '.join(lost)}", err=True)
    if worse:
        (codec, metric), value = max(worse.items(), key=lambda item: item[1])
        click.echo(f"vaecodec: {codec} is {value:.2f} % worse in {metric}, more than {limit:g} %", err=True)
    if worse or lost:
        sys.exit(1)
