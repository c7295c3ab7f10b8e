"""Breakdown of the time of `vaecodec decode` on a small file, against `import torch` alone; and the cost of commands
that code nothing, against a bare Python.

    python benchmarks/studies/startup.py
    python benchmarks/studies/startup.py --commands [--before CHECKOUT]

The stages are those of one process that does the same as the command; all runs take turns; medians. CHECKOUT: a folder
with another version of this repository, measured in the same turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

EXAMPLE = Path(__file__).parents[2] / "examples/hills.png"
IGNORED = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""Variables: what is installed has its bytecode, and so has a checkout from its second run on."""
CHILD = """
import sys, time
def lap(name): print(time.time(), name)
lap("Python")
import numpy; lap("import numpy")
import PIL.Image; lap("import PIL")
import click; lap("import click")
import vaecodec.cli.main, vaecodec.cli.decode; lap("import vaecodec")
import onnxruntime; lap("import onnxruntime")
import vaecodec.nets.onnx.backend
from vaecodec.system.output import write_whole
from vaecodec.picture import save_image, to_pil
codec = vaecodec.Codec(); picture = codec.decode_picture(sys.argv[1]); lap("first decode")
codec.decode_picture(sys.argv[1]); lap("second decode")
data = save_image(to_pil(picture), ".png")[0]; lap("PNG")
write_whole(sys.argv[2], data, True); lap("write")
"""


def stages(arguments: list[str]) -> dict[str, float]:
    """Seconds of every stage of one process, from its start to its end."""
    before = time.time()
    variables = {name: value for name, value in os.environ.items() if name != IGNORED[1]}
    output = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=True, capture_output=True, text=True, env=variables
    ).stdout
    ended = time.time()
    seconds = {}
    for line in output.splitlines():
        at, _, name = line.partition(" ")
        seconds[name], before = float(at) - before, float(at)
    decode = seconds.pop("second decode")
    seconds["model and sessions"], seconds["decode"] = seconds.pop("first decode") - decode, decode
    return seconds | {"PNG": seconds.pop("PNG"), "write": seconds.pop("write"), "exit": ended - before}


COMMANDS = {
    "`vaecodec --version`": ["--version"],
    "`vaecodec --help`": ["--help"],
    "`vaecodec encode --help`": ["encode", "--help"],
    "`vaecodec decode --help`": ["decode", "--help"],
    "`vaecodec encode --model fa` and Tab": [],
    "`vaecodec info hills.vaec`": ["info", "hills.vaec"],
}


def cpu_seconds(command: list[str], folder: Path, **variables: str) -> float:
    """User and system CPU seconds of a command that is run in a folder."""
    environment = {name: value for name, value in os.environ.items() if name not in IGNORED} | variables
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(rounds: int, pause: float, checkouts: list[Path]) -> None:
    """Print the CPU milliseconds of COMMANDS, one column per checkout."""
    runner = "import sys; sys.argv[0] = 'vaecodec'; from vaecodec.cli import main; main()"
    tab = {"_VAECODEC_COMPLETE": "bash_complete", "COMP_WORDS": "vaecodec encode --model fa", "COMP_CWORD": "3"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = {"PYTHONPATH": str(checkouts[-1])}
        encode = [sys.executable, "-c", runner, "encode", str(EXAMPLE), "hills.vaec"]
        cpu_seconds(encode, folder, **here)
        rows: dict[str, list[list[float]]] = {}
        for _ in range(rounds):
            time.sleep(pause)
            bare = cpu_seconds([sys.executable, "-c", "pass"], folder)
            rows.setdefault("`python -c pass`", [[] for _ in checkouts])[0].append(bare)
            for label, arguments in COMMANDS.items():
                for number, checkout in enumerate(checkouts):
                    variables = {"PYTHONPATH": str(checkout)} | ({} if arguments else tab)
                    took = cpu_seconds([sys.executable, "-c", runner, *arguments], folder, **variables)
                    rows.setdefault(label, [[] for _ in checkouts])[number].append(took)
    for label, columns in rows.items():
        print(f"| {label} | " + " | ".join(f"{1000 * median(c):.0f}" if c else "" for c in columns) + " |")


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pause", type=float, default=0, help="seconds between runs, where others use the machine")
    parser.add_argument("--commands", action="store_true", help="CPU milliseconds of commands that code nothing")
    parser.add_argument("--before", type=Path, action="append", default=[], metavar="CHECKOUT")
    arguments = parser.parse_args()
    if arguments.commands:
        commands(arguments.rounds, arguments.pause, [*arguments.before, EXAMPLE.parent.parent])
        return
    vaecodec = str(Path(sys.executable).with_name("vaecodec"))
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/hills.vaec", f"{folder}/hills.png"]
        seconds([vaecodec, "encode", str(EXAMPLE), files[0]])
        runs = []
        for _ in range(arguments.rounds):
            time.sleep(arguments.pause)
            run = stages(files)
            run["**`vaecodec decode`**"] = seconds([vaecodec, "decode", *files, "-f", "-Q"])
            time.sleep(arguments.pause)
            run["`python -c 'import torch'`"] = seconds([sys.executable, "-c", "import torch"])
            runs.append(run)
    print("| | ms |\n|---|---|")
    for name in runs[0]:
        print(f"| {name} | {1000 * median(run[name] for run in runs):.0f} |")


if __name__ == "__main__":
    main()
