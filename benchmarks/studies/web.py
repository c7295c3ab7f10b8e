"""Decoding in a browser against Codec(threads=1): CPU seconds, workers, memory, in one run.

    python benchmarks/studies/web.py ../shared/data/kodak/kodim05.png --out benchmarks/results

The page of `vaecodec view` in headless Chromium (package playwright) decodes the image with each kernel in one thread,
in turns with Python; least CPU times of all rounds, of the process that holds the page. Then an image of 12 megapixels,
the photograph repeated, in one worker and in two: wall time and the memory of that process.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import vaecodec
from vaecodec.benchmarks.machine import environment
from vaecodec.viewer.offline import enclosed, offline_page

TICK = os.sysconf("SC_CLK_TCK")
DECODE = """async ([data, more]) => {
const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), started = performance.now();
const {width} = await vaecodec.decode(bytes, {...await vaecodec.options, ...more});
return [(performance.now() - started) / 1000, width]; }"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def children(root: int) -> list[int]:
    """Processes below one."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found, front = list[int](), [root]
    while front:
        front = [pid for pid, parent in parents.items() if parent in front]
        found += front
    return found


def renderer() -> int:
    """The process that holds the page: the renderer with the most memory."""
    own = [pid for pid in children(os.getpid()) if b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return max(own, key=lambda pid: memory(pid, "VmRSS"))


def memory(pid: int, field: str) -> float:
    """MiB of a process: VmRSS now, VmHWM at its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Browser:
    """A page that decodes, and what that takes."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def decode(self, data: bytes, **more: Any) -> tuple[float, float]:
        """CPU and wall seconds of one decoding."""
        pid = renderer()
        before = cpu(pid)
        wall, _ = self._page.evaluate(DECODE, [base64.b64encode(data).decode(), more])
        return cpu(pid) - before, wall


def measure(browser: Browser, data: bytes, rounds: int) -> dict[str, Any]:
    """Least CPU milliseconds of a decoding by each kernel and in Python, and what comes before the first."""
    codec = vaecodec.Codec(threads=1)
    times: dict[str, list[float]] = {"python": [], "simd": [], "relaxed": []}
    first = {kernel: browser.decode(data, workers=0, kernel=kernel)[0] for kernel in ("simd", "relaxed")}
    codec.decode_array(data)
    for _ in range(rounds):
        started = time.process_time()
        codec.decode_array(data)
        times["python"].append(time.process_time() - started)
        for kernel in ("simd", "relaxed"):
            times[kernel].append(browser.decode(data, workers=0, kernel=kernel)[0])
    least = {name: 1000 * min(values) for name, values in times.items()}
    return {
        "cpu_ms": least,
        "times_python": {kernel: least[kernel] / least["python"] for kernel in first},
        "preparation_ms": {kernel: 1000 * seconds - least[kernel] for kernel, seconds in first.items()},
    }


def large(browser: Browser, data: bytes, rounds: int) -> dict[str, Any]:
    """Median wall seconds in one worker and in two, and MiB of the page's process at its peak."""
    seconds = {count: list[float]() for count in (1, 2)}
    for count in seconds:
        browser.decode(data, workers=count)
    for _ in range(rounds):
        for count, found in seconds.items():
            found.append(browser.decode(data, workers=count)[1])
    one, two = (median(found) for found in seconds.values())
    return {"seconds": [one, two], "two_workers": one / two, "peak_mib": memory(renderer(), "VmHWM")}


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    pixels = np.asarray(Image.open(arguments.image).convert("RGB"))
    height, width = pixels.shape[:2]
    tiled = np.tile(pixels, (-(-3000 // height), -(-4000 // width), 1))[:3000, :4000]
    small, huge = vaecodec.encode(pixels), vaecodec.encode(tiled)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder, "page.html")
        page_file.write_text(offline_page([enclosed(small, "small.vaec")]), "utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        page.goto(page_file.as_uri())
        page.wait_for_selector("#png:not([disabled])")
        seen = Browser(page)
        result = {
            "image": f"{width}x{height}, {len(small) * 8 / (width * height):.2f} bpp",
            "browser": f"Chromium {browser.version.split('.')[0]}",
            "environment": environment(),
            **measure(seen, small, arguments.rounds),
            "large": large(seen, huge, max(arguments.rounds // 3, 3)),
        }
        browser.close()
    print(json.dumps(result, indent=1))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "web.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
