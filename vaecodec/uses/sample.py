"""Samples from the prior of a codec: what its density of pictures looks like without a picture.

Ancestral sampling: hyper latents from their tables, then latents step by step, each slot from the tables that the
prior names once it has seen the slots before it; the synthesis makes the picture. The prior is local and was trained to
code, not to imagine: what comes out is texture and clouds of colour, no scenes.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.coder import SymbolTables
from vaecodec.bitstream.grid import Rect, TileGrid, choose_tile
from vaecodec.bitstream.spec import HYPER_STRIDE, STEPS
from vaecodec.coding.session import Session, Settings
from vaecodec.coding.tile import TileCoder
from vaecodec.coding.windows import analyse_tile, synthesise
from vaecodec.errors import VaecodecError
from vaecodec.model.rate import quality_units
from vaecodec.nets.interface import Float
from vaecodec.picture import Picture, check_pixels, to_picture, to_pil
from vaecodec.system.limits import MAX_TEMPERATURE, SAMPLE_QUALITY
from vaecodec.system.parallel import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from vaecodec.types import ImageLike

Symbols = NDArray[np.int32]


def sample(
    size: tuple[int, int] = (512, 512),
    seed: int = 0,
    temperature: float = 1.0,
    like: ImageLike | None = None,
    quality: float = SAMPLE_QUALITY,
    model: str | Path | None = None,
) -> Image.Image:
    """An RGB image drawn from the prior of a model: texture and clouds of colour, no scenes.

    size: (width, height) in pixels. seed: a whole number of at least 0; the same one gives the same latents again.
    temperature: 0 to 2; each table p becomes p^(1 / temperature): below 1 calmer, at 0 always the likeliest symbol.
    like: an image whose hyper latents are taken in place of drawn ones, and whose size counts: they say where there is
    how much detail, so that its outlines shine through. quality: 1 to 100, the rate whose prior is used: soft clouds
    below, hard blotches above. model: as for `encode`. Raises VaecodecError for other arguments.

    >>> from vaecodec.uses.sample import sample
    >>> sample((96, 64), seed=1).size
    (96, 64)
    """
    reference = None if like is None else to_picture(like)
    return to_pil(sample_picture(Session(Settings(model)), size, seed, temperature, reference, quality))


def sample_picture(
    session: Session,
    size: tuple[int, int],
    seed: int,
    temperature: float,
    like: Picture | None,
    quality: float,
    progress: Progress | None = None,
) -> Picture:
    """What `sample` shows, with a session."""
    width, height = size if like is None else (like.width, like.height)
    check_pixels(width, height, session.settings.max_pixels)
    _check(seed, temperature)
    if like is not None:
        session.model.require_encoder()
    grid = TileGrid(width, height, choose_tile(width, height))
    coder = session.coder(session.model, quality_units(quality), len(grid), session.workers)

    def draw_tile(index: int) -> Float:
        # Tiles are drawn side by side: each has random numbers of its own.
        random = np.random.default_rng([seed, index])
        if like is None:
            z = _draw_hyper(coder, grid.tiles[index], random, temperature)
        else:
            z = coder.hyper_symbols(analyse_tile(coder, grid, index, like.rgb[None]))
        return _draw(coder, z, grid.tiles[index], random, temperature)

    area = slice(0, height), slice(0, width)
    return Picture(synthesise(coder, 1, grid, area, draw_tile, session.workers, progress)[0][0])


def _check(seed: int, temperature: float) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise VaecodecError(f"seed must be a whole number of at least 0, not {seed}")
    if not isinstance(temperature, Real) or not 0 <= temperature <= MAX_TEMPERATURE:
        raise VaecodecError(f"temperature must be a number from 0 to {MAX_TEMPERATURE}, not {temperature}")


def _draw_hyper(coder: TileCoder, tile: Rect, random: np.random.Generator, temperature: float) -> Symbols:
    """Hyper symbols (1, Z, p, q) of a tile: independent of each other, for their tables know no neighbours."""
    shape = coder.model.config.hyper_latents, -(-tile.height // HYPER_STRIDE), -(-tile.width // HYPER_STRIDE)
    return draw(coder.model.hyper_tables, coder.prior.hyper_tables_index(shape), random, temperature)[None]


def _draw(coder: TileCoder, z: Symbols, tile: Rect, random: np.random.Generator, temperature: float) -> Float:
    """Normalised latents (1, M, h, w) of a tile, given its hyper symbols."""
    prior = coder.prior
    walk = prior.walk(prior.features(z, tile.height, tile.width))
    for _ in range(STEPS):
        _, index = walk.predict()
        symbols = draw(coder.model.latent_tables, index, random, temperature)
        walk.update(np.where(index > 0, symbols, 0))  # table 0 says "certainly zero": such latents are not coded
    return prior.dequantise(walk.values())


def draw(
    tables: SymbolTables, index: NDArray[np.integer[Any]], random: np.random.Generator, temperature: float = 1.0
) -> Symbols:
    """Symbols, each from the table of its index, of the same shape; never an escape, which stands for no value."""
    symbols = np.empty(index.shape, np.int32)
    for table in np.unique(index):
        here = index == table
        counts = tables.packed.table(int(table))[:-1].astype(np.float64)
        if temperature:
            weights = (counts / counts.max()) ** (1 / temperature)
        else:
            weights = (counts == counts.max()).astype(np.float64)
        ends = np.cumsum(weights)
        # Rounding may take a number just below 1 to the end itself.
        place = np.searchsorted(ends, random.random(int(here.sum())) * ends[-1], "right").clip(max=len(ends) - 1)
        symbols[here] = place - tables.radius[table]
    return symbols
