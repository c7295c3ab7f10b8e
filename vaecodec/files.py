"""Reading inputs and writing outputs whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from vaecodec.errors import VaecodecError


def read_input(path: str | os.PathLike) -> bytes:
    """All bytes of a file; raises VaecodecError with the reason if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise VaecodecError(f"cannot read {path}: {error.strerror or error}") from error


def write_whole(path: str | os.PathLike, data: bytes, overwrite: bool = False) -> None:
    """Write `data` to a temporary name beside `path` and rename it; raises VaecodecError and leaves nothing behind.

    Without `overwrite` an existing file is refused.
    """
    path = Path(path)
    if path.is_file() and not overwrite:
        raise VaecodecError(f"{path} exists already; use -f to overwrite it")
    if path.exists() and not path.is_file():  # a device or a pipe: nothing to replace
        if path.is_dir():
            raise VaecodecError(f"cannot write {path}: it is a folder")
        try:
            path.write_bytes(data)
        except OSError as error:
            raise VaecodecError(f"cannot write {path}: {error.strerror or error}") from error
        return
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.partial")
    try:
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise VaecodecError(f"cannot write {path}: {error.strerror or error}") from error
