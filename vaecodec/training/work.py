"""The cost of a run so far: crops and processor seconds by kind of processor, over all restarts and machines."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Work:
    """`done`: {kind of processor: {"steps", "crops", "cpu_seconds"}}; what `count` adds belongs to `machine`."""

    machine: str
    done: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clock = time.process_time()

    def count(self, crops: int) -> None:
        """Count a step of `crops` crops, and this process's processor time since the last one."""
        now = time.process_time()
        here = self.done.setdefault(self.machine, {"steps": 0, "crops": 0, "cpu_seconds": 0.0})
        here["steps"] += 1
        here["crops"] += crops
        here["cpu_seconds"] = round(here["cpu_seconds"] + now - self._clock, 3)
        self._clock = now

    def total(self, what: str) -> float:
        """Sum of "steps", "crops" or "cpu_seconds" over all machines."""
        return sum(part.get(what, 0) for part in self.done.values())


def processor() -> str:
    """Model of the processor, with the units that benefit training most."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = dict(line.split("\t", 1) for line in lines[:40] if "\t" in line)
    name = found.get("model name", platform.processor() or platform.machine()).strip("\t :")
    flags = found.get("flags", "").split()
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if unit in flags]
    return f"{name} ({' '.join(units)})" if units else name
