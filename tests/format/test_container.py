"""The container: round trip, overhead, and every kind of damage."""

from __future__ import annotations

import zlib

import pytest

from vaecodec.bitstream.container import (
    Container,
    Header,
    Section,
    Streams,
    deflate,
    inflate,
    read_container,
    write_container,
)
from vaecodec.errors import FormatError
from vaecodec.system.files import Source
from vaecodec.system.limits import MAX_METADATA

PLAIN = Header(768, 512, 5000, b"\1\2\3\4")
TILED = Header(300, 200, 10000, b"abcd", gray=True, tile_log2=7)
STREAMS = Streams(b"hyper...", b"latents.....")
SECTIONS = {Section.ALPHA: b"a" * 300, Section.ICC: b"", Section.XMP: b"x"}
FILES = {
    "plain": write_container(PLAIN, [STREAMS], {}),
    "sections": write_container(PLAIN, [STREAMS], SECTIONS),
    "tiled": write_container(TILED, [Streams(bytes([i] * 4), bytes([i] * 4 * i)) for i in range(6)], {}),
    "tiled and sections": write_container(TILED, [STREAMS] * 6, SECTIONS),
}


def read(data: bytes, max_pixels: int = 1 << 27, partial: bool = False) -> Container:
    return read_container(Source(data), max_pixels, partial)


def read_all(data: bytes) -> None:
    container = read(data)
    for kind in container.sections:
        container.section(kind)
    for index in range(len(container.groups)):
        container.group(index)


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def test_round_trip() -> None:
    for name, data in FILES.items():
        container = read(data)
        assert container.header == (TILED if "tiled" in name else PLAIN)
        assert {kind: container.section(kind) for kind in container.sections} == (SECTIONS if "sec" in name else {})
        if name == "tiled":
            assert [container.group(i) for i in range(6)] == [(bytes([i] * 4), bytes([i] * 4 * i)) for i in range(6)]
        else:
            assert container.group(0) == STREAMS


def test_overhead_of_a_plain_image_is_under_24_bytes() -> None:
    for side in (1, 512, 2048):
        streams = Streams(b"h" * 400, b"l" * 4000)
        assert len(write_container(Header(side, side, 5000, b"\1\2\3\4"), [streams], {})) - 4400 < 24


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_is_noticed(name: str) -> None:
    data = FILES[name]
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x40
        with pytest.raises(FormatError):
            read_all(bytes(damaged))


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_and_extension_is_noticed(name: str) -> None:
    data = FILES[name]
    for wrong in (*(data[:length] for length in range(len(data))), data + b"\0", data + data):
        with pytest.raises(FormatError):
            read_all(wrong)


def test_damage_is_named() -> None:
    data = bytearray(FILES["tiled"])
    data[-10] ^= 1
    with pytest.raises(FormatError, match="group 5 of 6"):
        read(bytes(data)).group(5)
    with pytest.raises(FormatError, match="truncated: group 5 of 6"):
        read(bytes(data[:-1]))
    damaged = bytearray(FILES["sections"])
    damaged[damaged.index(b"aaaa")] ^= 1
    with pytest.raises(FormatError, match="alpha section"):
        read(bytes(damaged)).section(Section.ALPHA)


def test_salvage_reads_past_missing_parts() -> None:
    data = FILES["tiled"]
    container = read(data[:-1], partial=True)
    assert container.group(4) == (b"\4" * 4, b"\4" * 16)
    with pytest.raises(FormatError, match="truncated: group 5 of 6"):
        container.group(5)


def body(
    *, version: int = 2, flags: int = 0, sizes: bytes = b"\x08\x08", quality: int = 5000, tile: bytes = b"", rest: bytes
) -> bytes:
    """A file with a sealed header; `rest` is what follows the model identity."""
    header = b"VAEC" + bytes([version, flags]) + sizes + quality.to_bytes(2, "little") + b"\1\2\3\4"
    return sealed(header + tile + rest)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a vaecodec file"),
        (body(version=1, rest=b"\0"), "version 1"),
        (body(version=4, rest=b"\0"), "version 4"),
        (body(version=3, flags=2, rest=b"\0"), "no jpeg section"),
        (body(version=3, flags=4, tile=b"\x07", rest=b"\0"), "features"),
        (body(flags=8, rest=b"\0"), "features"),
        (body(sizes=b"\0\x08", rest=b"\0"), "no pixels"),
        (body(sizes=b"\x80\x00\x08", rest=b"\0"), "out of range"),
        (body(sizes=b"\xff\xff\xff\xff\xff\xff\xff\x08", rest=b"\0"), "out of range"),
        (body(sizes=b"\xff\xff\x3f\xff\xff\x3f", rest=b"\0"), "limit"),
        (body(sizes=b"\x81\x10\x08", rest=b"\0"), "must be coded in tiles"),
        (body(quality=99, rest=b"\0"), "quality"),
        (body(quality=10001, rest=b"\0"), "quality"),
        (body(rest=b"\x09short"), "truncated"),
        (body(rest=b"\0123"), "no whole number"),
        (body(flags=2, rest=b"\xff\xff\x03"), "out of range"),
        (body(flags=2, rest=b"\x01\x07\x00\0\0"), "unknown type 7"),
        (body(flags=2, rest=b"\x02\x81\x00\x81\x00\0\0"), "twice"),
        (body(flags=2, rest=b"\x01\x81\xff\x01\0\0"), "truncated"),
        (body(flags=4, tile=b"\x06", rest=b"\0\0"), "tile size"),
        (body(flags=4, tile=b"\x0c", rest=b"\0\0"), "tile size"),
        (body(flags=4, tile=b"\x07", rest=b"\0\0"), "must not be coded in tiles"),
        (body(flags=4, sizes=b"\x81\x01\x08", tile=b"\x07", rest=b"\0\0\0\0"), "truncated: group 0 of 2"),
        (body(flags=4, sizes=b"\x81\x01\x08", tile=b"\x07", rest=b"\0\0\0"), "truncated within its header"),
    ],
)
def test_hostile_files_are_refused(data: bytes, message: str) -> None:
    if message == "truncated within its header":
        data = data[:-4]
    with pytest.raises(FormatError, match=message):
        read(data)


def test_unknown_optional_sections_are_skipped() -> None:
    header = body(flags=2, rest=b"\x02\xf0\x03\x82\x01\0\0")
    container = read(header + sealed(b"abc") + sealed(b"i") + sealed(b""))
    assert {kind: container.section(kind) for kind in container.sections} == {Section.ICC: b"i"}
    assert container.group(0) == (b"", b"")


def test_metadata_inflates_within_limits() -> None:
    assert inflate(deflate(b"exif" * 1000)) == b"exif" * 1000
    bomb = deflate(bytes(MAX_METADATA + 1))
    for bad in (bomb, b"rubbish", deflate(b"exif" * 1000)[:-6], deflate(b"exif") + b"more"):
        with pytest.raises(FormatError):
            inflate(bad)
    with pytest.raises(FormatError):
        inflate(deflate(bytes(101)), limit=100)
