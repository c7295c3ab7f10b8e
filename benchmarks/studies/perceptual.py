"""Crops side by side at equal bits: models trained for the eye and for squared error, and other codecs.

    python benchmarks/studies/perceptual.py [--codecs jpeg,avif,vaecodec-fast,vaecodec-eye] [--bpp 0.3] [--out DIR]

The pictures are photographs from scikit-image: a face, wood, fur, a night. Writes perceptual.png, with bits per pixel,
SSIMULACRA 2 and PSNR of the whole picture under each crop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vaecodec.benchmarks import codecs
from vaecodec.benchmarks.metrics import psnr, ssimulacra2
from vaecodec.benchmarks.views import Pixels, shot_at

PHOTOGRAPHS = {"astronaut": (20, 120), "coffee": (30, 450), "chelsea": (60, 110), "rocket": (280, 60)}
"""Top and left of the crops."""
CROP, ZOOM, CAPTION = 144, 2, 18


def photograph(name: str) -> Pixels:
    from skimage import data

    return np.ascontiguousarray(getattr(data, name)()[:, :, :3])


def shot(codec: codecs.Codec, pixels: Pixels, bpp: float) -> tuple[Pixels, str]:
    """The whole picture decoded at about `bpp`, and a caption."""
    size = pixels.shape[0] * pixels.shape[1]
    ends = (codec.qualities[0], codec.qualities[-1])
    known = {quality: len(codec.encode(pixels, quality)) * 8 / size for quality in ends}
    best = shot_at(codec, pixels, known, bpp, (slice(None), slice(None)))
    seen = f"SSIMULACRA 2 {ssimulacra2(pixels, best.pixels):.0f}"
    scores = f"{best.bpp:.3f} bpp  {seen}  {psnr(pixels, best.pixels):.1f} dB"
    return best.pixels, scores


def sheet(names: list[str], bpp: float) -> Image.Image:
    """One row per photograph: the original, then each codec."""
    side = CROP * ZOOM
    width, height = side * (len(names) + 1), (side + CAPTION) * len(PHOTOGRAPHS) + CAPTION
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for column, name in enumerate(["original", *names]):
        draw.text((column * side + 4, 2), name, "black", font_size=13)
    for row, (photo, (top, left)) in enumerate(PHOTOGRAPHS.items()):
        pixels = photograph(photo)
        shots = [(pixels, photo), *(shot(codecs.find(name), pixels, bpp) for name in names)]
        for column, (decoded, caption) in enumerate(shots):
            crop = Image.fromarray(decoded[top : top + CROP, left : left + CROP]).resize((side, side), 0)
            y = CAPTION + row * (side + CAPTION)
            image.paste(crop, (column * side, y))
            draw.text((column * side + 4, y + side + 2), caption, "black", font_size=12)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codecs", default="jpeg,avif,vaecodec-fast,vaecodec-eye")
    parser.add_argument("--bpp", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sheet(arguments.codecs.split(","), arguments.bpp).save(arguments.out / "perceptual.png")


if __name__ == "__main__":
    main()
