"""Peak memory of a codec: the memory that a fresh process adds to encode and decode one image.

python -m vaecodec.benchmarks.memory CODEC QUALITY IMAGE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vaecodec.benchmarks import codecs, machine


def _peak_mib() -> float:
    """High-water mark of this process's resident memory."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; ru_maxrss would begin with the peak of the parent process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure_here(codec: str, quality: float, image: Path) -> dict[str, float]:
    """{"process_mib": peak of the whole process, "codec_mib": what encoding and decoding added}."""
    chosen = codecs.find(codec)
    chosen.missing()
    pixels = np.asarray(Image.open(image).convert("RGB"))
    before = _peak_mib()
    chosen.decode(chosen.encode(pixels, quality))
    peak = _peak_mib()
    return {"process_mib": round(peak, 1), "codec_mib": round(peak - before, 1)}


def measure(codec: str, quality: float, image: Path) -> dict[str, float] | None:
    """measure_here in a separate process; None on Windows, which does not report it."""
    if sys.platform == "win32":
        return None
    command = [sys.executable, "-m", __name__, codec, json.dumps(quality), str(image)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout)


if __name__ == "__main__":
    machine.pin()  # as in the timed runs: more threads would take more memory
    print(json.dumps(measure_here(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))))
