"""How accurately targets are met, and at what cost: on a folder of images, and on twelve unlike photographs.

    OMP_NUM_THREADS=1 python benchmarks/studies/targets.py ../shared/data/kodak --out benchmarks/results

For each image and target the file is written, decoded, and measured again by code independent of the search. Misses
count for files that stay in latents and are not at an end of the scale. Every target is timed beside one plain encode
at its final quality, on one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import vaecodec
from vaecodec.benchmarks import metrics
from vaecodec.benchmarks.studies import torture
from vaecodec.picture import to_picture
from vaecodec.targets import Bpp, MsSsim, Psnr, Size, Target

LEVELS: dict[str, tuple[Target, ...]] = {
    "size": (Size("10kB"), Size("30kB"), Size("80kB")),
    "bpp": (Bpp(0.25), Bpp(0.6), Bpp(1.5)),
    "psnr": (Psnr(28), Psnr(34), Psnr(39)),
    "ms-ssim": (MsSsim(0.95), MsSsim(0.98), MsSsim(0.995)),
}


def embossed(random: np.random.Generator) -> np.ndarray:
    """Coloured noise in relief."""
    noise = random.integers(0, 256, (torture.SIZE, torture.SIZE, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.EMBOSS))


GENERATED = (
    torture.text_page, torture.terminal, torture.screenshot, torture.line_art, torture.cartoon, torture.gradient,
    torture.gray_noise, torture.colour_noise, torture.zone_plate, torture.stripes, torture.saturated, embossed,
)  # fmt: skip


def measured(kind: str, target: Target, data: bytes, pixels: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """The measured value of a file, and its margin to the target, relative for sizes."""
    if isinstance(target, Size | Bpp):
        value = len(data) * (1 if isinstance(target, Size) else 24 / pixels.size)
        limit = target.bytes if isinstance(target, Size) else target.bpp
        return value, 1 - value / limit
    if isinstance(target, Psnr):
        value = metrics.psnr(pixels, decoded)
        return value, value - target.psnr
    assert isinstance(target, MsSsim)
    value = 1 - 10 ** (-metrics.ms_ssim(pixels, decoded) / 10)
    return value, value - target.ms_ssim


def row(codec: vaecodec.Codec, kind: str, target: Target, pixels: np.ndarray) -> dict:
    picture = to_picture(pixels)
    codec.encode(pixels[:64, :64], 50)
    started = time.perf_counter()
    reached = codec.reach(picture, replace(target, best=True))
    seconds = time.perf_counter() - started
    decoded = codec.decode_array(reached.data)
    decoded = decoded if decoded.shape[2] == 3 else decoded.repeat(3, 2)
    value, miss = measured(kind, target, reached.data, pixels, decoded)
    started = time.perf_counter()
    codec.encode_picture(picture, reached.quality or 50)
    plain = time.perf_counter() - started
    out = any("out of reach" in note for note in reached.notes)
    end = reached.quality in (1, 100)
    how = "out of reach" if out else "another form" if reached.quality is None else "end of scale" if end else "latents"
    result = {"target": str(target), "how": how, "value": round(value, 6), "miss": round(miss, 6)}
    result |= {"quality": reached.quality, "bytes": len(reached.data), "encodes": reached.encodes}
    return result | {"seconds": round(seconds, 3), "plain_seconds": round(plain, 3), "notes": reached.notes}


def summarised(rows: list[dict]) -> dict:
    """Misses of files in latents: the smallest is negative if a target was not met."""
    latents = [row for row in rows if row["how"] == "latents"]
    summary: dict = {how: sum(row["how"] == how for row in rows) for how in dict.fromkeys(row["how"] for row in rows)}
    if latents:
        summary |= {"smallest_miss": min(row["miss"] for row in latents)}
        summary |= {"largest_miss": max(row["miss"] for row in latents)}
        summary["mean_encodes"] = round(statistics.mean(row["encodes"] for row in latents), 2)
        summary["most_encodes"] = max(row["encodes"] for row in latents)
        ratios = [row["seconds"] / row["plain_seconds"] for row in latents]
        summary["median_time_ratio"] = round(statistics.median(ratios), 2)
    met = [row for row in rows if row["how"] == "another form"]
    return summary | ({"smallest_miss_of_other_forms": min(row["miss"] for row in met)} if met else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--model", help="name or path [default: the shipped one]")
    parser.add_argument("--limit", type=int, help="only so many of the images")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    codec = vaecodec.Codec(arguments.model, threads=1)
    images = {
        path.stem: np.asarray(Image.open(path).convert("RGB"))
        for path in sorted(arguments.images.glob("*.png"))[: arguments.limit]
    }
    images |= {
        torture.__name__: np.ascontiguousarray(torture(np.random.default_rng(number)))
        for number, torture in enumerate(GENERATED[: arguments.limit])
    }
    rows: dict[str, list[dict]] = {kind: [] for kind in LEVELS}
    for name, pixels in images.items():
        for kind, targets in LEVELS.items():
            rows[kind] += [{"image": name} | row(codec, kind, target, pixels) for target in targets]
        print(name, [(r["target"], r["how"], r["miss"]) for kind in LEVELS for r in rows[kind][-3:]], flush=True)
    summary = {kind: summarised(of_kind) for kind, of_kind in rows.items()}
    for kind, line in summary.items():
        print(kind, line)
    if arguments.out:
        model = f"{codec.model.name}-{codec.model.identity.hex()}"
        result = {"model": model, "images": len(images), "summary": summary, "rows": rows}
        (arguments.out / "targets.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
