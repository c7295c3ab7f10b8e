"""Throughput of two worker processes against one: `vaecodec encode DIR -o OUT --jobs 2` and `--jobs 1`.

    python benchmarks/studies/workers.py ../shared/data/kodak --out benchmarks/results

Whole commands, including start-up, on enough copies of the images to make start-up small; the runs take turns, in
changing order; medians. The goal is GOAL times the images per second. Other load on the machine distorts the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

GOAL = 1.7
WORKERS = (1, 2)


def copies_of(images: Path, number: int, folder: Path) -> int:
    """Fill `folder`; returns its number of images."""
    folder.mkdir()
    found = sorted(path for path in images.iterdir() if path.suffix == ".png")
    for copy in range(number):
        for path in found:
            shutil.copy(path, folder / f"{copy}-{path.name}")
    return number * len(found)


def seconds(images: Path, out: Path, workers: int) -> float:
    vaecodec = str(Path(sys.executable).with_name("vaecodec"))
    started = time.perf_counter()
    subprocess.run([vaecodec, "encode", images, "-o", out, "--jobs", str(workers), "-f", "-Q"], check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="a folder of PNG files")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    times: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as name:
        images, out = Path(name, "in"), Path(name, "out")
        count = copies_of(arguments.images, arguments.copies, images)
        for number in range(arguments.rounds):
            for workers in WORKERS[:: 1 if number % 2 == 0 else -1]:
                times[workers].append(seconds(images, out, workers))
    medians = {workers: median(values) for workers, values in times.items()}
    ratio = medians[1] / medians[2]
    result = {"images": count, "cores": os.cpu_count(), "goal": GOAL, "ratio": ratio, "seconds": medians, "runs": times}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "workers.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{count} images: {medians[1]:.2f} s with one worker, {medians[2]:.2f} s with two, ratio {ratio:.2f}")
    print(f"goal {GOAL}: {'reached' if ratio >= GOAL else 'not reached'}")


if __name__ == "__main__":
    main()
