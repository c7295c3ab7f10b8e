"""vaecodec: a neural lossy image codec. `encode(image, quality) -> bytes`, `decode(bytes) -> PIL image`.

What is heavy is imported when it is first used, so that the command can answer Ctrl-C from its first moment.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecodec.errors import BackendError, FormatError, ImageError, ModelError, VaecodecError

_ABOVE = Path(__file__).parent.parent
if (_ABOVE / "pyproject.toml").exists():
    # Python run in a clone finds this folder before what pip has installed: cli and models lie beside it there.
    __path__.append(str(_ABOVE))

if TYPE_CHECKING:
    from PIL import Image

    from vaecodec.codec import Codec
    from vaecodec.inspection import inspect
    from vaecodec.targets import Bpp, MsSsim, Psnr, Size, Ssimulacra2, Target, TargetError

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "Bpp",
    "Codec",
    "FormatError",
    "ImageError",
    "ModelError",
    "MsSsim",
    "Psnr",
    "Size",
    "Ssimulacra2",
    "TargetError",
    "VaecodecError",
    "decode",
    "encode",
    "inspect",
]
_LAZY = {"Codec": "vaecodec.codec", "inspect": "vaecodec.inspection"}
_LAZY |= dict.fromkeys(["Bpp", "MsSsim", "Psnr", "Size", "Ssimulacra2", "TargetError"], "vaecodec.targets")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


@functools.lru_cache(maxsize=4)
def _codec(model: str | Path | None, effort: int, tune: str | None) -> Codec:
    return __getattr__("Codec")(model, effort=effort, tune=tune)


def encode(
    image: Any,
    quality: float | None = None,
    model: str | Path | None = None,
    effort: int = 1,
    tune: str | None = None,
    target: Target | None = None,
) -> bytes:
    """Encode an image (PIL image, numpy array, torch tensor, path) to the bytes of a .vaec file; see Codec.encode."""
    return _codec(model, effort, tune).encode(image, quality, target)


def decode(source: Any, model: str | Path | None = None) -> Image.Image:
    """Decode a .vaec file (bytes, path or binary file object) to a PIL image; see Codec.decode."""
    return _codec(model, 1, None).decode(source)
