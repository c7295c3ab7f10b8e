"""Latents that are not rounded but drawn towards what the prior of the codec expects.

An empirical Bayes (Wiener) estimate, as in wavelet shrinkage (Chang, Yu and Vetterli, "Adaptive wavelet thresholding
for image denoising and compression", IEEE Trans. Image Processing 9, 2000), in the codec's own latents: the prior, run
on the noisy latents v, says mean m and deviation s of each; n is the deviation that the noise has there. What is above
the noise stays: v' = m + max(0, 1 - n^2 / s^2) (v - m).
"""

from __future__ import annotations

import math
import threading
from functools import cached_property

import numpy as np

from vaecodec.bitstream.spec import SYMBOL_UNIT
from vaecodec.coding.prior import join_slots, split_slots
from vaecodec.coding.session import Session, Settings
from vaecodec.coding.tile import TileCoder
from vaecodec.model.defaults import TUNES
from vaecodec.model.rate import quality_units
from vaecodec.nets.interface import Float

MODEL = TUNES["psnr"]
"""Trained for squared error, as an estimate of means needs it."""
SECOND_SHARE = 0.8
"""What the second pass counts of the noise, best on validation pictures: of a first result, which is smoother than the
picture, the prior says too small an s."""
PROBE_SIDE, PROBE_SIGMA = 512, 8.0
"""Side in pixels and deviation of the noise that is sent through the analysis, to see how much of it each channel
gets."""


class Shrinkage:
    """The model, loaded when it is first needed and kept, and what it does to latents. Threads may share one.

    threads: how many cores to use (None: all).
    """

    def __init__(self, threads: int | None = None) -> None:
        self._session = Session(Settings(MODEL, threads=threads))
        self.workers = self._session.workers
        self._responses: dict[tuple[int, bool], Float] = {}
        self._lock = threading.Lock()

    def coder(self, quality: int, tiles: int) -> TileCoder:
        """At a quality, for so many parts of a picture."""
        return self._session.coder(self._session.model, quality_units(quality), tiles, self.workers)

    def response(self, quality: int, gray: bool) -> Float:
        """The deviation in symbols (M, 1, 1) that white noise of one level has in each channel; gray: the same noise in
        red, green and blue."""
        with self._lock:
            if (quality, gray) not in self._responses:
                white = np.random.default_rng(0).standard_normal((PROBE_SIDE, PROBE_SIDE, 1 if gray else 3))
                probe = np.rint(127.5 + PROBE_SIGMA * np.broadcast_to(white, (PROBE_SIDE, PROBE_SIDE, 3)))
                coder = self.coder(quality, 1)
                symbols = coder.analyse(probe[None].clip(0, 255).astype(np.uint8)) * coder.prior.symbol_gain
                level = math.sqrt(PROBE_SIGMA**2 + 1 / 12)  # rounding to levels adds its own
                self._responses[quality, gray] = symbols.std((0, 2, 3))[:, None, None] / level
            return self._responses[quality, gray]

    def __call__(self, coder: TileCoder, v: Float, noise: Float, twice: bool = False) -> Float:
        """Noisy normalised latents (N, M, h, w), h and w even; noise: its deviation in symbols (M, 1, 1) -> clean
        ones. twice: the prior is run once more, on the first result."""
        gain = coder.prior.symbol_gain
        noisy = v * gain
        mean, s = self._expected(coder, v)
        clean = mean + np.maximum(0, 1 - np.square(noise / s)) * (noisy - mean)
        if twice:
            # Now s is that of the picture alone, not of picture and noise.
            mean, s = self._expected(coder, clean / gain)
            signal, rest = np.square(s), np.square(SECOND_SHARE * noise)
            clean = mean + signal / (signal + rest) * (noisy - mean)
        return clean / gain

    @cached_property
    def _deviations(self) -> Float:
        """What each scale index stands for, in symbols: of the tables, whose tails are heavier than a Gaussian's."""
        tables = self._session.model.latent_tables.packed
        variances = []
        for index, radius in enumerate(tables.radius.tolist()):
            counts = tables.table(index)[:-1].astype(np.float64)
            variances.append(counts @ np.square(np.arange(-radius, radius + 1)) / counts.sum())
        return np.sqrt(np.array(variances)).astype(np.float32)

    def _expected(self, coder: TileCoder, v: Float) -> tuple[Float, Float]:
        """Mean and deviation, in symbols, that the prior gives each of the normalised latents (N, M, h, w) from those
        before it, which it sees rounded as in a file."""
        walk = coder.prior.walk(coder.prior.features(coder.hyper_symbols(v), *v.shape[2:]))
        means, scales = [], []
        for target in split_slots(v * coder.prior.symbol_gain):
            emitted, index = walk.predict()
            means.append(emitted.astype(np.float32) / SYMBOL_UNIT)
            scales.append(self._deviations[index])
            walk.update(np.where(index > 0, np.rint(target - means[-1]), 0).astype(np.int32))
        return join_slots(means), join_slots(scales)
