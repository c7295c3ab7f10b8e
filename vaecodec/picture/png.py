"""PNG chunks that Pillow ignores or refuses: colours without a profile, and long texts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
XMP = b"XML:com.adobe.xmp\0"
MAX_BLOCK = 1 << 24
"""Largest inflated XMP packet or ICC profile, in bytes."""
SRGB_GAMMA, SRGB_PRIMARIES = 45455, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
"""gAMA and cHRM as programs write them for sRGB."""
MAX_CHUNKS = 10_000


def is_png(file: BinaryIO) -> bool:
    file.seek(0)
    found = file.read(len(SIGNATURE)) == SIGNATURE
    file.seek(0)
    return found


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, payload offset and size of every complete chunk."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head)
        yield kind, at + 8, size
        at += 12 + size


def colour_notes(file: BinaryIO) -> list[str]:
    """Notes on chunks before the pixels that declare colours other than sRGB, since decoders will assume sRGB."""
    found: dict[bytes, bytes] = {}
    for kind, at, size in _chunks(file):
        if kind == b"IDAT":
            break
        if kind in (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV") and size <= 64:
            file.seek(at)
            found[kind] = file.read(size)
        elif kind == b"iCCP":
            found[kind] = b""
    file.seek(0)
    if b"iCCP" in found:
        return []
    notes = []
    if cicp := found.get(b"cICP"):
        if cicp[:2] != b"\x01\x0d":
            notes.append(f"colours of another space (cICP {', '.join(map(str, cicp))}) are taken as sRGB")
    elif b"sRGB" not in found:
        gamma = found.get(b"gAMA", b"")
        if len(gamma) == 4 and abs(int.from_bytes(gamma, "big") - SRGB_GAMMA) > 500:
            notes.append(f"a gamma of {int.from_bytes(gamma, 'big') / 1e5:g} (gAMA) is not applied")
        primaries = found.get(b"cHRM", b"")
        if len(primaries) == 32:
            values = struct.unpack(">8I", primaries)
            if max(abs(a - b) for a, b in zip(values, SRGB_PRIMARIES, strict=True)) > 500:
                notes.append("primaries of another space (cHRM) are taken as those of sRGB")
    return notes


def without_texts(file: BinaryIO) -> tuple[bytes, bytes | None]:
    """The file without its texts except XMP, and its ICC profile separately: Pillow refuses an image with texts or
    profiles beyond 1 MB."""
    out, profile = [SIGNATURE], None
    for kind, at, size in _chunks(file):
        file.seek(at)
        if kind == b"iCCP":
            profile = _inflated(file.read(size).partition(b"\0")[2][1:])
        elif kind in TEXTS:
            packet = _xmp(file.read(size)) if kind == b"iTXt" else None
            if packet:
                out.append(_chunk(kind, XMP + b"\0\0\0\0" + packet))
        else:
            out.append(struct.pack(">I4s", size, kind) + file.read(size + 4))
    return b"".join(out), profile


def _xmp(payload: bytes) -> bytes | None:
    """The XMP packet of an iTXt chunk."""
    if not payload.startswith(XMP):
        return None
    compressed, method = payload[len(XMP) : len(XMP) + 1], payload[len(XMP) + 1 : len(XMP) + 2]
    _, _, rest = payload[len(XMP) + 2 :].partition(b"\0")  # the language
    _, _, text = rest.partition(b"\0")  # the translated keyword
    if compressed == b"\1":
        return _inflated(text) if method == b"\0" else None
    return text if len(text) <= MAX_BLOCK else None


def _inflated(data: bytes) -> bytes | None:
    try:
        inflater = zlib.decompressobj()
        found = inflater.decompress(data, MAX_BLOCK)
    except zlib.error:
        return None
    return found if inflater.eof else None


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", len(payload), kind) + payload + struct.pack(">I", zlib.crc32(kind + payload))
