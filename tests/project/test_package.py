"""What gets installed: names, weights, and graphs that the onnx package accepts."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vaecodec.model.file import load_model
from vaecodec.model.rate import RatePosition
from vaecodec.nets.onnx import graphs
from vaecodec.nets.onnx.gradients import squared_error

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_weights_and_no_stray_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"vaecodec"}
    assert f"vaecodec/models/{load_model().path.name}" in names
    assert "vaecodec/cli/encode.py" in names
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert not any("torch" in line or "compressai" in line for line in required)


def test_the_package_in_a_zip(wheel: Path, tmp_path: Path) -> None:
    """A wheel is one; models are unpacked for as long as the process lives."""
    picture, copies = ROOT / "examples/hills.png", tmp_path / "copies"
    copies.mkdir()
    environment = os.environ | {"PYTHONPATH": str(wheel), "TMPDIR": str(copies)}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    script = "import vaecodec; print(vaecodec.__file__, vaecodec.decode(vaecodec.encode({!r})).size)"
    assert run("-c", script.format(str(picture))) == f"{wheel}/vaecodec/__init__.py (480, 320)\n"
    (tmp_path / "p").mkdir()
    for name in "ab":
        (tmp_path / f"p/{name}.png").write_bytes(picture.read_bytes())
    run("-m", "vaecodec", "encode", "p", "-o", "out", "--jobs", "2")
    assert len(list((tmp_path / "out").glob("*.vaec"))) == 2
    assert "fast-ms-ssim" in run("-m", "vaecodec", "models")
    assert not list(copies.glob("*.safetensors"))


FRESH = """
import importlib.util, sys
import numpy
assert int(numpy.__version__.split(".")[0]) >= 2, numpy.__version__
assert not [name for name in ("torch", "compressai", "fsspec", "ray") if importlib.util.find_spec(name)]
import vaecodec.pillow
assert vaecodec.__file__.startswith(sys.prefix), vaecodec.__file__
from PIL import Image
assert numpy.array_equal(Image.open("hills.vaec"), Image.open("hills.png"))
Image.open("hills.png").save("again.vaec", quality=70)
assert Image.open("again.vaec").convert("L").size == (480, 320)
"""


@pytest.mark.slow
def test_a_fresh_environment_with_numpy_2_and_without_torch(wheel: Path, tmp_path: Path) -> None:
    """What `pip install` brings is enough. Downloads the dependencies where pip has not kept them."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    programs = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *arguments: object, folder: Path = tmp_path) -> None:
        command = [programs / program, *map(str, arguments)]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    run("python", "-m", "pip", "install", "-q", wheel)
    run("vaecodec", "encode", ROOT / "examples/hills.png", "hills.vaec", "--verify")
    run("vaecodec", "decode", "hills.vaec", "hills.png")
    run("python", "-c", FRESH)
    run("python", "-m", "vaecodec", "models", folder=ROOT)  # Python prefers the clone it stands in


def test_shipped_weights_stay_small() -> None:
    assert load_model("fast").path.stat().st_size < 8_000_000


def test_graphs_are_valid_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    model, rate = load_model(), RatePosition(2, 1 << 15)
    data = [graphs.analysis(model, rate), graphs.hyper_analysis(model), graphs.hyper_synthesis(model)]
    data += [graphs.context_step(model, step) for step in range(4)] + [
        graphs.synthesis(model, rate),
        graphs.preview(model),
    ]
    data += [graphs.texture(model)]
    data += [graphs.analysis(model, None), graphs.synthesis(model, None), squared_error(model, rate)]
    for graph in data:
        onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)
