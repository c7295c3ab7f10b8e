"""Images that were JPEGs: where a JPEG of the same tables takes fewer bytes than the latents, it takes their place.

A decoded JPEG is compressed again with nearly no loss by the tables that it was made with, and by nothing else: all
other codecs spend their bits on its artefacts. The tables come with the file or are told by the pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, JpegImagePlugin

from vaecodec.errors import FormatError

MAX_SIDE = 65500
"""Largest side of a JPEG that libjpeg writes, in pixels."""
MAX_ERROR = 2.0
"""Largest mean squared error of a JPEG to be kept, 45.1 dB: less than what latents of as many bytes have."""
SAMPLINGS = (2, 1, 0)
"""Chroma at a quarter, half or all of the pixels, as Pillow numbers them."""

BLOCKS = 64
"""How many blocks of 8x8 pixels are looked at to find tables."""
QUALITIES = range(1, 91)
"""Qualities of libjpeg whose tables are looked for: finer steps are lost in the rounding of pixels."""
MIN_STEP, MIN_COUNT = 4, 40
"""Coefficients that say something: of steps so large, at least half a step from zero, and so many of them."""
MIN_SHARE = 0.9
"""Share of them that lie within a sixth of a step from its multiples; a third would by chance."""

ORIENTATION = ExifTags.Base.Orientation

Tables = list[list[int]]
"""Quantisation tables in Pillow's order: luma and, unless gray, chroma; rows of an 8x8 block one after another."""


@dataclass(frozen=True)
class JpegOrigin:
    """How the JPEG that an image was read from was made: tables and chroma sampling (one of SAMPLINGS)."""

    tables: Tables
    samplings: tuple[int, ...] = SAMPLINGS


def origin_of(image: Image.Image) -> JpegOrigin | None:
    """That of an image just opened; None if it is no upright 8-bit JPEG of the usual kind."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in ("L", "RGB"):
        return None
    sampling = JpegImagePlugin.get_sampling(image) if image.mode == "RGB" else 0
    tables = [list(table) for _, table in sorted(image.quantization.items())]
    if sampling not in SAMPLINGS or not 1 <= len(tables) <= 2 or image.getexif().get(ORIENTATION, 1) != 1:
        return None
    return JpegOrigin(tables, (sampling,))


def jpeg_if_smaller(rgb: NDArray[np.uint8], gray: bool, origin: JpegOrigin | None, limit: int) -> bytes | None:
    """rgb (H, W, 3) as a JPEG of fewer than `limit` bytes and an error of at most MAX_ERROR; None if there is none."""
    if max(rgb.shape) > MAX_SIDE or (origin := origin or find_origin(rgb)) is None:
        return None
    image = Image.fromarray(np.ascontiguousarray(rgb[:, :, 0] if gray else rgb))
    for sampling in origin.samplings[: 1 if gray else None]:
        buffer = io.BytesIO()
        sampled = {} if gray else {"subsampling": sampling}
        image.save(buffer, "JPEG", qtables=origin.tables[: 1 if gray else None], optimize=True, **sampled)
        data = buffer.getvalue()
        if len(data) < limit:
            error = np.asarray(Image.open(io.BytesIO(data)), np.int16) - np.asarray(image, np.int16)
            if np.square(error, dtype=np.int32).mean() <= MAX_ERROR:
                return data
    return None


def find_origin(rgb: NDArray[np.uint8]) -> JpegOrigin | None:
    """Whether the luma of rgb (H, W, 3), cut into blocks of 8x8 from its corner, has coefficients at the multiples of
    the steps of one of libjpeg's qualities; of several, those of the largest steps."""
    rows, columns = rgb.shape[0] // 8, rgb.shape[1] // 8
    if rows * columns < BLOCKS:
        return None
    picked = np.linspace(0, rows * columns - 1, min(rows * columns, 16 * BLOCKS)).astype(int)
    blocks = rgb[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8, 3)[picked // columns, :, picked % columns]
    # Blocks with clipped samples have lost their coefficients, those of few contrasts say nothing.
    blocks = blocks[(blocks.min((1, 2, 3)) > 0) & (blocks.max((1, 2, 3)) < 255)]
    luma = blocks @ np.float32([0.299, 0.587, 0.114]) - 128
    luma = luma[np.argsort(-luma.var((1, 2)))[:BLOCKS]]
    basis = _dct()
    coefficients = (basis @ luma @ basis.T).reshape(-1, 64)
    tables = _standard_tables()
    steps = tables[:, None, 0].astype(np.float32)
    in_steps = coefficients / steps
    told = (np.abs(in_steps) >= 0.5) & (steps >= MIN_STEP)
    near = told & (np.abs(in_steps - np.round(in_steps)) < 1 / 6)
    count = told.sum((1, 2))
    share = np.where(count >= MIN_COUNT, near.sum((1, 2)) / np.maximum(count, 1), 0)
    if share.max() < MIN_SHARE:
        return None
    # Steps of which the true ones are multiples fit as well: the largest, those of the lowest quality, are meant.
    return JpegOrigin(tables[np.argmax(share > share.max() - 0.02)].tolist())


@cache
def _dct() -> NDArray[np.float32]:
    """Rows: the cosines of the orthonormal transform of 8 samples."""
    k = np.arange(8)
    basis = np.cos(np.pi / 8 * (k + 0.5) * k[:, None]) / 2
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


@cache
def _standard_tables() -> NDArray[np.int64]:
    """Those that libjpeg makes of the examples of ITU-T T.81, Annex K (which quality 50 has), for each of QUALITIES:
    (qualities, 2, 64), luma and chroma."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=50)
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        examples = np.array([table for _, table in sorted(image.quantization.items())])
    percent = np.array([5000 // quality if quality < 50 else 200 - 2 * quality for quality in QUALITIES])
    return ((examples * percent[:, None, None] + 50) // 100).clip(1, 255)


def read_jpeg(data: bytes, width: int, height: int, gray: bool) -> NDArray[np.uint8]:
    """Inverse: (H, W, 3). Raises FormatError unless it is a plain JPEG (see _is_plain) of exactly this size."""
    try:
        if _is_plain(data):
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
                if image.size == (width, height) and image.mode == ("L" if gray else "RGB"):
                    return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise FormatError("the jpeg section is damaged") from error
    raise FormatError("the jpeg section does not fit the image")


def _is_plain(data: bytes) -> bool:
    """Whether the segments are JFIF's header, tables, one baseline frame, and one scan up to the end: neither many
    scans, which take long to decode, nor anything that could hide beside the image."""
    if data[:2] != b"\xff\xd8":
        return False
    at, frames = 2, 0
    while True:
        marker = data[at : at + 2]
        if marker not in (b"\xff\xe0", b"\xff\xdb", b"\xff\xc4", b"\xff\xc0", b"\xff\xda"):
            return False
        frames += marker == b"\xff\xc0"
        at += 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
        if marker == b"\xff\xda":
            break
    scan = data[at:]
    # Within the scan a byte 255 stands before a 0 only; the end is the first marker, and the last two bytes.
    return frames == 1 and scan.endswith(b"\xff\xd9") and scan.count(b"\xff") == scan.count(b"\xff\x00") + 1
