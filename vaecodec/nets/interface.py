"""The interface between the codec and the nets."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.grid import Rect
from vaecodec.model.rate import RatePosition

Float = NDArray[np.float32]


class Nets(Protocol):
    """The four nets of a model on a device, for N images of equal size at a time. Levels are integers carried in
    float32.

    The methods of the prior (hyper_synthesis, context_step) return the same integers in every implementation.
    """

    def analysis(self, pixels: NDArray[np.uint8], rate: RatePosition) -> Float:
        """RGB (N, H, W, 3), H and W multiples of 16 -> y (N, M, H/16, W/16)."""
        ...

    def hyper_analysis(self, v: Float, rate: RatePosition) -> Float:
        """Normalised latents (N, M, h, w), h and w multiples of 4 -> hyper latents (N, Z, h/4, w/4), not rounded."""
        ...

    def texture(self, v: Float, rate: RatePosition) -> Float:
        """Normalised latents (N, M, h, w) -> (N, H, h, w): what the hyper analysis makes of each position by itself."""
        ...

    def hyper_synthesis(self, u: Float, bias: Float) -> Float:
        """Hyper latents (N, Z, h/4, w/4) and rate bias (H,), both in levels -> features (N, H, h, w) in levels."""
        ...

    def context_step(self, step: int, features: Float, slots: list[Float], bias: Float) -> tuple[Float, Float]:
        """Features (N, H, h, w), `step` decoded slots (N, M, h/2, w/2), rate bias (K,), all in levels.

        Returns mean and scale index (N, M, h/2, w/2) of the next slot in 1/MEAN_UNIT and 1/INDEX_UNIT.
        """
        ...

    def synthesis(self, v_hat: Float, rate: RatePosition) -> NDArray[np.uint8]:
        """Dequantised normalised latents (N, M, h, w) -> RGB (N, 16h, 16w, 3)."""
        ...

    def distortion(self, v_hat: Float, x: Float, area: Rect, rate: RatePosition) -> tuple[Float, Float]:
        """The training distortion of decoded pictures and its gradient.

        v_hat (N, M, h, w): dequantised normalised latents; x (N, 3, a, b): the original in `area`, a rectangle of
        pixels, as RGB in [-0.5, 0.5]. Returns the distortion of each image (N,), on the scale of squared errors of
        0..255, and the gradient of their sum (N, M, h, w).
        """
        ...

    def preview(self, v_hat: Float) -> NDArray[np.uint8]:
        """Dequantised normalised latents (N, M, h, w) -> RGB (N, 2h, 2w, 3): nearly the means of 8x8 pixels."""
        ...
