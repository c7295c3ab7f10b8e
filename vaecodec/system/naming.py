"""Names of outputs, and how .vaec files are recognised."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

SUFFIX = ".vaec"
MAGIC = b"VAEC"
"""Suffix and first bytes of .vaec files."""
_INNER = (
    "apng avif avifs bmp dib gif heic heif hif j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx jxl mpo pbm pcx pfm pgm png "
    "pnm ppm psd qoi sgi tga tif tiff webp"
)
INNER = frozenset(f".{name}" for name in _INNER.split())
"""Suffixes that a decoded image need not keep. The list is fixed, so that names do not depend on installed plugins."""


def encoded_name(name: str) -> str:
    """The .vaec file of an image: its whole name is kept, so that no two ever collide."""
    return name + SUFFIX


def short_name(name: str) -> str:
    """The default .vaec file of a single image: a.png -> a.vaec."""
    return PurePosixPath(name).stem + SUFFIX


def long_name(name: str, kind: str, suffix: str) -> str:
    """A name that keeps the outputs of a.png and a.jpg, or of a.png.vaec and a.jpg.vaec, apart."""
    return encoded_name(name) if kind == "encode" else _bare(name) + suffix


def decoded_name(name: str, suffix: str) -> str:
    """The image of a .vaec file: a.vaec, a.png.vaec, a.jpg.vaec -> a.png; v1.2.vaec -> v1.2.png."""
    path = PurePosixPath(_bare(name))
    return str(path.with_suffix(suffix) if path.suffix.lower() in INNER else path.with_name(path.name + suffix))


def decoded_names(names: Collection[str], suffix: str) -> dict[str, str]:
    """The images of many .vaec files: names that would collide keep their inner suffix: a.jpg.png."""
    chosen = {name: decoded_name(name, suffix) for name in names}
    while True:
        count = Counter(chosen.values())
        meeting = {name: _bare(name) + suffix for name, target in chosen.items() if count[target] > 1}
        if meeting.items() <= chosen.items():
            return chosen
        chosen |= meeting


def with_dot(suffix: str) -> str:
    """A suffix as users write it, png or .png, with its dot."""
    return suffix if suffix.startswith(".") else f".{suffix}"


def folded(name: str) -> str:
    """A key that is equal for names that some file systems do not distinguish."""
    return unicodedata.normalize("NFC", name).casefold()


def _bare(name: str) -> str:
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name
