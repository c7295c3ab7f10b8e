"""vaecodec: a neural lossy image codec. `encode(image, quality) -> bytes`, `decode(bytes) -> PIL image`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from PIL import Image

from vaecodec.codec import Codec
from vaecodec.errors import BackendError, FormatError, ImageError, ModelError, VaecodecError
from vaecodec.inspection import inspect

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "Codec",
    "FormatError",
    "ImageError",
    "ModelError",
    "VaecodecError",
    "decode",
    "encode",
    "inspect",
]


@functools.lru_cache(maxsize=4)
def _codec(model: str | Path | None) -> Codec:
    return Codec(model)


def encode(image: Any, quality: float = 50, model: str | Path | None = None) -> bytes:
    """Encode an image (PIL image, numpy array, torch tensor, path) to the bytes of a .vaec file; see Codec.encode."""
    return _codec(model).encode(image, quality)


def decode(source: Any, model: str | Path | None = None) -> Image.Image:
    """Decode a .vaec file (bytes, path or binary file object) to a PIL image; see Codec.decode."""
    return _codec(model).decode(source)
