"""Commands import heavy packages only when they compute."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ExifTags, Image

import vaecodec
from vaecodec.bitstream.container import DROPPED
from vaecodec.system.limits import METADATA

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
HEAVY = {"PIL", "constriction", "numpy", "onnxruntime", "rich", "safetensors", "torch"}
COMMANDS = (
    "encode", "decode", "view", "denoise", "repair", "info", "compare", "features", "find", "models", "benchmark",
    "sample", "train", "train-report", "anomaly",
)  # fmt: skip


def loaded(*arguments: object, code: int = 0, **variables: str) -> set[str]:
    """The packages that a command has imported by its end."""
    command = [sys.executable, "-X", "importtime", "-m", "vaecodec", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "_VAECODEC_COMPLETE"} | variables
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    packages = {name.split(".")[0] for name in re.findall(r"^import time:.*\| +(\S+)$", result.stderr, re.M)}
    assert {"click", "vaecodec"} <= packages
    return packages & HEAVY


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not loaded(*arguments)


@pytest.mark.parametrize("arguments", [["enocde"], ["encode"], ["encode", "a.png", "-q", "101"], ["decode", "--fast"]])
def test_wrong_usage_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not loaded(*arguments, code=2)


def _jpeg(image: Image.Image, exif: Image.Exif) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_info_loads_nothing_heavy(tmp_path: Path) -> None:
    files = sorted(GOLDEN.glob("*.vaec"))
    assert len(files) > 4
    assert not loaded("info", *files)
    assert not loaded("info", "--json", GOLDEN)
    image = Image.new("RGB", (30, 20), (9, 200, 30))
    exif = image.getexif()
    exif[ExifTags.Base.Artist] = "somebody"
    (tmp_path / "exif.vaec").write_bytes(vaecodec.encode(_jpeg(image, exif)))
    assert vaecodec.inspect(tmp_path / "exif.vaec")["metadata"] == ["exif"]
    assert not loaded("info", tmp_path / "exif.vaec")
    (tmp_path / "a.vaec").write_bytes(files[0].read_bytes()[:-9])
    assert not loaded("info", tmp_path / "a.vaec", code=1)


@pytest.mark.parametrize(
    "words", ["", "e", "encode --", "encode --model f", "encode --tune ", "train --init ", "info g"]
)
def test_tab_loads_nothing_heavy(words: str) -> None:
    count = str(len(words.split(" ")))
    variables = {"_VAECODEC_COMPLETE": "bash_complete", "COMP_WORDS": f"vaecodec {words}", "COMP_CWORD": count}
    assert not loaded(**variables)


def test_the_test_sees_what_is_loaded(tmp_path: Path) -> None:
    picture = ROOT / "examples/hills.png"
    assert {"numpy", "PIL", "onnxruntime"} <= loaded("encode", picture, tmp_path / "a.vaec", "--threads", 1)


def test_words_of_help_are_those_of_the_codec() -> None:
    assert tuple(DROPPED) == METADATA
