"""Images as people have them <-> Picture: upright 8-bit RGB, alpha, and the metadata that goes with them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from vaecodec.errors import ImageError, VaecodecError
from vaecodec.files import Source, input_limit
from vaecodec.formats import register_for
from vaecodec.jpeg import JpegOrigin, origin_of
from vaecodec.metadata import metadata_of, xmp_of

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"}
"""What counts as an image file in a folder."""
MAX_PIXELS = 1 << 27
"""Default limit on the pixels of an image, for encoding and decoding: 134 megapixels, about 2.5 GB of memory."""
SIXTEEN_BITS = "16-bit samples reduced to 8 bits"


@dataclass
class Picture:
    """rgb (H, W, 3) uint8; alpha (H, W) uint8 or None; `gray`: all channels are equal and shown as one.

    exif, icc, xmp: raw metadata or None; notes: what had to be converted, one line each; origin: how the JPEG was made
    that it was read from, if it was.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    gray: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)
    origin: JpegOrigin | None = None

    @property
    def height(self) -> int:
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        return self.rgb.shape[1]


def check_pixels(width: int, height: int, limit: int) -> None:
    """Raises ImageError for images without pixels or with more than `limit`."""
    if width < 1 or height < 1:
        raise ImageError("the image has no pixels")
    if width * height > limit:
        raise ImageError(f"the image has {width}x{height} pixels, more than the limit of {limit} (--max-pixels)")


def to_picture(image: Any, max_pixels: int = MAX_PIXELS) -> Picture:
    """A PIL image, numpy array (H, W[, 1-4]) uint8 or uint16, torch tensor ([1-4,] H, W) uint8 or float in [0, 1],
    or an image file, as Source takes it -> Picture. Raises ImageError for anything else."""
    if isinstance(image, Image.Image):
        with _image_errors("the image"):
            return _from_pil(image, max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image, max_pixels)
    if hasattr(image, "detach") and hasattr(image, "cpu"):
        return _from_array(_tensor_to_array(image), max_pixels)
    try:
        with Source(image, input_limit(max_pixels)) as source:
            register_for(source.read(0, 16))
            return _from_file(source.file(), source.name, max_pixels)
    except ImageError:
        raise
    except VaecodecError as error:
        raise ImageError(str(error)) from error


def _from_file(source: Any, name: str, max_pixels: int) -> Picture:
    with _image_errors(name), warnings.catch_warnings():
        # Our own limit replaces Pillow's warning; Pillow's hard limit stays.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(source) as image:
            return _from_pil(image, max_pixels)


@contextmanager
def _image_errors(name: str) -> Iterator[None]:
    """What Pillow raises for images that it cannot read or load, as an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"cannot read {name}: no such file") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} has too many pixels") from error
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, SyntaxError, EOFError, MemoryError, OverflowError) as error:
        raise ImageError(f"{name} is a damaged image: {error}".splitlines()[0]) from error


def _from_array(array: NDArray, max_pixels: int) -> Picture:
    notes = []
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise ImageError(f"an array must have shape (H, W) or (H, W, 1-4), not {array.shape}")
    check_pixels(array.shape[1], array.shape[0], max_pixels)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # in either order of the bytes
        array = _eight_bit(array)
        notes.append(SIXTEEN_BITS)
    if array.dtype != np.uint8:
        raise ImageError(f"an array must be uint8 or uint16, not {array.dtype}")
    channels = array.shape[2]
    alpha = np.ascontiguousarray(array[:, :, -1]) if channels in (2, 4) else None
    rgb = array[:, :, :3] if channels >= 3 else np.repeat(array[:, :, :1], 3, 2)
    return Picture(np.ascontiguousarray(rgb), alpha, gray=channels < 3, notes=notes)


def _tensor_to_array(tensor: Any) -> NDArray:
    tensor = tensor.detach().cpu()
    array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # numpy has no bfloat16
    if array.ndim == 3:
        array = array.transpose(1, 2, 0)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ImageError("a float tensor must be finite")
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return array


def _eight_bit(samples: NDArray) -> NDArray[np.uint8]:
    """16-bit samples to the nearest 8-bit ones."""
    return ((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _from_pil(image: Image.Image, max_pixels: int) -> Picture:
    check_pixels(*image.size, max_pixels)
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append("only the first frame is kept")
    if any(_sixteen_bit(tile[3]) for tile in getattr(image, "tile", ())):
        notes.append(SIXTEEN_BITS)
    origin = origin_of(image)
    exif, icc, xmp, image = *metadata_of(image), ImageOps.exif_transpose(image)
    if exif is not None and "exif" in image.info:
        exif = image.info["exif"]  # transposing has reset the orientation in it
    if xmp is not None:
        xmp = xmp_of(image)
    image, more, profile_fits = _to_eight_bit_mode(image, icc)
    samples = np.asarray(image)
    picture = _from_array(samples, max_pixels)
    picture.notes = notes + [note for note in more if note not in notes]
    picture.origin = origin
    picture.exif, picture.icc, picture.xmp = exif, icc if profile_fits else None, xmp
    return picture


def _sixteen_bit(arguments: Any) -> bool:
    """Whether the arguments of Pillow's decoder say that the file has samples of more than 8 bits."""
    parts = arguments if isinstance(arguments, tuple) else (arguments,)
    return any(isinstance(part, str) and ";16" in part for part in parts) or (
        len(parts) == 2 and isinstance(parts[1], int) and parts[1] > 255  # PPM: mode and largest value
    )


def _to_eight_bit_mode(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, list[str], bool]:
    """Convert to L, LA, RGB or RGBA: (image, notes, whether the ICC profile still describes the samples)."""
    mode, notes = image.mode, []
    space = icc[16:20] if icc else b""
    if mode in ("L", "LA", "1") or mode.startswith(("I", "F")):
        if mode.startswith(("I", "F")):
            samples = np.asarray(image)
            if mode == "F" or samples.max(initial=0) > 65535 or samples.min(initial=0) < 0:
                raise ImageError(f"images with samples of mode {mode} beyond 16 bits are not supported")
            gray, notes = Image.fromarray(_eight_bit(samples)), [SIXTEEN_BITS]
        else:
            gray = image.convert("L") if mode == "1" else image
            samples = np.asarray(gray)
        see_through = image.info.get("transparency")
        if mode != "LA" and isinstance(see_through, int):  # the one gray level that is transparent
            see_through = 255 * (see_through > 0) if mode == "1" else see_through
            gray.putalpha(Image.fromarray(np.where(samples == see_through, 0, 255).astype(np.uint8)))
        return gray, notes, space == b"GRAY"
    if mode == "La":
        return image.convert("LA"), notes, space == b"GRAY"
    if mode == "CMYK":
        return _cmyk_to_rgb(image, icc if space == b"CMYK" else None), ["CMYK converted to RGB"], False
    transparent = mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info
    target = "RGBA" if transparent else "RGB"
    if mode in ("LAB", "HSV", "YCbCr"):
        notes.append(f"{mode} converted to RGB")
    return image.convert(target), notes, space == b"RGB " and not notes


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Through the embedded profile to sRGB where there is one, else Pillow's plain formula."""
    if icc:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")


def _shown(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3), or (H, W) for gray: the synthesis knows nothing of gray, its three channels differ a little."""
    return ((picture.rgb.sum(2, dtype=np.uint16) + 1) // 3).astype(np.uint8) if picture.gray else picture.rgb


def to_array(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, C): gray or RGB, then alpha if there is one."""
    return np.dstack([_shown(picture)] + ([] if picture.alpha is None else [picture.alpha]))


def to_tensor(picture: Picture) -> Any:
    """Torch tensor (C, H, W) uint8: gray or RGB, then alpha if there is one."""
    import torch

    return torch.from_numpy(to_array(picture)).permute(2, 0, 1).contiguous()


def to_pil(picture: Picture) -> Image.Image:
    """L, LA, RGB or RGBA image; `info` holds exif, icc_profile and xmp where there are any."""
    image = Image.fromarray(_shown(picture))
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    for key, value in (("exif", picture.exif), ("icc_profile", picture.icc), ("xmp", picture.xmp)):
        if value is not None:
            image.info[key] = value
    return image


def save_image(image: Image.Image, suffix: str) -> tuple[bytes, list[str]]:
    """File bytes of a decoded image in the format of `suffix` (".png", ".jpg", ...) with its metadata, and notes.

    Metadata that the format cannot hold, or that Pillow has to read and cannot, is left out, with a note. Raises
    ImageError for an unknown format.
    """
    Image.preinit()  # the common formats; all of Pillow's plugins take as long to load as a small image to decode
    image_format = Image.EXTENSION.get(suffix.lower()) or Image.registered_extensions().get(suffix.lower())
    if image_format is None or image_format not in Image.SAVE:
        raise ImageError(f"cannot write images with suffix {suffix!r}")
    notes: list[str] = []
    options: dict[str, Any] = {k: image.info[k] for k in ("exif", "icc_profile", "xmp") if k in image.info}
    if image_format == "PNG" and "xmp" in options:
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode("utf-8", "replace"))
        options["pnginfo"] = text
    if image_format in ("JPEG", "BMP", "PPM") and image.mode in ("RGBA", "LA"):
        notes.append(f"{image_format} has no transparency: flattened on white")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode[:-1])
    if image_format in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = 95
    if image_format == "WEBP" and image.mode in ("L", "LA"):  # it has no gray pixels that a gray profile could describe
        options.pop("icc_profile", None)
    while True:
        try:
            return _saved(image, image_format, options), notes
        except MemoryError:
            raise
        except Exception as error:  # rubbish in EXIF can make Pillow raise anything
            metadata = [name for name in ("exif", "icc_profile", "xmp") if name in options]
            bad = [name for name in metadata if not _can_hold(image_format, image.mode, name, options[name])]
            if not bad:
                raise ImageError(f"cannot write this image as {image_format}: {error}".splitlines()[0]) from error
        for name in bad:
            del options[name]
            notes.append(f"{image_format} cannot hold the {name} of this image: left out")


def _saved(image: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF
        image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _can_hold(image_format: str, mode: str, name: str, value: bytes) -> bool:
    """Whether Pillow writes this block of metadata: tried on one pixel."""
    try:
        _saved(Image.new(mode, (1, 1)), image_format, {name: value})
    except Exception:
        return False
    return True
