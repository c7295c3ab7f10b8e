"""From pixels to the latents of a tile, and from the latents of all tiles to pixels, without seams.

The analysis sees a margin of pixels around a tile, and the synthesis a halo of latents around a window, so both compute
the same as on the whole image. The synthesis always runs on the same fixed windows, since the last bits of float
arithmetic depend on the shape of the input: a region then equals the crop of the whole image exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.grid import Rect, TileGrid
from vaecodec.bitstream.spec import PATCH
from vaecodec.coding.tile import TileCoder
from vaecodec.errors import ImageError
from vaecodec.nets.interface import Float
from vaecodec.system.parallel import Workers

Region = tuple[int, int, int, int]
"""(x, y, width, height) in pixels."""
GRAY = 128
"""The value of lost pixels."""
BATCH = 16
"""Windows whose latents are held at a time, besides those that later windows need."""


@dataclass
class Damage:
    """The losses of a salvage: damaged groups, out of `groups_total`; pixels filled; names of lost
    sections."""

    groups: list[int] = field(default_factory=list)
    groups_total: int = 0
    pixels: int = 0
    sections: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.groups or self.sections)


def pixel_area(image_width: int, image_height: int, region: Region | None) -> tuple[slice, slice]:
    """Rows and columns of a region, or of the whole image; raises ImageError if it leaves it."""
    x, y, width, height = region or (0, 0, image_width, image_height)
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > image_width or y + height > image_height:
        raise ImageError(f"region {x},{y},{width},{height} is not within the image of {image_width}x{image_height}")
    return slice(y, y + height), slice(x, x + width)


def analyse_tile(coder: TileCoder, grid: TileGrid, index: int, rgb: NDArray[np.uint8]) -> Float:
    """Normalised latents (N, M, h, w) of a tile of the pictures (N, H, W, 3)."""
    tile = grid.tiles[index]
    around = tile.grown(coder.model.config.analysis_halo).clipped(grid.bounds)
    pixels = rgb[around.times(PATCH).interleaved]
    missing = (around.height * PATCH - pixels.shape[1], around.width * PATCH - pixels.shape[2])
    if any(missing):
        pixels = np.pad(pixels, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), "edge")
    v = coder.analyse(np.ascontiguousarray(pixels))
    return np.ascontiguousarray(v[tile.moved(around.top, around.left).planes])


def synthesise(
    coder: TileCoder,
    count: int,
    grid: TileGrid,
    area: tuple[slice, slice],
    decode_group: Callable[[int], Float | None],
    workers: Workers,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.uint8], int]:
    """Pixels (N, H, W, 3) of an area (rows, columns) of N images, and how many of them are lost.

    `decode_group` returns the normalised latents (N, M, h, w) of a tile, or None for a damaged one. It is called once
    for each tile that the area needs.
    """
    rows, columns = area
    target = Rect(rows.start, columns.start, rows.stop, columns.stop)
    rgb = np.empty((count, target.height, target.width, 3), np.uint8)
    windows = [window for window in grid.windows if window.times(PATCH).meets(target)]
    halo = coder.model.config.synthesis_halo
    around = [window.grown(halo).clipped(grid.bounds) for window in windows]
    needed = [grid.tiles_of(rect) for rect in around]
    last_use = {tile: i for i, tiles in enumerate(needed) for tile in tiles}
    latents: dict[int, Float | None] = {}
    lost = 0

    def fill(i: int) -> int:
        part = windows[i].times(PATCH).clipped(target)
        pixels = coder.synthesise(_gather(grid, around[i], needed[i], latents, (count, coder.model.config.latents)))
        origin = around[i].times(PATCH)
        out = rgb[part.moved(target.top, target.left).interleaved]
        out[:] = pixels[part.moved(origin.top, origin.left).interleaved]
        gray = np.zeros(out.shape[1:3], bool)
        for tile in needed[i]:
            if latents[tile] is None:
                touched = touched_by(grid, tile, halo)
                gray[touched.clipped(part).moved(part.top, part.left).slices] = True
        out[:, gray] = GRAY
        return count * int(gray.sum())

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


def touched_by(grid: TileGrid, tile: int, halo: int) -> Rect:
    """The pixels that the latents of a tile have a part in; they may lie beyond the image."""
    return grid.tiles[tile].grown(halo).times(PATCH)


def _gather(
    grid: TileGrid, rect: Rect, tiles: list[int], latents: dict[int, Float | None], shape: tuple[int, int]
) -> Float:
    """Latents (N, M, h, w) of a rectangle, copied from those of its tiles; `shape` is (N, M). Lost ones are zero."""
    v_hat = np.zeros((*shape, rect.height, rect.width), np.float32)
    for index in tiles:
        tile, values = grid.tiles[index], latents[index]
        if values is not None:
            part = tile.clipped(rect)
            inside = values[part.moved(tile.top, tile.left).planes]
            v_hat[part.moved(rect.top, rect.left).planes] = inside
    return v_hat
