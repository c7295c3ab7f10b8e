"""Denoising with the prior of the codec: the synthesis of latents that are not rounded but drawn towards what the prior
expects (vaecodec.uses.shrinkage), and an estimate of the noise."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.grid import TileGrid, choose_tile
from vaecodec.bitstream.spec import PAD, PATCH
from vaecodec.coding.windows import analyse_tile, synthesise
from vaecodec.errors import VaecodecError
from vaecodec.nets.interface import Float
from vaecodec.picture import Picture, to_picture, to_pil
from vaecodec.picture.hidden import fill_hidden
from vaecodec.system.limits import MAX_PIXELS, MAX_SHIFTS, MAX_SIGMA
from vaecodec.system.parallel import Progress
from vaecodec.uses.shrinkage import Shrinkage

if TYPE_CHECKING:
    from vaecodec.types import ImageLike

QUALITY, FINE_QUALITY = 80, 100
"""Rates at which the transforms and the prior are used; the finer one, which loses less itself, below FAINT."""
QUIET, FAINT = 2.0, 3.0
"""Deviations of noise, in levels: an estimate below QUIET counts as none."""
TWICE_FROM = 15.0
"""From this deviation on a second pass pays: the prior is run once more, on the first result. Of gray pictures it is
that of the three channels' common part, in which the same noise is sqrt(3) times as strong."""
SHIFTS = ((0, 0), (8, 8), (4, 12), (12, 4))
"""Pixels by which copies are moved, (down, right), against the grid of latents."""
QUIET_CHANNELS = 32
"""The noise is estimated from the channels in which pictures have least beside it."""
FLOOR, FLOOR_CHI2 = 0.1, 0.6959
"""The tenth of the positions with least energy in them is taken for noise alone: the quantile, and where it lies for
noise (of chi-squared with QUIET_CHANNELS degrees of freedom, over these)."""
CLIPPED_SHARE = 1 / 8
"""Of a position's pixels, so many may be black or white: where more are, the noise is cut off."""
SAMPLED_TILES = 16
"""Of larger images so many tiles, spread over them, are looked at for the estimate."""


@dataclass(frozen=True)
class Denoised:
    """A picture; the deviation of its noise in levels, given or estimated; and whether it was changed: an estimate
    below QUIET leaves it as it is."""

    picture: Picture
    sigma: float
    changed: bool

    @property
    def taken(self) -> float | None:
        """The deviation of what was taken away; None where nothing was."""
        return round(self.sigma, 2) if self.changed else None


def check_sigma(sigma: float | None) -> None:
    """Raises VaecodecError for what is no deviation of noise."""
    if sigma is None:
        return
    number = isinstance(sigma, Real) and not isinstance(sigma, bool) and math.isfinite(sigma)
    if not number or not 0 < sigma <= MAX_SIGMA:
        raise VaecodecError(f"sigma must be a number above 0, at most {MAX_SIGMA} (levels of 255), not {sigma}")


def check_shifts(shifts: int) -> None:
    """Raises VaecodecError for no number of SHIFTS."""
    if isinstance(shifts, bool) or not isinstance(shifts, int) or not 1 <= shifts <= MAX_SHIFTS:
        raise VaecodecError(f"shifts must be a whole number from 1 to {MAX_SHIFTS}, not {shifts}")


class Denoiser:
    """Denoises pictures; the model is loaded when it is first needed and kept. Threads may share one.

    threads: how many cores to use (None: all); twice_from: see TWICE_FROM.
    """

    def __init__(self, threads: int | None = None, twice_from: float = TWICE_FROM) -> None:
        self._shrinkage, self._twice_from = Shrinkage(threads), twice_from

    def __call__(
        self, picture: Picture, sigma: float | None = None, shifts: int = 1, progress: Progress | None = None
    ) -> Denoised:
        """A picture without its noise; see denoise, which explains the arguments and what is raised."""
        check_sigma(sigma)
        check_shifts(shifts)
        rgb, gray = fill_hidden(picture.rgb, picture.alpha), picture.gray or _is_gray(picture.rgb)
        analysed: dict[int, Float] = {}
        if sigma is None:
            seen = None if picture.alpha is None else _Canvas(picture.alpha[:, :, None] > 0)
            sigma, analysed = self._estimate(_Canvas(rgb), seen, gray)
            if sigma < QUIET:
                return Denoised(picture, sigma, False)
        if sigma < FAINT:
            analysed = {}
        total = np.zeros(rgb.shape, np.uint16)
        for number, shift in enumerate(SHIFTS[:shifts]):

            def report(share: float, number: int = number) -> None:
                if progress:
                    progress((number + share) / shifts)

            total += self._once(_Canvas(rgb, *shift), sigma, gray, analysed if number == 0 else {}, report)
        clean = ((total + shifts // 2) // shifts).astype(np.uint8)
        if gray:
            clean = np.repeat(((clean.sum(2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8), 3, 2)
        # What the file that was read keeps of itself is no longer what is seen.
        return Denoised(replace(picture, rgb=clean, origin=None, jpeg=None), sigma, True)

    def _once(
        self, canvas: _Canvas, sigma: float, gray: bool, analysed: dict[int, Float], progress: Progress
    ) -> NDArray[np.uint8]:
        """RGB (H, W, 3) of one copy; analysed: latents of tiles that are known already, which are used up."""
        quality, workers = FINE_QUALITY if sigma < FAINT else QUALITY, self._shrinkage.workers
        coder = self._shrinkage.coder(quality, len(canvas.grid))
        twice = sigma * (math.sqrt(3) if gray else 1) >= self._twice_from
        noise = sigma * self._shrinkage.response(quality, gray)

        def clean_tile(tile: int) -> Float:
            v = analysed.pop(tile) if tile in analysed else analyse_tile(coder, canvas.grid, tile, canvas.pixels)
            return self._shrinkage(coder, v, noise, twice)

        return synthesise(coder, 1, canvas.grid, canvas.area, clean_tile, workers, progress)[0][0]

    def _estimate(self, canvas: _Canvas, seen: _Canvas | None, gray: bool) -> tuple[float, dict[int, Float]]:
        """The deviation of the noise in levels, 0 where nothing tells it; and the latents of the tiles that were looked
        at. seen: of pixels (H, W, 1), whether they are no filling."""
        count = len(canvas.grid)
        tiles = np.unique(np.linspace(0, count - 1, min(count, SAMPLED_TILES)).astype(int)).tolist()
        coder, response = self._shrinkage.coder(QUALITY, count), self._shrinkage.response(QUALITY, gray)
        channels = np.argsort((coder.prior.symbol_gain / response).ravel())[:QUIET_CHANNELS]
        per_level = (coder.prior.symbol_gain / response)[channels]
        analysed = dict(
            zip(
                tiles,
                self._shrinkage.workers.map(lambda tile: analyse_tile(coder, canvas.grid, tile, canvas.pixels), tiles),
                strict=True,
            )
        )
        energies = []
        for tile, v in analysed.items():
            place = canvas.grid.tiles[tile].times(PATCH).interleaved
            telling = _telling(canvas.pixels[place]) & (seen is None or _blocks(seen.pixels[place]).all((2, 4, 5)))
            energies.append(np.square(v[0, channels] * per_level).mean(0)[telling[0]])
        told = np.concatenate(energies)
        return math.sqrt(float(np.quantile(told, FLOOR)) / FLOOR_CHI2) if len(told) else 0.0, analysed


class _Canvas:
    """An image (H, W, 3) moved down and right, mirrored at its edges up to whole quads of latents: pixels
    (1, H', W', 3), their grid, and the rows and columns of the image in them."""

    def __init__(self, rgb: NDArray[Any], down: int = 0, right: int = 0) -> None:
        height, width = rgb.shape[:2]
        self.area = slice(down, down + height), slice(right, right + width)
        # The codec repeats the last pixels; of noise that makes streaks, which are no noise to the prior.
        margins = (down, -(down + height) % PAD), (right, -(right + width) % PAD), (0, 0)
        self.pixels = np.pad(rgb, margins, "symmetric")[None]
        size = self.pixels.shape[2], self.pixels.shape[1]
        self.grid = TileGrid(*size, choose_tile(*size))


def _blocks(pixels: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W, C) -> (N, H/16, 16, W/16, 16, C): what each latent position covers."""
    n, height, width, c = pixels.shape
    return pixels.reshape(n, height // PATCH, PATCH, width // PATCH, PATCH, c)


def _telling(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which latent positions (N, H/16, W/16) tell of noise: not those of one colour, nor those with a share of black or
    white, which frames and clipping make."""
    blocks = _blocks(pixels)
    varied = (blocks.max((2, 4)) != blocks.min((2, 4))).any(-1)
    ends = ((blocks == 0) | (blocks == 255)).all(-1)
    return varied & (ends.mean((2, 4)) <= CLIPPED_SHARE)


def _is_gray(rgb: NDArray[np.uint8]) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())


@functools.lru_cache(maxsize=2)
def shared_denoiser(threads: int | None = None) -> Denoiser:
    """One for all who ask: its model stays loaded."""
    return Denoiser(threads)


def denoise(image: ImageLike, sigma: float | None = None, shifts: int = 1) -> Image.Image:
    """An image without its noise, by the prior of the codec: a PIL image (L, LA, RGB or RGBA) of the same size, with
    alpha and metadata as `decode` keeps them.

    image: PIL image, numpy array (H, W[, C]) uint8, torch tensor, path or bytes of an image file, as for `encode`.
    sigma: standard deviation of the noise, in levels of 0..255, above 0, at most 100; None: it is estimated, and an
    image whose noise seems to be below 2 comes back as it is. shifts: from 1 to 4: the mean of so many results, of
    shifted copies: a little better, in so many times the time. Made for white Gaussian noise; of noise that a camera or
    JPEG has smoothed it sees, and takes away, a part. Raises ImageError for what is no image, VaecodecError for another
    sigma or number of shifts.

    The method is an empirical Bayes estimate of the latents under the codec's own density; see vaecodec.uses.shrinkage.

    >>> clean = vaecodec.denoise(image, sigma=10)
    >>> clean.mode, clean.size
    ('RGB', (96, 64))
    """
    check_sigma(sigma)
    check_shifts(shifts)
    return to_pil(shared_denoiser()(to_picture(image, MAX_PIXELS), sigma, shifts).picture)
