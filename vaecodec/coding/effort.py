"""How much work the encoder puts into an image: steps of refinement of its latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.grid import Rect, TileGrid
from vaecodec.bitstream.spec import PATCH
from vaecodec.coding.refine import Refiner
from vaecodec.coding.tile import Refine, TileCoder
from vaecodec.errors import VaecodecError
from vaecodec.nets.interface import Float
from vaecodec.system.limits import MAX_EFFORT, MIN_EFFORT

FIRST_STEPS = 64
"""Steps of effort 2; each further level has twice as many. Effort 1 takes the latents as the analysis makes them."""


def refinement_steps(effort: int) -> int:
    """Steps of an effort from 1 to 9; raises VaecodecError for others."""
    if isinstance(effort, bool) or not isinstance(effort, int) or not MIN_EFFORT <= effort <= MAX_EFFORT:
        raise VaecodecError(f"effort must be a whole number from {MIN_EFFORT} to {MAX_EFFORT}, not {effort}")
    return FIRST_STEPS << (effort - 2) if effort > 1 else 0


def refine_tile(
    refiner: Refiner,
    coder: TileCoder,
    grid: TileGrid,
    index: int,
    rgb: NDArray[np.uint8],
    steps: int,
    progress: Callable[[float], None] | None = None,
) -> Refine:
    """Refinement of the latents of one tile of the pictures (N, H, W, 3).

    Where another tile joins, its latents reach a halo into the pixels of this one: these do not count, and the latents
    that decide on them stay as they are, so that no seam comes into being.
    """
    tile, halo = grid.tiles[index], coder.model.config.synthesis_halo

    def inner(margin: int) -> Rect:
        """The tile without a margin where it does not end with the image."""
        sides = zip(tile, (margin, margin, -margin, -margin), grid.bounds, strict=True)
        return Rect(*(side if side == bound else side + inward for side, inward, bound in sides))

    free = inner(2 * halo).moved(tile.top, tile.left)
    seen = inner(halo).times(PATCH).clipped(Rect(0, 0, *rgb.shape[1:3]))

    def refine(v: Float, z: NDArray[np.int32]) -> Float:
        if free.height <= 0 or free.width <= 0:
            return v
        area = seen.moved(tile.top * PATCH, tile.left * PATCH)
        pixels = rgb[seen.interleaved]
        images = []
        for number in range(len(v)):  # one by one, for the memory

            def report(share: float, number: int = number) -> None:
                if progress:
                    progress((number + share) / len(v))

            one = slice(number, number + 1)
            with refiner.lock:
                images.append(refiner(coder.prior, v[one], z[one], free, pixels[one], area, steps, report))
        return np.concatenate(images)

    return refine
