"""Speed side by side in one run: vaecodec against CompressAI's bmshj2018-hyperprior, one image in memory.

    python benchmarks/speed.py ../shared/data/kodak/kodim05.png --out benchmarks/results

CompressAI's weights are random (timing only): its transforms and its entropy coder take the same steps whatever the
weights are, but its latents then cost few bits. Two threads each; medians; the runs of the two codecs take turns.
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
from compressai.zoo import bmshj2018_hyperprior
from PIL import Image

import vaecodec


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
    codec = vaecodec.Codec(threads=arguments.threads)
    data = codec.encode(pixels, arguments.quality)
    other = bmshj2018_hyperprior(quality=5, pretrained=False).eval()  # N = 128, M = 192
    other.update(force=True)
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        compressed = other.compress(x)
        times: dict[str, list[float]] = {name: [] for name in ("encode", "decode", "compress", "decompress")}
        entropy: dict[str, list[float]] = {"encode": [], "decode": []}
        for _ in range(arguments.rounds):
            times["compress"].append(seconds(lambda: other.compress(x)))
            times["decompress"].append(seconds(lambda: other.decompress(compressed["strings"], compressed["shape"])))
            times["encode"].append(seconds(lambda: codec.encode(pixels, arguments.quality)))
            entropy["encode"].append(codec.timing["entropy"])
            times["decode"].append(seconds(lambda: codec.decode(data)))
            entropy["decode"].append(codec.timing["entropy"])
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
        "encode_speedup": medians["compress"] / medians["encode"],
        "decode_speedup": medians["decompress"] / medians["decode"],
        "entropy_share": {name: median(values) / medians[name] for name, values in entropy.items()},
        "decode_command_seconds": median(pair[0] for pair in pairs),
        "import_torch_seconds": median(pair[1] for pair in pairs),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "speed.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
