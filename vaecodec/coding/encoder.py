"""From pictures to files. Work that does not depend on the rate is done once, so that trying several rates is cheap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import Header, Streams, write_container
from vaecodec.bitstream.grid import choose_tile
from vaecodec.coding.effort import refine_tile, refinement_steps
from vaecodec.coding.session import Session
from vaecodec.coding.tile import TileCoder
from vaecodec.coding.windows import analyse_tile, synthesise
from vaecodec.nets.interface import Float
from vaecodec.picture import Picture
from vaecodec.picture.hidden import fill_hidden
from vaecodec.sections.payloads import Kept, keep_if_smaller, sections_of, write_kept
from vaecodec.system.parallel import Workers

SHARED = 50
"""Qualities this close, in stored units, share an analysis. The analysis depends slightly on the rate: at this distance
a shared one costs less than 0.1 % of the bytes, and PSNR differs by 0.04 dB."""
PINNED = 4 * SHARED
"""The same distance where bytes must grow smoothly: those of synthetic patterns jump between analyses."""
SMALL_PIXELS = 1 << 14
"""Up to this many pixels each quality gets its own analysis: it is quick, and a few bytes matter."""
HELD_PIXELS = 1 << 24
"""Images with more pixels are analysed, and their streams decoded, anew each time: latents take 5 bytes per pixel."""


@dataclass
class Coded:
    """Pictures at one rate: the streams of every tile of each picture, and on request the decoded normalised latents
    (N, M, h, w)."""

    header: Header
    coder: TileCoder
    groups: list[tuple[Streams, ...]]
    latents: list[Float] = field(default_factory=list)


class Encoding:
    """The encoding of pictures of equal size, which go through the nets together."""

    def __init__(
        self, pictures: Sequence[Picture], session: Session, workers: Workers, effort: int | None = None
    ) -> None:
        """workers: those of the session, for all cores or for one; effort: None for that of the settings. Raises
        VaecodecError if the model cannot encode, or a picture has metadata that decoders would refuse."""
        session.model.require_encoder()
        self.pictures, self._session, self._workers = pictures, session, workers
        settings = self._settings = session.settings
        self._refiner = session.refiner(effort)
        self._steps = refinement_steps(settings.effort if effort is None else effort)
        self._sections = [sections_of(picture, settings.max_metadata, settings.metadata) for picture in pictures]
        width, height = pictures[0].width, pictures[0].height
        tile = choose_tile(width, height, settings.tile_log2)
        self._header = Header(width, height, 0, session.model.identity, tile_log2=tile)
        coded = [p.rgb if settings.keep_hidden else fill_hidden(p.rgb, p.alpha) for p in pictures]
        self.rgb = coded[0][None] if len(coded) == 1 else np.stack(coded)
        """The pixels to encode, (N, H, W, 3), with smooth colours where the picture is fully transparent."""
        self._analysis: tuple[int, dict[int, Float]] = (0, {})

    @property
    def model(self) -> bytes:
        """The identity of the model that encodes the pictures."""
        return self._session.model.identity

    @property
    def refines(self) -> bool:
        return self._refiner is not None

    def code(
        self,
        units: int,
        progress: Callable[[float], None] | None = None,
        again: bool = False,
        refined: bool = True,
        shared: int = SHARED,
    ) -> Coded:
        """The pictures at a quality.

        again: keep the decoded latents, since other qualities follow; refined: apply the refinement of the codec's
        effort; shared: how close in quality an analysis must be to be reused.
        """
        header = replace(self._header, quality=units)
        grid = header.grid
        coder = self._session.coder(self._session.model, units, len(grid), self._workers)
        refiner = self._refiner if refined else None
        # Tiles are refined one at a time, on all cores; only a single tile can report progress.
        inner = progress if len(grid) == 1 else None
        hold = again and SMALL_PIXELS < header.width * header.height <= HELD_PIXELS
        if not hold or abs(self._analysis[0] - units) > shared:
            self._analysis = (units, {})
        analysed = self._analysis[1]

        def encode_tile(tile: int) -> tuple[list[Streams], Float | None]:
            v = analysed[tile] if tile in analysed else analyse_tile(coder, grid, tile, self.rgb)
            if hold:
                analysed[tile] = v
            refine = refine_tile(refiner, coder, grid, tile, self.rgb, self._steps, inner) if refiner else None
            streams, values = coder.encode(v, refine)
            return streams, coder.prior.dequantise(values) if hold else None

        tiles = list(self._workers.map(encode_tile, range(len(grid)), progress))
        groups = list(zip(*(streams for streams, _ in tiles), strict=True))
        return Coded(header, coder, groups, [latents for _, latents in tiles if latents is not None])

    def decoded(self, coded: Coded, index: int = 0) -> NDArray[np.uint8]:
        """The decoded pixels of a picture, (H, W, 3)."""
        grid, coder, groups = coded.header.grid, coded.coder, coded.groups[index]

        def decode_group(group: int) -> Float:
            if coded.latents:
                return coded.latents[group][index : index + 1]
            tile = grid.tiles[group]
            return coder.prior.dequantise(coder.decode([groups[group]], tile.height, tile.width))

        area = slice(0, coded.header.height), slice(0, coded.header.width)
        return synthesise(coder, 1, grid, area, decode_group, self._workers)[0][0]

    def plain(self, coded: Coded, index: int = 0) -> bytes:
        """A picture as a file with latents."""
        header = replace(coded.header, gray=self.pictures[index].gray)
        return write_container(header, list(coded.groups[index]), self._sections[index])

    def kept(self, latent_bytes: int, index: int = 0) -> Kept | None:
        """A lossless or JPEG replacement for latents of `latent_bytes`; None if no replacement is smaller, or the
        codec must not keep images."""
        settings = self._settings
        return keep_if_smaller(self.pictures[index], latent_bytes, settings.keep_hidden) if settings.keep else None

    @property
    def keeps(self) -> bool:
        """Whether replacements for latents are allowed."""
        return self._settings.keep

    def with_kept(self, kept: Kept, units: int, index: int = 0) -> bytes:
        """A picture as a file that stores it in a section; units: the quality that the header names."""
        picture = self.pictures[index]
        header = replace(self._header, quality=units, gray=picture.gray)
        return write_kept(header, kept, picture, self._sections[index])

    def sections_bytes(self, index: int = 0) -> int:
        """Bytes of alpha and metadata of a picture."""
        return sum(map(len, self._sections[index].values()))
