"""The orientation of a picture in its EXIF, and EXIF for a resized picture."""

from __future__ import annotations

from PIL import Image

from vaecodec.picture.exif_block import ORIENTATION, ExifBlock

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The Pillow transposes that turn a picture of each orientation upright."""


def orientation_of(image: Image.Image) -> int:
    """Orientation (1 to 8) of an image, from its EXIF or, for TIFF, its own tag."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes) and (found := ExifBlock(exif).orientation) != 1:
        return found
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises anything for malformed fields
        return 1
    return found if found in TURNS else 1


def resized(exif: bytes, width: int, height: int) -> bytes:
    """An EXIF block for a picture with new dimensions."""
    block = ExifBlock(exif)
    block.set_size(width, height)
    return bytes(block.data)
