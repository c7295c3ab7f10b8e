"""What a .vaec file says of itself, without decoding it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from vaecodec.bitstream.container import Section, read_container
from vaecodec.config import QUALITY_UNIT
from vaecodec.files import Source
from vaecodec.limits import MAX_PIXELS
from vaecodec.runtime.shipped import name_of

if TYPE_CHECKING:
    from vaecodec.types import SourceLike


class Part(TypedDict):
    """What a part of a file takes."""

    bytes: int
    bpp: float


class Facts(TypedDict):
    """What a file says of itself. mode: L, LA, RGB or RGBA; quality: 1 to 100; kept: how the image is kept where it is
    not in latents; model: its name, None where it is not here; groups: how many parts are coded by themselves, tiles of
    `tile` pixels a side (None: one group); bytes and bpp: of the whole file; parts: of each part, by its name."""

    version: int
    width: int
    height: int
    mode: str
    quality: float
    kept: str | None
    model: str | None
    model_identity: str
    groups: int
    tile: int | None
    bytes: int
    bpp: float
    parts: dict[str, Part]


KEPT: dict[Section | None, str] = {Section.PIXELS: "pixel for pixel", Section.JPEG: "as a JPEG"}
"""How a file has its image where that takes fewer bytes than latents."""


def kept_as(source: SourceLike | Source, max_pixels: int = MAX_PIXELS) -> str | None:
    """One of KEPT for a .vaec file (bytes, path or binary file object); None where the image is in latents. Raises
    FormatError."""
    with Source(source) as opened:
        return KEPT.get(read_container(opened, max_pixels).kept)


def inspect(source: SourceLike, max_pixels: int = MAX_PIXELS) -> Facts:
    """Size, quality, model, bytes and bits a pixel of every part of a .vaec file (bytes, path or binary file object).

    All checksums are checked; raises FormatError if one fails, or if the image has more than `max_pixels`.

    >>> facts = vaecodec.inspect("photo.vaec")
    >>> facts["width"], facts["height"], facts["mode"], facts["quality"]
    (96, 64, 'RGB', 50.0)
    """
    with Source(source) as opened:
        container = read_container(opened, max_pixels)
        for kind in container.sections:
            container.section(kind)
        for index in range(len(container.groups)):
            container.group(index)
    header, total = container.header, opened.size
    pixels = header.width * header.height
    hyper = sum(container.hyper_bytes)
    sizes = {"hyper latents": hyper, "latents": sum(part.size for part in container.groups) - hyper}
    sizes |= {kind.name.lower(): part.size for kind, part in container.sections.items()}
    sizes["header and checksums"] = total - sum(sizes.values())
    return {
        "version": header.version,
        "width": header.width,
        "height": header.height,
        "mode": ("L" if header.gray else "RGB") + ("A" if container.has_alpha else ""),
        "quality": header.quality / QUALITY_UNIT,
        "kept": KEPT.get(container.kept),
        "model": name_of(header.model),
        "model_identity": header.model.hex(),
        "groups": len(container.groups),
        "tile": None if header.tile_log2 is None else 1 << header.tile_log2,
        "bytes": total,
        "bpp": total * 8 / pixels,
        "parts": {name: {"bytes": size, "bpp": size * 8 / pixels} for name, size in sizes.items()},
    }
