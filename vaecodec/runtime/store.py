"""Model files: load, verify, list. A model file is safetensors: weights, integer tables, configuration; no code.

Float nets are stored in float16; integer layers as int8 weights, a power of two for each output channel, and biases in
1/16 level. The identity of a model is the SHA-256 of its file; a stream carries the first 4 bytes of it.
"""

from __future__ import annotations

import atexit
import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from vaecodec.bitstream.coder import SymbolTables
from vaecodec.bitstream.tables import PackedTables
from vaecodec.config import (
    BIAS_UNIT,
    HYPER_LIMIT,
    IDENTITY_BYTES,
    INDEX_PER_UNIT,
    INDEX_UNIT,
    LEVELS_PER_UNIT,
    MEAN_UNIT,
    PATCH,
    SCALES,
    STEPS,
    ModelConfig,
)
from vaecodec.errors import ModelError, VaecodecError
from vaecodec.files import Source
from vaecodec.quantise import Quantiser
from vaecodec.rate import MAX_LOG2
from vaecodec.storage import is_url

if TYPE_CHECKING:
    from importlib.abc import Traversable

SUFFIX = ".safetensors"
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class ModelFile:
    """A verified model: its configuration, tensors by name, and where it came from."""

    name: str
    path: str | Path
    config: ModelConfig
    tensors: dict[str, np.ndarray]
    checksum: str
    """SHA-256 of the file, hexadecimal."""
    bpp_range: tuple[float, float] | None = None
    """Mean bits a pixel at the lowest and the highest quality on the validation pictures of the training."""

    @property
    def identity(self) -> bytes:
        """What a stream says about the model it was written with (4 bytes)."""
        return bytes.fromhex(self.checksum)[:IDENTITY_BYTES]

    @property
    def parameters(self) -> int:
        """Number of weights and biases of the nets."""
        return sum(t.size for name, t in self.tensors.items() if name.endswith((".weight", ".bias")))

    def float_tensor(self, name: str) -> NDArray[np.float32]:
        return self.tensors[name].astype(np.float32)

    def exact_layer(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (O, I, k, k) and bias (O,) of an integer layer in output levels (or output units of a last layer)."""
        scale = np.ldexp(np.float32(1), -self.tensors[f"{name}.shift"].astype(np.int32))
        if name.endswith(".out"):
            units = (MEAN_UNIT / LEVELS_PER_UNIT, INDEX_PER_UNIT * INDEX_UNIT / LEVELS_PER_UNIT)
            out_scale = np.repeat(np.float32(units), self.config.latents)
        else:
            out_scale = np.float32(1)
        weight = self.float_tensor(f"{name}.weight") * (scale * out_scale)[:, None, None, None]
        return weight, self.float_tensor(f"{name}.bias") / BIAS_UNIT * out_scale

    @cached_property
    def latent_tables(self) -> SymbolTables:
        """One table for each scale index."""
        return SymbolTables(PackedTables(self.tensors["tables.latent.counts"], self.tensors["tables.latent.radius"]))

    @cached_property
    def quantiser(self) -> Quantiser:
        """How the encoder rounds latents."""
        return Quantiser(self.latent_tables.packed)

    @cached_property
    def hyper_tables(self) -> SymbolTables:
        """One table for each rate anchor and hyper latent channel."""
        return SymbolTables(PackedTables(self.tensors["tables.hyper.counts"], self.tensors["tables.hyper.radius"]))


def _float_layers(config: ModelConfig) -> dict[str, tuple[int, int, int]]:
    """Layers of the float nets: name -> (outputs, inputs of a group, kernel)."""
    c, m, h = config.channels, config.latents, config.hyper_channels
    layers = {
        "analysis.stem": (c, 192, 1),
        "analysis.head": (m, 4 * c, 1),
        "synthesis.stem": (4 * c, m, 1),
        "synthesis.head": (192, c, 1),
        "hyper_analysis.stem": (h, 2 * m, 1),
        "hyper_analysis.mix": (h, h, 1),
        "hyper_analysis.down1": (h, 4 * h, 1),
        "hyper_analysis.spatial1": (h, 1, 3),
        "hyper_analysis.down2": (h, 4 * h, 1),
        "hyper_analysis.spatial2": (h, 1, 3),
        "hyper_analysis.head": (config.hyper_latents, h, 1),
    }
    if config.shortcut:
        layers |= {"analysis.shortcut": (m, 3 * PATCH**2, 1), "synthesis.shortcut": (3 * PATCH**2, m, 1)}
    for net, count in (("analysis", config.encoder_blocks), ("synthesis", config.decoder_blocks)):
        for i in range(count):
            block = f"{net}.blocks.layers.{i}"
            layers[f"{block}.mix_in"] = layers[f"{block}.mix_out"] = (c, c, 1)
            layers[f"{block}.spatial"] = (c, 1, 3)
            layers[f"{block}.expand"] = (config.expansion * c, c, 1)
            layers[f"{block}.contract"] = (c, config.expansion * c, 1)
    return layers


def _exact_layers(config: ModelConfig) -> dict[str, tuple[int, int, int]]:
    """Layers of the integer nets: name -> (outputs, inputs of a group, kernel)."""
    h, k, m = config.hyper_channels, config.context_channels, config.latents
    net = "prior.hyper_synthesis"
    layers = {f"{net}.stem": (h, config.hyper_latents, 1), f"{net}.head": (h, h, 1)}
    layers |= {f"{net}.spatial{i}": (h, 1, 3) for i in (1, 2, 3)} | {f"{net}.up{i}": (4 * h, h, 1) for i in (1, 2)}
    for step in range(STEPS):
        net = f"prior.steps.{step}"
        layers |= {f"{net}.head": (k, h + (2 * m if step else 0), 1), f"{net}.out": (2 * m, k, 1)}
        for i in range(config.context_blocks):
            layers |= {f"{net}.blocks.{i}.spatial": (k, 1, 3), f"{net}.blocks.{i}.mix": (k, k, 1)}
    return layers


def expected_tensors(config: ModelConfig) -> dict[str, tuple[type, tuple[int, ...]]]:
    """dtype and shape of every tensor of a model file but the packed tables and what only training reads."""
    a, m, h = config.anchors, config.latents, config.hyper_channels
    expected: dict[str, tuple[type, tuple[int, ...]]] = {}
    for name, (outputs, inputs, kernel) in _float_layers(config).items():
        expected[f"{name}.weight"] = (np.float16, (outputs, inputs, kernel, kernel))
        expected[f"{name}.bias"] = (np.float16, (outputs,))
    for net, count in (("analysis", config.encoder_blocks), ("synthesis", config.decoder_blocks)):
        expected[f"{net}.blocks.rate"] = (np.float16, (a, count, config.channels))
    expected["hyper_analysis.rate"] = (np.float16, (a, h))
    for name, (outputs, inputs, kernel) in _exact_layers(config).items():
        expected[f"{name}.weight"] = (np.int8, (outputs, inputs, kernel, kernel))
        expected[f"{name}.shift"] = (np.uint8, (outputs,))
        expected[f"{name}.bias"] = (np.int16, (outputs,))
    expected["prior.hyper_rate"] = (np.int16, (a, h))
    expected["prior.step_rate"] = (np.int16, (STEPS, a, config.context_channels))
    expected["norm"] = (np.int16, (m,))
    expected["gain"] = (np.int16, (a, m))
    expected["hyper_gain"] = (np.int16, (a, config.hyper_latents))
    expected["tables.latent.radius"] = (np.uint16, (SCALES,))
    expected["tables.hyper.radius"] = (np.uint16, (a * config.hyper_latents,))
    return expected


def read_model(path: str | Path, name: str | None = None) -> ModelFile:
    """Read and verify a model file, by path or URL; raises ModelError if it is missing, damaged or inconsistent."""
    try:
        with Source(path) as source:
            size = source.size
            data = source.read(0, size) if size <= MAX_BYTES else b""
    except VaecodecError as error:
        raise ModelError(f"no model: {error}") from error
    if size > MAX_BYTES:
        raise ModelError(f"{path} is too large for a model file")
    try:
        tensors = load_safetensors(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header["__metadata__"]
        if metadata["format"] != "vaecodec-model-1":
            raise KeyError
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a vaecodec model file") from error
    config = ModelConfig.from_json(metadata.get("config", ""))
    try:
        low, high = (float(value) for value in metadata["bpp_range"].split())
        bpp_range = (low, high)
    except (KeyError, ValueError):
        bpp_range = None
    for key, (dtype, shape) in expected_tensors(config).items():
        if key not in tensors or tensors[key].dtype != dtype or tensors[key].shape != shape:
            raise ModelError(f"{path}: tensor {key} is missing or has the wrong type or shape")
        if dtype is np.float16 and not np.isfinite(tensors[key]).all():
            raise ModelError(f"{path}: tensor {key} is not finite")
    if max(int(np.abs(tensors[key].astype(int)).max()) for key in ("gain", "hyper_gain")) > MAX_LOG2:
        raise ModelError(f"{path}: gains are out of range")
    model = ModelFile(name or Path(path).stem, path, config, tensors, hashlib.sha256(data).hexdigest(), bpp_range)
    for tables in ("tables.latent", "tables.hyper"):
        PackedTables(tensors[f"{tables}.counts"], tensors[f"{tables}.radius"])
    if tensors["tables.hyper.radius"].max() > HYPER_LIMIT:
        raise ModelError(f"{path}: hyper latent tables are too wide")
    return model


def _shipped() -> dict[str, tuple[str, str]]:
    """Files in the package: model name -> (file name, first bytes of its checksum). They are called NAME-IDENTITY."""
    files = sorted(file.name for file in _folder().iterdir() if file.name.endswith(SUFFIX))
    stems = [(name, *name.removesuffix(SUFFIX).rpartition("-")) for name in files]
    return {model: (name, identity) for name, model, _, identity in stems}


def _folder() -> Traversable:
    """Where the shipped models are: in the package, which may be a zip, or beside it in a clone."""
    inside = resources.files("vaecodec") / "models"
    return inside if inside.is_dir() else resources.files("vaecodec.models")


@cache
def _on_disk(name: str) -> Path:
    """A file of that folder as one of the system: out of a zip it is copied, for as long as this process lives."""
    copies = ExitStack()
    atexit.register(copies.close)
    return copies.enter_context(resources.as_file(_folder() / name))


def shipped_models() -> list[str]:
    """Names of the models in the package."""
    return list(_shipped())


DEFAULT_MODEL = "fast"


def load_model(name_or_path: str | Path | None = None) -> ModelFile:
    """A shipped model by name (default: fast) or any model file by path or URL."""
    name = str(name_or_path or DEFAULT_MODEL)
    shipped = _shipped()
    if name in shipped:
        file, identity = shipped[name]
        model = read_model(_on_disk(file), name)
        if not model.checksum.startswith(identity):
            raise ModelError(f"shipped model {name} is damaged: its checksum is not the one in its name")
        return model
    if is_url(name) or Path(name).suffix == SUFFIX or Path(name).exists():
        return read_model(name)
    raise ModelError(f"unknown model {name!r}; shipped models: {', '.join(shipped) or 'none'}, or give a path")


def load_model_for(identity: bytes) -> ModelFile:
    """The shipped model that a stream names; raises ModelError if it is not here."""
    for name, (_, prefix) in _shipped().items():
        if prefix == identity.hex():
            return load_model(name)
    raise ModelError(f"the file was written with model {identity.hex()}, which is not shipped here; give it by --model")
