"""Damage drawn on pictures: masks (H, W) of scratches, dust and overlaid text, True where a picture is damaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Mask = NDArray[np.bool_]
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "sphinx", "of", "black", "quartz", "2026"]


def scratches(side: int, seed: int, count: int = 6, width: int = 3) -> Mask:
    """Bent lines of 60 to 260 pixels."""
    random, image = np.random.default_rng(seed), Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        place, angle, turn = random.uniform(0, side, 2), random.uniform(0, 2 * np.pi), random.normal(0, 0.024)
        points = []
        for _ in range(int(random.uniform(15, 65))):
            points.append(tuple(place))
            place = place + 4 * np.array([np.cos(angle), np.sin(angle)])
            angle += turn + random.normal(0, 0.03)
        draw.line(points, 255, width, joint="curve")
    return np.asarray(image) > 0


def text(side: int, seed: int, lines: int = 4) -> Mask:
    """Lines of 18 to 29 pixels across the picture, strokes 2 to 4 wide."""
    random, image = np.random.default_rng(seed), Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    for line in range(lines):
        font = ImageFont.load_default(int(random.integers(18, 30)))
        place = random.uniform(-20, 10), (line + random.uniform(0.15, 0.55)) * side / lines
        draw.text(place, " ".join(random.choice(WORDS, 8)), 255, font=font)
    return np.asarray(image) > 0


def dust(side: int, seed: int, count: int = 25) -> Mask:
    """Specks of 2 to 8 pixels."""
    random, mask = np.random.default_rng(seed), np.zeros((side, side), bool)
    y, x = np.mgrid[:side, :side]
    for _ in range(count):
        (top, left), radius = random.uniform(0, side, 2), random.uniform(1, 4)
        mask |= (y - top) ** 2 + (x - left) ** 2 < radius**2
    return mask


def hole(side: int, seed: int, width: int) -> Mask:
    """A square somewhere within."""
    mask = np.zeros((side, side), bool)
    top, left = np.random.default_rng(seed).integers(width, side - 2 * width, 2)
    mask[top : top + width, left : left + width] = True
    return mask
