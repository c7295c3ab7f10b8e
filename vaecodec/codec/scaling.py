"""Decoding to a smaller size: from the quick preview, at an eighth of the size, or from the whole image."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from vaecodec.bitstream.container import DROPPED, read_container
from vaecodec.codec import Codec
from vaecodec.errors import ImageError
from vaecodec.picture import Picture, to_pil
from vaecodec.sections.payloads import METADATA, attach
from vaecodec.system.files import Source

SMALLEST, PREVIEW = Fraction(1, 16), Fraction(1, 8)
EVERYTHING = (slice(None), slice(None))


def parse_scale(text: str) -> Fraction:
    """A scale as users write it: 1/3, 0.25, 25%. Raises ImageError unless it is from 1/16 to 1."""
    try:
        number = text.strip()
        factor = Fraction(number[:-1].strip()) / 100 if number.endswith("%") else Fraction(number)
    except (ValueError, ZeroDivisionError):
        raise ImageError(f"{text!r} is no scale such as 1/2, 0.4 or 25%") from None
    if not SMALLEST <= factor <= 1:
        raise ImageError(f"a scale is from 1/16 to 1, not {text}")
    return factor


def decode_scaled(
    codec: Codec, source: Any, factor: Fraction, progress: Callable[[float], None] | None = None
) -> Picture:
    """A .vaec file (bytes, path or binary file object) at `factor` (1/16 to 1) of its size, rounded, with metadata.

    1/8 is the preview as it is. Lanczos downsamples the preview for smaller scales and the whole image for larger ones,
    with colours weighted by their alpha. Raises FormatError as decode does.
    """
    with Source(source) as opened:
        if factor == 1:
            return codec.decode_picture(opened, progress=progress)
        container = read_container(opened, codec.max_pixels)
        if factor <= PREVIEW:
            picture = codec.preview_picture(opened, progress)
        else:
            picture = codec.decode_picture(opened, progress=progress)
        if factor != PREVIEW:
            header = container.header
            picture = _resized(picture, *(max(1, round(side * factor)) for side in (header.width, header.height)))
        for kind, _ in METADATA:
            if kind in container.sections and kind not in DROPPED[codec.session.settings.metadata]:
                attach(picture, container, kind, EVERYTHING, codec.session.settings.max_metadata)
        return picture


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """The pixels at another size; an opaque alpha plane stays opaque."""
    image = to_pil(Picture(picture.rgb, picture.alpha, picture.gray))
    pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    alpha = None if picture.alpha is None else np.ascontiguousarray(pixels[:, :, -1])
    colours = pixels if alpha is None else pixels[:, :, :-1]
    rgb = colours.repeat(3, 2) if colours.shape[2] == 1 else np.ascontiguousarray(colours)
    return Picture(rgb, alpha, picture.gray)
