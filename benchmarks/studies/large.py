"""Time and memory from 1 to 100 megapixels: whole commands, on synthetic photographs.

python benchmarks/studies/large.py --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = [(1250, 800), (2500, 1600), (5000, 3200), (8000, 5000), (12500, 8000)]


def synthetic_photograph(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth fields of all scales, edges and grain: (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    base = np.zeros((1600, 2500, 3), np.float32)
    for octave in range(2, 11):
        grid = random.normal(0, 1, (2**octave * 2 // 3 + 2, 2**octave + 2, 3)).astype(np.float32)
        planes = [Image.fromarray(grid[:, :, c]).resize((2500, 1600), Image.Resampling.BICUBIC) for c in range(3)]
        field = np.dstack([np.asarray(plane) for plane in planes])
        base += (0.7 * field[:, :, :1] + 0.3 * field) * 55 * 0.62 ** (octave - 2)
    base[base[:, :, 1] > 25] += 40  # edges along level lines
    base += random.normal(0, 2, (1600, 2500, 1))
    picture = (base + 110).clip(0, 255).astype(np.uint8)
    # Mirrored copies side by side: no seams in the content.
    row = np.concatenate([picture[:, :: (-1) ** i] for i in range(-(-width // 2500))], 1)[:, :width]
    return np.concatenate([row[:: (-1) ** i] for i in range(-(-height // 1600))], 0)[:height]


MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def run(*arguments: object) -> dict[str, float]:
    """Seconds and peak resident memory (MiB) of a vaecodec command.

    It is started from a small process, since the memory of the parent at the fork counts as the child's.
    """
    command = [sys.executable, "-m", "vaecodec", *map(str, arguments), "-f", "-Q"]
    measured = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True)
    seconds, peak = map(float, measured.stdout.split())
    return {"seconds": round(seconds, 2), "peak_mib": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", type=int, help="one size, by number")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for width, height in [SIZES[arguments.only]] if arguments.only is not None else SIZES:
            Image.fromarray(synthetic_photograph(width, height)).save(folder / "a.ppm")
            coded = folder / "a.vaec"
            row: dict = {"width": width, "height": height, "megapixels": width * height / 1e6}
            row["encode"] = run("encode", folder / "a.ppm", coded)
            row["decode"] = run("decode", coded, folder / "b.ppm")
            # The corner where four tiles meet, and one where windows meet within tiles: the worst alignments.
            middle = (width // 2048 * 1024, height // 2048 * 1024)
            worst = [(x - 256 + d, y - 256 + d, 512, 512) for x, y in [middle] for d in (0, 256) if min(x, y) >= 256]
            regions = [",".join(map(str, region)) for region in worst] or ["100,100,512,512"]
            times = [run("decode", coded, folder / "c.ppm", "--region", region) for region in regions]
            row["region"] = max(times, key=lambda r: r["seconds"])
            row["preview"] = run("decode", coded, folder / "d.ppm", "--scale", "1/8")
            row["bytes"] = coded.stat().st_size
            rows.append(row)
            print(row, flush=True)
    if arguments.out:
        (arguments.out / "large.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
