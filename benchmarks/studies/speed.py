"""Speed side by side in one run: vaecodec against CompressAI's hyperpriors, one image in memory.

    python benchmarks/studies/speed.py ../shared/data/kodak/kodim05.png --out benchmarks/results

CompressAI's weights are random (timing only): its transforms and its entropy coder take the same steps for any weights,
but its latents then cost few bits. Two threads each; medians; the two codecs take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from compressai.zoo import bmshj2018_hyperprior, mbt2018_mean
from PIL import Image

from vaecodec.codec import codec_over
from vaecodec.coding.clock import Stopwatch
from vaecodec.coding.session import Session, Settings


def seconds(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def process_seconds(command: list[str]) -> float:
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pixels = np.asarray(Image.open(arguments.image).convert("RGB"))
    stopwatch = Stopwatch()
    codec = codec_over(Session(Settings(threads=arguments.threads), clock=stopwatch))
    data = codec.encode(pixels, arguments.quality)
    others = {  # N = 128, M = 192
        "bmshj2018-hyperprior": bmshj2018_hyperprior(quality=5, pretrained=False).eval(),
        "mbt2018-mean": mbt2018_mean(quality=4, pretrained=False).eval(),
    }
    stopwatch.seconds.clear()
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    times: dict[str, list[float]] = {name: [] for name in ("encode", "decode")}
    entropy: dict[str, list[float]] = {"encode": [], "decode": []}
    with torch.inference_mode():
        compressed = {}
        for name, other in others.items():
            other.update(force=True)
            compressed[name] = other.compress(x)
            times |= {f"{name} encode": [], f"{name} decode": []}
        for _ in range(arguments.rounds):
            for name, other in others.items():
                coded = compressed[name]
                times[f"{name} encode"].append(seconds(lambda other=other: other.compress(x)))
                times[f"{name} decode"].append(
                    seconds(lambda other=other, coded=coded: other.decompress(coded["strings"], coded["shape"]))
                )
            times["encode"].append(seconds(lambda: codec.encode(pixels, arguments.quality)))
            entropy["encode"].append(stopwatch.seconds.pop("entropy"))
            times["decode"].append(seconds(lambda: codec.decode(data)))
            entropy["decode"].append(stopwatch.seconds.pop("entropy"))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "image.vaec"), Path(folder, "image.png")
        source.write_bytes(data)
        executable = str(Path(sys.executable).with_name("vaecodec"))
        pairs = [
            (
                process_seconds([executable, "decode", str(source), str(target), "-f", "-Q"]),
                process_seconds([sys.executable, "-c", "import torch"]),
            )
            for _ in range(arguments.rounds)
        ]
    medians = {name: median(values) for name, values in times.items()}
    result = {
        "image": f"{pixels.shape[1]}x{pixels.shape[0]}, quality {arguments.quality:g}, {len(data)} bytes",
        "threads": arguments.threads,
        "seconds": medians,
        "speedup": {
            name: {task: medians[f"{name} {task}"] / medians[task] for task in ("encode", "decode")} for name in others
        },
        "entropy_share": {name: median(values) / medians[name] for name, values in entropy.items()},
        "decode_command_seconds": median(pair[0] for pair in pairs),
        "import_torch_seconds": median(pair[1] for pair in pairs),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "speed.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
