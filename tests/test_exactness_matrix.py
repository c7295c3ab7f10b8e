"""What any way of running the codec writes, every other reads alike. docs/exactness.md shows a larger matrix."""

from __future__ import annotations

import os

import pytest
from exactness_matrix import Cell, cells, run_matrix


def test_every_cell_reads_every_file_alike() -> None:
    """VAECODEC_PYTHONS="onnxruntime 1.17=/path/to/python,torch 2.2=/path" adds other versions."""
    torch = pytest.importorskip("torch")
    matrix = cells(cuda=torch.cuda.is_available())
    for entry in filter(None, os.environ.get("VAECODEC_PYTHONS", "").split(",")):
        name, path = entry.split("=", 1)
        matrix.append(Cell(name, name.split()[0].replace("onnxruntime", "onnx"), 2, python=path))
    outcomes, written = run_matrix(matrix)
    assert written >= 3
    for outcome in outcomes:
        assert outcome.files == written
        assert outcome.different == 0, outcome.cell.name
        assert outcome.largest <= 1 or "bf16" in outcome.cell.name, outcome.cell.name
