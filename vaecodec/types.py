"""The input types of the library, for annotations and type checkers.

def shrink(image: vaecodec.ImageLike) -> bytes: ...
"""

from __future__ import annotations

import os
from mmap import mmap
from pathlib import Path
from typing import Protocol, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Readable(Protocol):
    """A binary file object. Seekable ones are read on demand, others from their current position."""

    def read(self, size: int, /) -> bytes | bytearray | memoryview | None: ...


class TensorLike(Protocol):
    """A torch tensor, as a type that does not import torch."""

    def detach(self) -> TensorLike: ...

    def cpu(self) -> TensorLike: ...


SourceLike: TypeAlias = bytes | bytearray | memoryview | mmap | str | os.PathLike[str] | Readable
"""A file: its bytes, its path or URL, or a binary file object."""
ImageLike: TypeAlias = Image.Image | NDArray[np.uint8] | NDArray[np.uint16] | TensorLike | SourceLike
"""An image: a PIL image, an array (H, W[, 1-4]), a tensor ([1-4,] H, W) of uint8 or of floats in [0, 1], or a file."""


class CodecOptions(TypedDict, total=False):
    """The arguments of Codec, for functions that pass them on."""

    model: str | Path | None
    backend: str | None
    device: str | None
    threads: int | None
    max_pixels: int
    max_metadata: int
    tile_log2: int
    keep: bool
    effort: int
    keep_hidden: bool
    tune: str | None
    metadata: str
