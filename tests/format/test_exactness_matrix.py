"""What any way of running the codec writes, every other reads alike. docs/exactness.md shows a larger matrix."""

from __future__ import annotations

import os

import exactness_matrix
import pytest
from exactness_matrix import Cell, cells, run_matrix, runnable


def test_every_cell_reads_every_file_alike() -> None:
    """VAECODEC_PYTHONS="onnxruntime 1.17=/path/to/python,torch 2.2=/path" adds other versions."""
    torch = pytest.importorskip("torch")
    matrix = cells(cuda=torch.cuda.is_available())
    for entry in filter(None, os.environ.get("VAECODEC_PYTHONS", "").split(",")):
        name, path = entry.split("=", 1)
        matrix.append(Cell(name, name.split()[0].replace("onnxruntime", "onnx"), 2, python=path))
    matrix, left_out = runnable(matrix)
    for cell in left_out:
        print(f"left out: {cell.name}")
    outcomes, written = run_matrix(matrix)
    assert written >= 3
    for outcome in outcomes:
        assert outcome.files == written
        assert outcome.different == 0, outcome.cell.name
        assert outcome.largest <= 1 or "bf16" in outcome.cell.name, outcome.cell.name


def test_cells_that_a_cpu_cannot_run_are_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """ATEN_CPU_CAPABILITY=avx512 ends a process on a CPU without AVX-512."""
    for flags, missing in (
        ({"sse4_1", "avx2", "fma"}, ["ONEDNN_MAX_CPU_ISA=AVX512_CORE", "ATEN_CPU_CAPABILITY=avx512"]),
        ({"sse4_1", "avx2", "fma", *exactness_matrix.AVX512}, []),
    ):
        monkeypatch.setattr(exactness_matrix, "cpu_flags", lambda flags=flags: flags)
        found, left_out = runnable(cells())
        assert [cell.name.removeprefix("torch, ") for cell in left_out] == missing
        assert len(found) + len(left_out) == len(cells())
    monkeypatch.undo()
    assert exactness_matrix.cpu_flags() or not exactness_matrix.Path("/proc/cpuinfo").exists()
