"""Codec: the only place where all stages meet. One image goes through it in one direction:
picture -> transform -> prior -> entropy coder -> container, and back."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.bitstream.coder import Decoder, Encoder
from vaecodec.bitstream.container import VERSION, Container, Section, deflate, inflate, read_container, write_container
from vaecodec.config import HYPER_LIMIT, HYPER_STRIDE, PAD, PATCH, QUALITY_UNIT, SYMBOL_UNIT
from vaecodec.errors import BackendError, FormatError, ImageError, ModelError
from vaecodec.picture import MAX_PIXELS, Picture, alpha_from_png, alpha_to_png, check_pixels, to_picture, to_pil
from vaecodec.prior import Prior, split_slots
from vaecodec.quantise import Quantiser
from vaecodec.rate import RatePosition, quality_units
from vaecodec.runtime.nets import Nets
from vaecodec.runtime.store import ModelFile, load_model, load_model_for

BACKENDS = ("onnx", "torch")


@dataclass
class Timing:
    """Seconds that the last call spent in each stage."""

    stages: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, started: float) -> None:
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - started


def load_nets(model: ModelFile, backend: str | None, device: str | None, threads: int | None) -> Nets:
    """Nets of a model on a backend: "onnx" (default) or "torch"; raises BackendError if it is not usable."""
    if backend in (None, "onnx"):
        if device not in (None, "cpu"):
            raise BackendError(f"the onnx backend runs on the CPU, not on {device!r}; use the torch backend")
        from vaecodec.runtime.onnx import OnnxNets

        return OnnxNets(model, threads)
    if backend == "torch":
        try:
            from vaecodec.runtime.torch import TorchNets
        except ImportError as error:
            raise BackendError("the torch backend needs torch: pip install 'vaecodec[torch]'") from error
        return TorchNets(model, device or "cpu", threads)
    raise BackendError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")


class Codec:
    """Encodes and decodes images; models are loaded when first needed and kept.

    model: name of a shipped model or path of a model file, for encoding (default: fast) and for decoding streams of
    it; streams of other shipped models are decoded with the model that they name. backend: "onnx" or "torch";
    device: for torch, such as "cuda"; threads: of the nets (default: all cores); max_pixels: limit on both sides.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        backend: str | None = None,
        device: str | None = None,
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if backend not in (None, *BACKENDS):
            raise BackendError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
        self.max_pixels = max_pixels
        self.timing = Timing()
        self._name = model
        self._backend = (backend, device, threads)
        self._loaded: dict[bytes, tuple[ModelFile, Nets]] = {}

    @functools.cached_property
    def model(self) -> ModelFile:
        """The model that this codec encodes with."""
        return load_model(self._name)

    @functools.cached_property
    def _quantiser(self) -> Quantiser:
        return Quantiser(self.model.latent_tables.packed)

    def _nets(self, model: ModelFile) -> Nets:
        if model.identity not in self._loaded:
            self._loaded[model.identity] = (model, load_nets(model, *self._backend))
        return self._loaded[model.identity][1]

    def _model_for(self, identity: bytes) -> ModelFile:
        if identity in self._loaded:
            return self._loaded[identity][0]
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

    def encode_picture(self, picture: Picture, quality: float = 50) -> bytes:
        units = quality_units(quality)
        hyper_stream, latent_stream, _ = self.encode_latents(picture.rgb, units)
        container = Container(
            picture.width, picture.height, units, self.model.identity, hyper_stream, latent_stream, picture.gray
        )
        if picture.alpha is not None:
            container.sections[Section.ALPHA] = alpha_to_png(picture.alpha)
        for kind, data in ((Section.EXIF, picture.exif), (Section.ICC, picture.icc), (Section.XMP, picture.xmp)):
            if data:
                container.sections[kind] = deflate(data)
        return write_container(container)

    def encode_latents(self, rgb: NDArray[np.uint8], units: int) -> tuple[bytes, bytes, NDArray[np.int64]]:
        """RGB (H, W, 3), quality in 1/QUALITY_UNIT -> (hyper stream, latent stream, quantised latents)."""
        nets, timing = self._nets(self.model), Timing()
        rate = RatePosition.of_quality(units, self.model.config.anchors)
        prior, quantise = Prior(self.model, nets, rate), self._quantiser

        started = time.perf_counter()
        v = nets.analysis(_pad_to(rgb, PAD, axes=(0, 1)), rate) * prior.norm_gain
        timing.add("analysis", started)

        started = time.perf_counter()
        z = nets.hyper_analysis(_pad_to(v, HYPER_STRIDE, axes=(1, 2)), rate) * prior.hyper_symbol_gain
        z = np.clip(np.rint(z), -HYPER_LIMIT, HYPER_LIMIT).astype(np.int32)
        targets = split_slots(v * prior.symbol_gain)
        timing.add("hyper_analysis", started)

        started = time.perf_counter()
        hyper_encoder, encoder = Encoder(), Encoder()
        hyper_encoder.encode(z.ravel(), prior.hyper_tables_index(z.shape).ravel(), self.model.hyper_tables)
        timing.add("entropy", started)

        def code_step(step: int, mean: NDArray[np.int64], index: NDArray[np.uint8]) -> NDArray[np.int32]:
            symbols = quantise(targets[step] - mean.astype(np.float32) / SYMBOL_UNIT, index)
            coded = index > 0
            entropy_started = time.perf_counter()
            encoder.encode(symbols[coded], index[coded], self.model.latent_tables)
            timing.add("entropy", entropy_started)
            return symbols

        started, entropy = time.perf_counter(), timing.stages["entropy"]
        values = prior.code(prior.features(z, *v.shape[1:]), code_step)
        timing.add("prior", started + timing.stages["entropy"] - entropy)
        streams = hyper_encoder.finish(), encoder.finish()
        self.timing = timing
        return *streams, values

    # Decoding ---------------------------------------------------------------------------------------------------

    def decode(self, data: bytes | bytearray | memoryview) -> Image.Image:
        """Bytes of a .vaec file -> PIL image (L, LA, RGB or RGBA) with exif, icc_profile and xmp in `info`.

        Raises FormatError for bytes that are no such file or damaged, ModelError if the model is not here.
        """
        return to_pil(self.decode_picture(data))

    def decode_picture(self, data: bytes | bytearray | memoryview) -> Picture:
        container = read_container(data)
        check_pixels(container.width, container.height, self.max_pixels)
        model, values, rate = self.decode_latents(container)
        nets = self._nets(model)
        started = time.perf_counter()
        rgb = nets.synthesis(Prior(model, nets, rate).dequantise(values), rate)
        self.timing.add("synthesis", started)
        picture = Picture(np.ascontiguousarray(rgb[: container.height, : container.width]), gray=container.gray)
        sections = container.sections
        if Section.ALPHA in sections:
            try:
                picture.alpha = alpha_from_png(sections[Section.ALPHA], container.width, container.height)
            except ImageError as error:
                raise FormatError(str(error)) from error
        for kind, name in ((Section.EXIF, "exif"), (Section.ICC, "icc"), (Section.XMP, "xmp")):
            if kind in sections:
                setattr(picture, name, inflate(sections[kind]))
        return picture

    def decode_latents(self, container: Container) -> tuple[ModelFile, NDArray[np.int64], RatePosition]:
        """The part that is exact on every machine: (model, quantised latents (M, h, w) in 1/SYMBOL_UNIT, rate)."""
        model, timing = self._model_for(container.model), Timing()
        nets = self._nets(model)
        rate = RatePosition.of_quality(container.quality, model.config.anchors)
        prior = Prior(model, nets, rate)
        height, width = (-(-side // PAD) * PAD // PATCH for side in (container.height, container.width))
        z_shape = (model.config.hyper_latents, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))

        started = time.perf_counter()
        hyper_decoder, decoder = Decoder(container.hyper_stream), Decoder(container.latent_stream)
        z = hyper_decoder.decode(prior.hyper_tables_index(z_shape).ravel(), model.hyper_tables).reshape(z_shape)
        hyper_decoder.finish()
        timing.add("entropy", started)

        def code_step(step: int, mean: NDArray[np.int64], index: NDArray[np.uint8]) -> NDArray[np.int32]:
            symbols = np.zeros(index.shape, np.int32)
            coded = index > 0
            entropy_started = time.perf_counter()
            symbols[coded] = decoder.decode(index[coded], model.latent_tables)
            timing.add("entropy", entropy_started)
            return symbols

        started, entropy = time.perf_counter(), timing.stages["entropy"]
        values = prior.code(prior.features(z, height, width), code_step)
        timing.add("prior", started + timing.stages["entropy"] - entropy)
        decoder.finish()
        self.timing = timing
        return model, values, rate


def _pad_to(array: NDArray, multiple: int, axes: tuple[int, int]) -> NDArray:
    """Repeat the last row and column up to a multiple."""
    padding = [(0, 0)] * array.ndim
    for axis in axes:
        padding[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, padding, "edge") if any(after for _, after in padding) else array


def inspect(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """What a .vaec file says of itself, without decoding it: size, quality, model, bytes and bpp of every part."""
    container = read_container(data)
    pixels = container.width * container.height
    sizes = {"hyper latents": len(container.hyper_stream), "latents": len(container.latent_stream)}
    sizes |= {kind.name.lower(): len(payload) for kind, payload in container.sections.items()}
    total = memoryview(data).nbytes
    sizes["header and checksum"] = total - sum(sizes.values())
    try:
        model = load_model_for(container.model).name
    except ModelError:
        model = None
    return {
        "version": VERSION,
        "width": container.width,
        "height": container.height,
        "mode": ("L" if container.gray else "RGB") + ("A" if Section.ALPHA in container.sections else ""),
        "quality": container.quality / QUALITY_UNIT,
        "model": model,
        "model_identity": container.model.hex(),
        "bytes": total,
        "bpp": total * 8 / pixels,
        "parts": {name: {"bytes": size, "bpp": size * 8 / pixels} for name, size in sizes.items()},
    }
