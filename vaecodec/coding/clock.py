"""Clocks: callers that measure pass one in, and the codec enters its context for each stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Clock = Callable[[str], AbstractContextManager[None]]
"""Returns a context for a stage: analysis, hyper_analysis, refinement, prior, entropy or synthesis."""


def no_clock(stage: str) -> AbstractContextManager[None]:
    """The default clock, which measures nothing."""
    return nullcontext()


class Stopwatch:
    """Seconds spent in each stage, summed over all threads."""

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
