"""The examples run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for seed in range(3):
        Image.fromarray(generated_picture(150, 200, seed)).save(tmp_path / f"{seed}.png")
    return tmp_path


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_archive_thumbnails_and_loader(images: Path) -> None:
    lines = run("archive.py", images, images / "archive", 30).splitlines()
    assert len(lines) == 3
    coded = images / "archive/1.png.vaec"
    import vaecodec

    error = np.square(np.asarray(vaecodec.decode(coded)).astype(float) - generated_picture(150, 200, 1)).mean()
    assert 29.99 < 10 * np.log10(255**2 / error) < 32
    for source in (coded, images / "1.png"):
        assert run("thumbnails.py", source, images / "small.jpg", 12).strip() == "(12, 9)"
        assert Image.open(images / "small.jpg").size == (12, 9)
    pytest.importorskip("torch")
    expected = np.mean([generated_picture(150, 200, seed).mean() for seed in range(3)])
    assert abs(float(run("train_loader.py", images / "archive").split()[-1]) - expected) < 40
