"""EXIF, ICC profile and XMP of Pillow's images."""

from __future__ import annotations

from collections.abc import Collection

from PIL import ExifTags, Image

EXIF_TAGS = {
    *(ExifTags.Base[name] for name in ("ImageDescription", "Make", "Model", "XResolution", "YResolution")),
    *(ExifTags.Base[name] for name in ("ResolutionUnit", "Software", "DateTime", "Artist", "Copyright")),
}
"""Tags of the first directory that are kept of files which mix EXIF with the layout of their samples. The orientation
is not among them: it is applied."""
EXIF_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def metadata_of(image: Image.Image) -> tuple[bytes | None, bytes | None, bytes | None]:
    """EXIF, ICC profile and XMP of an image, where there are any."""
    icc = image.info.get("icc_profile")
    return exif_of(image), icc if isinstance(icc, bytes) and icc else None, xmp_of(image)


def exif_of(image: Image.Image, tags: Collection[int] = EXIF_TAGS) -> bytes | None:
    """The EXIF of an image; of one that does not have it whole, `tags` of the first directory and the others."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return exif
    # TIFF, and PNG as ImageMagick writes it, have the tags elsewhere: kept are those that speak of the picture.
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
