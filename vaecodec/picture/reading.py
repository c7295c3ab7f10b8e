"""User images -> Picture."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.errors import ImageError, VaecodecError
from vaecodec.picture.exif import TURNS, orientation_of
from vaecodec.picture.formats import register_for
from vaecodec.picture.metadata import metadata_of
from vaecodec.picture.modes import Stored, eight_bit, to_eight_bit
from vaecodec.picture.opening import pixel_limit
from vaecodec.picture.origin import origin_of
from vaecodec.picture.picture import SIXTEEN_BITS, Picture, check_pixels
from vaecodec.picture.png import colour_notes, is_png, without_texts
from vaecodec.system.files import Source, input_limit, is_buffer
from vaecodec.system.limits import MAX_PIXELS
from vaecodec.system.naming import MAGIC

if TYPE_CHECKING:
    from vaecodec.types import ImageLike

SLACK = 0.5
"""How far samples of a float tensor may exceed [0, 1], as outputs of nets do, before clipping."""


def to_picture(image: ImageLike | Source, max_pixels: int = MAX_PIXELS) -> Picture:
    """A PIL image, numpy array (H, W[, 1-4]) uint8 or uint16, torch tensor ([1-4,] H, W) uint8 or float in [0, 1], or
    an image file accepted by Source -> Picture. Raises ImageError for anything else."""
    if isinstance(image, Image.Image):
        with _image_errors("the image"), pixel_limit(max_pixels):
            return _from_pil(image, max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image, max_pixels)
    if hasattr(image, "detach") and hasattr(image, "cpu"):
        return _from_array(_tensor_to_array(image), max_pixels)
    if not isinstance(image, Source | str | os.PathLike) and not hasattr(image, "read") and not is_buffer(image):
        raise ImageError(f"cannot encode a {type(image).__name__}")
    try:
        with Source(image, input_limit(max_pixels)) as source:
            start = source.read(0, 16)
            if start.startswith(MAGIC):
                raise ImageError(f"{source.name} is a .vaec file already: decode it?")
            if package := register_for(start):
                raise ImageError(f"{source.name} needs a plugin of Pillow: pip install {package}")
            return _from_file(cast(BinaryIO, source.file()), source.name, max_pixels)
    except ImageError:
        raise
    except VaecodecError as error:
        raise ImageError(str(error)) from error


def _from_file(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    with _image_errors(name), pixel_limit(max_pixels):
        if not is_png(file):
            return _opened(file, max_pixels)
        notes = colour_notes(file)
        try:
            picture = _opened(file, max_pixels)
        except ValueError:
            # Pillow refuses texts and profiles of more than 1 MB; any other failure repeats.
            stripped, profile = without_texts(file)
            picture = _opened(io.BytesIO(stripped), max_pixels, profile)
        picture.notes += notes
        return picture


def _opened(file: BinaryIO, max_pixels: int, profile: bytes | None = None) -> Picture:
    file.seek(0)
    with Image.open(file) as image:
        if profile:
            image.info["icc_profile"] = profile
        return _from_pil(image, max_pixels)


@contextmanager
def _image_errors(name: str) -> Iterator[None]:
    """Turns every error of reading or loading an image into an ImageError that names the image."""
    try:
        yield
    except VaecodecError:
        raise
    except MemoryError as error:
        raise ImageError(f"not enough memory for {name}") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} has too many pixels: {error}") from error
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}".splitlines()[0]) from error
    except Exception as error:  # Pillow plugins raise anything
        reason = str(error) or type(error).__name__
        raise ImageError(f"{name} is a damaged image: {reason}".splitlines()[0]) from error


def _from_array(array: NDArray[Any], max_pixels: int) -> Picture:
    notes = []
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise ImageError(f"an array must have shape (H, W) or (H, W, 1-4), not {array.shape}")
    check_pixels(array.shape[1], array.shape[0], max_pixels)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # in either byte order
        array = eight_bit(array)
        notes.append(SIXTEEN_BITS)
    if array.dtype != np.uint8:
        raise ImageError(f"an array must be uint8 or uint16, not {array.dtype}")
    channels = array.shape[2]
    alpha = np.ascontiguousarray(array[:, :, -1]) if channels in (2, 4) else None
    rgb = array[:, :, :3] if channels >= 3 else np.repeat(array[:, :, :1], 3, 2)
    return Picture(np.ascontiguousarray(rgb), alpha, gray=channels < 3, notes=notes)


def _tensor_to_array(tensor: Any) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # numpy has no bfloat16
    if array.ndim == 3:
        array = array.transpose(1, 2, 0)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ImageError("a float tensor must be finite")
        low, high = array.min(initial=0), array.max(initial=0)
        if low < -SLACK or high > 1 + SLACK:
            raise ImageError(
                f"a float tensor must have samples from 0 to 1, not from {low:g} to {high:g}: "
                "scale it, or convert 0..255 to uint8"
            )
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return array


def _from_pil(image: Image.Image, max_pixels: int) -> Picture:
    check_pixels(*image.size, max_pixels)
    if getattr(image, "fp", True) is None and getattr(image, "tile", None):
        raise ImageError("the image is closed, or was verified: open it again")
    stored, origin = Stored.of(image), origin_of(image, orientation_of(image))
    image.load()
    check_pixels(*image.size, max_pixels)  # icons choose their size only now
    orientation = orientation_of(image)  # TIFF has none left: Pillow has turned it
    metadata = metadata_of(image, orientation)
    samples = to_eight_bit(image, stored, metadata.icc)
    picture = _from_array(np.asarray(_turned(samples.array, orientation)), max_pixels)
    notes = [SIXTEEN_BITS] if stored.sixteen_bit else []
    notes += [note for note in samples.notes + metadata.notes if note not in notes]
    picture.origin = origin
    picture.exif, picture.xmp = metadata.exif, metadata.xmp
    picture.icc = metadata.icc if samples.profile_fits else None
    if _frames(image) > 1:
        notes.insert(0, "only the first frame is kept")
    picture.notes = notes
    return picture


def _turned(array: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(array).transpose(TURNS[orientation])) if orientation in TURNS else array


def _frames(image: Image.Image) -> int:
    """Number of frames or pages. Counted last, since Pillow may have to walk through them, and later ones may be
    damaged."""
    try:
        return getattr(image, "n_frames", 1)
    except Exception:
        return 2
