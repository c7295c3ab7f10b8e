"""The fields of a header: bytes and numbers, written and read one after another."""

from __future__ import annotations

from vaecodec.errors import FormatError
from vaecodec.system.files import Source


def varint(value: int) -> bytes:
    """A number in little-endian base 128, in its shortest form."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Reads header fields one after another; raises FormatError when bytes run out."""

    def __init__(self, source: Source) -> None:
        self._source, self.at = source, 0
        self._buffer, self._start = b"", 0

    def take(self, count: int) -> bytes:
        if self.at + count > self._start + len(self._buffer):
            self._buffer, self._start = self._source.read(self.at, max(count, 4096)), self.at
        data = self._buffer[self.at - self._start : self.at - self._start + count]
        if len(data) < count:
            raise FormatError("the file is truncated within its header")
        self.at += count
        return data

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self, limit: int) -> int:
        """A little-endian base-128 number in its shortest form, at most `limit`."""
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > limit or shift > 35 or (byte == 0 and shift > 7):
                raise FormatError("a number in the file is out of range")
            if byte < 0x80:
                return value
