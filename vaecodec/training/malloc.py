"""Settings of the C library for the memory of tensors."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
"""Numbers of glibc's mallopt (malloc.h)."""


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory: by default it returns large blocks to the kernel, and a training step takes 17,000
    page faults to get them back (docs/training.md). False on other C libraries."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    options = {MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: (1 << 31) - 1, TOP_PAD: 256 << 20, ARENA_MAX: 1}
    return sum(mallopt(option, value) for option, value in options.items()) == len(options)
