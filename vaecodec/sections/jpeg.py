"""Images that were JPEGs: a JPEG with the same tables replaces the latents if it takes fewer bytes.

A decoded JPEG can be recompressed almost without loss with its original tables, and only with those: any other codec
spends its bits on the artefacts. The tables come with the file or are estimated from the pixels.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

from vaecodec.bitstream.container import JPEG_VERSION, VERSION
from vaecodec.errors import FormatError, ImageError
from vaecodec.picture.exif import TURNS
from vaecodec.picture.jpeg_file import PlainJpeg
from vaecodec.picture.opening import pixel_limit
from vaecodec.picture.origin import JpegOrigin, Tables

MAX_SIDE = 65500
"""Largest side of a JPEG that libjpeg writes, in pixels."""
MAX_ERROR = 2.0
"""Largest mean squared error of a kept JPEG, 45.1 dB: less than that of latents of the same size."""
BLOCKS = 64
"""Blocks of 8x8 pixels from which tables are estimated."""
QUALITIES = range(1, 101)
"""Qualities of libjpeg."""
FINEST = 90
"""Highest quality whose tables can be estimated: finer steps are lost in the rounding of pixels."""
MIN_STEP, MIN_COUNT = 4, 40
"""Coefficients count as evidence for steps of at least this size if they are at least half a step from zero; this many
are needed."""
MIN_SHARE = 0.9
"""Fraction of them that must lie within a sixth of a step from a multiple; chance gives a third."""

SURPLUS = bytes(range(0x35, 0x75)) + b"\x5a\xa5" * 8
"""Bytes that are not a whole number of symbols for zeros, whatever the Huffman tables."""


def kept_jpeg(rgb: NDArray[np.uint8], gray: bool, origin: JpegOrigin | None, limit: int) -> JpegSection | None:
    """rgb (H, W, 3) as a JPEG of fewer than `limit` bytes: the original file, which has exactly these pixels, or a new
    one with the same tables and an error of at most MAX_ERROR. None if there is none that our own reader accepts."""
    if origin and origin.file is not None:
        if len(origin.file.data) >= limit:
            return None
        kept = JpegSection(origin.file.data, origin.orientation, origin.file.basic and origin.orientation == 1)
        if _error(kept, rgb, gray) == 0:
            return kept
    origin = origin or find_origin(rgb)
    if origin is None or origin.orientation != 1 or max(rgb.shape) > MAX_SIDE:
        return None
    image = Image.fromarray(np.ascontiguousarray(rgb[:, :, 0] if gray else rgb))
    for sampling in origin.samplings[: 1 if gray else None]:
        data = _compressed(image, origin.tables[: 1 if gray else None], None if gray else sampling)
        kept = JpegSection(data, 1, True)
        if len(data) < limit and _error(kept, rgb, gray) <= MAX_ERROR:
            return kept
    return None


def jpeg_of(rgb: NDArray[np.uint8], gray: bool, quality: int, sampling: int) -> JpegSection:
    """rgb (H, W, 3) of at most MAX_SIDE pixels a side as a JPEG, with the tables of one of QUALITIES and chroma at one
    of SAMPLINGS."""
    image = Image.fromarray(np.ascontiguousarray(rgb[:, :, 0] if gray else rgb))
    tables = _standard_tables()[QUALITIES.index(quality)].tolist()
    return JpegSection(_compressed(image, tables[: 1 if gray else None], None if gray else sampling), 1, True)


def _compressed(image: Image.Image, tables: Tables, sampling: int | None) -> bytes:
    """Compresses with optimised Huffman tables, unless libjpeg lacks room for them. It needs the whole file in a
    buffer, which Pillow makes too small for noise, and would report that on standard error."""
    options = {} if sampling is None else {"subsampling": sampling}
    data = b""
    for optimize in (False, True):
        buffer = io.BytesIO()
        if optimize and len(data) > max(2 * image.width * image.height, ImageFile.MAXBLOCK):
            break
        try:
            image.save(buffer, "JPEG", qtables=tables, optimize=optimize, **options)
        except OSError as error:
            if optimize:
                break
            raise ImageError("this image cannot be written as a JPEG") from error
        data = buffer.getvalue()
    return data


def _error(kept: JpegSection, rgb: NDArray[np.uint8], gray: bool) -> float:
    """Mean squared error of a section as our own reader decodes it; infinite if the reader refuses it."""
    try:
        decoded = read_jpeg(kept.payload, rgb.shape[1], rgb.shape[0], gray, kept.version)
    except FormatError:
        return float("inf")
    if np.array_equal(decoded, rgb):
        return 0.0
    return float(np.square(decoded.astype(np.int16) - rgb, dtype=np.int32).mean())


def find_origin(rgb: NDArray[np.uint8]) -> JpegOrigin | None:
    """The libjpeg tables that rgb (H, W, 3) was compressed with, or None.

    It is found from the luma, cut into blocks of 8x8 from the corner: its coefficients lie at multiples of the steps.
    Of several fitting qualities the one with the largest steps is taken.
    """
    rows, columns = rgb.shape[0] // 8, rgb.shape[1] // 8
    if rows * columns < BLOCKS:
        return None
    picked = np.linspace(0, rows * columns - 1, min(rows * columns, 16 * BLOCKS)).astype(int)
    blocks = rgb[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8, 3)[picked // columns, :, picked % columns]
    # Clipped blocks have lost their coefficients, and blocks of low contrast carry no evidence.
    blocks = blocks[(blocks.min((1, 2, 3)) > 0) & (blocks.max((1, 2, 3)) < 255)]
    luma = blocks @ np.array([0.299, 0.587, 0.114], np.float32) - 128
    luma = luma[np.argsort(-luma.var((1, 2)))[:BLOCKS]]
    basis = _dct()
    coefficients = (basis @ luma @ basis.T).reshape(-1, 64)
    tables = _standard_tables()[: QUALITIES.index(FINEST) + 1]
    steps = tables[:, None, 0].astype(np.float32)
    in_steps = coefficients / steps
    told = (np.abs(in_steps) >= 0.5) & (steps >= MIN_STEP)
    near = told & (np.abs(in_steps - np.round(in_steps)) < 1 / 6)
    count = told.sum((1, 2))
    share = np.where(count >= MIN_COUNT, near.sum((1, 2)) / np.maximum(count, 1), 0)
    if share.max() < MIN_SHARE:
        return None
    # Divisors of the true steps fit as well: take the largest steps, those of the lowest quality.
    return JpegOrigin(tables[np.argmax(share > share.max() - 0.02)].tolist())


@cache
def _dct() -> NDArray[np.float32]:
    """The orthonormal DCT of 8 samples; rows are the cosines."""
    k = np.arange(8)
    basis = np.cos(np.pi / 8 * (k + 0.5) * k[:, None]) / 2
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


@cache
def _standard_tables() -> NDArray[np.int64]:
    """The tables of libjpeg for each of QUALITIES, (qualities, 2, 64), luma and chroma. It scales the examples of ITU-T
    T.81, Annex K, which quality 50 uses unchanged."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=50)
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        examples = np.array([table for _, table in sorted(image.quantization.items())])
    percent = np.array([5000 // quality if quality < 50 else 200 - 2 * quality for quality in QUALITIES])
    return ((examples * percent[:, None, None] + 50) // 100).clip(1, 255)


@dataclass(frozen=True)
class JpegSection:
    """A kept JPEG, the orientation in which it is stored, and whether version 2 of the format allows it."""

    data: bytes
    orientation: int
    basic: bool

    @property
    def version(self) -> int:
        return VERSION if self.basic else JPEG_VERSION

    @property
    def payload(self) -> bytes:
        return self.data if self.basic else bytes([self.orientation]) + self.data

    @classmethod
    def parse(cls, payload: bytes, version: int) -> JpegSection:
        """Inverse of `payload`; raises FormatError for an invalid orientation."""
        if version == VERSION:
            return cls(payload, 1, True)
        if not payload or not 1 <= payload[0] <= 8:
            raise FormatError("the jpeg section has no valid orientation")
        return cls(payload[1:], payload[0], False)


def read_jpeg(payload: bytes, width: int, height: int, gray: bool, version: int = VERSION) -> NDArray[np.uint8]:
    """The image of a jpeg section: (H, W, 3). Raises FormatError unless it has exactly this size and FORMAT.md allows
    it."""
    section = JpegSection.parse(payload, version)
    turned = (height, width) if section.orientation >= 5 else (width, height)
    try:
        plain = PlainJpeg.parse(section.data)
        frame = plain.frame
        if (frame.width, frame.height) != turned or (len(frame.components) == 1) != gray:
            raise FormatError("the jpeg section does not fit the image")
        if section.basic and not plain.basic:
            raise FormatError("the jpeg section is of a kind that needs version 3")
        # Where coded data ends too early libjpeg shows gray; with surplus data in its place, something else shows.
        whole = hashlib.blake2b(_decoded(plain.with_surplus(SURPLUS), width * height).data).digest()
        pixels = _decoded(section.data, width * height)
        if hashlib.blake2b(pixels.data).digest() != whole:
            raise FormatError("the jpeg section is damaged: coded data is missing")
    except FormatError:
        raise
    except Exception as error:  # whatever Pillow raises
        raise FormatError(f"the jpeg section is damaged or of another kind: {error}".splitlines()[0]) from error
    if section.orientation in TURNS:
        pixels = np.asarray(Image.fromarray(pixels).transpose(TURNS[section.orientation]))
    return np.ascontiguousarray(pixels)


def _decoded(data: bytes, pixels: int) -> NDArray[np.uint8]:
    """Decodes to (H, W, 3), whatever limits the application has set for Pillow."""
    with pixel_limit(pixels), Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return np.array(image.convert("RGB"))
