"""Two checkouts side by side: equal latents, bytes and pixels, and what encoding and decoding cost, by stage.

    git worktree add /tmp/before COMMIT
    python benchmarks/studies/commits.py /tmp/before . ../shared/data/kodak/*.png --rounds 15 --out benchmarks/results

Both run in this Python, in turns, in processes of one thread, of which CPU seconds count (least and median of all
rounds). The gate: exit code 1 where a latent or a pixel by more than one level differs in what both make of the same
files, those of the first, or where encoding, decoding or the start took more than --slower (5 %) longer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from vaecodec.benchmarks.machine import commit_of, environment

QUALITIES = (10, 50, 90)
WORK = """
import hashlib, json, pathlib, sys, time
import numpy as np
started = time.process_time()
from PIL import Image
from vaecodec.codec import codec_over
from vaecodec.coding.clock import Stopwatch
from vaecodec.coding.session import Session, Settings
clock = Stopwatch()
codec = codec_over(Session(Settings(threads=1), clock=clock))
out, paths, qualities = {"imports": time.process_time() - started, "files": {}}, sys.argv[3:], json.loads(sys.argv[1])
kept = pathlib.Path(sys.argv[2])
coded = json.loads(kept.read_text()) if kept.exists() else {}
def cpu(work):
    before = time.process_time()
    result = work()
    return time.process_time() - before, result
for path in paths:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    for quality in qualities:
        clock.seconds.clear()
        encode, data = cpu(lambda: codec.encode(pixels, quality))
        encode_stages = dict(clock.seconds)
        clock.seconds.clear()
        name = f"{path} {quality}"
        first = bytes.fromhex(coded.setdefault(name, data.hex()))
        decode, array = cpu(lambda: codec.decode_array(first))
        sha = lambda data: hashlib.sha256(data).hexdigest()
        latents = np.ascontiguousarray(codec.decode_latents(first)).astype("<i4")
        out["files"][name] = {
            "bytes": sha(data), "latents": sha(latents.tobytes()), "pixels": array[::3, ::3].ravel().tolist(),
            "encode": encode, "decode": decode, "encode_stages": encode_stages, "decode_stages": dict(clock.seconds),
        }
kept.write_text(json.dumps(coded))
print(json.dumps(out))
"""


def run(checkout: Path, arguments: list[str]) -> tuple[float, str]:
    """CPU seconds of a process that imports vaecodec from a checkout, and what it printed."""
    # An installed package has its bytecode, and so have these from the second run on.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPATH": str(checkout.resolve()),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    process = subprocess.Popen([sys.executable, "-P", *arguments], env=variables, stdout=subprocess.PIPE, cwd="/")
    assert process.stdout is not None
    text = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{checkout}: {' '.join(arguments)[:80]} failed")
    return usage.ru_utime + usage.ru_stime, text


def work(checkout: Path, images: list[str], qualities: tuple[int, ...], kept: Path) -> dict[str, Any]:
    """What a checkout makes of images; it decodes the files in `kept`, which hold what the first checkout coded."""
    return json.loads(run(checkout, ["-c", WORK, json.dumps(qualities), str(kept), *images])[1])


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """How many pictures are coded to other bytes; in how many files, those of the first, latents differ, and by how
    many levels a pixel does at most (every third row and column is looked at)."""
    pairs = [(before["files"][name], after["files"][name]) for name in before["files"]]
    off = [max((abs(a - b) for a, b in zip(x["pixels"], y["pixels"], strict=True)), default=0) for x, y in pairs]
    return {
        "files": len(pairs),
        **{what: sum(x[what] != y[what] for x, y in pairs) for what in ("bytes", "latents")},
        "levels": max(off),
    }


def stages(results: list[dict[str, Any]], task: str) -> dict[str, float]:
    """Median milliseconds of a task and of each of its stages, over the files of a round and then over rounds."""
    found: dict[str, list[float]] = {}
    for result in results:
        entries = list(result["files"].values())
        totals = {task: [e[task] for e in entries]}
        for stage in entries[0][f"{task}_stages"]:
            totals[stage] = [e[f"{task}_stages"][stage] for e in entries]
        for name, values in totals.items():
            found.setdefault(name, []).append(1000 * sum(values) / len(values))
    return {name: round(median(values), 2) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slower", type=float, default=0.05, help="what is allowed, as a share")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    images = [str(Path(image).resolve()) for image in arguments.images]
    checkouts = {"before": arguments.before, "after": arguments.after}
    folder = tempfile.TemporaryDirectory()
    kept, coded, shown = (str(Path(folder.name, name)) for name in ("kept.json", "coded.vaec", "shown.png"))
    seen = {name: work(checkout, images, QUALITIES, Path(kept)) for name, checkout in checkouts.items()}
    result: dict[str, Any] = {
        "environment": environment(),
        "commits": {name: commit_of(checkout) for name, checkout in checkouts.items()},
        "differ": differences(seen["before"], seen["after"]),
    }
    commands = {
        "start": ["-m", "vaecodec", "--version"],
        "encode": ["-m", "vaecodec", "encode", images[0], coded, "-f", "-Q", "--threads", "1"],
        "decode": ["-m", "vaecodec", "decode", coded, shown, "-f", "-Q", "--threads", "1"],
    }
    times = {name: {command: list[float]() for command in commands} for name in checkouts}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    for number in range(arguments.rounds):
        for name, checkout in sorted(checkouts.items(), reverse=bool(number % 2)):
            for command, line in commands.items():
                times[name][command].append(run(checkout, line)[0])
            rounds[name].append(work(checkout, images[:1], (50,), Path(kept)))
    folder.cleanup()
    result["commands_cpu_s"] = {
        name: {command: {"least": min(v), "median": median(v)} for command, v in found.items()}
        for name, found in times.items()
    }
    result["stages_ms"] = {
        name: {task: stages(found, task) for task in ("encode", "decode")} for name, found in rounds.items()
    }
    pairs = {f"{command} command": tuple(median(times[name][command]) for name in checkouts) for command in commands}
    pairs |= {task: tuple(result["stages_ms"][name][task][task] for name in checkouts) for task in ("encode", "decode")}
    result["times"] = {name: round(after / before, 3) for name, (before, after) in pairs.items()}
    print(json.dumps(result, indent=1))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "commits.json").write_text(json.dumps(result, indent=1) + "\n")
    slower = [name for name, factor in result["times"].items() if factor > 1 + arguments.slower]
    if result["differ"]["latents"] or result["differ"]["levels"] > 1 or slower:
        raise SystemExit(f"worse: {result['differ']}, slower: {', '.join(slower) or 'nothing'}")


if __name__ == "__main__":
    main()
