"""The facts in a .vaec file, without decoding it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from vaecodec.bitstream.container import Container, Section, inflate, read_container
from vaecodec.bitstream.spec import QUALITY_UNIT
from vaecodec.errors import FormatError
from vaecodec.model.shipped import name_of
from vaecodec.picture.exif_block import ExifBlock
from vaecodec.system.files import Source
from vaecodec.system.limits import MAX_PIXELS

if TYPE_CHECKING:
    from vaecodec.types import SourceLike


class Part(TypedDict):
    """Size of a part of a file."""

    bytes: int
    bpp: float


class Facts(TypedDict):
    """The facts in a file. mode: L, LA, RGB or RGBA; quality: 1 to 100; kept: the form of an image without latents;
    model: its name, None if it is not available; groups: number of independently coded parts, tiles of `tile` pixels a
    side (None: one group); metadata: exif, icc, xmp; place: whether it names one; bytes and bpp: of the whole file;
    parts: the size of each part, by name."""

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
    metadata: list[str]
    place: bool
    bytes: int
    bpp: float
    parts: dict[str, Part]


METADATA = (Section.EXIF, Section.ICC, Section.XMP)
KEPT: dict[Section | None, str] = {Section.PIXELS: "pixel for pixel", Section.JPEG: "as a JPEG"}
"""Forms in which a file keeps an image that takes fewer bytes than its latents."""


def kept_as(source: SourceLike | Source, max_pixels: int = MAX_PIXELS) -> str | None:
    """One of KEPT for a .vaec file (bytes, path or binary file object); None if the image is in latents. Raises
    FormatError."""
    with Source(source) as opened:
        return KEPT.get(read_container(opened, max_pixels).kept)


def inspect(source: SourceLike, max_pixels: int = MAX_PIXELS) -> Facts:
    """Size, quality, model, and the bytes and bits per pixel of every part of a .vaec file (bytes, path or binary file
    object); its metadata (exif, icc, xmp), and whether it names the place where the picture was taken.

    All checksums are verified; raises FormatError if one fails, or if the image has more than `max_pixels`.

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
        metadata = [kind.name.lower() for kind in METADATA if kind in container.sections]
        place = says_where(container)
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
        "metadata": metadata,
        "place": place,
        "bytes": total,
        "bpp": total * 8 / pixels,
        "parts": {name: {"bytes": size, "bpp": size * 8 / pixels} for name, size in sizes.items()},
    }


def says_where(container: Container) -> bool:
    """Whether the EXIF or XMP of a file, as far as readable, names the place where the picture was taken."""
    blocks = {}
    for kind in {Section.EXIF, Section.XMP} & container.sections.keys():
        try:
            blocks[kind] = inflate(container.section(kind))
        except FormatError:  # too large or invalid: decoding reports it
            continue
    return ExifBlock(blocks.get(Section.EXIF, b"")).has_place or b"GPSLatitude" in blocks.get(Section.XMP, b"")
