"""Reading inputs piece by piece: memory, files, URLs, and streams of unknown length."""

from __future__ import annotations

import io
import os
import select
import stat
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from vaecodec.errors import VaecodecError, reason
from vaecodec.system.filelike import SourceFile
from vaecodec.system.storage import local_path, open_url

if TYPE_CHECKING:
    from vaecodec.types import SourceLike

MAX_INPUT = 1 << 30
"""Default limit on the bytes of one input held in memory: 8 for each of the 2^27 pixels of the default limit. It
applies to inputs that are not seekable (pipes), and to formats that Pillow reads in one piece."""


def input_limit(max_pixels: int) -> int:
    """The limit for images of up to `max_pixels`."""
    return max(MAX_INPUT, 8 * max_pixels)


CHUNK = 1 << 16
PATIENCE = 10.0
"""Seconds to wait for a non-blocking object that has no bytes yet."""


class _Reader(Protocol):
    """Random access to bytes, for several threads."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes: ...


class Source:
    """Random access to the bytes of memory, a path, a URL of fsspec or a binary file object; threads may share it.

    data: an object with the buffer protocol (bytes, mmap, ...), a str or path, or an object with `read`. Seekable files
    are read on demand. Other inputs are read from their current position, as far as needed, and kept in memory; a
    VaecodecError is raised beyond `limit` bytes. name: the name in messages.
    """

    def __init__(self, data: SourceLike | Source, limit: int = MAX_INPUT, name: str | None = None) -> None:
        owned = isinstance(data, str | os.PathLike)
        self.name, self.limit = name or (str(data) if owned else "the input"), limit
        self._close: Callable[[], object] | None = None
        self._reader: _Reader
        if isinstance(data, Source):
            self.name, self.limit, self._reader = data.name, data.limit, data._reader
        elif owned or (hasattr(data, "read") and not is_buffer(data)):
            self._open(data, owned)
        else:
            try:
                self._reader = _Memory(memoryview(cast(bytes, data)).cast("B"))
            except TypeError as error:
                raise VaecodecError(f"cannot read from a {type(data).__name__}") from error

    def _open(self, data: Any, owned: bool) -> None:
        try:
            file = data
            if owned:
                path = local_path(data)
                # Unbuffered: libraries that borrow the descriptor move its position.
                file = open_url(data) if path is None else open(path, "rb", buffering=0)  # noqa: SIM115
                self._close = file.close
            self._reader = _reader_of(file, self)
        except Exception as error:
            self.close()
            if isinstance(error, VaecodecError):
                raise
            raise VaecodecError(f"cannot read {self.name}: {reason(error)}") from error

    @property
    def size(self) -> int:
        """Size in bytes. A stream is read to its end to find it."""
        return self._reader.size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`: fewer at the end. Raises VaecodecError if the file cannot be read."""
        try:
            return self._reader.read(offset, size)
        except VaecodecError:
            raise
        except Exception as error:  # each storage has its own errors
            raise VaecodecError(f"cannot read {self.name}: {reason(error)}") from error

    def ends_at(self, offset: int) -> bool:
        """Whether there are exactly `offset` bytes; reads at most one byte beyond from a stream."""
        if isinstance(self._reader, _Stream):
            return len(self.read(max(offset - 1, 0), 2)) == min(offset, 1)
        return self.size == offset

    def file(self) -> SourceFile:
        """A file object with its own position, for libraries."""
        return SourceFile(self)

    def fileno(self) -> int | None:
        """The descriptor of a local file; positional reads through it disturb no other reader."""
        return self._reader.fileno if isinstance(self._reader, _Descriptor) else None

    def close(self) -> None:
        if self._close is not None:
            self._close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_buffer(data: Any) -> bool:
    """Whether data is a buffer. An mmap is both a buffer and a file; threads can share it as a buffer."""
    try:
        memoryview(data).release()
    except TypeError:
        return False
    return True


def _reader_of(file: Any, source: Source) -> _Reader:
    raw = file.raw if isinstance(file, io.BufferedReader) else file
    if isinstance(raw, io.FileIO):
        mode = os.fstat(raw.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):  # /dev/zero claims to be seekable
            return _Stream(file, source)
        if hasattr(os, "pread"):
            return _Descriptor(raw)
    try:
        # Old file objects have no `seekable`.
        if file.seekable() if hasattr(file, "seekable") else hasattr(file, "seek"):
            return _Seekable(file)
    except (OSError, ValueError, AttributeError):
        if getattr(file, "closed", False):
            raise
    return _Stream(file, source)


class _Memory:
    def __init__(self, view: memoryview) -> None:
        self._view, self.size = view, len(view)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._view[offset : offset + size])


class _Descriptor:
    """A local file, read independently of its position."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self.fileno = file, file.fileno()  # holds a reference, so that the file is not closed early
        self.size = os.stat(self.fileno).st_size or os.lseek(self.fileno, 0, os.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        if self._file.closed:
            raise ValueError("the file is closed")
        size = min(size, max(self.size - offset, 0))
        parts = []
        while size > 0 and (part := os.pread(self.fileno, size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Seekable:
    """A seekable file object."""

    def __init__(self, file: Any) -> None:
        self._file, self._lock = file, threading.Lock()
        end = file.seek(0, io.SEEK_END)
        self.size = file.tell() if end is None else end

    def read(self, offset: int, size: int) -> bytes:
        parts = []
        with self._lock:
            self._file.seek(offset)
            size = min(size, max(self.size - offset, 0))
            while size > 0 and (part := _some_bytes(self._file, self._file.read, size)):
                parts.append(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Stream:
    """A file object that can only be read forwards; bytes already read are kept."""

    def __init__(self, file: Any, source: Source) -> None:
        self._file, self._limit, self._name = file, source.limit, source.name
        self._read = getattr(file, "read1", file.read)  # read1 returns the available bytes without waiting for more
        self._kept, self._ended, self._lock = bytearray(), False, threading.Lock()

    @property
    def size(self) -> int:
        with self._lock:
            self._fill(self._limit + 1)
            return len(self._kept)

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._fill(offset + size)
            return bytes(self._kept[offset : offset + size])

    def _fill(self, end: int) -> None:
        """Read until there are `end` bytes, or to the end."""
        while len(self._kept) < end and not self._ended:
            part = _some_bytes(self._file, self._read, CHUNK)
            self._ended = not part
            if len(self._kept) + len(part) > self._limit:
                raise VaecodecError(
                    f"{self._name} has more than {self._limit} bytes, which is the limit on what is not a file"
                )
            self._kept += part


def _some_bytes(file: Any, read: Callable[[int], Any], size: int) -> bytes:
    """Between 1 and `size` bytes; none at the end of the file."""
    until = time.monotonic() + PATIENCE
    while (part := read(size)) is None:  # a non-blocking file has no bytes yet
        try:
            select.select([file], [], [])
        except (TypeError, ValueError, OSError):  # it has no descriptor
            if time.monotonic() > until:
                raise VaecodecError(f"the input has given no bytes for {PATIENCE:g} seconds") from None
            time.sleep(0.01)
    if isinstance(part, str):
        raise VaecodecError("the input gives text: open it in binary mode")
    if len(part) > size:
        raise VaecodecError("the input gives more bytes than it was asked for")
    return bytes(part)
