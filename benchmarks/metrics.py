"""Metrics on decoded 8-bit pixels (H, W, 3), from packages where there are any; higher is better for all."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def psnr(a: Pixels, b: Pixels) -> float:
    """Over all RGB samples, in dB; 100 for equal images."""
    return _decibel(np.square(a.astype(np.float64) - b).mean())


def psnr_y(a: Pixels, b: Pixels) -> float:
    """Of the luma of BT.601, in dB."""
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


METRICS = {"psnr": psnr, "psnr-y": psnr_y, "ms-ssim": ms_ssim, "ssimulacra2": ssimulacra2}
LABELS = {"psnr": "PSNR (RGB), dB", "psnr-y": "PSNR (Y), dB", "ms-ssim": "MS-SSIM, dB", "ssimulacra2": "SSIMULACRA 2"}


def missing(metric: str) -> str | None:
    """Why a metric cannot be computed here, or None."""
    package = {"ms-ssim": "pytorch_msssim", "ssimulacra2": "ssimulacra2"}.get(metric)
    if package:
        try:
            __import__(package)
        except ImportError:
            return f"{package} is not installed"
    return None
