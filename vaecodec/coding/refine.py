"""Refinement: gradient descent on the latents of one image, for the least rate-distortion cost.

The analysis is good on average, not optimal for each image. Here Adam moves the latents, while each is drawn to the
integer below or above, with a probability that grows with proximity and a temperature that falls (stochastic Gumbel
annealing: Yang, Bamler and Mandt, "Improving Inference for Neural Image Compression", NeurIPS 2020). The bits are those
of the codec's own tables, interpolated linearly between integers. The hyper latents stay fixed: moving them gained
less. Means and scales are treated as constants and recomputed every few steps: their gradients, more than half of the
work, gained nothing. The decoder is unaffected.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.coder import VALUE_LIMIT
from vaecodec.bitstream.grid import Rect
from vaecodec.bitstream.spec import SYMBOL_UNIT
from vaecodec.bitstream.tables import TOTAL
from vaecodec.coding.prior import Prior, join_slots, split_slots
from vaecodec.coding.quantise import Quantiser
from vaecodec.model.config import MS_SSIM_MIN_SIZE
from vaecodec.model.file import ModelFile
from vaecodec.nets.interface import Float, Nets

LEARNING_RATE = 0.04
"""Of Adam, in symbols; decays to zero along a half cosine."""
HOT, COLD = 0.6, 0.15
"""Temperatures of the first and the last step."""
REFRESH = 8
"""Steps between updates of the means and scales."""


def soft_round(part: Float, temperature: float, uniform: Float) -> tuple[Float, Float]:
    """Soft rounding: weight of the upper integer for a fractional part, and its derivative, all of one shape; `uniform`
    in [0, 1) is the random draw.

    The logit is (atanh(part) - atanh(1 - part)) / temperature. Logistic noise, the difference of two Gumbel variables,
    at the same temperature relaxes the choice (Maddison, Mnih and Teh, 2017; Jang, Gu and Poole, 2017).
    """
    part, uniform = np.clip(part, 1e-4, 1 - 1e-4), np.clip(uniform, 1e-6, 1 - 1e-6)
    up, down = (1 + part) * part, (2 - part) * (1 - part)
    logit = np.log(up / down) * np.float32(0.5 / temperature) + np.log(uniform / (1 - uniform))
    weight = 0.5 + 0.5 * np.tanh(logit * np.float32(0.5 / temperature))  # the logistic function
    slope = 1 / ((1 + part) * (1 - part)) + 1 / (part * (2 - part))
    return weight, slope * weight * (1 - weight) * np.float32(1 / temperature**2)


class _Adam:
    """The Adam optimizer (Kingma and Ba, 2015)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._mean, self._square, self._count = np.zeros(shape, np.float32), np.zeros(shape, np.float32), 0

    def step(self, gradient: Float, rate: float) -> Float:
        """The update to subtract."""
        self._count += 1
        self._mean += np.float32(0.1) * (gradient - self._mean)
        self._square += np.float32(0.001) * (np.square(gradient) - self._square)
        rate *= math.sqrt(1 - 0.999**self._count) / (1 - 0.9**self._count)
        return self._mean * np.float32(rate) / (np.sqrt(self._square) + np.float32(1e-8))


class Refiner:
    """Refines latents with the nets of a model. Callers hold `lock`: each call takes all cores and much memory."""

    def __init__(self, model: ModelFile, nets: Nets, quantise: Quantiser) -> None:
        self._config, self._quantise, self._nets = model.config, quantise, nets
        packed = model.latent_tables.packed
        self._bits = -np.log2(packed.counts / np.float64(TOTAL)).astype(np.float32)
        self._bits[packed.starts[1:] - 1] += math.log2(2 * VALUE_LIMIT + 1)  # the value that follows an escape
        self._radius = packed.radius.astype(np.int32)
        self._centre = (packed.starts[:-1] + packed.radius).astype(np.int32)
        self.lock = threading.Lock()

    def __call__(
        self,
        prior: Prior,
        v: Float,
        z: NDArray[np.int32],
        free: Rect,
        rgb: NDArray[np.uint8],
        area: Rect,
        steps: int,
        report: Callable[[float], None],
    ) -> Float:
        """Normalised latents v (N, M, h, w) and their hyper symbols z (N, Z, ceil(h/4), ceil(w/4)) -> refined v.

        free: positions whose latents may move; rgb (N, H, W, 3): the target pixels, which v decodes to at `area`;
        report: called with the fraction of the steps done.
        """
        height, width = rgb.shape[1:3]
        if self._config.metric == "ms-ssim" and min(height, width) < MS_SSIM_MIN_SIZE:
            return v
        x = np.ascontiguousarray(rgb.transpose(0, 3, 1, 2), np.float32) / 255 - np.float32(0.5)
        features, gain = prior.features(z, *v.shape[2:]), prior.symbol_gain
        worth = np.float32(self._config.lambda_at(prior.rate.t) * height * width)
        free_here = np.zeros(v.shape[2:], bool)
        free_here[free.slices] = True

        def costs(y: Float) -> Float:
            """Bits of each image, and its distortion converted to bits, for the symbols of y (N,)."""
            mean, index, y_hat = self._quantised(prior, features, y)
            symbols = np.rint(y_hat - mean).astype(np.int32)
            bits = np.where(index > 0, self._bits_of(symbols, self._radius[index], self._centre[index]), 0)
            return bits.sum((1, 2, 3)) + worth * self._nets.distortion(y_hat / gain, x, area, prior.rate)[0]

        y = start = v * gain
        before, adam, random = costs(start), _Adam(v.shape), np.random.default_rng(0)
        for step in range(steps):
            share = step / steps
            if step % REFRESH == 0:
                mean, index, y_hat = self._quantised(prior, features, y)
                radius, centre = self._radius[index], self._centre[index]
                # Latents that are not coded take their mean; fixed ones are rounded.
                moving = (index > 0) & free_here
            residual = y - mean
            low = np.floor(residual)
            # The noise of an image does not depend on the rest of the batch.
            uniform = random.random(v.shape[1:], np.float32)
            weight, slope = soft_round(residual - low, HOT * (COLD / HOT) ** share, uniform)
            y_soft = np.where(moving, low + weight + mean, y_hat)
            gradient = self._nets.distortion(y_soft / gain, x, area, prior.rate)[1] * (worth / gain)
            symbol = low.astype(np.int32)
            gradient += self._bits_of(symbol + 1, radius, centre) - self._bits_of(symbol, radius, centre)
            gradient *= slope * moving
            y = y - adam.step(gradient, LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * share)))
            report((step + 1) / steps)
        better = (costs(y) < before)[:, None, None, None]
        return np.where(better, y, start) / gain

    def _bits_of(self, symbols: NDArray[np.int32], radius: NDArray[np.int32], centre: NDArray[np.int32]) -> Float:
        """Bits of symbols, given the radii of their tables and the positions of the zeros. Symbols beyond the radius
        are escaped; the entry after the last symbol is the escape."""
        within = (symbols >= -radius) & (symbols <= radius)
        return self._bits[centre + np.where(within, symbols, radius + 1)]

    def _quantised(self, prior: Prior, features: Float, y: Float) -> tuple[Float, NDArray[np.uint8], Float]:
        """Latents in symbols -> means, scale indices, and their values as the codec would quantise them, all (N, M, h,
        w)."""
        walk, means, indices = prior.walk(features), [], []
        for target in split_slots(y):
            mean, index = walk.predict()
            means.append(mean.astype(np.float32) / SYMBOL_UNIT)
            indices.append(index)
            walk.update(self._quantise(target - means[-1], index))
        y_hat = walk.values().astype(np.float32) / SYMBOL_UNIT
        return join_slots(means), join_slots(indices), y_hat
