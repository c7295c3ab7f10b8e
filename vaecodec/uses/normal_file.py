"""What was learned of good pictures, in an .npz that numpy reads too."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import MAX_SIDE
from vaecodec.bitstream.spec import PATCH
from vaecodec.errors import FormatError, ModelError, VaecodecError
from vaecodec.model.file import ModelFile
from vaecodec.system.npz import read_arrays, write_arrays
from vaecodec.uses.gaussian import Gaussian
from vaecodec.uses.normal import DIRECTIONS, FEWEST, Normality, Scale
from vaecodec.uses.profile import BLOCK, LOSS

VERSION = 2
"""1 had other features."""
LARGEST = 1 << 28
"""Bytes that the arrays may take in all: those of aligned pictures of 160 megapixels."""
LARGEST_VALUE = 1e6
KINDS = ("loss", "texture")


def write_normality(path: str | os.PathLike[str], learned: Normality, model: ModelFile, overwrite: bool) -> None:
    """Whole or not at all; raises VaecodecError."""
    arrays: dict[str, NDArray[Any]] = {
        "vaecodec_anomaly": np.array(VERSION, np.uint32),
        "model": np.frombuffer(bytes.fromhex(model.checksum), np.uint8),
        "size": np.array(learned.size or (0, 0), np.uint32),
        "scores": learned.scores,
    }
    for kind, gaussian, scale in zip(KINDS, learned.gaussians, learned.scales, strict=True):
        # Means of each place are many; half precision errs by less than a deviation's hundredth.
        arrays[f"{kind}_mean"] = gaussian.mean.astype(np.float16 if learned.size else np.float32)
        arrays[f"{kind}_whitener"] = gaussian.whitener
        arrays[f"{kind}_scale"] = np.array((scale.usual, scale.unit), np.float32)
    write_arrays(path, arrays, overwrite)


def read_normality(path: str | os.PathLike[str], model: ModelFile) -> Normality:
    """Raises FormatError for what write_normality did not write, ModelError for what was learned with another model,
    VaecodecError where it cannot be read."""
    arrays = read_arrays(path, LARGEST)
    try:
        if "vaecodec_anomaly" not in arrays:
            raise FormatError("it holds nothing that was learned of good images")
        version = int(arrays["vaecodec_anomaly"])
        if version != VERSION:
            raise FormatError(f"version {version} is not supported, only {VERSION}")
        identity = arrays["model"].tobytes()
        if len(identity) == 32 and identity.hex() != model.checksum:
            other, own = identity.hex()[:8], model.checksum[:8]
            raise ModelError(f"it was learned with model {other}, and this version has {own}: learn again")
        return _checked(arrays, model)
    except VaecodecError as error:
        raise type(error)(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{path} holds nothing that was learned of good images, or is damaged") from error


def _checked(arrays: dict[str, NDArray[Any]], model: ModelFile) -> Normality:
    width, height = (int(side) for side in _taken(arrays, "size", np.uint32, (2,)))
    aligned = bool(width or height)
    _require(len(arrays["model"].tobytes()) == 32 and (not aligned or min(width, height) > 0))
    _require(max(width, height) <= MAX_SIDE)
    scores = _taken(arrays, "scores", np.float32, (len(arrays["scores"]),))
    _require(len(scores) >= FEWEST and bool((np.diff(scores) >= 0).all()) and scores[0] >= 0)
    gaussians, scales = [], []
    sides = {"loss": (LOSS, BLOCK), "texture": (model.config.hyper_channels, PATCH)}
    for (kind, (count, pixels)), directions in zip(sides.items(), DIRECTIONS, strict=True):
        shape = (-(-height // pixels), -(-width // pixels), count) if aligned else (count,)
        mean = _taken(arrays, f"{kind}_mean", np.float16 if aligned else np.float32, shape)
        whitener = _taken(arrays, f"{kind}_whitener", np.float32, (directions, count))
        gaussians.append(Gaussian(mean.astype(np.float32), whitener))
        usual, unit = _taken(arrays, f"{kind}_scale", np.float32, (2,)).tolist()
        _require(unit > 0)
        scales.append(Scale(usual, unit))
    return Normality(tuple(gaussians), tuple(scales), scores, (width, height) if aligned else None)


def _taken(arrays: dict[str, NDArray[Any]], name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    array = arrays[name]
    _require(array.dtype == dtype and array.shape == shape)
    if array.dtype.kind == "f":
        _require(bool(np.isfinite(array).all()) and float(np.abs(array).max()) <= LARGEST_VALUE)
    return array


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError
