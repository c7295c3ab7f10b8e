"""The benchmark from the first image to the report, as `vaecodec benchmark` runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from vaecodec.benchmarks import codecs as zoo
from vaecodec.benchmarks import datasets, machine, measure, memory, plots, report, results
from vaecodec.benchmarks import metrics as scores
from vaecodec.benchmarks import views as pictures
from vaecodec.errors import VaecodecError

QUICK = 6
"""Qualities per codec in a quick benchmark: with fewer, BD-rates are some points off."""
METRICS = ("ssimulacra2", "ms-ssim", "psnr")
Bar = Callable[[str], AbstractContextManager[Callable[[float], None] | None]]
"""From a label, a context that gives a callback for the fraction done, or None without a display."""


def no_bar(label: str) -> AbstractContextManager[None]:
    """The default, without a display."""
    return nullcontext()


def run(
    images: Path | None,
    out: Path,
    codecs: Sequence[str] | None = None,
    metrics: Sequence[str] = METRICS,
    anchor: str | None = None,
    limit: int | None = None,
    quick: bool = False,
    jobs: int | None = None,
    cache: Path | None = None,
    views: int = 3,
    view_images: Sequence[str] = (),
    bar: Bar = no_bar,
    note: Callable[[str], None] = print,
) -> dict:
    """Measure codecs on the images of a folder (None: Kodak, downloaded on first use), and write results.json,
    results.csv, plots and report.html into `out`; returns the contents of results.json.

    codecs: names (None: all that are installed); anchor: the one that BD-rates refer to (None: jpeg); limit: use only
    the first images; quick: QUICK qualities per codec; jobs: processes (None: one per core); cache: folder of earlier
    measurements (None: in `out`); views: number of images to view in the report, or their names in view_images; note:
    called with each omitted codec. Raises VaecodecError.

    >>> result = run(Path("pictures"), Path("benchmark"), ["vaecodec-eye", "jpeg"], ["psnr"])
    """
    known = {name: zoo.find(name) for name in codecs or zoo.available()}
    _check_metrics(metrics)
    usable = _usable(known, anchor, note)
    if images is None:
        with bar("fetching") as fetching:
            images = datasets.kodak(fetching or (lambda share: None))
    files = _files(images, limit, usable, metrics)
    seen = pictures.named(files, list(view_images)) if view_images else pictures.spread(files, views)
    jobs = jobs or os.cpu_count() or 1
    works = [
        measure.Work(path, name, _some(known[name].qualities, quick), tuple(metrics), cache or out / "cache")
        for name in usable
        for path in files
    ]
    with bar("measuring") as progress:
        cells = measure.measure_all(works, jobs, _advance(works, progress))
    setup = {"jobs": jobs, "threads": 1, "one_core_each": machine.PINS, "quick": quick}
    setup["codecs"] = {name: known[name].version() for name in usable}
    result = results.summarise(cells, tuple(metrics), images.name, anchor or results.ANCHOR, setup)
    for name in usable:
        middle = known[name].qualities[len(known[name].qualities) // 2]
        result["codecs"][name]["memory"] = memory.measure(name, middle, max(files, key=measure.pixels_of))
    results.write(result, out)
    for metric in metrics:
        plots.rate_distortion(result, metric, out)
    plots.speed(result, metrics[0], out)
    with bar("report") as progress:
        shots = pictures.make_views(seen, result, progress or (lambda share: None))
    report.write_report(result, shots, out)
    return result


def _check_metrics(metrics: Sequence[str]) -> None:
    for name in metrics:
        if name not in scores.METRICS:
            raise VaecodecError(f"unknown {name!r}; there are {', '.join(scores.METRICS)}")
    for problem in filter(None, map(scores.missing, metrics)):
        raise VaecodecError(f"{problem}: pip install 'vaecodec[benchmark]'")


def _usable(known: dict[str, zoo.Codec], anchor: str | None, note: Callable[[str], None]) -> list[str]:
    usable = []
    for name, codec in known.items():
        if problem := codec.missing():
            note(f"skipped {name}: {problem}")
        else:
            usable.append(name)
    if anchor and (anchor not in usable or known[anchor].timing_only):
        raise VaecodecError(f"the anchor {anchor!r} is not among the codecs that are measured: {', '.join(usable)}")
    if anchor is None and results.ANCHOR not in usable:
        note(f"no BD-rates: {results.ANCHOR} is not among the codecs (another may be the anchor)")
    return usable


def _files(images: Path, limit: int | None, usable: list[str], metrics: Sequence[str]) -> list[Path]:
    files = measure.image_files(images)[:limit]
    if not files or not usable:
        raise VaecodecError(f"nothing to measure: {len(files)} images in {images}, {len(usable)} codecs")
    for path in files:
        measure.size_of(path)  # fail now rather than after hours if a file is not an image
    if "ms-ssim" in metrics and (small := measure.too_small(files)):
        raise VaecodecError(f"MS-SSIM needs more than 160 pixels a side: {small}; leave that metric out")
    return files


def _advance(works: Sequence[measure.Work], progress: Callable[[float], None] | None) -> Callable[[int], None]:
    total, done = sum(len(work.qualities) for work in works), 0

    def advance(cells: int) -> None:
        nonlocal done
        done += cells
        if progress:
            progress(done / total)

    return advance


def _some(qualities: tuple[float, ...], quick: bool) -> tuple[float, ...]:
    """All, or QUICK of them, evenly from the first to the last."""
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
    """A remark if images have no BD-rate of their own."""
    count = max((bd["images_left_out"] for bd in (entry.get("bd") or {}).values() if bd), default=0)
    return f"  ({count} images alone: no overlap)" if count else ""


def _rate(bd: dict | None) -> str:
    """BD-rate and its interval, in a fixed width."""
    if bd is None:
        return f"{'-':>25s}"
    low, high = bd["rate_interval"] or (bd["rate_percent"], bd["rate_percent"])
    return f"{bd['rate_percent']:+6.1f} % ({low:+6.1f} to {high:+6.1f})"
