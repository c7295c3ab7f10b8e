"""Hints for those who meant another command or option."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import VAECODEC, refused, run
from PIL import Image

import vaecodec
from vaecodec.errors import ImageError
from vaecodec.picture import formats


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["enocde", "a.png"], "Did you mean 'encode'?"),
        (["decoed"], "Did you mean 'decode'?"),
        (["a.png"], "Did you mean: vaecodec encode a.png"),
        (["a.vaec"], "Did you mean: vaecodec decode a.vaec"),
    ],
)
def test_commands_that_are_none(words: list[str], meant: str, folder: Path) -> None:
    (folder / "a.vaec").touch()
    result = subprocess.run([*VAECODEC, *words], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 2
    assert meant in result.stderr
    assert "Did you mean" not in subprocess.run([*VAECODEC, "xyzzy"], capture_output=True, text=True).stderr


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag: str) -> None:
    result = subprocess.run([*VAECODEC, flag], capture_output=True, text=True)
    assert result.stdout == f"vaecodec, version {vaecodec.__version__}\n"


def test_errors_name_the_file_and_the_next_step(folder: Path) -> None:
    assert run("encode", folder / "a.png").returncode == 0
    assert refused("encode", folder / "a.vaec", "-o", folder / "x.vaec").endswith(
        "a.vaec is a .vaec file already: decode it?\n"
    )
    for suffix in ("png", "jpg", "webp", "gif", "tiff", "bmp"):
        Image.open(folder / "a.png").save(folder / f"c.{suffix}")
        message = refused("decode", folder / f"c.{suffix}", "-o", folder / "x.png")
        assert message.endswith(f"c.{suffix}: not a vaecodec file but an image: encode it?\n")
    (folder / "text").write_text("hello")
    assert refused("decode", folder / "text", "-o", folder / "x.png").endswith("text: not a vaecodec file\n")


@pytest.mark.parametrize(
    ("start", "package"),
    [(b"\0\0\0\x18ftypheic" + bytes(8), "pillow-heif"), (b"\xff\x0a" + bytes(20), "pillow-jxl-plugin")],
)
def test_formats_that_need_a_plugin(start: bytes, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "register", lambda module: False)
    with pytest.raises(ImageError, match=f"pip install {package}"):
        vaecodec.encode(start)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_nothing_binary_goes_to_a_terminal(command: str, folder: Path) -> None:
    assert run("encode", folder / "a.png").returncode == 0
    source = folder / ("a.png" if command == "encode" else "a.vaec")
    keyboard, terminal = os.openpty()
    try:
        code = [sys.executable, "-m", "vaecodec", command, str(source), "-"]
        result = subprocess.run(code, stdout=terminal, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(terminal)
        os.close(keyboard)
    assert result.returncode == 1
    assert result.stderr.startswith("vaecodec: a terminal shows no files: name one with -o")
