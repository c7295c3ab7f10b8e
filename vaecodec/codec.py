"""Codec: the only place where all stages meet. One image goes through it in one direction:
picture -> transform -> prior -> entropy coder -> container, and back."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.container import DROPPED, read_container
from vaecodec.coding.batch import in_chunks, in_passes
from vaecodec.coding.decoder import Decoding, alike
from vaecodec.coding.effort import refinement_steps
from vaecodec.coding.encoder import Encoding, Tools
from vaecodec.coding.files import decode_file, encode_file
from vaecodec.coding.prior import Integers
from vaecodec.coding.session import Loaded
from vaecodec.coding.tile import GroupCoder, Timing
from vaecodec.coding.windows import Damage, Region
from vaecodec.errors import BackendError, ImageError, VaecodecError
from vaecodec.model.defaults import DEFAULT_MODEL, tuned_model
from vaecodec.model.file import ModelFile, check_model
from vaecodec.model.rate import quality_units
from vaecodec.nets import BACKENDS
from vaecodec.picture import Picture, Saving, to_array, to_picture, to_pil, to_tensor
from vaecodec.rate_control.promise import files, looked_at
from vaecodec.rate_control.reach import Reached, reach
from vaecodec.system.files import Source
from vaecodec.system.limits import MAX_METADATA, MAX_PIXELS, TILE_LOG2
from vaecodec.system.parallel import Progress, Workers
from vaecodec.targets import Target, check_alone

if TYPE_CHECKING:
    import torch

    from vaecodec.types import ImageLike, SourceLike

Kind = Literal["pil", "numpy", "torch"]


class Codec:
    """Encodes and decodes images; models are loaded when first needed and kept. Threads may share one Codec.

    model: name of a shipped model, or path or URL of a model file, for encoding (default: eye) and for decoding
    streams of it; streams of other shipped models are decoded with the model that they name. tune: in place of model
    what to encode for: "eye" (what people see), "psnr" or "ms-ssim". backend: "onnx" or
    "torch"; device: "cpu" or "cuda"; threads: how many cores to use (default: all). Limits: max_pixels of an image
    and max_metadata bytes of one EXIF, ICC or XMP block, on both sides. keep: keep images as they are where that takes
    fewer bytes than their latents (text, drawings, patterns without loss; what was a JPEG as one). effort: from 1 to 9,
    of encoding: above 1 the latents of each image are refined in ever more steps (seconds to hours; all models but
    those for psnr need torch for it). keep_hidden: keep the colours of fully transparent pixels, which nobody sees;
    else smooth ones take their place. metadata: "all" that fits, "icc" alone (nothing that says where, when and by
    whom), or "none", both of what is written and of what is read.

    >>> vaecodec.Codec("fast", threads=1)
    Codec(model='fast', threads=1)
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
        effort: int = 1,
        keep_hidden: bool = False,
        tune: str | None = None,
        metadata: str = "all",
    ) -> None:
        model = tuned_model(model, tune)
        if metadata not in DROPPED:
            raise VaecodecError(f"metadata must be one of {', '.join(DROPPED)}, not {metadata!r}")
        if backend not in (None, *BACKENDS):
            raise BackendError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
        if model is not None:
            check_model(model)
        self._arguments: dict[str, Any] = {"model": model, "backend": backend, "device": device, "threads": threads}
        self._arguments |= {"max_pixels": max_pixels, "max_metadata": max_metadata, "tile_log2": tile_log2}
        self._arguments |= {"keep": keep, "effort": effort, "keep_hidden": keep_hidden, "metadata": metadata}
        self.max_pixels, self.max_metadata, self.tile_log2 = max_pixels, max_metadata, tile_log2
        self.keep, self.keep_hidden, self.metadata = keep, keep_hidden, metadata
        self._threads, self._steps = threads, refinement_steps(effort)
        self.timing = Timing()
        self._loaded = Loaded(model, backend, device)
        self._workers = Workers(threads, parallel=backend != "torch" and device in (None, "cpu"))

    def __reduce__(self) -> tuple[Callable[..., Codec], tuple[dict[str, Any]]]:
        """Pickled as its arguments: a worker process loads the model itself."""
        return _codec_of, (self._arguments,)

    def __repr__(self) -> str:
        """As it would be made: the model, and what is not as usual."""
        usual = inspect.signature(Codec).parameters
        said = {name: value for name, value in self._arguments.items() if value != usual[name].default}
        said = {"model": str(said.pop("model", DEFAULT_MODEL)), **said}
        return f"Codec({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    @functools.cached_property
    def _single(self) -> Codec:
        """The codec for passes that run side by side: one of one thread."""
        return Codec(**(self._arguments | {"threads": 1})) if self._workers.count > 1 else self

    @property
    def model(self) -> ModelFile:
        """The model that this codec encodes with.

        >>> codec.model.name
        'fast'
        """
        return self._loaded.model

    def _coder(self, model: ModelFile, units: int, groups: int) -> GroupCoder:
        """Several groups share the cores, a single one has its nets use all of them."""
        nets = self._loaded.nets(model, self._workers.threads_for(groups))
        self.timing = Timing()
        return GroupCoder(model, nets, units, self.timing)

    # Encoding ---------------------------------------------------------------------------------------------------

    def encode(
        self, image: ImageLike, quality: float | None = None, target: Target | None = None, *, effort: int | None = None
    ) -> bytes:
        """Image -> bytes of a .vaec file.

        image: PIL image, numpy array (H, W[, C]) uint8, torch tensor ([C,] H, W), path or bytes of an image file.
        quality: 1 (smallest) to 100 (best), fractions allowed; None: the model's own default, SSIMULACRA 2 of about 70
        on photographs. target: in place of it what the file is to reach, such as Size("100kB") or Psnr(38), see
        vaecodec.targets. effort: 1 to 9, None: the codec's own. Raises VaecodecError, and its TargetError
        where the target is out of reach.

        >>> small, large = codec.encode(image, 10), codec.encode(image, 90, effort=2)
        >>> len(small) < len(large)
        True
        >>> within = codec.encode(image, target=vaecodec.Bpp(2.5))
        """
        check_alone(quality, target)
        picture = to_picture(image, self.max_pixels)
        if target is not None:
            return self.reach(picture, target, effort=effort).data
        return self.encode_picture(picture, quality, effort=effort)

    def encode_file(
        self,
        source: SourceLike,
        output: str | os.PathLike[str],
        quality: float | None = None,
        target: Target | None = None,
        *,
        effort: int | None = None,
        overwrite: bool = False,
    ) -> list[str]:
        """An image file -> a .vaec file at `output` (path or URL), which appears whole or not at all; see encode.

        overwrite: replace a .vaec file or an empty one; others are never replaced. Returns notes, one line each, of
        what had to be converted or left out. Raises VaecodecError.

        >>> codec.encode_file("photo.png", "new.vaec", 50)
        []
        >>> codec.encode_file("photo.png", "new.vaec", 50)
        Traceback (most recent call last):
        vaecodec.errors.VaecodecError: new.vaec exists already
        >>> codec.encode_file("photo.png", "new.vaec", target=vaecodec.Psnr(30), overwrite=True)
        []
        """
        return encode_file(self, source, output, quality, target, effort, overwrite)

    def encode_picture(
        self,
        picture: Picture,
        quality: float | None = None,
        progress: Progress | None = None,
        effort: int | None = None,
    ) -> bytes:
        (data,) = self.encode_pictures([picture], quality, progress, effort)
        return data

    def encode_pictures(
        self,
        pictures: Sequence[Picture],
        quality: float | None = None,
        progress: Progress | None = None,
        effort: int | None = None,
    ) -> list[bytes]:
        """Pictures of equal size, in one pass through the nets."""
        encoding = self._encoding(pictures, effort)
        units = quality_units(self.model.default_quality if quality is None else quality)
        return files(encoding, encoding.code(units, progress, again=looked_at(encoding, units)))

    def reach(
        self, picture: Picture, target: Target, progress: Progress | None = None, effort: int | None = None
    ) -> Reached:
        """The file that meets a target, with what it took; raises TargetError where none does, unless the target says
        that the nearest will do, and VaecodecError for what is no target."""
        return reach(self._encoding([picture], effort), target, progress)

    def _encoding(self, pictures: Sequence[Picture], effort: int | None) -> Encoding:
        steps = self._steps if effort is None else refinement_steps(effort)
        refiner = self._loaded.refiner(self._threads) if steps else None
        coder = functools.partial(self._coder, self.model)
        limits = steps, self.tile_log2, self.max_metadata, self.metadata, self.keep, self.keep_hidden
        return Encoding(pictures, Tools(self.model, coder, self._workers, refiner, *limits))

    def encode_batch(
        self,
        images: Iterable[ImageLike],
        quality: float | None = None,
        target: Target | None = None,
        *,
        effort: int | None = None,
    ) -> list[bytes]:
        """Encode many images, or a tensor (B, C, H, W) or array (B, H, W, C) of them: those of equal size go through
        the nets together, some at a time, on all cores side by side. A target is one of each image, which then goes
        alone.

        As on another machine, a few latents may be rounded otherwise than by `encode`.

        >>> first, second = codec.encode_batch([image, "photo.png"], quality=40)
        """
        check_alone(quality, target)
        # Refinement takes all cores itself.
        refined = bool(self._steps if effort is None else refinement_steps(effort))
        if target is not None:
            codec = self if refined else self._single
            return list(self._workers.map(lambda image: codec.encode(image, target=target, effort=effort), images))

        def work(pictures: list[Picture]) -> list[bytes]:
            return (self if refined else self._single).encode_pictures(pictures, quality, effort=effort)

        def encode(chunk: Sequence[ImageLike]) -> list[bytes]:
            pictures = (to_picture(image, self.max_pixels) for image in chunk)
            return in_passes(pictures, lambda p: (p.width, p.height), work, self._workers)

        return in_chunks(images, encode, self._workers)

    # Decoding ---------------------------------------------------------------------------------------------------

    def decode(self, source: SourceLike, region: Region | None = None) -> Image.Image:
        """A .vaec file -> PIL image (L, LA, RGB or RGBA) with exif, icc_profile and xmp in `info`.

        source: bytes, path or binary file object. region: (x, y, width, height) in pixels; then only what it needs is
        read and decoded, and the result equals that crop of the whole image. Raises FormatError for bytes that are
        no such file or damaged, ModelError if the model is not here, ImageError for a region outside the image.

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
        """A .vaec file -> an image file in the format of the suffix of `output` (path or URL), whole or not at all.

        quality: 1 to 100, of formats that lose something (None: 95; what was kept as a JPEG becomes that JPEG again);
        lossless: of WebP and JPEG XL; png_level: 0 to 9. overwrite: replace what is there, whatever it is but the
        input. Returns notes, one line each, of what the format cannot hold. Raises VaecodecError.

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
        convert = _converter(kind)

        def decode(chunk: Sequence[SourceLike]) -> list[Any]:
            with ExitStack() as stack:
                opened = [stack.enter_context(Source(source)) for source in chunk]
                containers = [read_container(source, self.max_pixels) for source in opened]
                pictures = in_passes(containers, alike, self._single._decoding.pictures, self._workers)
                return [convert(picture) for picture in pictures]

        return in_chunks(sources, decode, self._workers)

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
        """An image of an eighth of the size (rounded up), without metadata: nearly what averaging 8x8 pixels of the
        decoded image gives, in a fraction of the time and memory.

        >>> codec.preview("photo.vaec").size
        (12, 8)
        """
        return to_pil(self.preview_picture(source))

    def preview_picture(self, source: SourceLike | Source, progress: Progress | None = None) -> Picture:
        with Source(source) as opened:
            return self._decoding.preview(read_container(opened, self.max_pixels), progress)

    def salvage(self, source: SourceLike) -> tuple[Image.Image, Damage]:
        """Decode what is sound of a damaged or truncated file; all pixels that a damaged group touches are gray (128).

        Raises FormatError if the header is damaged or no group is sound.

        >>> picture, damage = codec.salvage("photo.vaec")
        >>> bool(damage), damage.groups
        (False, [])
        """
        picture, damage = self.salvage_picture(source)
        return to_pil(picture), damage

    def salvage_picture(self, source: SourceLike | Source, progress: Progress | None = None) -> tuple[Picture, Damage]:
        with Source(source) as opened:
            container = read_container(opened, self.max_pixels, partial=True)
            damage = Damage(groups_total=len(container.groups))
            (picture,) = self._decoding.pictures([container], None, damage, progress)
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
        def coder(identity: bytes, units: int, groups: int) -> GroupCoder:
            return self._coder(self._loaded.model_for(identity), units, groups)

        return Decoding(coder, self._workers, self.max_metadata, self.metadata)


def _converter(kind: str) -> Callable[[Picture], Any]:
    converters = {"pil": to_pil, "numpy": to_array, "torch": to_tensor}
    if kind not in converters:
        raise ImageError(f"unknown kind {kind!r}; there are {', '.join(converters)}")
    return converters[kind]


def _codec_of(arguments: dict[str, Any]) -> Codec:
    return Codec(**arguments)
