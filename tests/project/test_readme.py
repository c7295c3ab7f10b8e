"""Every command that the README shows works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image
from recording import recorded, recording

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(tmp_path / "examples/hills.png", tmp_path / "photo.png")
    mask = np.zeros((320, 480), np.uint8)
    mask[100:103, 40:400] = 255
    Image.fromarray(mask).save(tmp_path / "scratches.png")
    (tmp_path / "PICTURES").mkdir()
    for seed in range(3):
        Image.fromarray(generated_picture(170, 180, seed)).save(tmp_path / f"PICTURES/{seed}.png")
    return tmp_path


def run(line: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(line, shell=True, cwd=folder, env=os.environ | {"PATH": path}, check=True, capture_output=True)


def test_shell_commands_one_after_another(folder: Path) -> None:
    """In one folder, as they stand there, but for the installing, and three hours of training, which shrink to
    seconds."""
    pytest.importorskip("compressai")
    for block in blocks("sh"):
        for line in block.strip().splitlines():
            commands = [part.strip() for part in line.split("&&")]
            commands = [part for part in commands if not part.startswith("python -m venv") and "pip " not in part]
            line = " && ".join(commands).replace(".venv/bin/", "")
            if "-m pytest" not in line:
                run(line.replace("--minutes 180", "--minutes 0.05 --threads 1 --crop 64 --final-crop 64"), folder)
    for name in ("hills.png", "again.png"):
        assert np.asarray(Image.open(folder / name)).shape == (320, 480, 3)


def test_ci_runs_the_test_command() -> None:
    (command,) = [b for b in blocks("sh") if "-m pytest" in b]
    assert command.strip() in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("block", blocks("python"))
def test_python(block: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(compile(block, "README.md", "exec"), {})


def test_figures_are_those_of_the_results() -> None:
    run = subprocess.run([sys.executable, ROOT / "benchmarks/publish.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_recording_is_what_a_terminal_shows(tmp_path: Path) -> None:
    """All but the numbers, and what is padded to them."""

    def shape(text: str) -> str:
        return re.sub(r"[-\d. ]*\d+[\d. x]*", " # ", text)

    assert shape(recording(tmp_path)) == shape(recorded())
