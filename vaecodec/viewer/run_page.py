"""The page of a training run: what its latents carry, training against held-out pictures, and why it stopped."""

from __future__ import annotations

import math
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from vaecodec.system.output import write_whole
from vaecodec.training.diagnosis import BUSY, LIVE, TOP, Diagnosis, Finding, diagnose, live, percent, top_share
from vaecodec.viewer.pages import STYLE, escaped, resource, table
from vaecodec.viewer.run_plots import run_plots

REPORT = "report.html"


def write_report(run: Path, output: Path | None = None, overwrite: bool = True) -> tuple[Diagnosis, Path]:
    """Write the page of a run folder (None: as RUN/report.html), whole or not at all; what was found, and where the
    page is. Raises VaecodecError where the folder holds no run, MissingPackageError without matplotlib.

    >>> diagnosis, page = write_report(Path("runs/mine"))  # doctest: +SKIP
    """
    diagnosis, page = diagnose(run), output or run / REPORT
    write_whole(page, run_page(diagnosis).encode("utf-8", "replace"), overwrite)
    return diagnosis, page


def run_page(diagnosis: Diagnosis) -> str:
    """HTML that needs nothing else."""
    last, count = diagnosis.last, len(diagnosis.records)
    looks = f"{count} validation" + ("s" if count > 1 else "")
    figures = "".join(
        f'<figure><img alt="{escaped(caption)}" src="{uri}"><figcaption>{escaped(caption)}</figcaption></figure>'
        for uri, caption in run_plots(diagnosis)
    )
    parts = {
        "title": f"Training run {escaped(diagnosis.name)}",
        "subtitle": f"{last.step} steps in {last.minutes:.1f} minutes, {looks}, {last.held_out} pictures held out.",
        "line": escaped(diagnosis.line.replace("+-", "\u00b1")),
        "style": STYLE,
        "findings": "".join(map(_finding, sorted(diagnosis.findings, key=lambda found: not found.grave))),
        "plots": figures,
        "tables": _rates(diagnosis)
        + _channels("y", last.y_bits, last.points["active_channels"])
        + _channels("z", last.z_bits, last.points["active_hyper"]),
        "live": f"{LIVE:g}",
    }
    return Template(resource("run.html")).substitute(parts)


def _finding(found: Finding) -> str:
    kind = ' class="missed"' if found.grave else ""
    return f"<p><strong{kind}>{escaped(found.name.capitalize())}.</strong> {escaped(found.text)}</p>"


def _rates(diagnosis: Diagnosis) -> str:
    last, rows = diagnosis.last, []
    for anchor in range(len(last.y_bits)):
        cells = [str(anchor + 1)]
        for points in (last.points, last.train_points):
            z, y = points["z_bpp"][anchor], points["y_bpp"][anchor]
            cells += [f"{z + y:.4f}", f"{points['psnr'][anchor]:.2f}"]
        cells.insert(2, f"{last.points['z_bpp'][anchor]:.4f}")
        cells += [_ratio(*last.gap[name][anchor]) if last.gap else "" for name in ("rate", "distortion")]
        rows.append((False, cells))
    head = ["rate", "bpp", "of it z", "PSNR, dB", "bpp, training", "PSNR, training", "gap of rate", "gap of distortion"]
    caption = "Held-out pictures, and as many of the training; gaps are at equal hardness of the pictures"
    return table(caption, head, rows)


def _ratio(value: float, error: float) -> str:
    sure = f"&plusmn;{percent(2 * error):.1f}" if math.isfinite(error) else "?"
    return f'{percent(value):+.1f} %<span class="interval">{sure}</span>'


def _channels(name: str, bits: NDArray[np.float64], used: NDArray[np.float64]) -> str:
    """bits (A, C); used (A,): in how many channels any symbol was not zero."""
    counts = [used.astype(int), live(bits), live(bits, BUSY)]
    columns = [[f"{n}/{bits.shape[1]}" for n in found] for found in counts]
    columns += [[f"{100 * share:.0f} %" for share in top_share(bits)], [f"{total:.1f}" for total in bits.sum(1)]]
    rows = [(False, [str(anchor), *cells]) for anchor, cells in enumerate(zip(*columns, strict=True), 1)]
    head = ["rate", "not all zero", f"> {LIVE:g} bit", f"> {BUSY:g} bit", f"share of the top {TOP}", "bits a position"]
    return table(f"Channels of {name} by what a latent of theirs carries on held-out pictures", head, rows)
