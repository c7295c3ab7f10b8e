"""Generated crops of what photographs lack: flat colour, gradients, noise, line art, fine texture, saturation."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

_WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "0123456789", "vaecodec", "lambda", "rate"]


def _colour(random: np.random.Generator) -> np.ndarray:
    if random.random() < 0.4:  # corners of the colour cube: extreme saturation, black, white
        return random.integers(0, 2, 3) * 255.0
    return random.uniform(0, 255, 3)


def _flat(random: np.random.Generator, size: int) -> np.ndarray:
    return np.broadcast_to(_colour(random), (size, size, 3))


def _gradient(random: np.random.Generator, size: int) -> np.ndarray:
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size, 0:size] / size
    ramp = (np.cos(angle) * x + np.sin(angle) * y)[:, :, None]
    return _colour(random) * (1 - ramp) + _colour(random) * ramp


def _noise(random: np.random.Generator, size: int) -> np.ndarray:
    channels = random.choice([1, 3])
    return _colour(random) + random.normal(0, random.uniform(2, 90), (size, size, channels))


def _texture(random: np.random.Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size]
    frequency = random.uniform(-np.pi, np.pi, 2)
    wave = np.cos(frequency[0] * x + frequency[1] * y)
    if random.random() < 0.5:
        wave = np.sign(wave)
    return _colour(random) + (wave[:, :, None] * 0.5 + 0.5) * (_colour(random) - _colour(random))


def _drawing(random: np.random.Generator, size: int) -> np.ndarray:
    image = Image.new("RGB", (size, size), tuple(_colour(random).astype(int)))
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(3, 25)):
        ink = tuple(_colour(random).astype(int))
        x0, y0, x1, y1 = random.integers(-size // 4, size + size // 4, 4).tolist()
        kind = random.integers(4)
        if kind == 0:
            draw.line((x0, y0, x1, y1), ink, int(random.integers(1, 5)))
        elif kind == 1:
            draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), ink)
        elif kind == 2:
            draw.ellipse((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=ink)
        else:
            text = " ".join(random.choice(_WORDS, random.integers(1, 6)))
            draw.text((x0, y0), text, ink, font_size=int(random.integers(8, 28)))
    return np.asarray(image)


def synthetic_crop(random: np.random.Generator, size: int) -> np.ndarray:
    """One generated crop (size, size, 3), uint8."""
    kinds = (_flat, _gradient, _noise, _texture, _drawing, _drawing)
    crop = kinds[random.integers(len(kinds))](random, size)
    return np.clip(crop, 0, 255).astype(np.uint8)
