"""Rate-distortion on a folder of images: vaecodec against JPEG, from real file bytes and decoded 8-bit pixels.

    python benchmarks/rd.py ../shared/data/kodak --out benchmarks/results

Writes rd.json and rd.png. The anchor is JPEG as Pillow writes it with optimize=True, subsampling 4:2:0.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
from pathlib import Path

import numpy as np
import PIL
from bdrate import bd_rate
from PIL import Image

import vaecodec

QUALITIES = [1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100]
JPEG_QUALITIES = list(range(5, 100, 5))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """PSNR in dB over all RGB samples of two uint8 images."""
    return float(10 * np.log10(255**2 / np.square(a.astype(np.float64) - b).mean()))


def jpeg(image: Image.Image, quality: int) -> tuple[int, np.ndarray]:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling="4:2:0")
    return buffer.tell(), np.asarray(Image.open(buffer).convert("RGB"))


def curve(images: list[np.ndarray], qualities: list[int], code) -> list[dict]:
    """Mean bpp and PSNR over the images, and both for each image, at every quality."""
    points = []
    for quality in qualities:
        bpp, db = [], []
        for pixels in images:
            size, decoded = code(pixels, quality)
            bpp.append(size * 8 / (pixels.shape[0] * pixels.shape[1]))
            db.append(psnr(pixels, decoded))
        points.append(
            {
                "quality": quality,
                "bpp": float(np.mean(bpp)),
                "psnr": float(np.mean(db)),
                "image_bpp": bpp,
                "image_psnr": db,
            }
        )
        print(f"  quality {quality:5g}  {points[-1]['bpp']:.4f} bpp  {points[-1]['psnr']:.2f} dB", flush=True)
    return points


def plot(curves: dict[str, list[dict]], title: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.6), dpi=120)
    for name, points in curves.items():
        style = {"color": "0.45", "ls": "--"} if name.startswith("JPEG") else {}
        axes.plot([p["bpp"] for p in points], [p["psnr"] for p in points], marker=".", label=name, **style)
    axes.set(xlabel="bits per pixel", ylabel="PSNR (RGB), dB", title=title, xlim=(0, 2.5), ylim=(23, 43))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--model", help="name or path [default: the shipped one]")
    parser.add_argument("--limit", type=int, help="only the first images")
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.images.iterdir() if p.suffix.lower() in (".png", ".jpg", ".webp"))
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths[: arguments.limit]]
    codec = vaecodec.Codec(arguments.model)

    def code(pixels: np.ndarray, quality: int) -> tuple[int, np.ndarray]:
        data = codec.encode(pixels, quality)
        return len(data), np.asarray(codec.decode(data))

    print(f"JPEG, {len(images)} images")
    anchor = curve(images, JPEG_QUALITIES, lambda pixels, quality: jpeg(Image.fromarray(pixels), quality))
    print(f"vaecodec {codec.model.name} {codec.model.identity.hex()}")
    ours = curve(images, QUALITIES, code)

    def points(rows: list[dict]) -> list[tuple[float, float]]:
        return [(row["bpp"], row["psnr"]) for row in rows]

    result = {
        "images": len(images),
        "anchor": 'Pillow JPEG, optimize=True, subsampling="4:2:0"',
        "bd_rate_percent": bd_rate(points(anchor), points(ours)),
        "bd_rate_percent_0.1_to_1.5_bpp": bd_rate(points(anchor), points(ours), (0.1, 1.5)),
        "model": codec.model.name,
        "model_sha256": codec.model.checksum,
        "versions": {"vaecodec": vaecodec.__version__, "pillow": PIL.__version__, "python": platform.python_version()},
        "curves": {"vaecodec": ours, "jpeg": anchor},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "rd.json").write_text(json.dumps(result, indent=1) + "\n")
    name = f"vaecodec {codec.model.name}"
    title = f"{len(images)} images of {arguments.images.name}: BD-rate {result['bd_rate_percent']:+.1f} % against JPEG"
    plot({name: ours, "JPEG (libjpeg-turbo, optimised, 4:2:0)": anchor}, title, arguments.out / "rd.png")
    print(f"BD-rate against JPEG: {result['bd_rate_percent']:+.2f} %")


if __name__ == "__main__":
    main()
