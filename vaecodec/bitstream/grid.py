"""How an image is split: into tiles, which are coded as independent groups, and into windows for the synthesis.

Rectangles are in latent positions (PATCH pixels) unless a name says otherwise. The windows of the synthesis do not
coincide with the tiles: they are half as large and start a quarter of a tile off. A window with its halo then touches
at most two tiles along each axis, and a small region needs few groups wherever it lies.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType
from typing import NamedTuple

from vaecodec.bitstream.spec import PAD, PATCH
from vaecodec.errors import FormatError
from vaecodec.system.limits import MAX_LOG2, MIN_LOG2, TILE_LOG2


def counted_pixels(width: int, height: int) -> int:
    """Pixels of an image as limits count them: a thin image takes as much work as one at least PAD pixels wide and
    high."""
    return max(width, PAD) * max(height, PAD)


class Rect(NamedTuple):
    """Half-open rectangle."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def planes(self) -> tuple[EllipsisType, slice, slice]:
        """Index into (..., H, W)."""
        return ..., *self.slices

    @property
    def interleaved(self) -> tuple[slice, slice, slice]:
        """Index into (N, H, W, C)."""
        return slice(None), *self.slices

    def meets(self, other: Rect) -> bool:
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )

    def clipped(self, other: Rect) -> Rect:
        """The intersection with `other`."""
        return Rect(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def grown(self, margin: int) -> Rect:
        return Rect(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin)

    def moved(self, top: int, left: int) -> Rect:
        """Coordinates relative to the point (top, left)."""
        return Rect(self.top - top, self.left - left, self.bottom - top, self.right - left)

    def times(self, factor: int) -> Rect:
        return Rect(*(factor * side for side in self))

    def over(self, factor: int) -> Rect:
        """The smallest rectangle in units of `factor` that covers this one."""
        return Rect(self.top // factor, self.left // factor, -(-self.bottom // factor), -(-self.right // factor))


@dataclass(frozen=True)
class TileGrid:
    """Tiles and windows of an image of width x height pixels; tile_log2 None: one tile, one window.

    Raises FormatError if the image needs tiles and has none, has tiles and needs none, or has tiles of a wrong size.
    """

    width: int
    height: int
    tile_log2: int | None = None

    def __post_init__(self) -> None:
        longest = max(self.width, self.height)
        if self.tile_log2 is None:
            if longest > 1 << MAX_LOG2:
                raise FormatError("an image of this size must be coded in tiles")
        elif not MIN_LOG2 <= self.tile_log2 <= MAX_LOG2:
            raise FormatError("the tile size in the file is out of range")
        elif longest <= 1 << self.tile_log2:
            raise FormatError("an image of one tile must not be coded in tiles")

    @property
    def bounds(self) -> Rect:
        """The whole image, padded."""
        return Rect(0, 0, *(-(-side // PAD) * PAD // PATCH for side in (self.height, self.width)))

    @property
    def _tile(self) -> int:
        """Side of a tile."""
        return max(self.bounds) if self.tile_log2 is None else (1 << self.tile_log2) // PATCH

    @cached_property
    def tiles(self) -> list[Rect]:
        """In raster order, one group each."""
        height, width = self.bounds[2:]
        return _cells([*range(0, height, self._tile), height], [*range(0, width, self._tile), width])

    @cached_property
    def windows(self) -> list[Rect]:
        """In raster order."""
        if self.tile_log2 is None:
            return [self.bounds]
        half = self._tile // 2
        return _cells(*([0, *range(half // 2, side, half), side] for side in self.bounds[2:]))

    def __len__(self) -> int:
        """Number of groups."""
        rows, columns = (-(-side // self._tile) for side in self.bounds[2:])
        return rows * columns

    def tiles_of(self, rect: Rect) -> list[int]:
        """Indices of the tiles that a rectangle within the bounds intersects."""
        top, left, bottom, right = rect.over(self._tile)
        columns = -(-self.bounds.right // self._tile)
        return [row * columns + column for row in range(top, bottom) for column in range(left, right)]


def _cells(rows: list[int], columns: list[int]) -> list[Rect]:
    return [Rect(t, le, b, r) for t, b in itertools.pairwise(rows) for le, r in itertools.pairwise(columns)]


def choose_tile(width: int, height: int, tile_log2: int = TILE_LOG2) -> int | None:
    """The encoder's choice for an image of this size: tile_log2 if it needs tiles, else None."""
    return tile_log2 if max(width, height) > 1 << tile_log2 else None
