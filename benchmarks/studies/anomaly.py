"""Finding what is odd: areas under the ROC over seven textures with defects, beside plain methods.

    python benchmarks/studies/anomaly.py --seed 202 --out benchmarks/results

Everything is generated from the seed (anomaly_pictures.py, scikit-image's photographs in it): 48 good pictures to learn
from, 21 good and 60 with defects to tell apart, 60 more good ones for the false alarms.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).parent))
from anomaly_pictures import DEFECTS, DRAWN, PHOTOS, Texture, texture

import vaecodec
from vaecodec import anomaly
from vaecodec.benchmarks.machine import environment

Map = NDArray[np.float32]
Scorer = Callable[[NDArray[np.uint8]], tuple[float, Map]]
WISHES = (0.05, 0.1)
PATCH, COMPONENTS = 8, 24


def auroc(odd: NDArray[Any], good: NDArray[Any]) -> float:
    """The chance that an odd one has the higher score; ties count half."""
    ranks = rankdata(np.concatenate([odd, good]))
    return float((ranks[: len(odd)].sum() - len(odd) * (len(odd) + 1) / 2) / (len(odd) * len(good)))


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return pixels.astype(np.float64) @ [0.299, 0.587, 0.114]


def _mahalanobis(features: list[NDArray[np.float64]]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Distances from the pooled features (..., d) of good pictures."""
    rows = np.concatenate([f.reshape(-1, f.shape[-1]) for f in features])
    mean, covariance = rows.mean(0), np.cov(rows.T)
    inverse = np.linalg.inv(covariance + 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    return lambda f: np.sqrt(np.einsum("...i,ij,...j", f - mean, inverse, f - mean))


def _bank(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, 6): gradients and Laplacians of Gaussians at three scales, in logarithms of their local energy."""
    luma, found = _luma(pixels), []
    for sigma in (1, 2, 4):
        for response in (ndimage.gaussian_gradient_magnitude(luma, sigma), ndimage.gaussian_laplace(luma, sigma)):
            found.append(np.log(ndimage.gaussian_filter(np.square(response), 2 * sigma) + 0.25))
    return np.stack(found, 2)


def filter_bank(data: Texture) -> Scorer:
    distance = _mahalanobis([_bank(pixels)[::4, ::4] for pixels in data.fit])

    def score(pixels: NDArray[np.uint8]) -> tuple[float, Map]:
        heat = ndimage.gaussian_filter(distance(_bank(pixels)), 4)
        return float(heat.max()), heat

    return score


def principal_components(data: Texture) -> Scorer:
    """Error of patches of 8x8 after projection on the principal components of good ones."""

    def patches(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        windows = np.lib.stride_tricks.sliding_window_view(_luma(pixels), (PATCH, PATCH))[::2, ::2]
        return windows.reshape(*windows.shape[:2], -1)

    rows = np.concatenate([patches(pixels)[::4, ::4].reshape(-1, PATCH**2) for pixels in data.fit])
    mean = rows.mean(0)
    basis = np.linalg.svd(rows - mean, full_matrices=False)[2][:COMPONENTS]

    def score(pixels: NDArray[np.uint8]) -> tuple[float, Map]:
        found = patches(pixels) - mean
        error = np.square(found - (found @ basis.T) @ basis).mean(2)
        heat = ndimage.zoom(error, [side / n for side, n in zip(pixels.shape[:2], error.shape, strict=True)], order=1)
        return float(heat.max()), heat

    return score


def pixel_mean(data: Texture) -> Scorer:
    mean = np.mean([_luma(pixels) for pixels in data.fit], 0)

    def score(pixels: NDArray[np.uint8]) -> tuple[float, Map]:
        heat = ndimage.gaussian_filter(np.abs(_luma(pixels) - mean), 4)
        return float(heat.max()), heat

    return score


def bits(data: Texture) -> Scorer:
    """The recipe of textbooks: what costs many bits is odd; the map is the error of decoding."""
    codec = vaecodec.Codec("fast", threads=1, keep=False)

    def score(pixels: NDArray[np.uint8]) -> tuple[float, Map]:
        coded = codec.encode(pixels, 50)
        error = np.square(_luma(pixels) - _luma(np.asarray(codec.decode(coded).convert("RGB"))))
        return float(len(coded)), ndimage.gaussian_filter(error, 4)

    return score


PLAIN = {"filter bank": filter_bank, "PCA": principal_components, "pixel mean": pixel_mean, "bits, error": bits}


def areas(score: Scorer, data: Texture) -> dict[str, Any]:
    """AUROC of images, by defect, and of pixels (every fourth row and column)."""
    scores: dict[str, list[float]] = {kind: [] for kind in ("good", *DEFECTS)}
    inside, outside = list[NDArray[Any]](), list[NDArray[Any]]()
    for sample in data.test:
        value, heat = score(sample.pixels)
        scores[sample.kind].append(value)
        heat = heat[::4, ::4]
        mask = np.zeros(heat.shape, bool) if sample.mask is None else sample.mask[::4, ::4]
        inside.append(heat[mask])
        outside.append(heat[~mask])
    good, odd = np.array(scores["good"]), {kind: np.array(scores[kind]) for kind in DEFECTS}
    return {
        "image": auroc(np.concatenate(list(odd.values())), good),
        "pixel": auroc(np.concatenate(inside), np.concatenate(outside)),
        "by_defect": {kind: auroc(values, good) for kind, values in odd.items()},
    }


def measure(name: str, seed: int) -> dict[str, Any]:
    data = texture(name, seed)
    normal = anomaly.fit(data.fit, aligned=data.aligned, threads=1)
    ours: Scorer = lambda pixels: normal.score(pixels)[:2]  # noqa: E731
    started = time.process_time()
    result = {"vaecodec": areas(ours, data)}
    scoring = (time.process_time() - started) / len(data.test)
    result |= {plain: areas(make(data), data) for plain, make in PLAIN.items()}
    fresh = [normal.score(pixels)[0] for pixels in data.more]
    alarms = {str(wish): float(np.mean([score > normal.threshold(wish) for score in fresh])) for wish in WISHES}
    codec, trip = vaecodec.Codec("fast", threads=1, keep=False), time.process_time()
    for sample in data.test[:10]:
        codec.decode(codec.encode(sample.pixels, 50))
    return {
        "areas": result,
        "false_alarms": alarms,
        "times_of_a_round_trip": scoring / ((time.process_time() - trip) / 10),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=202)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    textures = {}
    for name in (*PHOTOS, *DRAWN):
        textures[name] = measure(name, arguments.seed)
        print(name, json.dumps(textures[name]), flush=True)
    methods = list(textures["brick"]["areas"])
    mean = {
        method: {
            area: float(np.mean([t["areas"][method][area] for t in textures.values()])) for area in ("image", "pixel")
        }
        for method in methods
    }
    result = {"environment": environment(), "seed": arguments.seed, "mean": mean, "textures": textures}
    print(json.dumps(mean, indent=1))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "anomaly.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
