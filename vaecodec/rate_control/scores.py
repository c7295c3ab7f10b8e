"""The scores of decoded pictures as shown to users, and how scores grow with the quality."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.spec import QUALITY_UNIT
from vaecodec.model.defaults import qualities
from vaecodec.picture import Picture, to_array
from vaecodec.rate_control.metrics import ms_ssim, psnr, ssimulacra2
from vaecodec.rate_control.search import Curve, Window
from vaecodec.targets import MsSsim, Psnr, Ssimulacra2

Pixels = NDArray[np.uint8]
"""(H, W, 3)."""
USUAL: dict[str, tuple[float, ...]] = {
    "bpp": (0.041, 0.067, 0.119, 0.203, 0.339, 0.536, 0.804, 1.147, 1.567, 2.074, 2.689),
    "psnr": (24.5, 25.8, 27.3, 29.0, 30.9, 32.9, 35.0, 37.2, 39.3, 41.3, 43.2),
    "ms-ssim": (7.5, 8.7, 10.2, 11.9, 13.8, 15.8, 17.8, 19.8, 21.8, 23.9, 26.0),
    "ssimulacra2": (-20, 0, 17, 32, 44, 54, 63, 71, 78, 83, 87),
}
"""Typical scores of qualities 1, 10, 20, ... 100 on photographs (Kodak, the model fast; MS-SSIM in decibels). Searches
start from them for models without measurements; the first tries show how an image differs."""
MOST_DB = 150.0
"""Substitute for infinitely many decibels."""


def measured(identity: bytes) -> bool:
    """Whether the typical scores of a model were measured."""
    return identity.hex() in qualities()


def usual_curve(measure: str, identity: bytes) -> Curve:
    """The typical scores of a model by quality; for "bpp" natural logarithms of bits per pixel."""
    table = qualities().get(identity.hex(), {}).get("table", [])
    points = [(row["quality"], row[measure]) for row in table if measure in row]
    if not points:
        points = list(zip((1, *range(10, 101, 10)), USUAL[measure], strict=True))
    values = np.array([value for _, value in points])
    rising = np.maximum.accumulate(np.log(values) if measure == "bpp" else values) + 1e-6 * np.arange(len(points))
    return Curve([QUALITY_UNIT * quality for quality, _ in points], rising.tolist())


@dataclass(frozen=True)
class Score:
    """A measure and the wanted value. measure: of decoded pixels (H, W, 3); scaled: the value in the units of `curve`,
    in which searches work; window: the accepted range."""

    measure: Callable[[Pixels], float]
    scaled: Callable[[float], float]
    curve: Curve
    window: Window
    shown: Callable[[float], str]


def score_of(target: Psnr | MsSsim | Ssimulacra2, picture: Picture, coded: Pixels, model: bytes) -> Score:
    """The score that a target asks for.

    coded: the encoded pixels, which differ from the picture's where it is fully transparent; decoded pixels there count
    as correct. model: the identity of the model that encodes.
    """
    hidden = None if picture.alpha is None or picture.alpha.all() else picture.alpha == 0
    original = _as_shown(coded, picture)

    def seen(decoded: Pixels) -> Pixels:
        image = _as_shown(decoded, picture)
        return image if hidden is None else np.where(hidden[:, :, None], original, image)

    # Other threads and machines decode some pixels one level off, so aim slightly above the target.
    if isinstance(target, Psnr):
        window = Window(*(target.psnr + more for more in (0.001, 0.095, 0.03)))

        def decibels(decoded: Pixels) -> float:
            return psnr(original, _as_shown(decoded, picture), None if hidden is None else ~hidden)

        curve = usual_curve("psnr", model)
        return Score(decibels, lambda value: min(value, MOST_DB), curve, window, _shown_decibels)
    if isinstance(target, MsSsim):
        wanted, rest = target.ms_ssim, 1 - target.ms_ssim
        shares = ((2e-5, 0.01), (9e-4, 0.1), (3e-4, 0.03))
        window = Window(*(wanted + min(most, share * rest) for most, share in shares))
        curve = usual_curve("ms-ssim", model)
        return Score(lambda decoded: ms_ssim(original, seen(decoded)), _decibels, curve, window, "{:.5f}".format)

    def perceived(decoded: Pixels) -> float:
        before, after = (image if image.shape[2] == 3 else image.repeat(3, 2) for image in (original, seen(decoded)))
        return ssimulacra2(before, after)

    window = Window(*(min(target.score + more, 100) for more in (0.01, 0.5, 0.15)))
    return Score(perceived, lambda value: value, usual_curve("ssimulacra2", model), window, "{:.2f}".format)


def visible_psnr(picture: Picture, decoded: Picture) -> float:
    """PSNR in dB over the visible samples of a decoded picture; infinite if nothing was lost."""
    seen = None if picture.alpha is None else picture.alpha > 0
    if seen is not None and not seen.any():
        return math.inf
    before, after = (_as_shown(each.rgb, picture) for each in (picture, decoded))
    return psnr(before, after, seen)


def _as_shown(rgb: Pixels, picture: Picture) -> Pixels:
    """The pixels as decoders show them: a gray picture has a single channel."""
    return to_array(Picture(rgb, gray=picture.gray))


def _shown_decibels(value: float) -> str:
    return "no loss" if value == math.inf else f"{value:.2f} dB"


def _decibels(likeness: float) -> float:
    """MS-SSIM in decibels; 1 becomes MOST_DB."""
    return min(-10 * math.log10(max(1 - likeness, 1e-30)), MOST_DB)
