"""The cost of tiles against coding an image whole, and the visibility of their borders.

    python benchmarks/studies/tiling.py ../shared/data/train --out benchmarks/results

The image is a mosaic of validation pictures, 4000 x 3000 pixels. As a single tile it exceeds the limit of the format,
which is lifted here for this comparison only.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import vaecodec
from vaecodec.benchmarks.bd import bd_rate
from vaecodec.bitstream import grid as tiles
from vaecodec.training.data.pictures import PictureStore

QUALITIES = (10, 30, 50, 70, 90)


def mosaic(store: PictureStore, width: int, height: int) -> np.ndarray:
    """Validation pictures in columns of 500 pixels: (height, width, 3) uint8."""
    pictures = [store.picture(entry) for entry in store.validation]
    wide = iter([p[:, :500] for p in pictures if p.shape[1] >= 500] * 9)
    columns = []
    for _ in range(width // 500):
        column = next(wide)
        while column.shape[0] < height:
            column = np.concatenate([column, next(wide)])
        columns.append(column[:height])
    return np.concatenate(columns, 1)


def psnr(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / error.mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--cache", type=Path, help="folder of decoded pictures, as in a training run")
    parser.add_argument("--tiles", default="512,1024,2048")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture = mosaic(PictureStore.build(arguments.pictures, arguments.cache or Path(folder)), 4000, 3000)
    tiles.MAX_LOG2 = 12
    curves: dict[str, list[tuple[float, float]]] = {}
    decoded: dict[tuple[str, float], np.ndarray] = {}
    for side in (4096, *map(int, arguments.tiles.split(","))):
        codec = vaecodec.Codec(tile_log2=side.bit_length() - 1)
        for quality in QUALITIES:
            data = codec.encode(picture, quality)
            pixels = np.asarray(codec.decode(data)).astype(np.float32)
            decoded[str(side), quality] = error = np.square(pixels - picture).mean(2)
            curves.setdefault(str(side), []).append((len(data) * 8 / error.size, psnr(error)))
    result = {}
    for side in arguments.tiles.split(","):
        border = np.zeros(picture.shape[:2], bool)
        for at in range(int(side), max(picture.shape), int(side)):
            border[at - 2 : at + 2] = border[:, at - 2 : at + 2] = True
        seams = [psnr(decoded[side, q][border]) - psnr(decoded["4096", q][border]) for q in QUALITIES]
        rate = bd_rate(curves["4096"], curves[side])
        result[side] = {
            "bd_rate_percent": rate,
            "seam_psnr_change_db": dict(zip(map(str, QUALITIES), seams, strict=True)),
        }
        print(side, result[side], flush=True)
    if arguments.out:
        result["curves"] = curves
        (arguments.out / "tiling.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
