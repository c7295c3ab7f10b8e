"""What a smooth fill of lost tiles gains over gray, in PSNR of the lost pixels.

    python -m vaecodec.benchmarks.studies.salvage ../shared/data/kodak --out benchmarks/results

Every second picture in tiles of 256, each tile lost once. Writes salvage.json into OUT, and with --views pictures to
look at.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

import vaecodec
from vaecodec.bitstream.container import read_container
from vaecodec.system.files import Source

TILE_LOG2 = 8


def psnr(pixels: np.ndarray, original: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(pixels.astype(float) - original).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--views", type=Path, help="folder for pictures to look at")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    codec = vaecodec.Codec(threads=1, tile_log2=TILE_LOG2, keep=False)
    scores: dict[str, list[float]] = {"gray": [], "mean_colour": [], "smooth": []}
    seconds: dict[str, float] = {"gray": 0.0, "smooth": 0.0}
    same, paths = True, sorted(arguments.pictures.glob("*.png"))[::2]
    for path in paths:
        original = np.asarray(Image.open(path).convert("RGB"))
        data = codec.encode(original)
        whole = codec.decode_array(data)
        groups = read_container(Source(data), original.size).groups
        for index, group in enumerate(groups):
            damaged = bytearray(data)
            damaged[group.offset] ^= 1
            saved = {}
            for fill in ("gray", "smooth"):
                started = time.perf_counter()
                saved[fill] = np.asarray(codec.salvage(bytes(damaged), fill=fill)[0])
                seconds[fill] += time.perf_counter() - started
            other = (saved["gray"] != whole).any(2)
            lost = np.ix_(other.any(1), other.any(0))  # one rectangle, though some of it may be gray in truth
            sound = np.ones(other.shape, bool)
            sound[lost] = False
            same &= np.array_equal(saved["smooth"][sound], whole[sound])
            for fill, pixels in saved.items():
                scores[fill].append(psnr(pixels[lost], original[lost]))
            scores["mean_colour"].append(psnr(whole[sound].mean(0), original[lost]))
            if arguments.views and index == 1:
                arguments.views.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.concatenate([*saved.values(), whole], 1)).save(arguments.views / path.name)
    result = {"pictures": len(paths), "tiles": len(scores["gray"]), "tile": 1 << TILE_LOG2}
    result |= {"psnr_of_lost": {fill: round(statistics.mean(values), 2) for fill, values in scores.items()}}
    gains = [smooth - gray for smooth, gray in zip(scores["smooth"], scores["gray"], strict=True)]
    result |= {"gain_db": [round(float(q), 2) for q in np.quantile(gains, (0, 0.1, 0.5, 0.9, 1))]}
    result |= {"others_bit_identical": bool(same), "time_by_gray": round(seconds["smooth"] / seconds["gray"], 2)}
    print(result)
    if arguments.out:
        (arguments.out / "salvage.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
