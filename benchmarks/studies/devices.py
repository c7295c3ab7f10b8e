"""Megapixels per second of every runtime and device, for one photograph in memory and one CPU thread.

    python benchmarks/studies/devices.py ../shared/data/kodak/kodim05.png --out benchmarks/results

All runs take turns; medians. Devices that this machine lacks are "not measured".
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import vaecodec

DEVICES = (("onnx", "cpu"), ("torch", "cpu"), ("onnx", "cuda"), ("torch", "cuda"))
TASKS = ("encode", "decode")


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def codec_on(backend: str, device: str, pixels: np.ndarray) -> vaecodec.Codec | None:
    """A codec with loaded nets; None if the device is unavailable."""
    codec = vaecodec.Codec(backend=backend, device=device, threads=1)
    try:
        codec.decode(codec.encode(pixels))
    except vaecodec.BackendError as error:
        print(f"{backend} {device}: not measured: {error}")
        return None
    return codec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    pixels = np.array(Image.open(arguments.image).convert("RGB"))
    data = vaecodec.encode(pixels)
    codecs = {f"{backend} {device}": codec_on(backend, device, pixels) for backend, device in DEVICES}
    present = {name: codec for name, codec in codecs.items() if codec}
    times = {name: {task: [] for task in TASKS} for name in present}
    for _ in range(arguments.rounds):
        for name, codec in present.items():
            times[name]["encode"].append(seconds(lambda codec=codec: codec.encode(pixels)))
            times[name]["decode"].append(seconds(lambda codec=codec: codec.decode_array(data)))
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    rates = {
        name: {task: megapixels / median(times[name][task]) for task in TASKS} if codec else None
        for name, codec in codecs.items()
    }
    for name, rate in rates.items():
        if rate:
            print(f"{name}: encode {rate['encode']:.2f}, decode {rate['decode']:.2f} megapixels a second")
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"image": f"{pixels.shape[1]}x{pixels.shape[0]}", "megapixels_a_second": rates}
    (arguments.out / "devices.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
