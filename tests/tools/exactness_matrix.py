"""Every way to run the codec must read every file alike: a matrix of runtimes, versions, instruction sets, threads.

    python tests/tools/exactness_matrix.py --python "onnxruntime 1.17.0=/old/bin/python" --out docs/exactness.md

Each cell is a process of its own. It encodes the same pictures; then every cell decodes what all cells wrote. Latents
must be identical, pixels within one level (bf16 synthesis aside, which is only an experiment).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime

NO_CUDA = """CUDA has not been run on these weights for lack of a GPU. `--cuda` adds its cells; before any coding, a
known-answer check of the prior (a small image and a full tile) refuses a GPU that computes different
integers."""


@dataclass(frozen=True)
class Cell:
    name: str
    backend: str
    threads: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    tricks: tuple[str, ...] = ()
    python: str = sys.executable
    needs: frozenset[str] = frozenset()
    """Flags of the CPU, as Linux names them, without which the cell would crash or run as another."""


AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
SETS = {"SSE41": frozenset({"sse4_1"}), "AVX2": frozenset({"avx2"}), "AVX512_CORE": AVX512}
CAPABILITIES = {"default": frozenset(), "avx2": frozenset({"avx2", "fma"}), "avx512": AVX512 | {"fma"}}


def cpu_flags() -> set[str]:
    """Instruction sets of this CPU; none where the system does not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def runnable(cells: list[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Cells that this CPU can run, and those that it cannot."""
    flags = cpu_flags()
    return [c for c in cells if c.needs <= flags], [c for c in cells if not c.needs <= flags]


def cells(cuda: bool = False) -> list[Cell]:
    """What this Python can run, on a CPU that has what a cell needs."""
    found = [Cell(f"onnxruntime, {n} threads", "onnx", n) for n in (1, 2, 4)]
    found += [Cell("onnxruntime, no graph optimisation", "onnx", 1, {}, ("no-optimisation",))]
    found += [Cell(f"torch, {n} threads", "torch", n) for n in (1, 2, 4)]
    found += [Cell("torch, oneDNN off", "torch", 2, {}, ("no-onednn",))]
    for variable, values in (("ONEDNN_MAX_CPU_ISA", SETS), ("ATEN_CPU_CAPABILITY", CAPABILITIES)):
        for value, needs in values.items():
            found.append(Cell(f"torch, {variable}={value}", "torch", 2, {variable: value}, needs=needs))
    found += [Cell("torch, contiguous layout", "torch", 2, {}, ("contiguous",))]
    found += [Cell("torch, bf16 synthesis", "torch", 2, {}, ("bf16",))]
    if cuda:
        found += [
            Cell("torch, CUDA", "torch", 1, {}, ("cuda",)),
            Cell("torch, CUDA, TF32", "torch", 1, {}, ("cuda", "tf32")),
        ]
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            found.append(Cell("onnxruntime, CUDA", "onnx", 1, {}, ("cuda",)))
    return found


def pictures() -> dict[str, tuple[np.ndarray, float, int]]:
    """Name -> (pixels, quality, log2 of the tile side)."""
    from pictures import generated_picture

    return {
        "low": (generated_picture(70, 100, 1), 8, 10),
        "high": (generated_picture(96, 66, 2), 97.5, 10),
        "tiles": (generated_picture(140, 200, 3), 45, 7),
    }


def run_cell(task: str, folder: Path, backend: str, threads: int, tricks: list[str]) -> None:
    """The work of one cell's process: encode the pictures, or decode all files to hashes and pixels."""
    import vaecodec

    if "no-optimisation" in tricks:

        class Plain(onnxruntime.SessionOptions):
            def __init__(self) -> None:
                super().__init__()
                self.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

        onnxruntime.SessionOptions = Plain
    codecs = {
        log2: vaecodec.Codec(
            backend=backend, threads=threads, tile_log2=log2, device="cuda" if "cuda" in tricks else None
        )
        for log2 in (7, 10)
    }
    if backend == "torch":
        _torch_tricks(tricks)
    if task == "encode":
        for name, (pixels, quality, log2) in pictures().items():
            (folder / f"{name}.vaec").write_bytes(codecs[log2].encode(pixels, quality))
        return
    result = {}
    for path in sorted(folder.glob("*.vaec")):
        latents = codecs[10].decode_latents(path)
        np.save(folder / f"{path.stem}.{os.getpid()}.npy", np.asarray(codecs[10].decode(path)))
        digest = hashlib.sha256(latents.astype("<i4").tobytes()).hexdigest()
        result[path.stem] = {"latents": digest, "pixels": f"{path.stem}.{os.getpid()}.npy"}
    print(json.dumps(result))


def _torch_tricks(tricks: list[str]) -> None:
    import torch

    from vaecodec.nets.torch import backend as runtime
    from vaecodec.nets.torch.transforms import SynthesisTransform

    torch.backends.mkldnn.enabled = "no-onednn" not in tricks
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = "tf32" in tricks
    if "contiguous" in tricks:
        load = runtime.load_vae
        runtime.load_vae = lambda model: load(model).to(memory_format=torch.contiguous_format)
    if "bf16" in tricks:
        forward = SynthesisTransform.forward

        def in_bf16(self: SynthesisTransform, *inputs: torch.Tensor) -> torch.Tensor:
            with torch.autocast(inputs[0].device.type, torch.bfloat16):
                return forward(self, *inputs).float()

        SynthesisTransform.forward = in_bf16


def start(cell: Cell, task: str, folder: Path) -> str:
    command = [cell.python, __file__, "--cell", task, str(folder), cell.backend, str(cell.threads), *cell.tricks]
    run = subprocess.run(
        command, env=os.environ | {"GOMP_SPINCOUNT": "1000"} | cell.environment, capture_output=True, text=True
    )
    if run.returncode:
        raise RuntimeError(f"{cell.name}: {run.stderr[-2000:]}")
    return run.stdout


@dataclass
class Outcome:
    """Of one cell: files read, latents that differ from the first cell's, largest and share of pixel differences."""

    cell: Cell
    files: int
    different: int
    largest: int
    share: float


def run_matrix(matrix: list[Cell]) -> tuple[list[Outcome], int]:
    """Outcome of each cell, and how many different files the cells wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder, written = Path(name), {}
        for cell in matrix:
            start(cell, "encode", folder)
            for path in folder.glob("*.vaec"):
                written[hashlib.sha256(path.read_bytes()).hexdigest()[:16]] = path.read_bytes()
                path.unlink()
        for digest, data in written.items():
            (folder / f"{digest}.vaec").write_bytes(data)
        reference, outcomes = None, []
        for cell in matrix:
            result = json.loads(start(cell, "decode", folder))
            reference = reference or result
            different, errors = 0, []
            for digest, entry in result.items():
                different += entry["latents"] != reference[digest]["latents"]
                a, b = (np.load(folder / e["pixels"]).astype(int) for e in (entry, reference[digest]))
                errors.append(np.abs(a - b).ravel())
            levels = np.concatenate(errors)
            outcomes.append(Outcome(cell, len(result), different, int(levels.max()), float((levels > 0).mean())))
        return outcomes, len(written)


def versions(python: str) -> str:
    code = (
        "import numpy, onnxruntime\ntry:\n import torch\n t = torch.__version__\nexcept ImportError: t = '-'\n"
        "print(numpy.__version__, onnxruntime.__version__, t)"
    )
    return " | ".join(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="another environment")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    matrix = cells(arguments.cuda)
    for entry in arguments.python:
        name, path = entry.split("=", 1)
        matrix.append(Cell(name, "torch" if name.startswith("torch") else "onnx", 2, python=path))
    matrix, left_out = runnable(matrix)
    outcomes, written = run_matrix(matrix)
    lines = [
        "# Exactness matrix",
        "",
        f"Written by `tests/tools/exactness_matrix.py`: {len(matrix)} cells, each a process. Every cell encoded three",
        f"pictures (one of them in tiles) with the shipped model, which gave {written} different files (encoders may",
        f"differ: the analysis is float), and decoded all of them: {len(matrix) * written} decodings, "
        f"**{sum(o.different for o in outcomes)} with other latents**.",
        "Pixels are compared with those of the first cell.",
        *[f"Left out, since this CPU ({processor()}) lacks instructions: {cell.name}." for cell in left_out],
        *([] if arguments.cuda else ["", NO_CUDA]),
        "",
        "| cell | numpy | onnxruntime | torch | other latents | largest pixel difference | pixels that differ |",
        "|---|---|---|---|---|---|---|",
    ]
    known = {python: versions(python) for python in {o.cell.python for o in outcomes}}
    for o in outcomes:
        lines.append(f"| {o.cell.name} | {known[o.cell.python]} | {o.different} | {o.largest} | {o.share:.2%} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cell"]:
        task, folder, backend, threads, *tricks = sys.argv[2:]
        run_cell(task, Path(folder), backend, int(threads), tricks)
    else:
        main()
