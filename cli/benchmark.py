"""vaecodec benchmark"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from vaecodec.cli.printing import progress_bar, show
from vaecodec.errors import VaecodecError

QUICK = 6
"""Qualities of a codec that --quick measures: with fewer, BD-rates are some points off."""


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
@click.option("--dataset", type=click.Choice(["kodak"]), help="Instead of DIR: fetched when first needed.")
@click.option("--codecs", "wanted", help="Names, with commas.  [default: all that are installed]")
@click.option(
    "--metrics",
    default="ssimulacra2,ms-ssim,psnr",
    show_default=True,
    help="ssimulacra2, ms-ssim, psnr, psnr-y; of piq: haarpsi, vsi, fsim, gmsd, dss, vifp.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="benchmark", show_default=True)
@click.option("--anchor", help="One of the codecs, which BD-rates refer to.  [default: jpeg]")
@click.option("--limit", type=click.IntRange(1), help="Only the first images.")
@click.option("--quick", is_flag=True, help=f"Only {QUICK} qualities a codec, from its lowest to its highest.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; times are less reliable with more.  [default: cores]")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="[default: OUT/cache]")
@click.option(
    "--views", type=click.IntRange(0, 24), default=3, show_default=True, help="Images to look at in report.html."
)
@click.option("--view-images", metavar="NAME,...", help="These images in place of --views.")
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

    Codecs are also vaecodec-MODEL@EFFORT and compressai-ARCHITECTURE[=CHECKPOINTS]: of a net of the CompressAI zoo the
    times, with checkpoints the curve. Writes results.json, results.csv, plots and report.html into OUT. What was
    measured before comes from the cache.
    """
    try:
        from vaecodec.benchmarks import codecs, datasets, machine, measure, memory, plots, report, results
        from vaecodec.benchmarks import metrics as scores
        from vaecodec.benchmarks import views as pictures
    except ImportError as error:
        raise VaecodecError(
            f"benchmarks need more packages ({error.name}): pip install 'vaecodec[benchmark]'"
        ) from error
    if (images is None) == (dataset is None):
        raise click.UsageError("Either DIR or --dataset is needed.")
    names = wanted.split(",") if wanted else list(codecs.available())
    known = {name: codecs.find(name) for name in names}
    chosen = tuple(metrics.split(","))
    for name in chosen:
        if name not in scores.METRICS:
            raise VaecodecError(f"unknown {name!r}; there are {', '.join(scores.METRICS)}")
    for problem in filter(None, map(scores.missing, chosen)):
        raise VaecodecError(f"{problem}: pip install 'vaecodec[benchmark]'")
    usable = []
    for name in names:
        if problem := known[name].missing():
            click.echo(f"skipped {name}: {problem}", err=True)
        else:
            usable.append(name)
    if anchor and (anchor not in usable or known[anchor].timing_only):
        raise VaecodecError(f"the anchor {anchor!r} is not among the codecs that are measured: {', '.join(usable)}")
    if anchor is None and results.ANCHOR not in usable:
        click.echo(f"no BD-rates: {results.ANCHOR} is not among the codecs (or choose another --anchor)", err=True)
    if images is None:
        with progress_bar(quiet, "fetching") as fetching:
            images = datasets.kodak(fetching or (lambda share: None))
    files = measure.image_files(images)[:limit]
    if not files or not usable:
        raise VaecodecError(f"nothing to measure: {len(files)} images in {images}, {len(usable)} codecs")
    for path in files:
        measure.size_of(path)  # what is no image is an error now, not after hours
    if "ms-ssim" in chosen and (small := measure.too_small(files)):
        raise VaecodecError(f"MS-SSIM needs more than 160 pixels a side: {small}; leave it out with --metrics psnr")
    seen = pictures.named(files, view_images.split(",")) if view_images else pictures.spread(files, views)
    jobs = jobs or os.cpu_count() or 1
    works = [
        measure.Work(path, name, _some(known[name].qualities, quick), chosen, cache or out / "cache")
        for name in usable
        for path in files
    ]
    total, done = sum(len(work.qualities) for work in works), 0
    with progress_bar(quiet, "measuring") as progress:

        def advance(cells: int) -> None:
            nonlocal done
            done += cells
            if progress:
                progress(done / total)

        cells = measure.measure_all(works, jobs, advance)
    setup = {"jobs": jobs, "threads": 1, "one_core_each": machine.PINS, "quick": quick}
    setup["codecs"] = {name: known[name].version() for name in usable}
    result = results.summarise(cells, chosen, images.name, anchor or results.ANCHOR, setup)
    for name in usable:
        middle = known[name].qualities[len(known[name].qualities) // 2]
        result["codecs"][name]["memory"] = memory.measure(name, middle, max(files, key=measure.pixels_of))
    results.write(result, out)
    for metric in chosen:
        plots.rate_distortion(result, metric, out)
    plots.speed(result, chosen[0], out)
    with progress_bar(quiet, "report") as progress:
        shots = pictures.make_views(seen, result, progress or (lambda share: None))
    report.write_report(result, shots, out)
    if not quiet:
        show(table(result, chosen))


def _some(qualities: tuple[float, ...], quick: bool) -> tuple[float, ...]:
    """All, or QUICK of them from the first to the last."""
    if not quick or len(qualities) <= QUICK:
        return qualities
    return tuple(qualities[round(i * (len(qualities) - 1) / (QUICK - 1))] for i in range(QUICK))


def table(result: dict, metrics: tuple[str, ...]) -> str:
    """BD-rates of all codecs as lines of text."""
    images = f"{result['images']} images{f', quick: {QUICK} qualities a codec' if result['setup']['quick'] else ''}"
    lines = [f"BD-rate against {result['anchor']} (95 % interval), {images}; CPU seconds, peak memory"]
    for codec, entry in result["codecs"].items():
        rates = "  ".join(f"{metric} {_rate((entry.get('bd') or {}).get(metric))}" for metric in metrics)
        middle = entry["points"][len(entry["points"]) // 2]
        seconds = f"encode {middle['encode_s']:.3f}, decode {middle['decode_s']:.3f}"
        peak = f", {entry['memory']['codec_mib']:.0f} MiB" if entry.get("memory") else ""
        note = "  (random weights: times only)" if entry.get("timing_only") else _left_out(entry)
        lines.append(f"{codec:16s} {rates}  {seconds}{peak}{note}")
    return "\n".join(lines)


def _left_out(entry: dict) -> str:
    """Says so where images have no BD-rate of their own."""
    count = max((bd["images_left_out"] for bd in (entry.get("bd") or {}).values() if bd), default=0)
    return f"  ({count} images alone: no overlap)" if count else ""


def _rate(bd: dict | None) -> str:
    """BD-rate and its interval, in a fixed width."""
    if bd is None:
        return f"{'-':>25s}"
    low, high = bd["rate_interval"] or (bd["rate_percent"], bd["rate_percent"])
    return f"{bd['rate_percent']:+6.1f} % ({low:+6.1f} to {high:+6.1f})"


@benchmark.command()
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--max-regression", default="1%", show_default=True, help="Largest BD-rate, in percent, that is no failure."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(old: Path, new: Path, max_regression: str, as_json: bool) -> None:
    """BD-rate of the results NEW against OLD (results.json, or folders with one), of the same images; exits with 1 if
    it got worse, or if a codec or metric of OLD is not there any more."""
    from vaecodec.benchmarks import results

    try:
        limit = float(max_regression.rstrip("%"))
    except ValueError:
        raise click.UsageError(f"--max-regression is a percentage, not {max_regression!r}") from None
    before, after = results.read(old), results.read(new)
    changes, lost = results.compare(before, after), results.lost(before, after)
    if as_json:
        show(json.dumps([{"codec": c, "metric": m, "rate_percent": v} for (c, m), v in changes.items()], indent=1))
    else:
        for (codec, metric), value in sorted(changes.items()):
            show(f"{codec:16s} {metric:12s} {value:+.2f} %")
    worse = {key: value for key, value in changes.items() if value > limit}
    if lost:
        click.echo(f"vaecodec: not in {new}: {', '.join(lost)}", err=True)
    if worse:
        (codec, metric), value = max(worse.items(), key=lambda item: item[1])
        click.echo(f"vaecodec: {codec} is {value:.2f} % worse in {metric}, more than {limit:g} %", err=True)
    if worse or lost:
        sys.exit(1)
