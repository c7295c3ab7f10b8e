"""What gets installed: names, weights, and graphs that the onnx package accepts."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vaecodec.runtime import graphs
from vaecodec.runtime.store import load_model

ROOT = Path(__file__).parent.parent


def test_wheel_holds_weights_and_no_stray_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"vaecodec"}
    assert f"vaecodec/models/{load_model().path.name}" in names
    assert "vaecodec/cli/encode.py" in names
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert not any("torch" in line or "compressai" in line for line in required)


def test_shipped_weights_stay_small() -> None:
    assert load_model("fast").path.stat().st_size < 8_000_000


def test_graphs_are_valid_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    model = load_model()
    data = [graphs.analysis(model), graphs.hyper_analysis(model), graphs.hyper_synthesis(model)]
    data += [graphs.context_step(model, step) for step in range(4)] + [graphs.synthesis(model), graphs.preview(model)]
    for graph in data:
        onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)
