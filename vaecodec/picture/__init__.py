"""User images <-> Picture: upright 8-bit RGB, alpha and metadata.

The names below are public to the package. Each is imported on first use, since code that reads no pixels needs no
Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaecodec.picture.picture import IMAGE_SUFFIXES, SIXTEEN_BITS, Picture, check_pixels
    from vaecodec.picture.reading import to_picture
    from vaecodec.picture.writing import Saving, save_image, save_picture, to_array, to_pil, to_tensor

__all__ = [
    "IMAGE_SUFFIXES",
    "SIXTEEN_BITS",
    "Picture",
    "Saving",
    "check_pixels",
    "save_image",
    "save_picture",
    "to_array",
    "to_picture",
    "to_pil",
    "to_tensor",
]
_PLACES = dict.fromkeys(["IMAGE_SUFFIXES", "SIXTEEN_BITS", "Picture", "check_pixels"], "picture")
_PLACES |= {"to_picture": "reading"}
_PLACES |= dict.fromkeys(["Saving", "save_image", "save_picture", "to_array", "to_pil", "to_tensor"], "writing")


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"vaecodec.picture.{_PLACES[name]}"), name)
