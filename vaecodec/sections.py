"""What a file holds besides latents: alpha, metadata, and images that are kept as they are, because that takes fewer
bytes than their latents: without loss, or as a JPEG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaecodec.alpha import alpha_from_png, alpha_to_png
from vaecodec.bitstream.container import Container, Section, deflate, inflate
from vaecodec.errors import FormatError, ImageError
from vaecodec.jpeg import jpeg_if_smaller, read_jpeg
from vaecodec.lossless import lossless_if_smaller, read_lossless
from vaecodec.picture import Picture
from vaecodec.picture.exif import resized
from vaecodec.picture.hidden import flatten_hidden

SECTION_COST = 16
"""About how many bytes more a file has for having a section."""
METADATA = ((Section.EXIF, "exif"), (Section.ICC, "icc"), (Section.XMP, "xmp"))


def keep_if_smaller(picture: Picture, latent_bytes: int, keep_hidden: bool = False) -> dict[Section, bytes]:
    """The section that stands for the latents of a picture, or none. Colours under full transparency are kept where
    they fit; unless `keep_hidden`, black may take their place."""
    limit = latent_bytes - SECTION_COST
    flat = picture.rgb if keep_hidden else flatten_hidden(picture.rgb, picture.alpha)
    for rgb in [picture.rgb] if flat is picture.rgb else [picture.rgb, flat]:
        if pixels := lossless_if_smaller(rgb, limit):
            return {Section.PIXELS: pixels}
    if jpeg := jpeg_if_smaller(picture.rgb, picture.gray, picture.origin, limit):
        return {Section.JPEG: jpeg}
    return {}


def read_kept(container: Container) -> NDArray[np.uint8] | None:
    """RGB (H, W, 3) of a file that has its image in a section; None if it has latents. Raises FormatError."""
    header, kind = container.header, container.kept
    if kind is None:
        return None
    payload = container.section(kind)
    if kind == Section.PIXELS:
        return read_lossless(payload, header.width, header.height)
    return read_jpeg(payload, header.width, header.height, header.gray)


def sections_of(picture: Picture, max_metadata: int) -> dict[Section, bytes]:
    """Alpha and metadata of a picture; raises ImageError for a block of metadata that decoders would refuse."""
    sections = {}
    if picture.alpha is not None:
        opaque = bool((picture.alpha == 255).all())
        sections = {Section.OPAQUE: b""} if opaque else {Section.ALPHA: alpha_to_png(picture.alpha)}
    for kind, name in METADATA:
        data = getattr(picture, name) or b""
        if len(data) > max_metadata:
            raise ImageError(f"the {name} block has {len(data)} bytes, more than {max_metadata} (--max-metadata)")
        if data:
            sections[kind] = deflate(data)
    return sections


def attach(picture: Picture, container: Container, kind: Section, area: tuple[slice, slice], max_metadata: int) -> None:
    """Set alpha, of the rows and columns of `area`, or a block of metadata from its section; raises FormatError."""
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
