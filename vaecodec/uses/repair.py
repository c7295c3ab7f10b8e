"""Small damage repaired with the prior of the codec: scratches, dust, overlaid text.

Iterated denoising (Guleryuz, "Nonlinear approximation based image recovery using adaptive sparse reconstructions and
iterated denoising", IEEE Trans. Image Processing 15, 2006): what is missing begins as a membrane and becomes, step by
step, what the shrinkage of the latents makes of it, while the known pixels stay. The noise that the shrinkage assumes
falls from step to step, and the grid of latents moves, so that no border of blocks stays.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.grid import Rect
from vaecodec.bitstream.spec import PAD
from vaecodec.coding.tile import TileCoder
from vaecodec.errors import ImageError
from vaecodec.nets.interface import Float
from vaecodec.picture import Picture, to_picture, to_pil
from vaecodec.picture.hidden import fill_hidden
from vaecodec.picture.membrane import membrane
from vaecodec.system.limits import MAX_PIXELS
from vaecodec.system.parallel import Progress
from vaecodec.uses.shrinkage import Shrinkage

if TYPE_CHECKING:
    from vaecodec.system.files import Source
    from vaecodec.types import ImageLike

QUALITY = 80
"""Rate at which the transforms and the prior are used."""
SIGMAS = np.geomspace(40, 4, 16).tolist()
"""Deviation of the assumed noise in each step, in levels."""
SHIFTS = ((0, 0), (8, 8), (4, 12), (12, 4), (2, 6), (10, 14), (6, 2), (14, 10))
"""Pixels by which the picture is moved against the grid of latents, (down, right), in turns."""
MOMENTUM = 0.5
"""Share of the last step that is added to each: half as many steps do."""
CELL, MARGIN = 192, 24
"""Side in pixels of the squares that are repaired by themselves, and what is looked at around the damage in each: a
window fits 256 pixels wherever the grid lies."""
COARSE = 8
"""Damage wider than a window begins as a membrane over the whole picture, at so many times less than its size."""
WIDE = 20
"""Where a square of this side in pixels fits into the damage, a membrane is better, and stays. Less than MARGIN."""
JPEG_MARK = 128
"""JPEG leaves traces beside marks, so in such a mask only the brighter half counts."""

Mask = NDArray[np.bool_]


def read_mask(mask: ImageLike | Source | Mask, max_pixels: int = MAX_PIXELS) -> Mask:
    """A mask as `repair` takes it -> which pixels (H, W) are damaged. Raises ImageError for what is no image."""
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        mask = mask.astype(np.uint8)
    picture = to_picture(cast("ImageLike | Source", mask), max_pixels)
    if picture.alpha is not None and not picture.alpha.all():
        return picture.alpha > 0
    level = 1 if picture.origin is None else JPEG_MARK
    return (picture.rgb >= level).any(2)


class Repairer:
    """Repairs pictures; the model is loaded when it is first needed and kept. Threads may share one.

    threads: how many cores to use (None: all).
    """

    def __init__(self, threads: int | None = None) -> None:
        self._shrinkage = Shrinkage(threads)

    def __call__(self, picture: Picture, damage: Mask, progress: Progress | None = None) -> Picture:
        """A picture in which the pixels of `damage` (H, W) are replaced, and no other; the picture itself where there
        are none. Raises ImageError for damage of another size, or of every pixel."""
        if damage.shape != picture.rgb.shape[:2]:
            sizes = f"{damage.shape[1]}x{damage.shape[0]}, the image {picture.width}x{picture.height}"
            raise ImageError(f"the mask is {sizes}: it must have the size of the image")
        if not damage.any():
            return picture
        if damage.all():
            raise ImageError("the mask marks every pixel: nothing is left to repair from")
        seen = picture.rgb
        gray = picture.gray or bool(((seen[..., 1:] == seen[..., :1]).all(2) | damage).all())
        if picture.alpha is not None:
            seen = fill_hidden(seen, np.where(damage, 0, picture.alpha).astype(np.uint8))
        coarse, windows = _coarse(seen, damage), list(_windows(damage))
        coder = self._shrinkage.coder(QUALITY, len(windows))
        self._shrinkage.response(QUALITY, gray)  # before threads wait for it

        def repaired(window: Rect) -> NDArray[np.uint8]:
            around = window.grown(MARGIN).clipped(Rect(0, 0, *damage.shape))
            start = _start(seen[around.slices], damage[around.slices], coarse, around)
            values = self._iterated(coder, start, damage[around.slices], gray)
            return values[window.moved(around.top, around.left).slices]

        rgb = picture.rgb.copy()
        for window, values in zip(windows, self._shrinkage.workers.map(repaired, windows, progress), strict=True):
            lost = damage[window.slices]
            rgb[window.slices][lost] = values[lost]
        # What the file that was read keeps of itself is no longer what is seen.
        return replace(picture, rgb=rgb, origin=None, jpeg=None)

    def _iterated(self, coder: TileCoder, start: Float, damage: Mask, gray: bool) -> NDArray[np.uint8]:
        """RGB (H, W, 3) of a window whose damage (H, W) begins with `start`; where it is wide, that is what stays."""
        values, step = start.copy(), np.zeros(1, np.float32)
        narrow = damage & (_counts(_middles(damage, WIDE), WIDE // 2 - 1, WIDE // 2) == 0)
        for turn, sigma in enumerate(SIGMAS if narrow.any() else ()):
            noise = np.float32(sigma) * self._shrinkage.response(QUALITY, gray)
            clean = self._once(coder, values, noise, *SHIFTS[turn % len(SHIFTS)])[narrow]
            if gray:
                clean = np.broadcast_to(clean.mean(1, keepdims=True), clean.shape)
            step = clean - values[narrow] + np.float32(MOMENTUM) * step
            values[narrow] = np.clip(values[narrow] + step, 0, 255)
        return np.rint(values).astype(np.uint8)

    def _once(self, coder: TileCoder, values: Float, noise: Float, down: int, right: int) -> Float:
        """(H, W, 3) without noise of that deviation in symbols (M, 1, 1), moved against the grid."""
        height, width = values.shape[:2]
        margins = (down, -(down + height) % PAD), (right, -(right + width) % PAD), (0, 0)
        pixels = np.pad(np.rint(values).astype(np.uint8), margins, "symmetric")[None]
        clean = coder.synthesise(self._shrinkage(coder, coder.analyse(pixels), noise))[0]
        return clean[down : down + height, right : right + width].astype(np.float32)


def _windows(damage: Mask) -> Iterator[Rect]:
    """The damage (H, W) within each square of side CELL that has any."""
    for top in range(0, damage.shape[0], CELL):
        for left in range(0, damage.shape[1], CELL):
            here = damage[top : top + CELL, left : left + CELL]
            rows, columns = np.flatnonzero(here.any(1)), np.flatnonzero(here.any(0))
            if len(rows):
                yield Rect(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1).moved(-top, -left)


def _coarse(rgb: NDArray[np.uint8], damage: Mask) -> Image.Image:
    """The picture at 1/COARSE, and where damage covers all that a pixel stands for, a membrane."""
    margins = [(0, -side % COARSE) for side in damage.shape]
    known = np.pad(~damage, margins)
    shape = known.shape[0] // COARSE, COARSE, known.shape[1] // COARSE, COARSE
    pixels = np.pad(rgb, [*margins, (0, 0)])
    pixels[~known] = 0
    counts = known.reshape(shape).sum((1, 3), np.float32)[..., None]
    sums = pixels.reshape(*shape, 3).sum((1, 3), np.float32)
    filled = membrane(sums / np.maximum(counts, 1), counts[..., 0] > 0)
    return Image.fromarray(np.rint(filled).astype(np.uint8))


def _start(rgb: NDArray[np.uint8], damage: Mask, coarse: Image.Image, place: Rect) -> Float:
    """A window (H, W, 3) at `place` whose damage is a membrane. The coarse one holds it at the window's edge and in
    the middle of large holes, so that neighbouring windows agree."""
    box = place.left / COARSE, place.top / COARSE, place.right / COARSE, place.bottom / COARSE
    rough = np.asarray(coarse.resize((place.width, place.height), Image.Resampling.BILINEAR, box))
    known = ~damage | _middles(damage, 2 * MARGIN)
    known[[0, -1]] = known[:, [0, -1]] = True
    return membrane(np.where(damage[..., None], rough, rgb).astype(np.float32), known)


def _middles(damage: Mask, side: int) -> Mask:
    """Of damage (H, W), the pixels at the middle of squares of that even side that fit into it."""
    return _counts(damage, side // 2, side // 2 - 1) == side**2


def _counts(marks: Mask, before: int, after: int) -> NDArray[np.int32]:
    """How many marks (H, W) lie in a square around each pixel, from so many pixels before it to so many after."""
    sums = marks.astype(np.int32)
    for axis in (0, 1):
        lines = np.pad(np.moveaxis(sums, axis, 0), ((before + 1, after), (0, 0))).cumsum(0, dtype=np.int32)
        sums = np.moveaxis(lines[before + 1 + after :] - lines[: -before - 1 - after], 0, axis)
    return sums


@functools.lru_cache(maxsize=2)
def shared_repairer(threads: int | None = None) -> Repairer:
    """One for all who ask: its model stays loaded."""
    return Repairer(threads)


def repair(image: ImageLike, mask: ImageLike | Mask) -> Image.Image:
    """An image whose small damage is repaired by what the prior of the codec knows of pictures: a PIL image (L, LA, RGB
    or RGBA) of the same size, with alpha and metadata as `decode` keeps them.

    image: PIL image, numpy array (H, W[, C]) uint8, torch tensor, path or bytes of an image file, as for `encode`.
    mask: as `image`, or an array (H, W) of bool, of the same size; what is not black is damaged and gets new colours,
    while all other pixels stay as they are. A mask with transparent pixels marks by its opaque ones, whatever their
    colour; one from a JPEG file by the brighter half of the levels. Nothing marked: the image comes back as it is.

    For scratches, dust and overlaid text; holes into which a square of 20 pixels fits become a membrane. Raises
    ImageError for what is no image, a mask of another size, or one that marks every pixel. The method is iterated
    denoising; see vaecodec.uses.repair.

    >>> mask = np.zeros((64, 96), np.uint8)
    >>> mask[20:23, 10:80] = 255
    >>> whole = vaecodec.repair(image, mask)
    >>> whole.mode, whole.size
    ('RGB', (96, 64))
    """
    picture = to_picture(image, MAX_PIXELS)
    return to_pil(shared_repairer()(picture, read_mask(mask)))
