"""The promise of a quality: near the top of the scale the encoder checks its result. An image that latents code badly
(noise, embossed or saturated colours, fine text) is stored in another form."""

from __future__ import annotations

from vaecodec.bitstream.container import MAX_LENGTH
from vaecodec.coding.encoder import Coded, Encoding
from vaecodec.rate_control.forms import jpegs_from
from vaecodec.rate_control.scores import measured, score_of, usual_curve
from vaecodec.sections.payloads import Kept
from vaecodec.targets import Psnr

PROMISED = 8500
"""Quality, in stored units, from which PSNR is checked."""
SHORT = 4.0
"""How many dB an image may fall below the usual PSNR of its quality on photographs."""


def looked_at(encoding: Encoding, units: int) -> bool:
    """Whether the result of a quality is checked; it is not for models whose usual PSNR is unknown."""
    return units >= PROMISED and encoding.keeps and measured(encoding.model)


def files(encoding: Encoding, coded: Coded) -> list[bytes]:
    """Each picture as a file in the smallest form that keeps the promise of its quality."""
    units = coded.header.quality
    result = []
    for index, groups in enumerate(coded.groups):
        kept = encoding.kept(sum(len(stream) for streams in groups for stream in streams), index)
        if kept is None and looked_at(encoding, units):
            kept = _promised(encoding, coded, index)
        result.append(encoding.with_kept(kept, units, index) if kept else encoding.plain(coded, index))
    return result


def _promised(encoding: Encoding, coded: Coded, index: int) -> Kept | None:
    """The replacement for latents that break the promise; None if they keep it, or nothing does better."""
    picture, rgb = encoding.pictures[index], encoding.rgb[index]
    promise = usual_curve("psnr", encoding.model).at(coded.header.quality)
    measure = score_of(Psnr(1), picture, rgb, encoding.model).measure
    if measure(encoding.decoded(coded, index)) >= promise - SHORT:
        return None
    found = jpegs_from(rgb, picture.gray, lambda pixels: measure(pixels) >= promise)
    if kept := encoding.kept(MAX_LENGTH, index):
        found.append(kept)
    return min(found, key=lambda kept: len(kept.payload), default=None)
