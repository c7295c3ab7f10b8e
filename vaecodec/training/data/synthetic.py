"""Generated crops of content that photographs lack (flat colour, gradients, noise, texture, text, screens, line art,
pixel art), and altered photographs: darkened, brightened, saturated, reduced to few colours, compressed as JPEG.

Without them the transforms, which learn the statistics of photographs, fail on such images by 10 dB and more.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "0123456789", "vaecodec", "lambda", "rate"]


def _colour(random: np.random.Generator) -> np.ndarray:
    kind = random.random()
    if kind < 0.25:  # corners of the colour cube: extreme saturation
        return random.integers(0, 2, 3) * 255.0
    if kind < 0.5:  # black and white
        return np.full(3, random.integers(0, 2) * 255.0)
    return random.uniform(0, 255, 3)


def _ink(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(_colour(random).astype(int).tolist())


def _mixed(random: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """Two colours mixed by `wave` (H, W) in [0, 1]."""
    one, two = _colour(random), _colour(random)
    return one + wave[:, :, None] * (two - one)


def _flat(random: np.random.Generator, size: int) -> np.ndarray:
    return np.broadcast_to(_colour(random), (size, size, 3))


def _gradient(random: np.random.Generator, size: int) -> np.ndarray:
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size, 0:size] / size
    return _mixed(random, np.cos(angle) * x + np.sin(angle) * y)


def _noise(random: np.random.Generator, size: int) -> np.ndarray:
    shape = (size, size, random.choice([1, 3]))
    if random.random() < 0.3:
        return _mixed(random, random.integers(0, 2, (size, size)).astype(float))
    return _colour(random) + random.normal(0, random.uniform(2, 90), shape)


def _texture(random: np.random.Generator, size: int) -> np.ndarray:
    """Plane or circular waves up to the finest, as sines or in black and white."""
    y, x = np.mgrid[0:size, 0:size]
    if random.random() < 0.3:
        y, x = y - random.uniform(0, size), x - random.uniform(0, size)
        phase = (x * x + y * y) * (np.pi / size * random.uniform(0.3, 1))
    else:
        frequency = random.uniform(-np.pi, np.pi, 2) if random.random() < 0.6 else np.pi / random.integers(1, 9, 2)
        phase = frequency[0] * x + frequency[1] * y + random.uniform(0, np.pi)
    wave = np.cos(phase)
    return _mixed(random, ((np.sign(wave) if random.random() < 0.5 else wave) + 1) / 2)


def _tiles(random: np.random.Generator, size: int) -> np.ndarray:
    """Stripes, checkerboards and pixel art: few colours on a grid of whole pixels."""
    cell = np.exp2(random.uniform(0, 4.1, 2)).astype(int)  # single pixels are the hardest, and as frequent as others
    if random.random() < 0.5:
        cell[0] = random.choice([cell[1], size])
    palette = np.stack([_colour(random) for _ in range(random.integers(2, 7))])
    rows, columns = (-(-size // side) for side in cell)
    if random.random() < 0.5:
        picked = np.indices((rows, columns)).sum(0) % len(palette)
    else:
        noise = Image.fromarray(random.integers(0, len(palette), (rows, columns), np.uint8))
        picked = np.asarray(noise.filter(ImageFilter.ModeFilter(3)) if random.random() < 0.5 else noise)
    return palette[picked].repeat(cell[0], 0).repeat(cell[1], 1)[:size, :size]


def _drawing(random: np.random.Generator, size: int) -> np.ndarray:
    image = Image.new("RGB", (size, size), _ink(random))
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(3, 40)):
        x, y = (sorted(random.integers(-size // 4, size + size // 4, 2).tolist()) for _ in range(2))
        box, ink, kind = (x[0], y[0], x[1], y[1]), _ink(random), random.integers(5)
        if kind == 0:
            line = box if random.random() < 0.5 else (x[0], y[1], x[1], y[0])
            draw.line(line, ink, int(random.integers(1, 5)))
        elif kind == 1:
            draw.rectangle(box, ink, outline=_ink(random))
        elif kind == 2:
            draw.ellipse(box, ink if random.random() < 0.5 else None, _ink(random), int(random.integers(1, 4)))
        elif kind == 3:
            start, end = random.integers(0, 360, 2).tolist()
            draw.arc(box, start, end, ink)
        else:
            draw.text((x[0], y[0]), _sentence(random), ink, font_size=int(random.integers(8, 28)))
    return np.asarray(image)


def _line_art(random: np.random.Generator, size: int) -> np.ndarray:
    """Thin lines of one ink."""
    paper, ink = ("white", "black") if random.random() < 0.6 else (_ink(random), _ink(random))
    image = Image.new("RGB", (size, size), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(5, 60)):
        x, y = (sorted(random.integers(-size // 4, size + size // 4, 2).tolist()) for _ in range(2))
        if random.random() < 0.5:
            start, end = random.integers(0, 360, 2).tolist()
            draw.arc((x[0], y[0], x[1], y[1]), start, end, ink)
        else:
            draw.line([(x[0], int(random.choice(y))), (x[1], int(random.choice(y)))], ink)
    return np.asarray(image)


def _text(random: np.random.Generator, size: int) -> np.ndarray:
    """A page or a terminal full of text."""
    paper, ink = ("white", "black") if random.random() < 0.5 else (_ink(random), _ink(random))
    image = Image.new("RGB", (size, size), paper)
    draw, y, height = ImageDraw.Draw(image), int(random.integers(-10, 10)), int(random.integers(8, 22))
    coloured = random.random() < 0.3
    while y < size:
        draw.text((4, y), " ".join(_sentence(random) for _ in range(4)), _ink(random) if coloured else ink,
                  font_size=height)  # fmt: skip
        y += int(height * 1.35)
    return np.asarray(image)


def _sentence(random: np.random.Generator) -> str:
    return " ".join(random.choice(_WORDS, random.integers(1, 6)))


_KINDS = (_flat, _gradient, _noise, _texture, _texture, _tiles, _tiles, _drawing, _drawing, _line_art, _text, _text)


def synthetic_crop(random: np.random.Generator, size: int) -> np.ndarray:
    """One generated crop (size, size, 3), uint8."""
    kind = _KINDS[random.integers(len(_KINDS))]
    return kind(random, size).clip(0, 255).astype(np.uint8)


def altered_crop(random: np.random.Generator, crop: np.ndarray) -> np.ndarray:
    """A photograph (size, size, 3) uint8 after typical editing, uint8."""
    kind = random.integers(7)
    image = Image.fromarray(np.ascontiguousarray(crop))
    if kind < 3:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(random.integers(10, 90)), subsampling=int(random.choice([0, 2])))
        shift = random.integers(0, 8, 2)  # its blocks are seldom aligned with our grid
        return np.roll(np.asarray(Image.open(buffer)), shift, (0, 1))
    if kind == 3:
        return np.asarray(
            image.convert("P", palette=Image.Palette.ADAPTIVE, colors=int(random.integers(2, 65))).convert("RGB")
        )
    if kind == 4:
        return np.asarray(image.convert("1").convert("RGB"))
    values = crop.astype(np.float32)
    if kind == 5:  # very dark, or very bright
        values = values * random.uniform(0.03, 0.5)
        values = values if random.random() < 0.5 else 255 - values
    else:  # saturated
        gray = values.mean(2, keepdims=True)
        values = gray + (values - gray) * random.uniform(1.5, 5)
    return values.clip(0, 255).astype(np.uint8)
