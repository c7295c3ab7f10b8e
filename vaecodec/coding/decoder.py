"""From files to pictures, latents and previews: the decoding behind Codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.container import DROPPED, Container, Header, Section
from vaecodec.bitstream.grid import Rect
from vaecodec.coding.prior import Integers
from vaecodec.coding.session import Session
from vaecodec.coding.tile import TileCoder, Trace
from vaecodec.coding.windows import Damage, Region, pixel_area, synthesise, touched_by
from vaecodec.errors import FormatError
from vaecodec.picture import Picture
from vaecodec.picture.membrane import fill_membrane
from vaecodec.sections.payloads import attach, attach_jpeg, read_kept
from vaecodec.system.parallel import Progress, Workers

EVERYTHING = (slice(None), slice(None))
Fill = Literal["gray", "smooth"]
"""What salvage puts where pixels are lost: gray, or what hangs smoothly on the sound ones around."""


@dataclass(frozen=True)
class Decoding:
    """workers: those of the session, for all cores or for one."""

    session: Session
    workers: Workers

    def coder(self, header: Header) -> TileCoder:
        """The coder for the groups of a file; raises ModelError if its model is not available."""
        model = self.session.model_for(header.model)
        return self.session.coder(model, header.quality, len(header.grid), self.workers)

    def pictures(
        self,
        containers: Sequence[Container],
        region: Region | None = None,
        damage: Damage | None = None,
        progress: Progress | None = None,
        fill: Fill = "gray",
    ) -> list[Picture]:
        """Decodes files with equal `alike` keys in one pass. With `damage` there is one whole file, and losses are
        recorded in it and filled."""
        settings = self.session.settings
        area = pixel_area(containers[0].header.width, containers[0].header.height, region)
        if containers[0].kept:
            images = [read_kept(container, container.kept)[area] for container in containers if container.kept]
        else:
            images = list(self._groups(containers, area, damage, progress))
            if damage is not None and fill == "smooth":
                self._smooth(images[0], containers[0].header, damage)
        pictures = []
        for container, rgb in zip(containers, images, strict=True):
            picture = Picture(np.ascontiguousarray(rgb), gray=container.header.gray)
            for kind in (k for k in container.sections if k != container.kept and k not in DROPPED[settings.metadata]):
                try:
                    attach(picture, container, kind, area, settings.max_metadata)
                except FormatError:
                    if damage is None:
                        raise
                    damage.sections.append(kind.name.lower())
            if container.kept == Section.JPEG:
                attach_jpeg(picture, container)
                picture.exif = picture.exif if settings.metadata == "all" else None
            pictures.append(picture)
        return pictures

    def _groups(
        self,
        containers: Sequence[Container],
        area: tuple[slice, slice],
        damage: Damage | None,
        progress: Progress | None,
    ) -> NDArray[np.uint8]:
        """RGB (N, H, W, 3)."""
        header = containers[0].header
        coder = self.coder(header)

        def decode(index: int) -> NDArray[np.float32] | None:
            try:
                values = decode_group(coder, containers, index)
            except FormatError:
                if damage is None:
                    raise
                damage.groups.append(index)
                return None
            return coder.prior.dequantise(values)

        rgb, lost = synthesise(coder, len(containers), header.grid, area, decode, self.workers, progress)
        if damage is not None:
            damage.groups.sort()
            damage.pixels = lost
            if len(damage.groups) == damage.groups_total:
                raise FormatError("no part of the image data is sound")
        return rgb

    def _smooth(self, rgb: NDArray[np.uint8], header: Header, damage: Damage) -> None:
        """Fill what is lost of a picture (H, W, 3) from what is sound."""
        halo = self.session.model_for(header.model).config.synthesis_halo
        image = Rect(0, 0, header.height, header.width)
        fill_membrane(rgb, [touched_by(header.grid, tile, halo).clipped(image) for tile in damage.groups])

    def preview(self, container: Container, progress: Progress | None = None) -> Picture:
        """The picture at an eighth of its size, without metadata."""
        header, grid, settings = container.header, container.header.grid, self.session.settings
        if container.kept:
            (picture,) = self.pictures([container], progress=progress)
            alpha = None if picture.alpha is None else _eighth(picture.alpha)
            return Picture(_eighth(picture.rgb), alpha, header.gray)
        coder = self.coder(header)
        rgb = np.empty((2 * grid.bounds.height, 2 * grid.bounds.width, 3), np.uint8)

        def decode(index: int) -> None:
            values = decode_group(coder, [container], index)
            rgb[grid.tiles[index].times(2).slices] = coder.preview(coder.prior.dequantise(values))[0]

        for _ in self.workers.map(decode, range(len(grid)), progress):
            pass
        area = slice(-(-header.height // 8)), slice(-(-header.width // 8))
        picture = Picture(np.ascontiguousarray(rgb[area]), gray=header.gray)
        if Section.OPAQUE in container.sections:
            attach(picture, container, Section.OPAQUE, EVERYTHING, settings.max_metadata)
        if Section.ALPHA in container.sections:
            attach(picture, container, Section.ALPHA, EVERYTHING, settings.max_metadata)
            assert picture.alpha is not None
            picture.alpha = _eighth(picture.alpha)
        return picture

    def latents(self, container: Container) -> Integers:
        """Quantised latents (M, h, w) of all groups. Raises FormatError if the file has none."""
        if container.kept:
            raise FormatError("the file keeps its pixels as they were: it has no latents")
        header, grid = container.header, container.header.grid
        coder = self.coder(header)
        values = np.empty((coder.model.config.latents, grid.bounds.height, grid.bounds.width), np.int64)

        def decode(index: int) -> None:
            values[grid.tiles[index].planes] = decode_group(coder, [container], index)[0]

        for _ in self.workers.map(decode, range(len(grid))):
            pass
        return values


def decode_group(coder: TileCoder, containers: Sequence[Container], index: int, trace: Trace | None = None) -> Integers:
    """Quantised latents (N, M, h, w) of a group of each file, and how they came about; raises FormatError naming it if
    one is damaged or invalid."""
    tile = containers[0].header.grid.tiles[index]
    streams = [container.group(index) for container in containers]
    try:
        return coder.decode(streams, tile.height, tile.width, trace)
    except FormatError as error:
        raise FormatError(f"{containers[0].group_name(index)}: {error}") from error


def _eighth(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 8x8 pixels of (H, W) or (H, W, 3)."""
    return np.asarray(Image.fromarray(plane).reduce(8))


def alike(container: Container) -> tuple[object, ...]:
    """A key: files with equal keys can be decoded in one pass."""
    header = container.header
    return header.width, header.height, header.quality, header.model, header.tile_log2, container.kept
