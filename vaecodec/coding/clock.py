"""What a clock is that whoever wants to measure hands in: it is told which stage is at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Clock = Callable[[str], AbstractContextManager[None]]
"""Makes a context of a stage: analysis, hyper_analysis, refinement, prior, entropy or synthesis."""


def no_clock(stage: str) -> AbstractContextManager[None]:
    """Nobody measures."""
    return nullcontext()


class Stopwatch:
    """Seconds that each stage took, summed over the threads that tell this clock."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started
