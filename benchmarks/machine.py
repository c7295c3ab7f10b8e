"""The machine of a run: processor, cores, versions and commit; pinning a process to one core; times side by side."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from statistics import median

from PIL import features

PACKAGES = (
    "vaecodec", "numpy", "scipy", "pillow", "pillow-heif", "pillow-jxl-plugin", "mozjpeg-lossless-optimization",
    "onnxruntime", "torch", "compressai", "bjontegaard", "pytorch-msssim", "ssimulacra2", "matplotlib",
)  # fmt: skip
LIBRARIES = {"libjpeg-turbo": "libjpeg_turbo", "libwebp": "webp", "libavif": "avif", "openjpeg": "jpg_2000"}
"""Libraries in Pillow's build, by Pillow's names for them."""
PINS = hasattr(os, "sched_setaffinity")
"""Whether this platform can pin a process to a core."""


def pin(number: int = 0) -> None:
    """Pin this process, and the threads that its libraries start later, to one of its allowed cores.

    Some coders always start threads; on one core these take turns. Does nothing if PINS is false.
    """
    if PINS:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def medians_in_turns(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each task. They take turns, and a first round that warms up is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    return {name: median(values[1:]) for name, values in seconds.items()}


def environment() -> dict:
    """Versions, machine and commit."""
    return {
        "versions": _versions(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        **commit_of(Path(__file__).resolve().parent.parent),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    libraries = {name: features.version(feature) for name, feature in LIBRARIES.items() if features.check(feature)}
    return versions | {name: version for name, version in libraries.items() if version}


def _cpu() -> str | None:
    """Model of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def commit_of(root: Path) -> dict:
    """{"commit": of the repository whose top folder is `root`, "dirty": whether its files differ from it}. None for
    both without git, or if the package lies in another repository."""
    try:
        top = _git(root, "rev-parse", "--show-toplevel").strip()
        if Path(top).resolve() == root:
            changes = _git(root, "status", "--porcelain", "--untracked-files=no")
            return {"commit": _git(root, "rev-parse", "HEAD").strip(), "dirty": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        pass
    return {"commit": None, "dirty": None}


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=root, check=True).stdout
