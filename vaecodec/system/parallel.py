"""Parallel work on independent parts of an image, in bounded memory."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
Progress = Callable[[float], None]
"""Called with the fraction of the work that is done, 0 to 1."""


class Workers:
    """Threads that share the nets of one codec; a single one if `parallel` is False (the device is parallel in
    itself)."""

    def __init__(self, threads: int | None, parallel: bool = True) -> None:
        self._threads, self.parallel = threads, parallel
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.count = (threads or available or 1) if parallel else 1

    def threads_for(self, parts: int) -> int | None:
        """Threads for the nets on one of `parts` parts (None: all)."""
        return 1 if self.parallel and parts > 1 else self._threads

    def map(self, work: Callable[[In], Out], items: Iterable[In], progress: Progress | None = None) -> Iterator[Out]:
        """Results in the order of `items`, of which only a few are processed at a time."""
        items = list(items)
        for done, result in enumerate(self._map(work, items), 1):
            if progress:
                progress(done / len(items))
            yield result

    def _map(self, work: Callable[[In], Out], items: list[In]) -> Iterator[Out]:
        count = min(self.count, len(items))
        if count <= 1:
            yield from map(work, items)
            return
        pending: deque[Future[Out]] = deque()
        rest = iter(items)
        with ThreadPoolExecutor(count) as pool:
            try:
                pending.extend(pool.submit(work, item) for item in itertools.islice(rest, 2 * count))
                while pending:
                    result = pending.popleft().result()
                    pending.extend(pool.submit(work, item) for item in itertools.islice(rest, 1))
                    yield result
            finally:
                for future in pending:
                    future.cancel()
