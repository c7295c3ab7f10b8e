"""The stages of one tile: pixels <-> latents <-> two coded streams, which are a group of the file.

Tiles are independent of each other. N images of equal size, or the same tile of each, go through the nets together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.coder import Decoder, Encoder
from vaecodec.bitstream.container import Streams
from vaecodec.bitstream.spec import HYPER_LIMIT, HYPER_STRIDE, STEPS, SYMBOL_UNIT
from vaecodec.coding.clock import Clock, no_clock
from vaecodec.coding.prior import Integers, Prior, split_slots
from vaecodec.errors import ModelError
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import RatePosition
from vaecodec.nets.interface import Float, Nets

Refine = Callable[[Float, NDArray[np.int32]], Float]
"""(normalised latents (N, M, h, w), their hyper symbols) -> refined latents of that shape."""
Quantise = Callable[[Float, NDArray[np.uint8]], NDArray[np.int32]]


@dataclass
class Trace:
    """Intermediate results of decoding a tile of N images."""

    z: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """Hyper symbols (N, Z, p, q)."""
    slots: list[tuple[Integers, NDArray[np.uint8], NDArray[np.int32]]] = field(default_factory=list)
    """Means in 1/SYMBOL_UNIT symbol, scale indices and symbols of each slot, all (N, M, h/2, w/2)."""


class TileCoder:
    """Codes tiles with one model at one rate. quantise: (residuals, scale indices) -> symbols, as Quantiser does."""

    def __init__(self, model: ModelFile, nets: Nets, units: int, quantise: Quantise, clock: Clock = no_clock) -> None:
        self.rate = RatePosition.of_quality(units, model.config.anchors)
        self.prior = Prior(model, nets, self.rate)
        self.model, self._nets, self._quantise, self._clock = model, nets, quantise, clock

    def analyse(self, pixels: NDArray[np.uint8]) -> Float:
        """RGB (N, H, W, 3), H and W multiples of PATCH -> normalised latents (N, M, H/16, W/16)."""
        with self._clock("analysis"):
            return self._nets.analysis(pixels, self.rate) * self.prior.norm_gain

    def synthesise(self, v_hat: Float) -> NDArray[np.uint8]:
        """Normalised latents (N, M, h, w) -> RGB (N, 16h, 16w, 3)."""
        with self._clock("synthesis"):
            return self._nets.synthesis(v_hat, self.rate)

    def texture(self, v: Float) -> Float:
        """Normalised latents (N, M, h, w) -> features (N, H, h, w), as Nets.texture."""
        return self._nets.texture(v, self.rate)

    def preview(self, v_hat: Float) -> NDArray[np.uint8]:
        """Normalised latents (N, M, h, w) -> RGB (N, 2h, 2w, 3) at an eighth of the size, much faster."""
        return self._nets.preview(v_hat)

    def hyper_symbols(self, v: Float) -> NDArray[np.int32]:
        """Normalised latents (N, M, h, w) -> their hyper symbols (N, Z, p, q), p and q a quarter of h and w, rounded
        up."""
        with self._clock("hyper_analysis"):
            z = self._nets.hyper_analysis(_pad_to(v, HYPER_STRIDE), self.rate) * self.prior.hyper_symbol_gain
            return np.clip(np.rint(z), -HYPER_LIMIT, HYPER_LIMIT).astype(np.int32)

    def encode(self, v: Float, refine: Refine | None = None) -> tuple[list[Streams], Integers]:
        """Normalised latents (N, M, h, w), h and w even -> streams of each image, and the quantised latents in
        1/SYMBOL_UNIT symbol. `refine` may replace the latents once the hyper latents are fixed."""
        if not np.isfinite(v).all():
            raise ModelError(f"model {self.model.name} makes of this image what is no number")
        prior, clock, latent_tables = self.prior, self._clock, self.model.latent_tables
        z = self.hyper_symbols(v)
        if refine:
            with clock("refinement"):
                v = refine(v, z)
        hyper_encoders, encoders = [Encoder() for _ in v], [Encoder() for _ in v]
        with clock("entropy"):
            tables = prior.hyper_tables_index(z.shape[1:]).ravel()
            for encoder, symbols in zip(hyper_encoders, z, strict=True):
                encoder.encode(symbols.ravel(), tables, self.model.hyper_tables)
        with clock("prior"):
            walk = prior.walk(prior.features(z, *v.shape[2:]))
        for target in split_slots(v * prior.symbol_gain):
            with clock("prior"):
                mean, index = walk.predict()
                symbols = self._quantise(target - mean.astype(np.float32) / SYMBOL_UNIT, index)
            with clock("entropy"):
                for encoder, image_symbols, image_index in zip(encoders, symbols, index, strict=True):
                    coded = image_index > 0
                    encoder.encode(image_symbols[coded], image_index[coded], latent_tables)
            with clock("prior"):
                walk.update(symbols)
        pairs = zip(hyper_encoders, encoders, strict=True)
        return [Streams(hyper.finish(), latent.finish()) for hyper, latent in pairs], walk.values()

    def decode(self, streams: list[Streams], height: int, width: int, trace: Trace | None = None) -> Integers:
        """The part that is exact on every machine: streams of each image -> quantised latents (N, M, height, width).

        trace: records intermediate results. Raises FormatError if a stream is invalid.
        """
        prior, clock, latent_tables = self.prior, self._clock, self.model.latent_tables
        z_shape = (self.model.config.hyper_latents, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))
        decoders = [Decoder(image.latent) for image in streams]
        with clock("entropy"):
            tables, z = prior.hyper_tables_index(z_shape).ravel(), np.empty((len(streams), *z_shape), np.int32)
            for image, hyper_symbols in zip(streams, z, strict=True):
                hyper_decoder = Decoder(image.hyper)
                hyper_symbols[:] = hyper_decoder.decode(tables, self.model.hyper_tables).reshape(z_shape)
                hyper_decoder.finish()
        if trace:
            trace.z = z
        with clock("prior"):
            walk = prior.walk(prior.features(z, height, width))
        for _ in range(STEPS):
            with clock("prior"):
                mean, index = walk.predict()
            with clock("entropy"):
                symbols = np.zeros(index.shape, np.int32)
                for decoder, image_symbols, image_index in zip(decoders, symbols, index, strict=True):
                    coded = image_index > 0
                    image_symbols[coded] = decoder.decode(image_index[coded], latent_tables)
            if trace:
                trace.slots.append((mean, index, symbols))
            with clock("prior"):
                walk.update(symbols)
        for decoder in decoders:
            decoder.finish()
        return walk.values()


def _pad_to(array: NDArray[Any], multiple: int) -> NDArray[Any]:
    """Repeat the last rows and columns of (N, C, h, w) up to a multiple."""
    missing = [-side % multiple for side in array.shape[2:]]
    return np.pad(array, [(0, 0), (0, 0), *((0, more) for more in missing)], "edge") if any(missing) else array
