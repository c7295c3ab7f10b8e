"""The half of Codec that decodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.container import read_container
from vaecodec.codec.files import decode_file
from vaecodec.coding.batch import in_chunks, in_passes
from vaecodec.coding.decoder import Decoding, Fill, alike
from vaecodec.coding.prior import Integers
from vaecodec.coding.windows import Damage, Region
from vaecodec.errors import ImageError, VaecodecError
from vaecodec.picture import Picture, Saving, to_array, to_pil, to_tensor
from vaecodec.system.files import Source
from vaecodec.system.parallel import Progress

if TYPE_CHECKING:
    import torch

    from vaecodec.types import SourceLike

from vaecodec.codec.held import Held

Kind = Literal["pil", "numpy", "torch"]


class Decodes(Held):
    """.vaec files -> images."""

    def decode(self, source: SourceLike, region: Region | None = None) -> Image.Image:
        """Decode a .vaec file to a PIL image (L, LA, RGB or RGBA) with exif, icc_profile and xmp in `info`.

        source: bytes, path or binary file object. region: (x, y, width, height) in pixels; only the data it needs is
        read and decoded, and the result equals that crop of the whole image. Raises FormatError if the bytes are
        damaged or not a .vaec file, ModelError if the model is not available, ImageError for a region outside the
        image.

        >>> picture = codec.decode("photo.vaec", region=(16, 8, 32, 24))
        >>> picture.mode, picture.size
        ('RGB', (32, 24))
        """
        return to_pil(self.decode_picture(source, region))

    def decode_file(
        self,
        source: SourceLike,
        output: str | os.PathLike[str],
        region: Region | None = None,
        *,
        quality: int | None = None,
        lossless: bool = False,
        png_level: int = 1,
        overwrite: bool = False,
    ) -> list[str]:
        """Decode a .vaec file to an image file in the format of the suffix of `output` (path or URL). The file appears
        whole or not at all.

        quality: 1 to 100, for lossy formats (None: 95; a kept JPEG is written back as it is); lossless: for WebP and
        JPEG XL; png_level: 0 to 9. overwrite: replace an existing file, of any kind but the input. Returns notes, one
        line each, on what the format cannot hold. Raises VaecodecError.

        >>> codec.decode_file("photo.vaec", "photo.jpg", quality=90)
        []
        """
        return decode_file(self, source, output, region, Saving(quality, lossless, png_level), overwrite)

    def decode_picture(
        self, source: SourceLike | Source, region: Region | None = None, progress: Progress | None = None
    ) -> Picture:
        with Source(source) as opened:
            (picture,) = self._decoding.pictures([read_container(opened, self.max_pixels)], region, None, progress)
            return picture

    @overload
    def decode_batch(self, sources: Iterable[SourceLike], kind: Literal["pil"] = "pil") -> list[Image.Image]: ...
    @overload
    def decode_batch(self, sources: Iterable[SourceLike], kind: Literal["numpy"]) -> list[NDArray[np.uint8]]: ...
    @overload
    def decode_batch(self, sources: Iterable[SourceLike], kind: Literal["torch"]) -> list[torch.Tensor]: ...
    def decode_batch(self, sources: Iterable[SourceLike], kind: Kind = "pil") -> list[Any]:
        """Decode many files; those of equal size and quality go through the nets together (see encode_batch).

        kind: "pil" (images, as from decode), "numpy" (decode_array) or "torch" (decode_to_tensor).

        >>> [array.shape for array in codec.decode_batch(["photo.vaec", data], "numpy")]
        [(64, 96, 3), (64, 96, 3)]
        """
        convert, session = _converter(kind), self.session

        def decode(chunk: Sequence[SourceLike]) -> list[Any]:
            with ExitStack() as stack:
                opened = [stack.enter_context(Source(source)) for source in chunk]
                containers = [read_container(source, self.max_pixels) for source in opened]
                pictures = in_passes(containers, alike, Decoding(session, session.lane).pictures, session.workers)
                return [convert(picture) for picture in pictures]

        return in_chunks(sources, decode, session.workers)

    @overload
    def decoder(self, kind: Literal["pil"]) -> Callable[[SourceLike], Image.Image]: ...
    @overload
    def decoder(self, kind: Literal["numpy"]) -> Callable[[SourceLike], NDArray[np.uint8]]: ...
    @overload
    def decoder(self, kind: Literal["torch"]) -> Callable[[SourceLike], torch.Tensor]: ...
    def decoder(self, kind: Kind) -> Callable[[SourceLike], Any]:
        """The method that decodes to "pil", "numpy" or "torch".

        >>> codec.decoder("numpy")(data).dtype
        dtype('uint8')
        """
        convert = _converter(kind)
        return lambda source: convert(self.decode_picture(source))

    def decode_array(self, source: SourceLike, region: Region | None = None) -> NDArray[np.uint8]:
        """Like decode, without PIL on the way: (H, W, C) uint8, C = 1 (gray) to 4 (RGB and alpha).

        >>> codec.decode_array(data).shape
        (64, 96, 3)
        """
        return to_array(self.decode_picture(source, region))

    def decode_to_tensor(
        self, source: SourceLike, region: Region | None = None, device: str | torch.device | None = None
    ) -> torch.Tensor:
        """Like decode_array, as a torch tensor (C, H, W) uint8 on `device` (default: the CPU). Raises
        MissingPackageError without torch.

        >>> codec.decode_to_tensor(data).shape
        torch.Size([3, 64, 96])
        """
        return to_tensor(self.decode_picture(source, region)).to(device or "cpu")

    def preview(self, source: SourceLike) -> Image.Image:
        """Decode to an eighth of the size (rounded up), without metadata: close to the mean of each 8x8 pixels of the
        decoded image, in a fraction of the time and memory.

        >>> codec.preview("photo.vaec").size
        (12, 8)
        """
        return to_pil(self.preview_picture(source))

    def preview_picture(self, source: SourceLike | Source, progress: Progress | None = None) -> Picture:
        with Source(source) as opened:
            return self._decoding.preview(read_container(opened, self.max_pixels), progress)

    def salvage(self, source: SourceLike, *, fill: Fill = "gray") -> tuple[Image.Image, Damage]:
        """Decode the intact parts of a damaged or truncated file.

        fill: what replaces all pixels that a damaged group affects: "gray" (128), or "smooth", a membrane over the
        intact pixels around them (Laplace's equation, at an eighth of the size), which is less disturbing and hides
        how much is lost; the intact pixels are the same. Raises FormatError if the header is damaged or no group is
        intact, VaecodecError for another `fill`.

        >>> picture, damage = codec.salvage("photo.vaec", fill="smooth")
        >>> bool(damage), damage.groups
        (False, [])
        """
        picture, damage = self.salvage_picture(source, fill=fill)
        return to_pil(picture), damage

    def salvage_picture(
        self, source: SourceLike | Source, progress: Progress | None = None, fill: Fill = "gray"
    ) -> tuple[Picture, Damage]:
        if fill not in get_args(Fill):
            raise VaecodecError(f"fill must be one of {', '.join(get_args(Fill))}, not {fill!r}")
        with Source(source) as opened:
            container = read_container(opened, self.max_pixels, partial=True)
            damage = Damage(groups_total=len(container.groups))
            (picture,) = self._decoding.pictures([container], None, damage, progress, fill)
            return picture, damage

    def decode_latents(self, source: SourceLike) -> Integers:
        """The part of decoding that is exact on every machine: quantised latents (M, h, w) in 1/SYMBOL_UNIT symbol.

        >>> codec.decode_latents(data).shape[1:]
        (4, 6)
        """
        with Source(source) as opened:
            return self._decoding.latents(read_container(opened, self.max_pixels))

    @property
    def _decoding(self) -> Decoding:
        return Decoding(self.session, self.session.workers)


def _converter(kind: str) -> Callable[[Picture], Any]:
    converters = {"pil": to_pil, "numpy": to_array, "torch": to_tensor}
    if kind not in converters:
        raise ImageError(f"unknown kind {kind!r}; there are {', '.join(converters)}")
    return converters[kind]
