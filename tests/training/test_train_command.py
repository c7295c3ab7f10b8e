"""`vaecodec train`, and what it refuses."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from make_golden import TINY as TINY_MODEL
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # as fast for nets this small, and steady on a busy machine
pytest.importorskip("compressai")


from vaecodec.cli.main import group  # noqa: E402


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "ms-ssim", "--crop", "128"], "ms-ssim needs crops of at least 192 pixels"),
        (["--init", str(TINY_MODEL), "--config", "base"], "cannot become base"),
        (["--crop", "100"], "multiples of 64"),
    ],
)
def test_options_that_do_not_fit(training_pictures: Path, tmp_path: Path, options: list[str], message: str) -> None:
    arguments = ["train", str(training_pictures), "--minutes", "1", "--run", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code != 0
    assert message in str(result.output) + str(result.exception)
    assert not (tmp_path / "run").exists()


def test_train_command(training_pictures: Path, tmp_path: Path, picture_file: Path) -> None:
    """Train for seconds, resume, and code with the exported model."""
    command = [sys.executable, "-m", "vaecodec", "train", str(training_pictures), "--minutes", "0.1", "--crop", "64"]
    command += [
        "--threads",
        "1",
        "--final-crop",
        "64",
        "--run",
        str(tmp_path / "run"),
        "-o",
        str(tmp_path / "mine.safetensors"),
    ]
    for minutes in ("0.1", "0.15"):
        command[command.index("--minutes") + 1] = minutes
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "mine.safetensors" in run.stderr
        line = run.stderr.splitlines()[-1]
        assert "channels carry > 0.01 bit; gap train/validation" in line
        assert line.endswith(f"stopped by clock; {tmp_path / 'run/report.html'}")
    coding = [sys.executable, "-m", "vaecodec"]
    options = ["--model", str(tmp_path / "mine.safetensors"), "-Q"]
    subprocess.run([*coding, "encode", str(picture_file), str(tmp_path / "a.vaec"), *options], check=True)
    subprocess.run([*coding, "decode", str(tmp_path / "a.vaec"), str(tmp_path / "a.png"), *options], check=True)
    assert Image.open(tmp_path / "a.png").size == (130, 96)


FAULTS = """
import resource, sys
import numpy as np
from vaecodec.training.malloc import keep_freed_memory

assert sys.argv[1] == "as it is" or keep_freed_memory()
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(6 << 20, np.uint8) for _ in range(30)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_freed_memory_is_kept() -> None:
    kept, as_it_is = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("kept", "as it is")
    )
    assert kept < as_it_is / 10
