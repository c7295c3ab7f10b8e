"""Reading model files, which are as untrusted as images: everything is checked before it is used."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors

from vaecodec.bitstream.spec import (
    BIAS_UNIT,
    EXACT_BOUND,
    HYPER_LIMIT,
    LEVEL,
)
from vaecodec.bitstream.tables import PackedTables
from vaecodec.errors import ModelError
from vaecodec.model.config import ModelConfig
from vaecodec.model.layers import exact_layers, expected_tensors, output_units
from vaecodec.model.rate import MAX_LOG2
from vaecodec.system.files import Source
from vaecodec.system.signals import pass_on_stops
from vaecodec.system.storage import local_path

FORMAT = "vaecodec-model-1"
MAX_BYTES = 1 << 27
"""Largest model file, in bytes: twenty times the shipped ones."""
MAX_HEADER = 1 << 20
MAX_WEIGHT, MAX_RATE = 256.0, 24.0
"""Largest magnitude of a float weight, and of a rate's exponent of two; trained ones are below 10 and 7. Larger ones
lead to activations that overflow float32."""
TABLES = ("tables.latent", "tables.hyper")


@dataclass
class RawModel:
    """The checked contents of a model file. identity: SHA-256 of the full file that a slim one was made from."""

    config: ModelConfig
    tensors: dict[str, NDArray[Any]]
    data: bytes
    identity: str | None
    bpp_range: tuple[float, float] | None


def read_raw(path: str | Path) -> RawModel:
    """Read and check a model file, by path or URL; raises ModelError that names it for any fault."""
    try:
        _check_file(path)
        with Source(path, MAX_BYTES, str(path)) as source:
            header = _header(source)
            data = source.read(0, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ModelError("it is too large")
        return _checked(header, data)
    except ModelError as error:
        raise ModelError(f"{path} is no model file that can be used: {error}") from error
    except BaseException as error:  # panics of safetensors, which is written in Rust, are not an Exception
        pass_on_stops(error)
        reason = "not enough memory" if isinstance(error, MemoryError) else str(error).splitlines()[:1]
        text = reason if isinstance(reason, str) else " ".join(reason) or type(error).__name__
        raise ModelError(f"{path} is no model file that can be used: {text}") from error


def require_file(path: str | Path) -> None:
    """Raises ModelError, as read_raw does, if the file is missing; checks nothing else, and no URLs."""
    try:
        _check_file(path)
    except ModelError as error:
        raise ModelError(f"{path} is no model file that can be used: {error}") from error


def _check_file(path: str | Path) -> None:
    """Refuses pipes, which could block, and devices, which never end."""
    local = local_path(path)
    if local is None:
        return
    try:
        found = os.stat(local)
    except OSError as error:
        raise ModelError((error.strerror or str(error)).lower()) from error
    if not stat.S_ISREG(found.st_mode):
        raise ModelError("it is no regular file")
    if found.st_size > MAX_BYTES:
        raise ModelError(f"it has {found.st_size} bytes, more than {MAX_BYTES}")


def _header(source: Source) -> dict[str, Any]:
    """The JSON at the start of a safetensors file."""
    size = int.from_bytes(source.read(0, 8), "little")
    text = source.read(8, size) if 2 <= size <= MAX_HEADER else b""
    if len(text) != size or size < 2:
        raise ModelError("it is no safetensors file, or too large a header")
    try:
        header = json.loads(text, object_pairs_hook=_unique)
        if header["__metadata__"]["format"] != FORMAT:
            raise KeyError
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError("it is no vaecodec model") from error
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key appears twice")
    return found


def _checked(header: dict[str, Any], data: bytes) -> RawModel:
    metadata = header["__metadata__"]
    config = ModelConfig.from_json(metadata.get("config", ""))
    identity = metadata.get("identity")
    if identity is not None and (len(identity) != 64 or set(identity) - set("0123456789abcdef")):
        raise ModelError("the identity that it claims is none")
    expected = expected_tensors(config, slim=identity is not None)
    # Sizes in the header first: only tensors of the right size are worth reading.
    for name, (_, shape) in expected.items():
        entry = header.get(name)
        if not isinstance(entry, dict) or entry.get("shape") != list(shape):
            raise ModelError(f"tensor {name} is missing or has the wrong type or shape")
    tensors = load_safetensors(data)
    for name, (dtype, shape) in expected.items():
        if tensors[name].dtype != dtype or tensors[name].shape != shape:
            raise ModelError(f"tensor {name} is missing or has the wrong type or shape")
    for name, tensor in tensors.items():
        if tensor.dtype == np.float16:
            limit = MAX_RATE if name.endswith("rate") else MAX_WEIGHT
            # Without the sign, bits of floats are ordered like their values: comparing them is ten times as fast.
            largest = np.uint16((tensor.view(np.uint16) & 0x7FFF).max(initial=0)).view(np.float16)
            if not np.isfinite(largest):
                raise ModelError(f"tensor {name} is not finite")
            if largest > limit:
                raise ModelError(f"tensor {name} has values beyond {limit:g}")
    for name in ("gain", "hyper_gain", "norm"):
        if name in tensors and np.abs(tensors[name].astype(np.int32)).max() > MAX_LOG2:
            raise ModelError(f"tensor {name} is out of range")
    _check_tables(tensors)
    _check_bounds(config, tensors)
    return RawModel(config, tensors, data, identity, _bpp_range(metadata.get("bpp_range")))


def _bpp_range(text: Any) -> tuple[float, float] | None:
    try:
        low, high = (float(value) for value in text.split())
    except (AttributeError, ValueError):
        return None
    return (low, high) if 0 < low <= high < 1000 else None


def _check_tables(tensors: dict[str, NDArray[Any]]) -> None:
    for name in TABLES:
        counts = tensors.get(f"{name}.counts")
        if counts is None or counts.dtype != np.uint32 or counts.ndim != 1:
            raise ModelError(f"tensor {name}.counts is missing or has the wrong type or shape")
        PackedTables(counts, tensors[f"{name}.radius"])
    if tensors["tables.hyper.radius"].max() > HYPER_LIMIT:
        raise ModelError("hyper latent tables are too wide")


def _check_bounds(config: ModelConfig, tensors: dict[str, NDArray[Any]]) -> None:
    """No partial sum of an integer layer may reach EXACT_BOUND: float32 would round it, and machines disagree."""
    for name, ratio in bound_ratios(config, tensors).items():
        if tensors[f"{name}.weight"].min() < -LEVEL:
            raise ModelError(f"tensor {name}.weight is out of range")
        if ratio >= 1:
            raise ModelError(f"integer layer {name} can overflow")


def bound_ratios(config: ModelConfig, tensors: dict[str, NDArray[Any]]) -> dict[str, float]:
    """The largest possible partial sum of each integer layer, for any input, over EXACT_BOUND."""
    ratios = {}
    for name in exact_layers(config):
        weight = tensors[f"{name}.weight"]
        shift = tensors[f"{name}.shift"].astype(np.float64)
        bias = np.abs(tensors[f"{name}.bias"].astype(np.float64)) / BIAS_UNIT + 0.5
        rate = 0.0
        if name == "prior.hyper_synthesis.stem":
            rate = _largest(tensors["prior.hyper_rate"]) / BIAS_UNIT + 1
        elif name.startswith("prior.steps.") and name.endswith(".head"):
            rate = _largest(tensors["prior.step_rate"][int(name.split(".")[2])]) / BIAS_UNIT + 1
        # Units of the sums: of the products, of biases, and of the 1/2 that rounds in the units of the outputs.
        unit = np.maximum(np.exp2(shift), BIAS_UNIT)
        if name.endswith(".out"):
            unit = np.maximum(unit, 2 * output_units(config))
        products = np.abs(weight, dtype=np.int16).sum((1, 2, 3), dtype=np.int64) * LEVEL * np.exp2(-shift)
        ratios[name] = float(((products + bias + rate) * unit).max()) / EXACT_BOUND
    return ratios


def _largest(tensor: NDArray[Any]) -> float:
    return float(np.abs(tensor.astype(np.int32)).max())
