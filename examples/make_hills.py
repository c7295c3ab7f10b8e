"""Draws examples/hills.png: a generated landscape with gradients, edges and fine texture (no third-party picture)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def fractal(random: np.random.Generator, length: int, roughness: float) -> np.ndarray:
    """A sum of octaves of smooth noise (length,), about -1..1."""
    total = np.zeros(length)
    for octave in range(1, 8):
        knots = random.normal(size=2**octave + 2)
        total += roughness**octave * np.interp(np.linspace(0, 2**octave, length), np.arange(2**octave + 2), knots)
    return total


def hills(height: int = 320, width: int = 480, seed: int = 4) -> np.ndarray:
    """The landscape (height, width, 3), uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    sky = (1 - y)[:, :, None] * np.array([70, 130, 210]) + y[:, :, None] * np.array([250, 215, 170])
    sun = np.exp(-(((x - 1.1) ** 2 + (y - 0.28) ** 2) / 0.004))[:, :, None]
    picture = sky * (1 - sun) + sun * np.array([255, 250, 225])
    for layer in range(5):
        ridge = 0.38 + 0.12 * layer + 0.09 * fractal(random, width, 0.55)
        depth = layer / 4
        colour = (1 - depth) * np.array([140, 160, 185]) + depth * np.array([40, 85, 35])
        grain = random.normal(0, 1.5 + 5 * depth, (height, width, 1))
        shade = 1.1 - 0.5 * np.clip(y - ridge, 0, 1)[:, :, None]
        picture = np.where((y > ridge)[:, :, None], colour * shade + grain, picture)
    return picture.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    Image.fromarray(hills()).save(Path(__file__).with_name("hills.png"), optimize=True)
