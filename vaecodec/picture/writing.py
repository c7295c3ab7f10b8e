"""Picture -> arrays, tensors, PIL images and files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from vaecodec.errors import ImageError, missing_package
from vaecodec.picture.exif_block import ORIENTATION, ExifBlock
from vaecodec.picture.jpeg_file import density, with_metadata
from vaecodec.picture.metadata import dpi_of, resolution
from vaecodec.picture.opening import pixel_limit
from vaecodec.picture.picture import Picture

if TYPE_CHECKING:
    import torch

METADATA = ("exif", "icc_profile", "xmp")
"""Pillow's names for metadata blocks."""
WITH_DPI = ("PNG", "JPEG", "TIFF", "BMP")
"""Formats with a resolution field of their own besides EXIF."""
XMP_TAG = 700
UNLIMITED = 1 << 62


def _shown(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3), or (H, W) for gray: the synthesis always has three channels, which differ slightly for gray
    pictures."""
    return ((picture.rgb.sum(2, dtype=np.uint16) + 1) // 3).astype(np.uint8) if picture.gray else picture.rgb


def to_array(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, C): gray or RGB, then alpha if there is one."""
    return np.dstack([_shown(picture)] + ([] if picture.alpha is None else [picture.alpha]))


def to_tensor(picture: Picture) -> torch.Tensor:
    """Torch tensor (C, H, W) uint8: gray or RGB, then alpha if there is one."""
    try:
        import torch
    except ImportError as error:
        raise missing_package("decoding to tensors", "torch") from error
    return torch.from_numpy(to_array(picture)).permute(2, 0, 1).contiguous()


def to_pil(picture: Picture) -> Image.Image:
    """L, LA, RGB or RGBA image; `info` holds exif, icc_profile, xmp and dpi if present."""
    image = Image.fromarray(_shown(picture))
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    for key, value in (("exif", picture.exif), ("icc_profile", picture.icc), ("xmp", picture.xmp)):
        if value is not None:
            image.info[key] = value
    if picture.exif is not None and (dpi := dpi_of(picture.exif)):
        image.info["dpi"] = dpi
    return image


@dataclass(frozen=True)
class Saving:
    """How to write an image. quality: 1 to 100, for lossy formats (None: 95); lossless: for WebP and JPEG XL;
    png_level: effort of PNG, 0 to 9. Level 6, the usual default, takes three times as long as level 1 and saves 7 % of
    the bytes."""

    quality: int | None = None
    lossless: bool = False
    png_level: int = 1


WITH_QUALITY = ("JPEG", "WEBP", "AVIF", "HEIF", "JXL")
"""Lossy formats, which take a quality."""
WITHOUT_LOSS = ("WEBP", "JXL")
"""Formats with a lossless mode. AVIF is not among them: Pillow writes it at quality 100 with errors of up to 3."""


def save_picture(picture: Picture, suffix: str, how: Saving | None = None) -> tuple[bytes, list[str]]:
    """File bytes of a decoded picture in the format of `suffix`, and notes, as from save_image. A kept JPEG is restored
    with its coefficients if the output is a JPEG and no quality is given."""
    Image.preinit()
    how = how or Saving()
    if (
        how.quality is None
        and picture.jpeg is not None
        and picture.alpha is None
        and Image.EXTENSION.get(suffix.lower()) == "JPEG"
    ):
        exif = _laid(picture.exif, picture)
        if exif is not None or picture.jpeg_orientation == 1:
            data, lost = with_metadata(picture.jpeg, exif, picture.icc, picture.xmp)
            return data, [f"JPEG cannot hold the {name} of this image: left out" for name in lost]
    return save_image(to_pil(picture), suffix, how)


def _laid(exif: bytes | None, picture: Picture) -> bytes | None:
    """EXIF for the kept JPEG in its stored orientation; None if there is none, or it cannot hold the orientation."""
    orientation = picture.jpeg_orientation
    if orientation == 1:
        # The resolution in the JPEG itself need not be repeated.
        return None if picture.jpeg and exif == resolution(density(picture.jpeg)) else exif
    if exif is None:
        fields = Image.Exif()
        fields[ORIENTATION] = orientation
        return fields.tobytes()
    block = ExifBlock(exif)
    if not block.set_orientation(orientation):
        return None
    if orientation >= 5:
        block.set_size(picture.height, picture.width)
    return bytes(block.data)


def save_image(image: Image.Image, suffix: str, how: Saving | None = None) -> tuple[bytes, list[str]]:
    """File bytes of a decoded image in the format of `suffix` (".png", ".jpg", ...) with its metadata, and notes.

    Metadata is left out, with a note, if the format cannot hold it or Pillow would have to parse it and cannot. Raises
    ImageError for an unknown format, and for a quality or lossless coding that the format does not have.
    """
    Image.preinit()  # only the common formats: loading all of Pillow's plugins takes as long as decoding a small image
    image_format = Image.EXTENSION.get(suffix.lower()) or Image.registered_extensions().get(suffix.lower())
    if image_format is None or image_format not in Image.SAVE:
        raise ImageError(f"cannot write images with suffix {suffix!r}")
    notes: list[str] = []
    options, dropped = _options(image, image_format) | _coding(image_format, how or Saving()), set[str]()
    if image_format == "GIF" and image.mode not in ("L", "1") and image.getcolors(256) is None:
        notes.append("GIF has 256 colours at most: the others became the nearest of these")
    if image_format in ("JPEG", "BMP", "PPM") and image.mode in ("RGBA", "LA"):
        notes.append(f"{image_format} has no transparency: flattened on white")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode[:-1])
    if image_format == "WEBP" and image.mode in ("L", "LA"):  # WebP has no gray mode, so a gray profile does not apply
        options.pop("icc_profile", None)
    while True:
        try:
            data = _saved(image, image_format, options)
            break
        except MemoryError:
            raise
        except Exception as error:  # malformed EXIF can make Pillow raise anything
            metadata = [name for name in METADATA if name in options]
            bad = [name for name in metadata if not _can_hold(image_format, image.mode, name, options[name])]
            if not bad:
                raise ImageError(f"cannot write this image as {image_format}: {error}".splitlines()[0]) from error
        for name in bad:
            del options[name]
            dropped.add(name)
    wanted = [name for name in METADATA if name in image.info]
    held = _held(data) - dropped if wanted else set()
    lost = [name for name in wanted if name not in held]
    return data, notes + [f"{image_format} cannot hold the {name} of this image: left out" for name in lost]


def _coding(image_format: str, how: Saving) -> dict[str, Any]:
    """Options of Pillow's save for quality and effort."""
    if how.quality is not None and image_format not in WITH_QUALITY:
        raise ImageError(f"{image_format} has no quality: it is for {', '.join(WITH_QUALITY)}")
    if how.lossless and image_format not in WITHOUT_LOSS:
        raise ImageError(f"{image_format} has no option lossless: it is for {', '.join(WITHOUT_LOSS)}")
    if image_format == "PNG":
        return {"compress_level": how.png_level}
    if how.lossless:
        return {"lossless": True}
    if image_format in ("JPEG", "WEBP", "AVIF"):
        return {"quality": how.quality or 95}
    return {} if how.quality is None else {"quality": how.quality}


def _options(image: Image.Image, image_format: str) -> dict[str, Any]:
    """Options of Pillow's save for the metadata of an image."""
    options: dict[str, Any] = {name: image.info[name] for name in METADATA if name in image.info}
    if image_format == "PNG" and "xmp" in options:
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode("utf-8", "replace"))
        options["pnginfo"] = text
    if image_format == "TIFF" and "xmp" in options:  # in TIFF, XMP is one of the EXIF tags
        options["exif"] = _with_xmp(options.get("exif"), options.pop("xmp"))
    if image_format in WITH_DPI and "dpi" in image.info:
        options["dpi"] = image.info["dpi"]
    return options


def _with_xmp(exif: bytes | None, xmp: bytes) -> Image.Exif | bytes:
    """The tags of a TIFF: XMP and an EXIF block; the block alone if it cannot be parsed."""
    tags = Image.Exif()
    try:
        tags.load(exif or b"")
        tags[XMP_TAG] = xmp
    except Exception:  # malformed EXIF can make Pillow raise anything
        return exif or b""
    return tags


def _held(data: bytes) -> set[str]:
    """The metadata that a newly written file holds, found by reading it."""
    with pixel_limit(UNLIMITED), Image.open(io.BytesIO(data)) as image:
        found = {name for name in METADATA if image.info.get(name)}
        if image.info.get("XML:com.adobe.xmp"):
            found.add("xmp")
        if image.format == "TIFF":  # EXIF tags are stored among its own
            found.add("exif")
        return found


def _saved(image: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _can_hold(image_format: str, mode: str, name: str, value: bytes) -> bool:
    """Whether Pillow can write this metadata block, tried on one pixel."""
    try:
        _saved(Image.new(mode, (1, 1)), image_format, {name: value})
    except Exception:
        return False
    return True
