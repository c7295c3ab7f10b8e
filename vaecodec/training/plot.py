"""Plots of a run: validation curves, costs over time, and the bits of each latent channel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def plot_run(run: Path, channel_bpp: np.ndarray) -> None:
    """run/curve.png, from validation.jsonl: rate-distortion curves from the first to the last validation, costs over
    time, and the bits per pixel of the latent channels (A, M), which reveal a posterior collapse."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    records = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    figure, (curves, costs, channels) = pyplot.subplots(1, 3, figsize=(15, 4.4), dpi=100)
    colours = pyplot.get_cmap("viridis_r")(np.linspace(0.1, 1, len(records)))
    for record, colour in zip(records, colours, strict=True):
        points = record["points"]
        curves.plot(
            [p["z_bpp"] + p["y_bpp"] for p in points], [p["psnr"] for p in points], ".-", color=colour,
            label=f"step {record['step']}" if record in (records[0], records[-1]) else None,
        )  # fmt: skip
    curves.set(xlabel="bits per pixel", ylabel="PSNR, dB", title="validation", xscale="log")
    minutes = [record["seconds"] / 60 for record in records]
    for key, label in (("cost", "validation"), ("train_cost", "training pictures")):
        costs.plot(minutes, [record[key] for record in records], ".-", label=label)
    costs.set(xlabel="minutes", ylabel="mean log2 (bpp + lambda MSE)", title="cost")
    for anchor, row in enumerate(channel_bpp):
        channels.plot(np.sort(row)[::-1] * 256, color=pyplot.get_cmap("plasma")(anchor / len(channel_bpp)))
    channels.set(xlabel="latent channels by rate", ylabel="bits a latent", yscale="log", ylim=(1e-5, None))
    channels.set_title("channels, one line an anchor")
    for axes in (curves, costs, channels):
        axes.grid(alpha=0.3)
    curves.legend()
    costs.legend()
    figure.tight_layout()
    figure.savefig(run / "curve.png")
    pyplot.close(figure)
