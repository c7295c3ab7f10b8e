"""The file: a small header, optional sections, two coded streams, a checksum. FORMAT.md specifies it byte by byte."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from enum import IntEnum

from vaecodec.config import QUALITY_MAX, QUALITY_MIN, QUALITY_UNIT
from vaecodec.errors import FormatError
from vaecodec.runtime.store import IDENTITY_BYTES

MAGIC = b"VAEC"
VERSION = 1
GRAY, HAS_SECTIONS = 1, 2
MAX_SIDE = 1 << 24
MAX_SECTION = 1 << 28
MAX_METADATA = 1 << 24
"""Largest metadata section once inflated, in bytes."""


class Section(IntEnum):
    """Section types; from OPTIONAL on a decoder may skip what it does not know."""

    ALPHA = 1
    OPTIONAL = 128
    EXIF = 129
    ICC = 130
    XMP = 131


@dataclass
class Container:
    """A parsed file. `quality` is in 1/QUALITY_UNIT; sections map known types to their payloads."""

    width: int
    height: int
    quality: int
    model: bytes
    hyper_stream: bytes
    latent_stream: bytes
    gray: bool = False
    sections: dict[Section, bytes] = field(default_factory=dict)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Reader:
    """Reads fields one after another; every shortage is a FormatError."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise FormatError("the file is truncated")
        self._at += count
        return bytes(self._data[self._at - count : self._at])

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

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)


def write_container(container: Container) -> bytes:
    flags = GRAY * container.gray | HAS_SECTIONS * bool(container.sections)
    parts = [MAGIC, bytes([VERSION, flags]), _varint(container.width), _varint(container.height)]
    parts += [container.quality.to_bytes(2, "little"), container.model]
    if container.sections:
        parts.append(_varint(len(container.sections)))
        for kind, payload in container.sections.items():
            parts += [bytes([kind]), _varint(len(payload)), payload]
    parts += [_varint(len(container.hyper_stream)), container.hyper_stream, container.latent_stream]
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(4, "little")


def read_container(data: bytes | bytearray | memoryview) -> Container:
    """Parse and check a file; raises FormatError if it is foreign, from a later version, truncated or damaged."""
    view = memoryview(data).cast("B")
    if not len(view):
        raise FormatError("the file is empty")
    if bytes(view[: len(MAGIC)]) != MAGIC[: len(view)]:
        raise FormatError("not a vaecodec file")
    if len(view) < len(MAGIC) + 5:
        raise FormatError("the file is truncated")
    if view[len(MAGIC)] != VERSION:
        raise FormatError(f"format version {view[len(MAGIC)]} is not supported, only version {VERSION}")
    if zlib.crc32(view[:-4]) != int.from_bytes(view[-4:], "little"):
        raise FormatError("the file is truncated or damaged: its checksum does not match")
    reader = _Reader(view[:-4])
    reader.take(len(MAGIC) + 1)
    flags = reader.byte()
    if flags & ~(GRAY | HAS_SECTIONS):
        raise FormatError("the file uses features that this version does not know")
    width, height = reader.varint(MAX_SIDE), reader.varint(MAX_SIDE)
    if not width or not height:
        raise FormatError("the image has no pixels")
    quality = int.from_bytes(reader.take(2), "little")
    if not QUALITY_MIN * QUALITY_UNIT <= quality <= QUALITY_MAX * QUALITY_UNIT:
        raise FormatError("the quality in the file is out of range")
    model = reader.take(IDENTITY_BYTES)
    sections = _read_sections(reader) if flags & HAS_SECTIONS else {}
    hyper_stream = reader.take(reader.varint(MAX_SECTION))
    return Container(width, height, quality, model, hyper_stream, reader.rest(), bool(flags & GRAY), sections)


def _read_sections(reader: _Reader) -> dict[Section, bytes]:
    count, seen, sections = reader.varint(255), set(), {}
    for _ in range(count):
        kind = reader.byte()
        payload = reader.take(reader.varint(MAX_SECTION))
        if kind in seen:
            raise FormatError("a section appears twice")
        seen.add(kind)
        if kind in Section.__members__.values() and kind != Section.OPTIONAL:
            sections[Section(kind)] = payload
        elif kind < Section.OPTIONAL:
            raise FormatError(f"the file has a section of unknown type {kind} that cannot be skipped")
    return sections


def deflate(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def inflate(data: bytes) -> bytes:
    """Inflate a metadata section; raises FormatError if it is damaged or larger than MAX_METADATA."""
    inflater = zlib.decompressobj()
    try:
        result = inflater.decompress(data, MAX_METADATA)
    except zlib.error as error:
        raise FormatError("a metadata section is damaged") from error
    if not inflater.eof:
        raise FormatError("a metadata section is truncated or too large")
    return result
