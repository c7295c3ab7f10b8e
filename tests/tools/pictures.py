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
