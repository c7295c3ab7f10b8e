"""The available image formats: those of Pillow, and of installed plugins."""

from __future__ import annotations

import functools
import importlib

from PIL import Image

from vaecodec.system.naming import SUFFIX

PLUGINS = {"pillow_heif": ("pillow-heif", "register_heif_opener"), "pillow_jxl": ("pillow-jxl-plugin", None)}
"""Modules that add formats to Pillow: the package of each, and the function that registers it, if importing does
not."""
PLUGIN_SUFFIXES = dict.fromkeys((".heic", ".heif", ".hif", ".heics", ".heifs"), "pillow_heif") | {".jxl": "pillow_jxl"}
STUBS = {"BUFR", "GRIB", "HDF5", "WMF"}
"""Formats that Pillow can neither load nor save without a handler of the application."""
FOREIGN = STUBS | {"EPS", "MPEG", "VAEC"}
"""Formats that Pillow does not load itself, since other programs would have to draw or decode them, and .vaec, which
our own plugin loads and which is encoded already."""
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_JXL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")


@functools.cache
def register(module: str) -> bool:
    """Register a plugin's formats with Pillow; returns whether it is installed and works."""
    try:
        plugin = importlib.import_module(module)
        if call := PLUGINS[module][1]:
            getattr(plugin, call)()
    except Exception:  # an incompatible plugin may raise anything: go on without it
        return False
    return True


def register_for(start: bytes) -> str | None:
    """Register the plugin, if any, that an image file needs; returns its package if it is not installed. `start`: at
    least the first 12 bytes of the file."""
    module = None
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        module = "pillow_heif"
    elif start.startswith(_JXL_STARTS):
        module = "pillow_jxl"
    return PLUGINS[module][0] if module and not register(module) else None


@functools.cache
def readable_suffixes() -> frozenset[str]:
    """Suffixes of readable images, in lower case with their dots."""
    for module in PLUGINS:
        register(module)
    known = Image.registered_extensions()
    # Pillow opens an .mpo as the JPEG that it begins with.
    return frozenset({s for s, kind in known.items() if kind in Image.OPEN and kind not in FOREIGN} | {".mpo"})


def missing_plugin(suffix: str) -> str | None:
    """The package to install for images of this suffix."""
    return PLUGINS[PLUGIN_SUFFIXES[suffix]][0] if suffix in PLUGIN_SUFFIXES else None


def can_write(suffix: str) -> bool:
    """Whether images can be written with this suffix, in lower case with its dot; registers its format with Pillow."""
    if suffix == SUFFIX:  # our plugin writes these, but decoded images must not be encoded again
        return False
    Image.preinit()  # only the common formats: loading all of Pillow's plugins takes long
    if Image.EXTENSION.get(suffix) in Image.SAVE:
        return True
    if suffix in PLUGIN_SUFFIXES:
        register(PLUGIN_SUFFIXES[suffix])
    kind = Image.registered_extensions().get(suffix)
    return kind in Image.SAVE and kind not in STUBS
