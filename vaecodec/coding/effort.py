"""Encoder effort: how many steps refine the latents of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.grid import Rect, TileGrid
from vaecodec.bitstream.spec import PATCH
from vaecodec.errors import VaecodecError
from vaecodec.nets.interface import Float
from vaecodec.system.limits import MAX_EFFORT, MIN_EFFORT

if TYPE_CHECKING:
    from vaecodec.coding.refine import Refiner
    from vaecodec.coding.tile import Refine, TileCoder

FIRST_STEPS = 64
"""Steps of effort 2; each further level doubles them. Effort 1 keeps the latents of the analysis."""


def refinement_steps(effort: int) -> int:
    """Refinement steps of an effort from 1 to 9; raises VaecodecError for other values."""
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
    """Refines the latents of one tile of the pictures (N, H, W, 3).

    Next to another tile, the latents reach a halo into the pixels of this one. Those pixels do not count, and the
    latents that determine them stay fixed, so that no seam appears.
    """
    tile, halo = grid.tiles[index], coder.model.config.synthesis_halo

    def inner(margin: int) -> Rect:
        """The tile without a margin on the sides where it meets another tile."""
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
        for number in range(len(v)):  # one by one, to save memory

            def report(share: float, number: int = number) -> None:
                if progress:
                    progress((number + share) / len(v))

            one = slice(number, number + 1)
            with refiner.lock:
                images.append(refiner(coder.prior, v[one], z[one], free, pixels[one], area, steps, report))
        return np.concatenate(images)

    return refine
