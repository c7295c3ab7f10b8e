"""Names of outputs, and how a file of ours is known."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

SUFFIX = ".vaec"
MAGIC = b"VAEC"
"""How a file of ours is named, and how it begins."""
_INNER = (
    "apng avif avifs bmp dib gif heic heif hif j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx jxl mpo pbm pcx pfm pgm png "
    "pnm ppm psd qoi sgi tga tif tiff webp"
)
INNER = frozenset(f".{name}" for name in _INNER.split())
"""Suffixes that a decoded image need not keep. A list of its own: names shall not depend on what is installed."""


def encoded_name(name: str) -> str:
    """The .vaec file of an image: its whole name, so that no two have the same, whatever arrives later."""
    return name + SUFFIX


def short_name(name: str) -> str:
    """The .vaec file of an image that is named by itself: a.png -> a.vaec."""
    return PurePosixPath(name).stem + SUFFIX


def long_name(name: str, kind: str, suffix: str) -> str:
    """What tells the outputs of a.png and a.jpg, or of a.png.vaec and a.jpg.vaec, apart."""
    return encoded_name(name) if kind == "encode" else _bare(name) + suffix


def decoded_name(name: str, suffix: str) -> str:
    """The image of a .vaec file: a.vaec, a.png.vaec, a.jpg.vaec -> a.png; v1.2.vaec -> v1.2.png."""
    path = PurePosixPath(_bare(name))
    return str(path.with_suffix(suffix) if path.suffix.lower() in INNER else path.with_name(path.name + suffix))


def decoded_names(names: Collection[str], suffix: str) -> dict[str, str]:
    """Those of many: names that would meet keep the suffix that they have within: a.jpg.png."""
    chosen = {name: decoded_name(name, suffix) for name in names}
    while True:
        count = Counter(chosen.values())
        meeting = {name: _bare(name) + suffix for name, target in chosen.items() if count[target] > 1}
        if meeting.items() <= chosen.items():
            return chosen
        chosen |= meeting


def with_dot(suffix: str) -> str:
    """A suffix as people give it: png, .png."""
    return suffix if suffix.startswith(".") else f".{suffix}"


def folded(name: str) -> str:
    """Equal for names that some file systems do not tell apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _bare(name: str) -> str:
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name
