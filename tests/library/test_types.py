"""What a type checker says of programs that use the library."""

from __future__ import annotations

import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaecodec

pytest.importorskip("mypy")
ROOT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np
from PIL import Image
import vaecodec

def shrink(image: vaecodec.ImageLike, codec: vaecodec.Codec) -> bytes:
    return codec.encode(image, 40, effort=2)

codec = vaecodec.Codec("fast", threads=1)
data: bytes = shrink(np.zeros((8, 8, 3), np.uint8), codec) + shrink(Image.new("L", (8, 8)), codec)
more: bytes = shrink("a.png", codec) + shrink(data, codec)
image: Image.Image = vaecodec.decode(data)
small: Image.Image = codec.preview(open("a.vaec", "rb"))
height: int = codec.decode_batch([data], "numpy")[0].shape[0]
bits: float = vaecodec.inspect(data)["bpp"]
notes: list[str] = vaecodec.encode_file("a.png", "a.vaec", target=vaecodec.Size("100kB"), overwrite=True)
"""
WRONG = {
    "codec.encode(3.5)": "arg-type",
    'codec.encode("a.png", "high")': "arg-type",
    'codec.encode("a.png", efort=2)': "call-arg",
    'codec.encode("a.png", target=100)': "arg-type",
    "codec.encode(np.zeros((8, 8, 3)))": "arg-type",
    'vaecodec.encode("a.png", qualty=3)': "call-arg",
    "vaecodec.decode(7)": "arg-type",
    'codec.decode(data, region="all")': "arg-type",
    'codec.decode_batch([data], "jpeg")': "call-overload",
    'codec.decode_file(data, "a.png", quality="best")': "arg-type",
    "codec.salvage(data).size": "attr-defined",
    'vaecodec.inspect(data)["colour"]': "typeddict-item",
    "vaecodec.Codec(threads='two')": "arg-type",
    "vaecodec.Size(b'100kB')": "arg-type",
}


def mypy(program: Path, folder: Path) -> str:
    """What it says of a program outside of the repository, which has its own configuration."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={folder / 'cache'}",
        program.name,
    ]
    environment = {"MYPYPATH": str(ROOT), "PATH": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_program_is_right_and_each_mistake_is_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + "".join(f"{line}\n" for line in WRONG))
    first = PROGRAM.count("\n") + 1
    said = [
        line for line in mypy(program, tmp_path).splitlines() if line.startswith("program.py") and ": error:" in line
    ]
    expected = {f"program.py:{first + i}": kind for i, kind in enumerate(WRONG.values())}
    found = {line.split(": error:")[0]: line.rsplit("[", 1)[1].rstrip("]") for line in said}
    assert found == expected, "\n".join(said)


def test_the_package_says_that_it_has_types() -> None:
    assert (ROOT / "vaecodec/py.typed").exists()
    assert '"vaecodec" = ["py.typed"' in (ROOT / "pyproject.toml").read_text()


def test_types_are_there_when_programs_run() -> None:
    kinds = typing.get_args(vaecodec.ImageLike)
    assert Image.Image in kinds
    assert bytes in typing.get_args(vaecodec.SourceLike)
    assert vaecodec.ImageLike | None
    assert any(typing.get_origin(kind) is np.ndarray for kind in kinds)
