"""The stages of one group: pixels <-> latents <-> two coded streams. Groups know nothing of each other.

N images of equal size, or the same tile of each, go through the nets together.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.coder import Decoder, Encoder
from vaecodec.bitstream.container import Streams
from vaecodec.bitstream.spec import HYPER_LIMIT, HYPER_STRIDE, SYMBOL_UNIT
from vaecodec.coding.prior import Integers, Prior, split_slots
from vaecodec.errors import ModelError
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import RatePosition
from vaecodec.nets.interface import Float, Nets

Refine = Callable[[Float, NDArray[np.int32]], Float]
"""(normalised latents (N, M, h, w), their hyper symbols) -> better latents of that shape."""


class Timing(dict[str, float]):
    """Seconds spent in each stage, summed over threads."""

    def add(self, stage: str, started: float, excluded: float = 0.0) -> None:
        self[stage] = self.get(stage, 0.0) + time.perf_counter() - started - excluded


class GroupCoder:
    """Codes groups with one model at one rate."""

    def __init__(self, model: ModelFile, nets: Nets, units: int, timing: Timing) -> None:
        self.rate = RatePosition.of_quality(units, model.config.anchors)
        self.prior = Prior(model, nets, self.rate)
        self.model, self._nets, self._timing = model, nets, timing

    def analyse(self, pixels: NDArray[np.uint8]) -> Float:
        """RGB (N, H, W, 3), H and W multiples of PATCH -> normalised latents (N, M, H/16, W/16)."""
        started = time.perf_counter()
        v = self._nets.analysis(pixels, self.rate) * self.prior.norm_gain
        self._timing.add("analysis", started)
        return v

    def synthesise(self, v_hat: Float) -> NDArray[np.uint8]:
        """Normalised latents (N, M, h, w) -> RGB (N, 16h, 16w, 3)."""
        started = time.perf_counter()
        pixels = self._nets.synthesis(v_hat, self.rate)
        self._timing.add("synthesis", started)
        return pixels

    def preview(self, v_hat: Float) -> NDArray[np.uint8]:
        """Normalised latents (N, M, h, w) -> RGB (N, 2h, 2w, 3), an eighth of the size, much quicker."""
        return self._nets.preview(v_hat)

    def encode(self, v: Float, refine: Refine | None = None) -> tuple[list[Streams], Integers]:
        """Normalised latents (N, M, h, w), h and w even -> streams of each image, and the quantised latents in
        1/SYMBOL_UNIT symbol. `refine` may exchange the latents once the hyper latents are chosen."""
        if not np.isfinite(v).all():
            raise ModelError(f"model {self.model.name} makes of this image what is no number")
        prior, timing, quantise = self.prior, self._timing, self.model.quantiser
        started = time.perf_counter()
        z = self._nets.hyper_analysis(_pad_to(v, HYPER_STRIDE), self.rate) * prior.hyper_symbol_gain
        z = np.clip(np.rint(z), -HYPER_LIMIT, HYPER_LIMIT).astype(np.int32)
        timing.add("hyper_analysis", started)
        if refine:
            started = time.perf_counter()
            v = refine(v, z)
            timing.add("refinement", started)
        targets = split_slots(v * prior.symbol_gain)

        started = time.perf_counter()
        hyper_encoders, encoders = [Encoder() for _ in v], [Encoder() for _ in v]
        tables = prior.hyper_tables_index(z.shape[1:]).ravel()
        for encoder, symbols in zip(hyper_encoders, z, strict=True):
            encoder.encode(symbols.ravel(), tables, self.model.hyper_tables)
        timing.add("entropy", started)
        entropy = 0.0

        def code_step(step: int, mean: Integers, index: NDArray[np.uint8]) -> NDArray[np.int32]:
            nonlocal entropy
            symbols = quantise(targets[step] - mean.astype(np.float32) / SYMBOL_UNIT, index)
            entropy_started = time.perf_counter()
            for encoder, image_symbols, image_index in zip(encoders, symbols, index, strict=True):
                coded = image_index > 0
                encoder.encode(image_symbols[coded], image_index[coded], self.model.latent_tables)
            entropy += time.perf_counter() - entropy_started
            return symbols

        started = time.perf_counter()
        values = prior.code(prior.features(z, *v.shape[2:]), code_step)
        timing.add("prior", started, entropy)
        timing["entropy"] += entropy
        pairs = zip(hyper_encoders, encoders, strict=True)
        return [Streams(hyper.finish(), latent.finish()) for hyper, latent in pairs], values

    def decode(self, streams: list[Streams], height: int, width: int) -> Integers:
        """The part that is exact on every machine: streams of each image -> quantised latents (N, M, height, width).

        Raises FormatError where a stream is invalid.
        """
        prior, timing = self.prior, self._timing
        z_shape = (self.model.config.hyper_latents, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))

        started = time.perf_counter()
        decoders = [Decoder(image.latent) for image in streams]
        tables, z = prior.hyper_tables_index(z_shape).ravel(), np.empty((len(streams), *z_shape), np.int32)
        for image, symbols in zip(streams, z, strict=True):
            hyper_decoder = Decoder(image.hyper)
            symbols[:] = hyper_decoder.decode(tables, self.model.hyper_tables).reshape(z_shape)
            hyper_decoder.finish()
        timing.add("entropy", started)
        entropy = 0.0

        def code_step(step: int, mean: Integers, index: NDArray[np.uint8]) -> NDArray[np.int32]:
            nonlocal entropy
            symbols = np.zeros(index.shape, np.int32)
            entropy_started = time.perf_counter()
            for decoder, image_symbols, image_index in zip(decoders, symbols, index, strict=True):
                coded = image_index > 0
                image_symbols[coded] = decoder.decode(image_index[coded], self.model.latent_tables)
            entropy += time.perf_counter() - entropy_started
            return symbols

        started = time.perf_counter()
        values = prior.code(prior.features(z, height, width), code_step)
        timing.add("prior", started, entropy)
        timing["entropy"] += entropy
        for decoder in decoders:
            decoder.finish()
        return values


def _pad_to(array: NDArray, multiple: int) -> NDArray:
    """Repeat the last rows and columns of (N, C, h, w) up to a multiple."""
    missing = [-side % multiple for side in array.shape[2:]]
    return np.pad(array, [(0, 0), (0, 0), *((0, more) for more in missing)], "edge") if any(missing) else array
