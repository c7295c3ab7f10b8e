"""The parameters of the JPEG that an image was read from."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, JpegImagePlugin

from vaecodec.picture.jpeg_file import PlainJpeg, plain_jpeg

SAMPLINGS = (2, 1, 0)
"""Chroma at a quarter, half or all of the pixels, as Pillow numbers the modes."""

Tables = list[list[int]]
"""Quantisation tables in Pillow's order: luma and, unless gray, chroma; each an 8x8 block row by row."""


@dataclass(frozen=True)
class JpegOrigin:
    """The JPEG that an image was read from: tables, chroma sampling (one of SAMPLINGS), the file itself if it is of a
    kind that can be kept, and its orientation (1 to 8, as in EXIF)."""

    tables: Tables
    samplings: tuple[int, ...] = SAMPLINGS
    file: PlainJpeg | None = None
    orientation: int = 1


def origin_of(image: Image.Image, orientation: int = 1) -> JpegOrigin | None:
    """The origin of an image that is opened but not loaded; None if it is not an ordinary 8-bit JPEG."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in ("L", "RGB"):
        return None
    file = plain_jpeg(_file_of(image))
    sampling = JpegImagePlugin.get_sampling(image) if image.mode == "RGB" else 0
    tables = [list(table) for _, table in sorted(image.quantization.items())]
    usual = sampling in SAMPLINGS and 1 <= len(tables) <= 2 and max(map(max, tables)) < 256
    if not usual and file is None:
        return None
    # With unusual tables, or turned, only the file itself can be kept.
    return JpegOrigin(tables, (sampling,) if usual and orientation == 1 else (), file, orientation)


def _file_of(image: JpegImagePlugin.JpegImageFile) -> bytes:
    """The bytes of the file behind an image that is not loaded yet; empty if they are not accessible."""
    file = image.fp
    if file is None or not image.tile:
        return b""
    at = file.tell()
    try:
        file.seek(0)
        return file.read()
    finally:
        file.seek(at)
