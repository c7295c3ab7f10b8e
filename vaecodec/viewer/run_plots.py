"""Plots of a training run, as images for its page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vaecodec.errors import missing_package
from vaecodec.training.diagnosis import BUSY, LIVE, Diagnosis, Record, most_live

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 6.4, 3.8
"""Inches."""
FLOOR = 1e-4
"""Bits below which channels are not drawn."""


def run_plots(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Images (data URIs of SVG) and captions. Raises MissingPackageError without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise missing_package("the page of a run", "train") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    last = diagnosis.last
    drawings = [
        (
            "Cost, mean of log2 (bpp + lambda * distortion), of pictures that are as hard; twice the standard error",
            _costs,
        ),
        ("Rate and distortion, held out and training", _curves),
        ("Gap between held-out and training pictures that are as hard, with twice the standard error", _gaps),
        ("Live channels over the run", _live),
        ("Channels of y by what a latent carries, one line a rate", lambda a, d: _channels(a, last.y_bits)),
        ("Channels of z, one line a rate", lambda a, d: _channels(a, last.z_bits)),
    ]
    for caption, draw in drawings:
        # SVG would carry the time and random names.
        with matplotlib.rc_context({"svg.hashsalt": "vaecodec"}):
            figure, axes = pyplot.subplots(figsize=SIZE)
            draw(axes, diagnosis)
            axes.grid(alpha=0.3)
            figure.tight_layout()
            buffer = io.BytesIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None})
            pyplot.close(figure)
        yield f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}", caption


def _costs(axes: Axes, diagnosis: Diagnosis) -> None:
    minutes = [record.minutes for record in diagnosis.records]
    axes.plot(minutes, [record.cost for record in diagnosis.records], ".-", label="held out")
    axes.set(xlabel="minutes", ylabel="cost")
    if any(record.gap is None for record in diagnosis.records):
        axes.plot(minutes, [record.train_cost for record in diagnosis.records], ".--", label="training, as they are")
    else:
        gaps = np.array([record.gap["cost"] for record in diagnosis.records if record.gap])
        costs, reach = np.array([record.cost for record in diagnosis.records]) - gaps[:, 0], _reach(gaps[:, 1])
        (line,) = axes.plot(minutes, costs, ".--", label="training")
        axes.fill_between(minutes, costs - reach, costs + reach, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.legend()


def _curves(axes: Axes, diagnosis: Diagnosis) -> None:
    last = diagnosis.last
    for points, style, label in ((last.points, ".-", "held out"), (last.train_points, ".--", "training")):
        axes.plot(points["z_bpp"] + points["y_bpp"], points["psnr"], style, label=label)
    axes.set(xlabel="bits a pixel", ylabel="PSNR, dB", xscale="log")
    axes.legend()


def _gaps(axes: Axes, diagnosis: Diagnosis) -> None:
    gap = diagnosis.last.gap
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.set(xlabel="rate", ylabel="gap, %", xticks=range(1, len(diagnosis.last.y_bits) + 1))
    if gap is None:
        axes.text(0.5, 0.5, "unknown", transform=axes.transAxes, ha="center")
        return
    for shift, name in ((-0.08, "rate"), (0.08, "distortion")):
        value, error = gap[name].T
        places = np.arange(len(value)) + 1 + shift
        axes.errorbar(places, _percent(value), _percent(_reach(error)), fmt="o", capsize=3, label=name)
    axes.legend()


def _reach(error: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(error), 2 * error, 0)


def _percent(log2: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(100 * (np.exp2(log2) - 1), np.float64)


def _live(axes: Axes, diagnosis: Diagnosis) -> None:
    minutes = [record.minutes for record in diagnosis.records]

    def share(record: Record, name: str) -> float:
        bits = record.y_bits if name == "y" else record.z_bits
        return 100 * most_live(bits) / bits.shape[1]

    for name in ("y", "z"):
        axes.plot(minutes, [share(record, name) for record in diagnosis.records], ".-", label=name)
    axes.set(xlabel="minutes", ylabel="live channels, %", ylim=(-3, 103))
    axes.legend()


def _channels(axes: Axes, bits: NDArray[np.float64]) -> None:
    from matplotlib import pyplot

    colours = pyplot.get_cmap("plasma")(np.linspace(0, 0.9, len(bits)))
    for row, colour in zip(bits, colours, strict=True):
        largest = -np.sort(-row[row > FLOOR])
        axes.plot(np.arange(1, len(largest) + 1), largest, color=colour)
    for threshold in (LIVE, BUSY):
        axes.axhline(threshold, color="gray", linewidth=0.8, linestyle=":")
    axes.set(xlabel="channels, the largest first", ylabel="bits a latent", yscale="log")
    axes.set(xlim=(0, bits.shape[1] + 1), ylim=(FLOOR, max(2.0, 2 * float(bits.max()))))
