"""The file: a small header, optional sections, the coded groups, checksums. FORMAT.md specifies it byte by byte."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from vaecodec.bitstream.fields import Reader, varint
from vaecodec.bitstream.grid import TileGrid, counted_pixels
from vaecodec.bitstream.spec import (
    HYPER_STRIDE,
    IDENTITY_BYTES,
    MAX_CHANNELS,
    PAD,
    PATCH,
    QUALITY_MAX,
    QUALITY_MIN,
    QUALITY_UNIT,
)
from vaecodec.errors import FormatError
from vaecodec.system.files import Source
from vaecodec.system.limits import MAX_METADATA
from vaecodec.system.naming import MAGIC

IMAGES = (b"\x89PNG\r", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
"""First bytes of image files that users may mistake for ours."""
VERSION = 2
JPEG_VERSION = 3
"""Version of files that keep a JPEG which version 2 does not allow; they have no groups."""
GRAY, HAS_SECTIONS, TILED = 1, 2, 4
MAX_SIDE = 1 << 20
MAX_LENGTH = 1 << 28
"""Largest stream or section, in words or bytes."""
CHECKSUM_BYTES = 4


class Section(IntEnum):
    """Section types; decoders may skip unknown ones from OPTIONAL on."""

    ALPHA = 1
    PIXELS = 2
    JPEG = 3
    OPTIONAL = 128
    EXIF = 129
    ICC = 130
    XMP = 131
    OPAQUE = 132


KEPT = (Section.PIXELS, Section.JPEG)
"""Sections that replace the latents of an image."""
DROPPED: dict[str, frozenset[Section]] = {
    "all": frozenset(),
    "icc": frozenset({Section.EXIF, Section.XMP}),
    "none": frozenset({Section.EXIF, Section.XMP, Section.ICC}),
}
"""The metadata blocks that each setting drops: EXIF and XMP tell where, when and by whom a picture was taken."""


class Streams(NamedTuple):
    """The two coded streams of a group, each a whole number of 32-bit words."""

    hyper: bytes
    latent: bytes


@dataclass(frozen=True)
class Header:
    """The fields before any coded data. `quality` is in 1/QUALITY_UNIT; `tile_log2` is None if the whole image is one
    group."""

    width: int
    height: int
    quality: int
    model: bytes
    gray: bool = False
    tile_log2: int | None = None
    version: int = VERSION

    @cached_property
    def grid(self) -> TileGrid:
        return TileGrid(self.width, self.height, self.tile_log2)


class _Part(NamedTuple):
    """Position of a section or a group: its payload, followed by its checksum."""

    offset: int
    size: int


@dataclass
class Container:
    """An opened file: the header is parsed and checked, sections and groups are read on demand."""

    header: Header
    source: Source
    sections: dict[Section, _Part]
    groups: list[_Part]
    hyper_bytes: list[int]
    """Size of the hyper stream of each group, in bytes."""
    covered: int
    """Bytes from the start of the file that the checksum of a single group covers besides the group itself."""

    @property
    def kept(self) -> Section | None:
        """The section that holds the image instead of latents; None if latents hold it."""
        return next((kind for kind in KEPT if kind in self.sections), None)

    @property
    def has_alpha(self) -> bool:
        return Section.ALPHA in self.sections or Section.OPAQUE in self.sections

    def section(self, kind: Section) -> bytes:
        """Payload of a section; raises FormatError if it is damaged."""
        part = self.sections[kind]
        return self._checked(part, part.offset, f"the {kind.name.lower()} section")

    def group(self, index: int) -> Streams:
        """Streams of a group; raises FormatError naming the group if it is damaged."""
        part = self.groups[index]
        data = self._checked(part, part.offset - self.covered, self.group_name(index))[self.covered :]
        return Streams(data[: self.hyper_bytes[index]], data[self.hyper_bytes[index] :])

    def group_name(self, index: int) -> str:
        """The name of a group in messages."""
        return "the image data" if len(self.groups) == 1 else f"group {index} of {len(self.groups)}"

    def _checked(self, part: _Part, start: int, name: str) -> bytes:
        end = part.offset + part.size
        data = self.source.read(start, end - start + CHECKSUM_BYTES)
        if len(data) < end - start + CHECKSUM_BYTES:
            raise FormatError(f"the file is truncated: {name} is missing")
        body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
        if zlib.crc32(body) != int.from_bytes(checksum, "little"):
            raise FormatError(f"the file is damaged: the checksum of {name} does not match")
        return body


def _with_checksum(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(CHECKSUM_BYTES, "little")


def write_container(header: Header, groups: list[Streams], sections: dict[Section, bytes]) -> bytes:
    """Serialises a file; `groups` in raster order of the tiles."""
    flags = GRAY * header.gray | HAS_SECTIONS * bool(sections) | TILED * (header.tile_log2 is not None)
    parts = [MAGIC, bytes([header.version, flags]), varint(header.width), varint(header.height)]
    parts += [header.quality.to_bytes(2, "little"), header.model]
    if header.tile_log2 is not None:
        parts.append(bytes([header.tile_log2]))
    if sections:
        parts.append(varint(len(sections)))
        parts += [bytes([kind]) + varint(len(payload)) for kind, payload in sections.items()]
    for streams in groups:
        parts += [varint(len(stream) // 4) for stream in streams]
    if not flags & (HAS_SECTIONS | TILED) and groups:
        # A plain file omits the second length and all checksums but one, which covers the whole file.
        (streams,) = groups
        return _with_checksum(b"".join(parts[:-1]) + streams.hyper + streams.latent)
    payloads = [*sections.values(), *(streams.hyper + streams.latent for streams in groups)]
    return b"".join(_with_checksum(part) for part in (b"".join(parts), *payloads))


def read_container(source: Source, max_pixels: int, partial: bool = False) -> Container:
    """Parse and check the header.

    Raises FormatError if it is foreign, of another version, truncated or damaged, or if the image has more than
    `max_pixels`. `partial`: the end of the file may be missing or wrong, as in salvage.
    """
    reader = Reader(source)
    start = source.read(0, len(MAGIC) + 1)
    if not start:
        raise FormatError("the file is empty")
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        if any(start.startswith(image[: len(start)]) for image in IMAGES):
            raise FormatError("not a vaecodec file but an image: encode it?")
        raise FormatError("not a vaecodec file")
    reader.take(len(MAGIC))
    if (version := reader.byte()) not in (VERSION, JPEG_VERSION):
        raise FormatError(f"format version {version} is not supported, only versions {VERSION} and {JPEG_VERSION}")
    flags = reader.byte()
    header = _read_header(reader, version, flags, max_pixels)
    lengths = _read_section_table(reader) if flags & HAS_SECTIONS else []
    simple = version == VERSION and not flags & (HAS_SECTIONS | TILED)
    sizes = []
    longest = _longest_group(header)
    # The grid raises FormatError if tiles are missing, needless or of a wrong size.
    for _ in range(0 if version == JPEG_VERSION else len(header.grid)):
        hyper = 4 * reader.varint(MAX_LENGTH)
        if simple and source.read(reader.at + hyper + longest, 1):  # before anything looks for the end of the file
            raise FormatError("the file is followed by foreign bytes")
        # A plain file does not store the size of its last stream, which extends to the checksum at the end.
        at = reader.at + hyper
        sizes.append((hyper, source.size - CHECKSUM_BYTES - at if simple else 4 * reader.varint(MAX_LENGTH)))
    covered = reader.at if simple else 0
    at = reader.at
    if not simple:
        at += CHECKSUM_BYTES
        head = source.read(0, at)
        if len(head) < at or _with_checksum(head[:-CHECKSUM_BYTES]) != head:
            raise FormatError("the file is damaged: the checksum of its header does not match")
    sections = {}
    for kind, size in lengths:
        if kind is not None:
            sections[kind] = _Part(at, size)
        at += size + CHECKSUM_BYTES
    images = [kind.name.lower() for kind in KEPT if kind in sections] + ["coded groups"] * any(map(any, sizes))
    if version == JPEG_VERSION and Section.JPEG not in sections:
        raise FormatError(f"a file of version {JPEG_VERSION} has no jpeg section")
    if len(images) > 1:
        raise FormatError(f"the file has both {images[0]} and {images[1]}")
    if Section.OPAQUE in sections and (Section.ALPHA in sections or sections[Section.OPAQUE].size):
        raise FormatError("the section that says that the image is opaque is not empty, or contradicts another")
    groups = []
    for hyper, latent in sizes:
        if latent < 0 or latent % 4:
            raise FormatError("the file is truncated: the image data is missing or no whole number of words")
        groups.append(_Part(at, hyper + latent))
        at += hyper + latent + CHECKSUM_BYTES
    if not partial and not source.ends_at(at):
        if source.read(at, 1):  # the length of a stream is unknown
            raise FormatError("the file is followed by foreign bytes")
        last = next((i for i, g in enumerate(groups) if g.offset + g.size + CHECKSUM_BYTES > source.size), None)
        where = f": group {last} of {len(groups)} is incomplete" if last is not None and len(groups) > 1 else ""
        raise FormatError(f"the file is truncated{where}")
    if any(group.size > longest for group in groups):
        raise FormatError("the image data is longer than its symbols can be")
    return Container(header, source, sections, groups, [hyper for hyper, _ in sizes], covered)


def _longest_group(header: Header) -> int:
    """Upper bound on the bytes of a group's streams, for any model: 5 per symbol (24 bits by its table, 16 as an
    outlier), and the last words of the streams."""
    side = (1 << header.tile_log2 if header.tile_log2 is not None else MAX_SIDE) // PATCH
    height, width = (min(2 * -(-pixels // PAD), side) for pixels in (header.height, header.width))
    hyper = -(-height // HYPER_STRIDE) * -(-width // HYPER_STRIDE)
    return 5 * MAX_CHANNELS * (height * width + hyper) + 64


def _read_header(reader: Reader, version: int, flags: int, max_pixels: int) -> Header:
    if flags & ~(GRAY | HAS_SECTIONS | (TILED if version == VERSION else 0)):
        raise FormatError("the file uses features that this version does not know")
    width, height = reader.varint(MAX_SIDE), reader.varint(MAX_SIDE)
    if not width or not height:
        raise FormatError("the image has no pixels")
    if counted_pixels(width, height) > max_pixels:
        raise FormatError(f"the image has {width}x{height} pixels, more than the limit of {max_pixels} (max_pixels)")
    quality = int.from_bytes(reader.take(2), "little")
    if not QUALITY_MIN * QUALITY_UNIT <= quality <= QUALITY_MAX * QUALITY_UNIT:
        raise FormatError("the quality in the file is out of range")
    model = reader.take(IDENTITY_BYTES)
    tile = reader.byte() if flags & TILED else None
    return Header(width, height, quality, model, bool(flags & GRAY), tile, version)


def _read_section_table(reader: Reader) -> list[tuple[Section | None, int]]:
    """Type (None: to be skipped) and size of each section."""
    table: list[tuple[Section | None, int]] = []
    seen = set()
    for _ in range(reader.varint(255)):
        kind = reader.byte()
        if kind in seen:
            raise FormatError("a section appears twice")
        seen.add(kind)
        known = kind in Section.__members__.values() and kind != Section.OPTIONAL
        if not known and kind < Section.OPTIONAL:
            raise FormatError(f"the file has a section of unknown type {kind} that cannot be skipped")
        table.append((Section(kind) if known else None, reader.varint(MAX_LENGTH)))
    return table


def deflate(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def inflate(data: bytes, limit: int = MAX_METADATA) -> bytes:
    """Inflate a metadata section; raises FormatError if it is damaged or larger than `limit`."""
    inflater = zlib.decompressobj()
    try:
        result = inflater.decompress(data, limit)
    except zlib.error as error:
        raise FormatError("a metadata section is damaged") from error
    if not inflater.eof or inflater.unused_data:
        raise FormatError("a metadata section is truncated, too large or followed by foreign bytes")
    return result
