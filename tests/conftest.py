"""Shared fixtures: generated pictures and a tiny model that is trained and exported once for the whole run."""

from __future__ import annotations

import io
import tarfile
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


@pytest.fixture
def folder(tmp_path: Path, picture: np.ndarray) -> Path:
    """A folder with a.png and b.jpg."""
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).save(tmp_path / "b.jpg")
    return tmp_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders with images, two of one name, and what is none."""
    root = tmp_path / "in"
    for name in ("a.png", "b.JPG", "deep/c.webp", "deep/er/d.png", "deep/c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generated_picture(60, 80, len(name))).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A real photograph, from scikit-image: (512, 512, 3) uint8."""
    data = pytest.importorskip("skimage.data")
    return data.astronaut()


@pytest.fixture(scope="session")
def training_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, a tar shard of pictures, and files that are none."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(6):
        Image.fromarray(generated_picture(150, 170, seed)).save(folder / f"{seed}.png")
    with tarfile.open(folder / "shard.tar", "w") as tar:
        for seed in range(6, 10):
            buffer = io.BytesIO()
            Image.fromarray(generated_picture(140, 200, seed)).save(buffer, "WEBP", lossless=True)
            entry = tarfile.TarInfo(f"deep/{seed}.webp")
            entry.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(entry, buffer)
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    Image.fromarray(generated_picture(20, 20)).save(folder / "small.png")
    return folder


@pytest.fixture(scope="session")
def store(training_pictures: Path, tmp_path_factory: pytest.TempPathFactory):
    """Those pictures, decoded once: a PictureStore."""
    from vaecodec.training.data.pictures import PictureStore

    return PictureStore.build(training_pictures, tmp_path_factory.mktemp("cache"))
