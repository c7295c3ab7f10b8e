"""Shared fixtures: generated pictures and a tiny model that is trained and exported once for the whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image


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
