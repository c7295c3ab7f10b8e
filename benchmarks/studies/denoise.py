"""What `denoise` takes away, beside what scikit-image has, on centre crops of pictures.

    python -m vaecodec.benchmarks.studies.denoise ../shared/data/kodak --out benchmarks/results

White noise of known deviation, in colour and in gray; the estimate of it; pictures without noise; noise as a camera
makes it: light and electrons on a mosaic of colours, interpolated, compressed as JPEG; what `encode --denoise` saves.
Times are taken in turns on one thread. scikit-image (with PyWavelets) gets its best settings, chosen on these crops.
BM3D runs where package bm3d is installed, whose licence is not free. Writes denoise.json into OUT, and with --views
pictures to look at.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve
from skimage.restoration import denoise_nl_means, denoise_wavelet, estimate_sigma

import vaecodec
from vaecodec.benchmarks.machine import medians_in_turns
from vaecodec.picture import to_picture
from vaecodec.uses.denoise import Denoiser

SIGMAS = (5, 10, 20)
LEVELS = NDArray[np.uint8]
NLM = [
    {"patch_size": patch, "patch_distance": distance, "strength": strength}
    for (patch, distance), strength in itertools.product(((5, 6), (7, 11)), (0.4, 0.6, 0.8))
]
FEW = slice(None, None, 4)
"""The pictures on which the setting of non-local means is chosen, and that BM3D gets: both are slow."""
CAMERAS = {"low": (400.0, 1.0), "high": (100.0, 2.0)}
"""Sensitivities: electrons of full white, and deviation of reading in electrons."""


def psnr(a: NDArray, b: NDArray) -> float:
    return float(10 * np.log10(255**2 / max(np.square(a.astype(np.float64) - b).mean(), 1e-9)))


def to_levels(values: NDArray) -> LEVELS:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def white(clean: LEVELS, sigma: float, seed: int) -> LEVELS:
    return to_levels(clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape))


def as_a_camera(clean: LEVELS, electrons: float, reading: float, jpeg: int, seed: int) -> tuple[LEVELS, LEVELS]:
    """A picture as a camera with a Bayer mosaic sees it, as JPEG; and without noise and JPEG."""
    random = np.random.default_rng(seed)
    light = (clean / 255.0) ** 2.2
    mosaic = np.zeros(clean.shape, bool)
    mosaic[0::2, 0::2, 0] = mosaic[0::2, 1::2, 1] = mosaic[1::2, 0::2, 1] = mosaic[1::2, 1::2, 2] = True
    counted = random.poisson(light * electrons) + reading * random.standard_normal(light.shape)
    views = []
    for values in (counted / electrons, light):
        near = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float)
        planes = [
            convolve(values[..., c] * mosaic[..., c], near) / convolve(mosaic[..., c].astype(float), near)
            for c in range(3)
        ]
        views.append(to_levels(255 * np.clip(np.stack(planes, -1), 0, 1) ** (1 / 2.2)))
    return as_jpeg(views[0], jpeg), views[1]


def as_jpeg(levels: LEVELS, quality: int) -> LEVELS:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    return np.asarray(Image.open(file))


def wavelet(noisy: LEVELS, sigma: float | None, **more: Any) -> NDArray:
    axis = -1 if noisy.ndim == 3 else None
    deviation = None if sigma is None else sigma / 255
    return 255 * denoise_wavelet(noisy / 255, sigma=deviation, channel_axis=axis, rescale_sigma=True, **more)


def nlm(noisy: LEVELS, sigma: float, patch_size: int, patch_distance: int, strength: float) -> NDArray:
    axis = -1 if noisy.ndim == 3 else None
    return 255 * denoise_nl_means(
        noisy / 255, patch_size, patch_distance, strength * sigma / 255, True, sigma / 255, channel_axis=axis
    )


def best(settings: list[dict], run: Callable[..., NDArray], pairs: list[tuple[LEVELS, LEVELS]]) -> tuple[float, dict]:
    """The best mean PSNR of several settings over (noisy, clean) pairs, and the setting."""
    return max(
        ((statistics.mean(psnr(run(noisy, **s), clean) for noisy, clean in pairs), s) for s in settings),
        key=lambda found: found[0],
    )


def ours(denoiser: Denoiser, noisy: LEVELS, sigma: float | None, shifts: int = 1) -> LEVELS:
    rgb = denoiser(to_picture(noisy), sigma, shifts).picture.rgb
    return rgb if noisy.ndim == 3 else rgb[..., 0]


def white_noise(crops: list[LEVELS], sigma: float, once: Denoiser, usual: Denoiser) -> dict[str, Any]:
    pairs = [(white(crop, sigma, seed), crop) for seed, crop in enumerate(crops)]

    def mean(run: Callable[[LEVELS], NDArray]) -> float:
        return statistics.mean(psnr(run(noisy), clean) for noisy, clean in pairs)

    in_colour = [{"convert2ycbcr": ycbcr} for ycbcr in (False, True)] if crops[0].ndim == 3 else [{}]
    waves = best(in_colour, lambda noisy, **s: wavelet(noisy, sigma, **s), pairs)
    setting = best(NLM, lambda noisy, **s: nlm(noisy, sigma, **s), pairs[FEW])[1]
    estimates = [usual(to_picture(noisy)).sigma for noisy, _ in pairs]
    row = {
        "sigma": sigma,
        "noisy": mean(lambda noisy: noisy),
        "wavelet": waves[0],
        "nlm": mean(lambda noisy: nlm(noisy, sigma, **setting)),
        "nlm_setting": setting,
        "one_pass": mean(lambda noisy: ours(once, noisy, sigma)),
        "default": mean(lambda noisy: ours(usual, noisy, sigma)),
        "shifts_4": mean(lambda noisy: ours(usual, noisy, sigma, 4)),
        "blind": mean(lambda noisy: ours(usual, noisy, None)),
        "estimated_sigma": [min(estimates), statistics.median(estimates), max(estimates)],
    }
    try:
        from bm3d import bm3d, bm3d_rgb
    except ImportError:
        return row
    filtered = bm3d_rgb if crops[0].ndim == 3 else bm3d
    seconds, scores = [], []
    for noisy, clean in pairs[FEW]:
        started = time.perf_counter()
        result = 255 * filtered(noisy / 255, sigma / 255)
        middle = time.perf_counter()
        shifted = ours(usual, noisy, sigma, 4)
        seconds.append((middle - started) / (time.perf_counter() - middle))
        scores.append((psnr(result, clean), psnr(shifted, clean), psnr(ours(once, noisy, sigma), clean)))
    names = ("bm3d", "shifts_4", "one_pass")
    few = dict(zip(names, map(statistics.mean, zip(*scores, strict=True)), strict=True))
    return row | {"few": few | {"time_of_bm3d_by_4_shifts": statistics.median(seconds)}}


def without_noise(crops: list[LEVELS], usual: Denoiser) -> dict[str, Any]:
    """Pictures in which there is nothing to take away."""
    results = [usual(to_picture(crop)) for crop in crops]
    scores = [psnr(r.picture.rgb, crop) for r, crop in zip(results, crops, strict=True) if r.changed]
    return {
        "unchanged": sum(not r.changed for r in results),
        "pictures": len(crops),
        "changed_psnr": sorted(round(score, 2) for score in scores),
        "estimated_sigma": [round(r.sigma, 2) for r in results],
    }


def not_white(pairs: list[tuple[LEVELS, LEVELS]], usual: Denoiser) -> dict[str, Any]:
    """Blind, and with the sigma that is best on the mean, beside the same of wavelets."""
    sigmas = [{"sigma": sigma} for sigma in (2, 3, 5, 7, 10, 14, 20, 28)]
    known = best(sigmas, lambda noisy, sigma: ours(usual, noisy, sigma), pairs)
    waves = best(sigmas, lambda noisy, sigma: wavelet(noisy, sigma), pairs)
    return {
        "noisy": statistics.mean(psnr(*pair) for pair in pairs),
        "blind": statistics.mean(psnr(ours(usual, noisy, None), clean) for noisy, clean in pairs),
        "estimated_sigma": statistics.median(usual(to_picture(noisy)).sigma for noisy, _ in pairs),
        "best_sigma": known[1]["sigma"],
        "best": known[0],
        "wavelet_best_sigma": waves[1]["sigma"],
        "wavelet_best": waves[0],
        "wavelet_blind": statistics.mean(
            psnr(wavelet(n, 255 * estimate_sigma(n / 255, channel_axis=-1, average_sigmas=True)), clean)
            for n, clean in pairs
        ),
    }


def camera_noise(crops: list[LEVELS], usual: Denoiser) -> list[dict[str, Any]]:
    rows = []
    for (name, camera), quality in itertools.product(CAMERAS.items(), (95, 75)):
        pairs = [as_a_camera(crop, *camera, quality, seed) for seed, crop in enumerate(crops)]
        rows.append({"camera": name, "jpeg": quality} | not_white(pairs, usual))
    return rows


def white_as_jpeg(crops: list[LEVELS], usual: Denoiser, sigma: float = 10) -> list[dict[str, Any]]:
    """White noise, then JPEG; the clean picture has not been one."""
    rows = []
    for quality in (95, 85, 75):
        pairs = [(as_jpeg(white(crop, sigma, seed), quality), crop) for seed, crop in enumerate(crops)]
        rows.append({"sigma": sigma, "jpeg": quality} | not_white(pairs, usual))
    return rows


def saved(crops: list[LEVELS], usual: Denoiser) -> list[dict[str, Any]]:
    """Bytes and PSNR to the picture without noise, of files of the noisy and of the denoised one."""
    codec, rows = vaecodec.Codec(threads=1, keep=False), []
    for sigma, quality in itertools.product(SIGMAS, (None, 80)):
        sizes, scores = np.zeros(2), np.zeros(2)
        for seed, crop in enumerate(crops):
            noisy = white(crop, sigma, seed)
            for kind, image in enumerate((noisy, ours(usual, noisy, None))):
                data = codec.encode(image, quality)
                sizes[kind] += len(data)
                scores[kind] += psnr(codec.decode_array(data), crop) / len(crops)
        quality = quality or codec.model.default_quality
        row = {"sigma": sigma, "quality": quality, "bytes_noisy": int(sizes[0]), "bytes_denoised": int(sizes[1])}
        rows.append(row | {"psnr_noisy": scores[0], "psnr_denoised": scores[1]})
    return rows


def times(crop: LEVELS, once: Denoiser, usual: Denoiser, rounds: int = 15) -> dict[str, float]:
    """Medians in times of a round trip at the quality that denoising runs at."""
    codec, noisy = vaecodec.Codec("fast", threads=1), white(crop, 10, 0)
    tasks: dict[str, Callable[[], object]] = {
        "round_trip": lambda: codec.decode_array(codec.encode(noisy, 80)),
        "one_pass": lambda: ours(once, noisy, 10),
        "two_passes": lambda: ours(usual, noisy, 20),
        "one_pass_blind": lambda: ours(once, noisy, None),
        "shifts_4": lambda: ours(once, noisy, 10, 4),
        "wavelet": lambda: wavelet(noisy, 10),
        "nlm": lambda: nlm(noisy, 10, 5, 6, 0.6),
    }
    medians = medians_in_turns(tasks, rounds)
    ratios = {name: value / medians["round_trip"] for name, value in medians.items()}
    return ratios | {"round_trip_seconds": medians["round_trip"]}


def views(crops: list[LEVELS], usual: Denoiser, folder: Path, sigma: float = 20) -> None:
    """Noisy, wavelets, ours, ours over 4 shifts and the picture itself, side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, crop in enumerate(crops[::4]):
        noisy = white(crop, sigma, seed)
        row = [noisy, to_levels(wavelet(noisy, sigma, convert2ycbcr=True)), ours(usual, noisy, sigma)]
        row += [ours(usual, noisy, sigma, 4), crop]
        Image.fromarray(np.concatenate(row, 1)).save(folder / f"white-{seed}.png")
        noisy, clean = as_a_camera(crop, *CAMERAS["high"], 75, seed)
        row = [noisy, ours(usual, noisy, None), ours(usual, noisy, 14, 4), clean]
        Image.fromarray(np.concatenate(row, 1)).save(folder / f"camera-{seed}.png")


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder of images without noise")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--parts", help="such as gray,camera: what is measured anew  [default: all]")
    parser.add_argument("--views", type=Path, help="folder for pictures to look at")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    crops = []
    for path in sorted(arguments.pictures.glob("*.png")):
        image, size = Image.open(path).convert("RGB"), arguments.size
        left, top = (image.width - size) // 2, (image.height - size) // 2
        crops.append(np.asarray(image.crop((left, top, left + size, top + size))))
    once, usual = Denoiser(1, twice_from=np.inf), Denoiser(1)
    gray = [np.asarray(Image.fromarray(crop).convert("L")) for crop in crops]
    parts: dict[str, Callable[[], Any]] = {
        "white": lambda: [white_noise(crops, sigma, once, usual) for sigma in SIGMAS],
        "gray": lambda: [white_noise(gray, sigma, once, usual) for sigma in SIGMAS],
        "without_noise": lambda: without_noise(crops, usual),
        "camera": lambda: camera_noise(crops, usual),
        "jpeg": lambda: white_as_jpeg(crops, usual),
        "encode": lambda: saved(crops, usual),
        "times_of_a_round_trip": lambda: times(crops[0], once, usual),
    }
    path = arguments.out / "denoise.json" if arguments.out else None
    result = json.loads(path.read_text()) if path and path.exists() else {}
    result |= {"crops": len(crops), "size": arguments.size}
    for name in arguments.parts.split(",") if arguments.parts else parts:
        result[name] = rounded(parts[name]())
        print(name, result[name], flush=True)
        if path:
            path.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.views:
        views(crops, usual, arguments.views)


if __name__ == "__main__":
    main()
