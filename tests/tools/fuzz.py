"""Structure-aware fuzzing: valid files are mutated, then all checksums repaired, so that mutations reach the symbols.

    python tests/tools/fuzz.py --executions 200000 [--seed 0]

Whatever a mutant is, the answer must be an image or a VaecodecError, soon, and within bounded memory.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from make_golden import FOLDER, TINY
from PIL import Image

import vaecodec
from vaecodec.bitstream.container import Header, Section, Streams, deflate, read_container, write_container
from vaecodec.coding.tile import TileCoder
from vaecodec.picture import save_image
from vaecodec.system.files import Source

MAX_PIXELS = 1 << 17
LIMIT = 1.5
"""Seconds: 1 beyond the honest decode time of MAX_PIXELS with the tiny model (0.1 s alone, more on a busy machine)."""
GROWTH = 64
"""MiB by which the peak memory of the process may grow over all executions."""
SUFFIXES = (".png", ".jpg", ".webp", ".tiff", ".avif")
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


class Fuzzer:
    """Runs mutants and counts what became of them."""

    def __init__(self) -> None:
        self.codec = vaecodec.Codec(TINY, threads=1, max_pixels=MAX_PIXELS, max_metadata=1 << 16)
        self.seeds = [path.read_bytes() for path in sorted(FOLDER.glob("tiny-*.vaec")) if path.stat().st_size < 3000]
        checkerboard = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
        self.seeds.append(self.codec.encode(checkerboard, 100))  # kept lossless
        self.seeds.append(_kept_jpeg(self.codec, checkerboard))
        self.executions = self.reached = 0
        self.outcomes: Counter[str] = Counter()
        self.slowest, self.slowest_seed = 0.0, 0
        self._symbols = False
        for seed in self.seeds:  # what honest files take, Pillow's plugins included
            for suffix in SUFFIXES:
                save_image(self.codec.decode(seed), suffix)
        self._peak = peak_memory()

    @property
    def growth(self) -> float:
        """MiB by which mutants have raised the peak memory of the process."""
        return peak_memory() - self._peak

    def run(self, seed: int) -> None:
        """One execution; any exception but VaecodecError is a crash."""
        random = np.random.default_rng(seed)
        data = self.mutant(random)
        self._symbols = False
        decode = TileCoder.decode

        def watched(coder: TileCoder, *arguments: object) -> object:
            self._symbols = True
            return decode(coder, *arguments)

        started = time.perf_counter()
        with mock.patch.object(TileCoder, "decode", watched):
            try:
                self.salvage_or_decode(random, data)
                outcome = "decoded"
            except vaecodec.VaecodecError as error:
                outcome = type(error).__name__
        elapsed = time.perf_counter() - started
        if elapsed > self.slowest:
            self.slowest, self.slowest_seed = elapsed, seed
        self.executions += 1
        self.reached += self._symbols
        self.outcomes[outcome] += 1

    def salvage_or_decode(self, random: np.random.Generator, data: bytes) -> None:
        kind = random.integers(10)
        if kind == 0:
            self.codec.salvage(data)
        elif kind == 1:
            self.codec.decode(data, tuple(int(n) for n in random.integers(0, 80, 4)))
        elif kind < 5:
            save_image(self.codec.decode(data), SUFFIXES[random.integers(len(SUFFIXES))])
        else:
            self.codec.decode(data)

    def mutant(self, random: np.random.Generator) -> bytes:
        data = self.seeds[random.integers(len(self.seeds))]
        if random.random() < 0.15:
            return _repaired(_bytes(random, data))
        container = read_container(Source(data), 1 << 27)
        header = container.header
        groups = [container.group(i) for i in range(len(container.groups))]
        sections = {kind: container.section(kind) for kind in container.sections}
        for _ in range(random.integers(1, 4)):
            what = random.random()
            at = random.integers(len(groups))
            if what < 0.35:
                groups[at] = Streams(_words(random, groups[at].hyper), groups[at].latent)
            elif what < 0.75:
                groups[at] = Streams(groups[at].hyper, _words(random, groups[at].latent))
            elif what < 0.80:
                other = groups[random.integers(len(groups))]
                groups[at] = Streams(other.latent, other.hyper) if random.random() < 0.5 else other
            elif what < 0.85:
                header = replace(header, quality=int(random.integers(100, 10001)))
            elif what < 0.92:
                side = int(random.integers(1, 200))
                header = replace(header, width=side) if random.random() < 0.5 else replace(header, height=side)
            elif sections:
                kind = list(sections)[random.integers(len(sections))]
                if kind != Section.ALPHA and random.random() < 0.5:
                    with contextlib.suppress(zlib.error):  # what is deflated, behind a good checksum of zlib
                        sections[kind] = deflate(_bytes(random, zlib.decompress(sections[kind])))
                else:
                    sections[kind] = _bytes(random, sections[kind])
            else:
                kind = list(Section)[random.integers(len(Section))]
                payload = random.bytes(random.integers(0, 40))
                sections[kind] = deflate(payload) if random.random() < 0.5 else payload
        try:
            while len(groups) < len(header.grid):
                groups.append(groups[-1])
        except vaecodec.FormatError:  # the mutant needs or has tiles against the rules: the decoder must notice
            pass
        return write_container(header, groups, sections)


def peak_memory() -> float:
    """Of this process since its start, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _words(random: np.random.Generator, stream: bytes) -> bytes:
    """A mutated stream, still a whole number of words."""
    data = _bytes(random, stream)
    return data[: len(data) // 4 * 4]


def _bytes(random: np.random.Generator, data: bytes) -> bytes:
    """Flip, set, insert, delete, repeat or replace some bytes."""
    out = bytearray(data)
    for _ in range(random.integers(1, 5)):
        at = int(random.integers(len(out) + 1))
        kind = random.integers(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << int(random.integers(8))
        elif kind == 1 and at < len(out):
            out[at] = INTERESTING[random.integers(len(INTERESTING))]
        elif kind == 2:
            out[at:at] = random.bytes(int(random.integers(1, 9)))
        elif kind == 3:
            del out[at : at + int(random.integers(1, 9))]
        elif kind == 4:
            out[at:at] = out[at : at + int(random.integers(1, 33))]
        else:
            out[at:] = random.bytes(len(out) - at)
    return bytes(out)


def _kept_jpeg(codec: vaecodec.Codec, gray: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gray).convert("RGB").save(buffer, "JPEG")
    header = Header(gray.shape[1], gray.shape[0], 5000, codec.model.identity)
    return write_container(header, [Streams(b"", b"")], {Section.JPEG: buffer.getvalue()})


def _repaired(data: bytes) -> bytes:
    """With the last four bytes as the checksum of the rest: right for plain files."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    fuzzer = Fuzzer()
    started = time.monotonic()
    for seed in range(arguments.seed, arguments.seed + arguments.executions):
        try:
            fuzzer.run(seed)
        except Exception:
            Path(f"crash-{seed}.vaec").write_bytes(fuzzer.mutant(np.random.default_rng(seed)))
            raise
    print(f"{fuzzer.executions} executions in {time.monotonic() - started:.0f} s, {fuzzer.reached} reached the symbols")
    print(f"outcomes: {dict(fuzzer.outcomes)}")
    print(f"slowest {fuzzer.slowest:.3f} s (seed {fuzzer.slowest_seed})")
    print(f"peak memory {peak_memory():.0f} MiB, {fuzzer.growth:.0f} of them for mutants")


if __name__ == "__main__":
    main()
