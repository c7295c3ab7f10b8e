"""EXIF, ICC profile and XMP of Pillow's images."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

from vaecodec.picture.exif_block import ExifBlock

EXIF_TAGS = {
    *(ExifTags.Base[name] for name in ("ImageDescription", "Make", "Model", "XResolution", "YResolution")),
    *(ExifTags.Base[name] for name in ("ResolutionUnit", "Software", "DateTime", "Artist", "Copyright")),
}
"""Tags of the first directory that are kept from files that mix EXIF with the layout of their samples. The orientation
is not among them: it is applied."""
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation=["'][0-9]["']|<tiff:Orientation>[0-9]</tiff:Orientation>""")
EXIF_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


SCREEN_DPI = 72
"""The resolution that viewers assume by default, and that cameras and editors write without meaning it; not kept
alone."""


@dataclass
class Metadata:
    """Metadata blocks of an upright image as bytes or None, and notes on what could not be kept."""

    exif: bytes | None
    icc: bytes | None
    xmp: bytes | None
    notes: list[str]


def metadata_of(image: Image.Image, orientation: int) -> Metadata:
    """The metadata of an image, adapted to pixels turned upright from `orientation`."""
    notes: list[str] = []
    try:
        exif = exif_of(image)
    except Exception:  # Pillow raises anything for malformed fields
        exif = None
        notes.append("EXIF that cannot be read is left out")
    icc, xmp = image.info.get("icc_profile"), xmp_of(image)
    if orientation != 1:
        exif = _upright(exif, image, orientation)
        xmp = xmp and XMP_ORIENTATION.sub(b"", xmp)
    exif = with_resolution(exif, image.info.get("dpi"))
    return Metadata(exif, icc if isinstance(icc, bytes) and icc else None, xmp, notes)


def _upright(exif: bytes | None, image: Image.Image, orientation: int) -> bytes | None:
    """The block after a turn from `orientation`; `image` still has its stored orientation."""
    if exif is None:
        return None
    block = ExifBlock(exif)
    block.set_orientation(1)
    if orientation >= 5:
        block.set_size(image.height, image.width)
    return bytes(block.data)


def with_resolution(exif: bytes | None, dpi: Any) -> bytes | None:
    """An EXIF block with a resolution added, unless it has one already, or has maker notes, which might not survive."""
    alone = resolution(dpi)
    if exif is None or alone is None:
        return exif or alone
    try:
        fields, added = Image.Exif(), Image.Exif()
        fields.load(exif)
        added.load(alone)
        if ExifTags.Base.XResolution in fields or ExifTags.Base.MakerNote in fields.get_ifd(ExifTags.IFD.Exif):
            return exif
        for tag, value in added.items():
            fields[tag] = value
        return fields.tobytes()
    except Exception:  # Pillow raises anything for malformed fields
        return exif


def resolution(dpi: Any) -> bytes | None:
    """An EXIF block that holds only this resolution (horizontal and vertical dots per inch); None if it says
    nothing."""
    try:
        across, down = (float(value) for value in dpi)
        if not (1 < across <= 100_000 and 1 < down <= 100_000):  # Pillow reports 1 for TIFFs without a resolution
            return None
    except (TypeError, ValueError):
        return None
    if max(abs(across - SCREEN_DPI), abs(down - SCREEN_DPI)) < 1:
        return None
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = round(across, 2), round(down, 2)
    exif[ExifTags.Base.ResolutionUnit] = 2
    return exif.tobytes()


def dpi_of(exif: bytes) -> tuple[float, float] | None:
    """Dots per inch in an EXIF block."""
    try:
        found = Image.Exif()
        found.load(exif)
        per_inch = {2: 1.0, 3: 2.54}[found.get(ExifTags.Base.ResolutionUnit, 2)]
        across, down = (float(found[tag]) * per_inch for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution))
    except Exception:  # Pillow raises anything for malformed fields
        return None
    return (across, down) if 1 <= across <= 100_000 and 1 <= down <= 100_000 else None


def exif_of(image: Image.Image, tags: Collection[int] = EXIF_TAGS) -> bytes | None:
    """The EXIF of an image; without a whole block, `tags` of the first directory and all other directories."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return exif
    # TIFF, and PNG as ImageMagick writes it, store the tags elsewhere: keep those that describe the picture.
    found, kept = image.getexif(), Image.Exif()
    for tag in found.keys() & tags:
        kept[tag] = found[tag]
    directories = {number: values for number in EXIF_DIRECTORIES if (values := found.get_ifd(number))}
    for number, values in directories.items():
        kept.get_ifd(number).update(values)
    return kept.tobytes() if len(kept) or directories else None


def xmp_of(image: Image.Image) -> bytes | None:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else None
