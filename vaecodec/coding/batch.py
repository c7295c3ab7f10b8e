"""Batching: images of equal size share a pass through the nets, and passes run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from vaecodec.system.parallel import Workers

In = TypeVar("In")
Out = TypeVar("Out")
Alike = TypeVar("Alike", bound="tuple[Any, ...]")

PASS = 8
"""Most images in a pass."""
CPU_PASS_PIXELS, DEVICE_PASS_PIXELS = 1 << 18, 1 << 23
"""Most pixels in a pass, unless one image has more. On a CPU larger batches cost more than they save; on other devices
the limit bounds the memory."""


def in_chunks(items: Iterable[In], work: Callable[[Sequence[In]], list[Out]], workers: Workers) -> list[Out]:
    """Results of `work` on consecutive chunks of at most PASS items, small enough to give every worker some."""
    items = list(items)
    size = max(1, min(PASS, -(-len(items) // workers.count)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    return [result for results in workers.map(work, parts) for result in results]


def in_passes(
    items: Iterable[In], alike: Callable[[In], Alike], work: Callable[[list[In]], list[Out]], workers: Workers
) -> list[Out]:
    """Results of `work` in the order of `items`. Each call gets a list of items with the same `alike` key, which begins
    with width and height. A pass runs as soon as it is full, so that few items are held at a time."""
    limit = CPU_PASS_PIXELS if workers.parallel else DEVICE_PASS_PIXELS
    results: dict[int, Out] = {}
    waiting: dict[Alike, dict[int, In]] = {}
    for index, item in enumerate(items):
        width, height, *_ = key = alike(item)
        waiting.setdefault(key, {})[index] = item
        if (len(waiting[key]) + 1) * width * height > limit:
            full = waiting.pop(key)
            results |= zip(full, work([*full.values()]), strict=True)
    for rest in waiting.values():
        results |= zip(rest, work([*rest.values()]), strict=True)
    return [results[index] for index in range(len(results))]
