"""What an index keeps of compressed pictures: of each a small preview, and of its latents what a part of it has in
common with the whole. Made without any synthesis."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import Container
from vaecodec.bitstream.spec import QUALITY_UNIT
from vaecodec.coding.decoder import Decoding
from vaecodec.model.shipped import name_of
from vaecodec.nets.interface import Float
from vaecodec.uses.likeness import luma_of, resampled, whole
from vaecodec.uses.reading import tile_features

EIGHTH = 8
"""Pixels of a picture for one of its preview, each way."""
LONGEST = 96
"""Pixels of the longer side of a preview in an index at most."""
QUALITY_STEP = 10
"""Files of one model are looked through in groups of nearly one quality: what is rounded away depends on it."""
AXES = 64
"""Principal axes of the textures that are told apart."""
EVENING = 0.25
"""Textures are divided by this power of the variance along each axis: between 0, as they are, and 1/2, whitened."""
FLOOR = 0.01
"""Added to mean magnitudes of latents before their logarithm is taken."""


@dataclass(frozen=True)
class Entry:
    """A picture: its name; luma of its preview (h, w) uint8, at most LONGEST a side, each pixel of `unit` x `unit`
    pixels; mean magnitude of the latents of each channel, as a logarithm (M,) with the precision of float16, as it is
    stored, empty where it has no latents."""

    name: str
    width: int
    height: int
    unit: int
    preview: NDArray[np.uint8]
    texture: Float


@dataclass(frozen=True)
class Group:
    """The pictures of one model at nearly one quality. model: 8 hexadecimal digits, "" for files without latents;
    quality: in whole steps, 0 for these."""

    model: str
    quality: int
    entries: list[Entry] = field(default_factory=list)

    @cached_property
    def wholes(self) -> Float:
        """Pictures as wholes (N, GRID * GRID)."""
        return np.stack([whole(entry.preview.astype(np.float32)) for entry in self.entries])

    @cached_property
    def _axes(self) -> tuple[Float, Float]:
        """Mean (M,) of the textures, and what turns and scales them (M, AXES)."""
        textures = np.stack([entry.texture for entry in self.entries])
        mean, deviation = textures.mean(0), textures.std(0) + 1e-3
        values, vectors = np.linalg.eigh(np.cov(((textures - mean) / deviation).T))
        values, vectors = values[-AXES:], vectors[:, -AXES:]
        return mean, (vectors / np.maximum(values, 1e-3) ** EVENING / deviation[:, None]).astype(np.float32)

    def _directions(self, textures: Float) -> Float:
        """Textures (N, M) -> vectors of length 1 (N, AXES)."""
        mean, turn = self._axes
        turned = (textures - mean) @ turn
        return np.asarray(turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6), np.float32)

    @cached_property
    def _textures(self) -> Float:
        return self._directions(np.stack([entry.texture for entry in self.entries]))

    def nearest(self, texture: Float, count: int) -> list[int]:
        """The entries with the most similar textures, the best first; all where there are no more than `count`."""
        if len(self.entries) <= count:
            return list(range(len(self.entries)))
        likeness = self._textures @ self._directions(texture[None])[0]
        return np.argsort(-likeness, kind="stable")[:count].tolist()


def group_of(container: Container) -> tuple[str, int]:
    """Model and quality of the group that a file belongs to."""
    header = container.header
    if container.kept:
        return "", 0
    steps = round(header.quality / QUALITY_UNIT / QUALITY_STEP) * QUALITY_STEP
    return header.model.hex(), max(steps, 1)


def entry_of(decoding: Decoding, container: Container, name: str) -> Entry:
    """What an index keeps of a file. Raises FormatError where it is damaged, ModelError where its model is not here."""
    header, grid = container.header, container.header.grid
    if container.kept:
        rgb, texture = decoding.preview(container).rgb, np.empty(0, np.float32)
    else:
        rgb = np.empty((2 * grid.bounds.height, 2 * grid.bounds.width, 3), np.uint8)
        total = 0.0
        for tile, found in tile_features(decoding, container, traced=False):
            rgb[tile.times(2).slices] = found.preview
            total = total + np.abs(found.y_hat).sum((1, 2), dtype=np.float64)
        texture = np.log(total / (grid.bounds.height * grid.bounds.width) + FLOOR).astype(np.float16).astype(np.float32)
    luma = luma_of(rgb[: -(-header.height // EIGHTH), : -(-header.width // EIGHTH)])
    times = -(-max(luma.shape) // LONGEST)
    height, width = (max(1, side // times) for side in luma.shape)
    box = 0, 0, min(width * times, luma.shape[1]), min(height * times, luma.shape[0])
    preview = resampled(luma, height, width, box)
    return Entry(
        name, header.width, header.height, EIGHTH * times, np.rint(preview).clip(0, 255).astype(np.uint8), texture
    )


def model_words(identity: str) -> str:
    """What people call a model: its name where it is known, and its identity."""
    if not identity:
        return "no model (kept as pixels or a JPEG)"
    name = name_of(bytes.fromhex(identity))
    return f"model {name} ({identity})" if name else f"model {identity}, which is not here"
