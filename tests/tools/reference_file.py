"""The second decoder's reading of files and models (FORMAT.md, sections 2 to 6)."""

from __future__ import annotations

import hashlib
import json
import zlib

import numpy as np


class FormatError(Exception):
    """The file breaks a rule of FORMAT.md."""


def check(condition: bool, rule: str) -> None:
    if not condition:
        raise FormatError(rule)


class Model:
    """Section 6: tensors by name, and the configuration."""

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        whole = header["__metadata__"].get("identity") or hashlib.sha256(data).hexdigest()
        self.identity = bytes.fromhex(whole)[:4]
        self.config = json.loads(header["__metadata__"]["config"])
        kinds = {"I8": "i1", "U8": "u1", "I16": "<i2", "U16": "<u2", "U32": "<u4", "F16": "<f2"}
        self.tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + size + offset for offset in entry["data_offsets"])
                array = np.frombuffer(data[start:end], kinds[entry["dtype"]]).reshape(entry["shape"])
                self.tensors[name] = array.astype(np.float64 if entry["dtype"] == "F16" else np.int64)

    def tables(self, name: str) -> list[list[int]]:
        counts, tables = self.tensors[f"tables.{name}.counts"].tolist(), []
        for radius in self.tensors[f"tables.{name}.radius"].tolist():
            tables.append(counts[: 2 * radius + 2])
            counts = counts[2 * radius + 2 :]
        return tables


class File:
    """Section 1: the header, the sections and the two streams of each group."""

    def __init__(self, data: bytes, identity: bytes) -> None:
        self.data, self.at = data, 0
        check(self.take(4) == b"VAEC", "magic")
        (self.version,) = self.take(1)
        check(self.version in (2, 3), "version")
        (flags,) = self.take(1)
        check(flags < (8 if self.version == 2 else 4), "flags")
        self.gray, with_sections, tiled = bool(flags & 1), bool(flags & 2), bool(flags & 4)
        self.width, self.height = self.varint(1 << 20), self.varint(1 << 20)
        self.quality = int.from_bytes(self.take(2), "little")
        check(self.width > 0 < self.height and 100 <= self.quality <= 10000, "range")
        check(self.take(4) == identity, "model")
        side = 1 << self.take(1)[0] if tiled else 2048
        longest = max(self.width, self.height)
        check(not tiled or 1 << 7 <= side <= 1 << 11, "tile size")
        check(self.version == 3 or (longest > side if tiled else longest <= side), "tiles where they belong")
        self.tile = side // 16 if tiled else 1 << 20
        table = []
        if with_sections:
            table = [(self.take(1)[0], self.varint(1 << 28)) for _ in range(self.varint(255))]
        kinds = [kind for kind, _ in table]
        check(len(set(kinds)) == len(kinds), "a type twice")
        check(all(kind in (1, 2, 3) or kind >= 128 for kind in kinds), "unknown critical section")
        plain = self.version == 2 and not (tiled or with_sections)
        sizes = []
        for _ in self.tiles() if self.version == 2 else ():
            hyper = 4 * self.varint(1 << 28)
            sizes.append((hyper, len(data) - 4 - self.at - hyper if plain else 4 * self.varint(1 << 28)))
        start = 0 if plain else self.at
        if not plain:
            self.checksum(0)
        self.sections = {}
        for kind, size in table:
            self.sections[kind] = self.part(size, self.at)
        self.streams = []
        for hyper, latent in sizes:
            check(latent >= 0 and latent % 4 == 0, "whole words")
            both = self.part(hyper + latent, start if plain else self.at)
            self.streams.append((both[:hyper], both[hyper:]))
        images = [kind in self.sections for kind in (2, 3)] + [any(map(any, self.streams))]
        check(sum(images) <= 1, "pixels, jpeg or streams")
        check(self.version == 2 or images[1], "version 3 without a JPEG")
        check(132 not in kinds or (1 not in kinds and not self.sections[132]), "opaque")
        check(self.at == len(data), "the file ends after its last group")

    def take(self, count: int) -> bytes:
        check(self.at + count <= len(self.data), "truncated")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self, limit: int) -> int:
        value, shift, byte = 0, 0, 128
        while byte & 128:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            shift += 7
            check(value <= limit and shift < 40, "range")
        check(byte > 0 or shift == 7, "shortest varint")
        return value

    def part(self, size: int, covered: int) -> bytes:
        """Payload and checksum, which covers the bytes from `covered` on."""
        payload = self.take(size)
        self.checksum(covered)
        return payload

    def checksum(self, start: int) -> None:
        expected = zlib.crc32(self.data[start : self.at])
        check(int.from_bytes(self.take(4), "little") == expected, "checksum")

    def latent_size(self) -> tuple[int, int]:
        return -(-self.height // 32) * 2, -(-self.width // 32) * 2

    def tiles(self) -> list[tuple[slice, slice]]:
        """Section 2: rows and columns of the latents of each group."""
        rows, columns = (
            [slice(at, min(at + self.tile, size)) for at in range(0, size, self.tile)] for size in self.latent_size()
        )
        return [(row, column) for row in rows for column in columns]
