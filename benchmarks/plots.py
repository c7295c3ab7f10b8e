"""Plots of results: one rate-distortion plot per metric, and speed against BD-rate."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import median
from string import ascii_uppercase
from typing import Any

from vaecodec.benchmarks.bd import Curve
from vaecodec.benchmarks.metrics import LABELS, ssim_decibel

GRAYS = {"jpeg": ("0.35", "--"), "jpeg-444": ("0.6", "--"), "jpeg-moz": ("0.35", ":")}
STYLES = {codec: {"color": gray, "ls": style} for codec, (gray, style) in GRAYS.items()}
COLOURS = {"webp": "blue", "avif": "green", "avif-444": "olive", "jxl": "purple", "jpeg2000": "brown", "heic": "orange"}
STYLES |= {codec: {"color": f"tab:{colour}", "lw": 1.3} for codec, colour in COLOURS.items()}
OURS = {"lw": 2.4, "color": "tab:red"}
OURS_REFINED = {"lw": 1.6, "color": "tab:red", "ls": "--"}
OURS_FOR_STRUCTURE = {"lw": 2.0, "color": "tab:pink"}
OURS_FOR_ERROR = {"lw": 2.0, "color": "tab:cyan"}
RIGHT = 2.5
"""Largest bits per pixel in a plot."""


def _style(codec: str) -> dict:
    if codec.startswith("vaecodec"):
        if "@" in codec:
            return OURS_REFINED
        others = {"vaecodec-fast-ms-ssim": OURS_FOR_STRUCTURE, "vaecodec-fast": OURS_FOR_ERROR}
        return others.get(codec, OURS)
    return STYLES.get(codec, {"lw": 1.3})


def published(metric: str = "psnr") -> dict[str, Curve]:
    """Curves of papers and reference software on Kodak, as (bpp, dB); sources are in published.json.

    They state the mean of MS-SSIM, whose value in dB is slightly below the mean dB over images that we plot.
    """
    curves = json.loads(Path(__file__).with_name("published.json").read_text())
    in_decibel = ssim_decibel if metric == "ms-ssim" else float
    return {
        name: list(zip(curve["bpp"], map(in_decibel, curve[metric]), strict=True))
        for name, curve in curves.items()
        if metric in curve
    }


def rate_distortion(result: dict, metric: str, out: Path) -> None:
    """rd_METRIC.png and .svg."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(7.2, 4.8), dpi=120)
    ours, bottom, top = [], float("inf"), 0.0
    for codec, entry in result["codecs"].items():
        if entry.get("timing_only"):
            continue
        points = entry["points"]
        bd = (entry.get("bd") or {}).get(metric)
        label = f"{codec} ({bd['rate_percent']:+.1f} %)" if bd else codec
        rates, scores = [p["bpp"] for p in points], [p[metric] for p in points]
        ours += axes.plot(rates, scores, marker=".", ms=5, label=label, **_style(codec))
        shown = [p[metric] for p in points if p["bpp"] < RIGHT]
        bottom, top = min(bottom, *shown), max(top, *shown)
    title = f"{_subject(result)}; BD-rate against {result['anchor']}"
    axes.set(xlabel="bits per pixel", ylabel=LABELS[metric], title=title, xlim=(0, RIGHT))
    margin = 0.04 * (top - bottom)
    axes.set_ylim(bottom - margin, top + margin)
    if result["dataset"].lower() == "kodak" and result["images"] == 24 and metric in ("psnr", "ms-ssim"):
        axes.add_artist(_draw_published(axes, metric))  # otherwise the next legend would replace it
    axes.grid(alpha=0.3)
    axes.legend(handles=ours, loc="lower right", fontsize=8)
    _save(figure, out / f"rd_{metric}")


def _draw_published(axes: Any, metric: str) -> Any:
    """Thin lines with letters on them, and their legend in the corner above all curves; returns the legend."""
    lines = [
        axes.plot(
            *zip(*curve, strict=True), lw=0.6, color="0.65", marker=f"${letter}$", ms=4.5, mec="0.3", mew=0.2,
            mfc="0.3", markevery=max(len(curve) // 8, 1), label=name.removesuffix("-mse"), zorder=1,
        )[0]
        for letter, (name, curve) in zip(ascii_uppercase, published(metric).items(), strict=False)
    ]  # fmt: skip
    return axes.legend(handles=lines, title="published", loc="upper left", fontsize=6.5, title_fontsize=6.5)


def _subject(result: dict) -> str:
    quick = ", quick" if result["setup"].get("quick") else ""
    return f"{result['images']} images of {result['dataset']}{quick}"


def speed(result: dict, metric: str, out: Path) -> None:
    """speed.png and .svg: BD-rate against megapixels decoded per second on one core; a line for codecs without a
    BD-rate."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), dpi=120)
    labelled: list[tuple[float, float]] = []
    megapixels = median({cell["image"]: cell["megapixels"] for cell in result["cells"]}.values())
    for codec, entry in result["codecs"].items():
        x = megapixels / median(p["decode_s"] for p in entry["points"])
        if entry.get("timing_only"):
            axes.axvline(x, ls=":", lw=1, color="0.6")
            axes.annotate(
                f"{codec} (time only)", (x, 0.98), xycoords=("data", "axes fraction"), xytext=(-9, 0),
                textcoords="offset points", rotation=90, va="top", fontsize=7, color="0.4",
            )  # fmt: skip
            continue
        bd = (entry.get("bd") or {}).get(metric)
        y = bd["rate_percent"] if bd else 0.0
        axes.scatter([x], [y], color=_style(codec).get("color"))
        near = any(abs(math.log(x / other)) < 0.5 and abs(y - height) < 3 for other, height in labelled)
        axes.annotate(codec, (x, y), xytext=(5, -12 if near else 4), textcoords="offset points", fontsize=8)
        labelled.append((x, y))
    label = f"BD-rate ({LABELS[metric].split(',')[0]}) against {result['anchor']}, %"
    axes.margins(y=0.1)  # room for the outermost labels
    axes.set(xscale="log", xlabel="megapixels decoded a second, one core", ylabel=label, title=_subject(result))
    axes.grid(alpha=0.3, which="both")
    _save(figure, out / "speed")


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "vaecodec"  # equal results give equal files
    from matplotlib import pyplot

    return pyplot


def _save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"))
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    _pyplot().close(figure)
