"""A Source as a file object for libraries, with limits on what they read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from vaecodec.errors import ImageError, VaecodecError

if TYPE_CHECKING:
    from vaecodec.system.files import Source

SMALL, SINGLES = 1 << 13, 1 << 20


class SourceFile(io.RawIOBase):
    """A Source as a file object, for libraries that read as much as a file tells them to.

    Raises ImageError if more than the limit of the source is read at once, or twice as much in total. A library that
    reads SINGLES single bytes in a row has lost its way in a foreign format: the file then ends.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, 0
        self._block, self._start = b"", 0
        self._given, self._single = 0, 0
        self.name = source.name

    def read(self, size: int | None = -1) -> bytes:
        limit = self._source.limit
        if size is None or size < 0:
            size = limit + 1
        if size > limit and self._source.size - self._at > limit:
            raise ImageError(f"{self.name} would have to be held in memory and has more than {limit} bytes")
        if self._given > 2 * limit:
            raise ImageError(f"{self.name} has no image in its first {2 * limit} bytes")
        self._single = self._single + 1 if size == 1 else 0
        if self._single > SINGLES:
            return b""
        data = self._small(size) if size <= SMALL else self._read(self._at, size)
        self._at += len(data)
        self._given += len(data)
        return data

    def _small(self, size: int) -> bytes:
        """Buffers headers, which are read in small pieces."""
        if not self._start <= self._at <= self._at + size <= self._start + len(self._block):
            self._block, self._start = self._read(self._at, SMALL), self._at
        return self._block[self._at - self._start : self._at - self._start + size]

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return self._source.read(offset, size)
        except VaecodecError as error:  # the error that image readers let through
            raise ImageError(str(error)) from error

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        at = offset + (self._source.size if base is None else base)
        if at < 0:
            raise ValueError("negative position")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def fileno(self) -> int:
        number = self._source.fileno()
        if number is None:
            raise io.UnsupportedOperation("fileno")
        return number

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
