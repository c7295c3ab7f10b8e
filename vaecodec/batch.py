"""Batches: images of equal size go through the nets in one pass, several passes side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from vaecodec.parallel import Workers

In = TypeVar("In")
Out = TypeVar("Out")
Alike = TypeVar("Alike", bound=tuple)

PASS = 8
"""Images in a pass at most."""
CPU_PASS_PIXELS = 1 << 18
"""Pixels in a pass on a CPU at most, unless one image has more: beyond that stacking costs more than it saves."""


def in_chunks(items: Iterable[In], work: Callable[[Sequence[In]], list[Out]], workers: Workers) -> list[Out]:
    """Results of `work`, which gets at most PASS items in a row, so few that all workers have some."""
    items = list(items)
    size = max(1, min(PASS, -(-len(items) // workers.count)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    return [result for results in workers.map(work, parts) for result in results]


def in_passes(
    items: Sequence[In], alike: Callable[[In], Alike], work: Callable[[list[In]], list[Out]], workers: Workers
) -> list[Out]:
    """Results of `work` in the order of `items`, which it gets in lists whose members are `alike`: equal in width,
    height and whatever follows."""
    passes: dict[Alike, list[int]] = {}
    for index, item in enumerate(items):
        passes.setdefault(alike(item), []).append(index)
    results: dict[int, Out] = {}
    for (width, height, *_), indices in passes.items():
        size = max(1, CPU_PASS_PIXELS // (width * height)) if workers.parallel else PASS
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            results |= zip(part, work([items[index] for index in part]), strict=True)
    return [results[index] for index in range(len(items))]
