"""The sections of a picture: alpha, metadata, and the image itself if it takes fewer bytes losslessly or as a JPEG than
as latents."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import (
    DROPPED,
    JPEG_VERSION,
    VERSION,
    Container,
    Header,
    Section,
    Streams,
    deflate,
    inflate,
    write_container,
)
from vaecodec.bitstream.grid import choose_tile
from vaecodec.errors import FormatError, ImageError
from vaecodec.picture import Picture
from vaecodec.picture.exif import resized
from vaecodec.picture.hidden import flatten_hidden
from vaecodec.picture.jpeg_file import density
from vaecodec.picture.metadata import resolution
from vaecodec.sections.alpha import alpha_from_png, alpha_to_png
from vaecodec.sections.jpeg import JpegSection, kept_jpeg, read_jpeg
from vaecodec.sections.lossless import lossless_if_smaller, read_lossless
from vaecodec.system.limits import MAX_LOG2

MAX_EMPTY_GROUPS = 4
"""Most groups without streams, of 6 bytes each, that a file of version 2 may have beside its JPEG."""
SECTION_COST = 16
"""Approximate cost of a section, in bytes."""
METADATA = ((Section.EXIF, "exif"), (Section.ICC, "icc"), (Section.XMP, "xmp"))


@dataclass(frozen=True)
class Kept:
    """The section that replaces the latents of a picture, and the version of the format that it needs."""

    kind: Section
    payload: bytes
    version: int = VERSION


def keep_if_smaller(picture: Picture, latent_bytes: int, keep_hidden: bool = False) -> Kept | None:
    """A replacement for the latents of a picture, if one is smaller. Colours under full transparency are kept if they
    fit; unless `keep_hidden`, black may replace them."""
    limit = latent_bytes - SECTION_COST
    flat = picture.rgb if keep_hidden else flatten_hidden(picture.rgb, picture.alpha)
    # An existing JPEG file is exact and already known; a new JPEG is not exact, and comes last.
    original = picture.origin is not None and picture.origin.file is not None
    jpeg = kept_jpeg(picture.rgb, picture.gray, picture.origin, limit) if original else None
    limit = len(jpeg.data) if jpeg else limit
    for rgb in [picture.rgb] if flat is picture.rgb else [picture.rgb, flat]:
        if pixels := lossless_if_smaller(rgb, picture.gray, limit):
            return Kept(Section.PIXELS, pixels)
    if jpeg is None and not original:
        jpeg = kept_jpeg(picture.rgb, picture.gray, picture.origin, limit)
    return Kept(Section.JPEG, jpeg.payload, jpeg.version) if jpeg else None


def write_kept(header: Header, kept: Kept, picture: Picture, sections: dict[Section, bytes]) -> bytes:
    """Serialises a file with its image in a section, beside these other sections, at the least cost in empty groups."""
    if header.tile_log2 is not None:
        header = replace(header, tile_log2=choose_tile(header.width, header.height, MAX_LOG2))
    groups = [Streams(b"", b"")] * len(header.grid)
    if kept.kind == Section.JPEG:
        if kept.version == VERSION and len(groups) > MAX_EMPTY_GROUPS:
            kept = Kept(Section.JPEG, bytes([1]) + kept.payload, JPEG_VERSION)
        jpeg = JpegSection.parse(kept.payload, kept.version)
        if picture.exif is not None and picture.exif == resolution(density(jpeg.data)):
            sections = {kind: data for kind, data in sections.items() if kind != Section.EXIF}  # the JPEG contains it
    if kept.version == JPEG_VERSION:
        header, groups = replace(header, tile_log2=None, version=JPEG_VERSION), []
    return write_container(header, groups, {kept.kind: kept.payload} | sections)


def attach_jpeg(picture: Picture, container: Container) -> None:
    """Set the kept JPEG, if the picture is all of it, and the resolution that the JPEG names."""
    header = container.header
    section = JpegSection.parse(container.section(Section.JPEG), header.version)
    if picture.exif is None:
        picture.exif = resolution(density(section.data))
    if (picture.width, picture.height) == (header.width, header.height):
        picture.jpeg, picture.jpeg_orientation = section.data, section.orientation


def read_kept(container: Container, kind: Section) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of a file whose image is in the section `kind`. Raises FormatError."""
    header = container.header
    payload = container.section(kind)
    if kind == Section.PIXELS:
        return read_lossless(payload, header.width, header.height, header.gray)
    return read_jpeg(payload, header.width, header.height, header.gray, header.version)


def sections_of(picture: Picture, max_metadata: int, metadata: str = "all") -> dict[Section, bytes]:
    """Alpha and metadata of a picture, without the blocks that DROPPED names; raises ImageError for a block that
    decoders would refuse."""
    sections = {}
    if picture.alpha is not None:
        opaque = bool((picture.alpha == 255).all())
        sections = {Section.OPAQUE: b""} if opaque else {Section.ALPHA: alpha_to_png(picture.alpha)}
    for kind, name in METADATA:
        data = b"" if kind in DROPPED[metadata] else getattr(picture, name) or b""
        if len(data) > max_metadata:
            raise ImageError(f"the {name} block has {len(data)} bytes, more than {max_metadata} (max_metadata)")
        if data:
            sections[kind] = deflate(data)
    return sections


def attach(picture: Picture, container: Container, kind: Section, area: tuple[slice, slice], max_metadata: int) -> None:
    """Set alpha (the rows and columns of `area`) or a metadata block from its section; raises FormatError."""
    payload, header = container.section(kind), container.header
    if kind == Section.OPAQUE:
        picture.alpha = np.full((picture.height, picture.width), 255, np.uint8)
    elif kind == Section.ALPHA:
        try:
            picture.alpha = np.ascontiguousarray(alpha_from_png(payload, header.width, header.height)[area])
        except ImageError as error:
            raise FormatError(str(error)) from error
    else:
        data = inflate(payload, max_metadata)
        if kind == Section.EXIF and (picture.width, picture.height) != (header.width, header.height):
            data = resized(data, picture.width, picture.height)
        setattr(picture, dict(METADATA)[kind], data)
