"""Seven textures without and with defects, for benchmarks/studies/anomaly.py: three photographs of scikit-image, four
that are drawn. Everything follows from a seed.

A defect is on the thing, not on its picture: the camera (gain, uneven light, noise) comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Scene = NDArray[np.float64]
"""(H, W, 3), 0 to 255, before the camera."""
PHOTOS = ("brick", "grass", "gravel")
DRAWN = ("fabric", "wood", "leather", "label")
DEFECTS = ("scratch", "stain", "missing", "misprint", "blur")
VISIBLE = 4
"""Levels of mean absolute change."""
TILE, SIDE = 128, 256
"""Pixels a side: of tiles of the photographs, and of drawn pictures."""


@dataclass
class Sample:
    """pixels (H, W, 3) uint8; mask (H, W): where the defect is; kind: which, "good" without one."""

    pixels: NDArray[np.uint8]
    kind: str = "good"
    mask: NDArray[np.bool_] | None = None


@dataclass
class Texture:
    """fit: good pictures to learn from; test: others, with and without defects; more: yet other good ones, for false
    alarms alone."""

    name: str
    fit: list[NDArray[np.uint8]]
    test: list[Sample]
    more: list[NDArray[np.uint8]] = field(default_factory=list)

    @property
    def aligned(self) -> bool:
        return self.name == "label"


def texture(name: str, seed: int, fit: int = 48, good: int = 21, bad: int = 12, more: int = 60) -> Texture:
    """One of PHOTOS or DRAWN; bad: pictures of each of DEFECTS. Odd seeds fit photographs on their upper half and test
    on the lower one, even seeds the other way round."""
    random = np.random.default_rng([seed, *name.encode()])
    scene = _photo(name, seed, random) if name in PHOTOS else (lambda split, number: _drawn(name, random))
    learned = [_camera(name, scene("fit", i), random) for i in range(fit)]
    test = [Sample(_camera(name, scene("test", i), random)) for i in range(good)]
    for kind in DEFECTS:
        for _ in range(bad):
            broken, mask = _broken(scene("test", int(random.integers(good))), kind, random)
            test.append(Sample(_camera(name, broken, random), kind, mask))
    return Texture(
        name, learned, test, [_camera(name, scene("test", int(random.integers(99))), random) for i in range(more)]
    )


def _photo(name: str, seed: int, random: np.random.Generator):
    """Tiles in raster order, side by side and overlapping: 5 rows of 9 to fit, 3 of 7 (or anywhere) to test."""
    from skimage import data

    whole = np.repeat(getattr(data, name)()[:, :, None], 3, 2).astype(np.float64)
    halves = [whole[:256], whole[256:]]

    def tile(split: str, number: int) -> Scene:
        half = halves[(seed + (split == "fit")) % 2]
        if split == "fit":
            row, column = number // 9 % 5 * 32, number % 9 * 48
        elif number < 21:
            row, column = number // 7 * 64, number % 7 * 64
        else:
            row, column = random.integers(129), random.integers(385)
        return half[row : row + TILE, column : column + TILE].copy()

    return tile


def _camera(name: str, scene: Scene, random: np.random.Generator) -> NDArray[np.uint8]:
    """Photographs: gain of 5 % and noise of 2 levels; drawn pictures: uneven light and noise of 4 levels."""
    if name in PHOTOS:
        light, noise = random.uniform(0.95, 1.05), 2
    else:
        y, x = np.mgrid[-1 : 1 : scene.shape[0] * 1j, -1 : 1 : scene.shape[1] * 1j]
        slope = random.normal(0, 0.04, 2)
        light, noise = (1 + random.uniform(-0.05, 0.05) + slope[0] * x + slope[1] * y)[:, :, None], 4
    return (scene * light + random.normal(0, noise, scene.shape)).clip(0, 255).round().astype(np.uint8)


def _grain(random: np.random.Generator, sigma: float | tuple[float, float], side: int = SIDE) -> NDArray[np.float64]:
    """Smooth noise (side, side) of mean 0 and deviation 1."""
    noise = ndimage.gaussian_filter(random.normal(size=(side, side)), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def _drawn(name: str, random: np.random.Generator) -> Scene:
    return {"fabric": _fabric, "wood": _wood, "leather": _leather, "label": _label}[name](random)


def _fabric(random: np.random.Generator) -> Scene:
    """Plain weave: threads over and under each other, 8 pixels wide, none quite straight."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    x, y = x + 0.8 * _grain(random, 20) + random.uniform(0, 8), y + 0.8 * _grain(random, 20) + random.uniform(0, 8)
    warp, weft = np.abs(np.sin(np.pi * x / 8)), np.abs(np.sin(np.pi * y / 8))
    over = (np.floor(x / 8) + np.floor(y / 8)) % 2 == 0
    height = np.where(over, warp * (0.6 + 0.4 * weft), weft * (0.6 + 0.4 * warp)) + 0.05 * _grain(random, 1)
    colour = np.where(over[:, :, None], (92, 108, 150), (104, 118, 158))
    return colour * (0.55 + 0.6 * height[:, :, None])


def _wood(random: np.random.Generator) -> Scene:
    """Rings cut lengthwise, with fibres."""
    y = np.mgrid[:SIDE, :SIDE][0].astype(np.float64)
    rings = np.sin(2 * np.pi * (y + 14 * _grain(random, (24, 90)) + random.uniform(0, 40)) / 22)
    fibres = _grain(random, (0.7, 14))
    value = 1 + 0.12 * rings + 0.05 * fibres
    return np.array((176, 124, 78)) * value[:, :, None]


def _leather(random: np.random.Generator) -> Scene:
    """Cells with grooves between them."""
    points = random.uniform(-10, SIDE + 10, (1300, 2))
    from scipy.spatial import cKDTree

    grid = np.stack(np.mgrid[:SIDE, :SIDE], -1).reshape(-1, 2)
    near = cKDTree(points).query(grid, 2)[0]
    groove = np.minimum((near[:, 1] - near[:, 0]) / 3, 1).reshape(SIDE, SIDE)
    value = 0.6 + 0.4 * ndimage.gaussian_filter(groove, 0.7) + 0.04 * _grain(random, 6)
    return np.array((120, 72, 52)) * value[:, :, None]


def _label(random: np.random.Generator) -> Scene:
    """The same print each time, shifted by up to a pixel and a half."""
    scale = 4
    image = Image.new("RGB", (SIDE * scale, SIDE * scale), (212, 208, 198))  # paper, not blown out
    draw = ImageDraw.Draw(image)
    box = lambda *corners: [scale * c for c in corners]  # noqa: E731
    draw.rounded_rectangle(box(12, 12, 244, 244), radius=40, outline=(30, 60, 120), width=12)
    draw.rectangle(box(12, 52, 244, 84), fill=(190, 40, 44))
    draw.ellipse(box(30, 104, 110, 184), fill=(240, 190, 50), outline=(60, 40, 10), width=8)
    draw.polygon(box(70, 116, 96, 166, 44, 166), fill=(40, 110, 60))
    font = ImageFont.load_default(size=20 * scale)
    draw.text(box(34, 56), "VALLEY SPRING", (226, 226, 220), font)
    small = ImageFont.load_default(size=11 * scale)
    for i, line in enumerate(("still water", "0.75 litre", "keep it cool", "lot 4711")):
        draw.text(box(128, 106 + 18 * i), line, (30, 40, 60), small)
    for i, width in enumerate((2, 1, 3, 1, 2, 2, 1, 3, 2, 1, 1, 3, 1, 2, 3, 1, 2, 1)):
        draw.rectangle(box(34 + 5 * i, 198, 34 + 5 * i + width, 228), fill=(20, 20, 20))
    scene = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)).astype(np.float64)
    return ndimage.shift(scene, (*random.uniform(-1.5, 1.5, 2), 0), order=1, mode="nearest")


def _broken(scene: Scene, kind: str, random: np.random.Generator) -> tuple[Scene, NDArray[np.bool_]]:
    """A scene with a defect, and the pixels that it covers. What changes these by less than VISIBLE (blur on plain
    paper) is no defect: there is another try."""
    while True:
        broken, mask = _defect(scene, kind, random)
        if np.abs(broken - scene)[mask].mean() >= VISIBLE:
            return broken, mask


def _defect(scene: Scene, kind: str, random: np.random.Generator) -> tuple[Scene, NDArray[np.bool_]]:
    side, out = scene.shape[0], scene.copy()
    margin = side // 6
    centre = random.integers(margin, side - margin, 2)
    if kind == "scratch":
        weight = _line(side, centre, random)
        out += (weight * random.choice([-1, 1]) * random.uniform(40, 70))[:, :, None]
        return out, weight > 0.3
    if kind == "misprint":
        size = int(random.integers(side // 6, side // 3))
        top, left = np.clip(centre - size // 2, 0, side - size)
        y, x = random.integers(0, side - size, 2)
        # Right angles would leave a weave as it is.
        turned = ndimage.rotate(scene, random.uniform(30, 60), reshape=False, order=1, mode="mirror")
        out[top : top + size, left : left + size] = turned[y : y + size, x : x + size]
        mask = np.zeros((side, side), bool)
        mask[top : top + size, left : left + size] = True
        return out, mask
    weight = _blob(side, centre, random)[:, :, None]
    mask = weight[:, :, 0] > 0.3
    if kind == "stain":
        tint = 1 - random.uniform(0.2, 0.45) * random.uniform(0.6, 1, 3)
        if np.ptp(scene, 2).max() == 0:  # among grays a tint is found by anything
            tint[:] = tint.mean()
        return out * (1 - weight + weight * tint), mask
    if kind == "missing":
        flat = scene[mask].mean(0) + random.normal(0, 6)
        return out * (1 - weight) + weight * flat, mask
    soft = ndimage.gaussian_filter(scene, (random.uniform(2, 4),) * 2 + (0,), mode="nearest")
    return out * (1 - weight) + weight * soft, mask


def _line(side: int, centre: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """A bent line of 1.5 to 3 pixels, as weights (side, side)."""
    angle, bend, reach = random.uniform(0, np.pi), random.normal(0, 0.15), random.uniform(0.15, 0.3) * side
    t = np.linspace(-1, 1, 9)
    along = np.stack([np.cos(angle + bend * t), np.sin(angle + bend * t)], 1)
    points = centre[None, ::-1] + reach * t[:, None] * along
    image = Image.new("L", (4 * side, 4 * side))
    ImageDraw.Draw(image).line([tuple(4 * p) for p in points], fill=255, width=round(4 * random.uniform(1.5, 3)))
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)) / 255


def _blob(side: int, centre: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """A round thing with an uneven, soft rim, as weights (side, side)."""
    y, x = np.mgrid[:side, :side] - centre[:, None, None]
    radius = random.uniform(0.08, 0.15) * side * (1 + 0.15 * _grain(random, side / 20, side))
    return np.clip((radius - np.hypot(y, x)) / 2 + 0.5, 0, 1)
