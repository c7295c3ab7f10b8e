"""An index in a file: arrays of numbers, and a text of JSON with the names, in an .npz that numpy reads too."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import MAX_SIDE
from vaecodec.bitstream.spec import MAX_CHANNELS
from vaecodec.errors import FormatError, VaecodecError, printable
from vaecodec.system.npz import read_arrays, write_arrays
from vaecodec.uses.entries import EIGHTH, LONGEST, Entry, Group

VERSION = 1
TEXT = "vaecodec_features"
LONGEST_NAME = 4096


def write_groups(path: str | os.PathLike[str], groups: Sequence[Group], overwrite: bool) -> None:
    """Whole or not at all; raises VaecodecError."""
    described = [{"model": g.model, "quality": g.quality, "names": [e.name for e in g.entries]} for g in groups]
    text = json.dumps({"version": VERSION, "groups": described}).encode()
    arrays: dict[str, NDArray[Any]] = {TEXT: np.frombuffer(text, np.uint8)}
    for number, group in enumerate(groups):
        entries = group.entries
        arrays[f"sizes_{number}"] = np.array([(e.width, e.height, e.unit) for e in entries], np.uint32)
        arrays[f"shapes_{number}"] = np.array([e.preview.shape for e in entries], np.uint8)
        arrays[f"previews_{number}"] = np.concatenate([e.preview.ravel() for e in entries])
        arrays[f"textures_{number}"] = np.stack([e.texture for e in entries]).astype(np.float16)
    write_arrays(path, arrays, overwrite)


def read_groups(path: str | os.PathLike[str]) -> list[Group]:
    """Raises FormatError for what write_groups did not write, VaecodecError where it cannot be read."""
    arrays = read_arrays(path)
    try:
        return _groups(arrays)
    except VaecodecError as error:
        raise FormatError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} is no index of pictures, or damaged") from error


def _groups(arrays: dict[str, NDArray[Any]]) -> list[Group]:
    if TEXT not in arrays:
        raise FormatError("it is no index of pictures: make one with features")
    described = json.loads(arrays[TEXT].tobytes())
    if described["version"] != VERSION:
        raise FormatError(
            f"an index of version {printable(str(described['version']))[:20]} is not supported, only {VERSION}"
        )
    return [_group(group, number, arrays) for number, group in enumerate(described["groups"])]


def _group(described: dict[str, Any], number: int, arrays: dict[str, NDArray[Any]]) -> Group:
    model, quality, names = described["model"], described["quality"], described["names"]
    sizes, shapes, previews, textures = (
        arrays[f"{kind}_{number}"] for kind in ("sizes", "shapes", "previews", "textures")
    )
    dtypes = [array.dtype for array in (sizes, shapes, previews, textures)]
    count = len(names)
    _require(dtypes == [np.dtype(kind) for kind in (np.uint32, np.uint8, np.uint8, np.float16)])
    _require(count > 0 and sizes.shape == (count, 3) and shapes.shape == (count, 2) and previews.ndim == 1)
    _require(textures.ndim == 2 and len(textures) == count and textures.shape[1] <= MAX_CHANNELS)
    _require(isinstance(model, str) and (not model or len(bytes.fromhex(model)) == 4) and len(model) in (0, 8))
    _require(isinstance(quality, int) and (1 <= quality <= 100 if model else quality == 0))
    _require(bool(textures.shape[1]) == bool(model) and bool(np.isfinite(textures).all()))
    _require(all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names))
    _require(sizes[:, :2].min() >= 1 and sizes[:, :2].max() <= MAX_SIDE and sizes[:, 2].min() >= EIGHTH)
    _require(shapes.min() >= 1 and shapes.max() <= LONGEST)
    _require(bool(((shapes[:, ::-1].astype(np.int64) - 1) * sizes[:, 2:] < sizes[:, :2]).all()))
    ends = shapes.astype(np.int64).prod(1).cumsum()
    _require(int(ends[-1]) == len(previews))
    planes = [plane.reshape(shape) for plane, shape in zip(np.split(previews, ends[:-1]), shapes, strict=True)]
    entries = [
        Entry(name, width, height, unit, plane, texture)
        for name, (width, height, unit), plane, texture in zip(
            names, sizes.tolist(), planes, textures.astype(np.float32), strict=True
        )
    ]
    return Group(model, quality, entries)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError
