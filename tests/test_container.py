"""The container: round trip, overhead, and every kind of damage."""

from __future__ import annotations

import zlib

import pytest

from vaecodec.bitstream.container import (
    MAX_METADATA,
    Container,
    Section,
    deflate,
    inflate,
    read_container,
    write_container,
)
from vaecodec.errors import FormatError

PLAIN = Container(768, 512, 5000, b"\1\2\3\4", b"hyper...", b"latents.....")


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def test_round_trip() -> None:
    full = Container(
        1, 70000, 10000, b"abcd", b"", b"", True, {Section.ALPHA: b"a" * 300, Section.ICC: b"", Section.XMP: b"x"}
    )
    for container in (PLAIN, full):
        assert read_container(write_container(container)) == container


def test_overhead_of_a_plain_image_is_under_24_bytes() -> None:
    for side in (1, 512, 16383):
        container = Container(side, side, 5000, b"\1\2\3\4", b"h" * 400, b"l" * 4000)
        assert len(write_container(container)) - 4400 < 24


def test_every_flipped_byte_is_noticed() -> None:
    data = write_container(PLAIN)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x40
        with pytest.raises(FormatError):
            read_container(damaged)


def test_every_truncation_is_noticed() -> None:
    data = write_container(PLAIN)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            read_container(data[:length])


def body(*, version: int = 1, flags: int = 0, sizes: bytes = b"\x08\x08", quality: int = 5000, rest: bytes) -> bytes:
    return sealed(b"VAEC" + bytes([version, flags]) + sizes + quality.to_bytes(2, "little") + b"\1\2\3\4" + rest)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a vaecodec file"),
        (body(version=2, rest=b"\0"), "version 2"),
        (body(flags=4, rest=b"\0"), "features"),
        (body(sizes=b"\0\x08", rest=b"\0"), "no pixels"),
        (body(sizes=b"\x80\x00\x08", rest=b"\0"), "out of range"),
        (body(sizes=b"\xff\xff\xff\xff\xff\xff\xff\x08", rest=b"\0"), "out of range"),
        (body(quality=99, rest=b"\0"), "quality"),
        (body(quality=10001, rest=b"\0"), "quality"),
        (body(rest=b"\x09short"), "truncated"),
        (body(flags=2, rest=b"\xff\xff\x03"), "out of range"),
        (body(flags=2, rest=b"\x01\x07\x00\0"), "unknown type 7"),
        (body(flags=2, rest=b"\x02\x81\x00\x81\x00\0"), "twice"),
        (body(flags=2, rest=b"\x01\x81\xff\x01"), "truncated"),
    ],
)
def test_hostile_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_container(data)


def test_unknown_optional_sections_are_skipped() -> None:
    container = read_container(body(flags=2, rest=b"\x02\xf0\x03abc\x82\x01i\x00"))
    assert container.sections == {Section.ICC: b"i"}


def test_metadata_inflates_within_limits() -> None:
    assert inflate(deflate(b"exif" * 1000)) == b"exif" * 1000
    for bad in (deflate(bytes(MAX_METADATA + 1)), b"rubbish", deflate(b"exif" * 1000)[:-6]):
        with pytest.raises(FormatError):
            inflate(bad)
