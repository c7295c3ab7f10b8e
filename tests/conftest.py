"""Shared fixtures: generated pictures and a tiny model that is trained and exported once for the whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def generated_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colour fields, edges and some noise: (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width, 2)
    waves = [np.cos(random.uniform(2, 25) * x + random.uniform(2, 25) * y + phase) for phase in range(3)]
    picture = np.stack(waves, 2) * 60 + 128 + random.normal(0, 3, (height, width, 1))
    picture[y + x > 0.9] *= 0.5
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    return generated_picture(96, 130)


@pytest.fixture
def picture_file(tmp_path: Path, picture: np.ndarray) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A real photograph, from scikit-image: (512, 512, 3) uint8."""
    data = pytest.importorskip("skimage.data")
    return data.astronaut()
