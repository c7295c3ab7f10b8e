"""Overhead of each integration over the equivalent plain calls of the library, on one photograph.

    python benchmarks/studies/integrations.py ../shared/data/kodak/kodim05.png --out benchmarks/results

Both sides of a pair take turns in one process; medians. Both use one thread, except in rows that say two: there the
plain calls have two threads (batches: four calls in sequence) or one worker (folders). "crop" reads 256x256 pixels from
tiles of 256.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import fsspec
import numpy as np
import torch
from PIL import Image

import vaecodec
import vaecodec.pillow
from vaecodec.datasets import VaecDataset, webdataset_decoder
from vaecodec.folders import Plan, Task, make_plan, run_jobs

SMALL = (96, 64)


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def pairs(path: Path, folder: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """{integration: (its call, the equivalent plain calls)}."""
    codec, both = vaecodec.Codec(threads=1), vaecodec.Codec(threads=2)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    image, tensor = Image.fromarray(pixels), torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    data = codec.encode(pixels, 50)
    file = folder / "one.vaec"
    file.write_bytes(data)
    memory = fsspec.filesystem("memory")
    memory.pipe("/one.vaec", data)
    crops = folder / "crops"
    crops.mkdir()
    (crops / "0.vaec").write_bytes(vaecodec.Codec(threads=1, tile_log2=8).encode(pixels, 50))
    dataset = VaecDataset(crops, crop=256)
    tar_decoder = webdataset_decoder(threads=1)
    sources = folder / "sources"
    sources.mkdir()
    for number in range(12):
        image.save(sources / f"{number}.ppm")
    task = Task("encode", ".vaec", force=True, codec={"threads": 1})
    all_jobs = make_plan(sources, folder / "out", task, False).jobs
    jobs = all_jobs[:4]

    def save() -> None:
        image.save(io.BytesIO(), "VAEC", quality=50)

    def folder_of_four() -> None:
        run_jobs(Plan(jobs), task, folder / "out", 0)

    def four() -> None:
        one = vaecodec.Codec(threads=1)
        for job in jobs:
            one.encode(np.asarray(Image.open(job.source)), 50)

    def folder_of_twelve(workers: int) -> None:
        run_jobs(Plan(all_jobs), task, folder / "out", workers)

    def thumbnail() -> None:
        Image.open(io.BytesIO(data)).thumbnail(SMALL)

    def encode_four_times() -> None:
        for _ in range(4):
            both.encode(pixels, 50)

    def decode_four_times() -> None:
        for _ in range(4):
            both.decode_array(data)

    thumbnails = [np.ascontiguousarray(pixels[12 * i : 12 * i + 64, :64]) for i in range(32)]
    small = codec.encode_batch(thumbnails, 50)

    def encode_thumbnails() -> None:
        for picture in thumbnails:
            codec.encode(picture, 50)

    def decode_thumbnails() -> None:
        for part in small:
            codec.decode_array(part)

    def decode() -> Image.Image:
        return codec.decode(data)

    def encode() -> object:
        return codec.encode(pixels, 50)

    return {
        "Pillow: open and load": (lambda: Image.open(io.BytesIO(data)).load(), decode),
        "Pillow: save": (save, encode),
        "encode a PIL image": (lambda: codec.encode(image, 50), encode),
        "encode a torch tensor": (lambda: codec.encode(tensor, 50), encode),
        "decode_array": (lambda: codec.decode_array(data), decode),
        "decode_to_tensor": (lambda: codec.decode_to_tensor(data), decode),
        "decode a file object": (lambda: codec.decode(io.BytesIO(data)), decode),
        "decode a path": (lambda: codec.decode(file), decode),
        "decode an fsspec URL (memory://)": (lambda: codec.decode("memory://one.vaec"), decode),
        "encode_batch of 4, two threads": (lambda: both.encode_batch([pixels] * 4, 50), encode_four_times),
        "decode_batch of 4, two threads": (lambda: both.decode_batch([data] * 4, "numpy"), decode_four_times),
        "encode_batch of 32 of 64x64, one thread": (lambda: codec.encode_batch(thumbnails, 50), encode_thumbnails),
        "decode_batch of 32 of 64x64, one thread": (lambda: codec.decode_batch(small, "numpy"), decode_thumbnails),
        "preview, an eighth of the size": (lambda: codec.preview(data), lambda: decode().resize(SMALL)),
        "Pillow: thumbnail, an eighth of the size": (thumbnail, lambda: decode().resize(SMALL)),
        "pickled codec, first use": (lambda: pickle.loads(pickle.dumps(codec)).decode(data), decode),
        "VaecDataset, crop 256": (lambda: dataset[0], lambda: codec.decode(crops / "0.vaec")),
        "webdataset decoder": (lambda: tar_decoder("0.vaec", data), decode),
        "folder of 4, one worker": (folder_of_four, four),
        "folder of 12, two workers": (lambda: folder_of_twelve(2), lambda: folder_of_twelve(1)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (integration, plain) in pairs(arguments.image, Path(folder)).items():
            integration(), plain()
            times = [(seconds(integration), seconds(plain)) for _ in range(arguments.rounds)]
            ours, theirs = (median(column) for column in zip(*times, strict=True))
            result[name] = {"seconds": ours, "plain_seconds": theirs}
            print(f"{name:40s} {1000 * ours:7.1f} ms, plain {1000 * theirs:7.1f} ms, ratio {ours / theirs:.2f}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "integrations.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
