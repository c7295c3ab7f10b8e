"""From pixels to the latents of a tile, and from the latents of all tiles to pixels, without seams.

The analysis sees the pixels around a tile, the synthesis a halo of latents around a window: both compute what they
would have computed on the whole image. The synthesis always runs on the same fixed windows, since the last bits of
float arithmetic depend on the shape of what is computed: a region then equals the crop of the whole image exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vaecodec.config import PATCH
from vaecodec.group import GroupCoder
from vaecodec.parallel import Workers
from vaecodec.runtime.nets import Float
from vaecodec.tiles import Rect, TileGrid

Region = tuple[int, int, int, int]
"""(x, y, width, height) in pixels."""
GRAY = 128
"""What lost pixels show."""
BATCH = 16
"""Windows whose latents are held at a time, besides those that later windows need."""


def analyse_tile(coder: GroupCoder, grid: TileGrid, index: int, rgb: NDArray[np.uint8]) -> Float:
    """Normalised latents (M, h, w) of a tile of the picture (H, W, 3)."""
    tile = grid.tiles[index]
    around = tile.grown(coder.model.config.analysis_halo).clipped(grid.bounds)
    pixels = rgb[around.times(PATCH).slices]
    missing = (around.height * PATCH - pixels.shape[0], around.width * PATCH - pixels.shape[1])
    if any(missing):
        pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), "edge")
    v = coder.analyse(np.ascontiguousarray(pixels))
    return np.ascontiguousarray(v[(slice(None), *tile.moved(around.top, around.left).slices)])


def synthesise(
    coder: GroupCoder,
    grid: TileGrid,
    area: tuple[slice, slice],
    decode_group: Callable[[int], Float | None],
    workers: Workers,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.uint8], int]:
    """Pixels (H, W, 3) of an area (rows, columns), and how many of them are lost.

    `decode_group` gives the normalised latents of a tile, or None for a damaged one; it is called once for each tile
    that the area needs.
    """
    rows, columns = area
    target = Rect(rows.start, columns.start, rows.stop, columns.stop)
    rgb = np.empty((target.height, target.width, 3), np.uint8)
    windows = [window for window in grid.windows if window.times(PATCH).meets(target)]
    halo = coder.model.config.synthesis_halo
    around = [window.grown(halo).clipped(grid.bounds) for window in windows]
    needed = [grid.tiles_of(rect) for rect in around]
    last_use = {tile: i for i, tiles in enumerate(needed) for tile in tiles}
    latents: dict[int, Float | None] = {}
    lost = 0

    def fill(i: int) -> int:
        part = windows[i].times(PATCH).clipped(target)
        pixels = coder.synthesise(_gather(grid, around[i], needed[i], latents, coder.model.config.latents))
        origin = around[i].times(PATCH)
        out = rgb[part.moved(target.top, target.left).slices]
        out[:] = pixels[part.moved(origin.top, origin.left).slices]
        gray = np.zeros(out.shape[:2], bool)
        for tile in needed[i]:
            if latents[tile] is None:
                touched = grid.tiles[tile].grown(halo).times(PATCH)
                gray[touched.clipped(part).moved(part.top, part.left).slices] = True
        out[gray] = GRAY
        return int(gray.sum())

    for start in range(0, len(windows), BATCH):
        batch = range(start, min(start + BATCH, len(windows)))
        missing = sorted({tile for i in batch for tile in needed[i]} - latents.keys())
        latents |= zip(missing, workers.map(decode_group, missing), strict=True)
        lost += sum(workers.map(fill, batch))
        for tile in [tile for tile in latents if last_use[tile] < batch.stop]:
            del latents[tile]
        if progress:
            progress(batch.stop / len(windows))
    return rgb, lost


def _gather(grid: TileGrid, rect: Rect, tiles: list[int], latents: dict[int, Float | None], channels: int) -> Float:
    """Latents (M, h, w) of a rectangle from those of the tiles that it meets; zero where they are lost."""
    v_hat = np.zeros((channels, rect.height, rect.width), np.float32)
    for index in tiles:
        tile, values = grid.tiles[index], latents[index]
        if values is not None:
            part = tile.clipped(rect)
            inside = values[(slice(None), *part.moved(tile.top, tile.left).slices)]
            v_hat[(slice(None), *part.moved(rect.top, rect.left).slices)] = inside
    return v_hat
