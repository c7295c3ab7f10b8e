"""Reading inputs piece by piece and writing outputs whole or not at all."""

from __future__ import annotations

import io
import math
import os
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from vaecodec.errors import VaecodecError


def is_url(path: Any) -> bool:
    """Whether a path belongs to fsspec: s3://bucket/key, memory://name, ..."""
    return isinstance(path, str) and "://" in path


def local_path(path: str | os.PathLike) -> Path | None:
    """The path of a file on this machine, file:// URLs included; None for other URLs."""
    if is_url(path):
        return Path(str(path)[len("file://") :]) if str(path).startswith("file://") else None
    return Path(path)


def url_exists(url: str) -> bool:
    with _storage_of(url, "look for") as fsspec:
        system, name = fsspec.core.url_to_fs(url)
        return system.exists(name)


def is_folder(path: str) -> bool:
    """Whether a path or URL is a folder that is there."""
    local = local_path(path)
    if local is not None:
        return local.is_dir()
    with _storage_of(path, "look for") as fsspec:
        system, name = fsspec.core.url_to_fs(path)
        # A file first: of a page on the web fsspec would have to guess from its text whether it is a folder.
        return not system.isfile(name) and system.isdir(name)


@contextmanager
def _storage_of(url: str, action: str) -> Iterator[ModuleType]:
    """fsspec, with everything that it raises turned into a VaecodecError."""
    try:
        import fsspec
    except ImportError as error:
        raise VaecodecError(f"{url} needs fsspec: pip install 'vaecodec[fsspec]'") from error
    try:
        yield fsspec
    except ImportError as error:
        raise VaecodecError(f"{url} needs more packages: {error}".splitlines()[0]) from error
    except Exception as error:  # every kind of storage has errors of its own
        reason = "no such file" if isinstance(error, FileNotFoundError) else error
        raise VaecodecError(f"cannot {action} {url}: {reason}".splitlines()[0]) from error


def _open_url(url: str) -> Any:
    with _storage_of(url, "read") as fsspec:
        return fsspec.open(url, "rb").open()


def list_files(root: str | Path, recursive: bool = True) -> list[str]:
    """Files in a folder or below a URL, by their names relative to it, with "/"; none if it does not exist."""
    folder = local_path(root)
    if folder is None:
        with _storage_of(str(root), "list") as fsspec:
            system, base = fsspec.core.url_to_fs(root)
            base = base.rstrip("/") + "/"
            return [path.removeprefix(base) for path in system.find(base, maxdepth=None if recursive else 1)]
    paths = folder.rglob("*") if recursive else folder.glob("*")
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def place(root: str | Path, name: str) -> str | Path:
    """Where a file of a folder or URL is, by its relative name."""
    return f"{root}".rstrip("/") + f"/{name}" if is_url(root) else Path(root, name)


class Source:
    """Random access to the bytes of memory, a path, a URL of fsspec or a binary file object; safe to share by threads.

    Of a seekable file only what is asked for is read; anything else is read whole at the start.
    """

    def __init__(self, data: Any) -> None:
        self._lock = threading.Lock()
        self._owned = isinstance(data, str | os.PathLike)  # then close() closes what was opened here
        self._view: memoryview | None = None
        self._file: BinaryIO | None = None
        if isinstance(data, Source):
            self._view, self._file, self._lock = data._view, data._file, data._lock
        elif isinstance(data, bytes | bytearray | memoryview):
            self._view = memoryview(data).cast("B")
        elif self._owned or hasattr(data, "read"):
            self._open(data)
        else:
            raise VaecodecError(f"cannot read from a {type(data).__name__}")
        self.size = len(self._view) if self._view is not None else self._end()

    def _open(self, data: Any) -> None:
        try:
            file = data
            if self._owned:
                path = local_path(data)
                file = _open_url(data) if path is None else open(path, "rb")  # noqa: SIM115 (closed by close)
            if file.seekable():
                self._file = file
            else:
                self._view = memoryview(file.read())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VaecodecError(f"cannot read {data if self._owned else 'the input'}: {reason}") from error

    def _end(self) -> int:
        assert self._file is not None
        return self._file.seek(0, io.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`: fewer at the end. Raises VaecodecError where the file cannot be read."""
        if self._view is not None:
            return bytes(self._view[offset : offset + size])
        assert self._file is not None
        try:
            with self._lock:
                self._file.seek(offset)
                return self._file.read(min(size, max(self.size - offset, 0)))
        except Exception as error:  # every kind of storage has errors of its own
            reason = getattr(error, "strerror", None) or error
            raise VaecodecError(f"cannot read the input: {reason}".splitlines()[0]) from error

    def close(self) -> None:
        if self._owned and self._file is not None:
            self._file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_whole(path: str | os.PathLike, data: bytes, overwrite: bool = False) -> None:
    """Write `data` to a temporary name beside `path` and rename it; raises VaecodecError and leaves nothing behind.
    A URL is handed to fsspec.

    Without `overwrite` an existing file is refused.
    """
    target = local_path(path)
    if target is None:
        if not overwrite and url_exists(str(path)):
            raise VaecodecError(f"{path} exists already; use -f to overwrite it")
        with _storage_of(str(path), "write") as fsspec, fsspec.open(path, "wb") as file:
            file.write(data)  # object stores show a new object when it is closed
        return
    try:
        _write_file(target, data, overwrite)
    except OSError as error:
        raise VaecodecError(f"cannot write {target}: {error.strerror or error}") from error


def _write_file(path: Path, data: bytes, overwrite: bool) -> None:
    if path.is_file() and not overwrite:
        raise VaecodecError(f"{path} exists already; use -f to overwrite it")
    if path.exists() and not path.is_file():  # a device or a pipe: nothing to replace
        if path.is_dir():
            raise VaecodecError(f"cannot write {path}: it is a folder")
        path.write_bytes(data)
        return
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(paths: Collection[Path], age: float = 0) -> None:
    """Remove the temporary files of `write_whole` to these paths whose process was killed: those that nobody has
    written to for `age` seconds."""
    newest = time.time() - age
    names = {(path.parent, path.name[:100]) for path in paths}
    for folder in {path.parent for path in paths}:
        for partial in folder.glob(".*.partial"):
            if (folder, partial.name[1:].rsplit(".", 2)[0]) in names and _changed(partial) <= newest:
                partial.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    """When a file was last written to; infinity if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
