"""What `repair` makes of damage, beside classical fills, on centre crops of pictures.

    python -m vaecodec.benchmarks.studies.repair ../shared/data/kodak --out benchmarks/results

Scratches, overlaid text, dust and square holes are drawn in white; PSNR is that of the damaged pixels, the mean of the
pictures'. Beside it stand a membrane (Laplace's equation, solved exactly), scikit-image's biharmonic fill and, where
package opencv-python-headless is installed, OpenCV's Navier-Stokes and Telea, each in the better of two radii. Times
are taken in turns on one thread. Writes repair.json into OUT, and with --views pictures to look at.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from skimage.restoration import inpaint_biharmonic

import vaecodec
from vaecodec.benchmarks.machine import medians_in_turns
from vaecodec.benchmarks.studies import damage as drawn
from vaecodec.picture import to_picture
from vaecodec.uses.repair import Repairer

Levels, Mask = NDArray[np.uint8], NDArray[np.bool_]
Fill = Callable[[Levels, Mask], NDArray[Any]]
DAMAGE: dict[str, Callable[[int, int], Mask]] = {"scratches": drawn.scratches, "text": drawn.text, "dust": drawn.dust}
HOLES = (8, 16, 32, 64)
RADII = (3, 5)
HALF_A_LEVEL = 0.25
"""Least squared error that counts: a fill of a flat area may be without any."""


def psnr_of(result: Levels, clean: Levels, mask: Mask) -> float:
    error = np.square(result[mask].astype(float) - clean[mask]).mean()
    return float(10 * np.log10(255**2 / max(error, HALF_A_LEVEL)))


def harmonic(damaged: Levels, mask: Mask) -> NDArray[np.float64]:
    """Each damaged pixel the mean of its neighbours."""
    rows, columns = np.nonzero(mask)
    count, place = len(rows), np.full(mask.shape, -1)
    place[mask] = np.arange(count)
    known, degree = np.zeros((count, 3)), np.zeros(count)
    links = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = rows + down, columns + right
        inside = np.flatnonzero((y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1]))
        degree[inside] += 1
        other = place[y[inside], x[inside]]
        links.append(np.stack([inside[other >= 0], other[other >= 0]]))
        sure = inside[other < 0]
        known[sure] += damaged[y[sure], x[sure]]
    pairs = np.concatenate([*links, np.tile(np.arange(count), (2, 1))], 1)
    values = np.concatenate([np.full(pairs.shape[1] - count, -1.0), degree])
    filled = damaged.astype(float)
    filled[mask] = spsolve(coo_matrix((values, tuple(pairs))).tocsc(), known)
    return filled


def biharmonic(damaged: Levels, mask: Mask) -> NDArray[np.float64]:
    return 255 * inpaint_biharmonic(damaged / 255, mask, channel_axis=-1)


def of_opencv(damaged: Levels, mask: Mask, method: str, radius: int) -> Levels:
    import cv2

    return cv2.inpaint(damaged, mask.astype(np.uint8), radius, getattr(cv2, method))


def classical() -> dict[str, list[Fill]]:
    """By name, each in its settings."""
    fills: dict[str, list[Fill]] = {"harmonic": [harmonic], "biharmonic": [biharmonic]}
    if importlib.util.find_spec("cv2"):
        for name, method in (("navier_stokes", "INPAINT_NS"), ("telea", "INPAINT_TELEA")):
            fills[name] = [functools.partial(of_opencv, method=method, radius=radius) for radius in RADII]
    return fills


def compared(crops: list[Levels], masks: list[Mask], repairer: Repairer) -> dict[str, Any]:
    """Mean PSNR of the damage by each fill, and the gain of repair over the one that is best on all pictures."""

    def scores(fill: Fill) -> list[float]:
        found = []
        for crop, mask in zip(crops, masks, strict=True):
            result = fill(np.where(mask[..., None], 255, crop).astype(np.uint8), mask)
            found.append(psnr_of(np.rint(np.clip(result, 0, 255)).astype(np.uint8), crop, mask))
        return found

    row: dict[str, Any] = {"damaged_percent": round(100 * float(np.mean(masks)), 1)}
    others = {name: max(map(scores, fills), key=statistics.mean) for name, fills in classical().items()}
    ours = scores(lambda damaged, mask: repairer(to_picture(damaged), mask).rgb)
    best = max(others, key=lambda name: statistics.mean(others[name]))
    gains = [a - b for a, b in zip(ours, others[best], strict=True)]
    row |= {name: round(statistics.mean(values), 2) for name, values in others.items()}
    row |= {"repair": round(statistics.mean(ours), 2), "best_other": best, "gain": round(statistics.mean(gains), 2)}
    return row | {"gain_quantiles": [round(float(q), 2) for q in np.quantile(gains, (0, 0.1, 0.5, 0.9, 1))]}


def times(crop: Levels, mask: Mask, repairer: Repairer, rounds: int = 9) -> dict[str, float]:
    """Medians, in times of encoding and decoding the crop at the quality that repair runs at."""
    codec = vaecodec.Codec("fast", threads=1)
    tasks: dict[str, Callable[[], object]] = {
        "round_trip": lambda: codec.decode_array(codec.encode(crop, 80)),
        "repair": lambda: repairer(to_picture(crop), mask),
        "biharmonic": lambda: biharmonic(crop, mask),
    }
    medians = medians_in_turns(tasks, rounds)
    ratios = {name: round(value / medians["round_trip"], 2) for name, value in medians.items()}
    return ratios | {"repair_seconds": round(medians["repair"], 2)}


def views(crops: list[Levels], repairer: Repairer, folder: Path) -> None:
    """Damaged, biharmonic, ours and the picture itself, side by side, each kind of damage in a row."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, crop in list(enumerate(crops))[::4]:
        rows = []
        for draw in DAMAGE.values():
            mask = draw(crop.shape[0], seed)
            damaged = np.where(mask[..., None], 255, crop).astype(np.uint8)
            plain = np.rint(np.clip(biharmonic(damaged, mask), 0, 255)).astype(np.uint8)
            rows.append(np.concatenate([damaged, plain, repairer(to_picture(damaged), mask).rgb, crop], 1))
        Image.fromarray(np.concatenate(rows)).save(folder / f"repair-{seed}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder of images")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--views", type=Path, help="folder for pictures to look at")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    crops, size = [], arguments.size
    for path in sorted(arguments.pictures.glob("*.png")):
        image = Image.open(path).convert("RGB")
        left, top = (image.width - size) // 2, (image.height - size) // 2
        crops.append(np.asarray(image.crop((left, top, left + size, top + size))))
    gray = [np.repeat(np.asarray(Image.fromarray(crop).convert("L"))[..., None], 3, 2) for crop in crops]
    repairer = Repairer(1)
    result: dict[str, Any] = {"crops": len(crops), "size": size, "damage": {}}
    for kind, pictures in (("colour", crops), ("gray", gray)):
        for name, draw in DAMAGE.items():
            masks = [draw(size, seed) for seed in range(len(crops))]
            result["damage"][f"{name}, {kind}"] = compared(pictures, masks, repairer)
            print(name, kind, result["damage"][f"{name}, {kind}"], flush=True)
    for width in HOLES:
        masks = [drawn.hole(size, seed, width) for seed in range(len(crops))]
        result["damage"][f"hole of {width}, colour"] = compared(crops, masks, repairer)
        print(width, result["damage"][f"hole of {width}, colour"], flush=True)
    result["times_of_a_round_trip"] = times(crops[0], drawn.scratches(size, 0), repairer)
    print(result["times_of_a_round_trip"])
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "repair.json").write_text(json.dumps(result, indent=1) + "\n")
    if arguments.views:
        views(crops, repairer, arguments.views)


if __name__ == "__main__":
    main()
