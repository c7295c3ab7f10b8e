"""Model files: load, verify, list. A model file is safetensors: weights, integer tables, configuration; no code.

Float nets are stored in float16; integer layers as int8 weights, a power of two for each output channel, and biases in
1/16 level. The identity of a model is the SHA-256 of its file; a stream carries its first 4 bytes.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as save_safetensors

from vaecodec.bitstream.coder import SymbolTables
from vaecodec.bitstream.spec import BIAS_UNIT, IDENTITY_BYTES
from vaecodec.bitstream.tables import PackedTables
from vaecodec.errors import ModelError
from vaecodec.model.config import ModelConfig
from vaecodec.model.defaults import DEFAULT_MODEL, default_quality
from vaecodec.model.layers import ENCODER, output_units
from vaecodec.model.rate import RatePosition
from vaecodec.model.reading import FORMAT, read_raw, require_file
from vaecodec.model.shipped import EARLIER, EARLIER_FOLDER, SUFFIX, check_name, model_folder, name_of, shipped


@dataclass(frozen=True)
class ModelFile:
    """A verified model: its configuration, tensors by name, and where it came from."""

    name: str
    path: str | Path
    config: ModelConfig
    tensors: dict[str, NDArray[Any]]
    checksum: str
    """SHA-256 of the file, hexadecimal."""
    bpp_range: tuple[float, float] | None = None
    """Mean bits per pixel at the lowest and the highest quality on the validation pictures of the training."""
    slim: bool = False
    """Whether it can only decode, as an earlier model of which only the decoder is kept."""

    @property
    def identity(self) -> bytes:
        """The identity of the model in a stream (4 bytes)."""
        return bytes.fromhex(self.checksum)[:IDENTITY_BYTES]

    @property
    def default_quality(self) -> float:
        """The quality used if none is given."""
        return default_quality(self.identity.hex())

    def require_encoder(self) -> None:
        """Raises ModelError if the model can only decode."""
        if self.slim:
            raise ModelError(f"model {self.name} is an earlier one, which only decodes: encode with another")

    @property
    def parameters(self) -> int:
        """Number of parameters of the nets."""
        return sum(t.size for name, t in self.tensors.items() if name.endswith((".weight", ".bias")))

    def float_tensor(self, name: str) -> NDArray[np.float32]:
        return self.tensors[name].astype(np.float32)

    def float_row(self, table: str, rate: RatePosition) -> NDArray[np.float32]:
        """Rows of a float table (A, ...) at a rate, interpolated linearly between anchors: (...)."""
        rows, weight = self.tensors[table], np.float32(rate.t - rate.anchor)
        low, high = rows[rate.anchor].astype(np.float32), rows[rate.anchor + 1].astype(np.float32)
        return low * (1 - weight) + high * weight

    def exact_layer(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (O, I, k, k) and bias (O,) of an integer layer in output levels (or output units of a last layer)."""
        scale = np.ldexp(np.float32(1), -self.tensors[f"{name}.shift"].astype(np.int32))
        out_scale = output_units(self.config) if name.endswith(".out") else np.ones(1, np.float32)
        weight = self.float_tensor(f"{name}.weight") * (scale * out_scale)[:, None, None, None]
        return weight, self.float_tensor(f"{name}.bias") / BIAS_UNIT * out_scale

    @cached_property
    def latent_tables(self) -> SymbolTables:
        """One table for each scale index."""
        return SymbolTables(PackedTables(self.tensors["tables.latent.counts"], self.tensors["tables.latent.radius"]))

    @cached_property
    def hyper_tables(self) -> SymbolTables:
        """One table for each rate anchor and hyper latent channel."""
        return SymbolTables(PackedTables(self.tensors["tables.hyper.counts"], self.tensors["tables.hyper.radius"]))


def read_model(path: str | Path, name: str | None = None) -> ModelFile:
    """Read and verify a model file, by path or URL; raises ModelError if it is missing, damaged or inconsistent."""
    raw = read_raw(path)
    checksum = hashlib.sha256(raw.data).hexdigest()
    slim = raw.identity is not None
    if raw.identity is not None:
        if checksum not in EARLIER.values():
            raise ModelError(f"{path} is a slim model that is not known here: nothing says that it is what it claims")
        checksum = raw.identity
    return ModelFile(name or Path(path).stem, path, raw.config, raw.tensors, checksum, raw.bpp_range, slim)


@cache
def _on_disk(name: str) -> Path:
    """A shipped file in the file system: out of a zip it is extracted, for the life of the process."""
    copies = ExitStack()
    atexit.register(copies.close)
    return copies.enter_context(resources.as_file(model_folder() / name))


def load_model(name_or_path: str | Path | None = None) -> ModelFile:
    """A shipped model by name (default: eye), an earlier one by name and identity (fast-2341a3a8), which can only
    decode, or any model file by path or URL."""
    name = str(name_or_path or DEFAULT_MODEL)
    check_name(name)
    known = shipped()
    if name in known:
        file, identity = known[name]
        model = read_model(_on_disk(file), name)
        if not model.checksum.startswith(identity):
            raise ModelError(f"shipped model {name} is damaged: its checksum is not the one in its name")
        return model
    if name in EARLIER:
        return read_model(_on_disk(f"{EARLIER_FOLDER}/{name}{SUFFIX}"), name)
    return read_model(name)


def check_model(name_or_path: str | Path) -> None:
    """Raises ModelError for an unknown name or a missing file; reads nothing."""
    name = str(name_or_path)
    check_name(name)
    if name not in shipped() and name not in EARLIER:
        require_file(name)


def load_model_for(identity: bytes) -> ModelFile:
    """The shipped or earlier model that a stream names; raises ModelError if it is not available."""
    if name := name_of(identity):
        return load_model(name)
    raise ModelError(
        f"the file was written with model {identity.hex()}, which is not shipped here: give its file (model)"
    )


def slim_copy(model: ModelFile) -> bytes:
    """The file of a model without the encoder's tensors, with the identity of the whole file recorded in it. It can be
    read only once its own SHA-256 is in EARLIER."""
    if model.slim:
        raise ModelError(f"{model.name} is slim already")
    tensors = {name: t for name, t in sorted(model.tensors.items()) if not name.startswith(ENCODER)}
    metadata = {"format": FORMAT, "config": model.config.to_json(), "identity": model.checksum}
    if model.bpp_range:
        metadata["bpp_range"] = f"{model.bpp_range[0]:.4f} {model.bpp_range[1]:.4f}"
    data = save_safetensors(tensors, metadata)
    # Metadata are serialised in any order; the bytes of a file known by its hash must not depend on it.
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]
