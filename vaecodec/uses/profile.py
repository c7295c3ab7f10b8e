"""What the codec makes of each place of a picture: how much of it is lost, and how it looks to the hyper analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.grid import TileGrid, choose_tile
from vaecodec.bitstream.spec import PAD, PATCH
from vaecodec.coding.session import Session, Settings
from vaecodec.coding.windows import analyse_tile, synthesise
from vaecodec.errors import ImageError
from vaecodec.model.defaults import TUNES
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import quality_units
from vaecodec.nets.interface import Float
from vaecodec.picture import Picture
from vaecodec.picture.hidden import fill_hidden
from vaecodec.system.parallel import Workers

MODEL = TUNES["psnr"]
"""Trained for squared error: of the others an error says less."""
QUALITY = 50
BLOCK, CELL = 8, 4
"""Pixels a side: a profile has an entry for each block, of the cells around it."""
WINDOWS = (2, 4, 6)
"""Cells a side of the windows around each block: of 8, 16 and 24 pixels. A scratch shows in the small, a stain in the
large ones."""
COLOUR_WINDOW = 4
LEVELS = 2
"""Bands of the loss are three for each of so many octaves: changes across, down and both ways."""
LOSS = 3 * LEVELS * len(WINDOWS) + 3
"""Numbers of each block: the bands in each window, and the mean colour."""
STEP_VARIANCE = 1 / 4
"""Squared levels that are added to a loss: below, what is left is rounding."""
MARGIN = PATCH
"""Pixels around a picture that are mirrored: at a bare edge the transforms see less, and everything there looks odd."""
SMALLEST = 32
"""Pixels a side."""
DARK, LOG_UNIT = 32, 128
"""Colours count by LOG_UNIT * log(DARK + level), so that a shade or a gain is the same change of bright and dark ones,
and black is not torn apart; in mid-tones about a level is a level."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Profile:
    """loss (H/8, W/8, LOSS): of each block the logarithms of what the codec lost, by bands and windows, and of the mean
    colour; texture (H/16, W/16, C): features of the hyper analysis. Sides are rounded up."""

    width: int
    height: int
    loss: Float
    texture: Float


class Profiler:
    """Profiles of pictures by the model for squared error, which is loaded when it is first needed. Threads may share
    one. threads: how many cores to use (None: all)."""

    def __init__(self, threads: int | None = None) -> None:
        self._session = Session(Settings(MODEL, threads=threads))

    @property
    def model(self) -> ModelFile:
        return self._session.model

    @property
    def workers(self) -> Workers:
        """All cores, for pictures side by side."""
        return self._session.workers

    def __call__(self, picture: Picture, alone: bool = True) -> Profile:
        """alone: whether no other picture is worked on at the same time. Raises ImageError for one of less than
        SMALLEST pixels a side."""
        width, height = picture.width, picture.height
        if min(width, height) < SMALLEST:
            raise ImageError(f"the image has {width}x{height} pixels: {SMALLEST} a side are needed")
        session, canvas = self._session, _mirrored(fill_hidden(picture.rgb, picture.alpha))
        workers = session.workers if alone else session.lane
        size = canvas.shape[1], canvas.shape[0]
        grid = TileGrid(*size, choose_tile(*size))
        coder = session.coder(session.model, quality_units(QUALITY), len(grid), workers)
        texture = np.empty((session.model.config.hyper_channels, *grid.bounds[2:]), np.float32)

        def code_tile(index: int) -> Float:
            v = analyse_tile(coder, grid, index, canvas[None])
            texture[grid.tiles[index].planes] = coder.texture(v)[0]
            return coder.prior.dequantise(coder.encode(v)[1])

        area = slice(0, size[1]), slice(0, size[0])
        decoded = synthesise(coder, 1, grid, area, code_tile, workers)[0][0]
        loss = _within(_loss(canvas, decoded), BLOCK, width, height)
        return Profile(width, height, loss, _within(texture.transpose(1, 2, 0), PATCH, width, height))


def _mirrored(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With MARGIN pixels and more around it, up to whole quads of latents: what lies at an edge looks like the rest."""
    height, width = rgb.shape[:2]
    margins = [(MARGIN, MARGIN + -(side + 2 * MARGIN) % PAD) for side in (height, width)]
    return np.pad(rgb, (*margins, (0, 0)), "symmetric")


def _within(places: Float, pixels: int, width: int, height: int) -> Float:
    """What belongs to the picture of places (h, w, d) of so many pixels a side."""
    first = MARGIN // pixels
    return places[first : first - (-height // pixels), first : first - (-width // pixels)]


def _loss(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Float:
    """RGB (H, W, 3), sides multiples of BLOCK -> (H/8, W/8, LOSS).

    Bands are those of Haar's wavelet. Their directions tell a scratch from a blurred place.
    """
    rest = (before.astype(np.float32) - after) @ LUMA
    bands = []
    for octave in range(1, LEVELS + 1):
        a, b, c, d = (rest[i::2, j::2] for i in (0, 1) for j in (0, 1))
        for change in (a - b + c - d, a + b - c - d, a - b - c + d):
            energy = _means(np.square(change / 4), CELL >> octave)
            bands += [np.log(_around(energy, window) + STEP_VARIANCE / 4**octave) for window in WINDOWS]
        rest = (a + b + c + d) / 4
    colours = [_around(_means(before[:, :, channel], CELL), COLOUR_WINDOW) for channel in range(3)]
    return np.stack(bands + [LOG_UNIT * np.log(DARK + colour) for colour in colours], 2)


def _means(values: NDArray[np.generic], side: int) -> Float:
    """Of squares of `side` values a side: (h, w) -> (h/side, w/side)."""
    height, width = values.shape
    return values.reshape(height // side, side, width // side, side).mean((1, 3), dtype=np.float32)


def _around(cells: Float, window: int) -> Float:
    """Means (h/2, w/2) of the window of so many cells a side, an even number, around each block of two by two."""
    padded = np.pad(cells, (window - 2) // 2, "symmetric")
    rows = np.add.reduce([padded[i : i + cells.shape[0] : 2] for i in range(window)])
    means: Float = np.add.reduce([rows[:, j : j + cells.shape[1] : 2] for j in range(window)]) / np.float32(window**2)
    return means
