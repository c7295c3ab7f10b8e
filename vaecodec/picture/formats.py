"""Which formats of images there are here: those of Pillow, and of plugins that are installed."""

from __future__ import annotations

import functools
import importlib

from PIL import Image

from vaecodec.system.naming import SUFFIX

PLUGINS = {"pillow_heif": ("pillow-heif", "register_heif_opener"), "pillow_jxl": ("pillow-jxl-plugin", None)}
"""Modules that make Pillow know more: the package that has each, and the function to call, if importing is not all."""
PLUGIN_SUFFIXES = dict.fromkeys((".heic", ".heif", ".hif", ".heics", ".heifs"), "pillow_heif") | {".jxl": "pillow_jxl"}
STUBS = {"BUFR", "GRIB", "HDF5", "WMF"}
"""What Pillow neither loads nor saves without code of its user."""
FOREIGN = STUBS | {"EPS", "MPEG", "VAEC"}
"""What Pillow does not load by itself, other programs would have to draw or decode it; and what is coded already, which
our own plugin makes it load."""
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_JXL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")


@functools.cache
def register(module: str) -> bool:
    """Make Pillow know the formats of a plugin; whether it is installed, and works."""
    try:
        plugin = importlib.import_module(module)
        if call := PLUGINS[module][1]:
            getattr(plugin, call)()
    except Exception:  # whatever a plugin of another time raises: Pillow does without it
        return False
    return True


def register_for(start: bytes) -> str | None:
    """Register the plugin, if any, that an image file asks for, and return its package if it is not installed;
    `start`: the first 12 bytes of the file or more."""
    module = None
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        module = "pillow_heif"
    elif start.startswith(_JXL_STARTS):
        module = "pillow_jxl"
    return PLUGINS[module][0] if module and not register(module) else None


@functools.cache
def readable_suffixes() -> frozenset[str]:
    """Suffixes of images that can be read here, in lower case with their dots."""
    for module in PLUGINS:
        register(module)
    known = Image.registered_extensions()
    # Pillow opens an .mpo as the JPEG that it begins with.
    return frozenset({s for s, kind in known.items() if kind in Image.OPEN and kind not in FOREIGN} | {".mpo"})


def missing_plugin(suffix: str) -> str | None:
    """The package that would have to be installed for images of this suffix."""
    return PLUGINS[PLUGIN_SUFFIXES[suffix]][0] if suffix in PLUGIN_SUFFIXES else None


def can_write(suffix: str) -> bool:
    """Whether images can be written with this suffix, in lower case with its dot; then Pillow knows how."""
    if suffix == SUFFIX:  # our plugin writes these, but what is decoded shall not be coded again
        return False
    Image.preinit()  # the common formats; all of Pillow's plugins take long to load
    if Image.EXTENSION.get(suffix) in Image.SAVE:
        return True
    if suffix in PLUGIN_SUFFIXES:
        register(PLUGIN_SUFFIXES[suffix])
    kind = Image.registered_extensions().get(suffix)
    return kind in Image.SAVE and kind not in STUBS
