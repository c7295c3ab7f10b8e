"""Codec: the only place where all stages meet. One image goes through it in one direction:
picture -> transform -> prior -> entropy coder -> container, and back."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.alpha import alpha_from_png, alpha_to_png
from vaecodec.bitstream.container import (
    MAX_METADATA,
    Container,
    Header,
    Section,
    Streams,
    deflate,
    inflate,
    read_container,
    write_container,
)
from vaecodec.errors import BackendError, FormatError, ImageError, ModelError
from vaecodec.files import Source
from vaecodec.group import GroupCoder, Timing
from vaecodec.kept import keep_if_smaller, read_kept
from vaecodec.parallel import Workers
from vaecodec.picture import MAX_PIXELS, Picture, to_array, to_picture, to_pil
from vaecodec.prior import Integers
from vaecodec.rate import quality_units
from vaecodec.runtime import BACKENDS, load_nets
from vaecodec.runtime.nets import Nets
from vaecodec.runtime.store import ModelFile, load_model, load_model_for
from vaecodec.tiles import TILE_LOG2, choose_tile
from vaecodec.windows import Region, analyse_tile, synthesise

Progress = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""
METADATA = ((Section.EXIF, "exif"), (Section.ICC, "icc"), (Section.XMP, "xmp"))


@dataclass
class Damage:
    """What salvage could not save: group numbers of `groups_total`, pixels filled with gray, names of sections."""

    groups: list[int] = field(default_factory=list)
    groups_total: int = 0
    pixels: int = 0
    sections: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.groups or self.sections)


class Codec:
    """Encodes and decodes images; models are loaded when first needed and kept. Threads may share one Codec.

    model: name of a shipped model, or path or URL of a model file, for encoding (default: fast) and for decoding
    streams of it; streams of other shipped models are decoded with the model that they name. backend: "onnx" or
    "torch"; device: "cpu" or "cuda"; threads: how many cores to use (default: all). Limits: max_pixels of an image
    and max_metadata bytes of one EXIF, ICC or XMP block, on both sides. keep: keep images as they are where that takes
    fewer bytes than their latents (text, drawings, patterns without loss; what was a JPEG as one).
    """

    def __init__(
        self,
        model: str | Path | None = None,
        backend: str | None = None,
        device: str | None = None,
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        max_metadata: int = MAX_METADATA,
        tile_log2: int = TILE_LOG2,
        keep: bool = True,
    ) -> None:
        if backend not in (None, *BACKENDS):
            raise BackendError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
        self._arguments = {"model": model, "backend": backend, "device": device, "threads": threads}
        self._arguments |= {"max_pixels": max_pixels, "max_metadata": max_metadata, "tile_log2": tile_log2}
        self._arguments |= {"keep": keep}
        self.max_pixels, self.max_metadata, self.tile_log2 = max_pixels, max_metadata, tile_log2
        self.keep = keep
        self.timing = Timing()
        self._name = model
        self._backend = (backend, device)
        self._workers = Workers(threads, parallel=backend != "torch" and device in (None, "cpu"))
        self._loaded: dict[tuple[bytes, int | None], Nets] = {}
        self._models: dict[bytes, ModelFile] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple:
        """Pickled as its arguments: a worker process loads the model itself."""
        return _codec_of, (self._arguments,)

    @functools.cached_property
    def _single(self) -> Codec:
        """A codec of one thread, for many images side by side."""
        return Codec(**(self._arguments | {"threads": 1}))

    @functools.cached_property
    def model(self) -> ModelFile:
        """The model that this codec encodes with."""
        return load_model(self._name)

    def _coder(self, model: ModelFile, units: int, groups: int) -> GroupCoder:
        """Several groups share the cores, a single one has its nets use all of them."""
        threads = self._workers.threads_for(groups)
        with self._lock:
            self._models[model.identity] = model
            if (model.identity, threads) not in self._loaded:
                self._loaded[model.identity, threads] = load_nets(model, *self._backend, threads)
            nets = self._loaded[model.identity, threads]
        self.timing = Timing()
        return GroupCoder(model, nets, units, self.timing)

    def _model_for(self, identity: bytes) -> ModelFile:
        if identity in self._models:
            return self._models[identity]
        if self._name is not None:
            if self.model.identity == identity:
                return self.model
            raise ModelError(f"the file was written with model {identity.hex()}, not {self.model.identity.hex()}")
        return load_model_for(identity)

    # Encoding ---------------------------------------------------------------------------------------------------

    def encode(self, image: Any, quality: float = 50) -> bytes:
        """Image -> bytes of a .vaec file.

        image: PIL image, numpy array (H, W[, C]) uint8, torch tensor ([C,] H, W), path or bytes of an image file.
        quality: 1 (smallest) to 100 (best), fractions allowed. Raises VaecodecError.
        """
        return self.encode_picture(to_picture(image, self.max_pixels), quality)

    def encode_picture(self, picture: Picture, quality: float = 50, progress: Progress | None = None) -> bytes:
        for _, name in METADATA:
            if len(getattr(picture, name) or b"") > self.max_metadata:  # decoders would refuse the file
                size = len(getattr(picture, name))
                raise ImageError(f"the {name} block has {size} bytes, more than {self.max_metadata} (--max-metadata)")
        header = Header(
            picture.width,
            picture.height,
            quality_units(quality),
            self.model.identity,
            picture.gray,
            choose_tile(picture.width, picture.height, self.tile_log2),
        )
        coder = self._coder(self.model, header.quality, len(header.grid))

        def encode_tile(tile: int) -> Streams:
            return coder.encode(analyse_tile(coder, header.grid, tile, picture.rgb))[0]

        groups = list(self._workers.map(encode_tile, range(len(header.grid)), progress))
        sections = {kind: deflate(data) for kind, name in METADATA if (data := getattr(picture, name))}
        latent_bytes = sum(len(stream) for streams in groups for stream in streams)
        if self.keep and (kept := keep_if_smaller(picture, latent_bytes)):
            groups = [Streams(b"", b"")] * len(groups)
            sections = kept | sections
        if picture.alpha is not None:
            sections = {Section.ALPHA: alpha_to_png(picture.alpha)} | sections
        return write_container(header, groups, sections)

    def encode_batch(self, images: Iterable[Any], quality: float = 50) -> list[bytes]:
        """Encode many images, or a tensor (B, C, H, W) or array (B, H, W, C) of them, side by side on all cores.

        One image a thread, not one pass of the nets over all of them: that keeps all cores busy already, sizes may
        differ, and the bytes are those of `encode`.
        """
        return list(self._workers.map(lambda image: self._single.encode(image, quality), images))

    # Decoding ---------------------------------------------------------------------------------------------------

    def decode(self, source: Any, region: Region | None = None) -> Image.Image:
        """A .vaec file -> PIL image (L, LA, RGB or RGBA) with exif, icc_profile and xmp in `info`.

        source: bytes, path or binary file object. region: (x, y, width, height) in pixels; then only what it needs is
        read and decoded, and the result equals that crop of the whole image. Raises FormatError for bytes that are
        no such file or damaged, ModelError if the model is not here, ImageError for a region outside the image.
        """
        return to_pil(self.decode_picture(source, region))

    def decode_picture(self, source: Any, region: Region | None = None, progress: Progress | None = None) -> Picture:
        with Source(source) as opened:
            return self._decode(read_container(opened, self.max_pixels), region, None, progress)

    def decode_batch(self, sources: Iterable[Any], kind: str = "pil") -> list[Any]:
        """Decode many files side by side on all cores, one a thread (see encode_batch).

        kind: "pil" (images, as from decode), "numpy" (decode_array) or "torch" (decode_to_tensor).
        """
        return list(self._workers.map(self._single.decoder(kind), sources))

    def decoder(self, kind: str) -> Callable[[Any], Any]:
        """The method that decodes to "pil", "numpy" or "torch"."""
        methods = {"pil": self.decode, "numpy": self.decode_array, "torch": self.decode_to_tensor}
        if kind not in methods:
            raise ImageError(f"unknown kind {kind!r}; there are {', '.join(methods)}")
        return methods[kind]

    def decode_array(self, source: Any, region: Region | None = None) -> NDArray[np.uint8]:
        """Like decode, without PIL on the way: (H, W, C) uint8, C = 1 (gray) to 4 (RGB and alpha)."""
        return to_array(self.decode_picture(source, region))

    def decode_to_tensor(self, source: Any, region: Region | None = None, device: Any = None) -> Any:
        """Like decode_array, as a torch tensor (C, H, W) uint8 on `device` (default: the CPU). Needs torch."""
        import torch

        return torch.from_numpy(self.decode_array(source, region)).permute(2, 0, 1).contiguous().to(device or "cpu")

    def preview(self, source: Any, progress: Progress | None = None) -> Picture:
        """A picture of an eighth of the size (rounded up), without metadata: nearly what averaging 8x8 pixels of the
        decoded image gives, in a fraction of the time and memory."""
        with Source(source) as opened:
            container = read_container(opened, self.max_pixels)
            header, grid = container.header, container.header.grid
            if container.kept:
                picture = self._decode(container, None, None, progress)
                rgb = np.asarray(Image.fromarray(picture.rgb).reduce(8))
                alpha = None if picture.alpha is None else np.asarray(Image.fromarray(picture.alpha).reduce(8))
                return Picture(rgb, alpha, header.gray)
            coder = self._coder(self._model_for(header.model), header.quality, len(grid))
            rgb = np.empty((2 * grid.bounds.height, 2 * grid.bounds.width, 3), np.uint8)

            def decode_group(index: int) -> None:
                values = _decode_group(coder, container, index)
                rgb[grid.tiles[index].times(2).slices] = coder.preview(coder.prior.dequantise(values))

            for _ in self._workers.map(decode_group, range(len(grid)), progress):
                pass
            area = slice(-(-header.height // 8)), slice(-(-header.width // 8))
            picture = Picture(np.ascontiguousarray(rgb[area]), gray=header.gray)
            if Section.ALPHA in container.sections:
                self._attach(picture, container, Section.ALPHA, (slice(None), slice(None)))
                assert picture.alpha is not None
                picture.alpha = np.asarray(Image.fromarray(picture.alpha).reduce(8))
            return picture

    def salvage(self, source: Any, progress: Progress | None = None) -> tuple[Picture, Damage]:
        """Decode what is sound of a damaged or truncated file; all pixels that a damaged group touches are gray (128).

        Raises FormatError if the header is damaged or no group is sound.
        """
        with Source(source) as opened:
            container = read_container(opened, self.max_pixels, partial=True)
            damage = Damage(groups_total=len(container.groups))
            return self._decode(container, None, damage, progress), damage

    def _decode(
        self, container: Container, region: Region | None, damage: Damage | None, progress: Progress | None
    ) -> Picture:
        header = container.header
        area = pixel_area(header, region)
        kept = read_kept(container)
        rgb = self._decode_groups(container, area, damage, progress) if kept is None else kept[area]
        picture = Picture(np.ascontiguousarray(rgb), gray=header.gray)
        for kind in (kind for kind in container.sections if kind != container.kept):
            try:
                self._attach(picture, container, kind, area)
            except FormatError:
                if damage is None:
                    raise
                damage.sections.append(kind.name.lower())
        return picture

    def _decode_groups(
        self, container: Container, area: tuple[slice, slice], damage: Damage | None, progress: Progress | None
    ) -> NDArray[np.uint8]:
        header = container.header
        coder = self._coder(self._model_for(header.model), header.quality, len(header.grid))

        def decode_group(index: int) -> NDArray[np.float32] | None:
            try:
                values = _decode_group(coder, container, index)
            except FormatError:
                if damage is None:
                    raise
                damage.groups.append(index)
                return None
            return coder.prior.dequantise(values)

        rgb, lost = synthesise(coder, header.grid, area, decode_group, self._workers, progress)
        if damage is not None:
            damage.groups.sort()
            damage.pixels = lost
            if len(damage.groups) == damage.groups_total:
                raise FormatError("no part of the image data is sound")
        return rgb

    def _attach(self, picture: Picture, container: Container, kind: Section, area: tuple[slice, slice]) -> None:
        """Decode a section into the picture."""
        payload, header = container.section(kind), container.header
        if kind == Section.ALPHA:
            try:
                picture.alpha = np.ascontiguousarray(alpha_from_png(payload, header.width, header.height)[area])
            except ImageError as error:
                raise FormatError(str(error)) from error
        else:
            setattr(picture, dict(METADATA)[kind], inflate(payload, self.max_metadata))

    def decode_latents(self, source: Any) -> Integers:
        """The part of decoding that is exact on every machine: quantised latents (M, h, w) in 1/SYMBOL_UNIT symbol."""
        with Source(source) as opened:
            container = read_container(opened, self.max_pixels)
            if container.kept:
                raise FormatError("the file keeps its pixels as they were: it has no latents")
            grid, model = container.header.grid, self._model_for(container.header.model)
            coder = self._coder(model, container.header.quality, len(grid))
            values = np.empty((model.config.latents, grid.bounds.height, grid.bounds.width), np.int64)

            def decode_group(index: int) -> None:
                values[(slice(None), *grid.tiles[index].slices)] = _decode_group(coder, container, index)

            list(self._workers.map(decode_group, range(len(grid))))
            return values


def _decode_group(coder: GroupCoder, container: Container, index: int) -> Integers:
    """Quantised latents of a group; raises FormatError naming it if it is damaged or invalid."""
    tile, streams = container.header.grid.tiles[index], container.group(index)
    try:
        return coder.decode(streams, tile.height, tile.width)
    except FormatError as error:
        raise FormatError(f"{container.group_name(index)}: {error}") from error


def _codec_of(arguments: dict[str, Any]) -> Codec:
    return Codec(**arguments)


def pixel_area(header: Header, region: Region | None) -> tuple[slice, slice]:
    """Rows and columns of a region (x, y, width, height), or of the whole image; raises ImageError if it leaves it."""
    x, y, width, height = region or (0, 0, header.width, header.height)
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > header.width or y + height > header.height:
        raise ImageError(f"region {x},{y},{width},{height} is not within the image of {header.width}x{header.height}")
    return slice(y, y + height), slice(x, x + width)
