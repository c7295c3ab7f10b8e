"""Arrays in .npz files, written whole and read without trust: nothing is unpickled, and no array takes more memory than
the file says and the limit allows."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.errors import FormatError
from vaecodec.system.files import Source
from vaecodec.system.output import write_whole

MAX_ARRAYS = 1 << 30
"""Bytes that the arrays of a file may take in all."""
SUFFIX = ".npy"


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], overwrite: bool = False) -> None:
    """A compressed .npz that numpy.load reads, whole or not at all; raises VaecodecError as write_whole does."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))
    write_whole(path, buffer.getvalue(), overwrite)


def read_arrays(path: str | os.PathLike[str], limit: int = MAX_ARRAYS) -> dict[str, NDArray[Any]]:
    """Arrays of numbers by their names, read-only. Raises FormatError for what is no such file, is damaged or holds
    more than `limit` bytes, VaecodecError where it cannot be read."""
    with Source(path, limit) as source:
        try:
            with zipfile.ZipFile(source.file()) as archive:
                members = archive.infolist()
                if sum(member.file_size for member in members) > limit:
                    raise FormatError(f"{source.name}: its arrays take more than {limit} bytes")
                return {member.filename.removesuffix(SUFFIX): _array(archive.read(member)) for member in members}
        except FormatError:
            raise
        except Exception as error:  # zipfile and zlib raise anything
            raise FormatError(f"{source.name} is no file of arrays (.npz), or damaged") from error


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in Fortran's order, and type."""
    from numpy.lib import format as npy

    version: tuple[int, int] = npy.read_magic(file)  # type: ignore[no-untyped-call]
    header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version](file)  # type: ignore
    return header


def _array(data: bytes) -> NDArray[Any]:
    """An array of numbers from the bytes of an .npy file: views them, whatever size its header tells. Raises
    ValueError for anything else."""
    file = io.BytesIO(data)
    shape, fortran, dtype = _header(file)
    if dtype.kind not in "biuf" or (fortran and len(shape) > 1):
        raise ValueError("not numbers, or not in the usual order")
    if file.tell() + dtype.itemsize * math.prod(shape) != len(data) or any(side < 0 for side in shape):
        raise ValueError("another size than it says")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)
