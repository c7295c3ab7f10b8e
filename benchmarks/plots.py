"""Plots of results: one rate-distortion plot a metric, and speed against BD-rate."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from vaecodec.benchmarks.bd import Curve
from vaecodec.benchmarks.metrics import LABELS

GRAYS = {"jpeg": ("0.35", "--"), "jpeg-444": ("0.6", "--"), "jpeg-moz": ("0.35", ":")}
STYLES = {codec: {"color": gray, "ls": style} for codec, (gray, style) in GRAYS.items()}
COLOURS = {"webp": "blue", "avif": "green", "avif-444": "olive", "jxl": "purple", "jpeg2000": "brown", "heic": "orange"}
STYLES |= {codec: {"color": f"tab:{colour}", "lw": 1.3} for codec, colour in COLOURS.items()}
OURS = {"lw": 2.4, "color": "tab:red"}


def _style(codec: str) -> dict:
    return OURS if codec.startswith("vaecodec") else STYLES.get(codec, {"lw": 1.3})


def published() -> dict[str, Curve]:
    """Curves of papers and reference software on Kodak, as (bpp, PSNR); sources are in published.json."""
    curves = json.loads(Path(__file__).with_name("published.json").read_text())
    return {name: list(zip(curve["bpp"], curve["psnr"], strict=True)) for name, curve in curves.items()}


def rate_distortion(result: dict, metric: str, out: Path) -> None:
    """rd_METRIC.png and .svg."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(7.2, 4.8), dpi=120)
    if metric == "psnr" and result["dataset"].lower() == "kodak" and result["images"] == 24:
        for name, curve in published().items():
            axes.plot(*zip(*curve, strict=True), lw=0.7, color="0.75", zorder=1)
            bpp, score = max((point for point in curve if point[0] < 2.3), default=curve[0])
            axes.annotate(name.removesuffix("-mse"), (bpp, score), fontsize=6, color="0.5")
    top = 0.0
    for codec, entry in result["codecs"].items():
        if entry.get("timing_only"):
            continue
        points = entry["points"]
        bd = (entry.get("bd") or {}).get(metric)
        label = f"{codec} ({bd['rate_percent']:+.1f} %)" if bd else codec
        axes.plot(
            [p["bpp"] for p in points], [p[metric] for p in points], marker=".", ms=5, label=label, **_style(codec)
        )
        top = max(top, *(p[metric] for p in points if p["bpp"] < 2.5))
    title = f"{result['images']} images of {result['dataset']}; BD-rate against {result['anchor']}"
    axes.set(xlabel="bits per pixel", ylabel=LABELS[metric], title=title, xlim=(0, 2.5))
    axes.set_ylim(top=top * 1.02)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    _save(figure, out / f"rd_{metric}")


def speed(result: dict, metric: str, out: Path) -> None:
    """speed.png and .svg: BD-rate against megapixels decoded in a second of one core; a line for codecs without one."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), dpi=120)
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
        axes.annotate(codec, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8)
    label = f"BD-rate ({LABELS[metric].split(',')[0]}) against {result['anchor']}, %"
    axes.set(xscale="log", xlabel="megapixels decoded a second, one core", ylabel=label)
    axes.grid(alpha=0.3, which="both")
    _save(figure, out / "speed")


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"))
    figure.savefig(path.with_suffix(".svg"))
    _pyplot().close(figure)
