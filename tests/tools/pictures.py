"""Generated pictures for the tests, without pytest: other environments make them too."""

from __future__ import annotations

import numpy as np


def generated_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colour fields, edges and some noise: (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width, 2)
    waves = [np.cos(random.uniform(2, 25) * x + random.uniform(2, 25) * y + phase) for phase in range(3)]
    picture = np.stack(waves, 2) * 60 + 128 + random.normal(0, 3, (height, width, 1))
    picture[y + x > 0.9] *= 0.5
    return picture.clip(0, 255).astype(np.uint8)


def generated_scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Shapes of many sizes, each with a shade and a grain of its own, over a gradient: (H, W, 3) uint8. Unlike each
    other, and every part of one unlike the rest of it, as photographs are."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = (random.uniform(-60, 60) * y / height + random.uniform(-60, 60) * x / width)[..., None]
    scene = slope + random.uniform(60, 200, 3)
    for size in 0.35 * max(height, width) * 0.94 ** np.arange(40):
        top, left, tilt, flat = *random.uniform(0, (height, width)), random.uniform(0, np.pi), random.uniform(0.2, 1)
        down, along = y - top, x - left
        a, b = np.cos(tilt) * along + np.sin(tilt) * down, np.cos(tilt) * down - np.sin(tilt) * along
        inside = (
            (a**2 + (b / flat) ** 2 < size**2) if random.random() < 0.6 else np.maximum(abs(a), abs(b) / flat) < size
        )
        shade = random.uniform(30, 225, 3) + 25 * np.cos(random.uniform(0.1, 1.5) * a)[..., None]
        scene[inside] = shade[inside]
    return (scene + random.normal(0, 2, scene.shape)).clip(0, 255).astype(np.uint8)


def generated_drawing(seed: int = 0) -> np.ndarray:
    """Black and white squares, which take fewer bytes as pixels than as latents: (240, 320) uint8."""
    squares = np.random.default_rng(seed).integers(0, 2, (15, 20))
    return np.kron(squares, np.ones((16, 16))).astype(np.uint8) * 255
