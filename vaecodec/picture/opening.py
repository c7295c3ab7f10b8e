"""Pillow under our own limit of pixels: what an application sets for the whole process neither helps nor hinders."""

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
    """Within the context, and in this thread alone, Pillow refuses images of more than `limit` pixels
    (Image.DecompressionBombError) in place of those that Image.MAX_IMAGE_PIXELS forbids, and warns of none."""
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


# Image.open and the plugins ask this function, by this name, wherever a file says how large it is. Changing
# MAX_IMAGE_PIXELS or the filters of warnings for a while would change them for all threads.
Image._decompression_bomb_check = _check
