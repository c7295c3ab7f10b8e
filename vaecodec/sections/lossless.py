"""Lossless storage for images of few colours, text and patterns, where it takes fewer bytes than latents.

The pixels are a lossless WebP file (RFC 9649) in a section of their own. A sample of rows rules out photographs before
the full attempt.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.errors import FormatError
from vaecodec.picture.opening import pixel_limit

MAX_SIDE = 16383
"""Largest side of a WebP file, in pixels."""
ROWS, PATCH = 64, 128
"""The samples that are tried before all pixels: some rows, then a square in the middle of the image."""
ROWS_MARGIN, PATCH_MARGIN = 8, 2
"""Factors on the bytes per pixel to beat, for each sample: deflated rows cannot use each other, and the middle may
differ from the rest."""


PATCH_HEADER = 64
"""Approximate overhead of a small WebP file, in bytes."""


def lossless_if_smaller(rgb: NDArray[np.uint8], gray: bool, limit: int) -> bytes | None:
    """All pixels of rgb (H, W, 3), losslessly, in fewer than `limit` bytes that our own reader accepts; None if they do
    not fit."""
    height, width = rgb.shape[:2]
    allowed = limit / (height * width)
    if max(height, width) > MAX_SIDE or _bytes_of_rows(rgb) > ROWS_MARGIN * allowed:
        return None
    top, left = (max(side - PATCH, 0) // 2 for side in (height, width))
    patch = rgb[top : top + PATCH, left : left + PATCH]
    if len(_webp(patch)) > PATCH_MARGIN * allowed * patch.size / 3 + PATCH_HEADER:
        return None
    data = _webp(rgb)
    try:
        whole = len(data) < limit and np.array_equal(read_lossless(data, width, height, gray), rgb)
    except FormatError:
        return None
    return data if whole else None


def _bytes_of_rows(rgb: NDArray[np.uint8]) -> float:
    """Bytes per pixel of some rows, deflated after subtracting the left neighbour from each pixel."""
    rows = np.unique(np.linspace(0, rgb.shape[0] - 1, ROWS).astype(int))
    differences = np.diff(rgb[rows], axis=1, prepend=np.uint8(0))
    return len(zlib.compress(differences.tobytes(), 1)) / (differences.size / 3)


def _webp(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(buffer, "WEBP", lossless=True, quality=80, method=4)
    return buffer.getvalue()


def read_lossless(data: bytes, width: int, height: int, gray: bool) -> NDArray[np.uint8]:
    """Inverse: (H, W, 3). Raises FormatError unless the data is one lossless WebP picture of exactly this size with
    nothing after it, and with equal channels if `gray`."""
    if not _is_plain(data):
        raise FormatError("the pixels section is no lossless WebP file of one chunk without alpha")
    try:
        with pixel_limit(width * height), Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            fits = image.size == (width, height) and image.mode == "RGB"
            pixels = np.array(image) if fits else None
    except Exception as error:  # whatever Pillow raises
        raise FormatError("the pixels section is damaged") from error
    if pixels is None:
        raise FormatError("the pixels section does not fit the image")
    if gray and not (pixels == pixels[:, :, :1]).all():
        raise FormatError("the pixels section has colours, and the image is gray")
    return pixels


def _is_plain(data: bytes) -> bool:
    """Whether it is RIFF, its size, WEBP and a single VP8L chunk without alpha, up to the end."""
    if len(data) < 25 or data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8L":
        return False
    size, chunk = (int.from_bytes(data[at : at + 4], "little") for at in (4, 16))
    header = int.from_bytes(data[21:25], "little")  # 14 bits of width, 14 of height, alpha, 3 of the version
    ends = size + 8 == len(data) == 20 + chunk + chunk % 2 and data[20 + chunk :] in (b"", b"\0")
    return ends and data[20] == 0x2F and header >> 28 == 0
