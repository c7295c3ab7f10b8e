"""What a .vaec file says of its picture before any synthesis: latents, what the prior expected of them, a preview."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.coder import VALUE_LIMIT, SymbolTables
from vaecodec.bitstream.container import Container
from vaecodec.bitstream.grid import Rect
from vaecodec.bitstream.spec import (
    HYPER_LIMIT,
    HYPER_STRIDE,
    QUALITY_UNIT,
    SCALE_MIN,
    SCALES,
    SCALES_PER_OCTAVE,
    SYMBOL_UNIT,
)
from vaecodec.bitstream.tables import TOTAL
from vaecodec.coding.decoder import Decoding, decode_group
from vaecodec.coding.prior import join_slots
from vaecodec.coding.tile import TileCoder, Trace
from vaecodec.errors import FormatError
from vaecodec.nets.interface import Float

NO_LATENTS = "the picture is kept as it was (pixels or a JPEG): it has no latents"
DEVIATIONS = (SCALE_MIN * 2.0 ** (np.arange(SCALES) / SCALES_PER_OCTAVE)).astype(np.float32)
"""Standard deviation that a scale index stands for, in symbols (SCALES,)."""


@dataclass(frozen=True)
class Features:
    """What a file says of its picture. M, Z: latents and hyper latents of the model; h, w: sides of the picture in
    units of 16 pixels, padded to even numbers; p, q: of 64 pixels.

    Latents are in units of the normalised latents of the model, which do not depend on the quality: one of them is
    coarse or fine by how many symbols the quality gives to a unit.
    """

    y_hat: NDArray[np.float32]
    """Quantised latents (M, h, w): the posterior mean, rounded."""
    means: NDArray[np.float32]
    """What the prior expected of each, given z and the latents before it (M, h, w)."""
    scales: NDArray[np.float32]
    """Standard deviations of the prior (M, h, w), above 0."""
    bits: NDArray[np.float32]
    """What each latent took, by the tables of the coder (M, h, w): -log2 of its likelihood, 0 or more."""
    z_hat: NDArray[np.float32]
    """Hyper latents (Z, p, q), in units of z."""
    z_bits: NDArray[np.float32]
    """What each hyper latent took (Z, p, q)."""
    preview: NDArray[np.uint8]
    """RGB of an eighth of the size, rounded up (H/8, W/8, 3)."""
    width: int
    """Of the picture, in pixels."""
    height: int
    quality: float
    """1 to 100."""
    model: str
    """Identity of the model, 8 hexadecimal digits."""

    @cached_property
    def likelihoods(self) -> NDArray[np.float32]:
        """Probability of each latent under the prior (M, h, w), in (0, 1]."""
        return np.exp2(-self.bits)


@dataclass(frozen=True)
class TileFeatures:
    """The arrays of Features for one tile: y_hat and preview always, the rest where a trace was kept."""

    y_hat: Float
    preview: NDArray[np.uint8]
    trace: Trace | None


def tile_features(decoding: Decoding, container: Container, traced: bool) -> Iterator[tuple[Rect, TileFeatures]]:
    """Tiles of a file with latents, one after another, with their places in latent positions. Raises FormatError
    where there are no latents, or a part is damaged, ModelError where the model is not here."""
    if container.kept:
        raise FormatError(NO_LATENTS)
    coder = decoding.coder(container.header)
    for index, tile in enumerate(container.header.grid.tiles):
        trace = Trace() if traced else None
        y_hat = coder.prior.dequantise(decode_group(coder, [container], index, trace))
        yield tile, TileFeatures(y_hat[0], coder.preview(y_hat)[0], trace)


def read_features(decoding: Decoding, container: Container) -> Features:
    """All that a file with latents says; raises as tile_features."""
    if container.kept:
        raise FormatError(NO_LATENTS)
    header = container.header
    coder = decoding.coder(header)
    config, (height, width) = coder.model.config, header.grid.bounds[2:]
    y_hat, means, scales, bits = (np.empty((config.latents, height, width), np.float32) for _ in range(4))
    hyper = config.hyper_latents, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE)
    z_hat, z_bits = (np.empty(hyper, np.float32) for _ in range(2))
    preview = np.empty((2 * height, 2 * width, 3), np.uint8)
    for tile, found in tile_features(decoding, container, traced=True):
        assert found.trace is not None
        y_hat[tile.planes], preview[tile.times(2).slices] = found.y_hat, found.preview
        means[tile.planes], scales[tile.planes], bits[tile.planes] = _expected(coder, found.trace)
        part = tile.over(HYPER_STRIDE).planes
        z_hat[part], z_bits[part] = _hyper(coder, found.trace.z[0])
    area = slice(-(-header.height // 8)), slice(-(-header.width // 8))
    return Features(
        y_hat,
        means,
        scales,
        bits,
        z_hat,
        z_bits,
        np.ascontiguousarray(preview[area]),
        header.width,
        header.height,
        header.quality / QUALITY_UNIT,
        header.model.hex(),
    )


def _expected(coder: TileCoder, trace: Trace) -> tuple[Float, Float, Float]:
    """Means, scales and bits of a tile (M, h, w)."""
    means, indices, symbols = (join_slots(list(slots))[0] for slots in zip(*trace.slots, strict=True))
    gain = coder.prior.symbol_gain
    bits = symbol_bits(coder.model.latent_tables, indices, symbols)
    bits[indices == 0] = 0  # a symbol that is not coded: it is 0
    return means.astype(np.float32) / (SYMBOL_UNIT * gain), DEVIATIONS[indices] / gain, bits


def _hyper(coder: TileCoder, z: NDArray[np.int32]) -> tuple[Float, Float]:
    """Hyper latents of a tile in units of z, and what they took (Z, p, q)."""
    z_hat = np.clip(z, -HYPER_LIMIT, HYPER_LIMIT) / coder.prior.hyper_symbol_gain
    channels, rows, columns = z.shape
    tables = coder.prior.hyper_tables_index((channels, rows, columns))
    return z_hat.astype(np.float32), symbol_bits(coder.model.hyper_tables, tables, z)


def symbol_bits(tables: SymbolTables, table: NDArray[np.int64], symbols: NDArray[np.int32]) -> Float:
    """Bits that symbols take, each with the table of its index; any shape."""
    radius = tables.radius[table]
    escaped = np.abs(symbols) > radius
    place = np.where(escaped, 2 * radius + 1, symbols + radius)
    sizes = 2 * tables.radius + 2
    counts = tables.packed.counts[(np.cumsum(sizes) - sizes)[table] + place]
    bits = np.log2(TOTAL) - np.log2(counts.astype(np.float32))
    return (bits + escaped * np.log2(2 * VALUE_LIMIT + 1)).astype(np.float32)
