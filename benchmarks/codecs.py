"""The codecs of the benchmark behind one small interface."""

from __future__ import annotations

import functools
import importlib.util
import io
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

import vaecodec
from vaecodec.benchmarks.learned import ARCHITECTURES, PREFIX, compressai_codec
from vaecodec.coding.effort import refinement_steps
from vaecodec.errors import VaecodecError
from vaecodec.model.file import load_model
from vaecodec.model.shipped import shipped_models

Pixels = NDArray[np.uint8]


class Codec(Protocol):
    """encode and decode work on RGB pixels (H, W, 3) and the bytes of a whole file."""

    name: str

    @property
    def qualities(self) -> tuple[float, ...]: ...

    @property
    def timing_only(self) -> bool:
        """Whether only its times are meaningful, as for nets with random weights."""
        ...

    def version(self) -> str:
        """Version of the underlying library; part of the key of cached results."""
        ...

    def missing(self) -> str | None:
        """Why the codec cannot run here, or None."""
        ...

    def encode(self, pixels: Pixels, quality: float) -> bytes: ...

    def decode(self, data: bytes) -> Pixels: ...


@dataclass(frozen=True)
class PillowCodec:
    """A format that Pillow writes, itself or with a plugin."""

    name: str
    format: str
    qualities: tuple[float, ...]
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    feature: str | None = None
    """Feature of Pillow's build that it needs."""
    plugin: str | None = None
    """Module whose import registers the format with Pillow."""
    quality_option: str = "quality"
    timing_only = False

    def version(self) -> str:
        if self.plugin:
            return f"{self.plugin} {getattr(importlib.import_module(self.plugin), '__version__', '')}"
        return f"Pillow {Image.__version__}, {features.version(self.feature) if self.feature else ''}"

    def missing(self) -> str | None:
        try:
            if self.plugin:
                module = importlib.import_module(self.plugin)
                if hasattr(module, "register_heif_opener"):
                    module.register_heif_opener()
        except ImportError:
            return f"{self.plugin} is not installed"
        return f"this Pillow has no {self.feature}" if self.feature and not features.check(self.feature) else None

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        buffer = io.BytesIO()
        value: Any = [quality] if self.quality_option == "quality_layers" else quality
        Image.fromarray(pixels).save(buffer, self.format, **{self.quality_option: value}, **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@dataclass(frozen=True)
class MozJpegCodec(PillowCodec):
    """JPEG with Huffman codes and progressive scans optimised losslessly by MozJPEG."""

    def version(self) -> str:
        return f"{super().version()}, mozjpeg-lossless-optimization {metadata.version('mozjpeg-lossless-optimization')}"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        import mozjpeg_lossless_optimization as mozjpeg

        return mozjpeg.optimize(super().encode(pixels, quality))


@dataclass(frozen=True)
class VaecCodec:
    """A shipped model, or a model file, at an effort."""

    name: str
    model: str
    effort: int = 1
    qualities: tuple[float, ...] = (1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100)
    timing_only = False

    @functools.cached_property
    def _codec(self) -> vaecodec.Codec:
        return vaecodec.Codec(self.model, threads=1, effort=self.effort)

    def version(self) -> str:
        effort = f", effort {self.effort}" if self.effort > 1 else ""
        return f"vaecodec {vaecodec.__version__}, model {load_model(self.model).checksum[:16]}{effort}"

    def missing(self) -> str | None:
        needs_torch = self.effort > 1 and load_model(self.model).config.metric != "mse"
        return "torch is not installed" if needs_torch and not importlib.util.find_spec("torch") else None

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        return self._codec.encode(pixels, quality)

    def decode(self, data: bytes) -> Pixels:
        return self._codec.decode_array(data)


def available() -> dict[str, Codec]:
    """All codecs by name, installed or not; "jpeg" is the anchor."""
    jpeg = tuple(range(5, 100, 5))
    codecs: list[Codec] = [
        PillowCodec("jpeg", "JPEG", jpeg, {"optimize": True, "subsampling": "4:2:0"}, "jpg"),
        PillowCodec("jpeg-444", "JPEG", jpeg, {"optimize": True, "progressive": True, "subsampling": "4:4:4"}, "jpg"),
        MozJpegCodec(
            "jpeg-moz", "JPEG", jpeg, {"optimize": True, "subsampling": "4:2:0"},
            plugin="mozjpeg_lossless_optimization",
        ),
        PillowCodec("webp", "WEBP", (0, 5, 10, 20, 30, 45, 60, 75, 85, 92, 97), {"method": 6}, "webp"),
        PillowCodec(
            "avif", "AVIF", (5, 15, 25, 35, 45, 55, 65, 75, 85, 93),
            {"speed": 6, "subsampling": "4:2:0", "max_threads": 1}, "avif",
        ),
        PillowCodec(
            "avif-444", "AVIF", (5, 15, 25, 35, 45, 55, 65, 75, 85, 93),
            {"speed": 6, "subsampling": "4:4:4", "max_threads": 1}, "avif",
        ),
        PillowCodec(
            "jxl", "JXL", (5, 15, 30, 45, 60, 70, 80, 88, 93, 96),
            {"effort": 7, "num_threads": 1}, plugin="pillow_jxl",
        ),
        PillowCodec(
            "jpeg2000", "JPEG2000", (240, 160, 110, 75, 50, 34, 23, 16, 11),  # compression ratios
            {"quality_mode": "rates", "irreversible": True, "mct": 1}, "jpg_2000", quality_option="quality_layers",
        ),
        PillowCodec("heic", "HEIF", (10, 20, 30, 40, 50, 60, 70, 80, 90, 95), plugin="pillow_heif"),
    ]  # fmt: skip
    codecs += [VaecCodec(f"vaecodec-{name}", name) for name in shipped_models()]
    return {codec.name: codec for codec in codecs}


def _with_effort(name: str, known: dict[str, Codec]) -> Codec | None:
    """vaecodec-MODEL@EFFORT, at a fifth of the qualities, since each takes long."""
    plain, _, effort = name.partition("@")
    codec = known.get(plain)
    if not isinstance(codec, VaecCodec) or not effort.isdecimal():
        return None
    refinement_steps(int(effort))
    return replace(codec, name=name, effort=int(effort), qualities=codec.qualities[::5])


def find(name: str) -> Codec:
    """The codec of that name, including vaecodec-MODEL@EFFORT and compressai-ARCHITECTURE[=CHECKPOINTS]. Raises
    VaecodecError if there is none."""
    known = available()
    codec = known.get(name) or _with_effort(name, known) or compressai_codec(name)
    if codec is None:
        others = f"vaecodec-MODEL@EFFORT, {PREFIX}ARCHITECTURE[=CHECKPOINTS] with {', '.join(ARCHITECTURES)}"
        raise VaecodecError(f"unknown {name!r}; there are {', '.join(known)}, {others}")
    return codec
