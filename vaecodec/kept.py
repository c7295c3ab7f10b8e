"""Images that are kept as they are, because that takes fewer bytes than their latents: without loss, or as a JPEG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import Container, Section
from vaecodec.jpeg import jpeg_if_smaller, read_jpeg
from vaecodec.lossless import lossless_if_smaller, read_lossless
from vaecodec.picture import Picture

SECTION_COST = 16
"""About how many bytes more a file has for having a section."""


def keep_if_smaller(picture: Picture, latent_bytes: int) -> dict[Section, bytes]:
    """The section that stands for the latents of a picture, or none."""
    limit = latent_bytes - SECTION_COST
    if pixels := lossless_if_smaller(picture.rgb, limit):
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
