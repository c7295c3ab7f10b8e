"""Where the time of `vaecodec decode` on a small file goes, against `import torch` alone.

    python benchmarks/startup.py

The stages are those of one process that does what the command does; the runs of all take turns; medians.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

EXAMPLE = Path(__file__).parent.parent / "examples/hills.png"
CHILD = """
import sys, time
def lap(name): print(time.time(), name)
lap("Python")
import numpy; lap("import numpy")
import PIL.Image; lap("import PIL")
import click; lap("import click")
import vaecodec.cli.main, vaecodec.cli.decode; lap("import vaecodec")
import onnxruntime; lap("import onnxruntime")
import vaecodec.runtime.onnx
from vaecodec.output import write_whole
from vaecodec.picture import save_image, to_pil
codec = vaecodec.Codec(); picture = codec.decode_picture(sys.argv[1]); lap("first decode")
codec.decode_picture(sys.argv[1]); lap("second decode")
data = save_image(to_pil(picture), ".png")[0]; lap("PNG")
write_whole(sys.argv[2], data, True); lap("write")
"""


def stages(arguments: list[str]) -> dict[str, float]:
    """Seconds of every stage of one process, from its start to its end."""
    before = time.time()
    output = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=True, capture_output=True, text=True
    ).stdout
    ended = time.time()
    seconds = {}
    for line in output.splitlines():
        at, _, name = line.partition(" ")
        seconds[name], before = float(at) - before, float(at)
    decode = seconds.pop("second decode")
    seconds["model and sessions"], seconds["decode"] = seconds.pop("first decode") - decode, decode
    return seconds | {"PNG": seconds.pop("PNG"), "write": seconds.pop("write"), "exit": ended - before}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pause", type=float, default=0, help="seconds between runs, where others use the machine")
    arguments = parser.parse_args()
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
