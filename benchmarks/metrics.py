"""Metrics on decoded 8-bit pixels (H, W, 3), from packages where available; higher is better for all."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
MS_SSIM_SIDE = 160
"""MS-SSIM halves the size four times and needs more pixels a side than this."""


def psnr(a: Pixels, b: Pixels) -> float:
    """Over all RGB samples, in dB; 100 for equal images."""
    return _decibel(np.square(a.astype(np.float64) - b).mean())


def psnr_y(a: Pixels, b: Pixels) -> float:
    """PSNR of the luma of BT.601, in dB."""
    weights = np.array([0.299, 0.587, 0.114])
    return _decibel(np.square((a.astype(np.float64) - b) @ weights).mean())


def _decibel(mse: float) -> float:
    return float(10 * np.log10(255**2 / max(mse, 255**2 * 1e-10)))


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """Multi-scale SSIM (Wang et al. 2003) of RGB by pytorch-msssim, as -10 log10(1 - x) dB. Sides above 160 pixels."""
    import torch
    from pytorch_msssim import ms_ssim as compute

    x, y = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() for image in (a, b))
    return ssim_decibel(float(compute(x, y, data_range=255)))


def ssim_decibel(value: float) -> float:
    return float(-10 * np.log10(max(1 - value, 1e-10)))


def ssimulacra2(a: Pixels, b: Pixels) -> float:
    """SSIMULACRA 2 (Sneyers, Cloudinary), by the package ssimulacra2: 100 is the best, 30 poor."""
    from ssimulacra2 import compute_ssimulacra2

    files = [io.BytesIO(), io.BytesIO()]
    for image, file in zip((a, b), files, strict=True):
        Image.fromarray(image).save(file, "PNG", compress_level=0)
    return float(compute_ssimulacra2(*files))


def _judge(name: str, a: Pixels, b: Pixels) -> float:
    """A measure of the package piq, in dB like MS-SSIM; no model here was trained on any of them."""
    import piq
    import torch

    x, y = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255 for image in (a, b))
    value = float(getattr(piq, name)(y, x, data_range=1.0))
    return ssim_decibel(1 - value if name == "gmsd" else value)  # gradient magnitude deviation: 0 is the best


JUDGES = {"haarpsi": "haarpsi", "vsi": "vsi", "fsim": "fsim", "gmsd": "gmsd", "dss": "dss", "vifp": "vif_p"}
"""Names here and in piq."""

METRICS: dict[str, Callable[[Pixels, Pixels], float]] = {
    "ssimulacra2": ssimulacra2,
    "ms-ssim": ms_ssim,
    "psnr": psnr,
    "psnr-y": psnr_y,
    **{name: partial(_judge, called) for name, called in JUDGES.items()},
}
LABELS = {
    "ssimulacra2": "SSIMULACRA 2",
    "ms-ssim": "MS-SSIM, dB",
    "psnr": "PSNR (RGB), dB",
    "psnr-y": "PSNR (Y), dB",
    "haarpsi": "HaarPSI, dB",
    "vsi": "VSI, dB",
    "fsim": "FSIM, dB",
    "gmsd": "GMSD, dB",
    "dss": "DSS, dB",
    "vifp": "VIFp, dB",
}
"""In the order of tables: perceptual measures first."""


def in_words(a: Pixels, b: Pixels) -> str:
    """SSIMULACRA 2, MS-SSIM and PSNR of an image in words, perceptual measures first, if their packages are
    installed."""
    names = [name for name in ("ssimulacra2", "ms-ssim", "psnr") if not missing(name)]
    if min(a.shape[:2]) <= MS_SSIM_SIDE:
        names = [name for name in names if name != "ms-ssim"]
    texts = []
    for name in names:
        label, _, unit = LABELS[name].partition(", ")
        texts.append(f"{label} {METRICS[name](a, b):.1f} {unit}".strip())
    return ", ".join(texts)


def missing(metric: str) -> str | None:
    """Why a metric cannot be computed here, or None."""
    package = {"ms-ssim": "pytorch_msssim", "ssimulacra2": "ssimulacra2", **dict.fromkeys(JUDGES, "piq")}.get(metric)
    if package:
        try:
            __import__(package)
        except ImportError:
            return f"{package} is not installed"
    return None
