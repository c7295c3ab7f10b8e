"""Images as people have them <-> Picture: upright 8-bit RGB, alpha, and the metadata that goes with them.

The names are those of users; each is loaded when it is first used, since what reads no pixels needs no Pillow.
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
