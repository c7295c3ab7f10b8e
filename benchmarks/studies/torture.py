"""Images unlike photographs: text, screens, line art, flat colour, noise, texture, saturation, darkness, JPEGs.

    python benchmarks/studies/torture.py --out benchmarks/results [--pictures DIR]

For each image and budget in bits per pixel, the best PSNR (capped at 45 dB) of a quality within the budget, against
tuned JPEG within the same budget. An image is left out if even JPEG's lowest quality exceeds the budget. `--pictures`
also saves the images.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from vaecodec.benchmarks import codecs
from vaecodec.benchmarks.metrics import psnr
from vaecodec.model.defaults import DEFAULT_MODEL

SIZE = 384
BUDGETS = (0.25, 0.5, 1.0, 2.0)
CAP = 45.0
TEXT = "Sphinx of black quartz, judge my vow. 0123456789 (rate + lambda * distortion)"


def text_page(random: np.random.Generator) -> np.ndarray:
    """Black on white, several sizes."""
    image = Image.new("RGB", (SIZE, SIZE), "white")
    draw, y = ImageDraw.Draw(image), 6
    while y < SIZE:
        size = int(random.choice([9, 11, 13, 20]))
        draw.text((8, y), " ".join(random.choice(TEXT.split(), 14)), "black", font_size=size)
        y += int(size * 1.4)
    return np.asarray(image)


def terminal(random: np.random.Generator) -> np.ndarray:
    """Coloured text on a dark ground."""
    image = Image.new("RGB", (SIZE, SIZE), (18, 20, 28))
    draw = ImageDraw.Draw(image)
    for y in range(4, SIZE, 15):
        x = 6
        for word in random.choice(TEXT.split(), 9):
            draw.text((x, y), word, tuple(random.integers(80, 256, 3).tolist()), font_size=12)
            x += 8 * len(word)
    return np.asarray(image)


def screenshot(random: np.random.Generator) -> np.ndarray:
    """Windows, buttons, a table, icons."""
    image = Image.new("RGB", (SIZE, SIZE), (236, 238, 241))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE, 28), (44, 90, 160))
    draw.text((10, 7), "vaecodec - Untitled", "white", font_size=13)
    for row in range(14):
        y = 40 + row * 24
        draw.rectangle((10, y, SIZE - 10, y + 23), (255, 255, 255) if row % 2 else (246, 247, 249), (210, 214, 220))
        draw.ellipse((16, y + 5, 28, y + 17), tuple(random.integers(0, 256, 3).tolist()))
        draw.text((36, y + 5), " ".join(random.choice(TEXT.split(), 3)), (40, 44, 52), font_size=11)
        draw.rounded_rectangle((SIZE - 84, y + 3, SIZE - 18, y + 20), 5, (44, 90, 160))
        draw.text((SIZE - 74, y + 5), f"{random.uniform(0, 1):.3f}", "white", font_size=11)
    return np.asarray(image)


def line_art(random: np.random.Generator) -> np.ndarray:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        box = random.integers(-40, SIZE + 40, 4).tolist()
        x, y = sorted(box[::2]), sorted(box[1::2])
        draw.arc((x[0], y[0], x[1], y[1]), *random.integers(0, 360, 2).tolist(), "black")
    return np.asarray(image)


def cartoon(random: np.random.Generator) -> np.ndarray:
    """Flat regions with black outlines."""
    image = Image.new("RGB", (SIZE, SIZE), (140, 200, 250))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, r = (int(random.integers(low, high)) for low, high in ((0, SIZE), (0, SIZE), (15, 80)))
        draw.regular_polygon((x, y, r), int(random.integers(3, 9)), fill=_colour(random), outline="black", width=3)
    return np.asarray(image)


def flat(random: np.random.Generator) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), random.integers(0, 256, 3), np.uint8)


def flat_squares(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (6, 6, 3), np.uint8).repeat(SIZE // 6, 0).repeat(SIZE // 6, 1)


def gradient(random: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return _image(np.stack([x, y, 1 - (x + y) / 2], 2) * 255)


def gray_noise(random: np.random.Generator) -> np.ndarray:
    return _image(np.repeat(128 + random.normal(0, 40, (SIZE, SIZE, 1)), 3, 2))


def colour_noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def film_grain(random: np.random.Generator) -> np.ndarray:
    return _image(_photograph("astronaut") + random.normal(0, 12, (SIZE, SIZE, 1)))


def checkerboard(random: np.random.Generator) -> np.ndarray:
    """Single pixels."""
    return np.repeat((np.indices((SIZE, SIZE)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None], 3, 2)


def zone_plate(random: np.random.Generator) -> np.ndarray:
    """All frequencies in all directions."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2
    return _image(np.repeat((127.5 + 127.5 * np.cos((x * x + y * y) * np.pi / SIZE))[:, :, None], 3, 2))


def stripes(random: np.random.Generator) -> np.ndarray:
    """Red and blue stripes, too fine for JPEG's chroma."""
    stripe = np.arange(SIZE) // 3 % 2
    return np.broadcast_to(np.where(stripe[:, None], (255, 0, 0), (0, 0, 255)), (SIZE, SIZE, 3)).astype(np.uint8)


def saturated(random: np.random.Generator) -> np.ndarray:
    """Discs in the corners of the colour cube."""
    image = Image.new("RGB", (SIZE, SIZE), (0, 0, 255))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, r = random.integers(0, SIZE), random.integers(0, SIZE), random.integers(8, 60)
        draw.ellipse((x - r, y - r, x + r, y + r), tuple((random.integers(0, 2, 3) * 255).tolist()))
    return np.asarray(image)


def very_dark(random: np.random.Generator) -> np.ndarray:
    return _image(_photograph("coffee") / 12)


def very_bright(random: np.random.Generator) -> np.ndarray:
    return _image(255 - _photograph("chelsea") / 10)


def was_jpeg(random: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(_image(_photograph("astronaut"))).save(buffer, "JPEG", quality=25)
    return np.asarray(Image.open(buffer))


def was_jpeg_scaled(random: np.random.Generator) -> np.ndarray:
    """A JPEG rescaled, so that its blocks lie on no grid."""
    image = Image.fromarray(was_jpeg(random)).resize((SIZE * 4 // 3,) * 2, Image.Resampling.BICUBIC)
    return np.asarray(image)[:SIZE, :SIZE]


def dithered(random: np.random.Generator) -> np.ndarray:
    image = Image.fromarray(_image(_photograph("coffee"))).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    return np.asarray(image.convert("RGB"))


def halftone(random: np.random.Generator) -> np.ndarray:
    """Black and white, error diffused."""
    return np.asarray(Image.fromarray(_image(_photograph("chelsea"))).convert("1").convert("RGB"))


def pixel_art(random: np.random.Generator) -> np.ndarray:
    palette = random.integers(0, 256, (6, 3), np.uint8)
    cells = Image.fromarray(random.integers(0, 6, (48, 48), np.uint8)).filter(ImageFilter.ModeFilter(3))
    return palette[np.asarray(cells)].repeat(8, 0).repeat(8, 1)


def blurred(random: np.random.Generator) -> np.ndarray:
    image = Image.fromarray(_image(_photograph("rocket")))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(6)))


TORTURES: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    text_page, terminal, screenshot, line_art, cartoon, flat, flat_squares, gradient, gray_noise, colour_noise,
    film_grain, checkerboard, zone_plate, stripes, saturated, very_dark, very_bright, was_jpeg, was_jpeg_scaled,
    dithered, halftone, pixel_art, blurred,
)  # fmt: skip


def _colour(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(random.integers(0, 256, 3).tolist())


def _image(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


def _photograph(name: str) -> np.ndarray:
    """A photograph from scikit-image, (SIZE, SIZE, 3) float."""
    from skimage import data

    image = Image.fromarray(getattr(data, name)())
    scale = SIZE / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(image)[:SIZE, :SIZE].astype(float)


def best_within(points: list[tuple[float, float]], budget: float) -> float | None:
    """Best capped PSNR among (bpp, PSNR) points within a budget; None if there is none."""
    return max((min(score, CAP) for bpp, score in points if bpp <= budget), default=None)


def curve(codec: codecs.Codec, pixels: np.ndarray, qualities: tuple[float, ...]) -> list[tuple[float, float]]:
    points = []
    for quality in qualities:
        data = codec.encode(pixels, quality)
        points.append((len(data) * 8 / (SIZE * SIZE), psnr(pixels, codec.decode(data))))
    return points


def compare(model: str = DEFAULT_MODEL, step: int = 2) -> dict:
    """{image: {budget: [our PSNR, JPEG's PSNR]}}; every `step`-th quality of both codecs."""
    jpeg, ours = codecs.available()["jpeg"], codecs.VaecCodec("vaecodec", model)
    result = {}
    for number, torture in enumerate(TORTURES):
        pixels = np.ascontiguousarray(torture(np.random.default_rng(number)))
        theirs = curve(jpeg, pixels, tuple(range(1, 96, step)))
        mine = curve(ours, pixels, tuple(range(1, 101, step)))
        rows = {str(budget): [best_within(mine, budget), best_within(theirs, budget)] for budget in BUDGETS}
        result[torture.__name__] = {budget: row for budget, row in rows.items() if row[1] is not None}
    return result


def differences(result: dict) -> list[float]:
    """Our PSNR minus JPEG's, for every image and budget; a budget that we exceed counts as -CAP."""
    return [(-CAP if ours is None else ours - theirs) for row in result.values() for ours, theirs in row.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--step", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        for number, torture in enumerate(TORTURES):
            pixels = np.ascontiguousarray(torture(np.random.default_rng(number)))
            Image.fromarray(pixels).save(arguments.pictures / f"{torture.__name__}.png")
    result = compare(arguments.model, arguments.step)
    values = differences(result)
    for name, row in result.items():
        cells = (f"{'none' if a is None else f'{a:.1f}'} / {b:.1f}" for a, b in row.values())
        print(f"{name:16s}", "  ".join(f"{budget}: {cell}" for budget, cell in zip(row, cells, strict=True)))
    print(f"mean {np.mean(values):+.2f} dB, worst {min(values):+.2f} dB, {len(values)} comparisons")
    summary = {"mean_db": float(np.mean(values)), "worst_db": float(min(values)), "images": result}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "torture.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
