"""The alpha plane of an image <-> the lossless PNG in a file's alpha section."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.errors import ImageError
from vaecodec.picture.opening import pixel_limit

MAX_CHUNKS = 1 << 14
"""Most chunks of a PNG that are checked: four times as many chunks of 64 kB as the longest section takes."""


def alpha_to_png(alpha: NDArray[np.uint8]) -> bytes:
    """Alpha plane (H, W) -> PNG, lossless."""
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    data = buffer.getvalue()
    if not np.array_equal(alpha_from_png(data, alpha.shape[1], alpha.shape[0]), alpha):
        raise ImageError("the alpha plane of this image cannot be written: Pillow's PNG does not come back as it was")
    return data


def alpha_from_png(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Inverse of alpha_to_png; raises ImageError unless it is a PNG of exactly this size that FORMAT.md allows."""
    try:
        _check_alpha_png(data, width, height)
        with pixel_limit(width * height), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return np.array(image)
    except ImageError:
        raise
    except Exception as error:  # whatever Pillow raises
        raise ImageError("the alpha section is damaged") from error


def _check_alpha_png(data: bytes, width: int, height: int) -> None:
    """Checks what Pillow overlooks: checksums of pixels, missing rows, bytes after the end, other kinds of PNG."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG")
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        if len(chunks) == MAX_CHUNKS:
            raise ValueError("too many chunks")
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + size
        if struct.unpack_from(">I", data, end)[0] != zlib.crc32(data[at + 4 : end]):
            raise ValueError("checksum")
        chunks.append((kind, data[at + 8 : end]))
        at = end + 4
    gray_of_8_bits = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    if chunks[:1] != [(b"IHDR", gray_of_8_bits)]:
        raise ImageError("the alpha section does not fit the image")
    if chunks[-1] != (b"IEND", b"") or any(kind != b"IDAT" for kind, _ in chunks[1:-1]):
        raise ValueError("chunks")
    inflater, size = zlib.decompressobj(), height * (width + 1)
    rows = inflater.decompress(b"".join(payload for _, payload in chunks[1:-1]), size + 1)
    if len(rows) != size or not inflater.eof or inflater.unused_data:
        raise ValueError("rows")
