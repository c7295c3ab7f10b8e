"""Pillow under our own pixel limit: the application's process-wide limit does not matter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from PIL import Image

_limit: ContextVar[int | None] = ContextVar("limit", default=None)
_pillows_check = Image._decompression_bomb_check


@contextmanager
def pixel_limit(limit: int) -> Iterator[None]:
    """In this context and thread, Pillow refuses images of more than `limit` pixels (Image.DecompressionBombError),
    instead of applying Image.MAX_IMAGE_PIXELS, and issues no warning."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def _check(size: tuple[int, int], *arguments: Any, **options: Any) -> None:
    limit = _limit.get()
    if limit is None:
        _pillows_check(size, *arguments, **options)
    elif size[0] * size[1] > limit:
        raise Image.DecompressionBombError(f"{size[0]}x{size[1]} pixels are more than the limit of {limit}")


# Image.open and the plugins call this function by name wherever a file states its size. Changing MAX_IMAGE_PIXELS or
# the warning filters temporarily would affect all threads.
Image._decompression_bomb_check = _check
