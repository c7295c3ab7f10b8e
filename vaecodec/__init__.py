"""vaecodec: a neural lossy image codec. `encode(image, quality) -> bytes`, `decode(bytes) -> PIL image`.

Heavy modules are imported on first use, so that the command responds to Ctrl-C from the start.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecodec.errors import BackendError, FormatError, ImageError, MissingPackageError, ModelError, VaecodecError

_ABOVE = Path(__file__).parent.parent
if (_ABOVE / "pyproject.toml").exists():
    # Python run in a clone finds this folder before the installed package: cli and models lie beside it there.
    __path__.append(str(_ABOVE))

if TYPE_CHECKING:
    from PIL import Image

    from vaecodec.codec import Codec
    from vaecodec.coding.windows import Damage
    from vaecodec.inspection import inspect
    from vaecodec.targets import Bpp, MsSsim, Psnr, Size, Ssimulacra2, Target, TargetError
    from vaecodec.types import ImageLike, SourceLike
    from vaecodec.uses.denoise import denoise
    from vaecodec.uses.repair import repair

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "Bpp",
    "Codec",
    "Damage",
    "FormatError",
    "ImageError",
    "ImageLike",
    "MissingPackageError",
    "ModelError",
    "MsSsim",
    "Psnr",
    "Size",
    "SourceLike",
    "Ssimulacra2",
    "Target",
    "TargetError",
    "VaecodecError",
    "decode",
    "decode_file",
    "denoise",
    "encode",
    "encode_file",
    "inspect",
    "repair",
]
_LAZY = {"Codec": "vaecodec.codec", "inspect": "vaecodec.inspection"}
_LAZY |= {"denoise": "vaecodec.uses.denoise", "repair": "vaecodec.uses.repair"}
_LAZY |= dict.fromkeys(["Bpp", "MsSsim", "Psnr", "Size", "Ssimulacra2", "Target", "TargetError"], "vaecodec.targets")
_LAZY |= {"ImageLike": "vaecodec.types", "SourceLike": "vaecodec.types", "Damage": "vaecodec.coding.windows"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def _codec(model: str | Path | None, tune: str | None, metadata: str) -> Codec:
    from vaecodec.codec import shared_codec
    from vaecodec.coding.session import Settings

    return shared_codec(Settings(model, tune=tune, metadata=metadata))


def encode(
    image: ImageLike,
    quality: float | None = None,
    model: str | Path | None = None,
    effort: int = 1,
    tune: str | None = None,
    target: Target | None = None,
    *,
    metadata: str = "all",
) -> bytes:
    """Encode an image (PIL image, numpy array, torch tensor, path) to the bytes of a .vaec file; see Codec and
    Codec.encode.

    >>> data = vaecodec.encode(image, quality=50)
    >>> small = vaecodec.encode("photo.png", target=vaecodec.Size(700), tune="psnr")
    >>> len(small) <= 700
    True
    """
    return _codec(model, tune, metadata).encode(image, quality, target, effort=effort)


def decode(source: SourceLike, model: str | Path | None = None, *, metadata: str = "all") -> Image.Image:
    """Decode a .vaec file (bytes, path or binary file object) to a PIL image; see Codec.decode.

    >>> vaecodec.decode("photo.vaec").size
    (96, 64)
    """
    return _codec(model, None, metadata).decode(source)


def encode_file(
    source: SourceLike,
    output: str | os.PathLike[str],
    quality: float | None = None,
    model: str | Path | None = None,
    effort: int = 1,
    tune: str | None = None,
    target: Target | None = None,
    *,
    metadata: str = "all",
    overwrite: bool = False,
) -> list[str]:
    """Encode an image file to a .vaec file, which appears whole or not at all; returns notes. See Codec.encode_file.

    >>> vaecodec.encode_file("photo.png", "new.vaec", quality=50)
    []
    """
    return _codec(model, tune, metadata).encode_file(
        source, output, quality, target, effort=effort, overwrite=overwrite
    )


def decode_file(
    source: SourceLike,
    output: str | os.PathLike[str],
    model: str | Path | None = None,
    *,
    quality: int | None = None,
    lossless: bool = False,
    png_level: int = 1,
    metadata: str = "all",
    overwrite: bool = False,
) -> list[str]:
    """Decode a .vaec file to an image file in the format of its suffix, which appears whole or not at all; returns
    notes. See Codec.decode_file.

    >>> vaecodec.decode_file("photo.vaec", "photo.webp", quality=90)
    []
    """
    return _codec(model, None, metadata).decode_file(
        source, output, quality=quality, lossless=lossless, png_level=png_level, overwrite=overwrite
    )
