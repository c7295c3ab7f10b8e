"""Samples of every mode of Pillow -> 8-bit gray or RGB, with alpha if the image has any."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from vaecodec.errors import ImageError
from vaecodec.picture.picture import SIXTEEN_BITS

PHOTOMETRIC, PLANES, SAMPLE_FORMAT, BITS = 262, 284, 339, 258
"""Tags of TIFF."""
GRAY_STEP = {"L;2": 85, "L;4": 17}
"""Factor that Pillow applies to gray samples of few bits, but not to the transparent level."""


@dataclass
class Samples:
    """array (H, W[, 2 to 4]) uint8: gray or RGB, then alpha; profile_fits: whether an ICC profile still describes
    it."""

    array: NDArray[np.uint8]
    notes: list[str]
    profile_fits: bool


def eight_bit(samples: NDArray[Any], largest: int = 65535) -> NDArray[np.uint8]:
    """Samples from 0 to `largest`, scaled and rounded to 8 bits."""
    return ((samples.astype(np.uint32) * 255 + largest // 2) // largest).astype(np.uint8)


@dataclass(frozen=True)
class Stored:
    """Facts about the file that an image has only before it is loaded."""

    raw_mode: str
    """How Pillow's decoder reads the samples, such as "RGB;16B"."""
    sixteen_bit: bool
    low_bytes: NDArray[np.uint8] | None
    """(H, W, 3): the low bytes of 16-bit samples if the transparent colour has 16 bits as well."""

    @classmethod
    def of(cls, image: Image.Image) -> Stored:
        tiles = list(getattr(image, "tile", ()) or ())
        arguments = tiles[0][3] if tiles and len(tiles[0]) > 3 else None
        parts = arguments if isinstance(arguments, tuple) else (arguments,)
        raw = next((part for part in parts if isinstance(part, str)), "")
        deep = any(isinstance(part, str) and ";16" in part for part in parts)
        deep |= len(parts) == 2 and isinstance(parts[1], int) and parts[1] > 255  # PPM: mode and largest value
        halves = raw == "RGB;16B" and image.format == "PNG" and "transparency" in image.info
        return cls(raw, deep, _low_bytes(image) if halves else None)


def _low_bytes(image: Any) -> NDArray[np.uint8] | None:
    """The low bytes of 16-bit samples. Pillow keeps the high byte; read in the opposite byte order, it keeps the low
    one."""
    file = image.fp
    at = file.tell()
    try:
        file.seek(0)
        twin: Any = PngImagePlugin.PngImageFile(file)
        twin.tile = [(*tile[:3], "RGB;16L") for tile in twin.tile]
        return np.array(twin)
    finally:
        file.seek(at)


def to_eight_bit(image: Image.Image, stored: Stored, icc: bytes | None) -> Samples:
    """The samples of a loaded image; raises ImageError for those that cannot be shown in 8 bits."""
    _check_tiff(image)
    mode, space = image.mode, icc[16:20] if icc else b""
    if mode.startswith("F") or mode.startswith("I;32") or stored.raw_mode.startswith(("I;32", "F;")):
        raise ImageError(f"images with samples of mode {mode} beyond 16 bits are not supported: convert them first")
    if mode in ("1", "L") or mode.startswith("I"):
        return _gray(image, stored, space == b"GRAY")
    if mode in ("LA", "La"):
        return Samples(np.asarray(image.convert("LA")), [], space == b"GRAY")
    if mode == "CMYK":
        image = _cmyk_to_rgb(image, icc if space == b"CMYK" else None)
        return Samples(np.asarray(image), ["CMYK converted to RGB"], False)
    notes = [f"{mode} converted to RGB"] if mode in ("LAB", "HSV", "YCbCr") else []
    level = image.info.get("transparency")
    if mode == "RGB" and isinstance(level, tuple) and len(level) == 3:
        rgb = np.asarray(image)
        return Samples(np.dstack([rgb, _opaque(rgb, level, stored)]), notes, space == b"RGB ")
    target = "RGBA" if image.has_transparency_data else "RGB"
    return Samples(np.asarray(image.convert(target)), notes, space == b"RGB " and not notes)


def _gray(image: Image.Image, stored: Stored, profile_fits: bool) -> Samples:
    level, notes = image.info.get("transparency"), list[str]()
    gray: NDArray[np.uint8]
    deep = np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode.startswith("I"):
        if deep.max(initial=0) > 65535 or deep.min(initial=0) < 0:
            raise ImageError(f"images with samples of mode {image.mode} beyond 16 bits are not supported")
        gray, notes = eight_bit(deep, 4095 if stored.raw_mode == "I;12" else 65535), [SIXTEEN_BITS]
        if _tag(image, PHOTOMETRIC) == 0:  # white is zero; Pillow inverts only samples of up to 8 bits
            gray = np.invert(gray)
    else:
        gray = deep
    if not isinstance(level, int):
        return Samples(gray, notes, profile_fits)
    if image.mode == "1":
        level = 255 * (level & 1 if level < 255 else 1)
    elif image.mode == "L":
        level = (level & 255) * GRAY_STEP.get(stored.raw_mode, 1)
    alpha = np.where(deep == level, 0, 255).astype(np.uint8)
    return Samples(np.dstack([gray, alpha]), notes, profile_fits)


def _opaque(rgb: NDArray[np.uint8], level: tuple[int, ...], stored: Stored) -> NDArray[np.uint8]:
    """Alpha (H, W): 0 where rgb (H, W, 3) has the transparent colour, which a PNG gives in 16 bits, else 255."""
    if stored.sixteen_bit or max(level) > 255:
        same = rgb == np.array(level) >> 8
        if stored.low_bytes is not None:
            same &= stored.low_bytes == np.array(level) & 255
    else:
        same = rgb == np.array(level)
    return np.where(same.all(2), 0, 255).astype(np.uint8)


def _tag(image: Image.Image, number: int) -> Any:
    """The value of a TIFF tag, or its first value; None for other formats."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    value = tags.get(number) if tags is not None else None
    return value[0] if isinstance(value, tuple) and value else value


def _check_tiff(image: Image.Image) -> None:
    """Refuse TIFFs that Pillow misreads."""
    if image.format != "TIFF":
        return
    if _tag(image, PLANES) == 2 and (_tag(image, BITS) or 8) > 8:
        raise ImageError("TIFFs of more than 8 bits with a plane for each colour are not supported: convert them first")
    if _tag(image, SAMPLE_FORMAT) == 2:
        raise ImageError("TIFFs with signed samples are not supported: convert them first")


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """To sRGB through the embedded profile, or by Pillow's plain formula without one."""
    if icc:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except Exception:  # a profile is untrusted like the image
            pass
    return image.convert("RGB")
